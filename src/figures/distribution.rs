//! Durations that are only known within bounds, and distributions of them.

use crate::units;

/// A duration in seconds and the bounds between which the truth lies: `low <= seconds <= high`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Measured {
    /// The best estimate.
    pub seconds: f64,
    /// The truth is not less.
    pub low: f64,
    /// The truth is not more.
    pub high: f64,
}

impl Measured {
    /// A duration taken on one clock at both ends.
    pub const fn exact(seconds: f64) -> Self {
        Self { seconds, low: seconds, high: seconds }
    }

    /// A duration between `low` and `high`; an estimate outside of them is moved to the nearer one.
    pub fn within(seconds: f64, low: f64, high: f64) -> Self {
        let high = high.max(low);
        Self { seconds: seconds.max(low).min(high), low, high }
    }

    /// Returns the largest possible distance between the truth and the estimate.
    pub fn error(self) -> f64 {
        (self.high - self.seconds).max(self.seconds - self.low)
    }

    /// The estimate and, if they differ, its errors upwards and downwards: `12.3 s (+0 s / −180 ms)`.
    pub fn text(self) -> String {
        self.text_against(f64::INFINITY)
    }

    /// The same with as many digits as it takes to see on which side of `limit` the estimate lies.
    pub fn text_against(self, limit: f64) -> String {
        let (more, less) = (self.high - self.seconds, self.seconds - self.low);
        let value = units::seconds_against(self.seconds, limit);
        if more.max(less) < 5e-7 {
            value
        } else if (more - less).abs() < 1e-6 {
            format!("{value} (± {})", units::seconds(more.max(less)))
        } else {
            // Bounds that differ by less than is shown would only look like a slip.
            match (units::seconds(positive(more)), units::seconds(positive(less))) {
                (more, less) if more == less => format!("{value} (± {more})"),
                (more, less) => format!("{value} (+{more} / −{less})"),
            }
        }
    }
}

/// A duration that may be unknown, in the room of one that is known: a report holds a dozen of them for each job.
#[derive(Clone, Copy, Debug)]
pub(super) struct MaybeMeasured(Measured);

impl MaybeMeasured {
    /// The duration, if it is known.
    pub(super) fn get(self) -> Option<Measured> {
        (!self.0.seconds.is_nan()).then_some(self.0)
    }
}

impl PartialEq for MaybeMeasured {
    fn eq(&self, other: &Self) -> bool {
        self.get() == other.get()
    }
}

impl From<Option<Measured>> for MaybeMeasured {
    fn from(measured: Option<Measured>) -> Self {
        Self(measured.unwrap_or(Measured::exact(f64::NAN)))
    }
}

impl Default for MaybeMeasured {
    fn default() -> Self {
        None.into()
    }
}

/// Rounding noise of binary fractions is no error.
fn positive(seconds: f64) -> f64 {
    if seconds < 5e-7 { 0.0 } else { seconds }
}

/// The `q`-quantile of `sorted`, by linear interpolation between order statistics: type 7 of Hyndman and Fan, "Sample
/// quantiles in statistical packages", The American Statistician 50 (1996). None of an empty set. Values may be infinite.
pub fn quantile(sorted: &[f64], q: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let position = q.clamp(0.0, 1.0) * last as f64;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and the last index")]
    let below = (position.floor() as usize).min(last);
    let (lower, upper, share) = (sorted[below], sorted[(below + 1).min(last)], position - below as f64);
    // Without a share of the upper one, and between two infinite ones, the formula would multiply zero with infinity.
    Some(if share > 0.0 && lower < upper { lower + share * (upper - lower) } else { lower })
}

/// The median distance between successive times, of two in the middle the longer; none of fewer than two times.
pub fn median_distance(times: impl Iterator<Item = f64>) -> Option<f64> {
    let times: Vec<f64> = times.collect();
    let mut distances: Vec<f64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    distances.sort_by(f64::total_cmp);
    distances.get(distances.len() / 2).copied()
}

/// One number that stands for a set of durations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
pub enum Statistic {
    /// The mean.
    Mean,
    /// The median.
    P50,
    /// The 90th percentile.
    P90,
    /// The 95th percentile.
    P95,
    /// The 99th percentile.
    P99,
    /// The largest.
    Max,
}

impl Statistic {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Mean, Self::P50, Self::P90, Self::P95, Self::P99, Self::Max];

    /// As it is typed: `p95`.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// Returns the number of samples that it needs to mean anything: a percentile as many as have one beyond it. With fewer it
    /// is only the largest of them by another name.
    pub const fn needs(self) -> usize {
        match self {
            Self::Mean | Self::P50 | Self::Max => 1,
            Self::P90 => 10,
            Self::P95 => 20,
            Self::P99 => 100,
        }
    }

    /// Of these values, which may be infinite; none of an empty set.
    pub fn compute(self, mut values: Vec<f64>) -> Option<f64> {
        values.sort_by(f64::total_cmp);
        let at = |q: f64| quantile(&values, q);
        match self {
            Self::Mean => (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64),
            Self::P50 => at(0.5),
            Self::P90 => at(0.9),
            Self::P95 => at(0.95),
            Self::P99 => at(0.99),
            Self::Max => at(1.0),
        }
    }
}

/// A set of durations in a few numbers. Each is bounded: a quantile, a maximum and a mean rise with every sample, so the
/// same number of the low bounds and of the high bounds enclose the truth.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Distribution {
    /// Number of samples.
    pub count: usize,
    /// The mean.
    pub mean: Measured,
    /// The median.
    pub p50: Measured,
    /// The largest.
    pub max: Measured,
    /// The 90th percentile, of 10 samples or more.
    pub p90: Option<Measured>,
    /// The 95th percentile, of 20 samples or more.
    pub p95: Option<Measured>,
    /// The 99th percentile, of 100 samples or more.
    pub p99: Option<Measured>,
}

impl Distribution {
    /// The distribution of `samples`; none of an empty set.
    pub fn from_samples(samples: &[Measured]) -> Option<Self> {
        if samples.is_empty() {
            return None;
        }
        let sorted = |part: fn(&Measured) -> f64| {
            let mut values: Vec<f64> = samples.iter().map(part).collect();
            values.sort_by(f64::total_cmp);
            values
        };
        let (best, low, high) = (sorted(|m| m.seconds), sorted(|m| m.low), sorted(|m| m.high));
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        let at = |q: f64| {
            let part = |values: &[f64]| quantile(values, q).unwrap_or_default();
            Measured::within(part(&best), part(&low), part(&high))
        };
        let enough = |statistic: Statistic| samples.len() >= statistic.needs();
        Some(Self {
            count: samples.len(),
            mean: Measured::within(mean(&best), mean(&low), mean(&high)),
            p50: at(0.5),
            max: at(1.0),
            p90: enough(Statistic::P90).then(|| at(0.9)),
            p95: enough(Statistic::P95).then(|| at(0.95)),
            p99: enough(Statistic::P99).then(|| at(0.99)),
        })
    }

    /// A statistic; none of a percentile that needs more samples.
    pub fn statistic(&self, statistic: Statistic) -> Option<Measured> {
        match statistic {
            Statistic::Mean => Some(self.mean),
            Statistic::P50 => Some(self.p50),
            Statistic::P90 => self.p90,
            Statistic::P95 => self.p95,
            Statistic::P99 => self.p99,
            Statistic::Max => Some(self.max),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn errors_are_shown_as_far_as_there_are_any() {
        assert_eq!(Measured::exact(12.34).text(), "12.3 s");
        assert_eq!(Measured::within(2.0, 1.5, 2.5).text(), "2.00 s (± 500 ms)");
        assert_eq!(Measured::within(2.0, 1.82, 2.0).text(), "2.00 s (+0 s / −180 ms)");
        assert_eq!(Measured::within(2.0, 1.9954, 2.0049).text(), "2.00 s (± 5 ms)");
        assert!((Measured::within(9.0, 1.0, 2.0).error() - 1.0).abs() < 1e-12);
    }

    #[test]
    fn known_quantiles() {
        // The textbook example of type 7: 1 to 4.
        assert_eq!(quantile(&[1.0, 2.0, 3.0, 4.0], 0.5), Some(2.5));
        assert_eq!(quantile(&[1.0, 2.0, 3.0, 4.0], 0.25), Some(1.75));
        assert_eq!(quantile(&[7.0], 0.99), Some(7.0));
        assert_eq!(quantile(&[], 0.5), None);
    }

    #[test]
    fn percentiles_wait_for_enough_samples() {
        let of = |n: u32| {
            Distribution::from_samples(&(0..n).map(|i| Measured::exact(f64::from(i))).collect::<Vec<_>>()).unwrap()
        };
        assert!(of(9).p90.is_none() && of(10).p90.is_some());
        assert!(of(19).p95.is_none() && of(20).p95.is_some() && of(99).p99.is_none() && of(100).p99.is_some());
        assert!(Distribution::from_samples(&[]).is_none());
    }

    proptest! {
        #[test]
        fn quantiles_agree_with_a_sort(
            mut values in prop::collection::vec(-1e6..1e6f64, 2..200),
            place in any::<prop::sample::Index>(),
            part in 0.0..=1.0f64,
        ) {
            values.sort_by(f64::total_cmp);
            let below = place.index(values.len() - 1);
            let found = quantile(&values, (below as f64 + part) / (values.len() - 1) as f64).unwrap();
            let expected = values[below] * (1.0 - part) + values[below + 1] * part;
            // Between two neighbours a quantile moves by their distance, so rounding the position costs little.
            prop_assert!((found - expected).abs() < 1e-3, "{} {}", found, expected);
            prop_assert!(values[0] <= found && found <= values[values.len() - 1]);
        }

        #[test]
        fn the_truth_lies_within_the_bounds_of_every_number(
            samples in prop::collection::vec((0.0..100.0f64, 0.0..5.0f64, 0.0..5.0f64, 0.0..=1.0f64), 1..150)
        ) {
            let bounded: Vec<_> = samples.iter().map(|(s, l, h, _)| Measured::within(*s, s - l, s + h)).collect();
            let truth: Vec<_> = samples.iter().map(|(s, l, h, at)| Measured::exact(s - l + at * (l + h))).collect();
            let (bounded, truth) = (Distribution::from_samples(&bounded).unwrap(), Distribution::from_samples(&truth).unwrap());
            for (found, true_value) in [(bounded.mean, truth.mean), (bounded.p50, truth.p50), (bounded.max, truth.max)] {
                prop_assert!(found.low - 1e-9 <= true_value.seconds && true_value.seconds <= found.high + 1e-9);
            }
        }
    }
}
