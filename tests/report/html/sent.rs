//! Pages to be sent: that of an index, and that one is never older than the page beside it.

use std::fs;

use super::{assert_accessible, read, visible_text};
use crate::index::{level, soak};
use crate::support::{RUN, Scratch, good, job, tool};

#[test]
fn an_index_to_be_sent_quotes_nobody() {
    let root = tempfile::tempdir().unwrap();
    let run = RUN.replace(r#""concurrency":2"#, r#""concurrency":2,"target":"http://SECRET-A:1""#);
    let status = r#"{"phase":"Rejected","reason":"TargetRefused","message":"POST http://SECRET-B:1: SECRET-C"}"#;
    soak(&root.path().join("soak"), &[&[run][..], &good()[1..3], &[job("soak-003", status)]].concat());
    level(&root.path().join("ramp"), "4", "4 8", 8, "Succeeded");
    level(&root.path().join("ramp"), "8", "4 8", 8, "Failed");
    let torn = root.path().join("torn");
    soak(&torn, &good());
    let report = fs::read_to_string(torn.join("report.json")).unwrap();
    fs::write(torn.join("report.json"), report.replace("\"verdict\":\"Passed\"", "\"verdict\":\"SECRET-D\"")).unwrap();
    fs::create_dir_all(root.path().join("ab")).unwrap();
    fs::write(root.path().join("ab/comparison.json"), r#"{"metadata":{"name":"x"},"spec":{},"status":"SECRET-E"}"#)
        .unwrap();
    let place = root.path().display().to_string();
    let file = |name: &str| fs::read_to_string(root.path().join(name));
    tool(&["--index", &place], std::io::empty());
    assert!(file("report.redacted.html").is_err(), "it was not asked for");
    let ran = tool(&["--index", &place, "--redact"], std::io::empty());
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    let (whole, sent) = (file("report.html").unwrap(), file("report.redacted.html").unwrap());
    assert_accessible(&sent);
    for told in ["SECRET-A", "SECRET-B", "SECRET-C", "SECRET-D", "SECRET-E"] {
        assert!(whole.contains(told), "{told} is not in the whole page, so that it is not in the other says nothing");
    }
    assert!(!sent.contains("SECRET"), "{sent}");
    assert!(read(&sent).iter().filter_map(|tag| tag.attribute("href")).all(|href| href.starts_with('#')), "{sent}");
    let text = visible_text(&sent);
    for told in [
        "all-done is Failed: of 3 jobs 2 succeeded, 1 rejected",
        "highest passing level: 4, breaks at 8: all-done is Failed: of 8 jobs 8 failed",
        "its report.json cannot be read",
        "ab: comparison.json cannot be read.",
        "run r1 · started 2026-05-20 22:30 UTC · redacted: see the last line",
        "Redacted: the target's messages and address are removed",
    ] {
        assert!(text.contains(told), "{told:?} is not in {text}");
    }
    level(&root.path().join("ramp"), "8", "4 8", 8, "Succeeded");
    fs::remove_dir_all(root.path().join("ramp/by-concurrency/lvl-08")).unwrap();
    tool(&["--index", &place], std::io::empty());
    assert!(!file("report.redacted.html").unwrap().contains("breaks at 8"), "it is renewed where it is");
}

#[test]
fn a_page_to_be_sent_is_renewed_with_the_report() {
    let scratch = Scratch::new();
    let out = scratch.out().display().to_string();
    scratch.report(&good()[..3], &["--redact"]);
    assert!(visible_text(&scratch.read("report.redacted.html")).starts_with("Incomplete"), "one is missing");
    let ran = tool(&["--out", &out, "--append"], std::io::Cursor::new(format!("{}\n", good()[3])));
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let sent = visible_text(&scratch.read("report.redacted.html"));
    assert!(sent.starts_with("Passed"), "{sent}");
    assert!(ran.report().status.files.contains(&"report.redacted.html".to_owned()));
}

#[test]
fn a_row_of_an_index_tells_why_to_its_end_and_what_a_ramp_reached() {
    let root = tempfile::tempdir().unwrap();
    level(&root.path().join("ramp"), "4", "4 8", 8, "Succeeded");
    level(&root.path().join("ramp"), "8", "4 8", 8, "Failed");
    let failed = |number: u32| {
        let why = format!("{number} {}", "words of the target ".repeat(20));
        job(
            &format!("soak-{number:03}"),
            &format!(
                r#"{{"phase":"Failed","reason":"TargetFailed","message":"{why}","submittedAt":"2026-05-20T22:30:02Z","endedAt":"2026-05-20T22:30:04Z"}}"#
            ),
        )
    };
    soak(&root.path().join("soak"), &[&[RUN.to_owned()][..], &[failed(1), failed(2), failed(3)]].concat());
    tool(&["--index", &root.path().display().to_string()], std::io::empty());
    let text = visible_text(&fs::read_to_string(root.path().join("report.html")).unwrap());
    assert!(text.contains("rampBreaks at 8168.14 at level 455.5 s59.0 s"), "{text}");
    assert!(text.contains("A ramp's figures are those of its passing level with the highest throughput"), "{text}");
    let report = fs::read_to_string(root.path().join("soak/report.md")).unwrap();
    let cause =
        report.lines().nth(2).unwrap().trim_start_matches("**Failed**: ").trim_end_matches('.').replace('\\', "");
    assert!(cause.chars().count() > 180 && cause.chars().count() < 600, "{}: {cause}", cause.len());
    assert!(text.contains(&cause), "{cause} is not in {text}");
}
