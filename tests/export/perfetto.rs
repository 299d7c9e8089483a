//! The trace for Perfetto: tracks and counters, on the harness's clock.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::run::{Scenario, at, job, unix};
use crate::spans::{otlp_file, with_traces};

fn events(scenario: &Scenario) -> Vec<Value> {
    let ran = scenario.export(&["--as", "perfetto"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let trace: Value = serde_json::from_str(&ran.stdout).unwrap();
    trace["traceEvents"].as_array().unwrap().clone()
}

fn named<'a>(events: &'a [Value], name: &str) -> Vec<&'a Value> {
    events.iter().filter(|event| event["name"] == name).collect()
}

fn micros(seconds: f64) -> i64 {
    at(seconds).parse::<stress_suite::record::Timestamp>().unwrap().micros()
}

#[test]
fn jobs_stages_workers_and_tenants_have_tracks() {
    let tenancy =
        json!({"tenant": "llm", "acquiringAt": at(1.0), "heldAt": at(1.5), "seenAt": at(2.0), "releasedAt": at(2.5)});
    let scenario = with_traces(
        Scenario::new(1).with(job("soak-001", 0.0, 4.0)),
        "worker",
        &otlp_file("worker", 1),
        &json!([tenancy]),
    )
    .write();
    let events = events(&scenario);
    let processes: BTreeSet<&str> =
        named(&events, "process_name").iter().map(|event| event["args"]["name"].as_str().unwrap()).collect();
    for process in
        ["jobs: soak of r", "stages: soak of r", "tenants of the resource: soak of r", "worker worker w-1: soak of r"]
    {
        assert!(processes.contains(process), "{process}: {processes:?}");
    }
    let slices = named(&events, "soak-001");
    let whole = slices.iter().find(|event| event["ph"] == "X").unwrap();
    assert_eq!((whole["ts"].as_i64(), whole["dur"].as_i64()), (Some(micros(0.0)), Some(4_000_000)));
    let pair = |name: &str| {
        let [begin, end] = ["b", "e"].map(|phase| {
            let found = named(&events, name);
            found.into_iter().find(|event| event["ph"] == phase).unwrap().clone()
        });
        assert_eq!((&begin["id"], &begin["cat"], &begin["pid"]), (&end["id"], &end["cat"], &end["pid"]));
        (begin["ts"].as_i64().unwrap() - micros(0.0), end["ts"].as_i64().unwrap() - micros(0.0))
    };
    assert_eq!(pair("l1"), (1_100_000, 4_000_000));
    assert_eq!(pair("llm"), (1_500_000, 2_500_000));
    assert_eq!(pair("work 0"), (1_000_000, 2_000_000));
}

#[test]
fn counters_show_gauges_and_load_but_no_parts_of_histograms() {
    let values =
        |values: &[(f64, &str)]| values.iter().map(|(at, value)| json!([unix(*at), value])).collect::<Vec<_>>();
    let scenario = Scenario::new(1)
        .with(job("soak-001", 0.0, 4.0))
        .with_samples(
            "depth",
            "q",
            &json!([{"metric": {"__name__": "q", "queue": "a"}, "values": values(&[(1.0, "3"), (2.0, "NaN")])}]),
        )
        .with_samples(
            "h",
            "h",
            &json!([{"metric": {"__name__": "h_bucket", "le": "1"}, "values": values(&[(1.0, "3")])}]),
        )
        .write();
    let events = events(&scenario);
    let depth = named(&events, "q queue=a");
    assert_eq!(depth.len(), 1, "a value that is no number has no place in JSON");
    assert_eq!((depth[0]["ts"].as_i64(), &depth[0]["args"]), (Some(micros(1.0)), &json!({"value": 3.0})));
    assert!(!events.iter().any(|event| event["name"].as_str().unwrap().starts_with("h_bucket")));
    let running: Vec<f64> = named(&events, "jobs in flight: running")
        .iter()
        .map(|event| event["args"]["value"].as_f64().unwrap())
        .collect();
    assert!(running.contains(&1.0) && running.last() == Some(&0.0), "{running:?}");
}

#[test]
fn stages_that_overlap_lie_in_threads_of_their_own() {
    let mut parallel = job("soak-001", 0.0, 4.0);
    let second = json!({"name": "l2", "phase": "Done", "timesFrom": "polls", "notStartedAt": at(1.9), "startedAt": at(2.0),
        "notEndedAt": at(3.9), "endedAt": at(3.9)});
    parallel["status"]["stages"].as_array_mut().unwrap().push(second.clone());
    let third = json!({"name": "l3", "phase": "Done", "timesFrom": "polls", "notStartedAt": at(1.9), "startedAt": at(3.0),
        "notEndedAt": at(3.9), "endedAt": at(3.95)});
    parallel["status"]["stages"].as_array_mut().unwrap().push(third);
    let events = events(&Scenario::new(1).with(parallel).write());
    let mut threads: std::collections::BTreeMap<i64, Vec<(i64, i64)>> = std::collections::BTreeMap::new();
    for event in events.iter().filter(|event| event["ph"] == "X") {
        let start = event["ts"].as_i64().unwrap();
        let slice = (start, start + event["dur"].as_i64().unwrap());
        threads.entry(event["tid"].as_i64().unwrap()).or_default().push(slice);
    }
    assert!(threads.len() > 1, "{threads:?}");
    for slices in threads.values() {
        for (one, other) in slices.iter().flat_map(|one| slices.iter().map(move |other| (one, other))) {
            let apart = one.1 <= other.0 || other.1 <= one.0;
            let nested = (one.0 <= other.0 && other.1 <= one.1) || (other.0 <= one.0 && one.1 <= other.1);
            assert!(apart || nested, "{one:?} {other:?}");
        }
    }
}
