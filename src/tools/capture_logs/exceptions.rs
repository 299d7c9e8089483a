//! Exceptions in a stream of log lines, each counted once: the record of an error and the traceback below it are one, and so
//! are the parts of a chain, the members of a group, and the reports of one crash.
//!
//! The lines of several sources may be interleaved; each source's exceptions are followed by themselves.

use std::collections::BTreeMap;

use super::job_ids::JobIds;
use super::level::Level;
use super::log_line::{self, LogLine};
use super::open_exception::{OpenException, State};
use super::shapes::{self, Marker, Shape};
use super::stamp::Calendar;
use crate::escape;
use crate::record::{Exception, Timestamp};

/// Most exceptions that are listed; more are only counted.
const LISTED: usize = 1000;
/// Most bytes of the text of all exceptions of one log.
const ALL_TEXT: usize = 4 * 1024 * 1024;
/// Most characters of a line that are remembered in case the next one turns out to be a stack frame.
const LINE: usize = 8 * 1024;
/// Most lines of a JSON object that is read as one record.
const OBJECT_LINES: usize = 500;
/// Most sources that are followed at a time.
const SOURCES: usize = 256;

/// The exceptions of one log.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Findings {
    pub(super) count: u64,
    pub(super) listed: Vec<Exception>,
    text: usize,
}

/// Finds exceptions, line by line.
#[derive(Debug)]
pub(super) struct ExceptionFinder<'a> {
    jobs: &'a JobIds,
    calendar: &'a Calendar,
    at: Option<Timestamp>,
    sources: BTreeMap<String, Source>,
    /// The source of the line before.
    last: String,
    /// The line whose pieces are being taken.
    long: Option<LongLine>,
    findings: Findings,
}

/// The lines of one source so far.
#[derive(Debug, Default)]
struct Source {
    /// True if it has lines that begin a record: then a record goes on until the next such line.
    has_records: bool,
    /// The line before, where it belongs to no exception: the first line of a Java stack trace is known by its second.
    before: Option<Before>,
    open: Option<OpenException>,
    /// The last header of a traceback that may have been only spoken of: a line of another thread may stand above its frames.
    mention: Option<OpenException>,
    /// The lines so far of a JSON object that is spread over several lines.
    object: Vec<LogLine>,
}

#[derive(Clone, Debug)]
struct Before {
    at: Option<Timestamp>,
    text: String,
    level: Option<Level>,
}

/// A line that is too long to be looked at as one.
#[derive(Debug)]
struct LongLine {
    source: String,
    level: Option<Level>,
    is_json: bool,
    /// True if it began an exception: it is counted once, whatever more it holds.
    counted: bool,
}

impl<'a> ExceptionFinder<'a> {
    pub(super) fn new(jobs: &'a JobIds, calendar: &'a Calendar) -> Self {
        Self {
            jobs,
            calendar,
            at: None,
            sources: BTreeMap::new(),
            last: String::new(),
            long: None,
            findings: Findings::default(),
        }
    }

    /// Takes the next line.
    pub(super) fn take(&mut self, line: &LogLine) {
        self.at = line.at.or(self.at);
        if line.text.contains('\n') && !line.is_json && line.level != Some(Level::Error) {
            // An envelope that held several lines.
            for text in line.text.lines() {
                let part = LogLine::parse(text, self.calendar);
                let (at, source, raw) = (line.at.or(part.at), line.source.clone() + &part.source, line.raw.clone());
                self.take(&LogLine { source, at, raw, ..part });
            }
            return;
        }
        if self.sources.len() >= SOURCES && !self.sources.contains_key(&line.source) {
            self.close_all();
        }
        // journald indents the further lines of an entry and names their source no more.
        let is_below = line.source.is_empty() && line.text.starts_with([' ', '\t']);
        let name = if is_below { self.last.clone() } else { line.source.clone() };
        let mut source = self.sources.remove(&name).unwrap_or_default();
        let counted = self.findings.count + u64::from(source.open.is_some());
        self.take_from(line, &mut source);
        self.long = Some(LongLine {
            source: name.clone(),
            level: line.level,
            is_json: line.is_json || line.text.starts_with('{'),
            counted: self.findings.count + u64::from(source.open.is_some()) > counted,
        });
        self.sources.insert(name.clone(), source);
        self.last = name;
    }

    /// Takes a further piece of the line that was taken last.
    pub(super) fn take_piece(&mut self, text: &str) {
        let Some(mut long) = self.long.take() else { return };
        let mut source = self.sources.remove(&long.source).unwrap_or_default();
        let found = (!long.counted).then(|| self.error_in_piece(&long, text)).flatten();
        if let Some((state, start, prefix)) = found {
            self.close(&mut source);
            source.open = Some(self.open(state, &text[start..], prefix));
            long.counted = true;
        }
        if let Some(open) = source.open.as_mut().filter(|_| long.counted) {
            open.find_job(self.jobs, text);
        }
        self.sources.insert(long.source.clone(), source);
        self.long = Some(long);
    }

    /// Ends whatever is going on: the lines that follow do not follow on those before.
    pub(super) fn cut(&mut self) {
        self.close_all();
        self.at = None;
        self.long = None;
    }

    /// Ends the search and returns what it found.
    pub(super) fn finish(mut self) -> Findings {
        self.close_all();
        self.findings
    }

    fn error_in_piece(&self, long: &LongLine, text: &str) -> Option<(State, usize, Option<String>)> {
        if let Some(marker) = Marker::find(text, long.level) {
            return Some((State::begun_by(marker.shape), marker.start, None));
        }
        if long.is_json {
            return super::json_line::JsonLine::scan(text, self.calendar).0.then_some((State::Record, 0, None));
        }
        log_line::error_within(text, 0, long.level, self.calendar).map(|start| (State::Record, start, None))
    }

    fn take_from(&mut self, line: &LogLine, source: &mut Source) {
        if source.object.is_empty() && line.text.trim_end() != "{" {
            self.take_line(line, source);
            return;
        }
        source.object.push(line.clone());
        let is_inside = source.object.len() == 1 || line.text.starts_with([' ', '\t']);
        if is_inside && source.object.len() < OBJECT_LINES {
            return;
        }
        self.take_object(source);
    }

    /// Takes the lines that were held back: as one record if they make one of an error, else line by line.
    fn take_object(&mut self, source: &mut Source) {
        let lines = std::mem::take(&mut source.object);
        let text = lines.iter().map(|line| line.text.as_str()).collect::<Vec<_>>().join("\n");
        let record = LogLine::parse(&text, self.calendar);
        // An object that was printed for people may have a level, but no time beside it.
        if record.is_json && record.level == Some(Level::Error) && record.at.is_some() {
            self.at = record.at;
            self.take_line(&record, source);
        } else {
            for line in &lines {
                self.take_line(line, source);
            }
        }
    }

    fn take_line(&mut self, line: &LogLine, source: &mut Source) {
        if let Some(open) = &mut source.open {
            if open.goes_on_with(line, source.has_records) {
                open.push(line, self.jobs);
                return;
            }
            if open.state == State::Mention {
                source.mention = source.open.take();
            }
        }
        if line.begins_record {
            self.begin_record(line, source);
        } else {
            self.begin_below(line, source);
        }
    }

    /// Takes a line that begins a record.
    fn begin_record(&mut self, line: &LogLine, source: &mut Source) {
        let before = source.before.take();
        self.close(source);
        source.has_records = true;
        let marker = Marker::find(line.message(), line.level);
        let trace = line.traces.iter().find(|trace| self.holds_exception(trace, line.level));
        let is_error = line.level == Some(Level::Error);
        if is_error || trace.is_some() || line.exception.is_some() {
            let state = match marker.map(|marker| marker.shape) {
                Some(shape @ (Shape::Traceback | Shape::Group | Shape::Panic)) => State::begun_by(shape),
                _ => State::Record,
            };
            let start = line.message + marker.map_or(0, |marker| marker.start);
            let mut open = self.open(state, &line.text, Some(line.text[..start].to_owned()));
            open.is_json = line.is_json;
            if let Some(Shape::Crash(kind)) = marker.map(|marker| marker.shape) {
                open.crashes.push(kind);
            }
            open.find_job_of(self.jobs, line);
            let more = trace.or(line.traces.first()).or(line.exception.as_ref());
            more.iter().flat_map(|text| text.lines()).for_each(|text| open.push_text(text));
            source.open = Some(open);
        } else if line.is_json && line.text.contains('\n') && self.holds_exception(&line.text, line.level) {
            let mut open = self.open(State::Record, &line.text, None);
            open.find_job_of(self.jobs, line);
            source.open = Some(open);
        } else if let Some(marker) = marker {
            self.begin_at(marker, line, source);
        } else if line.message().trim_start().starts_with("at ") && shapes::is_frame(line.message()) {
            self.begin_stack(before, line, source);
        } else {
            source.before = Some(self.before(line));
        }
    }

    /// Takes a line that begins no record and goes on with no exception.
    fn begin_below(&mut self, line: &LogLine, source: &mut Source) {
        if let Some(marker) = Marker::find(&line.text, line.level) {
            self.begin_at(marker, line, source);
            return;
        }
        let shape = Shape::parse(&line.text, line.level);
        // The frames of a stack that was printed on purpose have a header of their own.
        let has_header = source.before.as_ref().is_some_and(|before| before.text.contains("(most recent call"));
        if let Some(mut open) = source.mention.take_if(|_| shape == Shape::PythonFrame && !has_header) {
            self.close(source);
            open.state = State::Frames;
            open.push(line, self.jobs);
            source.open = Some(open);
            return;
        }
        if shape == Shape::Frame {
            let before = source.before.take();
            self.close(source);
            self.begin_stack(before, line, source);
            return;
        }
        if let Some(open) = &mut source.open {
            open.state = State::Ended;
        }
        // Lines between the frames of a dump belong to the dump.
        if shape != Shape::Indented
            || source.before.as_ref().is_none_or(|before| !shapes::is_dump(&before.text))
            || shapes::is_dump(&line.text)
        {
            source.before = Some(self.before(line));
        }
    }

    /// Begins a stack trace with its first frame. The line before names the exception; without one, the frame is its first
    /// sign.
    fn begin_stack(&self, before: Option<Before>, line: &LogLine, source: &mut Source) {
        if let Some(dump) = before.as_ref().filter(|before| shapes::is_dump(&before.text)) {
            source.before = Some(dump.clone());
            return;
        }
        let heading = before.as_ref().map_or("", |before| before.text.as_str());
        let prefix = line.text[..line.message].to_owned();
        let mut open = self.open(State::Stack, heading, Some(prefix));
        open.at = before.map_or(open.at, |before| before.at);
        open.push(line, self.jobs);
        source.open = Some(open);
    }

    /// Begins an exception where `marker` stands in the line.
    fn begin_at(&mut self, marker: Marker, line: &LogLine, source: &mut Source) {
        let offset = if line.begins_record { line.message } else { 0 };
        let start = offset + marker.start;
        let begins_text = line.text[offset..start].trim().is_empty();
        let is_sure = marker.shape != Shape::Traceback || begins_text || line.level.is_none();
        let state = match marker.shape {
            _ if !is_sure => State::Mention,
            // Before Rust 1.73 the message was in this line; since then it is in the next one.
            Shape::Panic if !line.text.ends_with(':') => State::Named,
            shape => State::begun_by(shape),
        };
        self.begin(state, line, start, source);
        if let (Some(open), Shape::Crash(kind)) = (&mut source.open, marker.shape) {
            open.crashes.push(kind);
        }
    }

    /// Begins an exception with the line from `start` on. A warning right before it, or a line that speaks of a failure, is
    /// the record that it belongs to; another line is not, because it may have been about another job.
    fn begin(&mut self, state: State, line: &LogLine, start: usize, source: &mut Source) {
        let announces =
            |before: &Before| before.level == Some(Level::Warning) || shapes::speaks_of_failure(&before.text);
        // Node prints the thrown value above its hint.
        let is_hint = line.text[start..].starts_with("(Use `node");
        let warning = source.before.take().filter(|before| is_hint || announces(before));
        self.close(source);
        let prefix = line.text[..start].to_owned();
        let shown = if line.begins_record || start == 0 { 0 } else { start };
        let mut open = match warning.filter(|_| !line.begins_record) {
            Some(warning) => {
                let mut open = self.open(state, &warning.text, Some(prefix));
                open.push_text(&line.text[shown..]);
                open
            }
            None => self.open(state, &line.text[shown..], Some(prefix)),
        };
        open.is_json = line.is_json;
        open.find_job_of(self.jobs, line);
        source.open = Some(open);
    }

    fn open(&self, state: State, text: &str, prefix: Option<String>) -> OpenException {
        let mut open = OpenException::new(state, self.at, prefix);
        text.lines().for_each(|line| open.push_text(line));
        open.find_job(self.jobs, text);
        open
    }

    fn before(&self, line: &LogLine) -> Before {
        Before { at: self.at, text: escape::start(&line.text, LINE), level: line.level }
    }

    /// Returns whether `text`, a value in a record of this level, holds an exception; one in a fenced block is an example.
    fn holds_exception(&self, text: &str, level: Option<Level>) -> bool {
        let mut finder = ExceptionFinder::new(self.jobs, self.calendar);
        let mut fenced = false;
        for line in text.lines() {
            fenced ^= line.trim_start().starts_with("```");
            if !fenced {
                let parsed = LogLine::parse(line, self.calendar);
                finder.take(&LogLine { level: parsed.level.or(level.filter(|_| !parsed.begins_record)), ..parsed });
            }
        }
        finder.finish().count > 0
    }

    fn close_all(&mut self) {
        for mut source in std::mem::take(&mut self.sources).into_values() {
            self.take_object(&mut source);
            self.close(&mut source);
        }
    }

    fn close(&mut self, source: &mut Source) {
        source.before = None;
        let open = source.open.take().filter(|open| open.state != State::Mention);
        let Some(open) = open else { return };
        self.findings.count += 1;
        if self.findings.listed.len() == LISTED {
            return;
        }
        let exception = open.into_exception(ALL_TEXT - self.findings.text);
        self.findings.text += exception.traceback.as_ref().map_or(0, String::len);
        self.findings.listed.push(exception);
    }
}
