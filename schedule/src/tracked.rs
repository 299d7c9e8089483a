//! A job in flight, and its place in the queue of polls.

use std::cmp::Ordering;

use crate::Settings;
use crate::grid::{Curve, Grid};

/// A job in flight; moments in seconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tracked {
    pub(crate) submitted: f64,
    /// The age at which it was last seen running.
    pub(crate) seen: f64,
    /// Its last poll, or the moment from which it is polled.
    pub(crate) sent: f64,
    /// The moment from which its next poll is counted.
    pub(crate) from: f64,
    /// The part of its next poll that was due before.
    pub(crate) carried: f64,
    pub(crate) not_before: f64,
    /// Its next poll is due by then at the latest.
    pub(crate) by: f64,
    /// It waits for its next poll.
    pub(crate) waits: bool,
    /// The number of its entry in the queue that counts.
    pub(crate) entry: u32,
    /// The stage that it was last seen in, and the age at which it is taken to have entered that.
    pub(crate) stage: Option<(usize, f64)>,
}

impl Tracked {
    /// The moment at which its next poll is due, by a curve that counts from `origin`.
    pub(crate) fn due(&self, settings: &Settings, (curve, origin): (&Curve, f64), grid: &Grid) -> f64 {
        let wanted = curve.at(grid, (self.from - origin).max(0.0)) + (1.0 - self.carried).max(0.0);
        let age = curve.age_at(grid, wanted).unwrap_or_else(|| {
            // Nothing is known of such ages, so they are looked at in proportion.
            curve
                .last_age(grid)
                .max((self.from - self.submitted) * (1.0 + settings.precision) - (origin - self.submitted))
        });
        let due = origin + age;
        due.min(self.sent + settings.max).max(self.sent + settings.min).max(self.not_before).min(self.by)
    }
}

/// An entry of the queue: when a poll is due, of which job, and which of its entries this is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) due: f64,
    pub(crate) job: usize,
    pub(crate) number: u32,
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        self.due.total_cmp(&other.due).then(self.job.cmp(&other.job)).then(self.number.cmp(&other.number))
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Entry {}
