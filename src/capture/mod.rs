//! What the captures share: the stream that they pass on, the window that they learn from it, and when they are soft.
//!
//! A capture hands on each line at once and learns from the Jobs which window to ask for. Only at the end of input is the
//! window known. Inside a run (a Run or a Job was read) a capture is soft: what is missing is said and recorded, and the
//! exit is 0. Alone it is hard.

mod earlier;
mod window;

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

pub use earlier::Brought;
pub use window::WindowArgs;
use window::{Bounds, reversed};

use crate::cli::{Exit, Failure, GRACE, Io, Outcome};
use crate::clock::Clock;
use crate::input;
use crate::ndjson::{Account, Line, Reader, Writer};
use crate::record::{
    CaptureResult, ClockOffset, Fold, Job, Kind, Metadata, Record, RunSpec, RunStatus, Timestamp, Window,
};
use crate::runs::Runs;
use crate::units;

/// What is not plain in a file's name.
const UNSAFE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_');

/// What a capture knows when its input has ended.
#[derive(Debug)]
pub struct Passed {
    /// Whether a Run or a Job was read: then the capture is soft.
    pub in_run: bool,
    /// The run's id and labels, for the records that the capture makes; without a name.
    pub metadata: Metadata,
    /// The last word on each record that was read.
    pub fold: Fold,
    /// The true window, before padding; none where neither the stream nor the flags tell one.
    pub window: Option<Window>,
    /// The run's clock.
    pub clock: Clock,
    /// The target's clock minus the harness's, as the run measured it.
    pub offset: Option<ClockOffset>,
    /// There is nothing to ask for, since the profile names nothing. The Run says so, lest it look as if the capture had
    /// been ended before its work was done.
    pub nothing_asked: bool,
    /// The server that is asked, where it is one.
    server: Option<String>,
    runs: Runs,
    broken: bool,
}

/// Hands on every line of standard input and learns from it. `tool` is added to the Runs' tools.
///
/// Where a person sits at standard input and the window is given by flags there is nothing to wait for, and nothing is read;
/// where it is not, a signal ends what they type.
pub fn pass(io: &mut Io<'_>, args: &WindowArgs) -> Result<Passed, Failure> {
    let is_read = !(io.stdin_is_terminal && args.start.is_some());
    let mut passed = Passed {
        in_run: false,
        metadata: Metadata::default(),
        fold: Fold::default(),
        window: None,
        clock: Clock::system(),
        offset: None,
        nothing_asked: false,
        server: None,
        runs: Runs::default(),
        broken: false,
    };
    if is_read {
        let stdin = input::take(io)?;
        let mut account = Account::default();
        let mut out = Writer::new(io.stdout);
        for read in Reader::stdin(stdin) {
            let read = read.map_err(|error| Failure::io("stdin", &error))?;
            match account.take(read, &io.console) {
                Some(Line::Record(record)) => passed.hear(record, io.console.tool(), &mut out)?,
                Some(other) => out.line(&other)?,
                None => {}
            }
        }
        account.close(&io.console);
        passed.broken = account.broken() > 0;
    }
    passed.window = passed.resolve(args)?;
    Ok(passed)
}

impl Passed {
    fn hear(&mut self, record: Record, tool: &str, out: &mut Writer<'_>) -> Result<(), Failure> {
        if matches!(record.kind(), Kind::Run | Kind::Job) {
            if !self.in_run {
                self.metadata = record.read::<Outline>().map_err(|error| Failure::usage(error.to_string()))?.metadata;
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

    /// The jobs of the stream, warm-up jobs among them, as they stood last.
    pub fn jobs(&self) -> impl Iterator<Item = Job> {
        self.fold.jobs()
    }

    fn resolve(&self, args: &WindowArgs) -> Result<Option<Window>, Failure> {
        let now = self.clock.now();
        let (mut first, mut last) = (None::<Timestamp>, None::<Timestamp>);
        // What the warm-up did lies before the window, so that no figure begins with it.
        for job in self.fold.jobs().filter(|job| !job.is_warmup()) {
            let Some(submitted) = job.status.submitted_at else { continue };
            first = Some(first.map_or(submitted, |first| first.min(submitted)));
            // A job whose end was not seen was in flight until the last that is known of it, and perhaps still is.
            let ended = job.status.ended_at.or(job.status.observed_at).unwrap_or(submitted);
            last = Some(last.map_or(ended, |last| last.max(ended)));
        }
        let Bounds { start, end } = args.bounds(now);
        let (start, end) = (start.or(first), end.or(last).or_else(|| args.start.map(|_| now)));
        match (start, end) {
            (Some(start), Some(end)) if end < start => Err(reversed(start, end)),
            (Some(start), Some(end)) => Ok(Some(Window { start, end })),
            _ => Ok(None),
        }
    }

    /// The last words, and the exit: that of a capture which did what it could; where a file could not be written, 74; else,
    /// for one that is hard, the verdict on how each of its parts ended.
    pub fn finish(self, records: &[Record], ended: &[Ended], hard: bool, io: &mut Io<'_>) -> Result<Exit, Failure> {
        Ok(match self.close(records, io)? {
            Exit::Done if ended.iter().any(|(_, reason)| reason.as_deref() == Some(NOT_WRITTEN)) => Exit::InputOutput,
            Exit::Done if hard => verdict(ended),
            exit => exit,
        })
    }

    /// The capture's records, and the Runs again with the window.
    fn close(mut self, records: &[Record], io: &mut Io<'_>) -> Result<Exit, Failure> {
        let mut out = Writer::new(io.stdout);
        for record in records {
            out.record(record)?;
        }
        let mut unasked = BTreeSet::new();
        if self.nothing_asked {
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
        Ok(io.stop.exit_or(if self.broken { Exit::BrokenInput } else { Exit::Done }))
    }

    /// How long it is until `settle` after the window's end; nothing where that has passed.
    pub fn left_to_settle(&self, settle: Duration) -> Duration {
        let until = self.window.map_or(0.0, |window| window.end.since(self.clock.now())) + settle.as_secs_f64();
        Duration::try_from_secs_f64(until.max(0.0)).unwrap_or_default()
    }
}

/// The word for a capture that is switched off.
pub const OFF: &str = "Off";

/// How a part of a capture ended, and why.
pub type Ended = (CaptureResult, Option<String>);

/// Reasons of an error that say nothing about the server: it was not asked.
const NOT_ASKED: [&str; 3] = ["NoWindow", "FutureWindow", "TooManyPoints"];

/// The exit of a capture that stands for itself, by the result and the reason of each of its parts: 0 where all came whole,
/// 69 where the source gave nothing at all, else 4.
fn verdict(ended: &[Ended]) -> Exit {
    let asked_in_vain = |reason: &Option<String>| reason.as_deref().is_none_or(|reason| !NOT_ASKED.contains(&reason));
    if ended.iter().all(|(result, _)| *result == CaptureResult::Ok) {
        Exit::Done
    } else if ended.iter().all(|(result, reason)| *result == CaptureResult::Error && asked_in_vain(reason)) {
        Exit::Unreachable
    } else {
        Exit::Incomplete
    }
}

/// The end of a capture that stands alone and knows no window: a usage error, unless a signal ended what would have told it.
pub fn windowless(io: &Io<'_>, message: &str) -> Outcome {
    io.stop.signal().map_or_else(|| Err(Failure::usage(message)), |signal| Ok(Exit::Signal(signal)))
}

/// Says, when a signal comes, what it does to a capture that has begun to ask; at once where it has come already. Without a word
/// it would look as if it did nothing, and a second one would cost the records.
pub fn tell_of_signal(io: &Io<'_>) {
    let console = io.console.clone();
    let most = units::whole(GRACE);
    io.stop.on_stop(move || {
        console.say(&format!(
            "a signal asked for the end: what there is is captured, for {most} at the most; a second one ends it"
        ));
    });
}

/// The word for what was not captured, or not whole, since a signal had asked for the end.
pub const INTERRUPTED: &str = "Interrupted";

/// The word for a capture whose source was not there when the window began.
pub const BEGINS_LATE: &str = "BeginsLate";

/// The word for a capture whose file could not be written.
pub const NOT_WRITTEN: &str = "NotWritten";

/// `window`, wider by `pad` on both sides.
pub fn padded(window: Window, pad: Duration) -> Window {
    Window { start: window.start.shifted(-pad.as_secs_f64()), end: window.end.plus(pad) }
}

#[derive(serde::Deserialize)]
struct Outline {
    metadata: Metadata,
}

/// A file name for `name`, which came from a profile, a flag or a server: letters, digits, `.`, `_` and `-` stay, every
/// other byte is percent-encoded, and it never begins with a dot. Different names give different file names.
pub fn file_name(name: &str) -> String {
    let safe: String = utf8_percent_encode(name, UNSAFE).collect();
    match safe.strip_prefix('.') {
        _ if safe.is_empty() => "%".to_owned(),
        Some(rest) => format!("%2E{rest}"),
        None => safe,
    }
}

/// Makes `dir` and what leads to it, and proves that a file can be written there.
pub fn writable_dir(dir: &Path) -> Result<PathBuf, Failure> {
    let failed = |error: io::Error| Failure::io(&format!("{}: cannot write there", dir.display()), &error);
    std::fs::create_dir_all(dir).map_err(failed)?;
    tempfile::Builder::new().prefix(".probe-").tempfile_in(dir).map_err(failed)?;
    Ok(dir.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_file_names_that_stay_where_they_are() {
        for (name, file) in [
            ("autorag-api", "autorag-api"),
            ("../x", "%2E.%2Fx"),
            ("a b", "a%20b"),
            (".hidden", "%2Ehidden"),
            ("", "%"),
            ("%", "%25"),
        ] {
            assert_eq!(file_name(name), file);
        }
    }
}
