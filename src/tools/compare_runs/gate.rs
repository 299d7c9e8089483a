//! `--fail-if-worse`: a verdict on whether a headline figure got worse by more than a given share.
//!
//! Worse by 5 % means more than 1.05 times the reference where less is better, and less than 0.95 times where more is
//! better. The test is the same permutation test, of this setting's legs against the reference's legs times that factor: so
//! the spread of the reference counts too, and so do the bounds of each leg. The whole interval must lie beyond.

use super::judge::{leg_bounds, legs_not_passed};
use super::legs::LegGroup;
use super::{LEVEL, truncate};
use crate::record::{Against, Better, Gate, Row, Verdict};
use crate::statistics::Bounded;

/// Judges every setting against the reference, which is the first group.
pub(super) fn judge(share: f64, groups: &[LegGroup], rows: &[Row], against: &[Against]) -> Gate {
    let mut gate = Gate { verdict: Verdict::Passed, causes: Vec::new() };
    for (index, against) in (1..).zip(against) {
        let (verdict, cause) = judge_setting(share, groups, index, rows, against);
        gate.verdict = gate.verdict.max(verdict);
        gate.causes.push(cause);
    }
    gate
}

fn judge_setting(share: f64, groups: &[LegGroup], index: usize, rows: &[Row], against: &Against) -> (Verdict, String) {
    let (reference, other) = (&groups[0], &groups[index]);
    let (name, to) = (truncate(&other.name), truncate(&reference.name));
    let by = format!("{} %", (share * 1e4).round() / 100.0);
    let unknown =
        |why: &str| (Verdict::Incomplete, format!("it is not known whether {name} is worse than {to} by {by}: {why}"));
    if !against.no_claim.is_empty() {
        return unknown(&against.no_claim.join("; "));
    }
    if let Some(legs) = legs_not_passed(reference, other) {
        return unknown(&format!("{legs}, and a leg that did not pass proves nothing"));
    }
    let rows_with = |verdict: Verdict| -> Vec<&str> {
        let headline = rows.iter().filter(|row| row.headline && judge_row(share, row, index) == verdict);
        headline.map(|row| row.name.as_str()).collect()
    };
    let (failed, open) = (rows_with(Verdict::Failed), rows_with(Verdict::Incomplete));
    if !failed.is_empty() {
        (Verdict::Failed, format!("{name} is worse than {to} by more than {by}: {}", failed.join(" and ")))
    } else if open.is_empty() {
        (Verdict::Passed, format!("{name} is not worse than {to} by {by}"))
    } else {
        unknown(&format!("these legs do not decide {}", open.join(" and ")))
    }
}

fn judge_row(share: f64, row: &Row, index: usize) -> Verdict {
    let factor = match row.better {
        Better::Lower => 1.0 + share,
        Better::Higher => 1.0 - share,
    };
    let interval = row
        .cells
        .first()
        .zip(row.cells.get(index))
        .and_then(|(a, b)| Bounded::new(&leg_bounds(a, factor)?, &leg_bounds(b, 1.0)?)?.interval(LEVEL));
    let Some(interval) = interval else { return Verdict::Incomplete };
    match (row.better, interval.low > 0.0, interval.high < 0.0) {
        (Better::Lower, true, _) | (Better::Higher, _, true) => Verdict::Failed,
        (Better::Lower, _, true) | (Better::Higher, true, _) => Verdict::Passed,
        _ => Verdict::Incomplete,
    }
}
