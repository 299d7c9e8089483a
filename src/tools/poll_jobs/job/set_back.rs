//! Sightings that a cache may have made look more recent than they were.

use super::PolledJob;

impl PolledJob {
    /// Moves back the last times before each start and end, because the answers behind them may have been that many seconds old.
    pub(in crate::tools::poll_jobs) fn set_sightings_back(&mut self, seconds: f64) {
        // A time before the job was submitted bounds nothing.
        let submitted = self.submitted_at;
        for time in [&mut self.not_started_at, &mut self.not_ended_at].into_iter().chain(self.stages.unchanged_since())
        {
            *time = time.map(|time| time.shifted(-seconds)).filter(|time| *time >= submitted);
        }
    }
}
