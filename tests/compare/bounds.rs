//! The bounds of each leg, against brute force: a claim must hold for every figure that they allow.

use proptest::prelude::*;
use serde_json::json;
use stress_suite::statistics::{Bounded, Bounds, Shifts};

use crate::legs::{Leg, LegsOnDisk, compared, in_turns, row, word};

const MEDIAN: &str = "end to end, median";
const LEVEL: f64 = 0.05;

/// A leg's figure: what it may be at least, what was seen, what it may be at most.
type Seen = (f64, f64, f64);

fn legs(ours: [Seen; 3], theirs: [Seen; 3]) -> Vec<Leg> {
    let mut legs = in_turns(ours.map(|(_, seen, _)| seen), theirs.map(|(_, seen, _)| seen));
    for (leg, (low, _, high)) in legs.iter_mut().zip(ours.into_iter().chain(theirs)) {
        leg.figures().insert("endToEndMedianLowSeconds".to_owned(), json!(low));
        leg.figures().insert("endToEndMedianHighSeconds".to_owned(), json!(high));
    }
    legs
}

/// The lowest and the highest end of the interval, and the largest p of both directions, over a grid of all figures that the
/// bounds allow: the ends of each leg's, what was seen, and one between.
fn brute_force(ours: &[Seen], theirs: &[Seen]) -> (f64, f64, f64, f64) {
    let all: Vec<[f64; 4]> =
        ours.iter().chain(theirs).map(|(low, seen, high)| [*low, *seen, *high, low + (high - low) * 0.37]).collect();
    let mut found = (f64::INFINITY, f64::NEG_INFINITY, 0.0_f64, 0.0_f64);
    for choice in 0..4_usize.pow(u32::try_from(all.len()).unwrap()) {
        let chosen: Vec<f64> = all.iter().enumerate().map(|(leg, values)| values[choice >> (2 * leg) & 3]).collect();
        let (a, b) = chosen.split_at(ours.len());
        let shifts = Shifts::new(a, b).unwrap();
        let interval = shifts.interval(LEVEL).unwrap();
        found.0 = found.0.min(interval.low);
        found.1 = found.1.max(interval.high);
        found.2 = found.2.max(shifts.p_higher());
        found.3 = found.3.max(shifts.p_lower());
    }
    found
}

fn exact(value: f64) -> Seen {
    (value, value, value)
}

#[test]
fn legs_that_err_unequally_claim_no_more_than_the_worst_of_what_their_bounds_allow() {
    // The mean error of 4/3 s is less than the difference of 2 s; but 8, 12, 12 against 10, 10, 10 is no difference.
    let unequal = ([exact(10.0); 3], [(8.0, 12.0, 12.0), exact(12.0), exact(12.0)]);
    // One leg of either side may be off, in both directions, and the others by a little.
    let mixed = (
        [(19.0, 20.0, 20.2), (20.4, 20.5, 20.6), (19.5, 19.5, 22.5)],
        [(24.9, 25.0, 25.0), (21.0, 24.5, 26.0), (25.4, 25.5, 25.6)],
    );
    for ((ours, theirs), expected) in [(unequal, "NoDifference"), (mixed, "NoDifference")] {
        let (low, high, higher, lower) = brute_force(&ours, &theirs);
        let comparison = compared(legs(ours, theirs));
        let test = &row(&comparison, MEDIAN)["differences"][0]["test"];
        let close = |name: &str, expected: f64| (test[name].as_f64().unwrap() - expected).abs() < 1e-5;
        assert!(close("low", low) && close("high", high), "{low} to {high}: {test}");
        assert!(close("pHigher", higher) && close("pLower", lower), "{higher}, {lower}: {test}");
        assert_eq!(word(&comparison, MEDIAN), expected);
    }
    let comparison = compared(legs(unequal.0, unequal.1));
    let found = &row(&comparison, MEDIAN)["differences"][0];
    assert_eq!(found["test"], json!({"pHigher": 0.5, "pLower": 1.0, "low": -2.0, "high": 2.0}));
    assert_eq!(found["error"], 1.333_333, "of the means");
    assert_eq!(
        row(&comparison, MEDIAN)["cells"][1]["bounds"]["np-4.1"],
        json!({"low": 8.0, "high": 12.0}),
        "what it was made of can be read"
    );
}

#[test]
fn the_gate_takes_each_leg_at_its_worst_too() {
    let theirs = |first: Seen| [first, exact(12.0), exact(12.0)];
    let with = |first: Seen| {
        let mut legs = legs([exact(10.0); 3], theirs(first));
        for leg in &mut legs {
            // The other headline figure is the same everywhere.
            for (name, value) in [
                ("jobsPerMinute", 10.0),
                ("windowSeconds", 72.0),
                ("windowLowSeconds", 72.0),
                ("windowHighSeconds", 72.0),
            ] {
                leg.figures().insert(name.to_owned(), json!(value));
            }
        }
        LegsOnDisk::write(legs).compare(&["--fail-if-worse", "5%"]).code
    };
    assert_eq!((with(exact(12.0)), with((10.6, 12.0, 12.0)), with((8.0, 12.0, 12.0))), (3, 3, 4));
}

fn sides() -> impl Strategy<Value = Vec<Seen>> {
    let leg = (-20..20_i32, 0..12_i32, 0..12_i32).prop_map(|(seen, less, more)| {
        (f64::from(seen - less) / 8.0, f64::from(seen) / 8.0, f64::from(seen + more) / 8.0)
    });
    prop::collection::vec(leg, 3..4)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn what_is_said_is_the_union_over_what_the_bounds_allow(ours in sides(), theirs in sides()) {
        let bounds = |side: &[Seen]| side.iter().map(|(low, _, high)| Bounds { low: *low, high: *high }).collect::<Vec<_>>();
        let bounded = Bounded::new(&bounds(&ours), &bounds(&theirs)).unwrap();
        let interval = bounded.interval(LEVEL).unwrap();
        let (low, high, higher, lower) = brute_force(&ours, &theirs);
        prop_assert!((interval.low - low).abs() < 1e-5 && (interval.high - high).abs() < 1e-5, "{interval:?} {low} {high}");
        prop_assert!((bounded.p_higher() - higher).abs() < 1e-9 && (bounded.p_lower() - lower).abs() < 1e-9);
        prop_assert_eq!(interval.low > 0.0, bounded.p_higher() <= LEVEL + 1e-12);
        prop_assert_eq!(interval.high < 0.0, bounded.p_lower() <= LEVEL + 1e-12);
    }
}
