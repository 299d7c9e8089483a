//! Samples as text: each at the time of its scrape, and the harness's own beside them.

use std::fs;

use serde_json::json;

use crate::run::{Scenario, at, export, job, unix};

const OPENMETRICS: [&str; 2] = ["--as", "openmetrics"];

/// The lines that begin with `head`, as value and time.
fn samples(text: &str, head: &str) -> Vec<(String, f64)> {
    let rest = text.lines().filter_map(|line| line.strip_prefix(head)?.strip_prefix(' '));
    rest.map(|rest| {
        let (value, time) = rest.split_once(' ').unwrap();
        (value.to_owned(), ((time.parse::<f64>().unwrap() - unix(0.0)) * 1e3).round() / 1e3)
    })
    .collect()
}

#[test]
fn samples_keep_their_times_their_spelling_and_their_labels() {
    let (first, second) = (unix(0.024), unix(1.023));
    let scenario = Scenario::new(1)
        .with_samples(
            "up",
            "up",
            &json!([{"metric": {"__name__": "up", "job": "a\"b\\c\nd", "run": "mine"},
                "values": [[first, "1e3"], [second, "+Inf"]]}]),
        )
        .write();
    let ran = scenario.export(&OPENMETRICS);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let head = r#"up{exported_run="mine",job="a\"b\\c\nd",run="r",scenario="soak"}"#;
    let lines: Vec<&str> = ran.stdout.lines().filter(|line| line.starts_with("up{")).collect();
    assert_eq!(lines, [format!("{head} 1e3 {first:.3}"), format!("{head} +Inf {second:.3}")]);
    assert!(ran.stdout.ends_with("\n# EOF\n") && ran.stdout.matches("# EOF").count() == 1);
}

#[test]
fn a_sample_that_two_queries_found_is_written_once() {
    let series = |values: &[f64]| {
        let values: Vec<_> = values.iter().map(|at| json!([unix(*at), at.to_string()])).collect();
        json!([{"metric": {"__name__": "x", "a": "b"}, "values": values}])
    };
    let scenario = Scenario::new(1)
        .with_samples("one", "x", &series(&[1.0, 2.0, 3.0]))
        .with_samples("two", "{a=\"b\"}", &series(&[2.0, 3.0, 4.0]))
        .write();
    let ran = scenario.export(&OPENMETRICS);
    let times: Vec<f64> =
        samples(&ran.stdout, r#"x{a="b",run="r",scenario="soak"}"#).into_iter().map(|s| s.1).collect();
    assert_eq!(times, [1.0, 2.0, 3.0, 4.0]);
}

#[test]
fn the_harness_shows_load_ends_and_durations() {
    let scenario = Scenario::new(3).with(job("soak-001", 0.0, 4.0)).with(job("soak-002", 1.0, 9.0)).write();
    let ran = scenario.export(&OPENMETRICS);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let labels = r#"run="r",scenario="soak"}"#;
    let changes = |head: &str| {
        let mut changes = samples(&ran.stdout, &format!("{head}{labels}"));
        assert!(changes.is_sorted_by(|one, other| one.1 < other.1), "{head}: {changes:?}");
        changes.dedup_by(|one, other| one.0 == other.0);
        changes
    };
    let known =
        |values: &[(&str, f64)]| values.iter().map(|(value, at)| ((*value).to_owned(), *at)).collect::<Vec<_>>();
    // Every series is at zero one interval before the window, so that a counter's first step counts.
    let running = changes(r#"stress_jobs_in_flight{phase="running","#);
    assert_eq!(running, known(&[("0", -1.0), ("1", 1.1), ("2", 2.1), ("1", 4.0), ("0", 10.0)]));
    let waiting = changes(r#"stress_jobs_in_flight{phase="waiting","#);
    // The second job begins to wait in the moment in which the first one ends to, so the gauge stays at one.
    assert_eq!(waiting, known(&[("0", -1.0), ("1", 0.1), ("0", 2.1)]));
    assert_eq!(changes("stress_jobs_submitted_total{"), known(&[("0", -1.0), ("1", 0.0), ("2", 1.0)]));
    let ended = changes(r#"stress_jobs_ended_total{outcome="Succeeded","#);
    assert_eq!(ended, known(&[("0", -1.0), ("1", 4.0), ("2", 10.0)]));
    assert_eq!(changes(r#"stress_jobs{outcome="Missing","#).last().unwrap().0, "1");
    let total = |name: &str| samples(&ran.stdout, &format!("{name}{labels}")).last().unwrap().0.parse::<f64>().unwrap();
    assert!((total("stress_job_end_to_end_seconds_sum{") - 13.0).abs() < 1e-9);
    assert_eq!(total(r#"stress_job_end_to_end_seconds_bucket{le="5","#), 1.0);
    assert_eq!(total(r#"stress_job_end_to_end_seconds_bucket{le="+Inf","#), 2.0);
    assert_eq!(total(r#"stress_stage_work_seconds_count{stage="l1","#), 2.0);
    assert!((total(r#"stress_stage_work_seconds_sum{stage="l1","#) - (2.9 + 7.9)).abs() < 1e-9);
}

#[test]
fn what_the_format_cannot_carry_is_named() {
    let histogram = json!({"metric": {"__name__": "h"}, "histograms": [[unix(1.0), {"count": "1", "sum": "2"}]]});
    let values = |times: &[f64]| times.iter().map(|at| json!([unix(*at), "1"])).collect::<Vec<_>>();
    let scenario = Scenario::new(1)
        .with_samples("native", "h", &json!([histogram]))
        .with_samples(
            "gauges",
            "{__name__=~\"g.*\"}",
            &json!([
                {"metric": {"__name__": "g1"}, "values": values(&[0.0, 1.0, 2.0])},
                {"metric": {"__name__": "g2"}, "values": values(&[0.0, 1.0, 2.0, 3.0, 4.0, 7.0, 8.0, 9.0])},
                {"metric": {"__name__": "g.3", "a.b": "c"}, "values": values(&[8.0, 9.0])},
            ]),
        )
        .with(json!({"apiVersion": "stress/v1", "kind": "Series", "metadata": {"name": "none", "run": "r"},
            "spec": {"query": "none"}, "status": {"result": "empty"}}))
        .with_file("prometheus/p95.json", &json!({"status": "success", "data": {"resultType": "matrix", "result": [
            {"metric": {}, "values": values(&[1.0])}]}}))
        .with(json!({"apiVersion": "stress/v1", "kind": "Series", "metadata": {"name": "p95", "run": "r"},
            "spec": {"query": "histogram_quantile(0.95, x)"}, "status": {"result": "ok", "file": "prometheus/p95.json"}}))
        .write();
    let ran = scenario.export(&OPENMETRICS);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    for line in [
        "queries without captured data are left out: none",
        "exported as query:NAME: p95",
        "native histograms, which these formats cannot carry, are left out: 1 of native",
        "series that ended before the capture did; without staleness markers, a replay shows them for one lookback longer: 1 of gauges",
        "series with missed scrapes; a replay bridges gaps up to its lookback: 1 of gauges",
        "exported with underscores: a.b, g.3",
    ] {
        assert!(ran.stderr.lines().any(|said| said.ends_with(line)), "{line}\n{}", ran.stderr);
    }
    assert!(ran.stdout.contains("\nquery:p95{run=\"r\",scenario=\"soak\"} 1 "), "{}", ran.stdout);
    assert!(ran.stdout.contains("\ng_3{a_b=\"c\",run=\"r\",scenario=\"soak\"} 1 "), "{}", ran.stdout);
}

#[test]
fn aligned_scenarios_begin_together() {
    let first = Scenario::new(1).with(job("soak-001", 0.0, 4.0)).write();
    let second = Scenario::new(1).with(job("soak-001", 500.0, 4.0)).write();
    let path = second.directory.join("records.ndjson");
    fs::write(&path, fs::read_to_string(&path).unwrap().replace("\"run\":\"r\"", "\"run\":\"s\"")).unwrap();
    let directories = [first.directory.as_path(), second.directory.as_path()];
    let submitted = |argv: &[&str]| {
        let ran = export(&directories, &[&OPENMETRICS[..], argv].concat());
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        ["r", "s"].map(|run| {
            let head = format!("stress_jobs_submitted_total{{run=\"{run}\",scenario=\"soak\"}}");
            samples(&ran.stdout, &head).into_iter().find(|(value, _)| value == "1").unwrap().1
        })
    };
    assert_eq!(submitted(&[]), [0.0, 500.0]);
    assert_eq!(submitted(&["--align"]), [0.0, 0.0]);
}

#[test]
fn the_last_word_on_a_job_counts_wherever_it_stands() {
    let submitted = |observed: f64| {
        json!({"apiVersion": "stress/v1", "kind": "Job", "metadata": {"name": "soak-001", "run": "r"}, "spec": {},
            "status": {"phase": "Submitted", "submittedAt": at(0.0), "observedAt": at(observed)}})
    };
    let scenario = Scenario::new(1).with(submitted(0.1)).with(job("soak-001", 0.0, 4.0)).with(submitted(99.0)).write();
    let ran = scenario.export(&["--as", "csv", "--table", "jobs"]);
    let phases: Vec<&str> = ran.stdout.lines().skip(1).map(|line| line.split(',').nth(5).unwrap()).collect();
    assert_eq!(phases, ["Succeeded"], "{}", ran.stdout);
}

#[test]
fn samples_that_would_be_lost_or_would_be_in_the_way_are_left_out_and_counted() {
    let series = |metric: &serde_json::Value, values: &[(f64, &str)]| {
        let values: Vec<_> = values.iter().map(|(at, value)| json!([unix(*at), value])).collect();
        json!({"metric": metric, "values": values})
    };
    let double = json!({"__name__": "double"});
    let scenario = Scenario::new(1)
        .with(job("soak-001", 0.0, 4.0))
        .with_samples("double", "double", &json!([series(&double, &[(1.0, "1"), (1.0, "2"), (2.0, "3"), (1.5, "4")])]))
        .with_samples(
            "far",
            "far",
            &json!([series(&json!({"__name__": "far"}), &[(-9e9, "1"), (1.0, "2"), (9e9, "3")])]),
        )
        .with_samples(
            "same",
            "same",
            &json!([
                series(&json!({"__name__": "same", "a.b": "1"}), &[(1.0, "1")]),
                series(&json!({"__name__": "same", "a-b": "1"}), &[(1.0, "2"), (2.0, "3")]),
            ]),
        )
        .with_samples("odd", "odd", &json!([series(&json!({"__name__": "odd"}), &[(1.0, "+nan"), (2.0, "-Inf")])]))
        .write();
    let ran = scenario.export(&OPENMETRICS);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let found =
        |name: &str, labels: &str| samples(&ran.stdout, &format!(r#"{name}{{{labels}run="r",scenario="soak"}}"#));
    let expected =
        |values: &[(&str, f64)]| values.iter().map(|(value, at)| ((*value).to_owned(), *at)).collect::<Vec<_>>();
    assert_eq!(found("double", ""), expected(&[("1", 1.0), ("3", 2.0)]));
    assert_eq!(found("far", ""), expected(&[("2", 1.0)]));
    assert_eq!(found("same", r#"a_b="1","#), expected(&[("1", 1.0)]));
    assert_eq!(found("odd", ""), expected(&[("NaN", 1.0), ("-Inf", 2.0)]));
    for said in [
        "samples whose time is not later than that of the sample before are left out: 2 of double",
        "samples outside the captured window are left out: 2 of far",
        "series whose exported labels equal those of another series are left out: 1 of same",
    ] {
        assert!(ran.stderr.contains(said), "{said}: {}", ran.stderr);
    }
}

#[test]
fn a_run_without_captures_says_so() {
    let scenario = Scenario::new(1).with(job("soak-001", 0.0, 4.0)).write();
    let ran = scenario.export(&OPENMETRICS);
    assert!(ran.code == 0 && ran.stderr.contains("no metrics were captured"), "{}", ran.stderr);
    let ran = scenario.export(&["--as", "otlp"]);
    assert!(ran.code == 0 && ran.stderr.contains("no traces were captured"), "{}", ran.stderr);
}
