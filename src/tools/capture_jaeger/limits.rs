//! The errors of requests, and the bounds of what may be requested.

use std::io::{self, Read};
use std::time::{Duration, Instant};

use crate::cli::STOPPED;
use crate::http::HttpError;
use crate::record::Reason;

/// The most requests of a sweep. A sweep takes about three requests for each page of traces.
pub(super) const MAX_REQUESTS: u64 = 1000;

/// The error of a request that returned nothing usable.
#[derive(Clone, Debug, PartialEq, Eq, derive_more::Display)]
#[display("{message}")]
pub(super) struct RequestError {
    /// The reason word of the record.
    pub(super) reason: Reason,
    pub(super) message: String,
    /// Another attempt may succeed.
    pub(super) retryable: bool,
}

impl RequestError {
    /// Returns the error of a request that a signal prevented.
    pub(super) fn interrupted() -> Self {
        let message = format!("{STOPPED} before the search was complete");
        Self { reason: Reason::Interrupted, message, retryable: false }
    }

    /// The reason of a request that was not answered.
    pub(super) fn reason_of(error: &HttpError) -> Reason {
        match error {
            HttpError::NotConnected { .. } => Reason::Unreachable,
            HttpError::OwnLimit { .. } => Reason::OwnLimit,
            _ => Reason::NoAnswer,
        }
    }

    fn limit(message: String) -> Self {
        Self { reason: Reason::SearchLimit, message, retryable: false }
    }

    /// Returns true if the request was not made, or not to its end, because a bound was reached.
    pub(super) fn is_limit(&self) -> bool {
        self.reason == Reason::SearchLimit
    }

    /// Returns true if every further request would end the same way, whatever it asks for.
    pub(super) fn ends_all(&self) -> bool {
        matches!(
            self.reason,
            Reason::Interrupted | Reason::SearchLimit | Reason::Unreachable | Reason::NoAnswer | Reason::OwnLimit
        )
    }
}

/// The time and the number of requests that are left for a sweep.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    until: Instant,
    requests: u64,
}

impl Limits {
    /// Returns the limits of requests that begin now.
    pub(super) fn new(time: Duration, requests: u64) -> Self {
        Self { until: Instant::now() + time, requests }
    }

    /// Counts a request, or refuses it.
    pub(super) fn spend(&mut self) -> Result<(), RequestError> {
        if self.is_over() {
            return Err(Self::time_error());
        }
        self.requests = self.requests.checked_sub(1).ok_or_else(|| {
            RequestError::limit(format!(
                "the search takes more than {MAX_REQUESTS} requests: use a larger --page, or a shorter window"
            ))
        })?;
        Ok(())
    }

    /// Returns true if the time is over.
    pub(super) fn is_over(&self) -> bool {
        Instant::now() >= self.until
    }

    /// Returns the error of a search that took too long.
    pub(super) fn time_error() -> RequestError {
        RequestError::limit(
            "the search took longer than --settle allows: use a longer --settle, or a shorter window".into(),
        )
    }

    /// Returns `source` as a reader that fails once the time is over, however slowly it goes on.
    pub(super) fn bound<R: Read>(&self, source: R) -> TimedReader<R> {
        TimedReader { source, until: self.until }
    }
}

/// A reader that fails after a point in time; see [`Limits::bound`].
#[derive(Debug)]
pub(super) struct TimedReader<R> {
    source: R,
    until: Instant,
}

impl<R: Read> Read for TimedReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if Instant::now() >= self.until { Err(io::ErrorKind::TimedOut.into()) } else { self.source.read(buffer) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_of_this_host_is_not_the_servers_silence() {
        let reasons = [
            HttpError::OwnLimit { what: "too many open files".to_owned(), was_sent: false },
            HttpError::NotConnected { what: "connection refused".to_owned(), is_forbidden: false },
            HttpError::NoAnswer("closed".to_owned()),
        ]
        .map(|error| RequestError::reason_of(&error));
        assert_eq!(reasons, [Reason::OwnLimit, Reason::Unreachable, Reason::NoAnswer]);
    }
}
