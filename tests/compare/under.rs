//! `--under`: the newest legs of each setting, wherever they lie; and where the comparison is put.

use std::fs;
use std::path::Path;

use serde_json::Value;
use stress_suite::tools::compare_runs;

use crate::legs::leg;
use crate::standin::{Ran, tool};

fn under(root: &Path, flags: &[&str]) -> Ran {
    tool(compare_runs::run, &[&["--under", root.to_str().unwrap()], flags].concat(), "")
}

fn labels(ran: &Ran) -> Vec<(String, Vec<String>)> {
    let comparison: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {}", ran.stderr));
    let settings = comparison["status"]["settings"].as_array().unwrap().iter();
    let legs = |setting: &Value| {
        let legs = setting["legs"].as_array().unwrap().iter();
        legs.map(|leg| leg["directory"].as_str().unwrap().rsplit('/').take(3).collect::<Vec<_>>().join("<")).collect()
    };
    settings.map(|setting| (setting["name"].as_str().unwrap().to_owned(), legs(setting))).collect()
}

#[test]
fn of_each_setting_the_directory_with_the_newest_leg_counts() {
    let root = tempfile::tempdir().unwrap();
    let put = |run: &str, name: &str, started: u64| {
        leg(name, started, 20.0 + started as f64).write(&root.path().join(run).join("ab").join(name));
    };
    put("old", "np-4.1", 1);
    put("old", "np-4.2", 3);
    put("old", "np-8.1", 2);
    put("new", "np-8.1", 10);
    put("new", "np-8.2", 12);
    // Neither a soak nor a leg of another name is a leg.
    leg("np-4.9", 50, 1.0)
        .run_with("metadata", "labels", serde_json::json!({"scenario": "soak"}))
        .report_with("/metadata/labels", serde_json::json!({}))
        .write(&root.path().join("new/soak"));
    let ran = under(root.path(), &["--json"]);
    let expected = [
        ("np-4".to_owned(), vec!["np-4.1<ab<old".to_owned(), "np-4.2<ab<old".to_owned()]),
        ("np-8".to_owned(), vec!["np-8.1<ab<new".to_owned(), "np-8.2<ab<new".to_owned()]),
    ];
    assert_eq!(labels(&ran), expected, "the setting that began first is the reference");
    let place = root.path().join("place");
    let ran = under(root.path(), &["--place", place.to_str().unwrap()]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(place.join("report.md").is_file() && place.join("comparison.json").is_file(), "legs of two runs");
    put("new", "np-4.1", 11);
    let ran = under(root.path(), &["--place", place.join("other").to_str().unwrap()]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(root.path().join("new/ab/comparison.json").is_file() && !place.join("other").exists(), "legs of one run");
    let page = fs::read_to_string(root.path().join("new/ab/report.md")).unwrap();
    assert!(page == ran.stdout && page.contains("| [np-4.1](np-4.1/report.md) |"), "{page}");
    // A second comparison takes the first one's place, and finds no leg in it.
    assert_eq!(under(root.path(), &["--place", place.to_str().unwrap()]).stdout, page);
    let names: Vec<_> =
        fs::read_dir(root.path().join("new/ab")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 6, "{names:?}");
}

#[test]
fn a_newest_leg_without_a_report_is_not_passed_over() {
    let root = tempfile::tempdir().unwrap();
    for (run, name, started) in [("a", "np-8", 1), ("a", "np-4", 2), ("b", "np-4", 3)] {
        leg(name, started, 20.0).write(&root.path().join(run).join("ab").join(name));
    }
    let newest = root.path().join("b/ab/np-4");
    fs::remove_file(newest.join("report.json")).unwrap();
    fs::write(newest.join("records.ndjson"), "").unwrap();
    let ran = under(root.path(), &[]);
    assert!(ran.code == 2 && ran.stderr.contains("b/ab/np-4: it has no report.json"), "{}{}", ran.stdout, ran.stderr);
}

#[test]
fn fewer_than_two_settings_say_what_was_found_and_what_to_run() {
    let root = tempfile::tempdir().unwrap();
    let ran = under(root.path(), &[]);
    assert_eq!((ran.code, ran.stderr.lines().count()), (2, 1));
    assert!(
        ran.stderr.contains(": found no leg; run a leg of each of two settings, such as `make ab NP=8`"),
        "{}",
        ran.stderr
    );
    leg("np-8.1", 1, 20.0).write(&root.path().join("a/ab/np-8.1"));
    let ran = under(root.path(), &[]);
    assert!(ran.stderr.contains("found legs of one setting only (np-8.1 in a/ab/np-8.1)"), "{}", ran.stderr);
    let ran = under(&root.path().join("nowhere"), &[]);
    assert_eq!(ran.code, 74, "{}", ran.stderr);
}
