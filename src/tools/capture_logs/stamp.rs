//! The time at the start of a text, in the spellings that workers, loggers and container engines use.

use std::sync::LazyLock;

use chrono::{NaiveDate, NaiveDateTime};
use regex::{Captures, Regex};

use super::pattern;
use crate::record::{Timestamp, Window};

/// The assumptions that complete a time which does not say everything.
#[derive(Clone, Copy, Debug)]
pub(super) struct Calendar {
    /// The UTC offset of times without a zone, in seconds.
    pub(super) utc_offset: i32,
    /// The time that matters: a date that can be read in several ways has the reading nearest to it, and so a date without a
    /// year has its year.
    pub(super) window: Window,
}

/// A time that was read from a text, and its spelling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    /// The instant; none for a time of day without a date.
    pub(super) at: Option<Timestamp>,
    /// Length of the spelling in bytes.
    pub(super) length: usize,
    /// True if the spelling names its zone.
    pub(super) zoned: bool,
    /// Number of digits of the fraction of a second.
    pub(super) digits: usize,
}

const TIME: &str = r"(?P<H>\d{1,2}):(?P<M>\d\d):(?P<S>\d\d)(?:[.,](?P<f>\d+))?(?: ?(?P<pm>[AP]M))?";
/// A time of day without its colons.
const COMPACT: &str = r"(?P<h2>\d\d)(?P<M2>\d\d)(?P<S2>\d\d)(?:[.,](?P<f2>\d+))?";
const ZONE: &str = r"(?: ?(?P<zone>(?:UTC|GMT|Z|z)\b|[+-]\d\d:?\d\d\b))?";
const DAY: &str = "(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),? )?";
const MONTH: &str = "(?P<month>Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*";
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
/// Greatest distance from the window, in seconds, at which a number that begins a line is a Unix time.
const NEAR: f64 = 400.0 * 86400.0;

/// The spellings, in the order in which they are tried.
static SPELLINGS: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    [
        // RFC 3339, Python's logging, Go's log, gunicorn, journalctl -o short-full.
        format!(r"^{DAY}(?P<y>\d{{4}})[-/.](?P<m>\d\d)[-/.](?P<d>\d\d)[T t_]{TIME}{ZONE}"),
        // syslog, asctime, java.util.logging.
        format!(r"^{DAY}{MONTH} {{1,2}}(?P<d>\d{{1,2}})(?:,? (?P<y>\d{{4}}))?,? {TIME}(?: UTC)?(?: (?P<y2>[12]\d{{3}})\b)?{ZONE}"),
        // Common log format, Redis, Tomcat, HTTP dates, Erlang.
        format!(r"^{DAY}(?P<d>\d{{1,2}})[ /-]{MONTH}[ /-](?P<y>\d{{4}})[ :T]{{1,2}}{TIME}{ZONE}"),
        // Rich, .NET, TensorRT: the month comes first; in Europe the day does; log4j's short form begins with the year.
        format!(r"^(?P<m>\d{{1,2}})[/.-](?P<d>\d{{1,2}})[/.-](?P<y>\d{{4}}|\d{{2}})[ ,T-]+{TIME}{ZONE}"),
        // ISO 8601 without its delimiters, MySQL before 8.
        format!(r"^(?P<y>\d{{4}}|\d{{2}})(?P<m>\d\d)(?P<d>\d\d)(?:[ T_-]+{TIME}|[T_-]{COMPACT}){ZONE}"),
        // vLLM: neither a year nor a name for the month.
        format!(r"^(?P<m>\d\d)(?:-(?P<d>\d\d)|\.(?P<d2>\d\d)\.) {TIME}"),
        // Unix time, as journalctl -o short-unix writes it.
        r"^(?P<epoch>\d{10}(?:\.\d{1,9})?|\d{13})".to_owned(),
        // A time of day.
        format!(r"^{TIME}"),
        r"^\d{1,2}:\d\d[AP]M".to_owned(),
    ]
    .iter()
    .map(|spelling| pattern::compile(&format!(r"{spelling}(?:[^0-9A-Za-z]|$)")))
    .collect()
});

/// A complete date and time anywhere in a text.
static ANYWHERE: LazyLock<Regex> = LazyLock::new(|| {
    pattern::compile(
        r"\d{4}[-/]\d\d[-/]\d\d[T ]\d\d:\d\d:\d\d|\d\d[./]\d\d[./]\d{2,4} \d\d:\d\d:\d\d|\d{6,8}(?: \d\d:\d\d:\d\d|T\d{6})",
    )
});

impl Calendar {
    /// Reads a time at the very start of `text`.
    pub(super) fn stamp_at_start(&self, text: &str) -> Option<Stamp> {
        if !text.starts_with(|c: char| c.is_ascii_digit() || "JFMASONDTW".contains(c)) {
            return None;
        }
        SPELLINGS.iter().find_map(|spelling| self.stamp(&spelling.captures(text)?))
    }

    /// The offsets in `text` at which a complete date and time begins.
    pub(super) fn stamps(text: &str) -> impl Iterator<Item = usize> {
        ANYWHERE.find_iter(text).map(|found| found.start())
    }

    fn stamp(&self, found: &Captures<'_>) -> Option<Stamp> {
        let part = |name: &str, other: &str| found.name(name).or_else(|| found.name(other));
        let number = |name, other| part(name, other).and_then(|digits| digits.as_str().parse::<u32>().ok());
        let end = |name| found.name(name).map_or(0, |part: regex::Match<'_>| part.end());
        let length =
            ["S", "f", "pm", "y2", "zone", "epoch", "S2", "f2"].into_iter().map(end).max().filter(|length| *length > 0);
        let length = length.unwrap_or_else(|| found[0].trim_end_matches(|c: char| !c.is_alphanumeric()).len());
        let fraction = part("f", "f2").map_or("", |digits| digits.as_str());
        let zone = found.name("zone").and_then(|zone| zone_offset(zone.as_str()));
        let stamp = Stamp { at: None, length, zoned: zone.is_some(), digits: fraction.len() };
        if let Some(epoch) = found.name("epoch") {
            let at = unix(epoch.as_str()).filter(|at| self.distance(*at) < NEAR)?;
            return Some(Stamp { at: Some(at), zoned: true, ..stamp });
        }
        let Some(hour) = number("H", "h2") else { return Some(stamp) };
        let hour = match found.name("pm").map(|half| half.as_str()) {
            Some("PM") => hour % 12 + 12,
            Some(_) => hour % 12,
            None => hour,
        };
        // A leap second has no number of its own on a Unix clock.
        let (minute, second) = (number("M", "M2")?, number("S", "S2")?.min(59));
        let month = number("m", "m").or_else(|| {
            let name = found.name("month")?.as_str();
            MONTHS.iter().position(|month| *month == name).and_then(|index| u32::try_from(index + 1).ok())
        });
        let (Some(month), Some(day)) = (month, number("d", "d2")) else {
            return (hour < 24 && minute < 60).then_some(stamp);
        };
        let instant = |year, month, day| {
            let time = date(year, month, day)?.and_hms_opt(hour, minute, second)?;
            Some(to_timestamp(time, micros(fraction), zone.unwrap_or(self.utc_offset)))
        };
        let year_first =
            found.name("y").is_some_and(|year| year.start() < found.name("m").map_or(0, |month| month.start()));
        // Six digits that begin a line may be a date only near the window.
        let is_bare = found.name("y").zip(found.name("m")).is_some_and(|(year, month)| year.end() == month.start());
        let at = match number("y", "y2") {
            Some(year) if year_first || found.name("month").is_some() => instant(year, month, day),
            // The three numbers in the orders that are in use: month or day first, or the year.
            Some(year) => self.nearest(
                [(year, month, day), (year, day, month), (month, day, year)]
                    .into_iter()
                    .filter_map(|(year, month, day)| instant(year, month, day)),
            ),
            None => self.nearest_year(|year| {
                let year = u32::try_from(year).ok()?;
                self.nearest([instant(year, month, day), instant(year, day, month)].into_iter().flatten())
            }),
        };
        at.filter(|at| !is_bare || self.distance(*at) < NEAR).map(|at| Stamp { at: Some(at), ..stamp })
    }

    /// Completes a date without a year, given the instant for each year.
    pub(super) fn nearest_year(&self, instant: impl Fn(i32) -> Option<Timestamp>) -> Option<Timestamp> {
        let year = self.window.end.date().get(..4)?.parse::<i32>().ok()?;
        self.nearest([year - 1, year, year + 1].into_iter().filter_map(instant))
    }

    fn nearest(&self, readings: impl Iterator<Item = Timestamp>) -> Option<Timestamp> {
        readings.min_by(|a, b| self.distance(*a).total_cmp(&self.distance(*b)))
    }

    /// The seconds between a time and the window.
    fn distance(&self, at: Timestamp) -> f64 {
        self.window.start.since(at).max(at.since(self.window.end)).max(0.0)
    }
}

/// A date whose year may lack its century.
fn date(year: u32, month: u32, day: u32) -> Option<NaiveDate> {
    NaiveDate::from_ymd_opt(i32::try_from(if year < 100 { 2000 + year } else { year }).ok()?, month, day)
}

/// Reads a time that is a JSON number, or a string of digits: Unix seconds, milli-, micro- or nanoseconds, which its size
/// tells.
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

fn to_timestamp(time: NaiveDateTime, micros: i64, utc_offset: i32) -> Timestamp {
    Timestamp::from_micros(time.and_utc().timestamp_micros() + micros - i64::from(utc_offset) * 1_000_000)
}

/// The digits after the second as microseconds.
fn micros(digits: &str) -> i64 {
    let digits = digits.as_bytes();
    (0..6).fold(0, |sum, place| sum * 10 + digits.get(place).map_or(0, |digit| i64::from(digit - b'0')))
}

/// The seconds by which the zone `text` is ahead of UTC.
fn zone_offset(text: &str) -> Option<i32> {
    if ["Z", "z", "UTC", "GMT"].contains(&text) {
        return Some(0);
    }
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let digits = text.strip_prefix(['+', '-'])?.replacen(':', "", 1);
    let (hours, minutes) = digits.split_at_checked(2)?;
    let (hours, minutes): (i32, i32) = (hours.parse().ok()?, minutes.parse().ok()?);
    (digits.len() == 4 && hours < 24 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
}

/// Reads an offset from UTC as people type it: `+02:00`, `-0330`, `Z`.
pub(super) fn offset(text: &str) -> Result<i32, String> {
    zone_offset(text).ok_or_else(|| format!("`{text}` is not an offset from UTC: write it as +02:00"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<(String, usize)> {
        let at = "2026-01-02T00:00:00Z".parse().unwrap();
        let stamp = Calendar { utc_offset: 7200, window: Window { start: at, end: at } }.stamp_at_start(text)?;
        Some((stamp.at.map_or_else(|| "-".to_owned(), |at| at.to_string()), stamp.length))
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
            ("Wed 2026-05-20 22:30:01 UTC host", "2026-05-20T22:30:01.000000Z", 27),
            ("May 20 22:30:01 host w[7]: x", "2026-05-20T20:30:01.000000Z", 15),
            ("Dec  9 22:30:01.5 host", "2025-12-09T20:30:01.500000Z", 17),
            ("Wed May 20 22:30:01.25 2026] [core:error]", "2026-05-20T20:30:01.250000Z", 27),
            ("May 20, 2026 10:30:01 PM com.x.Y run", "2026-05-20T20:30:01.000000Z", 24),
            ("20/May/2026:22:30:01 +0000] GET", "2026-05-20T22:30:01.000000Z", 26),
            ("20 May 2026 22:30:01.123 # x", "2026-05-20T20:30:01.123000Z", 24),
            ("05/20/26 22:30:01] ERROR", "2026-05-20T20:30:01.000000Z", 17),
            ("5/20/2026 10:30:01 PM x", "2026-05-20T20:30:01.000000Z", 21),
            ("26/05/20 22:30:01 WARN x", "2026-05-20T20:30:01.000000Z", 17),
            ("20.05.2026 22:30:01,5 x", "2026-05-20T20:30:01.500000Z", 21),
            ("20/05/2026 22:30:01 x", "2026-05-20T20:30:01.000000Z", 19),
            ("20260520 22:30:01 x", "2026-05-20T20:30:01.000000Z", 17),
            ("260520  2:30:01 x", "2026-05-20T00:30:01.000000Z", 15),
            ("20260520T223001.5Z x", "2026-05-20T22:30:01.500000Z", 18),
            ("20-May-2026::22:30:01.5 ===", "2026-05-20T20:30:01.500000Z", 23),
            ("1779316201.123456 host", "2026-05-20T22:30:01.123456Z", 17),
            ("22:30:01.123 [main] ERROR x", "-", 12),
            ("10:30PM ERR x", "-", 7),
        ] {
            assert_eq!(read(text), Some((at.to_owned(), length)), "{text}");
        }
    }

    #[test]
    fn an_ambiguous_date_is_read_as_lies_nearest_to_the_window() {
        for (start, end, text, date) in [
            ("2026-10-11", "2026-10-12", "11/10/2026 10:00:00", "2026-10-11"),
            ("2026-10-11", "2026-10-12", "10/11/2026 10:00:00", "2026-10-11"),
            ("2026-10-11", "2026-10-12", "26/10/11 10:00:00", "2026-10-11"),
            ("2026-10-11", "2026-10-12", "11.10.26 10:00:00", "2026-10-11"),
            ("2026-10-11", "2026-10-12", "11.10. 10:00:00", "2026-10-11"),
            ("2026-11-10", "2026-11-11", "11-10 10:00:00", "2026-11-10"),
            ("2026-02-01", "2026-04-30", "03/02/2026 10:00:00", "2026-03-02"),
            ("2026-10-11", "2026-10-12", "2026/11/10 10:00:00", "2026-11-10"),
        ] {
            let at = |date: &str| format!("{date}T00:00:00Z").parse().unwrap();
            let calendar = Calendar { utc_offset: 0, window: Window { start: at(start), end: at(end) } };
            assert_eq!(calendar.stamp_at_start(text).unwrap().at.unwrap().date(), date, "{text}");
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
            "1234567890 items",
            "100101 22:30:01 items",
            "Monday 7",
            "12:3 x",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn the_size_of_a_unix_time_tells_its_unit() {
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
