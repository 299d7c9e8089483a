//! Text of a target is shown and does nothing; the redacted page does not show it.

use super::{read, rendered, visible_text};
use crate::support::{RUN, Scratch, good, job};

#[test]
fn hostile_text_does_nothing() {
    let nasty = r#"</details></pre></style><script>alert(1)</script>]]>&quot;&\"'<img src=x onerror=alert(1)>javascript:alert(1)\u202e\u0007\u0000-->"#;
    let run = good()[0].replace("\"scenario\":\"soak\"", &format!("\"scenario\":\"{nasty}\"")).replace("l0", nasty);
    let times = r#""submittedAt":"2026-05-20T22:30:02Z","acceptedAt":"2026-05-20T22:30:02.1Z","notEndedAt":"2026-05-20T22:30:03Z","endedAt":"2026-05-20T22:30:04Z""#;
    let stage = format!(
        r#"{{"name":"{nasty}","state":"{nasty}","phase":"Done","timesFrom":"server","queuedAt":"2026-05-20T22:30:02.6Z","startedAt":"2026-05-20T22:30:03Z","endedAt":"2026-05-20T22:30:04Z"}}"#
    );
    let status = |phase: &str| {
        format!(
            r#"{{"phase":"{phase}","reason":"{nasty}","message":"{nasty}","jobId":"{nasty}","traceId":"{nasty}","targetStatus":"{nasty}","target":"{nasty}","polledTarget":"{nasty}","flags":["{nasty}"],{times},"stages":[{stage}],"body":"{nasty}"}}"#
        )
    };
    let traces = format!(
        r#"{{"apiVersion":"stress/v1","kind":"Traces","metadata":{{"name":"{nasty}","run":"r1"}},"spec":{{"service":"{nasty}"}},"status":{{"result":"partial","reason":"{nasty}","message":"{nasty}","file":"javascript:alert(1)","traces":1,"stages":[{{"name":"{nasty}","count":1,"meanSeconds":1.0}}],"tenancies":[{{"tenant":"{nasty}","acquiringAt":"2026-05-20T22:30:02.5Z","heldAt":"2026-05-20T22:30:02.6Z","seenAt":"2026-05-20T22:30:04Z"}}]}}}}"#
    );
    let source = |line: String| line.replace("/data/", &format!("/data/{nasty}"));
    let lines = vec![run, source(job(nasty, &status("Failed"))), job("soak-002", &status("Succeeded")), traces];
    let scratch = Scratch::new();
    scratch.report(&lines, &["--redact", "--jaeger-ui", "http://h:1/ui/", "--expect", "all-done,all-stages"]);
    for name in ["report.html", "report.redacted.html"] {
        let page = scratch.read(name);
        let tags = read(&page);
        for href in tags.iter().filter_map(|tag| tag.attribute("href")) {
            let relative = !href.contains(':') && !href.starts_with('/');
            assert!(relative || href.starts_with("http://h:1/ui/trace/%3C%2Fdetails%3E"), "{href}");
        }
        assert!(!page.contains('\u{202e}') && !page.contains('\u{7}') && !page.contains('\0'), "{name}");
        assert!(
            page.contains("&lt;script&gt;alert(1)&lt;/script&gt;]]&gt;&amp;quot;&amp;&quot;&#39;"),
            "{name}: it is there to be read"
        );
    }
    assert!(scratch.read("report.html").contains("href=\"http://h:1/ui/trace/"));
}

#[test]
fn a_redacted_page_holds_nothing_that_the_target_said() {
    let run = RUN.replace(
        r#""status":{"#,
        r#""status":{"aborted":{"by":"submit-jobs","reason":"TargetGone","message":"SECRET-A","at":"2026-05-20T22:30:09Z"},"settings":{"scenario":"SECRET-R"},"idle":{"idle":false,"waitedSeconds":1,"busy":"SECRET-S"},"#,
    );
    let run = run.replace(r#""concurrency":2"#, r#""concurrency":2,"target":"http://SECRET-B:1""#);
    let status = r#"{"phase":"Failed","reason":"TargetFailed","message":"SECRET-C","jobId":"id-7","traceId":"4bf92f3577b34da6a3ce929d0e0e4736","targetStatus":"SECRET-D","target":"http://SECRET-T","polledTarget":"http://SECRET-U","submittedAt":"2026-05-20T22:30:02Z","endedAt":"2026-05-20T22:30:04Z","stages":[{"name":"whisper","state":"SECRET-E","phase":"Unnamed"}],"body":"SECRET-F"}"#;
    let failed = job("soak-002", status).replace("/data/", "/SECRET-G/");
    let series = r#"{"apiVersion":"stress/v1","kind":"Series","metadata":{"name":"queue_wait_sum","run":"r1"},"spec":{"query":"q{}","server":"http://SECRET-H"},"status":{"result":"error","reason":"Unreachable","message":"SECRET-I","warnings":["SECRET-J"],"infos":["SECRET-K"],"nearNames":["SECRET-L"]}}"#;
    let traces = r#"{"apiVersion":"stress/v1","kind":"Traces","metadata":{"name":"api","run":"r1"},"spec":{"service":"api"},"status":{"result":"error","reason":"said SECRET-M","message":"SECRET-N"}}"#;
    let logs = r#"{"apiVersion":"stress/v1","kind":"Logs","metadata":{"name":"gpu","run":"r1"},"spec":{"service":"gpu"},"status":{"result":"partial","reason":"ReadFailed","message":"SECRET-O","lines":9,"exceptionsFound":1,"exceptions":[{"firstLine":"SECRET-P","traceback":"SECRET-Q","jobId":"id-7"}]}}"#;
    let lines = [&[run, failed][..], &[series, traces, logs].map(str::to_owned), &good()[3..]].concat();
    let scratch = Scratch::new();
    let ran = scratch.report(&lines, &["--redact", "--expect", "all-done,no-exceptions"]);
    let (whole, sent) = (scratch.read("report.html"), scratch.read("report.redacted.html"));
    for told in [
        "SECRET-A", "SECRET-B", "SECRET-C", "SECRET-D", "SECRET-E", "SECRET-F", "SECRET-G", "SECRET-I", "SECRET-N",
        "SECRET-Q", "SECRET-R", "SECRET-S", "SECRET-T", "SECRET-U",
    ] {
        assert!(whole.contains(told), "{told} is not in the whole page, so that it is not in the other says nothing");
    }
    assert!(!sent.contains("SECRET"), "{sent}");
    for kept in [
        "soak-001",
        "soak-002",
        "soak-003",
        "TargetFailed",
        "id-7",
        "4bf92f3577b34da6a3ce929d0e0e4736",
        "whisper",
        "Redacted: ",
    ] {
        assert!(sent.contains(kept), "{kept}");
    }
    assert!(
        read(&sent).iter().filter_map(|tag| tag.attribute("href")).all(|href| href.starts_with('#')),
        "nothing lies beside it"
    );
    assert!(
        visible_text(&sent).contains("1 of 3 jobs did not succeed: soak-002 failed (TargetFailed)"),
        "{}",
        visible_text(&sent)
    );
    assert!(ran.report().status.files.contains(&"report.redacted.html".to_owned()));
    let plain = Scratch::new();
    plain.report(&lines, &[]);
    assert!(!plain.out().join("report.redacted.html").exists());
}

#[test]
fn the_address_of_the_ui_is_checked_before_anything_is_read() {
    for flag in ["--jaeger-ui", "--grafana", "--prometheus-ui"] {
        for url in ["javascript:alert(1)", "ftp://h", "http://u:p@h"] {
            let scratch = Scratch::new();
            let ran = scratch.report(&good(), &[flag, url]);
            assert_eq!(ran.code, 2, "{url}");
            assert!(ran.stderr.contains(&format!("{flag}: ")) && !scratch.out().exists(), "{}", ran.stderr);
        }
    }
    let page = rendered(&good(), &["--jaeger-ui", ""]);
    assert!(!page.contains("/trace/"), "make passes an empty address where there is none");
}

#[test]
fn other_tools_are_linked_with_the_window_of_the_run() {
    let query = r#"{"apiVersion":"stress/v1","kind":"Series","metadata":{"name":"up","run":"r"},"spec":{"query":"up{a=\"&<\"}"},"status":{"result":"empty"}}"#;
    let lines: Vec<String> = good().into_iter().chain([query.to_owned()]).collect();
    let flags = ["--grafana", "http://g:3000/", "--prometheus-ui", "http://p"];
    let page = rendered(&lines, &flags);
    assert!(page.contains("href=\"http://g:3000/d/stress-suite?from="), "{page}");
    assert!(page.contains("href=\"http://p/graph?g0.expr=up%7Ba%3D%22%26%3C%22%7D&amp;g0.tab=0&amp;g0.range_input="));
    assert!(!rendered(&lines, &[]).contains("/graph?"));
    let scratch = Scratch::new();
    scratch.report(&lines, &[&flags[..], &["--redact"]].concat());
    let sent = std::fs::read_to_string(scratch.out().join("report.redacted.html")).unwrap();
    assert!(!sent.contains("http://g:3000") && !sent.contains("http://p"), "a page that is sent has no links");
}
