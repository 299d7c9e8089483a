//! Answers whose head came whole and whose body did not: what the head tells beyond doubt is told.

use serde_json::{Value, json};

use crate::profiles::{Rig, job};
use crate::server::{Reply, Request};

/// The ends of heads with bodies that cannot be read to their end.
const BODIES: [&str; 3] = [
    "Content-Length: 99\r\n\r\n{\"id\":\"",
    "Transfer-Encoding: chunked\r\n\r\n20\r\n{\"id\":",
    "Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}",
];

fn begun(status: u16, fields: &str, body: &str) -> Reply {
    Reply::Begun(format!("HTTP/1.1 {status} X\r\n{fields}{body}").into_bytes())
}

fn rig(submit: &str, poll: &str, answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Rig {
    let submit = format!("[submit]\npath = \"/jobs\"\n{submit}\n");
    Rig::new(&format!("{submit}[poll]\npath = \"/jobs/{{id}}\"\n{poll}\n"), answer)
}

const LOCATION: &str = "{ at = \"header:Location\", match = \"/jobs/(.+)\" }";
const WORDS: &str = "status = [\"/status\"]\nwords = { running = [\"running\"], done = [\"done\"] }";

/// The status of a job whose submission is answered by `status` with the id in its `Location`, and a part of a body.
fn submitted(submit: &str, status: u16, body: &'static str) -> Value {
    let rig = rig(submit, WORDS, move |_| begun(status, "Location: /jobs/7\r\nSet-Cookie: node=n1\r\n", body));
    rig.submit(&job(&json!({}))).last("j")["status"].clone()
}

#[test]
fn an_id_in_a_whole_head_is_kept_whatever_became_of_the_body() {
    for body in BODIES {
        for submit in [format!("id = [{LOCATION}]"), format!("id = [{LOCATION}, \"/id\"]")] {
            let status = submitted(&submit, 202, body);
            assert_eq!((&status["phase"], &status["jobId"]), (&json!("Submitted"), &json!("7")), "{status}");
            assert_eq!(status["flags"], json!(["HeadOnly", "CookieNotKept"]), "its cookies count too: {status}");
        }
        let refused = submitted(&format!("id = [{LOCATION}]"), 400, body);
        assert_eq!((&refused["phase"], &refused["reason"]), (&json!("Rejected"), &json!("Refused")), "{refused}");
    }
}

#[test]
fn a_body_that_might_say_otherwise_leaves_the_job_unknown() {
    let by_body = "[[submit.rules]]\nmeans = \"refused\"\nwhen = [{ at = \"/error\" }]";
    for (submit, status, id) in [
        (format!("id = [\"/id\", {LOCATION}]"), 202, Value::Null),
        (format!("id = [{LOCATION}]\n{by_body}"), 202, json!("7")),
        (format!("id = [{LOCATION}]\n{by_body}"), 400, json!("7")),
        (format!("id = [{LOCATION}]"), 500, json!("7")),
    ] {
        let status = submitted(&submit, status, BODIES[0]);
        assert_eq!((&status["phase"], &status["reason"]), (&json!("Unknown"), &json!("AnswerCut")), "{status}");
        let flags = if id.is_null() { Value::Null } else { json!(["CookieNotKept"]) };
        assert_eq!((&status["jobId"], &status["flags"]), (&id, &flags), "{status}");
    }
}

/// The last status of a job whose polls are answered by `status` and a part of a body.
fn polled(poll: &str, status: u16, body: &'static str) -> Value {
    let rig = rig(&format!("id = [{LOCATION}]"), poll, move |request| match request.method.as_str() {
        "POST" => begun(202, "Location: /jobs/7\r\n", "Content-Length: 0\r\n\r\n"),
        _ => begun(status, "X-State: done\r\n", body),
    });
    rig.run()
}

#[test]
fn a_poll_that_reads_the_head_alone_needs_no_body() {
    let by_status = "[[poll.rules]]\nmeans = \"done\"\nwhen = [{ at = \"http:status\", is = 303 }]";
    let by_header = "status = [\"header:X-State\"]\nwords = { done = [\"done\"] }";
    for body in BODIES {
        for (poll, status) in [(by_status, 303), (by_header, 200)] {
            let status = polled(poll, status, body);
            assert_eq!((&status["phase"], &status["flags"]), (&json!("Succeeded"), &json!(["HeadOnly"])), "{status}");
        }
        let lost = polled(WORDS, 404, body);
        assert_eq!((&lost["phase"], &lost["reason"]), (&json!("Lost"), &json!("UnknownId")), "{lost}");
    }
    // The error that the body may name is a doubt.
    for (poll, status) in [(format!("message = [\"/error\"]\n{by_status}"), 303), (WORDS.to_owned(), 200)] {
        let status = polled(&poll, status, BODIES[0]);
        assert_eq!((&status["phase"], &status["reason"]), (&json!("TimedOut"), &json!("UnreadableAnswer")), "{status}");
    }
}
