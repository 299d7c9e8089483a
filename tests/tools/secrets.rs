//! Secrets that a target sends back: no record, message or explanation shows them.

use serde_json::json;
use stress_suite::tools::{poll_jobs, submit_jobs};

use crate::server::{Reply, Server};
use crate::support::{Ran, tool};

const PROFILE: &str = r#"
name = "leaky"
target = "http://localhost:9"
[health]
path = "/health"
[token]
path = "/token"
[[steps]]
name = "login"
when = "job"
path = "/login"
secret = true
take = { url = ["/url"], key = ["/key"] }
STEPS
[submit]
path = "/jobs"
id = ["/id"]
body = { key = "{vars.key}" }
[poll]
path = "/jobs/{id}"
status = ["/state"]
message = ["/error"]
[poll.words]
done = ["done"]
failed = ["failed"]
[poll.stages]
at = ["/stages"]
name = ["/name"]
state = ["/state"]
message = ["/error"]
words = { failed = ["failed"] }
[[stages]]
name = "work"
"#;
const UPLOAD: &str = r#"
[[steps]]
name = "upload"
when = "job"
method = "PUT"
path = "{vars.url}"
"#;

/// Runs a tool against a target that sends back all that it got, with the token and the values of the login. `steps` are added
/// to the profile.
fn run(tool_of: impl Fn(&[&str]) -> Ran, steps: &str) -> Ran {
    let uploads = Server::new(|request| Reply::new(403, format!("SignatureDoesNotMatch at {}", request.path)));
    let url = format!("{}/bucket/f?sig=S1GNATURE&x=1", uploads.url());
    let target = Server::new(move |request| match (&*request.method, &*request.path) {
        (_, "/token") => Reply::json(r#"{"access_token":"t0ken-of-this-run"}"#),
        (_, "/health") => Reply::json("{}"),
        (_, "/login") => Reply::json(json!({"url": url, "key": "k\"3y-of-it"}).to_string()),
        ("POST", _) => Reply::new(422, format!(r#"{{"refused":{}}}"#, request.body)),
        _ => {
            let sent = &request.headers["authorization"];
            let stage = json!({"name": "work", "state": "failed", "error": sent});
            Reply::json(json!({"state": "failed", "error": sent, "stages": [stage]}).to_string())
        }
    });
    let dir = tempfile::tempdir().unwrap();
    let profile = dir.path().join("p.toml");
    std::fs::write(&profile, PROFILE.replace("STEPS", steps)).unwrap();
    let ran = tool_of(&["--target", &target.url(), "--profile", profile.to_str().unwrap()]);
    for secret in ["S1GNATURE", "3y-of-it", "t0ken-of"] {
        assert!(!ran.stdout.contains(secret) && !ran.stderr.contains(secret), "{}{}", ran.stdout, ran.stderr);
    }
    ran
}

fn job(status: serde_json::Value) -> String {
    json!({"apiVersion": "stress/v1", "kind": "Job", "metadata": {"name": "j", "run": "r1"}, "status": status})
        .to_string()
        + "\n"
}

#[test]
fn the_answer_of_a_step_to_a_secret_url_shows_no_part_of_it() {
    let ran = run(|argv| tool(submit_jobs::run, argv, &job(json!({"phase": "Staged"}))), UPLOAD);
    let message = ran.last("j")["status"]["message"].as_str().unwrap().to_owned();
    assert!(message.contains("HTTP 403: SignatureDoesNotMatch at (secret)"), "{message}");
    assert!(message.contains("PUT http://127.0.0.1:"), "the server is no secret: {message}");
}

#[test]
fn a_refused_submission_shows_no_value_that_a_secret_step_took() {
    let ran = run(|argv| tool(submit_jobs::run, argv, &job(json!({"phase": "Staged"}))), "");
    let status = ran.last("j")["status"].clone();
    assert_eq!(status["reason"], "Refused", "{status}");
    assert_eq!(status["body"], r#"{"refused":{"key":"(secret)"}}"#);
    assert!(status["message"].as_str().unwrap().contains("(secret)"), "{status}");
}

#[test]
fn the_answer_to_a_poll_shows_no_token() {
    let now = stress_suite::clock::Clock::system().now().to_string();
    let submitted = job(json!({"phase": "Submitted", "jobId": "7", "submittedAt": now}));
    let status = run(|argv| tool(poll_jobs::run, argv, &submitted), "").last("j")["status"].clone();
    assert_eq!((&status["phase"], &status["message"]), (&json!("Failed"), &json!("Bearer (secret)")), "{status}");
    assert_eq!(status["stages"][0]["message"], "Bearer (secret)", "{status}");
    assert!(status["body"].as_str().unwrap().contains(r#""error":"Bearer (secret)""#), "{status}");
}

#[test]
fn explanations_show_no_secret() {
    let explained =
        run(|argv| tool(submit_jobs::run, &[argv, &["--explain"]].concat(), &job(json!({"phase": "Staged"}))), "");
    assert!(explained.stdout.contains("which means Rejected") && explained.stdout.contains("(secret)"));
    let polled = run(|argv| tool(poll_jobs::run, &[argv, &["--explain", "7"]].concat(), ""), "");
    assert!(polled.stdout.contains("Bearer (secret)"), "{}{}", polled.stdout, polled.stderr);
}
