//! The headline figures in words, for the pages and for the summary on the terminal.

use std::cmp::Reverse;

use itertools::Itertools;

use super::captures::{CaptureKind, Captures, RowResult};
use super::criteria::{Limits, Times};
use super::evaluation::Evaluation;
use crate::escape::shorten;
use crate::figures::distribution::Statistic;
use crate::figures::load::Load;
use crate::figures::outcome::{counts_text, unsuccessful};
use crate::figures::tally::{self, JobEntry};
use crate::figures::{Figures, any_listed, jobs, listed};
use crate::record::{Criterion, Report, Verdict};
use crate::statistics::Bounds;
use crate::units;
use crate::units::decimal;

/// The longest part of an actual value, in characters, that the line of a criterion shows.
const ACTUAL: usize = 160;

/// The headline figures, each with its label.
pub(super) fn headline_figures(evaluation: &Evaluation) -> Vec<(&'static str, String)> {
    let Evaluation { figures, captures, .. } = evaluation;
    if captures.alone {
        return window_figures(captures);
    }
    let limits = Limits::new(&evaluation.report.status.criteria);
    let mut lines = vec![
        ("Load", load(&figures.load, &limits)),
        ("Throughput", throughput(&figures.load, &limits)),
        ("End to end", end_to_end(figures, &limits)),
        ("Limiting stage", limiting(figures)),
        ("Success rate", success(figures, &limits)),
    ];
    if let Some(resumed) = &figures.resumed {
        lines.insert(1, ("Resumed", resumed.text()));
    }
    lines.extend(warmup(&figures.tally.warmups).map(|text| ("Warm-up", text)));
    lines
}

/// The ends of the jobs that ran before the counted ones.
fn warmup(entries: &[JobEntry]) -> Option<String> {
    let (jobs, ended) = (jobs(entries.len() as u64), counts_text(&tally::sums(entries)));
    (!entries.is_empty()).then(|| format!("{jobs} before the counted ones, excluded from all figures: {ended}"))
}

/// The text of a figure, split into its headline and the detail: `197 jobs/min` and `12 succeeded in 3.65 s, …`.
pub(super) fn split_headline(text: &str) -> (&str, &str) {
    let cuts = [": ", ", ", "; "].into_iter().filter_map(|between| text.find(between));
    match cuts.min() {
        Some(cut) => (&text[..cut], &text[cut + 2..]),
        None => (text, ""),
    }
}

/// The figures of a window without jobs.
fn window_figures(captures: &Captures) -> Vec<(&'static str, String)> {
    let window = captures.window.map_or_else(
        || "not known: no capture gives it".to_owned(),
        |window| format!("{} to {}, {}", window.start, window.end, units::seconds(window.end.since(window.start))),
    );
    let whole = captures.rows.iter().filter(|row| row.result == RowResult::Ok).count();
    let of = |kind| captures.rows.iter().filter(|row| row.kind == kind).count();
    let services = units::counted(of(CaptureKind::Traces) as u64, "service", "services");
    let asked = format!("{} series, traces of {services}, logs of {}", of(CaptureKind::Series), of(CaptureKind::Logs));
    vec![("Window", window), ("Captures", format!("{whole} of {} are complete: {asked}", captures.rows.len()))]
}

/// The origin of a page that has no run to name.
pub(super) fn origin(captures: &Captures) -> Vec<String> {
    if !captures.alone {
        return vec!["records without a run's id".to_owned()];
    }
    let window = captures
        .window
        .map_or_else(|| "an unknown window".to_owned(), |window| format!("{} to {}", window.start, window.end));
    let asked = any_listed(&captures.servers).map(|servers| format!("Prometheus at {servers}"));
    [format!("capture of {window}")].into_iter().chain(asked).collect()
}

fn load(load: &Load, limits: &Limits) -> String {
    let asked = &load.asked;
    let jobs = jobs(asked.jobs);
    let mut text = match (asked.concurrency, asked.max_posts, asked.rate_per_second) {
        (Some(concurrency), _, _) => format!("asked: concurrency {concurrency}, {jobs}"),
        (_, Some(posts), _) => format!("asked: {jobs} at once, at most {posts} submissions at a time"),
        (_, _, Some(rate)) => format!("asked: {} jobs/s, {jobs}", decimal(rate)),
        _ => format!("asked: {jobs}"),
    };
    if load.first_submitted.is_none() {
        return format!("{text}; nothing was submitted");
    }
    text = format!("{text}; reached: peak {}{}", load.peak, within(Some(load.peak_within), |jobs| jobs.to_string()));
    if let Some(mean) = load.mean_reported() {
        let within = within(load.mean_within, |mean| format!("{mean:.1}"));
        text = format!("{text}, mean {mean:.1}{within} in flight from the first submission to the last");
    }
    if let (Some(_), Some(rate)) = (asked.rate_per_second, load.rate_reached) {
        text = format!("{text}, {} jobs/s{}", decimal(rate), within(load.rate_within, decimal));
    }
    if let Some(lag) = load.lag {
        text = format!(
            "{text}; submissions lagged behind the schedule by {} (median) and {} (max)",
            limits.seconds(Times::Lag, Statistic::P50, lag.p50),
            limits.seconds(Times::Lag, Statistic::Max, lag.max)
        );
    }
    match (asked.concurrency, asked.reachable()) {
        (Some(concurrency), Some(reachable)) if reachable < concurrency => {
            let were = if asked.jobs == 1 { "was" } else { "were" };
            format!("{text}; {concurrency} could not be reached: there {were} only {jobs}")
        }
        (Some(concurrency), _) if load.peak_within.high < concurrency as f64 => {
            format!("{text}; {concurrency} was never reached")
        }
        _ => text,
    }
}

/// The bounds of a figure in brackets: ` (3 to 8)`, ` (3 or more)`; nothing if both ends read the same.
fn within(bounds: Option<Bounds>, shown: impl Fn(f64) -> String) -> String {
    let Some(Bounds { low, high }) = bounds else { return String::new() };
    match (shown(low), shown(high)) {
        (low, _) if high.is_infinite() => format!(" ({low} or more)"),
        (low, high) if low == high => String::new(),
        (low, high) => format!(" ({low} to {high})"),
    }
}

/// The success rate of the jobs that were asked for, with the number of those that have no known end.
fn success(figures: &Figures, limits: &Limits) -> String {
    let sums = &figures.tally.conservation;
    match (figures.success, &figures.tally.uncertain) {
        (Some(rate), _) if rate.open == rate.of => "not known: no job came to an end".to_owned(),
        (Some(rate), _) => rate.text(&limits.success()),
        (None, Some(why)) => {
            format!("not known: {why}; {} of the {} with a record succeeded", sums.succeeded, jobs(sums.asked))
        }
        (None, None) => "not known: there are no jobs".to_owned(),
    }
}

fn throughput(load: &Load, limits: &Limits) -> String {
    let (Some(rate), Some(window), Some(within)) =
        (load.jobs_per_minute(), load.window_seconds(), load.jobs_per_minute_within())
    else {
        return "not known: no end was seen".to_owned();
    };
    let text = format!(
        "{} jobs/min{}: {} succeeded in {}, from the first submission to the last end",
        limits.jobs_per_minute(rate),
        error(rate, within),
        load.succeeded,
        units::seconds(window)
    );
    match load.open {
        0 => text,
        open => {
            format!(
                "{text}; {} not seen to end, so the rate may be as low as 0",
                units::counted(open, "job was", "jobs were")
            )
        }
    }
}

/// The error of a rate with the rate's own decimals: ` (+4 / −6)`; nothing if that shows nothing.
fn error(rate: f64, Bounds { low, high }: Bounds) -> String {
    if !high.is_finite() {
        return if low > 0.0 { format!(" (at least {})", decimal(low)) } else { " (without known bounds)".to_owned() };
    }
    let decimals = decimal(rate).split_once('.').map_or(0, |(_, fraction)| fraction.len());
    let shown = |by: f64| {
        let text = format!("{:.decimals$}", by.max(0.0));
        if text.trim_matches(['0', '.']).is_empty() { "0".to_owned() } else { text }
    };
    match (shown(high - rate), shown(rate - low)) {
        (more, less) if more == "0" && less == "0" => String::new(),
        (more, less) if more == less => format!(" (± {more})"),
        (more, less) => format!(" (+{more} / −{less})"),
    }
}

fn end_to_end(figures: &Figures, limits: &Limits) -> String {
    match figures.end_to_end {
        Some(of) => {
            let text = |at| Some(limits.end_to_end(at, of.statistic(at)?));
            let percentiles = [Statistic::P90, Statistic::P95, Statistic::P99, Statistic::Max];
            let known = percentiles.into_iter().filter_map(|at| Some(format!("{} {}", at.name(), text(at)?)));
            let (median, known) = (limits.end_to_end(Statistic::P50, of.p50), known.collect_vec().join(", "));
            format!("median {median}, {known}, of {} that succeeded", of.count)
        }
        None => "not known: no job is known to have succeeded".to_owned(),
    }
}

fn limiting(figures: &Figures) -> String {
    match &figures.limiting {
        Some(limiting) => format!("{}: {}", limiting.stage, limiting.text()),
        None => "not known: no stage has times".to_owned(),
    }
}

/// The mark of a verdict.
pub(super) const fn mark(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Passed => "✓",
        Verdict::Failed => "✕",
        Verdict::Incomplete => "?",
    }
}

/// The criteria in a line each, worst first: the verdict, the criterion, the actual value. Empty where the cause of the verdict says
/// the same.
pub(super) fn criteria_lines(report: &Report) -> Vec<(Verdict, &str, String)> {
    let criteria = &report.status.criteria;
    let compared = criteria.iter().any(|criterion| criterion.name.contains(['<', '>']));
    if criteria.len() < 2 || !compared && criteria.iter().all(|criterion| criterion.verdict == Verdict::Passed) {
        return Vec::new();
    }
    let line = |it: &'_ Criterion| shorten(&it.actual, ACTUAL);
    let mut lines: Vec<_> = criteria.iter().map(|it| (it.verdict, it.name.as_str(), line(it))).collect();
    lines.sort_by_key(|(verdict, ..)| Reverse(*verdict));
    lines
}

/// The jobs that did not succeed: `failed: a, b; lost: c`. None where all did.
pub(super) fn unsuccessful_jobs(figures: &Figures) -> Option<String> {
    let parts = unsuccessful(&figures.tally.conservation)
        .map(|(outcome, _)| format!("{outcome}: {}", listed(figures.tally.with(outcome).map(|entry| &entry.name))));
    Some(parts.collect_vec().join("; ")).filter(|parts| !parts.is_empty())
}
