//! The time in which no token can be had: the server of the token request is not asked again for each request to the target.

use std::time::Duration;

use crate::http::NoCredentials;
use crate::record::Timestamp;

/// The least pause between a token request that failed and the next one, in seconds.
const LEAST_PAUSE: f64 = 1.0;
/// The longest time from the first failure on for which a submission waits for a token, in seconds.
const PATIENCE: f64 = 30.0;

/// A token request that failed.
#[derive(Debug)]
pub(super) struct Failed {
    /// The reason, as one line.
    pub(super) why: String,
    /// The pause that the answer asks for.
    pub(super) retry_after: Option<Duration>,
    /// True if the next request may succeed.
    pub(super) may_pass: bool,
}

/// The failures since the last token that was issued.
#[derive(Debug)]
pub(super) struct Outage {
    since: Timestamp,
    /// The time of the next token request.
    until: Timestamp,
    last: Failed,
}

impl Outage {
    /// The outage that goes on, or begins, with `failed`.
    pub(super) fn with(before: Option<&Self>, failed: Failed, now: Timestamp) -> Self {
        let pause = failed.retry_after.map_or(LEAST_PAUSE, |wait| wait.as_secs_f64().max(LEAST_PAUSE));
        Self { since: before.map_or(now, |outage| outage.since), until: now.shifted(pause), last: failed }
    }

    /// Returns true while the token request is not sent.
    pub(super) fn pauses(&self, now: Timestamp) -> bool {
        // A clock that was set back must not make the pause longer.
        self.until > now && self.since <= now
    }

    /// The reason, and the wait after which a submission may try again: none if the server refused the request for good, or if the
    /// wait would last too long.
    pub(super) fn describe(&self, now: Timestamp) -> NoCredentials {
        let can_wait = self.last.may_pass && self.until.since(self.since) <= PATIENCE;
        let again_in = can_wait.then(|| Duration::from_secs_f64(self.until.since(now).max(0.0)));
        let asked = self.last.retry_after.map(|wait| format!("; the server asks to wait {} s", wait.as_secs()));
        NoCredentials { why: self.last.why.clone() + &asked.unwrap_or_default(), again_in }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_waited_for_within_a_bound_and_only_if_it_may_pass() {
        let failed = |seconds: Option<u64>, may_pass: bool| Failed {
            why: "no".to_owned(),
            retry_after: seconds.map(Duration::from_secs),
            may_pass,
        };
        let start = Timestamp::from_micros(1_779_316_200_000_000);
        let first = Outage::with(None, failed(None, true), start);
        assert!(first.pauses(start) && !first.pauses(start.shifted(1.0)) && !first.pauses(start.shifted(-1.0)));
        assert_eq!(first.describe(start).again_in, Some(Duration::from_secs(1)));
        let asked = Outage::with(Some(&first), failed(Some(7), true), start.shifted(2.0));
        assert!(asked.pauses(start.shifted(8.9)) && !asked.pauses(start.shifted(9.0)));
        assert_eq!(asked.describe(start.shifted(2.0)).why, "no; the server asks to wait 7 s");
        let late = Outage::with(Some(&asked), failed(None, true), start.shifted(29.5));
        assert_eq!(late.describe(start.shifted(29.5)).again_in, None);
        assert_eq!(Outage::with(None, failed(Some(31), true), start).describe(start).again_in, None);
        assert_eq!(Outage::with(None, failed(None, false), start).describe(start).again_in, None);
    }
}
