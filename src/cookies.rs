//! The cookies that a target sets with the answer to a submission: a load balancer finds the job's node by them.
//!
//! `submit-jobs` appends them to a file that only its owner can read, and `poll-jobs` sends each job's cookies with its polls.
//! They are secrets, so no record and no report contains them.

use std::collections::{HashMap, HashSet};
use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use url::{Host, Url};

use crate::cli::Failure;
use crate::clock::{Clock, http_date};
use crate::record::{Key, Timestamp};

/// Ten years in seconds.
const FOR_EVER: i64 = 315_360_000;

/// The cookies of one job: a line of the file.
#[derive(Debug, Serialize, Deserialize)]
struct JobCookies {
    run: String,
    name: String,
    cookies: Vec<Cookie>,
}

/// A cookie, as `name=value`, and the requests that it goes with.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Cookie {
    pair: String,
    path: String,
    /// Only by TLS.
    #[serde(default)]
    secure: bool,
    /// The time from which it is not sent.
    #[serde(default)]
    expires: Option<Timestamp>,
}

impl Cookie {
    /// Reads a `Set-Cookie` header (RFC 6265, section 5.2) of an answer from `url`; none if it is not for that host.
    fn parse(header: &str, url: &Url, clock: &Clock) -> Option<Self> {
        let mut parts = header.split(';').map(str::trim);
        let pair = parts.next().filter(|pair| pair.find('=').is_some_and(|length| length > 0))?.to_owned();
        // Section 5.1.4: the directory of the request's path.
        let path = url.path();
        let directory = path.rfind('/').filter(|length| *length > 0).map_or("/", |length| &path[..length]);
        let mut cookie = Self { pair, path: directory.to_owned(), secure: false, expires: None };
        let mut max_age = None;
        for attribute in parts {
            let (name, value) = attribute.split_once('=').unwrap_or((attribute, ""));
            let value = value.trim();
            match name.trim().to_ascii_lowercase().as_str() {
                "path" if value.starts_with('/') => value.clone_into(&mut cookie.path),
                "domain" if !covers(value.trim_start_matches('.'), url) => return None,
                "secure" => cookie.secure = true,
                "max-age" => max_age = value.parse::<i64>().ok(),
                "expires" => cookie.expires = http_date(value),
                _ => {}
            }
        }
        // Max-Age wins over Expires.
        if let Some(seconds) = max_age {
            cookie.expires = Some(clock.now().shifted(seconds.clamp(0, FOR_EVER) as f64));
        }
        Some(cookie)
    }

    /// The cookies that `headers` of an answer from `url` leave. A later one replaces an earlier one of its name and path
    /// (section 5.3), and one that has expired deletes it.
    fn parse_all(headers: &[String], url: &str, clock: &Clock) -> Vec<Self> {
        let Ok(url) = Url::parse(url) else { return Vec::new() };
        let mut cookies: Vec<Self> = Vec::new();
        for cookie in headers.iter().filter_map(|header| Self::parse(header, &url, clock)) {
            cookies.retain(|earlier| (earlier.name(), &earlier.path) != (cookie.name(), &cookie.path));
            cookies.push(cookie);
        }
        cookies.retain(|cookie| !cookie.has_expired(clock.now()));
        cookies
    }

    fn name(&self) -> &str {
        self.pair.split_once('=').map_or("", |(name, _)| name.trim())
    }

    /// Returns true if the cookie is not sent any more at `now`.
    pub fn has_expired(&self, now: Timestamp) -> bool {
        self.expires.is_some_and(|at| at <= now)
    }

    /// Returns true if the cookie goes with requests for `url` (section 5.4), until it expires.
    fn matches(&self, url: &Url) -> bool {
        let rest = url.path().strip_prefix(&self.path);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || self.path.ends_with('/'))
            && (!self.secure || url.scheme() == "https")
    }
}

/// The `Cookie` header that sends those of `cookies` that have not expired; none if all have.
pub fn header(cookies: &[Cookie], clock: &Clock) -> Option<(String, String)> {
    let valid = cookies.iter().filter(|cookie| !cookie.has_expired(clock.now()));
    let pairs: Vec<&str> = valid.map(|cookie| cookie.pair.as_str()).collect();
    (!pairs.is_empty()).then(|| ("Cookie".to_owned(), pairs.join("; ")))
}

/// Returns true if `domain` is the host of `url` or a domain above it (section 5.1.3).
fn covers(domain: &str, url: &Url) -> bool {
    let is_below = |host: &str| host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'));
    match url.host() {
        Some(Host::Domain(host)) => domain.is_empty() || host.eq_ignore_ascii_case(domain) || is_below(host),
        Some(address) => domain.is_empty() || address.to_string() == domain,
        None => false,
    }
}

/// The names of the cookies that the `Set-Cookie` headers of an answer from `url` set.
pub fn names(headers: &[String], url: &str, clock: &Clock) -> Vec<String> {
    Cookie::parse_all(headers, url, clock).iter().map(|cookie| cookie.name().to_owned()).collect()
}

/// Appends cookies to the file.
#[derive(Debug)]
pub struct CookieWriter {
    path: PathBuf,
    /// Open from the first cookie on: a target that sets none leaves no file behind.
    file: Option<File>,
}

impl CookieWriter {
    /// Appends to `path`, which is made with mode 0600. The error says why that will not be possible.
    pub fn new(path: &Path) -> Result<Self, Failure> {
        let is_new = !path.exists();
        let writer = Self { path: path.to_owned(), file: None };
        writer.open().map_err(|error| failure(path, &error))?;
        if is_new {
            std::fs::remove_file(path).map_err(|error| failure(path, &error))?;
        }
        Ok(writer)
    }

    /// Keeps the cookies that the answer to the submission of `job`, sent to `url`, sets by `headers`.
    pub fn keep(&mut self, job: &Key, headers: &[String], url: &str, clock: &Clock) -> Result<(), Failure> {
        let cookies = Cookie::parse_all(headers, url, clock);
        if cookies.is_empty() {
            return Ok(());
        }
        let line = JobCookies { run: job.run.clone(), name: job.name.clone(), cookies };
        self.append(&line).map_err(|error| failure(&self.path, &error))
    }

    fn append(&mut self, line: &JobCookies) -> io::Result<()> {
        let text = serde_json::to_string(line)?;
        if self.file.is_none() {
            self.file = Some(self.open()?);
        }
        self.file.as_mut().map_or(Ok(()), |file| file.write_all(format!("{text}\n").as_bytes()))
    }

    fn open(&self) -> io::Result<File> {
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(&self.path)?;
        // A file that was there already may be open to others, and keeps its mode.
        let others = file.metadata()?.permissions().mode() & 0o077;
        if others != 0 && file.metadata()?.is_file() {
            file.set_permissions(Permissions::from_mode(0o600))?;
        }
        Ok(file)
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

    /// The cookies that go with polls of `job` at `url`.
    pub fn cookies(&mut self, job: &Key, url: &str) -> Result<Vec<Cookie>, Failure> {
        self.read_new_lines().map_err(|error| failure(&self.path, &error))?;
        let Ok(url) = Url::parse(url) else { return Ok(Vec::new()) };
        let cookies = self.jobs.get(&(job.run.clone(), job.name.clone())).into_iter().flatten();
        Ok(cookies.filter(|cookie| cookie.matches(&url)).cloned().collect())
    }

    /// The reason why it has no cookies of `job`, as the rest of a sentence about the file; none if it has some.
    pub fn why_none(&self, job: &Key) -> Option<&'static str> {
        if self.jobs.contains_key(&(job.run.clone(), job.name.clone())) {
            return None;
        }
        Some(if self.file.is_none() {
            "is missing"
        } else if !self.partial.is_empty() {
            "ends in a line that was cut off"
        } else if self.jobs.keys().all(|(run, _)| *run != job.run) {
            "holds no cookies of this run"
        } else {
            "does not hold them"
        })
    }

    /// Deletes the file, once all jobs have ended, unless it holds cookies of other runs than `runs`.
    pub fn delete(self, runs: &HashSet<&str>) -> Result<(), Failure> {
        if self.jobs.keys().any(|(run, _)| !runs.contains(run.as_str())) {
            return Ok(());
        }
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

#[cfg(test)]
mod tests {
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
        let (mut reader, clock) = (CookieReader::new(&path), Clock::system());
        let mut sent =
            |name: &str, url: &str| header(&reader.cookies(&key(name), url).unwrap(), &clock).map(|(_, value)| value);
        assert_eq!(sent("a", "http://h/jobs/1"), None, "the file is not there yet");
        let mut writer = CookieWriter::new(&path).unwrap();
        let headers = |list: &[&str]| list.iter().map(|header| (*header).to_owned()).collect::<Vec<_>>();
        let given = headers(&["LB=n1; Path=/; HttpOnly", "other=x; Path=/admin", "gone=1; Max-Age=0", "no pair"]);
        writer.keep(&key("a"), &given, "http://h/jobs", &clock).unwrap();
        let past = headers(&["s=1; Expires=Sun, 06 Nov 1994 08:49:37 GMT"]);
        writer.keep(&key("b"), &past, "http://h/jobs", &clock).unwrap();
        writer.keep(&key("c"), &headers(&["s=1", "t=2"]), "http://h/v1/tasks", &clock).unwrap();
        assert_eq!(sent("a", "http://h/jobs/1").as_deref(), Some("LB=n1"));
        assert_eq!(sent("b", "http://h/jobs/1"), None);
        assert_eq!(sent("c", "http://h/v1/tasks/7?x").as_deref(), Some("s=1; t=2"));
        assert_eq!(sent("c", "http://h/v12/7"), None);
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(reader.why_none(&key("a")), None);
        assert_eq!(reader.why_none(&key("d")), Some("does not hold them"));
        let before = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, format!("{before}{{\"run\":")).unwrap();
        let mut torn = CookieReader::new(&path);
        torn.cookies(&key("d"), "http://h/jobs/1").unwrap();
        assert_eq!(torn.why_none(&key("d")), Some("ends in a line that was cut off"));
        torn.delete(&HashSet::from(["another"])).unwrap();
        assert!(path.exists(), "it is another run's");
        reader.delete(&HashSet::from(["r"])).unwrap();
        assert!(!path.exists());
        assert_eq!(names(&given, "http://h/jobs", &clock), ["LB", "other"]);
    }

    #[test]
    fn a_file_that_was_there_is_closed_to_others_before_a_cookie_is_in_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cookies");
        std::fs::write(&path, "").unwrap();
        for mode in [0o644, 0o660, 0o600] {
            std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let headers = ["LB=n1".to_owned()];
            CookieWriter::new(&path).unwrap().keep(&key("a"), &headers, "http://h/jobs", &Clock::system()).unwrap();
            assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{mode:o}");
        }
    }

    #[test]
    fn attributes_are_obeyed_and_the_last_of_a_name_counts() {
        let dir = tempfile::tempdir().unwrap();
        let sent = |url: &str, headers: &[&str]| {
            let (path, clock) = (dir.path().join("cookies"), Clock::system());
            let headers: Vec<String> = headers.iter().map(|header| (*header).to_owned()).collect();
            CookieWriter::new(&path).unwrap().keep(&key("a"), &headers, url, &clock).unwrap();
            let cookies = CookieReader::new(&path).cookies(&key("a"), url).unwrap();
            let _none = std::fs::remove_file(path);
            header(&cookies, &clock).map_or(String::new(), |(_, value)| value)
        };
        let (plain, tls) = ("http://lb.example.org/jobs", "https://lb.example.org/jobs");
        assert_eq!(sent(plain, &["LB=1", "LB=2"]), "LB=2");
        assert_eq!(sent(plain, &["LB=1", "LB=2; Path=/jobs"]), "LB=1; LB=2", "cookies of two paths");
        assert_eq!(sent(plain, &["LB=1", "LB=; Max-Age=0"]), "");
        assert_eq!((sent(plain, &["s=1; Secure"]), sent(tls, &["s=1; Secure"])), (String::new(), "s=1".to_owned()));
        assert_eq!(sent(plain, &["a=1; Domain=example.org", "b=1; Domain=.lb.example.org"]), "a=1; b=1");
        assert_eq!(sent(plain, &["a=1; Domain=ample.org", "b=1; Domain=other.org"]), "");
        assert_eq!(sent("http://127.0.0.1:1/jobs", &["a=1; Domain=example.org", "b=1; Domain=127.0.0.1"]), "b=1");
        assert_eq!(sent(plain, &["a=1; Max-Age=99999999999999"]), "a=1");
    }

    #[test]
    fn a_cookie_is_sent_until_it_expires() {
        let clock = Clock::system();
        let mut cookies = Cookie::parse_all(&["a=1; Max-Age=60".to_owned(), "b=2".to_owned()], "http://h/jobs", &clock);
        assert_eq!(header(&cookies, &clock).unwrap().1, "a=1; b=2");
        cookies[0].expires = Some(clock.now().shifted(-0.001));
        assert_eq!(header(&cookies, &clock).unwrap().1, "b=2");
    }
}
