//! Lists whose entries tell of stages: they count as those of a single job's answers do.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use stress_suite::clock::Clock;
use stress_suite::record::Timestamp;

use crate::lists::{Rig, status};
use crate::server::Reply;

const STAGES: &str = r#"stages = { at = ["/steps"], name = ["/name"], state = ["/state"], words = { waiting = ["queued"], running = ["running"], done = ["done"] } }"#;
const LIST: &str = "path = \"/jobs\"\nat = [\"/jobs\"]\n";

/// A target that lists the jobs x and y. `entry` is given the name and the number of lists before, for the state and the stages.
fn target(entry: impl Fn(&str, usize) -> (&'static str, Option<Value>) + Send + Sync + 'static) -> Rig {
    let lists = AtomicUsize::new(0);
    Rig::new(STAGES, LIST, move |_| {
        let before = lists.fetch_add(1, SeqCst);
        let jobs = ["x", "y"].map(|name| {
            let (state, steps) = entry(name, before);
            let mut job = json!({"id": name, "state": state});
            if let Some(steps) = steps {
                job["steps"] = steps;
            }
            job
        });
        Reply::json(json!({"jobs": jobs}).to_string())
    })
}

fn steps(load: &str, pack: &str) -> Value {
    json!([{"name": "load", "state": load}, {"name": "pack", "state": pack}])
}

fn time(stage: &Value, key: &str) -> Timestamp {
    serde_json::from_value(stage[key].clone()).unwrap_or_else(|error| panic!("{key}: {error}: {stage}"))
}

#[test]
fn a_stage_that_leaves_the_list_keeps_its_last_word_and_the_job_is_flagged() {
    let rig = target(|name, before| match before {
        0..3 => ("running", Some(steps("done", "running"))),
        // The entry of x tells of no pack any more, that of y does.
        _ if name == "x" => ("done", Some(json!([{"name": "load", "state": "done"}]))),
        _ => ("done", Some(steps("done", "done"))),
    });
    let ran = rig.poll(&["x", "y"], &[]);
    let (x, y) = (status(&ran, "x"), status(&ran, "y"));
    assert_eq!((&x["phase"], &x["flags"]), (&json!("Succeeded"), &json!(["VanishedStage"])), "{x}");
    let pack = &x["stages"][1];
    assert_eq!((&pack["phase"], &pack["unlisted"], &pack["endedAt"]), (&json!("Running"), &json!(true), &Value::Null));
    assert_eq!((&y["flags"], &y["stages"][1]["phase"]), (&Value::Null, &json!("Done")), "{y}");
    let pack = &y["stages"][1];
    assert!(time(pack, "notEndedAt") < time(pack, "endedAt"), "{pack}");
}

#[test]
fn lists_without_stages_in_every_second_answer_are_no_evidence_of_any() {
    let times = Arc::new(Mutex::new(Vec::new()));
    let told_at = times.clone();
    let rig = target(move |name, before| {
        if name == "x" {
            told_at.lock().unwrap().push(Clock::system().now());
        }
        let told = match before {
            0..4 => steps("queued", "queued"),
            4..8 => steps("running", "queued"),
            8..12 => steps("done", "running"),
            _ => steps("done", "done"),
        };
        // Every second list lacks the stages.
        (if before < 12 { "running" } else { "done" }, Some(told).filter(|_| before % 2 == 0))
    });
    let ran = rig.poll(&["x", "y"], &[]);
    let told_at = times.lock().unwrap();
    for name in ["x", "y"] {
        let job = status(&ran, name);
        assert_eq!((&job["phase"], &job["flags"]), (&json!("Succeeded"), &Value::Null), "{job}");
        for (stage, event, before) in [(0, "Started", 2), (0, "Ended", 6), (1, "Started", 6), (1, "Ended", 10)] {
            let stage = &job["stages"][stage];
            let not_yet = time(stage, &format!("not{event}At"));
            let seen = time(stage, &format!("{}At", event.to_lowercase()));
            // The change lies between two lists that told of the stages.
            assert!(not_yet <= told_at[before] && told_at[before + 2] <= seen, "{event} {stage}");
        }
    }
}
