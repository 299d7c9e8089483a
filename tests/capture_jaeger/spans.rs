//! Spans that share an id, repeat, refer to themselves, or belong to a job by a link; and answers in older spellings.

use super::*;

const STAGES: [&str; 7] = ["whisper", "l1", "decide", "summarize_l1", "l2", "summarize_l2", "l0"];

/// The trace of a job whose workers were forked with one random seed, so that all stage spans have one id and are their own
/// parents; and a trace with one span that was exported twice.
fn forked_workers(api: &str) -> Vec<u8> {
    let (own, repeated) = (format!("{:032x}", 1), format!("{:032x}", 2));
    let stages = STAGES.iter().enumerate().map(|(index, stage)| (format!("autorag.stage.{stage}"), index + 1));
    if api == "v1" {
        let span = |trace: &str, id: &str, parent: &str, name: &str, start: i64, process: usize| {
            json!({"traceID": trace, "spanID": id, "operationName": name, "startTime": start, "duration": 1_000_000,
                "references": [{"refType": "CHILD_OF", "traceID": trace, "spanID": parent}], "processID": format!("p{process}")})
        };
        let mut spans = vec![span(&own, "a1", "aa", "POST", START, 0)];
        spans.extend(stages.map(|(name, index)| span(&own, "5eed", "5eed", &name, START + SECOND, index)));
        let processes: Value = (0..8)
            .map(|index| (format!("p{index}"), json!({"serviceName": "api", "tags": [{"key": "pid", "value": index}]})))
            .collect();
        let twice = span(&repeated, "b2", "aa", "autorag.stage.l1", START, 0);
        let data = json!([
            {"traceID": own, "spans": spans, "processes": processes},
            {"traceID": repeated, "spans": [twice, twice], "processes": {"p0": {"serviceName": "api"}}},
        ]);
        return http(200, "application/json", &json!({"data": data}).to_string());
    }
    let resource = |trace: &str, id: &str, parent: &str, name: &str, process: usize| {
        json!({"resource": {"attributes": [
                {"key": "service.name", "value": {"stringValue": "api"}}, {"key": "process.pid", "value": {"intValue": process.to_string()}}]},
            "scopeSpans": [{"spans": [{"traceId": trace, "spanId": id, "parentSpanId": parent, "name": name, "kind": 5,
                "startTimeUnixNano": format!("{START}000"), "endTimeUnixNano": format!("{}000", START + SECOND)}]}]})
    };
    let mut resources = vec![resource(&own, "a1", "aa", "POST", 0)];
    resources.extend(stages.map(|(name, index)| resource(&own, "5eed", "5eed", &name, index)));
    resources.extend([(); 2].map(|()| resource(&repeated, "b2", "aa", "autorag.stage.l1", 0)));
    http(200, "application/json", &json!({"result": {"resourceSpans": resources}}).to_string())
}

#[test]
fn spans_that_share_an_id_all_count_and_a_repetition_counts_once() {
    for api in ["v1", "v3"] {
        let rig = Rig::new(Vec::new(), move |_, _, _| forked_workers(api));
        let jobs = [("a", format!("{:032x}", 1)), ("b", format!("{:032x}", 2))];
        let ran = rig.run(
            &["--service", "api", "--api", api],
            &stream(&jobs.each_ref().map(|(job, trace)| (*job, trace.as_str()))),
        );
        let status = status(&ran, "api");
        assert_eq!((&status["result"], &status["incompleteTraces"]), (&json!("ok"), &json!(0)), "{api} {status}");
        let counts: Vec<_> = status["stages"]
            .as_array()
            .unwrap()
            .iter()
            .map(|stage| (stage["name"].as_str().unwrap().to_owned(), stage["count"].as_u64().unwrap()))
            .collect();
        assert_eq!(counts.len(), 7, "{api} {counts:?}");
        assert!(counts.iter().all(|(name, count)| *count == if name == "l1" { 2 } else { 1 }), "{api} {counts:?}");
        assert_eq!((&status["spans"], &status["repeatedSpans"]), (&json!(9), &json!(1)), "{api} {status}");
        assert_eq!(held(&rig.file("api")).1, 10, "{api}: nothing is lost from the file");
    }
}

#[test]
fn parts_of_a_trace_in_different_answers_are_joined() {
    // Each search returns only the spans in its window, as a store may that keeps an index a day.
    let mut spans = store(40, SECOND);
    for span in &mut spans {
        span.id = format!("{:016x}", span.start);
        span.parent = None;
        span.trace = format!("{:032x}", span.start / (20 * SECOND));
    }
    let count = spans.len();
    let rig = Rig::new(spans, |path, parameters, spans| {
        let time =
            |key: &str| parameters.iter().find(|(name, _)| name == key).and_then(|(_, value)| value.parse().ok());
        let (start, end) = (time("start").unwrap_or(i64::MIN), time("end").unwrap_or(i64::MAX));
        let held: Vec<Span> = spans.iter().filter(|span| (start..=end).contains(&span.start)).cloned().collect();
        v1(path, parameters, &held, 100)
    });
    let ran = rig.alone(&["--api", "v1", "--page", "2"]);
    let (ids, held) = held(&rig.file("api"));
    assert_eq!((ids.len(), held), (2, count), "{}", status(&ran, "api"));
}

/// An answer of either API: the job's trace, and a chain of worker traces that are linked to it, to each other and to
/// themselves.
fn linked_workers(api: &str) -> Vec<u8> {
    let spans = [
        ("01", "a", "api", "POST", &[][..]),
        ("02", "b", "worker", "autorag.stage.whisper", &["01"]),
        ("03", "c", "worker", "autorag.stage.l1", &["02", "03"]),
        ("04", "d", "worker", "autorag.stage.l1", &["03", "05"]),
        ("05", "e", "worker", "autorag.stage.l0", &["04"]),
        ("06", "f", "worker", "autorag.stage.l0", &["99"]),
    ];
    if api == "v1" {
        let data = spans.map(|(trace, id, service, name, links)| {
            let references: Vec<Value> =
                links.iter().map(|link| json!({"refType": "FOLLOWS_FROM", "traceID": link, "spanID": "c"})).collect();
            json!({"traceID": trace, "processes": {"p": {"serviceName": service}}, "spans": [{"traceID": trace, "spanID": id,
                "operationName": name, "references": references, "startTime": START, "duration": 5, "processID": "p"}]})
        });
        return http(200, "application/json", &json!({"data": data}).to_string());
    }
    let resources = spans.map(|(trace, id, service, name, links)| {
        let links: Vec<Value> = links.iter().map(|link| json!({"traceId": link, "spanId": "01"})).collect();
        json!({"resource": {"attributes": [{"key": "service.name", "value": {"stringValue": service}}]},
            "scopeSpans": [{"spans": [{"traceId": trace, "spanId": id, "name": name, "links": links,
                "startTimeUnixNano": format!("{START}000"), "endTimeUnixNano": format!("{START}999")}]}]})
    });
    http(200, "application/json", &json!({"result": {"resourceSpans": resources}}).to_string())
}

/// An answer of either API whose spans name no service: the parts that would are null, or unknown.
fn nameless(api: &str) -> Vec<u8> {
    let own = format!("{:032x}", 1);
    if api == "v1" {
        let span = json!({"traceID": own, "spanID": "1", "operationName": "autorag.stage.l1", "startTime": START, "duration": 5,
            "processID": "p7"});
        let data = json!([{"traceID": own, "processes": null, "spans": [span]}]);
        return http(200, "application/json", &json!({"data": data}).to_string());
    }
    let span = json!({"traceId": own, "spanId": "01", "name": "autorag.stage.l1", "startTimeUnixNano": format!("{START}000"),
        "endTimeUnixNano": format!("{START}999")});
    let resources = json!([{"resource": null, "scopeSpans": [{"spans": [span]}]}]);
    http(200, "application/json", &json!({"result": {"resourceSpans": resources}}).to_string())
}

#[test]
fn spans_that_name_no_service_are_said() {
    for api in ["v1", "v3"] {
        let rig = Rig::new(Vec::new(), move |_, _, _| nameless(api));
        let own = format!("{:032x}", 1);
        let ran = rig.run(&["--service", "worker", "--api", api], &stream(&[("a", &own)]));
        let status = status(&ran, "worker");
        assert_eq!(status["result"], "partial", "{api} {status}");
        assert!(status["message"].as_str().unwrap().contains("1 of 1 spans name no service"), "{api} {status}");
    }
}

#[test]
fn worker_traces_that_are_linked_to_a_jobs_trace_are_the_jobs() {
    for api in ["v1", "v3"] {
        let rig = Rig::new(Vec::new(), move |_, _, _| linked_workers(api));
        let own = format!("{:032x}", 1);
        let ran = rig.run(&["--service", "api", "--service", "worker", "--api", api], &stream(&[("a", &own)]));
        let status = status(&ran, "worker");
        assert_eq!((&status["result"], &status["jobsMatched"]), (&json!("ok"), &json!(1)), "{api} {status}");
        let stages: Vec<_> =
            status["stages"].as_array().unwrap().iter().map(|stage| (&stage["name"], &stage["count"])).collect();
        let (l0, l1, whisper) = (json!("l0"), json!("l1"), json!("whisper"));
        let (once, twice) = (json!(1), json!(2));
        assert_eq!(stages, [(&l0, &once), (&l1, &twice), (&whisper, &once)], "{api}: but not that of trace 06");
    }
}

#[test]
fn worker_traces_that_a_jobs_own_spans_link_to_are_the_jobs() {
    // 01 and 02 are the jobs' own; a gateway of the first hands it to 11, and that to 12. 13, a batch of other clients too, is
    // linked to the first job, and its links lead to another job and to another client's trace.
    let spans = [
        ("01", "api", "POST", &["11"][..]),
        ("02", "api", "POST", &[]),
        ("11", "worker", "autorag.stage.whisper", &["12"]),
        ("12", "worker", "autorag.stage.l1", &["01"]),
        ("13", "worker", "autorag.stage.l0", &["01", "02", "14"]),
        ("14", "worker", "autorag.stage.l0", &[]),
    ];
    let resources = spans.map(|(trace, service, name, links)| {
        let links: Vec<Value> = links.iter().map(|link| json!({"traceId": link, "spanId": link})).collect();
        json!({"resource": {"attributes": [{"key": "service.name", "value": {"stringValue": service}}]},
            "scopeSpans": [{"spans": [{"traceId": trace, "spanId": trace, "name": name, "links": links,
                "startTimeUnixNano": format!("{START}000"), "endTimeUnixNano": format!("{START}999")}]}]})
    });
    let body = json!({"result": {"resourceSpans": resources}}).to_string();
    let rig = Rig::new(Vec::new(), move |_, _, _| http(200, "application/json", &body));
    let (one, two) = (format!("{:032x}", 1), format!("{:032x}", 2));
    let ran = rig.run(&["--service", "api", "--service", "worker"], &stream(&[("a", &one), ("b", &two)]));
    let status = status(&ran, "worker");
    let stages: Vec<_> = status["stages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|stage| (stage["name"].as_str(), stage["count"].as_u64()))
        .collect();
    assert_eq!(stages, ["l0", "l1", "whisper"].map(|name| (Some(name), Some(1))), "not the l0 of trace 14: {status}");
}

/// An answer of either API: three spans of a stage that last 2 s, one that has not ended, one that ends before it begins; and
/// one of another stage that has not ended.
fn spans_without_an_end(api: &str) -> Vec<u8> {
    let lengths = [("l1", Some(2)), ("l1", Some(2)), ("l1", Some(2)), ("l1", None), ("l1", Some(-7)), ("l2", None)];
    if api == "v1" {
        let spans: Vec<Value> = lengths
            .iter()
            .enumerate()
            .map(|(index, (stage, length))| {
                // The end 0 as Jaeger computes a duration from it, without a sign.
                let duration = length.map_or(json!(0_i64.wrapping_sub(START).cast_unsigned()), |length| json!(length * SECOND));
                json!({"traceID": "1", "spanID": format!("{:x}", index + 1), "operationName": format!("autorag.stage.{stage}"),
                    "startTime": START, "duration": duration, "processID": "p"})
            })
            .collect();
        let data = json!([{"traceID": "1", "spans": spans, "processes": {"p": {"serviceName": "api"}}}]);
        return http(200, "application/json", &json!({"data": data}).to_string());
    }
    let spans = lengths.iter().enumerate().map(|(index, (stage, length))| {
        let end = length.map_or("0".to_owned(), |length| format!("{}000", START + length * SECOND));
        json!({"traceId": "1", "spanId": format!("{:x}", index + 1), "name": format!("autorag.stage.{stage}"),
            "startTimeUnixNano": format!("{START}000"), "endTimeUnixNano": end})
    });
    let spans: Vec<Value> = spans.collect();
    let resource = json!({"resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "api"}}]},
        "scopeSpans": [{"spans": spans}]});
    http(200, "application/json", &json!({"result": {"resourceSpans": [resource]}}).to_string())
}

#[test]
fn spans_without_an_end_or_of_negative_length_give_no_duration_and_are_counted_apart() {
    for api in ["v1", "v3"] {
        let rig = Rig::new(Vec::new(), move |_, _, _| spans_without_an_end(api));
        let ran = rig.run(&["--service", "api", "--api", api], &stream(&[("a", &format!("{:032x}", 1))]));
        let status = status(&ran, "api");
        assert_eq!(status["stages"], json!([{"name": "l1", "count": 3, "meanSeconds": 2.0}]), "{api} {status}");
        assert_eq!(status["stagesWithoutDuration"], json!({"l1": 2, "l2": 1}), "{api}");
        assert_eq!(
            (&status["spans"], held(&rig.file("api")).1),
            (&json!(6), 6),
            "{api}: nothing is lost from the file"
        );
    }
}

#[test]
fn a_job_whose_trace_others_only_link_to_is_not_missing() {
    let spans = |path: &str, _: &Parameters, _: &[Span]| {
        if path.contains("/traces/") { no_such_page() } else { linked_workers("v3") }
    };
    // The server behind a public endpoint began a trace of its own, linked to the submission's.
    let own = format!("{:032x}", 0x99);
    let ran = Rig::new(Vec::new(), spans).run(&["--service", "worker"], &stream(&[("a", &own)]));
    let status = status(&ran, "worker");
    assert_eq!((&status["result"], &status["jobsMatched"]), (&json!("ok"), &json!(1)), "{status}");
    assert_eq!(status["stages"].as_array().unwrap().len(), 1, "{status}");
}

#[test]
fn an_answer_of_unknown_shape_is_an_error_and_the_other_api_is_asked() {
    let shapes = [
        (200, r#"{"a":1}"#),
        (200, r#"{"result":{"traces":[]}}"#),
        (200, ""),
        (200, "null"),
        (200, r#"{"status":"success","data":{}}"#),
        (404, r#"{"error":{"message":"Cannot GET /api/v3/traces"}}"#),
        (403, "forbidden"),
        (500, "no route"),
        (400, r#"{"message":"unknown path"}"#),
    ];
    for (code, shape) in shapes {
        let rig = Rig::new(store(2, SECOND), move |path, parameters, spans| {
            if path.starts_with("/api/v3") {
                http(code, "application/json", shape)
            } else {
                v1(path, parameters, spans, 100)
            }
        });
        let ran = rig.alone(&[]);
        let found = status(&ran, "api");
        assert_eq!(
            (ran.code, &found["api"], &found["traces"]),
            (0, &json!("v1"), &json!(2)),
            "{shape}: {}",
            ran.stderr
        );

        let rig = Rig::new(Vec::new(), move |_, _, _| http(code, "application/json", shape));
        let ran = rig.alone(&["--settle", "0s"]);
        let found = status(&ran, "api");
        assert_eq!((ran.code, &found["result"]), (69, &json!("error")), "{shape}: {found}");
        assert!(found["file"].is_null(), "{shape}: {found}");
    }
}

#[test]
fn older_names_and_encodings_are_read_and_kept() {
    let base64 = |bytes: &[u8]| base64::Engine::encode(&base64::prelude::BASE64_STANDARD, bytes);
    let id = |number: u8| base64(&[&[0; 15][..], &[number]].concat());
    let span_id = |number: u8| base64(&[&[0; 7][..], &[number]].concat());
    let spans: Vec<Value> = (1..=2)
        .map(|number| {
            json!({"trace_id": id(number), "span_id": span_id(number), "parent_span_id": span_id(0xaa), "name": "autorag.stage.l1",
                "kind": "SPAN_KIND_CONSUMER", "start_time_unix_nano": START * 1000, "end_time_unix_nano": (START + SECOND) * 1000})
        })
        .collect();
    let resource = json!({"resource": {"attributes": [{"key": "service.name", "value": {"string_value": "api"}}]},
        "instrumentation_library_spans": [{"instrumentation_library": {"name": "lib"}, "spans": spans}]});
    let body = json!({"resource_spans": [resource]}).to_string();
    let rig = Rig::new(Vec::new(), move |_, _, _| http(200, "application/json", &body));
    let jobs = [("a", format!("{:032x}", 1)), ("b", format!("{:032x}", 2))];
    let ran = rig.run(&["--service", "api"], &stream(&jobs.each_ref().map(|(job, trace)| (*job, trace.as_str()))));
    let status = status(&ran, "api");
    assert_eq!(
        (&status["result"], &status["jobsMatched"], &status["incompleteTraces"], &status["stages"][0]["count"]),
        (&json!("ok"), &json!(2), &json!(0), &json!(2)),
        "{status}"
    );
    assert_eq!(status["stages"][0]["meanSeconds"], 1.0);
    let file: Value = serde_json::from_str(&rig.file("api")).unwrap();
    let scope = &file["resourceSpans"][0]["scopeSpans"][0];
    assert_eq!((&scope["scope"]["name"], scope["spans"].as_array().unwrap().len()), (&json!("lib"), 2), "{file}");
}
