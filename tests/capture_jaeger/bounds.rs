//! A capture ends, whatever the server answers: a number of requests and `--settle` bound it, and the rest is partial.

use std::time::Instant;

use super::*;

/// One of `count` traces of one span that begins at `start`.
fn lone(trace: u64, start: i64) -> Span {
    span(trace, trace, None, "api", start)
}

fn value(parameters: &Parameters, key: &str) -> i64 {
    parameters.iter().find(|(name, _)| name == key).unwrap().1.parse().unwrap()
}

fn shortfall(ran: &Ran) -> (Value, Value, u64) {
    let status = status(ran, "api");
    (status["result"].clone(), status["reason"].clone(), status["traces"].as_u64().unwrap_or_default())
}

#[test]
fn a_server_whose_windows_are_whole_seconds_is_not_asked_for_every_microsecond() {
    // 30 traces in each of 60 seconds, a page of 10, and windows that the server widens to whole seconds.
    let spans = (0..1800).map(|index| lone(1 + index, START + i64::try_from(index).unwrap() * SECOND / 30)).collect();
    let rig = Rig::new(spans, |path, parameters, spans| {
        if path != "/api/traces" {
            return v1(path, parameters, spans, 100);
        }
        let (start, end) = (value(parameters, "start"), value(parameters, "end"));
        let wide: Vec<(String, String)> = [
            ("service", "api".to_owned()),
            ("limit", "10".to_owned()),
            ("start", (start - start.rem_euclid(SECOND)).to_string()),
            ("end", (end - end.rem_euclid(SECOND) + SECOND - 1).to_string()),
        ]
        .map(|(key, value)| (key.to_owned(), value))
        .to_vec();
        v1(path, &wide, spans, 100)
    });
    let ran = rig.run(&[&WINDOW[..], &["--service", "api", "--api", "v1", "--page", "10"]].concat(), "");
    let (result, reason, traces) = shortfall(&ran);
    assert_eq!((ran.code, &result, &reason), (4, &json!("partial"), &json!("Overfull")), "{}", ran.stderr);
    assert!(traces >= 600, "ten of each second: {traces}");
    assert!(rig.server.requests() < 1500, "{}", rig.server.requests());
}

#[test]
fn a_server_that_ignores_window_and_page_is_given_up_soon() {
    for api in ["v1", "v3"] {
        let rig = Rig::new((1..=60).map(|trace| lone(trace, START)).collect(), move |path, parameters, spans| {
            let search = if api == "v1" { "/api/traces" } else { "/api/v3/traces" };
            let fixed: Vec<(String, String)> = parameters
                .iter()
                .map(|(key, value)| {
                    let value = match key.as_str() {
                        "start" | "end" => START.to_string(),
                        "query.start_time_min" | "query.start_time_max" => "2026-05-20T22:30:00Z".to_owned(),
                        "limit" | "query.num_traces" => "60".to_owned(),
                        _ => value.clone(),
                    };
                    (key.clone(), value)
                })
                .collect();
            let parameters = if path == search { &fixed[..] } else { parameters };
            if api == "v1" { v1(path, parameters, spans, 60) } else { v3(path, parameters, spans, 60) }
        });
        let common = [&WINDOW[..], &["--service", "api", "--api", api]].concat();
        let ran = rig.run(&[&common[..], &["--page", "50"]].concat(), "");
        assert_eq!(shortfall(&ran), (json!("partial"), json!("Overfull"), 60), "{api} {}", ran.stderr);
        assert!(rig.server.requests() < 400, "{api} {}", rig.server.requests());
        assert_eq!(rig.run(&[&common[..], &["--page", "100"]].concat(), "").code, 0, "{api}: a page holds them all");
    }
}

#[test]
fn a_server_that_always_has_more_is_given_up_after_so_many_requests() {
    let next = AtomicUsize::new(0);
    let rig = Rig::new(Vec::new(), move |path, parameters, _| {
        let first = next.fetch_add(5, Ordering::SeqCst);
        let fresh: Vec<Span> = (first..first + 5).map(|trace| lone(1 + trace as u64, START)).collect();
        let all = [("query.start_time_min", "2026-05-20T22:00:00Z"), ("query.start_time_max", "2026-05-20T23:00:00Z")];
        let mut all: Vec<(String, String)> = all.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec();
        all.extend(parameters.iter().filter(|(key, _)| !key.contains("time")).cloned());
        v3(path, &all, &fresh, 100)
    });
    let ran = rig.run(&[&WINDOW[..], &["--service", "api", "--page", "5"]].concat(), "");
    let (result, reason, traces) = shortfall(&ran);
    assert_eq!((ran.code, result, reason), (4, json!("partial"), json!("SearchLimit")), "{}", ran.stderr);
    assert_eq!((rig.server.requests(), traces), (1000, 5000));
}

#[test]
fn the_time_of_a_search_is_bounded_and_the_other_service_has_its_share() {
    // Always full and never the same, and each answer takes a while, as a back end does that is busy.
    let next = AtomicUsize::new(0);
    let rig = Rig::new(store(3, SECOND), move |path, parameters, spans| {
        if path != "/api/traces" || parameters.iter().any(|(_, value)| value == "worker") {
            return v1(path, parameters, spans, 100);
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
        let first = next.fetch_add(2, Ordering::SeqCst) as u64;
        let fresh = [lone(1000 + first, START), lone(1001 + first, START)];
        let all = [("service", "api"), ("start", "0"), ("end", "9000000000000000"), ("limit", "2")];
        v1(path, &all.map(|(key, value)| (key.to_owned(), value.to_owned())), &fresh, 100)
    });
    let begun = Instant::now();
    let ran = rig.alone(&["--api", "v1", "--page", "2", "--settle", "1s"]);
    let (result, reason, _) = shortfall(&ran);
    assert_eq!((ran.code, result, reason), (4, json!("partial"), json!("SearchLimit")), "{}", ran.stderr);
    assert!(begun.elapsed().as_secs() < 60, "{:?}", begun.elapsed());
    assert_eq!((&status(&ran, "worker")["result"], &status(&ran, "worker")["traces"]), (&json!("ok"), &json!(3)));
}

#[test]
fn ids_that_never_come_are_asked_for_once() {
    let rig = Rig::new(store(2, SECOND), |path, parameters, spans| v3(path, parameters, spans, 100));
    let jobs: Vec<(String, String)> = (0..50).map(|job| (format!("j{job}"), format!("{:032x}", 1000 + job))).collect();
    let jobs: Vec<(&str, &str)> = jobs.iter().map(|(job, trace)| (job.as_str(), trace.as_str())).collect();
    let ran = rig.run(&["--service", "api"], &stream(&jobs));
    let status = status(&ran, "api");
    assert_eq!((&status["reason"], status["missing"].as_array().unwrap().len()), (&json!("MissingTraces"), 50));
    let by_id = rig.server.asked.lock().unwrap().iter().filter(|path| path.starts_with("/api/v3/traces/")).count();
    assert_eq!(by_id, 50);
}
