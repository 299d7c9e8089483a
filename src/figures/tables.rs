//! Tables of jobs and of their stages: a row for each, in columns with a type.
//!
//! Seconds have a column of their own for the error: the truth lies at most that far from the value, either way. An empty cell
//! means not observed.

use std::borrow::Cow;

use itertools::Itertools;

use super::distribution::Measured;
use super::job_facts::JobFacts;
use super::stage_times::StageTimes;
use super::tally::JobEntry;
use crate::escape;
use crate::record::{Flag, Job, Reason, Stage, Timestamp};

/// The type of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnType {
    /// Words.
    Text,
    /// A number that need not be whole.
    Number,
    /// A whole number.
    Count,
    /// A moment, to the microsecond.
    Time,
}

/// The content of one cell.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell<'a> {
    /// Not observed.
    Empty,
    /// Words, which may be a target's.
    Text(Cow<'a, str>),
    /// Seconds, known to the microsecond.
    Seconds(f64),
    /// Any other number.
    Number(f64),
    /// A whole number.
    Count(u64),
    /// A moment.
    Time(Timestamp),
}

impl Cell<'_> {
    /// The cell of a CSV file; the writer quotes it.
    pub fn to_csv(&self) -> String {
        match self {
            Self::Empty => String::new(),
            Self::Text(text) => escape::csv(text),
            Self::Seconds(seconds) => format!("{seconds:.6}"),
            Self::Number(number) => number.to_string(),
            Self::Count(count) => count.to_string(),
            Self::Time(time) => time.to_string(),
        }
    }
}

impl<'a> Cell<'a> {
    fn text(text: impl Into<Cow<'a, str>>) -> Self {
        Self::Text(text.into())
    }

    /// The cell that `new` makes of a value; an empty one without a value.
    fn of<T>(value: Option<T>, new: impl FnOnce(T) -> Self) -> Self {
        value.map_or(Self::Empty, new)
    }
}

/// A column: its name, its type, and its cell in a row.
pub type Column<Row> = (&'static str, ColumnType, for<'r> fn(&'r Row) -> Cell<'r>);

/// A job of the account. One without a record has only its name and its phase.
#[derive(Clone, Copy, Debug)]
pub struct JobRow<'a> {
    entry: &'a JobEntry,
    trace_id: Option<&'a str>,
}

impl<'a> JobRow<'a> {
    /// The row of `entry`, whose submission carried the id of this trace.
    pub fn new(entry: &'a JobEntry, trace_id: Option<&'a str>) -> Self {
        Self { entry, trace_id }
    }

    fn of<T>(&self, part: impl FnOnce(&'a JobFacts) -> Option<T>) -> Option<T> {
        self.entry.job.as_ref().and_then(part)
    }
}

/// A stage of a job with its durations.
#[derive(Clone, Copy, Debug)]
pub struct StageRow<'a> {
    entry: &'a JobEntry,
    stage: &'a Stage,
    times: &'a StageTimes,
}

impl<'a> StageRow<'a> {
    /// The rows of `entry`, of which `job` is the last record, in the order of its stages.
    pub fn of(entry: &'a JobEntry, job: Option<&'a Job>) -> impl Iterator<Item = Self> {
        let stages = job.into_iter().flat_map(|job| &job.status.stages).zip(entry.stages());
        stages.map(move |(stage, facts)| Self { entry, stage, times: &facts.times })
    }
}

/// The columns of jobs.
pub const fn job_columns<'a>() -> [Column<JobRow<'a>>; 21] {
    use ColumnType::{Count, Number, Text, Time};
    [
        ("run", Text, |row| Cell::text(row.entry.run.as_str())),
        ("name", Text, |row| Cell::text(row.entry.name.as_str())),
        ("phase", Text, |row| Cell::text(row.entry.outcome.column())),
        ("reason", Text, |row| Cell::of(row.entry.reason.as_ref().map(Reason::as_str), Cell::text)),
        ("message", Text, |row| Cell::of(row.entry.message.as_deref(), Cell::text)),
        ("jobId", Text, |row| Cell::of(row.of(|job| job.job_id.as_deref()), Cell::text)),
        ("traceId", Text, |row| Cell::of(row.trace_id, Cell::text)),
        ("dueAt", Time, |row| Cell::of(row.of(|job| job.due_at), Cell::Time)),
        ("submittedAt", Time, |row| Cell::of(row.of(|job| job.submitted_at), Cell::Time)),
        ("acceptedAt", Time, |row| Cell::of(row.of(|job| job.accepted_at), Cell::Time)),
        // The server's clock may have narrowed the end down.
        ("endedAt", Time, |row| {
            Cell::of(row.entry.times.end.map(|end| end.at).or(row.of(|job| job.ended_at)), Cell::Time)
        }),
        ("submitSeconds", Number, |row| value(row.entry.times.submit)),
        ("queueSeconds", Number, |row| value(row.entry.times.queue)),
        ("queueErrorSeconds", Number, |row| error(row.entry.times.queue)),
        ("runSeconds", Number, |row| value(row.entry.times.run)),
        ("runErrorSeconds", Number, |row| error(row.entry.times.run)),
        ("endToEndSeconds", Number, |row| value(row.entry.times.end_to_end)),
        ("endToEndErrorSeconds", Number, |row| error(row.entry.times.end_to_end)),
        ("polls", Count, |row| Cell::of(row.of(|job| job.polls), |polls| Cell::Count(polls.sent))),
        ("pollsFailed", Count, |row| Cell::of(row.of(|job| job.polls), |polls| Cell::Count(polls.failed))),
        ("flags", Text, |row| Cell::text(row.entry.job.iter().flat_map(|job| &job.flags).map(Flag::as_str).join(" "))),
    ]
}

/// The columns of stages.
pub const fn stage_columns<'a>() -> [Column<StageRow<'a>>; 14] {
    use ColumnType::{Count, Number, Text, Time};
    [
        ("run", Text, |row| Cell::text(row.entry.run.as_str())),
        ("job", Text, |row| Cell::text(row.entry.name.as_str())),
        ("stage", Text, |row| Cell::text(row.stage.name.as_str())),
        ("phase", Text, |row| Cell::text(format!("{:?}", row.stage.phase))),
        ("state", Text, |row| Cell::of(row.stage.state.as_deref(), Cell::text)),
        ("attempt", Count, |row| Cell::of(row.stage.attempt, Cell::Count)),
        ("timesFrom", Text, |row| {
            Cell::of(row.stage.times_from, |from| Cell::text(format!("{from:?}").to_lowercase()))
        }),
        ("queuedAt", Time, |row| Cell::of(row.stage.queued_at, Cell::Time)),
        ("startedAt", Time, |row| Cell::of(row.stage.started_at, Cell::Time)),
        ("endedAt", Time, |row| Cell::of(row.stage.ended_at, Cell::Time)),
        ("waitSeconds", Number, |row| value(row.times.wait())),
        ("waitErrorSeconds", Number, |row| error(row.times.wait())),
        ("workSeconds", Number, |row| value(row.times.work())),
        ("workErrorSeconds", Number, |row| error(row.times.work())),
    ]
}

fn value(measured: Option<Measured>) -> Cell<'static> {
    Cell::of(measured, |measured| Cell::Seconds(measured.seconds))
}

fn error(measured: Option<Measured>) -> Cell<'static> {
    Cell::of(measured, |measured| Cell::Seconds(measured.error()))
}
