//! Moments as records spell them: RFC 3339, UTC, microseconds.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use serde_with::{DeserializeFromStr, SerializeDisplay};

/// A moment, kept to the microsecond. Written as `2026-05-20T22:30:00.123456Z`; read from any RFC 3339 spelling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, DeserializeFromStr, SerializeDisplay)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The wall clock of this machine. Tools ask their [`Clock`](crate::clock::Clock) instead, which does not step.
    pub fn system() -> Self {
        Self(Utc::now().timestamp_micros())
    }

    /// From microseconds since the Unix epoch.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// From seconds since the Unix epoch; none if that lies outside the years that RFC 3339 can say.
    pub fn from_seconds(seconds: f64) -> Option<Self> {
        const LAST: f64 = 253_402_300_799.0; // 9999-12-31T23:59:59Z
        #[expect(clippy::cast_possible_truncation, reason = "the range was checked")]
        ((0.0..=LAST).contains(&seconds)).then(|| Self((seconds * 1e6).round() as i64))
    }

    /// Microseconds since the Unix epoch.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Seconds since the Unix epoch.
    pub fn seconds(self) -> f64 {
        self.0 as f64 / 1e6
    }

    /// This moment and `by` later.
    #[must_use]
    pub fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(by.as_micros()).unwrap_or(i64::MAX)))
    }

    /// This moment moved by `seconds`, which may be negative.
    #[must_use]
    pub fn shifted(self, seconds: f64) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "a float cast saturates")]
        Self(self.0.saturating_add((seconds * 1e6).round() as i64))
    }

    /// Seconds from `earlier` to this moment; negative where `earlier` is the later one.
    pub fn since(self, earlier: Self) -> f64 {
        self.0.saturating_sub(earlier.0) as f64 / 1e6
    }

    /// The same moment as a calendar date and time.
    fn date_time(self) -> DateTime<Utc> {
        DateTime::from_timestamp_micros(self.0).unwrap_or(DateTime::<Utc>::MAX_UTC)
    }

    /// The spelling that serves as a directory's name and a run's id: `2026-05-20T22-30-00Z`.
    pub fn file_name(self) -> String {
        self.date_time().format("%Y-%m-%dT%H-%M-%SZ").to_string()
    }

    /// Date and time to the minute, for people: `2026-05-20 22:30`.
    pub fn minute(self) -> String {
        self.date_time().format("%Y-%m-%d %H:%M").to_string()
    }

    /// Date and time of the next whole second, with `between` in between, as other tools' pages take it: `2026-05-20 22:30:01`.
    pub fn wall_clock(self, between: char) -> String {
        let up = Self(self.0.saturating_add(999_999)).date_time();
        format!("{}{between}{}", up.format("%Y-%m-%d"), up.format("%H:%M:%S"))
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
        DateTime::parse_from_rfc3339(text)
            .map(|time| Self(time.timestamp_micros()))
            .map_err(|error| format!("`{text}` is not an RFC 3339 time: {error}"))
    }
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
    fn arithmetic_is_in_seconds() {
        let time = Timestamp::from_seconds(1_000.25).unwrap();
        assert!((time.shifted(-0.5).since(time) + 0.5).abs() < 1e-9);
        assert_eq!(time.plus(Duration::from_millis(750)).seconds().to_string(), "1001");
        assert!(Timestamp::from_seconds(f64::NAN).is_none());
        assert!(Timestamp::from_seconds(1e300).is_none());
    }
}
