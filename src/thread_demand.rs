//! The number of threads that blocking requests need: rate times latency, by Little's law, times two for bursts.
//!
//! More would not help: if the target or this machine is saturated, threads only add to the load, and their answers take longer
//! because of that. So the latency that counts is a low one, and threads that wait for a slow answer are replaced one by one.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// A thread that has been busy for so long waits for a slow answer.
pub const LONG_WAIT: Duration = Duration::from_millis(20);

/// The number of threads that requests need.
#[derive(Clone, Debug)]
pub struct ThreadDemand {
    /// The least number.
    least: f64,
    began: Instant,
    answers: u32,
    /// The answers a second in the last window.
    rate: f64,
    /// The time that a fast answer takes, in seconds; none before the first.
    latency: Option<f64>,
    /// Threads with requests, by the time since when.
    under_way: BTreeMap<Instant, usize>,
    last_answer: Instant,
    /// The time at which a thread was last added in place of one that waits for a slow answer.
    lent_at: Instant,
}

impl ThreadDemand {
    /// The time that a batch of requests may take, in seconds.
    const BATCH: f64 = 0.008;
    const LARGEST_BATCH: f64 = 32.0;
    const WINDOW: Duration = Duration::from_millis(200);
    const SILENCE: Duration = Duration::from_millis(50);
    const LENT_EVERY: Duration = Duration::from_millis(20);
    const ROOM: f64 = 2.0;
    /// The time in which the latency follows slower answers, and faster ones, in seconds. Where threads only wait for each other, what
    /// is left of their wait is so far below the mean that they do not ask for more of them.
    const RISE: f64 = 1.0;
    const FALL: f64 = 0.05;
    /// Above this rate requests are handed out together, so long apart.
    const BUSY_RATE: f64 = 1000.0;
    const BUSY_PAUSE: Duration = Duration::from_millis(4);

    /// No answers yet; `least` threads are always right.
    pub fn new(now: Instant, least: usize) -> Self {
        Self {
            least: least as f64,
            began: now,
            answers: 0,
            rate: 0.0,
            latency: None,
            under_way: BTreeMap::new(),
            last_answer: now,
            lent_at: now,
        }
    }

    /// Records an answer that took so many seconds.
    pub fn record(&mut self, seconds: f64, now: Instant) {
        let since_last = now.duration_since(self.last_answer).as_secs_f64();
        self.answers += 1;
        self.last_answer = now;
        let seconds = seconds.max(0.0);
        let latency = self.latency.get_or_insert(seconds);
        let follows_in = if seconds < *latency { Self::FALL } else { Self::RISE };
        *latency += (seconds - *latency) * (since_last / follows_in).min(1.0);
        let window = now.duration_since(self.began);
        if window >= Self::WINDOW {
            self.rate = f64::from(self.answers) / window.as_secs_f64();
            (self.began, self.answers) = (now, 0);
        }
    }

    /// Records that a thread was given requests at `since`.
    pub fn give(&mut self, since: Instant) {
        *self.under_way.entry(since).or_default() += 1;
    }

    /// Records that a thread has done what it was given at `since`.
    pub fn come_back(&mut self, since: Instant) {
        if let Some(threads) = self.under_way.get_mut(&since) {
            *threads -= 1;
            if *threads == 0 {
                self.under_way.remove(&since);
            }
        }
    }

    /// The number of requests that a thread may be given at once: where answers come fast, handing each over costs more than it takes.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it lies between its bounds")]
    pub fn batch(&self) -> usize {
        self.latency.map_or(1, |latency| (Self::BATCH / latency.max(1e-6)).clamp(1.0, Self::LARGEST_BATCH) as usize)
    }

    /// Returns true if a thread should be given requests in addition to those that have some, and to as many as are `about_to`.
    pub fn has_room(&mut self, about_to: usize, now: Instant) -> bool {
        let older_than = |age: Duration| now.checked_sub(age);
        let count =
            |range: &mut dyn Iterator<Item = (&Instant, &usize)>| range.map(|(_, threads)| threads).sum::<usize>();
        let is_enough = |threads: usize| {
            ((threads + about_to) as f64) >= self.least + Self::ROOM * self.rate * self.latency.unwrap_or_default()
        };
        if !is_enough(count(&mut self.under_way.iter())) {
            return true;
        }
        // Of a target that has stopped answering nobody knows how long an answer takes, so nobody shall wait for another's.
        let first = self.under_way.keys().next().copied().unwrap_or(now).max(self.last_answer);
        if older_than(Self::SILENCE).is_some_and(|silent| first < silent) {
            return true;
        }
        // Nor for that of a target that is slow now and then. But where this machine is short of processors, threads make it worse.
        let Some((waiting, pause)) = older_than(LONG_WAIT).zip(older_than(Self::LENT_EVERY)) else { return false };
        let may_lend = self.lent_at <= pause && !is_enough(count(&mut self.under_way.range(waiting..)));
        if may_lend {
            self.lent_at = now;
        }
        may_lend
    }

    /// The pause until requests are handed out again.
    pub fn pause(&self) -> Duration {
        if self.rate > Self::BUSY_RATE { Self::BUSY_PAUSE } else { Duration::ZERO }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_follow_rate_and_latency() {
        let start = Instant::now();
        let mut demand = ThreadDemand::new(start, 4);
        let room = |demand: &ThreadDemand, now: Instant| {
            let mut demand = demand.clone();
            let mut threads = 0;
            while demand.has_room(0, now) && threads < 1000 {
                demand.give(now);
                threads += 1;
            }
            threads
        };
        assert_eq!((room(&demand, start), demand.batch()), (4, 1));
        // A hundred answers in a fifth of a second, 20 ms each: ten threads were busy.
        let now = start + ThreadDemand::WINDOW;
        for _ in 1..100 {
            demand.record(0.02, start);
        }
        demand.record(0.02, now);
        assert_eq!((room(&demand, now), demand.batch()), (24, 1));
        // Slow answers among fast ones do not make threads that only wait for a processor.
        let at = |index: u64| now + Duration::from_millis(index);
        (0..300).for_each(|index| demand.record(if index % 10 == 0 { 0.05 } else { 0.001 }, at(index)));
        assert!(room(&demand, at(300)) <= 8 && demand.batch() > 1, "{demand:?}");
        // Nor do threads that wait for each other: on average these answers take 16 threads.
        (300..900).for_each(|index| demand.record(if index % 5 == 0 { 0.001 } else { 0.02 }, at(index)));
        assert!(room(&demand, at(900)) < 16, "{demand:?}");
    }

    #[test]
    fn a_slow_answer_keeps_no_poll_waiting() {
        let start = Instant::now();
        let mut demand = ThreadDemand::new(start, 4);
        (0..4).for_each(|_| demand.give(start));
        assert!(!demand.has_room(0, start + LONG_WAIT / 2));
        // While other answers come, a thread is added now and then for those that wait.
        let later = start + 2 * LONG_WAIT;
        demand.record(0.001, later);
        assert!(demand.has_room(0, later) && !demand.has_room(0, later));
        demand.give(later);
        assert!(demand.has_room(0, later + ThreadDemand::LENT_EVERY));
        demand.come_back(later);
        // A target that answers nobody.
        let silent = later + 2 * ThreadDemand::SILENCE;
        assert!(demand.has_room(0, silent) && demand.has_room(0, silent));
    }
}
