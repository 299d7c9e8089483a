//! One clock for all tools of a run, and the distance to the target's.
//!
//! Durations must not depend on a wall clock that may be stepped while jobs run, and the tools of one pipe are several
//! processes. So the first tool notes one moment on two clocks, the wall's and the one that counts seconds since boot;
//! the others take that anchor from the Run record, and every time that any of them writes is the anchor's wall time plus
//! seconds since boot. The difference of two such times is a difference on the monotonic clock.

mod offset;

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::record::{ClockAnchor, Timestamp};

pub use offset::{MOST_LATE, OffsetBounds, ServerDate, is_contradiction};

/// A clock that does not step. Copies of it agree, and so do all that adopted the same anchor on the same boot.
#[derive(Clone, Debug)]
pub struct Clock {
    anchor: ClockAnchor,
}

impl Default for Clock {
    fn default() -> Self {
        Self::system()
    }
}

impl Clock {
    /// A clock that agrees with the wall's at this moment.
    pub fn system() -> Self {
        let (boot_seconds, unix_seconds) = both_clocks();
        Self { anchor: ClockAnchor { boot_id: boot_id(), boot_seconds, unix_seconds } }
    }

    /// The clock of `anchor`, if that was set since this machine was booted.
    pub fn adopt(anchor: &ClockAnchor) -> Option<Self> {
        let usable = !anchor.boot_id.is_empty() && anchor.boot_id == boot_id();
        (usable && anchor.unix_seconds.is_finite() && anchor.boot_seconds.is_finite())
            .then(|| Self { anchor: anchor.clone() })
    }

    /// Returns the anchor that other processes need to agree with this clock.
    pub fn anchor(&self) -> &ClockAnchor {
        &self.anchor
    }

    /// The time.
    pub fn now(&self) -> Timestamp {
        let elapsed = boot_seconds() - self.anchor.boot_seconds;
        Timestamp::from_seconds(self.anchor.unix_seconds + elapsed).unwrap_or_else(Timestamp::system)
    }

    /// Returns how far the wall clock has moved against this one since the anchor was set, in seconds.
    pub fn wall_step(&self) -> f64 {
        let (boot_seconds, unix_seconds) = both_clocks();
        unix_seconds - self.anchor.unix_seconds - (boot_seconds - self.anchor.boot_seconds)
    }
}

/// The same moment on the boot clock and on the wall clock, in seconds.
fn both_clocks() -> (f64, f64) {
    // If this process has to wait for a processor between the two readings, they are that far apart. So take the closest of several.
    let read = || {
        let (boot, wall) = (boot_seconds(), Timestamp::system());
        (boot_seconds() - boot, boot, wall.seconds())
    };
    let (_, boot, wall) = (1..8).map(|_| read()).fold(read(), |best, next| if next.0 < best.0 { next } else { best });
    (boot, wall)
}

fn boot_seconds() -> f64 {
    // Unlike CLOCK_MONOTONIC this one goes on while the machine is suspended, as the target does.
    let now = clock_gettime(ClockId::Boottime);
    now.tv_sec as f64 + now.tv_nsec as f64 / 1e9
}

fn boot_id() -> String {
    // If the kernel does not give it, anchors are never adopted, and each tool has a clock of its own.
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").map(|id| id.trim().to_owned()).unwrap_or_default()
}

/// An age that is larger than a cache can count (RFC 9111, section 1.2.2).
pub const AGE_OVERFLOW: u32 = 1 << 31;

/// The last Unix times, in seconds, that 32 bits hold, with a sign and without.
pub const ENDS_OF_32_BITS: [f64; 2] = [2_147_483_647.0, 4_294_967_295.0];

/// Returns true for a time that no job of today can have: the zeros of the calendars in use (1, 1601, 1900, 1904, 1970, 1980,
/// 2001), whatever the zone, and the far ends that mean "never".
pub fn is_sentinel(at: Timestamp) -> bool {
    const EARLIEST: f64 = 978_480_000.0; // 2001-01-03
    const LATEST: f64 = 7_258_118_400.0; // 2200-01-01
    let seconds = at.seconds();
    !(EARLIEST..LATEST).contains(&seconds) || ENDS_OF_32_BITS.iter().any(|end| (seconds - end).abs() < 1.0)
}

/// Reads an `Age` (RFC 9111, section 5.1): of a list the first counts, and one that is too large to count is
/// [`AGE_OVERFLOW`].
pub fn age(text: &str) -> Option<u32> {
    let first = text.split(',').next().unwrap_or_default().trim();
    let is_number = !first.is_empty() && first.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| first.parse().map_or(AGE_OVERFLOW, |age: u32| age.min(AGE_OVERFLOW)))
}

/// Seconds rounded to the microsecond, so that records do not carry the noise of binary fractions.
pub fn micro(seconds: f64) -> f64 {
    (seconds * 1e6).round() / 1e6
}

/// Reads the date of an HTTP header in any of the three forms of RFC 9110, section 5.6.7: `Sun, 06 Nov 1994 08:49:37 GMT`,
/// `Sunday, 06-Nov-94 08:49:37 GMT` and `Sun Nov  6 08:49:37 1994`. The name of the day says nothing new and is not checked.
pub fn http_date(text: &str) -> Option<Timestamp> {
    if let Some(date) = usual_date(text) {
        return Some(date);
    }
    let parse = |text: &str, form| chrono::NaiveDateTime::parse_from_str(text, form).ok();
    let text = text.trim();
    let date = match text.split_once(',') {
        Some((_, rest)) => {
            let rest = rest.trim();
            parse(rest, "%d %b %Y %H:%M:%S GMT").or_else(|| recent(parse(rest, "%d-%b-%y %H:%M:%S GMT")?))
        }
        None => parse(text.split_once(' ')?.1.trim(), "%b %e %H:%M:%S %Y"),
    };
    // A year of two digits, as in RFC 822, is none of the three forms.
    let date = date.filter(|date| chrono::Datelike::year(date) >= 1000);
    date.map(|date| Timestamp::from_micros(date.and_utc().timestamp_micros()))
}

/// Reads `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110, section 5.6.7), which nearly every answer has, in little time; none of any
/// other form.
fn usual_date(text: &str) -> Option<Timestamp> {
    const FORM: &[u8; 29] = b"Sun, 00 Nov 0000 00:00:00 GMT";
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let bytes: &[u8; 29] = text.as_bytes().try_into().ok()?;
    let fits = |(byte, form): (&u8, &u8)| match form {
        b'0' => byte.is_ascii_digit(),
        letter if letter.is_ascii_alphabetic() => byte.is_ascii_alphabetic(),
        mark => byte == mark,
    };
    if !bytes.iter().zip(FORM).all(fits) || !text.ends_with("GMT") {
        return None;
    }
    let number = |at: std::ops::Range<usize>| bytes[at].iter().fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0'));
    let month = (1..).zip(MONTHS).find(|(_, name)| text.get(8..11) == Some(name))?.0;
    let day = chrono::NaiveDate::from_ymd_opt(number(12..16).cast_signed(), month, number(5..7))?;
    let date = day.and_hms_opt(number(17..19), number(20..22), number(23..25))?;
    Some(Timestamp::from_micros(date.and_utc().timestamp_micros()))
}

/// A year of two digits that lies more than 50 years ahead means the century before.
fn recent(date: chrono::NaiveDateTime) -> Option<chrono::NaiveDateTime> {
    let now = chrono::Utc::now().naive_utc();
    let ahead = date.checked_sub_months(chrono::Months::new(50 * 12)).is_some_and(|earlier| earlier > now);
    if ahead { date.checked_sub_months(chrono::Months::new(100 * 12)) } else { Some(date) }
}

/// The longest wait that a header can ask for, in seconds.
const FOR_EVER: u64 = 100 * 365 * 86_400;

/// Parses a `Retry-After` header: seconds, or a date by the server's clock, which its own `Date` header tells.
pub fn retry_after(value: &str, date: Option<Timestamp>, now: Timestamp) -> Option<Duration> {
    let digits = value.trim();
    if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        // However many they are: a hundred years are for ever.
        return Some(Duration::from_secs(digits.parse().unwrap_or(u64::MAX).min(FOR_EVER)));
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
    fn an_age_that_is_a_list_or_too_large_counts() {
        for (text, seconds) in
            [("7", 7), ("3, 5", 3), (" 0 ", 0), ("4294967296", 1 << 31), ("99999999999999999999", 1 << 31)]
        {
            assert_eq!(age(text), Some(seconds), "{text}");
        }
        for text in ["", "-1", "soon", "3.5", ",5"] {
            assert_eq!(age(text), None, "{text}");
        }
    }

    #[test]
    fn all_three_forms_of_http_dates_are_read() {
        let expected = Some("1994-11-06T08:49:37.000000Z".to_owned());
        for text in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
            " Mon, 06 Nov 1994 08:49:37 GMT ",
        ] {
            assert_eq!(http_date(text).map(|date| date.to_string()), expected, "{text}");
        }
        assert_eq!(http_date("Monday, 06-Nov-28 08:49:37 GMT").unwrap().date(), "2028-11-06");
        for text in [
            "",
            "Sun",
            "Sun, 31 Feb 2026 00:00:00 GMT",
            "Sun, 06 Nov 94 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49 GMT",
            "06 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 CET",
        ] {
            assert_eq!(http_date(text), None, "{text}");
        }
    }

    #[test]
    fn dates_and_delays_of_headers_are_read() {
        let delay = |text: &str| retry_after(text, None, Clock::system().now()).map(|wait| wait.as_secs());
        assert_eq!((delay(" 7 "), delay("99999999999999999999"), delay("-1")), (Some(7), Some(FOR_EVER), None));
        let date = http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        assert_eq!(date.to_string(), "1994-11-06T08:49:37.000000Z");
        assert_eq!(retry_after("7", None, date), Some(Duration::from_secs(7)));
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:49:40 GMT", Some(date), date), Some(Duration::from_secs(3)));
        assert_eq!(retry_after("soon", None, date), None);
    }
}
