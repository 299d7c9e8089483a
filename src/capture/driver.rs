//! The driver of a capture: everything that does not depend on the back end.
//!
//! A [`Backend`] names its items (services or queries), finds its source and captures items from it. The driver reads the
//! stream, decides what is still to be captured, keeps what an earlier capture of the same run has already, writes the records
//! and chooses the exit code.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{StreamContext, WindowArgs, padded, writable_dir};
use crate::capture::CaptureOutcome;
use crate::cli::{Exit, Failure, GRACE, Io, Outcome};
use crate::record::{CaptureResult, Kind, Malformed, Metadata, Reason, Record, Timestamp, Window, WindowSpec};
use crate::units;

/// The flags that all captures share.
#[derive(Clone, Debug, clap::Args)]
pub struct CaptureArgs {
    /// Write below this run directory
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Read the target's profile from this file [default: the built-in one for AutoRAG's audio pipeline]
    #[arg(long, value_name = "FILE")]
    pub profile: Option<PathBuf>,
    /// Fail if a capture is incomplete, even inside a run
    #[arg(long)]
    pub require: bool,
    /// Check the command line and the files it names, then exit; read no records, send and write nothing
    #[arg(long)]
    pub check: bool,
    /// The window.
    #[command(flatten)]
    pub window: WindowArgs,
}

/// The result of the capture of one item.
pub trait Captured {
    /// A result that is not whole.
    fn shortfall(result: CaptureResult, reason: Reason, message: String) -> Self;

    /// The part of the result that decides the exit code, and which of two captures is kept.
    fn outcome(&self) -> CaptureOutcome;

    /// Returns whether the user accepted by name that this result is not whole.
    fn is_accepted(&self) -> bool {
        false
    }
}

/// A back end that a window can be captured from.
pub trait Backend {
    /// The kind of its records.
    const KIND: Kind;
    /// The directory of its files, below the run's.
    const DIRECTORY: &'static str;
    /// True if one search serves all items: then all of them are captured again if one is not whole.
    const SEARCHES_ALL: bool = false;
    /// A service or a query.
    type Item;
    /// The place that items are captured from.
    type Source;
    /// The result of one item.
    type Captured: Captured;

    /// The items to capture.
    fn items(&self) -> &[Self::Item];

    /// The name of an item, which is that of its record and its file.
    fn name(item: &Self::Item) -> &str;

    /// The message for a profile without items: the fact, and the remedy.
    fn no_items(&self) -> (String, &'static str);

    /// Chooses the source; none if the capture is switched off by name.
    fn source(&self, stream: &mut StreamContext) -> Result<Option<Self::Source>, Failure>;

    /// The result of an item whose capture is switched off, and the sentence that says so.
    fn switched_off(&self) -> (Self::Captured, &'static str);

    /// Captures `items` and reports on the console what is not whole. Returns one result for each, in the same order.
    fn capture(
        &self,
        source: Self::Source,
        items: &[&Self::Item],
        request: &CaptureRequest<'_>,
        io: &Io<'_>,
    ) -> Result<Vec<Self::Captured>, Failure>;

    /// Makes the record of an item.
    fn record(&self, item: &Self::Item, captured: Self::Captured, context: RecordContext) -> Result<Record, Malformed>;
}

/// The conditions of one capture.
#[derive(Clone, Copy, Debug)]
pub struct CaptureRequest<'a> {
    /// The true window, before padding.
    pub window: Window,
    /// The directory of the back end's files.
    pub dir: &'a Path,
    /// The stream that was read.
    pub stream: &'a StreamContext,
    args: &'a CaptureArgs,
    kind: Kind,
}

impl CaptureRequest<'_> {
    /// The window with its padding.
    pub fn padded(&self) -> Window {
        padded(self.window, self.pad())
    }

    /// The padded window by the services' clock, wider on both sides by the error of its offset.
    pub fn by_the_services_clock(&self) -> Window {
        let (Window { start, end }, offset) = (self.padded(), self.stream.offset.unwrap_or_default());
        Window {
            start: start.shifted(offset.seconds - offset.bound_seconds),
            end: end.shifted(offset.seconds + offset.bound_seconds),
        }
    }

    /// The padding.
    pub fn pad(&self) -> Duration {
        self.args.window.pad
    }

    /// The longest time to wait for the back end, counted from the window's end.
    pub fn settle(&self) -> Duration {
        self.args.window.settle
    }

    /// Returns whether an earlier capture of the item `name` is worth more than `outcome`.
    pub fn is_outdone(&self, name: &str, outcome: CaptureOutcome) -> bool {
        self.stream.outdone(self.kind, name, &self.args.out, outcome)
    }
}

/// The parts of a record that do not depend on the back end.
#[derive(Debug)]
pub struct RecordContext {
    /// The record's metadata.
    pub metadata: Metadata,
    /// The server that was asked, if there is one.
    pub server: Option<String>,
    /// The true window.
    pub window: Option<Window>,
    /// The window with its padding.
    pub padded: Option<Window>,
    /// The time of the record.
    pub observed_at: Timestamp,
}

impl RecordContext {
    /// Returns the spec of a record of `service`.
    pub fn window_spec(&self, service: &str) -> WindowSpec {
        WindowSpec {
            service: service.to_owned(),
            server: self.server.clone(),
            window: self.window,
            start: self.padded.map(|window| window.start),
            end: self.padded.map(|window| window.end),
        }
    }
}

/// Runs the capture tool of `backend`.
pub fn run<B: Backend>(args: &CaptureArgs, backend: &B, mut io: Io<'_>) -> Outcome {
    args.window.check()?;
    if args.check {
        return Ok(Exit::Done);
    }
    let dir = writable_dir(&args.out.join(B::DIRECTORY))?;
    let mut stream = StreamContext::read(&mut io, &args.window)?;
    let is_hard = args.require || !stream.in_run;
    let source = backend.source(&mut stream)?;
    let is_off = source.is_none();
    let items = backend.items();
    if items.is_empty() {
        let (message, hint) = backend.no_items();
        // A capture that is switched off by name can miss nothing; inside a run a profile without items must not break the pipe.
        if is_hard && (args.require || !is_off) {
            return Err(Failure::usage(format!("{message}: {hint}")));
        }
        io.console.say(&message);
        return stream.close(&[], true, &mut io);
    }
    let mut ended = Vec::with_capacity(items.len());
    let mut captured = Vec::with_capacity(items.len());
    match (source, stream.window) {
        (None, _) => {
            io.console.say(backend.switched_off().1);
            captured.extend(items.iter().map(|item| (item, backend.switched_off().0)));
        }
        (Some(_), None) if !stream.in_run => return without_window(&io),
        (Some(_), None) => captured.extend(items.iter().map(|item| {
            let message = "no job was submitted, so there is no window".to_owned();
            (item, B::Captured::shortfall(CaptureResult::Error, Reason::NoWindow, message))
        })),
        (Some(source), Some(window)) => {
            let due = due_items(args, backend, &stream, &mut ended, &io);
            if !due.is_empty() {
                announce_signals(&io);
                let request = CaptureRequest { window, dir: &dir, stream: &stream, args, kind: B::KIND };
                let results = backend.capture(source, &due, &request, &io)?;
                captured.extend(due.into_iter().zip(results));
            }
        }
    }
    let mut records = Vec::with_capacity(captured.len());
    for (item, captured) in captured {
        let (name, outcome) = (B::name(item), captured.outcome());
        let result = if captured.is_accepted() { CaptureResult::Ok } else { outcome.result };
        ended.push(CaptureOutcome { result, ..outcome.clone() });
        if stream.outdone(B::KIND, name, &args.out, outcome) {
            io.console.say(&format!("{name}: keeping the earlier capture"));
            continue;
        }
        let context = RecordContext {
            metadata: Metadata { name: name.to_owned(), ..stream.metadata.clone() },
            server: stream.server.clone(),
            window: stream.window,
            padded: stream.window.map(|window| padded(window, args.window.pad)),
            observed_at: stream.clock.now(),
        };
        let record = backend.record(item, captured, context);
        records.push(record.map_err(|error| Failure::input_output(format!("a {} record: {error}", B::KIND.as_str())))?);
    }
    let exit = stream.close(&records, false, &mut io)?;
    Ok(match exit {
        Exit::Done if ended.iter().any(|ended| ended.is(&Reason::NotWritten)) => Exit::InputOutput,
        Exit::Done if is_hard && !is_off => verdict(&ended),
        exit => exit,
    })
}

/// Returns the items that are still to be captured, and notes how the others ended.
fn due_items<'a, B: Backend>(
    args: &CaptureArgs,
    backend: &'a B,
    stream: &StreamContext,
    ended: &mut Vec<CaptureOutcome>,
    io: &Io<'_>,
) -> Vec<&'a B::Item> {
    let items = backend.items().iter();
    let is_whole = |item: &B::Item| stream.has_whole(B::KIND, B::name(item), &args.out);
    // Another server saw another target, so nothing that this one has can take the place of that capture.
    let is_kept = |item: &B::Item| {
        stream.outdone(B::KIND, B::name(item), &args.out, CaptureOutcome::new(CaptureResult::Ok, None))
    };
    if B::SEARCHES_ALL && !items.clone().all(|item| is_whole(item) || is_kept(item)) {
        return items.collect();
    }
    let mut due = Vec::new();
    for item in items {
        if is_whole(item) {
            ended.push(CaptureOutcome::new(CaptureResult::Ok, None));
        } else if is_kept(item) {
            io.console.say(&format!("{}: keeping the earlier capture, which is from another server", B::name(item)));
            ended.push(CaptureOutcome::new(CaptureResult::Partial, None));
        } else {
            due.push(item);
        }
    }
    due
}

/// Reasons of an error that say nothing about the server: it was not asked.
const NOT_ASKED: [Reason; 3] = [Reason::NoWindow, Reason::FutureWindow, Reason::TooManyPoints];

/// Returns the exit code of a hard capture: 0 if all items are whole, 69 if the source gave nothing at all, else 4.
fn verdict(ended: &[CaptureOutcome]) -> Exit {
    let asked_in_vain = |ended: &CaptureOutcome| {
        ended.result == CaptureResult::Error && !NOT_ASKED.iter().any(|reason| ended.is(reason))
    };
    if ended.iter().all(|ended| ended.result == CaptureResult::Ok) {
        Exit::Done
    } else if ended.iter().all(asked_in_vain) {
        Exit::Unreachable
    } else {
        Exit::Incomplete
    }
}

/// Ends a capture that stands alone and knows no window: a usage error, unless a signal cut the input off.
fn without_window(io: &Io<'_>) -> Outcome {
    let message = "no window: the input has no submitted job; pipe Job records in, or give --start";
    io.stop.signal().map_or_else(|| Err(Failure::usage(message)), |signal| Ok(Exit::Signal(signal)))
}

/// Announces what a signal does to a capture that has begun to ask, as soon as one comes. Otherwise the signal would seem to
/// do nothing, and a second one would cost the records.
fn announce_signals(io: &Io<'_>) {
    let console = io.console.clone();
    let most = units::whole(GRACE);
    io.stop.on_stop(move || {
        console.say(&format!(
            "stopping on a signal: capturing what is available, for at most {most}; a second signal exits at once"
        ));
    });
}
