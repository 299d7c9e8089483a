//! `capture-jaeger` as a whole, against a small server in both API shapes: complete, or loud about what is not.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

#[path = "support/jaeger_server.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared with other tests in time")]
mod jaeger_server;
mod support;

use std::collections::BTreeSet;
use std::io::Cursor;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use jaeger_server::{Answer, HANG, Parameters, Server, Span, http, no_such_page, v1, v3};
use serde_json::{Value, json};
use stress_suite::cli::Stop;
use stress_suite::tools::capture_jaeger;
use support::{Ran, Target, tool, tool_until};
use tempfile::TempDir;

/// 2026-05-20T22:30:00Z.
const START: i64 = 1_779_316_200_000_000;
const SECOND: i64 = 1_000_000;
const WINDOW: [&str; 4] = ["--start", "2026-05-20T22:30:00Z", "--end", "2026-05-20T22:31:00Z"];

fn span(trace: u64, id: u64, parent: Option<u64>, service: &str, start: i64) -> Span {
    Span {
        trace: format!("{trace:032x}"),
        id: format!("{id:016x}"),
        parent: parent.map(|parent| format!("{parent:016x}")),
        service: service.to_owned(),
        start,
        job: None,
    }
}

/// `count` traces of two spans, `step` microseconds apart.
fn store(count: u64, step: i64) -> Vec<Span> {
    (0..count)
        .flat_map(|index| {
            let start = START + i64::try_from(index).unwrap() * step;
            [span(index + 1, 1, None, "api", start), span(index + 1, 2, Some(1), "worker", start + 5)]
        })
        .collect()
}

struct Rig {
    server: Server,
    out: TempDir,
}

impl Rig {
    fn new(spans: Vec<Span>, answer: impl Fn(&str, &Parameters, &[Span]) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self { server: Server::start(spans, answer), out: tempfile::tempdir().unwrap() }
    }

    fn run(&self, more: &[&str], stdin: &str) -> Ran {
        let out = self.out.path().display().to_string();
        let common = ["--jaeger", self.server.url(), "--out", &out, "--flush", "0s"];
        tool(capture_jaeger::run, &[&common[..], more].concat(), stdin)
    }

    /// Alone, both services.
    fn alone(&self, more: &[&str]) -> Ran {
        self.run(&[&WINDOW[..], &["--service", "api", "--service", "worker"], more].concat(), "")
    }

    fn file(&self, service: &str) -> String {
        std::fs::read_to_string(self.out.path().join("jaeger").join(format!("{service}.json"))).unwrap()
    }
}

fn status(ran: &Ran, service: &str) -> Value {
    ran.last(service)["status"].clone()
}

/// The ids of the traces and the number of spans in a file of either shape.
fn held(file: &str) -> (BTreeSet<String>, usize) {
    let read: Value = serde_json::from_str(file).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let ids: Vec<String> = if let Some(data) = read["data"].as_array() {
        data.iter().flat_map(|trace| trace["spans"].as_array().unwrap()).map(|span| text(&span["traceID"])).collect()
    } else {
        let scopes = read["resourceSpans"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|resource| resource["scopeSpans"].as_array().unwrap());
        scopes.flat_map(|scope| scope["spans"].as_array().unwrap()).map(|span| text(&span["traceId"])).collect()
    };
    (ids.iter().cloned().collect(), ids.len())
}

#[test]
fn three_thousand_traces_come_whole_through_pages_of_a_hundred() {
    for api in ["v1", "v3"] {
        let rig = Rig::new(store(3000, 10_000), move |path, parameters, spans| {
            if api == "v1" { v1(path, parameters, spans, 100) } else { v3(path, parameters, spans, 100) }
        });
        let ran = rig.alone(&["--page", "100"]);
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{api}");
        for service in ["api", "worker"] {
            let status = status(&ran, service);
            assert_eq!(
                (&status["result"], &status["traces"], &status["spans"], &status["api"], &status["values"]),
                (&json!("ok"), &json!(3000), &json!(6000), &json!(api), &json!("raw")),
                "{status}"
            );
            assert_eq!(status["file"], format!("jaeger/{service}.json"));
            let (ids, spans) = held(&rig.file(service));
            assert_eq!((ids.len(), spans), (3000, 6000));
        }
    }
}

#[test]
fn a_server_with_a_lower_limit_of_its_own_is_found_out() {
    // It is asked for 500 and gives 60, which looks like all there is.
    let rig = Rig::new(store(400, 100_000), |path, parameters, spans| v1(path, parameters, spans, 60));
    let ran = rig.alone(&[]);
    let status = status(&ran, "api");
    assert_eq!((&status["result"], &status["traces"]), (&json!("ok"), &json!(400)), "{status} {}", ran.stderr);
}

#[test]
fn a_microsecond_fuller_than_a_page_is_a_loud_failure() {
    let mut spans = store(20, 100_000);
    spans.extend((0..12).map(|index| span(1000 + index, 1, None, "api", START + SECOND)));
    let rig = Rig::new(spans, |path, parameters, spans| v1(path, parameters, spans, 1000));
    let ran = rig.alone(&["--page", "10"]);
    assert_eq!(ran.code, 69);
    let status = status(&ran, "api");
    assert_eq!((&status["result"], &status["reason"]), (&json!("partial"), &json!("Overfull")), "{status}");
    assert!(status["message"].as_str().unwrap().contains("2026-05-20T22:30:01.000000Z"), "{status}");
    assert_eq!(rig.alone(&["--page", "40"]).code, 0);
}

#[test]
fn numbers_and_text_stay_as_they_were_sent() {
    let rig = Rig::new(store(2, SECOND), |path, parameters, spans| v1(path, parameters, spans, 100));
    assert_eq!(rig.alone(&[]).code, 0);
    let file = rig.file("api");
    assert_eq!(file.matches("\"duration\":1.50").count(), 4);
    assert_eq!(file.matches("12345678901234567890").count(), 4);
    assert!(file.starts_with("{\"data\":["));
}

#[test]
fn the_api_that_is_there_is_found_by_asking() {
    let both = |path: &str, parameters: &Parameters, spans: &[Span]| {
        if path.starts_with("/api/v3") { v3(path, parameters, spans, 100) } else { v1(path, parameters, spans, 100) }
    };
    let html = |path: &str, parameters: &Parameters, spans: &[Span]| {
        // An old server gives its UI's page for any path that it does not know.
        if path.starts_with("/api/v3") {
            http(200, "text/html", "<!doctype html><html>")
        } else {
            v1(path, parameters, spans, 100)
        }
    };
    let refuses = |path: &str, parameters: &Parameters, spans: &[Span]| {
        if path.starts_with("/api/v3") {
            http(400, "text/plain", "unsupported path requested")
        } else {
            v1(path, parameters, spans, 100)
        }
    };
    let ways: [(Rig, &[&str], &str); 4] = [
        (Rig::new(store(2, 1), both), &[], "v3"),
        (Rig::new(store(2, 1), both), &["--api", "v1"], "v1"),
        (Rig::new(store(2, 1), html), &[], "v1"),
        (Rig::new(store(2, 1), refuses), &[], "v1"),
    ];
    for (rig, more, api) in ways {
        let ran = rig.alone(more);
        assert_eq!((ran.code, &status(&ran, "api")["api"]), (0, &json!(api)), "{}", ran.stderr);
    }
    let neither = Rig::new(vec![], |_, _, _| no_such_page());
    let ran = neither.alone(&[]);
    assert_eq!((ran.code, &status(&ran, "worker")["reason"]), (69, &json!("NoApi")));
    assert!(ran.stderr.contains("/api/v3/traces: HTTP 404: 404 page not found; GET "), "{}", ran.stderr);
}

#[test]
fn a_server_that_refuses_raw_spans_is_asked_for_adjusted_ones() {
    let rig = Rig::new(store(2, 1), |path, parameters, spans| {
        if parameters.iter().any(|(key, _)| key.contains("raw")) {
            return http(400, "application/json", r#"{"error":{"message":"unknown parameter query.raw_traces"}}"#);
        }
        v3(path, parameters, spans, 100)
    });
    let ran = rig.alone(&[]);
    assert_eq!((ran.code, &status(&ran, "api")["values"]), (0, &json!("adjusted")), "{}", ran.stderr);
}

#[test]
fn nothing_found_is_empty_and_says_what_jaeger_knows() {
    for api in ["v1", "v3"] {
        let rig = Rig::new(store(2, 1), move |path, parameters, spans| {
            if api == "v1" { v1(path, parameters, spans, 100) } else { v3(path, parameters, spans, 100) }
        });
        let ran = rig.run(&[&WINDOW[..], &["--service", "autorag-api"]].concat(), "");
        let status = status(&ran, "autorag-api");
        assert_eq!((ran.code, &status["result"], &status["traces"]), (69, &json!("empty"), &json!(0)));
        assert_eq!(status["message"], "no trace in the window; Jaeger knows api, worker");
        assert_eq!(held(&rig.file("autorag-api")).1, 0);
    }
}

#[test]
fn faults_are_named_and_nothing_half_written() {
    let html: Answer = |_, _, _| http(200, "text/html", "<html>log in</html>");
    let login: Answer =
        |_, _, _| b"HTTP/1.1 302 x\r\nlocation: /login\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_vec();
    let cut: Answer =
        |_, _, _| b"HTTP/1.1 200 x\r\ncontent-length: 1000\r\nconnection: close\r\n\r\n{\"result\":".to_vec();
    let torn: Answer = |_, _, _| http(200, "application/json", r#"{"result":{"resourceSpans":["#);
    let broken: Answer = |_, _, _| http(500, "text/plain", "search depth must be greater than 0");
    let hang: Answer = |_, _, _| HANG.to_vec();
    for (answer, reason, said) in [
        (html, "NoApi", "HTML page"),
        (login, "NotJaeger", "HTTP 302 to /login: is a login asked for?"),
        (cut, "Cut", "then the answer broke off"),
        (torn, "NotJaeger", "not a v3 answer: EOF"),
        (broken, "ServerError", "search depth must be greater than 0"),
        (hang, "NoAnswer", "no answer within 300 ms"),
    ] {
        let rig = Rig::new(vec![], answer);
        let ran = rig.alone(&["--timeout", "300ms"]);
        let status = status(&ran, "api");
        assert_eq!((ran.code, &status["result"], &status["reason"]), (69, &json!("error"), &json!(reason)), "{status}");
        assert!(status["message"].as_str().unwrap().contains(said), "{status}");
        assert_eq!(std::fs::read_dir(rig.out.path().join("jaeger")).unwrap().count(), 0);
    }
}

#[test]
fn a_fault_in_the_middle_keeps_what_came_and_says_so() {
    let asked = AtomicUsize::new(0);
    let rig = Rig::new(store(30, SECOND), move |path, parameters, spans| {
        if asked.fetch_add(1, Ordering::SeqCst) > 4 {
            http(400, "application/json", "{}")
        } else {
            v3(path, parameters, spans, 100)
        }
    });
    let ran = rig.alone(&["--page", "10"]);
    let status = status(&ran, "api");
    assert_eq!((&status["result"], &status["reason"]), (&json!("partial"), &json!("Refused")), "{status}");
    assert_eq!(status["traces"], held(&rig.file("api")).0.len());
}

/// A Run and jobs, each with its trace, that ended long ago.
fn stream(jobs: &[(&str, &str)]) -> String {
    let mut stream =
        json!({"apiVersion": "stress/v1", "kind": "Run", "metadata": {"name": "soak", "run": "r"}}).to_string() + "\n";
    for (index, (id, trace)) in jobs.iter().enumerate() {
        let job = json!({
            "apiVersion": "stress/v1", "kind": "Job", "metadata": {"name": format!("soak-{index:03}"), "run": "r"},
            "spec": {"source": "/x"},
            "status": {"phase": "Succeeded", "jobId": id, "traceId": trace, "spanId": "00000000000000aa",
                "submittedAt": "2026-05-20T22:30:00Z", "endedAt": "2026-05-20T22:31:00Z"},
        });
        stream += &job.to_string();
        stream.push('\n');
    }
    stream
}

#[test]
fn every_job_is_checked_and_what_no_search_brought_is_asked_for_by_id() {
    let mut spans = store(2, SECOND);
    // A job's trace begins under the submission's own span, which nobody reports.
    spans[0].parent = Some("00000000000000aa".to_owned());
    // This one carries its job's id only in a tag.
    spans[2].job = Some("tagged".to_owned());
    // This one lies outside the window.
    spans.push(span(7, 1, None, "api", START - 3600 * SECOND));
    // And this one is of a service that nobody asked for.
    spans.push(span(8, 1, None, "other", START));
    for api in ["v1", "v3"] {
        let rig = Rig::new(spans.clone(), move |path, parameters, spans| {
            if api == "v1" { v1(path, parameters, spans, 100) } else { v3(path, parameters, spans, 100) }
        });
        let id = |trace: u64| format!("{trace:032x}");
        let jobs = [
            ("a", id(1)),
            ("tagged", id(99)),
            ("late", id(7)),
            ("else", id(8)),
            ("gone", id(9)),
            ("evil", "../../x?y".to_owned()),
        ];
        let stream = stream(&jobs.iter().map(|(job, trace)| (*job, trace.as_str())).collect::<Vec<_>>());
        let ran = rig.run(&["--service", "api", "--service", "worker"], &stream);
        assert_eq!(ran.code, 0, "soft in a run: {}", ran.stderr);
        let status = status(&ran, "api");
        assert_eq!((&status["result"], &status["reason"]), (&json!("partial"), &json!("MissingTraces")), "{status}");
        assert_eq!(
            (&status["jobsMatched"], &status["foundById"], &status["traces"]),
            (&json!(3), &json!(1), &json!(3)),
            "{status}"
        );
        assert_eq!(status["missing"], json!([id(8), id(9), "../../x?y"]));
        assert_eq!(status["incompleteTraces"], 0, "{status}");
        assert!(
            rig.server.asked.lock().unwrap().iter().all(|asked| !asked.contains("..")),
            "an id that is none was asked for"
        );
        assert_eq!(rig.run(&["--service", "api", "--require"], &stream).code, 69);
    }
}

#[test]
fn traces_that_lack_spans_are_counted() {
    let mut spans = store(2, SECOND);
    spans.remove(0);
    let rig = Rig::new(spans, |path, parameters, spans| v3(path, parameters, spans, 100));
    let status = status(&rig.alone(&[]), "worker");
    assert_eq!(
        (&status["result"], &status["incompleteTraces"], &status["reason"]),
        (&json!("partial"), &json!(1), &json!("IncompleteTraces"))
    );
}

#[test]
fn a_capture_waits_until_the_counts_stand_still() {
    // One more trace comes with each search, up to five.
    let asked = AtomicUsize::new(0);
    let rig = Rig::new(store(5, SECOND), move |path, parameters, spans| {
        let seen = asked.fetch_add(1, Ordering::SeqCst) + 1;
        v3(path, parameters, &spans[..(2 * seen).min(spans.len())], 100)
    });
    let ran = rig.run(&[&WINDOW[..], &["--service", "api"]].concat(), "");
    assert_eq!((ran.code, &status(&ran, "api")["traces"]), (0, &json!(5)), "{}", ran.stderr);
    assert!(rig.server.requests() >= 6);
}

#[test]
fn counts_that_never_stand_still_are_named() {
    let asked = AtomicUsize::new(0);
    let rig = Rig::new(store(5000, 10), move |path, parameters, spans| {
        let seen = asked.fetch_add(1, Ordering::SeqCst) + 1;
        v3(path, parameters, &spans[..2 * seen], 1000)
    });
    let ran = rig.run(&[&WINDOW[..], &["--service", "api"]].concat(), "");
    let status = status(&ran, "api");
    assert_eq!(
        (ran.code, &status["result"], &status["reason"]),
        (69, &json!("partial"), &json!("Unsettled")),
        "{status}"
    );
    let once = rig.run(&[&WINDOW[..], &["--service", "api", "--settle", "0s"]].concat(), "");
    assert_eq!(once.code, 0, "one look was asked for: {}", once.stderr);
}

#[test]
fn a_signal_ends_the_waiting_and_what_there_is_is_written() {
    let rig = Rig::new(store(3, SECOND), |path, parameters, spans| v3(path, parameters, spans, 100));
    let (stop, out) = (Stop::default(), rig.out.path().display().to_string());
    stop.trigger(2);
    // Without the signal this would wait ten minutes for the exporters.
    let argv = [
        "--jaeger",
        rig.server.url(),
        "--out",
        &out,
        "--service",
        "api",
        "--flush",
        "10m",
        "--settle",
        "20m",
        "--start",
        "2026-05-20T22:30:00Z",
    ];
    let ran = tool_until(capture_jaeger::run, &argv, Box::new(Cursor::new("")), stop);
    assert_eq!(
        (ran.code, &status(&ran, "api")["traces"], &status(&ran, "api")["reason"]),
        (130, &json!(3), &json!("Unsettled"))
    );
    assert_eq!(held(&rig.file("api")).0.len(), 3);
}

#[test]
fn off_is_said_and_refused_is_soft_in_a_run() {
    let out = tempfile::tempdir().unwrap();
    let (dir, run) = (out.path().display().to_string(), stream(&[("a", &format!("{:032x}", 1))]));
    let off = tool(capture_jaeger::run, &["--jaeger", "", "--out", &dir], &run);
    assert_eq!((off.code, &status(&off, "autorag-api")["reason"]), (0, &json!("Off")));
    assert_eq!(off.stderr, "tool: no traces are captured: the Jaeger address is empty\n");

    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("http://127.0.0.1:{port}");
    let refused = tool(capture_jaeger::run, &["--jaeger", &url, "--out", &dir], &run);
    let status = status(&refused, "autorag-io-worker");
    assert_eq!((refused.code, &status["result"], &status["reason"]), (0, &json!("error"), &json!("Unreachable")));
    assert!(status.get("missing").is_none(), "what was not asked for is not missing");
    assert!(std::fs::read_dir(Path::new(&dir).join("jaeger")).unwrap().next().is_none());
    assert_eq!(tool(capture_jaeger::run, &["--jaeger", &url, "--out", &dir, "--require"], &run).code, 69);
}

#[test]
fn the_whole_trace_of_every_job_comes_from_the_stand_in() {
    // The second server answers with five traces at the most, whatever it is asked for, and does not say so.
    for (api, page) in [("v1", "5"), ("v3", "500")] {
        let target = Target::start(&["--jaeger-api", api, "--jaeger-page", "5"]);
        let polled = target.poll(&[], &target.submit(&["--max-posts", "4"], &target.stage(12)).stdout).stdout;
        let (out, url) = (target.dir.path().join("run"), target.sim.jaeger_url());
        let argv = ["--jaeger", &url, "--out", out.to_str().unwrap(), "--page", page, "--flush", "0s"];
        let ran = tool(capture_jaeger::run, &argv, &polled);
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{api}");
        for service in ["autorag-api", "autorag-gpu-worker", "autorag-io-worker"] {
            let status = status(&ran, service);
            assert_eq!(
                (&status["result"], &status["api"], &status["jobsMatched"], &status["incompleteTraces"]),
                (&json!("ok"), &json!(api), &json!(12), &json!(0)),
                "{status}"
            );
            let file = std::fs::read_to_string(out.join("jaeger").join(format!("{service}.json"))).unwrap();
            let (ids, spans) = held(&file);
            assert_eq!((ids.len(), json!(spans)), (12, status["spans"].clone()));
            // Submitted, eight stages, and what the GPU took.
            assert!(spans >= 12 * 9, "{spans}");
        }
        assert!(ran.last("soak")["status"]["window"]["start"].is_string());
    }
}

#[test]
fn a_job_whose_trace_got_lost_is_named() {
    let target = Target::start(&["--lose-trace", "2"]);
    let polled = target.poll(&[], &target.submit(&["--max-posts", "1"], &target.stage(3)).stdout);
    let lost = polled.last("soak-002")["status"]["traceId"].clone();
    let (out, url) = (target.dir.path().join("run"), target.sim.jaeger_url());
    let argv = ["--jaeger", &url, "--out", out.to_str().unwrap(), "--flush", "0s"];
    let status = status(&tool(capture_jaeger::run, &argv, &polled.stdout), "autorag-api");
    assert_eq!(
        (&status["reason"], &status["missing"], &status["jobsMatched"]),
        (&json!("MissingTraces"), &json!([lost]), &json!(2))
    );
}
