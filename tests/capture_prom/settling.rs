//! Waiting for the scrapes, and what is said where they do not come.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use stress_suite::cli::Stop;
use stress_suite::record::Timestamp;

use crate::server::{Reply, Server};
use crate::support::wait_until;
use crate::{JOB, ONE, bare, capture_until, envelope, targets};

/// A server whose target was last scraped when `last` says, given the number of the question.
fn scraped(last: impl Fn(u64) -> Timestamp + Send + Sync + 'static) -> Server {
    let asked = AtomicU64::new(0);
    Server::new(move |request| match request.path.split('?').next().unwrap() {
        "/-/ready" => Reply::json(""),
        "/api/v1/targets" => Reply::json(targets(&last(asked.fetch_add(1, Ordering::SeqCst)).to_string())),
        // A point for every question, so that no window is empty.
        "/api/v1/query_range" => Reply::json(envelope(&ONE.replace("1700000000", request.value("start")))),
        _ => Reply::json(envelope("")),
    })
}

fn asked(server: &Server, path: &str) -> usize {
    server.requests().iter().filter(|request| request.path.starts_with(path)).count()
}

#[test]
fn nothing_is_asked_before_the_window_was_scraped() {
    let start = Timestamp::system();
    let server = scraped(move |question| start.shifted(if question < 2 { -60.0 } else { 60.0 }));
    let flags = ["--prometheus", &server.url(), "--query", "up=up", "--no-raw", "--start", "-10s", "--end", "now"];
    let done = bare(&[&flags[..], &["--pad", "1s", "--step", "1s", "--settle", "20s"]].concat(), "");
    assert_eq!((done.code, done.result("up")), (0, ("ok", "")), "{}", done.stderr);
    assert_eq!(asked(&server, "/api/v1/targets"), 3);
    assert_eq!(done.status("up", "settledBy"), "targets");
}

#[test]
fn a_target_that_is_not_scraped_in_time_leaves_the_end_in_doubt() {
    let start = Timestamp::system();
    let server = scraped(move |_| start.shifted(-5.0));
    let flags = ["--prometheus", &server.url(), "--query", "up=up", "--start", "-10s", "--end", "now"];
    let done = bare(&[&flags[..], &["--settle", "0s", "--pad", "30s"]].concat(), "");
    assert_eq!((done.code, done.result("up")), (4, ("partial", "NotSettled")));
    assert!(done.message("up").contains("rig a:1 at ") && done.message("up").contains("--settle"));
    let scraped_until: Timestamp = done.status("up", "scrapedUntil").as_str().unwrap().parse().unwrap();
    assert_eq!(scraped_until, start.shifted(-5.0));
    let spec = &done.series["up"]["spec"];
    let time = |value: &serde_json::Value| value.as_str().unwrap().parse::<Timestamp>().unwrap();
    let beyond = time(&spec["end"]).since(time(&spec["window"]["end"]));
    assert!((0.0..5.0).contains(&beyond), "no padding is asked for beyond the last scrape: {beyond}");
}

#[test]
fn padding_ends_where_the_scrapes_end_and_that_is_no_doubt() {
    let start = Timestamp::system();
    let server = scraped(move |_| start.shifted(-5.0));
    let flags = ["--prometheus", &server.url(), "--query", "up=up", "--start", "-30s", "--end", "-20s"];
    let done = bare(&[&flags[..], &["--settle", "0s", "--pad", "60s", "--step", "1s", "--no-raw"]].concat(), "");
    assert_eq!((done.code, done.result("up")), (0, ("ok", "")), "{}", done.stderr);
    let end: Timestamp = done.series["up"]["spec"]["end"].as_str().unwrap().parse().unwrap();
    assert!((0.0..2.5).contains(&start.shifted(-5.0).since(end)), "{end}");
}

#[test]
fn where_targets_are_not_told_the_samples_of_up_are() {
    let (start, question) = (Timestamp::system(), AtomicU64::new(0));
    let server = Server::new(move |request| match (&*request.path, request.value("query")) {
        ("/-/ready", _) => Reply::json(""),
        ("/api/v1/query", "timestamp(up)") => {
            let ahead = if question.fetch_add(1, Ordering::SeqCst) == 0 { -60.0 } else { 60.0 };
            let value = start.shifted(ahead).seconds();
            Reply::json(format!(
                r#"{{"status":"success","data":{{"resultType":"vector","result":[{{"metric":{{"job":"rig","instance":"a:1"}},"value":[1,"{value}"]}}]}}}}"#
            ))
        }
        ("/api/v1/query_range", _) => Reply::json(envelope(&ONE.replace("1700000000", request.value("start")))),
        _ => Reply::new(403, "not for you"),
    });
    let flags = ["--prometheus", &server.url(), "--query", "up=up", "--no-raw", "--start", "-10s", "--end", "now"];
    let done = bare(&[&flags[..], &["--pad", "0s", "--step", "1s", "--settle", "20s"]].concat(), "");
    assert_eq!((done.code, done.result("up")), (0, ("ok", "")), "{}", done.stderr);
    assert_eq!(done.status("up", "settledBy"), "up");
    assert!(done.stderr.contains("no list of targets (HTTP 403"), "{}", done.stderr);
}

#[test]
fn where_nothing_tells_the_settling_time_is_waited_out() {
    let server = Server::new(|request| match &*request.path {
        "/-/ready" => Reply::json(""),
        "/api/v1/query_range" => Reply::json(envelope(&ONE.replace("1700000000", request.value("start")))),
        "/api/v1/query" => Reply::json(r#"{"status":"success","data":{"resultType":"vector","result":[]}}"#),
        _ => Reply::new(404, "404 page not found"),
    });
    let flags = ["--prometheus", &server.url(), "--query", "up=up", "--no-raw", "--start", "-10s", "--end", "now"];
    let begun = Instant::now();
    let done = bare(&[&flags[..], &["--pad", "0s", "--step", "1s", "--settle", "1s"]].concat(), "");
    assert!(begun.elapsed() >= Duration::from_millis(900), "{:?}", begun.elapsed());
    assert_eq!((done.code, done.status("up", "settledBy")), (0, &"waiting".into()), "{}", done.stderr);
    assert!(done.stderr.contains("when --settle ends"), "{}", done.stderr);
}

#[test]
fn the_first_signal_ends_the_waiting_and_what_there_is_is_captured() {
    let start = Timestamp::system();
    let server = scraped(move |_| start.shifted(-60.0));
    let stop = Stop::default();
    let flags = ["--prometheus", &server.url(), "--start", "-10s", "--end", "now", "--settle", "1h"];
    let done = std::thread::scope(|scope| {
        let capture = scope.spawn(|| capture_until(&flags, "", &stop));
        // Once the targets were asked for, it waits.
        wait_until("a question for the targets", || asked(&server, "/api/v1/targets") > 0);
        stop.trigger(2);
        capture.join().unwrap()
    });
    assert_eq!(done.code, 130);
    assert_eq!(done.result("jobs_completed"), ("partial", "NotSettled"));
    assert!(done.files().contains(&"jobs_completed.json".to_owned()));
}

#[test]
fn clocks_that_disagree_are_said() {
    let dated = |date: &'static str| {
        Server::new(move |request| {
            if request.path.starts_with("/api/v1/targets") {
                return Reply::json(targets("2001-01-01T00:00:00Z"));
            }
            let at = request.form.get("start").or(request.form.get("time")).map_or("1", |at| at);
            let body = envelope(&ONE.replace("1700000000", at));
            Reply::Whole(200, vec![("Date", date.to_owned())], body)
        })
    };
    let behind = dated("Tue, 14 Nov 2023 22:14:00 GMT");
    let flags = ["--query", "up=up", "--no-raw", "--prometheus"];
    let done = bare(&[&flags[..], &[&behind.url()]].concat(), JOB);
    assert_eq!(done.code, 0);
    assert_eq!(done.result("up"), ("partial", "NotSettled"));
    assert!(done.message("up").contains("on the server's clock it is 2023-11-14T22:14:0"), "{}", done.message("up"));
    assert!(done.message("up").contains("behind ours") && done.message("up").contains("--pad"));
    let end: Timestamp = done.series["up"]["spec"]["end"].as_str().unwrap().parse().unwrap();
    assert!(end <= "2023-11-14T22:14:10Z".parse().unwrap(), "nothing is asked for beyond the server's present: {end}");
    assert!(done.status("up", "clockOffset")["seconds"].as_f64().unwrap() < -1e6);
    let before = dated("Thu, 14 Nov 2002 22:14:00 GMT");
    let done = bare(&[&flags[..], &[&before.url()]].concat(), JOB);
    assert_eq!(done.result("up").0, "error");
}
