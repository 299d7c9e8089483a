//! Reports on the console that polls tell nothing of their jobs, and that they do again: every new kind of issue at once, and
//! changes after that every few seconds at most.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::super::issue::{Issue, OWN_LIMIT, UNSENDABLE};
use crate::escape;

/// The shortest time between two reports that bring no new kind of issue.
const QUIET: Duration = Duration::from_secs(5);

/// The number of characters that a line shows of a URL: an id may have thousands.
pub(super) const LONGEST_URL: usize = 200;

/// The issues of polls as the console knows them.
pub(super) struct PollErrors {
    kinds: BTreeSet<String>,
    /// The issue of the last report; none if that said that polls are answered again.
    said: Option<Issue>,
    said_at: Instant,
    /// Polls since the last report, and how many of them told nothing.
    polls: u64,
    without: u64,
    last_without: bool,
}

impl PollErrors {
    pub(super) fn new(now: Instant) -> Self {
        Self { kinds: BTreeSet::new(), said: None, said_at: now, polls: 0, without: 0, last_without: false }
    }

    /// Takes the issue of one poll of the job `name`, if it had one, and returns the line to print.
    pub(super) fn note(&mut self, name: &str, url: &str, issue: Option<&Issue>, now: Instant) -> Option<String> {
        if issue.is_some_and(|issue| issue.kind == OWN_LIMIT) {
            // The limit has a line of its own.
            return None;
        }
        self.polls += 1;
        self.without += u64::from(issue.is_some());
        self.last_without = issue.is_some();
        // A failure is the address's, an answer that is not understood the job's.
        let place = |issue: &Issue| {
            let is_of_address = issue.is_failure && issue.kind != UNSENDABLE;
            if is_of_address {
                format!("GET {}", escape::start(url, LONGEST_URL))
            } else {
                escape::start(name, LONGEST_URL)
            }
        };
        let is_due = now.duration_since(self.said_at) >= QUIET;
        match issue {
            Some(issue) if issue.kind == UNSENDABLE && self.kinds.insert(issue.kind.clone()) => {
                Some(self.say(now, Some(issue), format!("{}: cannot be polled: {}", place(issue), issue.message)))
            }
            Some(issue) if self.kinds.insert(issue.kind.clone()) => {
                Some(self.say(now, Some(issue), format!("{}: {}; polling goes on", place(issue), issue.message)))
            }
            Some(issue) if is_due && self.is_news(issue) => {
                let line = format!(
                    "{} polls gave no information; the last, {}: {}",
                    self.counted(),
                    place(issue),
                    issue.message
                );
                Some(self.say(now, Some(issue), line))
            }
            None if self.said.is_some() && is_due => self.recovered(now),
            _ => None,
        }
    }

    /// The line to print at the end, if polls are answered again and nobody was told.
    pub(super) fn close(&mut self, now: Instant) -> Option<String> {
        if self.last_without { None } else { self.recovered(now) }
    }

    /// Returns true if the console does not know that polls have such an issue. Failures differ in their words each time; a
    /// status word is news.
    fn is_news(&self, issue: &Issue) -> bool {
        self.said.as_ref().is_none_or(|said| !issue.is_failure && said.message != issue.message)
    }

    fn recovered(&mut self, now: Instant) -> Option<String> {
        let verb = if self.said.as_ref()?.is_failure { "answered" } else { "understood" };
        let line = match self.without {
            0 => format!("polls are {verb} again"),
            _ => format!("polls are {verb} again; meanwhile {} gave no information", self.counted()),
        };
        Some(self.say(now, None, line))
    }

    fn counted(&self) -> String {
        format!("{} of {}", self.without, self.polls)
    }

    fn say(&mut self, now: Instant, issue: Option<&Issue>, line: String) -> String {
        self.said = issue.cloned();
        (self.said_at, self.polls, self.without) = (now, 0, 0);
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn issue(kind: &str) -> Issue {
        Issue {
            kind: kind.into(),
            reason: None,
            message: kind.into(),
            body: None,
            is_replaced: false,
            is_failure: true,
        }
    }

    #[test]
    fn a_target_that_alternates_prints_a_line_every_few_seconds_at_most() {
        let began = Instant::now();
        let mut errors = PollErrors::new(began);
        let lines: Vec<String> = (0..600)
            .filter_map(|poll| {
                let failure = issue("HTTP 500");
                let issue = (poll % 2 == 0).then_some(&failure);
                errors.note("j", "u", issue, began + Duration::from_millis(100) * poll)
            })
            .collect();
        // A minute has twelve times five seconds.
        assert!((2..=13).contains(&lines.len()), "{lines:#?}");
        assert_eq!(lines[0], "GET u: HTTP 500; polling goes on");
        assert!(lines[1].contains("answered again; meanwhile 25 of 51 gave no information"), "{}", lines[1]);
        assert!(lines[2].contains("polls gave no information; the last, GET u: HTTP 500"), "{}", lines[2]);
    }

    #[test]
    fn a_new_kind_is_said_at_once_and_the_recovery_at_the_end() {
        let now = Instant::now();
        let mut errors = PollErrors::new(now);
        assert!(errors.note("j", "u", Some(&issue("HTTP 500")), now).is_some());
        assert!(errors.note("j", "u", Some(&issue("HTTP 500")), now).is_none());
        assert!(errors.note("j", "u", Some(&issue("HTTP 401")), now).is_some());
        assert!(errors.note("j", "u", None, now).is_none());
        assert_eq!(errors.close(now).as_deref(), Some("polls are answered again"));
        assert_eq!(errors.close(now), None, "once");
    }

    #[test]
    fn kinds_and_words_that_alternate_print_a_line_every_few_seconds_at_most() {
        let word =
            |poll: u32| Issue { is_failure: false, message: format!("running {poll}%"), ..issue("unnamed word") };
        let kinds = |poll: u32| match poll % 3 {
            0 => Some(issue("unreadable body")),
            1 => Some(issue("another job's answer")),
            _ => None,
        };
        let lines = |issue_of: &dyn Fn(u32) -> Option<Issue>| -> Vec<String> {
            let began = Instant::now();
            let mut errors = PollErrors::new(began);
            let note = |poll| errors.note("j", "u", issue_of(poll).as_ref(), began + Duration::from_millis(50) * poll);
            (0..600).filter_map(note).collect()
        };
        // Thirty seconds have six times five.
        let words = lines(&|poll| Some(word(poll)));
        assert!((4..=7).contains(&words.len()) && words[1].contains("running 100%"), "{words:#?}");
        let kinds = lines(&kinds);
        assert!((4..=8).contains(&kinds.len()), "{kinds:#?}");
        assert!(kinds[1].contains("another job's answer"), "a new kind at once: {kinds:#?}");
        assert_eq!(lines(&|_| Some(issue(OWN_LIMIT))), [""; 0], "said elsewhere");
    }
}
