//! The services' metrics, the stand-in's scrapes, and the Prometheus query API over them.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::net::TcpStream;

use chrono::Utc;
use common::{Rig, take_apart, until};
use serde_json::{Value, json};

/// The series of a query over the last minute, once there are any.
fn series(rig: &Rig, query: &str) -> Vec<Value> {
    until(|| {
        let now = Utc::now().timestamp_millis() as f64 / 1000.0;
        let path = format!("/api/v1/query?query={}&time={now}", escape(query));
        let answer = rig.prometheus(&path);
        assert_eq!(answer.status, 200, "{}", answer.body);
        Some(answer.json()["data"]["result"].as_array().unwrap().clone()).filter(|series| !series.is_empty())
    })
}

fn escape(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

fn rig(flags: &[&str]) -> Rig {
    Rig::new(&[&["--scrape-interval", "20ms"], flags].concat())
}

/// A rig that has done a few jobs, one of them a failure, and has scraped it all.
fn worked() -> Rig {
    let rig = rig(&["--fail", "l2:2"]);
    for n in 1..=3 {
        rig.ended(&rig.submit(n));
    }
    until(|| {
        let done = rig.prometheus("/api/v1/query?query=autorag_jobs_completed_total%7Bstatus%3D%22done%22%7D").json();
        (done["data"]["result"][0]["value"][1] == "2").then_some(())
    });
    rig
}

#[test]
fn every_named_metric_is_there_after_a_run() {
    let rig = worked();
    for (query, labels) in [
        ("autorag_stage_duration_seconds_bucket", &["stage", "le"][..]),
        ("autorag_stage_duration_seconds_count", &["stage"]),
        ("autorag_stage_duration_seconds_sum", &["stage"]),
        ("autorag_queue_wait_seconds_bucket", &["stage", "le"]),
        ("autorag_queue_wait_seconds_count", &["stage"]),
        ("autorag_queue_wait_seconds_sum", &["stage"]),
        ("autorag_gpu_tenancy_seconds_bucket", &["tenant", "le"]),
        ("autorag_gpu_tenancy_transitions_total", &["from", "to"]),
        ("autorag_jobs_completed_total", &["status"]),
        ("rabbitmq_detailed_queue_messages_ready", &["queue", "vhost"]),
        ("rabbitmq_detailed_queue_messages_unacked", &["queue", "vhost"]),
    ] {
        for one in series(&rig, query) {
            let mut keys: Vec<&str> = one["metric"].as_object().unwrap().keys().map(String::as_str).collect();
            let mut expected = [labels, &["__name__", "instance", "job"]].concat();
            keys.sort_unstable();
            expected.sort_unstable();
            assert_eq!(keys, expected, "{query}");
        }
    }
    let counts = series(&rig, r#"autorag_stage_duration_seconds_count{stage="l2"}"#);
    // Two jobs once, and one three times.
    assert_eq!(counts[0]["value"][1], "5");
    let failed = series(&rig, r#"autorag_jobs_completed_total{status="failed"}"#);
    assert_eq!((&failed[0]["value"][1], &failed[0]["metric"]["job"]), (&json!("1"), &json!("autorag-gpu-worker")));
    let buckets = series(&rig, r#"autorag_stage_duration_seconds_bucket{stage="persist",le="+Inf"}"#);
    assert_eq!((&buckets[0]["value"][1], &buckets[0]["metric"]["job"]), (&json!("2"), &json!("autorag-io-worker")));
    assert_eq!(series(&rig, "rabbitmq_detailed_queue_messages_ready").len(), 8);
}

#[test]
fn the_depth_of_a_queue_is_seen_rising_and_draining() {
    let rig = rig(&["--hold", "whisper:1"]);
    let query = r#"rabbitmq_detailed_queue_messages_ready{queue="stage.whisper"}[1h]"#;
    let last = |depth: u32| {
        until(|| {
            let points = series(&rig, query)[0]["values"].as_array().unwrap().clone();
            let depths: Vec<u32> = points.iter().map(|point| point[1].as_str().unwrap().parse().unwrap()).collect();
            Some(depths).filter(|depths| depths.last() == Some(&depth))
        })
    };
    last(0);
    for n in 1..=8 {
        rig.submit(n);
    }
    // One is with the worker.
    last(7);
    rig.sim.release();
    let depths = last(0);
    assert_eq!((depths[0], depths.iter().max()), (0, Some(&7)), "{depths:?}");
}

#[test]
fn a_message_whose_handling_hangs_stays_unacknowledged() {
    let rig = rig(&["--hang", "l1:1"]);
    let (hung, other) = (rig.submit(1), rig.submit(2));
    rig.ended(&other);
    let unacked = |queue: &str| {
        let query = format!(r#"rabbitmq_detailed_queue_messages_unacked{{queue="{queue}"}}"#);
        series(&rig, &query)[0]["value"][1].as_str().unwrap().to_owned()
    };
    until(|| (unacked("stage.l1") == "1" && unacked("stage.persist") == "0").then_some(()));
    assert_eq!(rig.get(&format!("/jobs/{hung}")).text("/status"), "running");
}

#[test]
fn each_service_exposes_its_own_metrics() {
    let rig = worked();
    let metrics = |service: &str| {
        let url = format!("{}/{service}/metrics", rig.sim.metrics_url());
        take_apart(rig.agent.get(url).call().unwrap()).unwrap()
    };
    for (service, line) in [
        ("autorag-api", "autorag_jobs_submitted_total 3"),
        ("autorag-gpu-worker", "autorag_jobs_completed_total{status=\"failed\"} 1"),
        ("autorag-io-worker", "autorag_stage_duration_seconds_count{stage=\"persist\"} 2"),
        ("rabbitmq", "rabbitmq_detailed_queue_messages_ready{queue=\"stage.l0\",vhost=\"/\"} 0"),
    ] {
        let answer = metrics(service);
        assert!(answer.header("content-type").unwrap().starts_with("application/openmetrics-text"));
        assert!(answer.body.lines().any(|found| found == line), "{service}: {}", answer.body);
        assert!(answer.body.ends_with("# EOF\n"));
    }
    assert_eq!(metrics("nobody").status, 404);
}

#[test]
fn a_range_query_answers_the_grid_by_get_and_by_post() {
    let rig = worked();
    let now = Utc::now().timestamp();
    let form = format!("query=up&start={now}&end={}&step=5", now + 12);
    let url = format!("{}/api/v1/query_range", rig.sim.prometheus_url());
    let post = rig.agent.post(&url).content_type("application/x-www-form-urlencoded").send(form.as_str());
    let answer = take_apart(post.unwrap()).unwrap().json();
    assert_eq!((&answer["status"], &answer["data"]["resultType"]), (&json!("success"), &json!("matrix")));
    let result = answer["data"]["result"].as_array().unwrap();
    let jobs: Vec<&str> = result.iter().map(|one| one["metric"]["job"].as_str().unwrap()).collect();
    assert_eq!(jobs, ["autorag-api", "autorag-gpu-worker", "autorag-io-worker", "rabbitmq"]);
    // An end in the future repeats the last value, as Prometheus does.
    let times: Vec<i64> =
        result[0]["values"].as_array().unwrap().iter().map(|point| point[0].as_i64().unwrap()).collect();
    assert!(times.ends_with(&[now + 5, now + 10]), "{times:?}");
    assert_eq!(rig.prometheus(&format!("/api/v1/query_range?{form}")).json()["status"], "success");
}

#[test]
fn a_range_selector_answers_the_samples_as_they_were_scraped() {
    let rig = worked();
    let times: Vec<f64> = until(|| {
        let points = series(&rig, r#"up{job="autorag-api"}[1h]"#)[0]["values"].as_array().unwrap().clone();
        let times = points.iter().map(|point| point[0].as_f64().unwrap()).collect();
        Some(times).filter(|times: &Vec<f64>| times.len() > 2)
    });
    assert!(times.is_sorted_by(|one, next| one < next), "{times:?}");
}

#[test]
fn errors_carry_the_status_and_the_kind_of_prometheus() {
    let rig = rig(&[]);
    for (path, status, kind, text) in [
        (
            "query_range?query=up&start=0&end=55005&step=5",
            400,
            "bad_data",
            "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)",
        ),
        (
            "query_range?query=up&start=&end=1&step=5",
            400,
            "bad_data",
            "invalid parameter \"start\": cannot parse \"\" to a valid timestamp",
        ),
        (
            "query_range?query=up&start=2&end=1&step=5",
            400,
            "bad_data",
            "invalid parameter \"end\": end timestamp must not be before start time",
        ),
        (
            "query_range?query=up[1m]&start=0&end=1&step=5",
            400,
            "bad_data",
            "invalid expression type \"range vector\" for range query, must be Scalar or instant Vector",
        ),
        (
            "query?query=rate(up[1m])",
            422,
            "execution",
            "pipeline-sim evaluates plain selectors only, such as up or up[30s], not rate(up[1m])",
        ),
    ] {
        let (start, query) = path.split_once('?').unwrap();
        let answer = rig.prometheus(&format!("/api/v1/{start}?{}", query.replace('[', "%5B").replace(']', "%5D")));
        assert_eq!(answer.status, status, "{path}");
        assert_eq!(answer.json(), json!({"status": "error", "errorType": kind, "error": text}), "{path}");
    }
    let unparsable = rig.prometheus("/api/v1/query?query=%7B%7D");
    assert_eq!((unparsable.status, unparsable.text("/errorType").as_str()), (400, "bad_data"));
    assert_eq!(rig.prometheus("/api/v1/nothing").status, 404);
}

#[test]
fn an_unknown_metric_is_an_empty_success() {
    let answer = rig(&[]).prometheus("/api/v1/query_range?query=no_such&start=0&end=1&step=1");
    assert_eq!(answer.body, r#"{"status":"success","data":{"resultType":"matrix","result":[]}}"#);
}

#[test]
fn a_json_body_is_read_as_no_parameters() {
    let rig = rig(&[]);
    let url = format!("{}/api/v1/query_range", rig.sim.prometheus_url());
    let post = rig.agent.post(url).content_type("application/json").send(r#"{"query":"up"}"#).unwrap();
    assert_eq!(post.status(), 400);
}

#[test]
fn targets_say_when_they_were_last_scraped() {
    let rig = Rig::new(&["--scrape-interval", "50ms"]);
    let start = Utc::now();
    let targets = until(|| {
        let targets = rig.prometheus("/api/v1/targets?state=active").json()["data"]["activeTargets"].clone();
        let fresh = |target: &Value| {
            target["health"] == "up"
                && target["lastScrape"].as_str().unwrap().parse::<chrono::DateTime<Utc>>().unwrap() > start
        };
        targets.as_array().unwrap().iter().all(fresh).then_some(targets)
    });
    assert_eq!(targets.as_array().unwrap().len(), 4);
    assert_eq!(targets[0]["scrapeInterval"], "50ms");
    assert_eq!(targets[0]["labels"]["job"], "autorag-api");
    let url = targets[3]["scrapeUrl"].as_str().unwrap();
    assert_eq!(rig.agent.get(url).call().unwrap().status(), 200);
}

#[test]
fn the_names_of_metrics_can_be_listed() {
    let rig = worked();
    let names = rig.prometheus("/api/v1/label/__name__/values").json()["data"].clone();
    let names: Vec<&str> = names.as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    assert!(
        names.contains(&"up") && names.contains(&"autorag_queue_wait_seconds_sum") && names.is_sorted(),
        "{names:?}"
    );
    assert_eq!(rig.prometheus("/api/v1/label/__name__/values?end=5").json()["data"], json!([]));
}

#[test]
fn it_is_ready() {
    let rig = rig(&[]);
    let ready = rig.prometheus("/-/ready");
    assert_eq!((ready.status, ready.body.as_str()), (200, "Prometheus Server is Ready.\n"));
}

#[test]
fn prom_down_refuses_connections_and_the_services_go_on() {
    let rig = rig(&["--prom-down"]);
    let refused = TcpStream::connect(rig.sim.prometheus_url().trim_start_matches("http://")).unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    let metrics = rig.agent.get(format!("{}/autorag-api/metrics", rig.sim.metrics_url())).call();
    assert_eq!(metrics.unwrap().status(), 200);
}
