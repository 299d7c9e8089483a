//! One clock for all tools of a run, and the distance to the target's.
//!
//! Durations must not depend on a wall clock that may be stepped while jobs run, and the tools of one pipe are several
//! processes. So the first tool notes one moment on two clocks, the wall's and the one that counts seconds since boot;
//! the others take that anchor from the Run record, and every time that any of them writes is the anchor's wall time plus
//! seconds since boot. The difference of two such times is a difference on the monotonic clock.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::record::{ClockAnchor, ClockOffset, Timestamp};

/// A clock that does not step. Copies of it agree, and so do all that adopted the same anchor on the same boot.
#[derive(Clone, Debug)]
pub struct Clock {
    anchor: ClockAnchor,
}

impl Clock {
    /// A clock that agrees with the wall's at this moment.
    pub fn system() -> Self {
        let (boot_seconds, wall) = (boot_seconds(), Timestamp::system());
        Self { anchor: ClockAnchor { boot_id: boot_id(), boot_seconds, unix_seconds: wall.seconds() } }
    }

    /// The clock of `anchor`, if that was set since this machine was booted.
    pub fn adopt(anchor: &ClockAnchor) -> Option<Self> {
        let usable = !anchor.boot_id.is_empty() && anchor.boot_id == boot_id();
        (usable && anchor.unix_seconds.is_finite() && anchor.boot_seconds.is_finite())
            .then(|| Self { anchor: anchor.clone() })
    }

    /// What others need to agree with this clock.
    pub fn anchor(&self) -> &ClockAnchor {
        &self.anchor
    }

    /// The time.
    pub fn now(&self) -> Timestamp {
        let elapsed = boot_seconds() - self.anchor.boot_seconds;
        Timestamp::from_seconds(self.anchor.unix_seconds + elapsed).unwrap_or_else(Timestamp::system)
    }

    /// How far the wall clock has moved against this one since the anchor was set, in seconds.
    pub fn wall_step(&self) -> f64 {
        Timestamp::system().since(self.now())
    }
}

fn boot_seconds() -> f64 {
    // Unlike CLOCK_MONOTONIC this one goes on while the machine is suspended, as the target does.
    let now = clock_gettime(ClockId::Boottime);
    now.tv_sec as f64 + now.tv_nsec as f64 / 1e9
}

fn boot_id() -> String {
    // Where the kernel does not tell, anchors are never adopted, and each tool has a clock of its own.
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").map(|id| id.trim().to_owned()).unwrap_or_default()
}

/// What `Date` headers tell of the distance between the target's clock and ours.
///
/// A `Date` of second D that arrived between `sent` and `received` means that at some moment in between the target's clock
/// stood in [D, D+1). Each answer bounds the offset so; the bounds of many answers are cut with each other.
#[derive(Clone, Copy, Debug)]
pub struct OffsetBounds {
    low: f64,
    high: f64,
}

impl Default for OffsetBounds {
    fn default() -> Self {
        Self { low: f64::NEG_INFINITY, high: f64::INFINITY }
    }
}

impl OffsetBounds {
    /// Takes one answer into account. An answer that contradicts the earlier ones (another host behind the same address,
    /// or a clock that was set) starts the bounds anew.
    pub fn observe(&mut self, date: Timestamp, sent: Timestamp, received: Timestamp) {
        let (low, high) = (date.since(received), date.since(sent) + 1.0);
        if low > self.high || high < self.low {
            *self = Self { low, high };
        } else {
            *self = Self { low: self.low.max(low), high: self.high.min(high) };
        }
    }

    /// The offset and how far it may be wrong; none where no answer carried a date.
    pub fn offset(&self) -> Option<ClockOffset> {
        let (seconds, bound_seconds) = (f64::midpoint(self.low, self.high), (self.high - self.low) / 2.0);
        bound_seconds
            .is_finite()
            .then_some(ClockOffset { seconds: micro(seconds), bound_seconds: micro(bound_seconds) })
    }

    /// The bounds that `offset` states, to be narrowed further.
    pub fn from_offset(offset: ClockOffset) -> Self {
        Self { low: offset.seconds - offset.bound_seconds, high: offset.seconds + offset.bound_seconds }
    }
}

/// Seconds rounded to the microsecond, so that records do not carry the noise of binary fractions.
pub fn micro(seconds: f64) -> f64 {
    (seconds * 1e6).round() / 1e6
}

/// Reads the date of an HTTP header (RFC 9110, section 5.6.7): `Sun, 06 Nov 1994 08:49:37 GMT`.
pub fn http_date(text: &str) -> Option<Timestamp> {
    let date = chrono::NaiveDateTime::parse_from_str(text.trim(), "%a, %d %b %Y %H:%M:%S GMT").ok()?;
    Some(Timestamp::from_micros(date.and_utc().timestamp_micros()))
}

/// What a `Retry-After` header asks for: seconds, or a date by the server's clock, told by its own `Date`.
pub fn retry_after(value: &str, date: Option<Timestamp>, now: Timestamp) -> Option<Duration> {
    if let Ok(seconds) = value.trim().parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let until = http_date(value)?.since(date.unwrap_or(now));
    Duration::try_from_secs_f64(until.max(0.0)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_of_one_anchor_agree_and_go_on() {
        let first = Clock::system();
        let second = Clock::adopt(first.anchor()).unwrap();
        let (a, b, c) = (first.now(), second.now(), first.now());
        assert!(a <= b && b <= c);
        assert!(first.wall_step().abs() < 0.5);
    }

    #[test]
    fn an_anchor_of_another_boot_is_not_adopted() {
        assert!(Clock::adopt(&ClockAnchor { boot_id: "other".into(), boot_seconds: 1.0, unix_seconds: 1.0 }).is_none());
        assert!(Clock::adopt(&ClockAnchor::default()).is_none());
    }

    #[test]
    fn dates_narrow_the_offset() {
        let at = |seconds: f64| Timestamp::from_seconds(1e9 + seconds).unwrap();
        let mut bounds = OffsetBounds::default();
        assert!(bounds.offset().is_none());
        // The server is 5 s ahead: at our 0.9 it says 5, at our 1.1 it says 6.
        bounds.observe(at(5.0), at(0.85), at(0.9));
        bounds.observe(at(6.0), at(1.1), at(1.15));
        let offset = bounds.offset().unwrap();
        assert!((offset.seconds - 5.0).abs() <= offset.bound_seconds && offset.bound_seconds < 0.16, "{offset:?}");
        // An answer that cannot be true together with those starts anew.
        bounds.observe(at(100.0), at(2.0), at(2.1));
        assert!((bounds.offset().unwrap().seconds - 98.45).abs() < 0.01);
    }

    #[test]
    fn dates_and_delays_of_headers_are_read() {
        let date = http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        assert_eq!(date.to_string(), "1994-11-06T08:49:37.000000Z");
        assert_eq!(retry_after("7", None, date), Some(Duration::from_secs(7)));
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:49:40 GMT", Some(date), date), Some(Duration::from_secs(3)));
        assert_eq!(retry_after("soon", None, date), None);
    }
}
