//! Prometheus' samples over time for the timeline: depths of the queues, and the times at which the GPU passed on.
//!
//! Moments are Unix seconds by the harness's clock, as far as the distance of Prometheus' clock is known.

use crate::figures::{counters, gauges};
use crate::record::{ClockOffset, Series};

/// Number of queues, and of changes of the GPU's tenant, that are kept.
const KEPT: usize = 2000;

/// One queue: its samples as they were taken.
#[derive(Debug)]
pub(super) struct Queue {
    pub(super) name: String,
    pub(super) samples: Vec<(f64, f64)>,
}

/// The GPU passed between two samples of a counter.
#[derive(Debug, PartialEq)]
pub(super) struct Passing {
    /// From whom to whom.
    pub(super) way: String,
    pub(super) after: f64,
    pub(super) until: f64,
}

/// All that was sampled.
#[derive(Debug, Default)]
pub(super) struct Sampled {
    /// The deepest first.
    pub(super) queues: Vec<Queue>,
    pub(super) passings: Vec<Passing>,
    /// Prometheus' clock could not be brought to the harness's.
    pub(super) adrift: bool,
}

impl Sampled {
    pub(super) fn take_queues(&mut self, record: &Series, series: &[counters::Series], name: fn(&[String]) -> String) {
        let offset = self.offset(record);
        for (key, mut samples) in gauges::highest_over_time(series, &record.spec.by) {
            for sample in &mut samples {
                sample.0 -= offset;
            }
            self.queues.push(Queue { name: name(&key), samples });
        }
        let top =
            |queue: &Queue| queue.samples.iter().map(|sample| sample.1).filter(|v| v.is_finite()).fold(0.0, f64::max);
        self.queues.sort_by(|one, other| top(other).total_cmp(&top(one)).then_with(|| one.name.cmp(&other.name)));
        self.queues.truncate(KEPT);
    }

    pub(super) fn take_passings(
        &mut self,
        record: &Series,
        series: &[counters::Series],
        name: fn(&[String]) -> String,
    ) {
        let offset = self.offset(record);
        for one in series {
            let Some(key) = one.key(&record.spec.by) else { continue };
            let samples: Vec<_> = one.points.iter().filter(|point| point.1.is_finite()).collect();
            for pair in samples.windows(2) {
                if pair[1].1 > pair[0].1 {
                    let (after, until) = (pair[0].0 - offset, pair[1].0 - offset);
                    self.passings.push(Passing { way: name(&key), after, until });
                }
            }
        }
        self.passings.sort_by(|one, other| one.after.total_cmp(&other.after).then_with(|| one.way.cmp(&other.way)));
        self.passings.truncate(KEPT);
    }

    /// Prometheus' clock minus the harness's.
    fn offset(&mut self, record: &Series) -> f64 {
        self.adrift |= record.status.clock_offset.is_none();
        record.status.clock_offset.map_or(0.0, ClockOffset::known_seconds)
    }
}
