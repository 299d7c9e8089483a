//! The waits of submissions for what is not the target's doing: a limit of this host, or a token.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crate::cli::{Console, Stop};
use crate::http::{Answer, HttpError, NoCredentials};
use crate::units;

/// The wait before another try where this host has run out of something.
const OWN_LIMIT_WAIT: Duration = Duration::from_millis(100);

/// The waits of all submissions of a session. The first of each kind is reported.
#[derive(Debug)]
pub(in crate::tools::submit_jobs) struct Waits {
    console: Console,
    stop: Stop,
    /// The longest wait for a limit of this host.
    deadline: Duration,
    /// The first limit that was met.
    limit: OnceLock<String>,
    /// The message about a limit that lasted for too long.
    given_up: OnceLock<String>,
    has_reported_token: OnceLock<()>,
}

impl Waits {
    /// Waits that last for `deadline` at most, or until the signal.
    pub(in crate::tools::submit_jobs) fn new(console: Console, stop: Stop, deadline: Duration) -> Self {
        let (limit, given_up, has_reported_token) = (OnceLock::new(), OnceLock::new(), OnceLock::new());
        Self { console, stop, deadline, limit, given_up, has_reported_token }
    }

    /// The first limit of this host that a submission met.
    pub(in crate::tools::submit_jobs) fn limit(&self) -> Option<&str> {
        self.limit.get().map(String::as_str)
    }

    /// The message about a limit of this host that lasted for too long: nothing more is submitted.
    pub(in crate::tools::submit_jobs) fn given_up(&self) -> Option<&str> {
        self.given_up.get().map(String::as_str)
    }

    /// Notes that the limit `what` has held a request back since `began`, and waits. Returns true if it may be tried again.
    pub(in crate::tools::submit_jobs) fn past_limit(&self, what: &str, began: Instant) -> bool {
        self.note_limit(what, "; waiting");
        if began.elapsed() >= self.deadline {
            let deadline = units::whole(self.deadline);
            self.given_up.get_or_init(|| {
                format!("{what}; this host (not the target) was at this limit for {deadline} (--deadline), so nothing more is submitted")
            });
        }
        self.given_up().is_none() && !self.stop.wait(OWN_LIMIT_WAIT)
    }

    /// Notes the limit `what`. The first one is reported, with what `follows` from it.
    fn note_limit(&self, what: &str, follows: &str) {
        self.limit.get_or_init(|| {
            self.console.say(&format!("{what}: a limit of this host, not of the target{follows}"));
            what.to_owned()
        });
    }

    /// Calls `send` until no limit of this host keeps the request to `place` from being sent. The error is the limit, where the wait
    /// ended before.
    pub(in crate::tools::submit_jobs) fn send(
        &self,
        place: &str,
        mut send: impl FnMut() -> Result<Answer, HttpError>,
    ) -> Result<Result<Answer, HttpError>, String> {
        let began = Instant::now();
        loop {
            match send() {
                Err(HttpError::OwnLimit { what, was_sent: false }) => {
                    let what = format!("{place}: {what}");
                    if !self.past_limit(&what, began) {
                        return Err(what);
                    }
                }
                outcome => {
                    if let Err(HttpError::OwnLimit { what, .. }) = &outcome {
                        self.note_limit(&format!("{place}: {what}"), "; the job may run");
                    }
                    return Ok(outcome);
                }
            }
        }
    }

    /// Waits for a token, if one may still come. Returns false if the signal ended the wait, and none if no token will come.
    pub(in crate::tools::submit_jobs) fn past_token(&self, none: &NoCredentials) -> Option<bool> {
        let wait = none.again_in?;
        self.has_reported_token.get_or_init(|| self.console.say(&format!("{none}; submissions wait for a token")));
        Some(!self.stop.wait(wait))
    }

    /// Returns true if a signal asked for the end.
    pub(super) fn is_stopped(&self) -> bool {
        self.stop.signal().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(deadline: Duration, stop: &Stop) -> Waits {
        Waits::new(Console::new("t", Box::new(std::io::sink()), false), stop.clone(), deadline)
    }

    fn limit(was_sent: bool) -> Result<Answer, HttpError> {
        Err(HttpError::OwnLimit { what: "no port".to_owned(), was_sent })
    }

    #[test]
    fn only_a_request_that_was_not_sent_waits_and_is_sent_again() {
        let (stop, hour) = (Stop::default(), Duration::from_secs(3600));
        let mut outcomes = vec![Err(HttpError::NoAnswer("x".to_owned())), limit(false), limit(false)];
        let passed = waits(hour, &stop).send("POST x", || outcomes.pop().unwrap());
        assert!(matches!(passed, Ok(Err(HttpError::NoAnswer(_)))) && outcomes.is_empty());
        let mut tries = 0;
        let sent = waits(hour, &stop).send("POST x", || {
            tries += 1;
            limit(true)
        });
        assert!(matches!(sent, Ok(Err(HttpError::OwnLimit { was_sent: true, .. }))), "{sent:?}");
        assert_eq!(tries, 1);
    }

    #[test]
    fn a_wait_for_a_limit_ends_with_its_deadline_or_the_signal_and_the_limit_is_known() {
        let stop = Stop::default();
        let short = waits(Duration::from_secs(1), &stop);
        assert_eq!(short.send("POST x", || limit(false)).unwrap_err(), "POST x: no port");
        assert_eq!(short.limit(), Some("POST x: no port"));
        assert!(
            short.given_up().unwrap().ends_with("at this limit for 1 s (--deadline), so nothing more is submitted"),
            "{short:?}"
        );
        assert!(!short.past_limit("y", Instant::now()), "whatever else waits ends with it");
        let long = waits(Duration::from_secs(3600), &stop);
        stop.trigger(15);
        assert_eq!(long.send("POST x", || limit(false)).unwrap_err(), "POST x: no port");
        assert_eq!((long.limit(), long.given_up()), (Some("POST x: no port"), None));
    }
}
