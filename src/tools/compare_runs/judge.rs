//! What the legs of one setting show against those of the reference.

use super::legs::{Group, Run};
use super::{LEVEL, marks, short};
use crate::cli::Failure;
use crate::clock::micro;
use crate::figures::listed;
use crate::record::{Against, Better, Cell, Conservation, Difference, Row, TenPercent, Test, Unit, Word};
use crate::statistics::{Bounded, Bounds, MOST_SPLITS, Needed, lowers, needed, splits, uppers};
use crate::units;

/// Fewer legs of a setting than this cannot show anything at the level: two and three have ten splits.
const LEAST_LEGS: usize = 3;
/// More legs of one setting in a row than this, and a drift of the target could pass for a difference.
const IN_A_ROW: usize = 2;
/// The difference whose number of legs is told, as a part of the reference.
const WANTED: f64 = 0.1;

/// Compares `other`, the setting at `index`, with `reference` in every row, and says what its headline figures show.
pub(super) fn judge(reference: &Group, other: &Group, index: usize, rows: &mut [Row]) -> Result<Against, Failure> {
    let (ours, theirs) = (reference.runs.len(), other.runs.len());
    if splits(ours, theirs).is_none_or(|count| count > MOST_SPLITS) {
        return Err(Failure::usage(format!(
            "{ours} legs of {} and {theirs} of {} can be split in more than {MOST_SPLITS} ways, and the test tries all of \
             them: name fewer legs; ten of each can be compared",
            reference.name, other.name
        )));
    }
    let no_claim = no_claim(reference, other);
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
    (against.word, against.sentence) = verdict(reference, other, index, rows, &no_claim);
    against.no_claim = no_claim;
    Ok(against)
}

/// Why nothing can be claimed of these two settings, a sentence each.
fn no_claim(reference: &Group, other: &Group) -> Vec<String> {
    let mut why = Vec::new();
    let runs = || reference.runs.iter().chain(&other.runs);
    let (ours, theirs) = (reference.runs.len(), other.runs.len());
    if ours.min(theirs) < LEAST_LEGS {
        let legs = |count: usize| if count == 1 { "1 leg".to_owned() } else { format!("{count} legs") };
        why.push(format!(
            "{} of {} and {} of {}: it takes {LEAST_LEGS} of each, run in turns, to tell a difference from chance",
            legs(ours),
            short(&reference.name),
            legs(theirs),
            short(&other.name)
        ));
    } else {
        why.extend(drift(reference, other));
    }
    let not_whole: Vec<String> =
        runs().filter(|run| !is_whole(run.conservation())).map(|run| short(&run.label)).collect();
    if !not_whole.is_empty() {
        why.push(format!(
            "not all jobs succeeded in {}: figures of the jobs that did are not comparable",
            listed(&not_whole)
        ));
    }
    let busy: Vec<String> = runs().filter(|run| marks::began_busy(run)).map(|run| short(&run.label)).collect();
    if !busy.is_empty() {
        why.push(format!(
            "the target was not idle when {} began: what it still had to do is in the figures",
            listed(&busy)
        ));
    }
    why.extend(runs().flat_map(|run| {
        marks::mismatches(run).into_iter().map(|mismatch| format!("{}: {mismatch}", short(&run.label)))
    }));
    why
}

fn is_whole(conservation: Conservation) -> bool {
    conservation.asked > 0 && conservation.succeeded == conservation.asked
}

/// Why a drift of the target over time could look like a difference.
fn drift(reference: &Group, other: &Group) -> Option<String> {
    let all = || [reference, other].into_iter().flat_map(|group| group.runs.iter().map(move |run| (run, &group.name)));
    let timeless: Vec<String> =
        all().filter(|(run, _)| run.started_at().is_none()).map(|(run, _)| short(&run.label)).collect();
    if !timeless.is_empty() {
        return Some(format!("when {} started is not known, so whether the legs took turns is not", listed(&timeless)));
    }
    let mut legs: Vec<(&Run, &String)> = all().collect();
    legs.sort_by_key(|(run, _)| run.started_at());
    for pair in legs.windows(2) {
        let ((before, _), (after, _)) = (pair[0], pair[1]);
        if before.window().zip(after.window()).is_some_and(|(before, after)| after.start < before.end) {
            return Some(format!("{} and {} ran at the same time", short(&before.label), short(&after.label)));
        }
    }
    let streak = legs.windows(IN_A_ROW + 1).find(|streak| streak.iter().all(|(_, name)| *name == streak[0].1))?;
    let labels: Vec<String> = streak.iter().map(|(run, _)| short(&run.label)).collect();
    Some(format!(
        "{} ran one after the other with no leg of the other setting between them, so a drift of the target over time \
         could look like a difference; run the settings in turns",
        listed(&labels)
    ))
}

/// How the setting at `index` differs in this row, and the level that its test attained where one was made; none where a
/// figure is missing.
fn difference(row: &Row, other: &Group, index: usize, may_claim: bool) -> Option<(Difference, Option<f64>)> {
    let (a, b) = (row.cells.first()?, row.cells.get(index)?);
    let (mean, reference) = (b.mean?, a.mean?);
    let error = hidden(a, b).map(micro);
    let known = bounds(a, 1.0).zip(bounds(b, 1.0));
    let shifts = known.as_ref().filter(|_| may_claim).and_then(|(ours, theirs)| Bounded::new(ours, theirs));
    let tested = shifts.and_then(|shifts| {
        let interval = shifts.interval(LEVEL)?;
        let (low, high) = (micro(interval.low), micro(interval.high));
        let test = Test { p_higher: micro(shifts.p_higher()), p_lower: micro(shifts.p_lower()), low, high };
        Some((test, shifts.attained(LEVEL)))
    });
    let ten = known.zip(error).and_then(|((ours, theirs), error)| {
        // Legs that err unequally may lie further apart than they seem to.
        let cases = [(legs(a), legs(b)), (uppers(&ours), lowers(&theirs)), (lowers(&ours), uppers(&theirs))];
        let needed =
            |(ours, theirs): (Vec<f64>, Vec<f64>)| needed(&ours, &theirs, WANTED * reference, error, LEVEL, LEAST_LEGS);
        cases.into_iter().map(needed).max()
    });
    let found = Difference {
        setting: other.name.clone(),
        difference: micro(mean - reference),
        ratio: (reference != 0.0).then(|| micro(mean / reference)),
        error,
        test: tested.map(|(test, _)| test),
        ten_percent: ten_percent(ten, reference),
        word: tested.map(|(test, _)| word(row.better, test)),
    };
    Some((found, tested.map(|(_, attained)| attained)))
}

/// How far the difference of the means of `b` and `a` may be off, either way, for polling or scraping alone. Where both err
/// in one direction, as late sightings do, that is the larger error of the two; where they err in both, their sum.
fn hidden(a: &Cell, b: &Cell) -> Option<f64> {
    let sides = |cell: &Cell| Some((cell.mean? - cell.low?, cell.high? - cell.mean?));
    let ((a_less, a_more), (b_less, b_more)) = (sides(a)?, sides(b)?);
    Some((b_less + a_more).max(b_more + a_less))
}

fn legs(cell: &Cell) -> Vec<f64> {
    cell.legs.values().copied().collect()
}

/// The bounds of every leg, times `factor`, which is above 0; none where a leg lacks the figure or its bounds.
pub(super) fn bounds(cell: &Cell, factor: f64) -> Option<Vec<Bounds>> {
    let times = |bounds: &Bounds| bounds.scaled(factor);
    cell.mean?;
    cell.legs.keys().map(|leg| cell.bounds.get(leg).map(times)).collect()
}

fn word(better: Better, test: Test) -> Word {
    match better {
        Better::Lower if test.low > 0.0 => Word::Worse,
        Better::Lower if test.high < 0.0 => Word::Better,
        Better::Higher if test.low > 0.0 => Word::Better,
        Better::Higher if test.high < 0.0 => Word::Worse,
        _ => Word::NoDifference,
    }
}

fn ten_percent(needed: Option<Needed>, reference: f64) -> TenPercent {
    let Some(needed) = needed else {
        let message = "not known, for how far the figures may be off is not".to_owned();
        return TenPercent { legs: None, message };
    };
    let (legs, message) = match needed {
        _ if reference == 0.0 => (None, "the reference is 0, and so is a tenth of it".to_owned()),
        Needed::Each(count) => (Some(count as u64), format!("{count} legs of each")),
        Needed::Many => (None, "more than 1,000 legs of each".to_owned()),
        Needed::Hidden => (None, "no number of legs: polling or scraping may hide as much".to_owned()),
        Needed::SpreadUnknown => (None, "not known: one leg of each does not tell how far legs spread".to_owned()),
        Needed::SpreadZero => {
            (None, format!("not known, and at least {LEAST_LEGS} of each: the legs of a setting do not differ at all"))
        }
    };
    TenPercent { legs, message }
}

/// What the headline figures show together, as a word and as a sentence.
fn verdict(
    reference: &Group,
    other: &Group,
    index: usize,
    rows: &[Row],
    no_claim: &[String],
) -> (Option<Word>, String) {
    let (name, to) = (short(&other.name), short(&reference.name));
    if !no_claim.is_empty() {
        return (None, format!("no claim is made of {name} against {to}: {}", no_claim.join("; ")));
    }
    let mut said: Vec<(Option<Word>, String)> = Vec::new();
    for row in rows.iter().filter(|row| row.headline) {
        let found = row.differences.iter().find(|difference| difference.setting == other.name);
        let told = found.and_then(|found| Some((found.word?, told(row, index, found)?)));
        said.push(match told {
            Some((word, text)) => (Some(word), text),
            None => (None, row.name.clone()),
        });
    }
    let of = |word: Option<Word>| -> Vec<String> {
        said.iter().filter(|(held, _)| *held == word).map(|(_, text)| text.clone()).collect()
    };
    let (better, worse, none, unknown) =
        (of(Some(Word::Better)), of(Some(Word::Worse)), of(Some(Word::NoDifference)), of(None));
    let (word, mut text) = match (better.is_empty(), worse.is_empty()) {
        (false, true) => (Some(Word::Better), format!("{name} is better than {to}: {}", better.join(", "))),
        (true, false) => (Some(Word::Worse), format!("{name} is worse than {to}: {}", worse.join(", "))),
        (false, false) => {
            let (better, worse) = (better.join(", "), worse.join(", "));
            (
                None,
                format!("{name} is better than {to} in one and worse in the other: better: {better}; worse: {worse}"),
            )
        }
        (true, true) if none.is_empty() => {
            return (None, format!("no claim is made of {name} against {to}: {} not known", unknown.join(" and ")));
        }
        (true, true) => {
            let text = format!("no difference that these legs can show between {name} and {to}: {}", none.join(", "));
            (Some(Word::NoDifference), text)
        }
    };
    if !(better.is_empty() && worse.is_empty() || none.is_empty()) {
        text = format!("{text}; no difference that these legs can show: {}", none.join(", "));
    }
    if !unknown.is_empty() {
        text = format!("{text}; not known: {}", unknown.join(", "));
    }
    (word, text)
}

/// `end to end, median 24.1 s instead of 20.3 s (+19 %)`.
fn told(row: &Row, index: usize, found: &Difference) -> Option<String> {
    let show = |cell: &Cell| cell.mean.map(|mean| shown(row.unit, mean));
    let (theirs, ours) = (show(row.cells.get(index)?)?, show(row.cells.first()?)?);
    let change = found.ratio.map(|ratio| format!(" ({})", percent(ratio - 1.0))).unwrap_or_default();
    Some(format!("{} {theirs} instead of {ours}{change}", row.name))
}

/// A figure with about three digits.
pub(super) fn shown(unit: Unit, value: f64) -> String {
    match unit {
        Unit::Seconds => units::seconds(value),
        Unit::JobsPerMinute => units::decimal(value),
        Unit::Count if (value - value.round()).abs() < 1e-6 => format!("{value:.0}"),
        Unit::Count => format!("{value:.1}"),
    }
}

/// A share with its sign: `+19 %`.
pub(super) fn percent(share: f64) -> String {
    let size = share.abs() * 100.0;
    let digits = if size < 9.95 { format!("{size:.1}") } else { format!("{size:.0}") };
    let sign = match digits.bytes().all(|byte| matches!(byte, b'0' | b'.')) {
        true => "±",
        false if share < 0.0 => "−",
        false => "+",
    };
    format!("{sign}{digits} %")
}

/// Whether every leg of both settings passed; else which did not.
pub(super) fn not_passed(reference: &Group, other: &Group) -> Vec<String> {
    let runs = reference.runs.iter().chain(&other.runs);
    let bad = runs.filter(|run| run.scenario.verdict() != crate::record::Verdict::Passed);
    bad.map(|run| format!("{} is {}", short(&run.label), run.scenario.verdict())).collect()
}
