//! `make open` before a server is started.

use std::process::Command;

use crate::support::{bin, root};

/// Runs `make open` with these variables and this PATH behind the tools.
fn open(variables: &[&str], path: &str) -> (Option<i32>, String) {
    let done = Command::new("make")
        .args(["--no-print-directory", "open", "CARGO=true"])
        .arg(format!("BIN={}", bin().display()))
        .args(variables)
        .current_dir(root())
        .env("PATH", path)
        .env_remove("VICTORIA_METRICS")
        .output()
        .unwrap();
    assert!(done.stdout.is_empty(), "{}", String::from_utf8_lossy(&done.stdout));
    (done.status.code(), String::from_utf8(done.stderr).unwrap())
}

#[test]
fn an_unknown_server_and_a_missing_one_are_named() {
    let path = std::env::var("PATH").unwrap();
    let (code, stderr) = open(&["WITH=influx"], &path);
    assert_eq!(code, Some(2));
    assert!(stderr.contains("make open: WITH=influx: write prometheus or victoriametrics"), "{stderr}");
    let (code, stderr) = open(&["WITH=victoriametrics"], &format!("{path}:/nowhere"));
    assert_eq!(code, Some(2));
    assert!(stderr.contains("victoria-metrics is not installed (docs/dashboards.md says how)"), "{stderr}");
}
