//! A finished run in other tools: the replay answers as the live servers did.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::shell::{Shell, records};
use crate::spans;
use crate::stack::{Jaeger, Prometheus};

/// The range of rates and increases, in seconds.
const RANGE: f64 = 15.0;
/// The steps at which both servers are asked, in seconds: one scrape, between two scrapes, and many.
const STEPS: [f64; 3] = [1.0, 2.5, 7.0];

/// Points by series and time in milliseconds.
type Points = BTreeMap<String, BTreeMap<i64, String>>;

/// The times of a captured series, in seconds.
struct Captured {
    labels: String,
    name: String,
    times: Vec<f64>,
}

/// Exports the run in `run` and compares the replay with `live`, series by series: the gauge itself, `rate` and `increase`.
pub fn replay_answers_as_prometheus_did(shell: &Shell, live: &Prometheus) {
    let done = shell.run("export-run run --as openmetrics --out run.om; export-run run --as summary > summary.json");
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    let interval = shell.json("summary.json")["scrapeIntervalSeconds"].as_f64().unwrap();
    let lookback = interval * 1.25;
    let replay = Prometheus::replaying(&shell.read("run.om"), lookback);
    let captured: Vec<Captured> = records(&shell.read("run/records.ndjson"), "Series")
        .iter()
        .flat_map(|record| captured(shell, record))
        .collect();
    assert!(captured.len() > 50, "{} series", captured.len());
    let mut compared = 0;
    let mut apart: BTreeMap<&str, usize> = BTreeMap::new();
    for (name, series) in by_name(&captured) {
        let selector = format!("{{__name__=\"{name}\"}}");
        for (query, range) in [
            (selector.clone(), 0.0),
            (format!("rate({selector}[{RANGE}s])"), RANGE),
            (format!("increase({selector}[{RANGE}s])"), RANGE),
        ] {
            for step in STEPS {
                let start = series.iter().map(|one| one.times[0]).fold(f64::INFINITY, f64::min);
                let end = series.iter().map(|one| one.times[one.times.len() - 1]).fold(0.0, f64::max);
                let [held, replayed] = [live, &replay].map(|server| points(&server.range(&query, start, end, step)));
                for one in &series {
                    let key = if range > 0.0 { &one.labels } else { &format!("{name} {}", one.labels) };
                    let of = |points: &Points| points.get(key).cloned().unwrap_or_default();
                    let (held, replayed) = (of(&held), of(&replayed));
                    let times = held.keys().chain(replayed.keys()).collect::<std::collections::BTreeSet<_>>();
                    for time in times {
                        let is_equal = held.get(time) == replayed.get(time);
                        match one.reason_apart(*time as f64 / 1e3, range, lookback) {
                            None => {
                                assert!(
                                    is_equal,
                                    "{query} at {time} by {step}: {key}: {:?} live, {:?} replayed",
                                    held.get(time),
                                    replayed.get(time)
                                );
                                compared += 1;
                            }
                            Some(why) if !is_equal => *apart.entry(why).or_default() += 1,
                            Some(_) => {}
                        }
                    }
                }
            }
        }
    }
    println!("{compared} points are equal; apart: {apart:?}");
    assert!(compared > 10_000, "{compared} points compared");
}

impl Captured {
    /// The reason why a point may differ: it does not rest on the captured samples alone.
    fn reason_apart(&self, time: f64, range: f64, lookback: f64) -> Option<&'static str> {
        let (first, last) = (self.times[0], self.times[self.times.len() - 1]);
        if time - range < first {
            return Some("begins before the captured samples");
        }
        if time > last {
            return Some("the series had ended, and the live server has a staleness marker or a longer lookback");
        }
        let before = self.times.partition_point(|sample| *sample <= time);
        let since = time - self.times[before - 1];
        (range == 0.0 && since > lookback - 0.001).then_some("a scrape was missed or late")
    }
}

/// The series that a record's raw file holds.
fn captured(shell: &Shell, record: &Value) -> Vec<Captured> {
    let raw = shell.json(format!("run/{}", record["status"]["rawFile"].as_str().unwrap()));
    let series = raw["data"]["result"].as_array().unwrap().iter().map(|series| Captured {
        labels: labels(&series["metric"]),
        name: series["metric"]["__name__"].as_str().unwrap().to_owned(),
        times: series["values"].as_array().unwrap().iter().map(|value| value[0].as_f64().unwrap()).collect(),
    });
    series.collect()
}

fn by_name(captured: &[Captured]) -> BTreeMap<&str, Vec<&Captured>> {
    let mut names: BTreeMap<&str, Vec<&Captured>> = BTreeMap::new();
    for one in captured {
        names.entry(&one.name).or_default().push(one);
    }
    names
}

/// The labels without the name and without those of the export.
fn labels(metric: &Value) -> String {
    let own = metric
        .as_object()
        .unwrap()
        .iter()
        .filter(|(name, _)| !["__name__", "run", "scenario"].contains(&name.as_str()));
    own.map(|(name, value)| format!("{name}={value} ")).collect()
}

fn points(answer: &str) -> Points {
    let answer: Value = serde_json::from_str(answer).unwrap();
    let mut points = Points::new();
    for series in answer["data"]["result"].as_array().unwrap() {
        let name = series["metric"]["__name__"].as_str().map(|name| format!("{name} ")).unwrap_or_default();
        let values = series["values"].as_array().unwrap().iter().map(|value| {
            #[expect(clippy::cast_possible_truncation, reason = "milliseconds of this century")]
            let time = (value[0].as_f64().unwrap() * 1e3).round() as i64;
            (time, value[1].as_str().unwrap().to_owned())
        });
        points.insert(name + &labels(&series["metric"]), values.collect());
    }
    points
}

/// Sends the exported spans to a second Jaeger, which then serves the traces that `jaeger` does: from the files of both APIs.
pub fn another_jaeger_serves_the_same_traces(shell: &Shell, jaeger: &Jaeger) {
    for (name, prepare) in [
        ("v3", "cp -r run otlp-v3"),
        (
            "v1",
            "mkdir otlp-v1; cat run/records.ndjson older.ndjson > otlp-v1/records.ndjson; cp -r older/jaeger otlp-v1/",
        ),
    ] {
        let second = Jaeger::start();
        let done = shell.run(&format!("{prepare}; export-run otlp-{name} --as otlp --to {}", second.otlp()));
        assert_eq!(done.code, Some(0), "{name}: {}", done.stderr);
        let services = ["autorag-api", "autorag-gpu-worker", "autorag-io-worker"];
        let stored = services.map(|service| shell.json(format!("older/jaeger/{service}.json"))["data"].clone());
        let expected = spans::of(
            stored
                .iter()
                .flat_map(|data| data.as_array().unwrap())
                .fold(BTreeMap::new(), |mut by_id: BTreeMap<&str, &Value>, trace| {
                    by_id.insert(trace["traceID"].as_str().unwrap(), trace);
                    by_id
                })
                .into_values(),
        );
        let served = || {
            let traces: Vec<Value> = spans::ids(&expected).iter().filter_map(|id| second.trace(id)).collect();
            spans::of(&traces)
        };
        crate::stack::process::wait_until("the second Jaeger has stored all spans", || {
            served().len() >= expected.len()
        });
        assert_eq!(served(), expected, "from the files of {name}");
        let ids = spans::ids(&expected);
        assert!(ids.iter().all(|id| jaeger.trace(id).is_some()));
    }
}
