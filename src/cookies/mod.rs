//! Cookies that a target sets with its answers about a job, by which a load balancer finds the job's node.
//!
//! `submit-jobs` appends those of a submission to a file that only its owner can read. `poll-jobs` sends each job's cookies with its
//! polls, takes those that the answers set, and adds what is new to the file. They are secrets, so no record and no report contains
//! them.

mod check;
mod date;
mod file;
mod jar;
mod writer;

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};
use url::{Host, Url};

pub use check::check_file;
use date::cookie_date;
pub use jar::CookieJar;
pub use writer::CookieWriter;

use crate::clock::{Clock, ServerDate};
use crate::escape;
use crate::record::Timestamp;
use crate::secrets::Secrets;

/// Ten years in seconds.
const FOR_EVER: i64 = 315_360_000;
/// The most cookies that are kept for a job, and the greatest length of a `Set-Cookie` header. Browsers keep 180 cookies of a site, and
/// they and curl keep cookies of 4 to 8 KiB; servers take 8 to 16 KiB of them.
const MAX_COOKIES: usize = 180;
const MAX_LENGTH: usize = 16 * 1024;
/// The length in bytes from which the value of a cookie is a secret: a shorter one, such as the name of a node, is in many texts.
const SHORTEST_SECRET: usize = 8;

/// A cookie and the requests that it goes with.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Cookie {
    /// `name=value`, with a character for each byte: a server may set any bytes, and gets them back.
    pair: String,
    path: String,
    /// Only by TLS.
    #[serde(default)]
    secure: bool,
    /// The time from which it is not sent.
    #[serde(default)]
    expires: Option<Timestamp>,
    /// It is beyond a limit: its value is not kept, and it is not sent.
    #[serde(default)]
    is_unkept: bool,
}

/// The time at which an answer came, by our clock and, if it has a `Date`, by the target's.
#[derive(Clone, Copy, Debug)]
pub struct AnsweredAt {
    /// By our clock.
    pub now: Timestamp,
    /// By the target's.
    pub date: Option<ServerDate>,
}

impl AnsweredAt {
    /// The time by our clock at which the target's clock shows `at`. Without a `Date` the two count as equal.
    fn here(self, at: Timestamp) -> Timestamp {
        let Some(ServerDate { date, age_seconds }) = self.date else { return at };
        let left = at.since(date) - f64::from(age_seconds.unwrap_or_default());
        self.now.shifted(left.clamp(0.0, FOR_EVER as f64))
    }
}

impl Cookie {
    /// Reads a `Set-Cookie` header (RFC 6265, section 5.2), with a character for each byte, of an answer from `url`; none if it is not for that host.
    fn parse(header: &str, url: &Url, at: AnsweredAt) -> Option<Self> {
        let is_unkept = header.chars().count() > MAX_LENGTH;
        let mut parts = header.split(';').map(trimmed);
        let (name, value) = parts.next()?.split_once('=').filter(|(name, _)| !name.is_empty())?;
        let pair = format!("{}={}", trimmed(name), trimmed(value));
        // Section 5.1.4: the directory of the request's path.
        let path = url.path();
        let directory = path.rfind('/').filter(|length| *length > 0).map_or("/", |length| &path[..length]);
        let mut cookie = Self { pair, path: directory.to_owned(), secure: false, expires: None, is_unkept: false };
        let mut max_age = None;
        for attribute in parts {
            let (name, value) = attribute.split_once('=').unwrap_or((attribute, ""));
            let value = trimmed(value);
            match trimmed(name).to_ascii_lowercase().as_str() {
                "path" if value.starts_with('/') => value.clone_into(&mut cookie.path),
                "domain" if !covers(value.trim_start_matches('.'), url) => return None,
                "secure" => cookie.secure = true,
                "max-age" => max_age = value.parse::<i64>().ok(),
                "expires" => cookie.expires = cookie_date(value).map(|at_target| at.here(at_target)).or(cookie.expires),
                _ => {}
            }
        }
        // Max-Age wins over Expires.
        if let Some(seconds) = max_age {
            cookie.expires = Some(at.now.shifted(seconds.clamp(0, FOR_EVER) as f64));
        }
        Some(if is_unkept { cookie.unkept() } else { cookie })
    }

    /// The same without its value.
    fn unkept(self) -> Self {
        Self { pair: format!("{}=", self.name()), is_unkept: true, ..self }
    }

    /// Its value, with a character for each byte.
    fn value(&self) -> &str {
        self.pair.split_once('=').map_or("", |(_, value)| value)
    }

    fn name(&self) -> &str {
        self.pair.split_once('=').map_or("", |(name, _)| name)
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

/// Takes the cookies that `headers` of an answer from `url` set into `cookies`. One replaces an earlier one of its name and
/// path and takes its place (section 5.3); one that has expired deletes it.
pub fn take(cookies: &mut Vec<Cookie>, headers: &[String], url: &str, at: AnsweredAt) {
    let Ok(url) = Url::parse(url) else { return };
    for cookie in headers.iter().filter_map(|header| Cookie::parse(header, &url, at)) {
        let is_same = |earlier: &&mut Cookie| (earlier.name(), &earlier.path) == (cookie.name(), &cookie.path);
        match cookies.iter_mut().find(is_same) {
            Some(earlier) => *earlier = cookie,
            None => cookies.push(cookie),
        }
    }
    cookies.retain(|cookie| !cookie.has_expired(at.now));
    if cookies.len() > MAX_COOKIES {
        // The first of those that are left out stands for all of them.
        let left_out = cookies.drain(..=cookies.len() - MAX_COOKIES).next();
        cookies.splice(..0, left_out.map(Cookie::unkept));
    }
}

/// Says which of `cookies` are not kept and why, as a sentence about the target; none if all are kept.
pub fn why_unkept(cookies: &[Cookie]) -> Option<String> {
    let unkept: Vec<Cookie> = cookies.iter().filter(|cookie| cookie.is_unkept).cloned().collect();
    (!unkept.is_empty()).then(|| {
        format!(
            "cookies that the target set are not sent, because their Set-Cookie header is longer than {MAX_LENGTH} bytes or the job has more than \
             {MAX_COOKIES}: {}",
            escape::start(&names(&unkept), 100)
        )
    })
}

/// Makes those values of `cookies` secrets that `text` has: a target may tell what it was sent. The `url` of the request is known anyway.
pub fn note_told(cookies: &[Cookie], text: &str, url: &str, secrets: &Secrets) {
    for cookie in cookies {
        let value = String::from_utf8_lossy(&bytes_of(cookie.value())).into_owned();
        let value = value.trim_matches('"');
        let decoded = percent_decode_str(value).decode_utf8_lossy();
        for form in [value, &*decoded] {
            let told = Secrets::default();
            told.add(form);
            if form.len() >= SHORTEST_SECRET && !url.contains(form) && matches!(told.strike(text), Cow::Owned(_)) {
                secrets.add(form);
            }
        }
    }
}

/// Those of `cookies` that go with requests for `url`, in the order in which they are sent (section 5.4): of two with one name, a
/// server takes the first, which is the one with the longer path.
pub fn for_url(cookies: &[Cookie], url: &str) -> Vec<Cookie> {
    let Ok(url) = Url::parse(url) else { return Vec::new() };
    let mut sent: Vec<Cookie> = cookies.iter().filter(|cookie| cookie.matches(&url)).cloned().collect();
    sent.sort_by_key(|cookie| std::cmp::Reverse(cookie.path.len()));
    sent
}

/// The `Cookie` header that sends those of `cookies` that have not expired; none if all have.
pub fn header(cookies: &[Cookie], clock: &Clock) -> Option<Vec<u8>> {
    let valid = cookies.iter().filter(|cookie| !cookie.is_unkept && !cookie.has_expired(clock.now()));
    let pairs: Vec<&str> = valid.map(|cookie| cookie.pair.as_str()).collect();
    (!pairs.is_empty()).then(|| bytes_of(&pairs.join("; ")))
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

/// The names of `cookies`, separated by commas.
pub fn names(cookies: &[Cookie]) -> String {
    let names = cookies.iter().map(Cookie::name).collect::<Vec<_>>().join(", ");
    String::from_utf8_lossy(&bytes_of(&names)).into_owned()
}

/// Text with a character for each of `bytes` (Latin-1).
pub fn text_of(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

/// The bytes that `text` stands for, one per character. A character beyond them, which only an edited file has, gives its UTF-8.
fn bytes_of(text: &str) -> Vec<u8> {
    let bytes = |letter: char| u8::try_from(letter).map_or_else(|_| letter.to_string().into_bytes(), |byte| vec![byte]);
    text.chars().flat_map(bytes).collect()
}

/// `text` without the spaces and tabs around it. Others that Unicode counts as white space are bytes of a longer character.
fn trimmed(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

#[cfg(test)]
mod tests;
