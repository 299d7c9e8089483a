//! Tables of jobs and of their stages: a row for each, in columns with a type.
//!
//! Seconds have a column of their own for the error: the truth lies at most that far from the value, either way. An empty cell
//! means not observed.

use std::borrow::Cow;

use super::distribution::Measured;
use super::job_facts::JobFacts;
use super::stage_times::StageTimes;
use super::tally::JobEntry;
use crate::escape;
use crate::record::{Flag, Job, Polls, Reason, Stage, Timestamp};

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

impl<'a> From<Option<&'a str>> for Cell<'a> {
    fn from(text: Option<&'a str>) -> Self {
        text.map_or(Self::Empty, |text| Self::Text(Cow::Borrowed(text)))
    }
}

impl From<String> for Cell<'_> {
    fn from(text: String) -> Self {
        Self::Text(Cow::Owned(text))
    }
}

impl From<Option<f64>> for Cell<'_> {
    fn from(seconds: Option<f64>) -> Self {
        seconds.map_or(Self::Empty, Self::Seconds)
    }
}

impl From<Option<u64>> for Cell<'_> {
    fn from(count: Option<u64>) -> Self {
        count.map_or(Self::Empty, Self::Count)
    }
}

impl From<Option<Timestamp>> for Cell<'_> {
    fn from(time: Option<Timestamp>) -> Self {
        time.map_or(Self::Empty, Self::Time)
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

    fn polls(&self, part: fn(Polls) -> u64) -> Option<u64> {
        self.of(|job| job.polls).map(part)
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
        ("run", Text, |row| Some(row.entry.run.as_str()).into()),
        ("name", Text, |row| Some(row.entry.name.as_str()).into()),
        ("phase", Text, |row| row.entry.outcome.column().into()),
        ("reason", Text, |row| row.entry.reason.as_ref().map(Reason::as_str).into()),
        ("message", Text, |row| row.entry.message.as_deref().into()),
        ("jobId", Text, |row| row.of(|job| job.job_id.as_deref()).into()),
        ("traceId", Text, |row| row.trace_id.into()),
        ("dueAt", Time, |row| row.of(|job| job.due_at).into()),
        ("submittedAt", Time, |row| row.of(|job| job.submitted_at).into()),
        ("acceptedAt", Time, |row| row.of(|job| job.accepted_at).into()),
        // The server's clock may have narrowed the end down.
        ("endedAt", Time, |row| row.entry.times.end.map(|end| end.at).or_else(|| row.of(|job| job.ended_at)).into()),
        ("submitSeconds", Number, |row| value(row.entry.times.submit)),
        ("queueSeconds", Number, |row| value(row.entry.times.queue)),
        ("queueErrorSeconds", Number, |row| error(row.entry.times.queue)),
        ("runSeconds", Number, |row| value(row.entry.times.run)),
        ("runErrorSeconds", Number, |row| error(row.entry.times.run)),
        ("endToEndSeconds", Number, |row| value(row.entry.times.end_to_end)),
        ("endToEndErrorSeconds", Number, |row| error(row.entry.times.end_to_end)),
        ("polls", Count, |row| row.polls(|polls| polls.sent).into()),
        ("pollsFailed", Count, |row| row.polls(|polls| polls.failed).into()),
        ("flags", Text, |row| {
            let flags = row.entry.job.iter().flat_map(|job| &job.flags);
            flags.map(Flag::as_str).collect::<Vec<_>>().join(" ").into()
        }),
    ]
}

/// The columns of stages.
pub const fn stage_columns<'a>() -> [Column<StageRow<'a>>; 14] {
    use ColumnType::{Count, Number, Text, Time};
    [
        ("run", Text, |row| Some(row.entry.run.as_str()).into()),
        ("job", Text, |row| Some(row.entry.name.as_str()).into()),
        ("stage", Text, |row| Some(row.stage.name.as_str()).into()),
        ("phase", Text, |row| format!("{:?}", row.stage.phase).into()),
        ("state", Text, |row| row.stage.state.as_deref().into()),
        ("attempt", Count, |row| row.stage.attempt.into()),
        ("timesFrom", Text, |row| {
            row.stage.times_from.map_or(Cell::Empty, |from| format!("{from:?}").to_lowercase().into())
        }),
        ("queuedAt", Time, |row| row.stage.queued_at.into()),
        ("startedAt", Time, |row| row.stage.started_at.into()),
        ("endedAt", Time, |row| row.stage.ended_at.into()),
        ("waitSeconds", Number, |row| value(row.times.wait)),
        ("waitErrorSeconds", Number, |row| error(row.times.wait)),
        ("workSeconds", Number, |row| value(row.times.work)),
        ("workErrorSeconds", Number, |row| error(row.times.work)),
    ]
}

fn value(measured: Option<Measured>) -> Cell<'static> {
    measured.map(|measured| measured.seconds).into()
}

fn error(measured: Option<Measured>) -> Cell<'static> {
    measured.map(Measured::error).into()
}
