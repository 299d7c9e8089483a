//! One line of a log: the record that it begins or goes on with, its time, its level and its text.
//!
//! No standard says how a worker logs, so the spellings that are in use are recognised, behind any prefixes.

use std::sync::LazyLock;

use regex::Regex;

use crate::record::Timestamp;

use super::json_line::JsonLine;
use super::level::{self, Level};
use super::pattern;
use super::prefix::{self, Header};
use super::shapes;
use super::stamp::{self, Calendar};

/// One line, or one of the texts that carriage returns put on one line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact about the line by itself")]
pub(super) struct LogLine {
    /// The prefixes that name the line's source.
    pub(super) source: String,
    /// The time at which it was logged, if the line tells one.
    pub(super) at: Option<Timestamp>,
    /// True if it begins a record; else it belongs to the one before it.
    pub(super) begins_record: bool,
    /// True if a level behind names is the only sign of that: the last line of a traceback can look the same.
    pub(super) may_end_traceback: bool,
    pub(super) level: Option<Level>,
    /// The whole line: an id may stand in a prefix, or in a field of a JSON record.
    pub(super) raw: String,
    /// The text of the worker, without the prefixes.
    pub(super) text: String,
    /// The offset in `text` of the message, behind the worker's own time and level.
    pub(super) message: usize,
    /// True if the record was JSON; `text` then is its message.
    pub(super) is_json: bool,
    /// The stack traces that a JSON record holds.
    pub(super) traces: Vec<String>,
    /// An exception that a JSON record gives by its type and its frames.
    pub(super) exception: Option<String>,
    /// True if the runtime cut the line, so that the next one of this source continues it.
    pub(super) partial: bool,
}

/// Most envelopes that may lie in one another.
const ENVELOPES: usize = 4;

impl LogLine {
    /// Reads a line whose colours are gone.
    pub(super) fn parse(line: &str, calendar: &Calendar) -> Self {
        Self { raw: line.to_owned(), ..Self::unwrap(line, calendar, false, ENVELOPES) }
    }

    /// Reads a line, or the text of an envelope; `is_dated` says that the envelope told a time.
    fn unwrap(line: &str, calendar: &Calendar, is_dated: bool, envelopes: usize) -> Self {
        let header = Header::parse(line, calendar);
        let is_bare = !header.begins_record && header.level.is_none() && envelopes > 0;
        if let Some(rest) = is_bare.then(|| prefix::behind_progress_bar(&line[header.text..])).flatten() {
            let inner = Self::unwrap(rest, calendar, is_dated || header.at.is_some(), envelopes - 1);
            let (at, source) = (header.at.or(inner.at), header.source + &inner.source);
            return Self { at, source, partial: header.partial, ..inner };
        }
        let mut parsed = Self {
            at: header.at,
            level: header.level.or(header.syslog_level.filter(|level| *level != Level::Info)),
            begins_record: header.begins_record,
            text: line[header.text..].to_owned(),
            message: header.message - header.text,
            partial: header.partial,
            source: header.source,
            ..Self::default()
        };
        if header.level.is_none() && !parsed.partial && envelopes > 0 {
            if let Some((json, start)) = json_within(&line[header.message..], calendar) {
                if line.ends_with("}]") {
                    // Fluent Bit numbers the records of a chunk; their tag is the source.
                    parsed.source.truncate(parsed.source.rfind('[').unwrap_or(parsed.source.len()));
                    parsed.source += line[header.message..].split(' ').next().unwrap_or_default();
                }
                parsed.take_json(json, header.message + start == header.text, calendar, envelopes);
                return parsed;
            }
            if line[header.message..].starts_with('{') {
                parsed.take_broken_json(calendar);
            }
        }
        if parsed.level != Some(Level::Error) {
            parsed.find_record(calendar);
        }
        if !parsed.begins_record
            && parsed.level.is_none()
            && !parsed.text.starts_with([' ', '\t'])
            && let Some(found) = level::behind_names(&parsed.text, is_dated || parsed.at.is_some())
                .or_else(|| level::behind_prefix(&parsed.text))
        {
            (parsed.begins_record, parsed.level, parsed.message) = (true, Some(found.level), found.message);
            parsed.may_end_traceback = true;
        }
        // A line that the system log calls an error is one, even if it begins no record of its own.
        parsed.begins_record |= header.syslog_level == Some(Level::Error) && header.level.is_none();
        parsed
    }

    /// Reads the text that the pieces of a cut line make together.
    pub(super) fn join(&self, text: &str, calendar: &Calendar) -> Self {
        let joined = Self::unwrap(text, calendar, self.at.is_some(), ENVELOPES);
        Self { at: self.at.or(joined.at), raw: text.to_owned(), ..joined }
    }

    /// The text behind the worker's own time and level.
    pub(super) fn message(&self) -> &str {
        &self.text[self.message..]
    }

    fn take_json(&mut self, json: JsonLine, is_whole: bool, calendar: &Calendar, envelopes: usize) {
        self.at = self.at.or(json.at);
        let message = json.message.unwrap_or_default();
        if json.is_envelope && !message.is_empty() {
            let inner = Self::unwrap(message.trim_end_matches('\n'), calendar, self.at.is_some(), envelopes - 1);
            let level = inner.level.or(json.level);
            *self = Self {
                at: self.at.or(inner.at),
                source: std::mem::take(&mut self.source) + &inner.source,
                begins_record: inner.begins_record
                    || level == Some(Level::Error)
                    || json.exception.is_some()
                    || !json.traces.is_empty(),
                level,
                partial: json.partial,
                traces: [inner.traces, json.traces].concat(),
                exception: json.exception.or(inner.exception),
                ..inner
            };
            return;
        }
        self.begins_record = true;
        self.is_json = true;
        self.level = json.level;
        if !message.is_empty() || is_whole {
            (self.text, self.message) = (message, 0);
        }
        (self.traces, self.exception) = (json.traces, json.exception);
        if self.level != Some(Level::Error) {
            self.find_record(calendar);
        }
    }

    /// Reads what is left of an object that was cut.
    fn take_broken_json(&mut self, calendar: &Calendar) {
        let (is_error, at) = JsonLine::scan(&self.text, calendar);
        self.at = self.at.or(at);
        self.begins_record = is_error || at.is_some();
        self.level = is_error.then_some(Level::Error);
    }

    /// Finds the record of an error that begins within the line, behind a progress bar, a text that had no end, or a
    /// prefix that nobody knows.
    fn find_record(&mut self, calendar: &Calendar) {
        // A supervisor that logs its child's output puts the child's records into messages of its own. A quoted document
        // may have a level, but no time beside it.
        if let Some((json, start)) = object_within(self.message(), calendar) {
            let is_record = start == 0 && (json.at.is_some() || json.message.is_some());
            let is_error = json.level == Some(Level::Error) && is_record;
            if is_error || json.holds_exception() {
                self.at = self.at.or(json.at);
                self.begins_record = true;
                self.level = if is_error { json.level } else { self.level };
                self.traces.extend(json.traces);
                self.exception = self.exception.take().or(json.exception);
            }
            if is_error {
                return;
            }
        }
        let Some(start) = error_within(&self.text, self.message, self.level, calendar) else { return };
        let header = Header::parse(&self.text[start..], calendar);
        self.at = self.at.or(header.at);
        self.begins_record = true;
        self.level = Some(Level::Error);
        self.message = start + header.message;
    }
}

/// The offset in `text`, at `from` or behind it, at which the record of an error begins.
pub(super) fn error_within(text: &str, from: usize, level: Option<Level>, calendar: &Calendar) -> Option<usize> {
    let is_error = |start: &usize| {
        !shapes::is_quoted(text, *start) && Header::parse(&text[*start..], calendar).level == Some(Level::Error)
    };
    let open = |start: usize| if text[..start].ends_with('[') { start - 1 } else { start };
    let dated = Calendar::stamps(text).map(open).filter(|start| *start >= from).find(is_error);
    // Python's format without a time, which no sentence has.
    let basic = || {
        let starts = ["ERROR:", "CRITICAL:"].iter().flat_map(|word| text.match_indices(word)).map(|(start, _)| start);
        let names_logger = |start: &usize| {
            let name = text[*start..].split_once(':').map_or("", |(_, rest)| rest);
            let end = name.find(':').unwrap_or(0);
            end > 0 && name[..end].bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
        };
        starts.filter(|start| *start >= from).filter(names_logger).find(is_error)
    };
    dated.or_else(|| if level.is_none() { basic() } else { None })
}

/// Most places of a text at which an object is looked for.
const OBJECTS: usize = 4;

/// The first JSON object in a text, whatever stands around it, and its offset.
fn object_within(text: &str, calendar: &Calendar) -> Option<(JsonLine, usize)> {
    let starts = text
        .match_indices('{')
        .map(|(start, _)| start)
        .filter(|start| text[start + 1..].trim_start().starts_with('"') && !shapes::is_quoted(text, *start));
    starts.take(OBJECTS).find_map(|start| {
        let mut values = serde_json::Deserializer::from_str(&text[start..]).into_iter::<serde::de::IgnoredAny>();
        values.next()?.ok()?;
        let end = start + values.byte_offset();
        Some((JsonLine::parse(&text[start..end], calendar)?, start))
    })
}

/// The JSON object with which a text ends, and its offset.
fn json_within(text: &str, calendar: &Calendar) -> Option<(JsonLine, usize)> {
    // Fluent Bit's standard output: `[0] tag: [[time, {}], {"log":"text"}]`.
    static TAGGED: LazyLock<Regex> =
        LazyLock::new(|| pattern::compile(r"^\S+: \[\[?(\d{10}\.\d+)(?:, \{[^{}]*\}\])?, (\{.*\})\]$"));
    if let Some(found) = text.ends_with("}]").then(|| TAGGED.captures(text)).flatten() {
        let json = JsonLine::parse(&found[2], calendar)?;
        let at = json.at.or_else(|| stamp::unix(&found[1]));
        return Some((JsonLine { at, ..json }, text.len() - found[2].len() - 1));
    }
    let start = if text.starts_with('{') { 0 } else { text.find("{\"")? };
    if !text.trim_end().ends_with('}') {
        return None;
    }
    let json = JsonLine::parse(&text[start..], calendar)?;
    // An object within a sentence is what the sentence is about, unless it is a record.
    let is_tagged = text[..start].split_whitespace().count() <= 1 && json.message.is_some();
    let is_record = start == 0
        || json.level.is_some()
        || (json.at.is_some() && json.message.is_some())
        || json.holds_exception()
        || is_tagged;
    is_record.then_some((json, start))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Window;

    fn parse(line: &str) -> LogLine {
        let at = "2026-05-20T22:31:00Z".parse().unwrap();
        LogLine::parse(line, &Calendar { utc_offset: 0, window: Window { start: at, end: at } })
    }

    #[test]
    fn records_of_many_loggers_are_recognised() {
        for (line, level) in [
            ("2026-05-20 22:30:01,123 ERROR autorag.worker job=b failed", Level::Error),
            ("2026-05-20 22:30:01,123 - autorag.worker - CRITICAL - out of memory", Level::Error),
            ("2026-05-20 22:30:01.123 | ERROR    | module:f:12 - text", Level::Error),
            ("[2026-05-20 22:30:01 +0000] [12] [ERROR] worker died", Level::Error),
            ("[2026-05-20 22:30:01,123: ERROR/MainProcess] Task raised", Level::Error),
            ("2026-05-20 22:30:01 [error    ] event  job=7", Level::Error),
            ("2026-05-20T22:30:01.123Z\terror\tsrc/x.go:1\ttext", Level::Error),
            ("time=\"2026-05-20T22:30:01Z\" level=fatal msg=x", Level::Error),
            ("[2026-05-20T22:30:01Z ERROR app] text", Level::Error),
            ("2026-05-20T22:30:01Z level=error msg=x", Level::Error),
            ("ERROR 2026-05-20 22:30:01,123 text", Level::Error),
            ("worker-1  | 2026-05-20T22:30:01.000000001Z 2026-05-21 00:30:01,1 ERROR x", Level::Error),
            ("{\"time\":\"2026-05-20T22:30:01Z\",\"level\":\"error\",\"msg\":\"x\"}", Level::Error),
            ("{\"timestamp\":1779316201,\"severity\":\"CRITICAL\",\"message\":\"x\"}", Level::Error),
            ("{\"asctime\":\"2026-05-20 22:30:01,000\",\"levelno\":40,\"message\":\"x\"}", Level::Error),
            ("{\"time\":1779316201000,\"level\":40,\"msg\":\"x\"}", Level::Warning),
            ("2026-05-20 22:30:01,123 WARNING autorag.worker slow", Level::Warning),
            ("2026-05-20 22:30:01,123 INFO autorag.worker ERROR rate is 0", Level::Info),
            ("<11>1 2026-05-20T22:30:01Z host app 7 - - text", Level::Error),
            ("[2026-05-20 22:30:01] production.ERROR: text", Level::Error),
            ("E0520 22:30:01.123456  77 x.go:1] text", Level::Error),
            ("2026-05-20 22:30:01.123456: F tensorflow/x.cc:1] text", Level::Error),
            ("ts=2026-05-20T22:30:01Z caller=x.go:1 msg=\"level=error\" level=warn", Level::Warning),
            ("  0%|  | 0/9 [00:00<?, ?it/s]2026-05-20 22:30:01,123 ERROR text", Level::Error),
            ("[rank1]: (W pid=7) 2026-05-20 22:30:01,123 ERROR text", Level::Error),
        ] {
            let parsed = parse(line);
            let at = parsed.at.map(Timestamp::file_name);
            assert_eq!(
                (at.as_deref(), parsed.begins_record, parsed.level),
                (Some("2026-05-20T22-30-01Z"), true, Some(level)),
                "{line}"
            );
        }
        for line in [
            "2026-05-20 22:30:01,123 finished without one ERROR",
            "2026-05-20 22:30:01,123 all is well today, and there was no ERROR",
            "2026-05-20 22:30:01,123 error handling is on",
        ] {
            assert_eq!((parse(line).begins_record, parse(line).level), (true, None), "{line}");
        }
        for (line, level) in
            [("ERROR:root:x", Level::Error), ("[FATAL] x", Level::Error), ("INFO:     ok", Level::Info)]
        {
            let parsed = parse(line);
            assert_eq!((parsed.at, parsed.begins_record, parsed.level), (None, true, Some(level)), "{line}");
        }
    }

    #[test]
    fn names_before_a_level_need_delimiters_or_a_time_before_them() {
        for (line, alone, dated) in [
            ("app.tasks - ERROR - x", Some(Level::Error), Some(Level::Error)),
            ("app.tasks : WARNING   x", Some(Level::Warning), Some(Level::Warning)),
            ("app.tasks ERROR x", None, Some(Level::Error)),
            ("MainThread [pid:7] INFO x", None, Some(Level::Info)),
            ("0 [error] [MY-1] x", None, Some(Level::Error)),
            ("7 ERROR records", None, None),
            ("the ERROR was read", None, None),
            ("app.tasks ERROR, or not", None, None),
            ("app.tasks ERROR 7 0", None, None),
            ("| ERROR | 7 |", None, None),
            ("ERROR  7 0", None, None),
        ] {
            assert_eq!(parse(line).level, alone, "{line}");
            assert_eq!(parse(&format!("w-1  | 2026-05-20T22:30:01.5Z {line}")).level, dated, "{line}");
        }
    }

    #[test]
    fn the_rest_of_a_record_is_no_record() {
        for line in [
            "Traceback (most recent call last):",
            "  File \"/x.py\", line 1, in f",
            "ValueError: time data '2026-05-20 22:30:01' does not match",
            "ERRORS were found",
            "    ERROR: indented",
            "{not json",
            "",
        ] {
            let parsed = parse(line);
            assert_eq!((parsed.at, parsed.begins_record), (None, false), "{line}");
        }
        let parsed = parse("worker-1  | 2026-05-20T22:30:01.000000001Z   File \"/x.py\"");
        assert_eq!((parsed.begins_record, parsed.text.as_str()), (false, "  File \"/x.py\""));
        assert!(parsed.at.is_some());
    }

    #[test]
    fn a_json_record_has_a_message_and_traces() {
        let line =
            r#"{"level":"warn","message":"m","error":{"stack_trace":"Traceback (most recent call last):\n  x\nE: y"}}"#;
        let parsed = parse(line);
        assert_eq!((parsed.level, parsed.message()), (Some(Level::Warning), "m"));
        assert_eq!(parsed.traces[0].lines().count(), 3);
        let nested = format!(
            r#"{{"log":{},"stream":"stderr","time":"2026-05-20T22:30:01.1Z"}}"#,
            serde_json::Value::from(format!("{line}\n"))
        );
        let unwrapped = parse(&nested);
        assert!(unwrapped.at.is_some() && unwrapped.is_json, "{unwrapped:?}");
        assert_eq!((unwrapped.level, unwrapped.message(), &unwrapped.traces), (parsed.level, "m", &parsed.traces));
    }
}
