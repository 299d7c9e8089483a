//! Records that are JSON objects: the spellings of python-json-logger, structlog, loguru, ECS, pino, bunyan, winston, zap,
//! zerolog, slog, logrus, Serilog, .NET, Logback, Log4j, GELF, tracing, `MongoDB` and OpenTelemetry, and the envelopes of Docker,
//! Fluentd, Fluent Bit, Loki and journald, whose text is another line.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use super::level::{self, Level};
use super::pattern;
use super::shapes;
use super::stamp::{self, Calendar};
use crate::record::Timestamp;

/// A JSON object that a logger or an engine wrote.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct JsonLine {
    pub(super) at: Option<Timestamp>,
    pub(super) level: Option<Level>,
    pub(super) message: Option<String>,
    /// The texts in which a stack trace may stand.
    pub(super) traces: Vec<String>,
    /// An exception that is given by its type and its value.
    pub(super) exception: Option<String>,
    /// True if the message is a line that another program wrote.
    pub(super) is_envelope: bool,
    /// True if the runtime cut the line that the envelope holds.
    pub(super) partial: bool,
}

const TIMES: [&str; 14] = [
    "time",
    "timestamp",
    "@timestamp",
    "asctime",
    "ts",
    "created",
    "@t",
    "datetime",
    "record.time.timestamp",
    "instant.epochsecond",
    "_SOURCE_REALTIME_TIMESTAMP",
    "__REALTIME_TIMESTAMP",
    "timeunixnano",
    "t.$date",
];
const MESSAGES: [&str; 15] = [
    "message",
    "msg",
    "event",
    "fields.message",
    "record.message",
    "@m",
    "@mt",
    "short_message",
    "textpayload",
    "jsonpayload.message",
    "message.message",
    "body.stringvalue",
    "body",
    "log",
    "line",
];
/// The words that name an exception, or what stands below one, in a key.
const TRACES: [&str; 16] = [
    "stderr",
    "exceptions",
    "callstack",
    "py_callstack",
    "exc_info",
    "exc_text",
    "exception",
    "traceback",
    "stack",
    "stacktrace",
    "stack_trace",
    "error",
    "err",
    "exc",
    "thrown",
    "throwable",
];
/// The keys of an exception's type and of its value.
const TYPES: [&str; 7] = ["exc_type", "type", "name", "class", "kind", "exc_name", "class_name"];
const VALUES: [&str; 6] = ["exc_value", "message", "value", "msg", "exc_message", "description"];
const FRAMES: [&str; 5] = [".frames.", ".stack.", ".stacktrace.", ".stack_trace.", ".extendedstacktrace."];
/// The end of a traceback's header, above its frames.
const HEADER: &str = "(most recent call last):\n";
const ESCAPED_HEADER: &str = "(most recent call last):\\";
/// Greatest depth of an object, and most of its values.
const DEPTH: usize = 8;
const VALUES_READ: usize = 4096;

/// A level in a text that is not whole JSON.
static LEVEL: LazyLock<Regex> = LazyLock::new(|| {
    pattern::compile(concat!(
        r#"(?:^|[{,\s\\])\\*"(?i:level|levelname|severity|log\.level|lvl|@l|loglevel|severitytext)\\*"\s*:\s*"#,
        r#"\\*"(?i:error|err|critical|crit|fatal|alert|emerg|emergency|panic|dpanic|severe)\\*""#
    ))
});
/// An exception that is an object or a list of objects, and its frames, in a text that is not whole JSON.
static EXCEPTION: LazyLock<Regex> = LazyLock::new(|| {
    pattern::compile(concat!(
        r#"\\*"(?:exc_info|exceptions?|traceback|stack|stack_?trace|error|err|exc|thrown|throwable)\\*"\s*:\s*\[?\s*\{"#,
        r#"[^{}]{0,2000}\\*"(?:exc_type|type|name|class|kind|exc_name|class_name)\\*"\s*:\s*\\*"[A-Za-z]"#
    ))
});
static FRAMES_KEY: LazyLock<Regex> = LazyLock::new(|| {
    pattern::compile(r#"\\*"(?i:frames|stack|stacktrace|stack_trace|extendedStackTrace)\\*"\s*:\s*\[\s*[\{\\"]"#)
});
static TIME: LazyLock<Regex> =
    LazyLock::new(|| pattern::compile(r#""(?:time|timestamp|@timestamp|ts|asctime|@t)"\s*:\s*"?([^",}]+)"#));

impl JsonLine {
    /// Reads `text` where it is one JSON object.
    pub(super) fn parse(text: &str, calendar: &Calendar) -> Option<Self> {
        let Value::Object(object) = serde_json::from_str(text.trim()).ok()? else { return None };
        let mut leaves = Vec::new();
        flatten(&Value::Object(object), "", DEPTH, &mut leaves);
        let find = |keys: &[&str]| {
            let mut found = keys.iter().flat_map(|key| leaves.iter().filter(move |(path, _)| is_key(path, key)));
            found.find(|(_, text)| !text.trim().is_empty()).map(|(path, text)| (path.as_str(), text.as_str()))
        };
        let read_time =
            |(_, time)| calendar.stamp_at_start(time).and_then(|stamp| stamp.at).or_else(|| stamp::unix(time));
        // A number is the line of the source.
        let message = find(&MESSAGES).filter(|(key, text)| *key != "line" || text.parse::<f64>().is_err());
        // GELF counts as syslog does.
        let is_gelf = message.is_some_and(|(key, _)| key == "short_message");
        // Datadog's status is a word; anybody else's is a number.
        let status = || find(&["status"]).filter(|(_, value)| value.parse::<f64>().is_err());
        let parse_level =
            |(key, value): (&str, &str)| level::parse_value(if is_gelf { "PRIORITY" } else { key }, value);
        let level = level::KEYS
            .iter()
            .find_map(|key| find(&[key]).and_then(parse_level))
            .or_else(|| status().and_then(parse_level))
            .or_else(|| find(&["s"]).filter(|_| find(&["t.$date"]).is_some()).and_then(|(_, s)| level::from_letter(s)));
        let journal = leaves.iter().any(|(path, _)| path == "MESSAGE");
        let docker = message.is_some_and(|(key, _)| key == "log");
        let traces = leaves
            .iter()
            .filter(|(path, text)| {
                is_trace(path) && text.len() > 8 || [HEADER, ESCAPED_HEADER].iter().any(|header| text.contains(header))
            })
            .filter(|(_, text)| message.is_none_or(|(_, message)| message != text))
            .map(|(_, text)| text.clone());
        let line = Self {
            at: find(&TIMES).and_then(read_time),
            level,
            traces: traces.collect(),
            exception: structured_exception(&leaves).or_else(|| reported_kill(&leaves)),
            is_envelope: docker || journal || level.is_none(),
            partial: match find(&["logtag", "_p"]) {
                Some((_, tag)) => tag == "P",
                None => {
                    docker
                        && find(&["stream"]).and(find(&["time"])).is_some()
                        && message.is_some_and(|(_, text)| !text.ends_with('\n'))
                }
            },
            message: message.map(|(_, text)| text.to_owned()),
        };
        let is_record = line.at.is_some()
            || line.level.is_some()
            || line.message.is_some()
            || line.exception.is_some()
            || !line.traces.is_empty();
        is_record.then_some(line)
    }

    /// Returns whether a field of it is a traceback, or an exception with its frames.
    pub(super) fn holds_exception(&self) -> bool {
        let has_header = |trace: &String| [HEADER, ESCAPED_HEADER].iter().any(|header| trace.contains(header));
        let has_frames = |trace: &String| trace.lines().skip(1).any(shapes::is_frame);
        self.exception.is_some() || self.traces.iter().any(|trace| has_header(trace) || has_frames(trace))
    }

    /// Reads an object that is not whole, or a part of one: whether it states that it is an error, or holds an exception with its
    /// frames, and when.
    pub(super) fn scan(text: &str, calendar: &Calendar) -> (bool, Option<Timestamp>) {
        let time = TIME.captures(text).map(|found| found[1].to_owned());
        let at = time
            .and_then(|time| calendar.stamp_at_start(&time).and_then(|stamp| stamp.at).or_else(|| stamp::unix(&time)));
        (LEVEL.is_match(text) || (FRAMES_KEY.is_match(text) && EXCEPTION.is_match(text)), at)
    }
}

/// The reason that an orchestrator gives for a container which the kernel killed.
fn reported_kill(leaves: &[(String, String)]) -> Option<String> {
    let mut reasons = leaves.iter().filter(|(path, _)| path.to_ascii_lowercase().ends_with("reason"));
    reasons.find(|(_, reason)| reason == "OOMKilled").map(|(_, reason)| reason.clone())
}

/// The scalars in `value` with the keys that lead to them, joined by dots.
fn flatten(value: &Value, path: &str, depth: usize, leaves: &mut Vec<(String, String)>) {
    if depth == 0 || leaves.len() >= VALUES_READ {
        return;
    }
    let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match value {
        Value::Object(members) => {
            members.iter().for_each(|(key, member)| flatten(member, &below(key), depth - 1, leaves));
        }
        // journald spells a message that is not UTF-8 as its bytes.
        Value::Array(items) if path == "MESSAGE" => {
            let bytes = items.iter().filter_map(|item| u8::try_from(item.as_u64()?).ok()).collect::<Vec<u8>>();
            leaves.push((path.to_owned(), String::from_utf8_lossy(&bytes).into_owned()));
        }
        // Some loggers write a stack trace as a list of its lines.
        Value::Array(items) if is_trace(path) && items.iter().all(Value::is_string) => {
            let lines: Vec<&str> =
                items.iter().filter_map(Value::as_str).map(|line| line.trim_end_matches('\n')).collect();
            leaves.push((path.to_owned(), lines.join("\n")));
        }
        Value::Array(items) => {
            items
                .iter()
                .enumerate()
                .for_each(|(index, item)| flatten(item, &below(&index.to_string()), depth - 1, leaves));
        }
        Value::String(text) => leaves.push((path.to_owned(), text.clone())),
        Value::Number(number) => leaves.push((path.to_owned(), number.to_string())),
        Value::Bool(_) | Value::Null => {}
    }
}

/// Returns whether `path` is `key`, in any case unless the key is in upper case.
fn is_key(path: &str, key: &str) -> bool {
    path == key || (path.eq_ignore_ascii_case(key) && key.contains(|c: char| c.is_ascii_lowercase()))
}

/// Returns whether a key on the way to a value names an exception.
fn is_trace(path: &str) -> bool {
    let mut keys = path.split('.').map(str::to_ascii_lowercase);
    path == "@x" || keys.any(|key| TRACES.contains(&key.as_str()))
}

/// `Type: value` of an exception that is an object or a list of objects, as structlog, pino, Log4j and ECS write it.
fn structured_exception(leaves: &[(String, String)]) -> Option<String> {
    let parent = |path: &str, names: &[&str]| {
        let (parent, name) = path.rsplit_once('.')?;
        (names.contains(&name) && is_trace(parent)).then(|| parent.to_owned())
    };
    let text = |parent: &str, names: &[&str]| {
        let of = |name: &&str| leaves.iter().find(|(path, _)| path.strip_prefix(parent) == Some(&format!(".{name}")));
        names.iter().find_map(of).map(|(_, text)| text.as_str())
    };
    let (parent, kind) = leaves
        .iter()
        .find_map(|(path, kind)| Some((parent(path, &TYPES)?, kind)))
        .filter(|(_, kind)| !kind.is_empty())?;
    // Without frames it may be the cause of a retry that a warning or an information mentions.
    let frames = leaves.iter().any(|(path, _)| {
        let rest = path.strip_prefix(&parent).unwrap_or_default().to_ascii_lowercase();
        FRAMES.iter().any(|frames| rest.starts_with(frames))
    });
    frames.then(|| format!("{kind}: {}", text(&parent, &VALUES).unwrap_or_default()))
}
