//! Texts that are hard to read and tell of an error or a state all the same.

use serde_json::{Value, json};
use stress_suite::tools::render_report;

use crate::profiles::Rig;
use crate::server::Reply;
use crate::support::tool;

const PROFILE: &str = r#"
    [submit]
    path = "/jobs"
    id = ["/id"]
    [poll]
    path = "/jobs/{id}"
    status = ["/state"]
    message = ["/why"]
    words = { done = ["ok"], failed = ["bad"] }
    [poll.stages]
    at = ["/stages"]
    name = ["/name"]
    state = ["/state"]
    words = { done = ["ok"], failed = ["bad"] }
"#;

/// The last status of a job whose polls are answered with `body`, and the page of its report.
fn polled(body: &'static str) -> (Value, String) {
    let rig = Rig::new(PROFILE, move |request| match request.method.as_str() {
        "POST" => Reply::json(r#"{"id":"7"}"#),
        _ => Reply::json(body),
    });
    let ran = rig.poll(&rig.submit(&crate::profiles::job(&json!({}))).stdout, &["--deadline", "2s"]);
    let out = rig.dir.path().join("out");
    tool(render_report::run, &["--out", out.to_str().unwrap(), "--expect", "all-done"], &ran.stdout);
    (ran.last("j")["status"].clone(), std::fs::read_to_string(out.join("report.md")).unwrap())
}

#[test]
fn an_error_counts_however_it_is_written() {
    for body in [
        r#"{"state":"ok","why":"model crashed \ud83d"}"#,
        r#"{"state":"ok","why":{"emoji \ud83d":1}}"#,
        r#"{"state":"ok","why":"boom","why":null}"#,
        r#"{"state":"ok","why":null,"why":"boom"}"#,
        r#"{"state":"ok","why":["\ud83d"]}"#,
    ] {
        let (status, page) = polled(body);
        assert_eq!(
            (&status["phase"], &status["flags"]),
            (&json!("Succeeded"), &json!(["ErrorText"])),
            "{body}: {status}"
        );
        assert!(page.contains("although the answer names an error: j"), "{body}: {page}");
    }
    let (status, _) = polled(r#"{"state":"bad","why":"model crashed \ud83d!"}"#);
    let message = status["message"].as_str().unwrap();
    assert!(message.starts_with("model crashed \u{fffd}") && message.ends_with('!'), "{status}");
    assert_eq!(polled(r#"{"state":"ok","why":null,"why":""}"#).0["flags"], Value::Null);
}

#[test]
fn two_words_for_the_state_of_a_stage_and_half_a_character_in_its_name_are_named() {
    let (status, page) = polled(r#"{"state":"ok","stages":[{"name":"a \ud83d","state":"bad","state":"ok"}]}"#);
    let stage = &status["stages"][0];
    assert!(stage["name"].as_str().unwrap().starts_with("a \u{fffd}"), "{status}");
    assert_eq!((&status["phase"], &stage["phase"]), (&json!("Succeeded"), &json!("Unnamed")), "{status}");
    assert!(page.contains("state occurs twice in the answer"), "{page}");
}
