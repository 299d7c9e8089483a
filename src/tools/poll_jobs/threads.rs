//! Poll intervals and timers.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

/// The interval between two polls of one job.
#[derive(Clone, Copy, Debug)]
pub(super) struct Intervals {
    pub(super) precision: f64,
    pub(super) min: Duration,
    pub(super) max: Duration,
}

impl Intervals {
    /// The interval at `age`, shortened by up to a fifth so that jobs submitted together are not polled together for ever.
    /// It is only ever shortened, so the bound that the report prints holds. `random` lies in [0, 1).
    pub(super) fn next(&self, age: Duration, random: f64) -> Duration {
        let jitter = 1.0 - 0.2 * random;
        age.mul_f64(self.precision).clamp(self.min, self.max).mul_f64(jitter)
    }
}

/// A heap of timers; the earliest comes out first.
#[derive(Debug, Default)]
pub(super) struct Timers {
    heap: BinaryHeap<Reverse<(Instant, usize)>>,
}

impl Timers {
    pub(super) fn set(&mut self, due: Instant, job: usize) {
        self.heap.push(Reverse((due, job)));
    }

    /// The due time of the earliest timer.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse((due, _))| *due)
    }

    /// Takes out the earliest timer that is due at `now`: its due time and its job.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<(Instant, usize)> {
        if self.next_due()? > now {
            return None;
        }
        self.heap.pop().map(|Reverse(entry)| entry)
    }
}

/// The time until the next try while polls wait for a thread.
pub(super) const BACKLOG_RETRY: Duration = Duration::from_millis(2);

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVALS: Intervals =
        Intervals { precision: 0.05, min: Duration::from_millis(100), max: Duration::from_secs(10) };

    #[test]
    fn intervals_follow_the_age_within_their_clamps_and_only_shorten() {
        let at = |age: f64, random: f64| INTERVALS.next(Duration::from_secs_f64(age), random).as_secs_f64();
        assert!((at(0.0, 0.0) - 0.1).abs() < 1e-9);
        assert!((at(20.0, 0.0) - 1.0).abs() < 1e-9);
        assert!((at(20.0, 1.0) - 0.8).abs() < 1e-9);
        assert!((at(1e4, 0.0) - 10.0).abs() < 1e-9);
    }

    #[test]
    fn polls_grow_with_the_logarithm_of_the_duration() {
        let polls = |duration: f64| {
            let (mut age, mut polls) = (0.0, 0);
            while age < duration {
                age += INTERVALS.next(Duration::from_secs_f64(age), 0.0).as_secs_f64();
                polls += 1;
            }
            polls
        };
        // Ten times the duration costs about ln(10) / ln(1.05) = 47 polls more, as long as no clamp binds.
        let more = polls(150.0) - polls(15.0);
        assert!((45..=50).contains(&more), "{more}");
    }

    #[test]
    fn what_is_due_first_comes_first() {
        let (start, mut timers) = (Instant::now(), Timers::default());
        let later = start + Duration::from_secs(1);
        timers.set(later, 1);
        timers.set(start, 2);
        assert_eq!(timers.take_due(start), Some((start, 2)));
        assert_eq!(timers.take_due(start), None);
        assert_eq!(timers.take_due(later), Some((later, 1)));
    }
}
