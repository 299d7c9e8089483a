//! The cookies of the jobs that are polled.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::Path;

use super::file::{CookieFile, JobCookies, Line};
use super::{Cookie, take};
use crate::cli::Failure;
use crate::record::{Key, Timestamp};

/// The file is compacted when it has grown by this many bytes more than its length after the last time.
const MAX_GROWTH: u64 = 1 << 20;

/// A job's cookies.
#[derive(Debug, Default)]
struct Held {
    cookies: Vec<Cookie>,
    /// The time from which a later expiry, without another change, is written to the file.
    renew_at: Option<Timestamp>,
}

/// The cookies of jobs, by run and name: read from the file while `submit-jobs` appends to it, and changed by the answers to polls.
#[derive(Debug)]
pub struct CookieJar {
    file: CookieFile,
    jobs: HashMap<(String, String), Held>,
    /// The last line is not whole, or one in the middle never was.
    is_torn: bool,
    /// The first line that holds no cookies, until a message has named it; and all such lines.
    foreign: Option<String>,
    kept_foreign: Vec<u8>,
    /// The bytes that were appended since the file was replaced, and its length then.
    grown: u64,
    length: u64,
}

impl CookieJar {
    /// Uses the file at `path`, once it exists.
    pub fn new(path: &Path) -> Self {
        Self {
            file: CookieFile::new(path),
            jobs: HashMap::new(),
            is_torn: false,
            foreign: None,
            kept_foreign: Vec::new(),
            grown: 0,
            length: 0,
        }
    }

    /// Reads the lines that were added since the last call.
    pub fn read(&mut self) -> Result<(), Failure> {
        self.read_new_lines().map_err(|error| self.file.failure(&error))
    }

    /// The cookies of `job`.
    pub fn of(&self, job: &Key) -> &[Cookie] {
        self.jobs.get(&key(job)).map_or(&[], |held| &held.cookies)
    }

    /// Takes the cookies set by `headers` of an answer, from `url` at `now`, to a poll of `job`. Returns true if they change
    /// something. If the file cannot be written, the jar holds them nevertheless.
    pub fn update(&mut self, job: &Key, headers: &[String], url: &str, now: Timestamp) -> (bool, Result<(), Failure>) {
        let held = self.jobs.entry(key(job)).or_default();
        let before = held.cookies.clone();
        take(&mut held.cookies, headers, url, now);
        if held.cookies == before {
            return (false, Ok(()));
        }
        // A target may extend a cookie's lifetime with every answer; the file gets a new expiry when half of the lifetime is over.
        if is_extension(&before, &held.cookies) && held.renew_at.is_some_and(|at| now < at) {
            return (true, Ok(()));
        }
        held.renew_at = first_to_expire(&held.cookies).map(|at| now.shifted(at.since(now) / 2.0));
        let line = JobCookies { run: job.run.clone(), name: job.name.clone(), cookies: held.cookies.clone() };
        let saved = self.save(&line);
        (true, saved.map_err(|error| self.file.failure(&error)))
    }

    /// The reason why it has no cookies of `job`, as the rest of a sentence about the file; none if it has some.
    pub fn why_none(&self, job: &Key) -> Option<&'static str> {
        if self.jobs.contains_key(&key(job)) {
            return None;
        }
        Some(if !self.file.was_there() {
            "is missing"
        } else if !self.kept_foreign.is_empty() {
            "holds lines that are not cookies"
        } else if self.is_torn {
            "ends in a line that was cut off"
        } else if self.jobs.keys().all(|(run, _)| *run != job.run) {
            "holds no cookies of this run"
        } else {
            "does not hold them"
        })
    }

    /// The first line that holds no cookies, as the rest of a sentence about the file; none from the second call on.
    pub fn take_foreign(&mut self) -> Option<String> {
        self.foreign.take()
    }

    /// Returns true if a line held no cookies.
    pub fn has_foreign_lines(&self) -> bool {
        !self.kept_foreign.is_empty()
    }

    /// Deletes the file, once all jobs have ended, unless it holds cookies of other runs than `runs`, or anything else.
    pub fn delete(self, runs: &HashSet<&str>) -> Result<(), Failure> {
        if self.has_foreign_lines() || self.jobs.keys().any(|(run, _)| !runs.contains(run.as_str())) {
            return Ok(());
        }
        match std::fs::remove_file(self.file.path()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(self.file.failure(&error)),
            _ => Ok(()),
        }
    }

    fn read_new_lines(&mut self) -> io::Result<()> {
        let Self { file, jobs, is_torn, foreign, kept_foreign, .. } = self;
        let mut was_torn = false;
        let ends_torn = file.read_new_lines(&mut |number, line, text| match line {
            Line::Cookies(JobCookies { run, name, cookies }) => {
                jobs.insert((run, name), Held { cookies, renew_at: None });
            }
            Line::Torn => was_torn = true,
            Line::Foreign(why) => {
                if kept_foreign.is_empty() {
                    *foreign = Some(format!("line {number}: {why}"));
                }
                kept_foreign.extend_from_slice(text);
            }
        })?;
        *is_torn = was_torn || ends_torn;
        Ok(())
    }

    fn save(&mut self, line: &JobCookies) -> io::Result<()> {
        let text = line.to_line()?;
        self.file.lock()?;
        let written = self.append(&text);
        written.and(self.file.unlock())
    }

    /// Appends `text` under the lock of the file.
    fn append(&mut self, text: &str) -> io::Result<()> {
        // The other process's lines must be read before this one counts as read.
        self.read_new_lines()?;
        self.file.write(text)?;
        self.grown += text.len() as u64;
        if self.grown > MAX_GROWTH + self.length { self.compact() } else { Ok(()) }
    }

    /// Replaces the file by one with the last line of each job, under its lock.
    fn compact(&mut self) -> io::Result<()> {
        let mut text = self.kept_foreign.clone();
        for ((run, name), held) in &self.jobs {
            let line = JobCookies { run: run.clone(), name: name.clone(), cookies: held.cookies.clone() };
            text.extend(line.to_line()?.into_bytes());
        }
        self.file.replace(&text)?;
        (self.grown, self.length) = (0, text.len() as u64);
        Ok(())
    }
}

fn key(job: &Key) -> (String, String) {
    (job.run.clone(), job.name.clone())
}

fn first_to_expire(cookies: &[Cookie]) -> Option<Timestamp> {
    cookies.iter().filter_map(|cookie| cookie.expires).min()
}

/// Returns true if `after` differs from `before` only in that some cookies expire later.
fn is_extension(before: &[Cookie], after: &[Cookie]) -> bool {
    before.len() == after.len()
        && before.iter().zip(after).all(|(before, after)| {
            (&before.pair, &before.path, before.secure) == (&after.pair, &after.path, after.secure)
                && (before.expires == after.expires || before.expires.is_some() && before.expires < after.expires)
        })
}
