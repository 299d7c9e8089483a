//! Exact comparison of two small sets of figures, such as the legs of two settings.
//!
//! The test is Fisher's permutation test on the difference of means (The Design of Experiments, 1935; Pitman, Supplement to
//! the Journal of the Royal Statistical Society 4, 1937): if the setting made no difference, every split of all figures into
//! two sets of these sizes was as likely as the one that was seen. All splits are enumerated; nothing is drawn at random and
//! nothing is assumed of how the figures are distributed.
//!
//! The interval is what that test does not refuse. A split exchanges k figures of the one set with k of the other; with a
//! shift of the second set by s assumed, its difference of means is at least the one seen exactly if s is not less than the
//! mean of the k of the second set less the mean of the k of the first. So the number of splits that reach the difference
//! seen is a count of such thresholds, and the ends of the interval are two of them.
//!
//! Where each figure is only known to lie between two bounds, [`Bounded`] is what the test may say of any figures within them.

use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, StudentsT};

/// More splits than this are not enumerated: ten figures on both sides have 184,756.
pub const MOST_SPLITS: u64 = 200_000;
/// Probability with which a real difference should be detected, for the number of legs that it takes.
const POWER: f64 = 0.8;
/// More figures than this on a side are not counted.
const MOST_NEEDED: usize = 1000;
/// Figures are compared as whole numbers of this part of their unit, so that ties are ties.
const GRAIN: f64 = 1e6;
/// Beyond this a sum of such numbers could overflow.
const LARGEST: f64 = 1e24;

/// In how many ways `first + second` figures can be split into sets of these sizes; none if that is beyond all bounds.
pub fn splits(first: usize, second: usize) -> Option<u64> {
    let (all, taken) = (first.checked_add(second)? as u64, first.min(second) as u64);
    (1..=taken).try_fold(1_u64, |splits, step| Some(splits.checked_mul(all - taken + step)? / step))
}

/// Two sets of figures and all the ways of splitting them.
#[derive(Clone, Debug)]
pub struct Shifts {
    /// One for every split but the one that was seen, ascending.
    thresholds: Vec<f64>,
}

/// The bounds between which a figure lies, both included. The upper one may be infinite.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct Bounds {
    /// The figure is not less.
    pub low: f64,
    /// The figure is not more.
    pub high: f64,
}

impl Bounds {
    /// The bounds of a figure that is known exactly.
    pub const fn exact(value: f64) -> Self {
        Self { low: value, high: value }
    }

    /// The bounds of a figure that lies within both.
    pub fn intersection(self, other: Self) -> Option<Self> {
        let both = Self { low: self.low.max(other.low), high: self.high.min(other.high) };
        (both.low <= both.high).then_some(both)
    }

    /// The bounds of a figure that lies within either.
    #[must_use]
    pub fn hull(self, other: Self) -> Self {
        Self { low: self.low.min(other.low), high: self.high.max(other.high) }
    }

    /// The bounds, with `factor` applied to both.
    #[must_use]
    pub fn scaled(self, factor: f64) -> Self {
        Self { low: self.low * factor, high: self.high * factor }
    }
}

impl Shifts {
    /// The splits of `first` and `second`, whose figures are taken to a millionth of their unit. None where a set is
    /// empty, a figure is not finite or beyond 10^18, or there are more splits than [`MOST_SPLITS`].
    pub fn new(first: &[f64], second: &[f64]) -> Option<Self> {
        let count = splits(first.len(), second.len()).filter(|count| *count <= MOST_SPLITS)?;
        if first.is_empty() || second.is_empty() {
            return None;
        }
        let whole = |values: &[f64]| values.iter().map(|value| grains(*value)).collect::<Option<Vec<i128>>>();
        let (a, b) = (whole(first)?, whole(second)?);
        let all: Vec<i128> = b.iter().chain(&a).copied().collect();
        let mut thresholds = Vec::with_capacity(usize::try_from(count).unwrap_or_default());
        // The figures of the second set stand first, so the split that was seen is 0, 1, 2 …
        let mut chosen: Vec<usize> = (0..b.len()).collect();
        while next(&mut chosen, all.len()) {
            thresholds.push(threshold(&chosen, &all, b.len()));
        }
        thresholds.sort_by(f64::total_cmp);
        Some(Self { thresholds })
    }

    /// Returns the number of splits, including the observed one.
    pub fn splits(&self) -> usize {
        self.thresholds.len() + 1
    }

    /// The share of splits whose second mean is as high as the one that was seen, or higher: small where the second set is
    /// the higher one.
    pub fn p_higher(&self) -> f64 {
        let reaching = self.thresholds.partition_point(|threshold| *threshold <= 0.0);
        (reaching + 1) as f64 / self.splits() as f64
    }

    /// The share of splits whose second mean is as low as the one that was seen, or lower.
    pub fn p_lower(&self) -> f64 {
        let below = self.thresholds.partition_point(|threshold| *threshold < 0.0);
        (self.thresholds.len() - below + 1) as f64 / self.splits() as f64
    }

    /// Returns the largest number of splits, including the observed one, whose share of all splits is within `level`.
    fn allowed(&self, level: f64) -> usize {
        let exact = level * self.splits() as f64;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a float cast saturates")]
        // A twentieth of 20 is 1, whatever binary fractions make of it.
        let whole = (exact + 1e-9).floor() as usize;
        whole
    }

    /// The probability with which the test at `level` refuses in one direction where there is no difference: `level`, or
    /// the next smaller that so many splits can have.
    pub fn attained(&self, level: f64) -> f64 {
        self.allowed(level) as f64 / self.splits() as f64
    }

    /// The shifts that the test at `level` refuses in neither direction; so the true one lies in it with a confidence of at
    /// least 1 less twice [`Self::attained`]. It lies above 0 exactly if [`Self::p_higher`] is not above `level`, and below
    /// 0 exactly if [`Self::p_lower`] is not. None where there are too few splits to refuse anything.
    pub fn interval(&self, level: f64) -> Option<Bounds> {
        let allowed = self.allowed(level);
        let low = self.thresholds.get(allowed.checked_sub(1)?)?;
        let high = self.thresholds.get(self.thresholds.len().checked_sub(allowed)?)?;
        (low <= high).then_some(Bounds { low: *low, high: *high })
    }
}

/// Two sets of figures, each of which lies somewhere between two bounds, and what the test may say of them.
///
/// Every threshold rises with each figure of the second set and falls with each of the first; so do both ends of the interval,
/// which are thresholds. So what the bounds allow is spanned by two cases: the first set at its upper bounds and the second at
/// its lower ones, and the reverse. An error of one figure alone can move an end by all of it, whatever the others' is.
#[derive(Clone, Debug)]
pub struct Bounded {
    /// The second set is as low against the first as the bounds allow.
    lowest: Shifts,
    /// And as high.
    highest: Shifts,
}

impl Bounded {
    /// The splits of `first` and `second` in both cases. None where [`Shifts::new`] has none.
    pub fn new(first: &[Bounds], second: &[Bounds]) -> Option<Self> {
        Some(Self {
            lowest: Shifts::new(&uppers(first), &lowers(second))?,
            highest: Shifts::new(&lowers(first), &uppers(second))?,
        })
    }

    /// The largest [`Shifts::p_higher`] that the bounds allow.
    pub fn p_higher(&self) -> f64 {
        self.lowest.p_higher()
    }

    /// The largest [`Shifts::p_lower`] that the bounds allow.
    pub fn p_lower(&self) -> f64 {
        self.highest.p_lower()
    }

    /// As [`Shifts::attained`].
    pub fn attained(&self, level: f64) -> f64 {
        self.lowest.attained(level)
    }

    /// From the lowest to the highest end that [`Shifts::interval`] has for figures within the bounds. It lies above 0 exactly
    /// if [`Self::p_higher`] is not above `level`, and below 0 exactly if [`Self::p_lower`] is not.
    pub fn interval(&self, level: f64) -> Option<Bounds> {
        Some(Bounds { low: self.lowest.interval(level)?.low, high: self.highest.interval(level)?.high })
    }
}

/// The lower bounds.
pub fn lowers(bounds: &[Bounds]) -> Vec<f64> {
    bounds.iter().map(|bounds| bounds.low).collect()
}

/// The upper bounds.
pub fn uppers(bounds: &[Bounds]) -> Vec<f64> {
    bounds.iter().map(|bounds| bounds.high).collect()
}

fn grains(value: f64) -> Option<i128> {
    let whole = (value * GRAIN).round();
    #[expect(clippy::cast_possible_truncation, reason = "less than the largest")]
    (whole.abs() <= LARGEST).then_some(whole as i128)
}

/// The next choice of indices below `all` in lexicographic order; false after the last.
fn next(chosen: &mut [usize], all: usize) -> bool {
    let count = chosen.len();
    let Some(at) = (0..count).rev().find(|at| chosen[*at] < all - count + at) else { return false };
    chosen[at] += 1;
    for follower in at + 1..count {
        chosen[follower] = chosen[follower - 1] + 1;
    }
    true
}

/// The mean of what a choice takes from the second set less the mean of what it takes from the first. The figures below
/// `own` are the second set's.
fn threshold(chosen: &[usize], all: &[i128], own: usize) -> f64 {
    let stayed = chosen.iter().filter(|index| **index < own).count();
    let kept: i128 = chosen.iter().filter(|index| **index < own).map(|index| all[*index]).sum();
    let came: i128 = chosen.iter().filter(|index| **index >= own).map(|index| all[*index]).sum();
    let left = all[..own].iter().sum::<i128>() - kept;
    // The difference is exact, so its sign is, and a tie is 0.
    (left - came) as f64 / GRAIN / (own - stayed) as f64
}

/// Number of figures in each set that would show a difference. Of two answers the greater is the more careful one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Needed {
    /// Not known: there are no two figures of one set to tell how far they spread.
    SpreadUnknown,
    /// Not known: the figures of each set are all the same.
    SpreadZero,
    /// So many on each side.
    Each(usize),
    /// More than is reasonable to count.
    Many,
    /// No number: the difference is not larger than what measuring it may hide.
    Hidden,
}

/// Estimates how many figures of each set would show a difference of `wanted`, of which measuring may hide `hidden`, in a test
/// at `level` in each direction with a power of 80 %; never fewer than `least`.
///
/// By the usual formula for two means with a common spread, n = 2 s² (t(1-level) + t(power))² / d², with Student's t of
/// 2n - 2 degrees of freedom (NIST/SEMATECH e-Handbook of Statistical Methods, 7.2.2.2): an approximation,
/// because the spread itself is known from only a few figures.
pub fn needed(first: &[f64], second: &[f64], wanted: f64, hidden: f64, level: f64, least: usize) -> Needed {
    let wanted = wanted.abs() - hidden;
    if !wanted.is_finite() || wanted <= 0.0 {
        return Needed::Hidden;
    }
    let Some(variance) = variance(first, second) else { return Needed::SpreadUnknown };
    if variance <= 0.0 {
        return Needed::SpreadZero;
    }
    let enough = |each: &usize| {
        let freedom = (2 * each - 2) as f64;
        StudentsT::new(0.0, 1.0, freedom).is_ok_and(|t| {
            let quantiles = t.inverse_cdf(1.0 - level) + t.inverse_cdf(POWER);
            2.0 * variance * quantiles * quantiles <= wanted * wanted * *each as f64
        })
    };
    (least.max(2)..=MOST_NEEDED).find(enough).map_or(Needed::Many, Needed::Each)
}

/// The variance within the two sets, pooled; none if neither has two figures.
fn variance(first: &[f64], second: &[f64]) -> Option<f64> {
    let freedom = (first.len() + second.len()).checked_sub(2).filter(|freedom| *freedom > 0)?;
    let squares = |values: &[f64]| {
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        values.iter().map(|value| (value - mean).powi(2)).sum::<f64>()
    };
    let sum = squares(first) + squares(second);
    // Equal figures whose mean is not exactly one of them spread by rounding alone.
    let size = first.iter().chain(second).fold(0.0_f64, |size, value| size.max(value.abs()));
    Some(if sum <= (size * 1e-9).powi(2) { 0.0 } else { sum / freedom as f64 })
}
