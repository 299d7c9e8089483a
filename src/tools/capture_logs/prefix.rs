//! The prefixes that container engines, orchestrators, launchers and system loggers put before a worker's line, in any
//! number and order, and the time and the level with which the worker's own text begins.

use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::level::{self, Level};
use super::pattern;
use super::stamp::{Calendar, Stamp};
use crate::record::Timestamp;

/// A line without its prefixes.
#[derive(Clone, Debug, Default)]
pub(super) struct Header {
    /// The prefixes that name where the line comes from.
    pub(super) source: String,
    pub(super) at: Option<Timestamp>,
    pub(super) level: Option<Level>,
    /// The level that the system log states, which the worker's own overrides.
    pub(super) syslog_level: Option<Level>,
    /// True if the worker's own text begins with a time or a level, and so begins a record.
    pub(super) begins_record: bool,
    /// True if the runtime cut the line, so that the next one continues it.
    pub(super) partial: bool,
    /// True if an engine's time was read: another one is the worker's.
    has_engine_time: bool,
    /// The offset of the worker's own text.
    pub(super) text: usize,
    /// The offset of the text behind the worker's own time and level.
    pub(super) message: usize,
}

/// Most prefixes that are taken off.
const MOST_PREFIXES: usize = 16;
/// Most bytes of a source's name.
const SOURCE: usize = 200;

/// The prefixes that name a source.
static SOURCES: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    [
        // docker compose, docker stack, foreman; pm2.
        r"^(?:\d+\|)?[A-Za-z0-9][\w.@/-]* +\| ?",
        // MPI and Horovod: [1,0]<stderr>:
        r"^\[\d+(?:,\d+)?\]<(?:stdout|stderr)>:? ?",
        // kubectl logs --prefix, ranks, threads, processes, kernel times.
        r"^\[[^\[\]]{1,120}\]:? ?",
        // Ray: (Worker pid=77, ip=10.0.0.1)
        r"^\([A-Za-z_][^()]{0,160}\) ",
        // stern: a Deployment's pod, and its container.
        r"^[a-z0-9][a-z0-9.-]*-[a-z0-9]{8,10}-[a-z0-9]{5} [a-z0-9][a-z0-9-]* ",
        // srun --label, and launchers that name their workers.
        r"^\d{1,6}: ",
        r"^(?i:rank|worker|thread|process|proc|gpu|cuda|node|pod|host|actor|replica|shard|trainer|forkpoolworker|spawnprocess|forkprocess|mainprocess|mainthread|threadpoolexecutor|stdout|stderr)(?:[-_ ]?\d+)*(?:: ?|> | \| ?| - )",
    ]
    .iter()
    .map(|source| pattern::compile(source))
    .collect()
});
/// The stream and the flag behind a time in the container runtime interface's format.
static RUNTIME: LazyLock<Regex> = LazyLock::new(|| pattern::compile(r"^ (stdout|stderr) ([FP])(?::[\w:]+)?(?: |$)"));
/// Host, program and process behind a time in the system log's format; the process may lack where no year was spelt.
static PROGRAM: LazyLock<Regex> = LazyLock::new(|| pattern::compile(r"^ (?:([\w.:-]+) )?([\w./@()-]+)(\[\d+\])?: ?"));
/// RFC 5424: priority, version, time, host, program, process, message id, structured data.
static SYSLOG: LazyLock<Regex> =
    LazyLock::new(|| pattern::compile(r"^<(\d{1,3})>1 (\S+) (\S+) (\S+) (\S+) \S+ (?:-|(?:\[[^\]]*\])+) ?\x{feff}?"));
static PRIORITY: LazyLock<Regex> = LazyLock::new(|| pattern::compile(r"^<(\d{1,3})>"));
/// glog, klog, absl and torch: the letter of the level, month and day, time, thread, place.
static LETTER: LazyLock<Regex> = LazyLock::new(|| {
    pattern::compile(r"^\[?([IWEFDC])(?:(\d{1,2})(\d\d) (\d\d:\d\d:\d\d(?:\.\d+)?)\s+(?:\d+\s+)?)?[\w./-]+:\d+\] ?")
});
/// Tornado and Jupyter: the letter of the level, date and time, and the place or the name in brackets.
static BRACKETED_LETTER: LazyLock<Regex> = LazyLock::new(|| {
    pattern::compile(r"^\[([IWEDC]) (?:\d{6} \d\d:\d\d:\d\d|(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?)) [\w.:-]+\] ?")
});
/// Ruby's Logger.
static RUBY: LazyLock<Regex> =
    LazyLock::new(|| pattern::compile(r"^([DIWEF]), \[([^\] ]*)[^\]]*\] +[A-Z]+ -- [^:]*: ?"));
/// The common and the combined log format of HTTP servers.
static ACCESS: LazyLock<Regex> = LazyLock::new(|| pattern::compile(r#"^\S+ \S+ \S+ \[([^\]]+)\] ""#));

/// A progress bar, behind which a line goes on that something else wrote: tqdm's with and without a total, rich's, Keras' and the
/// like of wget and pip.
static PROGRESS_BAR: LazyLock<Regex> = LazyLock::new(|| {
    pattern::compile(concat!(
        r"^[^|%\[\]]{0,80}?(?:",
        r"\d{1,3}(?:\.\d+)?%\|[^|]{0,400}\| *[\d.]+[kMGTB]*/(?:[\d.]+(?:[kMGTB]+\b)?|\?)(?: *\[[^\[\]]{0,120}\])?",
        r"|\b\d+[A-Za-z]{0,4} \[\d+:\d+(?::\d+)?, [^\[\]]{0,120}\]",
        r"|[━╸╺]{3,} *(?:\d{1,3}%)?(?: *[\d.]+/[\d.]+(?: ?[kMGT]?B)?)?(?: +[\d.]+ ?[kMGTi]*B/s)?(?: +eta)?",
        r"(?: *-?[\d-]+:[\d-]+(?::[\d-]+)?)?",
        r"|\d+/\d+ \[[=>#. -]{3,}\]",
        r"|\[[=>#. -]{3,}\] *\d{1,3}(?:\.\d+)?%",
        r"|\[[=>#][=>#. -]{2,}\](?: *\d+/\d+)?",
        r"|\d{1,3}(?:\.\d+)?% ?\[?[=>#█▉▊▋▌▍▎▏░▒▓][=>#█▉▊▋▌▍▎▏░▒▓. -]{2,}\]?",
        r")"
    ))
});

/// The text behind the progress bar with which `text` begins; none if nothing follows one.
pub(super) fn behind_progress_bar(text: &str) -> Option<&str> {
    let bar = if text.contains(['[', '|', '━', '%']) { PROGRESS_BAR.find(text) } else { None };
    bar.map(|bar| text[bar.end()..].trim_start()).filter(|rest| !rest.is_empty())
}

impl Header {
    /// Reads the prefixes of `line`, whose colours are gone.
    pub(super) fn parse(line: &str, calendar: &Calendar) -> Self {
        let mut header = Self::default();
        let mut at = 0;
        for _ in 0..MOST_PREFIXES {
            let rest = &line[at..];
            let taken = header
                .take_level(rest, at, calendar)
                .or_else(|| header.take_syslog(rest, at, calendar))
                .or_else(|| header.take_time(rest, at, calendar))
                .or_else(|| header.take_source(rest, at));
            match taken {
                Some(taken) if header.level.is_none() => at += taken,
                Some(taken) => {
                    header.message = at + taken;
                    return header;
                }
                None => break,
            }
        }
        header.message = at;
        header
    }

    fn take_level(&mut self, rest: &str, at: usize, calendar: &Calendar) -> Option<usize> {
        let begin = |header: &mut Self, level, message| {
            header.text = if header.begins_record { header.text } else { at };
            header.begins_record = true;
            header.level = Some(level);
            Some(message)
        };
        let is_lettered = rest.trim_start_matches('[').starts_with(['I', 'W', 'E', 'F', 'D', 'C']);
        let lettered =
            || LETTER.captures(rest).or_else(|| RUBY.captures(rest)).or_else(|| BRACKETED_LETTER.captures(rest));
        if let Some(found) = is_lettered.then(lettered).flatten() {
            let level = level::from_letter(&found[1])?;
            if let (Some(month), Some(day), Some(time)) = (found.get(2), found.get(3), found.get(4)) {
                let spelt = |year| format!("{year}-{:0>2}-{} {}", month.as_str(), day.as_str(), time.as_str());
                let own = calendar.nearest_year(|year| calendar.stamp_at_start(&spelt(year))?.at);
                self.at = self.at.or(own);
            } else if let Some(time) = found.get(2) {
                self.at = self.at.or(calendar.stamp_at_start(time.as_str()).and_then(|stamp| stamp.at));
            }
            return begin(self, level, found[0].len());
        }
        if let Some((time, level)) = level::in_fields(rest) {
            let own = time.and_then(|time| calendar.stamp_at_start(time)).and_then(|stamp| stamp.at);
            self.at = self.at.or(own);
            begin(self, level.unwrap_or(Level::Info), 0);
            return Some(0);
        }
        let access = ACCESS.captures(rest).and_then(|found| calendar.stamp_at_start(&found[1]));
        if let Some(at) = access.and_then(|stamp| stamp.at) {
            self.at = self.at.or(Some(at));
            begin(self, Level::Info, 0);
            return Some(0);
        }
        let found = level::at_start(rest)?;
        let stamp = calendar.stamp_at_start(&rest[found.message..]);
        self.at = self.at.or(stamp.and_then(|stamp| stamp.at));
        begin(self, found.level, found.message + stamp.map_or(0, |stamp| stamp.length))
    }

    fn take_syslog(&mut self, rest: &str, at: usize, calendar: &Calendar) -> Option<usize> {
        let severity = |found: &Captures<'_>| found[1].parse::<u16>().ok().filter(|priority| *priority < 192);
        if !rest.starts_with('<') {
            return None;
        }
        let found = SYSLOG.captures(rest).or_else(|| PRIORITY.captures(rest))?;
        self.syslog_level = Some(level::from_syslog((severity(&found)? & 7) as u8));
        if let (Some(time), Some(program)) = (found.get(2), found.get(4)) {
            self.at = self.at.or(calendar.stamp_at_start(time.as_str()).and_then(|stamp| stamp.at));
            self.name(program.as_str());
        }
        self.leave(at + found[0].len());
        Some(found[0].len())
    }

    fn take_time(&mut self, rest: &str, at: usize, calendar: &Calendar) -> Option<usize> {
        let open = rest.starts_with(['[', '<', '(']);
        let start = usize::from(open);
        let stamp = calendar.stamp_at_start(&rest[start..])?;
        // A time that names its zone is sure; the first of several that do not is as good as the others.
        let is_surer = self.at.is_none() || (stamp.zoned && !self.begins_record && self.source.is_empty());
        self.at = if is_surer { stamp.at.or(self.at) } else { self.at };
        let end = start + stamp.length;
        let behind = &rest[end..];
        if let Some(taken) = self.take_engine(rest, behind, &stamp) {
            self.leave(at + end + taken);
            return Some(end + taken);
        }
        self.text = at;
        self.begins_record = true;
        let close = behind.find([']', '>', ')']).filter(|_| open);
        let found = match close {
            // The level may stand in the same brackets as the time.
            Some(close) => level::after_time(&behind[..=close]).or_else(|| {
                level::after_time(&behind[close + 1..])
                    .map(|found| level::Found { message: close + 1 + found.message, ..found })
            }),
            None => level::after_time(behind),
        };
        self.level = found.map(|found| found.level);
        let skipped = found.map_or_else(
            || {
                let skipped = close.map_or(0, |close| close + 1);
                skipped + usize::from(behind[skipped..].starts_with([' ', '\t', ':', ']']))
            },
            |found| found.message,
        );
        Some(end + skipped)
    }

    /// Takes what a container runtime or a system log puts behind its time; returns its length, or none if the time is
    /// the worker's own.
    fn take_engine(&mut self, rest: &str, behind: &str, stamp: &Stamp) -> Option<usize> {
        if let Some(found) = RUNTIME.captures(behind) {
            self.partial = &found[2] == "P";
            self.name(&found[1]);
            self.has_engine_time = true;
            return Some(found[0].len());
        }
        if let Some(found) = PROGRAM.captures(behind) {
            let yearless = rest.starts_with(|c: char| c.is_ascii_alphabetic()) || &found[2] == "kernel";
            let host = found.get(1).map_or("", |host| host.as_str());
            let is_program = (found.get(3).is_some() && !rest.starts_with('[')) || (yearless && !host.is_empty());
            if is_program && level::parse(&found[2]).is_none() && level::parse(host).is_none() {
                self.name(&found[2]);
                self.name(found.get(3).map_or("", |process| process.as_str()));
                return Some(found[0].len());
            }
        }
        let is_engines = stamp.zoned && !self.has_engine_time && (!self.source.is_empty() || stamp.digits == 9);
        self.has_engine_time |= is_engines;
        is_engines.then(|| usize::from(behind.starts_with(' ')))
    }

    fn take_source(&mut self, rest: &str, at: usize) -> Option<usize> {
        let is_source = rest.starts_with(|c: char| c.is_ascii_alphanumeric() || "[(".contains(c));
        if !is_source || rest.starts_with("[Unhandled") {
            return None;
        }
        let found = SOURCES.iter().find_map(|pattern| pattern.find(rest))?;
        // Behind the worker's own time it is a field of the record.
        if !self.begins_record {
            // The kernel's time names no source.
            let is_time = |text: &str| text.contains('.') && text.bytes().all(|byte| b"0123456789. []".contains(&byte));
            self.name(if is_time(found.as_str()) { "" } else { found.as_str() });
            self.leave(at + found.end());
        }
        Some(found.end())
    }

    fn name(&mut self, source: &str) {
        if !source.is_empty() && self.source.len() + source.len() < SOURCE {
            self.source.push_str(source.trim());
            self.source.push(' ');
        }
    }

    /// The worker's text begins at `at`; a time before it was not the worker's.
    fn leave(&mut self, at: usize) {
        self.text = at;
        self.begins_record = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Window;

    #[test]
    fn every_pattern_is_a_regular_expression() {
        assert_eq!(SOURCES.len(), 7);
        for pattern in [&RUNTIME, &PROGRAM, &SYSLOG, &PRIORITY, &LETTER, &BRACKETED_LETTER, &RUBY, &PROGRESS_BAR] {
            LazyLock::force(pattern);
        }
    }

    #[test]
    fn a_line_goes_on_behind_a_progress_bar() {
        for bar in [
            "  6%|#  | 6/100 [00:01<00:20,  4.2it/s]",
            "  6%|#  | 6/100",
            "Epoch 3/10:  45%|████▌     | 45.0M/100M [00:01<00:01, 35MB/s]",
            "12it [00:01,  8.10it/s]",
            "Working... ━━━━╸━━━━━  40% 0:00:12",
            "10/100 [==>...........................]",
            "[#####     ] 50%",
            "   ━━━━━━━━ 1.2/3.4 MB 5.6 MB/s eta 0:00:01",
        ] {
            assert_eq!(behind_progress_bar(&format!("{bar}Killed")), Some("Killed"), "{bar}");
            assert_eq!(behind_progress_bar(bar), None, "{bar}");
        }
        for text in [
            "6/100 jobs [a] done",
            "50% of jobs failed",
            "[rank0]: x",
            "[ERROR] x",
            "a | b | c",
            "see [...] error: x",
            "45%   error: x",
            "",
        ] {
            assert_eq!(behind_progress_bar(text), None, "{text}");
        }
    }

    #[test]
    fn prefixes_are_taken_off_in_any_order() {
        let at = "2026-05-20T22:31:00Z".parse().unwrap();
        let calendar = Calendar { utc_offset: 0, window: Window { start: at, end: at } };
        for (line, source, text) in [
            ("w-1  | 2026-05-20T22:30:01.5Z [rank3]: (A pid=7) x", "w-1  | [rank3]: (A pid=7) ", "x"),
            ("<14>May 20 22:30:01 host app[7]: x: y", "app [7] ", "x: y"),
            ("2026-05-20T22:30:01.5Z stdout P x", "stdout ", "x"),
            ("[pod/a/b] May 20 22:30:01 host kernel: x", "[pod/a/b] kernel ", "x"),
            ("  | Traceback", "", "  | Traceback"),
            ("2026-05-20 22:30:01 all is done: x", "", "2026-05-20 22:30:01 all is done: x"),
        ] {
            let header = Header::parse(line, &calendar);
            assert_eq!((header.source.as_str(), &line[header.text..]), (source, text), "{line}");
        }
    }
}
