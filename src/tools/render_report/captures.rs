//! What the captures brought and what they missed, as the report names it.

use std::collections::BTreeSet;
use std::path::{Component, Path};

use crate::figures::listed;
use crate::record::{CaptureResult, Fold, Job, Kind, Logs, Metadata, Record, Run, Series, Timestamp, Traces, Window};

/// What is short, a sentence each; the files that are there; and what was asked and came, a row each.
#[derive(Debug, Default)]
pub(super) struct Captures {
    pub(super) doubts: Vec<String>,
    pub(super) files: Vec<String>,
    pub(super) rows: Vec<Row>,
    /// The true windows of all of them together, before any padding.
    pub(super) window: Option<Window>,
    /// The Prometheus servers that were asked.
    pub(super) servers: BTreeSet<String>,
    /// There are captures alone: a window without jobs.
    pub(super) alone: bool,
    /// What can only be a part though each capture of it may be whole, or took part and left no record, a sentence each.
    pub(super) parts: Vec<String>,
    short: Vec<Short>,
    /// Those that end before the last job did: what they are, and their names.
    early: Vec<(&'static str, String)>,
    last: Option<Last>,
}

/// The last that is known of any job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Last {
    at: Timestamp,
    /// It ended then; else it was seen running then.
    ended: bool,
}

/// One capture.
#[derive(Debug)]
pub(super) struct Row {
    /// `series`, `traces` or `logs`.
    pub(super) what: &'static str,
    pub(super) name: String,
    /// The query or the service.
    pub(super) asked: String,
    /// What was asked for, padding included.
    pub(super) window: (Option<Timestamp>, Option<Timestamp>),
    pub(super) step_seconds: Option<f64>,
    /// How it ended, in a word.
    pub(super) result: &'static str,
    /// What is said of it where it is short: `is empty`.
    pub(super) said: Option<&'static str>,
    /// What came, in numbers.
    pub(super) came: String,
    /// The file, if it lies in the run directory.
    pub(super) file: Option<String>,
    /// Why it is short, if it is.
    pub(super) why: Option<String>,
}

/// A capture that did not come whole; those with the same reason are told of together.
#[derive(Debug)]
struct Short {
    what: &'static str,
    names: Vec<String>,
    /// `is empty`, said of one, and of several.
    said: (&'static str, &'static str),
    reason: Option<String>,
    why: Option<String>,
    /// Whether every one of them says the same.
    alike: bool,
}

/// What a capture of any kind says of its end.
struct Ended<'a> {
    result: CaptureResult,
    reason: &'a Option<String>,
    message: &'a Option<String>,
    waived: bool,
}

/// The captures that a Run passed and that left no record: whatever they were doing, they did not come to its end.
fn silent(fold: &Fold) -> Vec<String> {
    let kinds = [("capture-logs", Kind::Logs), ("capture-prom", Kind::Series), ("capture-jaeger", Kind::Traces)];
    let took_part = |tool: &str| {
        let asked = |run: &Run| !run.status.unasked.iter().any(|unasked| unasked == tool);
        fold.runs().any(|run| run.status.tools.contains_key(tool) && asked(&run))
    };
    let silent =
        kinds.iter().filter(|(tool, kind)| took_part(tool) && !fold.records().any(|record| record.kind() == *kind));
    silent
        .map(|(tool, _)| format!("{tool} took part and left no record: it was ended before its work was done"))
        .collect()
}

/// The captures that `fold` tells of.
pub(super) fn captures(fold: &Fold) -> Captures {
    let last = |job: Job| {
        let ended = job.status.ended_at.map(|at| Last { at, ended: true });
        ended.or(job.status.not_ended_at.map(|at| Last { at, ended: false }))
    };
    let mut captures = Captures { last: fold.jobs().filter_map(last).max(), ..Captures::default() };
    for Series { metadata, spec, status } in fold.of_kind(Kind::Series) {
        let came = [counted(status.series, "series"), counted(status.samples, "samples")];
        let ended = Ended { result: status.result, reason: &status.reason, message: &status.message, waived: false };
        // What was not asked at all has the window that it would have been asked for.
        let start = spec.start.or(spec.window.map(|window| window.start));
        let end = spec.end.or(spec.window.map(|window| window.end));
        captures.covers("series", &metadata.name, spec.window, status.file.as_ref());
        captures.servers.extend(spec.server);
        let row = captures.take("series", &metadata, &ended, (start, end), status.file);
        (row.asked, row.step_seconds, row.came) = (spec.query, spec.step_seconds, together(&came));
        let others = status.chunks.into_iter().chain(status.raw_file).chain(status.table);
        captures.files.extend(others.filter(|file| is_inside(file)));
    }
    let mut missing: Vec<(Vec<String>, Vec<String>)> = Vec::new();
    for Traces { metadata, spec, status } in fold.of_kind(Kind::Traces) {
        let came = [counted(status.traces, "traces"), counted(status.spans, "spans")];
        let ended = Ended { result: status.result, reason: &status.reason, message: &status.message, waived: false };
        captures.covers("traces", &metadata.name, spec.window, status.file.as_ref());
        let row = captures.take("traces", &metadata, &ended, (spec.start, spec.end), status.file);
        (row.asked, row.came) = (spec.service, together(&came));
        if !status.missing.is_empty() {
            match missing.iter_mut().find(|(ids, _)| *ids == status.missing) {
                Some((_, names)) => names.push(metadata.name),
                None => missing.push((status.missing, vec![metadata.name])),
            }
        }
    }
    for Logs { metadata, spec, status } in fold.of_kind(Kind::Logs) {
        let found = status.exceptions_found.or_else(|| Some(status.exceptions.len() as u64).filter(|count| *count > 0));
        let came = [counted(status.lines, "lines"), counted(found, "exceptions")];
        let (reason, message) = (&status.reason, &status.message);
        let ended = Ended { result: status.result, reason, message, waived: status.waived };
        captures.covers("logs", &metadata.name, spec.window, status.file.as_ref());
        let row = captures.take("logs", &metadata, &ended, (spec.start, spec.end), status.file);
        (row.asked, row.came) = (spec.service, together(&came));
    }
    captures.doubts = captures.short.iter().map(Short::sentence).collect();
    for (ids, names) in missing {
        let is_said = |doubt: &String| ids.first().is_some_and(|id| doubt.contains(id.as_str()));
        if !captures.doubts.iter().any(is_said) {
            let what = if ids.len() == 1 {
                "1 trace of a job is".to_owned()
            } else {
                format!("{} traces of jobs are", ids.len())
            };
            captures.doubts.push(format!("{what} missing from {}: {}", listed(&names), listed(&ids)));
        }
    }
    let told = |record: &Record| matches!(record.kind(), Kind::Run | Kind::Job);
    captures.alone = !captures.rows.is_empty() && !fold.records().any(told);
    captures.parts.extend(captures.early());
    captures.parts.extend(silent(fold));
    captures.doubts.extend_from_slice(&captures.parts);
    captures
}

fn counted(count: Option<u64>, what: &str) -> Option<String> {
    count.map(|count| format!("{count} {what}"))
}

fn together(parts: &[Option<String>]) -> String {
    parts.iter().flatten().cloned().collect::<Vec<_>>().join(", ")
}

impl Captures {
    /// Takes note of the window of one, and of its ending too early where it brought a file.
    fn covers(&mut self, what: &'static str, name: &str, window: Option<Window>, file: Option<&String>) {
        let Some(window) = window else { return };
        self.window = Some(
            self.window
                .map_or(window, |held| Window { start: held.start.min(window.start), end: held.end.max(window.end) }),
        );
        if file.is_some() && self.ends_early(window) {
            self.early.push((what, name.to_owned()));
        }
    }

    /// Whether what was captured over `window` ends before the last job did.
    pub(super) fn ends_early(&self, window: Window) -> bool {
        self.last.is_some_and(|last| window.end < last.at)
    }

    /// Whether a capture of this kind and name brought something that ends before the last job did: what came after may
    /// only add to it.
    pub(super) fn is_early(&self, what: &str, name: &str) -> bool {
        self.early.iter().any(|early| (early.0, early.1.as_str()) == (what, name))
    }

    /// The same of any of this kind.
    pub(super) fn any_early(&self, what: &str) -> bool {
        self.early.iter().any(|early| early.0 == what)
    }

    /// What is to be said where a run was resumed and could not be captured again.
    fn early(&self) -> Option<String> {
        let Last { at, ended } = self.last.filter(|_| !self.early.is_empty())?;
        let names: Vec<String> = self.early.iter().map(|(_, name)| name.clone()).collect();
        // Logs hold no figures.
        let figures = if self.any_early("series") || self.any_early("traces") {
            "; no means are made of it, its depths and counts are lower bounds, and none is compared"
        } else {
            ""
        };
        Some(format!(
            "what was captured ends before the last job did, {} {} UTC, and what came after is not in it: {}{figures}",
            if ended { "at" } else { "after" },
            at.time_of_day(),
            listed(&names)
        ))
    }

    /// Takes in how one ended, and gives its row to be filled.
    fn take(
        &mut self,
        what: &'static str,
        metadata: &Metadata,
        ended: &Ended<'_>,
        window: (Option<Timestamp>, Option<Timestamp>),
        file: Option<String>,
    ) -> &mut Row {
        let off = ended.reason.as_ref().is_some_and(|reason| reason == "Off");
        let (result, said) = match ended.result {
            CaptureResult::Ok => ("ok", None),
            _ if ended.waived => ("waived", Some(("was waived", "were waived"))),
            _ if off => ("off", Some(("was off", "were off"))),
            CaptureResult::Empty => ("empty", Some(("is empty", "are empty"))),
            CaptureResult::Partial => ("partial", Some(("is not whole", "are not whole"))),
            CaptureResult::Error => ("error", Some(("failed", "failed"))),
        };
        let why = ended.message.as_ref().or(ended.reason.as_ref()).cloned();
        if let Some(said) = said {
            self.short(what, &metadata.name, said, ended.reason.as_ref(), why.as_ref());
        }
        let file = file.filter(|file| is_inside(file));
        self.files.extend(file.clone());
        self.rows.push(Row {
            what,
            name: metadata.name.clone(),
            asked: String::new(),
            window,
            step_seconds: None,
            result,
            said: said.map(|said| said.0),
            came: String::new(),
            file,
            why: why.filter(|_| said.is_some()),
        });
        let last = self.rows.len() - 1;
        &mut self.rows[last]
    }

    fn short(
        &mut self,
        what: &'static str,
        name: &str,
        said: (&'static str, &'static str),
        reason: Option<&String>,
        why: Option<&String>,
    ) {
        let same = |short: &&mut Short| {
            let akin = if reason.is_some() { short.reason.as_ref() == reason } else { short.why.as_ref() == why };
            (short.what, short.said) == (what, said) && akin
        };
        match self.short.iter_mut().find(same) {
            Some(short) => {
                short.names.push(name.to_owned());
                short.alike &= short.why.as_ref() == why;
            }
            None => self.short.push(Short {
                what,
                names: vec![name.to_owned()],
                said,
                reason: reason.cloned(),
                why: why.cloned(),
                alike: true,
            }),
        }
    }
}

impl Short {
    fn sentence(&self) -> String {
        let why = match (&self.why, self.alike) {
            (None, _) => String::new(),
            (Some(why), true) => format!(": {why}"),
            (Some(why), false) => format!(", the first of them: {why}"),
        };
        match self.names.as_slice() {
            [only] => format!("the capture of {} {only} {}{why}", self.what, self.said.0),
            names => {
                format!("{} captures of {} {} ({}){why}", names.len(), self.what, self.said.1, listed(names))
            }
        }
    }
}

/// Whether a path that a record names lies inside the run directory.
pub(super) fn is_inside(file: &str) -> bool {
    !file.is_empty() && Path::new(file).components().all(|part| matches!(part, Component::Normal(_)))
}
