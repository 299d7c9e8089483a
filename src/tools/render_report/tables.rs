//! `jobs.csv` and `stages.csv`: a row for every job and for every stage of a job.
//!
//! Seconds have a column of their own for the error: the truth lies at most that far from the value, either way. Empty
//! means not observed.

use std::fmt::Display;
use std::io;

use crate::escape;
use crate::figures::Figures;
use crate::figures::distribution::Measured;
use crate::figures::stage_times::StageTimes;
use crate::figures::tally::JobEntry;
use crate::record::{Flag, JobStatus, Reason, Stage};

/// A column: its name and its value in a row.
type Column<T> = (&'static str, fn(&T) -> String);

/// A job of the tally and its status.
struct JobRow<'a> {
    entry: &'a JobEntry,
    status: &'a JobStatus,
}

/// A stage of a job and its durations.
struct StageRow<'a> {
    entry: &'a JobEntry,
    stage: &'a Stage,
    times: &'a StageTimes,
}

const fn job_columns<'a>() -> [Column<JobRow<'a>>; 21] {
    [
        ("run", |row| text(Some(&row.entry.run))),
        ("name", |row| text(Some(&row.entry.name))),
        ("phase", |row| row.entry.outcome.column()),
        ("reason", |row| text(row.entry.reason.as_ref().map(Reason::as_str))),
        ("message", |row| text(row.entry.message.as_ref())),
        ("jobId", |row| text(row.status.job_id.as_ref())),
        ("traceId", |row| text(row.status.trace_id.as_ref())),
        ("dueAt", |row| plain(row.status.due_at)),
        ("submittedAt", |row| plain(row.status.submitted_at)),
        ("acceptedAt", |row| plain(row.status.accepted_at)),
        // The server's clock may have narrowed the end down.
        ("endedAt", |row| plain(row.entry.times.end.map(|end| end.at).or(row.status.ended_at))),
        ("submitSeconds", |row| number(row.entry.times.submit.map(|submit| submit.seconds))),
        ("queueSeconds", |row| value(row.entry.times.queue)),
        ("queueErrorSeconds", |row| error(row.entry.times.queue)),
        ("runSeconds", |row| value(row.entry.times.run)),
        ("runErrorSeconds", |row| error(row.entry.times.run)),
        ("endToEndSeconds", |row| value(row.entry.times.end_to_end)),
        ("endToEndErrorSeconds", |row| error(row.entry.times.end_to_end)),
        ("polls", |row| plain(row.status.polls.map(|polls| polls.sent))),
        ("pollsFailed", |row| plain(row.status.polls.map(|polls| polls.failed))),
        ("flags", |row| text(Some(&row.status.flags.iter().map(Flag::as_str).collect::<Vec<_>>().join(" ")))),
    ]
}

const fn stage_columns<'a>() -> [Column<StageRow<'a>>; 14] {
    [
        ("run", |row| text(Some(&row.entry.run))),
        ("job", |row| text(Some(&row.entry.name))),
        ("stage", |row| text(Some(&row.stage.name))),
        ("phase", |row| format!("{:?}", row.stage.phase)),
        ("state", |row| text(row.stage.state.as_ref())),
        ("attempt", |row| plain(row.stage.attempt)),
        ("timesFrom", |row| row.stage.times_from.map(|from| format!("{from:?}").to_lowercase()).unwrap_or_default()),
        ("queuedAt", |row| plain(row.stage.queued_at)),
        ("startedAt", |row| plain(row.stage.started_at)),
        ("endedAt", |row| plain(row.stage.ended_at)),
        ("waitSeconds", |row| value(row.times.wait)),
        ("waitErrorSeconds", |row| error(row.times.wait)),
        ("workSeconds", |row| value(row.times.work)),
        ("workErrorSeconds", |row| error(row.times.work)),
    ]
}

/// One row per job of the tally. A job without a record has only its name and its phase.
pub(super) fn jobs(figures: &Figures) -> io::Result<Vec<u8>> {
    let no_status = JobStatus::default();
    let rows = figures
        .tally
        .entries
        .iter()
        .map(|entry| JobRow { entry, status: entry.job.as_ref().map_or(&no_status, |job| &job.status) });
    table(&job_columns(), rows)
}

/// One row per stage of a job's status.
pub(super) fn stages(figures: &Figures) -> io::Result<Vec<u8>> {
    let rows = figures
        .tally
        .entries
        .iter()
        .flat_map(|entry| entry.stages().map(move |(stage, times)| StageRow { entry, stage, times }));
    table(&stage_columns(), rows)
}

fn table<T>(columns: &[Column<T>], rows: impl Iterator<Item = T>) -> io::Result<Vec<u8>> {
    let mut table = csv::Writer::from_writer(Vec::new());
    table.write_record(columns.iter().map(|(name, _)| name))?;
    for row in rows {
        table.write_record(columns.iter().map(|(_, value)| value(&row)))?;
    }
    table.into_inner().map_err(csv::IntoInnerError::into_error)
}

fn text(text: Option<&(impl AsRef<str> + ?Sized)>) -> String {
    text.map(|text| escape::csv(text.as_ref())).unwrap_or_default()
}

/// A time or a count.
fn plain(value: Option<impl Display>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

fn value(measured: Option<Measured>) -> String {
    number(measured.map(|measured| measured.seconds))
}

fn error(measured: Option<Measured>) -> String {
    number(measured.map(Measured::error))
}

fn number(seconds: Option<f64>) -> String {
    seconds.map(|seconds| format!("{seconds:.6}")).unwrap_or_default()
}
