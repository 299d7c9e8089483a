//! Samples that arrive late, as by remote write: the server repeats the last value, and nothing in its points shows that.

use crate::server::{Reply, Request, Server};
use crate::{Done, JOB, answering, bare, envelope};

/// The window of [`JOB`] in seconds.
const START: i64 = 1_700_000_000;
const END: i64 = START + 60;
/// The time for which Prometheus repeats a value, in seconds.
const LOOKBACK: i64 = 300;

/// A series that is sampled each 5 s.
#[derive(Clone, Copy)]
struct Sampled {
    name: &'static str,
    /// The first and the last sample that the server has.
    first: i64,
    last: i64,
    /// True if a staleness marker follows the last sample.
    is_ended: bool,
}

impl Sampled {
    fn new(name: &'static str, last: i64, is_ended: bool) -> Self {
        Self { name, first: START - 30, last, is_ended }
    }

    fn samples(&self) -> impl Iterator<Item = i64> {
        (self.first..=self.last).step_by(5)
    }

    fn is_shown(&self, at: i64) -> bool {
        let repeated_until = self.last + if self.is_ended { 4 } else { LOOKBACK };
        (self.first..=repeated_until).contains(&at)
    }
}

fn matrix(series: impl Iterator<Item = (&'static str, Vec<i64>)>) -> Reply {
    let one = |(name, times): (&str, Vec<i64>)| {
        let values: Vec<String> = times.iter().map(|at| format!(r#"[{at},"{at}"]"#)).collect();
        format!(r#"{{"metric":{{"__name__":"q","s":"{name}"}},"values":[{}]}}"#, values.join(","))
    };
    let all: Vec<String> = series.filter(|(_, times)| !times.is_empty()).map(one).collect();
    Reply::json(envelope(&all.join(",")))
}

/// A Prometheus with these series of `q`, whose targets were all scraped after the window.
fn holding(series: Vec<Sampled>) -> Server {
    let seconds = |request: &Request, key: &str| request.ms(key) / 1000;
    answering(move |request| match (&*request.path, request.value("query")) {
        ("/api/v1/query", "up") => Reply::json(envelope(crate::ONE).replace("matrix", "vector")),
        ("/api/v1/query", query) => {
            let length: i64 = query.split_once('[').unwrap().1.trim_end_matches("ms]").parse().unwrap();
            let time = seconds(request, "time");
            let range = time - length / 1000 + 1..=time;
            matrix(series.iter().map(|one| (one.name, one.samples().filter(|at| range.contains(at)).collect())))
        }
        _ => {
            let (start, end) = (seconds(request, "start"), seconds(request, "end"));
            let points = |one: &Sampled| (start..=end).step_by(5).filter(|at| one.is_shown(*at)).collect();
            matrix(series.iter().map(|one| (one.name, points(one))))
        }
    })
}

fn captured(series: &[Sampled], flags: &[&str]) -> Done {
    let server = holding(series.to_vec());
    bare(&[&["--prometheus", &server.url(), "--query", "q=q"], flags].concat(), JOB)
}

#[test]
fn a_series_whose_last_samples_have_not_come_leaves_the_end_in_doubt() {
    let done = captured(&[Sampled::new("on_time", END + 10, false), Sampled::new("late", END - 25, false)], &[]);
    assert_eq!(done.result("q"), ("partial", "LateSamples"), "{}", done.stderr);
    let message = done.message("q");
    assert!(message.contains("1 of 2 series") && message.contains(r#"q{s="late"}"#), "{message}");
    assert!(message.contains("25.0 s"), "{message}");
}

#[test]
fn a_server_that_has_nothing_of_the_window_yet_is_late() {
    let done = captured(&[Sampled::new("a", START - 10, false), Sampled::new("b", START - 10, false)], &[]);
    assert_eq!(done.result("q").0, "partial", "{}", done.stderr);
    assert!(done.message("q").contains("2 of 2 series"), "{}", done.message("q"));
}

#[test]
fn what_ended_within_the_window_is_not_late() {
    let done = captured(&[Sampled::new("pod_1", END - 25, true), Sampled::new("pod_2", END + 10, false)], &[]);
    assert_eq!(done.result("q"), ("ok", ""), "{}", done.stderr);
}

#[test]
fn a_scrape_on_its_way_or_missed_is_not_late() {
    for last in [END + 10, END, END - 5, END - 10] {
        let done = captured(&[Sampled::new("a", last, false)], &[]);
        assert_eq!(done.result("q"), ("ok", ""), "{last}: {}", done.stderr);
    }
}

#[test]
fn samples_that_end_before_the_window_begins_are_late_with_and_without_raw_samples() {
    for flags in [&[][..], &["--no-raw"], &["--pad", "0s"], &["--pad", "0s", "--no-raw"]] {
        for last in [START - 15, START - 40, START - 200, END - 25] {
            let series = Sampled { first: START - 500, ..Sampled::new("late", last, false) };
            let done = captured(&[Sampled::new("on_time", END + 10, false), series], flags);
            assert_eq!(done.result("q"), ("partial", "LateSamples"), "{flags:?} {last}: {}", done.stderr);
            assert!(done.message("q").contains("1 of 2 series"), "{flags:?} {last}: {}", done.message("q"));
        }
        for on_time in [Sampled::new("a", END - 5, false), Sampled::new("a", END - 40, true)] {
            let done = captured(&[Sampled::new("b", END + 10, false), on_time], flags);
            assert_eq!(done.result("q"), ("ok", ""), "{flags:?}: {}", done.stderr);
        }
    }
}

#[test]
fn without_raw_samples_only_the_last_ones_are_asked_for() {
    let server = holding(vec![Sampled::new("a", END + 10, false)]);
    let done = bare(&["--prometheus", &server.url(), "--query", "q=q", "--no-raw"], JOB);
    assert_eq!((done.code, done.files()), (0, vec!["q.json".to_owned()]), "{}", done.stderr);
    let ranges: Vec<String> =
        server.requests().iter().filter_map(|request| request.form.get("query").cloned()).collect();
    assert_eq!(ranges.iter().filter(|query| query.contains('[')).collect::<Vec<_>>(), ["q[25000ms]"]);
}
