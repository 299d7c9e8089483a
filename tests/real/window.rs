//! A window longer than Prometheus answers at once, over backfilled blocks.

use std::fmt::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::shell::{Shell, records};
use crate::stack::Prometheus;

const HOURS: u64 = 30;
const STEP: u64 = 5;
/// Both ends included; Prometheus gives 11,000 at once.
const POINTS: u64 = HOURS * 3600 / STEP + 1;
/// Samples lie this many steps beyond both ends of the window too.
const BEYOND: u64 = 12;

/// A series for each of the profile's queries, by the query's name.
const SERIES: [(&str, &str); 10] = [
    ("stage_duration_bucket", r#"autorag_stage_duration_seconds_bucket{le="2.5",stage="l2"}"#),
    ("stage_duration_count", r#"autorag_stage_duration_seconds_count{stage="l2"}"#),
    ("stage_duration_sum", r#"autorag_stage_duration_seconds_sum{stage="l2"}"#),
    ("queue_wait_bucket", r#"autorag_queue_wait_seconds_bucket{le="2.5",stage="l2"}"#),
    ("queue_wait_count", r#"autorag_queue_wait_seconds_count{stage="l2"}"#),
    ("queue_wait_sum", r#"autorag_queue_wait_seconds_sum{stage="l2"}"#),
    ("gpu_tenancy_bucket", r#"autorag_gpu_tenancy_seconds_bucket{le="2.5",tenant="llm"}"#),
    ("gpu_tenancy_transitions", r#"autorag_gpu_tenancy_transitions_total{from="none",to="llm"}"#),
    ("jobs_completed", r#"autorag_jobs_completed_total{status="done"}"#),
    ("rabbitmq_queue_ready", r#"rabbitmq_detailed_queue_messages_ready{queue="stage.l2"}"#),
];

/// The value of one series at one step: no other series ever has it, nor this one at another step.
fn value(series: usize, step: u64) -> String {
    (1_000_000 * (series + 1) + usize::try_from(step).unwrap()).to_string()
}

fn openmetrics(first: u64) -> String {
    let mut text = String::new();
    for (index, (_, series)) in SERIES.iter().enumerate() {
        for step in 0..POINTS + 2 * BEYOND {
            writeln!(text, "{series} {} {}", value(index, step), first + step * STEP).unwrap();
        }
    }
    text + "# EOF\n"
}

#[test]
fn thirty_hours_at_five_seconds_are_captured_whole() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    // On the grid, so that each point has a sample of its own; and over, so that nothing is waited for.
    let end = (now - 3600) / STEP * STEP;
    let start = end - (POINTS - 1) * STEP;
    let prometheus = Prometheus::backfilled(&openmetrics(start - BEYOND * STEP));

    let shell = Shell::new(&[("PROM_URL", &prometheus.url())]);
    let done = shell.run(&format!("capture-prom --start {start} --end {end} --pad 0s --out day < /dev/null"));
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    let records = records(&done.stdout, "Series");
    assert_eq!(records.len(), SERIES.len());
    for record in &records {
        let name = record["metadata"]["name"].as_str().unwrap();
        let index = SERIES.iter().position(|(of, _)| *of == name).unwrap();
        let whole = |step| json!([start + step * STEP, value(index, step + BEYOND)]);
        let expected: Vec<Value> = (0..POINTS).map(whole).collect();

        let status = &record["status"];
        assert_eq!((&status["result"], &status["samples"]), (&"ok".into(), &POINTS.into()), "{record}");
        assert!(status["chunks"].as_array().unwrap().len() >= 2, "more than one answer: {record}");
        // Its Display would be some megabytes.
        assert!(values(&shell, name) == expected, "{name} is not whole");
        let mut raw = values(&shell, &format!("{name}.raw"));
        raw.retain(|point| point[0].as_f64().is_some_and(|time| (start as f64..=end as f64).contains(&time)));
        assert!(raw.iter().map(numbers).eq(expected.iter().map(numbers)), "{name}.raw is not whole");
    }
}

/// The points of the one series in a file of the capture.
fn values(shell: &Shell, name: &str) -> Vec<Value> {
    let envelope = shell.json(format!("day/prometheus/{name}.json"));
    let [series] = envelope["data"]["result"].as_array().unwrap().as_slice() else { panic!("not one series: {name}") };
    series["values"].as_array().unwrap().clone()
}

/// A point by its numbers, however they are spelt.
fn numbers(point: &Value) -> (Option<f64>, Option<f64>) {
    (point[0].as_f64(), point[1].as_str().and_then(|value| value.parse().ok()))
}
