//! The value of a threshold's figure, its bounds, and the verdict on it.

use super::threshold::{Figure, Threshold, Times};
use super::{Evidence, Finding};
use crate::escape::start;
use crate::figures::distribution::Measured;
use crate::figures::distribution::Statistic;
use crate::figures::names::{DEPTHS_QUERY as DEPTHS, TRANSITIONS_QUERY as TRANSITIONS};
use crate::figures::outcome::Outcome;
use crate::figures::samples::Samples;
use crate::figures::tally::JobEntry;
use crate::figures::{Figures, counted, jobs, listed};
use crate::record::Verdict;
use crate::statistics::Bounds;
use crate::tools::render_report::captures::{CaptureKind, RowResult};
use crate::units;

/// Number of characters that a sentence quotes of a name or a message from a server.
const QUOTED: usize = 120;
/// Beginning of the sentence about a figure that later samples can only raise.
const EARLY: &str = "the capture ends before the last job did, so it";

/// A figure as far as it is known.
struct Reading {
    bounds: Bounds,
    /// The figure with its error, and of how many jobs it is.
    text: String,
    /// If jobs lack the figure: its bounds without those jobs.
    survivors: Option<Bounds>,
    /// The jobs that lack it.
    lacking: Vec<String>,
    /// The jobs that lie on the wrong side by themselves.
    wrong: Vec<String>,
}

impl Reading {
    fn new(bounds: Bounds, text: String) -> Self {
        Self { bounds, text, survivors: None, lacking: Vec::new(), wrong: Vec::new() }
    }
}

/// Judges by `threshold`, which was written as `name`.
pub(super) fn judge(name: &str, threshold: &Threshold, evidence: &Evidence<'_>) -> Finding {
    let (operator, value) = (threshold.operator, threshold.value);
    let reading = match read(threshold, evidence) {
        Ok(reading) => reading,
        Err(why) => return Finding { cause: format!("{name} is not known: {why}"), ..Finding::incomplete(why) },
    };
    // Between two samples a queue may have been deeper: a ceiling is judged on the samples, which the text says.
    // The samples of a part of the run are no such samples.
    let whole =
        matches!(threshold.figure, Figure::Depth(_)) && !evidence.captures.is_early(CaptureKind::Series, DEPTHS);
    let as_sampled = whole && operator.is_ceiling();
    let bounds = if as_sampled { Bounds { high: reading.bounds.low, ..reading.bounds } } else { reading.bounds };
    let text = reading.text;
    let nothing = Finding::incomplete(String::new());
    match operator.holds(bounds, value) {
        Some(true) => {
            // What bounds it stands in the table; a sentence of many passes must stay short.
            let figure = text.split(';').next().unwrap_or_default();
            Finding { verdict: Verdict::Passed, cause: format!("{name}: {figure}"), actual: text, ..nothing }
        }
        Some(false) => Finding {
            verdict: Verdict::Failed,
            cause: format!("{name} does not hold: {text}"),
            actual: text,
            jobs: reading.wrong,
            ..nothing
        },
        None => {
            let text = format!("{text}: not certain enough");
            let follows = reading.survivors.is_some_and(|bounds| operator.holds(bounds, value).is_some());
            let cause = format!("{name} is not known: {text}");
            Finding { actual: text, cause, jobs: reading.lacking, follows, ..nothing }
        }
    }
}

/// The figure, or the reason why there is none.
fn read(threshold: &Threshold, evidence: &Evidence<'_>) -> Result<Reading, String> {
    let figures = evidence.figures;
    match &threshold.figure {
        Figure::Time(times, statistic) => time(times, *statistic, threshold, figures),
        Figure::Throughput => throughput(figures, threshold.value * 60.0),
        Figure::Success => success(figures, threshold.value),
        Figure::Peak => peak(figures),
        Figure::Depth(queue) => depth(queue, evidence),
        Figure::Transitions => transitions(evidence),
    }
}

fn time(times: &Times, statistic: Statistic, threshold: &Threshold, figures: &Figures) -> Result<Reading, String> {
    let samples = samples(times, figures)?;
    let (measured, lacking) = (samples.measured.len(), samples.lacking.len());
    let (Some(figure), Some(bounds)) = (samples.measured(statistic), samples.bounds(statistic)) else {
        return Err(match (times, lacking) {
            (_, 0) => "there are no jobs".to_owned(),
            (Times::Lag, _) => "no job had a due time, as submit-jobs --rate gives it".to_owned(),
            (_, 1) => "the only job has none".to_owned(),
            (_, all) => format!("none of {all} jobs has one"),
        });
    };
    if measured < statistic.needs() {
        let (name, needs) = (statistic.name(), statistic.needs());
        return Err(format!("{name} needs {needs} jobs, and {} one", counted(measured as u64, "has", "have")));
    }
    let mut text = format!("{} of {}", figure.text_against(threshold.value), jobs(measured as u64));
    if lacking > 0 {
        let range = range(bounds, |seconds| units::seconds_against(seconds, threshold.value))
            .map(|range| format!(", so it {range}"))
            .unwrap_or_default();
        text = format!("{text}; {} none{range}", counted(lacking as u64, "has", "have"));
    }
    if samples.countless {
        text = format!("{text}; nobody knows how many more jobs there are");
    }
    let single = statistic == Statistic::Max && threshold.operator.is_ceiling();
    let fails = |bounds| single && threshold.operator.holds(bounds, threshold.value) == Some(false);
    let known = samples.measured.iter().map(|(name, one)| (name, Bounds { low: one.low, high: one.high }));
    let given_up = samples.lacking.iter().map(|(name, low)| (name, Bounds { low: *low, high: f64::INFINITY }));
    let wrong = known.chain(given_up).filter(|(_, bounds)| fails(*bounds)).map(|(name, _)| name.clone()).collect();
    Ok(Reading {
        bounds,
        text,
        survivors: Some(Bounds { low: figure.low, high: figure.high }),
        wrong,
        lacking: samples.lacking.into_iter().map(|(name, _)| name).collect(),
    })
}

/// Describes the bounds of a figure: `lies between 1.20 s and 1.30 s`; none if both ends read the same.
fn range(Bounds { low, high }: Bounds, said: impl Fn(f64) -> String) -> Option<String> {
    let (least, most) = (said(low), said(high));
    match (low > 0.0, high.is_finite()) {
        (_, true) if least == most => None,
        (_, true) => Some(format!("lies between {least} and {most}")),
        (true, false) => Some(format!("is at least {least}")),
        (false, false) => Some("may be anything".to_owned()),
    }
}

/// Describes the figure in `text`, and its bounds if they are not just that.
fn ranged(text: String, bounds: Bounds, said: impl Fn(f64) -> String) -> Reading {
    let text = range(bounds, said).map(|range| format!("{text}; it {range}")).unwrap_or(text);
    Reading::new(bounds, text)
}

/// The durations of every job that was asked for. An error where there is no such stage.
fn samples(times: &Times, figures: &Figures) -> Result<Samples, String> {
    let tally = &figures.tally;
    let mut samples = Samples { countless: tally.uncertain.is_some(), ..Samples::default() };
    if let Times::Work(stage) | Times::Wait(stage) = times
        && !figures.stages.iter().any(|known| known.name == *stage)
    {
        let known: Vec<String> = figures.stages.iter().map(|stage| stage.name.clone()).collect();
        let known = if known.is_empty() { "none".to_owned() } else { listed(&known) };
        return Err(format!("no such stage; this run's are: {known}"));
    }
    for entry in &tally.entries {
        let measured = match times {
            Times::EndToEnd => entry.times.end_to_end.filter(|_| entry.outcome == Outcome::Succeeded),
            Times::Submit => entry.times.submit,
            Times::Lag => entry.times.lag_seconds.map(|lag| Measured::exact(lag.max(0.0))),
            Times::Work(name) | Times::Wait(name) => {
                let shown = entry.times_in(name);
                if shown.is_none() && was_passed_over(entry, name, figures) {
                    continue;
                }
                shown.and_then(|shown| if matches!(times, Times::Work(_)) { shown.work } else { shown.wait })
            }
        };
        let name = entry.name.clone();
        match measured {
            Some(measured) => samples.measured.push((name, measured)),
            None if *times == Times::EndToEnd => samples.lacking.push((name, age(entry))),
            None => samples.lacking.push((name, 0.0)),
        }
    }
    Ok(samples)
}

/// A job that succeeded without an optional stage has no time in it; nothing is missing.
fn was_passed_over(entry: &JobEntry, name: &str, figures: &Figures) -> bool {
    let stages = figures.tally.plan(entry).map(|plan| plan.stages.as_slice()).unwrap_or_default();
    entry.outcome == Outcome::Succeeded && stages.iter().any(|stage| stage.name == name && !stage.required)
}

/// Returns the shortest time that a job that was given up, or not followed to its end, can have taken: until the last poll that
/// saw it running.
fn age(entry: &JobEntry) -> f64 {
    let running = matches!(
        entry.outcome,
        Outcome::TimedOut | Outcome::Lost | Outcome::Interrupted | Outcome::Unfinished | Outcome::Unknown
    );
    let status = entry.job.as_ref().map(|job| &job.status).filter(|_| running && entry.times.end.is_none());
    let age = status.and_then(|status| Some(status.not_ended_at?.since(status.due_at.or(status.submitted_at)?)));
    age.unwrap_or_default().max(0.0)
}

fn throughput(figures: &Figures, limit: f64) -> Result<Reading, String> {
    let load = &figures.load;
    let (Some(rate), Some(bounds)) = (load.jobs_per_minute(), load.succeeded_per_second) else {
        return Err("no end was seen".to_owned());
    };
    let text = format!("{} jobs/min, {} succeeded", units::decimal_against(rate, limit), load.succeeded);
    Ok(ranged(text, bounds, |per_second| units::decimal_against(per_second * 60.0, limit)))
}

/// In per cent, as shares are typed: what is 99.9 % is then the same number as `99.9%`.
fn success(figures: &Figures, value: f64) -> Result<Reading, String> {
    let tally = &figures.tally;
    if let Some(why) = &tally.uncertain {
        return Err(why.clone());
    }
    let Some(rate) = figures.success else { return Err("there are no jobs".to_owned()) };
    let open = tally.entries.iter().filter(|entry| entry.outcome.is_open());
    let lacking: Vec<String> = open.map(|entry| entry.name.clone()).collect();
    let share = |jobs: u64, of: u64| jobs as f64 * 100.0 / of as f64;
    let bounds = Bounds { low: share(rate.succeeded, rate.of), high: share(rate.succeeded + rate.open, rate.of) };
    let ended = rate.of - rate.open;
    let survivors = (ended > 0).then(|| Bounds::exact(share(rate.succeeded, ended)));
    Ok(Reading { survivors, lacking, ..Reading::new(bounds, rate.text(&[value / 100.0])) })
}

fn peak(figures: &Figures) -> Result<Reading, String> {
    let load = &figures.load;
    if load.first_submitted.is_none() {
        return Err("nothing was submitted".to_owned());
    }
    Ok(ranged(jobs(load.peak), load.peak_within, |jobs| jobs.to_string()))
}

fn depth(queue: &str, evidence: &Evidence<'_>) -> Result<Reading, String> {
    whole(DEPTHS, evidence)?;
    let depths = &evidence.observed.depths;
    let Some(depth) = depths.get(queue) else {
        let seen: Vec<String> = depths.keys().map(|name| start(name, QUOTED)).collect();
        return Err(if seen.is_empty() {
            "no queue was sampled in the window".to_owned()
        } else {
            format!("no such queue; seen were {}", listed(&seen))
        });
    };
    let (samples, gap) = (depth.density.samples, units::seconds(depth.density.longest_gap));
    let messages = if (depth.ready - 1.0).abs() < 0.5 { "message" } else { "messages" };
    let remark = depth.remark.as_ref().map_or_else(String::new, |remark| format!(" ({})", start(remark, QUOTED)));
    let seen = if depth.is_scraped { "sampled" } else { "evaluated" };
    let text = match samples {
        1 => format!("{} {messages}{remark}, as {seen} once", depth.ready),
        _ => format!("{} {messages}{remark}, as {seen} {samples} times, every {gap} or more often", depth.ready),
    };
    let bounds = Bounds { low: depth.ready, high: f64::INFINITY };
    let text = if evidence.captures.is_early(CaptureKind::Series, DEPTHS) { early(&text, bounds) } else { text };
    Ok(Reading::new(bounds, text))
}

fn transitions(evidence: &Evidence<'_>) -> Result<Reading, String> {
    whole(TRANSITIONS, evidence)?;
    let Some(bounds) = evidence.observed.transitions_within else {
        return Err("no transition could be counted".to_owned());
    };
    let counted: f64 = evidence.observed.transitions.values().sum();
    if evidence.captures.is_early(CaptureKind::Series, TRANSITIONS) {
        let bounds = Bounds { high: f64::INFINITY, ..bounds };
        return Ok(Reading::new(bounds, early(&format!("{counted} counted"), bounds)));
    }
    let again = if bounds.high.is_finite() { "" } else { ", but counters began again" };
    Ok(ranged(format!("{counted} counted{again}"), bounds, |times| times.to_string()))
}

/// The figure in `text` of a capture that ends before the last job did.
fn early(text: &str, bounds: Bounds) -> String {
    let range = if bounds.low > 0.0 { format!("is at least {}", bounds.low) } else { "may be more".to_owned() };
    format!("{text}; {EARLY} {range}")
}

/// Returns an error unless the query `name` was captured as a whole.
fn whole(name: &str, evidence: &Evidence<'_>) -> Result<(), String> {
    let mut rows = evidence.captures.rows.iter().filter(|row| row.kind == CaptureKind::Series && row.name == name);
    let Some(row) = rows.next() else {
        return Err(format!("no series {name} was captured"));
    };
    match (row.result, &row.why) {
        (RowResult::Ok, _) => Ok(()),
        (result, None) => Err(format!("the capture of {name} {}", result.predicate())),
        (result, Some(why)) => Err(format!("the capture of {name} {}: {}", result.predicate(), start(why, QUOTED))),
    }
}
