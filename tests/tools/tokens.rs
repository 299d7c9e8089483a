//! Tokens that a target refuses, whose lifetime cannot be believed, or that cannot be had for a while.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use stress_suite::tools::{poll_jobs, render_report, submit_jobs};

use crate::server::{Reply, Request, Server};
use crate::support::{Ran, tool};

const PROFILE: &str = r#"
name = "guarded"
target = "http://localhost:9"
[health]
path = "/health"
[token]
path = "/token"
[submit]
path = "/jobs"
id = ["/id"]
[poll]
path = "/jobs/{id}"
status = ["/state"]
[poll.words]
running = ["running"]
done = ["done"]
"#;

/// A target that says which of its tokens it takes.
struct Rig {
    dir: tempfile::TempDir,
    server: Server,
    /// The time before the first request, and the times at which token requests came.
    began: Instant,
    asked: Arc<Mutex<Vec<Instant>>>,
}

impl Rig {
    /// A target whose answer to the token request number N, from 1 on, is `issue(N)`, and which takes the token `t0ken-N` for a
    /// request if `takes` says so. A job is done half a second after its first poll.
    fn new(
        issue: impl Fn(usize) -> Reply + Send + Sync + 'static,
        takes: impl Fn(usize, &Request) -> bool + Send + Sync + 'static,
    ) -> Self {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (times, polled, ids) = (asked.clone(), Mutex::new(None::<Instant>), AtomicUsize::new(7));
        let server = Server::new(move |request| {
            if request.path == "/token" {
                let mut times = times.lock().unwrap();
                times.push(Instant::now());
                return issue(times.len());
            }
            let number = request.headers.get("authorization").and_then(|value| value.strip_prefix("Bearer t0ken-"));
            if !number.is_some_and(|number| takes(number.parse().unwrap(), request)) {
                // That of a poll is cut off: its head is enough.
                let is_poll = request.path.starts_with("/jobs/");
                let cut = || Reply::Begun(b"HTTP/1.1 401 X\r\nContent-Length: 99\r\n\r\n{".to_vec());
                return if is_poll { cut() } else { Reply::new(401, "{}") };
            }
            match (&*request.method, &*request.path) {
                (_, "/health") => Reply::json("{}"),
                ("POST", _) => Reply::json(format!(r#"{{"id":{}}}"#, ids.fetch_add(1, Ordering::Relaxed))),
                _ => {
                    let since = polled.lock().unwrap().get_or_insert_with(Instant::now).elapsed();
                    let state = if since > Duration::from_millis(500) { "done" } else { "running" };
                    Reply::json(json!({"id": 7, "state": state}).to_string())
                }
            }
        });
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("p.toml"), PROFILE).unwrap();
        Self { dir, server, began: Instant::now(), asked }
    }

    fn argv(&self, argv: &[&str]) -> Vec<String> {
        let (profile, url) = (self.dir.path().join("p.toml").display().to_string(), self.server.url());
        let fixed = ["--target", &url, "--profile", &profile];
        fixed.into_iter().chain(argv.iter().copied()).map(str::to_owned).collect()
    }

    fn submit(&self, jobs: usize, argv: &[&str]) -> Ran {
        let argv = self.argv(argv);
        let job = |number: usize| json!({"apiVersion": "stress/v1", "kind": "Job", "metadata": {"name": format!("j{number}"), "run": "r1"}, "status": {"phase": "Staged"}});
        let records: Vec<_> = (1..=jobs).map(|number| job(number).to_string()).collect();
        clean(tool(
            submit_jobs::run,
            &argv.iter().map(String::as_str).collect::<Vec<_>>(),
            &(records.join("\n") + "\n"),
        ))
    }

    /// Polls one job, which was just submitted.
    fn poll(&self, argv: &[&str]) -> Ran {
        let argv = self.argv(&[&["--min-interval", "20ms", "--max-interval", "50ms"], argv].concat());
        let now = stress_suite::clock::Clock::system().now().to_string();
        let run = json!({"apiVersion": "stress/v1", "kind": "Run", "metadata": {"name": "run", "run": "r1"}, "spec": {"jobs": 1}});
        let job = json!({"apiVersion": "stress/v1", "kind": "Job", "metadata": {"name": "j1", "run": "r1"}, "status": {"phase": "Submitted", "jobId": "7", "submittedAt": now}});
        let argv: Vec<&str> = argv.iter().map(String::as_str).collect();
        clean(tool(poll_jobs::run, &argv, &format!("{run}\n{job}\n")))
    }

    /// Asserts that tokens were asked for once a second at most. Requests are that far apart when they are sent, and may come late: so
    /// the one with the number N comes N - 1 seconds after the beginning, or later.
    fn assert_patient(&self) {
        let asked: Vec<Duration> = self.asked.lock().unwrap().iter().map(|at| *at - self.began).collect();
        assert!(asked.iter().zip(0..).all(|(at, seconds)| *at >= Duration::from_secs(seconds)), "{asked:?}");
    }

    /// The times between the token requests.
    fn pauses(&self) -> Vec<Duration> {
        self.asked.lock().unwrap().windows(2).map(|pair| pair[1] - pair[0]).collect()
    }
}

fn clean(ran: Ran) -> Ran {
    for text in [&ran.stdout, &ran.stderr] {
        assert!(!text.contains("t0ken-"), "{text}");
    }
    ran
}

fn token(number: usize) -> Reply {
    Reply::json(json!({"access_token": format!("t0ken-{number}")}).to_string())
}

#[test]
fn a_token_that_is_refused_as_soon_as_it_was_issued_is_replaced_once_a_second_at_most() {
    let rig = Rig::new(token, |number, request| number > 1 || request.method == "GET");
    let ran = rig.submit(1, &[]);
    assert_eq!(ran.last("j1")["status"]["phase"], "Submitted", "{}{}", ran.stdout, ran.stderr);
    assert_eq!(rig.pauses().len(), 1);
    rig.assert_patient();
}

#[test]
fn a_target_that_refuses_everything_is_not_asked_for_a_token_for_each_request() {
    let rig = Rig::new(token, |_, request| request.method == "GET");
    let ran = rig.submit(12, &["--max-posts", "6"]);
    for number in 1..=12 {
        let status = ran.last(&format!("j{number}"))["status"].clone();
        assert_eq!((&status["phase"], &status["reason"]), (&json!("Rejected"), &json!("Refused")), "{status}");
    }
    rig.assert_patient();
    let posts = rig.server.requests().into_iter().filter(|request| request.path == "/jobs").count();
    assert!(posts <= 24, "each is sent twice at most: {posts}");
}

#[test]
fn a_token_whose_lifetime_reads_as_over_is_used_until_it_is_refused_and_that_is_told_once() {
    // 2001-09-09 as Unix time and in milliseconds, and an hour ago.
    let hour_ago = stress_suite::clock::Clock::system().now().shifted(-3600.0).to_string();
    for expires in [json!(0), json!(-5), json!(1_000_000_000), json!(1_000_000_000_000_i64), json!(hour_ago)] {
        let shown = expires.to_string();
        let issue = move |number| {
            Reply::json(json!({"access_token": format!("t0ken-{number}"), "expires_in": expires}).to_string())
        };
        let rig = Rig::new(issue, |_, _| true);
        let ran = rig.poll(&[]);
        assert_eq!(ran.last("j1")["status"]["phase"], "Succeeded", "{shown}: {}", ran.stderr);
        assert_eq!(rig.asked.lock().unwrap().len(), 1, "{shown}");
        assert_eq!(ran.stderr.matches("using it until the target refuses it").count(), 1, "{shown}: {}", ran.stderr);
    }
}

#[test]
fn a_submission_waits_for_a_token_as_long_as_the_answer_asks_for() {
    let issue = |number| match number {
        2 => Reply::Whole(429, vec![("Retry-After", "2".to_owned())], r#"{"error":"slow_down"}"#.to_owned()),
        number => token(number),
    };
    let rig = Rig::new(issue, |number, request| number > 1 || request.method == "GET");
    let ran = rig.submit(3, &["--max-posts", "3"]);
    for name in ["j1", "j2", "j3"] {
        assert_eq!(ran.last(name)["status"]["phase"], "Submitted", "{}{}", ran.stdout, ran.stderr);
    }
    let pauses = rig.pauses();
    assert!(matches!(*pauses, [_, pause] if pause > Duration::from_millis(1990)), "{pauses:?}");
    let told: Vec<_> = ran.stderr.lines().filter(|line| line.contains("submissions wait for a token")).collect();
    assert!(told.len() == 1 && told[0].contains("HTTP 429: slow_down; the server asks to wait 2 s"), "{}", ran.stderr);
}

#[test]
fn the_wait_for_a_token_is_told_and_is_no_lag_of_the_harness() {
    let issue = |number| {
        if number == 2 {
            Reply::Whole(503, vec![("Retry-After", "2".to_owned())], "{}".to_owned())
        } else {
            token(number)
        }
    };
    let rig = Rig::new(issue, |number, request| number > 1 || request.method == "GET");
    let ran = rig.submit(3, &["--rate", "10/s"]);
    let wait = ran.last("j1")["status"]["tokenWaitSeconds"].as_f64().unwrap();
    assert!((1.9..9.0).contains(&wait), "{}", ran.stdout);
    let out = rig.dir.path().join("out");
    let run = json!({"apiVersion": "stress/v1", "kind": "Run", "metadata": {"name": "run", "run": "r1"}, "spec": {"jobs": 3}});
    let records = format!("{run}\n{}", ran.stdout);
    tool(render_report::run, &["--out", out.to_str().unwrap(), "--expect", "all-done"], &records);
    let page = std::fs::read_to_string(out.join("report.md")).unwrap();
    assert!(page.contains("for a token: j1, j2, j3") && !page.contains("bottleneck"), "{page}");
}

#[test]
fn a_submission_for_which_there_will_be_no_token_is_rejected_for_that() {
    for (status, wait) in [(400, None), (503, Some("31"))] {
        let issue = move |number| match number {
            1 => token(1),
            _ => Reply::Whole(
                status,
                wait.map(|wait: &str| ("Retry-After", wait.to_owned())).into_iter().collect(),
                r#"{"error":"invalid_grant"}"#.to_owned(),
            ),
        };
        let rig = Rig::new(issue, |_, request| request.method == "GET");
        let status = rig.submit(1, &[]).last("j1")["status"].clone();
        assert_eq!((&status["phase"], &status["reason"]), (&json!("Rejected"), &json!("NoToken")), "{status}");
        assert!(status["message"].as_str().unwrap().contains("invalid_grant"), "{status}");
    }
}

#[test]
fn polls_without_a_token_are_counted_as_such_and_do_not_ask_for_one_each() {
    let issue = |number| if number == 1 { token(1) } else { Reply::new(503, r#"{"error":"temporarily_unavailable"}"#) };
    let rig = Rig::new(issue, |_, _| false);
    let ran = rig.poll(&["--deadline", "3s"]);
    let (status, polling) = (ran.last("j1")["status"].clone(), ran.last("run")["status"]["polling"].clone());
    assert_eq!(status["phase"], "TimedOut", "{status}");
    assert!(status["message"].as_str().unwrap().contains("/token: HTTP 503: temporarily_unavailable"), "{status}");
    assert!(polling["failures"]["no token"].as_u64().unwrap() > 3, "{polling}");
    assert_eq!(polling["failures"].as_object().map(serde_json::Map::len), Some(1), "{polling}");
    rig.assert_patient();
}

#[test]
fn a_token_that_has_expired_is_not_sent_although_its_renewal_failed() {
    let issue = |number| match number {
        1 => Reply::json(r#"{"access_token":"t0ken-1","expires_in":1}"#),
        _ => Reply::new(503, r#"{"error":"temporarily_unavailable"}"#),
    };
    let began = Mutex::new(None::<Instant>);
    let is_young = move |_: usize, _: &Request| {
        began.lock().unwrap().get_or_insert_with(Instant::now).elapsed() < Duration::from_millis(1500)
    };
    let rig = Rig::new(issue, is_young);
    // The job is never done.
    let text = std::fs::read_to_string(rig.dir.path().join("p.toml")).unwrap();
    std::fs::write(
        rig.dir.path().join("p.toml"),
        text.replace(r#"running = ["running"]"#, r#"running = ["running", "done"]"#)
            .replace(r#"done = ["done"]"#, r#"done = ["ended"]"#),
    )
    .unwrap();
    let status = rig.poll(&["--deadline", "3s"]).last("j1")["status"].clone();
    let message = status["message"].as_str().unwrap();
    assert_eq!(status["phase"], "TimedOut", "{status}");
    assert!(message.contains("HTTP 503: temporarily_unavailable") && !message.contains("HTTP 401"), "{message}");
}

#[test]
fn a_token_request_without_an_answer_is_named_at_the_deadline() {
    let rig = Rig::new(|number| if number == 1 { token(1) } else { Reply::Hang }, |_, _| false);
    let status: Value = rig.poll(&["--deadline", "2500ms", "--timeout", "4s"]).last("j1")["status"].clone();
    let message = status["message"].as_str().unwrap();
    assert_eq!(status["phase"], "TimedOut", "{status}");
    assert!(message.contains("no token at the deadline: the token request POST http://127.0.0.1:"), "{message}");
}
