//! A run that was resumed says so where one looks first, and a load that was not the one asked for is doubtful.

use crate::markup::visible_text;
use crate::support::{RUN, Scratch, good, job, judged};

/// The stream of a run whose first session gave all three jobs up and whose second followed them to their ends.
fn resumed() -> Vec<String> {
    let again = RUN.replace(
        r#""startedAt":"#,
        r#""observedAt":"2026-05-20T22:31:00Z","resumedAt":["2026-05-20T22:30:30Z"],"startedAt":"#,
    );
    let given_up = ["soak-001", "soak-002", "soak-003"].map(|name| {
        job(name, r#"{"phase":"TimedOut","submittedAt":"2026-05-20T22:30:01Z","observedAt":"2026-05-20T22:30:20Z"}"#)
    });
    [vec![RUN.to_owned()], given_up.to_vec(), vec![again], good()[1..].to_vec()].concat()
}

#[test]
fn that_a_run_was_resumed_stands_on_every_first_screen() {
    let scratch = Scratch::new();
    let ran = scratch.report(&resumed(), &["--redact"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let said =
        "once, at 2026-05-20T22:30:30.000000Z: 3 jobs had been given up before (3 timed out), 3 have ended since";
    assert!(ran.stderr.contains(&format!("  Resumed        {said}\n")), "{}", ran.stderr);
    let md = scratch.read("report.md");
    let (head, _) = md.split_once("## Criteria").unwrap();
    assert!(head.contains(&format!("| Resumed | {said} |")), "{head}");
    for page in ["report.html", "report.redacted.html"] {
        assert!(visible_text(&scratch.read(page)).contains(said), "{page}");
    }
    let out = scratch.out().display().to_string();
    let replayed = crate::support::tool(&["--out", &out, "--replay"], std::io::empty());
    assert!(replayed.stderr.contains(said), "{}", replayed.stderr);
    assert!(!judged(&good(), &[]).stderr.contains("Resumed"));
}

#[test]
fn a_load_above_the_one_asked_for_is_doubtful_where_it_is_certain() {
    let times = |accepted: &str, seen: &str| {
        format!(
            r#"{{"phase":"Succeeded","submittedAt":"2026-05-20T22:30:01Z","acceptedAt":"2026-05-20T22:30:{accepted}Z","notEndedAt":"2026-05-20T22:30:{seen}Z","endedAt":"2026-05-20T22:30:20Z"}}"#
        )
    };
    let doubts = |third: (&str, &str)| {
        let jobs = [("soak-001", ("02", "09")), ("soak-002", ("03", "10")), ("soak-003", third)];
        let jobs = jobs.map(|(name, (accepted, seen))| job(name, &times(accepted, seen)));
        judged(&[vec![RUN.to_owned()], jobs.to_vec()].concat(), &[]).report().status.doubts
    };
    assert_eq!(
        doubts(("08", "19")),
        ["at least 3 jobs were in flight at 22:30:08.000 UTC, more than the requested concurrency of 2"]
    );
    // The first was last seen running at 9 s, and seen ended at 20 s: it may have ended before the third was accepted.
    assert_eq!(doubts(("09", "19")), Vec::<String>::new());
}
