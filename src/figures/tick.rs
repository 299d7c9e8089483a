//! A server's clock that ticks more coarsely than it prints: every 15.6 ms on some systems, every 250 ms on others.
//!
//! All times of such a clock lie on a grid, whenever the events happened. The harness chose the moments of its submissions. So if
//! these are off the grid and their queueing times are on it, the cause is the clock, not chance or a schedule.

use crate::record::{Job, ServerTimes, Stage, Timestamp};

/// The numbers of ticks in a second that are looked for: a coarser clock first.
const TICKS: [f64; 18] =
    [2.0, 4.0, 5.0, 8.0, 10.0, 16.0, 20.0, 25.0, 32.0, 40.0, 50.0, 60.0, 64.0, 100.0, 128.0, 200.0, 250.0, 256.0];

/// A clock that ticks finely looks like a coarse one with less than this probability.
const BY_CHANCE: f64 = 1e-7;

/// The fewest jobs that suffice, and the most that are used.
const FEWEST: usize = 8;
const MOST: usize = 512;

/// The moments of submissions must be spread over this many times the width of the grid's lines.
const SPREAD: f64 = 4.0;

/// The grid of a clock that is corrected moves by this many seconds a second at most.
const CORRECTED: f64 = 1e-5;

/// The times of a run's first jobs, in seconds: enough to tell whether the clock ticks coarsely.
#[derive(Clone, Debug, Default)]
pub(super) struct Ticks {
    submitted: Vec<f64>,
    told: Vec<f64>,
    /// The resolution of the times as they are printed.
    printed: Option<f64>,
}

impl Ticks {
    /// Takes the times of one more job into account.
    pub(super) fn add(&mut self, job: &Job) {
        let of_job = job.status.server_times.unwrap_or_default();
        let (Some(submitted), Some(_)) = (job.status.submitted_at, of_job.queued_at) else { return };
        if self.submitted.len() == MOST {
            return;
        }
        self.submitted.push(submitted.seconds());
        for times in std::iter::once(of_job).chain(job.status.stages.iter().map(Stage::server_times)) {
            let ServerTimes { queued_at, started_at, ended_at, resolution_seconds } = times;
            let before = self.told.len();
            self.told.extend([queued_at, started_at, ended_at].into_iter().flatten().map(Timestamp::seconds));
            if self.told.len() > before {
                let resolution = resolution_seconds.unwrap_or(1e-6);
                self.printed = Some(self.printed.map_or(resolution, |printed| printed.min(resolution)));
            }
        }
    }

    /// The time from one tick to the next plus the width of a grid line, in seconds; none if the clock is not known to tick more
    /// coarsely than it prints.
    pub(super) fn seconds(&self) -> Option<f64> {
        let (printed, jobs) = (self.printed?, self.submitted.len());
        let (first, last) = self
            .told
            .iter()
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(first, last), time| (first.min(*time), last.max(*time)));
        if jobs < FEWEST {
            return None;
        }
        let width = printed + CORRECTED * (last - first);
        let is_grid = |tick: f64| {
            let spread = arc(&self.submitted, tick) / width;
            // Any job may set the position of the grid; each of the others would lie on it by chance.
            let exponent = i32::try_from(jobs).unwrap_or(i32::MAX) - 1;
            spread >= SPREAD
                && jobs as f64 * spread.powi(-exponent) < BY_CHANCE / TICKS.len() as f64
                && arc(&self.told, tick) <= width
        };
        TICKS.into_iter().map(|ticks| 1.0 / ticks).find(|tick| is_grid(*tick)).map(|tick| tick + width)
    }
}

/// The length of the shortest part of a period of `tick` seconds that holds all `times`.
fn arc(times: &[f64], tick: f64) -> f64 {
    let mut phases: Vec<f64> = times.iter().map(|time| time.rem_euclid(1.0).rem_euclid(tick)).collect();
    phases.sort_by(f64::total_cmp);
    let Some((first, last)) = phases.first().zip(phases.last()) else { return 0.0 };
    let around = first + tick - last;
    let gap = phases.windows(2).map(|pair| pair[1] - pair[0]).fold(around, f64::max);
    // Times are whole microseconds.
    tick - gap - 1e-6
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A run whose server times `told` makes; its jobs are submitted at random moments, or on a schedule.
    fn found(jobs: u64, seed: u64, schedule: Option<f64>, told: impl Fn(f64) -> f64) -> Option<f64> {
        let (mut random, mut ticks) = (fastrand::Rng::with_seed(seed), Ticks::default());
        for number in 0..jobs {
            let due = 1.8e9 + number as f64 * schedule.unwrap_or(0.01);
            let at = due + random.f64() * if schedule.is_some() { 4e-4 } else { 0.05 };
            let time = |after: f64| Timestamp::from_seconds(told(at + after));
            let mut job = Job::default();
            job.status.submitted_at = Timestamp::from_seconds(at);
            // As in any real run, some time passes before the server reads its clock.
            let wait = 0.001 + random.f64() * 1e-4;
            let length = if schedule.is_some() { 0.5 } else { random.f64() };
            job.status.server_times = Some(ServerTimes {
                queued_at: time(wait),
                started_at: time(wait + 0.1),
                ended_at: time(wait + 0.1 + length),
                resolution_seconds: Some(0.001),
            });
            ticks.add(&job);
        }
        ticks.seconds()
    }

    fn printed(time: f64) -> f64 {
        ((time + 1e-7) * 1e3).floor() / 1e3
    }

    #[test]
    fn a_clock_that_ticks_coarsely_is_recognised_from_enough_times() {
        for (tick, phase) in [(1.0 / 64.0, 0.0), (1.0 / 64.0, 0.0033), (0.25, 0.123), (0.01, 0.0), (0.05, 0.007)] {
            let coarse = |time: f64| printed((time / tick).floor() * tick + phase);
            for seed in 0..20 {
                let seconds = found(40, seed, None, coarse).expect("a coarse clock");
                assert!(seconds >= tick && seconds < tick + 0.0012, "{tick}: {seconds}");
                assert_eq!(found(7, seed, None, coarse), None, "seven jobs are too few");
            }
        }
    }

    #[test]
    fn jobs_on_a_schedule_are_no_coarse_clock() {
        for pause in [0.25, 0.1, 0.0625] {
            for seed in 0..50 {
                assert_eq!(found(100, seed, Some(pause), printed), None, "every {pause} s");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn a_clock_that_ticks_finely_is_never_taken_for_a_coarse_one(seed: u64, jobs in 1..60_u64) {
            prop_assert_eq!(found(jobs, seed, None, printed), None);
        }
    }
}
