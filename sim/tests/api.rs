//! The job API of a healthy stand-in.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use common::{Rig, source};
use serde_json::json;

const STAGES: [&str; 8] = ["whisper", "l1", "decide", "summarize_l1", "l2", "summarize_l2", "l0", "persist"];

#[test]
fn health_is_ok_dated_and_tells_the_setting() {
    let answer = Rig::new(&["--num-parallel", "4"]).get("/health");
    assert_eq!((answer.status, answer.json()), (200, json!({"status": "ok", "num_parallel": 4})));
    assert!(answer.header("date").is_some_and(|date| date.ends_with(" GMT")));
}

#[test]
fn a_job_goes_through_every_stage() {
    let rig = Rig::new(&[]);
    let answer = rig.post(&source(1));
    assert_eq!((answer.status, answer.text("/status").as_str()), (202, "queued"));
    let id = answer.text("/job_id");
    assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");

    let job = rig.ended(&id);
    assert_eq!(job["status"], "done", "{job}");
    assert_eq!(
        (&job["job_id"], &job["source"], &job["error"]),
        (&json!(id), &json!("/data/fixtures/1.webm"), &json!(null))
    );
    let stages = job["stage_states"].as_object().unwrap();
    let mut names: Vec<&str> = stages.keys().map(String::as_str).collect();
    names.sort_unstable();
    let mut expected = STAGES;
    expected.sort_unstable();
    assert_eq!(names, expected);
    for (name, stage) in stages {
        assert_eq!((&stage["state"], &stage["attempt"]), (&json!("done"), &json!(1)), "{name}");
        let times = ["queued_at", "started_at", "finished_at"].map(|key| stage[key].as_str().unwrap());
        assert!(times.is_sorted(), "{name}: {times:?}");
        assert!(times.iter().all(|time| time.len() == 27 && time.ends_with('Z')), "{name}: {times:?}");
    }
    let at = |stage: &str, key: &str| stages[stage][key].as_str().unwrap();
    for (before, after) in [
        ("whisper", "l1"),
        ("l1", "decide"),
        ("decide", "l2"),
        ("summarize_l1", "l0"),
        ("summarize_l2", "l0"),
        ("l0", "persist"),
    ] {
        assert!(at(before, "finished_at") <= at(after, "queued_at"), "{before} before {after}: {job}");
    }
    let times = ["created_at", "started_at", "finished_at"].map(|key| job[key].as_str().unwrap());
    assert!(times.is_sorted(), "{times:?}");
}

#[test]
fn stages_can_be_plain_words() {
    let rig = Rig::new(&["--stage-shape", "string"]);
    let job = rig.ended(&rig.submit(1));
    assert_eq!((&job["stage_states"]["whisper"], &job["stage_states"]["persist"]), (&json!("done"), &json!("done")));
}

#[test]
fn what_is_not_there_is_404_in_fastapis_words() {
    let rig = Rig::new(&[]);
    let unknown = rig.get("/jobs/0123456789abcdef");
    assert_eq!((unknown.status, unknown.json()), (404, json!({"detail": "job not found"})));
    assert_eq!(rig.get("/jobs/0123456789abcdef/result").status, 404);
    assert_eq!(rig.get("/nowhere").json(), json!({"detail": "Not Found"}));
    assert_eq!(rig.get("/jobs/x/y/z").status, 404);
    let wrong = rig.agent.delete(format!("{}/health", rig.sim.url())).call().unwrap();
    assert_eq!(wrong.status(), 405);
}

#[test]
fn malformed_bodies_are_422_with_a_list_of_details() {
    let rig = Rig::new(&[]);
    for (body, kind) in [
        ("", "json_invalid"),
        ("{", "json_invalid"),
        ("{}", "missing"),
        ("[]", "missing"),
        (r#"{"source": 5}"#, "string_type"),
    ] {
        let answer = rig.post(body);
        assert_eq!(answer.status, 422, "{body}");
        assert_eq!(answer.text("/detail/0/type"), kind, "{body}");
    }
    assert_eq!((rig.stats().invalid, rig.stats().accepted), (5, 0));
}

#[test]
fn a_source_must_be_a_file_under_the_data_root() {
    let rig = Rig::new(&[]);
    std::fs::write(rig.data().join("top.webm"), b"x").unwrap();
    for (source, status) in [
        ("/data/top.webm", 202),
        ("/data/fixtures/99.webm", 404),
        ("/data/fixtures", 404),
        ("/data/fixtures/../top.webm", 422),
        ("/data/../etc/passwd", 422),
        ("/elsewhere/top.webm", 422),
    ] {
        let answer = rig.post(&format!(r#"{{"source": "{source}"}}"#));
        assert_eq!(answer.status, status, "{source}: {}", answer.body);
    }
    assert_eq!(rig.stats().accepted, 1);
}

#[test]
fn a_result_is_409_until_the_job_is_done() {
    let rig = Rig::new(&["--hang", "l2:2"]);
    let (first, second) = (rig.submit(1), rig.submit(2));
    rig.ended(&first);
    let row = rig.get(&format!("/jobs/{first}/result"));
    assert_eq!((row.status, row.text("/job_id")), (200, first));
    let early = rig.get(&format!("/jobs/{second}/result"));
    assert_eq!((early.status, early.json()), (409, json!({"detail": "job is not done"})));
}

#[test]
fn a_repeated_source_collapses_while_its_job_is_unfinished() {
    let rig = Rig::new(&["--hang", "whisper:1"]);
    let first = rig.submit(1);
    assert_eq!(rig.submit(1), first);
    let second = rig.submit(2);
    assert_eq!(rig.ended(&second)["status"], "done");
    assert_ne!(rig.submit(2), second);
    let stats = rig.stats();
    assert_eq!((stats.accepted, stats.collapsed), (3, 1));
    assert_eq!(stats.jobs[1].session_id, stats.jobs[2].session_id);
    assert_ne!(stats.jobs[0].session_id, stats.jobs[1].session_id);
}

#[test]
fn an_idempotency_key_makes_one_job_even_after_its_end() {
    let rig = Rig::new(&[]);
    let key = [("Idempotency-Key", "run/soak-001")];
    let first = rig.try_post(&source(1), &key).unwrap().text("/job_id");
    rig.ended(&first);
    let again = rig.try_post(&source(1), &key).unwrap();
    assert_eq!((again.status, again.text("/job_id")), (202, first));
    let stats = rig.stats();
    assert_eq!((stats.accepted, stats.repeated), (1, 1));
    assert_eq!(stats.jobs[0].idempotency_key.as_deref(), Some("run/soak-001"));
}

#[test]
fn the_trace_of_the_post_is_the_trace_of_the_job() {
    let rig = Rig::new(&[]);
    let header = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    rig.try_post(&source(1), &[("traceparent", header)]).unwrap();
    assert_eq!(rig.stats().jobs[0].trace_id.as_deref(), Some("0af7651916cd43dd8448eb211c80319c"));
}

#[test]
fn connections_are_kept_alive_and_polls_are_counted() {
    let rig = Rig::new(&[]);
    let id = rig.submit(1);
    for _ in 0..20 {
        rig.job(&id);
    }
    let stats = rig.stats();
    assert_eq!((stats.connections, stats.polls, stats.jobs[0].polls), (1, 20, 20));
}

#[test]
fn one_seed_gives_one_sequence_of_ids() {
    let ids = |seed: &str| {
        let rig = Rig::new(&["--seed", seed]);
        [rig.submit(1), rig.submit(2)]
    };
    assert_eq!(ids("7"), ids("7"));
    assert_ne!(ids("7"), ids("8"));
    let [first, second] = ids("7");
    assert_ne!(first, second);
}

#[test]
fn a_taken_address_is_an_error_that_names_it() {
    let rig = Rig::new(&[]);
    let address = rig.sim.url().trim_start_matches("http://").to_owned();
    let options = pipeline_sim::Options { listen: Some(address.parse().unwrap()), ..Default::default() };
    let error = pipeline_sim::Sim::start(options).unwrap_err();
    assert!(error.to_string().starts_with(&format!("listening on {address}: ")), "{error}");
}

#[test]
fn dropping_it_stops_it_and_removes_its_private_logs() {
    let rig = Rig::new(&[]);
    let (url, logs) = (rig.sim.url(), rig.sim.logs().to_owned());
    assert!(logs.join("autorag-gpu-worker.log").is_file());
    drop(rig);
    assert!(!logs.exists());
    assert!(common::agent(common::PATIENCE).get(format!("{url}/health")).call().is_err());
}
