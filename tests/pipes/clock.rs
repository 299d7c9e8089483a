//! A wall clock that is set while jobs run: durations do not bend, and the report says that it happened.

use crate::shell::{Shell, lines_with};
use crate::support::wait_until;

#[test]
fn a_wall_clock_that_steps_bends_no_duration_and_is_told() {
    let shell = Shell::new(&["--hold", "l1:100%"]);
    if shell.run("command -v faketime").code != 0 {
        // `make test` has said so.
        assert!(std::env::var("CI").as_deref() != Ok("true"), "faketime is not installed: see scripts/need");
        return;
    }
    // The library reads the offset anew at each call, so that the clock steps when the file changes.
    std::fs::write(shell.path("offset"), "+0\n").unwrap();
    let running = shell.start(
        r"preload=$(faketime -f +0 printenv LD_PRELOAD)
export LD_PRELOAD=$preload FAKETIME_TIMESTAMP_FILE=$PWD/offset FAKETIME_NO_CACHE=1 FAKETIME_DONT_FAKE_MONOTONIC=1
JOBS=3 run out; code=$?
unset LD_PRELOAD; exit $code",
    );
    let records = shell.path("out/records.ndjson");
    wait_until("three jobs in flight", || lines_with(&records, "\"Submitted\"") >= 3);
    // An hour back: by the wall every job would end before it began.
    std::fs::write(shell.path("offset.new"), "-3600\n").unwrap();
    std::fs::rename(shell.path("offset.new"), shell.path("offset")).unwrap();
    shell.target.sim.release();
    let done = running.finish();
    assert_eq!(done.code, 0, "{}", done.stderr);

    let run = shell.json("out/manifest.json");
    let step = run["status"]["clockSteppedSeconds"].as_f64().unwrap_or_default();
    assert!((step + 3600.0).abs() < 1.0, "{run}");
    for job in shell.json("out/jobs.json")["items"].as_array().unwrap() {
        let status = &job["status"];
        let (duration, error) = (&status["durationSeconds"], &status["durationErrorSeconds"]);
        let (duration, error) = (duration.as_f64().unwrap(), error.as_f64().unwrap());
        assert!((0.0..60.0).contains(&duration) && (0.0..duration).contains(&error), "{status}");
        assert!(status["submittedAt"].as_str().unwrap() < status["endedAt"].as_str().unwrap(), "{status}");
    }
    let report = shell.json("out/report.json");
    let doubts = report["status"]["doubts"].to_string();
    assert!(doubts.contains("the wall clock moved by -1 h 00 m"), "{doubts}");
    assert!(!doubts.contains("before they began"), "{doubts}");
}
