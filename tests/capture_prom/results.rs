//! Missing and partial answers: each is recognized and named.

use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use serde_json::json;

use crate::server::{Reply, Server};
use crate::{JOB, NAMES, ONE, WINDOW, answering, bare, capture, envelope};

/// Captures the query `q` alone from a server that answers `reply` to its range query, and [`ONE`] to what else is asked.
fn against(reply: Reply, stdin: &str) -> crate::Done {
    // Patient with a busy machine, but where the timeout itself is what is tested.
    let timeout = if matches!(reply, Reply::Hang | Reply::Stall(_)) { "2s" } else { "30s" };
    let server = answering(move |request| match (&*request.path, request.value("query")) {
        ("/api/v1/query_range", "stage_duration_seconds" | "stage_duration_seconds{}") => reply.clone(),
        _ => Reply::json(envelope(ONE)),
    });
    let flags = ["--prometheus", &server.url(), "--timeout", timeout, "--query", "q=stage_duration_seconds"];
    let rest = ["--query", "up=up"];
    let window = if stdin.is_empty() { &WINDOW[..] } else { &[] };
    let done = bare(&[&flags[..], &rest, window].concat(), stdin);
    assert_eq!(done.result("up").0, "ok", "the other query is captured all the same: {}", done.stderr);
    done
}

#[test]
fn what_may_be_incomplete_is_partial_alone_a_failure_and_in_a_run_a_remark() {
    let with = |extra: &str| envelope(ONE).replacen('{', &format!("{{{extra},"), 1);
    for (body, reason, words) in [
        (with(r#""warnings":["store x:1 is gone"]"#), "Warnings", "store x:1 is gone"),
        (with(r#""isPartial":true"#), "IsPartial", "isPartial"),
        (envelope(&ONE.replace("1700000000", "1600000000")), "OffGrid", "1600000000"),
    ] {
        for (stdin, code) in [("", 4), (JOB, 0)] {
            let done = against(Reply::json(body.clone()), stdin);
            assert_eq!(done.result("q"), ("partial", reason));
            assert!(done.message("q").contains(words) && done.stderr.contains(words), "{}", done.stderr);
            assert_eq!(done.code, code, "{reason}");
            assert_eq!(done.file("prometheus/q.json"), body, "what came is kept");
        }
    }
    let warned = against(Reply::json(with(r#""warnings":["w"],"infos":["i"]"#)), "");
    assert_eq!((warned.status("q", "warnings"), warned.status("q", "infos")), (&json!(["w"]), &json!(["i"])));
    let info = against(Reply::json(with(r#""infos":["may not be a counter"]"#)), "");
    assert_eq!((info.result("q"), info.code), (("ok", ""), 0), "an info is no doubt");
}

#[test]
fn nothing_is_empty_and_names_what_there_is_instead() {
    let done = against(Reply::json(envelope("")), "");
    assert_eq!((done.result("q"), done.code), (("empty", "NoSeries"), 4));
    assert_eq!(done.status("q", "nearNames"), &json!(["stage_durations_seconds"]));
    assert!(done.message("q").ends_with("the most similar ones: stage_durations_seconds"), "{}", done.message("q"));
    assert_eq!(done.status("q", "samples"), 0);
    assert!(done.status("q", "firstSampleAt").is_null());
}

#[test]
fn native_histograms_are_counted_as_samples() {
    let series = r#"{"metric":{"__name__":"h"},"histograms":[[1700000000,{"count":"1","sum":"2","buckets":[[0,"1","2","1"]]}]]}"#;
    let done = against(Reply::json(envelope(series)), "");
    assert_eq!(done.result("q"), ("ok", ""));
    assert_eq!((done.status("q", "samples"), done.status("q", "nativeHistograms")), (&json!(1), &json!(1)));
}

#[test]
fn refusals_name_the_status_the_servers_words_and_what_to_try() {
    let error = |kind: &str, words: &str| format!(r#"{{"status":"error","errorType":"{kind}","error":"{words}"}}"#);
    let parse = "1:8: parse error: unclosed left parenthesis";
    let samples = "query processing would load too many samples into memory in query execution";
    for (reply, reason, words) in [
        (Reply::new(400, error("bad_data", parse)), "BadQuery", &["HTTP 400 bad_data", parse, "check the query"][..]),
        (Reply::new(422, error("execution", samples)), "QueryFailed", &["HTTP 422 execution", samples, "--step"]),
        (Reply::new(503, error("timeout", "query timed out")), "QueryTimeout", &["HTTP 503 timeout", "narrower"]),
        (Reply::new(502, "<html>Bad Gateway</html>"), "Unavailable", &["HTTP 502", "Bad Gateway"]),
        (Reply::new(403, "no"), "Unauthorized", &["HTTP 403: no", "--header-file"]),
        (Reply::json(error("internal", "storage")), "QueryFailed", &["HTTP 200", "internal", "storage"]),
        (Reply::json("<html>Log in</html>"), "NotPrometheus", &["HTML page", "Log in"]),
        (Reply::json(r#"{"status":"success","data":{"resultType":"vector","result":[]}}"#), "Malformed", &["vector"]),
        (Reply::json(envelope(&ONE.replace("\"1\"", "\"one\""))), "Malformed", &["not a number"]),
        (Reply::Cut(envelope(ONE)[..60].to_owned()), "AnswerCut", &["broke off"]),
        (Reply::Stall(envelope(ONE)[..60].to_owned()), "AnswerCut", &["broke off: no more data for 2.00 s"]),
        (Reply::Hang, "NoAnswer", &["no answer within 2.00 s", "--timeout"]),
        (
            Reply::Whole(302, vec![("Location", "http://login.example/".to_owned())], String::new()),
            "Redirected",
            &["HTTP 302 to http://login.example/"],
        ),
    ] {
        let done = against(reply, "");
        assert_eq!(done.result("q"), ("error", reason));
        for word in words {
            assert!(done.message("q").contains(word), "{word}: {}", done.message("q"));
        }
        assert!(done.stderr.contains("q: error, "), "{}", done.stderr);
        assert_eq!(done.code, 4);
        assert_eq!(done.files(), ["up.json", "up.raw.json"], "nothing that is not an answer is kept");
    }
}

#[test]
fn raw_samples_that_do_not_come_are_a_shortfall() {
    let server = answering(|request| match &*request.path {
        "/api/v1/query" => Reply::new(422, r#"{"status":"error","errorType":"execution","error":"too many samples"}"#),
        _ => Reply::json(envelope(ONE)),
    });
    let done = bare(&[&["--prometheus", &server.url(), "--query", "up=up"], &WINDOW[..]].concat(), "");
    assert_eq!((done.result("up"), done.code), (("partial", "NoRawSamples"), 4));
    assert_eq!(done.files(), ["up.json"]);
}

#[test]
fn an_unreachable_server_is_soft_in_a_run_and_hard_alone() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("http://127.0.0.1:{port}");
    for (flags, stdin, code) in [(&[][..], JOB, 0), (&["--require"], JOB, 69), (&WINDOW, "", 69)] {
        let done = capture(&[&["--prometheus", &url], flags].concat(), stdin);
        assert_eq!(done.code, code, "{}", done.stderr);
        assert!(done.files().is_empty());
        assert_eq!(done.series.len(), 10);
        for name in NAMES {
            assert_eq!(done.result(name), ("error", "Unreachable"));
        }
        assert_eq!(done.stderr.matches("connection refused").count(), 1, "{}", done.stderr);
        assert!(done.stdout.starts_with(stdin.lines().next().unwrap_or("").split(r#","metadata"#).next().unwrap()));
    }
}

#[test]
fn a_server_that_starts_is_not_ready_and_one_without_that_page_is() {
    let starting = Server::new(|_| Reply::new(503, "Service Unavailable"));
    let done = capture(&[&["--prometheus", &starting.url()], &WINDOW[..]].concat(), "");
    assert_eq!((done.result(NAMES[0]), done.code), (("error", "NotReady"), 69));
    let hosted = Server::new(|request| match &*request.path {
        path if !path.starts_with("/prometheus/") => Reply::new(404, "no such page"),
        "/prometheus/api/v1/query" if request.value("query") == "vector(1)" => {
            Reply::json(r#"{"status":"success","data":{"resultType":"vector","result":[]}}"#)
        }
        "/prometheus/api/v1/query_range" | "/prometheus/api/v1/query" => Reply::json(envelope(ONE)),
        _ => Reply::new(404, "no such page"),
    });
    let url = format!("{}/prometheus/", hosted.url());
    let done = bare(&[&["--prometheus", &url, "--query", "up=up"], &WINDOW[..]].concat(), "");
    assert_eq!((done.result("up"), done.code), (("ok", ""), 0), "{}", done.stderr);
    let wrong = bare(&[&["--prometheus", &hosted.url(), "--query", "up=up"], &WINDOW[..]].concat(), "");
    assert_eq!((wrong.result("up"), wrong.code), (("error", "NotFound"), 69));
    assert!(wrong.message("up").contains("such as /prometheus"), "{}", wrong.message("up"));
}

#[test]
fn a_query_that_got_no_answer_or_shall_come_again_is_sent_once_more() {
    let again = Reply::Whole(429, vec![("Retry-After", "0".to_owned())], "too many".to_owned());
    for (reply, reason) in [(Reply::Close, "NoAnswer"), (again, "Overloaded")] {
        for refusals in [1, 2] {
            let (asked, reply) = (AtomicU64::new(0), reply.clone());
            let server = answering(move |_| match asked.fetch_add(1, Ordering::SeqCst) {
                number if number < refusals => reply.clone(),
                _ => Reply::json(envelope(ONE)),
            });
            let flags = ["--prometheus", &server.url(), "--query", "q=up", "--no-raw"];
            let done = bare(&[&flags[..], &WINDOW].concat(), "");
            let expected = if refusals == 1 { ("ok", "") } else { ("error", reason) };
            assert_eq!(done.result("q"), expected, "{}", done.stderr);
        }
    }
}

#[test]
fn a_server_that_went_away_is_not_asked_for_the_rest() {
    for gone in [false, true] {
        let hung = AtomicBool::new(false);
        let server = Server::new(move |request| match (&*request.path, request.value("query")) {
            ("/-/ready", _) if hung.load(Ordering::SeqCst) && gone => Reply::Hang,
            ("/-/ready", _) => Reply::json(""),
            ("/api/v1/targets?state=active", _) => crate::healthy(request),
            (_, query) if query.starts_with("up") => Reply::json(envelope(ONE)),
            _ => {
                hung.store(true, Ordering::SeqCst);
                Reply::Hang
            }
        });
        let flags = ["--prometheus", &server.url(), "--timeout", "2s", "--no-raw", "--query", "a=up"];
        let done = bare(&[&flags[..], &["--query", "b=down", "--query", "c=up"], &WINDOW].concat(), "");
        let last = if gone { ("error", "Unreachable") } else { ("ok", "") };
        assert_eq!([done.result("a"), done.result("b"), done.result("c")], [("ok", ""), ("error", "NoAnswer"), last]);
    }
}

#[test]
fn off_is_said_and_no_failure() {
    for (flags, stdin) in [(&WINDOW[..], ""), (&[], JOB), (&["--require"], JOB)] {
        let done = capture(&[&["--prometheus", ""], flags].concat(), stdin);
        assert_eq!((done.code, done.result(NAMES[9])), (0, ("error", "Off")));
        assert!(done.stderr.contains("off"), "{}", done.stderr);
        assert!(done.files().is_empty());
    }
}

#[test]
fn without_a_window_there_is_nothing_to_ask() {
    let server = answering(|_| Reply::json(envelope(ONE)));
    let alone = capture(&["--prometheus", &server.url()], "");
    assert!(alone.code == 2 && alone.stderr.contains("--start"), "{}", alone.stderr);
    let run = r#"{"apiVersion":"stress/v1","kind":"Run","metadata":{"name":"r","run":"r"}}"#;
    let done = capture(&["--prometheus", &server.url()], run);
    assert_eq!((done.code, done.result(NAMES[0])), (0, ("error", "NoWindow")));
    assert!(server.requests().is_empty());
    let ages = capture(&["--prometheus", &server.url(), "--start", "0", "--end", "1700000000"], "");
    assert_eq!((ages.code, ages.result(NAMES[0])), (4, ("error", "TooManyPoints")), "{}", ages.stderr);
    let required = capture(&["--prometheus", &server.url(), "--require"], run);
    assert_eq!(required.code, 4);
}
