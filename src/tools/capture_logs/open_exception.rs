//! An exception whose text is still being read.

use crate::escape;
use crate::record::{Exception, Timestamp};

use super::job_ids::JobIds;
use super::level::Level;
use super::log_line::LogLine;
use super::shapes::{self, Marker, Shape};

/// Most bytes of the text of one exception, and of one line of it.
const TEXT: usize = 64 * 1024;
const LINE: usize = 8 * 1024;
/// Most characters of the first line.
const FIRST_LINE: usize = 1000;

/// The part of an exception that was read last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// The header of a traceback at the end of a record that is no error: it may only speak of one, unless frames follow.
    Mention,
    /// The record of an error, or a heading, and no traceback yet.
    Record,
    /// The frames of a Python traceback.
    Frames,
    /// The members of a Python exception group.
    Group,
    /// The exception has been named, or its text may go on in ways that nobody knows.
    Named,
    /// A line that joins two tracebacks was read.
    Chain,
    /// A Rust panic whose message comes next.
    Panic,
    /// The frames of a stack trace.
    Stack,
    /// Lines that do not belong to it have followed; one that joins two tracebacks still may.
    Ended,
}

/// An exception whose text is still being read.
#[derive(Debug)]
pub(super) struct OpenException {
    pub(super) at: Option<Timestamp>,
    pub(super) state: State,
    /// The kinds of crash that its lines report; the same kind again is another crash.
    pub(super) crashes: Vec<usize>,
    pub(super) is_json: bool,
    /// True if lines of it begin no record; then no line that begins one belongs to it.
    is_plain: bool,
    /// The text before its beginning on its first line.
    prefix: String,
    job_id: Option<String>,
    text: String,
    is_truncated: bool,
    /// The last line that named an exception.
    name: Option<String>,
}

impl State {
    /// The state that a line of this shape begins.
    pub(super) fn begun_by(shape: Shape) -> Self {
        match shape {
            Shape::Traceback => Self::Frames,
            Shape::Group => Self::Group,
            Shape::Panic => Self::Panic,
            Shape::Crash(_) | Shape::Escaped => Self::Named,
            _ => Self::Record,
        }
    }

    /// The state after a line of this shape; none if the line does not belong to the exception.
    fn next(self, shape: Shape, has_records: bool) -> Option<Self> {
        use Shape as L;
        Some(match (self, shape) {
            (Self::Mention, L::Blank) => self,
            (Self::Mention, L::Indented) if has_records => Self::Frames,
            (Self::Ended, L::Chain) => Self::Chain,
            // Only the first traceback below the record of an error belongs to it, and the next one of a chain.
            (Self::Mention, L::PythonFrame | L::Frame)
            | (Self::Record | Self::Chain, L::Traceback | L::PythonFrame)
            | (Self::Frames, L::Indented | L::Blank | L::Frame | L::PythonFrame) => Self::Frames,
            (Self::Record | Self::Chain, L::Group)
            | (Self::Group, L::Traceback | L::Group | L::Indented | L::Blank | L::PythonFrame) => Self::Group,
            (Self::Record, L::Panic) => Self::Panic,
            (Self::Record, L::Heading) => Self::Record,
            (Self::Stack | Self::Named, L::Heading) if has_records => self,
            (Self::Mention | Self::Ended, _) => return None,
            (_, shape) if shape.begins() => return None,
            (_, L::Chain) => Self::Chain,
            (Self::Frames, _) | (Self::Panic, L::Other | L::Blank) => Self::Named,
            (Self::Panic, _) => Self::Panic,
            (_, L::Frame) => Self::Stack,
            (state, L::Blank | L::Indented | L::PythonFrame) => state,
            (Self::Stack, L::Other) if has_records => Self::Stack,
            (Self::Record, _) => Self::Record,
            (Self::Group | Self::Named | Self::Chain, _) if has_records => Self::Named,
            _ => return None,
        })
    }
}

impl OpenException {
    pub(super) fn new(state: State, at: Option<Timestamp>, prefix: Option<String>) -> Self {
        Self {
            at,
            state,
            crashes: Vec::new(),
            is_json: false,
            is_plain: false,
            prefix: prefix.unwrap_or_default(),
            job_id: None,
            text: String::new(),
            is_truncated: false,
            name: None,
        }
    }

    /// Returns whether the line belongs to this exception, whose state it then moves.
    pub(super) fn goes_on_with(&mut self, line: &LogLine, has_records: bool) -> bool {
        if self.takes_own_traceback(line) || self.is_erlang_report_with(line) {
            return true;
        }
        let begins_record = line.begins_record && !(self.state == State::Frames && line.may_end_traceback);
        let text = if begins_record == line.begins_record {
            continuation(line, &self.prefix, self.is_json).filter(|_| !(self.is_plain && begins_record))
        } else {
            Some(line.text.as_str())
        };
        let Some(text) = text else { return false };
        let mut shape = Shape::parse(text, line.level);
        // The last line of a traceback names it even if it speaks of a crash, and the lines above quote the source.
        let is_within = match self.state {
            State::Frames => true,
            State::Group => text.trim_start().starts_with(['|', '+']),
            State::Record => self.text.lines().next_back().is_some_and(|last| last.starts_with('╰')),
            _ => false,
        };
        if is_within && matches!(shape, Shape::Panic | Shape::Heading | Shape::Crash(_)) {
            shape = if text.starts_with([' ', '\t', '|']) { Shape::Indented } else { Shape::Other };
        }
        if let Shape::Crash(kind) = shape
            && !self.crashes.contains(&kind)
            && (!self.crashes.is_empty() || (!begins_record && shapes::is_deadly(&self.text)))
        {
            self.crashes.push(kind);
            return true;
        }
        // A line that looks like a record of its own goes on only with what a traceback must have next.
        let is_expected = match (self.state, shape) {
            (State::Frames | State::Mention, shape) => !shape.begins(),
            (_, Shape::Frame | Shape::PythonFrame | Shape::Chain | Shape::Group)
            | (State::Group | State::Stack | State::Chain, Shape::Indented | Shape::Traceback) => true,
            _ => false,
        };
        if begins_record && !is_expected {
            return false;
        }
        let Some(state) = self.state.next(shape, has_records) else { return false };
        let text = text.to_owned();
        if state == State::Named && self.state == State::Frames {
            self.name = Some(escape::start(&text, FIRST_LINE));
        }
        let member = text.trim_start().strip_prefix("| ");
        if let (State::Group, None, Some(member)) = (state, &self.name, member)
            && !member.starts_with([' ', '|', '+'])
        {
            self.name = Some(escape::start(member, FIRST_LINE));
        }
        self.state = state;
        self.is_plain |= !begins_record && shape != Shape::Blank;
        true
    }

    /// Returns whether the line is the header of this record's traceback, which the logger wrote line by line with its own prefix; its
    /// frames then follow behind that prefix.
    fn takes_own_traceback(&mut self, line: &LogLine) -> bool {
        let is_error = line.begins_record && line.level == Some(Level::Error);
        if self.state != State::Record || self.is_plain || !is_error {
            return false;
        }
        let marker = Marker::find(&line.text, line.level).filter(|marker| marker.shape == Shape::Traceback);
        let Some(prefix) = marker.map(|marker| &line.text[..marker.start]) else { return false };
        let first = self.text.lines().next().unwrap_or_default();
        if behind_prefix(first, prefix.trim_end()).is_none() {
            return false;
        }
        prefix.clone_into(&mut self.prefix);
        self.state = State::Frames;
        true
    }

    /// Returns whether the line is another one of the same report: Erlang's logger, and with it RabbitMQ, repeats the time and the
    /// process on each line of one.
    fn is_erlang_report_with(&self, line: &LogLine) -> bool {
        let process = erlang_process(self.text.lines().next().unwrap_or_default());
        let is_error = line.begins_record && line.level == Some(Level::Error);
        self.state == State::Record
            && is_error
            && line.at == self.at
            && process.is_some()
            && erlang_process(&line.text) == process
    }

    /// Adds a line to the text.
    pub(super) fn push(&mut self, line: &LogLine, jobs: &JobIds) {
        self.find_job_of(jobs, line);
        let text = continuation(line, &self.prefix, self.is_json).unwrap_or(&line.text).to_owned();
        self.push_text(&text);
    }

    /// Adds a line of text; what is too long is left out.
    pub(super) fn push_text(&mut self, text: &str) {
        let line = escape::start(text, LINE);
        if self.text.len() + line.len() >= TEXT {
            self.is_truncated = true;
            return;
        }
        self.text.push_str(&line);
        self.text.push('\n');
    }

    /// Looks for a job's id in a line: in its text first, then in its prefixes and the fields of its record.
    pub(super) fn find_job_of(&mut self, jobs: &JobIds, line: &LogLine) {
        self.find_job(jobs, &line.text);
        self.find_job(jobs, &line.raw);
    }

    /// Looks for a job's id in a text of this exception, as long as none was found or only a warm-up job's: it is no exception of
    /// the warm-up if it names another job anywhere.
    pub(super) fn find_job(&mut self, jobs: &JobIds, text: &str) {
        if self.job_id.as_ref().is_none_or(|id| jobs.is_warmup(id)) {
            let found = jobs.find(text).map(str::to_owned);
            self.job_id = found.or(self.job_id.take());
        }
    }

    /// Closes the exception, with its text where that is more than the first line and no longer than `room`.
    pub(super) fn into_exception(self, room: usize) -> Exception {
        let mut text = self.text.trim_end().to_owned();
        let first = text.lines().next().unwrap_or_default();
        let marker = Marker::find(first, None).map(|marker| marker.shape);
        let is_bare = matches!(marker, Some(Shape::Traceback | Shape::Group));
        let name = self.name.clone().filter(|_| is_bare).unwrap_or_else(|| first.to_owned());
        let first_line = escape::start(&name, FIRST_LINE);
        if self.is_truncated {
            // The end of a text that is too long is what names the exception.
            text.push_str("\n…\n");
            text.push_str(self.name.as_deref().unwrap_or_default());
        }
        let traceback = Some(text).filter(|text| *text != first_line && text.len() <= room);
        Exception { first_line, at: self.at, job_id: self.job_id, traceback }
    }
}

/// The first Erlang process that a line names, such as `<0.700.0>`.
fn erlang_process(line: &str) -> Option<&str> {
    let is_process = |word: &&str| {
        let parts = word.strip_prefix('<').and_then(|word| word.strip_suffix('>')).map(|word| word.split('.'));
        let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        parts.is_some_and(|mut parts| parts.clone().count() == 3 && parts.all(is_number))
    };
    line.split_ascii_whitespace().find(is_process)
}

/// The text with which `line` goes on with an exception whose first line had this prefix: behind the same prefix, which may
/// differ in its digits; at a frame, whatever stands before it; or the message of a JSON record.
fn continuation<'l>(line: &'l LogLine, prefix: &str, is_json: bool) -> Option<&'l str> {
    if is_json && line.is_json {
        return Some(line.message());
    }
    let behind = (!prefix.trim().is_empty()).then(|| behind_prefix(&line.text, prefix.trim_end())).flatten();
    if let Some(behind) = behind {
        return Some(behind.strip_prefix(' ').unwrap_or(behind));
    }
    if line.begins_record { shapes::frame_at_end(&line.text) } else { Some(&line.text) }
}

/// The rest of `text` behind `prefix`, of which only the digits may differ.
fn behind_prefix<'t>(text: &'t str, prefix: &str) -> Option<&'t str> {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let (mut rest, mut wanted) = (text, prefix);
    while let Some(next) = wanted.chars().next() {
        let (have, want) = (digits(rest), digits(wanted));
        if (have == 0) != (want == 0) {
            return None;
        }
        if want > 0 {
            (rest, wanted) = (&rest[have..], &wanted[want..]);
        } else {
            (rest, wanted) = (rest.strip_prefix(next)?, &wanted[next.len_utf8()..]);
        }
    }
    Some(rest)
}
