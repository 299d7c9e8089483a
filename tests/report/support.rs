//! Runs the tool in process, on literal lines and a directory of its own.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use stress_suite::cli::Stop;
use stress_suite::tools::render_report::run;

pub(crate) use crate::standin::Ran;
use crate::standin::tool_named;

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

/// Runs the tool with these arguments on `stdin`.
pub(crate) fn tool(args: &[&str], stdin: impl Read + Send + 'static) -> Ran {
    tool_named("render-report", run, args, Box::new(stdin), Stop::default())
}
