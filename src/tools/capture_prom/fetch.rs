//! One query over the window: asked whole or in chunks, stored as it came, joined where it came in chunks.

use std::fs::File;
use std::io::Read;
use std::time::Duration;

use tempfile::NamedTempFile;

use super::evidence::Addresses;
use super::files::{Copying, Files, recorded};
use super::grid::Grid;
use super::join::Index;
use super::lateness::{AskedWindow, Lateness};
use super::table;
use crate::cli::Console;
use crate::profile::Query;
use crate::prometheus::envelope::{self, OnSeries, Summary, Unreadable, add_notes};
use crate::prometheus::{self, Problem, Server};
use crate::promql::{is_metric_name, is_plain_selector};
use crate::record::Reason;

/// Prometheus answers at most 11,000 points a series, give or take one.
const POINTS: u64 = 11_000;
/// The number of times that a server that wants less is asked for half.
const HALVINGS: u32 = 8;
/// The tolerance of the times of points in seconds: Prometheus rounds to the millisecond.
const ROUNDING: f64 = 0.0015;

/// The outputs of a query besides its envelope.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extras {
    /// The samples as they were scraped.
    pub(super) raw: bool,
    /// A table.
    pub(super) table: bool,
}

/// The answer of one query. Files are named as records name them.
#[derive(Debug, Default)]
pub(super) struct Captured {
    pub(super) summary: Summary,
    pub(super) file: String,
    pub(super) chunks: Vec<String>,
    pub(super) raw: Option<(String, u64)>,
    pub(super) table: Option<String>,
    pub(super) addresses: Addresses,
    /// The shortcomings, the gravest first.
    pub(super) problems: Vec<Problem>,
}

/// One query that is being asked.
pub(super) struct Asking<'a> {
    pub(super) server: &'a mut Server,
    pub(super) console: &'a Console,
    pub(super) files: Files,
    pub(super) query: &'a Query,
    pub(super) window: AskedWindow,
}

impl Asking<'_> {
    /// Asks, and stores the answer.
    pub(super) fn capture(mut self, extras: Extras) -> Result<Captured, Problem> {
        self.files.clear()?;
        let mut lateness = is_plain_selector(&self.query.query).then(Lateness::default);
        let mut captured = self.envelope(lateness.as_mut())?;
        // The envelope is kept, so a raw file or a table that fails is a shortcoming of it.
        if captured.summary.series > 0
            && let Some(lateness) = &mut lateness
            && let Err(problem) = self.samples(&mut captured, lateness, extras.raw)
        {
            captured.problems.insert(0, problem);
        }
        if extras.table
            && let Err(problem) = self.table(&mut captured)
        {
            captured.problems.insert(0, problem);
        }
        Ok(captured)
    }

    fn envelope(&mut self, mut lateness: Option<&mut Lateness>) -> Result<Captured, Problem> {
        let mut captured = Captured { file: recorded(&self.files.whole()), ..Captured::default() };
        if self.window.grid.points() <= POINTS {
            let addresses = &mut captured.addresses;
            let answer = self.range(self.window.grid, &mut |series, _| {
                addresses.add(series);
                if let Some(lateness) = lateness.as_mut() {
                    lateness.add_points(series);
                }
                Ok(())
            });
            match answer {
                Ok((summary, file)) => {
                    captured.problems.extend(off_grid(&summary, self.window.grid));
                    captured.summary = summary;
                    self.files.keep(file, &self.files.whole())?;
                    return Ok(captured);
                }
                Err(problem) if problem.too_much => self.check_smallest(0, problem)?,
                Err(problem) => return Err(problem),
            }
        }
        self.chunks(&mut captured, lateness)?;
        Ok(captured)
    }

    /// Asks for a single point from point `first` on. A query that is refused even then is refused for good.
    fn check_smallest(&mut self, first: u64, problem: Problem) -> Result<(), Problem> {
        if self.window.grid.part(first, u64::MAX).points() <= 1 {
            return Err(problem);
        }
        self.range(self.window.grid.part(first, 1), &mut |_, _| Ok(())).map(drop)
    }

    fn chunks(&mut self, captured: &mut Captured, mut lateness: Option<&mut Lateness>) -> Result<(), Problem> {
        let points = self.window.grid.points();
        // A grid that fits into one chunk comes here only after that was too much.
        let mut size = if points <= POINTS { points.div_ceil(2) } else { POINTS };
        let (mut halvings, mut at, mut index, mut names) = (0, 0, Index::default(), Vec::new());
        while at < points {
            let part = self.window.grid.part(at, size);
            let mut series = Vec::new();
            let addresses = &mut captured.addresses;
            let answer = self.range(part, &mut |one, place| {
                addresses.add(one);
                series.push((index.hash(&one.metric), place));
                if let Some(lateness) = lateness.as_mut() {
                    lateness.add_points(one);
                }
                Ok(())
            });
            let repeated = |why| Problem::new(Reason::Malformed, format!("the answer cannot be understood: {why}"));
            let chunk = answer.and_then(|chunk| index.add_chunk(series).map_err(repeated).map(|()| chunk));
            match chunk {
                Ok((summary, file)) => {
                    let name = self.files.chunk(names.len() + 1);
                    self.files.keep(file, &name)?;
                    names.push(name);
                    at += part.points();
                    captured.problems.extend(off_grid(&summary, part));
                    captured.summary.add(summary);
                }
                Err(problem) if problem.too_much && halvings < HALVINGS && part.points() > 1 => {
                    if halvings == 0 {
                        self.check_smallest(at, problem)?;
                    }
                    halvings += 1;
                    size = part.points().div_ceil(2);
                }
                Err(problem) if !names.is_empty() => {
                    // The earlier chunks are kept, and the result says that they are not all.
                    let message = format!("from {} on: {}", part.start(), problem.message);
                    captured.problems.insert(0, Problem { message, ..problem });
                    break;
                }
                Err(problem) => return Err(problem),
            }
        }
        captured.summary.series = index.series();
        captured.chunks = names.iter().map(|name| recorded(name)).collect();
        let paths: Vec<_> = names.iter().map(|name| self.files.path(name)).collect();
        let (mut whole, name) = (self.files.begin()?, self.files.whole());
        let joined = index.write(&paths, &captured.summary, whole.as_file_mut());
        joined.map_err(|error| self.files.not_written(&name, &error))?;
        self.files.keep(whole, &name)
    }

    fn range(&mut self, part: Grid, on_series: OnSeries<'_>) -> Result<(Summary, NamedTempFile), Problem> {
        let query = self.query.query.trim().to_owned();
        match self.range_of(query.clone(), part, on_series) {
            // A front end may answer a query that it knows by its text, `up` above all, from a cache of instant queries.
            Err(problem) if problem.reason == Reason::Malformed && is_metric_name(&query) => {
                self.console.say(&format!("{}: {}; asking for {query}{{}} instead", self.query.name, problem.message));
                self.range_of(format!("{query}{{}}"), part, on_series)
            }
            answer => answer,
        }
    }

    fn range_of(
        &mut self,
        query: String,
        part: Grid,
        on_series: OnSeries<'_>,
    ) -> Result<(Summary, NamedTempFile), Problem> {
        let [start, end, step] = part.parameters();
        self.fetch("/api/v1/query_range", &[("query", query), start, end, step], on_series)
    }

    /// Asks for the samples as they were scraped: stores them if they are `kept`, and looks for series that are late.
    fn samples(&mut self, captured: &mut Captured, lateness: &mut Lateness, kept: bool) -> Result<(), Problem> {
        let window = self.window;
        let range = if kept { window.grid.span() } else { window.tail() };
        let mut asked = self.raw(captured, lateness, range, kept);
        if matches!(asked, Ok(None)) && lateness.has_unsampled() {
            let look_back = window.look_back();
            asked = self.raw(captured, lateness, look_back, false);
        }
        match asked? {
            None => captured.problems.extend(lateness.problem(&window)),
            Some(problem) if kept || problem.is_interrupted() => captured.problems.push(problem),
            // The samples were waived.
            Some(problem) => {
                let name = &self.query.name;
                self.console.say(&format!("{name}: late samples would not be noticed: {}", problem.message));
            }
        }
        Ok(())
    }

    /// Asks for the samples of the last `range`, and stores them if they are `kept`. Returns the problem if they did not come.
    fn raw(
        &mut self,
        captured: &mut Captured,
        lateness: &mut Lateness,
        range: Duration,
        kept: bool,
    ) -> Result<Option<Problem>, Problem> {
        let parameters = self.window.grid.raw_parameters(&self.query.query, range);
        let window = self.window;
        let addresses = &mut captured.addresses;
        let answer = self.fetch("/api/v1/query", &parameters, &mut |series, _| {
            if kept {
                addresses.add(series);
            }
            lateness.add_samples(series, &window, range == window.look_back());
            Ok(())
        });
        match answer {
            Ok((summary, file)) => {
                if kept {
                    let name = self.files.raw();
                    self.files.keep(file, &name)?;
                    captured.raw = Some((recorded(&name), summary.samples));
                }
                add_notes(&mut captured.summary.warnings, summary.warnings);
                captured.summary.is_partial |= summary.is_partial;
                Ok(None)
            }
            Err(problem) if problem.reason == Reason::NotWritten => Err(problem),
            Err(problem) => {
                let reason = if problem.is_interrupted() { problem.reason } else { Reason::NoRawSamples };
                let message = format!("the raw samples are missing: {}", problem.message);
                Ok(Some(Problem::new(reason, message)))
            }
        }
    }

    fn table(&mut self, captured: &mut Captured) -> Result<(), Problem> {
        let (mut file, name) = (self.files.begin()?, self.files.table());
        table::write(&self.files.path(&self.files.whole()), file.as_file_mut())
            .map_err(|why| Problem::new(Reason::NoTable, format!("cannot make a table of it: {why}")))?;
        self.files.keep(file, &name)?;
        captured.table = Some(recorded(&name));
        Ok(())
    }

    /// Sends a query and stores its answer, which must be a matrix.
    fn fetch(
        &mut self,
        path: &str,
        parameters: &[(&str, String)],
        on_series: OnSeries<'_>,
    ) -> Result<(Summary, NamedTempFile), Problem> {
        let parameters: Vec<_> = parameters.iter().map(|(key, value)| (*key, value.as_str())).collect();
        let answer = self.server.query(path, &parameters)?;
        let mut file = self.files.begin()?;
        let grace = self.server.grace();
        let mut copying = Copying::new(grace.bound(answer), &mut file, self.console, &self.query.name);
        let read = envelope::read(&mut copying, on_series);
        copying.finish().map_err(|error| self.files.not_written(&self.files.whole(), &error))?;
        let summary = match read {
            Ok(summary) => summary,
            Err(_) if grace.is_over() => return Err(Problem::interrupted("its answer was read to the end")),
            Err(Unreadable::Cut(why)) => {
                return Err(Problem::new(Reason::AnswerCut, format!("the answer broke off: {why}")));
            }
            Err(why @ Unreadable::TooLarge) => {
                return Err(Problem { too_much: true, ..Problem::new(Reason::Malformed, why.to_string()) });
            }
            Err(Unreadable::Foreign(why)) => return Err(unreadable(&file, &why)),
        };
        match (summary.status.as_deref(), summary.result_type.as_deref()) {
            (Some("success"), Some("matrix")) => Ok((summary, file)),
            (Some("success"), other) => {
                let other = other.unwrap_or("nothing");
                let message = format!("{} came instead of a matrix", crate::escape::start(other, 50));
                Err(Problem::new(Reason::Malformed, message))
            }
            (Some(_), _) => Err(prometheus::failed(summary.error_type.as_deref(), summary.error.as_deref())),
            (None, _) => Err(unreadable(&file, "it has no status")),
        }
    }
}

/// The problem with the answer in `file` that could not be understood.
fn unreadable(file: &NamedTempFile, why: &str) -> Problem {
    let mut start = Vec::new();
    if let Err(error) = File::open(file.path()).and_then(|file| file.take(1024).read_to_end(&mut start)) {
        return Problem::new(
            Reason::Malformed,
            format!("the answer cannot be understood ({why}) nor read again: {error}"),
        );
    }
    let start = String::from_utf8_lossy(&start);
    if start.trim_start().starts_with("{\"status\"") {
        Problem::new(Reason::Malformed, format!("the answer cannot be understood: {why}"))
    } else {
        prometheus::foreign(&start)
    }
}

/// The problem with a server that moved the points: chunks would overlap or leave a gap.
fn off_grid(summary: &Summary, asked: Grid) -> Option<Problem> {
    let (first, last) = summary.covered?;
    let (start, end) = (asked.start().seconds() - ROUNDING, asked.end().seconds() + ROUNDING);
    (first < start || last > end).then(|| {
        Problem::new(
            Reason::OffGrid,
            format!("the server returned points from {first} to {last}, outside the requested range"),
        )
    })
}
