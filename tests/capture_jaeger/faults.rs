//! The choice of the API, and errors of the server.

use super::*;

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
fn faults_are_named_and_nothing_half_written() {
    let html: Answer = |_, _, _| http(200, "text/html", "<html>log in</html>");
    let login: Answer = |_, _, _| {
        b"HTTP/1.1 302 x\r\nlocation: //me:T0K@h/login?t=T0K\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_vec()
    };
    let cut: Answer =
        |_, _, _| b"HTTP/1.1 200 x\r\ncontent-length: 1000\r\nconnection: close\r\n\r\n{\"result\":".to_vec();
    let torn: Answer = |_, _, _| http(200, "application/json", r#"{"result":{"resourceSpans":["#);
    let broken: Answer = |_, _, _| http(500, "text/plain", "search depth must be greater than 0");
    let hang: Answer = |_, _, _| HANG.to_vec();
    for (answer, reason, said) in [
        (html, "NoApi", "HTML page"),
        (login, "Redirected", "HTTP 302 to //h/login?t=…: is a login required?"),
        (cut, "AnswerCut", "then the answer broke off"),
        (torn, "NotJaeger", "not a v3 answer: EOF"),
        (broken, "ServerError", "search depth must be greater than 0"),
        (hang, "NoAnswer", "no answer within 500 ms"),
    ] {
        let rig = Rig::new(vec![], answer);
        // Patient with a busy machine, but where the timeout itself is what is tested.
        let ran = rig.alone(&["--timeout", if reason == "NoAnswer" { "500ms" } else { "30s" }]);
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
