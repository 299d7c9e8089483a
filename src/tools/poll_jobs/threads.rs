//! Poll intervals, timers, and the number of threads that the polls need.

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

/// The number of threads that the polls need: rate times latency, by Little's law, times three for bursts.
///
/// More would not help: if the target or this machine is saturated, threads only add to the load. The latency of a target
/// that has stopped answering is unknown; then every due poll gets a thread.
#[derive(Clone, Debug)]
pub(super) struct ThreadDemand {
    began: Instant,
    waited: f64,
    /// The number of threads that the answers of the last window kept busy.
    busy: f64,
    last_answer: Instant,
    /// The mean time that an answer takes, in seconds; none before the first.
    latency: Option<f64>,
}

impl ThreadDemand {
    /// The time that a batch of polls may take, in seconds.
    const BATCH: f64 = 0.002;
    const LARGEST_BATCH: f64 = 4.0;
    const WINDOW: Duration = Duration::from_millis(200);
    const SILENCE: Duration = Duration::from_millis(50);
    const ROOM: f64 = 3.0;
    const AT_LEAST: f64 = 8.0;

    pub(super) fn new(now: Instant) -> Self {
        Self { began: now, waited: 0.0, busy: 0.0, last_answer: now, latency: None }
    }

    /// Records an answer that took so many seconds.
    pub(super) fn record(&mut self, seconds: f64, now: Instant) {
        self.last_answer = now;
        self.waited += seconds.max(0.0);
        let latency = self.latency.get_or_insert(seconds.max(0.0));
        *latency += (seconds.max(0.0) - *latency) / 16.0;
        let window = now.duration_since(self.began);
        if window >= Self::WINDOW {
            // rate × latency = answers / window × waited / answers
            self.busy = self.waited / window.as_secs_f64();
            (self.began, self.waited) = (now, 0.0);
        }
    }

    /// The number of polls that a thread may be given at once: where answers come fast, handing each over costs more than it takes.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it lies between its bounds")]
    pub(super) fn batch(&self) -> usize {
        self.latency.map_or(1, |latency| (Self::BATCH / latency.max(1e-6)).clamp(1.0, Self::LARGEST_BATCH) as usize)
    }

    /// Returns true if a due poll should get a thread in addition to the `threads` that are all busy.
    pub(super) fn exceeds(&self, threads: usize, now: Instant) -> bool {
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
    fn threads_follow_rate_and_latency() {
        let start = Instant::now();
        let mut demand = ThreadDemand::new(start);
        assert!(demand.exceeds(7, start) && !demand.exceeds(8, start));
        // A hundred answers in a fifth of a second, 20 ms each: ten threads were busy.
        for _ in 1..100 {
            demand.record(0.02, start);
        }
        demand.record(0.02, start + ThreadDemand::WINDOW);
        let now = start + ThreadDemand::WINDOW;
        assert!(demand.exceeds(36, now) && !demand.exceeds(40, now));
        // Silence: nobody knows how long an answer takes, so nobody shall wait for another's.
        assert!(demand.exceeds(400, now + 2 * ThreadDemand::SILENCE));
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
