//! One log, sifted: the lines of the window into a file, their exceptions into a list.

use std::io::{self, BufRead, Seek, SeekFrom, Write};

use crate::record::{Exception, Timestamp, Window};

use super::entry::Entry;
use super::exceptions::{Finder, Found};
use super::job_ids::JobIds;
use super::lines::{self, Piece, Pieces};

/// How to read a log.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sieve<'a> {
    /// The window, by the worker's clock.
    pub(super) window: Window,
    /// How far times without a zone are ahead of UTC, in seconds.
    pub(super) offset: i32,
    pub(super) jobs: &'a JobIds,
}

/// What was in a log.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Sifted {
    /// Lines that were kept.
    pub(super) lines: u64,
    /// Lines that were read.
    pub(super) read: u64,
    /// The first and the last time among the kept lines.
    pub(super) kept: Option<Window>,
    /// The earliest and the latest time in the whole log; none where no line carries one.
    pub(super) seen: Option<Window>,
    pub(super) count: u64,
    pub(super) exceptions: Vec<Exception>,
    /// The last lines that carry no time, which is where a command says why it failed.
    pub(super) undated: Vec<String>,
    /// Why the log was not read to its end.
    pub(super) broken: Option<String>,
}

/// How many of the last undated lines are remembered.
const UNDATED: usize = 3;

impl Sieve<'_> {
    /// Reads `input` to its end and writes the lines of the window to `output`, as they came. Memory does not grow with
    /// the log. An error of `input` is part of the answer; `Err` is an error of `output`.
    ///
    /// A line without a time belongs to the record before it. Lines before the first time are kept unless that time lies
    /// before the window, for then they do too; and so a log without any time is kept whole.
    pub(super) fn sift(&self, input: impl BufRead, output: &mut (impl Write + Seek + Truncate)) -> io::Result<Sifted> {
        let mut sifted = Sifted::default();
        let mut finder = Finder::new(self.jobs);
        let mut pieces = Pieces::new(input);
        let mut bytes = Vec::new();
        let mut inside = true;
        loop {
            let piece = match pieces.next(&mut bytes) {
                Ok(Some(piece)) => piece,
                Ok(None) => break,
                Err(error) => {
                    sifted.broken = Some(error.to_string());
                    break;
                }
            };
            if piece == Piece::Start {
                sifted.read += 1;
                let entry = Entry::read(&lines::text(&bytes), self.offset);
                if let Some(at) = entry.at {
                    if sifted.seen.is_none() && at < self.window.start {
                        output.seek(SeekFrom::Start(0))?;
                        output.truncate()?;
                        sifted.lines = 0;
                        finder = Finder::new(self.jobs);
                    }
                    widen(&mut sifted.seen, at);
                    inside = self.window.start <= at && at <= self.window.end;
                } else {
                    remember(&mut sifted.undated, &entry.text);
                }
                if inside {
                    entry.at.inspect(|at| widen(&mut sifted.kept, *at));
                    sifted.lines += 1;
                    finder.take(&entry);
                } else {
                    finder.cut();
                }
            }
            if inside {
                output.write_all(&bytes)?;
            }
        }
        output.flush()?;
        let Found { count, listed, .. } = finder.finish();
        (sifted.count, sifted.exceptions) = (count, listed);
        Ok(sifted)
    }
}

/// What can be made empty again.
pub(super) trait Truncate {
    /// Cuts everything off behind the present position.
    fn truncate(&mut self) -> io::Result<()>;
}

impl Truncate for io::BufWriter<&std::fs::File> {
    fn truncate(&mut self) -> io::Result<()> {
        self.flush()?;
        let length = self.stream_position()?;
        self.get_ref().set_len(length)
    }
}

fn widen(window: &mut Option<Window>, at: Timestamp) {
    let wider = window
        .map_or(Window { start: at, end: at }, |held| Window { start: held.start.min(at), end: held.end.max(at) });
    *window = Some(wider);
}

fn remember(undated: &mut Vec<String>, text: &str) {
    if !text.trim().is_empty() {
        if undated.len() == UNDATED {
            undated.remove(0);
        }
        undated.push(crate::escape::start(text.trim(), 200));
    }
}

#[cfg(test)]
mod tests;
