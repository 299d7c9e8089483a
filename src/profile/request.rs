//! The requests that a profile describes. The submission, the polls and the steps are made of the same parts.

use std::collections::BTreeMap;

use serde_json::Value;

use super::payload::{self, Encoding};
use super::template::{self, Escaping, Scope, TemplateValues};
use super::{List, Poll, Step, Submit, Token, check};
use crate::clock::Clock;
use crate::cookies::{self, AnsweredAt, Cookie};
use crate::http::{Answer, BaseUrl, Body, Client, HttpError, Method, same_origin};

/// The parts of a request, as a profile spells them.
#[derive(Clone, Copy, Debug)]
pub struct RequestTemplate<'p> {
    method: &'p str,
    path: &'p str,
    headers: &'p BTreeMap<String, String>,
    body: Option<&'p Value>,
    encoding: Encoding,
}

/// A request, whole.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Request {
    /// The HTTP method.
    pub method: Method,
    /// The URL.
    pub url: String,
    /// The headers, besides those of the client.
    pub headers: Vec<(String, String)>,
    /// The cookies, each of them until it expires.
    pub cookies: Vec<Cookie>,
    /// The target set cookies that are lost or were never kept.
    pub lacks_cookies: bool,
    /// The body.
    pub body: Option<Body>,
}

macro_rules! parts {
    ($($type:ty)*) => {
        $(impl $type {
            /// The parts of its request.
            pub fn request(&self) -> RequestTemplate<'_> {
                let Self { method, path, headers, body, encoding, .. } = self;
                RequestTemplate { method, path, headers, body: body.as_ref(), encoding: *encoding }
            }
        })*
    };
}
parts!(Submit Poll Step List Token);

impl<'p> RequestTemplate<'p> {
    /// A request of these parts.
    pub(super) fn new(
        method: &'p str,
        path: &'p str,
        headers: &'p BTreeMap<String, String>,
        body: Option<&'p Value>,
        encoding: Encoding,
    ) -> Self {
        Self { method, path, headers, body, encoding }
    }

    /// The request with `values` filled in. The error says what cannot be filled in.
    pub fn fill(self, base: &BaseUrl, values: &TemplateValues) -> Result<Request, String> {
        let url = if let Some(rest) = self.path.strip_prefix(template::ID_URL) {
            let id = template::fill("{id}", values, Escaping::Text)?;
            let url = same_origin(&base.join("/"), &id);
            let url = url.ok_or_else(|| format!("the id `{id}` is not a URL on {}", base.as_str()))?;
            extended(&url, &template::fill(rest, values, Escaping::Path)?)
        } else if self.path.starts_with('/') {
            base.join(&template::fill(self.path, values, Escaping::Path)?)
        } else {
            template::fill(self.path, values, Escaping::Text)?
        };
        self.fill_for(url, values)
    }

    /// The same to another URL than that of its path.
    pub fn fill_for(self, url: String, values: &TemplateValues) -> Result<Request, String> {
        let header =
            |(name, value): (&String, &String)| Ok((name.clone(), template::fill(value, values, Escaping::Text)?));
        Ok(Request {
            method: Method::from_bytes(self.method.as_bytes()).map_err(|error| error.to_string())?,
            url,
            headers: self.headers.iter().map(header).collect::<Result<_, String>>()?,
            cookies: Vec::new(),
            lacks_cookies: false,
            body: self.body.map(|body| payload::fill(body, self.encoding, values)).transpose()?,
        })
    }

    /// Returns true if a template of it contains `text`.
    pub fn contains(self, text: &str) -> bool {
        let body = self.body.map(Value::to_string).unwrap_or_default();
        self.path.contains(text) || body.contains(text) || self.headers.values().any(|value| value.contains(text))
    }

    /// Returns true if a template of it has the word `word`.
    pub(super) fn has_word(self, word: &str) -> bool {
        let has = |text: &str| template::has_word(text, word);
        has(self.path)
            || self.headers.values().any(|value| has(value))
            || self.body.is_some_and(|body| {
                template::each_string(body, &mut |text| if has(text) { Err(String::new()) } else { Ok(()) }).is_err()
            })
    }

    /// The names that its templates use of the group `group`, such as `NAME` of `{env.NAME}`.
    pub fn names(self, group: &str) -> Vec<String> {
        let mut names = Vec::new();
        let mut collect = |text: &str| {
            let found = template::words(text).filter_map(|word| word.split_once('.')).filter(|(of, _)| *of == group);
            names.extend(found.map(|(_, name)| name.to_owned()));
        };
        collect(self.path);
        self.headers.values().for_each(|value| collect(value));
        if let Some(body) = self.body {
            template::each_string(body, &mut |text| {
                collect(text);
                Ok(())
            })
            .unwrap_or_default();
        }
        names
    }

    /// Checks all but the path; the error names the key, below `key`.
    pub(super) fn check(self, key: &str, scope: Scope) -> Result<(), String> {
        if Method::from_bytes(self.method.as_bytes()).is_err() {
            return Err(format!("{key}.method = \"{}\" is not an HTTP method", self.method));
        }
        for (name, value) in self.headers {
            template::check(value, scope).map_err(|error| format!("{key}.headers.{name}: {error}"))?;
        }
        check::headers(&format!("{key}.headers"), self.headers)?;
        payload::check(key, self.body, self.encoding, scope)
    }
}

impl Request {
    /// The method and the URL, for a message.
    pub fn place(&self) -> String {
        format!("{} {}", self.method, self.url)
    }

    /// Sends it.
    pub fn send(&self, client: &Client, clock: &Clock) -> Result<Answer, HttpError> {
        self.send_these(&self.cookies, client, clock)
    }

    /// Sends it with `cookies` instead of its own.
    fn send_these(&self, cookies: &[Cookie], client: &Client, clock: &Clock) -> Result<Answer, HttpError> {
        let with_cookies = cookies::header(cookies, clock).map(|header| client.with_cookies(header));
        let client = with_cookies.as_ref().unwrap_or(client);
        let sent = client.send(&self.method, &self.url, &self.headers, self.body.as_ref(), clock);
        self.note_told_cookies(cookies, &sent, client, clock);
        sent
    }

    /// Makes those cookies secrets that an answer tells although they were sent or set with it.
    fn note_told_cookies(&self, sent: &[Cookie], answer: &Result<Answer, HttpError>, client: &Client, clock: &Clock) {
        let mut cookies = sent.to_vec();
        let mut texts = match answer {
            Err(HttpError::Unreadable { what, came, .. }) => vec![&**what, came],
            Err(HttpError::Truncated { cause, .. }) => vec![&**cause],
            _ => Vec::new(),
        };
        if let Some(Answer { body, head, .. }) = HttpError::begun(answer) {
            let at = AnsweredAt { now: clock.now(), date: head.date };
            cookies::take(&mut cookies, &head.cookies, &self.url, at);
            cookies.extend_from_slice(sent);
            texts.extend([&**body, head.location.as_deref().unwrap_or_default()]);
        }
        for text in texts {
            cookies::note_told(&cookies, text, &self.url, client.secrets());
        }
    }

    /// Sends it with those of `cookies` that are for its URL, and takes those that the answer sets. Without any it is sent as it is.
    pub fn send_with(
        &self,
        cookies: Option<&mut Vec<Cookie>>,
        client: &Client,
        clock: &Clock,
    ) -> Result<Answer, HttpError> {
        let Some(cookies) = cookies else { return self.send(client, clock) };
        let answer = self.send_these(&cookies::for_url(cookies, &self.url), client, clock);
        if let Some(Answer { head, .. }) = HttpError::begun(&answer) {
            let at = AnsweredAt { now: clock.now(), date: head.date };
            cookies::take(cookies, &head.cookies, &self.url, at);
        }
        answer
    }
}

/// `url` with `rest` at the end of its path. A query in `rest` follows that of `url`.
fn extended(url: &str, rest: &str) -> String {
    let (path, query) = url.split_once('?').unwrap_or((url, ""));
    let (more_path, more_query) = rest.split_once('?').unwrap_or((rest, ""));
    let path = if more_path.starts_with('/') { path.strip_suffix('/').unwrap_or(path) } else { path };
    let queries = [query, more_query].into_iter().filter(|query| !query.is_empty()).collect::<Vec<_>>().join("&");
    format!("{path}{more_path}{}{queries}", if queries.is_empty() { "" } else { "?" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_a_url_goes_between_its_path_and_its_query() {
        for (url, rest, expected) in [
            ("http://h/q/7", "", "http://h/q/7"),
            ("http://h/q/7?v=2", "/stop", "http://h/q/7/stop?v=2"),
            ("http://h/q/7/", "api/json?depth=1", "http://h/q/7/api/json?depth=1"),
            ("http://h/q/7/?v=2", "/stop?now=1", "http://h/q/7/stop?v=2&now=1"),
        ] {
            assert_eq!(extended(url, rest), expected);
        }
    }
}
