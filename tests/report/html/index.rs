//! `report.html` of an index: of a ramp in each way that it can go, and of a run.

use std::fs;
use std::path::Path;

use super::{assert_accessible, visible_text};
use crate::index::{index, level, soak};
use crate::markup::links;
use crate::support::{RUN, good, tool};

fn page(root: &Path) -> String {
    index(root);
    fs::read_to_string(root.join("report.html")).unwrap()
}

/// The page of a ramp whose levels ended so, of four that were asked for.
fn ramp(levels: &[(&str, &str)]) -> (tempfile::TempDir, String) {
    let root = tempfile::tempdir().unwrap();
    for (name, phase) in levels {
        level(root.path(), name, "4 8 16 24", 8, phase);
    }
    let page = page(root.path());
    assert_accessible(&page);
    (root, page)
}

/// The finding of the drawing with this id.
fn finding<'a>(page: &'a str, id: &str) -> &'a str {
    let (_, rest) = page.split_once(&format!("<desc id=\"{id}-d\">")).unwrap();
    rest.split_once("</desc>").unwrap().0
}

/// The number of times that `what` stands in the drawing with this id.
fn count(page: &str, id: &str, what: &str) -> usize {
    let (_, rest) = page.split_once(&format!("<svg id=\"{id}\"")).unwrap();
    rest.split_once("</svg>").unwrap().0.matches(what).count()
}

#[test]
fn a_ramp_is_drawn_level_by_level() {
    let (_root, page) = ramp(&[("4", "Succeeded"), ("8", "Failed")]);
    let text = visible_text(&page);
    for told in [
        "Highest passing level: 4, breaks at 8 ramp",
        "Breaking point ✕ level 8 8 of 8 jobs did not succeed there",
        "Highest level that passed level 4 8.14 jobs/min, median 55.5 s, max 59.0 s",
        "Highest throughput of those that passed 8.14 jobs/min at level 4",
        "Jobs 8 of 16 succeeded 8 did not, or are not known to have; levels not run: 16, 24",
    ] {
        assert!(text.contains(told), "{told:?} is not in {text}");
    }
    assert_eq!(
        finding(&page, "throughput-chart"),
        "level 4: 8.14 jobs/min, Passed; level 8: 0.0 jobs/min, Failed; level 16: not run; level 24: not run."
    );
    assert_eq!(
        finding(&page, "end-to-end-chart"),
        "level 4: median 55.5 s, max 59.0 s, Passed; level 8: not known, Failed; level 16: not run; level 24: not run."
    );
    assert_eq!(
        finding(&page, "failures-chart"),
        "level 4: 0 of 8 jobs, Passed; level 8: 8 of 8 jobs, Failed; level 16: not run; level 24: not run."
    );
    for chart in ["throughput-chart", "end-to-end-chart", "failures-chart"] {
        assert_eq!(count(&page, chart, "class=\"bad-edge\""), 1, "the failing level has a frame");
        assert_eq!((count(&page, chart, "✕ Failed"), count(&page, chart, "✓ Passed")), (1, 1), "and a word");
        assert_eq!(count(&page, chart, "class=\"unknown\""), 2, "so have those that were not run");
    }
    let links = links(&page);
    for level in ["04", "08"] {
        assert!(links.contains(&&*format!("by-concurrency/lvl-{level}/report.html")), "{links:?}");
    }
}

#[test]
fn a_level_that_is_incomplete_or_has_no_report_is_no_breaking_point() {
    let (root, page) = ramp(&[("4", "Succeeded"), ("8", "Interrupted")]);
    assert!(visible_text(&page).contains("Incomplete ramp The ramp stopped at level 8"), "{}", visible_text(&page));
    assert!(visible_text(&page).contains("Breaking point not found"), "{}", visible_text(&page));
    assert_eq!(count(&page, "failures-chart", "? Incomplete"), 1);
    assert_eq!(count(&page, "failures-chart", "class=\"open\""), 1, "what is not known is not drawn as failed");
    assert_eq!(count(&page, "failures-chart", "bad"), 0);
    fs::remove_file(root.path().join("by-concurrency/lvl-08/report.json")).unwrap();
    let page = self::page(root.path());
    assert!(finding(&page, "throughput-chart").contains("level 8: not known, Incomplete"), "{page}");
}

#[test]
fn figures_that_polling_found_have_their_error() {
    let (_root, page) = ramp(&[("4", "Succeeded")]);
    assert!(count(&page, "end-to-end-chart", "class=\"whisker\"") == 0, "these ends were seen exactly");
    let root = tempfile::tempdir().unwrap();
    level(root.path(), "4", "4", 8, "Succeeded");
    let file = root.path().join("by-concurrency/lvl-04/report.json");
    let report = fs::read_to_string(&file).unwrap();
    let moved = report.replace("\"endToEndMedianLowSeconds\":55.5", "\"endToEndMedianLowSeconds\":45.5");
    let found = "\"jobsPerMinuteHigh\":8.135593";
    assert!(report.contains(found), "{report}");
    let moved = moved.replace(found, "\"jobsPerMinuteHigh\":9.795918");
    assert_ne!(report, moved, "{report}");
    fs::write(&file, moved).unwrap();
    let page = self::page(root.path());
    assert_eq!(finding(&page, "end-to-end-chart"), "level 4: median 55.5 s (+0 s / −10.0 s), max 59.0 s, Passed.");
    assert_eq!(finding(&page, "throughput-chart"), "level 4: 8.14 jobs/min (between 8.14 and 9.80), Passed.");
    for chart in ["end-to-end-chart", "throughput-chart"] {
        assert_eq!(count(&page, chart, "class=\"whisker\""), 3, "a line and its ends");
    }
}

#[test]
fn the_page_of_a_run_leads_to_all_that_is_there_and_says_what_is_not() {
    let root = tempfile::tempdir().unwrap();
    let commit = "0123456789abcdef0123456789abcdef01234567";
    fs::write(root.path().join(".git-sha"), format!("{commit}-dirty\n")).unwrap();
    soak(&root.path().join("soak"), &good());
    level(&root.path().join("ramp"), "4", "4 8", 8, "Succeeded");
    level(&root.path().join("ramp"), "8", "4 8", 8, "Failed");
    index(&root.path().join("ramp"));
    fs::create_dir_all(root.path().join("ab")).unwrap();
    fs::write(root.path().join("ab/report.html"), "").unwrap();
    let sentence = "np-4 is <b>worse</b> than np-8";
    let against = format!(r#"[{{"setting":"np-4","sentence":"{sentence}"}}]"#);
    let comparison = format!(r#"{{"metadata":{{"name":"x"}},"spec":{{}},"status":{{"against":{against}}}}}"#);
    fs::write(root.path().join("ab/comparison.json"), comparison).unwrap();
    fs::create_dir_all(root.path().join("comparison")).unwrap();
    fs::write(root.path().join("comparison/comparison.json"), "{torn").unwrap();
    let place = root.path().display().to_string();
    let ran = tool(&["--index", &place, "--planned", "soak,ramp,late"], std::io::empty());
    assert_eq!(ran.code, 4);
    let page = fs::read_to_string(root.path().join("report.html")).unwrap();
    assert_accessible(&page);
    let links = links(&page);
    for path in ["soak/report.html", "ramp/report.html", "ab/report.html", "index.json", "report.md"] {
        assert!(links.contains(&path), "{path}: {links:?}");
    }
    assert!(!links.iter().any(|link| link.contains("late")), "nothing lies there: {links:?}");
    let text = visible_text(&page);
    for told in [
        "Incomplete: ",
        "run r1 · started 2026-05-20 22:30 UTC",
        "soak ✓ Passed 3 of 3 jobs succeeded; 13.8 jobs/min, median 6.00 s, max 8.00 s; limited by whisper",
        "late ? Incomplete it was planned and not run",
        "ramp ▲ breaks at level 8 level 4 passed: 8.14 jobs/min, median 55.5 s, max 59.0 s",
        "Jobs 11 of 19 succeeded",
        "The ramp by level Throughput",
        "lateIncomplete––––it was planned and not run",
        "soakPassed313.86.00 s8.00 s3 of 3 jobs succeeded",
        &format!("ab: {sentence}."),
        "comparison: comparison.json cannot be read: ",
        &format!("sources: commit {commit}, with changes that were not committed"),
    ] {
        assert!(text.contains(told), "{told:?} is not in {text}");
    }
    let markdown = fs::read_to_string(root.path().join("report.md")).unwrap();
    assert!(markdown.contains("| late | **Incomplete** |"), "{markdown}");
    tool(&["--index", &place], std::io::empty());
    let again = fs::read_to_string(root.path().join("report.html")).unwrap();
    assert_eq!(again, page, "two renderings are equal to the byte");
    fs::write(root.path().join(".git-sha"), "unknown: fatal: detected dubious ownership in repository at '/x'\n")
        .unwrap();
    assert!(visible_text(&self::page(root.path())).contains("sources: not known: fatal: detected dubious ownership"));
    fs::write(root.path().join(".git-sha"), "<script>alert(1)</script>\n").unwrap();
    assert!(visible_text(&self::page(root.path())).contains("sources: not known: .git-sha holds no commit"));
    fs::remove_file(root.path().join(".git-sha")).unwrap();
    fs::create_dir(root.path().join(".git-sha")).unwrap();
    assert!(visible_text(&self::page(root.path())).contains("sources: .git-sha cannot be read: "), "a directory");
}

#[test]
fn labels_and_causes_from_elsewhere_do_nothing() {
    let nasty = r#"</title></svg></style><script>alert(1)</script>\"'<img src=x onerror=alert(1)>\u202e"#;
    let root = tempfile::tempdir().unwrap();
    for (name, label) in [("a", "4"), ("b", nasty)] {
        let labels = format!(r#""labels":{{"scenario":"ramp","level":"{label}","levels":"4 {nasty} 8"}}"#);
        let run = RUN.replace(r#""labels":{"scenario":"soak"}"#, &labels);
        let run =
            run.replace(r#""concurrency":2"#, &format!(r#""concurrency":2,"target":"{nasty}","profile":"{nasty}""#));
        soak(&root.path().join(name), &[&[run][..], &good()[1..]].concat());
    }
    let page = page(root.path());
    assert_accessible(&page);
    assert!(!page.contains("<script") && !page.contains("<img") && !page.contains('\u{202e}'), "{page}");
    assert!(page.contains("&lt;script&gt;"), "it is there to be read");
    let hrefs = links(&page);
    assert!(hrefs.iter().all(|href| !href.contains(':') && !href.starts_with('/')), "{hrefs:?}");
}
