//! The time at the start of a log line, in the spellings that workers and container engines use.
//!
//! `2026-05-20 22:30:01,123` (Python), `2026-05-20T22:30:01.123456789Z` (containers, RFC 3339), `2026/05/20 22:30:01` (Go),
//! `2026-05-20 22:30:01 +0000` (gunicorn). A time without a zone is taken as one at the offset that the user states.

use chrono::{NaiveDate, NaiveDateTime};

use crate::record::Timestamp;

/// A time that was read from a text, and how it was spelt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) at: Timestamp,
    /// How many bytes of the text it takes.
    pub(super) length: usize,
    /// Whether it named its zone.
    pub(super) zoned: bool,
    /// How many digits follow the second.
    pub(super) digits: usize,
}

/// Reads a time at the very start of `text`; `offset` is what a time without a zone is ahead of UTC, in seconds.
pub(super) fn at_start(text: &str, offset: i32) -> Option<Stamp> {
    let bytes = text.as_bytes();
    let separator = *bytes.get(4).filter(|byte| b"-/".contains(byte))?;
    let fits = |at: usize, allowed: &[u8]| bytes.get(at).is_some_and(|byte| allowed.contains(byte));
    if !(fits(7, &[separator]) && fits(10, b"T t") && fits(13, b":") && fits(16, b":")) {
        return None;
    }
    let date =
        NaiveDate::from_ymd_opt(i32::try_from(number(bytes, 0, 4)?).ok()?, number(bytes, 5, 2)?, number(bytes, 8, 2)?)?;
    // A leap second has no number of its own on a Unix clock.
    let time = date.and_hms_opt(number(bytes, 11, 2)?, number(bytes, 14, 2)?, number(bytes, 17, 2)?.min(59))?;
    let mut length = 19;
    let mut digits = 0;
    if fits(length, b".,") {
        digits = bytes[length + 1..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits > 0 {
            length += 1 + digits;
        }
    }
    let micros = fraction(&bytes[length - digits..length]);
    let zone = zone(&text[length..]);
    length += zone.map_or(0, |(_, taken)| taken);
    if bytes.get(length).is_some_and(u8::is_ascii_alphanumeric) {
        return None;
    }
    let ahead = zone.map_or(offset, |(ahead, _)| ahead);
    Some(Stamp { at: moment(time, micros, ahead), length, zoned: zone.is_some(), digits })
}

/// Reads a time that is a JSON number, or a string of digits: Unix seconds, milli-, micro- or nanoseconds, told apart by
/// their size.
pub(super) fn unix(text: &str) -> Option<Timestamp> {
    let value: f64 = text.parse().ok().filter(|value: &f64| value.is_finite() && *value > 1e8)?;
    let scale = match value {
        ..1e11 => 1.0,
        ..1e14 => 1e3,
        ..1e17 => 1e6,
        _ => 1e9,
    };
    Timestamp::from_seconds(value / scale)
}

fn moment(time: NaiveDateTime, micros: i64, ahead: i32) -> Timestamp {
    Timestamp::from_micros(time.and_utc().timestamp_micros() + micros - i64::from(ahead) * 1_000_000)
}

fn number(bytes: &[u8], from: usize, length: usize) -> Option<u32> {
    let digits = bytes.get(from..from + length)?;
    digits.iter().try_fold(0, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + u32::from(byte - b'0')))
}

/// The digits after the second as microseconds.
fn fraction(digits: &[u8]) -> i64 {
    (0..6).fold(0, |sum, place| sum * 10 + digits.get(place).map_or(0, |digit| i64::from(digit - b'0')))
}

/// The zone at the start of `text`: seconds ahead of UTC, and how many bytes it takes.
fn zone(text: &str) -> Option<(i32, usize)> {
    if text.starts_with(['Z', 'z']) {
        return Some((0, 1));
    }
    // gunicorn puts a space before the offset; a lone ` -` is a separator, so digits must follow.
    let spaces = usize::from(text.starts_with(' '));
    let bytes = &text.as_bytes()[spaces..];
    let sign = match bytes.first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let colon = usize::from(bytes.get(3) == Some(&b':'));
    let (hours, minutes) = (number(bytes, 1, 2)?, number(bytes, 3 + colon, 2)?);
    let seconds = i32::try_from(hours * 3600 + minutes * 60).ok()?;
    (hours < 24 && minutes < 60).then_some((sign * seconds, spaces + 5 + colon))
}

/// Reads an offset from UTC as people type it: `+02:00`, `-0330`, `Z`.
pub(super) fn offset(text: &str) -> Result<i32, String> {
    let read = zone(text).filter(|(_, taken)| *taken == text.len() && !text.starts_with(' '));
    read.map(|(ahead, _)| ahead).ok_or_else(|| format!("`{text}` is not an offset from UTC: write it as +02:00"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<(String, usize)> {
        at_start(text, 7200).map(|stamp| (stamp.at.to_string(), stamp.length))
    }

    #[test]
    fn spellings_are_read_and_only_a_missing_zone_is_supplied() {
        for (text, at, length) in [
            ("2026-05-20 22:30:01,123 ERROR x", "2026-05-20T20:30:01.123000Z", 23),
            ("2026-05-20T22:30:01.123456789Z x", "2026-05-20T22:30:01.123456Z", 30),
            ("2026-05-20T22:30:01+02:00 x", "2026-05-20T20:30:01.000000Z", 25),
            ("2026-05-20 22:30:01 +0000] [7]", "2026-05-20T22:30:01.000000Z", 25),
            ("2026/05/20 22:30:01 x", "2026-05-20T20:30:01.000000Z", 19),
            ("2026-05-20 22:30:01 - name - INFO", "2026-05-20T20:30:01.000000Z", 19),
            ("2026-05-20 22:30:60.5", "2026-05-20T20:30:59.500000Z", 21),
        ] {
            assert_eq!(read(text), Some((at.to_owned(), length)), "{text}");
        }
    }

    #[test]
    fn what_only_looks_like_a_time_is_none() {
        for text in [
            "",
            "2026-05-20",
            "2026-13-20 22:30:01",
            "2026-05-20 25:30:01",
            "2026-05-20 22:30:01x",
            "a026-05-20 22:30:01",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn unix_times_are_told_apart_by_size() {
        for text in ["1779316201.5", "1779316201500", "1779316201500000", "1779316201500000000"] {
            assert_eq!(unix(text).unwrap().to_string(), "2026-05-20T22:30:01.500000Z", "{text}");
        }
        assert!(unix("50").is_none() && unix("NaN").is_none());
    }

    #[test]
    fn offsets_are_read_as_typed() {
        assert_eq!((offset("+02:00"), offset("-0330"), offset("Z")), (Ok(7200), Ok(-12600), Ok(0)));
        for bad in ["", "2", "+2", "+25:00", " +02:00", "+02:00x"] {
            assert!(offset(bad).is_err(), "{bad}");
        }
    }
}
