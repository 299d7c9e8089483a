//! The sections of a report, for `report.md` and `report.html` alike.

mod captured;
mod shards;

use std::cmp::Reverse;
use std::fmt::Write;

use itertools::Itertools;

use super::criteria::{Limits, Times};
use super::headline_figures::{criteria_lines, mark};
use super::run_dir;
use crate::escape;
use crate::figures::distribution::{Distribution, Measured, Statistic};
use crate::figures::outcome::Outcome;
use crate::figures::requests::{Precision, Requests};
use crate::figures::tally::JobEntry;
use crate::figures::{Figures, any_listed, in_groups, listed};
use crate::markup::{Content, Format, Inline, cell};
use crate::record::{Idle, Reason, Report, Run, Verdict};
use crate::statistics::Bounds;
use crate::units;
pub(super) use captured::{captures, counting, durations, gpu, metrics, queues, waits};
pub(super) use shards::shards;

/// The number of jobs, captures or files that a page lists; the files beside it have them all.
const LISTED: usize = 50;
/// The number of jobs that the page in HTML lists, where rows are folded and can be searched.
pub(super) const LISTED_IN_HTML: usize = 500;
/// The number of kinds of failures in the summary.
const FAILURES: usize = 5;
/// The longest part of a message, in characters, that a cell shows.
const MESSAGE: usize = 160;
/// The rule for percentiles.
const PERCENTILES: &str = "p90 needs at least 10 values, p95 20 and p99 100.";
/// The longest bar of the load over time, in characters.
const BAR: f64 = 40.0;

/// The criteria in a line each, where there is more to say than the cause of the verdict.
pub(super) fn criteria_list(page: &mut Content, report: &Report) {
    for (verdict, name, actual) in criteria_lines(report) {
        criterion(page, verdict, name, &actual);
    }
}

/// A criterion in a line.
pub(super) fn criterion(page: &mut Content, verdict: Verdict, name: &str, actual: &str) {
    page.item(Inline::from(format!("{} ", mark(verdict))).then(Inline::strong(name)).then(format!(": {actual}")));
}

/// The failures, if any, those that are alike together.
pub(super) fn failures(page: &mut Content, figures: &Figures) {
    // A job of unknown fate is no failure yet, but the reader asks why.
    let is_failure = |entry: &&JobEntry| entry.outcome.is_bad() || entry.outcome == Outcome::Unknown;
    let bad: Vec<&JobEntry> = figures.tally.entries.iter().filter(is_failure).collect();
    if bad.is_empty() {
        return;
    }
    page.heading("Failures");
    let mut alike = alike(bad);
    alike.sort_by_key(|jobs| Reverse(jobs.len()));
    let rows = alike.iter().take(FAILURES).filter_map(|jobs| {
        let (first, names) = (jobs.first()?, listed(jobs.iter().map(|entry| &entry.name)));
        Some(vec![
            // On a phone there is no room for a column of counts.
            if jobs.len() > 1 { format!("{} jobs: {names}", jobs.len()).into() } else { names.into() },
            first.outcome.to_string().into(),
            cell(first.failed_stage()),
            cell(first.reason.as_ref().map(Reason::as_str)),
            cell(first.message.as_deref().map(|message| escape::shorten(message, MESSAGE))),
        ])
    });
    page.table(["Jobs", "Outcome", "Stage", "Reason", "Message"], rows);
    let left_out: usize = alike.iter().skip(FAILURES).map(Vec::len).sum();
    if left_out > 0 {
        page.paragraph(more_in(format!("{left_out} more are in "), run_dir::JOBS_CSV));
    }
}

/// The jobs in groups that ended alike: in the same way, in the same stage, with the same message but for the job's own name and id.
fn alike(bad: Vec<&JobEntry>) -> Vec<Vec<&JobEntry>> {
    let message = |entry: &JobEntry| {
        let id = entry.job.as_ref().and_then(|job| job.job_id.as_deref()).filter(|id| !id.is_empty());
        let text = entry.message.as_ref()?.replace(&entry.name, "\0");
        Some(id.map_or(text.clone(), |id| text.replace(id, "\0")))
    };
    let end = |entry: &'_ JobEntry| {
        let reason = entry.reason.as_ref().map(Reason::to_string);
        (entry.outcome, entry.failed_stage().map(str::to_owned), reason, message(entry))
    };
    in_groups(bad.into_iter().map(|entry| (end(entry), entry))).into_iter().map(|(_, jobs)| jobs).collect()
}

/// The criteria with what was expected and what was seen.
pub(super) fn criteria(page: &mut Content, report: &Report) {
    page.heading("Criteria");
    let rows = report.status.criteria.iter().map(|criterion| {
        vec![
            criterion.name.as_str().into(),
            Inline::strong(criterion.verdict.to_string()),
            criterion.expected.as_str().into(),
            criterion.actual.as_str().into(),
            cell(any_listed(&criterion.jobs)),
        ]
    });
    page.table(["Criterion", "Verdict", "Expected", "Seen", "Jobs responsible?"], rows);
    if report.status.verdict == Verdict::Incomplete {
        page.paragraph("Incomplete is not a pass: nothing is known to be wrong, but evidence is missing.");
    }
}

/// The distribution of the time from end to end.
pub(super) fn end_to_end(page: &mut Content, figures: &Figures, limits: &Limits) {
    let Some(of) = figures.end_to_end else { return };
    page.heading("End to end");
    let text = |statistic| cell(of.statistic(statistic).map(|measured| limits.end_to_end(statistic, measured)));
    let cells = [of.count.to_string().into()].into_iter().chain(Statistic::ALL.map(text));
    page.table(["Jobs that succeeded>", "Mean>", "Median>", "p90>?", "p95>?", "p99>?", "Max>"], [cells.collect()]);
    page.paragraph(format!("In brackets: the measurement error. {PERCENTILES}"));
}

/// The distributions of wait and work in each stage.
pub(super) fn stages(page: &mut Content, figures: &Figures, limits: &Limits) {
    let seen = figures.stages.iter().filter(|stage| stage.wait.or(stage.work).is_some());
    let rows: Vec<Vec<Inline>> = seen
        .flat_map(|stage| {
            let (wait, work) = (Times::Wait(stage.name.clone()), Times::Work(stage.name.clone()));
            [("wait", wait, stage.wait), ("work", work, stage.work)].into_iter().filter_map(|(name, times, of)| {
                let mut row: Vec<Inline> = vec![stage.name.as_str().into(), name.into()];
                row.extend(distribution(&of?, |at, value| limits.seconds(times.clone(), at, value)));
                row.push(stage.times_from().into());
                Some(row)
            })
        })
        .collect();
    page.heading("Stages");
    if rows.is_empty() {
        page.paragraph("No stage has times: the target reported none, and polling saw none start and end.");
        return;
    }
    page.table(
        ["Stage", "Part", "Count>", "Mean>", "Median>", "p90>?", "p95>?", "p99>?", "Max>", "Mean's error>", "Times"],
        rows,
    );
    page.paragraph(PERCENTILES);
}

fn distribution(of: &Distribution, text: impl Fn(Statistic, f64) -> String) -> Vec<Inline> {
    let statistic = |at| cell(of.statistic(at).map(|measured| text(at, measured.seconds)));
    let error = of.mean.error();
    let error = if error < 5e-7 { "none".into() } else { format!("± {}", units::seconds(error)).into() };
    [of.count.to_string().into()].into_iter().chain(Statistic::ALL.map(statistic)).chain([error]).collect()
}

/// The jobs, worst first: those that failed, those whose end is not known, then the slowest.
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

/// A row per job.
pub(super) fn jobs(page: &mut Content, figures: &Figures) {
    let jobs = worst_first(figures);
    page.heading("Jobs");
    if jobs.is_empty() {
        page.paragraph("None.");
        return;
    }
    let limit = if page.format() == Format::Markdown { LISTED } else { LISTED_IN_HTML };
    let rows = jobs.iter().take(limit).map(|entry| {
        let measured = |part: Option<Measured>| cell(part.map(Measured::text));
        let polls = entry.job.as_ref().and_then(|job| job.polls);
        vec![
            entry.name.as_str().into(),
            entry.outcome.to_string().into(),
            cell(entry.times.submit.map(|submit| units::seconds(submit.seconds))),
            measured(entry.times.queue),
            measured(entry.times.run),
            measured(entry.times.end_to_end),
            cell(polls.map(|polls| polls.sent.to_string())),
            cell(entry.reason.as_ref().map(Reason::as_str)),
        ]
    });
    page.table(["Job", "Outcome", "Submit>", "Queue>", "Run>", "End to end>", "Polls>", "Reason?"], rows);
    let order = match jobs.len().saturating_sub(limit) {
        0 => Inline::from("Worst first."),
        more => more_in(format!("Worst first; {more} more are in "), run_dir::JOBS_CSV),
    };
    page.paragraph(order.then(" In brackets: the measurement error."));
}

/// A sentence that ends with a link to a file.
fn more_in(sentence: String, file: &str) -> Inline {
    Inline::from(sentence).then(Inline::link(file, file)).then(".")
}

/// The HTTP requests: what the submissions and the polls were answered, and how long that took.
pub(super) fn http(page: &mut Content, figures: &Figures, limits: &Limits) {
    let requests = &figures.requests;
    let submitted: u64 = requests.statuses.values().sum();
    if submitted == 0 && requests.polling.is_none() {
        return;
    }
    page.heading("HTTP");
    let row = |name: &str, sent: u64, answers: String, time: &dyn Fn(Statistic) -> Option<String>| -> Vec<Inline> {
        let cells = [name.into(), sent.to_string().into(), answers.into()];
        // Polls have no mean, which comes first.
        let times = Statistic::ALL.into_iter().skip(1).map(|statistic| cell(time(statistic)));
        cells.into_iter().chain(times).collect()
    };
    let mut rows = Vec::new();
    if submitted > 0 {
        rows.push(row("submission", submitted, requests.submit_answers(), &|statistic| {
            let time = requests.submit?.statistic(statistic)?;
            Some(limits.seconds(Times::Submit, statistic, time.seconds))
        }));
    }
    if let Some(polling) = &requests.polling {
        let time = |statistic| requests.poll_seconds(statistic).map(units::seconds);
        rows.push(row("poll", polling.sent, Requests::poll_answers(polling), &time));
    }
    page.table(["Request", "Sent>", "Answers", "Median>?", "p90>?", "p95>?", "p99>?", "Max>?"], rows);
    let warmup = if figures.tally.warmups.is_empty() { "" } else { " Polls of warm-up jobs are included." };
    page.paragraph(format!("Times run from sending a request to its complete answer.{warmup} {PERCENTILES}"));
    if let Some(sentence) = requests.precision.as_ref().and_then(Precision::sentence) {
        page.paragraph(sentence);
    }
}

/// The load over time as a chart in text.
pub(super) fn over_time(page: &mut Content, figures: &Figures) {
    let slices = &figures.load.slices;
    if slices.is_empty() {
        return;
    }
    page.heading("Over time");
    let top = slices.iter().map(|slice| slice.mean).fold(0.0, f64::max);
    let mut chart = "UTC           in flight   peak  jobs/min  end to end\n".to_owned();
    for slice in slices {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and the longest bar")]
        let bar = if top > 0.0 { (slice.mean / top * BAR).round() as usize } else { 0 };
        let rate = units::decimal(slice.jobs_per_minute());
        let median = slice.end_to_end.map_or_else(String::new, |median| units::seconds(median.seconds));
        let line = format!(
            "{}  {:9.1} {:6} {rate:>9} {median:>11}  {}",
            slice.from.time_of_day(),
            slice.mean,
            slice.peak,
            "#".repeat(bar)
        );
        let _ = writeln!(chart, "{}", line.trim_end());
    }
    page.preformatted(chart);
    page.paragraph(
        "In flight is the mean, which the bar shows; jobs/min counts the jobs that succeeded in that part of the run, and end to end is their median.",
    );
}

/// The Runs with their settings.
pub(super) fn run(page: &mut Content, figures: &Figures) {
    let runs: Vec<&Run> = figures.tally.runs().collect();
    if runs.is_empty() {
        return;
    }
    let offset = |run: &Run| {
        let plan = figures.tally.plans.iter().find(|plan| plan.runs.contains(run));
        if let Some(moved) = plan.and_then(|plan| plan.clock_moved_seconds) {
            return Some(format!("moved, or several clocks: at least {}", units::seconds(moved)));
        }
        let offset = plan.and_then(|plan| plan.offset).or(run.status.clock_offset)?;
        let Bounds { low, high } = offset.bounds();
        Some(Measured::within(offset.seconds, low, high).text())
    };
    page.heading("Run");
    page.table(
        ["Name", "Run", "Started (UTC)", "Target", "Profile", "Deadline>", "Target's clock is ahead by>", "Polls"],
        runs.iter().take(LISTED).map(|run| run_row(run, offset(run))),
    );
    for tick in figures.tally.plans.iter().filter_map(|plan| plan.tick_seconds).take(LISTED) {
        page.paragraph(format!(
            "The target's clock ticks more coarsely than it prints: each of its times may be off by up to {}. The errors allow for that.",
            units::seconds(tick)
        ));
    }
    for run in runs.iter().take(LISTED) {
        if let Some(idle) = &run.status.idle {
            page.paragraph(idle_sentence(&run.metadata.name, idle));
        }
        let settings = run.status.settings.iter().map(|(name, value)| format!("{name}={value}"));
        if let Some(settings) = any_listed(settings) {
            page.paragraph(format!("The target reported its settings before {}: {settings}.", run.metadata.name));
        }
    }
    if let Some(times) = any_listed(runs.iter().flat_map(|run| &run.status.resumed_at).sorted().dedup()) {
        page.paragraph(format!(
            "Polling resumed at {times}. A job that ended in between ended between the last poll before the interruption and the first one after it."
        ));
    }
    if runs.len() > LISTED {
        page.paragraph(more_in(format!("{} more are in ", runs.len() - LISTED), run_dir::MANIFEST));
    }
}

fn run_row(run: &Run, offset: Option<String>) -> Vec<Inline> {
    let (spec, status) = (&run.spec, &run.status);
    let polls = status.polling.as_ref().map(|polling| {
        let kinds = any_listed(polling.failures.iter().map(|(kind, count)| format!("{kind}: {count}")));
        let kinds = kinds.map(|kinds| format!("; {kinds}")).unwrap_or_default();
        let late = polling.late_p99_seconds.map(|late| format!(", 99 % at most {} late", units::seconds(late)));
        format!("{} ({} failed{kinds}){}", polling.sent, polling.failed, late.unwrap_or_default())
    });
    vec![
        run.metadata.name.as_str().into(),
        run.metadata.run.as_str().into(),
        cell(status.started_at.map(|time| time.to_string())),
        cell(spec.target.as_deref()),
        cell(spec.profile.as_deref()),
        cell(spec.deadline_seconds.map(units::seconds)),
        cell(offset),
        cell(polls),
    ]
}

/// The state of the target before the first job.
fn idle_sentence(name: &str, idle: &Idle) -> String {
    let waited = units::seconds(idle.waited_seconds);
    match (idle.idle, &idle.busy, &idle.unseen) {
        (Some(true), _, _) => format!("{name} began on an idle target: confirmed idle after {waited}."),
        (Some(false), busy, _) => {
            let busy = busy.as_deref().unwrap_or("what kept it busy is not known");
            format!("{name} began on a target that was still busy after {waited}: {busy}.")
        }
        (None, busy, unseen) => {
            let why = [busy, unseen].into_iter().flatten().join("; ");
            format!("It is not known whether the target was idle when {name} began: {why}.")
        }
    }
}

/// The files of the run directory.
pub(super) fn files(page: &mut Content, files: &[String]) {
    page.heading("The files");
    for (name, description) in run_dir::FILES {
        if files.iter().any(|file| file == name) {
            page.item(Inline::link(*name, *name).then(format!(": {description}")));
        }
    }
    let captured: Vec<&String> =
        files.iter().filter(|file| !run_dir::FILES.iter().any(|(name, _)| file == name)).collect();
    for name in captured.iter().take(LISTED) {
        page.item(Inline::from("captured: ").then(Inline::link(name.as_str(), name.as_str())));
    }
    if captured.len() > LISTED {
        let more = format!("{} more that were captured are listed in ", captured.len() - LISTED);
        page.item(Inline::from(more).then(Inline::link(run_dir::REPORT, run_dir::REPORT)));
    }
}
