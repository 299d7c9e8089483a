//! Counters whose series are not one process each, seen once: what is made of them, and what the report says.

use std::collections::BTreeMap;

use crate::observed::{STAGE, points, traces, whole};
use crate::support::{Ran, Scratch, good};

const COUNT: &str = "stages.whisper.histogramCount";
const MEAN: &str = "stages.whisper.histogramMeanSeconds";

/// A series of the stage whisper with these further labels, sampled each 5 s from 10 s before the window on.
fn whisper(labels: &str, values: &[f64]) -> String {
    let points_of = |values: &[f64]| -> Vec<(f64, f64)> {
        values.iter().enumerate().map(|(index, value)| (5.0 * index as f64 - 10.0, *value)).collect()
    };
    points(&format!(r#""__name__":"stage_duration","stage":"whisper"{labels}"#), &points_of(values))
}

/// The records of a histogram of stage durations with these series of its count and its sum.
fn histogram(scratch: &Scratch, counts: &[String], sums: &[String]) -> [String; 2] {
    [
        whole(scratch, "stage_duration_count", STAGE, &counts.join(",")),
        whole(scratch, "stage_duration_sum", STAGE, &sums.join(",")),
    ]
}

/// Reports on `lines`, in a directory without an earlier report.
fn report(scratch: &Scratch, lines: &[String], expect: &str) -> Ran {
    let ran = scratch.report(&[good(), lines.to_vec()].concat(), &["--expect", expect]);
    std::fs::remove_dir_all(scratch.out()).unwrap();
    ran
}

fn figures(ran: &Ran) -> BTreeMap<String, f64> {
    ran.report().status.figures
}

/// The doubts that speak of `words`.
fn doubts(ran: &Ran, words: &str) -> Vec<String> {
    ran.report().status.doubts.into_iter().filter(|doubt| doubt.contains(words)).collect()
}

const API: &str = r#","job":"api","instance":"api:8000""#;

#[test]
fn several_processes_behind_one_address_make_no_figure_and_decide_nothing() {
    let scratch = Scratch::new();
    let counts = [40.0, 12.0, 41.0, 13.0, 43.0, 13.0, 45.0];
    let lines = histogram(&scratch, &[whisper(API, &counts)], &[whisper(API, &counts.map(|count| count * 2.0))]);
    let way = |values: &[f64]| whisper(API, values).replace(r#""stage":"whisper""#, r#""from":"a","to":"b""#);
    // The few samples of this one rise as those of a single process would; its neighbours show that it is not.
    let transitions = whole(&scratch, "gpu_tenancy_transitions", r#""from","to""#, &way(&[2.0, 2.0, 9.0, 9.0]));
    let ran = report(&scratch, &[&lines[..], &[transitions]].concat(), "all-done,gpu.transitions<3");
    assert_eq!(ran.code, 4, "Incomplete, not Failed: {}", ran.stdout);
    let figures = figures(&ran);
    assert!(![COUNT, MEAN, "gpu.transitions"].iter().any(|name| figures.contains_key(*name)), "{figures:?}");
    let doubts = doubts(&ran, "several processes");
    assert_eq!(doubts.len(), 1, "{doubts:?}");
    for name in ["api:8000", "stage_duration_count (whisper)", "gpu_tenancy_transitions (a→b)"] {
        assert!(doubts[0].contains(name), "{name}: {doubts:?}");
    }
}

#[test]
fn a_fall_that_nothing_explains_makes_no_figure() {
    let scratch = Scratch::new();
    let values = [9.0, 9.0, 10.0, 1.0, 2.0, 3.0];
    let lines = histogram(&scratch, &[whisper(API, &values)], &[whisper(API, &values)]);
    let ran = report(&scratch, &lines, "all-done");
    assert!(!figures(&ran).contains_key(COUNT));
    assert_eq!(doubts(&ran, "process_start_time_seconds").len(), 1);

    // The same fall with a changed start time of the process is a restart.
    let restart = r#""restarts":[{"job":"api","instance":"api:8000","seenAt":"2026-05-20T22:30:05Z"}],"series":2"#;
    let lines = histogram(&scratch, &[whisper(API, &values)], &[whisper(API, &values)]);
    let ran = report(&scratch, &lines.map(|line| line.replace(r#""series":2"#, restart)), "all-done");
    assert!((figures(&ran)[COUNT] - 3.0).abs() < 1e-9, "three after the restart: {:?}", figures(&ran));
    assert_eq!(doubts(&ran, "restarted in the window").len(), 2);

    // So is one behind a scrape that failed.
    let gap = |name: &str| {
        let samples = [(-10.0, 9.0), (-5.0, 9.0), (0.0, 9.0), (5.0, 10.0), (20.0, 2.0), (25.0, 3.0)];
        whole(&scratch, name, STAGE, &points(r#""stage":"whisper","instance":"a:1""#, &samples))
    };
    let ran = report(&scratch, &["stage_duration_count", "stage_duration_sum"].map(gap), "all-done");
    assert!((figures(&ran)[COUNT] - 4.0).abs() < 1e-9, "{:?}", figures(&ran));
}

/// `line` with a change of the process behind the address `api:8000`, seen 10 s after 22:30.
fn with_change(line: &str, kind: &str) -> String {
    let change = r#"[{"job":"api","instance":"api:8000","seenAt":"2026-05-20T22:30:10Z"}]"#;
    line.replace(r#""series":2"#, &format!(r#""{kind}":{change},"series":2"#))
}

#[test]
fn a_restart_without_a_fall_begins_at_zero() {
    let scratch = Scratch::new();
    // Two jobs before the window and one in it, then five in a new process.
    let (counts, sums) = ([2.0, 2.0, 2.0, 3.0, 5.0, 5.0], [4.0, 4.0, 4.0, 6.0, 15.0, 15.0]);
    let lines = histogram(&scratch, &[whisper(API, &counts)], &[whisper(API, &sums)]);
    let ran = report(&scratch, &lines.each_ref().map(|line| with_change(line, "restarts")), "all-done");
    let found = figures(&ran);
    assert!((found[COUNT] - 6.0).abs() < 1e-9 && (found[MEAN] - 17.0 / 6.0).abs() < 1e-6, "{found:?}");
    assert_eq!(doubts(&ran, "restarted in the window").len(), 2);
}

#[test]
fn an_address_that_another_process_takes_over_makes_no_figure() {
    let scratch = Scratch::new();
    let values = [20.0, 20.0, 21.0, 21.0, 77.0, 78.0];
    let lines = histogram(&scratch, &[whisper(API, &values)], &[whisper(API, &values)]);
    let ran = report(&scratch, &lines.each_ref().map(|line| with_change(line, "takeovers")), "all-done");
    assert!(!figures(&ran).contains_key(COUNT), "{:?}", figures(&ran));
    let doubts = doubts(&ran, "another process");
    assert!(doubts.len() == 1 && doubts[0].contains("api:8000"), "{doubts:?}");
}

#[test]
fn spans_that_are_no_measurement_are_named_and_means_that_cannot_be_are_not_shown() {
    let scratch = Scratch::new();
    let of = |status: &str| traces("api", r#"{"name":"l0","count":3,"meanSeconds":2}"#).replace(r#""spans":9"#, status);
    let without = of(r#""spans":9,"stagesWithoutDuration":{"whisper":4,"l0":1}"#);
    let ran = report(&scratch, &[without], "all-done");
    assert_eq!(
        doubts(&ran, "no end"),
        ["spans that have no end, or end before they begin, are not counted and are in no mean: 1 of l0, 4 of whisper"]
    );
    let long = of(r#""spans":9"#).replace(r#""meanSeconds":2"#, r#""meanSeconds":86400"#);
    let ran = report(&scratch, &[long], "all-done");
    assert!(!figures(&ran).contains_key("stages.l0.spansMeanSeconds"), "{:?}", figures(&ran));
    assert!(doubts(&ran, "the means of the spans are longer than the longest job")[0].contains("l0"));
}

#[test]
fn a_pair_of_servers_is_counted_once_and_replicas_are_added_up() {
    let scratch = Scratch::new();
    let of = |replica: &str| format!(r#","instance":"a:1","prometheus_replica":"{replica}""#);
    let pair = |values: &[f64], late: &[f64]| [whisper(&of("a"), values), whisper(&of("b"), late)];
    let counts = pair(&[1.0, 1.0, 1.0, 2.0, 4.0, 4.0], &[1.0, 1.0, 1.0, 3.0, 4.0, 4.0]);
    let sums = pair(&[0.5, 0.5, 0.5, 1.6, 3.7, 3.7], &[0.5, 0.5, 0.5, 2.5, 3.7, 3.7]);
    let ran = report(&scratch, &histogram(&scratch, &counts, &sums), "all-done");
    assert!((figures(&ran)[COUNT] - 3.0).abs() < 1e-9, "{:?}", figures(&ran));
    assert_eq!((doubts(&ran, "count once").len(), doubts(&ran, "replicas are added up").len()), (1, 0));
    assert!(doubts(&ran, "count once")[0].contains("prometheus_replica"));

    let counts = pair(&[1.0, 1.0, 1.0, 2.0, 3.0, 3.0], &[1.0, 1.0, 1.0, 1.0, 1.0, 2.0]);
    let sums = pair(&[0.5, 0.5, 0.5, 1.6, 2.7, 2.7], &[0.5, 0.5, 0.5, 0.5, 0.5, 1.9]);
    let ran = report(&scratch, &histogram(&scratch, &counts, &sums), "all-done");
    assert!((figures(&ran)[COUNT] - 3.0).abs() < 1e-9, "{:?}", figures(&ran));
    assert_eq!((doubts(&ran, "count once").len(), doubts(&ran, "up to 2 series").len()), (0, 1));
}

#[test]
fn the_unit_comes_from_the_profile_or_the_metadata_and_an_impossible_mean_is_not_shown() {
    let scratch = Scratch::new();
    let counts = [whisper(API, &[1.0, 1.0, 1.0, 3.0, 4.0])];
    let sums = [whisper(API, &[500.0, 500.0, 500.0, 2500.0, 3500.0])];
    let profile = |line: &String| line.replace(r#""stepSeconds""#, r#""unit":"ms","stepSeconds""#);
    let metadata = |line: &String| line.replace(r#""series":2"#, r#""unit":"milliseconds","series":2"#);
    for with_unit in [&profile as &dyn Fn(&String) -> String, &metadata] {
        let lines = histogram(&scratch, &counts, &sums);
        let ran = report(&scratch, &lines.each_ref().map(with_unit), "all-done");
        assert!((figures(&ran)[MEAN] - 1.0).abs() < 1e-9, "{:?}", figures(&ran));
        assert_eq!(doubts(&ran, "longer than the longest job"), [""; 0]);
    }
    let ran = report(&scratch, &histogram(&scratch, &counts, &sums), "all-done");
    assert!(!figures(&ran).contains_key(MEAN), "1,000 s in jobs of 8 s: {:?}", figures(&ran));
    let doubts = doubts(&ran, "longer than the longest job");
    assert!(doubts.len() == 1 && doubts[0].contains("whisper") && doubts[0].contains("unit"), "{doubts:?}");
}
