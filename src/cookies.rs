//! The cookies that a target sets with the answer to a submission: a load balancer finds the job's node by them.
//!
//! `submit-jobs` appends them to a file that only its owner can read, and `poll-jobs` sends each job's cookies with its polls.
//! They are secrets, so no record and no report contains them.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::cli::Failure;
use crate::clock::{Clock, http_date};
use crate::record::Key;

/// The cookies of one job: a line of the file.
#[derive(Debug, Serialize, Deserialize)]
struct JobCookies {
    run: String,
    name: String,
    cookies: Vec<Cookie>,
}

/// A cookie, as `name=value`, and the path below which it is sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Cookie {
    pair: String,
    path: String,
}

impl Cookie {
    /// Reads a `Set-Cookie` header (RFC 6265, section 5.2) of an answer from `path`; none if it deletes the cookie.
    fn parse(header: &str, path: &str, clock: &Clock) -> Option<Self> {
        let mut parts = header.split(';').map(str::trim);
        let pair = parts.next().filter(|pair| pair.find('=').is_some_and(|length| length > 0))?.to_owned();
        // Section 5.1.4: the directory of the request's path.
        let directory = path.rfind('/').filter(|length| *length > 0).map_or("/", |length| &path[..length]);
        let mut cookie = Self { pair, path: directory.to_owned() };
        let (mut max_age, mut expires) = (None, None);
        for (name, value) in parts.filter_map(|attribute| attribute.split_once('=')) {
            match name.trim().to_ascii_lowercase().as_str() {
                "path" if value.trim().starts_with('/') => value.trim().clone_into(&mut cookie.path),
                "max-age" => max_age = value.trim().parse::<i64>().ok(),
                "expires" => expires = http_date(value),
                _ => {}
            }
        }
        let has_expired = match (max_age, expires) {
            (Some(seconds), _) => seconds <= 0,
            (None, Some(date)) => date <= clock.now(),
            (None, None) => false,
        };
        (!has_expired).then_some(cookie)
    }

    /// Returns true if the cookie goes with a request for `path` (section 5.1.4).
    fn matches(&self, path: &str) -> bool {
        let rest = path.strip_prefix(&self.path);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']) || self.path.ends_with('/'))
    }
}

/// The names of the cookies that the `Set-Cookie` headers of an answer from `url` set.
pub fn names(headers: &[String], url: &str, clock: &Clock) -> Vec<String> {
    let cookies = headers.iter().filter_map(|header| Cookie::parse(header, path_of(url), clock));
    cookies.filter_map(|cookie| Some(cookie.pair.split_once('=')?.0.to_owned())).collect()
}

/// Appends cookies to the file.
#[derive(Debug)]
pub struct CookieWriter {
    path: PathBuf,
    /// Open from the first cookie on: a target that sets none leaves no file behind.
    file: Option<File>,
}

impl CookieWriter {
    /// Appends to `path`, which is made with mode 0600.
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), file: None }
    }

    /// Keeps the cookies that the answer to the submission of `job`, sent to `url`, sets by `headers`.
    pub fn keep(&mut self, job: &Key, headers: &[String], url: &str, clock: &Clock) -> Result<(), Failure> {
        let path = path_of(url);
        let cookies: Vec<Cookie> = headers.iter().filter_map(|header| Cookie::parse(header, path, clock)).collect();
        if cookies.is_empty() {
            return Ok(());
        }
        let line = JobCookies { run: job.run.clone(), name: job.name.clone(), cookies };
        self.append(&line).map_err(|error| failure(&self.path, &error))
    }

    fn append(&mut self, line: &JobCookies) -> io::Result<()> {
        let text = serde_json::to_string(line)?;
        if self.file.is_none() {
            self.file = Some(OpenOptions::new().append(true).create(true).mode(0o600).open(&self.path)?);
        }
        self.file.as_mut().map_or(Ok(()), |file| file.write_all(format!("{text}\n").as_bytes()))
    }
}

/// Reads cookies from the file while `submit-jobs` appends to it.
#[derive(Debug)]
pub struct CookieReader {
    path: PathBuf,
    /// Open from the first time that the file is there.
    file: Option<BufReader<File>>,
    /// A line whose end is not written yet.
    partial: String,
    jobs: HashMap<(String, String), Vec<Cookie>>,
}

impl CookieReader {
    /// Reads from `path`, once it is there.
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), file: None, partial: String::new(), jobs: HashMap::new() }
    }

    /// The `Cookie` header for a poll of `job` at `url`; none if its submission set no cookie.
    pub fn header(&mut self, job: &Key, url: &str) -> Result<Option<String>, Failure> {
        self.read_new_lines().map_err(|error| failure(&self.path, &error))?;
        let cookies = self.jobs.get(&(job.run.clone(), job.name.clone())).into_iter().flatten();
        let pairs: Vec<&str> =
            cookies.filter(|cookie| cookie.matches(path_of(url))).map(|cookie| cookie.pair.as_str()).collect();
        Ok((!pairs.is_empty()).then(|| pairs.join("; ")))
    }

    /// Deletes the file, once all jobs have ended.
    pub fn delete(self) -> Result<(), Failure> {
        match std::fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failure(&self.path, &error)),
            _ => Ok(()),
        }
    }

    fn read_new_lines(&mut self) -> io::Result<()> {
        if self.file.is_none() {
            match File::open(&self.path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
                opened => self.file = Some(BufReader::new(opened?)),
            }
        }
        let Some(file) = &mut self.file else { return Ok(()) };
        while file.read_line(&mut self.partial)? > 0 {
            if self.partial.ends_with('\n') {
                let line: JobCookies = serde_json::from_str(&self.partial)?;
                self.jobs.insert((line.run, line.name), line.cookies);
                self.partial.clear();
            }
        }
        Ok(())
    }
}

fn failure(path: &Path, error: &io::Error) -> Failure {
    Failure::io(&format!("--cookies {}", path.display()), error)
}

/// The path of `url`, with its query.
fn path_of(url: &str) -> &str {
    let after_scheme = url.split_once("://").map_or(url, |(_, rest)| rest);
    after_scheme.find('/').map_or("/", |start| &after_scheme[start..])
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::record::{Kind, Parsed, Record};

    fn key(name: &str) -> Key {
        let line = format!(r#"{{"apiVersion":"stress/v1","kind":"Job","metadata":{{"name":"{name}","run":"r"}}}}"#);
        let Ok(Parsed::Record(record)) = Record::parse(&line) else { panic!("a record") };
        assert_eq!(record.kind(), Kind::Job);
        record.key().clone()
    }

    #[test]
    fn cookies_are_kept_by_job_and_path_and_only_the_owner_reads_them() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cookies");
        let mut reader = CookieReader::new(&path);
        assert_eq!(reader.header(&key("a"), "http://h/jobs/1").unwrap(), None, "the file is not there yet");
        let mut writer = CookieWriter::new(&path);
        let headers = |list: &[&str]| list.iter().map(|header| (*header).to_owned()).collect::<Vec<_>>();
        let clock = Clock::system();
        let set = headers(&["LB=n1; Path=/; HttpOnly", "other=x; Path=/admin", "gone=1; Max-Age=0", "no pair"]);
        writer.keep(&key("a"), &set, "http://h/jobs", &clock).unwrap();
        let past = headers(&["s=1; Expires=Sun, 06 Nov 1994 08:49:37 GMT"]);
        writer.keep(&key("b"), &past, "http://h/jobs", &clock).unwrap();
        writer.keep(&key("c"), &headers(&["s=1", "t=2"]), "http://h/v1/tasks", &clock).unwrap();
        assert_eq!(reader.header(&key("a"), "http://h/jobs/1").unwrap().as_deref(), Some("LB=n1"));
        assert_eq!(reader.header(&key("b"), "http://h/jobs/1").unwrap(), None);
        assert_eq!(reader.header(&key("c"), "http://h/v1/tasks/7?x").unwrap().as_deref(), Some("s=1; t=2"));
        assert_eq!(reader.header(&key("c"), "http://h/v12/7").unwrap(), None);
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        reader.delete().unwrap();
        assert!(!path.exists());
        assert_eq!(names(&set, "http://h/jobs", &clock), ["LB", "other"]);
    }
}
