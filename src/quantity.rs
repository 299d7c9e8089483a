//! Values of metrics with their units: conversion between units, and texts that a person reads.
//!
//! A unit is any word. Those of time and of bytes are known, alone and with `/s`: they are converted into each other, and shown in
//! the unit that gives a short number.

use crate::units::{decimal, seconds, unit_seconds};

/// Units of bytes, with their size in bytes.
const BYTES: [(&str, f64); 10] = [
    ("B", 1.0),
    ("bytes", 1.0),
    ("kB", 1e3),
    ("MB", 1e6),
    ("GB", 1e9),
    ("TB", 1e12),
    ("KiB", 1024.0),
    ("MiB", 1_048_576.0),
    ("GiB", 1_073_741_824.0),
    ("TiB", 1_099_511_627_776.0),
];
/// The units in which bytes are shown, the largest first.
const SHOWN: [&str; 4] = ["TiB", "GiB", "MiB", "KiB"];

/// The size of `unit` in bytes.
fn bytes(unit: &str) -> Option<f64> {
    BYTES.iter().find(|(known, _)| *known == unit).map(|(_, size)| *size)
}

/// The factor that converts a value in the unit `from` to the unit `to`; none if the two do not measure the same.
pub fn factor(from: &str, to: &str) -> Option<f64> {
    if from == to {
        return Some(1.0);
    }
    let by_size = |size: fn(&str) -> Option<f64>| Some(size(from)? / size(to)?);
    match (from.strip_suffix("/s"), to.strip_suffix("/s")) {
        (Some(from), Some(to)) => bytes(from).zip(bytes(to)).map(|(from, to)| from / to),
        (None, None) => by_size(unit_seconds).or_else(|| by_size(bytes)),
        _ => None,
    }
}

/// Splits a value such as `300W`, `-5 °C` or `2.5 GiB` into the number and the unit, which may be empty.
pub fn split(text: &str) -> Option<(f64, &str)> {
    let text = text.trim();
    let end = text.find(|c: char| !(c.is_ascii_digit() || "+-.".contains(c))).unwrap_or(text.len());
    let number = text[..end].parse::<f64>().ok().filter(|number| number.is_finite())?;
    Some((number, text[end..].trim()))
}

/// The value as a person reads it: `312 W`, `1.25 GiB`, `85 ms`.
pub fn text(value: f64, unit: Option<&str>) -> String {
    let Some(unit) = unit else { return number(value) };
    if let Some(size) = unit_seconds(unit) {
        return seconds(value * size);
    }
    let (plain, suffix) = unit.strip_suffix("/s").map_or((unit, ""), |plain| (plain, "/s"));
    if let Some(size) = bytes(plain) {
        let all = value * size;
        let larger =
            SHOWN.iter().filter_map(|shown| Some((*shown, bytes(shown)?))).find(|(_, size)| all.abs() >= *size);
        return match larger {
            Some((shown, size)) => format!("{} {shown}{suffix}", number(all / size)),
            None => format!("{} B{suffix}", number(all)),
        };
    }
    if unit == "%" { format!("{} %", number(value)) } else { format!("{} {unit}", number(value)) }
}

/// A number with about three digits; whole numbers below a million as they are.
fn number(value: f64) -> String {
    let is_whole = (value - value.round()).abs() < 1e-9 && value.abs() < 1e6;
    match value {
        f64::INFINITY => "+Inf".to_owned(),
        f64::NEG_INFINITY => "\u{2212}Inf".to_owned(),
        _ if is_whole => format!("{value:.0}"),
        value if value < 0.0 => format!("\u{2212}{}", decimal(-value)),
        value => decimal(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_of_time_and_bytes_are_converted() {
        assert_eq!(factor("W", "W"), Some(1.0));
        assert_eq!(factor("ms", "s"), Some(0.001));
        assert_eq!(factor("GiB", "bytes"), Some(1_073_741_824.0));
        assert_eq!(factor("MB/s", "bytes/s"), Some(1e6));
        for (from, to) in [("W", "kW"), ("GiB", "s"), ("MB/s", "bytes"), ("", "W")] {
            assert_eq!(factor(from, to), None, "{from} {to}");
        }
    }

    #[test]
    fn a_value_is_split_from_its_unit() {
        for (text, expected) in [
            ("300W", Some((300.0, "W"))),
            (" -5 °C", Some((-5.0, "°C"))),
            ("2.5 GiB", Some((2.5, "GiB"))),
            ("7", Some((7.0, ""))),
            ("W", None),
            ("", None),
            ("1-2", None),
        ] {
            assert_eq!(split(text), expected, "{text}");
        }
    }

    #[test]
    fn values_read_well() {
        for (value, unit, expected) in [
            (312.0, Some("W"), "312 W"),
            (1_342_177_280.0, Some("bytes"), "1.25 GiB"),
            (2048.0, Some("MiB"), "2 GiB"),
            (12.0, Some("B/s"), "12 B/s"),
            (85.0, Some("ms"), "85 ms"),
            (93.5, Some("%"), "93.5 %"),
            (-5.0, Some("°C"), "-5 °C"),
            (0.25, None, "0.250"),
        ] {
            assert_eq!(text(value, unit), expected);
        }
    }
}
