//! Moving the times of a scenario: onto the time axis of the others with `--align`, and between the clocks.

use super::recorded::Recorded;
use crate::record::{Kind, Series, Timestamp};

/// The distances by which the times of one scenario are moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Shift {
    /// Added to every time, in microseconds.
    align: i64,
    /// Prometheus' clock minus the harness's, in microseconds; zero unless the clocks are known to differ.
    clock: i64,
}

impl Shift {
    /// The shift of `recorded`, whose first submission shall lie at `zero`, if any.
    pub(super) fn new(recorded: &Recorded, zero: Option<Timestamp>) -> Self {
        let offsets = recorded.fold.of_kind::<Series>(Kind::Series).filter_map(|series| series.status.clock_offset);
        // Dates with whole seconds leave an offset open that may well be zero.
        let clock = offsets.into_iter().next().filter(|offset| offset.seconds.abs() > offset.bound_seconds);
        let align = zero.zip(recorded.zero()).map_or(0, |(zero, own)| zero.micros().saturating_sub(own.micros()));
        Self { align, clock: clock.map_or(0, |clock| micros(clock.seconds)) }
    }

    /// A sample's time by Prometheus' clock, in milliseconds.
    pub(super) fn captured(self, seconds: f64) -> i64 {
        let milliseconds = micros(seconds).saturating_add(500).div_euclid(1000);
        milliseconds.saturating_add(self.align.div_euclid(1000))
    }

    /// A time of the harness on Prometheus' clock, in microseconds.
    pub(super) fn to_prometheus(self, at: Timestamp) -> i64 {
        at.micros().saturating_add(self.clock).saturating_add(self.align)
    }

    /// A time of the harness, in microseconds.
    pub(super) fn harness(self, at: Timestamp) -> i64 {
        at.micros().saturating_add(self.align)
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a float cast saturates")]
fn micros(seconds: f64) -> i64 {
    (seconds * 1e6).round() as i64
}
