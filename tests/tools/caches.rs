//! Caches that answer polls in the target's place: an answer is as old as it says, and of any age if it does not say.

use std::time::Instant;

use chrono::Utc;
use serde_json::{Value, json};
use stress_suite::record::Timestamp;
use stress_suite::tools::render_report;

use crate::odd_polls::{follow, poll, running, submit, target, text, with_headers};
use crate::server::Reply;
use crate::support::{root, tool};

fn seconds(status: &Value, key: &str) -> f64 {
    text(status, key).parse::<Timestamp>().unwrap_or_else(|_| panic!("{key} of {status}")).seconds()
}

#[test]
fn a_cached_answer_is_as_old_as_it_says() {
    // The cache holds a "running" from the beginning; the truth comes after a while.
    let began = Instant::now();
    let target = target(move |polls, request| {
        assert_eq!(request.headers["cache-control"], "no-cache");
        match polls {
            0 => running(),
            1..10 => with_headers(200, vec![("Age", (20 + polls).to_string())], r#"{"status":"running"}"#),
            _ => Reply::json(r#"{"status":"done"}"#),
        }
    });
    let (_, status) = follow(&target, &[]);
    assert_eq!(text(&status, "phase"), "Succeeded");
    // Only the first answer tells that it ran: nine polls of at least 8 ms lie between it and the end.
    assert!(
        seconds(&status, "endedAt") - seconds(&status, "notEndedAt") >= 9.0 * 0.008,
        "{status} after {:?}",
        began.elapsed()
    );
}

#[test]
fn a_cached_end_from_before_the_submission_is_no_end() {
    let target = target(|polls, _| match polls {
        0..5 => with_headers(200, vec![("Age", "600".to_owned())], r#"{"status":"done"}"#),
        5..9 => running(),
        _ => Reply::json(r#"{"status":"failed"}"#),
    });
    let (ran, status) = follow(&target, &[]);
    assert_eq!((text(&status, "phase"), &status["polls"]["failed"]), ("Failed", &json!(5)), "{status}");
    assert!(ran.stderr.contains("from before the submission"), "{}", ran.stderr);
}

#[test]
fn a_cached_unknown_does_not_lose_the_job() {
    let target = target(|polls, _| match polls {
        0..20 => with_headers(404, vec![("Age", "7".to_owned())], "{}"),
        _ => Reply::json(r#"{"status":"done"}"#),
    });
    let submitted = submit(&target, &[], 1).stdout;
    let ran = poll(&target, &["--lost-after", "50ms"], &submitted);
    let status = ran.records().into_iter().rfind(|record| record["kind"] == "Job").unwrap()["status"].clone();
    assert_eq!(text(&status, "phase"), "Succeeded", "{status}");
    assert!(ran.stderr.contains("a cache answered HTTP 404"), "{}", ran.stderr);
}

#[test]
fn an_answer_of_a_cache_that_does_not_tell_its_age_may_be_of_any_age() {
    // Nor does a `Date` tell that the proxy itself writes, at the moment of sending.
    let hit = |name: &'static str, status: u16, body: &str| {
        let date =
            (name == "X-Cache-Status").then(|| ("Date", Utc::now().format("%a, %d %b %Y %H:%M:%S GMT").to_string()));
        with_headers(status, date.into_iter().chain([(name, "HIT".to_owned())]).collect(), body)
    };
    let dir = tempfile::tempdir().unwrap();
    let profile = dir.path().join("p.toml");
    let autorag = std::fs::read_to_string(root().join("profiles/autorag.toml")).unwrap();
    for (name, gone) in
        [("X-Cache", "lost"), ("CF-Cache-Status", "done"), ("X-Cache-Status", "lost"), ("X-Cache-Status", "done")]
    {
        std::fs::write(&profile, autorag.replacen("[poll]", &format!("[poll]\ngone = \"{gone}\""), 1)).unwrap();
        let target = target(move |polls, _| match polls {
            0 => Reply::json(r#"{"status":"running","stage_states":{"l1":"queued"}}"#),
            24 => running(),
            1..12 => hit(name, 200, r#"{"status":"running","stage_states":{"l1":"running"}}"#),
            12..24 => hit(name, 404, "{}"),
            25..36 => hit(name, 200, r#"{"status":"running"}"#),
            _ => Reply::json(r#"{"status":"done","stage_states":{"l1":"done"}}"#),
        });
        let argv = ["--profile", profile.to_str().unwrap(), "--lost-after", "0s"];
        let run = json!({"apiVersion": "stress/v1", "kind": "Run", "metadata": {"name": "r1", "run": "r1"}, "spec": {"jobs": 1}});
        let ran = poll(&target, &argv, &format!("{run}\n{}", submit(&target, &argv[..2], 1).stdout));
        let status = ran.last("line-001")["status"].clone();
        assert_eq!((text(&status, "phase"), &status["flags"]), ("Succeeded", &Value::Null), "{status}");
        // Eleven polls, at least 8 ms apart.
        assert!(seconds(&status, "endedAt") - seconds(&status, "notEndedAt") > 0.088, "{status}");
        let stage = &status["stages"][0];
        assert!(seconds(stage, "notStartedAt") >= seconds(&status, "submittedAt"), "{stage}");
        assert!(ran.stderr.contains("a cache answered HTTP 404: {}, of unknown age, although"), "{}", ran.stderr);
        let polling = ran.last("r1")["status"]["polling"].clone();
        assert_eq!(polling["failures"], json!({"HTTP 404 from a cache": 12}));
        let out = dir.path().join(name).join(gone);
        tool(render_report::run, &["--out", out.to_str().unwrap(), "--expect", "all-done"], &ran.stdout);
        let page = std::fs::read_to_string(out.join("report.md")).unwrap();
        let doubt = "a cache answered polls of r1 although they ask caches not to, and sent neither Age nor a Date";
        assert!(page.contains(doubt) && !page.contains("1970"), "{page}");
    }
}
