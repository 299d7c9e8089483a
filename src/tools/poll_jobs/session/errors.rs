//! Reports on the console that polls fail, and that they succeed again: every new kind of failure at once, and changes after
//! that every few seconds at most.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::super::issue::Issue;

/// The shortest time between two reports that bring no new kind of failure.
const QUIET: Duration = Duration::from_secs(5);

/// The failures of polls as the console knows them.
pub(super) struct PollErrors {
    kinds: BTreeSet<String>,
    /// The last report said that polls fail.
    said_failing: bool,
    said_at: Instant,
    /// Polls since the last report, and how many of them failed.
    polls: u64,
    failed: u64,
    last_failed: bool,
}

impl PollErrors {
    pub(super) fn new(now: Instant) -> Self {
        Self { kinds: BTreeSet::new(), said_failing: false, said_at: now, polls: 0, failed: 0, last_failed: false }
    }

    /// Takes the issue of one poll, if it had one, and returns the line to print.
    pub(super) fn note(&mut self, url: &str, issue: Option<&Issue>, now: Instant) -> Option<String> {
        let issue = issue.filter(|issue| issue.is_failure);
        self.polls += 1;
        self.failed += u64::from(issue.is_some());
        self.last_failed = issue.is_some();
        let is_due = now.duration_since(self.said_at) >= QUIET;
        match issue {
            Some(issue) if self.kinds.insert(issue.kind.clone()) => {
                Some(self.say(now, format!("GET {url}: {}; polling goes on", issue.message)))
            }
            Some(issue) if !self.said_failing && is_due => {
                let line = format!("{} polls failed again; GET {url}: {}", self.counted(), issue.message);
                Some(self.say(now, line))
            }
            None if self.said_failing && is_due => Some(self.recovered(now)),
            _ => None,
        }
    }

    /// The line to print at the end, if polls are answered again and nobody was told.
    pub(super) fn close(&mut self, now: Instant) -> Option<String> {
        (self.said_failing && !self.last_failed).then(|| self.recovered(now))
    }

    fn recovered(&mut self, now: Instant) -> String {
        let line = match self.failed {
            0 => "polls are answered again".to_owned(),
            _ => format!("polls are answered again; meanwhile {} failed", self.counted()),
        };
        self.say(now, line)
    }

    fn counted(&self) -> String {
        format!("{} of {}", self.failed, self.polls)
    }

    fn say(&mut self, now: Instant, line: String) -> String {
        self.said_failing = self.last_failed;
        (self.said_at, self.polls, self.failed) = (now, 0, 0);
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn issue(kind: &str) -> Issue {
        Issue { kind: kind.into(), reason: None, message: kind.into(), body: None, is_failure: true }
    }

    #[test]
    fn a_target_that_alternates_prints_a_line_every_few_seconds_at_most() {
        let began = Instant::now();
        let mut errors = PollErrors::new(began);
        let lines: Vec<String> = (0..600)
            .filter_map(|poll| {
                let failure = issue("HTTP 500");
                let issue = (poll % 2 == 0).then_some(&failure);
                errors.note("u", issue, began + Duration::from_millis(100) * poll)
            })
            .collect();
        // A minute has twelve times five seconds.
        assert!((2..=13).contains(&lines.len()), "{lines:#?}");
        assert_eq!(lines[0], "GET u: HTTP 500; polling goes on");
        assert!(lines[1].contains("answered again; meanwhile 25 of 51 failed"), "{}", lines[1]);
        assert!(lines[2].contains("polls failed again"), "{}", lines[2]);
    }

    #[test]
    fn a_new_kind_is_said_at_once_and_the_recovery_at_the_end() {
        let now = Instant::now();
        let mut errors = PollErrors::new(now);
        assert!(errors.note("u", Some(&issue("HTTP 500")), now).is_some());
        assert!(errors.note("u", Some(&issue("HTTP 500")), now).is_none());
        assert!(errors.note("u", Some(&issue("HTTP 401")), now).is_some());
        assert!(errors.note("u", None, now).is_none());
        assert_eq!(errors.close(now).as_deref(), Some("polls are answered again"));
        assert_eq!(errors.close(now), None, "once");
    }
}
