//! Durations and rates as people type and read them: `30s`, `1m30s`, `250ms`, `5/s`.

use std::cmp::Ordering;
use std::time::Duration;

use crate::record::Timestamp;

/// The longest duration and the slowest rate that is taken, ten years: it can be added to any clock's time.
const LONGEST: f64 = 10.0 * 365.25 * 86_400.0;

/// Reads a duration such as `250ms`, `30s`, `1.5m`, `2h` or `1m30s`. A bare number has no unit and is refused, and so is what
/// takes longer than ten years.
pub fn duration(text: &str) -> Result<Duration, String> {
    let refused = || format!("`{text}` is not a duration: write a number and ms, s, m or h, such as 30s or 1m30s");
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(refused());
    }
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(refused)?;
        let unit_length = rest[digits..].find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len() - digits);
        let (number, tail) = rest.split_at(digits);
        let (unit, tail) = tail.split_at(unit_length);
        let scale = match unit {
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return Err(refused()),
        };
        seconds += number.parse::<f64>().map_err(|_| refused())? * scale;
        rest = tail;
    }
    if seconds > LONGEST {
        return Err(format!("`{text}` is more than ten years"));
    }
    Duration::try_from_secs_f64(seconds).map_err(|_| refused())
}

/// Returns the length in seconds of a unit of time as metrics name it: `seconds` or `s`, `milliseconds` or `ms`, and so on.
pub fn unit_seconds(unit: &str) -> Option<f64> {
    match unit {
        "s" | "second" | "seconds" => Some(1.0),
        "ms" | "millisecond" | "milliseconds" => Some(1e-3),
        "us" | "µs" | "microsecond" | "microseconds" => Some(1e-6),
        "ns" | "nanosecond" | "nanoseconds" => Some(1e-9),
        "min" | "minute" | "minutes" => Some(60.0),
        "h" | "hour" | "hours" => Some(3600.0),
        _ => None,
    }
}

/// Like [`duration`], but refuses zero where it would mean nothing.
pub fn positive_duration(text: &str) -> Result<Duration, String> {
    duration(text)
        .and_then(|value| if value.is_zero() { Err(format!("`{text}` must be more than zero")) } else { Ok(value) })
}

/// Reads a rate such as `5/s`, `30/m` or `100/h`; the answer is in events a second.
pub fn rate(text: &str) -> Result<f64, String> {
    let refused = || format!("`{text}` is not a rate: write a number and /s, /min or /h, such as 5/s");
    let (number, unit) = text.trim().split_once('/').ok_or_else(refused)?;
    let scale = match unit {
        "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        _ => return Err(refused()),
    };
    let rate = number.parse::<f64>().map_err(|_| refused())? / scale;
    if rate.is_finite() && rate * LONGEST >= 1.0 { Ok(rate) } else { Err(refused()) }
}

/// Reads a share such as `5%` or `0.5 %`, less than the whole; the answer is a part of 1. A bare number has no unit and is
/// refused.
pub fn percent(text: &str) -> Result<f64, String> {
    let refused = || format!("`{text}` is not a percentage below 100: write a number and %, such as 5%");
    let number = text.trim().strip_suffix('%').ok_or_else(refused)?;
    let percent = number.trim_end().parse::<f64>().map_err(|_| refused())?;
    if (0.0..100.0).contains(&percent) { Ok(percent / 100.0) } else { Err(refused()) }
}

/// A moment as people type it: `now`, `-5m` (that long ago), RFC 3339, or Unix seconds. Kept as typed until the run's
/// clock is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// At this time.
    At(Timestamp),
    /// This long before now.
    Ago(Duration),
}

impl Moment {
    /// Reads what was typed.
    pub fn parse(text: &str) -> Result<Self, String> {
        let refused =
            || format!("`{text}` is not a time: write Unix seconds, RFC 3339 such as 2026-05-20T22:30:00Z, -5m or now");
        if text == "now" {
            return Ok(Self::Ago(Duration::ZERO));
        }
        if let Ok(seconds) = text.parse::<f64>() {
            return Timestamp::from_seconds(seconds).map(Self::At).ok_or_else(|| {
                let hint = if seconds.is_finite() && seconds > 0.0 {
                    " (it is out of range: are these milliseconds?)"
                } else {
                    ""
                };
                refused() + hint
            });
        }
        match text.strip_prefix('-') {
            Some(ago) => duration(ago).map(Self::Ago).map_err(|_| refused()),
            None => text.parse().map(Self::At).map_err(|_| refused()),
        }
    }

    /// The time that is meant, if it is `now` now.
    pub fn resolve(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(time) => time,
            Self::Ago(ago) => now.shifted(-ago.as_secs_f64()),
        }
    }
}

/// A rate with about three digits.
pub fn decimal(value: f64) -> String {
    match value {
        v if v >= 100.0 => format!("{v:.0}"),
        v if v >= 10.0 || v == 0.0 => format!("{v:.1}"),
        v if v >= 1.0 => format!("{v:.2}"),
        v => format!("{v:.3}"),
    }
}

/// A time that goes by while a person looks on, in whole seconds: `7 s`, `2 m 05 s`.
pub fn whole(time: Duration) -> String {
    let rounded = time.as_secs_f64().round();
    if rounded < 60.0 { format!("{rounded:.0} s") } else { seconds(rounded) }
}

/// Seconds as a person reads them: `320 µs`, `85 ms`, `1.23 s`, `2 m 05 s`, `1 h 02 m`.
pub fn seconds(value: f64) -> String {
    rounded_seconds(value, 0).0
}

/// Seconds with as many digits as it takes to see on which side of `limit` they lie.
pub fn seconds_against(value: f64, limit: f64) -> String {
    against(value, limit, |more| rounded_seconds(value, more))
}

/// A number as [`decimal`] rounds it, with as many digits as it takes to see on which side of `limit` it lies.
pub fn decimal_against(value: f64, limit: f64) -> String {
    against(value, limit, |more| {
        let text = decimal(value);
        let decimals = text.split_once('.').map_or(0, |(_, fraction)| fraction.len()) + more;
        let text = format!("{value:.decimals$}");
        let shown = text.parse().unwrap_or(value);
        (text, shown)
    })
}

/// The first of the renderings with more and more digits whose shown value lies on the same side of `limit` as `value`.
fn against(value: f64, limit: f64, render: impl Fn(usize) -> (String, f64)) -> String {
    /// Records keep microseconds: what is nearer than half of one is equal.
    const EQUAL: f64 = 5e-7;
    let side = |value: f64| {
        if (value - limit).abs() <= EQUAL { Ordering::Equal } else { value.total_cmp(&limit) }
    };
    let wanted = side(value);
    let renderings = (0..=6).map(render);
    let mut fitting = renderings.skip_while(|(_, shown)| limit.is_finite() && side(*shown) != wanted);
    fitting.next().map_or_else(|| value.to_string(), |(text, _)| text)
}

/// The text of a duration with `more` digits than usual, and the value that it shows.
fn rounded_seconds(value: f64, more: usize) -> (String, f64) {
    let magnitude = value.abs();
    let in_unit = |scale: f64, decimals: usize, unit: &str| {
        let text = format!("{:.*}", decimals + more, value * scale);
        let shown = text.parse::<f64>().unwrap_or(value * scale) / scale;
        (format!("{text} {unit}"), shown)
    };
    if !value.is_finite() {
        return ("unknown".to_owned(), value);
    }
    match magnitude {
        0.0 => ("0 s".to_owned(), 0.0),
        ..0.001 => in_unit(1e6, 0, "µs"),
        ..0.9995 => in_unit(1e3, 0, "ms"),
        ..9.995 => in_unit(1.0, 2, "s"),
        ..59.95 => in_unit(1.0, 1, "s"),
        _ => {
            let sign = if value < 0.0 { "-" } else { "" };
            // From an hour on the usual text has no seconds.
            let hours = if more == 0 { magnitude.round() } else { magnitude } >= 3600.0;
            let decimals = if hours { more.saturating_sub(1) } else { more };
            let scale = 10_f64.powi(i32::try_from(decimals).unwrap_or_default());
            let shown = (magnitude * scale).round() / scale;
            let (minutes, rest) = ((shown / 60.0).floor(), shown % 60.0);
            let width = if decimals == 0 { 2 } else { decimals + 3 };
            let text = match (hours, more) {
                (false, _) if minutes < 1.0 => format!("{rest:.decimals$} s"),
                (false, _) => format!("{minutes} m {rest:0width$.decimals$} s"),
                (true, 0) => format!("{} h {:02} m", (minutes / 60.0).floor(), minutes % 60.0),
                (true, _) => {
                    format!("{} h {:02} m {rest:0width$.decimals$} s", (minutes / 60.0).floor(), minutes % 60.0)
                }
            };
            let told = if hours && more == 0 { minutes * 60.0 } else { shown };
            (format!("{sign}{text}"), told.copysign(value))
        }
    }
}

/// `1 message`, `3 messages`.
pub fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_that_goes_by_is_told_in_whole_seconds() {
        let told = [0, 1499, 59_400, 59_600, 125_000].map(|millis| whole(Duration::from_millis(millis)));
        assert_eq!(told, ["0 s", "1 s", "59 s", "1 m 00 s", "2 m 05 s"]);
    }

    #[test]
    fn durations_need_a_unit() {
        assert_eq!(duration("1m30s").unwrap(), Duration::from_secs(90));
        assert_eq!(duration("250ms").unwrap(), Duration::from_millis(250));
        assert_eq!(duration("1.5h").unwrap(), Duration::from_secs(5400));
        for bad in ["", "30", "s", "1x", "-1s", "1e3s", "1s2", "1.2.3s", "87661h", "9999999999999999999s"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
        assert!(positive_duration("0s").is_err());
    }

    #[test]
    fn rates_need_a_unit_and_a_sense() {
        assert!((rate("30/m").unwrap() - 0.5).abs() < 1e-12);
        for bad in ["5", "0/s", "-1/s", "NaN/s", "5/d", "inf/s", "1e-300/s"] {
            assert!(rate(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn percentages_need_a_sign_and_are_less_than_the_whole() {
        assert!((percent("5%").unwrap() - 0.05).abs() < 1e-12 && percent("0.5 %").is_ok() && percent("0%").is_ok());
        for bad in ["5", "-1%", "100%", "NaN%", "%", "5%%"] {
            assert!(percent(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn moments_are_read_as_people_type_them() {
        let now = Timestamp::from_seconds(1000.0).unwrap();
        let read = |text| Moment::parse(text).map(|moment| moment.resolve(now).seconds());
        assert_eq!(read("now"), Ok(1000.0));
        assert_eq!(read("-5m"), Ok(700.0));
        assert_eq!(read("12.5"), Ok(12.5));
        assert_eq!(read("1970-01-01T00:00:10Z"), Ok(10.0));
        assert!(Moment::parse("1779316200000").unwrap_err().ends_with("are these milliseconds?)"));
        for bad in ["", "soon", "-5", "5m", "-inf", "2026-05-20"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn seconds_read_well() {
        let read: Vec<_> = [0.0, 0.000_32, 0.085, 0.9996, 1.234, 12.34, 125.0, 3725.0, -0.5].map(seconds).to_vec();
        assert_eq!(read, ["0 s", "320 µs", "85 ms", "1.00 s", "1.23 s", "12.3 s", "2 m 05 s", "1 h 02 m", "-500 ms"]);
    }

    #[test]
    fn a_value_is_shown_on_its_side_of_a_limit() {
        for (value, limit, expected) in [
            (19.9996, 20.0, "19.9996 s"),
            (20.0004, 20.0, "20.0004 s"),
            (20.0, 20.0, "20.0 s"),
            (19.0, 20.0, "19.0 s"),
            (19.96, 20.0, "19.96 s"),
            (59.9996, 60.0, "59.9996 s"),
            (60.0004, 60.0, "1 m 00.0004 s"),
            (0.9996, 1.0, "0.9996 s"),
            (1.0004, 1.0, "1.0004 s"),
            (0.249_999, 0.25, "249.999 ms"),
            (3600.4, 3600.0, "1 h 00 m 00.4 s"),
            (3599.7, 3600.0, "59 m 59.7 s"),
            (1.0, f64::INFINITY, "1.00 s"),
        ] {
            assert_eq!(seconds_against(value, limit), expected);
        }
        assert_eq!(decimal_against(9.9996, 10.0), "9.9996");
        assert_eq!(decimal_against(9.5, 10.0), "9.50");
        assert_eq!(decimal_against(100.3, 100.0), "100.3");
    }
}
