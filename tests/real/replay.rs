//! A captured window that `make open` serves again, compared with the server from which it was captured.
//!
//! Every captured series is compared as it is, by its rate and by its increase, at three steps. A rate must be the same wherever its
//! range lies inside the captured samples. A value at a moment may differ for one of the reasons in [`Reason`], and each
//! of these has to happen where the page of metrics makes it happen.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::http;
use crate::shell::Shell;
use crate::stack::{MetricsPage, Opened, Prometheus, VictoriaMetrics, process::wait_until};
use crate::support::root;

/// Milliseconds between two scrapes of the page.
const INTERVAL: i64 = 250;
/// Scrapes of the whole window.
const SCRAPES: u64 = 52;
const QUERIES: [(&str, &str); 6] = [
    ("depth", "depth"),
    ("work", "work_total"),
    ("odd", "odd"),
    ("late", "late_total"),
    ("early", "{__name__=~\"early.*\"}"),
    ("took", "{__name__=~\"took_seconds_.*\"}"),
];

/// The labels of a series without its name, and its name.
type Key = (BTreeMap<String, String>, String);
/// Values by milliseconds, as the server spells them.
type Points = BTreeMap<i64, String>;

/// A reason for which a replay shows another value at a moment than the server did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// A scrape was missed: the server knew at once, and the replay shows the sample before for one lookback longer.
    Missed,
    /// The series ended: likewise.
    Ended,
    /// A scrape was late: the server showed the sample before, and the replay does so only for its lookback.
    Late,
}

/// Times in milliseconds of a comparison.
#[derive(Clone, Copy)]
pub struct Times {
    /// Between two scrapes.
    pub interval: i64,
    /// The steps of the queries.
    pub steps: [i64; 3],
    /// The ranges of rates.
    pub ranges: [i64; 2],
    /// As long as the replay shows a sample.
    pub lookback: i64,
    /// As far as the range of a rate reaches beyond its start.
    pub lookbehind: i64,
}

impl Times {
    /// Those of a Prometheus that `make open` started.
    pub fn of_prometheus(interval: i64, steps: [i64; 3]) -> Self {
        Self { interval, steps, ranges: [4 * interval, 12 * interval], lookback: interval * 5 / 4 + 1, lookbehind: 0 }
    }
}

/// Steps on which the samples of the page do not lie. The first is so short that no lookback ends between two moments.
const STEPS: [i64; 3] = [50, 330, 1700];

#[test]
fn prometheus_answers_as_it_did_during_the_run() {
    let page = MetricsPage::start();
    let mut live = Prometheus::configured(&scrape(&page, "/prometheus"));
    live.until_result("up", |result| !result.is_empty());
    let (shell, captured) = capture(&page, "/prometheus", &live.url());
    let opened = Opened::start("prometheus", &shell.path("run"));
    let reasons = captured.compare(&live.url(), &opened.url, Times::of_prometheus(INTERVAL, STEPS));
    assert!(reasons.contains(&Reason::Missed) && reasons.contains(&Reason::Ended), "{reasons:?}");

    // Of a damaged run the rest is served.
    let file = shell.path("run/prometheus/odd.raw.json");
    fs::write(&file, &fs::read(&file).unwrap()[..40]).unwrap();
    let damaged = Opened::start("prometheus", &shell.path("run"));
    let answer = http::get(&format!("{}/api/v1/label/__name__/values", damaged.url)).unwrap().json();
    let names: Vec<&str> = answer["data"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert!(names.contains(&"depth") && !names.contains(&"odd"), "{names:?}");
}

#[test]
fn victoriametrics_answers_as_it_did_during_the_run() {
    let page = MetricsPage::start();
    let live = VictoriaMetrics::scraping(&scrape(&page, "/victoria"));
    let (shell, mut captured) = capture(&page, "/victoria", &live.url());
    // Among raw samples it shows its staleness markers, and calls them NaN; it stores no other NaN.
    captured.series.values_mut().for_each(|points| points.retain(|_, value| value != "NaN"));
    let opened = Opened::start("victoriametrics", &shell.path("run"));
    // At short intervals it looks back five of them, for the sample before the range of a rate as well.
    let back = 5 * INTERVAL;
    let times = Times { lookback: back, lookbehind: back, ..Times::of_prometheus(INTERVAL, STEPS) };
    let reasons = captured.compare(&live.url(), &opened.url, times);
    assert!(reasons.contains(&Reason::Missed) && reasons.contains(&Reason::Ended), "{reasons:?}");
}

fn scrape(page: &MetricsPage, path: &str) -> Value {
    let interval = format!("{INTERVAL}ms");
    json!({
        "global": {"scrape_interval": interval, "scrape_timeout": "200ms"},
        "scrape_configs": [{"job_name": "page", "metrics_path": path, "static_configs": [{"targets": [page.address()]}]}],
    })
}

/// A sample before a moment.
struct Before<'a> {
    at: i64,
    value: &'a str,
    /// The distance to the next sample; none after the last one.
    until_next: Option<i64>,
}

impl Before<'_> {
    /// The reason for which the server and the replay differ at the moment `now`.
    fn explain(&self, now: i64, live: Option<&str>, replay: Option<&str>, times: Times) -> Option<Reason> {
        let Times { interval, lookback, .. } = times;
        let age = now - self.at;
        let is_marked = live.is_none() && replay == Some(self.value) && age <= lookback;
        let is_late = replay.is_none() && live == Some(self.value) && age >= lookback;
        match self.until_next {
            None if is_marked => Some(Reason::Ended),
            Some(distance) if is_marked && distance > interval * 7 / 4 => Some(Reason::Missed),
            Some(distance) if is_late && distance > lookback => Some(Reason::Late),
            _ => None,
        }
    }
}

/// Captures the window of all scrapes of the page from the server at `url`, into the directory `run`.
fn capture(page: &MetricsPage, path: &str, url: &str) -> (Shell, Captured) {
    let now = || i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap();
    let start = now() - 2 * INTERVAL;
    wait_until("the page was scraped often enough", || page.scrapes(path) >= SCRAPES);
    let end = now();
    // VictoriaMetrics finds a sample a second or two after it was scraped.
    wait_until("the last sample is found", || {
        let form = [("query", "timestamp(depth)"), ("latency_offset", "1ms"), ("nocache", "1")];
        let answer = http::post_form(&format!("{url}/api/v1/query"), &form).json();
        let at = answer["data"]["result"][0]["value"][1].as_str().and_then(|at| at.parse::<f64>().ok());
        at.is_some_and(|at| at >= end as f64 / 1e3)
    });
    let shell = Shell::new(&[("PROM_URL", url)]);
    let profile = root().join("examples/fastapi/profile.toml");
    let queries: Vec<String> = QUERIES.iter().map(|(name, query)| format!("--query '{name}={query}'")).collect();
    let [start, stop] = [start, end].map(|time| time as f64 / 1e3);
    let done = shell.run(&format!(
        "capture-prom --profile {} {} --start {start:.3} --end {stop:.3} --pad 0s --step 1s --out run < /dev/null > records",
        profile.display(),
        queries.join(" ")
    ));
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    // It stands alone, so the stream is a scenario's records.
    fs::rename(shell.path("records"), shell.path("run/records.ndjson")).unwrap();
    let captured = Captured::read(&shell.path("run"), end);
    assert!(captured.series.len() >= 11, "{:?}", captured.series.keys());
    (shell, captured)
}

/// The raw samples of a capture.
pub struct Captured {
    series: BTreeMap<Key, Points>,
    /// The end of the window in milliseconds.
    end: i64,
}

impl Captured {
    /// Reads those of a scenario whose window ends at `end`.
    pub fn read(directory: &Path, end: i64) -> Self {
        let files = fs::read_dir(directory.join("prometheus")).unwrap().map(|entry| entry.unwrap().path());
        let raw = files.filter(|path| path.to_str().unwrap().ends_with(".raw.json"));
        let answers = raw.map(|path| serde_json::from_slice::<Value>(&fs::read(path).unwrap()).unwrap());
        Self { series: answers.flat_map(|answer| matrix(&answer)).collect(), end }
    }

    /// Compares every series at every step. Returns the reasons for values that differ.
    pub fn compare(&self, live: &str, replay: &str, times: Times) -> BTreeSet<Reason> {
        let names: BTreeSet<&str> = self.series.keys().map(|(_, name)| name.as_str()).collect();
        let (mut reasons, mut equal) = (BTreeSet::new(), 0_u64);
        for name in names {
            for step in times.steps {
                let ranges =
                    times.ranges.iter().flat_map(|range| ["rate", "increase"].map(|function| (function, *range)));
                for (function, range) in ranges.chain([("", 0)]) {
                    let query =
                        if function.is_empty() { name.to_owned() } else { format!("{function}({name}[{range}ms])") };
                    let [live, replay] = [live, replay].map(|url| self.answers(url, &query, step));
                    for ((labels, _), points) in self.series.iter().filter(|((_, of), _)| of == name) {
                        let (first, last) = (points.keys().next().unwrap(), points.keys().next_back().unwrap());
                        for now in self.grid(step) {
                            let value = |answers: &BTreeMap<BTreeMap<String, String>, Points>| {
                                answers.get(labels).and_then(|points| points.get(&now)).cloned()
                            };
                            let (live, replay) = (value(&live), value(&replay));
                            if live == replay {
                                equal += u64::from(live.is_some());
                                continue;
                            }
                            if now - range - times.lookbehind < *first {
                                // The range begins before the captured samples do.
                                continue;
                            }
                            let (at, text) = points.range(..=now).next_back().unwrap();
                            let next = points.range(now + 1..).next().map(|(next, _)| next - at);
                            let before = Before { at: *at, value: text, until_next: next };
                            let reason = before.explain(now, live.as_deref(), replay.as_deref(), times);
                            let reason = reason.filter(|_| function.is_empty()).unwrap_or_else(|| {
                                panic!("{query} {labels:?} at {now} (samples {first} to {last}, before {at}, next {next:?}): {live:?}, replay {replay:?}")
                            });
                            reasons.insert(reason);
                        }
                    }
                }
            }
        }
        assert!(equal > 5000, "only {equal} values were compared");
        reasons
    }

    /// The moments of a query over the window.
    fn grid(&self, step: i64) -> impl Iterator<Item = i64> {
        let first = *self.series.values().filter_map(|points| points.keys().next()).min().unwrap();
        (first..=self.end).step_by(usize::try_from(step).unwrap())
    }

    /// The answer of a server to a range query over the window, by the labels without those of the run.
    fn answers(&self, url: &str, query: &str, step: i64) -> BTreeMap<BTreeMap<String, String>, Points> {
        let (start, end) = (self.grid(step).next().unwrap(), self.grid(step).last().unwrap());
        let [start, end, step] = [start, end, step].map(|time| format!("{:.3}", time as f64 / 1e3));
        let form = [
            ("query", query),
            ("start", &start),
            ("end", &end),
            ("step", &step),
            ("nocache", "1"),
            ("latency_offset", "1ms"),
        ];
        let answer = http::post_form(&format!("{url}/api/v1/query_range"), &form);
        assert_eq!(answer.status, 200, "{query}: {}", answer.text);
        let series = matrix(&answer.json()).into_iter().map(|((mut labels, _), points)| {
            labels.remove("run");
            labels.remove("scenario");
            (labels, points)
        });
        series.collect()
    }
}

/// The series of an answer.
fn matrix(answer: &Value) -> Vec<(Key, Points)> {
    let series = answer["data"]["result"].as_array().unwrap().iter().map(|one| {
        let labels = one["metric"].as_object().unwrap().iter();
        let mut labels: BTreeMap<String, String> =
            labels.map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect();
        let name = labels.remove("__name__").unwrap_or_default();
        #[expect(clippy::cast_possible_truncation, reason = "milliseconds since the epoch")]
        let point =
            |point: &Value| ((point[0].as_f64().unwrap() * 1e3).round() as i64, point[1].as_str().unwrap().to_owned());
        ((labels, name), one["values"].as_array().into_iter().flatten().map(point).collect())
    });
    series.collect()
}
