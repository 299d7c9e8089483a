//! Counters that a real server and real scrapes make hard to read: worker processes that count by themselves behind one
//! address, and a pair of Prometheus servers that scrape the same target.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};

use crate::shell::{Shell, records};
use crate::stack::{Gunicorn, Prometheus};

const COUNTER: &str = "autorag_gpu_tenancy_transitions_total";

/// Captures the window of one job that ran between these times, and returns the Report and the Series of the counter.
fn captured(prometheus: &Prometheus, start: DateTime<Utc>, end: DateTime<Utc>) -> (Value, Value) {
    let time = |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::Micros, true);
    let run = json!({"apiVersion": "stress/v1", "kind": "Run", "metadata": {"name": "soak", "run": "r"},
        "spec": {"scenario": "soak", "prefix": "soak", "jobs": 1}});
    let job = json!({"apiVersion": "stress/v1", "kind": "Job", "metadata": {"name": "soak-001", "run": "r"},
        "spec": {"source": "/data/1.webm"},
        "status": {"phase": "Succeeded", "jobId": "j", "submittedAt": time(start), "acceptedAt": time(start),
            "endedAt": time(end)}});
    let shell = Shell::new(&[("PROM_URL", &prometheus.url())]);
    std::fs::write(shell.path("in.ndjson"), format!("{run}\n{job}\n")).unwrap();
    let done = shell.run(
        "capture-prom --out out --pad 1s --settle 2s < in.ndjson \
         | render-report --out out --expect 'all-done,gpu.transitions<1000' > report.txt || true",
    );
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    let stream = shell.read("out/records.ndjson");
    let series = records(&stream, "Series");
    let counter = series.into_iter().find(|record| record["metadata"]["name"] == "gpu_tenancy_transitions").unwrap();
    (shell.json("out/report.json")["status"].clone(), counter)
}

/// The criterion on the counter, and the doubts in one text.
fn judged(report: &Value) -> (&Value, String) {
    let criteria = report["criteria"].as_array().unwrap();
    let transitions = criteria.iter().find(|criterion| criterion["name"] == "gpu.transitions<1000").unwrap();
    (transitions, report["doubts"].to_string())
}

#[test]
fn counters_of_several_processes_behind_one_address_make_no_figure() {
    let gunicorn = Gunicorn::start(4);
    let mut prometheus = Prometheus::start(&[gunicorn.scraped()]);
    prometheus.until_up(&["workers"]);
    let start = Utc::now();
    // A fall is seen whenever a scrape is answered by a process that has counted less than the one before.
    prometheus.until_result(&format!("resets({COUNTER}[60s])"), |result| {
        gunicorn.work();
        let resets = result.first().and_then(|series| series["value"][1].as_str()?.parse::<f64>().ok());
        resets.is_some_and(|resets| resets >= 5.0)
    });
    let (report, counter) = captured(&prometheus, start, Utc::now());
    assert_eq!(counter["status"]["result"], "ok", "{counter}");
    let (criterion, doubts) = judged(&report);
    assert_eq!(criterion["verdict"], "Incomplete", "{report:#}");
    assert!(report["figures"].get("gpu.transitions").is_none(), "{report:#}");
    assert!(doubts.contains("several processes") && doubts.contains("gpu_tenancy_transitions"), "{doubts}");
    assert!(!doubts.contains("restarted in the window"), "nothing was restarted: {doubts}");
}

#[test]
fn a_pair_of_servers_that_scrape_one_target_counts_once() {
    const EVENTS: usize = 40;
    let gunicorn = Gunicorn::start(1);
    let [mut first, mut second] = [(); 2].map(|()| Prometheus::start(&[gunicorn.scraped()]));
    first.until_up(&["workers"]);
    second.until_up(&["workers"]);
    let mut both = Prometheus::federating(&[&first, &second], "workers");
    let value = |series: &Value| series["value"][1].as_str().unwrap().parse::<f64>().unwrap();
    let mut before = 0.0;
    both.until_result(COUNTER, |result| {
        before = result.first().map_or(0.0, value);
        result.len() == 2
    });
    let start = Utc::now();
    (0..EVENTS).for_each(|_| gunicorn.work());
    both.until_result(COUNTER, |result| {
        result.len() == 2 && result.iter().all(|series| value(series) >= before + EVENTS as f64)
    });
    let (report, counter) = captured(&both, start, Utc::now());
    assert_eq!(counter["status"]["series"], 2, "{counter}");
    let (criterion, doubts) = judged(&report);
    // No sample of the pair lies before the window, so what the counter showed at first may count as well; twice as many
    // would be the pair added up.
    let transitions = report["figures"]["gpu.transitions"].as_f64().unwrap();
    assert!((EVENTS as f64..=before + EVENTS as f64).contains(&transitions), "{transitions}: {report:#}");
    assert_eq!(criterion["verdict"], "Passed", "{report:#}");
    assert!(doubts.contains("replica"), "{doubts}");
}
