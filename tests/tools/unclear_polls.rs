//! `poll-jobs` and answers that tell nothing of a job's state: they are no evidence, and neither the console nor the records
//! fill with them.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpListener;

use serde_json::{Value, json};
use stress_suite::record::Timestamp;

use super::odd_polls::{follow, poll, running, submit, target, text};
use crate::profiles::Rig;
use crate::server::Reply;
use crate::support::Ran;

fn seconds(status: &Value, key: &str) -> f64 {
    text(status, key).parse::<Timestamp>().unwrap_or_else(|_| panic!("{key} of {status}")).seconds()
}

/// Nine polls lie this far apart at least: the shortest interval is 10 ms, less a fifth.
const NINE_POLLS: f64 = 9.0 * 0.008;

/// Documents that tell no state.
const UNCLEAR: [&str; 5] = [
    r#"{"status":null}"#,
    r#"{"status":"archiving"}"#,
    r#"{"job_id":"j-1","detail":"the database is busy"}"#,
    r#"{"status":{"of":"running"}}"#,
    r#"[{"status":"running"}]"#,
];

#[test]
fn an_answer_that_was_not_understood_does_not_say_that_the_job_still_runs() {
    for unclear in UNCLEAR {
        let target = target(move |polls, _| match polls {
            0 => running(),
            1..10 => Reply::json(unclear),
            _ => Reply::json(r#"{"status":"done"}"#),
        });
        let status = follow(&target, &[]).1;
        assert_eq!((text(&status, "phase"), &status["reason"]), ("Succeeded", &Value::Null), "{unclear}: {status}");
        assert!(seconds(&status, "endedAt") - seconds(&status, "notEndedAt") >= NINE_POLLS, "{unclear}: {status}");
        assert!(status["durationErrorSeconds"].as_f64().unwrap() >= NINE_POLLS, "{unclear}: {status}");
    }
}

#[test]
fn nor_does_it_say_that_the_job_or_a_stage_has_not_started() {
    let document = |job: &str, stage: &str| format!(r#"{{"status":"{job}","stage_states":{{"l1":"{stage}"}}}}"#);
    let cases = UNCLEAR.map(str::to_owned).into_iter().chain([document("thawing", "thawing")]);
    for unclear in cases {
        let named = unclear.clone();
        let target = target(move |polls, _| match polls {
            0 => Reply::json(document("queued", "queued")),
            1..10 => Reply::json(unclear.clone()),
            10..14 => Reply::json(document("running", "running")),
            _ => Reply::json(document("done", "done")),
        });
        let status = follow(&target, &[]).1;
        for of in [&status, &status["stages"][0]] {
            assert!(seconds(of, "startedAt") - seconds(of, "notStartedAt") >= NINE_POLLS, "{named}: {of}");
            assert!(seconds(of, "endedAt") - seconds(of, "startedAt") >= 3.0 * 0.008, "{named}: {of}");
        }
    }
}

#[test]
fn a_stage_whose_state_has_no_name_bounds_nothing_although_its_job_is_understood() {
    let stage = |state: &str| Reply::json(format!(r#"{{"status":"running","stage_states":{{"l1":"{state}"}}}}"#));
    let target = target(move |polls, _| match polls {
        0 => stage("queued"),
        1..10 => stage(&format!("at {polls} %")),
        _ => Reply::json(r#"{"status":"done","stage_states":{"l1":"done"}}"#),
    });
    let status = follow(&target, &[]).1;
    let l1 = &status["stages"][0];
    assert!(seconds(l1, "endedAt") - seconds(l1, "notStartedAt") >= NINE_POLLS, "{l1}");
    assert!(
        seconds(&status, "endedAt") - seconds(&status, "notEndedAt") < NINE_POLLS,
        "the job's word was clear: {status}"
    );
}

#[test]
fn an_error_document_does_not_hide_what_was_known_at_the_deadline() {
    let target = target(|polls, _| match polls {
        0 => Reply::json(r#"{"status":"running","stage_states":{"l1":"running"}}"#),
        _ => Reply::json(r#"{"detail":"busy"}"#),
    });
    let status = follow(&target, &["--deadline", "300ms"]).1;
    assert_eq!((text(&status, "phase"), text(&status, "reason")), ("TimedOut", "NoStatus"), "{status}");
    assert_eq!((text(&status, "targetStatus"), text(&status["stages"][0], "name")), ("running", "l1"), "{status}");
    assert_eq!(text(&status, "body"), r#"{"detail":"busy"}"#);
}

#[test]
fn ids_that_differ_in_their_case_are_two_jobs() {
    let target = target(|polls, _| match polls {
        0..5 => Reply::json(r#"{"job_id":"J-1","status":"done"}"#),
        _ => Reply::json(r#"{"job_id":"j-1","status":"failed"}"#),
    });
    let (ran, status) = follow(&target, &[]);
    assert_eq!((text(&status, "phase"), &status["polls"]["failed"]), ("Failed", &json!(5)), "{status}");
    assert!(ran.stderr.contains("another job, J-1"), "{}", ran.stderr);
}

/// The reasons of the records that were written before the end, and how many there are of each.
fn early(ran: &Ran) -> BTreeMap<String, usize> {
    let mut reasons = BTreeMap::new();
    for record in ran.records() {
        if let ("Submitted", Some(reason)) = (text(&record["status"], "phase"), record["status"]["reason"].as_str()) {
            *reasons.entry(reason.to_owned()).or_default() += 1;
        }
    }
    reasons
}

#[test]
fn answers_that_alternate_bring_no_line_and_no_record_for_each_poll() {
    let target = target(|polls, _| match (polls, polls % 6) {
        (120.., _) => Reply::json(r#"{"status":"done"}"#),
        (_, 0) => Reply::json("<html>busy</html>"),
        (_, 1) => Reply::json(r#"{"job_id":"j-99","status":"done"}"#),
        (_, 2) => Reply::json(format!(r#"{{"status":"running {polls} %"}}"#)),
        (_, 3) => Reply::json(r#"{"detail":"busy"}"#),
        (_, 4) => Reply::new(502, format!("bad gateway {polls}")),
        _ => running(),
    });
    let ran = poll(&target, &["--precision", "0.01"], &submit(&target, &[], 2).stdout);
    let kinds = ["UnreadableAnswer", "OtherJob", "UnnamedStatus", "NoStatus"];
    assert!(
        early(&ran).iter().all(|(reason, count)| kinds.contains(&reason.as_str()) && *count <= 2),
        "{:?}",
        early(&ran)
    );
    assert!(early(&ran).len() >= 3, "each kind is on record: {:?}", early(&ran));
    // Five kinds, and a line every five seconds, of which this takes one or two.
    assert!((5..=8).contains(&ran.stderr.lines().count()), "{}", ran.stderr);
    assert_eq!(ran.stdout.matches("\"Succeeded\"").count(), 2);
}

#[test]
fn an_answer_without_a_status_is_kept_as_it_came_at_the_first() {
    for unclear in UNCLEAR {
        let target = target(move |polls, _| match polls {
            0..4 => Reply::json(unclear),
            _ => Reply::json(r#"{"status":"done"}"#),
        });
        let ran = follow(&target, &[]).0;
        let records = ran.records();
        let first = records.iter().find(|record| record["status"]["reason"].is_string()).unwrap();
        assert_eq!(text(&first["status"], "body"), unclear);
        assert_eq!(early(&ran).values().sum::<usize>(), 1, "{unclear}");
    }
}

#[test]
fn a_body_whose_bytes_were_replaced_is_flagged_at_once_and_at_the_deadline() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        for stream in listener.incoming().take(3) {
            let mut stream = stream.unwrap();
            assert_ne!(stream.read(&mut [0; 4096]).unwrap(), 0);
            // Latin-1, in a word that the profile does not name.
            let body = b"{\"status\":\"arr\xeat\xe9\"}";
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            stream.write_all(&[head.as_bytes(), body].concat()).unwrap();
        }
    });
    let job = r#"{"apiVersion":"stress/v1","kind":"Job","metadata":{"name":"s-1","run":"r"},"status":{"phase":"Submitted","jobId":"j-1"}}"#;
    let argv = ["--target", &url, "--min-interval", "10ms", "--max-interval", "10ms", "--deadline", "400ms"];
    let ran = crate::support::tool(stress_suite::tools::poll_jobs::run, &argv, &format!("{job}\n"));
    server.join().unwrap();
    let records = ran.records();
    let first = records.iter().find(|record| record["status"]["reason"] == "UnnamedStatus").unwrap();
    assert_eq!(first["status"]["flags"], json!(["BodyNotUtf8"]), "{first}");
    assert_eq!(ran.last("s-1")["status"]["flags"], json!(["BodyNotUtf8"]), "{}", ran.stdout);
}

#[test]
fn an_unknown_id_is_counted_after_the_first_sight_too_and_a_304_is_no_redirect() {
    let run = r#"{"apiVersion":"stress/v1","kind":"Run","metadata":{"name":"s","run":"r"},"spec":{"jobs":1}}"#;
    let job = r#"{"apiVersion":"stress/v1","kind":"Job","metadata":{"name":"s-1","run":"r"},"status":{"phase":"Submitted","jobId":"j-1"}}"#;
    let target = target(|polls, _| match polls {
        2 => running(),
        0..6 => Reply::new(404, "{}"),
        6 => Reply::new(304, ""),
        _ => Reply::json(r#"{"status":"done"}"#),
    });
    let ran = poll(&target, &[], &format!("{run}\n{job}\n"));
    let failures = &ran.last("s")["status"]["polling"]["failures"];
    let expected = json!({
        "HTTP 304": 1, "HTTP 404 after the first sight of the job": 3, "HTTP 404 before the first sight of the job": 2,
    });
    assert_eq!(failures, &expected);
    assert!(ran.stderr.contains("HTTP 304: not modified") && !ran.stderr.contains("redirect"), "{}", ran.stderr);
}

#[test]
fn a_status_that_is_no_word_is_not_said_to_be_missing() {
    for (value, what) in [(r#"["done"]"#, "a list, not a word,"), ("{}", "an object, not a word,"), ("null", "nothing")]
    {
        let target = target(move |_, _| Reply::json(format!(r#"{{"status":{value}}}"#)));
        let status = follow(&target, &["--deadline", "100ms"]).1;
        let said = status["message"].as_str().unwrap();
        assert!(status["reason"] == "NoStatus" && said.contains(&format!("has {what} at /status")), "{value}: {said}");
    }
}

#[test]
fn an_error_of_any_shape_in_a_done_job_is_flagged() {
    for error in [r#"{"code":7,"message":"boom"}"#, r#"["part 3 failed"]"#, "true", "137"] {
        let target = target(move |_, _| Reply::json(format!(r#"{{"status":"done","error":{error}}}"#)));
        let status = follow(&target, &[]).1;
        assert_eq!(status["flags"], json!(["ErrorText"]), "{error}: {status}");
    }
    for error in ["null", "false", r#""""#, "0", "{}", "[]"] {
        let target = target(move |_, _| Reply::json(format!(r#"{{"status":"done","error":{error}}}"#)));
        assert_eq!(follow(&target, &[]).1["flags"], Value::Null, "{error}");
    }
}

#[test]
fn most_polls_decide_why_an_end_was_not_seen() {
    let mostly = |unreadable: fn(usize) -> bool| {
        let target =
            target(move |polls, _| if unreadable(polls) { Reply::json("<html>busy</html>") } else { Reply::Close });
        follow(&target, &["--deadline", "500ms"]).1
    };
    let status = mostly(|polls| polls % 4 != 3);
    assert_eq!((text(&status, "reason"), text(&status, "body")), ("UnreadableAnswer", "<html>busy</html>"), "{status}");
    assert!(text(&status, "message").contains("near `<html>busy"), "{status}");
    let status = mostly(|polls| polls == 0);
    assert_eq!((text(&status, "reason"), &status["body"]), ("NoAnswer", &Value::Null), "{status}");
}

#[test]
fn a_list_that_breaks_the_rules_of_json_is_read_and_flagged() {
    let profile = r#"
        [submit]
        path = "/jobs"
        id = ["/id"]
        [poll]
        status = ["/state"]
        words.done = ["done"]
        [poll.list]
        path = "/list"
        at = ["/jobs"]
    "#;
    for page in
        ["\u{feff}{\"jobs\":[{\"id\":\"7\",\"state\":\"done\"}]}", r#"{"jobs":[{"id":"7","state":"done","n":NaN}]}"#]
    {
        let rig = Rig::new(profile, move |request| match request.path.as_str() {
            "/jobs" => Reply::new(201, r#"{"id":"7"}"#),
            _ => Reply::json(page),
        });
        let status = rig.run();
        assert_eq!((text(&status, "phase"), &status["flags"]), ("Succeeded", &json!(["LenientJson"])), "{status}");
    }
}

#[test]
fn words_for_a_stage_that_the_profile_does_not_list_are_counted_and_said_once() {
    let target = target(|polls, _| match polls {
        0..5 => Reply::json(format!(r#"{{"status":"running","stage_states":{{"l1":"running {polls} %"}}}}"#)),
        _ => Reply::json(r#"{"status":"done","stage_states":{"l1":"done"}}"#),
    });
    let run = r#"{"apiVersion":"stress/v1","kind":"Run","metadata":{"name":"s","run":"r"},"spec":{"jobs":1}}"#;
    let job = r#"{"apiVersion":"stress/v1","kind":"Job","metadata":{"name":"s-1","run":"r"},"status":{"phase":"Submitted","jobId":"j-1"}}"#;
    let ran = poll(&target, &[], &format!("{run}\n{job}\n"));
    let status = &ran.last("s-1")["status"];
    assert_eq!((text(status, "phase"), &status["polls"]["failed"]), ("Succeeded", &json!(0)), "{status}");
    let run = ran.last("s");
    assert_eq!(run["status"]["polling"]["failures"], json!({"unnamed stage word": 5}), "{run}");
    let said = ran.stderr.lines().filter(|line| line.contains("the state \"running")).collect::<Vec<_>>();
    assert!(said.len() == 1 && said[0].contains("\"running 0 %\" of stage l1"), "{}", ran.stderr);
}

#[test]
fn a_job_that_is_not_known_at_its_deadline_says_since_when() {
    let target = target(|number, _| if number == 0 { running() } else { Reply::new(404, "{}") });
    let (_, status) = follow(&target, &["--deadline", "400ms", "--lost-after", "60s"]);
    assert_eq!((text(&status, "phase"), text(&status, "reason")), ("TimedOut", "DeadlineExceeded"), "{status}");
    let message = text(&status, "message");
    assert!(
        message.contains(" on, the target did not know the id (") && message.contains("with HTTP 404)"),
        "{message}"
    );
}

#[test]
fn times_that_lie_far_in_the_future_are_no_times_of_the_job() {
    let profile = r#"
        [submit]
        path = "/jobs"
        id = ["/id"]
        [poll]
        path = "/jobs/{id}"
        status = ["/state"]
        times = { queued = ["/queued"], started = ["/started"], ended = ["/ended"] }
        words = { done = ["done"] }
        [poll.stages]
        at = ["/stages"]
        name = ["/name"]
        state = ["/state"]
        words = { done = ["done"] }
        times = { ended = ["/ended"] }
    "#;
    let far = r#"{"id":"7","state":"done","queued":4294967295,"started":"2103-01-05T00:00:00Z","ended":4294967295000,
        "stages":[{"name":"a","state":"done","ended":"2103-01-05T00:00:00Z"}]}"#;
    let rig = Rig::new(profile, move |request| match request.method.as_str() {
        "POST" => Reply::json(r#"{"id":"7"}"#),
        _ => Reply::json(far),
    });
    let status = rig.run();
    assert_eq!((&status["phase"], &status["flags"]), (&json!("Succeeded"), &Value::Null), "{status}");
    assert_eq!(
        (&status["serverTimes"], &status["stages"][0]["endedAt"]),
        (&Value::Null, &status["endedAt"]),
        "{status}"
    );
    let unread = status["unreadTimes"].as_object().unwrap();
    assert_eq!(unread.keys().collect::<Vec<_>>(), ["poll.stages.times.ended", "poll.times.started"], "{status}");
    assert!(unread.values().all(|value| value.as_str().unwrap().contains("2103-01-05")), "{status}");
}
