//! An answer, read.

use std::borrow::Cow;
use std::time::Duration;

use super::head::Head;
use super::url::{redirect_body, redirection};
use crate::escape;
use crate::record::Timestamp;

/// An answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body; bytes that are not UTF-8 are replaced, and then `body_is_utf8` is false.
    pub body: String,
    /// True if the body is byte for byte as the server sent it.
    pub body_is_utf8: bool,
    /// The body did not come whole, or cannot be decoded: only the head counts.
    pub is_cut: bool,
    /// The headers.
    pub head: Head,
    /// The time at which the last byte of the request's files had been handed to the connection; none if it had no files.
    pub uploaded_at: Option<Timestamp>,
}

impl Answer {
    pub(super) fn new(status: u16, head: Head, body: Vec<u8>, uploaded_at: Option<Timestamp>) -> Self {
        let (body, body_is_utf8) = match String::from_utf8(body) {
            Ok(body) => (body, true),
            Err(error) => (String::from_utf8_lossy(error.as_bytes()).into_owned(), false),
        };
        Self { status, body, body_is_utf8, is_cut: false, head, uploaded_at }
    }

    /// The least age that the answer may have, in seconds; zero if no cache has held it. Caches may count one second too many.
    pub fn min_age(&self) -> f64 {
        let declared = self.head.age.map(|age| (age.as_secs_f64() - 1.0).max(0.0));
        self.head.hidden_age.map(|(least, _)| least).or(declared).unwrap_or_default()
    }

    /// The greatest age that the answer may have, in seconds; zero if no cache has held it, and infinite if a cache does not tell.
    pub fn max_age(&self) -> f64 {
        let declared = self.head.age.map(|age| age.as_secs_f64() + 1.0);
        self.head.hidden_age.map(|(_, most)| most).or(declared).unwrap_or_default()
    }

    /// Returns true if a cache answered in the server's place.
    pub fn is_cached(&self) -> bool {
        self.head.age.is_some_and(|age| age > Duration::ZERO) || self.head.hidden_age.is_some()
    }

    /// The body; that of a redirect without the secrets of its `Location`.
    pub fn shown_body(&self) -> Cow<'_, str> {
        let location = self.head.location.as_deref().filter(|_| (300..400).contains(&self.status));
        redirect_body(&self.body, location)
    }

    /// The status and the start of the body, for a message.
    pub fn summary(&self) -> String {
        let body = self.shown_body();
        let start = escape::start(body.trim(), 200);
        let redirect = redirection(self.head.location.as_deref());
        if start.is_empty() {
            format!("HTTP {}{redirect}", self.status)
        } else {
            format!("HTTP {}{redirect}: {start}", self.status)
        }
    }
}

#[cfg(test)]
impl Answer {
    /// An answer without headers.
    pub(crate) fn for_tests(status: u16, body: &str) -> Self {
        let response = ureq::http::Response::builder().status(status).body(()).unwrap();
        let head = Head::from_parts(response.into_parts().0, &crate::clock::Clock::system());
        Self::new(status, head, body.as_bytes().to_vec(), None)
    }
}
