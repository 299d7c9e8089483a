//! `make compare`, and the program at its edges.

use std::process::{Command, Output};

use crate::legs::{LegsOnDisk, in_turns, leg};
use crate::standin::{bin, root};

fn make(disk: &LegsOnDisk, arguments: &[&str]) -> Output {
    let out = format!("OUT={}", disk.path("out").display());
    let bin = format!("BIN={}", bin().display());
    let fixed = ["--no-print-directory", "-C", root().to_str().unwrap(), "compare", "CARGO=true", &bin, &out];
    Command::new("make").args(fixed).args(arguments).env_remove("MAKEFLAGS").env_remove("MAKELEVEL").output().unwrap()
}

#[test]
fn two_legs_by_name_are_compared_beside_them() {
    let disk = LegsOnDisk::write(vec![leg("np-8", 0, 20.0), leg("np-4", 1, 25.0)]);
    let legs = [format!("A={}", disk.path("ab/np-8").display()), format!("B={}", disk.path("ab/np-4").display())];
    let done = make(&disk, &[&legs[0], &legs[1]]);
    let stderr = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{stderr}");
    assert!(String::from_utf8_lossy(&done.stdout).starts_with("Comparison: np-8 and np-4\n"));
    assert!(disk.path("ab/report.md").is_file() && disk.path("ab/comparison.json").is_file());
    let done = make(&disk, &[&legs[0]]);
    assert_eq!(done.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&done.stderr).contains("make: A and B go together"), "a leg alone");
}

#[test]
fn the_legs_below_a_directory_are_compared_where_they_lie() {
    let disk = LegsOnDisk::write(in_turns([20.0, 20.1, 19.9], [30.0, 30.1, 29.9]));
    let done = make(&disk, &[&format!("LEGS={}", disk.path("").display())]);
    let stderr = String::from_utf8_lossy(&done.stderr);
    assert!(
        done.status.success() && stderr.contains("ab/report.html, with report.md and comparison.json beside it"),
        "{stderr}"
    );
    assert!(String::from_utf8_lossy(&done.stdout).contains("\nWorse: np-4 is worse than np-8"), "{stderr}");
    assert!(disk.path("ab/report.md").is_file() && disk.path("ab/report.html").is_file());
    assert!(!disk.path("out").exists());
}

#[test]
fn fail_if_worse_reaches_the_tool() {
    let disk = LegsOnDisk::write(in_turns([20.0, 20.1, 19.9], [30.0, 30.1, 29.9]));
    // Two legs cannot tell, so the verdict is Incomplete and make fails.
    let legs = [format!("A={}", disk.path("ab/np-8.1").display()), format!("B={}", disk.path("ab/np-4.1").display())];
    let done = make(&disk, &[&legs[0], &legs[1], "FAIL_IF_WORSE=5%"]);
    let stderr = String::from_utf8_lossy(&done.stderr);
    assert!(
        done.status.code() == Some(2) && stderr.contains("it is not known whether np-4") && stderr.contains("Error 4"),
        "{stderr}"
    );
}

#[test]
fn a_reader_that_goes_does_not_turn_the_verdict_into_a_pass() {
    let disk = LegsOnDisk::write(in_turns([20.0, 20.1, 19.9], [30.0, 30.1, 29.9]));
    let legs = disk.path("ab").display().to_string();
    let script = format!(
        "compare-runs --under {legs} --fail-if-worse 5% | true; echo ${{PIPESTATUS[0]}}; compare-runs --under {legs} > /dev/full; echo $?"
    );
    let path = format!("{}:{}", bin().display(), std::env::var("PATH").unwrap());
    let done = Command::new("bash").args(["-c", &script]).env("PATH", path).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&done.stdout), "3\n74\n", "{}", String::from_utf8_lossy(&done.stderr));
}
