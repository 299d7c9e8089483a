//! The part of a log that lies in the window: its lines, which go into a file, and the exceptions in them.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Seek, SeekFrom, Write};

use crate::record::{Exception, Timestamp, Window};

use super::exceptions::{ExceptionFinder, Findings};
use super::job_ids::JobIds;
use super::lines::{self, Piece, Pieces};
use super::log_line::LogLine;
use super::stamp::Calendar;

/// The part of a log that is kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct WindowFilter<'a> {
    /// The window, by the worker's clock.
    pub(super) window: Window,
    /// The UTC offset of times without a zone, in seconds.
    pub(super) utc_offset: i32,
    pub(super) jobs: &'a JobIds,
}

/// The contents of a log.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct LogSummary {
    /// Lines that were kept.
    pub(super) lines: u64,
    /// Lines that were read.
    pub(super) read: u64,
    /// The first and the last time among the kept lines.
    pub(super) kept: Option<Window>,
    /// The earliest and the latest time in the whole log; none if no line carries one.
    pub(super) seen: Option<Window>,
    pub(super) count: u64,
    pub(super) exceptions: Vec<Exception>,
    /// The last lines without a time, which is where a command says why it failed.
    pub(super) undated: Vec<String>,
    /// The error that ended the reading before the log's end.
    pub(super) broken: Option<String>,
}

/// Most undated lines that are remembered.
const UNDATED: usize = 3;
/// Bytes of a piece that are read again with the next one, so that no word is cut in two.
const OVERLAP: usize = 512;
/// Most bytes of a joined line that a runtime cut.
const JOINED: usize = 4 * 1024 * 1024;

impl WindowFilter<'_> {
    /// Reads `input` to its end and writes the lines of the window to `output`, as they came. Memory does not grow with
    /// the log. An error of `input` is part of the answer; `Err` is an error of `output`.
    ///
    /// A line without a time belongs to the record before it. Lines before the first time are kept unless that time lies
    /// before the window, for then they do too; and so a log without any time is kept whole.
    pub(super) fn run(
        &self,
        input: impl BufRead,
        output: &mut (impl Write + Seek + Truncate),
    ) -> io::Result<LogSummary> {
        let calendar = Calendar { utc_offset: self.utc_offset, window: self.window };
        let mut summary = LogSummary::default();
        let mut finder = ExceptionFinder::new(self.jobs, &calendar);
        let mut pieces = Pieces::new(input);
        let mut text = LineText::default();
        let mut bytes = Vec::new();
        let (mut inside, mut counted) = (true, false);
        loop {
            let piece = match pieces.next(&mut bytes) {
                Ok(Some(piece)) => piece,
                Ok(None) => break,
                Err(error) => {
                    summary.broken = Some(error.to_string());
                    break;
                }
            };
            if piece == Piece::Start {
                summary.read += 1;
                counted = false;
            }
            if piece == Piece::Rest {
                let piece = text.rest(&bytes);
                if inside {
                    finder.take_piece(&piece);
                }
            } else {
                let (at, line) = text.line(piece, &bytes, &calendar);
                if let Some(at) = at {
                    if summary.seen.is_none() && at < self.window.start {
                        output.seek(SeekFrom::Start(0))?;
                        output.truncate()?;
                        summary.lines = 0;
                        finder = ExceptionFinder::new(self.jobs, &calendar);
                    }
                    widen(&mut summary.seen, at);
                    inside = self.window.start <= at && at <= self.window.end;
                } else if let Some(line) = &line {
                    remember(&mut summary.undated, &line.text);
                }
                if inside {
                    at.inspect(|at| widen(&mut summary.kept, *at));
                    line.inspect(|line| finder.take(line));
                } else {
                    finder.cut();
                }
            }
            if inside {
                summary.lines += u64::from(!counted);
                counted = true;
                output.write_all(&bytes)?;
            }
        }
        output.flush()?;
        if let Some(line) = text.cut_line(&calendar).filter(|_| inside) {
            finder.take(&line);
        }
        let Findings { count, listed, .. } = finder.finish();
        (summary.count, summary.exceptions) = (count, listed);
        Ok(summary)
    }
}

/// The text of the line that is being read.
#[derive(Debug, Default)]
struct LineText {
    /// The source of the line, which its first prefix names.
    source: String,
    /// The end of the last piece.
    tail: String,
    /// The lines that a runtime cut and has not ended, by source.
    cut: BTreeMap<String, LogLine>,
}

impl LineText {
    /// Reads a line or an overwriting text, and its time; no line where the runtime continues it in the next one.
    fn line(&mut self, piece: Piece, bytes: &[u8], calendar: &Calendar) -> (Option<Timestamp>, Option<LogLine>) {
        let text = lines::text(bytes);
        let start = text.len().saturating_sub(OVERLAP);
        text[floor(&text, start)..].clone_into(&mut self.tail);
        let mut line = LogLine::parse(&text, calendar);
        match piece {
            Piece::Start => self.source.clone_from(&line.source),
            _ => line.source = self.source.clone() + &line.source,
        }
        let at = line.at;
        if let Some(begun) = self.cut.remove(&line.source) {
            let joined = without_middle(begun.text + &line.text);
            line = if line.partial {
                LogLine { text: joined, at: begun.at.or(at), ..line }
            } else {
                let whole = line.join(&joined, calendar);
                LogLine { at: begun.at.or(whole.at), source: line.source, ..whole }
            };
        }
        if line.partial {
            self.cut.insert(line.source.clone(), line);
            return (at, None);
        }
        (line.at, Some(line))
    }

    /// The last line that a runtime cut and never ended.
    fn cut_line(&mut self, calendar: &Calendar) -> Option<LogLine> {
        let (_, line) = self.cut.pop_first()?;
        Some(LogLine { source: line.source.clone(), ..line.join(&line.text, calendar) })
    }

    /// Reads a further piece of the line, with the end of the piece before it.
    fn rest(&mut self, bytes: &[u8]) -> String {
        let text = std::mem::take(&mut self.tail) + &lines::text(bytes);
        text[floor(&text, text.len().saturating_sub(OVERLAP))..].clone_into(&mut self.tail);
        text
    }
}

/// A text that is too long without its middle: a record's time and level stand at one end, and its exception at the other.
fn without_middle(text: String) -> String {
    if text.len() <= JOINED {
        return text;
    }
    let tail = floor(&text, text.len() - JOINED / 2);
    format!("{}…{}", &text[..floor(&text, JOINED / 2)], &text[tail..])
}

/// The last boundary between characters at `index` or before it.
fn floor(text: &str, index: usize) -> usize {
    (0..=index.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default()
}

/// An output that can be made empty again.
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
    let instant = Window { start: at, end: at };
    *window = Some(window.map_or(instant, |held| held.hull(instant)));
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
