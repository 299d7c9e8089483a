//! The severity of a record, and the words, letters and numbers by which loggers state it.

use std::sync::LazyLock;

use regex::Regex;

use super::pattern;

/// The severity of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    /// An error or worse.
    Error,
    Warning,
    Info,
}

/// A level that stands in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) level: Level,
    /// The offset of the message behind it.
    pub(super) message: usize,
}

/// Most words between the time and the level.
const WORDS_BEFORE_LEVEL: usize = 7;
/// Most plain lower-case words before the level; more of them are a sentence.
const PROSE_BEFORE_LEVEL: usize = 2;
/// Most signs right before a level at the start of a text.
const LONGEST_DECORATION: usize = 5;
/// The length of the longest level word.
const LONGEST_WORD: usize = 13;
/// Words that turn the level behind them into its absence.
const NEGATIONS: [&str; 7] = ["no", "No", "without", "zero", "any", "not", "0"];
/// The keys under which a record states its level.
pub(super) const KEYS: [&str; 14] = [
    "level",
    "levelname",
    "severity",
    "log.level",
    "lvl",
    "levelno",
    "@l",
    "loglevel",
    "severitytext",
    "severity_text",
    "record.level.name",
    "PRIORITY",
    "severitynumber",
    "severity_number",
];

/// Words that follow a level in a sentence about it.
const VERBS: [&str; 5] = ["is", "are", "means", "and", "or"];

const TIME_FIELDS: [&str; 5] = ["time", "ts", "timestamp", "at", "t"];

/// Reads a level word in any case.
pub(super) fn parse(word: &str) -> Option<Level> {
    Some(match word.to_ascii_lowercase().as_str() {
        "error" | "err" | "erro" | "eror" | "critical" | "crit" | "crt" | "fatal" | "fata" | "ftl" | "severe"
        | "panic" | "pani" | "dpanic" | "alert" | "emerg" | "emergency" => Level::Error,
        "warning" | "warn" | "wrn" => Level::Warning,
        "trace" | "trac" | "trc" | "debug" | "debu" | "dbg" | "verbose" | "vrb" | "fine" | "finer" | "finest"
        | "config" | "info" | "inf" | "information" | "informational" | "notice" | "success" => Level::Info,
        _ => return None,
    })
}

/// Reads a level that is the value of `key`: a word, or a number as Python's `levelno` (40 is an error), pino's `level` (50),
/// and journald's `PRIORITY` (3 and less) count.
pub(super) fn parse_value(key: &str, value: &str) -> Option<Level> {
    let Ok(number) = value.parse::<f64>() else {
        // `<LogLevel.ERROR: 40>`, `SEVERITY_NUMBER_ERROR2`.
        let word = value.trim().trim_start_matches('<');
        let word = word.split(['+', '-', ':', ' ', '>']).next().unwrap_or_default();
        let word = word.rsplit('.').next().unwrap_or_default().trim_start_matches("SEVERITY_NUMBER_");
        return parse(word.trim_end_matches(|c: char| c.is_ascii_digit()));
    };
    let level = |error, warning| match number {
        _ if number >= error => Level::Error,
        _ if number >= warning => Level::Warning,
        _ => Level::Info,
    };
    let folded = if key == "PRIORITY" { key.to_owned() } else { key.to_ascii_lowercase() };
    Some(match folded.as_str() {
        "levelno" => level(40.0, 30.0),
        "PRIORITY" => return value.parse().ok().map(from_syslog),
        // OpenTelemetry's 24 severities; 0 is none of them.
        "severitynumber" | "severity_number" if number > 0.0 => level(17.0, 13.0),
        // Other loggers count their own way below syslog's eight severities.
        _ if number < 8.0 => return None,
        _ => level(50.0, 40.0),
    })
}

/// The level of a syslog severity, which the priority of a message holds in its last three bits.
pub(super) fn from_syslog(severity: u8) -> Level {
    match severity & 7 {
        ..=3 => Level::Error,
        4 => Level::Warning,
        _ => Level::Info,
    }
}

/// The level of the single letters of glog, spdlog and TensorFlow.
pub(super) fn from_letter(letter: &str) -> Option<Level> {
    Some(match letter {
        "E" | "F" | "C" => Level::Error,
        "W" => Level::Warning,
        "I" | "D" | "V" | "T" => Level::Info,
        _ => return None,
    })
}

/// Reads a level with which a text begins: `ERROR:root:`, `[error] `, `ERRO[0012] `, `fail: Category[0]`.
pub(super) fn at_start(text: &str) -> Option<Found> {
    static CATEGORY: LazyLock<Regex> =
        LazyLock::new(|| pattern::compile(r"^(fail|crit|warn|info|dbug|trce|debug): [\w.`+<>-]+\[\d+\]"));
    let may_be_category = text.split(' ').next().is_some_and(|word| word.len() < 7 && word.ends_with(':'));
    if may_be_category && CATEGORY.is_match(text) {
        let level = if text.starts_with(['f', 'c']) { Level::Error } else { parse(&text[..4]).unwrap_or(Level::Info) };
        return Some(Found { level, message: 6 });
    }
    // Erlang: `=CRASH REPORT==== 20-May-2026::22:30:01 ===`.
    if let Some((word, _)) = text.strip_prefix('=').and_then(|rest| rest.split_once(" REPORT==== ")) {
        let level = if ["CRASH", "SUPERVISOR"].contains(&word) { Some(Level::Error) } else { parse(word) };
        return Some(Found { level: level.unwrap_or(Level::Info), message: word.len() + 13 });
    }
    // `[ERROR]`, `[ ERROR ]`, `*** ERROR:`; an indented text goes on with the one above it.
    let decoration = text.len() - text.trim_start_matches(['[', '<', '*', '!', ' ']).len();
    let start = if text.starts_with(' ') || decoration > LONGEST_DECORATION { 0 } else { decoration };
    let bracketed = text[..start].contains(['[', '<']);
    let (word, behind) = first_word(&text[start..]);
    if word.len() > LONGEST_WORD {
        return None;
    }
    let spelt = bracketed || is_upper(word) || (behind.starts_with(": ") && parse(word) != Some(Level::Error));
    let level = parse(word).filter(|_| spelt)?;
    // `ERRORS were found` and a lone word do not begin a record.
    let ends = if bracketed { [']', '>', ' ', ':', ']', ']', ']'] } else { [':', ' ', ']', '[', '\t', '|', '/'] };
    if !behind.starts_with(ends) || (bracketed && !text.contains([']', '>'])) {
        return None;
    }
    // Seconds since the start, or a time as log15 and geth write it.
    let counter = behind.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    let is_time = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || b"-|:.".contains(&byte));
    let rest = counter.filter(|(time, _)| is_time(time)).map_or(behind, |(_, rest)| rest);
    if rest.len() == behind.len() && behind.starts_with('[') {
        return None;
    }
    // A sentence about the level, and a row of a table.
    let is_sentence = rest.starts_with(' ') && VERBS.contains(&first_word(rest.trim_start()).0);
    if !bracketed && (is_sentence || is_row(rest)) {
        return None;
    }
    Some(found(text, level, text.len() - rest.len()))
}

/// Names of loggers, modules, threads and processes, with which no sentence begins.
const NAME: &str = concat!(
    r"(?:[A-Za-z_]\w*(?:[.:/#@-]+\w+)+|[A-Za-z]+[a-z][A-Z]\w*|[A-Za-z_]+\d\w*|root|main|__main__|0x[0-9a-f]+|\d{1,10}",
    r"|[\[(][^\[\]()]{1,60}[\])])"
);
/// The heads of records that have names before the level. The first, with delimiters around the level, and the last, a thread's
/// address, count in any text; the second counts only behind a prefix that told a time.
static HEADS: LazyLock<[Regex; 3]> = LazyLock::new(|| {
    [
        format!(r"^(?:{NAME}|\w+)(?: +- +| *\| *| *: +)(?P<word>[A-Z]{{3,13}})(?: +- +| *\| *| *: +|  +)"),
        format!(
            r"^(?:{NAME}(?: *:)? +(?:- +)?){{1,4}}(?:\[ *(?P<boxed>[A-Za-z]{{3,13}}) *\]|(?P<word>[A-Z]{{3,13}})[ :|])"
        ),
        r"^0x[0-9a-f]+ +(?P<word>[A-Z]{3,13}):? ".to_owned(),
    ]
    .map(|head| pattern::compile(&head))
});

/// Reads the level behind the names with which a text begins that has no time of its own: `app.tasks - ERROR - text`,
/// `MainThread ERROR app.tasks text`, `0 [ERROR] text`. `is_dated` says that a prefix before the text told a time.
pub(super) fn behind_names(text: &str, is_dated: bool) -> Option<Found> {
    // Most lines have no word that could be a level.
    let has_capitals = || text.as_bytes().windows(3).take(200).any(|three| three.iter().all(u8::is_ascii_uppercase));
    let may_have_level = (is_dated && text.contains('[')) || has_capitals();
    if !may_have_level {
        return None;
    }
    let found = HEADS.iter().enumerate().filter(|(index, _)| is_dated || *index != 1).find_map(|(_, head)| {
        let captures = head.captures(text)?;
        let boxed = captures.name("boxed");
        let word = boxed.or_else(|| captures.name("word"))?;
        // A number alone is a count, unless brackets set the level off.
        let is_count = boxed.is_none() && text[..word.start()].trim_end().bytes().all(|byte| byte.is_ascii_digit());
        let level = parse(word.as_str()).filter(|_| !is_count)?;
        Some(found(text, level, word.end()))
    })?;
    (found.message < text.len() && !is_row(&text[found.message..])).then_some(found)
}

/// Returns whether the text behind a level is the rest of a table's row: several numbers, or one and a border, and no word.
fn is_row(message: &str) -> bool {
    let message = message.trim_start_matches([' ', ':', '|', '\t', '/', '[', ']', '-']);
    let cells = || message.split([' ', '\t', '|', '│', '┃']).filter(|cell| !cell.is_empty());
    let is_bordered = message.trim_end().ends_with(['|', '│', '┃']);
    cells().count() + usize::from(is_bordered) > 1 && !message.contains(char::is_alphabetic)
}

/// Reads the level of an error behind a prefix that nobody knows, in a text without a time: it stands in upper case between
/// delimiters, where a sentence has none.
pub(super) fn behind_prefix(text: &str) -> Option<Found> {
    // The row of a table.
    if text.starts_with(['|', '│', '┃', '║']) {
        return None;
    }
    let found = after_time(text).filter(|found| found.level == Level::Error)?;
    let header = text[..found.message].trim_end_matches([' ', ':', '|', ']', '>', '-', '\t']);
    let (before, word) = header.rsplit_once([' ', ':', '|', '[', '>', '\t'])?;
    let delimiter = text[header.len()..found.message].trim();
    // Code compares the level.
    let is_delimited = !before.ends_with('=') && delimiter.starts_with([':', '|', ']'])
        || header[before.len()..].starts_with(['[', '|', '>']);
    (is_upper(word) && is_delimited && found.message < text.len() && !is_row(&text[found.message..])).then_some(found)
}

/// Reads the level among the fields that follow the time at which `text` was cut off.
pub(super) fn after_time(text: &str) -> Option<Found> {
    let (mut at, mut prose, mut negated, mut bracketed) = (0, 0, false, false);
    for index in 0..WORDS_BEFORE_LEVEL {
        let gap_end = at + text[at..].find(|c: char| c.is_alphanumeric() || "\"'`“‘".contains(c))?;
        let gap = &text[at..gap_end];
        let (word, behind) = first_word(&text[gap_end..]);
        if word.is_empty() || (index > 0 && gap.contains(['{', ';'])) {
            return None;
        }
        let end = gap_end + word.len();
        if let Some(value) = behind.strip_prefix('=') {
            let length = value.find(|c: char| c.is_whitespace() || c == ']' || c == ',').unwrap_or(value.len());
            if KEYS.contains(&word) {
                let level = parse_value(word, value[..length].trim_matches('"'))?;
                return Some(found(text, level, end + 1 + length));
            }
            at = end + 1 + length;
            continue;
        }
        // Apache names the module before the level: `[proxy:error]`.
        bracketed = gap.ends_with(['[', '<', '(']) || (bracketed && gap == ":" && behind.starts_with(']'));
        let delimited = bracketed
            || gap.contains('\t')
            || behind.starts_with([':', '\t', ']', '|'])
            || ["  ", " - ", " | "].iter().any(|delimiter| behind.starts_with(delimiter));
        let letter = (index == 0 && (gap == ": " || gap == " ") || bracketed)
            && (behind.starts_with([' ', ']']) || (bracketed && behind.starts_with(':')));
        let level = match word {
            _ if is_upper(word) && word.len() == 1 => from_letter(word).filter(|_| letter),
            _ if is_upper(word) => parse(word),
            // Monolog names the channel before the level.
            _ if behind.starts_with(':') && word.contains('.') => {
                word.rsplit_once('.').filter(|(_, last)| is_upper(last)).and_then(|(_, last)| parse(last))
            }
            _ if delimited && (bracketed || index == 0) => parse(word),
            _ => None,
        };
        if let Some(level) = level.filter(|_| !negated || bracketed) {
            return Some(found(text, level, end));
        }
        negated = NEGATIONS.contains(&word);
        if !bracketed && word.bytes().all(|byte| byte.is_ascii_lowercase()) {
            prose += 1;
        }
        if prose > PROSE_BEFORE_LEVEL || (behind.starts_with([',', '.', ';']) && !gap.contains('[')) {
            return None;
        }
        at = end;
    }
    None
}

/// The time and the level in a text of `key=value` fields, which begins with such a field and states one of both.
pub(super) fn in_fields(text: &str) -> Option<(Option<&str>, Option<Level>)> {
    let mut rest = text;
    let (mut time, mut level) = (None, None);
    while let Some((key, value)) = rest.split_once('=').filter(|(key, _)| is_key(key)) {
        let (value, behind) = match value.strip_prefix('"') {
            Some(quoted) => quoted.split_at(closing_quote(quoted)),
            None => value.split_at(value.find(' ').unwrap_or(value.len())),
        };
        if TIME_FIELDS.contains(&key) {
            time = time.or(Some(value));
        } else if KEYS.contains(&key) {
            level = level.or_else(|| parse_value(key, value));
        }
        rest = behind.trim_start_matches(['"', ' ']);
    }
    (time.is_some() || level.is_some()).then_some((time, level))
}

fn is_key(key: &str) -> bool {
    !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-@".contains(&byte))
}

/// The offset of the quotation mark that ends a quoted value.
fn closing_quote(quoted: &str) -> usize {
    let mut escaped = false;
    let end = quoted.find(|c| {
        let ends = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    });
    end.unwrap_or(quoted.len())
}

/// A level word that ends at `end`, and the message behind it.
fn found(text: &str, level: Level, end: usize) -> Found {
    let behind = &text[end..];
    let rest = behind.trim_start_matches(['/', ']', '>', ')']);
    // `ERROR/MainProcess] message` names a process before the bracket ends.
    let rest = match rest.find(']').filter(|_| rest.len() < behind.len() && behind.starts_with('/')) {
        Some(close) => &rest[close + 1..],
        None => rest,
    };
    let message = rest.trim_start_matches([' ', ':', '|', ']', '>', '\t', '-']);
    let level = if is_nothing(message) { Level::Info } else { level };
    Found { level, message: text.len() - message.len() }
}

/// Returns whether the message of an error says that there is none.
pub(super) fn is_nothing(message: &str) -> bool {
    ["0", "0.0", "0%", "no", "none", "None", "null", "nil", "false", "ok"].contains(&message.trim_end())
}

pub(super) fn first_word(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !(c.is_alphanumeric() || "._-".contains(c))).unwrap_or(text.len());
    text.split_at(end)
}

fn is_upper(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_uppercase())
}
