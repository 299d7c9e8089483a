//! An instant by the harness's clock that is known to lie between two others.

use super::distribution::Measured;
use crate::record::{ClockOffset, JobStatus, Timestamp};

/// An instant by the harness's clock that lies between two others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeInterval {
    /// The best estimate.
    pub at: Timestamp,
    /// The instant is not earlier.
    pub low: Timestamp,
    /// The instant is not later.
    pub high: Timestamp,
}

impl TimeInterval {
    /// A time of the server's clock, cut or rounded to `resolution` seconds, on the harness's clock. Most servers cut.
    pub fn from_server(time: Timestamp, resolution: f64, offset: ClockOffset) -> Self {
        let at = time.shifted(-offset.seconds);
        let widest = offset.bound_seconds + resolution;
        let (low, high) = (at.shifted(-widest), at.shifted(widest));
        // Half a microsecond is rounding.
        Self { at: if resolution > 1e-6 { at.shifted(resolution / 2.0) } else { at }, low, high }
    }

    /// An instant between two polls; the estimate is the later one, which saw the change.
    pub fn between_polls(not_before: Timestamp, seen: Timestamp) -> Self {
        Self { at: seen, low: not_before.min(seen), high: seen }
    }

    /// A start or an end that polls saw at `seen`, and not yet at `earliest`.
    pub fn seen(earliest: Option<Timestamp>, seen: Option<Timestamp>) -> Option<Self> {
        seen.map(|seen| Self::between_polls(earliest.unwrap_or(seen), seen))
    }

    /// The time at which the target took a job: after its submission was sent and before that was answered. Work may begin,
    /// and even end, before a slow answer arrives.
    pub fn arrival(status: &JobStatus) -> Option<Self> {
        let accepted = status.accepted_at?;
        Some(Self::between_polls(status.submitted_at.unwrap_or(accepted), accepted))
    }

    /// An instant that is known exactly.
    pub const fn exact(at: Timestamp) -> Self {
        Self { at, low: at, high: at }
    }

    /// The part that both intervals allow, with the estimate of this one; none if they contradict each other.
    pub fn intersection(self, other: Self) -> Option<Self> {
        let (low, high) = (self.low.max(other.low), self.high.min(other.high));
        (low <= high).then(|| Self { at: self.at.max(low).min(high), low, high })
    }

    /// The seconds between two intervals that do not meet; 0 if they do.
    pub fn seconds_apart(self, other: Self) -> f64 {
        self.low.since(other.high).max(other.low.since(self.high)).max(0.0)
    }

    /// The later of two instants.
    #[must_use]
    pub fn later(self, other: Self) -> Self {
        Self { at: self.at.max(other.at), low: self.low.max(other.low), high: self.high.max(other.high) }
    }

    /// The seconds from another instant to this one.
    pub fn after(self, start: Self) -> Measured {
        Measured::within(self.at.since(start.at), self.low.since(start.high), self.high.since(start.low))
    }

    /// The width of the interval in seconds.
    pub fn width(self) -> f64 {
        self.high.since(self.low)
    }
}
