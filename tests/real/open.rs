//! `make open`: a run in a server of its own, until Ctrl-C.

use std::fs;

use rustix::process::Signal;
use serde_json::Value;

use crate::http;
use crate::shell::Shell;
use crate::stack::process::Process;
use crate::support::{bin, root};

/// A server that `scripts/open` has started.
pub struct Opened {
    process: Process,
    /// The links that it printed, by page.
    pub links: Vec<(String, String)>,
    temporary: tempfile::TempDir,
}

impl Opened {
    /// Opens the run in `run` and waits for the last line.
    pub fn start(shell: &Shell, server: &str, environment: &[(&str, &str)]) -> Self {
        let temporary = tempfile::tempdir().unwrap();
        let path = format!("{}:{}", bin().display(), std::env::var("PATH").unwrap());
        let mut process = Process::start("open", &root().join("scripts/open"), &shell.path(""), |command| {
            command.args([server, "run"]).env("PATH", path).env("TMPDIR", temporary.path());
            command.envs(environment.iter().copied());
        });
        process.until("it has printed all links", |process| process.log().contains("Ctrl-C ends").then_some(()));
        let log = process.log();
        let links = log.lines().filter_map(|line| {
            let (page, address) = line.split_once(" http")?;
            Some((page.trim().to_owned(), format!("http{address}")))
        });
        let links = links.collect();
        Self { process, links, temporary }
    }

    /// The address of a page.
    pub fn link(&self, page: &str) -> &str {
        let found = self.links.iter().find(|(name, _)| name == page);
        &found.unwrap_or_else(|| panic!("no {page} in {:?}", self.links)).1
    }

    /// Presses Ctrl-C, after which nothing is left.
    pub fn close(mut self) {
        let members = self.process.members();
        assert!(members.len() > 1, "the script and its server");
        self.process.signal(Signal::INT);
        assert_eq!(self.process.ended().code(), Some(130), "{}", self.process.log());
        assert!(!members.iter().any(crate::stack::family::Member::is_alive), "the server is gone");
        assert_eq!(fs::read_dir(self.temporary.path()).unwrap().count(), 0, "its data is gone");
    }
}

/// Every query of the Grafana dashboard of `run` has data in the replay at `base`.
pub fn every_panel_has_data(shell: &Shell, base: &str) {
    let done = shell.run("export-run run --as grafana --out grafana; export-run run --as summary > summary.json");
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    let (dashboard, summary) = (shell.json("grafana/dashboards/stress-suite.json"), shell.json("summary.json"));
    let interval = summary["scrapeIntervalSeconds"].as_f64().unwrap();
    let panels = dashboard["panels"].as_array().unwrap().iter().filter(|panel| panel["type"] != "row");
    let mut queries = 0;
    for panel in panels {
        for target in panel["targets"].as_array().unwrap() {
            let query = target["expr"].as_str().unwrap();
            let query = query.replace("$run", ".*").replace("$__rate_interval", &format!("{}ms", interval * 4e3));
            let form = [
                ("query", query.as_str()),
                ("start", summary["start"].as_str().unwrap()),
                ("end", summary["end"].as_str().unwrap()),
                ("step", "1s"),
            ];
            let answer = http::post_form(&format!("{base}/api/v1/query_range"), &form);
            assert_eq!(answer.status, 200, "{query}: {}", answer.text);
            let answer: Value = answer.json();
            assert!(
                !answer["data"]["result"].as_array().unwrap().is_empty(),
                "{}: no data for {query}",
                panel["title"]
            );
            queries += 1;
        }
    }
    assert!(queries > 12, "{queries} queries");
}

/// The run opens in Prometheus, and Ctrl-C leaves nothing.
pub fn a_run_opens_in_prometheus(shell: &Shell) {
    let environment = [("GRAFANA", "http://127.0.0.1:1/"), ("JAEGER_UI", "http://127.0.0.1:2")];
    let opened = Opened::start(shell, "prometheus", &environment);
    let graph = opened.link("Prometheus graph");
    let (base, _) = graph.split_once("/graph?").unwrap();
    assert!(http::is_ok(graph), "{graph}");
    every_panel_has_data(shell, base);
    assert!(opened.link("Grafana dashboard").starts_with("http://127.0.0.1:1/d/stress-suite?from="));
    assert!(opened.link("traces of autorag-api").starts_with("http://127.0.0.1:2/search?service=autorag-api&start="));
    crate::pages::prometheus_draws(graph);
    opened.close();
}

/// The run opens in `VictoriaMetrics`, with every raw sample and a dashboard.
pub fn a_run_opens_in_victoriametrics(shell: &Shell) {
    let Some(binary) = std::env::var("STRESS_SUITE_VICTORIA_METRICS").ok().filter(|path| !path.is_empty()) else {
        assert!(
            std::env::var_os("CI").is_none(),
            "STRESS_SUITE_VICTORIA_METRICS names its binary: run `make test-real`"
        );
        println!("left out: no VictoriaMetrics");
        return;
    };
    let opened = Opened::start(shell, "victoriametrics", &[("VICTORIA_METRICS", &binary)]);
    let dashboard = opened.link("VMUI dashboard");
    let (base, _) = dashboard.split_once("/vmui/").unwrap();
    every_sample_is_there(shell, base);
    every_panel_has_data(shell, base);
    crate::pages::vmui_draws(dashboard);
    opened.close();
}

/// `VictoriaMetrics` gives back each exported sample of the captured series, to the millisecond.
fn every_sample_is_there(shell: &Shell, base: &str) {
    let done = shell.run("export-run run --as openmetrics --out run.om");
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    let text = shell.read("run.om");
    let exported = text.lines().filter(|line| line.starts_with("autorag_") || line.starts_with("rabbitmq_")).count();
    let form = [("match[]", "{__name__=~\"(autorag|rabbitmq)_.*\"}")];
    let answer = http::post_form(&format!("{base}/api/v1/export"), &form);
    let held: usize = answer
        .text
        .lines()
        .map(|line| {
            let series: Value = serde_json::from_str(line).unwrap();
            let name = series["metric"]["__name__"].as_str().unwrap().to_owned();
            let labels = series["metric"].as_object().unwrap().iter().filter(|(label, _)| *label != "__name__");
            let labels: Vec<String> = labels.map(|(label, value)| format!("{label}={value}")).collect();
            let head = format!("{name}{{{}}}", labels.join(","));
            let lines: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix(&head)).collect();
            let (values, times) = (series["values"].as_array().unwrap(), series["timestamps"].as_array().unwrap());
            let found: Vec<String> = values
                .iter()
                .zip(times)
                .map(|(value, time)| {
                    let time = time.as_i64().unwrap();
                    format!(" {value} {}.{:03}", time / 1000, time % 1000)
                })
                .collect();
            assert_eq!(lines, found, "{head}");
            values.len()
        })
        .sum();
    assert_eq!(held, exported);
    assert!(held > 1000, "{held} samples");
}
