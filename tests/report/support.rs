//! Runs the tool in process, on literal lines and a directory of its own.

use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use clap::Parser;
use stress_suite::cli::{Console, Exit, Io, Stop};
use stress_suite::record::{Parsed, Record, Report};
use stress_suite::tools::render_report::{Args, run};

/// A Run of three jobs at concurrency 2, with two required stages.
pub(crate) const RUN: &str = r#"{"apiVersion":"stress/v1","kind":"Run","metadata":{"name":"soak","run":"r1","labels":{"scenario":"soak"}},"spec":{"scenario":"soak","prefix":"soak","jobs":3,"concurrency":2,"stages":[{"name":"whisper","required":true},{"name":"l0","after":["whisper"],"required":true},{"name":"persist","after":["l0"],"required":false}]},"status":{"startedAt":"2026-05-20T22:30:00Z","clockOffset":{"seconds":0.5,"boundSeconds":0.01}}}"#;

/// A job of that run with this status.
pub(crate) fn job(name: &str, status: &str) -> String {
    format!(
        r#"{{"apiVersion":"stress/v1","kind":"Job","metadata":{{"name":"{name}","run":"r1"}},"spec":{{"source":"/data/{name}.webm"}},"status":{status}}}"#
    )
}

/// The status of a job that was submitted `start` seconds after 22:30 and ended well `length` seconds later; its stage
/// whisper took 1 s after a wait of 1 s, and l0 the rest after half a second. The server's clock is 0.5 s ahead.
pub(crate) fn succeeded(start: f64, length: f64) -> String {
    let at = |seconds: f64| format!("2026-05-20T22:30:{:09.6}Z", start + seconds);
    format!(
        r#"{{"phase":"Succeeded","jobId":"id-{start}","submittedAt":"{}","acceptedAt":"{}","notEndedAt":"{}","endedAt":"{}","durationSeconds":{length},"durationErrorSeconds":0.2,"polls":{{"sent":7,"failed":0}},"stages":[{{"name":"whisper","state":"done","phase":"Done","attempt":1,"timesFrom":"server","startedAt":"{}","endedAt":"{}"}},{{"name":"l0","state":"done","phase":"Done","attempt":1,"timesFrom":"server","startedAt":"{}","endedAt":"{}"}}]}}"#,
        at(0.0),
        at(0.1),
        at(length - 0.2),
        at(length),
        at(1.6),
        at(2.6),
        at(3.1),
        at(length + 0.5)
    )
}

/// Three jobs of that run that all succeeded.
pub(crate) fn good() -> Vec<String> {
    let jobs = [("soak-001", 1.0, 5.0), ("soak-002", 1.5, 6.0), ("soak-003", 6.0, 8.0)];
    let jobs = jobs.map(|(name, start, length)| job(name, &succeeded(start, length)));
    [vec![RUN.to_owned()], jobs.to_vec()].concat()
}

/// What a run of the tool left behind.
#[derive(Debug)]
pub(crate) struct Ran {
    /// Its exit code, as a shell shows it.
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    /// The Report on stdout.
    pub(crate) fn report(&self) -> Report {
        match Record::parse(self.stdout.trim()).unwrap() {
            Parsed::Record(record) => record.read().unwrap(),
            Parsed::Other => panic!("not a record: {}", self.stdout),
        }
    }

    /// The cause of its verdict.
    pub(crate) fn cause(&self) -> String {
        self.report().status.cause
    }
}

/// A scratch directory and the scenario directory in it, which is not there yet.
pub(crate) struct Scratch {
    directory: tempfile::TempDir,
}

impl Scratch {
    pub(crate) fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn out(&self) -> PathBuf {
        self.path().join("soak")
    }

    /// Reports on `lines` with `--out` and these flags.
    pub(crate) fn report(&self, lines: &[String], flags: &[&str]) -> Ran {
        self.report_bytes(text(lines).as_bytes(), flags)
    }

    pub(crate) fn report_bytes(&self, input: &[u8], flags: &[&str]) -> Ran {
        let out = self.out().display().to_string();
        tool(&[&["--out", &out], flags].concat(), io::Cursor::new(input.to_vec()))
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.out().join(name)).unwrap()
    }
}

pub(crate) fn text(lines: &[String]) -> String {
    lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect()
}

/// Reports on `lines` in a directory that is thrown away.
pub(crate) fn judged(lines: &[String], flags: &[&str]) -> Ran {
    Scratch::new().report(lines, flags)
}

#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Runs the tool with these arguments on `stdin`.
pub(crate) fn tool(args: &[&str], stdin: impl Read + Send + 'static) -> Ran {
    let args = Args::try_parse_from([&["render-report"], args].concat()).unwrap();
    let (mut stdout, stderr) = (Vec::new(), Sink::default());
    let console = Console::new("render-report", Box::new(stderr.clone()), false);
    let io = Io {
        stdin: Box::new(BufReader::new(stdin)),
        stdin_is_terminal: false,
        stdout: &mut stdout,
        stdout_fd: None,
        console: console.clone(),
        stop: Stop::default(),
    };
    let exit = run(args, io).unwrap_or_else(|failure| {
        if let Some(message) = failure.message() {
            console.say(message);
        }
        failure.exit()
    });
    let stderr = String::from_utf8(stderr.0.lock().unwrap().clone()).unwrap();
    assert!(!matches!(exit, Exit::Signal(_)), "no signal was sent");
    Ran { code: exit.code(), stdout: String::from_utf8(stdout).unwrap(), stderr }
}
