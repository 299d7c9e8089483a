//! Between what a figure of the whole run lies, given what is missing from its samples.
//!
//! A figure of the jobs that have one says nothing of those that have none: a run whose slowest jobs never ended would
//! look quick. Here every job that was asked for is counted. One without a figure may lie anywhere from what is known of it
//! at least, so it stands at that in the lower bound and at infinity in the upper one.

use super::counters::Series;
use super::distribution::{Measured, P95_SAMPLES, P99_SAMPLES, quantile};

/// Between what a figure lies, both ends included. The upper end may be infinite.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Bounds {
    /// It is not less.
    pub low: f64,
    /// It is not more.
    pub high: f64,
}

/// One number that stands for a set of durations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Statistic {
    /// The mean.
    Mean,
    /// The median.
    P50,
    /// The 95th percentile.
    P95,
    /// The 99th percentile.
    P99,
    /// The largest.
    Max,
}

impl Statistic {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Mean, Self::P50, Self::P95, Self::P99, Self::Max];

    /// As it is typed: `p95`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mean => "mean",
            Self::P50 => "p50",
            Self::P95 => "p95",
            Self::P99 => "p99",
            Self::Max => "max",
        }
    }

    /// How many samples it needs to mean anything.
    pub const fn needs(self) -> usize {
        match self {
            Self::Mean | Self::P50 | Self::Max => 1,
            Self::P95 => P95_SAMPLES,
            Self::P99 => P99_SAMPLES,
        }
    }

    /// Of these values, which may be infinite; none of an empty set.
    pub fn of(self, mut values: Vec<f64>) -> Option<f64> {
        values.sort_by(f64::total_cmp);
        let at = |q: f64| quantile(&values, q);
        match self {
            Self::Mean => (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64),
            Self::P50 => at(0.5),
            Self::P95 => at(0.95),
            Self::P99 => at(0.99),
            Self::Max => at(1.0),
        }
    }
}

/// The durations of all jobs that were asked for: of those that have one, and what is known of the others.
#[derive(Clone, Debug, Default)]
pub struct Samples {
    /// The jobs that have one, by name.
    pub measured: Vec<(String, Measured)>,
    /// The jobs that have none, by name, and how long it would at least have been (seconds).
    pub lacking: Vec<(String, f64)>,
    /// Nobody knows how many jobs there should be, so any number may be missing.
    pub countless: bool,
}

impl Samples {
    /// The statistic of the jobs that have one, with its error; none where no job has.
    pub fn measured(&self, statistic: Statistic) -> Option<Measured> {
        let of = |part: fn(&Measured) -> f64| statistic.of(self.measured.iter().map(|(_, one)| part(one)).collect());
        Some(Measured::within(of(|one| one.seconds)?, of(|one| one.low)?, of(|one| one.high)?))
    }

    /// Between what the statistic of all jobs lies, exactly: every statistic rises with each of its samples, so the ends
    /// are those of the lowest and of the highest values that the jobs can have. None where there is no job at all.
    pub fn bounds(&self, statistic: Statistic) -> Option<Bounds> {
        let lows = self.measured.iter().map(|(_, one)| one.low).chain(self.lacking.iter().map(|(_, least)| *least));
        let highs = self.measured.iter().map(|(_, one)| one.high).chain(self.lacking.iter().map(|_| f64::INFINITY));
        let bounds = Bounds { low: statistic.of(lows.collect())?, high: statistic.of(highs.collect())? };
        Some(match statistic {
            _ if !self.countless => bounds,
            // More samples can only raise a maximum.
            Statistic::Max => Bounds { high: f64::INFINITY, ..bounds },
            _ => Bounds { low: 0.0, high: f64::INFINITY },
        })
    }
}

/// Between what the growth of `series`, all of them together, lies in a window that surely begins after `from` and surely
/// holds `inside` (Unix seconds); none where no series has a point.
///
/// Counters are only seen at their samples. What they grew between the samples inside of the window surely lies in it; what
/// they grew from the last sample before it to the last of all surely holds it. A counter without a sample before counts
/// from zero for the upper end, for it may have begun in the window, and from its first sample for the lower one, for it
/// may have begun long ago. Where one fell it began again, and what it counted just before nobody knows.
pub fn growth(series: &[Series], from: f64, inside: (f64, f64)) -> Option<Bounds> {
    let each = series.iter().filter_map(|one| growth_of_one(&one.points, from, inside));
    each.reduce(|one, other| Bounds { low: one.low + other.low, high: one.high + other.high })
}

fn growth_of_one(points: &[(f64, f64)], from: f64, inside: (f64, f64)) -> Option<Bounds> {
    let points: Vec<(f64, f64)> = points.iter().copied().filter(|(_, value)| value.is_finite()).collect();
    let (_, first) = *points.first()?;
    let before = points.iter().take_while(|(at, _)| *at <= from).count();
    let mut bounds = Bounds { low: 0.0, high: if before == 0 { first } else { 0.0 } };
    for (index, pair) in points.windows(2).enumerate() {
        let ((start, held), (end, value)) = (pair[0], pair[1]);
        let fell = value < held;
        let grown = if fell { value } else { value - held };
        if start >= inside.0 && end <= inside.1 {
            bounds.low += grown;
        }
        if index + 1 >= before {
            bounds.high += if fell { f64::INFINITY } else { grown };
        }
    }
    Some(bounds)
}

/// How densely a gauge was sampled.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Density {
    /// How many samples.
    pub samples: usize,
    /// The longest stretch without one, in seconds.
    pub longest_gap: f64,
}

/// How densely those of `series` that have the labels `key` were sampled from `from` to `to`; of several the sparsest, for
/// each may have held the highest value. None where none was sampled.
pub fn density(series: &[Series], by: &[String], key: &[String], from: f64, to: f64) -> Option<Density> {
    let those = series.iter().filter(|one| one.key(by).is_some_and(|found| found == key));
    let each = those.filter_map(|one| {
        let inside = one.points.iter().filter(|(at, value)| value.is_finite() && (from..=to).contains(at));
        let times: Vec<f64> = inside.map(|(at, _)| *at).collect();
        let edges = [from, to].map(|edge| Some(edge).filter(|edge| edge.abs() < f64::MAX));
        let all: Vec<f64> = edges[0].into_iter().chain(times.iter().copied()).chain(edges[1]).collect();
        let longest_gap = all.windows(2).map(|pair| pair[1] - pair[0]).fold(0.0, f64::max);
        (!times.is_empty()).then_some(Density { samples: times.len(), longest_gap })
    });
    each.reduce(|one, other| if other.longest_gap > one.longest_gap { other } else { one })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn samples(measured: &[(f64, f64)], lacking: &[f64]) -> Samples {
        let within =
            |(low, high): &(f64, f64)| ("a".to_owned(), Measured::within(f64::midpoint(*low, *high), *low, *high));
        Samples {
            measured: measured.iter().map(within).collect(),
            lacking: lacking.iter().map(|least| ("b".to_owned(), *least)).collect(),
            countless: false,
        }
    }

    #[test]
    fn a_job_without_a_figure_may_lie_anywhere() {
        let of = samples(&[(1.0, 1.0), (2.0, 2.5), (3.0, 3.0), (4.0, 4.0)], &[0.0]);
        let bounds = |statistic| of.bounds(statistic).map(|bounds| (bounds.low, bounds.high));
        assert_eq!(bounds(Statistic::P50), Some((2.0, 3.0)));
        assert_eq!(bounds(Statistic::Max), Some((4.0, f64::INFINITY)));
        assert_eq!(bounds(Statistic::Mean), Some((2.0, f64::INFINITY)));
        let given_up = samples(&[(1.0, 1.0)], &[600.0]);
        assert_eq!(given_up.bounds(Statistic::Max).map(|bounds| bounds.low), Some(600.0));
        assert_eq!(samples(&[], &[]).bounds(Statistic::Max), None);
    }

    #[test]
    fn where_nobody_knows_how_many_there_are_only_the_largest_is_bounded() {
        let of = Samples { countless: true, ..samples(&[(1.0, 1.0), (2.0, 2.0)], &[]) };
        assert_eq!(of.bounds(Statistic::P50), Some(Bounds { low: 0.0, high: f64::INFINITY }));
        assert_eq!(of.bounds(Statistic::Max), Some(Bounds { low: 2.0, high: f64::INFINITY }));
    }

    proptest! {
        #[test]
        fn wherever_the_missing_jobs_lie_the_statistic_stays_within_its_bounds(
            measured in prop::collection::vec((0.0..100.0f64, 0.0..5.0f64, 0.0..=1.0f64), 1..30),
            lacking in prop::collection::vec((0.0..50.0f64, 0.0..1000.0f64), 0..6),
            which in 0..Statistic::ALL.len(),
        ) {
            let statistic = Statistic::ALL[which];
            let of = samples(
                &measured.iter().map(|(low, width, _)| (*low, low + width)).collect::<Vec<_>>(),
                &lacking.iter().map(|(least, _)| *least).collect::<Vec<_>>(),
            );
            let bounds = of.bounds(statistic).unwrap();
            let known = measured.iter().map(|(low, width, share)| low + width * share);
            let truth = statistic.of(known.chain(lacking.iter().map(|(least, more)| least + more)).collect()).unwrap();
            prop_assert!(bounds.low <= truth + 1e-9 && truth <= bounds.high + 1e-9, "{truth} {bounds:?}");
            if lacking.is_empty() {
                let measured = of.measured(statistic).unwrap();
                prop_assert_eq!((measured.low, measured.high), (bounds.low, bounds.high));
            }
        }

        #[test]
        fn the_bounds_are_the_tightest_there_are(
            measured in prop::collection::vec(0.0..100.0f64, 1..30),
            missing in 1..6usize,
            which in 0..Statistic::ALL.len(),
        ) {
            let statistic = Statistic::ALL[which];
            let of = samples(&measured.iter().map(|one| (*one, *one)).collect::<Vec<_>>(), &vec![0.0; missing]);
            let bounds = of.bounds(statistic).unwrap();
            let with = |value: f64| {
                let all = measured.iter().copied().chain(std::iter::repeat_n(value, missing));
                statistic.of(all.collect()).unwrap()
            };
            prop_assert!((bounds.low - with(0.0)).abs() < 1e-9, "it is reached");
            if bounds.high.is_finite() {
                prop_assert!((bounds.high - with(1e9)).abs() < 1e-6, "it is reached");
            } else {
                prop_assert!(with(1e9) > 1e6, "nothing bounds it");
            }
        }
    }

    fn points(points: &[(f64, f64)]) -> Series {
        Series { points: points.to_vec(), ..Series::default() }
    }

    #[test]
    fn growth_lies_between_what_was_seen_inside_and_what_was_seen_around() {
        let whole = points(&[(0.0, 10.0), (8.0, 12.0), (12.0, 13.0), (18.0, 16.0), (25.0, 20.0)]);
        assert_eq!(growth(&[whole], 10.0, (10.0, 20.0)), Some(Bounds { low: 3.0, high: 8.0 }));
        let still = points(&[(0.0, 10.0), (12.0, 10.0), (25.0, 10.0)]);
        assert_eq!(growth(std::slice::from_ref(&still), 10.0, (10.0, 20.0)), Some(Bounds { low: 0.0, high: 0.0 }));
        let born = points(&[(12.0, 5.0), (18.0, 7.0)]);
        assert_eq!(growth(&[still, born], 10.0, (10.0, 20.0)), Some(Bounds { low: 2.0, high: 7.0 }));
        let fell = points(&[(0.0, 10.0), (12.0, 11.0), (18.0, 4.0)]);
        assert_eq!(growth(&[fell], 10.0, (10.0, 20.0)), Some(Bounds { low: 4.0, high: f64::INFINITY }));
        assert_eq!(growth(&[points(&[(5.0, f64::NAN)])], 0.0, (0.0, 9.0)), None);
    }

    #[test]
    fn what_fell_before_the_window_is_not_in_the_way() {
        let fell = points(&[(0.0, 10.0), (2.0, 1.0), (12.0, 3.0), (18.0, 4.0)]);
        assert_eq!(growth(&[fell], 10.0, (10.0, 20.0)), Some(Bounds { low: 1.0, high: 3.0 }));
    }

    #[test]
    fn the_longest_gap_counts_the_edges_too() {
        let by = ["queue".to_owned()];
        let key = ["a".to_owned()];
        let labels = [("queue".to_owned(), "a".to_owned())].into_iter().collect();
        let of = Series { labels, points: vec![(1.0, 0.0), (2.0, f64::NAN), (3.0, 1.0), (9.0, 0.0), (90.0, 5.0)] };
        let found = density(std::slice::from_ref(&of), &by, &key, 0.0, 13.0);
        assert_eq!(found, Some(Density { samples: 3, longest_gap: 6.0 }));
        assert_eq!(density(std::slice::from_ref(&of), &by, &key, 20.0, 30.0), None);
        assert_eq!(density(&[of], &by, &key, f64::MIN, f64::MAX).map(|it| it.longest_gap), Some(81.0));
    }
}
