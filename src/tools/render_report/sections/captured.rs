//! The sections that rest on the captures: the sources of stage durations side by side, the GPU, the queues, the captures themselves.

use itertools::Itertools;

use super::{LISTED, MESSAGE};
use crate::escape::start;
use crate::figures::stage_sources::{Mean, Spread, StageSources};
use crate::markup::{Content, Inline, NO_VALUE, cell};
use crate::quantity;
use crate::record::Timestamp;
use crate::tools::render_report::captures::{CaptureKind, Row};
use crate::tools::render_report::observed::{Depth, Metric, Observed, Tenancy};
use crate::units;

/// The longest part of a server's name, in characters, that a cell shows.
const NAME: usize = 80;

/// The range of samples that histograms and counters were taken from.
pub(in crate::tools::render_report) fn counting(page: &mut Content, observed: &Observed) {
    let of_stages = observed.stages.iter().any(|stage| stage.histograms.or(stage.queued).is_some());
    if of_stages || !observed.tenancies.is_empty() || !observed.transitions.is_empty() {
        page.paragraph(format!(
            "Histograms and counters cover the time from the last sample before the window to the last one captured. {} of \
             them had no sample before the window and count from zero.",
            observed.born
        ));
    }
}

/// The mean duration of each stage by each source.
pub(in crate::tools::render_report) fn durations(page: &mut Content, stages: &[StageSources]) {
    if stages.iter().all(|stage| stage.spans.or(stage.histograms).is_none()) {
        return;
    }
    page.heading("Stage durations from three sources");
    let shown = stages.iter().filter(|stage| stage.documents.or(stage.spans).or(stage.histograms).is_some());
    page.table(
        [
            "Stage",
            "Jobs>",
            "Mean by job documents>",
            "Spans>",
            "Mean by spans>",
            "Counted>",
            "Mean by histograms>",
            "Largest difference>",
            "Why?",
        ],
        shown.map(|it| {
            means_row(&it.stage, &[it.documents, it.spans, it.histograms], it.spread(), it.duration_difference())
        }),
    );
    page.paragraph("The difference is between the largest and the smallest mean, in per cent of the largest.");
}

/// The mean wait for each stage by each source.
pub(in crate::tools::render_report) fn waits(page: &mut Content, stages: &[StageSources]) {
    if stages.iter().all(|stage| stage.queued.is_none()) {
        return;
    }
    page.heading("Waits from two sources");
    let shown = stages.iter().filter(|stage| stage.waited.or(stage.queued).is_some());
    page.table(
        [
            "Stage",
            "Jobs>",
            "Mean wait by job documents>",
            "Counted>",
            "Mean queue wait by histograms>",
            "Difference>",
            "Why?",
        ],
        shown.map(|it| means_row(&it.stage, &[it.waited, it.queued], it.wait_spread(), it.wait_difference())),
    );
}

fn means_row(stage: &str, means: &[Option<Mean>], spread: Option<Spread>, why: Option<String>) -> Vec<Inline> {
    let mut row = vec![start(stage, NAME).into()];
    for mean in means {
        row.push(cell(mean.map(|mean| mean.count.to_string())));
        row.push(cell(mean.map(|mean| units::seconds(mean.seconds))));
    }
    row.push(cell(spread.map(|spread| format!("{} ({:.1} %)", units::seconds(spread.seconds), spread.ratio * 100.0))));
    row.push(cell(why));
    row
}

/// The tenants of the GPU and its transitions.
pub(in crate::tools::render_report) fn gpu(page: &mut Content, observed: &Observed) {
    if observed.tenancies.is_empty() && observed.transitions.is_empty() {
        return;
    }
    page.heading("Tenants of the GPU");
    if !observed.tenancies.is_empty() {
        let rows = observed.tenancies.iter().take(LISTED).map(|(tenant, held)| {
            let times = held.bounds.count;
            let mean = |seconds: f64| seconds / times;
            vec![start(tenant, NAME).into(), count(times).into(), time(held, |seconds| seconds), time(held, mean)]
        });
        page.table(["Tenant", "Tenancies>", "Total time>", "Mean>"], rows);
        page.paragraph(
            "Tenancies that ended in the window. If only the buckets were captured, the time lies between their bounds.",
        );
        more(page, observed.tenancies.len());
    }
    if observed.left_out_tenancies {
        page.paragraph("Tenants whose tenancies began before the window are not shown.");
    }
    if !observed.transitions.is_empty() {
        let all: f64 = observed.transitions.values().sum();
        let ways = observed.transitions.iter().take(LISTED);
        let ways = ways.map(|(way, times)| format!("{} {}", start(way, NAME), count(*times))).join(", ");
        page.paragraph(format!("Transitions: {} in all: {ways}.", count(all)));
        more(page, observed.transitions.len());
    }
}

fn time(held: &Tenancy, of: impl Fn(f64) -> f64) -> Inline {
    let shown = |seconds: f64| units::seconds(of(seconds));
    match (held.seconds, held.bounds.high) {
        _ if held.bounds.count <= 0.0 => NO_VALUE.into(),
        (Some(seconds), _) => shown(seconds).into(),
        (None, Some(high)) => format!("{} to {} (by buckets)", shown(held.bounds.low), shown(high)).into(),
        (None, None) => format!("at least {} (by buckets)", shown(held.bounds.low)).into(),
    }
}

/// The highest depth of each queue.
pub(in crate::tools::render_report) fn queues(page: &mut Content, observed: &Observed) {
    if observed.depths.is_empty() {
        return;
    }
    page.heading("Highest queue depth");
    let rows = observed.depths.iter().take(LISTED).map(|(queue, Depth { ready, at, remark, .. })| {
        // A queue that was never filled was not deepest at any time.
        let when = (*ready > 0.0).then(|| at.time_of_day());
        let remark = remark.as_ref().map_or_else(String::new, |remark| format!(" ({})", start(remark, MESSAGE)));
        vec![start(queue, NAME).into(), (count(*ready) + &remark).into(), cell(when)]
    });
    page.table(["Queue", "Messages ready>", "First seen (UTC, Prometheus' clock)"], rows);
    page.paragraph("Depths are samples: a queue that filled and drained between two scrapes is not seen.");
    more(page, observed.depths.len());
}

/// The queries that no other section shows: the range of each of their lines in the window.
pub(in crate::tools::render_report) fn metrics(page: &mut Content, metrics: &[Metric]) {
    let listed: Vec<&Metric> = metrics.iter().filter(|metric| metric.is_listed).collect();
    if listed.is_empty() {
        return;
    }
    page.heading("Other metrics");
    let lines = || listed.iter().flat_map(|metric| metric.lines.iter().map(move |line| (*metric, line)));
    let rows = lines().take(LISTED).map(|(metric, line)| {
        let value = |value: f64| quantity::text(value, metric.unit.as_deref()).into();
        let shown = if metric.is_counter { "growth per second" } else { "value" };
        vec![
            start(&metric.name, NAME).into(),
            cell((!line.name.is_empty()).then(|| start(&line.name, NAME))),
            shown.into(),
            value(line.min),
            value(line.mean),
            value(line.max),
        ]
    });
    page.table(["Query", "Labels", "Shown", "Min>", "Mean>", "Max>"], rows);
    page.paragraph(
        "Samples in the window: a value between two scrapes is not seen, and the mean is that of the samples.",
    );
    let left_out: usize = listed.iter().map(|metric| metric.left_out).sum();
    more(page, lines().count() + left_out);
}

/// The captures: what was asked of the pipeline's own observability, and what came.
pub(in crate::tools::render_report) fn captures(page: &mut Content, rows: &[Row]) {
    page.heading("Captures");
    let kinds = [("metrics", CaptureKind::Series), ("traces", CaptureKind::Traces), ("worker logs", CaptureKind::Logs)];
    let mut none = kinds.iter().filter(|(_, kind)| rows.iter().all(|row| row.kind != *kind)).map(|(shown, _)| *shown);
    let none = none.join(", ");
    if !none.is_empty() {
        page.paragraph(format!("Not captured: {none}."));
    }
    if rows.is_empty() {
        return;
    }
    let cells = rows.iter().take(LISTED).map(|row| {
        let (from, to) = row.window;
        let time = |at: Option<Timestamp>| at.map_or_else(|| NO_VALUE.to_owned(), Timestamp::time_of_day);
        let name = start(&row.name, NAME);
        vec![
            row.kind.to_string().into(),
            row.file.as_ref().map_or_else(|| name.clone().into(), |file| Inline::link(name.as_str(), file.as_str())),
            start(if row.asked.is_empty() { &row.name } else { &row.asked }, MESSAGE).into(),
            cell(from.or(to).is_some().then(|| format!("{} – {}", time(from), time(to)))),
            cell(row.step_seconds.map(units::seconds)),
            Inline::strong(row.result.word()),
            cell((!row.came.is_empty()).then_some(row.came.as_str())),
            cell(row.why.as_ref().map(|why| start(why, MESSAGE))),
        ]
    });
    page.table(["Kind", "Name", "Request", "Window (UTC)", "Step>", "Result", "Received", "Missing, and why?"], cells);
    more(page, rows.len());
}

fn more(page: &mut Content, held: usize) {
    if held > LISTED {
        page.paragraph(format!("{} more are not shown.", held - LISTED));
    }
}

/// A count as a whole number, although servers give a decimal point.
fn count(value: f64) -> String {
    if (value - value.round()).abs() < 1e-6 { format!("{value:.0}") } else { format!("{value:.2}") }
}
