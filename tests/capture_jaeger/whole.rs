//! Everything comes, to the byte, however the server limits its answers; or it is said what does not.

use super::*;

#[test]
fn three_thousand_traces_come_whole_through_pages_of_a_hundred() {
    for api in ["v1", "v3"] {
        let rig = Rig::new(store(3000, 10_000), move |path, parameters, spans| {
            if api == "v1" { v1(path, parameters, spans, 100) } else { v3(path, parameters, spans, 100) }
        });
        let ran = rig.run(&[&WINDOW[..], &["--service", "api", "--page", "100"]].concat(), "");
        assert_eq!((ran.code, complaints(&ran)), (0, vec![]), "{api}");
        let status = status(&ran, "api");
        assert_eq!(
            (&status["result"], &status["traces"], &status["spans"], &status["api"], &status["values"]),
            (&json!("ok"), &json!(3000), &json!(6000), &json!(api), &json!("raw")),
            "{status}"
        );
        assert_eq!(status["file"], "jaeger/api.json");
        let (ids, spans) = held(&rig.file("api"));
        assert_eq!((ids.len(), spans), (3000, 6000));
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
    assert_eq!(ran.code, 4);
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
fn nothing_found_is_empty_and_says_what_jaeger_knows() {
    for api in ["v1", "v3"] {
        let rig = Rig::new(store(2, 1), move |path, parameters, spans| {
            if api == "v1" { v1(path, parameters, spans, 100) } else { v3(path, parameters, spans, 100) }
        });
        let ran = rig.run(&[&WINDOW[..], &["--service", "autorag-api"]].concat(), "");
        let status = status(&ran, "autorag-api");
        assert_eq!((ran.code, &status["result"], &status["traces"]), (4, &json!("empty"), &json!(0)));
        assert_eq!(status["message"], "no trace in the window; Jaeger knows api, worker");
        assert_eq!(held(&rig.file("autorag-api")).1, 0);
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
fn without_jobs_a_root_that_every_trace_lacks_is_one_that_nobody_reports() {
    let spans = store(3, SECOND).into_iter().filter(|span| span.parent.is_some()).collect();
    let rig = Rig::new(spans, |path, parameters, spans| v3(path, parameters, spans, 100));
    let ran = rig.alone(&[]);
    let status = status(&ran, "worker");
    assert_eq!((&status["result"], &status["incompleteTraces"]), (&json!("ok"), &json!(0)), "{status}");
}
