//! The job that an answer is about: answers about other jobs are no evidence.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use serde_json::json;

use crate::odd_polls::{follow, target, text};
use crate::profiles::{Rig, job};
use crate::server::Reply;

/// A queue item becomes a build.
const QUEUE: &str = r#"
    [submit]
    path = "/queue"
    id = ["/id"]
    [poll]
    path = "/{id:path}"
    next = ["/build"]
    status = ["/state"]
    words = { waiting = ["queued"], running = ["running"], done = ["done"] }
    [[steps]]
    name = "cancel"
    when = "cancel"
    method = "POST"
    path = "/{id:path}/cancel"
"#;

/// A target whose queue item q1 becomes the build b1, with `build` as the answer to polls of that.
fn queue(profile: &str, build: &'static str) -> Rig {
    let polls = AtomicUsize::new(0);
    Rig::new(profile, move |request| match (request.method.as_str(), request.path.as_str()) {
        ("POST", "/queue") => Reply::new(201, r#"{"id":"q1"}"#),
        ("POST", _) => Reply::new(204, ""),
        // Another job's item does not lead to its build.
        (_, "/q1") if polls.fetch_add(1, SeqCst) == 0 => Reply::json(r#"{"id":"q9","state":"queued","build":"b9"}"#),
        (_, "/q1") => Reply::json(r#"{"id":"q1","state":"queued","build":"b1"}"#),
        (_, "/b1") => Reply::json(build),
        (_, path) => panic!("{path} is not asked for"),
    })
}

#[test]
fn after_a_hop_an_answer_has_the_jobs_id_or_the_one_asked_for() {
    let spelt_out = QUEUE.replace("next =", "id = [\"/id\"]\n    next =");
    for profile in [QUEUE, &spelt_out] {
        for own in [r#"{"id":"b1","state":"done"}"#, r#"{"id":"q1","state":"done"}"#, r#"{"state":"done"}"#] {
            let status = queue(profile, own).run();
            assert_eq!((&status["phase"], &status["nextId"]), (&json!("Succeeded"), &json!("b1")), "{own}: {status}");
        }
        for foreign in [r#"{"id":"b9","state":"done"}"#, r#"{"id":["b1"],"state":"done"}"#] {
            let rig = queue(profile, foreign);
            let submitted = rig.submit(&job(&json!({}))).stdout;
            let ran = rig.poll(&submitted, &["--deadline", "300ms", "--cancel-on", "timedout"]);
            let status = &ran.last("j")["status"];
            assert_eq!((&status["phase"], &status["reason"]), (&json!("TimedOut"), &json!("OtherJob")), "{status}");
            assert_eq!(status["cancel"], "answered", "another job's end confirms nothing: {status}");
        }
    }
}

#[test]
fn an_id_that_is_neither_a_text_nor_a_number_is_no_id_of_the_job() {
    for id in [r#"["j-1"]"#, r#"{"$oid":"j-1"}"#, "true"] {
        let target = target(move |_, _| Reply::json(format!(r#"{{"job_id":{id},"status":"done"}}"#)));
        let (ran, status) = follow(&target, &["--deadline", "300ms"]);
        assert_eq!((text(&status, "phase"), text(&status, "reason")), ("TimedOut", "OtherJob"), "{status}");
        assert!(ran.stderr.contains(&format!("{id}, which is neither a text nor a number")), "{}", ran.stderr);
    }
}
