//! The sections that rest on the captures: witnesses side by side, the GPU, the queues, and the captures themselves.

use super::{LISTED_JOBS, MESSAGE};
use crate::escape;
use crate::figures::stage_sources::{Mean, Spread, StageSources};
use crate::page::{Page, Pen, dash};
use crate::record::Timestamp;
use crate::tools::render_report::captures::{CaptureKind, Row};
use crate::tools::render_report::observed::{Depth, Observed, Tenancy};
use crate::units;

/// How many characters of a name that a server gave a cell shows.
const NAME: usize = 80;

/// What the captures tell of the pipeline; nothing where they tell nothing.
pub(super) fn observed(page: &mut Page, observed: &Observed) {
    durations(page, &observed.stages);
    waits(page, &observed.stages);
    gpu(page, observed);
    counting(page, observed);
    queues(page, observed);
}

pub(in crate::tools::render_report) fn counting(page: &mut Page, observed: &Observed) {
    let of_stages = observed.stages.iter().any(|one| one.histograms.or(one.queued).is_some());
    if of_stages || !observed.tenancies.is_empty() || !observed.transitions.is_empty() {
        page.paragraph(&format!(
            "Histograms and counters are taken from the last sample before the window to the last one captured. {} of \
             them had no sample before the window and count from zero, as counters begin.",
            observed.born
        ));
    }
}

pub(in crate::tools::render_report) fn durations(page: &mut Page, stages: &[StageSources]) {
    let pen = page.pen;
    if stages.iter().all(|one| one.spans.or(one.histograms).is_none()) {
        return;
    }
    page.heading("How long stages took, by three witnesses");
    let rows = stages.iter().filter(|one| one.documents.or(one.spans).or(one.histograms).is_some()).map(|one| {
        let means = [one.documents, one.spans, one.histograms];
        [vec![name(pen, &one.stage)], means.into_iter().flat_map(mean).collect(), vec![apart(one.spread())]].concat()
    });
    page.table(
        &[
            "Stage",
            "Jobs>",
            "Mean by job documents>",
            "Spans>",
            "Mean by spans>",
            "Counted>",
            "Mean by histograms>",
            "Largest difference>",
        ],
        rows,
    );
    page.paragraph(
        "The difference is between the largest mean and the smallest, in per cent of the largest. Spans and histograms \
         count attempts, the job documents tell the last one of each job that finished the stage.",
    );
}

pub(in crate::tools::render_report) fn waits(page: &mut Page, stages: &[StageSources]) {
    let pen = page.pen;
    if stages.iter().all(|one| one.queued.is_none()) {
        return;
    }
    page.heading("How long jobs waited, by two witnesses");
    let rows = stages.iter().filter(|one| one.waited.or(one.queued).is_some()).map(|one| {
        let means = [one.waited, one.queued];
        [vec![name(pen, &one.stage)], means.into_iter().flat_map(mean).collect(), vec![apart(one.wait_spread())]]
            .concat()
    });
    page.table(
        &["Stage", "Jobs>", "Mean wait by job documents>", "Counted>", "Mean queue wait by histograms>", "Difference>"],
        rows,
    );
}

fn mean(of: Option<Mean>) -> [String; 2] {
    of.map_or_else(|| [dash(), dash()], |of| [of.count.to_string(), units::seconds(of.seconds)])
}

fn apart(spread: Option<Spread>) -> String {
    spread.map_or_else(dash, |spread| format!("{} ({:.1} %)", units::seconds(spread.seconds), spread.ratio * 100.0))
}

pub(in crate::tools::render_report) fn gpu(page: &mut Page, observed: &Observed) {
    let pen = page.pen;
    if observed.tenancies.is_empty() && observed.transitions.is_empty() {
        return;
    }
    page.heading("Who held the GPU");
    if !observed.tenancies.is_empty() {
        let rows = observed.tenancies.iter().take(LISTED_JOBS).map(|(tenant, held)| {
            let mean = |seconds: f64| seconds / held.count;
            vec![name(pen, tenant), count(held.count), time(held, |seconds| seconds), time(held, mean)]
        });
        page.table(&["Tenant", "Tenancies>", "Time in all>", "Mean>"], rows);
        page.paragraph(
            "Tenancies that ended in the window. Where only the buckets were captured, the time lies between their bounds.",
        );
        more(page, observed.tenancies.len());
    }
    if !observed.transitions.is_empty() {
        let all: f64 = observed.transitions.values().sum();
        let ways = observed.transitions.iter().take(LISTED_JOBS);
        let ways: Vec<String> = ways.map(|(way, times)| format!("{} {}", name(pen, way), count(*times))).collect();
        page.paragraph(&format!("Transitions: {} in all: {}.", count(all), ways.join(", ")));
        more(page, observed.transitions.len());
    }
}

fn time(held: &Tenancy, of: impl Fn(f64) -> f64) -> String {
    let shown = |seconds: f64| units::seconds(of(seconds));
    match (held.seconds, held.bounds.high) {
        _ if held.count <= 0.0 => dash(),
        (Some(seconds), _) => shown(seconds),
        (None, Some(high)) => format!("{} to {}", shown(held.bounds.low), shown(high)),
        (None, None) => format!("at least {}", shown(held.bounds.low)),
    }
}

pub(in crate::tools::render_report) fn queues(page: &mut Page, observed: &Observed) {
    let pen = page.pen;
    if observed.depths.is_empty() {
        return;
    }
    page.heading("Highest queue depth");
    let rows = observed.depths.iter().take(LISTED_JOBS).map(|(queue, Depth { ready, at, .. })| {
        // A queue that was never seen filled was not deepest at any time.
        let when = if *ready > 0.0 { at.time_of_day() } else { dash() };
        vec![name(pen, queue), count(*ready), when]
    });
    page.table(&["Queue", "Messages ready>", "First seen (UTC, Prometheus' clock)"], rows);
    page.paragraph(
        "Depths are sampled at each scrape: a queue that filled and drained between two of them is not seen.",
    );
    more(page, observed.depths.len());
}

/// What was asked of the pipeline's own observability, and what came.
pub(in crate::tools::render_report) fn captures(page: &mut Page, rows: &[Row]) {
    let pen = page.pen;
    page.heading("Captures");
    let kinds = [("metrics", CaptureKind::Series), ("traces", CaptureKind::Traces), ("worker logs", CaptureKind::Logs)];
    let none = kinds.iter().filter(|(_, kind)| rows.iter().all(|row| row.kind != *kind)).map(|(shown, _)| *shown);
    let none: Vec<&str> = none.collect();
    if !none.is_empty() {
        page.paragraph(&format!("No capture was made of: {}.", none.join(", ")));
    }
    if rows.is_empty() {
        return;
    }
    let cells = rows.iter().take(LISTED_JOBS).map(|row| {
        let (start, end) = row.window;
        let time = |at: Option<Timestamp>| at.map_or_else(dash, Timestamp::time_of_day);
        let named = row
            .file
            .as_ref()
            .map_or_else(|| name(pen, &row.name), |file| pen.link(&escape::start(&row.name, NAME), file));
        let asked = escape::start(if row.asked.is_empty() { &row.name } else { &row.asked }, MESSAGE);
        vec![
            row.kind.word().to_owned(),
            named,
            pen.safe(&asked),
            if start.or(end).is_some() { format!("{} – {}", time(start), time(end)) } else { dash() },
            row.step_seconds.map_or_else(dash, units::seconds),
            pen.strong(row.result.word()),
            if row.came.is_empty() { dash() } else { row.came.clone() },
            row.why.as_ref().map_or_else(dash, |why| pen.safe(&escape::start(why, MESSAGE))),
        ]
    });
    page.table(&["What", "Name", "Asked", "Window (UTC)", "Step>", "Result", "Came", "What is short, and why"], cells);
    more(page, rows.len());
}

fn more(page: &mut Page, held: usize) {
    if held > LISTED_JOBS {
        page.paragraph(&format!("{} more are not shown.", held - LISTED_JOBS));
    }
}

fn name(pen: Pen, text: &str) -> String {
    pen.safe(&escape::start(text, NAME))
}

/// Counts are whole, but servers give them as numbers with a point.
fn count(value: f64) -> String {
    if (value - value.round()).abs() < 1e-6 { format!("{value:.0}") } else { format!("{value:.2}") }
}
