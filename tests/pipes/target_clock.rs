//! Targets whose clock is slewed, set or ticks coarsely, and caches that hide their age: no printed interval misses the truth.

use std::collections::BTreeMap;
use std::fs;
use std::sync::{Arc, Mutex};

use stress_suite::record::Timestamp;

use crate::server::{Reply, Request, Server};
use crate::shell::{Done, Shell};

const PROFILE: &str = r#"
name = "clocked"
target = "http://localhost:1"
health.path = "/health"
[submit]
path = "/jobs"
id = ["/id"]
body = { source = "{source}" }
[poll]
path = "/jobs/{id}"
status = ["/state"]
words = { waiting = ["waiting"], running = ["running"], done = ["done"] }
times = { queued = ["/queued"], started = ["/started"], ended = ["/ended"] }
"#;

/// The wait of each job, in seconds.
const WAIT: f64 = 0.2;

/// A job by the true clock, which is the harness's.
#[derive(Clone, Copy)]
struct True {
    queued: Timestamp,
    run: f64,
}

impl True {
    fn started(self) -> Timestamp {
        self.queued.shifted(WAIT)
    }

    fn ended(self) -> Timestamp {
        self.started().shifted(self.run)
    }

    /// The document of the job at `now`, with times as `clock` tells them.
    fn document(self, now: Timestamp, clock: &dyn Fn(Timestamp) -> Timestamp) -> String {
        let state = match now {
            now if now >= self.ended() => "done",
            now if now >= self.started() => "running",
            _ => "waiting",
        };
        let told = |at: Timestamp| if at <= now { format!("\"{}\"", clock(at)) } else { "null".to_owned() };
        let (queued, started, ended) = (told(self.queued), told(self.started()), told(self.ended()));
        format!(r#"{{"state":"{state}","queued":{queued},"started":{started},"ended":{ended}}}"#)
    }
}

fn http_date(at: Timestamp) -> String {
    chrono::DateTime::from_timestamp_micros(at.micros()).unwrap().format("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// A target whose clock says `clock(t)` at our t. `answer` makes the answer to a poll, given the true job.
struct Target {
    server: Server,
    jobs: Arc<Mutex<BTreeMap<String, True>>>,
}

impl Target {
    fn new(clock: impl Fn(Timestamp) -> Timestamp + Send + Sync + 'static) -> Self {
        let clock = Arc::new(clock);
        let shown = clock.clone();
        Self::answering(move |at| clock(at), move |job, _, now| (200, now, job.document(now, &*shown)))
    }

    /// With answers of its own to polls: the status, the moment of the `Date` and the body.
    fn answering(
        clock: impl Fn(Timestamp) -> Timestamp + Send + Sync + 'static,
        answer: impl Fn(True, &Request, Timestamp) -> (u16, Timestamp, String) + Send + Sync + 'static,
    ) -> Self {
        let jobs = Arc::new(Mutex::new(BTreeMap::<String, True>::new()));
        let known = jobs.clone();
        let server = Server::new(move |request| {
            let now = Timestamp::system();
            let (status, dated, body) = if request.method == "POST" {
                let mut jobs = known.lock().unwrap();
                let (id, part) = (jobs.len().to_string(), (jobs.len() * 7 % 10) as f64 / 10.0);
                jobs.insert(id.clone(), True { queued: now, run: 0.4 + part });
                (201, now, format!(r#"{{"id":"{id}"}}"#))
            } else {
                let job = known.lock().unwrap().get(request.path.trim_start_matches("/jobs/")).copied();
                job.map_or((200, now, "{}".to_owned()), |job| answer(job, request, now))
            };
            let mut headers = vec![("Date", http_date(clock(dated)))];
            headers.extend((dated != now).then(|| ("X-Cache", "HIT".to_owned())));
            Reply::Whole(status, headers, body)
        });
        Self { server, jobs }
    }

    /// Runs `jobs` jobs at `rate` and reports on them into `out`.
    fn run(&self, jobs: usize, rate: &str, expect: &str) -> (Shell, Done) {
        let shell = Shell::new(&[]);
        fs::write(shell.path("profile.toml"), PROFILE).unwrap();
        let done = shell.run(&format!(
            r#"export TARGET={}
stage-fixtures --from "$FIXTURES" --into data --jobs {jobs} --run r1 |
submit-jobs --profile profile.toml --rate {rate} | poll-jobs --profile profile.toml |
render-report --profile profile.toml --out out --expect '{expect}' > out.report"#,
            self.server.url()
        ));
        (shell, done)
    }

    /// Fails unless each printed interval holds the truth, give or take `within` seconds; returns the mean printed error of a run.
    fn hold_against_truth(&self, shell: &Shell, within: f64) -> f64 {
        let mut table = csv::Reader::from_reader(fs::File::open(shell.path("out/jobs.csv")).unwrap());
        let (jobs, mut errors) = (self.jobs.lock().unwrap(), Vec::new());
        for row in table.deserialize::<BTreeMap<String, String>>() {
            let row = row.unwrap();
            let job = jobs[&row["jobId"]];
            let due: Timestamp = row["dueAt"].parse().unwrap();
            for (part, truth) in [("queue", WAIT), ("run", job.run), ("endToEnd", job.ended().since(due))] {
                let number = |key: String| row[&key].parse::<f64>().ok();
                let Some(printed) = number(format!("{part}Seconds")) else { continue };
                let error = number(format!("{part}ErrorSeconds")).unwrap_or_default();
                assert!(
                    (printed - truth).abs() <= error + within,
                    "{part}: {truth} is not {printed} ± {error}: {row:?}"
                );
                errors.extend((part == "run").then_some(error));
            }
        }
        assert_eq!(errors.len(), jobs.len());
        errors.iter().sum::<f64>() / errors.len() as f64
    }
}

fn doubts(shell: &Shell) -> String {
    shell.json("out/report.json")["status"]["doubts"].to_string()
}

/// The harness may see an answer a little later than the server wrote it.
const WITHIN: f64 = 0.03;

#[test]
fn a_clock_that_is_slewed_while_jobs_run_is_doubted_and_its_times_are_not_used() {
    let began = Timestamp::system();
    // 10 % fast for 4 s.
    let target = Target::new(move |at| at.shifted(0.1 * at.since(began).clamp(0.0, 4.0)));
    let longest = 0.4 + 0.9;
    let (shell, done) = target.run(20, "4/s", &format!("all-done,e2e.max<{}ms", (longest + WAIT) * 1e3 - 20.0));
    assert!([3, 4].contains(&done.code), "a threshold below the truth never passes: {} {}", done.code, done.stderr);
    target.hold_against_truth(&shell, WITHIN);
    let doubts = doubts(&shell);
    assert!(doubts.contains("the target's clock moved by at least") && !doubts.contains("contradict"), "{doubts}");
    assert!(!doubts.contains("StaleTimes"), "{doubts}");
    assert!(shell.read("out/report.md").contains("moved by at least"));
}

#[test]
fn a_clock_that_is_merely_ahead_is_not_doubted() {
    let target = Target::new(|at| at.shifted(7.3));
    let (shell, done) = target.run(20, "10/s", "all-done");
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(target.hold_against_truth(&shell, WITHIN) < 0.005);
    let doubts = doubts(&shell);
    assert!(!["target's clock", "contradict", "cache"].iter().any(|word| doubts.contains(word)), "{doubts}");
}

#[test]
fn answers_of_a_cache_without_age_are_as_old_as_their_date() {
    // Each answer is handed out for two seconds; the first poll of a job comes before the target knows it.
    let held = Mutex::new(BTreeMap::<String, (Timestamp, u16, String)>::new());
    let target = Target::answering(
        |at| at.shifted(-5.0),
        move |job, request, now| {
            let mut held = held.lock().unwrap();
            let fresh = || {
                let is_known = now.since(job.queued) > 0.05;
                (now, if is_known { 200 } else { 404 }, job.document(now, &|at| at.shifted(-5.0)))
            };
            let entry = held.entry(request.path.clone()).or_insert_with(fresh);
            if now.since(entry.0) > 2.0 {
                *entry = fresh();
            }
            (entry.1, entry.0, entry.2.clone())
        },
    );
    let (shell, done) = target.run(8, "8/s", "all-done");
    assert_eq!(done.code, 0, "{}", done.stderr);
    target.hold_against_truth(&shell, WITHIN);
    let jobs = shell.json("out/jobs.json");
    for job in jobs["items"].as_array().unwrap() {
        let status = &job["status"];
        let ended = target.jobs.lock().unwrap()[status["jobId"].as_str().unwrap()].ended();
        let not_ended = status["notEndedAt"].as_str().map(|text| text.parse::<Timestamp>().unwrap());
        assert!(not_ended.is_none_or(|not_ended| not_ended <= ended), "{status}");
    }
    let doubts = doubts(&shell);
    assert!(doubts.contains("a cache answered polls of") && doubts.contains("sent no Age"), "{doubts}");
    assert!(!doubts.contains("contradict"), "{doubts}");
}

#[test]
fn a_clock_that_ticks_every_sixty_fourth_of_a_second_claims_no_more_than_that() {
    let tick = 1.0 / 64.0;
    let clock = move |at: Timestamp| {
        let ticks = (at.seconds() / tick).floor();
        Timestamp::from_micros(Timestamp::from_seconds(ticks * tick).unwrap().micros() + 2_417)
    };
    let target = Target::new(clock);
    let (shell, done) = target.run(24, "37/s", "all-done");
    assert_eq!(done.code, 0, "{}", done.stderr);
    let error = target.hold_against_truth(&shell, 0.002);
    assert!(error > tick / 2.0 && error < 2.0 * tick, "{error}");
    assert!(shell.read("out/report.md").contains("ticks more coarsely"));
}

#[test]
fn times_of_a_host_whose_clock_is_behind_the_one_of_the_dates_may_be_off_by_as_much() {
    let behind = |at: Timestamp| at.shifted(-0.3);
    let target = Target::answering(|at| at, move |job, _, now| (200, now, job.document(now, &behind)));
    let (shell, done) = target.run(20, "10/s", "all-done");
    assert_eq!(done.code, 0, "{}", done.stderr);
    target.hold_against_truth(&shell, WITHIN);
    let doubts = doubts(&shell);
    assert!(doubts.contains("come from several clocks") && doubts.contains("the Date headers"), "{doubts}");
}

#[test]
fn answers_that_show_events_late_claim_no_time_that_the_dates_exclude() {
    let target = Target::answering(|at| at, |job, _, now| (200, now, job.document(now.shifted(-0.6), &|at| at)));
    let (shell, done) = target.run(20, "10/s", "all-done");
    assert_eq!(done.code, 0, "{}", done.stderr);
    target.hold_against_truth(&shell, WITHIN);
    assert!(doubts(&shell).contains("noted before answers show them"), "{}", doubts(&shell));
}

#[test]
fn times_of_workers_whose_clocks_differ_may_be_off_by_the_difference() {
    // Three workers in turn; the API's host notes the queueing.
    let target = Target::answering(
        |at| at,
        |job, request, now| {
            let number: u32 = request.path.trim_start_matches("/jobs/").parse().unwrap();
            let worker = f64::from(number % 3) * 0.12 - 0.12;
            let clock = |at: Timestamp| if at == job.queued { at } else { at.shifted(worker) };
            (200, now, job.document(now, &clock))
        },
    );
    let (shell, done) = target.run(24, "6/s", "all-done");
    assert_eq!(done.code, 0, "{}", done.stderr);
    target.hold_against_truth(&shell, WITHIN);
    let doubts = doubts(&shell);
    assert!(doubts.contains("come from several clocks"), "{doubts}");
}
