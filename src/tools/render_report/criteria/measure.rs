//! The value of a threshold's figure, its bounds, and the verdict on it.

use itertools::Itertools;

use super::threshold::{Figure, QueryStatistic, Threshold, Times};
use super::{Evidence, Finding};
use crate::escape::start;
use crate::figures::distribution::{Measured, Statistic};
use crate::figures::job_facts::StageFacts;
use crate::figures::outcome::Outcome;
use crate::figures::samples::Samples;
use crate::figures::tally::JobEntry;
use crate::figures::{Figures, any_listed, jobs};
use crate::quantity;
use crate::record::{Role, StagePhase, Verdict};
use crate::statistics::Bounds;
use crate::tools::render_report::captures::{CaptureKind, Row, RowResult};
use crate::tools::render_report::observed::Line;
use crate::units;

/// Number of characters that a sentence quotes of a name or a message from a server.
const QUOTED: usize = 120;
/// Beginning of the sentence about a figure that later samples can only raise.
const EARLY: &str = "the capture ends before the last job did, so the true value";

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
    /// The value that was sampled. Between two samples a gauge may have been higher or lower: a threshold is judged on the
    /// samples, which the text says. None if only a part of the run was sampled.
    as_sampled: Option<f64>,
}

impl Reading {
    fn new(bounds: Bounds, text: String) -> Self {
        Self { bounds, text, survivors: None, lacking: Vec::new(), wrong: Vec::new(), as_sampled: None }
    }
}

/// Judges by `threshold`, which was written as `name`.
pub(super) fn judge(name: &str, threshold: &Threshold, evidence: &Evidence<'_>) -> Finding {
    let (operator, value) = (threshold.operator, threshold.value);
    let reading = match read(threshold, evidence) {
        Ok(reading) => reading,
        Err(why) => return Finding { cause: format!("{name} is not known: {why}"), ..Finding::incomplete(why) },
    };
    let bounds = match (reading.as_sampled, operator.is_ceiling()) {
        (Some(value), true) => Bounds { high: value, ..reading.bounds },
        (Some(value), false) => Bounds { low: value, ..reading.bounds },
        (None, _) => reading.bounds,
    };
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
            cause: format!("{name} is not met: {text}"),
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
        Figure::Query(name, statistic) => query(name, *statistic, threshold, evidence),
    }
}

fn time(times: &Times, statistic: Statistic, threshold: &Threshold, figures: &Figures) -> Result<Reading, String> {
    let samples = samples(times, figures)?;
    let (measured, lacking) = (samples.measured.len(), samples.lacking.len());
    let (Some(figure), Some(bounds)) = (samples.measured(statistic), samples.bounds(statistic)) else {
        return Err(match (times, lacking) {
            (_, 0) => "there are no jobs".to_owned(),
            (Times::Lag, _) => "no job had a due time, as submit-jobs --rate gives it".to_owned(),
            _ => match distinct(&samples.lacking) {
                1 => "the only job has none".to_owned(),
                all => format!("none of the {all} jobs has one"),
            },
        });
    };
    // A job may have several stages of one name.
    let of_jobs = distinct(&samples.measured);
    let is_one_each = of_jobs == measured;
    if measured < statistic.needs() {
        let (name, needs) = (statistic.name(), statistic.needs());
        return Err(if is_one_each {
            format!("{name} needs {needs} jobs, and {} one", units::counted(measured as u64, "has", "have"))
        } else {
            format!("{name} needs {needs} samples, and there are {measured}")
        });
    }
    let mut text = format!("{} of ", figure.text_against(threshold.value));
    if is_one_each {
        text.push_str(&jobs(of_jobs as u64));
    } else {
        text = format!("{text}{measured} samples from {}", jobs(of_jobs as u64));
    }
    if lacking > 0 {
        let range = range(bounds, |seconds| units::seconds_against(seconds, threshold.value))
            .map(|range| format!(", so the true value {range}"))
            .unwrap_or_default();
        let lack = if is_one_each {
            format!("{} no such time", units::counted(lacking as u64, "has", "have"))
        } else {
            format!("{} missing", units::counted(lacking as u64, "more is", "more are"))
        };
        text = format!("{text}; {lack}{range}");
    }
    if samples.countless {
        text = format!("{text}; it is not known how many more jobs there are");
    }
    let single = statistic == Statistic::Max && threshold.operator.is_ceiling();
    let fails = |bounds| single && threshold.operator.holds(bounds, threshold.value) == Some(false);
    let known = samples.measured.iter().map(|(name, one)| (name, Bounds { low: one.low, high: one.high }));
    let given_up = samples.lacking.iter().map(|(name, low)| (name, Bounds { low: *low, high: f64::INFINITY }));
    let wrong = known.chain(given_up).filter(|(_, bounds)| fails(*bounds)).map(|(name, _)| name.clone());
    Ok(Reading {
        bounds,
        text,
        survivors: Some(Bounds { low: figure.low, high: figure.high }),
        wrong: wrong.dedup().collect(),
        as_sampled: None,
        lacking: samples.lacking.into_iter().map(|(name, _)| name).dedup().collect(),
    })
}

/// The number of jobs in `samples`, where those of one job follow each other.
fn distinct<T>(samples: &[(String, T)]) -> usize {
    samples.iter().dedup_by(|one, next| one.0 == next.0).count()
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
    let text = range(bounds, said).map(|range| format!("{text}; the true value {range}")).unwrap_or(text);
    Reading::new(bounds, text)
}

/// The durations of every job that was asked for. An error where there is no such stage.
fn samples(times: &Times, figures: &Figures) -> Result<Samples, String> {
    let tally = &figures.tally;
    let mut samples = Samples { countless: tally.uncertain.is_some(), ..Samples::default() };
    if let Times::Work(stage) | Times::Wait(stage) = times
        && !figures.stages.iter().any(|known| known.name == *stage)
    {
        let known = any_listed(figures.stages.iter().map(|stage| &stage.name)).unwrap_or("none".to_owned());
        return Err(format!("no such stage; this run's are: {known}"));
    }
    for entry in &tally.entries {
        let measured = match times {
            Times::EndToEnd => vec![entry.times.end_to_end.filter(|_| entry.outcome == Outcome::Succeeded)],
            Times::Submit => vec![entry.times.submit],
            Times::Lag => vec![entry.lag_seconds().map(|lag| Measured::exact(lag.max(0.0)))],
            Times::Work(name) => in_stage(entry, name, figures, |stage| stage.times.work()),
            Times::Wait(name) => in_stage(entry, name, figures, |stage| stage.times.wait()),
        };
        for measured in measured {
            let name = entry.name.clone();
            match measured {
                Some(measured) => samples.measured.push((name, measured)),
                None if *times == Times::EndToEnd => samples.lacking.push((name, age(entry))),
                None => samples.lacking.push((name, 0.0)),
            }
        }
    }
    Ok(samples)
}

/// The time of each of a job's entries of the stage `name`: attempts, or instances that ran side by side. An attempt that failed before
/// another one was made has no time of its own, and nothing is missing.
fn in_stage(
    entry: &JobEntry,
    name: &str,
    figures: &Figures,
    time: fn(&StageFacts) -> Option<Measured>,
) -> Vec<Option<Measured>> {
    let was_tried_again = |stage: &StageFacts| {
        let failed = entry.job.iter().flat_map(|job| &job.rare().failed_stages);
        stage.phase == StagePhase::Failed
            && !stage.unlisted
            && !failed.into_iter().any(|failed| *failed.as_str() == *name)
    };
    let told = |stage: &StageFacts| time(stage).map(Some).or_else(|| (!was_tried_again(stage)).then_some(None));
    if entry.entries_of(name).next().is_none() && !was_passed_over(entry, name, figures) {
        return vec![None];
    }
    entry.entries_of(name).filter_map(told).collect()
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
    let job = entry.job.as_ref().filter(|_| running && entry.times.end.is_none());
    let age = job.and_then(|job| Some(job.not_ended_at?.since(job.due_at.or(job.submitted_at)?)));
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
    let early = is_early(with_role(Role::QueueDepth, evidence)?, evidence);
    let depths = &evidence.observed.depths;
    let Some(depth) = depths.get(queue) else {
        let seen = any_listed(depths.keys().map(|name| start(name, QUOTED)));
        return Err(seen.map_or_else(
            || "no queue was sampled in the window".to_owned(),
            |seen| format!("no such queue; those seen: {seen}"),
        ));
    };
    let (samples, gap) = (depth.density.samples, units::seconds(depth.density.longest_gap));
    let messages = if (depth.ready - 1.0).abs() < 0.5 { "message" } else { "messages" };
    let remark = depth.remark.as_ref().map_or_else(String::new, |remark| format!(" ({})", start(remark, QUOTED)));
    let seen = if depth.is_scraped { "sampled" } else { "evaluated" };
    let text = match samples {
        1 => format!("{} {messages}{remark}, {seen} once", depth.ready),
        _ => format!("{} {messages}{remark}, {seen} {samples} times, at most {gap} apart", depth.ready),
    };
    let bounds = Bounds { low: depth.ready, high: f64::INFINITY };
    let text = if early { up_to_early_end(&text, bounds) } else { text };
    Ok(Reading { as_sampled: (!early).then_some(depth.ready), ..Reading::new(bounds, text) })
}

fn transitions(evidence: &Evidence<'_>) -> Result<Reading, String> {
    let early = is_early(with_role(Role::Transitions, evidence)?, evidence);
    let Some(bounds) = evidence.observed.transitions_within else {
        return Err("no transition could be counted".to_owned());
    };
    let counted: f64 = evidence.observed.transitions.values().sum();
    if early {
        let bounds = Bounds { high: f64::INFINITY, ..bounds };
        return Ok(Reading::new(bounds, up_to_early_end(&format!("{counted} counted"), bounds)));
    }
    let again = if bounds.high.is_finite() { "" } else { ", but counters restarted" };
    Ok(ranged(format!("{counted} counted{again}"), bounds, |times| times.to_string()))
}

/// The statistic of a query: of its line that is nearest to the wrong side, in the unit in which the threshold's value was typed.
fn query(
    name: &str,
    statistic: QueryStatistic,
    threshold: &Threshold,
    evidence: &Evidence<'_>,
) -> Result<Reading, String> {
    let row = evidence.captures.rows.iter().find(|row| row.kind == CaptureKind::Series && row.name == name);
    let early = is_early(whole(row.ok_or_else(|| format!("no query {name} was captured"))?)?, evidence);
    let metric = evidence.observed.metrics.iter().find(|metric| metric.name == name);
    let metric = metric.ok_or_else(|| format!("{name} has no usable sample in the window"))?;
    if metric.is_counter && metric.increase.is_none() {
        return Err(format!("the counters of {name} cannot be relied on: see \"Missing or doubtful\""));
    }
    if statistic == QueryStatistic::Increase {
        let bounds = metric.increase.ok_or_else(|| format!("{name} is a gauge, and only a counter has an increase"))?;
        let bounds = if early { Bounds { high: f64::INFINITY, ..bounds } } else { bounds };
        let amount = |value| quantity::text(value, None);
        let text = range(bounds, amount)
            .map_or_else(|| format!("increased by {}", amount(bounds.low)), |range| format!("the increase {range}"));
        return Ok(Reading::new(bounds, text));
    }
    let unit = metric.unit.as_deref();
    let limit = threshold.value_in(unit)?;
    let value = |line: &Line| match statistic {
        QueryStatistic::Max | QueryStatistic::Increase => line.max,
        QueryStatistic::Min => line.min,
        QueryStatistic::Mean => line.mean,
    };
    let by_value = |one: &&Line, other: &&Line| value(one).total_cmp(&value(other));
    let lines = metric.lines.iter();
    let nearest = if threshold.operator.is_ceiling() { lines.max_by(by_value) } else { lines.min_by(by_value) };
    let line = nearest.ok_or_else(|| format!("{name} has no sample in the window"))?;
    let found = value(line);
    let of = if line.name.is_empty() { String::new() } else { format!(" ({})", start(&line.name, QUOTED)) };
    let seen = if metric.is_scraped { "sampled" } else { "evaluated" };
    let (samples, gap) = (metric.density.samples, units::seconds(metric.density.longest_gap));
    let text = format!("{}{of}, {seen} {samples} times, at most {gap} apart", quantity::text(found, unit));
    let text = if early { format!("{text}; the capture ends before the last job did") } else { text };
    // In the unit that was typed, as the threshold's value is.
    let scale = if limit == 0.0 || threshold.value == 0.0 { 1.0 } else { threshold.value / limit };
    let bounds = match statistic {
        QueryStatistic::Max | QueryStatistic::Increase => Bounds { low: found, high: f64::INFINITY },
        QueryStatistic::Min => Bounds { low: f64::NEG_INFINITY, high: found },
        QueryStatistic::Mean if early => Bounds { low: f64::NEG_INFINITY, high: f64::INFINITY },
        QueryStatistic::Mean => Bounds::exact(found),
    };
    Ok(Reading { as_sampled: (!early).then_some(found * scale), ..Reading::new(bounds.scaled(scale), text) })
}

/// The figure in `text` of a capture that ends before the last job did.
fn up_to_early_end(text: &str, bounds: Bounds) -> String {
    let range = if bounds.low > 0.0 { format!("is at least {}", bounds.low) } else { "may be more".to_owned() };
    format!("{text}; {EARLY} {range}")
}

/// The capture of the query with this role; an error unless all of it came.
fn with_role<'a>(role: Role, evidence: &'a Evidence<'_>) -> Result<&'a Row, String> {
    let is_of_role = |row: &&Row| row.role == Some(role);
    let row = evidence.captures.rows.iter().find(is_of_role);
    whole(row.ok_or_else(|| format!("no query with the role {role} was captured"))?)
}

fn is_early(row: &Row, evidence: &Evidence<'_>) -> bool {
    evidence.captures.is_early(CaptureKind::Series, &row.name)
}

/// The capture `row`; an error unless all of it came.
fn whole(row: &Row) -> Result<&Row, String> {
    let name = &row.name;
    match (row.result, &row.why) {
        (RowResult::Ok, _) => Ok(row),
        (result, None) => Err(format!("the capture of {name} {}", result.predicate())),
        (result, Some(why)) => Err(format!("the capture of {name} {}: {}", result.predicate(), start(why, QUOTED))),
    }
}
