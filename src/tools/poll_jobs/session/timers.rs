//! When each job is polled.

use std::time::{Duration, Instant};

use super::{Session, Task};
use crate::cli::Failure;

impl Session<'_> {
    pub(super) fn send_what_is_due(&mut self) -> Result<(), Failure> {
        let now = Instant::now();
        while let Some(due) = self.timers.take_due(now) {
            self.ready.push_back(due);
        }
        while let Some(&(due, job)) = self.ready.front() {
            if let Some(followed) = self.followed.get(&job) {
                if !self.workers.has_idle() && !self.pace.wants_more_than(self.workers.threads(), Instant::now()) {
                    return Ok(());
                }
                let task = Task { job, due, request: followed.request.clone(), clock: self.clock.clone() };
                if self.workers.give(task).map_err(|error| Failure::io("a thread", &error))?.is_some() {
                    return Ok(());
                }
            }
            self.ready.pop_front();
        }
        Ok(())
    }

    fn interval(&mut self, age: f64) -> Duration {
        let random = self.jitter.next();
        self.intervals.next(Duration::try_from_secs_f64(age).unwrap_or(Duration::MAX / 2), random)
    }

    /// Anywhere within the first interval: a saved stream brings thousands of jobs in one moment, and they must not be due
    /// in one moment too.
    pub(super) fn first_wait(&mut self, age: f64) -> Duration {
        let share = f64::from(self.jitter.next()) / f64::from(u32::MAX);
        self.interval(age).mul_f64(share)
    }

    pub(super) fn set_timer(&mut self, job: usize, not_before: Duration) {
        let Some(followed) = self.followed.get(&job) else { return };
        let (now, limits) = (self.clock.now(), self.limits);
        let (age, patience) = (followed.age(now), followed.patience(now, limits));
        let left = Duration::try_from_secs_f64(patience).unwrap_or_default();
        let wait = self.interval(age).max(not_before).min(left);
        self.timers.set(Instant::now() + wait, job);
    }
}
