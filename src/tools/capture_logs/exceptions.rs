//! Exceptions in a stream of log lines, each counted once: a grave record and the traceback below it are one, and so are
//! the parts of a chain and the members of a group.
//!
//! What is known of the texts: Python's `traceback` module (chains, groups), Rust's default panic hook, Java's
//! `Throwable.printStackTrace`, whose frames look like those of JavaScript.

use crate::escape;
use crate::record::{Exception, Timestamp};

use super::entry::{Entry, Level};
use super::job_ids::JobIds;
use super::stamp;

/// How many exceptions are listed; more are only counted.
const LISTED: usize = 1000;
/// How much text of one exception is kept, and of one line of it.
const TEXT: usize = 64 * 1024;
const LINE: usize = 8 * 1024;
/// How much text of all exceptions of one log is kept.
const ALL_TEXT: usize = 4 * 1024 * 1024;
/// How many characters of the first line are kept.
const FIRST_LINE: usize = 1000;

/// What was found in one log.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Found {
    pub(super) count: u64,
    pub(super) listed: Vec<Exception>,
    text: usize,
}

/// Finds exceptions, line by line.
#[derive(Debug)]
pub(super) struct Finder<'a> {
    jobs: &'a JobIds,
    /// Whether this log has lines that begin a record: then a record goes on until the next such line.
    has_records: bool,
    at: Option<Timestamp>,
    /// The line before, where it belongs to no exception: the first line of a Java stack trace is known by its second.
    before: Option<Before>,
    open: Option<Open>,
    found: Found,
}

#[derive(Debug)]
struct Before {
    at: Option<Timestamp>,
    text: String,
    warning: bool,
}

/// How far the text of an exception has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// A grave record, and no traceback yet.
    Record,
    /// The frames of a Python traceback.
    Frames,
    /// The members of a Python exception group.
    Group,
    /// The exception has been named, or its text may go on in ways that nobody knows.
    Named,
    /// The sentence that joins two tracebacks has been said.
    Chain,
    /// A Rust panic whose message comes next.
    Panic,
    /// The frames of a Java or JavaScript stack trace.
    Stack,
}

#[derive(Debug)]
struct Open {
    at: Option<Timestamp>,
    part: Part,
    text: String,
    cut: bool,
    /// The last line that named an exception.
    name: Option<String>,
}

/// What a line that begins no record looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    Traceback,
    Group,
    Panic,
    Crash,
    Frame,
    Chain,
    Blank,
    Indented,
    Other,
}

impl<'a> Finder<'a> {
    pub(super) fn new(jobs: &'a JobIds) -> Self {
        Self { jobs, has_records: false, at: None, before: None, open: None, found: Found::default() }
    }

    /// Takes the next line.
    pub(super) fn take(&mut self, entry: &Entry) {
        self.at = entry.at.or(self.at);
        if !entry.head {
            self.go_on(&entry.text);
            return;
        }
        self.close();
        self.has_records = true;
        let (first, trace) =
            entry.said.as_ref().map_or((&entry.text, None), |(message, trace)| (message, trace.as_ref()));
        if entry.level == Level::Grave {
            self.begin(Part::Record, first);
            if let (Some(open), Some(trace)) = (&mut self.open, trace) {
                trace.lines().for_each(|line| open.push(line));
            }
        } else if let Some(said) = behind_time(first).filter(|said| begins_by_itself(look(said))) {
            // A worker whose every line bears a time: what stands behind it is what begins an exception.
            self.go_on(said);
        } else {
            self.remember(first, entry.level == Level::Warning);
        }
    }

    /// Ends whatever is going on: the lines that follow do not follow on those before.
    pub(super) fn cut(&mut self) {
        self.close();
        self.before = None;
        self.at = None;
    }

    /// What was found in all.
    pub(super) fn finish(mut self) -> Found {
        self.close();
        self.found
    }

    fn go_on(&mut self, line: &str) {
        let look = look(line);
        let next = self.open.as_ref().map_or(Next::None, |open| next(open.part, look, self.has_records));
        match (next, look) {
            (Next::Part(part), _) => {
                let Some(open) = &mut self.open else { return };
                if part == Part::Named && open.part == Part::Frames {
                    open.name = Some(start_of(line, FIRST_LINE));
                }
                let member = line.trim_start().strip_prefix("| ");
                if let (Part::Group, None, Some(member)) = (part, &open.name, member)
                    && !member.starts_with([' ', '|', '+'])
                {
                    open.name = Some(start_of(member, FIRST_LINE));
                }
                open.part = part;
                open.push(line);
            }
            (Next::None, Look::Traceback) => self.begin_below(Part::Frames, line),
            (Next::None, Look::Group) => self.begin_below(Part::Group, line),
            (Next::None, Look::Panic) => {
                // Since Rust 1.73 the message is on the next line; before, it was in this one.
                self.begin(if line.ends_with(':') { Part::Panic } else { Part::Named }, line);
            }
            (Next::None, Look::Crash) => self.begin(Part::Named, line),
            (Next::None, Look::Frame) => {
                // Without a line before it, a frame is the first sign of its exception.
                if let Some(before) = self.before.take() {
                    self.begin(Part::Stack, &before.text);
                    if let Some(open) = &mut self.open {
                        open.at = before.at;
                        open.push(line);
                    }
                } else {
                    self.begin(Part::Stack, line);
                }
            }
            (Next::None, _) => {
                self.close();
                self.remember(line, false);
            }
        }
    }

    /// Begins a traceback. A warning right before it is the record that it belongs to (`exc_info=True`); a line of
    /// information is not, for it may have been about another job.
    fn begin_below(&mut self, part: Part, line: &str) {
        match self.before.take().filter(|before| before.warning) {
            Some(before) => {
                self.begin(part, &before.text);
                if let Some(open) = &mut self.open {
                    open.push(line);
                }
            }
            None => self.begin(part, line),
        }
    }

    fn begin(&mut self, part: Part, line: &str) {
        self.close();
        self.before = None;
        let mut open = Open { at: self.at, part, text: String::new(), cut: false, name: None };
        open.push(line);
        self.open = Some(open);
    }

    fn remember(&mut self, line: &str, warning: bool) {
        self.before = Some(Before { at: self.at, text: start_of(line, LINE), warning });
    }

    fn close(&mut self) {
        let Some(open) = self.open.take() else { return };
        self.found.count += 1;
        if self.found.listed.len() == LISTED {
            return;
        }
        let mut text = open.text.trim_end().to_owned();
        let first = text.lines().next().unwrap_or_default();
        let bare = matches!(look(first), Look::Traceback | Look::Group);
        let named = open.name.clone().filter(|_| bare);
        let first_line = escape::start(&named.unwrap_or_else(|| first.to_owned()), FIRST_LINE);
        let job_id = self.jobs.find(&text).map(str::to_owned);
        if open.cut {
            // The end of a text that is too long is what names the exception.
            text.push_str("\n…\n");
            text.push_str(open.name.as_deref().unwrap_or_default());
        }
        let more = text != first_line && self.found.text + text.len() <= ALL_TEXT;
        self.found.text += if more { text.len() } else { 0 };
        self.found.listed.push(Exception { first_line, at: open.at, job_id, traceback: more.then_some(text) });
    }
}

impl Open {
    fn push(&mut self, line: &str) {
        let line = start_of(line, LINE);
        if self.text.len() + line.len() >= TEXT {
            self.cut = true;
            return;
        }
        self.text.push_str(&line);
        self.text.push('\n');
    }
}

enum Next {
    /// The line belongs to the exception, which is now at this part.
    Part(Part),
    /// The line does not belong to it.
    None,
}

fn next(part: Part, look: Look, has_records: bool) -> Next {
    use Look as L;
    use Part as P;
    Next::Part(match (part, look) {
        // Only the first traceback below a grave record belongs to it, and the next one of a chain.
        (P::Record | P::Chain, L::Traceback) | (P::Frames, L::Indented | L::Blank | L::Frame) => P::Frames,
        (P::Record | P::Chain, L::Group) | (P::Group, L::Traceback | L::Group | L::Indented | L::Blank) => P::Group,
        (P::Record, L::Panic) => P::Panic,
        (_, L::Traceback | L::Group | L::Panic | L::Crash) => return Next::None,
        (_, L::Chain) => P::Chain,
        (P::Frames, _) | (P::Panic, L::Other | L::Blank) => P::Named,
        (P::Panic, _) => P::Panic,
        (_, L::Frame) => P::Stack,
        (part, L::Blank | L::Indented) => part,
        (P::Stack, L::Other) if has_records => P::Stack,
        (P::Record, _) => P::Record,
        (P::Group | P::Named | P::Chain, _) if has_records => P::Named,
        _ => return Next::None,
    })
}

/// The text behind the time with which a line begins.
fn behind_time(line: &str) -> Option<&str> {
    stamp::at_start(line, 0).map(|stamp| line[stamp.length..].trim_start())
}

/// Whether a line that looks so is the first of an exception, whatever stood before it.
fn begins_by_itself(look: Look) -> bool {
    matches!(look, Look::Traceback | Look::Group | Look::Panic | Look::Crash)
}

fn look(line: &str) -> Look {
    let text = line.trim_start();
    match text {
        "" => Look::Blank,
        _ if text.starts_with("Traceback (most recent call last):") => Look::Traceback,
        _ if text.starts_with("+ Exception Group Traceback (most recent call last):") => Look::Group,
        _ if text.starts_with("thread '") && text.contains(" panicked at ") => Look::Panic,
        _ if text.starts_with("Fatal Python error: ") => Look::Crash,
        "During handling of the above exception, another exception occurred:"
        | "The above exception was the direct cause of the following exception:" => Look::Chain,
        _ if text.len() < line.len() => {
            let frame = text.starts_with("at ") && text.ends_with(')') && text.contains('(');
            if frame { Look::Frame } else { Look::Indented }
        }
        // Java puts these at the start of a line, in the middle of a stack trace; Rust puts its notes there.
        _ if ["Caused by: ", "Suppressed: ", "note: ", "stack backtrace:"]
            .iter()
            .any(|mark| text.starts_with(mark)) =>
        {
            Look::Indented
        }
        _ => Look::Other,
    }
}

/// The start of `text`, at most `limit` bytes, cut between characters.
fn start_of(text: &str, limit: usize) -> String {
    let mut end = text.len().min(limit);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}
