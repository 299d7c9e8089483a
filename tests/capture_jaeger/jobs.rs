//! Every job has its trace, or is named.

use super::*;

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
        assert_eq!(rig.run(&["--service", "api", "--require"], &stream).code, 4);
    }
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
        assert_eq!((ran.code, complaints(&ran)), (0, vec![]), "{api}");
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
        // The GPU passes back and forth, and every passing but the last is followed by the next one's.
        let tenancies = status(&ran, "autorag-gpu-worker")["tenancies"].as_array().unwrap().clone();
        assert!(tenancies.len() >= 2, "{tenancies:?}");
        assert_eq!((&tenancies[0]["tenant"], &tenancies[1]["tenant"]), (&json!("whisper"), &json!("llm")));
        assert_eq!(tenancies[0]["releasedAt"], tenancies[1]["acquiringAt"], "{tenancies:?}");
        assert!(status(&ran, "autorag-api")["tenancies"].is_null(), "it has no such spans");
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
