//! The laws of the statistics, for any figures, and what becomes of equal settings in the long run.

use proptest::prelude::*;
use stress_suite::statistics::{Needed, Shifts, needed, splits};

const LEVELS: [f64; 4] = [0.05, 0.1, 0.2, 0.3];

/// All splits by bit masks and plain sums: the share whose difference reaches the one seen, upwards and downwards.
fn brute_force(a: &[i32], b: &[i32]) -> (f64, f64) {
    let all: Vec<i32> = a.iter().chain(b).copied().collect();
    // The total is fixed, so the difference of means grows with the sum of the second set.
    let seen: i32 = b.iter().sum();
    let (mut count, mut higher, mut lower) = (0, 0, 0);
    for mask in 0_u32..1 << all.len() {
        if mask.count_ones() as usize == b.len() {
            let sum: i32 = all.iter().enumerate().filter(|(at, _)| mask & (1 << at) != 0).map(|(_, value)| value).sum();
            count += 1;
            higher += i32::from(sum >= seen);
            lower += i32::from(sum <= seen);
        }
    }
    (f64::from(higher) / f64::from(count), f64::from(lower) / f64::from(count))
}

fn floats(values: &[i32]) -> Vec<f64> {
    values.iter().map(|value| f64::from(*value) / 8.0).collect()
}

fn set(sizes: std::ops::Range<usize>) -> impl Strategy<Value = Vec<i32>> {
    // Small numbers, so that ties are common.
    prop::collection::vec(-20..20_i32, sizes)
}

proptest! {
    #[test]
    fn p_is_that_of_brute_force(a in set(1..6), b in set(1..6)) {
        let shifts = Shifts::new(&floats(&a), &floats(&b)).unwrap();
        let (higher, lower) = brute_force(&a, &b);
        prop_assert!((shifts.p_higher() - higher).abs() < 1e-12 && (shifts.p_lower() - lower).abs() < 1e-12);
        prop_assert_eq!(shifts.splits() as u64, splits(a.len(), b.len()).unwrap());
    }

    #[test]
    fn the_interval_holds_the_difference_seen_grows_with_confidence_and_agrees_with_the_test(a in set(3..6), b in set(3..6)) {
        let shifts = Shifts::new(&floats(&a), &floats(&b)).unwrap();
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        let seen = mean(&floats(&b)) - mean(&floats(&a));
        let intervals: Vec<_> = LEVELS.iter().map(|level| shifts.interval(*level).unwrap()).collect();
        for (level, interval) in LEVELS.iter().zip(&intervals) {
            prop_assert!(interval.low <= seen + 1e-9 && seen <= interval.high + 1e-9, "{interval:?} {seen}");
            prop_assert_eq!(interval.low > 0.0, shifts.p_higher() <= *level + 1e-12);
            prop_assert_eq!(interval.high < 0.0, shifts.p_lower() <= *level + 1e-12);
            prop_assert!(shifts.attained(*level) <= *level + 1e-12);
        }
        for pair in intervals.windows(2) {
            prop_assert!(pair[0].low <= pair[1].low && pair[1].high <= pair[0].high, "less sure is narrower: {pair:?}");
        }
    }

    #[test]
    fn the_interval_is_what_the_shifted_test_does_not_refuse(a in set(3..5), b in set(3..5), by in -60..60_i32) {
        let shifts = Shifts::new(&floats(&a), &floats(&b)).unwrap();
        let interval = shifts.interval(0.05).unwrap();
        let back: Vec<i32> = b.iter().map(|value| value - by).collect();
        let (higher, lower) = brute_force(&a, &back);
        let by = f64::from(by) / 8.0;
        let refused = higher <= 0.05 + 1e-12 || lower <= 0.05 + 1e-12;
        prop_assert_eq!(refused, by < interval.low - 1e-9 || by > interval.high + 1e-9, "{:?} {}", interval, by);
    }

    #[test]
    fn shifting_one_set_shifts_the_interval_and_exchanging_the_sets_turns_it(a in set(3..6), b in set(3..6), by in -40..40_i32) {
        let (a, b, by) = (floats(&a), floats(&b), f64::from(by) / 8.0);
        let interval = Shifts::new(&a, &b).unwrap().interval(0.05).unwrap();
        let moved: Vec<f64> = b.iter().map(|value| value + by).collect();
        let shifted = Shifts::new(&a, &moved).unwrap().interval(0.05).unwrap();
        prop_assert!((shifted.low - interval.low - by).abs() < 1e-9 && (shifted.high - interval.high - by).abs() < 1e-9);
        let turned = Shifts::new(&b, &a).unwrap().interval(0.05).unwrap();
        prop_assert!((turned.low + interval.high).abs() < 1e-9 && (turned.high + interval.low).abs() < 1e-9);
    }
}

/// A generator of our own, so that the figures are the same for ever: `SplitMix64` (Steele, Lea and Flood 2014).
struct Numbers(u64);

impl Numbers {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Skewed to the right, as durations are.
    fn duration(&mut self) -> f64 {
        20.0 - 2.0 * self.uniform().max(1e-12).ln()
    }
}

#[test]
fn equal_settings_are_called_different_no_more_often_than_the_level_says() {
    for (each, attained) in [(3, 0.05), (4, 3.0 / 70.0), (5, 12.0 / 252.0)] {
        let mut numbers = Numbers(7);
        let (mut higher, mut lower, rounds) = (0, 0, 4000);
        for _ in 0..rounds {
            let mut legs = || (0..each).map(|_| numbers.duration()).collect::<Vec<f64>>();
            let interval = Shifts::new(&legs(), &legs()).unwrap().interval(0.05).unwrap();
            higher += i32::from(interval.low > 0.0);
            lower += i32::from(interval.high < 0.0);
        }
        for called in [higher, lower] {
            let rate = f64::from(called) / f64::from(rounds);
            // Four standard errors of a share in so many rounds.
            let error = 4.0 * (attained * (1.0 - attained) / f64::from(rounds)).sqrt();
            assert!((rate - attained).abs() < error, "{each} legs of each: {rate} is not about {attained}");
        }
    }
}

#[test]
fn as_many_legs_as_are_said_to_be_needed_show_the_difference_about_as_often_as_said() {
    let mut numbers = Numbers(11);
    // Irwin and Hall: the sum of twelve uniform numbers less six is close to normal, with variance 1.
    let mut legs = |each: usize, mean: f64| -> Vec<f64> {
        (0..each).map(|_| mean - 6.0 + (0..12).map(|_| numbers.uniform()).sum::<f64>()).collect()
    };
    let spread = [19.0, 21.0, 20.0 - 1.0_f64 / 3.0_f64.sqrt(), 20.0 + 1.0_f64 / 3.0_f64.sqrt()];
    // These four have a variance of 8/9, so the two sets together have 8/9 as well.
    let Needed::Each(each) = needed(&spread, &spread, 2.0, 0.0, 0.05, 3) else { panic!("a number") };
    assert_eq!(each, 4);
    let shown = (0..2000)
        .filter(|_| {
            let (a, b) = (legs(each, 20.0), legs(each, 20.0 + 2.0 / (8.0_f64 / 9.0).sqrt()));
            Shifts::new(&a, &b).unwrap().interval(0.05).unwrap().low > 0.0
        })
        .count();
    assert!((1500..=1900).contains(&shown), "{shown} of 2000");
}

#[test]
fn how_many_legs_it_takes_is_said_only_where_it_is_known() {
    let of = |a: &[f64], b: &[f64], wanted, hidden| needed(a, b, wanted, hidden, 0.05, 3);
    assert_eq!(of(&[20.0], &[25.0], 2.0, 0.0), Needed::SpreadUnknown);
    assert_eq!(of(&[20.0, 20.0], &[25.0, 25.0], 2.0, 0.0), Needed::SpreadZero);
    assert_eq!(of(&[0.1, 0.1, 0.1], &[0.3], 2.0, 0.0), Needed::SpreadZero, "rounding is no spread");
    assert_eq!(of(&[20.0, 21.0], &[25.0, 26.0], 2.0, 2.0), Needed::Hidden);
    assert_eq!(of(&[20.0, 20.01], &[25.0, 25.01], 2.0, 0.0), Needed::Each(3), "never fewer than the test needs");
    assert_eq!(of(&[0.0, 2000.0], &[0.0, 2000.0], 2.0, 0.0), Needed::Many);
}

#[test]
fn sets_that_cannot_be_split_have_no_statistics() {
    assert!(Shifts::new(&[], &[1.0]).is_none() && Shifts::new(&[1.0], &[]).is_none());
    assert!(Shifts::new(&[f64::NAN], &[1.0]).is_none() && Shifts::new(&[1e30], &[1.0]).is_none());
    assert!(Shifts::new(&[1.0; 11], &[1.0; 11]).is_none(), "705,432 splits");
    assert_eq!(Shifts::new(&[1.0; 10], &[2.0; 10]).unwrap().splits(), 184_756);
    assert_eq!((splits(200, 200), splits(3, 3), splits(0, 5)), (None, Some(20), Some(1)));
    let two = Shifts::new(&[1.0, 2.0], &[3.0, 4.0, 5.0]).unwrap();
    assert!(two.interval(0.05).is_none(), "ten splits cannot refuse at one in twenty");
}
