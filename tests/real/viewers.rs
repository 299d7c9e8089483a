//! A finished run in the tools of others: a second Jaeger, the replays of Prometheus and VictoriaMetrics with their dashboards in a
//! real browser, and the viewer of `chrome://tracing`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use crate::chromium::Chromium;
use crate::http;
use crate::page::{Page, VIEWS};
use crate::shell::Shell;
use crate::spans;
use crate::stack::{Jaeger, Opened, process::wait_until};
use crate::support::{bin, root};

/// Exports `run` and sends its spans to another Jaeger, which then serves each trace as the captured one does.
pub fn a_second_jaeger_serves_the_same_traces(shell: &Shell, captured: &Jaeger, services: &[&str]) {
    let second = Jaeger::start();
    let sent = shell.run(&format!("export-run run --as otlp --to {}", second.otlp()));
    assert_eq!(sent.code, Some(0), "{}", sent.stderr);
    assert!(sent.stderr.contains(" spans to http://"), "{}", sent.stderr);
    for service in services {
        let held: Vec<Value> = captured.search(service, 1000);
        assert!(!held.is_empty(), "{service}");
        let ids: Vec<String> = held.iter().map(|trace| trace["traceID"].as_str().unwrap().to_owned()).collect();
        let traces = |jaeger: &Jaeger| ids.iter().map(|id| jaeger.trace(id)).collect::<Option<Vec<Value>>>();
        let expected = spans::of(&traces(captured).unwrap());
        // They are taken at once and found a moment later.
        wait_until("the second Jaeger has as many spans", || {
            traces(&second).is_some_and(|traces| spans::of(&traces).len() == expected.len())
        });
        assert_eq!(spans::of(&traces(&second).unwrap()), expected, "{service}");
    }
}

#[test]
fn a_demo_run_opens_in_every_viewer() {
    let Some(mut browser) = Chromium::start() else { return };
    let shell = Shell::new(&[]);
    let made = shell.run(&format!(
        "make -C '{}' demo CARGO=true BIN='{}' OUT=\"$PWD/run\" DATA=\"$PWD/data\" RUN_ID=r1 LEVELS=4 >&2",
        root().display(),
        bin().display()
    ));
    assert_eq!(made.code, Some(0), "{}", made.stderr);
    prometheus_shows_the_dashboard(&shell, &mut browser);
    vmui_shows_the_dashboard(&shell, &mut browser);
    the_tracing_viewer_shows_every_track(&shell, &mut browser);
    arrow_reads_the_tables(&shell);
}

/// The Parquet tables hold what the CSV tables do, as Apache Arrow reads them.
fn arrow_reads_the_tables(shell: &Shell) {
    let place = root().join("stack/parquet");
    let venv = Command::new(root().join("stack/venv")).arg(place.join("requirements.txt")).output().unwrap();
    assert!(venv.status.success(), "stack/venv: {}", String::from_utf8_lossy(&venv.stderr));
    let done = shell.run(&format!(
        "for format in csv parquet; do export-run run --as $format --out tables; done; {} {}/compare.py tables",
        String::from_utf8(venv.stdout).unwrap().trim_end(),
        place.display()
    ));
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    let types = |name: &str| done.stdout.lines().find(|line| line.starts_with(name)).unwrap_or_default().to_owned();
    assert!(types("samples").ends_with(" string timestamp[us, tz=UTC] double"), "{}", done.stdout);
}

/// Serves the run with Prometheus: every query of Grafana's dashboard has data, and the browser draws the graphs that are linked.
fn prometheus_shows_the_dashboard(shell: &Shell, browser: &mut Chromium) {
    let exported = shell.run("export-run run --as grafana --out grafana");
    assert_eq!(exported.code, Some(0), "{}", exported.stderr);
    let file = shell.path("grafana/dashboards/stress-suite.json");
    let checked = Command::new(root().join("stack/grafana/check")).arg(&file).output().unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));

    let opened = Opened::start("prometheus", &shell.path("run"));
    let dashboard = shell.json("grafana/dashboards/stress-suite.json");
    let targets = dashboard["panels"].as_array().unwrap().iter().filter_map(|panel| panel["targets"].as_array());
    let expressions: Vec<&str> = targets.flatten().map(|target| target["expr"].as_str().unwrap()).collect();
    assert!(expressions.len() > 15, "{expressions:?}");
    let runs = http::get(&format!("{}/api/v1/label/run/values", opened.url)).unwrap().json();
    assert_eq!(runs["data"], json!(["r1"]), "the variable `run`");
    let range = [&dashboard["time"]["from"], &dashboard["time"]["to"]];
    for expression in expressions {
        // As Grafana does it with an interval of 250 ms.
        let filled = expression.replace("$__rate_interval", "1s").replace("$run", "r1");
        has_data(&opened.url, &filled, range);
    }
    let link = &opened.links[0];
    let mut page = Page::visit(browser, link, VIEWS[0]);
    let drawn =
        "[...document.querySelectorAll('.graph_container')].filter(graph => graph.querySelector('svg path[d]')).length";
    wait_until("every graph is drawn", || page.evaluate(drawn) == 4);
    let windows = page.evaluate("[...document.querySelectorAll('input[name=range_input]')].map(input => input.value)");
    let asked = link.split(['?', '&']).filter_map(|pair| pair.split_once(".range_input=")).map(|(_, range)| range);
    assert_eq!(windows, json!(asked.collect::<Vec<_>>()));
    keep(&mut page, "prometheus");
    drop(page);
    ends_without_a_trace(opened);
}

/// Serves the run with VictoriaMetrics, and the browser draws every panel of the dashboard in VMUI.
fn vmui_shows_the_dashboard(shell: &Shell, browser: &mut Chromium) {
    let opened = Opened::start("victoriametrics", &shell.path("run"));
    let dashboards = http::get(&format!("{}/vmui/custom-dashboards", opened.url)).unwrap().json();
    let panels = |row: &Value| row["panels"].as_array().unwrap().clone();
    let rows = dashboards["dashboardsSettings"][0]["rows"].as_array().unwrap();
    let panels: Vec<Value> = rows.iter().flat_map(panels).collect();
    let summary = shell.run("export-run run --as summary");
    let summary: Value = serde_json::from_str(&summary.stdout).unwrap();
    for panel in &panels {
        for expression in panel["expr"].as_array().unwrap() {
            has_data(&opened.url, expression.as_str().unwrap(), [&summary["start"], &summary["end"]]);
        }
    }
    let mut page = Page::visit(browser, &opened.links[0], VIEWS[0]);
    // A panel asks for its data when it is scrolled to.
    let shown = "(() => {
        const panels = [...document.querySelectorAll('.vm-predefined-panel')];
        const empty = panels.find(panel => !panel.querySelector('.vm-legend-item'));
        empty?.scrollIntoView();
        return empty ? 0 : panels.length;
    })()";
    wait_until("every panel of VMUI shows data", || page.evaluate(shown) == panels.len());
    keep(&mut page, "vmui");
    drop(page);
    ends_without_a_trace(opened);
}

/// Writes a picture of the whole page to `NAME.png` in the directory that `STRESS_SUITE_PICTURES` names, if any.
fn keep(page: &mut Page<'_>, name: &str) {
    let Some(directory) = std::env::var_os("STRESS_SUITE_PICTURES") else { return };
    let answer = page.call("Page.captureScreenshot", json!({"captureBeyondViewport": true}));
    let picture = BASE64_STANDARD.decode(answer["data"].as_str().unwrap()).unwrap();
    fs::write(Path::new(&directory).join(name).with_extension("png"), picture).unwrap();
}

/// Asserts that a range query over the window has a number.
fn has_data(url: &str, expression: &str, [start, end]: [&Value; 2]) {
    let form = [
        ("query", expression),
        ("start", start.as_str().unwrap()),
        ("end", end.as_str().unwrap()),
        ("step", "100ms"),
        ("nocache", "1"),
    ];
    let answer = http::post_form(&format!("{url}/api/v1/query_range"), &form);
    assert_eq!(answer.status, 200, "{expression}: {}", answer.text);
    let answer = answer.json();
    let series = answer["data"]["result"].as_array().unwrap();
    let values = series.iter().flat_map(|one| one["values"].as_array().unwrap());
    let is_number = |point: &Value| point[1].as_str().unwrap().parse::<f64>().is_ok_and(f64::is_finite);
    assert!(values.clone().any(is_number), "{expression}: {answer}");
}

/// Presses Ctrl-C: no process and no file is left.
fn ends_without_a_trace(opened: Opened) {
    let members = opened.members();
    assert!(members.len() >= 2, "{members:?}");
    let (status, left) = opened.interrupt();
    assert_eq!(status.code(), Some(130));
    assert_eq!(left, Vec::<PathBuf>::new());
    wait_until("its processes have ended", || !members.iter().any(super::stack::family::Member::is_alive));
}

/// A process in the viewer of `chrome://tracing`.
struct Traced {
    threads: BTreeMap<String, u64>,
    asynchronous: u64,
    counters: BTreeMap<String, u64>,
}

/// The viewer of `chrome://tracing`, which is part of the Go toolchain, reads the trace: every track and counter is there.
fn the_tracing_viewer_shows_every_track(shell: &Shell, browser: &mut Chromium) {
    let exported = shell.run("export-run run --as perfetto --out trace.json");
    assert_eq!(exported.code, Some(0), "{}", exported.stderr);
    let viewer = shell.path("viewer.html");
    fs::write(&viewer, viewer_page()).unwrap();
    let mut page = Page::open(browser, &viewer, VIEWS[0]);
    let model = format!(
        "(() => {{
            const model = new tr.Model();
            new tr.importer.Import(model).importTraces([{}]);
            const count = (all, value) => Object.fromEntries(all.map(one => [one.name, value(one)]));
            return {{
                warnings: model.importWarnings.map(warning => warning.message),
                processes: model.getAllProcesses().map(process => ({{
                    name: process.name,
                    threads: count(Object.values(process.threads), thread => thread.sliceGroup.length),
                    asynchronous: Object.values(process.threads).reduce((sum, thread) => sum + thread.asyncSliceGroup.length, 0),
                    counters: count(Object.values(process.counters), counter => counter.series[0].samples.length),
                }})),
            }};
        }})()",
        Value::from(shell.read("trace.json"))
    );
    let model = page.evaluate(&model);
    assert_eq!(model["warnings"], json!([]));
    let counts = |value: &Value| -> BTreeMap<String, u64> {
        value.as_object().unwrap().iter().map(|(name, count)| (name.clone(), count.as_u64().unwrap())).collect()
    };
    let processes: BTreeMap<&str, Traced> = model["processes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|process| {
            let name = process["name"].as_str().unwrap();
            let (threads, counters) = (counts(&process["threads"]), counts(&process["counters"]));
            (name, Traced { threads, counters, asynchronous: process["asynchronous"].as_u64().unwrap() })
        })
        .collect();
    let of = |head: &str| {
        let found = processes.iter().find(|(name, _)| name.starts_with(head));
        found.map_or_else(|| panic!("{head}: {:?}", processes.keys()), |(_, process)| process)
    };
    let jobs = 12;
    // A job overlaps with itself where it waits in two places, so it may have more than one thread.
    let threads = of("jobs: soak").threads.iter().filter(|(_, slices)| **slices > 0);
    let names: BTreeSet<&str> = threads.map(|(name, _)| name.split(' ').next().unwrap()).collect();
    assert_eq!(names.len(), jobs, "{names:?}");
    for head in ["stages: soak", "tenants of the resource: soak"] {
        assert!(of(head).asynchronous > 0, "{head}");
    }
    for service in ["autorag-api", "autorag-gpu-worker", "autorag-io-worker"] {
        assert!(of(&format!("worker {service}: soak")).asynchronous >= jobs as u64, "{service}");
    }
    let counters = &of("counters: soak").counters;
    for head in ["rabbitmq_detailed_queue_messages_ready ", "autorag_jobs_completed_total ", "jobs in flight: "] {
        assert!(counters.iter().any(|(name, samples)| name.starts_with(head) && *samples > 1), "{head}: {counters:?}");
    }
}

/// A page with the viewer.
fn viewer_page() -> String {
    let go = Command::new("go").args(["env", "GOROOT"]).output().unwrap();
    let place = Path::new(String::from_utf8(go.stdout).unwrap().trim()).join("src/internal/trace/traceviewer/static");
    let read = |name: &str| fs::read_to_string(place.join(name)).unwrap();
    let (components, viewer) = (read("webcomponents.min.js"), read("trace_viewer_full.html"));
    format!("<!DOCTYPE html><meta charset=\"utf-8\"><script>{components}</script>{viewer}")
}
