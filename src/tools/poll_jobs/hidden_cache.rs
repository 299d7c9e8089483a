//! A cache that answers polls in the target's place although they ask it not to, and sends no `Age`, but keeps the `Date` of the answer
//! that it holds (RFC 9111, section 4.2.3, computes an answer's age from it).
//!
//! Some caches say in other headers that they answered. Others show only by their dates. But a server renews its date once a second, or
//! later if it is busy, and the clocks of several hosts differ. So a date shows a cache only if the same request still gets it more than a
//! second after it was certainly too old, and no date does if dates go back.

use std::collections::HashMap;

use crate::clock::{MOST_LATE, ServerDate, is_sentinel};
use crate::record::Timestamp;

/// The date of a server's own answer is not older than this, nor did it first come longer ago, in seconds.
const OLDEST: f64 = 3.0;

/// A server that stalled may then send an old date, but for no longer than this, in seconds.
const UNTIL_RENEWED: f64 = 1.2;

/// An answer that took longer, in seconds, may come from a server that stalled.
const QUICK: f64 = 0.5;

/// Dates of one request that go back by this many seconds come from several clocks.
const BACK: f64 = 2.0;

/// The dates of the answers of one session that came without an `Age`, or with one that their dates disprove.
#[derive(Debug)]
pub(super) struct HiddenCache {
    /// The target's clock is ahead by at least this much, because no date is ahead of it.
    least_offset: f64,
    /// The latest date, and when it came first.
    latest: Option<(Timestamp, Timestamp)>,
    /// The last date of each request.
    of_request: HashMap<usize, LastDate>,
    has_several_clocks: bool,
    /// An answer was older by its date than its `Age` said: none is believed from then on.
    has_wrong_ages: bool,
    /// A lower bound on the age of the oldest answer that a cache declared as its own.
    declared: Option<f64>,
    /// A lower bound on the age of the oldest answer that is a cache's by its date.
    found: Option<f64>,
    /// The greatest age that any other answer may have.
    most: f64,
}

/// The date that the answers to one request have.
#[derive(Clone, Copy, Debug)]
struct LastDate {
    date: Timestamp,
    came_at: Timestamp,
    /// The first answer with it that was too old.
    old_at: Option<Timestamp>,
}

impl Default for HiddenCache {
    fn default() -> Self {
        Self {
            least_offset: f64::NEG_INFINITY,
            latest: None,
            of_request: HashMap::new(),
            has_several_clocks: false,
            has_wrong_ages: false,
            declared: None,
            found: None,
            most: 0.0,
        }
    }
}

impl HiddenCache {
    /// Takes the `date` of an answer to the request `number`, which was `sent` when its job had the age `job_seconds`; its head may say
    /// that it `is_declared` to come from a cache. The target's clock is ahead by `most_offset` seconds at most. Returns the least and the
    /// greatest age that the answer may have, in seconds, if a cache gave it.
    pub(super) fn observe(
        &mut self,
        number: usize,
        (date, is_declared): (ServerDate, bool),
        (sent, received): (Timestamp, Timestamp),
        job_seconds: Option<f64>,
        most_offset: Option<f64>,
    ) -> Option<(f64, f64)> {
        if is_sentinel(date.date) {
            return (is_declared && date.age_seconds.is_none()).then(|| self.observe_undated());
        }
        let (date, told_age) = (date.date, date.age_seconds.map(f64::from));
        self.least_offset = self.least_offset.max(date.since(received));
        // By the dates of all answers, the server's clock was this far past the date when the request was sent.
        let behind = sent.since(date) + self.least_offset;
        let most = sent.since(date) + most_offset.unwrap_or(self.least_offset + 1.0 + MOST_LATE);
        if let Some(told) = told_age {
            self.has_wrong_ages |= behind > told + MOST_LATE;
            if !self.has_wrong_ages {
                self.most = self.most.max(most);
                return None;
            }
        }
        let is_declared = is_declared || told_age.is_some();
        let (_, latest_came) = *self.latest.insert(match self.latest {
            Some((latest, came_at)) if latest >= date => (latest, came_at),
            _ => (date, received),
        });
        let before = self.of_request.get(&number).copied();
        self.has_several_clocks |= told_age.is_none() && before.is_some_and(|before| before.date.since(date) >= BACK);
        let same = before.filter(|before| before.date == date);
        let mut last = same.unwrap_or(LastDate { date, came_at: received, old_at: None });
        // An answer cannot be older than its job: if it seems so, its date is by another clock.
        self.has_several_clocks |= job_seconds.is_some_and(|job| behind > job + OLDEST);
        let is_unrenewed = self.latest.is_some_and(|(latest, _)| latest == date) && sent.since(latest_came) > OLDEST;
        let is_old = received.since(sent) < QUICK && (behind > OLDEST || is_unrenewed);
        let age = sent.since(last.came_at).max(behind - MOST_LATE).max(0.0);
        let oldest = |found: Option<f64>| Some(found.map_or(age, |found| found.max(age)));
        // A proxy may put the time at which it sends an answer in place of the `Date` that it held: nginx does.
        let is_undated = is_declared && told_age.is_none() && age <= UNTIL_RENEWED;
        if is_declared && !is_undated {
            self.declared = oldest(self.declared);
        } else if !is_declared && is_old && received.since(*last.old_at.get_or_insert(received)) > UNTIL_RENEWED {
            self.found = oldest(self.found);
        }
        self.of_request.insert(number, last);
        if is_undated {
            return Some(self.observe_undated());
        }
        if is_declared || is_old && self.found.is_some() && !self.has_several_clocks {
            return Some((age, most.max(age)));
        }
        self.most = self.most.max(most);
        None
    }

    /// Takes an answer that a cache declares as its own, without saying how old it is. Returns the least and the greatest age.
    pub(super) fn observe_undated(&mut self) -> (f64, f64) {
        self.declared.get_or_insert(0.0);
        (0.0, f64::INFINITY)
    }

    /// The least age of an answer to another request, in seconds, if its date shows that a cache gave it: by the dates of the polls'
    /// answers, it is too old for the server's own.
    pub(super) fn other_age(&self, date: ServerDate, (sent, received): (Timestamp, Timestamp)) -> Option<f64> {
        let behind = sent.since(date.date) + self.least_offset;
        let is_old = !is_sentinel(date.date) && behind > OLDEST && received.since(sent) < QUICK;
        (is_old && !self.has_several_clocks).then_some(behind - MOST_LATE)
    }

    /// Forgets the request `number`, which is not sent any more.
    pub(super) fn forget(&mut self, number: usize) {
        self.of_request.remove(&number);
    }

    /// A lower bound on the age of the oldest answer that such a cache gave, in seconds; none if there was no such cache.
    pub(super) fn seconds(&self) -> Option<f64> {
        let by_date = self.found.filter(|_| !self.has_several_clocks);
        [self.declared, by_date].into_iter().flatten().reduce(f64::max)
    }

    /// The seconds by which answers that passed for the target's own may have been older than they seemed.
    pub(super) fn doubted_seconds(&self) -> Option<f64> {
        let is_found = self.found.is_some() && !self.has_several_clocks;
        (is_found || self.has_wrong_ages).then_some(self.most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFSET: f64 = 40.0;

    fn at(seconds: f64) -> Timestamp {
        Timestamp::from_seconds(1.8e9 + seconds).unwrap()
    }

    /// What `jobs` jobs that are polled every `pause` seconds for 12 s show: the request and the moment give the date by the true clock.
    fn observed(jobs: usize, pause: f64, dated: impl Fn(usize, f64) -> f64) -> (HiddenCache, Vec<(f64, f64, f64)>) {
        let (mut cache, mut aged) = (HiddenCache::default(), Vec::new());
        let mut now = 0.01;
        while now < 12.0 {
            for job in 0..jobs {
                let sent = now + job as f64 * 0.003;
                let date = ServerDate { date: at((dated(job, sent) + OFFSET).floor()), age_seconds: None };
                let seen =
                    cache.observe(job, (date, false), (at(sent), at(sent + 0.002)), Some(sent), Some(OFFSET + 1.2));
                aged.extend(seen.map(|(least, most)| (least, sent - dated(job, sent), most)));
            }
            now += pause;
        }
        (cache, aged)
    }

    #[test]
    fn a_cache_that_keeps_answers_for_some_seconds_is_found_and_no_age_is_understated() {
        for keeps in [5.0_f64, 7.3, 60.0] {
            for jobs in [1, 8] {
                let held = |job: usize, sent: f64| (sent - (sent + job as f64 * 0.31) % keeps).max(0.0);
                let (cache, aged) = observed(jobs, 0.1, held);
                assert!(cache.seconds().is_some_and(|seconds| seconds <= keeps), "{keeps} {jobs}: {cache:?}");
                assert!(
                    !aged.is_empty() && aged.iter().all(|(least, age, most)| least <= age && age <= most),
                    "{keeps}: {aged:?}"
                );
                assert!(cache.doubted_seconds().unwrap() >= OLDEST);
            }
        }
    }

    #[test]
    fn an_answer_that_a_cache_declares_is_as_old_as_its_date() {
        let mut cache = HiddenCache::default();
        let date = ServerDate { date: at(10.0), age_seconds: None };
        let first = cache.observe(0, (date, true), (at(10.7), at(10.8)), Some(3.0), Some(1.2));
        let again = cache.observe(0, (date, true), (at(12.9), at(13.0)), Some(4.0), Some(1.2));
        assert_eq!(first, Some((0.0, f64::INFINITY)), "the date may be the time at which it was sent");
        assert!(again.is_some_and(|(_, most)| (most - 4.1).abs() < 1e-6), "{again:?}");
        assert!(cache.seconds().is_some_and(|seconds| (seconds - 2.1).abs() < 1e-6), "{cache:?}");
        assert_eq!(cache.doubted_seconds(), None, "it says so when it answers");
    }

    #[test]
    fn an_age_that_the_date_disproves_is_not_believed() {
        let mut cache = HiddenCache::default();
        let mut observe = |date: f64, age: u32, sent: f64| {
            let date = ServerDate { date: at(date), age_seconds: Some(age) };
            cache.observe(0, (date, false), (at(sent), at(sent + 0.01)), Some(60.0), Some(1.2))
        };
        assert_eq!(observe(20.0, 0, 20.0), None);
        assert_eq!(observe(16.0, 3, 20.0), None, "it says how old it is");
        // By the first answer's date, this one is four seconds old.
        let (least, most) = observe(16.0, 0, 20.0).unwrap();
        assert!((1.7..=4.0).contains(&least) && most >= 4.0, "{least} {most}");
        assert!(
            observe(18.0, 2, 20.0).is_some_and(|(least, most)| least <= 2.0 && most >= 2.0),
            "none is believed any more"
        );
        assert!(cache.seconds().is_some() && cache.doubted_seconds().is_some_and(|seconds| seconds >= 4.0));
    }

    #[test]
    fn servers_that_renew_their_date_late_are_no_caches() {
        // In time; each second, whenever that is; several workers that do so; up to a second and a half late.
        let dates: [fn(usize, f64) -> f64; 5] = [
            |_, sent| sent,
            |_, sent| (sent + 0.6).floor() - 0.6,
            |job, sent| (sent + job as f64 * 0.29).floor() - job as f64 * 0.29,
            |_, sent| ((sent + 0.6) / 1.4).floor() * 1.4 - 0.6,
            |_, sent| ((sent + 0.6) / 2.5).floor() * 2.5 - 0.6,
        ];
        for (index, dated) in dates.into_iter().enumerate() {
            for pause in [0.03, 0.2, 3.0] {
                let (cache, aged) = observed(5, pause, dated);
                assert_eq!((cache.seconds(), aged.len()), (None, 0), "{index} every {pause} s: {cache:?}");
            }
        }
    }

    #[test]
    fn hosts_with_other_clocks_and_a_clock_that_is_set_are_no_caches() {
        let sticky: fn(usize, f64) -> f64 = |job, sent| sent - (job % 2) as f64 * 30.0;
        let in_turns: fn(usize, f64) -> f64 = |_, sent| sent - if sent * 10.0 % 2.0 < 1.0 { 4.0 } else { 0.0 };
        let set_back: fn(usize, f64) -> f64 = |_, sent| if sent < 6.0 { sent } else { sent - 30.0 };
        let set_ahead: fn(usize, f64) -> f64 = |_, sent| if sent < 6.0 { sent } else { sent + 30.0 };
        for dated in [sticky, in_turns, set_back, set_ahead] {
            assert_eq!(observed(4, 0.1, dated).0.seconds(), None);
        }
    }

    #[test]
    fn a_server_that_stood_still_for_a_moment_is_no_cache() {
        // For five seconds no answer comes, and for a second after that all have the date of before.
        let mut cache = HiddenCache::default();
        let answers =
            [(1.0, 1.0, 0.01), (2.0, 2.0, 0.01), (3.0, 2.0, 4.1), (7.2, 2.0, 0.05), (8.1, 2.0, 0.01), (8.3, 8.0, 0.01)];
        for (sent, dated, took) in answers {
            let date = ServerDate { date: at(dated), age_seconds: None };
            assert_eq!(cache.observe(0, (date, false), (at(sent), at(sent + took)), Some(sent), None), None);
        }
        assert_eq!(cache.seconds(), None);
    }
}
