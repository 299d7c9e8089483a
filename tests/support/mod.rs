//! Shared parts of the integration tests: tools run in process on text, and the paths of the binaries.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]
#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part of this module")]

use std::io::{self, BufReader, Cursor, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use clap::Parser;
use serde_json::Value;
use stress_suite::cli::{Console, Io, Outcome, Stop};
use stress_suite::record::{Parsed, Record, Report};

/// The longest wait for an event. It is generous, because a busy machine takes many times as long as a quiet one.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// The result of a tool that ran in process.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    /// Every line on stderr, and the message of a failure.
    pub stderr: String,
}

impl Ran {
    /// Returns every line of stdout as JSON.
    pub fn records(&self) -> Vec<Value> {
        self.stdout
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
            .collect()
    }

    /// Returns the last record with this name.
    pub fn last(&self, name: &str) -> Value {
        let found = self.records().into_iter().rfind(|record| record["metadata"]["name"] == name);
        found.unwrap_or_else(|| panic!("no {name} in:\n{}\n{}", self.stdout, self.stderr))
    }

    /// Returns the Report, which must be all of stdout.
    pub fn report(&self) -> Report {
        match Record::parse(self.stdout.trim()).unwrap() {
            Parsed::Record(record) => record.read().unwrap(),
            Parsed::Other => panic!("not a record: {}", self.stdout),
        }
    }

    /// Returns the cause of the report's verdict.
    pub fn cause(&self) -> String {
        self.report().status.cause
    }

    /// Returns the phases of the job with this name, in order.
    pub fn phases(&self, name: &str) -> Vec<String> {
        let records = self.records().into_iter().filter(|record| record["metadata"]["name"] == name);
        records.map(|record| record["status"]["phase"].as_str().unwrap_or("?").to_owned()).collect()
    }
}

/// A sink whose contents the test can read.
#[derive(Clone, Default)]
pub struct Shared(Arc<Mutex<Vec<u8>>>);

impl Shared {
    pub fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Runs a tool in this process on `stdin`, with the command line `argv` (without the tool's name).
pub fn tool<A: Parser>(run: fn(A, Io<'_>) -> Outcome, argv: &[&str], stdin: &str) -> Ran {
    tool_until(run, argv, Box::new(Cursor::new(stdin.to_owned())), Stop::default())
}

/// Runs a tool as [`tool`] does, with an input that may end later and a signal that may come.
pub fn tool_until<A: Parser>(
    run: fn(A, Io<'_>) -> Outcome,
    argv: &[&str],
    stdin: Box<dyn io::Read + Send>,
    stop: Stop,
) -> Ran {
    tool_named("tool", run, argv, stdin, stop)
}

/// Runs a tool as [`tool_until`] does, with the name that begins its messages.
pub fn tool_named<A: Parser>(
    name: &'static str,
    run: fn(A, Io<'_>) -> Outcome,
    argv: &[&str],
    stdin: Box<dyn io::Read + Send>,
    stop: Stop,
) -> Ran {
    let parsed = A::try_parse_from(std::iter::once(name).chain(argv.iter().copied()));
    let parsed = parsed.unwrap_or_else(|error| panic!("{argv:?}: {error}"));
    let (mut stdout, stderr) = (Shared::default(), Shared::default());
    let io = Io {
        stdin: Box::new(BufReader::new(stdin)),
        stdin_is_terminal: false,
        stdout: &mut stdout,
        stdout_fd: None,
        console: Console::new(name, Box::new(stderr.clone()), false),
        stop,
    };
    let (exit, message) = match run(parsed, io) {
        Ok(exit) => (exit, String::new()),
        Err(failure) => {
            (failure.exit(), failure.message().map(|message| format!("{name}: {message}\n")).unwrap_or_default())
        }
    };
    Ran { code: exit.code(), stdout: stdout.text(), stderr: stderr.text() + &message }
}

/// Waits until `condition` holds; fails the test if it never does.
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "timed out waiting for: {what}");
        std::thread::sleep(Duration::from_millis(3));
    }
}

/// Returns the directory of the binaries that were built with this test.
pub fn bin() -> PathBuf {
    let dir = Path::new(env!("CARGO_BIN_EXE_poll-jobs")).parent().unwrap().to_owned();
    assert!(
        dir.join("pipeline-sim").is_file(),
        "pipeline-sim is not built: run `cargo test --workspace`, or `make test`"
    );
    dir
}

/// Returns the root of the repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A fast stand-in with the faults that `flags` name, and a directory of its own for staged files.
pub struct Target {
    pub sim: pipeline_sim::Sim,
    pub dir: tempfile::TempDir,
}

impl Target {
    pub fn start(flags: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        let scale = ["--time-scale", "0.01", "--seed", "7", "--data", data.to_str().unwrap()];
        let options = pipeline_sim::Options::from_flags(scale.into_iter().chain(flags.iter().copied())).unwrap();
        Self { sim: pipeline_sim::Sim::start(options).unwrap(), dir }
    }

    pub fn url(&self) -> String {
        self.sim.url()
    }

    /// Waits until a worker has a job at `stage`. A job that hangs or is held there stays.
    pub fn busy(&self, stage: &str) {
        let url = format!("{}/rabbitmq/metrics", self.sim.metrics_url());
        let depth = format!("rabbitmq_detailed_queue_messages_unacked{{queue=\"stage.{stage}\",vhost=\"/\"}} ");
        let metrics = || ureq::get(&url).call().unwrap().body_mut().read_to_string().unwrap();
        wait_until(&format!("a job at {stage}"), || {
            metrics().lines().any(|line| line.strip_prefix(&depth).is_some_and(|count| count != "0"))
        });
    }

    /// Stages `jobs` of the repository's fixtures and returns the records.
    pub fn stage(&self, jobs: u32) -> String {
        self.stage_with(&["--jobs", &jobs.to_string()])
    }

    /// Stages the repository's fixtures as `argv` says and returns the records.
    pub fn stage_with(&self, argv: &[&str]) -> String {
        let (from, into) = (root().join("fixtures"), self.dir.path().join("data/fixtures"));
        let places = ["--from", from.to_str().unwrap(), "--into", into.to_str().unwrap(), "--run", "run-1"];
        let ran = tool(stress_suite::tools::stage_fixtures::run, &[&places, argv].concat(), "");
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        ran.stdout
    }

    /// Submits `records` to the stand-in.
    pub fn submit(&self, argv: &[&str], records: &str) -> Ran {
        let url = self.url();
        let argv: Vec<_> = ["--target", &url].into_iter().chain(argv.iter().copied()).collect();
        tool(stress_suite::tools::submit_jobs::run, &argv, records)
    }

    /// Polls the jobs of `records`.
    pub fn poll(&self, argv: &[&str], records: &str) -> Ran {
        let url = self.url();
        let quick = if argv.contains(&"--min-interval") { &[][..] } else { &["--min-interval", "5ms"] };
        let argv: Vec<_> = ["--target", &url].iter().chain(quick).chain(argv).copied().collect();
        tool(stress_suite::tools::poll_jobs::run, &argv, records)
    }
}
