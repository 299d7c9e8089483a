//! `await-idle`: what it waits for, what it does not wait for, and what it writes on the Run.

use std::fs;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use serde_json::{Value, json};
use stress_suite::cli::Stop;
use stress_suite::tools::await_idle::run;

use crate::server::{Reply, Server};
use crate::support::{Ran, Target, tool, tool_until, wait_until};

/// The last `idle` status of the Run.
fn idle(ran: &Ran) -> Value {
    ran.last("soak")["status"]["idle"].clone()
}

/// Awaits an idle `target`, `argv` coming before what every test needs.
fn await_idle(target: &Target, argv: &[&str]) -> Ran {
    let (url, prometheus) = (target.url(), target.sim.prometheus_url());
    let argv: Vec<&str> = [argv, &["--target", &url, "--prometheus", &prometheus, "--lag", "0s"]].concat();
    tool(run, &argv, &target.stage(2))
}

/// A target whose queues were scraped once at least, unless nobody is there to be asked.
fn quick(flags: &[&str]) -> Target {
    let target = Target::start(&[flags, &["--scrape-interval", "50ms"]].concat());
    if !flags.contains(&"--prom-down") {
        let query = r#"rabbitmq_detailed_queue_messages_unacked{queue="stage.persist"}"#;
        wait_until("a scrape of the queues", || scraped(&target, query, "0"));
    }
    target
}

/// Returns true if a series of `query` had `value` when it was last scraped.
fn scraped(target: &Target, query: &str, value: &str) -> bool {
    let url = format!("{}/api/v1/query", target.sim.prometheus_url());
    let text = ureq::get(&url).query("query", query).call().unwrap().body_mut().read_to_string().unwrap();
    let answer: Value = serde_json::from_str(&text).unwrap();
    answer["data"]["result"].as_array().unwrap().iter().any(|series| series["value"][1] == value)
}

#[test]
fn a_value_that_may_be_out_of_date_is_believed_so_much_later() {
    let target = quick(&[]);
    let (url, prometheus) = (target.url(), target.sim.prometheus_url());
    let argv = ["--target", &url, "--prometheus", &prometheus, "--lag", "1s", "--limit", "60s"];
    let ran = tool(run, &argv, &target.stage(1));
    assert_eq!(idle(&ran)["idle"], true, "{}", ran.stderr);
    assert!(idle(&ran)["waitedSeconds"].as_f64().unwrap() >= 1.0, "{}", ran.stdout);
}

/// The records of a run whose first job was interrupted while the target went on with it.
fn interrupted(target: &Target) -> (String, PathBuf) {
    let submitted = target.submit(&[], &target.stage(1));
    let records = submitted.stdout.replace(r#""phase":"Submitted""#, r#""phase":"Interrupted""#);
    let dir = target.dir.path().join("earlier/soak");
    fs::create_dir_all(&dir).unwrap();
    let path = dir.join("records.ndjson");
    fs::write(&path, format!("{records}{{\"torn")).unwrap();
    let id = submitted.last("soak-001")["status"]["jobId"].as_str().unwrap().to_owned();
    (id, path)
}

#[test]
fn an_idle_target_is_seen_to_be_idle_and_every_line_is_handed_on() {
    let target = quick(&[]);
    let staged = target.stage(2);
    let ran = await_idle(&target, &["--limit", "30s"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    assert_eq!(idle(&ran)["idle"], true, "{}", ran.stdout);
    assert!(idle(&ran)["waitedSeconds"].as_f64().unwrap() > 0.0);
    let names = |text: &str, kind: &str| text.lines().filter(|line| line.contains(kind)).count();
    assert_eq!(names(&ran.stdout, r#""kind":"Job""#), names(&staged, r#""kind":"Job""#));
    let order: Vec<bool> = ran.records().iter().map(|record| record["kind"] == "Run").collect();
    assert_eq!(order, [true, true, false, false], "the Run says it before the first job comes");
    assert_eq!(ran.last("soak")["status"]["tools"]["await-idle"], Value::Null, "in process it is called otherwise");
}

#[test]
fn a_queue_that_drains_is_waited_for() {
    let target = quick(&["--time-scale", "0.08"]);
    let earlier = target.submit(&["--max-posts", "4"], &target.stage(4));
    // Four jobs take more than a second, and from here on the scrapes show it.
    wait_until("a scrape of messages at work", || scraped(&target, "rabbitmq_detailed_queue_messages_unacked", "1"));
    let ran = await_idle(&target, &["--limit", "60s"]);
    assert_eq!((&idle(&ran)["idle"], ran.code), (&true.into(), 0), "{}", ran.stderr);
    let done = target.sim.stats().jobs.iter().filter(|job| job.status == "done").count();
    assert_eq!(done, 4, "everything had ended when the first job was let through: {}", earlier.stderr);
    assert!(ran.stderr.contains("waiting for the target to be idle, at most 1 m 00 s: rabbitmq"), "{}", ran.stderr);
    assert!(ran.stderr.contains("the target is idle after"), "{}", ran.stderr);
    // A slow machine also sees how much of the time is left.
    let others = ran.stderr.lines().filter(|line| !line.contains(" left: "));
    assert_eq!(others.count(), 2, "{}", ran.stderr);
}

#[test]
fn a_queue_that_does_not_drain_is_given_up_with_a_mark() {
    let target = quick(&["--hang", "l1:1"]);
    target.submit(&[], &target.stage(1));
    target.busy("l1");
    let ran = await_idle(&target, &["--limit", "1500ms"]);
    let idle = idle(&ran);
    assert_eq!((&idle["idle"], ran.code), (&false.into(), 0));
    let busy = idle["busy"].as_str().unwrap();
    assert!(busy.contains(r#"messages_unacked{queue="stage.l1""#) && busy.ends_with("} is 1"), "{busy}");
    assert!(idle["waitedSeconds"].as_f64().unwrap() >= 1.5);
    assert!(ran.stderr.contains("continuing"), "{}", ran.stderr);
    assert_eq!(ran.phases("soak-002"), ["Staged"]);
}

#[test]
fn a_job_of_an_earlier_run_is_polled_until_it_has_ended() {
    let target = quick(&["--time-scale", "0.1", "--prom-down"]);
    let (id, path) = interrupted(&target);
    let ran = await_idle(&target, &["--earlier", path.parent().unwrap().parent().unwrap().to_str().unwrap()]);
    let job = target.sim.stats().jobs.into_iter().find(|job| job.id == id).unwrap();
    assert_eq!((job.status, job.polls > 0), ("done", true));
    let idle = idle(&ran);
    assert_eq!(idle["idle"], Value::Null, "the queues were not seen: {idle}");
    assert!(idle["unseen"].as_str().unwrap().contains("connection refused"), "{idle}");
}

#[test]
fn a_job_that_never_ends_is_given_up_and_one_that_the_target_does_not_know_is_no_hindrance() {
    let target = quick(&["--hang", "whisper:1"]);
    let (_, path) = interrupted(&target);
    target.busy("whisper");
    let argv = ["--earlier", path.to_str().unwrap(), "--limit", "1s"];
    let ran = await_idle(&target, &argv);
    assert!(idle(&ran)["busy"].as_str().unwrap().starts_with("the earlier job soak-001 is running"), "{}", ran.stdout);
    let forgetful = quick(&[]);
    let ran = await_idle(&forgetful, &["--earlier", path.to_str().unwrap()]);
    assert_eq!(idle(&ran)["idle"], true, "{}", ran.stderr);
}

#[test]
fn what_cannot_be_seen_is_said_and_not_waited_for() {
    let target = quick(&[]);
    let (url, staged) = (target.url(), target.stage(1));
    let profile = target.dir.path().join("blind.toml");
    let text = fs::read_to_string(crate::support::root().join("profiles/autorag.toml")).unwrap();
    let (before, rest) = text.split_once("[prometheus.idle]").unwrap();
    fs::write(&profile, format!("{before}{}", rest.split_once("lag_seconds = 5\n").unwrap().1)).unwrap();
    let elsewhere = target.sim.metrics_url();
    for (argv, said) in [
        (&["--prometheus", ""][..], "no Prometheus is configured"),
        (&["--prometheus", "http://127.0.0.1:9"], "connection refused"),
        (&["--prometheus", &elsewhere], "HTTP 404"),
        (&["--profile", profile.to_str().unwrap()], "prometheus.idle"),
    ] {
        let ran = tool(run, &[&["--target", &url, "--limit", "1h"], argv].concat(), &staged);
        let idle = idle(&ran);
        assert_eq!(
            (ran.code, &idle["idle"], ran.stderr.lines().count()),
            (0, &Value::Null, 1),
            "{said}: {}",
            ran.stderr
        );
        assert!(idle["unseen"].as_str().unwrap().contains(said), "{said}: {idle}");
        assert!(ran.stderr.contains("cannot tell"), "{}", ran.stderr);
    }
    for (target, said) in
        [(Target::start(&["--unhealthy"]).url(), "HTTP 503"), ("http://127.0.0.1:9".to_owned(), "refused")]
    {
        let prometheus = elsewhere.clone();
        let ran = tool(run, &["--target", &target, "--prometheus", &prometheus, "--limit", "1h"], &staged);
        assert!(idle(&ran)["unseen"].as_str().unwrap().contains(said), "{said}: {}", ran.stdout);
    }
}

/// A healthy target and its Prometheus, whose query number `failing` gets no answer of use and whose queue drains after a few looks,
/// if it does.
fn prometheus_that_fails_once(failing: usize, drains: bool) -> Server {
    let asked = AtomicUsize::new(0);
    Server::new(move |request| {
        if request.path == "/health" {
            return Reply::json(r#"{"status":"ok"}"#);
        }
        let number = asked.fetch_add(1, Ordering::SeqCst);
        if number == failing || (!drains && number > failing) {
            return Reply::new(500, "an error of the storage");
        }
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
        let ready = if drains && number > failing + 4 { 0 } else { 3 };
        let sample = json!([now, ready.to_string()]);
        let is_range = [&request.path, &request.body].iter().any(|text| text.contains("300000ms"));
        let (kind, key, sample) =
            if is_range { ("matrix", "values", json!([sample])) } else { ("vector", "value", sample) };
        let result = json!([{"metric": {"__name__": "ready", "queue": "l1"}, key: sample}]);
        Reply::json(json!({"status": "success", "data": {"resultType": kind, "result": result}}).to_string())
    })
}

#[test]
fn one_look_that_fails_does_not_end_the_wait() {
    let staged = quick(&["--prom-down"]).stage(1);
    let await_idle = |server: &Server, limit: &str| {
        let url = server.url();
        tool(run, &["--target", &url, "--prometheus", &url, "--lag", "0s", "--limit", limit], &staged)
    };
    // The first query, the samples of a series that was seen, and a look after the queue was seen to be busy.
    for failing in [0, 1, 2, 3] {
        let ran = await_idle(&prometheus_that_fails_once(failing, true), "60s");
        assert_eq!(idle(&ran)["idle"], true, "{failing}: {} {}", ran.stdout, ran.stderr);
    }
    let ran = await_idle(&prometheus_that_fails_once(2, false), "1s");
    let idle = idle(&ran);
    let busy = idle["busy"].as_str().unwrap();
    assert_eq!(idle["idle"], false, "{idle}");
    assert!(busy.contains("is 3 when last seen, and then HTTP 500: an error of the storage"), "{busy}");
    assert!(idle["waitedSeconds"].as_f64().unwrap() >= 1.0, "{idle}");
}

#[test]
fn a_stream_without_a_staged_job_waits_for_nothing() {
    let target = quick(&[]);
    let submitted = target.submit(&[], &target.stage(2)).stdout;
    let ran = tool(run, &["--target", "http://127.0.0.1:9", "--limit", "1h"], &submitted);
    assert_eq!((ran.code, idle(&ran), ran.stderr.as_str()), (0, Value::Null, ""));
    let jobs = |text: &str| {
        text.lines().filter(|line| line.contains(r#""kind":"Job""#)).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(jobs(&ran.stdout), jobs(&submitted), "to the byte");
}

#[test]
fn paths_that_are_not_there_and_unusable_addresses_are_usage_errors() {
    for (argv, said) in [
        (["--earlier", "no/such/place"], "--earlier no/such/place: No such file"),
        (["--prometheus", "ftp://x"], "--prometheus"),
        (["--prom-header-file", "no/such"], "--prom-header-file no/such"),
    ] {
        let ran = tool(run, &argv, "");
        assert_eq!(ran.code, 2, "{argv:?}: {}", ran.stderr);
        assert!(ran.stderr.contains(said), "{argv:?}: {}", ran.stderr);
    }
}

/// Hands out what it has, and sends a signal before the end is read.
struct Signals(io::Cursor<String>, Stop);

impl Read for Signals {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.1.trigger(2);
        self.0.read(buffer)
    }
}

#[test]
fn a_signal_ends_the_waiting_at_once_and_everything_is_handed_on() {
    let target = quick(&["--hang", "l1:1"]);
    target.submit(&[], &target.stage(1));
    let (stop, url, prometheus) = (Stop::default(), target.url(), target.sim.prometheus_url());
    let input = Signals(io::Cursor::new(target.stage(3)), stop.clone());
    let began = Instant::now();
    let argv = ["--target", &url, "--prometheus", &prometheus, "--limit", "1h"];
    let ran = tool_until(run, &argv, Box::new(input), stop);
    assert!(began.elapsed().as_secs() < 600, "it did not wait for its limit");
    assert_eq!((ran.code, ran.phases("soak-003")), (130, vec!["Staged".to_owned()]));
    let idle = idle(&ran);
    assert_eq!(idle["idle"], Value::Null);
    assert!(idle["unseen"].as_str().unwrap().starts_with("a signal ended the wait"), "{idle}");
}
