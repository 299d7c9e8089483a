//! Legs that processed other files: as many jobs are not the same jobs.

use serde_json::json;

use crate::legs::{Leg, LegsOnDisk, in_turns, jobs, word};

const MEDIAN: &str = "end to end, median";

/// Six legs; the jobs of np-4.2 have files of these sizes.
fn with(sizes: &[u64]) -> Vec<Leg> {
    let mut legs = in_turns([20.0, 20.5, 19.5], [25.0, 24.5, 25.5]);
    legs[4].jobs = Some(jobs("np-4.2", sizes));
    legs
}

/// Twelve files of 100 kB, but for the first.
fn first(size: u64) -> Vec<u64> {
    let mut sizes = vec![100_000; 12];
    sizes[0] = size;
    sizes
}

#[test]
fn files_of_other_sizes_are_refused_unless_allowed() {
    let disk = LegsOnDisk::write(with(&first(200_000)));
    let ran = disk.compare(&[]);
    let expected = "these runs differ: jobs: 12 files, 1.20 MB in all (np-8.1, np-8.2, np-8.3, np-4.1, np-4.3), \
                12 files, 1.30 MB in all (np-4.2); to compare them anyway, add --allow-different jobs";
    assert!(ran.code == 2 && ran.stderr.trim_end().ends_with(expected), "{} {}", ran.code, ran.stderr);
    let allowed = disk.compare(&["--allow-different", "jobs"]);
    assert_eq!(allowed.code, 0, "{}", allowed.stderr);
    assert!(allowed.stdout.contains("differ**: jobs: 12 files, 1.20 MB in all"), "{}", allowed.stdout);
}

#[test]
fn other_sizes_that_add_up_to_the_same_are_other_files() {
    let mut other = first(50_000);
    other[1] = 150_000;
    let ran = LegsOnDisk::write(with(&other)).compare(&[]);
    assert!(
        ran.code == 2 && ran.stderr.contains("12 files, 1.20 MB in all, of other sizes (np-4.2)"),
        "{}",
        ran.stderr
    );
}

#[test]
fn neither_the_order_nor_the_warm_up_makes_a_difference() {
    let mut legs = with(&first(200_000));
    for (index, leg) in legs.iter_mut().enumerate() {
        let mut sizes = first(200_000);
        sizes.rotate_left(index);
        let mut jobs = jobs(&leg.label, &sizes);
        for mut extra in crate::legs::jobs("warmup", &vec![7; index]) {
            extra["metadata"]["labels"] = json!({"warmup": "true"});
            jobs.push(extra);
        }
        leg.jobs = Some(jobs);
    }
    let comparison = LegsOnDisk::write(legs).json(&[]);
    assert_eq!(word(&comparison, MEDIAN), "Worse");
    assert!(comparison["status"].get("doubts").is_none(), "{comparison}");
}

#[test]
fn a_leg_that_does_not_tell_is_a_doubt_and_no_difference() {
    let mut without_size = with(&first(100_000));
    without_size[4].jobs.as_mut().unwrap()[3]["spec"].as_object_mut().unwrap().remove("bytes");
    let mut without_list = with(&first(100_000));
    without_list[4].jobs = None;
    let fewer = with(&[100_000; 11]);
    for legs in [without_size, without_list, fewer] {
        let comparison = LegsOnDisk::write(legs).json(&[]);
        let doubt =
            "it is not known whether all legs had the same files: jobs.json of np-4.2 does not give the size of each";
        assert_eq!(comparison["status"]["doubts"], json!([doubt]));
        assert_eq!(word(&comparison, MEDIAN), "Worse");
    }
    // The others still have to be alike.
    let mut legs = with(&first(200_000));
    legs[0].jobs = None;
    assert_eq!(LegsOnDisk::write(legs).compare(&[]).code, 2);
}
