//! What one line of a log is: whether it begins a record, when, and how grave that is.
//!
//! Nobody states how a worker logs, so the spellings that are in use are recognised: Python's logging in its common
//! formats, structlog, loguru, gunicorn, Rust's and Go's loggers, logfmt, JSON lines, all of them also behind what a
//! container engine puts before a line.

use crate::record::{Timestamp, raw};

use super::{lines, stamp};

/// How grave a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    /// An error or worse.
    Grave,
    Warning,
    Plain,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// When it was logged, if the line says so.
    pub(super) at: Option<Timestamp>,
    /// Whether it begins a record; else it belongs to the one before it.
    pub(super) head: bool,
    pub(super) level: Level,
    /// The line as the worker wrote it, without what the container engine put before it.
    pub(super) text: String,
    /// What a JSON line says, as text: its message, and the traceback where there is one.
    pub(super) said: Option<(String, Option<String>)>,
}

/// How many words after the time may come before the level.
const WORDS_BEFORE_LEVEL: usize = 5;
/// In logfmt, how far into the line the level may stand.
const LOGFMT_REACH: usize = 300;

impl Entry {
    /// Reads a line whose colours are gone; `offset` is how far times without a zone are ahead of UTC, in seconds.
    pub(super) fn read(line: &str, offset: i32) -> Self {
        let (container_at, text) = undecorated(line, offset);
        let mut entry = Self { at: container_at, head: false, level: Level::Plain, text: text.to_owned(), said: None };
        if text.starts_with('{') && entry.read_json(offset) {
            return entry;
        }
        let (own_at, level) = prose(text, offset);
        // The engine's time is sure of its zone, the worker's own often is not.
        entry.at = container_at.or(own_at);
        entry.head = own_at.is_some() || level.is_some();
        entry.level = level.unwrap_or(Level::Plain);
        entry
    }

    fn read_json(&mut self, offset: i32) -> bool {
        const TIMES: [&str; 6] = ["time", "timestamp", "@timestamp", "asctime", "ts", "created"];
        const LEVELS: [&str; 6] = ["level", "levelname", "severity", "log.level", "lvl", "levelno"];
        const MESSAGES: [&str; 3] = ["message", "msg", "event"];
        const TRACES: [&str; 7] =
            ["exc_info", "exc_text", "exception", "traceback", "stack_trace", "error.stack_trace", "stack"];
        let Ok(object) = serde_json::from_str(&self.text) else { return false };
        let Some(members) = raw::members(object) else { return false };
        let find = |keys: &[&str]| {
            let mut found = keys.iter().flat_map(|key| members.iter().filter(move |(name, _)| name == key));
            found.find_map(|(name, value)| raw::scalar(value).map(|value| (name.clone(), value)))
        };
        let own_at = find(&TIMES).and_then(|(_, time)| match stamp::at_start(&time, offset) {
            Some(stamp) => Some(stamp.at),
            None => stamp::unix(&time),
        });
        self.at = self.at.or(own_at);
        self.head = true;
        self.level = find(&LEVELS).map_or(Level::Plain, |(key, level)| json_level(&key, &level));
        let trace = find(&TRACES).map(|(_, trace)| trace).filter(|trace| !trace.trim().is_empty());
        if self.level != Level::Grave && trace.as_ref().is_some_and(|trace| trace.contains("Traceback (most recent")) {
            self.level = Level::Grave;
        }
        let message = find(&MESSAGES).map(|(_, message)| message).filter(|message| !message.trim().is_empty());
        self.said = message.or_else(|| trace.clone()).map(|message| (message, trace));
        true
    }
}

/// The line behind a container's name and time, and that time. A time counts as the engine's where a container's name
/// stands before it or where it has a container engine's nine digits.
fn undecorated(line: &str, offset: i32) -> (Option<Timestamp>, &str) {
    let named = lines::after_prefix(line);
    let rest = named.unwrap_or(line);
    match stamp::at_start(rest, offset) {
        Some(stamp) if stamp.zoned && (named.is_some() || stamp.digits == 9) => {
            let behind = &rest[stamp.length..];
            (Some(stamp.at), behind.strip_prefix(' ').unwrap_or(behind))
        }
        _ => (None, rest),
    }
}

/// The time and the level with which a line of prose begins.
fn prose(text: &str, offset: i32) -> (Option<Timestamp>, Option<Level>) {
    let open = text.strip_prefix(['[', '<']).unwrap_or(text);
    if let Some(stamp) = stamp::at_start(open, offset) {
        return (Some(stamp.at), level_after(&open[stamp.length..]));
    }
    if let Some(found) = logfmt(text, offset) {
        return found;
    }
    let (word, behind) = first_word(open);
    let Some(level) = upper_level(word) else { return (None, None) };
    // `ERROR:root:text` and `[ERROR] text` begin a record; `ERRORS were found` and a lone word do not.
    if !behind.starts_with([':', ' ', ']', '>', '\t', '|', '/']) {
        return (None, None);
    }
    let stamped = behind.trim_start_matches([':', ' ', ']', '>', '\t', '|', '-', '[']);
    (stamp::at_start(stamped, offset).map(|stamp| stamp.at), Some(level))
}

/// `time="…" level=error msg=…`.
fn logfmt(text: &str, offset: i32) -> Option<(Option<Timestamp>, Option<Level>)> {
    let reach = text.char_indices().nth(LOGFMT_REACH).map_or(text.len(), |(end, _)| end);
    let value = |keys: [&str; 2]| {
        let fields = text[..reach].split(' ');
        let mut values = fields.filter_map(|field| keys.iter().find_map(|key| field.strip_prefix(key)));
        values.next().map(|value| value.trim_start_matches('"'))
    };
    let first = text.split(['=', ' ']).next()?;
    if !["time", "ts", "level", "lvl"].contains(&first) || !text[first.len()..].starts_with('=') {
        return None;
    }
    let level = value(["level=", "lvl="]).map(|word| any_level(word.trim_end_matches('"')).unwrap_or(Level::Plain));
    let at = value(["time=", "ts="]).and_then(|time| stamp::at_start(time, offset)).map(|stamp| stamp.at);
    Some((at, level.or(Some(Level::Plain))))
}

/// The level among the first words after the time.
fn level_after(text: &str) -> Option<Level> {
    let field = ["level=", "lvl="].iter().find_map(|key| text.trim_start().strip_prefix(key));
    if let Some(word) = field {
        return any_level(first_word(word.trim_start_matches('"')).0);
    }
    let mut rest = text;
    for index in 0..WORDS_BEFORE_LEVEL {
        let (word, behind) = first_word(rest.trim_start_matches(|c: char| !c.is_alphanumeric()));
        // Upper case wherever it stands; lower case only right behind the time, where structlog and zap put it.
        let level = upper_level(word).or_else(|| (index == 0).then(|| lower_level(word)).flatten());
        if level.is_some() || word.is_empty() {
            return level;
        }
        rest = behind;
    }
    None
}

fn first_word(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !(c.is_alphanumeric() || "._-".contains(c))).unwrap_or(text.len());
    text.split_at(end)
}

fn upper_level(word: &str) -> Option<Level> {
    if word.bytes().all(|byte| byte.is_ascii_uppercase()) { any_level(word) } else { None }
}

fn lower_level(word: &str) -> Option<Level> {
    if word.bytes().all(|byte| byte.is_ascii_lowercase()) { any_level(word) } else { None }
}

fn any_level(word: &str) -> Option<Level> {
    Some(match word.to_ascii_lowercase().as_str() {
        "error" | "err" | "critical" | "crit" | "fatal" | "severe" | "panic" | "dpanic" | "alert" | "emerg"
        | "emergency" => Level::Grave,
        "warning" | "warn" => Level::Warning,
        "trace" | "debug" | "info" | "information" | "notice" | "success" => Level::Plain,
        _ => return None,
    })
}

/// A level in JSON: a word, or a number as Python's `levelno` (40 is an error) or pino's `level` (50 is one) count.
fn json_level(key: &str, level: &str) -> Level {
    if let Ok(number) = level.parse::<f64>() {
        let (error, warning) = if key == "levelno" { (40.0, 30.0) } else { (50.0, 40.0) };
        return match number {
            number if number >= error => Level::Grave,
            number if number >= warning => Level::Warning,
            _ => Level::Plain,
        };
    }
    any_level(level.trim()).unwrap_or(Level::Plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_of_many_loggers_are_recognised() {
        for (line, level) in [
            ("2026-05-20 22:30:01,123 ERROR autorag.worker job=b failed", Level::Grave),
            ("2026-05-20 22:30:01,123 - autorag.worker - CRITICAL - out of memory", Level::Grave),
            ("2026-05-20 22:30:01.123 | ERROR    | module:f:12 - text", Level::Grave),
            ("[2026-05-20 22:30:01 +0000] [12] [ERROR] worker died", Level::Grave),
            ("[2026-05-20 22:30:01,123: ERROR/MainProcess] Task raised", Level::Grave),
            ("2026-05-20 22:30:01 [error    ] event  job=7", Level::Grave),
            ("2026-05-20T22:30:01.123Z\terror\tsrc/x.go:1\ttext", Level::Grave),
            ("time=\"2026-05-20T22:30:01Z\" level=fatal msg=x", Level::Grave),
            ("[2026-05-20T22:30:01Z ERROR app] text", Level::Grave),
            ("2026-05-20T22:30:01Z level=error msg=x", Level::Grave),
            ("ERROR 2026-05-20 22:30:01,123 text", Level::Grave),
            ("worker-1  | 2026-05-20T22:30:01.000000001Z 2026-05-21 00:30:01,1 ERROR x", Level::Grave),
            ("{\"time\":\"2026-05-20T22:30:01Z\",\"level\":\"error\",\"msg\":\"x\"}", Level::Grave),
            ("{\"timestamp\":1779316201,\"severity\":\"CRITICAL\",\"message\":\"x\"}", Level::Grave),
            ("{\"asctime\":\"2026-05-20 22:30:01,000\",\"levelno\":40,\"message\":\"x\"}", Level::Grave),
            ("{\"time\":1779316201000,\"level\":40,\"msg\":\"x\"}", Level::Warning),
            ("2026-05-20 22:30:01,123 WARNING autorag.worker slow", Level::Warning),
            ("2026-05-20 22:30:01,123 INFO autorag.worker ERROR rate is 0", Level::Plain),
            ("2026-05-20 22:30:01,123 finished without one ERROR", Level::Grave),
            ("2026-05-20 22:30:01,123 all is well today, and there was no ERROR", Level::Plain),
        ] {
            let entry = Entry::read(line, 0);
            let at = entry.at.map(Timestamp::file_name);
            assert_eq!((at.as_deref(), entry.head, entry.level), (Some("2026-05-20T22-30-01Z"), true, level), "{line}");
        }
        for (line, level) in
            [("ERROR:root:x", Level::Grave), ("[FATAL] x", Level::Grave), ("INFO:     ok", Level::Plain)]
        {
            let entry = Entry::read(line, 0);
            assert_eq!((entry.at, entry.head, entry.level), (None, true, level), "{line}");
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
            let entry = Entry::read(line, 0);
            assert_eq!((entry.at, entry.head), (None, false), "{line}");
        }
        let entry = Entry::read("worker-1  | 2026-05-20T22:30:01.000000001Z   File \"/x.py\"", 0);
        assert_eq!((entry.head, entry.text.as_str()), (false, "  File \"/x.py\""));
        assert!(entry.at.is_some());
    }

    #[test]
    fn json_says_its_message_and_its_traceback() {
        let entry = Entry::read(
            r#"{"level":"warn","message":"m","exc_info":"Traceback (most recent call last):\n  x\nE: y"}"#,
            0,
        );
        assert_eq!(entry.level, Level::Grave);
        let (message, trace) = entry.said.unwrap();
        assert_eq!((message.as_str(), trace.unwrap().lines().count()), ("m", 3));
    }
}
