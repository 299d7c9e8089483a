//! Values of flags that carry a unit.

use std::time::Duration;

use chrono::TimeDelta;

/// Longest duration that a flag takes: a year and a day is beyond any use, and keeps date arithmetic inside its range.
const LONGEST_SECONDS: f64 = 366.0 * 86_400.0;

/// Reads a duration such as `200ms`, `1.5s`, `2m` or `1h`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let seconds = seconds(text)?;
    if seconds < 0.0 {
        return Err(format!("'{text}' is negative"));
    }
    Ok(Duration::from_secs_f64(seconds))
}

/// Reads a duration to be waited again and again: a millisecond at least.
pub(crate) fn interval(text: &str) -> Result<Duration, String> {
    let interval = duration(text)?;
    if interval < Duration::from_millis(1) {
        return Err(format!("'{text}' is less than a millisecond"));
    }
    Ok(interval)
}

/// Reads a duration that may be negative, to the microsecond.
pub(crate) fn offset(text: &str) -> Result<TimeDelta, String> {
    #[expect(clippy::cast_possible_truncation, reason = "seconds() bounds the value far below i64")]
    Ok(TimeDelta::microseconds((seconds(text)? * 1e6).round() as i64))
}

/// Reads an address of plain HTTP, which is all that the exporter speaks.
pub(crate) fn http_url(text: &str) -> Result<String, String> {
    if text.starts_with("http://") { Ok(text.to_owned()) } else { Err(format!("'{text}' does not begin with http://")) }
}

/// Reads a factor: finite and not negative.
pub(crate) fn factor(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() && value >= 0.0 => Ok(value),
        _ => Err(format!("'{text}' is not a number of at least 0")),
    }
}

fn seconds(text: &str) -> Result<f64, String> {
    let split = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let scale = match unit {
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err(format!("'{text}' needs a unit: ms, s, m or h, as in 200ms")),
    };
    match number.parse::<f64>() {
        Ok(value) if (value * scale).abs() <= LONGEST_SECONDS => Ok(value * scale),
        Ok(_) => Err(format!("'{text}' is longer than a year")),
        Err(_) => Err(format!("'{text}' is not a number and a unit, as in 200ms")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_units() {
        assert_eq!(duration("200ms"), Ok(Duration::from_millis(200)));
        assert_eq!(duration("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(duration("1h"), Ok(Duration::from_secs(3600)));
        assert_eq!(offset("-5s"), Ok(TimeDelta::seconds(-5)));
    }

    #[test]
    fn refuses_what_is_no_duration() {
        for text in ["", "5", "s", "5 s", "-5s", "1e9h", "nans", "infs", "5d"] {
            assert!(duration(text).is_err(), "{text}");
        }
        assert!(factor("-1").is_err() && factor("inf").is_err() && factor("nan").is_err());
        assert_eq!(factor("0.01"), Ok(0.01));
    }
}
