//! `--index`: the page over several scenarios, and a ramp in each way that it can go.

use std::path::Path;

use crate::markup::visible_text;
use crate::support::{RUN, Ran, good, job, text, tool};

/// Reports on one level of a ramp below `root`, with `jobs` jobs that end in `phase`.
pub(crate) fn level(root: &Path, name: &str, levels: &str, jobs: u64, phase: &str) {
    let run = RUN
        .replace(
            r#""labels":{"scenario":"soak"}"#,
            &format!(r#""labels":{{"scenario":"ramp","level":"{name}","levels":"{levels}"}}"#),
        )
        .replace(r#""jobs":3"#, &format!(r#""jobs":{jobs}"#))
        .replace(r#""concurrency":2"#, &format!(r#""concurrency":{name}"#));
    let jobs = (1..=jobs).map(|number| {
        let status = format!(
            r#"{{"phase":"{phase}","submittedAt":"2026-05-20T22:30:0{}Z","notEndedAt":"2026-05-20T22:31:00Z","endedAt":"2026-05-20T22:31:00Z"}}"#,
            number % 10
        );
        job(&format!("soak-{number:03}"), &status)
    });
    let lines: Vec<String> = [run].into_iter().chain(jobs).collect();
    let out = root.join(format!("by-concurrency/lvl-{name:0>2}")).display().to_string();
    tool(&["--out", &out], std::io::Cursor::new(text(&lines)));
}

pub(crate) fn soak(out: &Path, lines: &[String]) {
    tool(&["--out", &out.display().to_string()], std::io::Cursor::new(text(lines)));
}

pub(crate) fn index(root: &Path) -> (Ran, String) {
    let ran = tool(&["--index", &root.display().to_string()], std::io::empty());
    let page = std::fs::read_to_string(root.join("report.md")).unwrap_or_default();
    (ran, page)
}

/// The page in HTML, with plain spaces.
fn html_of(root: &Path) -> String {
    std::fs::read_to_string(root.join("report.html")).unwrap().replace('\u{a0}', " ")
}

/// The cause on the page of a ramp whose levels ended so, and the exit code.
fn ramp(levels: &[(&str, &str)]) -> (i32, String) {
    let root = tempfile::tempdir().unwrap();
    for (name, phase) in levels {
        level(root.path(), name, "4 8 16", 30, phase);
    }
    let (ran, page) = index(root.path());
    let json = std::fs::read_to_string(root.path().join("index.json")).unwrap();
    assert_eq!(json, ran.stdout);
    (ran.code, page.lines().nth(2).unwrap().to_owned())
}

#[test]
fn the_screen_has_a_line_per_level_or_scenario_with_its_figures() {
    let root = tempfile::tempdir().unwrap();
    let ramp = root.path().join("ramp");
    level(&ramp, "4", "4 8 16", 6, "Succeeded");
    level(&ramp, "8", "4 8 16", 6, "Failed");
    let (ran, _) = index(&ramp);
    let lines: Vec<&str> = ran.stderr.lines().collect();
    assert!(lines[0].starts_with("ramp: highest passing level: 4, breaks at 8"), "{}", ran.stderr);
    let report = format!("  Report         {}", ramp.join("report.html").display());
    let expected = [
        "  Breaking point level 8",
        "  Level 4        Passed: 6.10 jobs/min, median 56.5 s",
        "  Level 8 (6 in flight) Failed: 0.0 jobs/min, 6 did not succeed",
        "  Level 16       not run",
        &report,
    ];
    assert_eq!(lines[1..], expected);
    soak(&root.path().join("soak"), &good());
    let (ran, _) = index(root.path());
    let lines: Vec<&str> = ran.stderr.lines().collect();
    assert_eq!(lines[1], "  ramp           highest passing level: 4, breaks at 8 (6 in flight)", "{}", ran.stderr);
    assert!(
        lines[2].starts_with("  soak           Passed: ") && lines[2].contains(" jobs/min, median "),
        "{}",
        lines[2]
    );
    assert_eq!(lines.len(), 4, "{}", ran.stderr);
}

#[test]
fn a_ramp_that_breaks_after_a_level_passed_did_its_work() {
    assert_eq!(
        ramp(&[("4", "Succeeded"), ("8", "Failed")]),
        (
            0,
            "**Highest passing level: 4, breaks at 8**: 30 of 30 jobs did not succeed: soak-001, soak-002, soak-003, \
             soak-004, soak-005 and 25 more failed; not run: 16."
                .to_owned()
        )
    );
}

#[test]
fn a_ramp_whose_every_level_passed_found_no_breaking_point() {
    assert_eq!(
        ramp(&[("4", "Succeeded"), ("8", "Succeeded"), ("16", "Succeeded")]),
        (0, "**Passed**: all 3 levels passed, up to 30 in flight; no breaking point was found.".to_owned())
    );
}

#[test]
fn a_ramp_whose_first_level_failed_is_failed() {
    let (code, cause) = ramp(&[("4", "Lost")]);
    assert!(code == 3 && cause.starts_with("**Failed**: the ramp breaks at level 4:"), "{code} {cause}");
    assert!(cause.ends_with("no level passed before it; not run: 8, 16."), "{cause}");
}

#[test]
fn an_incomplete_level_stops_a_ramp_and_is_no_breaking_point() {
    let (code, cause) = ramp(&[("4", "Succeeded"), ("8", "Interrupted")]);
    let start = "**Incomplete**: the ramp stopped at level 8, which is Incomplete and so no breaking point:";
    assert!(code == 4 && cause.starts_with(start), "{code} {cause}");
}

#[test]
fn a_ramp_that_nobody_stopped_and_that_is_not_finished_is_incomplete() {
    let (code, cause) = ramp(&[("4", "Succeeded")]);
    assert_eq!(code, 4);
    assert_eq!(
        cause,
        "**Incomplete**: level 8 was not run, though no level before it stopped the ramp; passed before it: 4; not run: 16."
    );
}

#[test]
fn the_page_of_a_ramp_has_a_row_for_each_level_and_says_which_were_the_same_load() {
    let root = tempfile::tempdir().unwrap();
    for name in ["4", "8", "16"] {
        level(root.path(), name, "4 8 16 24", 8, "Succeeded");
    }
    level(root.path(), "24", "4 8 16 24", 8, "TimedOut");
    let (ran, page) = index(root.path());
    assert_eq!(ran.code, 0);
    let (_, rest) = page.split_once("\n\n").unwrap();
    let (_, rest) = rest.split_once("\n\n").unwrap();
    assert_eq!(
        rest,
        "\
Breaking point: level 24.

| Level | Verdict | Jobs | Peak in flight | Jobs/min | Median | Max | Not succeeded |
| ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: |
| [4](by-concurrency/lvl-04/report.md) | **Passed** | 8 | 8 | 8.14 | 55.5 s | 59.0 s | 0 |
| [8](by-concurrency/lvl-08/report.md) | **Passed** | 8 | 8 | 8.14 | 55.5 s | 59.0 s | 0 |
| [16](by-concurrency/lvl-16/report.md) | **Passed** | 8 | 8 of 16 | 8.14 | 55.5 s | 59.0 s | 0 |
| [24](by-concurrency/lvl-24/report.md) | **Failed** | 8 | 8 of 24 | – | – | – | 8 |

Times are end to end, of the jobs that succeeded.

- Levels 16 and 24 ran the same load, because each had only 8 jobs: RAMP\\_JOBS=2x reaches them

With charts: [report.html](report.html).
"
    );
    let first = ran.stdout;
    assert_eq!(index(root.path()).0.stdout, first, "an index can be made again over the old one");
}

#[test]
fn the_top_of_a_run_is_as_bad_as_the_worst_below_it() {
    let root = tempfile::tempdir().unwrap();
    soak(&root.path().join("soak"), &good());
    level(&root.path().join("ramp"), "4", "4 8", 8, "Succeeded");
    level(&root.path().join("ramp"), "8", "4 8", 8, "Failed");
    index(&root.path().join("ramp"));
    let (ran, page) = index(root.path());
    assert_eq!(ran.code, 0, "a ramp that found its breaking point is no failure: {page}");
    assert!(page.starts_with("# Highest passing level: 4, breaks at 8: "), "{page}");
    assert!(page.contains("**Highest passing level: 4, breaks at 8**; the other scenario passed."), "{page}");
    assert!(page.contains("| [ramp](ramp/report.md) | **Breaks at 8** | 16 | 8.14 at level 4 |"), "{page}");
    assert!(
        ran.stderr.contains(": highest passing level: 4, breaks at 8; the other scenario passed"),
        "{}",
        ran.stderr
    );
    let html = html_of(root.path());
    let text = visible_text(&html);
    assert!(text.contains("soak ✓ Passed 3 of 3 jobs succeeded; 13.8 jobs/min, median 6.00 s, max 8.00 s"), "{text}");
    assert!(
        text.contains("ramp ▲ breaks at level 8 level 4 passed: 8.14 jobs/min, median 55.5 s, max 59.0 s"),
        "{text}"
    );
    assert!(!html.contains("<h1>Passed") && html.contains("Highest passing level: 4, breaks at 8"), "{html}");
    assert!(
        page.contains("| [soak](soak/report.md) | **Passed** | 3 | 13.8 | 6.00 s | 8.00 s | 3 of 3 jobs succeeded |"),
        "{page}"
    );

    soak(&root.path().join("ab/np-8"), &good()[..3]);
    let (ran, page) = index(root.path());
    assert_eq!(ran.code, 4);
    assert!(page.contains("**Incomplete**: 1 of 3 scenarios did not pass: ab/np-8 is Incomplete."), "{page}");
    std::fs::write(root.path().join("soak/report.json"), "{torn").unwrap();
    let (_, page) = index(root.path());
    assert!(page.contains("2 of 3 scenarios did not pass: ab/np-8 is Incomplete, soak is Incomplete."), "{page}");
}

#[test]
fn a_scenario_that_was_never_judged_is_shown_as_such() {
    let root = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(root.path().join("soak")).unwrap();
    std::fs::write(root.path().join("soak/records.ndjson"), text(&good())).unwrap();
    let (ran, page) = index(root.path());
    assert_eq!(ran.code, 4);
    assert!(page.contains("it was started and has no report; render-report --replay writes one"), "{page}");
}

#[test]
fn a_scenario_that_never_began_is_no_pass() {
    let root = tempfile::tempdir().unwrap();
    soak(&root.path().join("ab"), &good());
    std::fs::create_dir_all(root.path().join("soak")).unwrap();
    let (ran, page) = index(root.path());
    assert_eq!(ran.code, 4);
    assert!(page.contains("its directory was created, but nothing was written to it"), "{page}");

    let root = tempfile::tempdir().unwrap();
    level(root.path(), "4", "4 8", 8, "Succeeded");
    std::fs::create_dir_all(root.path().join("by-concurrency/lvl-08")).unwrap();
    let (ran, page) = index(root.path());
    assert_eq!(ran.code, 4);
    assert!(page.contains("| 8 | not run |"), "a level of the ramp, not a scenario of its own: {page}");
}

#[test]
fn an_index_over_nothing_or_over_a_scenario_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let shown = root.path().display();
    let (ran, page) = index(root.path());
    assert_eq!((ran.code, page.as_str()), (4, ""));
    assert_eq!(ran.stderr, format!("render-report: {shown}: no scenario below it, nothing to index\n"));
    soak(&root.path().join("soak"), &good());
    let ran = index(&root.path().join("soak")).0;
    assert!(ran.code == 2 && ran.stderr.contains("is a scenario itself"), "{}", ran.stderr);
    assert_eq!(index(&root.path().join("nowhere")).0.code, 74);
}

/// A ramp of these levels, each with its jobs, the number of them that were in flight at once, and its end.
fn ramp_with_loads(levels: &[(&str, u64, u64, &str)]) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    let names: Vec<&str> = levels.iter().map(|(name, ..)| *name).collect();
    for (name, jobs, in_flight, phase) in levels {
        level(root.path(), name, &names.join(" "), *jobs, phase);
        let file = root.path().join(format!("by-concurrency/lvl-{name:0>2}/report.json"));
        let mut report: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
        for figure in ["peakConcurrency", "peakConcurrencyLow", "peakConcurrencyHigh"] {
            report["status"]["figures"][figure] = serde_json::json!(*in_flight as f64);
        }
        std::fs::write(&file, report.to_string()).unwrap();
    }
    root
}

/// The first line on the terminal for a ramp, and the sentences on levels that were not reached.
fn claims(levels: &[(&str, u64, u64, &str)]) -> (String, Vec<String>) {
    let root = ramp_with_loads(levels);
    let (ran, page) = index(root.path());
    let notes = page.lines().filter_map(|line| line.strip_prefix("- ")).map(|line| line.replace('\\', "")).collect();
    let first = ran.stderr.lines().next().unwrap();
    (first.split_once(": ").unwrap().1.to_owned(), notes)
}

#[test]
fn a_ramp_claims_the_load_that_was_in_flight_whatever_its_levels_are_called() {
    let (first, notes) = claims(&[
        ("4", 8, 4, "Succeeded"),
        ("8", 8, 8, "Succeeded"),
        ("16", 8, 8, "Succeeded"),
        ("24", 8, 8, "Succeeded"),
    ]);
    assert_eq!(
        first,
        "Passed: all 4 levels passed, up to 8 in flight; levels 16 and 24 ran the same load, because each had only 8 jobs: \
         RAMP_JOBS=2x reaches them; no breaking point was found"
    );
    assert_eq!(notes, ["Levels 16 and 24 ran the same load, because each had only 8 jobs: RAMP_JOBS=2x reaches them"]);
    // The order of the levels does not matter.
    let (first, notes) = claims(&[("8", 16, 8, "Succeeded"), ("4", 16, 4, "Succeeded")]);
    assert_eq!((first.contains("up to 8 in flight"), notes.len()), (true, 0), "{first}");
    // Enough jobs that end too soon do not reach a level either, and more of them would not help.
    let (first, notes) = claims(&[("4", 40, 4, "Succeeded"), ("32", 64, 11, "Succeeded")]);
    assert!(
        first.contains("up to 11 in flight; level 32 never had more than 11 in flight: its jobs ended too soon; no"),
        "{first}"
    );
    assert_eq!(notes, ["Level 32 never had more than 11 in flight: its jobs ended too soon"]);
}

/// Changes the bounds of the jobs that a level had in flight.
fn bound(root: &Path, level: &str, low: u64, high: u64) {
    let file = root.join(format!("by-concurrency/lvl-{level:0>2}/report.json"));
    let mut report: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    report["status"]["figures"]["peakConcurrencyLow"] = serde_json::json!(low as f64);
    report["status"]["figures"]["peakConcurrencyHigh"] = serde_json::json!(high as f64);
    std::fs::write(&file, report.to_string()).unwrap();
}

#[test]
fn a_ramp_claims_only_what_was_in_flight_for_certain() {
    let root = ramp_with_loads(&[("4", 16, 4, "Succeeded"), ("8", 16, 8, "Succeeded")]);
    bound(root.path(), "8", 3, 8);
    let (ran, page) = index(root.path());
    assert!(
        ran.stderr.contains("all 2 levels passed, with 4 to 8 in flight at once; level 8 had 3 to 8 in"),
        "{}",
        ran.stderr
    );
    assert!(page.contains("| 3 to 8 of 8 |"), "{page}");
    assert!(page.contains("Level 8 had 3 to 8 in flight at once"), "{page}");
    let written: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(root.path().join("index.json")).unwrap()).unwrap();
    assert_eq!(written["status"]["highestInFlight"], 4);
    bound(root.path(), "8", 8, 8);
    assert!(index(root.path()).0.stderr.contains("all 2 levels passed, up to 8 in flight; no breaking"));
}

/// Changes the counts of jobs of a level's report.
fn recount(root: &Path, level: &str, counts: &serde_json::Value) {
    let file = root.join(format!("by-concurrency/lvl-{level:0>2}/report.json"));
    let mut report: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    for (outcome, count) in counts.as_object().unwrap() {
        report["status"]["conservation"][outcome] = count.clone();
    }
    std::fs::write(&file, report.to_string()).unwrap();
}

#[test]
fn jobs_that_the_target_did_not_take_are_the_reason_and_no_advice_is_given() {
    let levels = [("3", 6, 3, "Succeeded"), ("9", 18, 5, "Succeeded"), ("20", 7, 2, "Failed")];
    let root = ramp_with_loads(&levels);
    recount(root.path(), "9", &serde_json::json!({"succeeded": 10, "unknown": 8}));
    recount(root.path(), "20", &serde_json::json!({"failed": 0, "rejected": 4, "notSubmitted": 3}));
    let page = index(root.path()).1;
    let notes: Vec<&str> = page.lines().filter(|line| line.starts_with("- ")).collect();
    assert_eq!(
        notes,
        [
            "- Level 9 never had more than 5 in flight: 8 of its 18 submissions got no usable answer",
            "- Level 20 never had more than 2 in flight: the target refused 4 of its 7 jobs, and 3 of its 7 jobs were not submitted"
        ]
    );
    // The same of levels that passed.
    let root = ramp_with_loads(&[("3", 6, 3, "Succeeded"), ("20", 7, 5, "Succeeded")]);
    recount(root.path(), "20", &serde_json::json!({"succeeded": 5, "rejected": 2}));
    let (ran, page) = index(root.path());
    assert!(
        ran.stderr.contains("level 20 never had more than 5 in flight: the target refused 2 of its 7 jobs; no break"),
        "{}",
        ran.stderr
    );
    assert!(!page.contains("2x") && !ran.stderr.contains("2x"), "{page}");
}

#[test]
fn the_best_level_is_named_with_the_load_that_it_had() {
    let root = tempfile::tempdir().unwrap();
    soak(&root.path().join("soak"), &good());
    let ramp = root.path().join("ramp");
    level(&ramp, "24", "24", 8, "Succeeded");
    index(&ramp);
    let (_, page) = index(root.path());
    assert!(page.contains("| 8.14 at level 24 (8 in flight) |"), "{page}");
    let html = html_of(&ramp);
    assert!(html.contains("at level 24 (8 in flight)"), "{html}");
}

#[test]
fn a_ramp_that_broke_leads_with_the_highest_passing_level() {
    let (first, _) = claims(&[("4", 8, 4, "Succeeded"), ("16", 32, 16, "Succeeded"), ("24", 48, 24, "Failed")]);
    assert!(first.starts_with("highest passing level: 16, breaks at 24: 48 of 48 jobs did not succeed"), "{first}");
    let (first, _) = claims(&[("16", 8, 8, "Succeeded"), ("4", 8, 4, "Succeeded"), ("24", 8, 7, "Failed")]);
    assert!(first.starts_with("highest passing level: 16 (8 in flight), breaks at 24 (7 in flight): "), "{first}");
    let (first, _) = claims(&[("4", 8, 4, "Failed"), ("8", 8, 8, "Succeeded")]);
    assert!(first.starts_with("Failed: the ramp breaks at level 4: "), "nothing passed before it: {first}");
}

#[test]
fn ramp_highest_is_judged_on_the_load_that_passed() {
    let passed = ramp_with_loads(&[("8", 16, 8, "Succeeded"), ("16", 16, 16, "Succeeded")]);
    let few_jobs = ramp_with_loads(&[("8", 8, 8, "Succeeded"), ("16", 8, 8, "Succeeded")]);
    let broke = ramp_with_loads(&[("8", 16, 8, "Succeeded"), ("16", 32, 16, "Lost")]);
    let broke_at_once = ramp_with_loads(&[("16", 32, 16, "Lost")]);
    let stopped = ramp_with_loads(&[("8", 16, 8, "Succeeded"), ("16", 32, 16, "Interrupted")]);
    let nothing = tempfile::tempdir().unwrap();
    soak(&nothing.path().join("soak"), &good());
    for (root, expect, code) in [
        (&passed, "ramp.highest>=16", 0),
        (&passed, "ramp.highest > 16", 4),
        (&few_jobs, "ramp.highest>=16", 4),
        (&few_jobs, "ramp.highest>=8", 0),
        (&broke, "ramp.highest>=16", 3),
        (&broke, "ramp.highest>=8", 0),
        (&broke, "ramp.highest<16", 0),
        (&broke_at_once, "ramp.highest>=4", 3),
        (&stopped, "ramp.highest>=16", 4),
        (&nothing, "ramp.highest>=1", 4),
    ] {
        let shown = root.path().display().to_string();
        let ran = tool(&["--index", &shown, "--expect", expect], std::io::empty());
        assert_eq!(ran.code, code, "{expect}: {}", ran.stderr);
        let written: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
        assert_eq!(written["status"]["criteria"][0]["name"], expect);
        assert!(ran.stderr.contains(&format!(" {expect}: ")), "{}", ran.stderr);
        let again = tool(&["--index", &shown], std::io::empty());
        assert_eq!((again.code, again.stdout), (code, ran.stdout), "an index keeps its criteria");
    }
}

#[test]
fn criteria_stay_with_what_they_can_judge() {
    let root = ramp_with_loads(&[("4", 8, 4, "Succeeded")]);
    let place = root.path().display().to_string();
    for (expect, said) in [
        ("all-done", "only a comparison"),
        ("e2e.p50<20s", "ramp.highest"),
        ("ramp.lowest>1", "ramp.highest"),
        ("ramp.highest>=many", "\"many\""),
    ] {
        for check in [&[][..], &["--check"]] {
            let ran = tool(&[&["--index", &place, "--expect", expect], check].concat(), std::io::empty());
            assert!(ran.code == 2 && ran.stderr.contains(said), "{expect}: {}", ran.stderr);
        }
    }
    let ran = tool(&["--out", &format!("{place}/x"), "--expect", "ramp.highest>=16"], std::io::empty());
    assert!(ran.code == 2 && ran.stderr.contains("--index DIR --expect 'ramp.highest>=16'"), "{}", ran.stderr);
}
