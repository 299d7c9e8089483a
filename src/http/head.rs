//! The headers of an answer that the tools read.

use std::time::Duration;

use ureq::http::response::Parts;

use crate::clock::{self, Clock};
use crate::record::Timestamp;

/// The headers that the tools read.
pub(super) struct Head {
    pub(super) content_type: Option<String>,
    pub(super) age: Duration,
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
            age: Duration::from_secs(text("age").and_then(|value| value.trim().parse().ok()).unwrap_or(0)),
            content_type: text("content-type").map(str::to_owned),
            date,
            retry_after: text("retry-after").and_then(|value| clock::retry_after(value, date, clock.now())),
            location: text("location").map(str::to_owned),
        }
    }
}
