//! When which job is polled next.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

/// How long after one poll of a job the next is due.
#[derive(Clone, Copy, Debug)]
pub(super) struct Intervals {
    pub(super) precision: f64,
    pub(super) min: Duration,
    pub(super) max: Duration,
}

impl Intervals {
    /// The interval at `age`, shortened by up to a fifth so that jobs submitted together are not polled together for ever.
    /// It is only ever shortened: the bound that the report prints holds. `random` is any number.
    pub(super) fn next(&self, age: Duration, random: u32) -> Duration {
        let jitter = 1.0 - 0.2 * (f64::from(random) / f64::from(u32::MAX));
        age.mul_f64(self.precision).clamp(self.min, self.max).mul_f64(jitter)
    }
}

/// Small numbers that differ: xorshift (Marsaglia 2003, "Xorshift RNGs"). Nothing depends on their quality but that
/// polls spread.
#[derive(Clone, Debug)]
pub(super) struct Jitter(u32);

impl Jitter {
    pub(super) fn seeded(seed: u32) -> Self {
        Self(seed | 1)
    }

    pub(super) fn next(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0
    }
}

/// A timer heap: what is due first comes out first.
#[derive(Debug, Default)]
pub(super) struct Timers {
    heap: BinaryHeap<Reverse<(Instant, usize)>>,
}

impl Timers {
    pub(super) fn set(&mut self, due: Instant, job: usize) {
        self.heap.push(Reverse((due, job)));
    }

    /// The moment at which something is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse((due, _))| *due)
    }

    /// Takes out what is due at `now`: the job, and when it was due.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<(Instant, usize)> {
        if self.next_due()? > now {
            return None;
        }
        self.heap.pop().map(|Reverse(entry)| entry)
    }
}

/// How soon to look again while polls wait for a thread.
pub(super) const HELD_UP: Duration = Duration::from_millis(2);

/// How many threads the polls need: rate times latency, by Little's law, and as much again twice for what comes in bursts.
///
/// More would not help: where the target, or this machine, is saturated, threads only add to the load. A target that has
/// stopped answering tells no latency; then every poll that is due gets a thread.
#[derive(Clone, Debug)]
pub(super) struct Pace {
    began: Instant,
    waited: f64,
    /// Threads that the answers of the last window kept busy.
    busy: f64,
    last_answer: Instant,
}

impl Pace {
    const WINDOW: Duration = Duration::from_millis(200);
    const SILENCE: Duration = Duration::from_millis(50);
    const ROOM: f64 = 3.0;
    const AT_LEAST: f64 = 8.0;

    pub(super) fn new(now: Instant) -> Self {
        Self { began: now, waited: 0.0, busy: 0.0, last_answer: now }
    }

    /// Takes note of an answer that took so many seconds.
    pub(super) fn note(&mut self, seconds: f64, now: Instant) {
        self.last_answer = now;
        self.waited += seconds.max(0.0);
        let window = now.duration_since(self.began);
        if window >= Self::WINDOW {
            // rate × latency = answers / window × waited / answers
            self.busy = self.waited / window.as_secs_f64();
            (self.began, self.waited) = (now, 0.0);
        }
    }

    /// Whether a poll that is due should get a thread beside the `threads` that are all busy.
    pub(super) fn wants_more_than(&self, threads: usize, now: Instant) -> bool {
        (threads as f64) < Self::AT_LEAST + Self::ROOM * self.busy
            || now.duration_since(self.last_answer) > Self::SILENCE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVALS: Intervals =
        Intervals { precision: 0.05, min: Duration::from_millis(100), max: Duration::from_secs(10) };

    #[test]
    fn intervals_follow_the_age_within_their_clamps_and_only_shorten() {
        let at = |age: f64, random: u32| INTERVALS.next(Duration::from_secs_f64(age), random).as_secs_f64();
        assert!((at(0.0, 0) - 0.1).abs() < 1e-9);
        assert!((at(20.0, 0) - 1.0).abs() < 1e-9);
        assert!((at(20.0, u32::MAX) - 0.8).abs() < 1e-9);
        assert!((at(1e4, 0) - 10.0).abs() < 1e-9);
    }

    #[test]
    fn polls_grow_with_the_logarithm_of_the_duration() {
        let polls = |duration: f64| {
            let (mut age, mut polls) = (0.0, 0);
            while age < duration {
                age += INTERVALS.next(Duration::from_secs_f64(age), 0).as_secs_f64();
                polls += 1;
            }
            polls
        };
        // Ten times the duration costs about ln(10) / ln(1.05) = 47 polls more, as long as no clamp binds.
        let more = polls(150.0) - polls(15.0);
        assert!((45..=50).contains(&more), "{more}");
    }

    #[test]
    fn threads_follow_rate_and_latency() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        assert!(pace.wants_more_than(7, start) && !pace.wants_more_than(8, start));
        // A hundred answers in a fifth of a second, 20 ms each: ten threads were busy.
        for _ in 1..100 {
            pace.note(0.02, start);
        }
        pace.note(0.02, start + Pace::WINDOW);
        let now = start + Pace::WINDOW;
        assert!(pace.wants_more_than(36, now) && !pace.wants_more_than(40, now));
        // Silence: nobody knows how long an answer takes, so nobody shall wait for another's.
        assert!(pace.wants_more_than(400, now + 2 * Pace::SILENCE));
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
