//! The first signal and what captures still do: what there is, for a bounded time, and never without a word.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

#[path = "support/jaeger_server.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared with other tests in time")]
mod jaeger_server;
#[path = "support/server.rs"]
mod prometheus_server;
mod support;

use std::fs;
use std::io::{self, Cursor, Read};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use clap::Parser;
use serde_json::{Value, json};
use stress_suite::cli::{Console, Exit, Io, Outcome, Stop};
use stress_suite::tools::{await_idle, capture_jaeger, capture_logs, capture_prom, poll_jobs, render_report};
use tempfile::TempDir;

use jaeger_server::{Span, v3};
use prometheus_server::{Reply, Request};
use support::{Ran, tool_until};

/// 2026-05-20T22:30:00Z.
const START: i64 = 1_779_316_200_000_000;
const WINDOW: [&str; 4] = ["--start", "2026-05-20T22:30:00Z", "--end", "2026-05-20T22:31:00Z"];
/// Number of requests after which the server stops a tool that does not end, so that the test fails rather than hangs.
const ENDLESS: usize = 500;

/// Hands out what it has, and sends a signal before its end is read.
struct Signals(Cursor<String>, Stop);

impl Read for Signals {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.1.trigger(2);
        self.0.read(buffer)
    }
}

/// Someone who sits at standard input and types nothing.
struct Person(Receiver<()>);

impl Read for Person {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Ok(self.0.recv().map_or(0, |()| 0))
    }
}

fn nothing() -> Box<dyn Read + Send> {
    Box::new(io::empty())
}

/// A Run and `count` jobs, each with a trace of its own, that ended long ago.
fn stream(count: u64) -> String {
    let mut lines =
        vec![json!({"apiVersion": "stress/v1", "kind": "Run", "metadata": {"name": "soak", "run": "r"}}).to_string()];
    lines.extend((1..=count).map(|index| {
        let status = json!({
            "phase": "Succeeded", "jobId": format!("job-{index}"), "traceId": format!("{index:032x}"),
            "submittedAt": "2026-05-20T22:30:00Z", "endedAt": "2026-05-20T22:31:00Z",
        });
        let metadata = json!({"name": format!("soak-{index:03}"), "run": "r"});
        let job = json!({"apiVersion": "stress/v1", "kind": "Job", "metadata": metadata, "spec": {"source": "/x"}, "status": status});
        job.to_string()
    }));
    lines.join("\n") + "\n"
}

fn said(ran: &Ran, name: &str) -> (String, String) {
    let status = ran.last(name)["status"].clone();
    let text = |key: &str| status[key].as_str().unwrap_or_default().to_owned();
    (text("result"), text("reason"))
}

fn pair(result: &str, reason: &str) -> (String, String) {
    (result.to_owned(), reason.to_owned())
}

fn span(trace: i64, start: i64) -> Span {
    let (trace, id) = (format!("{trace:032x}"), format!("{:016x}", 1));
    Span { trace, id, parent: None, service: "api".to_owned(), start, job: None }
}

/// Runs `capture-jaeger` for the services `api` and `worker` against a server, which is told the number of each request.
fn jaeger(
    stop: &Stop,
    stdin: Box<dyn Read + Send>,
    window: &[&str],
    answer: impl Fn(usize, &str, &jaeger_server::Parameters) -> Vec<u8> + Send + Sync + 'static,
) -> (Ran, Vec<String>, TempDir) {
    let number = AtomicUsize::new(0);
    let server = jaeger_server::Server::start(Vec::new(), move |path, parameters, _| {
        answer(number.fetch_add(1, Ordering::SeqCst) + 1, path, parameters)
    });
    let out = tempfile::tempdir().unwrap();
    let flags = ["--out", out.path().to_str().unwrap(), "--jaeger", server.url(), "--flush", "0s", "--page", "2"];
    let services = ["--api", "v3", "--service", "api", "--service", "worker"];
    let ran = tool_until(capture_jaeger::run, &[&flags[..], &services, window].concat(), stdin, stop.clone());
    let asked = server.asked.lock().unwrap().clone();
    (ran, asked, out)
}

#[test]
fn a_sweep_of_thousands_of_requests_ends_and_keeps_what_came() {
    let stop = Stop::with_grace(Duration::ZERO);
    let signal = stop.clone();
    let (ran, asked, out) = jaeger(&stop, nothing(), &WINDOW, move |number, path, parameters| {
        if number == 5 {
            signal.trigger(2);
        }
        // Every answer is full, and each brings a trace that no other one brings.
        let number = i64::try_from(number).unwrap();
        let spans = [span(number, START + number), span(1000, START + 30_000_000)];
        let of = |key: &str| parameters.iter().find(|(name, _)| name == key).unwrap().1.clone();
        let all: Vec<_> = parameters
            .iter()
            .map(|(name, value)| match name.as_str() {
                "query.start_time_min" => (name.clone(), "2026-05-20T22:00:00.000000Z".to_owned()),
                "query.start_time_max" => (name.clone(), "2026-05-20T23:00:00.000000Z".to_owned()),
                "query.service_name" => (name.clone(), "api".to_owned()),
                _ => (name.clone(), value.clone()),
            })
            .collect();
        assert!(usize::try_from(number).unwrap() < ENDLESS, "asked on and on, for {}", of("query.service_name"));
        v3(path, &all, &spans, 100)
    });
    assert_eq!((ran.code, asked.len()), (130, 5), "{}", ran.stderr);
    assert_eq!(said(&ran, "api"), pair("partial", "Interrupted"), "{}", ran.stderr);
    assert_eq!(ran.last("api")["status"]["traces"], 5, "those of the four full answers that came");
    assert!(fs::read_to_string(out.path().join("jaeger/api.json")).unwrap().contains(&format!("{:032x}", 4)));
    assert_eq!(said(&ran, "worker"), pair("error", "Interrupted"));
}

#[test]
fn traces_are_not_asked_for_by_id_on_and_on() {
    let stop = Stop::with_grace(Duration::ZERO);
    let signal = stop.clone();
    let (by_id, stream) = (AtomicUsize::new(0), stream(200));
    let (ran, asked, _out) = jaeger(&stop, Box::new(Cursor::new(stream.clone())), &[], move |_, path, parameters| {
        if path.starts_with("/api/v3/traces/") && by_id.fetch_add(1, Ordering::SeqCst) == 2 {
            signal.trigger(2);
        }
        v3(path, parameters, &[span(1, START)], 100)
    });
    let by_id = asked.iter().filter(|path| path.starts_with("/api/v3/traces/")).count();
    assert_eq!((ran.code, by_id), (130, 3), "{}", ran.stderr);
    assert_eq!(said(&ran, "api"), pair("partial", "Interrupted"));
    let status = &ran.last("api")["status"];
    assert!(status["message"].as_str().unwrap().contains("before 196 missing traces were requested by id"), "{status}");
    assert_eq!(status["missing"].as_array().unwrap().len(), 199);
    assert!(stream.lines().all(|line| ran.stdout.contains(&line[..60])), "the stream is handed on");
}

#[test]
fn a_signal_in_the_load_leaves_the_traces_of_that_time_to_be_captured() {
    let stop = Stop::default();
    let stdin = Box::new(Signals(Cursor::new(stream(3)), stop.clone()));
    let (ran, asked, _out) = jaeger(&stop, stdin, &[], |_, path, parameters| {
        let spans: Vec<_> = (1..=2).map(|index| span(index, START + index * 1_000_000)).collect();
        v3(path, parameters, &spans, 1)
    });
    // No search gives more than one, so the other is asked for by its id, and the third is not there.
    assert_eq!(ran.code, 130, "{}", ran.stderr);
    let status = &ran.last("api")["status"];
    assert_eq!((&status["traces"], &status["missing"]), (&json!(2), &json!([format!("{:032x}", 3)])), "{status}");
    assert!(asked.iter().any(|path| path.starts_with("/api/v3/traces/")), "{asked:?}");
    assert!(!status["message"].to_string().contains("signal"), "{status}");
}

/// Runs `capture-prom` with the queries `up`, `b` and `c` against a server whose range queries are answered so, given their
/// number.
fn prometheus(
    stop: &Stop,
    stdin: Box<dyn Read + Send>,
    flags: &[&str],
    answer: impl Fn(usize, &Request) -> Reply + Send + Sync + 'static,
) -> (Ran, Vec<Request>, TempDir) {
    let number = AtomicUsize::new(0);
    let server = prometheus_server::Server::new(move |request| match request.path.split('?').next().unwrap() {
        "/-/ready" => Reply::json("ready"),
        "/api/v1/targets" => Reply::json(
            r#"{"status":"success","data":{"activeTargets":[{"labels":{"job":"rig","instance":"a:1"},"lastScrape":"2033-01-01T00:00:00Z","scrapeInterval":"5s","health":"up","lastError":""}]}}"#,
        ),
        "/api/v1/query_range" => answer(number.fetch_add(1, Ordering::SeqCst) + 1, request),
        "/api/v1/query" if request.value("query") == "up" => Reply::json(
            r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1,"1"]}]}}"#,
        ),
        _ => Reply::json(matrix("1779316200")),
    });
    let out = tempfile::tempdir().unwrap();
    let profile = out.path().join("p.toml");
    let (before, _) = include_str!("../profiles/autorag.toml").split_once("[prometheus]").unwrap();
    fs::write(&profile, before).unwrap();
    let (url, queries) = (server.url(), ["--query", "up=up", "--query", "b=b", "--query", "c=c"]);
    let out_dir = out.path().join("run");
    let places = ["--out", out_dir.to_str().unwrap(), "--profile", profile.to_str().unwrap(), "--prometheus", &url];
    let ran = tool_until(capture_prom::run, &[&places[..], &queries, flags].concat(), stdin, stop.clone());
    (ran, server.requests(), out)
}

fn matrix(at: &str) -> String {
    format!(
        r#"{{"status":"success","data":{{"resultType":"matrix","result":[{{"metric":{{"__name__":"up"}},"values":[[{at},"1"]]}}]}}}}"#
    )
}

#[test]
fn a_query_in_a_thousand_chunks_ends_and_keeps_those_that_came() {
    let stop = Stop::with_grace(Duration::ZERO);
    let signal = stop.clone();
    let window = ["--start", "1700000000", "--end", "1710000000", "--step", "1s", "--pad", "0s"];
    let (ran, seen, out) = prometheus(&stop, nothing(), &window, move |number, request| {
        if number == 3 {
            signal.trigger(2);
        }
        assert!(number < ENDLESS, "asked on and on");
        Reply::json(matrix(request.value("start")))
    });
    let ranges = seen.iter().filter(|request| request.path == "/api/v1/query_range").count();
    assert_eq!((ran.code, ranges), (130, 3), "{}", ran.stderr);
    assert!(ran.stderr.contains("for at most 10 s"), "{}", ran.stderr);
    assert_eq!(said(&ran, "up"), pair("partial", "Interrupted"), "{}", ran.stderr);
    let status = &ran.last("up")["status"];
    assert_eq!((&status["samples"], status["chunks"].as_array().unwrap().len()), (&json!(2), 2), "{status}");
    assert!(out.path().join("run/prometheus/up.json").is_file());
    for name in ["b", "c"] {
        assert_eq!(said(&ran, name), pair("error", "Interrupted"));
        assert_eq!(ran.last(name)["status"]["message"], "stopped by a signal before it was queried");
    }
    assert_eq!(seen.last().unwrap().path, "/api/v1/query_range", "nothing else is asked after the signal");
}

#[test]
fn a_signal_in_the_load_leaves_the_series_of_that_time_to_be_captured() {
    let stop = Stop::default();
    let stdin = Box::new(Signals(Cursor::new(stream(2)), stop.clone()));
    let (ran, _, _out) = prometheus(&stop, stdin, &[], |_, request| Reply::json(matrix(request.value("start"))));
    assert_eq!(ran.code, 130, "{}", ran.stderr);
    for name in ["up", "b", "c"] {
        assert_eq!(said(&ran, name), pair("ok", ""), "{name}: {}", ran.stderr);
    }
}

/// Runs `capture-logs` with `script` as the profile's command for two services.
fn logs(script: &str, flags: &[&str], stop: &Stop, out: &Path) -> Ran {
    let command = toml::Value::from(vec!["bash", "-c", script]);
    let (before, _) = include_str!("../profiles/autorag.toml").split_once("[logs]").unwrap();
    let profile = tempfile::NamedTempFile::new().unwrap();
    fs::write(profile.path(), format!("{before}[logs]\nservices = [\"a\", \"b\"]\ncommand = {command}\n")).unwrap();
    let places = ["--out", out.to_str().unwrap(), "--profile", profile.path().to_str().unwrap(), "--logs", ""];
    tool_until(capture_logs::run, &[&places[..], &WINDOW, flags].concat(), nothing(), stop.clone())
}

const LINE: &str = "2026-05-20 22:30:01,000 INFO w x";

#[test]
fn a_command_that_never_stops_writing_ends_when_its_time_is_over() {
    let out = tempfile::tempdir().unwrap();
    let ran = logs(&format!("echo '{LINE}'; exec yes"), &["--timeout", "200ms"], &Stop::default(), out.path());
    assert_eq!(ran.code, 4, "{}", ran.stderr);
    assert_eq!(said(&ran, "a"), pair("partial", "CommandFailed"));
    assert_eq!(ran.last("a")["status"]["message"], "`bash`: not finished after 200 ms");
    assert!(fs::read_to_string(out.path().join("logs/a.log")).unwrap().starts_with(LINE));
}

#[test]
fn a_signal_ends_a_command_that_never_stops_writing_and_keeps_what_it_wrote() {
    let (out, stop) = (tempfile::tempdir().unwrap(), Stop::with_grace(Duration::ZERO));
    let ran = std::thread::scope(|scope| {
        let script = format!("echo '{LINE}'; exec yes");
        let capture = scope.spawn({
            let (stop, out) = (stop.clone(), out.path());
            move || logs(&script, &["--timeout", "10m"], &stop, out)
        });
        let grows = || {
            let files = fs::read_dir(out.path().join("logs")).into_iter().flatten().flatten();
            files.filter_map(|file| file.metadata().ok()).any(|metadata| metadata.len() > 0)
        };
        while !grows() && !capture.is_finished() {
            std::thread::yield_now();
        }
        stop.trigger(2);
        capture.join().unwrap()
    });
    assert_eq!(ran.code, 130, "{}", ran.stderr);
    assert_eq!(said(&ran, "a"), pair("partial", "Interrupted"));
    assert!(fs::read_to_string(out.path().join("logs/a.log")).unwrap().starts_with(&format!("{LINE}\ny\n")));
    assert_eq!(said(&ran, "b"), pair("error", "Interrupted"));
}

#[test]
fn a_signal_in_the_load_leaves_the_logs_of_that_time_to_be_captured() {
    let (out, stop) = (tempfile::tempdir().unwrap(), Stop::default());
    stop.trigger(2);
    let ran = logs(&format!("echo '{LINE}'"), &[], &stop, out.path());
    assert_eq!((ran.code, said(&ran, "a"), said(&ran, "b")), (130, pair("ok", ""), pair("ok", "")), "{}", ran.stderr);
}

/// Runs a tool for someone at a terminal who types nothing but one Ctrl-C.
fn at_a_prompt<A: Parser>(run: fn(A, Io<'_>) -> Outcome, argv: &[&str]) -> (Exit, Vec<u8>) {
    let (stop, (_sits, person), mut stdout) = (Stop::default(), channel(), Vec::new());
    let io = Io {
        stdin: Box::new(io::BufReader::new(Person(person))),
        stdin_is_terminal: true,
        stdout: &mut stdout,
        stdout_fd: None,
        console: Console::new("tool", Box::new(io::sink()), false),
        stop: stop.clone(),
    };
    let parsed = A::try_parse_from(std::iter::once("tool").chain(argv.iter().copied())).unwrap();
    let exit = std::thread::scope(|scope| {
        scope.spawn(|| stop.trigger(2));
        run(parsed, io).unwrap()
    });
    (exit, stdout)
}

#[test]
fn one_ctrl_c_ends_a_tool_that_was_typed_alone() {
    let dir = tempfile::tempdir().unwrap();
    let out = ["--out", dir.path().to_str().unwrap()];
    // Nobody listens there, and nobody is asked.
    let nobody = "http://127.0.0.1:9";
    let ended = (Exit::Signal(2), Vec::new());
    assert_eq!(at_a_prompt(capture_prom::run, &[&out[..], &["--prometheus", nobody]].concat()), ended);
    assert_eq!(at_a_prompt(capture_jaeger::run, &[&out[..], &["--jaeger", nobody]].concat()), ended);
    assert_eq!(at_a_prompt(capture_logs::run, &[&out[..], &["--logs", "/"]].concat()), ended);
    assert_eq!(at_a_prompt(await_idle::run, &["--target", nobody]), ended);
    assert_eq!(at_a_prompt(poll_jobs::run, &["--target", nobody]), ended);
    let report = dir.path().join("report");
    assert_eq!(at_a_prompt(render_report::run, &["--out", report.to_str().unwrap()]).0, Exit::Signal(2));
    assert!(!report.exists(), "nothing came in, so nothing is left");
}

#[test]
fn records_that_come_after_the_signal_are_not_lost() {
    let stop = Stop::default();
    let stdin = Box::new(Signals(Cursor::new(stream(3)), stop.clone()));
    let ran = tool_until(await_idle::run, &["--target", "http://127.0.0.1:9", "--prometheus", ""], stdin, stop);
    let jobs = ran.records().iter().filter(|record: &&Value| record["kind"] == "Job").count();
    assert_eq!((ran.code, jobs), (130, 3), "{}", ran.stderr);
}
