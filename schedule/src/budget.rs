//! The number of requests that polling may take.

/// Requests a second that no server notices.
const FREE_RATE: f64 = 20.0;
/// With many jobs in flight, the time in which each may be polled once, in seconds.
const EACH: f64 = 3.0;
/// Polls of each job that ends, where jobs are alike.
pub(crate) const USUAL: f64 = 3.0;
/// Polls of each job that ends, at most, where they differ.
pub(crate) const MOST: f64 = 11.0;
/// The part of what the jobs in flight may overdraw that can still be owed once one has ended. The last jobs of a run need not pay for
/// what the first ones took to explore.
const OWED: f64 = 0.4;
/// The seconds for which requests that were not sent may be sent later.
const SAVED: f64 = 5.0;

/// The requests that are left. It may be overdrawn by [`MOST`] for each job in flight.
#[derive(Debug)]
pub(crate) struct Budget {
    left: f64,
    counted_at: f64,
    /// The least time between two requests, in seconds.
    gap: f64,
    /// No request is sent before this moment.
    next_at: f64,
    /// The time in which each job may be polled once, in seconds.
    each: f64,
    /// The jobs that have ended, and the requests so far that were no polls of jobs.
    ended: f64,
    others: f64,
}

impl Budget {
    /// A budget that sends at most `ceiling` requests a second, and that lasts for a poll of each job every `max` seconds.
    pub(crate) fn new(ceiling: Option<f64>, max: f64) -> Self {
        let gap = ceiling.map_or(0.0, |rate| 1.0 / rate);
        Self { left: FREE_RATE / 2.0, counted_at: 0.0, gap, next_at: 0.0, each: EACH.min(max), ended: 0.0, others: 0.0 }
    }

    /// The requests a second for `jobs` in flight, besides those for each end.
    pub(crate) fn rate(&self, jobs: usize) -> f64 {
        FREE_RATE.max(jobs as f64 / self.each)
    }

    /// Counts up to `now`.
    pub(crate) fn count(&mut self, jobs: usize, now: f64) {
        let gained = (now - self.counted_at).max(0.0) * self.rate(jobs);
        let most = SAVED * self.rate(jobs) + MOST * jobs as f64;
        self.left = self.left.max((self.left + gained).min(most));
        self.counted_at = self.counted_at.max(now);
    }

    /// A job was added.
    pub(crate) fn add_job(&mut self) {
        self.left += MOST;
    }

    /// A job ended, and `jobs` are left. Most of the requests for those that ended are not taken from those.
    pub(crate) fn end_job(&mut self, jobs: usize) {
        self.ended += 1.0;
        self.left = self.left.max(-OWED * MOST * jobs as f64);
    }

    /// Counts a request that is sent at `now`.
    pub(crate) fn spend(&mut self, now: f64) {
        self.left -= 1.0;
        self.next_at = self.next_at.max(now) + self.gap;
    }

    /// Counts a request that is no poll of a job and is sent at `now`, or as soon as the ceiling allows. Returns that moment.
    pub(crate) fn spend_other(&mut self, now: f64) -> f64 {
        self.others += 1.0;
        let at = self.next_at.max(now);
        self.spend(now);
        at
    }

    /// The moment from which the ceiling allows a request.
    pub(crate) fn allows_at(&self) -> f64 {
        self.next_at
    }

    /// The moment from which a poll may be sent.
    pub(crate) fn affords_at(&self, jobs: usize, now: f64) -> f64 {
        let overdrawn = -(FREE_RATE + MOST * jobs as f64) - self.left;
        self.next_at.max(now + overdrawn.max(0.0) / self.rate(jobs))
    }

    /// The part of the usual spending that can be kept up: less than one once the budget is overdrawn.
    pub(crate) fn health(&self, jobs: usize) -> f64 {
        (1.0 + self.left / (MOST * jobs.max(1) as f64)).clamp(0.2, 1.0)
    }

    /// The polls of each of `jobs` jobs that run for `mean` seconds, for a mean lateness of `goal` seconds and ends that are as
    /// spread as `spread` (see [`Hazard`](crate::hazard::Hazard)): lateness = spread² / (2 × polls).
    pub(crate) fn polls(&self, jobs: usize, mean: f64, spread: f64, goal: Option<f64>) -> f64 {
        let each = mean / jobs.max(1) as f64;
        // Where jobs are followed up, their polls get what that leaves.
        let others = self.others / self.ended.max(1.0);
        let most = self.rate(jobs) * each + (MOST - others).max(USUAL);
        let needed = goal.map_or(most, |goal| spread * spread / (2.0 * goal));
        needed.max(USUAL).min(most).max(FREE_RATE * each)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ceiling_is_hard_and_what_was_saved_is_bounded() {
        let mut budget = Budget::new(Some(10.0), 10.0);
        budget.spend(1.0);
        assert!((budget.affords_at(1000, 1.0) - 1.1).abs() < 1e-9);
        let mut saving = Budget::new(None, 10.0);
        saving.count(0, 1e6);
        assert!((saving.left - SAVED * FREE_RATE).abs() < 1e-9, "{saving:?}");
    }

    #[test]
    fn an_overdrawn_budget_waits_for_its_rate() {
        let mut budget = Budget::new(None, 10.0);
        for _ in 0..40 {
            budget.spend(0.0);
        }
        // Half a second's requests were there, and 31 may be owed for one job: 40 is within that by one.
        assert!(budget.affords_at(1, 0.0) <= 0.0, "{budget:?}");
        budget.spend(0.0);
        budget.spend(0.0);
        assert!((budget.affords_at(1, 0.0) - 1.0 / FREE_RATE).abs() < 1e-9, "{budget:?}");
        assert!(budget.health(1) < 0.5, "{budget:?}");
    }
}
