//! The headers of an answer, parsed.

use std::time::Duration;

use ureq::http::HeaderMap;
use ureq::http::response::Parts;

use crate::clock::{self, Clock, ServerDate};

/// The headers of an answer: those that the tools read, in types of their own, and all of them as sent.
#[derive(Clone, Debug)]
pub struct Head {
    /// The `Content-Type`.
    pub content_type: Option<String>,
    /// The time that caches have held the answer, in whole seconds (`Age`; RFC 9111, section 5.1); none without that header.
    pub age: Option<Duration>,
    /// The `Set-Cookie` headers.
    pub cookies: Vec<String>,
    /// The `Content-Encoding`, if the tools cannot decode it; the body is then as it was sent.
    pub unknown_coding: Option<String>,
    /// The server's `Date`.
    pub date: Option<ServerDate>,
    /// The wait that `Retry-After` asks for.
    pub retry_after: Option<Duration>,
    /// The `Location`: the target of a redirect, as sent.
    pub location: Option<String>,
    /// All headers, for those that a profile names.
    pub all: HeaderMap,
}

impl Head {
    pub(super) fn from_parts(parts: Parts, clock: &Clock) -> Self {
        let text = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
        let age_seconds = text("age").and_then(clock::age);
        let date = text("date").and_then(clock::http_date).map(|date| ServerDate { date, age_seconds });
        Self {
            age: age_seconds.map(|age: u32| Duration::from_secs(age.into())),
            cookies: parts
                .headers
                .get_all("set-cookie")
                .iter()
                .filter_map(|value| Some(value.to_str().ok()?.to_owned()))
                .collect(),
            unknown_coding: text("content-encoding")
                .filter(|coding| !["", "identity", "gzip"].contains(&coding.trim().to_ascii_lowercase().as_str()))
                .map(str::to_owned),
            content_type: text("content-type").map(str::to_owned),
            date,
            retry_after: text("retry-after")
                .and_then(|value| clock::retry_after(value, date.map(|date| date.date), clock.now())),
            location: text("location").map(str::to_owned),
            all: parts.headers,
        }
    }
}
