//! `report.md`: a first screen to be pasted to a team, and the evidence below it.
//!
//! Whatever a record said goes through [`Pen::safe`]. The same functions write the sections of `report.html`. Times are UTC; no clock is asked, so that the same records
//! always make the same page.

mod observed;

use std::cmp::Reverse;
use std::fmt::Write;

use std::collections::BTreeSet;

use super::captures::Captures;
use super::facts;
use super::files;
use super::observed::Observed;
use crate::escape;
use crate::figures::distribution::{Distribution, Measured};
use crate::figures::outcome::{Outcome, conservation_line};
use crate::figures::tally::JobEntry;
use crate::figures::{Figures, listed};
use crate::page::dash;
pub(super) use crate::page::{Page, Pen};
use crate::record::{Idle, Report, Run, Verdict};
use crate::units;
pub(super) use observed::{captures, counting, durations, gpu, queues, waits};

/// How many jobs, captures or files the page lists; the files beside it have them all.
pub(super) const LISTED_JOBS: usize = 50;
/// How many jobs the page in HTML lists, where rows are folded and can be searched.
pub(super) const LISTED_IN_HTML: usize = 500;
/// How many failures the first screen shows.
const FIRST_FAILURES: usize = 5;
/// How many characters of a message a cell shows.
const MESSAGE: usize = 160;
/// How long the longest bar of the load over time is.
const BAR: f64 = 40.0;

/// The page of `report`. `written` are the files beside it.
pub(super) fn page(
    report: &Report,
    figures: &Figures,
    observed: &Observed,
    captures: &Captures,
    written: &[String],
) -> String {
    let mut page = Page::new(Pen::Markdown);
    first_screen(&mut page, report, figures, captures);
    criteria(&mut page, report);
    if !captures.alone {
        stages(&mut page, figures);
    }
    observed::observed(&mut page, observed);
    if !captures.alone {
        jobs(&mut page, figures);
    }
    concurrency(&mut page, figures);
    run(&mut page, figures);
    self::captures(&mut page, &captures.rows);
    list_files(&mut page, written);
    page.into_text()
}

fn first_screen(page: &mut Page, report: &Report, figures: &Figures, captures: &Captures) {
    let pen = page.pen;
    let name = pen.safe(&title(report, figures));
    let status = &report.status;
    page.title(&format!("{}: {name}", status.verdict));
    let verdict = pen.strong(&status.verdict.to_string());
    page.paragraph(&format!("{verdict}: {}.", pen.safe(status.cause.trim_end_matches('.'))));
    strip(page, report);
    if !captures.alone {
        page.paragraph(&conservation_line(&status.conservation));
    }
    if let Some(others) = facts::others(figures, pen.escape()) {
        page.paragraph(&format!("Not succeeded: {others}."));
    }
    let rows =
        facts::facts(figures, captures, pen.escape()).into_iter().map(|(label, text)| vec![label.to_owned(), text]);
    page.table(&["Figure", "Value"], rows);
    failures(page, figures);
    if !status.doubts.is_empty() {
        page.heading("Missing or doubtful");
        for doubt in &status.doubts {
            page.item(&pen.safe(doubt));
        }
    }
}

/// The criteria in a line each, where there is more to say than the cause of the verdict.
pub(super) fn strip(page: &mut Page, report: &Report) {
    let pen = page.pen;
    for (verdict, name, seen) in facts::strip(report) {
        page.item(&format!("{} {}: {}", facts::mark(verdict), pen.strong(&pen.safe(name)), pen.safe(&seen)));
    }
}

/// What the run is called.
pub(super) fn title(report: &Report, figures: &Figures) -> String {
    let run = figures.tally.runs().next();
    let scenario =
        run.and_then(|run| run.spec.scenario.clone().or_else(|| run.metadata.labels.get("scenario").cloned()));
    let name = scenario.unwrap_or_else(|| report.metadata.name.clone());
    match report.metadata.labels.get("level") {
        Some(level) => format!("{name}, level {level}"),
        None => name,
    }
}

pub(super) fn failures(page: &mut Page, figures: &Figures) {
    let pen = page.pen;
    // One that may run is no failure yet, but why nobody knows belongs here too.
    let told = |entry: &&JobEntry| entry.outcome.is_bad() || entry.outcome == Outcome::Unknown;
    let bad: Vec<&JobEntry> = figures.tally.entries.iter().filter(told).collect();
    if bad.is_empty() {
        return;
    }
    page.heading("First failures");
    let rows = bad.iter().take(FIRST_FAILURES).map(|entry| {
        vec![
            pen.safe(&entry.name),
            entry.outcome.to_string(),
            entry.failed_stage().map_or_else(dash, |text| pen.safe(text)),
            entry.reason.as_ref().map_or_else(dash, |reason| pen.safe(reason.as_str())),
            entry.message.as_deref().map_or_else(dash, |message| pen.safe(&escape::start(message, MESSAGE))),
        ]
    });
    page.table(&["Job", "Ended", "Stage", "Reason", "Message"], rows);
    if bad.len() > FIRST_FAILURES {
        page.paragraph(&format!("{} more are in {}.", bad.len() - FIRST_FAILURES, pen.link("jobs.csv", "jobs.csv")));
    }
}

pub(super) fn criteria(page: &mut Page, report: &Report) {
    let pen = page.pen;
    page.heading("Criteria");
    let rows = report.status.criteria.iter().map(|criterion| {
        let jobs = crate::figures::listed(&criterion.jobs);
        vec![
            pen.safe(&criterion.name),
            pen.strong(&criterion.verdict.to_string()),
            pen.safe(&criterion.expected),
            pen.safe(&criterion.actual),
            if jobs.is_empty() { dash() } else { pen.safe(&jobs) },
        ]
    });
    page.table(&["Criterion", "Verdict", "Expected", "Seen", "Jobs in the way"], rows);
    if report.status.verdict == Verdict::Incomplete {
        page.paragraph("Incomplete is not a pass: nothing is known to be wrong, and something is not known.");
    }
}

pub(super) fn stages(page: &mut Page, figures: &Figures) {
    let pen = page.pen;
    let seen = figures.stages.iter().filter(|stage| stage.wait.or(stage.work).is_some());
    let rows: Vec<Vec<String>> = seen
        .flat_map(|stage| {
            [("wait", stage.wait), ("work", stage.work)].into_iter().filter_map(|(what, of)| {
                let of = of?;
                let mut row = vec![pen.safe(&stage.name), what.to_owned()];
                row.extend(distribution(&of));
                row.push(stage.times_from().to_owned());
                Some(row)
            })
        })
        .collect();
    page.heading("Stages");
    if rows.is_empty() {
        page.paragraph("No stage has times: the target gave none, and polls saw none begin and end.");
        return;
    }
    page.table(&["Stage", "Part", "Count>", "Mean>", "p50>", "Max>", "p95>", "p99>", "Mean's error>", "Times"], rows);
    page.paragraph("p95 needs 20 samples and p99 needs 100; a dash means too few.");
}

fn distribution(of: &Distribution) -> Vec<String> {
    let seconds = |measured: Option<Measured>| measured.map_or_else(dash, |measured| units::seconds(measured.seconds));
    vec![
        of.count.to_string(),
        seconds(Some(of.mean)),
        seconds(Some(of.p50)),
        seconds(Some(of.max)),
        seconds(of.p95),
        seconds(of.p99),
        if of.mean.error() < 5e-7 { "none".to_owned() } else { format!("± {}", units::seconds(of.mean.error())) },
    ]
}

/// The jobs, worst first: who is known to have failed, who is not known, then the slowest.
pub(super) fn worst_first(figures: &Figures) -> Vec<&JobEntry> {
    let mut jobs: Vec<&JobEntry> = figures.tally.entries.iter().collect();
    jobs.sort_by_cached_key(|entry| {
        let group = match entry.outcome {
            outcome if outcome.is_bad() => 0,
            Outcome::Succeeded => 2,
            _ => 1,
        };
        #[expect(clippy::cast_possible_truncation, reason = "a float cast saturates")]
        let slowness = entry.times.end_to_end.map(|whole| (whole.seconds * 1e6) as i64);
        (group, if group == 2 { Reverse(slowness) } else { Reverse(None) })
    });
    jobs
}

pub(super) fn jobs(page: &mut Page, figures: &Figures) {
    let pen = page.pen;
    let jobs = worst_first(figures);
    page.heading("Jobs");
    if jobs.is_empty() {
        page.paragraph("None.");
        return;
    }
    let listed = if pen == Pen::Markdown { LISTED_JOBS } else { LISTED_IN_HTML };
    let rows = jobs.iter().take(listed).map(|entry| {
        let measured = |part: Option<Measured>| part.map_or_else(dash, Measured::text);
        let polls = entry.job.as_ref().and_then(|job| job.status.polls);
        vec![
            pen.safe(&entry.name),
            entry.outcome.to_string(),
            entry.times.submit_seconds.map_or_else(dash, units::seconds),
            measured(entry.times.queue),
            measured(entry.times.run),
            measured(entry.times.end_to_end),
            polls.map_or_else(dash, |polls| polls.sent.to_string()),
            entry.reason.as_ref().map_or_else(dash, |reason| pen.safe(reason.as_str())),
        ]
    });
    page.table(&["Job", "Ended", "Submit>", "Queue>", "Run>", "End to end>", "Polls>", "Reason"], rows);
    match jobs.len().saturating_sub(listed) {
        0 => page.paragraph("Worst first. In brackets: how far the truth may lie from the figure."),
        more => page.paragraph(&format!(
            "Worst first; {more} more are in {}. In brackets: how far the truth may lie from the figure.",
            pen.link("jobs.csv", "jobs.csv")
        )),
    }
}

pub(super) fn concurrency(page: &mut Page, figures: &Figures) {
    let slices = &figures.load.slices;
    if slices.is_empty() {
        return;
    }
    page.heading("Jobs in flight over time");
    let top = slices.iter().map(|slice| slice.mean).fold(0.0, f64::max);
    let mut chart = "UTC             mean   peak\n".to_owned();
    for slice in slices {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and the longest bar")]
        let bar = if top > 0.0 { (slice.mean / top * BAR).round() as usize } else { 0 };
        let line = format!("{}  {:6.1} {:6}  {}", slice.from.time_of_day(), slice.mean, slice.peak, "#".repeat(bar));
        let _ = writeln!(chart, "{}", line.trim_end());
    }
    page.fixed(&chart);
}

pub(super) fn run(page: &mut Page, figures: &Figures) {
    let pen = page.pen;
    let runs: Vec<&Run> = figures.tally.runs().collect();
    if runs.is_empty() {
        return;
    }
    page.heading("Run");
    let rows = runs.iter().take(LISTED_JOBS).map(|run| {
        let (spec, status) = (&run.spec, &run.status);
        let offset = status.clock_offset.map_or_else(dash, |offset| {
            Measured::within(
                offset.seconds,
                offset.seconds - offset.bound_seconds,
                offset.seconds + offset.bound_seconds,
            )
            .text()
        });
        let polls = status.polling.map_or_else(dash, |polling| match polling.late_p99_seconds {
            Some(late) => {
                format!("{} ({} failed), 99 % at most {} late", polling.sent, polling.failed, units::seconds(late))
            }
            None => format!("{} ({} failed)", polling.sent, polling.failed),
        });
        vec![
            pen.safe(&run.metadata.name),
            pen.safe(&run.metadata.run),
            status.started_at.map_or_else(dash, |time| pen.safe(&time.to_string())),
            spec.target.as_deref().map_or_else(dash, |text| pen.safe(text)),
            spec.profile.as_deref().map_or_else(dash, |text| pen.safe(text)),
            spec.deadline_seconds.map_or_else(dash, units::seconds),
            offset,
            polls,
        ]
    });
    page.table(
        &["Name", "Run", "Started (UTC)", "Target", "Profile", "Deadline>", "Target's clock is ahead by>", "Polls"],
        rows,
    );
    for run in runs.iter().take(LISTED_JOBS) {
        if let Some(idle) = &run.status.idle {
            page.paragraph(&page.pen.safe(&began(&run.metadata.name, idle)));
        }
        if !run.status.settings.is_empty() {
            let told = run.status.settings.iter().map(|(name, value)| format!("{name}={value}"));
            let told = listed(&told.collect::<Vec<_>>());
            page.paragraph(
                &page.pen.safe(&format!("The target told of its settings before {}: {told}.", run.metadata.name)),
            );
        }
    }
    let resumed: BTreeSet<_> = runs.iter().flat_map(|run| &run.status.resumed_at).collect();
    if !resumed.is_empty() {
        let times: Vec<String> = resumed.into_iter().map(|at| pen.safe(&at.to_string())).collect();
        page.paragraph(&format!(
            "Jobs were followed again from {} on; what ended in between is known to lie between two polls, as all ends are.",
            listed(&times)
        ));
    }
    if runs.len() > LISTED_JOBS {
        let manifest = pen.link(files::MANIFEST, files::MANIFEST);
        page.paragraph(&format!("{} more are in {manifest}.", runs.len() - LISTED_JOBS));
    }
}

/// What was seen of the target before the first job.
fn began(name: &str, idle: &Idle) -> String {
    let waited = units::seconds(idle.waited_seconds);
    match (idle.idle, &idle.busy, &idle.unseen) {
        (Some(true), _, _) => format!("{name} began on an idle target, after {waited} of waiting for that to be seen."),
        (Some(false), busy, _) => {
            let busy = busy.as_deref().unwrap_or("what it had to do was not told");
            format!("{name} began on a target that was not idle after {waited}: {busy}.")
        }
        (None, busy, unseen) => {
            let why: Vec<&str> = [busy, unseen].into_iter().flatten().map(String::as_str).collect();
            format!("Whether {name} began on an idle target is not known: {}.", why.join("; "))
        }
    }
}

pub(super) fn list_files(page: &mut Page, written: &[String]) {
    let pen = page.pen;
    page.heading("The files");
    for (name, what) in files::DESCRIBED {
        if written.iter().any(|held| held == name) {
            page.item(&format!("{}: {what}", pen.link(name, name)));
        }
    }
    let captured: Vec<&String> = written.iter().filter(|name| !files::OURS.contains(&name.as_str())).collect();
    for name in captured.iter().take(LISTED_JOBS) {
        page.item(&format!("captured: {}", pen.link(name, name)));
    }
    if captured.len() > LISTED_JOBS {
        let more = captured.len() - LISTED_JOBS;
        let report = pen.link(files::REPORT, files::REPORT);
        page.item(&format!("{more} more that were captured are listed in {report}"));
    }
}
