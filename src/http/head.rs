//! The headers of an answer that the tools read.

use std::time::Duration;

use ureq::http::response::Parts;

use crate::clock::{self, Clock};
use crate::record::Timestamp;

/// The headers that the tools read.
pub(super) struct Head {
    pub(super) content_type: Option<String>,
    pub(super) age: Option<Duration>,
    pub(super) cookies: Vec<String>,
    pub(super) unknown_coding: Option<String>,
    pub(super) date: Option<Timestamp>,
    pub(super) retry_after: Option<Duration>,
    pub(super) location: Option<String>,
}

impl Head {
    pub(super) fn from_parts(parts: &Parts, clock: &Clock) -> Self {
        let text = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
        let date = text("date").and_then(clock::http_date);
        Self {
            // RFC 9111, section 5.1: a cache says for how many seconds it has held the answer.
            age: text("age").and_then(|value| value.trim().parse().ok()).map(Duration::from_secs),
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
            retry_after: text("retry-after").and_then(|value| clock::retry_after(value, date, clock.now())),
            location: text("location").map(str::to_owned),
        }
    }
}
