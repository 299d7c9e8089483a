//! The values that most of many intervals allow.

use crate::statistics::Bounds;

/// The range of the values that lie in at least `enough(most)` of the intervals, where `most` is the largest number of intervals that
/// share a value. None if `enough` returns none, or if there is no interval.
pub(super) fn agreed(each: &[Bounds], enough: impl Fn(usize) -> Option<usize>) -> Option<Bounds> {
    let sorted = |part: fn(&Bounds) -> f64| {
        let mut ends: Vec<f64> = each.iter().map(part).collect();
        ends.sort_by(f64::total_cmp);
        ends
    };
    let (lows, highs) = (sorted(|bounds| bounds.low), sorted(|bounds| bounds.high));
    let held_by =
        |at: f64| lows.partition_point(|low| *low <= at).saturating_sub(highs.partition_point(|high| *high < at));
    // The number changes only at an end of an interval, so the first and the last end with enough of them are the bounds.
    let mut ends: Vec<(f64, usize)> = lows.iter().chain(&highs).map(|end| (*end, held_by(*end))).collect();
    ends.sort_by(|one, other| one.0.total_cmp(&other.0));
    let enough = enough(ends.iter().map(|(_, here)| *here).max()?)?;
    let mut within = ends.iter().filter(|(_, here)| *here >= enough).map(|(end, _)| *end);
    let low = within.next()?;
    Some(Bounds { low, high: within.next_back().unwrap_or(low) })
}
