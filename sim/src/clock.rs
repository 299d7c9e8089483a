//! The server's wall clock, which `--clock-offset` sets wrong on purpose, and the ways it is written.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};

/// A wall clock that runs a fixed offset away from the host's.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    offset: TimeDelta,
}

impl Clock {
    pub(crate) const fn new(offset: TimeDelta) -> Self {
        Self { offset }
    }

    pub(crate) fn now(self) -> DateTime<Utc> {
        Utc::now() + self.offset
    }
}

/// RFC 3339 in UTC with microseconds, as job documents write it.
pub(crate) fn rfc3339(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// The form of the HTTP `Date` header.
pub(crate) fn http_date(at: DateTime<Utc>) -> String {
    at.format("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// The form of Python's logging module: a comma before the milliseconds.
pub(crate) fn python(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%S,%3f").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_each_form() {
        let at: DateTime<Utc> = "2026-05-20T22:30:01.123456Z".parse().unwrap();
        assert_eq!(rfc3339(at), "2026-05-20T22:30:01.123456Z");
        assert_eq!(http_date(at), "Wed, 20 May 2026 22:30:01 GMT");
        assert_eq!(python(at), "2026-05-20 22:30:01,123");
    }

    #[test]
    fn runs_ahead_by_its_offset() {
        let ahead = Clock::new(TimeDelta::seconds(100)).now() - Utc::now();
        assert!((40_000..=100_000).contains(&ahead.num_milliseconds()), "{ahead}");
    }
}
