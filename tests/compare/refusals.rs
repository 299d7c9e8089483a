//! The comparisons that it refuses, each in one line that says what to do.

use std::fs;

use clap::Parser;
use serde_json::json;
use stress_suite::tools::compare_runs::{self, Args};

use crate::legs::{LegsOnDisk, in_turns, leg};
use crate::standin::tool;

fn pair() -> LegsOnDisk {
    LegsOnDisk::write(vec![leg("np-8", 0, 20.0), leg("np-4", 1, 25.0)])
}

fn refused(argv: &[&str]) -> (i32, String) {
    let ran = tool(compare_runs::run, argv, "");
    assert_eq!((ran.stdout.as_str(), ran.stderr.lines().count()), ("", 1), "{}", ran.stderr);
    (ran.code, ran.stderr)
}

#[test]
fn runs_that_are_not_alike() {
    let differs = [
        ("jobs", json!({"report": 1})),
        ("concurrency", json!({"concurrency": 8})),
        ("profile", json!({"profile": "other"})),
        ("stages", json!({"stages": [{"name": "l1", "required": true}, {"name": "l2", "required": true}]})),
    ];
    for (aspect, change) in differs {
        let mut other = leg("np-4", 1, 25.0);
        if aspect == "jobs" {
            other = other.report_with("/status/conservation", json!({"asked": 8, "succeeded": 8}));
        } else {
            other.run["spec"].as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        }
        let disk = LegsOnDisk::write(vec![leg("np-8", 0, 20.0), other]);
        let ran = disk.compare(&[]);
        assert_eq!((ran.code, ran.stderr.lines().count()), (2, 1), "{}", ran.stderr);
        assert!(ran.stderr.contains(&format!("differ: {aspect}: ")), "{}", ran.stderr);
        assert!(ran.stderr.trim_end().ends_with(&format!("add --allow-different {aspect}")), "{}", ran.stderr);
        let allowed = disk.compare(&["--allow-different", aspect]);
        assert_eq!(allowed.code, 0, "{}", allowed.stderr);
        let expected = format!("**Compared although these runs differ**: {aspect}: ");
        assert!(allowed.stdout.contains(&expected), "{}", allowed.stdout);
        let wrong = if aspect == "jobs" { "profile" } else { "jobs" };
        assert_eq!(disk.compare(&["--allow-different", wrong]).code, 2);
    }
}

#[test]
fn legs_of_one_setting_differ_as_well() {
    let mut legs = in_turns([20.0; 3], [25.0; 3]);
    legs[1].run["spec"]["concurrency"] = json!(2);
    let ran = LegsOnDisk::write(legs).compare(&[]);
    assert!(
        ran.code == 2 && ran.stderr.contains("concurrency: 4 (np-8.1, np-8.3, np-4.1, np-4.2, np-4.3), 2 (np-8.2)"),
        "{}",
        ran.stderr
    );
}

#[test]
fn the_same_leg_twice() {
    let disk = pair();
    let place = disk.path("ab/np-8").display().to_string();
    let (code, stderr) = refused(&[&format!("a={place}"), &format!("b={place}/../np-8")]);
    assert!(code == 2 && stderr.contains("a and b are the same directory"), "{code} {stderr}");
    leg("np-4", 0, 20.0).run_with("metadata", "run", json!("r0")).write(&disk.path("copy"));
    let copy = disk.path("copy").display().to_string();
    let (code, stderr) = refused(&[&format!("a={place}"), &format!("b={copy}")]);
    assert!(code == 2 && stderr.contains("a and b are two copies of the same run"), "{code} {stderr}");
    let other = disk.path("ab/np-4").display().to_string();
    let (code, stderr) = refused(&[&format!("a={place}"), &format!("a={other}")]);
    assert!(code == 2 && stderr.contains("two legs are called a"), "{code} {stderr}");
    let (code, stderr) = refused(&[&format!("a.1={place}"), &format!("a.2={other}")]);
    assert!(
        code == 2 && stderr.contains("these are legs of one setting, a: a.1, a.2; a comparison needs a second"),
        "{code} {stderr}"
    );
}

#[test]
fn what_is_no_finished_scenario() {
    let disk = pair();
    let place = disk.path("ab/np-8").display().to_string();
    let broken = disk.path("broken");
    fs::create_dir(&broken).unwrap();
    let named = format!("b={}", broken.display());
    let (code, stderr) = refused(&[&place, &named]);
    assert!(code == 2 && stderr.contains("it has no report.json, so it is not a finished scenario"), "{code} {stderr}");
    for text in ["{", "{\"apiVersion\":\"stress/v1\",\"kind\":\"Run\",\"metadata\":{\"name\":\"a\"}}", "[]"] {
        fs::write(broken.join("report.json"), text).unwrap();
        let (code, stderr) = refused(&[&place, &named]);
        assert!(code == 74 && stderr.contains("broken: report.json: "), "{text}: {code} {stderr}");
    }
    let (code, stderr) = refused(&[&place, "b=nowhere"]);
    assert!(code == 2 && stderr.contains("b=nowhere: no such directory"), "{code} {stderr}");
    for bad in ["", "=x", "a="] {
        let (code, stderr) = refused(&[&place, bad]);
        assert!(
            code == 2 && stderr.contains("is not a leg: name a finished scenario's directory as LABEL=DIR"),
            "{bad}: {stderr}"
        );
    }
}

#[test]
fn more_legs_than_can_be_tested_exactly() {
    let many = |name: &str, odd: u64| {
        (0..11).map(move |at| leg(&format!("{name}.{at}"), 2 * at + odd, 20.0)).collect::<Vec<_>>()
    };
    let ran = LegsOnDisk::write([many("np-8", 0), many("np-4", 1)].concat()).compare(&[]);
    assert_eq!(ran.code, 2);
    assert!(
        ran.stderr.contains("11 legs of np-8 and 11 of np-4 can be split in more than 200000 ways"),
        "{}",
        ran.stderr
    );
}

#[test]
fn command_lines_that_mean_nothing() {
    let bad: [&[&str]; 7] = [
        &[],
        &["a=b", "--under", "x"],
        &["a=b", "--out", "x", "--place", "y"],
        &["a=b", "--fail-if-worse", "5"],
        &["a=b", "--fail-if-worse", "100%"],
        &["a=b", "--fail-if-worse", "-5%"],
        &["a=b", "--allow-different", "weather"],
    ];
    for argv in bad {
        assert!(Args::try_parse_from([&["compare-runs"], argv].concat()).is_err(), "{argv:?}");
    }
}

#[test]
fn a_place_that_holds_something_else() {
    let disk = pair();
    for name in ["report.json", "records.ndjson", "index.json"] {
        let out = disk.path(name.split('.').next().unwrap());
        fs::create_dir(&out).unwrap();
        fs::write(out.join(name), "mine").unwrap();
        let ran = disk.compare(&["--out", out.to_str().unwrap()]);
        assert!(
            ran.code == 2
                && ran.stderr.contains(&format!("it holds {name}, so its report.md belongs to something else")),
            "{}",
            ran.stderr
        );
        assert_eq!(fs::read_dir(&out).unwrap().count(), 1);
    }
    fs::write(disk.path("file"), "").unwrap();
    let ran = disk.compare(&["--out", disk.path("file/below").to_str().unwrap()]);
    assert_eq!(ran.code, 74, "{}", ran.stderr);
}
