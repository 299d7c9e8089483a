//! From values to coordinates, and ticks that people read.

/// A linear scale.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl Scale {
    /// Values from `low` to `high` at coordinates from `from` to `to`. If `high` is not above `low`, everything lies at `from`.
    pub fn new((low, high): (f64, f64), (from, to): (f64, f64)) -> Self {
        Self { low, high, from, to }
    }

    /// The coordinate of `value`; values outside lie at the nearer end.
    pub fn at(&self, value: f64) -> f64 {
        if self.high > self.low && value.is_finite() {
            let part = ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0);
            self.from + part * (self.to - self.from)
        } else {
            self.from
        }
    }

    /// Returns true if `value` lies between the ends.
    pub fn holds(&self, value: f64) -> bool {
        (self.low..=self.high).contains(&value)
    }

    /// The lowest and the highest value.
    pub fn ends(&self) -> (f64, f64) {
        (self.low, self.high)
    }

    /// The first and the last coordinate.
    pub fn coordinates(&self) -> (f64, f64) {
        (self.from, self.to)
    }
}

/// Steps between ticks of seconds, from a minute on: what clocks show. Below and above them 1, 2 and 5 times a power of ten.
const CLOCK: [f64; 13] =
    [60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0, 7200.0, 14_400.0, 21_600.0, 43_200.0, 86_400.0, 172_800.0];

/// Round values from `low` to `high`, about `count` of them, of a plain number.
pub fn ticks(low: f64, high: f64, count: usize) -> Vec<f64> {
    along(low, high, decimal(high - low, count))
}

/// The same of a time in seconds: from a minute on in steps of a clock.
pub fn time_ticks(low: f64, high: f64, count: usize) -> Vec<f64> {
    let wanted = (high - low) / count.max(1) as f64;
    let step = if wanted <= 30.0 {
        // 50 s would be followed by 1 m 40 s.
        let step = decimal(high - low, count);
        if (step - 50.0).abs() < 1e-9 || step > 50.0 { 60.0 } else { step }
    } else {
        CLOCK.into_iter().find(|step| *step >= wanted).unwrap_or_else(|| decimal(high - low, count))
    };
    along(low, high, step)
}

/// The end of an axis from zero with these ticks, so that the last one lies at or above `high`.
pub fn axis_end(high: f64, ticks: &[f64]) -> f64 {
    match ticks {
        [zero, first, ..] => (high / (first - zero) - 1e-9).ceil() * (first - zero),
        _ => high,
    }
}

/// The smallest of 1, 2 and 5 times a power of ten that gives at most `count` steps.
fn decimal(length: f64, count: usize) -> f64 {
    let wanted = length / count.max(1) as f64;
    if !wanted.is_finite() || wanted <= 0.0 {
        return 1.0;
    }
    let power = 10f64.powf(wanted.log10().floor());
    let mut steps = [1.0, 2.0, 5.0, 10.0].into_iter().map(|factor| factor * power);
    steps.find(|step| *step >= wanted * 0.999_999).unwrap_or(power)
}

fn along(low: f64, high: f64, step: f64) -> Vec<f64> {
    if !(low.is_finite() && high.is_finite() && high >= low && step > 0.0) {
        return vec![];
    }
    let first = (low / step - 1e-9).ceil();
    let values = (0..1000).map(|index| (first + f64::from(index)) * step);
    let values = values.take_while(|value| *value <= high + step * 1e-6);
    values.map(|value| if value.abs() < step * 1e-9 { 0.0 } else { value }).collect()
}

/// A tick of a time in seconds, with its unit: `0`, `250 ms`, `1.5 s`, `2 m 30 s`, `1 h 05 m`.
pub fn time_label(seconds: f64) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "ticks are small and not negative there"
    )]
    let whole = seconds.round() as u64;
    match seconds {
        0.0 => "0".to_owned(),
        s if s < 1.0 => format!("{} ms", trimmed(&format!("{:.3}", s * 1000.0))),
        s if s < 60.0 => format!("{} s", trimmed(&format!("{s:.3}"))),
        s if s < 3600.0 && whole.is_multiple_of(60) => format!("{} m", whole / 60),
        s if s < 3600.0 => format!("{} m {:02} s", whole / 60, whole % 60),
        _ if whole.is_multiple_of(3600) => format!("{} h", whole / 3600),
        _ => format!("{} h {:02} m", whole / 3600, whole % 3600 / 60),
    }
}

/// A tick of a count.
pub fn count_label(value: f64) -> String {
    trimmed(&format!("{value:.2}")).to_owned()
}

/// A decimal number without zeros at its end.
fn trimmed(number: &str) -> &str {
    number.trim_end_matches('0').trim_end_matches('.')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ticks_are_round_and_have_units() {
        let labels = |high: f64| time_ticks(0.0, high, 6).into_iter().map(time_label).collect::<Vec<_>>();
        assert_eq!(labels(0.9), ["0", "200 ms", "400 ms", "600 ms", "800 ms"]);
        assert_eq!(labels(3.65), ["0", "1 s", "2 s", "3 s"]);
        assert_eq!(labels(11.0), ["0", "2 s", "4 s", "6 s", "8 s", "10 s"]);
        assert_eq!(labels(250.0), ["0", "1 m", "2 m", "3 m", "4 m"]);
        assert_eq!(labels(700.0), ["0", "2 m", "4 m", "6 m", "8 m", "10 m"]);
        assert_eq!(labels(9000.0), ["0", "30 m", "1 h", "1 h 30 m", "2 h", "2 h 30 m"]);
        assert_eq!(ticks(0.0, 4.0, 4).into_iter().map(count_label).collect::<Vec<_>>(), ["0", "1", "2", "3", "4"]);
        assert_eq!(time_ticks(0.0, 0.0, 5), [0.0]);
    }

    proptest! {
        #[test]
        fn ticks_lie_inside_and_are_few(low in -1e6..1e6f64, length in 0.0..1e6f64, count in 2..12usize) {
            for found in [ticks(low, low + length, count), time_ticks(low, low + length, count)] {
                prop_assert!(found.len() <= 2 * count + 2, "{:?}", found);
                let slack = length * 1e-3 + 1e-6;
                prop_assert!(found.iter().all(|tick| *tick >= low - slack && *tick <= low + length + slack));
            }
        }

        #[test]
        fn nothing_is_drawn_outside(low in -1e3..1e3f64, length in 0.0..1e3f64, value in -1e4..1e4f64) {
            let at = Scale::new((low, low + length), (10.0, 20.0)).at(value);
            prop_assert!((10.0..=20.0).contains(&at));
        }
    }
}
