//! A run that is resumed and captured again: what was had once is asked for again only where that can bring more, and is
//! never given up for nothing.

use std::path::Path;

use serde_json::json;
use stress_suite::tools::capture_prom;

use crate::server::{Reply, Server};
use crate::support::{Ran, tool};
use crate::{BARE, JOB, ONE, answering, envelope};

/// The record of an earlier capture of the query `q`, with a window that ends at this second.
fn earlier(result: &str, end: u32) -> String {
    json!({
        "apiVersion": "stress/v1", "kind": "Series", "metadata": {"name": "q", "run": "r"},
        "spec": {"query": "up", "window": {
            "start": "2023-11-14T22:13:20.000000Z", "end": format!("2023-11-14T22:14:{end:02}.000000Z"),
        }},
        "status": {"result": result, "file": "prometheus/q.json", "observedAt": "2023-11-14T22:15:00Z"},
    })
    .to_string()
        + "\n"
}

/// The same, of a server at `url`.
fn of_server(record: &str, url: &str) -> String {
    record.replace(r#""query":"up""#, &format!(r#""query":"up","server":"{url}""#))
}

/// Captures `q` again into `dir`, where an earlier capture left a file.
fn again(dir: &Path, server: &Server, earlier: &str) -> (Ran, usize, Option<String>) {
    std::fs::create_dir_all(dir.join("prometheus")).unwrap();
    std::fs::write(dir.join("prometheus/q.json"), "old").unwrap();
    std::fs::write(dir.join("profile.toml"), BARE).unwrap();
    let (out, profile) = (dir.to_str().unwrap(), dir.join("profile.toml"));
    let flags = ["--out", out, "--profile", profile.to_str().unwrap(), "--prometheus", &server.url(), "--no-raw"];
    let argv = [&flags[..], &["--query", "q=up"]].concat();
    let ran = tool(capture_prom::run, &argv, &format!("{JOB}{earlier}"));
    let records = ran.records().iter().filter(|record| record["kind"] == "Series").count();
    (ran, records, std::fs::read_to_string(dir.join("prometheus/q.json")).ok())
}

#[test]
fn what_came_whole_for_this_window_is_not_asked_for_again() {
    let (dir, server) = (tempfile::tempdir().unwrap(), answering(|_| Reply::json(envelope(ONE))));
    let (ran, records, file) = again(dir.path(), &server, &earlier("ok", 20));
    assert_eq!((ran.code, records, file.as_deref()), (0, 1, Some("old")), "{}", ran.stderr);
    assert!(server.requests().is_empty(), "nobody was asked: {:?}", server.requests().len());
}

#[test]
fn a_longer_window_and_what_was_short_are_asked_for_again() {
    for before in [earlier("ok", 10), earlier("partial", 20), earlier("empty", 20), earlier("error", 20)] {
        let (dir, server) = (tempfile::tempdir().unwrap(), answering(|_| Reply::json(envelope(ONE))));
        let (ran, records, file) = again(dir.path(), &server, &before);
        assert_eq!((ran.code, records, file), (0, 2, Some(envelope(ONE))), "{before}{}", ran.stderr);
        assert_eq!(ran.last("q")["status"]["result"], "ok");
        assert_eq!(ran.last("q")["spec"]["window"]["end"], "2023-11-14T22:14:20.000000Z");
    }
}

#[test]
fn less_does_not_take_the_place_of_more() {
    let refusal = || Reply::new(500, r#"{"status":"error","errorType":"internal","error":"it broke"}"#);
    for before in ["ok", "partial", "empty"] {
        for answer in [Reply::json(envelope("")), refusal()] {
            let (dir, empty) = (tempfile::tempdir().unwrap(), matches!(&answer, Reply::Whole(200, ..)));
            let server = answering(move |_| answer.clone());
            let (ran, records, file) = again(dir.path(), &server, &earlier(before, 10));
            // That a server has nothing is more than that it gave no answer.
            if before != "empty" || !empty {
                assert_eq!((ran.code, records, file.as_deref()), (0, 1, Some("old")), "{before}: {}", ran.stderr);
                assert!(ran.stderr.contains("q: keeping the earlier capture"), "{}", ran.stderr);
            } else {
                assert_eq!(records, 2, "{before}: {}", ran.stderr);
                assert_eq!(file, Some(envelope("")), "the record names what is there");
            }
        }
    }
}

#[test]
fn what_began_with_the_window_is_not_given_up_for_what_begins_later() {
    // A server that was started anew: it has forgotten the beginning.
    let late = ONE.replace("1700000000", "1700000050");
    let (dir, server) = (
        tempfile::tempdir().unwrap(),
        answering(move |request| match &*request.path {
            "/api/v1/query" => Reply::json(envelope("").replace("matrix", "vector")),
            _ => Reply::json(envelope(&late)),
        }),
    );
    let (ran, records, file) = again(dir.path(), &server, &earlier("ok", 10));
    assert_eq!((ran.code, records, file.as_deref()), (0, 1, Some("old")), "{}", ran.stderr);
    assert!(ran.stderr.contains("keeping the earlier capture"), "{}", ran.stderr);
    let left: Vec<_> = std::fs::read_dir(dir.path().join("prometheus")).unwrap().collect();
    assert_eq!(left.len(), 1, "nothing lies beside it: {left:?}");
}

#[test]
fn what_another_server_saw_is_kept() {
    for before in ["ok", "partial", "empty"] {
        let (dir, server) = (tempfile::tempdir().unwrap(), answering(|_| Reply::json(envelope(ONE))));
        let before = of_server(&earlier(before, 10), "http://elsewhere:9090");
        let (ran, records, file) = again(dir.path(), &server, &before);
        assert_eq!((ran.code, records, file.as_deref()), (0, 1, Some("old")), "{before}{}", ran.stderr);
        assert!(ran.stderr.contains("from another server"), "{}", ran.stderr);
    }
}

#[test]
fn the_server_that_was_asked_before_is_asked_again_and_off_stays_off() {
    let (dir, server) = (tempfile::tempdir().unwrap(), answering(|_| Reply::json(envelope(ONE))));
    std::fs::write(dir.path().join("profile.toml"), BARE).unwrap();
    let (out, profile) = (dir.path().to_str().unwrap(), dir.path().join("profile.toml"));
    let argv = ["--out", out, "--profile", profile.to_str().unwrap(), "--no-raw", "--query", "q=up"];
    let error = of_server(&earlier("error", 10), &server.url());
    let ran = tool(capture_prom::run, &argv, &format!("{JOB}{error}"));
    assert_eq!(ran.last("q")["status"]["result"], "ok", "{}", ran.stderr);
    assert_eq!(ran.last("q")["spec"]["server"], server.url());

    let asked = server.requests().len();
    let off = earlier("error", 10).replace(r#""result":"error""#, r#""result":"error","reason":"Off""#);
    let ran = tool(capture_prom::run, &argv, &format!("{JOB}{off}"));
    assert_eq!(
        (ran.last("q")["status"]["reason"].as_str(), server.requests().len()),
        (Some("Off"), asked),
        "{}",
        ran.stderr
    );
}
