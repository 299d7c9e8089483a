//! Dashboards, links and the summary for scripts.

use std::fs;

use serde_json::{Value, json};

use crate::run::{Scenario, job, unix};

fn scenario() -> Scenario {
    let values =
        |values: &[(f64, &str)]| values.iter().map(|(at, value)| json!([unix(*at), value])).collect::<Vec<_>>();
    let scenario = Scenario::new(1).with(job("soak-001", 0.0, 4.0)).with_samples(
        "depth",
        "{__name__=~\"q.*\"}",
        &json!([{"metric": {"__name__": "q_ready", "queue": "a"}, "values": values(&[(0.0, "3"), (0.5, "2"), (1.0, "1")])}]),
    );
    scenario.write()
}

#[test]
fn grafana_gets_a_dashboard_and_its_provisioning() {
    let scenario = scenario();
    let out = scenario.root.path().join("grafana");
    let ran = scenario.export(&["--as", "grafana", "--out", out.to_str().unwrap()]);
    assert_eq!((ran.code, ran.stdout.as_str()), (0, ""), "{}", ran.stderr);
    let read = |name: &str| serde_json::from_str::<Value>(&fs::read_to_string(out.join(name)).unwrap()).unwrap();
    let dashboard = read("dashboards/stress-suite.json");
    let panels = dashboard["panels"].as_array().unwrap();
    let titles: Vec<&str> = panels.iter().map(|panel| panel["title"].as_str().unwrap()).collect();
    assert!(titles.contains(&"Jobs in flight") && titles.contains(&"Depth"), "{titles:?}");
    let names: Vec<&Value> =
        dashboard["templating"]["list"].as_array().unwrap().iter().map(|variable| &variable["name"]).collect();
    assert_eq!(names, ["datasource", "run"]);
    for panel in panels.iter().filter(|panel| panel["type"] != "row") {
        for target in panel["targets"].as_array().unwrap() {
            assert!(target["expr"].as_str().unwrap().contains("run=~\"$run\""), "{target}");
        }
    }
    let places: Vec<(u64, u64, u64, u64)> = panels
        .iter()
        .map(|panel| ["x", "y", "w", "h"].map(|part| panel["gridPos"][part].as_u64().unwrap()).into())
        .collect();
    for (index, (x, y, w, h)) in places.iter().enumerate() {
        let overlaps =
            |(a, b, c, d): &(u64, u64, u64, u64)| a < &(x + w) && x < &(a + c) && b < &(y + h) && y < &(b + d);
        assert!(!places[index + 1..].iter().any(overlaps), "two panels share a place: {places:?}");
    }
    assert_eq!(
        read("provisioning/datasources/stress-suite.yaml")["datasources"][0]["jsonData"]["timeInterval"],
        "500ms"
    );
    assert_eq!(read("provisioning/dashboards/stress-suite.yaml")["providers"][0]["type"], "file");
}

#[test]
fn vmui_gets_the_same_panels() {
    let scenario = scenario();
    let out = scenario.root.path().join("vmui");
    let ran = scenario.export(&["--as", "vmui", "--out", out.to_str().unwrap()]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let dashboard: Value = serde_json::from_str(&fs::read_to_string(out.join("stress-suite.json")).unwrap()).unwrap();
    let panels: Vec<&Value> =
        dashboard["rows"].as_array().unwrap().iter().flat_map(|row| row["panels"].as_array().unwrap()).collect();
    assert!(panels.iter().any(|panel| panel["expr"] == json!(["max by (queue, run, scenario, level, leg) (q_ready)"])));
    for panel in panels {
        assert_eq!(panel["expr"].as_array().unwrap().len(), panel["alias"].as_array().unwrap().len());
    }
}

#[test]
fn links_have_the_window_and_only_those_that_were_asked_for() {
    let scenario = scenario();
    let ran = scenario.export(&["--as", "links", "--grafana", "http://g:3000/", "--vmui", "http://v"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert_eq!(lines.len(), 2, "{}", ran.stdout);
    // The window is 22:30:00 to 22:30:04, and a scrape interval wider.
    assert!(
        lines[0].ends_with(
            "http://v/vmui/#/dashboards?g0.range_input=5s&g0.end_input=2026-05-20T22%3A30%3A05&g0.relative_time=none"
        ),
        "{}",
        lines[0]
    );
    assert!(
        lines[1].ends_with("http://g:3000/d/stress-suite?from=1779316199500&to=1779316204500&var-run=r"),
        "{}",
        lines[1]
    );
    let none = scenario.export(&["--as", "links"]);
    assert_eq!(none.code, 2);
    assert!(none.stderr.contains("--prometheus-ui"), "{}", none.stderr);
}

#[test]
fn the_summary_tells_a_script_what_it_serves() {
    let ran = scenario().export(&["--as", "summary"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!(ran.stdout.lines().count(), 1);
    let summary: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(summary["scrapeIntervalSeconds"], 0.5);
    assert_eq!(summary["start"], "2026-05-20T22:29:59.500000Z");
    assert_eq!(summary["scenarios"][0]["labels"], json!({"run": "r", "scenario": "soak"}));
}

#[test]
fn a_file_that_cannot_be_read_is_named_and_a_run_without_times_is_refused() {
    let scenario = scenario();
    fs::write(scenario.directory.join("prometheus/depth.raw.json"), "{\"status\":").unwrap();
    let ran = scenario.export(&["--as", "summary"]);
    assert_eq!(ran.code, 74);
    assert!(ran.stderr.contains("prometheus/depth.raw.json: not a whole answer of Prometheus"), "{}", ran.stderr);
    let ran = Scenario::new(1).write().export(&["--as", "links", "--vmui", "http://v"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (2, ""));
    assert!(ran.stderr.contains("nothing was captured"), "{}", ran.stderr);
}
