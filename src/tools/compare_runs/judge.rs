//! The conclusions that the legs of one setting allow against those of the reference.

use itertools::Itertools;

use super::legs::{LegGroup, labels_where};
use super::{LEVEL, leg_doubts, truncate};
use crate::cli::Failure;
use crate::clock::micro;
use crate::figures::{any_listed, listed};
use crate::record::{Against, Better, Cell, Claim, Difference, Row, TenPercent, Test, Unit, Verdict};
use crate::statistics::{Bounded, Bounds, MOST_SPLITS, Needed, lowers, needed, splits, uppers};
use crate::units;

/// Fewer legs of a setting than this cannot show anything at the level: two and three have ten splits.
const LEAST_LEGS: usize = 3;
/// More legs of one setting in a row than this, and a drift of the target could pass for a difference.
const IN_A_ROW: usize = 2;
/// The difference for which the number of legs is computed, as a share of the reference.
const DETECTABLE: f64 = 0.1;

/// Compares `other`, the setting at `index`, with `reference` in every row, and concludes from its headline figures.
pub(super) fn judge(
    reference: &LegGroup,
    other: &LegGroup,
    index: usize,
    rows: &mut [Row],
) -> Result<Against, Failure> {
    let (ours, theirs) = (reference.legs.len(), other.legs.len());
    if splits(ours, theirs).is_none_or(|count| count > MOST_SPLITS) {
        return Err(Failure::usage(format!(
            "{ours} legs of {} and {theirs} of {} can be split in more than {MOST_SPLITS} ways, and the test tries all of \
             them: name fewer legs; ten of each can be compared",
            reference.name, other.name
        )));
    }
    let no_claim = reasons_against_claims(reference, other);
    let mut against = Against { setting: other.name.clone(), ..Against::default() };
    for row in rows.iter_mut() {
        let Some((difference, attained)) = difference(row, other, index, no_claim.is_empty()) else { continue };
        if let Some(attained) = attained {
            against.tested += 1;
            against.confidence_percent = Some(micro(100.0 * (1.0 - 2.0 * attained)));
            against.by_chance = Some(micro(against.tested as f64 * 2.0 * attained));
        }
        row.differences.push(difference);
    }
    (against.claim, against.sentence) = conclude(reference, other, index, rows, &no_claim);
    against.no_claim = no_claim;
    Ok(against)
}

/// Returns the reasons why nothing can be claimed about these two settings, a sentence each.
fn reasons_against_claims(reference: &LegGroup, other: &LegGroup) -> Vec<String> {
    let mut reasons = Vec::new();
    let legs = || reference.legs.iter().chain(&other.legs);
    if reference.legs.len().min(other.legs.len()) < LEAST_LEGS {
        let legs = |group: &LegGroup| {
            format!("{} of {}", units::counted(group.legs.len() as u64, "leg", "legs"), truncate(&group.name))
        };
        reasons.push(format!(
            "{} and {}: it takes {LEAST_LEGS} of each, interleaved, to tell a difference from chance",
            legs(reference),
            legs(other)
        ));
    } else {
        reasons.extend(drift(reference, other));
    }
    let with_failures = labels_where(legs(), |leg| {
        let jobs = leg.conservation();
        jobs.asked == 0 || jobs.succeeded != jobs.asked
    });
    reasons.extend(
        with_failures
            .map(|legs| format!("not all jobs succeeded in {legs}: figures of the jobs that did are not comparable")),
    );
    let busy = labels_where(legs(), leg_doubts::began_busy);
    reasons.extend(
        busy.map(|legs| format!("the target was not idle when {legs} began: its leftover work is in the figures")),
    );
    reasons.extend(legs().flat_map(|leg| {
        let label = truncate(&leg.label);
        leg_doubts::setting_doubts(leg).into_iter().map(move |doubt| format!("{label}: {doubt}"))
    }));
    reasons.extend([reference, other].into_iter().flat_map(leg_doubts::unequal_settings));
    reasons.extend(leg_doubts::unconfirmed_settings([reference, other]));
    reasons
}

/// Returns the reason why a drift of the target over time could look like a difference.
fn drift(reference: &LegGroup, other: &LegGroup) -> Option<String> {
    let all = || [reference, other].into_iter().flat_map(|group| group.legs.iter().map(move |leg| (leg, &group.name)));
    if let Some(legs) = labels_where(all().map(|(leg, _)| leg), |leg| leg.started_at().is_none()) {
        return Some(format!("the start of {legs} is not known, so the legs may not be interleaved"));
    }
    let legs = all().sorted_by_key(|(leg, _)| leg.started_at()).collect_vec();
    for ((before, _), (after, _)) in legs.iter().tuple_windows() {
        if before.window().zip(after.window()).is_some_and(|(before, after)| after.start < before.end) {
            return Some(format!("{} and {} ran at the same time", truncate(&before.label), truncate(&after.label)));
        }
    }
    let streak = legs.windows(IN_A_ROW + 1).find(|streak| streak.iter().all(|(_, name)| *name == streak[0].1))?;
    Some(format!(
        "{} ran one after the other with no leg of the other setting between them, so a drift of the target over time \
         could look like a difference; interleave the legs of the settings",
        listed(streak.iter().map(|(leg, _)| truncate(&leg.label)))
    ))
}

/// Returns the difference of the setting at `index` in this row, and the level that its test attained if one was made. None if
/// a figure is missing.
fn difference(row: &Row, other: &LegGroup, index: usize, may_claim: bool) -> Option<(Difference, Option<f64>)> {
    let (a, b) = (row.cells.first()?, row.cells.get(index)?);
    let (mean, reference) = (b.mean?, a.mean?);
    let error = measuring_error(a, b).map(micro);
    let known = leg_bounds(a, 1.0).zip(leg_bounds(b, 1.0));
    let shifts = known.as_ref().filter(|_| may_claim).and_then(|(ours, theirs)| Bounded::new(ours, theirs));
    let tested = shifts.and_then(|shifts| {
        let interval = shifts.interval(LEVEL)?;
        let (low, high) = (micro(interval.low), micro(interval.high));
        let test = Test { p_higher: micro(shifts.p_higher()), p_lower: micro(shifts.p_lower()), low, high };
        Some((test, shifts.attained(LEVEL)))
    });
    let ten = known.zip(error).and_then(|((ours, theirs), error)| {
        // Legs that err unequally may lie further apart than they seem to.
        let values = |cell: &Cell| cell.legs.values().copied().collect();
        let cases = [(values(a), values(b)), (uppers(&ours), lowers(&theirs)), (lowers(&ours), uppers(&theirs))];
        let needed = |(ours, theirs): (Vec<f64>, Vec<f64>)| {
            needed(&ours, &theirs, DETECTABLE * reference, error, LEVEL, LEAST_LEGS)
        };
        cases.into_iter().map(needed).max()
    });
    let difference = Difference {
        setting: other.name.clone(),
        difference: micro(mean - reference),
        ratio: (reference != 0.0).then(|| micro(mean / reference)),
        error,
        test: tested.map(|(test, _)| test),
        ten_percent: ten_percent(ten, reference),
        claim: tested.map(|(test, _)| claim(row.better, test)),
    };
    Some((difference, tested.map(|(_, attained)| attained)))
}

/// The error of the difference of the means of `b` and `a`, either way, that polling or scraping alone may cause. If both err
/// in one direction, as late sightings do, it is the larger error of the two; if they err in both, their sum.
fn measuring_error(a: &Cell, b: &Cell) -> Option<f64> {
    let sides = |cell: &Cell| Some((cell.mean? - cell.low?, cell.high? - cell.mean?));
    let ((a_less, a_more), (b_less, b_more)) = (sides(a)?, sides(b)?);
    Some((b_less + a_more).max(b_more + a_less))
}

/// The bounds of every leg, times `factor`, which is above 0. None if a leg lacks the figure or its bounds.
pub(super) fn leg_bounds(cell: &Cell, factor: f64) -> Option<Vec<Bounds>> {
    let times = |bounds: &Bounds| bounds.scaled(factor);
    cell.mean?;
    cell.legs.keys().map(|leg| cell.bounds.get(leg).map(times)).collect()
}

fn claim(better: Better, test: Test) -> Claim {
    match better {
        Better::Lower if test.low > 0.0 => Claim::Worse,
        Better::Lower if test.high < 0.0 => Claim::Better,
        Better::Higher if test.low > 0.0 => Claim::Better,
        Better::Higher if test.high < 0.0 => Claim::Worse,
        _ => Claim::NoDifference,
    }
}

fn ten_percent(needed: Option<Needed>, reference: f64) -> TenPercent {
    let Some(needed) = needed else {
        let message = "not known, because the error of the figures is not known".to_owned();
        return TenPercent { legs: None, message };
    };
    let (legs, message) = match needed {
        _ if reference == 0.0 => (None, "the reference is 0, and so is a tenth of it".to_owned()),
        Needed::Each(count) => (Some(count as u64), format!("{count} legs of each")),
        Needed::Many => (None, "more than 1,000 legs of each".to_owned()),
        Needed::Hidden => {
            (None, "no number of legs is enough: the error of polling or scraping is as large".to_owned())
        }
        Needed::SpreadUnknown => (None, "not known: one leg of each does not show how far legs spread".to_owned()),
        Needed::SpreadZero => {
            (None, format!("not known, and at least {LEAST_LEGS} of each: the legs of a setting do not differ at all"))
        }
    };
    TenPercent { legs, message }
}

/// Returns what the headline figures show together, as a claim and as a sentence.
fn conclude(
    reference: &LegGroup,
    other: &LegGroup,
    index: usize,
    rows: &[Row],
    no_claim: &[String],
) -> (Option<Claim>, String) {
    let (name, to) = (truncate(&other.name), truncate(&reference.name));
    if !no_claim.is_empty() {
        return (None, format!("no claim is made about {name} against {to}: {}", no_claim.join("; ")));
    }
    let change = |row: &Row| {
        let found = row.difference(&other.name);
        let change = found.and_then(|found| Some((found.claim?, describe_change(row, index, found)?)));
        change.map_or_else(|| (None, row.name.clone()), |(claim, text)| (Some(claim), text))
    };
    let changes = rows.iter().filter(|row| row.headline).map(change).into_group_map();
    let with = |claim: Option<Claim>| changes.get(&claim).map(Vec::as_slice).unwrap_or_default();
    let [better, worse, none] =
        [Claim::Better, Claim::Worse, Claim::NoDifference].map(|claim| with(Some(claim)).join(", "));
    let unknown = with(None);
    let (claim, mut sentence) = match (better.is_empty(), worse.is_empty()) {
        (false, true) => (Some(Claim::Better), format!("{name} is better than {to}: {better}")),
        (true, false) => (Some(Claim::Worse), format!("{name} is worse than {to}: {worse}")),
        (false, false) => (
            None,
            format!("{name} is better than {to} in one and worse in the other: better: {better}; worse: {worse}"),
        ),
        (true, true) if none.is_empty() => {
            return (None, format!("no claim is made about {name} against {to}: {} not known", unknown.join(" and ")));
        }
        (true, true) => (
            Some(Claim::NoDifference),
            format!("no difference that these legs can show between {name} and {to}: {none}"),
        ),
    };
    if claim != Some(Claim::NoDifference) && !none.is_empty() {
        sentence += &format!("; no difference that these legs can show: {none}");
    }
    if !unknown.is_empty() {
        sentence += &format!("; not known: {}", unknown.join(", "));
    }
    (claim, sentence)
}

/// Describes a change: `end to end, median 24.1 s instead of 20.3 s (+19 %)`.
fn describe_change(row: &Row, index: usize, found: &Difference) -> Option<String> {
    let value = |index: usize| row.cells.get(index)?.mean.map(|mean| format_value(row.unit, mean));
    let change = found.ratio.map(|ratio| format!(" ({})", signed_percent(ratio - 1.0))).unwrap_or_default();
    Some(format!("{} {} instead of {}{change}", row.name, value(index)?, value(0)?))
}

/// Formats a figure with about three digits.
pub(super) fn format_value(unit: Unit, value: f64) -> String {
    match unit {
        Unit::Seconds => units::seconds(value),
        Unit::JobsPerMinute => units::decimal(value),
        Unit::Count if (value - value.round()).abs() < 1e-6 => format!("{value:.0}"),
        Unit::Count => format!("{value:.1}"),
    }
}

/// Formats a share with its sign: `+19 %`.
pub(super) fn signed_percent(share: f64) -> String {
    let size = share.abs() * 100.0;
    let digits = if size < 9.95 { format!("{size:.1}") } else { format!("{size:.0}") };
    let sign = if shows_zero(&digits) { "±" } else { sign(share) };
    format!("{sign}{digits} %")
}

/// Returns true if no digit of a number differs from 0.
pub(super) fn shows_zero(number: &str) -> bool {
    !number.contains(|character: char| ('1'..='9').contains(&character))
}

/// The sign of a value that is not 0.
pub(super) const fn sign(value: f64) -> &'static str {
    if value < 0.0 { "−" } else { "+" }
}

/// The legs of both settings that did not pass, with their verdicts.
pub(super) fn legs_not_passed(reference: &LegGroup, other: &LegGroup) -> Option<String> {
    let legs = reference.legs.iter().chain(&other.legs);
    let failed = legs.filter(|leg| leg.scenario.verdict() != Verdict::Passed);
    any_listed(failed.map(|leg| format!("{} is {}", truncate(&leg.label), leg.scenario.verdict())))
}
