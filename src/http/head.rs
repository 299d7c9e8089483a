//! What an answer says of itself before its body.

use std::time::Duration;

use ureq::http::response::Parts;

use crate::clock::{self, Clock};
use crate::record::Timestamp;

/// The headers that the tools look at.
pub(super) struct Head {
    pub(super) content_type: Option<String>,
    pub(super) date: Option<Timestamp>,
    pub(super) retry_after: Option<Duration>,
    pub(super) location: Option<String>,
}

impl Head {
    pub(super) fn of(parts: &Parts, clock: &Clock) -> Self {
        let text = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
        let date = text("date").and_then(clock::http_date);
        Self {
            content_type: text("content-type").map(str::to_owned),
            date,
            retry_after: text("retry-after").and_then(|value| clock::retry_after(value, date, clock.now())),
            location: text("location").map(str::to_owned),
        }
    }
}
