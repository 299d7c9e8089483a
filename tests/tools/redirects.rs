//! Redirects of submissions and polls: what is said of them, and what is not.

use serde_json::{Value, json};

use crate::profiles::{Rig, job, with_header};
use crate::server::{Reply, Request};

const PROFILE: &str = r#"
    [submit]
    path = "/jobs"
    follow_redirects = FOLLOW
    id = ["/id"]
    [poll]
    path = "/jobs/{id}"
    status = ["/status"]
    [poll.words]
    running = ["running"]
    done = ["done"]
"#;

fn rig(follow: bool, answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Rig {
    Rig::new(&PROFILE.replace("FOLLOW", if follow { "true" } else { "false" }), answer)
}

/// The secrets in the Locations of these tests.
const SECRETS: [&str; 3] = ["PASSW0RD", "T0KEN", "S3SSION"];
const LOCATION: &str = "https://me:PASSW0RD@sso.example/in;sid=S3SSION?next=%2Fjobs&token=T0KEN#t=T0KEN";
const SHOWN: &str = "https://sso.example/in;sid=…?next=…&token=…#t=…";

/// A page as servers put it into a redirect.
fn page() -> String {
    format!("<a href=\"{}\">moved</a> {LOCATION}", LOCATION.replace('&', "&amp;"))
}

fn assert_no_secret(text: &str) {
    assert!(SECRETS.iter().all(|secret| !text.contains(secret)), "{text}");
}

#[test]
fn a_location_is_shown_without_its_user_and_the_values_of_its_query() {
    for follow in [false, true] {
        let ran = rig(follow, |_| with_header(307, "Location", LOCATION, &page())).submit(&job(&json!({})));
        let status = ran.last("j")["status"].clone();
        assert_eq!((&status["phase"], &status["reason"]), (&json!("Unknown"), &json!("Redirected")), "{status}");
        assert!(status["message"].as_str().unwrap().contains(&format!("HTTP 307 to {SHOWN}")), "{status}");
        assert!(status["body"].as_str().unwrap().contains(SHOWN), "{status}");
        assert_no_secret(&format!("{}{}", ran.stdout, ran.stderr));
    }
    let polled = rig(false, |request| match request.method.as_str() {
        "POST" => Reply::new(202, r#"{"id":"7"}"#),
        _ => with_header(302, "Location", LOCATION, &page()),
    });
    let ran = polled.poll(&polled.submit(&job(&json!({}))).stdout, &["--deadline", "300ms"]);
    let status = ran.last("j")["status"].clone();
    assert_eq!((&status["phase"], &status["reason"]), (&json!("TimedOut"), &json!("Redirected")), "{status}");
    assert!(status["message"].as_str().unwrap().contains(SHOWN) && ran.stderr.contains(SHOWN), "{}", ran.stderr);
    assert_no_secret(&format!("{}{}", ran.stdout, ran.stderr));
}

#[test]
fn a_url_of_a_job_on_another_server_is_shown_without_its_secrets() {
    let profile = PROFILE.replace("FOLLOW", "false").replace("path = \"/jobs/{id}\"", "path = \"{id:url}\"");
    let ran = Rig::new(&profile, |_| Reply::new(202, format!(r#"{{"id":"{LOCATION}"}}"#))).submit(&job(&json!({})));
    let message = ran.last("j")["status"]["message"].clone();
    assert!(message.as_str().unwrap().contains(SHOWN), "{message}");
    assert_no_secret(message.as_str().unwrap());
}

/// The last status of a job whose submission is redirected to `location`, on a server that redirects further.
fn followed(location: &str) -> Value {
    let location = location.to_owned();
    let rig = rig(true, move |request| {
        let number = |path: &str| path.rsplit_once('=').and_then(|(_, number)| number.parse::<u32>().ok());
        match request.path.as_str() {
            "/jobs" if location.is_empty() => Reply::new(307, ""),
            "/jobs" => with_header(307, "Location", location.clone(), ""),
            "/round" => with_header(307, "Location", "/trip", ""),
            "/trip" => with_header(302, "Location", "/round", ""),
            path if path.starts_with("/chain") => match number(path) {
                Some(left @ 1..) => with_header(307, "Location", format!("/chain?left={}", left - 1), ""),
                _ => Reply::new(202, r#"{"id":"7"}"#),
            },
            _ => with_header(308, "Location", LOCATION, ""),
        }
    });
    rig.submit(&job(&json!({}))).last("j")["status"].clone()
}

#[test]
fn the_reason_why_a_redirect_is_not_followed_is_named() {
    for (location, reason) in [
        ("/round", "10 redirects were followed, and "),
        ("/round", ": they lead in a circle"),
        ("/chain?left=25", "/chain?left=…: no more are followed"),
        ("/out", "/out is not followed: the URL is on another origin, or names a user"),
        ("http://other.example/x", "/jobs is not followed: the URL is on another origin"),
        ("", "/jobs has no Location"),
    ] {
        let status = followed(location);
        assert_eq!((&status["phase"], &status["reason"]), (&json!("Unknown"), &json!("Redirected")), "{status}");
        let message = status["message"].as_str().unwrap();
        assert!(message.contains(reason), "{location}: {message}");
        assert_no_secret(message);
    }
    let last = followed("/chain?left=9");
    assert_eq!((&last["phase"], &last["message"]), (&json!("Submitted"), &Value::Null), "{last}");
}
