//! Bounds of a statistic of the whole run, given the jobs that are missing from its samples.
//!
//! A figure of the jobs that have one says nothing of those that have none: a run whose slowest jobs never ended would
//! look quick. Here every job that was asked for is counted. One without a figure may lie anywhere from what is known of it
//! at least, so it stands at that in the lower bound and at infinity in the upper one.

use super::distribution::{Measured, Statistic};
use crate::statistics::Bounds;

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
    /// The statistic of the jobs that have one, with its error; none if no job has.
    pub fn measured(&self, statistic: Statistic) -> Option<Measured> {
        let of =
            |part: fn(&Measured) -> f64| statistic.compute(self.measured.iter().map(|(_, one)| part(one)).collect());
        Some(Measured::within(of(|one| one.seconds)?, of(|one| one.low)?, of(|one| one.high)?))
    }

    /// Between what the statistic of all jobs lies, exactly: every statistic rises with each of its samples, so the ends
    /// are those of the lowest and of the highest values that the jobs can have. None where there is no job at all.
    pub fn bounds(&self, statistic: Statistic) -> Option<Bounds> {
        let lows = self.measured.iter().map(|(_, one)| one.low).chain(self.lacking.iter().map(|(_, least)| *least));
        let highs = self.measured.iter().map(|(_, one)| one.high).chain(self.lacking.iter().map(|_| f64::INFINITY));
        let bounds = Bounds { low: statistic.compute(lows.collect())?, high: statistic.compute(highs.collect())? };
        Some(match statistic {
            _ if !self.countless => bounds,
            // More samples can only raise a maximum.
            Statistic::Max => Bounds { high: f64::INFINITY, ..bounds },
            _ => Bounds { low: 0.0, high: f64::INFINITY },
        })
    }
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
            let truth = statistic.compute(known.chain(lacking.iter().map(|(least, more)| least + more)).collect()).unwrap();
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
                statistic.compute(all.collect()).unwrap()
            };
            prop_assert!((bounds.low - with(0.0)).abs() < 1e-9, "it is reached");
            if bounds.high.is_finite() {
                prop_assert!((bounds.high - with(1e9)).abs() < 1e-6, "it is reached");
            } else {
                prop_assert!(with(1e9) > 1e6, "nothing bounds it");
            }
        }
    }
}
