//! The captures' results and shortcomings, as the report names them.

use std::collections::BTreeSet;

use itertools::Itertools;

use crate::figures::job_facts::JobFacts;
use crate::figures::tally::JobTally;
use crate::figures::{in_groups, listed};
use crate::record::{CaptureResult, Fold, Kind, Logs, Metadata, Reason, Role, Run, Series, Timestamp, Traces, Window};
pub(super) use crate::scenario::is_inside;
use crate::units;

/// Shortcomings of the captures, a sentence each; the files that exist; and requests with their answers, a row each.
#[derive(Debug, Default)]
pub(super) struct Captures {
    pub(super) doubts: Vec<String>,
    pub(super) files: Vec<String>,
    pub(super) rows: Vec<Row>,
    /// The true windows of all of them together, before any padding.
    pub(super) window: Option<Window>,
    /// The Prometheus servers that were queried.
    pub(super) servers: BTreeSet<String>,
    /// True if there are captures alone: a window without jobs.
    pub(super) alone: bool,
    /// Captures that can only be partial though each one may be whole, or that left no record; a sentence each.
    pub(super) parts: Vec<String>,
    /// Those that end before the last job did: what they are, and their names.
    early: Vec<(CaptureKind, String)>,
    last: Option<Last>,
}

/// The last that is known of any job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Last {
    at: Timestamp,
    /// True if the job ended then, false if it was last seen running then.
    ended: bool,
}

/// The kind of a capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, strum::Display)]
#[strum(serialize_all = "lowercase")]
pub(super) enum CaptureKind {
    Series,
    Traces,
    Logs,
}

/// The result of a capture as the report shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum RowResult {
    Ok,
    /// Skipped by request.
    Waived,
    /// The back end was not reachable.
    Off,
    /// A log without a line, as the user allowed by name.
    AllowedQuiet,
    Quiet,
    Empty,
    Partial,
    Error,
}

impl RowResult {
    const fn new(result: CaptureResult, waived: bool, off: bool) -> Self {
        match result {
            CaptureResult::Ok => Self::Ok,
            _ if waived => Self::Waived,
            _ if off => Self::Off,
            CaptureResult::Quiet => Self::Quiet,
            CaptureResult::Empty => Self::Empty,
            CaptureResult::Partial => Self::Partial,
            CaptureResult::Error => Self::Error,
        }
    }

    pub(super) const fn word(self) -> &'static str {
        self.words()[0]
    }

    /// The end of a sentence about one capture that did not come whole.
    pub(super) const fn predicate(self) -> &'static str {
        self.words()[1]
    }

    /// The word, and the ends of a sentence about one capture and about several.
    const fn words(self) -> [&'static str; 3] {
        match self {
            Self::Ok => ["ok", "is complete", "are complete"],
            Self::Waived => ["waived", "was waived", "were waived"],
            Self::Off => ["off", "was off", "were off"],
            Self::AllowedQuiet | Self::Quiet => ["quiet", "is quiet", "are quiet"],
            Self::Empty => ["empty", "is empty", "are empty"],
            Self::Partial => ["partial", "is partial", "are partial"],
            Self::Error => ["error", "failed", "failed"],
        }
    }
}

/// One capture.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) kind: CaptureKind,
    pub(super) name: String,
    /// The role of a query.
    pub(super) role: Option<Role>,
    /// The query or the service.
    pub(super) asked: String,
    /// The window that was requested, padding included.
    pub(super) window: (Option<Timestamp>, Option<Timestamp>),
    pub(super) step_seconds: Option<f64>,
    pub(super) result: RowResult,
    /// The answer, in numbers.
    pub(super) came: String,
    /// The file, if it lies in the run directory.
    pub(super) file: Option<String>,
    /// The reason why it is short, if it is: as a word, and as a sentence.
    reason: Option<Reason>,
    pub(super) why: Option<String>,
}

/// The result of a capture of any kind.
struct Ended<'a> {
    result: CaptureResult,
    reason: &'a Option<Reason>,
    message: &'a Option<String>,
    waived: bool,
}

/// The captures that a Run passed and that left no record: they did not come to their end.
fn silent(fold: &Fold) -> Vec<String> {
    let kinds = [("capture-logs", Kind::Logs), ("capture-prom", Kind::Series), ("capture-jaeger", Kind::Traces)];
    let took_part = |tool: &str| {
        let asked = |run: &Run| !run.status.unasked.iter().any(|unasked| unasked == tool);
        fold.runs().any(|run| run.status.tools.contains_key(tool) && asked(&run))
    };
    let is_silent = |(tool, kind): &(&str, Kind)| took_part(tool) && !fold.records().any(|it| it.kind() == *kind);
    let sentence = |(tool, _)| format!("{tool} took part and left no record: it was ended before its work was done");
    kinds.into_iter().filter(is_silent).map(sentence).collect()
}

/// The captures in `fold` of the jobs in `tally`; `has_jobs` says whether a record of a job came.
pub(super) fn captures(fold: &Fold, tally: &JobTally, has_jobs: bool) -> Captures {
    let last = |job: &JobFacts| {
        let ended = job.ended_at.map(|at| Last { at, ended: true });
        ended.or(job.not_ended_at.map(|at| Last { at, ended: false }))
    };
    let jobs = tally.entries.iter().chain(&tally.warmups).filter_map(|entry| entry.job.as_ref());
    let mut captures = Captures { last: jobs.filter_map(last).max(), ..Captures::default() };
    for record in fold.of_kind::<Series>(Kind::Series) {
        let role = record.role().map(|of| of.role);
        let Series { metadata, spec, status } = record;
        let came = amounts([(status.series, "series"), (status.samples, "samples")]);
        let ended = Ended { result: status.result, reason: &status.reason, message: &status.message, waived: false };
        // A capture that was skipped has the window that it would have used.
        let start = spec.start.or(spec.window.map(|window| window.start));
        let end = spec.end.or(spec.window.map(|window| window.end));
        captures.covers(CaptureKind::Series, &metadata.name, spec.window, status.file.as_ref());
        captures.servers.extend(spec.server);
        let row = captures.take(CaptureKind::Series, &metadata, &ended, (start, end), status.file);
        (row.role, row.asked, row.step_seconds, row.came) = (role, spec.query, spec.step_seconds, came);
        // One that came whole may have come in another way than usual.
        row.why = row.why.take().or(status.message);
        let others = status.chunks.into_iter().chain(status.raw_file).chain(status.table);
        captures.files.extend(others.filter(|file| is_inside(file)));
    }
    let mut missing = Vec::new();
    for Traces { metadata, spec, status } in fold.of_kind(Kind::Traces) {
        let came = amounts([(status.traces, "traces"), (status.spans, "spans")]);
        let ended = Ended { result: status.result, reason: &status.reason, message: &status.message, waived: false };
        captures.covers(CaptureKind::Traces, &metadata.name, spec.window, status.file.as_ref());
        let row = captures.take(CaptureKind::Traces, &metadata, &ended, (spec.start, spec.end), status.file);
        (row.asked, row.came) = (spec.service, came);
        missing.push((status.missing, metadata.name));
    }
    for Logs { metadata, spec, status } in fold.of_kind(Kind::Logs) {
        let found = status.exceptions_found.or_else(|| Some(status.exceptions.len() as u64).filter(|count| *count > 0));
        let came = amounts([(status.lines, "lines"), (found, "exceptions")]);
        let (reason, message) = (&status.reason, &status.message);
        let is_allowed = status.result == CaptureResult::Quiet && status.may_be_quiet;
        let result = if is_allowed { CaptureResult::Ok } else { status.result };
        let ended = Ended { result, reason, message, waived: status.waived };
        captures.covers(CaptureKind::Logs, &metadata.name, spec.window, status.file.as_ref());
        let row = captures.take(CaptureKind::Logs, &metadata, &ended, (spec.start, spec.end), status.file);
        (row.asked, row.came) = (spec.service, came);
        if is_allowed {
            row.result = RowResult::AllowedQuiet;
        }
    }
    captures.doubts = captures.shortfalls();
    for (ids, names) in in_groups(missing) {
        let Some(first) = ids.first() else { continue };
        if !captures.doubts.iter().any(|doubt| doubt.contains(first)) {
            let what = units::counted(ids.len() as u64, "trace of a job is", "traces of jobs are");
            captures.doubts.push(format!("{what} missing from {}: {}", listed(&names), listed(&ids)));
        }
    }
    captures.alone = !captures.rows.is_empty() && !has_jobs && fold.runs().next().is_none();
    captures.parts.extend(captures.early());
    captures.parts.extend(silent(fold));
    captures.doubts.extend_from_slice(&captures.parts);
    captures
}

/// The known ones of these counts in words: `3 traces, 20 spans`.
fn amounts(counts: [(Option<u64>, &str); 2]) -> String {
    counts.into_iter().filter_map(|(count, what)| Some(format!("{} {what}", count?))).join(", ")
}

impl Captures {
    /// Takes note of the window of one, and of its ending too early where it brought a file.
    fn covers(&mut self, kind: CaptureKind, name: &str, window: Option<Window>, file: Option<&String>) {
        let Some(window) = window else { return };
        self.window = Some(self.window.map_or(window, |held| held.hull(window)));
        if file.is_some() && self.ends_early(window) {
            self.early.push((kind, name.to_owned()));
        }
    }

    /// Returns true if a capture over `window` ends before the last job did.
    pub(super) fn ends_early(&self, window: Window) -> bool {
        self.last.is_some_and(|last| window.end < last.at)
    }

    /// Returns true if a capture of this kind and name brought something and ends before the last job did: later evidence can
    /// only add to it.
    pub(super) fn is_early(&self, kind: CaptureKind, name: &str) -> bool {
        self.early.iter().any(|early| (early.0, early.1.as_str()) == (kind, name))
    }

    /// Returns true if any capture of this kind does.
    pub(super) fn any_early(&self, kind: CaptureKind) -> bool {
        self.early.iter().any(|early| early.0 == kind)
    }

    /// Returns the sentence about a run that was resumed and could not be captured again.
    fn early(&self) -> Option<String> {
        let Last { at, ended } = self.last.filter(|_| !self.early.is_empty())?;
        // Logs hold no figures.
        let figures = if self.any_early(CaptureKind::Series) || self.any_early(CaptureKind::Traces) {
            "; no means are computed from it, its depths and counts are lower bounds, and none of its figures is compared"
        } else {
            ""
        };
        Some(format!(
            "the captured data ends before the last job did ({} {} UTC) and lacks everything later: {}{figures}",
            if ended { "at" } else { "after" },
            at.time_of_day(),
            listed(self.early.iter().map(|(_, name)| name))
        ))
    }

    /// Records how a capture ended, and returns its row to be filled.
    fn take(
        &mut self,
        kind: CaptureKind,
        metadata: &Metadata,
        ended: &Ended<'_>,
        window: (Option<Timestamp>, Option<Timestamp>),
        file: Option<String>,
    ) -> &mut Row {
        let off = *ended.reason == Some(Reason::Off);
        let result = RowResult::new(ended.result, ended.waived, off);
        let why = ended.message.clone().or_else(|| ended.reason.as_ref().map(Reason::to_string));
        let file = file.filter(|file| is_inside(file));
        self.files.extend(file.clone());
        self.rows.push(Row {
            kind,
            name: metadata.name.clone(),
            role: None,
            asked: String::new(),
            window,
            step_seconds: None,
            result,
            came: String::new(),
            file,
            reason: ended.reason.clone(),
            why: why.filter(|_| result != RowResult::Ok),
        });
        let last = self.rows.len() - 1;
        &mut self.rows[last]
    }

    /// The captures that are not complete, those together that have the same reason, in a sentence each.
    fn shortfalls(&self) -> Vec<String> {
        let short = self.rows.iter().filter(|row| !matches!(row.result, RowResult::Ok | RowResult::AllowedQuiet));
        let alike = in_groups(short.map(|row| {
            let why = row.why.as_ref().filter(|_| row.reason.is_none());
            ((row.kind, row.result, row.reason.as_ref().map(Reason::as_str), why), row)
        }));
        alike.iter().map(|(_, rows)| shortfall(rows)).collect()
    }
}

/// The sentence about captures that are not complete for the same reason.
fn shortfall(rows: &[&Row]) -> String {
    let Row { kind, result, name, why, .. } = rows[0];
    let is_alike = rows.iter().map(|row| &row.why).all_equal();
    let why = why.as_ref().map(|why| if is_alike { format!(": {why}") } else { format!(", the first of them: {why}") });
    let (why, [_, predicate, of_several]) = (why.unwrap_or_default(), result.words());
    match rows.len() {
        1 => format!("the capture of {kind} {name} {predicate}{why}"),
        count => {
            format!("{count} captures of {kind} {of_several} ({}){why}", listed(rows.iter().map(|row| &row.name)))
        }
    }
}
