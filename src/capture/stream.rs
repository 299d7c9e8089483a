//! The stream that a capture passes on, and what the capture learns from it.

use std::collections::BTreeSet;
use std::time::Duration;

use super::window::{WindowArgs, reversed};
use crate::cli::{Exit, Failure, Io};
use crate::clock::Clock;
use crate::input;
use crate::ndjson::{BadLines, Line, Reader, Writer};
use crate::record::{ClockOffset, Fold, Job, Kind, Metadata, Record, RunSpec, RunStatus, Window};
use crate::runs::Runs;

/// The knowledge of a capture once its input has ended.
#[derive(Debug, Default)]
pub struct StreamContext {
    /// True once a Run or a Job was read: then the capture is soft.
    pub in_run: bool,
    /// The run's id and labels, for the records that the capture makes; without a name.
    pub metadata: Metadata,
    /// The folded records of the input.
    pub fold: Fold,
    /// The true window, before padding; none if neither the stream nor the flags give one.
    pub window: Option<Window>,
    /// The run's clock.
    pub clock: Clock,
    /// The target's clock minus the harness's, as the run measured it.
    pub offset: Option<ClockOffset>,
    /// The server that is asked, if the back end has one.
    pub(super) server: Option<String>,
    runs: Runs,
    has_bad_lines: bool,
}

impl StreamContext {
    /// Passes every line of standard input on and learns from it. The tool's name is added to the Runs' tools.
    ///
    /// If standard input is a terminal and flags give the window, nothing is read. Without such flags, a signal ends the
    /// typing.
    pub(super) fn read(io: &mut Io<'_>, args: &WindowArgs) -> Result<Self, Failure> {
        let mut context = Self::default();
        if !(io.stdin_is_terminal && args.start.is_some()) {
            let stdin = input::take(io)?;
            let mut bad_lines = BadLines::default();
            let mut out = Writer::new(io.stdout);
            for read in Reader::stdin(stdin) {
                let read = read.map_err(|error| Failure::io("stdin", &error))?;
                match bad_lines.take(read, &io.console) {
                    Some(Line::Record(record)) => context.add(record, io.console.tool(), &mut out)?,
                    Some(foreign) => out.line(&foreign)?,
                    None => {}
                }
            }
            bad_lines.close(&io.console);
            context.has_bad_lines = bad_lines.broken() > 0;
        }
        context.window = context.resolve_window(args)?;
        Ok(context)
    }

    fn add(&mut self, record: Record, tool: &str, out: &mut Writer<'_>) -> Result<(), Failure> {
        if matches!(record.kind(), Kind::Run | Kind::Job) {
            if !self.in_run {
                self.metadata = record.read::<Outline>()?.metadata;
                self.metadata.name.clear();
            }
            self.in_run = true;
        }
        if record.kind() == Kind::Run {
            let (run, clock) = self.runs.pass(record.clone(), tool, &RunSpec::default(), self.clock.now(), out)?;
            if let Some(clock) = clock {
                self.clock = clock;
            }
            self.offset = run.status.clock_offset.or(self.offset);
        } else {
            out.record(&record)?;
        }
        self.fold.add(record);
        Ok(())
    }

    /// The jobs of the stream in their last state, warm-up jobs included.
    pub fn jobs(&self) -> impl Iterator<Item = Job> {
        self.fold.jobs()
    }

    fn resolve_window(&self, args: &WindowArgs) -> Result<Option<Window>, Failure> {
        let now = self.clock.now();
        // Warm-up jobs lie before the window, so that no figure begins with them.
        let jobs = self.fold.jobs().filter(|job| !job.is_warmup()).filter_map(|Job { status, .. }| {
            let start = status.submitted_at?;
            // A job whose end was not seen was in flight until its last observation, and perhaps still is.
            Some(Window { start, end: status.ended_at.or(status.observed_at).unwrap_or(start) })
        });
        let jobs = jobs.reduce(Window::hull);
        let (start, end) = args.bounds(now);
        let start = start.or(jobs.map(|jobs| jobs.start));
        let end = end.or(jobs.map(|jobs| jobs.end)).or(args.start.map(|_| now));
        match (start, end) {
            (Some(start), Some(end)) if end < start => Err(reversed(start, end)),
            (Some(start), Some(end)) => Ok(Some(Window { start, end })),
            _ => Ok(None),
        }
    }

    /// Writes the capture's records, and the Runs again with the window. With `nothing_asked` the Runs record that the
    /// profile names nothing for this tool, lest the capture look as if it had been killed.
    pub(super) fn close(mut self, records: &[Record], nothing_asked: bool, io: &mut Io<'_>) -> Result<Exit, Failure> {
        let mut out = Writer::new(io.stdout);
        for record in records {
            out.record(record)?;
        }
        let mut unasked = BTreeSet::new();
        if nothing_asked {
            unasked = self.fold.runs().flat_map(|run| run.status.unasked).collect();
            unasked.insert(io.console.tool().to_owned());
        }
        let status = RunStatus {
            observed_at: Some(self.clock.now()),
            window: self.window,
            unasked: unasked.into_iter().collect(),
            ..RunStatus::default()
        };
        self.runs.again(&status, &mut out)?;
        Ok(io.stop.exit_or(if self.has_bad_lines { Exit::BrokenInput } else { Exit::Done }))
    }

    /// The time left until `settle` after the window's end; zero once that has passed.
    pub fn left_to_settle(&self, settle: Duration) -> Duration {
        let until = self.window.map_or(0.0, |window| window.end.since(self.clock.now())) + settle.as_secs_f64();
        Duration::try_from_secs_f64(until.max(0.0)).unwrap_or_default()
    }
}

#[derive(serde::Deserialize)]
struct Outline {
    metadata: Metadata,
}
