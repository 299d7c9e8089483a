//! The run directory: what is written, what is refused, and that it can be made again.

use std::io::Read;

use crate::support::{RUN, Scratch, good, job, judged, succeeded, text, tool};

const DERIVED: [&str; 8] =
    ["report.md", "report.html", "report.json", "junit.xml", "jobs.json", "manifest.json", "jobs.csv", "stages.csv"];

/// Standard input that must not be asked for anything.
struct Untouched;

impl Read for Untouched {
    fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
        panic!("stdin was read");
    }
}

#[test]
fn the_directory_holds_the_stream_and_all_that_follows_from_it() {
    let scratch = Scratch::new();
    let ran = scratch.report(&good(), &[]);
    assert_eq!(ran.code, 0);
    assert_eq!(scratch.read("records.ndjson"), text(&good()));
    assert_eq!(scratch.read("manifest.json"), format!("{RUN}\n"));
    assert_eq!(scratch.read("report.json"), ran.stdout);
    let items = good()[1..].join(",\n");
    assert_eq!(
        scratch.read("jobs.json"),
        format!("{{\"apiVersion\":\"stress/v1\",\"kind\":\"List\",\"items\":[\n{items}\n]}}\n")
    );
    let mut names: Vec<String> = std::fs::read_dir(scratch.out())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let mut files = ran.report().status.files;
    files.sort();
    assert_eq!(names, files, "nothing else is left, and nothing is named that is not there");
}

#[test]
fn what_is_not_ours_is_kept_and_what_is_no_record_is_not() {
    let scratch = Scratch::new();
    let lines =
        ["make: entering", &good()[0], r#"{"kind":"Pod","x":1.10}"#, &good()[1], "{broken", &good()[2], &good()[3]];
    let ran = scratch.report(&lines.map(str::to_owned), &[]);
    assert_eq!(ran.code, 65, "passed, but on input that was broken");
    let kept: Vec<String> = [lines[1], lines[2], lines[3], lines[5], lines[6]].map(str::to_owned).to_vec();
    assert_eq!(scratch.read("records.ndjson"), text(&kept));
    assert!(ran.stderr.contains("stdin line 5"), "{}", ran.stderr);
    let lost = [vec!["{broken".to_owned()], good()[..3].to_vec()].concat();
    assert_eq!(judged(&lost, &[]).code, 4, "a verdict other than Passed says more than the broken line");
}

#[test]
fn the_report_can_be_made_again_from_the_records_alone() {
    let scratch = Scratch::new();
    let failing = [good()[..3].to_vec(), vec![job("soak-003", r#"{"phase":"Failed","message":"no"}"#)]].concat();
    let first = scratch.report(&failing, &["--expect", "all-stages,all-done"]);
    let files = DERIVED.map(|name| scratch.read(name));
    for name in DERIVED {
        std::fs::remove_file(scratch.out().join(name)).unwrap();
    }
    let out = scratch.out().display().to_string();
    for _ in 0..2 {
        let again = tool(&["--out", &out, "--replay"], Untouched);
        assert_eq!((again.code, &again.stdout), (3, &first.stdout), "judged by what was asked then");
        assert_eq!(DERIVED.map(|name| scratch.read(name)), files);
    }
    let otherwise = tool(&["--out", &out, "--replay", "--expect", "no-exceptions"], Untouched);
    assert_eq!(otherwise.code, 4);
}

#[test]
fn a_subset_stays_a_subset_when_it_is_judged_again() {
    let scratch = Scratch::new();
    assert_eq!(scratch.report(&good()[..2], &["--subset"]).code, 0);
    assert!(scratch.read("records.ndjson").contains(r#""subset":true"#));
    let out = scratch.out().display().to_string();
    assert_eq!(tool(&["--out", &out, "--replay"], Untouched).code, 0);
}

#[test]
fn a_torn_last_line_of_the_records_is_skipped() {
    let scratch = Scratch::new();
    scratch.report(&good(), &[]);
    let page = scratch.read("report.md");
    let torn = format!("{}{}", text(&good()), r#"{"apiVersion":"stress/v1","kind":"Job","meta"#);
    std::fs::write(scratch.out().join("records.ndjson"), torn).unwrap();
    let ran = tool(&["--out", &scratch.out().display().to_string(), "--replay"], Untouched);
    assert_eq!((ran.code, scratch.read("report.md")), (0, page));
    assert!(ran.stderr.contains("line 5") && ran.stderr.contains("incomplete"), "{}", ran.stderr);
}

#[test]
fn a_scenario_is_never_mixed_with_another() {
    let scratch = Scratch::new();
    let out = scratch.out().display().to_string();
    scratch.report(&good(), &[]);
    let before = scratch.read("report.md");
    let ran = tool(&["--out", &out], Untouched);
    assert_eq!(
        (ran.code, ran.stderr),
        (
            2,
            format!(
                "render-report: --out {out}: it already holds records.ndjson; name a new directory, or add --replay to \
                 rewrite this one's report\n"
            )
        )
    );
    assert_eq!(scratch.read("report.md"), before);
    // Any file of a scenario will do, and is left as it is.
    let other = Scratch::new();
    std::fs::create_dir_all(other.out()).unwrap();
    std::fs::write(other.out().join("jobs.csv"), "mine").unwrap();
    assert_eq!((other.report(&good(), &[]).code, other.read("jobs.csv").as_str()), (2, "mine"));
    assert!(!other.out().join("records.ndjson").exists());
    // What the captures of the same pipe wrote before is no other scenario.
    let fresh = Scratch::new();
    std::fs::create_dir_all(fresh.out().join("prometheus")).unwrap();
    assert_eq!(fresh.report(&good(), &[]).code, 0);
}

#[test]
fn what_cannot_work_is_said_before_anything_is_read() {
    let scratch = Scratch::new();
    std::fs::write(scratch.path().join("file"), "x").unwrap();
    let below = scratch.path().join("file/soak").display().to_string();
    let ran = tool(&["--out", &below], Untouched);
    assert_eq!(ran.code, 74);
    assert!(ran.stderr.starts_with(&format!("render-report: {below}: ")), "{}", ran.stderr);

    let out = scratch.out().display().to_string();
    let ran = tool(&["--out", &out, "--expect", "all-done,all-don"], Untouched);
    assert_eq!(ran.code, 2);
    assert!(
        ran.stderr.starts_with("render-report: --expect all-don: no such criterion; there are all-done, all-stages, "),
        "{}",
        ran.stderr
    );
    assert!(!scratch.out().exists());

    let ran = tool(&["--out", &out, "--replay"], Untouched);
    assert_eq!(ran.code, 74);
    assert!(ran.stderr.contains("records.ndjson"), "{}", ran.stderr);
}

#[test]
fn a_criterion_of_another_version_is_not_passed_over() {
    let run = RUN.replace(r#""concurrency":2"#, r#""expect":["all-done","some-day"]"#);
    let ran = judged(&[vec![run], good()[1..].to_vec()].concat(), &[]);
    assert_eq!((ran.code, ran.cause().as_str()), (4, "some-day is not a known criterion"));
}

#[test]
fn long_runs_are_listed_worst_first_and_only_so_far() {
    let run = RUN.replace(r#""jobs":3"#, r#""jobs":60"#);
    let status = |number: u32| match number {
        60 => r#"{"phase":"Lost"}"#.to_owned(),
        _ => succeeded(f64::from(number % 7), 5.0 + f64::from(number) / 10.0).replace("id-", &format!("id-{number}-")),
    };
    let jobs = (1..=60).map(|number| job(&format!("soak-{number:03}"), &status(number)));
    let scratch = Scratch::new();
    scratch.report(&[vec![run], jobs.collect()].concat(), &[]);
    let page = scratch.read("report.md");
    let (_, table) = page.split_once("## Jobs\n").unwrap();
    let (table, _) = table.split_once("## ").unwrap();
    let names: Vec<&str> =
        table.lines().filter_map(|line| line.strip_prefix("| soak-")).map(|line| &line[..3]).collect();
    assert_eq!((names.len(), &names[..3]), (50, &["060", "059", "058"][..]));
    assert!(table.contains("10 more are in [jobs.csv](jobs.csv)"), "{table}");
    assert_eq!(scratch.read("jobs.csv").lines().count(), 61);
}
