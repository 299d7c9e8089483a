//! Complete answers: the files, the records, the requests.

use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::json;

use chrono::DateTime;

use crate::server::{Reply, Server};
use crate::{JOB, NAMES, ONE, WINDOW, answering, bare, capture, envelope, healthy};

/// Answers of a real Prometheus 2.42.
const BUCKETS: &str = include_str!("../data/prom-2.42-stage_duration_bucket.json");
const RAW: &str = include_str!("../data/prom-2.42-raw-range-selector.json");
const NAN_INF: &str = include_str!("../data/prom-2.42-nan-inf.json");

/// The window of those answers, by a server whose clock is past it for certain.
const SAMPLED: [&str; 6] = ["--start", "1795423705", "--end", "1795424115", "--pad", "0s"];

fn later(body: &str) -> Reply {
    Reply::Whole(200, vec![("Date", "Sat, 01 Jan 2033 00:00:00 GMT".to_owned())], body.to_owned())
}

#[test]
fn the_files_are_the_servers_answers_to_the_byte() {
    let server = answering(|request| {
        let query = request.form.get("query").map_or("", |query| query);
        // The two answers are of different metrics; what is looked for further back has the same samples.
        let is_raw = query.ends_with("[415000ms]");
        later(if is_raw { RAW } else { BUCKETS })
    });
    let done = capture(&[&["--prometheus", &server.url()], &SAMPLED[..]].concat(), "");
    assert_eq!(done.code, 0, "{}", done.stderr);
    let mut expected: Vec<String> =
        NAMES.iter().flat_map(|name| [format!("{name}.json"), format!("{name}.raw.json")]).collect();
    expected.sort();
    assert_eq!(done.files(), expected);
    for name in NAMES {
        assert_eq!(done.file(&format!("prometheus/{name}.json")), BUCKETS);
        assert_eq!(done.file(&format!("prometheus/{name}.raw.json")), RAW);
    }
    let record = &done.series["stage_duration_bucket"];
    assert_eq!(record["spec"]["points"], 83);
    assert_eq!(record["spec"]["start"], "2026-11-23T08:48:25.000000Z");
    let status = &record["status"];
    for (key, value) in [
        ("result", json!("ok")),
        ("file", json!("prometheus/stage_duration_bucket.json")),
        ("series", json!(4)),
        ("samples", json!(332)),
        ("rawSamples", json!(83)),
        ("notANumber", json!(0)),
        ("families", json!(["stage_duration_seconds_bucket"])),
        ("firstSampleAt", json!("2026-11-23T08:48:25.000000Z")),
        ("lastSampleAt", json!("2026-11-23T08:55:15.000000Z")),
        ("settledBy", json!("targets")),
        ("scrapedUntil", json!("2033-01-01T00:00:00.000000Z")),
    ] {
        assert_eq!(status[key], value, "{key}");
    }
}

#[test]
fn what_is_not_a_number_or_infinite_is_counted_and_kept() {
    let server = answering(|_| later(NAN_INF));
    let done = bare(&[&["--prometheus", &server.url(), "--query", "w=weird"], &SAMPLED[..]].concat(), "");
    assert_eq!(done.file("prometheus/w.json"), NAN_INF);
    assert_eq!((done.status("w", "notANumber"), done.status("w", "infinite")), (&json!(83), &json!(83)));
}

#[test]
fn the_servers_own_time_tells_its_clock_to_milliseconds_unless_its_dates_contradict_it() {
    // The server's clock is 100 s behind ours.
    let now = || SystemTime::now().duration_since(UNIX_EPOCH + Duration::from_secs(100)).unwrap();
    for (ahead, bound) in [(0.0, 0.6), (3600.0, 2.0)] {
        let server = Server::new(move |request| {
            let date = DateTime::from_timestamp(i64::try_from(now().as_secs()).unwrap(), 0)
                .unwrap()
                .format("%a, %d %b %Y %H:%M:%S GMT");
            // As Prometheus tells it: whole milliseconds, cut off.
            let time = (now().as_secs_f64() * 1000.0).floor() / 1000.0 + ahead;
            let body = match request.form.get("query").map(String::as_str) {
                Some("time()") => {
                    format!(
                        r#"{{"status":"success","data":{{"resultType":"scalar","result":[{time:.3},"{time:.3}"]}}}}"#
                    )
                }
                Some(_) => envelope(ONE),
                None => return healthy(request),
            };
            Reply::Whole(200, vec![("Date", date.to_string())], body)
        });
        let done = bare(&[&["--prometheus", &server.url(), "--query", "q=up"], &WINDOW[..]].concat(), "");
        let offset = done.status("q", "clockOffset");
        let [seconds, wide] = ["seconds", "boundSeconds"].map(|key| offset[key].as_f64().unwrap());
        assert!((seconds + 100.0).abs() <= wide && wide < bound, "{offset}");
        assert_eq!(wide < 0.5, ahead < 1.0, "a time that the dates contradict is not used: {offset}");
    }
}

#[test]
fn queries_are_posted_with_what_makes_servers_answer_whole() {
    let server = answering(|_| Reply::json(envelope(ONE)));
    let flags = ["--prometheus", &server.url(), "--query", r#"a=up{x=~"a+b&c"}"#, "--query", "b=rate(up[1m])"];
    let done = bare(&[&flags, &WINDOW[..], &["--step", "250ms"]].concat(), "");
    assert_eq!(done.code, 0, "{}", done.stderr);
    let asked: Vec<_> =
        server.requests().into_iter().filter(|request| request.path.starts_with("/api/v1/query")).collect();
    let (time, asked) = asked.split_first().unwrap();
    assert_eq!(time.form["query"], "time()");
    let paths: Vec<_> = asked.iter().map(|request| (request.method.as_str(), request.path.as_str())).collect();
    let (range_path, raw_path) = (("POST", "/api/v1/query_range"), ("POST", "/api/v1/query"));
    // A single sample does not tell how often it is scraped, so more is asked for.
    assert_eq!(paths, [range_path, raw_path, raw_path, range_path]);
    let (range, raw) = (&asked[0].form, &asked[1].form);
    assert_eq!(range["query"], r#"up{x=~"a+b&c"}"#);
    assert_eq!((&*range["start"], &*range["end"], &*range["step"]), ("1699999990", "1700000070", "0.250"));
    assert_eq!((&*raw["query"], &*raw["time"]), (r#"up{x=~"a+b&c"}[80250ms]"#, "1700000070"));
    for (key, value) in [("nocache", "1"), ("latency_offset", "1ms"), ("partial_response", "false"), ("dedup", "true")]
    {
        assert_eq!(range[key], value);
    }
    assert!(!range.contains_key("limit"));
    assert!(done.status("b", "rawFile").is_null(), "an expression has no raw samples");
}

#[test]
fn the_window_comes_from_the_jobs_and_the_run_hears_of_it() {
    let server = answering(|_| Reply::json(envelope(ONE)));
    let done = bare(&["--prometheus", &server.url(), "--query", "up=up"], JOB);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let record = &done.series["up"];
    assert_eq!(record["metadata"], json!({"name": "up", "run": "r", "labels": {"scenario": "soak"}}));
    assert_eq!(
        record["spec"]["window"],
        json!({"start": "2023-11-14T22:13:20.000000Z", "end": "2023-11-14T22:14:20.000000Z"})
    );
    assert_eq!(record["spec"]["start"], "2023-11-14T22:13:10.000000Z");
    assert_eq!(record["spec"]["end"], "2023-11-14T22:14:30.000000Z");
    let lines: Vec<_> = done.stdout.lines().collect();
    assert!(lines[1] == JOB.lines().nth(1).unwrap(), "a Job passes unchanged");
    let last: serde_json::Value = serde_json::from_str(lines[lines.len() - 1]).unwrap();
    assert_eq!(last["status"]["window"], record["spec"]["window"]);
}

#[test]
fn a_table_stands_beside_each_envelope() {
    let server =
        answering(|_| Reply::json(envelope(r#"{"metric":{"__name__":"a","x":"=y"},"values":[[1700000000,"1.50"]]}"#)));
    let flags = ["--prometheus", &server.url(), "--query", "a=a", "--format", "csv", "--no-raw"];
    let done = bare(&[&flags, &WINDOW[..]].concat(), "");
    assert_eq!(done.status("a", "table"), "prometheus/a.csv");
    assert_eq!(done.file("prometheus/a.csv"), "timestamp,value,__name__,x\n1700000000,1.50,a,'=y\n");
    assert_eq!(done.files(), ["a.csv", "a.json"]);
}

#[test]
fn a_name_cannot_leave_the_directory_nor_take_anothers_files() {
    let server = answering(|_| Reply::json(envelope(ONE)));
    let url = server.url();
    let done = bare(&[&["--prometheus", &url, "--no-raw", "--query", "../../x y=up"], &WINDOW[..]].concat(), "");
    assert_eq!(done.files(), ["%2E.%2F..%2Fx%20y.json"]);
    assert_eq!(done.status("../../x y", "file"), "prometheus/%2E.%2F..%2Fx%20y.json");
    for name in ["a.raw=up", "a.chunk-001=up", &format!("{}=up", "x".repeat(61))] {
        let done = bare(&[&["--prometheus", &url, "--query", name], &WINDOW[..]].concat(), "");
        assert_eq!(done.code, 2, "{name}: {}", done.stderr);
    }
    let twice = bare(&[&["--prometheus", &url, "--query", "a=up", "--query", "a=down"], &WINDOW[..]].concat(), "");
    assert!(twice.code == 2 && twice.stderr.contains("`a` is used twice"), "{}", twice.stderr);
}

#[test]
fn what_an_earlier_capture_left_is_not_mistaken_for_this_ones() {
    let server = answering(|request| match request.value("query") {
        "up" => Reply::json(envelope(ONE)),
        _ => Reply::new(400, r#"{"status":"error","errorType":"bad_data","error":"parse error"}"#),
    });
    let dir = tempfile::tempdir().unwrap();
    let old = dir.path().join("prometheus");
    std::fs::create_dir(&old).unwrap();
    let left = ["a.chunk-001.json", "a.csv", "a.json", "a.raw.json", "a.chunk-x.json", "b.json", "other.json"];
    for name in left {
        std::fs::write(old.join(name), "old").unwrap();
    }
    let status = Command::new(env!("CARGO_BIN_EXE_capture-prom"))
        .args(["--out", dir.path().to_str().unwrap(), "--prometheus", &server.url(), "--no-raw"])
        .args(["--query", "a=up", "--query", "b=u p"])
        .args(WINDOW)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(status.status.code(), Some(4), "{}", String::from_utf8_lossy(&status.stderr));
    assert_eq!(crate::listing(&old), ["a.chunk-x.json", "a.json", "other.json"]);
    assert_eq!(std::fs::read_to_string(old.join("a.json")).unwrap(), envelope(ONE));
}

#[test]
fn secrets_reach_the_server_and_nothing_else() {
    let server = answering(|request| {
        let authorized = request.headers.get("authorization").is_some_and(|value| value == "Basic aW5zdDpzM2NyZXQ=");
        let tenant = request.headers.get("x-scope-orgid").is_some_and(|value| value == "team-a");
        if authorized && tenant { Reply::json(envelope(ONE)) } else { Reply::new(401, "no credentials") }
    });
    let dir = tempfile::tempdir().unwrap();
    let run = |variables: &[(&str, &str)]| {
        Command::new(env!("CARGO_BIN_EXE_capture-prom"))
            .args(["--out", dir.path().to_str().unwrap(), "--prometheus", &server.url(), "--tenant", "team-a"])
            .args(["--user-env", "CAPTURE_TEST_USER"])
            .args(WINDOW)
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .output()
            .unwrap()
    };
    let done = run(&[("CAPTURE_TEST_USER", "inst:s3cret")]);
    assert_eq!(done.status.code(), Some(0), "{}", String::from_utf8_lossy(&done.stderr));
    let mut written = String::from_utf8([done.stdout, done.stderr].concat()).unwrap();
    for name in crate::listing(&dir.path().join("prometheus")) {
        written += &std::fs::read_to_string(dir.path().join("prometheus").join(name)).unwrap();
    }
    assert!(!written.contains("s3cret") && !written.contains("aW5zdDpzM2NyZXQ="), "{written}");
    let refused = run(&[("CAPTURE_TEST_USER", "s3cret")]);
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(refused.status.code() == Some(2) && !said.contains("s3cret"), "{said}");
    let wrong = run(&[("CAPTURE_TEST_USER", "inst:wrong")]);
    assert_eq!(wrong.status.code(), Some(69));
    assert!(String::from_utf8(wrong.stdout).unwrap().contains(r#""reason":"Unauthorized""#));
}

#[test]
fn an_answer_may_be_larger_than_any_that_is_held() {
    let points: Vec<String> =
        (0..5000).map(|point| format!(r#"[{},"{point}.123456"]"#, 1_700_000_000 + point)).collect();
    let points = points.join(",");
    let series: Vec<String> =
        (0..100).map(|one| format!(r#"{{"metric":{{"x":"{one}"}},"values":[{points}]}}"#)).collect();
    let body = envelope(&series.join(","));
    assert!(body.len() > 11 << 20, "larger than what is read of a target's answer: {}", body.len());
    let sent = body.clone();
    let server = answering(move |_| Reply::json(sent.clone()));
    let flags = ["--prometheus", &server.url(), "--query", "a=a", "--no-raw", "--step", "1s"];
    let done = bare(&[&flags[..], &["--start", "1700000000", "--end", "1700005000"]].concat(), "");
    assert_eq!((done.result("a"), done.status("a", "samples")), (("ok", ""), &json!(500_000)), "{}", done.stderr);
    assert!(done.file("prometheus/a.json") == body);
}

#[test]
fn a_directory_that_cannot_be_written_is_said_before_anything_is_read() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("prometheus"), "in the way").unwrap();
    let out = ["--out", dir.path().to_str().unwrap(), "--prometheus", "http://127.0.0.1:9"];
    let ran = crate::support::tool(stress_suite::tools::capture_prom::run, &out, JOB);
    assert!(ran.code == 74 && ran.stderr.contains("prometheus: cannot write there"), "{}", ran.stderr);
    assert!(ran.stdout.is_empty());
}

/// Names that exporters make of OpenTelemetry's, and the file that each belongs in.
#[test]
fn each_file_gets_what_its_name_says_whatever_the_exporter_made_of_it() {
    let profile = stress_suite::profile::Profile::load(None).unwrap();
    let files: Vec<(String, regex::Regex)> = profile
        .prometheus
        .queries
        .into_iter()
        .map(|query| {
            let pattern = query.query.strip_prefix("{__name__=~\"").unwrap().strip_suffix("\"}").unwrap();
            // Prometheus anchors at both ends.
            (query.name, regex::Regex::new(&format!("^(?:{pattern})$")).unwrap())
        })
        .collect();
    assert_eq!(files.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), NAMES);
    for (metric, file) in [
        ("autorag_stage_duration_seconds_bucket", "stage_duration_bucket"),
        ("stage_duration_milliseconds_bucket", "stage_duration_bucket"),
        ("autorag.stage.duration_bucket", "stage_duration_bucket"),
        ("stage_duration_count", "stage_duration_count"),
        ("autorag_stage_duration_seconds_sum", "stage_duration_sum"),
        ("autorag_queue_wait_seconds_bucket", "queue_wait_bucket"),
        ("queue_wait_time_seconds_count", "queue_wait_count"),
        ("autorag.queue.wait_sum", "queue_wait_sum"),
        ("autorag_gpu_tenancy_seconds_bucket", "gpu_tenancy_bucket"),
        ("autorag_gpu_tenancy_transitions_total", "gpu_tenancy_transitions"),
        ("gpu.tenancy.transitions", "gpu_tenancy_transitions"),
        ("autorag_jobs_completed_total", "jobs_completed"),
        ("jobs.completed", "jobs_completed"),
        ("rabbitmq_queue_messages_ready", "rabbitmq_queue_ready"),
        ("rabbitmq_detailed_queue_messages_ready", "rabbitmq_queue_ready"),
    ] {
        let taken: Vec<_> = files.iter().filter(|(_, regex)| regex.is_match(metric)).map(|(name, _)| name).collect();
        assert_eq!(taken, [file], "{metric}");
    }
    for stranger in
        ["backstage_duration_seconds_bucket", "stage_duration_seconds", "rabbitmq_queue_messages_ready_bytes"]
    {
        assert!(!files.iter().any(|(_, regex)| regex.is_match(stranger)), "{stranger}");
    }
}

#[test]
fn a_changed_process_is_found_behind_a_counter_that_did_not_fall() {
    let counter =
        r#"{"metric":{"__name__":"n_total","job":"w","instance":"w:1"},"values":[[1700000010,"2"],[1700000025,"9"]]}"#;
    let start = |later: f64| {
        format!(
            r#"{{"metric":{{"job":"w","instance":"w:1"}},"values":[[1700000010,"1699990000"],[1700000025,"{later:.3}"]]}}"#
        )
    };
    for (later, restarts, takeovers) in [(1_700_000_012.0, 1, 0), (1_699_980_000.0, 0, 1), (1_699_990_000.4, 0, 0)] {
        let server = answering(move |request| {
            let is_start = request.form["query"].starts_with(r#"process_start_time_seconds{job="w",instance="w:1"}"#);
            Reply::json(envelope(&if is_start { start(later) } else { counter.to_owned() }))
        });
        let done = bare(&["--prometheus", &server.url(), "--query", "a=n_total"], JOB);
        let count = |key: &str| done.status("a", key).as_array().map_or(0, Vec::len);
        assert_eq!((count("restarts"), count("takeovers")), (restarts, takeovers), "{}", done.stdout);
    }
}

#[test]
fn a_failed_scrape_is_asked_for_where_a_counter_fell() {
    for (last, failed) in [("1", 1), ("19", 0)] {
        let counter = format!(
            r#"{{"metric":{{"__name__":"n_total","job":"w","instance":"w:1"}},"values":[[1700000010,"12"],[1700000025,"{last}"]]}}"#
        );
        let server = answering(move |request| {
            let query = &request.form["query"];
            let up = r#"{"metric":{"__name__":"up","job":"w","instance":"w:1"},"values":[[1700000010,"1"],[1700000018,"0"],[1700000025,"1"]]}"#;
            let series = match query {
                query if query.starts_with(r#"up{job="w",instance="w:1"}"#) => up,
                query if query.starts_with("n_total") => &counter,
                _ => "",
            };
            Reply::json(envelope(series))
        });
        let done = bare(&["--prometheus", &server.url(), "--query", "a=n_total"], JOB);
        let found = done.status("a", "failedScrapes").as_array().cloned().unwrap_or_default();
        assert_eq!(found.len(), failed, "{}", done.stdout);
        assert!(found.iter().all(|one| one["seenAt"] == "2023-11-14T22:13:38.000000Z"), "{found:?}");
    }
}
