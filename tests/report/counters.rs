//! Counters whose series are not one process each, seen once: what is made of them, and what the report says.

use std::collections::BTreeMap;

use crate::observed::{STAGE, points, whole};
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
    assert_eq!(doubts(&ran, "began again").len(), 2);

    // So is one behind a scrape that failed.
    let gap = |name: &str| {
        let samples = [(-10.0, 9.0), (-5.0, 9.0), (0.0, 9.0), (5.0, 10.0), (20.0, 2.0), (25.0, 3.0)];
        whole(&scratch, name, STAGE, &points(r#""stage":"whisper","instance":"a:1""#, &samples))
    };
    let ran = report(&scratch, &["stage_duration_count", "stage_duration_sum"].map(gap), "all-done");
    assert!((figures(&ran)[COUNT] - 4.0).abs() < 1e-9, "{:?}", figures(&ran));
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
