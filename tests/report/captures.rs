//! The report on the captures themselves: those that end early, fail, are empty or lack traces.

use crate::observed::{STAGE, doubts, points, section, series, stages, table, traces, whole};
use crate::support::{Scratch, good, job};

#[test]
fn captures_that_end_before_the_last_job_make_no_figure_that_could_be_compared() {
    let early = |line: String| line.replace(r#""end":"2026-05-20T22:30:14Z""#, r#""end":"2026-05-20T22:30:10Z""#);
    let tenant = |le: &str| points(&format!(r#""tenant":"llm","le":"{le}""#), &[(0.0, 0.0), (25.0, 3.0)]);
    let way = points(r#""from":"none","to":"llm""#, &[(0.0, 4.0), (25.0, 7.0)]);
    let depth = points(r#""queue":"l1""#, &[(2.0, 3.0), (7.0, 8.0)]);
    let window =
        r#""window":{"start":"2026-05-20T22:30:01Z","end":"2026-05-20T22:30:14Z"},"start":"2026-05-20T22:29:51Z""#;
    let spans = traces("gpu", r#"{"name":"l0","count":3,"meanSeconds":3.74}"#)
        .replace(r#""start":"2026-05-20T22:29:51Z""#, window);
    let captures = |scratch: &Scratch| {
        let last = [
            whole(scratch, "gpu_tenancy_bucket", r#""tenant""#, &[tenant("2.5"), tenant("+Inf")].join(",")),
            whole(scratch, "gpu_tenancy_transitions", r#""from","to""#, &way),
            whole(scratch, "rabbitmq_queue_ready", r#""queue""#, &depth),
            spans.clone(),
        ];
        [stages(scratch), last.to_vec()].concat()
    };
    let of_captures = |figures: std::collections::BTreeMap<String, f64>| -> Vec<String> {
        let made = ["histogram", "spans", "queueWait", "gpu.", "queue", "samples.", "witness"];
        figures.into_keys().filter(|name| made.iter().any(|part| name.contains(part))).collect()
    };
    let scratch = Scratch::new();
    let ran = scratch.report(&[good(), captures(&scratch)].concat(), &[]);
    assert!(of_captures(ran.report().status.figures).len() > 15, "the same captures are figures where they reach");
    assert!(!doubts(&ran).iter().any(|doubt| doubt.contains("before the last job did")));

    let scratch = Scratch::new();
    let ran = scratch.report(&[good(), captures(&scratch).into_iter().map(early).collect()].concat(), &[]);
    let figures = ran.report().status.figures;
    assert!(figures.contains_key("endToEndMedianSeconds"), "what the jobs tell stays");
    assert_eq!(of_captures(figures), [""; 0]);
    let said =
        "no means are computed from it, its depths and counts are lower bounds, and none of its figures is compared";
    for page in ["report.md", "report.html"] {
        let page = scratch.read(page);
        assert!(page.contains(said), "{page}");
    }
}

#[test]
fn one_reason_is_said_once_however_many_captures_it_befell() {
    let names = ["a", "b", "c", "d", "e", "f", "g"];
    let lines = |status: &str| names.map(|name| series(name, STAGE, status)).to_vec();
    let scratch = Scratch::new();
    let failed = lines(r#"{"result":"error","reason":"Unreachable","message":"no connection"}"#);
    let ran = scratch.report(&[good(), failed].concat(), &[]);
    assert_eq!(doubts(&ran), ["7 captures of series failed (a, b, c, d, e and 2 more): no connection"]);

    let off = lines(r#"{"result":"error","reason":"Off","message":"no Prometheus was named"}"#);
    let waived = r#"{"apiVersion":"stress/v1","kind":"Logs","metadata":{"name":"gpu","run":"r1"},"spec":{"service":"gpu"},"status":{"result":"empty","reason":"Waived","message":"as was asked","waived":true}}"#;
    let mut lines = [good(), off].concat();
    lines.push(waived.to_owned());
    let scratch = Scratch::new();
    let ran = scratch.report(&lines, &[]);
    assert_eq!(
        doubts(&ran),
        [
            "7 captures of series were off (a, b, c, d, e and 2 more): no Prometheus was named",
            "the capture of logs gpu was waived: as was asked"
        ]
    );
    let page = scratch.read("report.md");
    assert!(section(&page, "Captures").starts_with("Not captured: traces.\n"), "{page}");
    assert!(
        table(&page, "Captures").contains("| logs | gpu | gpu | – | – | **waived** | – | as was asked |"),
        "{page}"
    );

    let scratch = Scratch::new();
    let empty = |name: &str| {
        series(name, STAGE, &format!(r#"{{"result":"empty","reason":"NoSeries","message":"no {name}","series":0}}"#))
    };
    let ran = scratch.report(&[good(), vec![empty("a"), empty("b")]].concat(), &[]);
    assert_eq!(doubts(&ran), ["2 captures of series are empty (a, b), the first of them: no a"]);
}

#[test]
fn missing_traces_are_named_once() {
    let lost = |service: &str, message: &str| {
        let status =
            format!(r#""result":"partial","reason":"MissingTraces","message":"{message}","missing":["4bf92f35"],"#);
        traces(service, "").replace(r#""result":"ok","#, &status)
    };
    let all = [good(), vec![lost("api", "1 of 3 jobs have no trace: 4bf92f35"), lost("gpu", "other words")]].concat();
    let scratch = Scratch::new();
    assert_eq!(
        doubts(&scratch.report(&all, &[]))[..1],
        ["2 captures of traces are partial (api, gpu), the first of them: 1 of 3 jobs have no trace: 4bf92f35"]
    );
    let unsaid = [good(), vec![lost("api", "other words"), lost("gpu", "other words")]].concat();
    let scratch = Scratch::new();
    assert_eq!(
        doubts(&scratch.report(&unsaid, &[]))[..2],
        [
            "2 captures of traces are partial (api, gpu): other words",
            "1 trace of a job is missing from api, gpu: 4bf92f35"
        ]
    );
}

#[test]
fn the_captures_table_says_what_was_asked_and_came() {
    let scratch = Scratch::new();
    let partial = r#"{"result":"partial","reason":"NotSettled","message":"the last scrape | was early","file":"prometheus/a.json","series":3,"samples":90}"#;
    let logs = r#"{"apiVersion":"stress/v1","kind":"Logs","metadata":{"name":"gpu","run":"r1"},"spec":{"service":"gpu"},"status":{"result":"ok","lines":480,"exceptionsFound":0,"file":"logs/gpu.log"}}"#;
    scratch.report(&[good(), vec![series("a", STAGE, partial), traces("gpu", ""), logs.to_owned()]].concat(), &[]);
    assert_eq!(
        table(&scratch.read("report.md"), "Captures"),
        "\
| Kind | Name | Request | Window (UTC) | Step | Result | Received | Missing, and why |
| --- | --- | --- | --- | ---: | --- | --- | --- |
| series | [a](prometheus/a.json) | a{} | 22:29:50.000 – 22:30:25.000 | 5.00 s | **partial** | 3 series, 90 samples | the last scrape \\| was early |
| traces | [gpu](jaeger/gpu.json) | gpu | 22:29:51.000 – 22:30:24.000 | – | **ok** | 3 traces, 9 spans | – |
| logs | [gpu](logs/gpu.log) | gpu | – | – | **ok** | 480 lines, 0 exceptions | – |"
    );
}

#[test]
fn a_stage_that_only_captures_know_is_shown_and_made_safe() {
    let scratch = Scratch::new();
    let stage = format!(r#"{{"name":"[x](http://e) {}","count":1,"meanSeconds":1}}"#, "y".repeat(200));
    let waiting = job("soak-001", r#"{"phase":"Staged"}"#);
    scratch.report(&[vec![waiting], vec![traces("gpu", &stage)]].concat(), &[]);
    let page = scratch.read("report.md");
    let table = table(&page, "Stage durations from three sources");
    assert!(table.contains("| \\[x\\]\\(http\\://e) yyy") && table.contains("y… | – | – | 1 | 1.00 s |"), "{table}");
}
