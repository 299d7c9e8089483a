//! Each fault, seen from the other end of the wire.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use common::{Rig, source, until};
use serde_json::json;

/// The bytes that a raw connection gives until it is closed, for answers that are no whole HTTP.
fn raw(rig: &Rig, request: &str) -> String {
    let mut stream = TcpStream::connect(rig.sim.url().trim_start_matches("http://")).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

/// A POST of a job, to be written to a raw connection.
fn post(body: &str) -> String {
    format!("POST /jobs/audio HTTP/1.1\r\nhost: sim\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

/// The promised and the actual length of a raw answer's body.
fn lengths(answer: &str) -> (usize, usize) {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    (length.parse().unwrap(), body.len())
}

#[test]
fn fail_exhausts_the_attempts_and_fails_the_job() {
    let rig = Rig::new(&["--fail", "l2:2", "--max-attempts", "2"]);
    let (first, second) = (rig.submit(1), rig.submit(2));
    assert_eq!(rig.ended(&first)["status"], "done");
    let job = rig.ended(&second);
    assert_eq!(job["status"], "failed");
    let error = job["error"].as_str().unwrap();
    assert!(error.starts_with("l2 failed after 2 attempts: RuntimeError: injected fault"), "{error}");
    let l2 = &job["stage_states"]["l2"];
    assert_eq!((&l2["state"], &l2["attempt"], &job["attempts"]), (&json!("failed"), &json!(2), &json!(2)));
    assert!(job["finished_at"].is_string() && job["stage_states"].get("l0").is_none(), "{job}");
    assert_eq!(rig.get(&format!("/jobs/{second}/result")).status, 409);
    let stats = rig.stats();
    assert_eq!((stats.failed, stats.done, stats.retries, stats.dead_letters), (1, 1, 1, 1));
}

#[test]
fn a_job_that_fails_in_both_branches_fails_once() {
    let rig = Rig::new(&["--fail", "summarize_l1:1", "--fail", "decide:1", "--max-attempts", "1"]);
    let id = rig.submit(1);
    let job = rig.until(&id, |job| {
        ["summarize_l1", "decide"].iter().all(|stage| job["stage_states"][stage]["state"] == "failed")
    });
    assert_eq!((&job["status"], job["stage_states"].get("l2")), (&json!("failed"), None), "{job}");
    let stats = rig.stats();
    assert_eq!((stats.failed, stats.unfinished, stats.dead_letters), (1, 0, 2));
}

#[test]
fn a_fault_strikes_the_job_of_that_name_whatever_the_order() {
    let rig = Rig::new(&["--number-by-name", "--fail", "l2:2", "--lose", "3"]);
    let ids: Vec<_> = [3, 2, 1].into_iter().map(|number| rig.submit(number)).collect();
    assert_eq!(rig.ended(&ids[2])["status"], "done");
    assert_eq!(rig.ended(&ids[1])["status"], "failed");
    assert_eq!(rig.get(&format!("/jobs/{}", ids[0])).status, 404);
}

#[test]
fn a_failing_stage_logs_its_whole_traceback_with_the_jobs_id() {
    let rig = Rig::new(&["--fail", "l1:1"]);
    let id = rig.submit(1);
    rig.ended(&id);
    let last = format!("RuntimeError: injected fault: l1 of job {id} raised at attempt 3\n");
    let log = until(|| Some(rig.log("autorag-gpu-worker")).filter(|log| log.contains(&last)));
    for attempt in 1..=3 {
        let line = format!(" ERROR autorag.worker job={id} stage=l1 attempt={attempt} failed, ");
        assert_eq!(log.matches(&line).count(), 1, "{log}");
    }
    assert_eq!(log.matches("\nTraceback (most recent call last):\n  File ").count(), 3, "{log}");
}

#[test]
fn flaky_fails_once_and_the_job_is_done() {
    let rig = Rig::new(&["--flaky", "persist:1"]);
    let job = rig.ended(&rig.submit(1));
    assert_eq!(job["status"], "done");
    assert_eq!(
        (&job["stage_states"]["persist"]["attempt"], &job["stage_states"]["l0"]["attempt"]),
        (&json!(2), &json!(1))
    );
    assert!(rig.log("autorag-io-worker").contains("Traceback"));
}

#[test]
fn hang_holds_one_job_and_lets_the_others_go() {
    let rig = Rig::new(&["--hang", "whisper:1"]);
    let (first, second) = (rig.submit(1), rig.submit(2));
    assert_eq!(rig.ended(&second)["status"], "done");
    let job = rig.job(&first);
    assert_eq!((&job["status"], &job["stage_states"]["whisper"]["state"]), (&json!("running"), &json!("running")));
    assert_eq!(rig.stats().unfinished, 1);
}

#[test]
fn hold_holds_up_the_worker_until_it_is_let_go() {
    let rig = Rig::new(&["--hold", "l1:1"]);
    let (first, second) = (rig.submit(1), rig.submit(2));
    let job = rig.until(&first, |job| job["stage_states"]["l1"]["started_at"].is_string());
    assert_eq!((&job["status"], &job["stage_states"]["l1"]["state"]), (&json!("running"), &json!("running")));
    assert_eq!(rig.stats().unfinished, 2);
    rig.sim.release();
    assert_eq!((&rig.ended(&first)["status"], &rig.ended(&second)["status"]), (&json!("done"), &json!("done")));
    let roomy = Rig::new(&["--hold", "l1:100%"]);
    roomy.sim.release();
    assert_eq!(roomy.ended(&roomy.submit(1))["status"], "done", "what is let go is not held up again");
}

#[test]
fn drop_leaves_out_the_stage_and_ends_the_job() {
    for stage in ["whisper", "summarize_l1", "l0", "persist"] {
        let rig = Rig::new(&["--drop", &format!("{stage}:1")]);
        let job = rig.ended(&rig.submit(1));
        let stages = job["stage_states"].as_object().unwrap();
        assert_eq!((&job["status"], stages.len(), stages.get(stage)), (&json!("done"), 7, None), "{job}");
        assert!(!rig.log("autorag-gpu-worker").contains(&format!("stage={stage} ")));
    }
}

#[test]
fn lose_forgets_the_job() {
    let rig = Rig::new(&["--lose", "2"]);
    let (first, second) = (rig.submit(1), rig.submit(2));
    assert_eq!(rig.get(&format!("/jobs/{second}")).json(), json!({"detail": "job not found"}));
    assert_eq!(rig.ended(&first)["status"], "done");
}

#[test]
fn same_id_answers_the_id_of_the_job_before() {
    let rig = Rig::new(&["--same-id", "2"]);
    let (first, second, third) = (rig.submit(1), rig.submit(2), rig.submit(3));
    assert_eq!(first, second);
    assert_ne!(second, third);
    assert_eq!(rig.stats().accepted, 3);
}

#[test]
fn stale_dates_the_job_an_hour_back() {
    let rig = Rig::new(&["--stale", "1"]);
    let before = Utc::now();
    let job = rig.ended(&rig.submit(1));
    for at in [&job["created_at"], &job["finished_at"], &job["stage_states"]["l2"]["started_at"]] {
        let at: DateTime<Utc> = at.as_str().unwrap().parse().unwrap();
        let back = before - at;
        assert!(back > TimeDelta::minutes(59) && back <= TimeDelta::hours(1), "{back}");
    }
}

#[test]
fn no_answer_accepts_and_says_nothing() {
    let mut rig = Rig::new(&["--no-answer", "1"]);
    let patient = std::mem::replace(&mut rig.agent, common::agent(Duration::from_secs(1)));
    let silence = rig.try_post(&source(1), &[]);
    rig.agent = patient;
    assert!(matches!(silence, Err(ureq::Error::Timeout(_))), "{:?}", silence.err());
    until(|| (rig.stats().done == 1).then_some(()));
    rig.submit(2);
    assert_eq!(rig.stats().accepted, 2);
}

#[test]
fn refuse_answers_the_status_and_makes_no_job() {
    let rig = Rig::new(&["--refuse", "429:1:7", "--refuse", "500:2"]);
    let (first, second) = (rig.post(&source(1)), rig.post(&source(1)));
    assert_eq!((first.status, first.header("retry-after")), (429, Some("7")));
    assert_eq!((second.status, second.header("retry-after")), (500, None));
    assert_eq!(first.json(), json!({"detail": "Too Many Requests"}));
    rig.submit(1);
    let stats = rig.stats();
    assert_eq!((stats.posts, stats.refused, stats.accepted), (3, 2, 1));
}

#[test]
fn a_share_of_the_posts_is_refused_and_the_same_ones_under_the_same_seed() {
    let refused = |seed: &str| {
        let rig = Rig::new(&["--refuse", "503:50%", "--seed", seed]);
        (1..=30).map(|n| rig.post(&source(n)).status == 503).collect::<Vec<_>>()
    };
    let first = refused("7");
    let count = first.iter().filter(|refused| **refused).count();
    assert!((5..=25).contains(&count), "{count} of 30 at 50 %");
    assert_eq!(first, refused("7"));
    assert_ne!(first, refused("8"));
}

#[test]
fn capacity_refuses_while_full() {
    let rig = Rig::new(&["--capacity", "2", "--hang", "whisper:1,2"]);
    rig.submit(1);
    rig.submit(2);
    let full = rig.post(&source(3));
    assert_eq!((full.status, full.header("retry-after")), (503, Some("1")));
    assert_eq!(rig.stats().peak_unfinished, 2);
    let roomy = Rig::new(&["--capacity", "1"]);
    let first = roomy.submit(1);
    roomy.ended(&first);
    roomy.submit(2);
}

#[test]
fn cut_post_breaks_off_inside_the_body_of_an_accepted_job() {
    let rig = Rig::new(&["--cut-post", "1"]);
    let answer = raw(&rig, &post(&source(1)));
    assert!(answer.starts_with("HTTP/1.1 202 "), "{answer}");
    let (promised, sent) = lengths(&answer);
    assert_eq!(sent, promised / 2);
    assert_eq!(rig.stats().accepted, 1);
    assert_eq!(rig.post(&source(2)).status, 202);
}

#[test]
fn cut_breaks_off_one_polls_body() {
    let rig = Rig::new(&["--cut", "2"]);
    let id = rig.submit(1);
    rig.job(&id);
    let answer = raw(&rig, &format!("GET /jobs/{id} HTTP/1.1\r\nhost: sim\r\n\r\n"));
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let (promised, sent) = lengths(&answer);
    assert_eq!(sent, promised / 2);
    rig.job(&id);
}

#[test]
fn garble_answers_one_poll_with_broken_json() {
    let rig = Rig::new(&["--garble", "1"]);
    let id = rig.submit(1);
    let answer = raw(&rig, &format!("GET /jobs/{id} HTTP/1.1\r\nhost: sim\r\nconnection: close\r\n\r\n"));
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let body = answer.split_once("\r\n\r\n").unwrap().1;
    assert!(serde_json::from_str::<serde_json::Value>(body).is_err(), "{body}");
    rig.job(&id);
}

#[test]
fn poll_status_answers_polls_with_errors() {
    let rig = Rig::new(&["--poll-status", "500:1", "--poll-status", "429:2:3"]);
    let path = format!("/jobs/{}", rig.submit(1));
    let (first, second) = (rig.get(&path), rig.get(&path));
    assert_eq!((first.status, first.header("retry-after")), (500, None));
    assert_eq!((second.status, second.header("retry-after")), (429, Some("3")));
    assert_eq!(rig.get(&path).status, 200);
}

#[test]
fn delay_makes_every_answer_slow() {
    let rig = Rig::new(&["--delay", "300ms"]);
    for path in ["/health", "/jobs/none"] {
        let start = Instant::now();
        rig.get(path);
        assert!(start.elapsed() >= Duration::from_millis(300), "{path}");
    }
    let start = Instant::now();
    rig.submit(1);
    assert!(start.elapsed() >= Duration::from_millis(300));
}

#[test]
fn posts_that_are_open_at_one_time_are_counted() {
    let rig = Rig::new(&["--no-answer", "1,2,3"]);
    let open: Vec<TcpStream> = (1..=3)
        .map(|n| {
            let mut stream = TcpStream::connect(rig.sim.url().trim_start_matches("http://")).unwrap();
            stream.write_all(post(&source(n)).as_bytes()).unwrap();
            stream
        })
        .collect();
    until(|| (rig.stats().posts == 3).then_some(()));
    assert_eq!(rig.stats().peak_posts, 3);
    drop(open);
}

#[test]
fn die_after_answers_the_nth_job_and_is_gone() {
    let rig = Rig::new(&["--die-after", "2"]);
    let mut idle = TcpStream::connect(rig.sim.url().trim_start_matches("http://")).unwrap();
    let first = rig.submit(1);
    rig.job(&first);
    rig.submit(2);
    // A connection that was idle is closed too, and nobody listens any more.
    idle.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    assert!(!matches!(idle.read(&mut [0; 1]), Ok(1..)));
    until(|| rig.try_get(&format!("/jobs/{first}")).is_err().then_some(()));
    assert!(TcpStream::connect(rig.sim.url().trim_start_matches("http://")).is_err());
    until(|| (rig.stats().done == 2).then_some(()));
}

#[test]
fn unhealthy_says_so() {
    let answer = Rig::new(&["--unhealthy"]).get("/health");
    assert_eq!((answer.status, answer.json()), (503, json!({"status": "unavailable"})));
}

#[test]
fn status_words_are_spelt_as_asked() {
    let rig = Rig::new(&["--status-word", "done=completed", "--status-word", "queued=waiting"]);
    let answer = rig.post(&source(1));
    assert_eq!(answer.text("/status"), "waiting");
    let job = rig.until(&answer.text("/job_id"), |job| job["status"] == "completed");
    assert_eq!(job["stage_states"]["l2"]["state"], "completed");
    assert_eq!(rig.stats().jobs[0].status, "done");
}

#[test]
fn the_clock_can_be_wrong_everywhere() {
    let rig = Rig::new(&["--clock-offset", "-1h"]);
    let around = |at: DateTime<Utc>| {
        let back = Utc::now() - at;
        assert!(back >= TimeDelta::minutes(59) && back < TimeDelta::minutes(61), "{back}");
    };
    let date = rig.get("/health").header("date").unwrap().replace("GMT", "+0000");
    around(DateTime::parse_from_rfc2822(&date).unwrap().to_utc());
    let job = rig.ended(&rig.submit(1));
    around(job["created_at"].as_str().unwrap().parse().unwrap());
    let log = rig.log("autorag-gpu-worker");
    around(chrono::NaiveDateTime::parse_from_str(&log[..23], "%Y-%m-%d %H:%M:%S,%3f").unwrap().and_utc());
}
