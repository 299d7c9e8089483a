//! `jobs.csv` and `stages.csv`: a row for every job and for every stage of a job.
//!
//! Seconds have a column of their own for the error: the truth lies at most that far from the value, either way. Empty
//! means not observed.

use std::io;

use crate::escape;
use crate::figures::Figures;
use crate::figures::distribution::Measured;
use crate::record::{Flag, JobStatus, Reason, TimesFrom, Timestamp};

const JOBS: [&str; 21] = [
    "run",
    "name",
    "phase",
    "reason",
    "message",
    "jobId",
    "traceId",
    "dueAt",
    "submittedAt",
    "acceptedAt",
    "endedAt",
    "submitSeconds",
    "queueSeconds",
    "queueErrorSeconds",
    "runSeconds",
    "runErrorSeconds",
    "endToEndSeconds",
    "endToEndErrorSeconds",
    "polls",
    "pollsFailed",
    "flags",
];

const STAGES: [&str; 14] = [
    "run",
    "job",
    "stage",
    "phase",
    "state",
    "attempt",
    "timesFrom",
    "queuedAt",
    "startedAt",
    "endedAt",
    "waitSeconds",
    "waitErrorSeconds",
    "workSeconds",
    "workErrorSeconds",
];

/// One row per job of the tally. A job without a record has only its name and its phase.
pub(super) fn jobs(figures: &Figures) -> io::Result<Vec<u8>> {
    let mut table = csv::Writer::from_writer(Vec::new());
    table.write_record(JOBS)?;
    let no_status = JobStatus::default();
    for entry in &figures.tally.entries {
        let status = entry.job.as_ref().map_or(&no_status, |job| &job.status);
        // The server's clock may have narrowed the end down.
        let ended = entry.times.end.map(|end| end.at).or(status.ended_at);
        table.write_record([
            text(Some(&entry.run)),
            text(Some(&entry.name)),
            entry.outcome.column(),
            text(entry.reason.as_ref().map(Reason::as_str)),
            text(entry.message.as_ref()),
            text(status.job_id.as_ref()),
            text(status.trace_id.as_ref()),
            time(status.due_at),
            time(status.submitted_at),
            time(status.accepted_at),
            time(ended),
            number(entry.times.submit_seconds),
            value(entry.times.queue),
            error(entry.times.queue),
            value(entry.times.run),
            error(entry.times.run),
            value(entry.times.end_to_end),
            error(entry.times.end_to_end),
            status.polls.map(|polls| polls.sent.to_string()).unwrap_or_default(),
            status.polls.map(|polls| polls.failed.to_string()).unwrap_or_default(),
            text(Some(&status.flags.iter().map(Flag::as_str).collect::<Vec<_>>().join(" "))),
        ])?;
    }
    finish(table)
}

/// One row per stage of a job's status.
pub(super) fn stages(figures: &Figures) -> io::Result<Vec<u8>> {
    let mut table = csv::Writer::from_writer(Vec::new());
    table.write_record(STAGES)?;
    for entry in &figures.tally.entries {
        for (stage, times) in entry.stages() {
            let times_from = match stage.times_from {
                Some(TimesFrom::Server) => "server",
                Some(TimesFrom::Polls) => "polls",
                None => "",
            };
            table.write_record([
                text(Some(&entry.run)),
                text(Some(&entry.name)),
                text(Some(&stage.name)),
                format!("{:?}", stage.phase),
                text(stage.state.as_ref()),
                stage.attempt.map(|attempt| attempt.to_string()).unwrap_or_default(),
                times_from.to_owned(),
                time(stage.queued_at),
                time(stage.started_at),
                time(stage.ended_at),
                value(times.wait),
                error(times.wait),
                value(times.work),
                error(times.work),
            ])?;
        }
    }
    finish(table)
}

fn finish(table: csv::Writer<Vec<u8>>) -> io::Result<Vec<u8>> {
    table.into_inner().map_err(csv::IntoInnerError::into_error)
}

fn text(text: Option<&(impl AsRef<str> + ?Sized)>) -> String {
    text.map(|text| escape::csv(text.as_ref())).unwrap_or_default()
}

fn time(time: Option<Timestamp>) -> String {
    time.map(|time| time.to_string()).unwrap_or_default()
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
