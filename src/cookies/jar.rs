//! The cookies of the jobs that are polled.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::Path;

use super::file::{CookieFile, CookieLine, Line, Tail};
use super::{AnsweredAt, Cookie, take};
use crate::cli::{Failure, Stop};
use crate::record::{Key, Timestamp};

/// The file is compacted when it has grown by this many bytes more than its length after the last time.
const MAX_GROWTH: u64 = 1 << 20;

/// A job's cookies.
#[derive(Debug, Default)]
struct Held {
    cookies: Vec<Cookie>,
    /// An answer to a poll changed them, in this session or before.
    is_polled: bool,
    /// The time from which a later expiry, without another change, is written to the file.
    renew_at: Option<Timestamp>,
}

impl Held {
    fn line(&self, run: &str, name: &str) -> CookieLine {
        CookieLine::new(run.to_owned(), name.to_owned(), self.cookies.clone(), self.is_polled)
    }
}

/// The lines of the file, as read.
#[derive(Debug, Default)]
struct Contents {
    /// By run and name.
    jobs: HashMap<(String, String), Held>,
    /// The first line that holds no cookies, until a message has named it; and all such lines.
    foreign: Option<String>,
    has_foreign: bool,
    kept_foreign: Vec<u8>,
}

impl Contents {
    fn take(&mut self, number: u64, line: Line, text: &[u8]) {
        match line {
            Line::Cookies(CookieLine { run, name, cookies, polled, .. }) => {
                self.jobs.insert((run, name), Held { cookies, is_polled: polled, renew_at: None });
            }
            Line::Foreign(why) => {
                if !std::mem::replace(&mut self.has_foreign, true) {
                    self.foreign = Some(format!("line {number}: {why}"));
                }
                self.kept_foreign.extend_from_slice(text);
            }
        }
    }
}

/// The cookies of jobs, by run and name: read from the file while `submit-jobs` appends to it, and changed by the answers to polls.
#[derive(Debug)]
pub struct CookieJar {
    file: CookieFile,
    contents: Contents,
    /// The last line is not whole.
    is_torn: bool,
    /// The bytes that were appended since the file was replaced, and its length then.
    grown: u64,
    length: u64,
}

impl CookieJar {
    /// Uses the file at `path`, once it exists. After the signal of `stop` it waits only briefly for another process.
    pub fn new(path: &Path, stop: &Stop) -> Self {
        Self { file: CookieFile::new(path, stop), contents: Contents::default(), is_torn: false, grown: 0, length: 0 }
    }

    /// Reads the lines that were added since the last call.
    pub fn read(&mut self) -> Result<(), Failure> {
        self.read_new_lines().map_err(|error| self.file.failure(&error))
    }

    /// The cookies of `job`.
    pub fn of(&self, job: &Key) -> &[Cookie] {
        self.contents.jobs.get(&key(job)).map_or(&[], |held| &held.cookies)
    }

    /// Takes the cookies set by `headers` of an answer, from `url`, to a poll of `job`. Returns true if they change something. If
    /// the file cannot be written, the jar holds them nevertheless.
    pub fn update(&mut self, job: &Key, headers: &[String], url: &str, at: AnsweredAt) -> (bool, Result<(), Failure>) {
        let now = at.now;
        let held = self.contents.jobs.entry(key(job)).or_default();
        let before = held.cookies.clone();
        take(&mut held.cookies, headers, url, at);
        if held.cookies == before {
            return (false, Ok(()));
        }
        // A target may extend a cookie's lifetime with every answer; the file gets a new expiry when half of the lifetime is over.
        if is_extension(&before, &held.cookies) && held.renew_at.is_some_and(|at| now < at) {
            return (true, Ok(()));
        }
        held.renew_at = first_to_expire(&held.cookies).map(|at| now.shifted(at.since(now) / 2.0));
        held.is_polled = true;
        let line = held.line(&job.run, &job.name);
        let saved = self.save(&line);
        (true, saved.map_err(|error| self.file.failure(&error)))
    }

    /// Returns true if an answer to a poll of `job` changed its cookies.
    pub fn is_polled(&self, job: &Key) -> bool {
        self.contents.jobs.get(&key(job)).is_some_and(|held| held.is_polled)
    }

    /// The reason why it has no cookies of `job`, as the rest of a sentence about the file; none if it has some.
    pub fn why_none(&self, job: &Key) -> Option<&'static str> {
        if self.contents.jobs.contains_key(&key(job)) {
            return None;
        }
        Some(if !self.file.was_there() {
            "is missing"
        } else if self.contents.has_foreign {
            "holds lines that are not cookies"
        } else if self.is_torn {
            "ends in a line that was cut off"
        } else if self.contents.jobs.keys().all(|(run, _)| *run != job.run) {
            "holds no cookies of this run"
        } else {
            "does not hold them"
        })
    }

    /// The first line that holds no cookies, as the rest of a sentence about the file; none from the second call on.
    pub fn take_foreign(&mut self) -> Option<String> {
        self.contents.foreign.take()
    }

    /// Returns true if a line held no cookies.
    pub fn has_foreign_lines(&self) -> bool {
        self.contents.has_foreign
    }

    /// Deletes the file if it holds nothing but cookies of jobs that have `ended`.
    pub fn delete(mut self, ended: &HashSet<Key>) -> Result<(), Failure> {
        self.delete_if_over(ended).map_err(|error| self.file.failure(&error))
    }

    fn delete_if_over(&mut self, ended: &HashSet<Key>) -> io::Result<()> {
        let ended: HashSet<_> = ended.iter().map(key).collect();
        let is_over = |jar: &Self| {
            let jobs = &jar.contents.jobs;
            !jar.has_foreign_lines() && !jar.is_torn && !jobs.is_empty() && jobs.keys().all(|job| ended.contains(job))
        };
        self.read_new_lines()?;
        if !is_over(self) || !self.file.path().exists() {
            return Ok(());
        }
        self.file.lock()?;
        // The other process may have added a job before the lock.
        let read = self.read_new_lines();
        let deleted = read.and_then(|()| if is_over(self) { self.file.remove() } else { Ok(()) });
        deleted.and(self.file.unlock())
    }

    fn read_new_lines(&mut self) -> io::Result<()> {
        let Self { file, contents, .. } = self;
        self.is_torn = file.read_new_lines(&mut |number, line, text| contents.take(number, line, text))? == Tail::Torn;
        Ok(())
    }

    fn save(&mut self, line: &CookieLine) -> io::Result<()> {
        let text = line.to_line()?;
        self.file.lock()?;
        let written = self.append(&text);
        written.and(self.file.unlock())
    }

    /// Appends `text` under the lock of the file.
    fn append(&mut self, text: &str) -> io::Result<()> {
        // The other process's lines are read with it: they must not count as read without that.
        let Self { file, contents, .. } = self;
        file.write(text, &mut |number, line, text| contents.take(number, line, text))?;
        self.is_torn = false;
        self.grown += text.len() as u64;
        if self.grown > MAX_GROWTH + self.length { self.compact() } else { Ok(()) }
    }

    /// Replaces the file by one with the last line of each job, under its lock.
    fn compact(&mut self) -> io::Result<()> {
        let mut text = self.contents.kept_foreign.clone();
        for ((run, name), held) in &self.contents.jobs {
            text.extend(held.line(run, name).to_line()?.into_bytes());
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
