//! One query over the window: asked whole or in chunks, stored as it came, joined where it came in chunks.

use std::fs::File;
use std::io::{self, Read};

use tempfile::NamedTempFile;

use super::envelope::{self, Listener, Summary, Unreadable, add_notes};
use super::files::{Copying, Files, recorded};
use super::grid::Grid;
use super::join::Index;
use super::table;
use crate::cli::{Console, Failure};
use crate::profile::Query;
use crate::prometheus::{self, Problem, Server};
use crate::promql::is_plain_selector;
use crate::record::Reason;

/// Prometheus answers at most 11,000 points a series, give or take one.
const POINTS: u64 = 11_000;
/// How often a server that wants less is asked for half.
const HALVINGS: u32 = 8;
/// How far a point may lie outside of what was asked: Prometheus rounds to the millisecond.
const ROUNDING: f64 = 0.0015;

/// What is asked of a query besides its envelope.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extras {
    /// The samples as they were scraped.
    pub(super) raw: bool,
    /// A table.
    pub(super) table: bool,
}

/// What came of one query. Files are named as records name them.
#[derive(Debug, Default)]
pub(super) struct Captured {
    pub(super) summary: Summary,
    pub(super) file: String,
    pub(super) chunks: Vec<String>,
    pub(super) raw: Option<(String, u64)>,
    pub(super) table: Option<String>,
    /// What is short.
    pub(super) problems: Vec<Problem>,
}

/// Why nothing came: something about the query, or something that ends the tool.
#[derive(Debug)]
pub(super) enum HttpError {
    Problem(Problem),
    Failure(Failure),
}

impl From<Problem> for HttpError {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl From<Failure> for HttpError {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

/// One query that is being asked.
pub(super) struct Asking<'a> {
    pub(super) server: &'a mut Server,
    pub(super) console: &'a Console,
    pub(super) files: Files,
    pub(super) query: &'a Query,
    pub(super) grid: Grid,
}

impl Asking<'_> {
    /// Asks, and stores what comes.
    pub(super) fn capture(mut self, extras: Extras) -> Result<Captured, HttpError> {
        self.files.clear()?;
        let mut captured = self.envelope()?;
        // Beside an envelope that is kept, what else cannot be written is a shortfall of it.
        if extras.raw
            && captured.summary.series > 0
            && is_plain_selector(&self.query.query)
            && let Err(failure) = self.raw(&mut captured)
        {
            captured.problems.insert(0, not_written(failure)?);
        }
        if extras.table
            && let Err(failure) = self.table(&mut captured)
        {
            captured.problems.insert(0, not_written(failure)?);
        }
        Ok(captured)
    }

    fn envelope(&mut self) -> Result<Captured, HttpError> {
        let mut captured = Captured { file: recorded(&self.files.whole()), ..Captured::default() };
        if self.grid.points() <= POINTS {
            match self.range(self.grid, &mut ()) {
                Ok((summary, file)) => {
                    captured.problems.extend(off_grid(&summary, self.grid));
                    captured.summary = summary;
                    let name = self.files.whole();
                    self.files.keep(file, &name)?;
                    return Ok(captured);
                }
                Err(HttpError::Problem(problem)) if problem.too_much => self.less_helps(0, &problem)?,
                Err(trouble) => return Err(trouble),
            }
        }
        self.chunks(&mut captured)?;
        Ok(captured)
    }

    /// Whether a query that was refused is refused for any stretch of time: then that is the answer.
    fn less_helps(&mut self, first: u64, problem: &Problem) -> Result<(), HttpError> {
        if self.grid.part(first, u64::MAX).points() <= 1 {
            return Err(problem.clone().into());
        }
        self.range(self.grid.part(first, 1), &mut ()).map(drop)
    }

    fn chunks(&mut self, captured: &mut Captured) -> Result<(), HttpError> {
        let points = self.grid.points();
        // A grid that fits into one chunk comes here only after that was too much.
        let mut size = if points <= POINTS { points.div_ceil(2) } else { POINTS };
        let (mut halvings, mut at, mut index, mut names) = (0, 0, Index::new(), Vec::new());
        while at < points {
            let part = self.grid.part(at, size);
            index.begin(names.len());
            match self.range(part, &mut index) {
                Ok((summary, file)) => {
                    let name = self.files.chunk(names.len() + 1);
                    self.files.keep(file, &name)?;
                    names.push(name);
                    at += part.points();
                    captured.problems.extend(off_grid(&summary, part));
                    captured.summary.add(summary);
                }
                Err(HttpError::Problem(problem)) if problem.too_much && halvings < HALVINGS && part.points() > 1 => {
                    if halvings == 0 {
                        self.less_helps(at, &problem)?;
                    }
                    halvings += 1;
                    size = part.points().div_ceil(2);
                }
                Err(HttpError::Problem(problem)) if !names.is_empty() => {
                    // What came before is kept, and said not to be all.
                    let message = format!("from {} on: {}", part.start(), problem.message);
                    captured.problems.insert(0, Problem { message, ..problem });
                    break;
                }
                Err(trouble) => return Err(trouble),
            }
        }
        captured.summary.series = index.series();
        captured.chunks = names.iter().map(|name| recorded(name)).collect();
        let paths: Vec<_> = names.iter().map(|name| self.files.path(name)).collect();
        let (mut whole, name) = (self.files.begin()?, self.files.whole());
        let joined = index.write(&paths, &captured.summary, whole.as_file_mut());
        joined.map_err(|error| self.files.failed(&name, error))?;
        self.files.keep(whole, &name)?;
        Ok(())
    }

    fn range<L: Listener>(&mut self, part: Grid, listener: &mut L) -> Result<(Summary, NamedTempFile), HttpError> {
        let [start, end, step] = part.parameters();
        let query = ("query", self.query.query.clone());
        self.fetch("/api/v1/query_range", &[query, start, end, step], listener)
    }

    fn raw(&mut self, captured: &mut Captured) -> Result<(), Failure> {
        let parameters = self.grid.raw_parameters(&self.query.query);
        match self.fetch("/api/v1/query", &parameters, &mut ()) {
            Ok((summary, file)) => {
                let name = self.files.raw();
                self.files.keep(file, &name)?;
                captured.raw = Some((recorded(&name), summary.samples));
                add_notes(&mut captured.summary.warnings, summary.warnings);
                captured.summary.is_partial |= summary.is_partial;
            }
            Err(HttpError::Problem(problem)) => {
                let reason = if problem.is_interrupted() { problem.reason } else { Reason::NoRawSamples };
                let message = format!("the raw samples did not come: {}", problem.message);
                captured.problems.push(Problem::new(reason, message));
            }
            Err(HttpError::Failure(failure)) => return Err(failure),
        }
        Ok(())
    }

    fn table(&mut self, captured: &mut Captured) -> Result<(), Failure> {
        let (mut file, name) = (self.files.begin()?, self.files.table());
        match table::write(&self.files.path(&self.files.whole()), file.as_file_mut()) {
            Ok(()) => {
                self.files.keep(file, &name)?;
                captured.table = Some(recorded(&name));
            }
            Err(why) => {
                captured.problems.push(Problem::new(Reason::NoTable, format!("no table could be made of it: {why}")));
            }
        }
        Ok(())
    }

    /// Sends a query and stores its answer, which must be a matrix.
    fn fetch<L: Listener>(
        &mut self,
        path: &str,
        parameters: &[(&str, String)],
        listener: &mut L,
    ) -> Result<(Summary, NamedTempFile), HttpError> {
        let parameters: Vec<_> = parameters.iter().map(|(key, value)| (*key, value.as_str())).collect();
        let answer = self.server.query(path, &parameters)?;
        let mut file = self.files.begin()?;
        let grace = self.server.grace();
        let mut copying = Copying::new(grace.bound(answer), &mut file, self.console, &self.query.name);
        let read = envelope::read(&mut copying, listener);
        copying.finish().map_err(|error| self.files.failed(&self.files.whole(), error))?;
        let summary = match read {
            Ok(summary) => summary,
            Err(_) if grace.is_over() => return Err(Problem::interrupted("its answer was read to the end").into()),
            Err(Unreadable::Cut(why)) => {
                return Err(Problem::new(Reason::AnswerCut, format!("the answer broke off: {why}")).into());
            }
            Err(Unreadable::Foreign(why)) => return Err(unreadable(&file, &why)?.into()),
        };
        match (summary.status.as_deref(), summary.result_type.as_deref()) {
            (Some("success"), Some("matrix")) => Ok((summary, file)),
            (Some("success"), other) => {
                let other = other.unwrap_or("nothing");
                let message = format!("{} came instead of a matrix", crate::escape::start(other, 50));
                Err(Problem::new(Reason::Malformed, message).into())
            }
            (Some(_), _) => Err(prometheus::failed(summary.error_type.as_deref(), summary.error.as_deref()).into()),
            (None, _) => Err(unreadable(&file, "it has no status")?.into()),
        }
    }
}

/// What kept a file from being written, as a problem of its query: the others may still have room. A quiet end stays one.
pub(super) fn not_written(failure: Failure) -> Result<Problem, Failure> {
    match failure.message() {
        Some(message) => Ok(Problem::new(Reason::NotWritten, message)),
        None => Err(failure),
    }
}

/// What an answer in `file` is that could not be understood.
fn unreadable(file: &NamedTempFile, why: &str) -> Result<Problem, Failure> {
    let mut start = Vec::new();
    let read = File::open(file.path()).and_then(|file| file.take(1024).read_to_end(&mut start));
    read.map_err(|error: io::Error| Failure::io("reading the answer again", &error))?;
    let start = String::from_utf8_lossy(&start);
    if start.trim_start().starts_with("{\"status\"") {
        Ok(Problem::new(Reason::Malformed, format!("the answer cannot be understood: {why}")))
    } else {
        Ok(prometheus::foreign(&start))
    }
}

/// Where the server moved the points: chunks that overlap, or that leave a gap, would be the consequence.
fn off_grid(summary: &Summary, asked: Grid) -> Option<Problem> {
    let (first, last) = summary.covered?;
    let (start, end) = (asked.start().seconds() - ROUNDING, asked.end().seconds() + ROUNDING);
    (first < start || last > end).then(|| {
        Problem::new(
            Reason::OffGrid,
            format!("the server answered points from {first} to {last}, outside of what was asked"),
        )
    })
}
