//! Moving the times of a scenario: onto the time axis of the others with `--align`, and between the clocks.

use crate::record::{ClockOffset, Timestamp};

/// The distances by which the times of one scenario are moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Shift {
    /// Added to every time, in microseconds.
    align: i64,
    /// Prometheus' clock minus the harness's, in microseconds; zero unless the clocks are known to differ.
    clock: i64,
    /// The target's clock minus the harness's, likewise.
    target: i64,
}

impl Shift {
    /// The shift that moves a scenario by `align` microseconds, by the offsets of Prometheus' clock and of the target's.
    pub(super) fn new(align: i64, clock: Option<ClockOffset>, target: Option<ClockOffset>) -> Self {
        // Dates with whole seconds leave an offset open that may well be zero.
        let known = |offset: Option<ClockOffset>| offset.map_or(0, |offset| micros(offset.known_seconds()));
        Self { align, clock: known(clock), target: known(target) }
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

    /// A sample's time on the harness's clock, in microseconds.
    pub(super) fn to_harness(self, seconds: f64) -> i64 {
        micros(seconds).saturating_sub(self.clock).saturating_add(self.align)
    }

    /// A time of the target on the harness's clock, in microseconds.
    pub(super) fn target(self, at: Timestamp) -> i64 {
        at.micros().saturating_sub(self.target).saturating_add(self.align)
    }

    /// The shift that leaves the harness's own times on its clock.
    pub(super) fn on_harness(self) -> Self {
        Self { clock: 0, ..self }
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
