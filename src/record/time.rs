//! Timestamps as records write them: RFC 3339, UTC, microseconds.

use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use serde_with::{DeserializeFromStr, SerializeDisplay};

/// The Unix epoch in microseconds since the earliest timestamp: flipping this bit turns signed into unsigned, in the same order.
const EPOCH: u64 = 1 << 63;

/// A point in time, to the microsecond. Written as `2026-05-20T22:30:00.123456Z`; read from any RFC 3339 spelling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, DeserializeFromStr, SerializeDisplay)]
pub struct Timestamp(
    /// Microseconds since the earliest timestamp, never zero, so that `Option<Timestamp>` is as small as `Timestamp`: a report
    /// holds about thirty timestamps for each job.
    NonZeroU64,
);

impl Timestamp {
    /// The wall clock of this machine. Tools ask their [`Clock`](crate::clock::Clock) instead, which does not step.
    pub fn system() -> Self {
        Self::from_micros(Utc::now().timestamp_micros())
    }

    /// From microseconds since the Unix epoch; `i64::MIN` becomes `i64::MIN + 1`.
    pub const fn from_micros(micros: i64) -> Self {
        match NonZeroU64::new(micros.cast_unsigned() ^ EPOCH) {
            Some(since_earliest) => Self(since_earliest),
            None => Self(NonZeroU64::MIN),
        }
    }

    /// From seconds since the Unix epoch; none if negative, not a number, or after the year 9999.
    pub fn from_seconds(seconds: f64) -> Option<Self> {
        const LAST: f64 = 253_402_300_799.0; // 9999-12-31T23:59:59Z
        #[expect(clippy::cast_possible_truncation, reason = "the range was checked")]
        ((0.0..=LAST).contains(&seconds)).then(|| Self::from_micros((seconds * 1e6).round() as i64))
    }

    /// Microseconds since the Unix epoch.
    pub const fn micros(self) -> i64 {
        (self.0.get() ^ EPOCH).cast_signed()
    }

    /// Seconds since the Unix epoch.
    pub fn seconds(self) -> f64 {
        self.micros() as f64 / 1e6
    }

    /// The time `by` after this one.
    #[must_use]
    pub fn plus(self, by: Duration) -> Self {
        Self::from_micros(self.micros().saturating_add(i64::try_from(by.as_micros()).unwrap_or(i64::MAX)))
    }

    /// This time moved by `seconds`, which may be negative.
    #[must_use]
    pub fn shifted(self, seconds: f64) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "a float cast saturates")]
        Self::from_micros(self.micros().saturating_add((seconds * 1e6).round() as i64))
    }

    /// Seconds from `earlier` to this time; negative if `earlier` is later.
    pub fn since(self, earlier: Self) -> f64 {
        self.micros().saturating_sub(earlier.micros()) as f64 / 1e6
    }

    /// The calendar date and time; the latest that chrono knows if this is out of its range.
    fn date_time(self) -> DateTime<Utc> {
        DateTime::from_timestamp_micros(self.micros()).unwrap_or(DateTime::<Utc>::MAX_UTC)
    }

    /// The spelling that serves as a directory's name and a run's id: `2026-05-20T22-30-00Z`.
    pub fn file_name(self) -> String {
        self.date_time().format("%Y-%m-%dT%H-%M-%SZ").to_string()
    }

    /// Date and time to the minute, for people: `2026-05-20 22:30`.
    pub fn minute(self) -> String {
        self.date_time().format("%Y-%m-%d %H:%M").to_string()
    }

    /// Date and time, rounded up to a whole second and joined by `separator`, for links to other tools: `2026-05-20 22:30:01`.
    pub fn wall_clock(self, separator: char) -> String {
        let rounded_up = self.plus(Duration::from_micros(999_999)).date_time();
        format!("{}{separator}{}", rounded_up.format("%Y-%m-%d"), rounded_up.format("%H:%M:%S"))
    }

    /// The date: `2026-05-20`.
    pub fn date(self) -> String {
        self.date_time().format("%Y-%m-%d").to_string()
    }

    /// The time of day to the millisecond, for reports whose date is said elsewhere: `22:30:00.123`.
    pub fn time_of_day(self) -> String {
        self.date_time().format("%H:%M:%S%.3f").to_string()
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.date_time().to_rfc3339_opts(SecondsFormat::Micros, true))
    }
}

impl FromStr for Timestamp {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(time) = parse_record_form(text) {
            return Ok(time);
        }
        DateTime::parse_from_rfc3339(text)
            .map(|time| Self::from_micros(time.timestamp_micros()))
            .map_err(|error| format!("`{text}` is not an RFC 3339 time: {error}"))
    }
}

/// Fast path for the form that records use, `2026-05-20T22:30:00.123456Z`; none for any other form.
fn parse_record_form(text: &str) -> Option<Timestamp> {
    const FORM: &[u8; 27] = b"0000-00-00T00:00:00.000000Z";
    let text: &[u8; 27] = text.as_bytes().try_into().ok()?;
    let fits = |(byte, form): (&u8, &u8)| if *form == b'0' { byte.is_ascii_digit() } else { byte == form };
    if !text.iter().zip(FORM).all(fits) {
        return None;
    }
    let number =
        |range: std::ops::Range<usize>| text[range].iter().fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0'));
    let date = NaiveDate::from_ymd_opt(number(0..4).cast_signed(), number(5..7), number(8..10))?;
    // A leap second (60) gives none here and is left to chrono.
    let time = date.and_hms_micro_opt(number(11..13), number(14..16), number(17..19), number(20..26))?;
    Some(Timestamp::from_micros(time.and_utc().timestamp_micros()))
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Timestamp {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Timestamp".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "format": "date-time", "description": "RFC 3339, UTC, microseconds"})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_written_in_utc_with_microseconds() {
        let time: Timestamp = "2026-05-21T00:30:00.1234567+02:00".parse().unwrap();
        assert_eq!(time.to_string(), "2026-05-20T22:30:00.123456Z");
        assert_eq!(time.file_name(), "2026-05-20T22-30-00Z");
        assert_eq!(time.time_of_day(), "22:30:00.123");
        assert_eq!(time.minute(), "2026-05-20 22:30");
    }

    #[test]
    fn the_fast_path_agrees_with_chrono() {
        for text in [
            "2026-05-20T22:30:00.123456Z",
            "1969-12-31T23:59:59.999999Z",
            "0001-01-01T00:00:00.000000Z",
            "2024-02-29T00:00:00.000001Z",
            "2023-02-29T00:00:00.000000Z",
            "2026-12-31T23:59:60.500000Z",
            "2026-05-20T24:00:00.000000Z",
            "2026-05-20 22:30:00.123456Z",
            "2026-05-20T22:30:00.12345+Z",
        ] {
            let by_chrono = DateTime::parse_from_rfc3339(text).ok().map(|time| time.timestamp_micros());
            assert_eq!(text.parse::<Timestamp>().ok().map(Timestamp::micros), by_chrono, "{text}");
        }
    }

    #[test]
    fn values_and_their_order_are_kept() {
        let micros = [i64::MIN + 1, -1, 0, 1, i64::MAX];
        assert_eq!(micros.map(|micros| Timestamp::from_micros(micros).micros()), micros);
        assert!(micros.map(Timestamp::from_micros).is_sorted());
        assert_eq!(Timestamp::from_micros(i64::MIN), Timestamp::from_micros(i64::MIN + 1));
        assert_eq!(size_of::<Option<Timestamp>>(), size_of::<Timestamp>());
    }

    #[test]
    fn arithmetic_is_in_seconds() {
        let time = Timestamp::from_seconds(1_000.25).unwrap();
        assert!((time.shifted(-0.5).since(time) + 0.5).abs() < 1e-9);
        assert_eq!(time.plus(Duration::from_millis(750)).seconds().to_string(), "1001");
        assert!(Timestamp::from_seconds(f64::NAN).is_none());
        assert!(Timestamp::from_seconds(1e300).is_none());
    }
}
