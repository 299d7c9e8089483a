//! The beginning of the window: what a server that came later has not seen, and times that no window can have.

use stress_suite::record::Timestamp;

use crate::server::{Reply, Server};
use crate::{JOB, WINDOW, answering, bare, envelope};

/// The window's beginning, in seconds.
const BEGIN: i64 = 1_700_000_000;

/// A server with samples of each of `queries` from that second on, and of `up` from second `up` on, if at all. Its target is
/// scraped each 5 s.
fn since(up: Option<i64>, queries: &'static [(&'static str, i64)]) -> Server {
    answering(move |request| match (&*request.path, request.value("query")) {
        ("/api/v1/query", "up") => {
            let time: f64 = request.value("time").parse().unwrap();
            let sample = format!(r#"{{"metric":{{"job":"rig"}},"value":[{time},"1"]}}"#);
            let seen = up.is_some_and(|up| time >= up as f64);
            let result = if seen { &*sample } else { "" };
            Reply::json(format!(r#"{{"status":"success","data":{{"resultType":"vector","result":[{result}]}}}}"#))
        }
        (_, query) => match queries.iter().find(|(name, _)| *name == query) {
            Some((name, first)) => {
                let name = format!(r#"{{"__name__":"{}"}}"#, name.split(' ').next().unwrap());
                Reply::json(envelope(&format!(r#"{{"metric":{name},"values":[[{first},"1"],[1700000060,"1"]]}}"#)))
            }
            None => Reply::json(envelope("")),
        },
    })
}

/// Captures the queries `a`, `b` and `a or vector(0)`, as far as `names` has them.
fn capture(server: &Server, names: &[&str], stdin: &str) -> crate::Done {
    let url = server.url();
    let queries: Vec<String> = names.iter().map(|name| format!("--query={}={name}", &name[..1])).collect();
    let queries: Vec<&str> = queries.iter().map(String::as_str).collect();
    let window = if stdin.is_empty() { &WINDOW[..] } else { &[] };
    bare(&[&["--prometheus", &url, "--no-raw"], window, &queries].concat(), stdin)
}

#[test]
fn a_server_that_came_after_the_windows_beginning_leaves_it_in_doubt() {
    let server = since(Some(BEGIN + 20), &[("a", BEGIN + 20), ("b", BEGIN + 45)]);
    let done = capture(&server, &["a", "b"], "");
    assert_eq!(done.code, 4, "{}", done.stderr);
    for name in ["a", "b"] {
        assert_eq!(done.result(name), ("partial", "BeginsLate"));
        let message = done.message(name);
        assert!(message.contains("begins at 2023-11-14T22:13:20.000000Z"), "{message}");
        assert!(message.contains("before 2023-11-14T22:13:40.000000Z, 20.0 s later"), "{message}");
    }
    assert_eq!(done.stderr.matches("the window begins at").count(), 1, "{}", done.stderr);
    let in_run = capture(&server, &["a"], JOB);
    assert_eq!((in_run.code, in_run.result("a")), (0, ("partial", "BeginsLate")));
}

#[test]
fn a_series_that_is_born_in_a_window_that_others_cover_is_whole() {
    // What others were captured, or else `up`, tells that the server was there.
    let others = since(None, &[("a", BEGIN - 10), ("b", BEGIN + 45)]);
    let done = capture(&others, &["a", "b"], "");
    assert_eq!((done.code, done.result("b")), (0, ("ok", "")), "{}", done.stderr);
    let scraped = since(Some(BEGIN - 10), &[("b", BEGIN + 45)]);
    let done = capture(&scraped, &["b"], "");
    assert_eq!((done.code, done.result("b")), (0, ("ok", "")), "{}", done.stderr);
}

#[test]
fn a_server_has_a_step_and_an_interval_for_its_first_scrape() {
    for (first, result) in [(10, ("ok", "")), (11, ("partial", "BeginsLate"))] {
        let done = capture(&since(Some(BEGIN + first), &[("b", BEGIN + 45)]), &["b"], "");
        assert_eq!(done.result("b"), result, "{first} s: {}", done.stderr);
    }
}

#[test]
fn what_is_computed_without_a_sample_is_no_witness() {
    let late = since(Some(BEGIN + 30), &[("c or vector(0)", BEGIN)]);
    let done = capture(&late, &["c or vector(0)"], "");
    assert_eq!((done.code, done.result("c")), (4, ("partial", "BeginsLate")), "{}", done.stderr);
    // Where `up` is never seen it is all that there is.
    let pushed = since(None, &[("c or vector(0)", BEGIN)]);
    assert_eq!(capture(&pushed, &["c or vector(0)"], "").result("c"), ("ok", ""));
    let silent = since(None, &[("b", BEGIN + 30)]);
    assert_eq!(capture(&silent, &["b"], "").result("b"), ("partial", "BeginsLate"));
}

#[test]
fn a_beginning_that_cannot_be_asked_for_is_in_doubt() {
    let server = answering(|request| match &*request.path {
        "/api/v1/query_range" => Reply::json(envelope(r#"{"metric":{"__name__":"b"},"values":[[1700000030,"1"]]}"#)),
        _ => Reply::new(403, "not for you"),
    });
    let done = capture(&server, &["b"], "");
    assert_eq!(done.result("b"), ("partial", "BeginsLate"), "{}", done.stderr);
    assert!(done.message("b").contains("(HTTP 403"), "{}", done.message("b"));
}

#[test]
fn a_window_that_has_not_come_or_is_reversed_is_refused_before_anything_is_asked() {
    let server = answering(|_| Reply::json(envelope("")));
    let soon = Timestamp::system().shifted(100.0).to_string();
    for (start, end, said) in [
        ("-5m", "4102444800", "--end means 2100-01-01T00:00:00.000000Z, which is in the future (now is "),
        ("4102444800", "now", "--start means 2100-01-01T00:00:00.000000Z, which is in the future (now is "),
        ("1700000060", "1700000000", "the window ends (2023-11-14T22:13:20.000000Z) before it begins"),
        ("-1m", "-2m", "before it begins"),
        ("-5m", &soon, "--end means "),
    ] {
        for check in [&["--check"][..], &[]] {
            let flags = ["--prometheus", &server.url(), "--query=a=a", "--start", start, "--end", end];
            let done = bare(&[&flags[..], check].concat(), "");
            assert_eq!((done.code, done.stderr.lines().count()), (2, 1), "{start} {end}: {}", done.stderr);
            assert!(done.stderr.contains(said), "{start} {end}: {}", done.stderr);
        }
    }
    assert!(server.requests().is_empty());
    let flags = ["--prometheus", &server.url(), "--query=a=a", "--check", "--start", "-5m", "--end", &soon];
    let patient = bare(&[&flags[..], &["--settle", "10m"]].concat(), "");
    assert_eq!(patient.code, 0, "an end within --settle is waited for: {}", patient.stderr);
}
