//! The criteria that have a name.
//!
//! Each is a row of [`CRITERIA`]: a name, an expectation, and a function of the evidence.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use itertools::Itertools;

use super::wording::{first, is_flagged, of, shared};
use super::{Evidence, Finding, all_stages};
use crate::escape;
use crate::figures::outcome::{Outcome, unsuccessful};
use crate::figures::tally::{JobEntry, JobTally};
use crate::figures::{any_listed, jobs, listed};
use crate::record::{CaptureResult, Exception, Flag, Logs, Reason, StreamResult, Verdict};
use crate::tools::render_report::captures::RowResult;
use crate::units;

/// The criterion by which a run is judged by default.
pub(in super::super) const DEFAULT: &str = "all-done";

/// The criterion by which a window without jobs is judged by default.
pub(in super::super) const CAPTURED: &str = "captured";

/// The criterion by which every run in shards whose streams have Ends is judged.
pub(in super::super) const WHOLE_SHARDS: &str = "whole-shards";

/// Number of characters that a sentence quotes of a target's message.
const QUOTED: usize = 80;

/// A criterion with a name.
pub(super) struct Rule {
    name: &'static str,
    pub(super) expected: &'static str,
    pub(super) judge: fn(&Evidence<'_>) -> Finding,
}

const CRITERIA: &[Rule] = &[
    Rule { name: DEFAULT, expected: "every requested job succeeded", judge: all_done },
    Rule { name: "all-stages", expected: "every job finished every required stage", judge: all_stages::judge },
    Rule { name: "no-exceptions", expected: "no exception in the worker logs", judge: no_exceptions },
    Rule { name: CAPTURED, expected: "every capture is complete or waived", judge: captured },
    Rule { name: WHOLE_SHARDS, expected: "every shard's stream is whole", judge: whole_shards },
];

/// Returns the criterion called `name`.
pub(super) fn find(name: &str) -> Option<&'static Rule> {
    CRITERIA.iter().find(|rule| rule.name == name)
}

/// Returns the names of all of them.
pub(super) fn names() -> String {
    CRITERIA.iter().map(|rule| rule.name).join(", ")
}

fn all_done(evidence: &Evidence<'_>) -> Finding {
    let tally = &evidence.figures.tally;
    let asked = tally.conservation.asked;
    if asked == 0 {
        return Finding::incomplete(with_abort("there are no jobs".to_owned(), tally));
    }
    let (bad, open): (Vec<&JobEntry>, Vec<&JobEntry>) =
        tally.entries.iter().filter(|entry| entry.outcome != Outcome::Succeeded).partition(|e| e.outcome.is_bad());
    let came_back = |entry: &&JobEntry| is_flagged(entry, &Flag::CameBack);
    let has_moved = |entry: &&JobEntry| entry.job.as_ref().is_some_and(|job| job.rare().polled_target.is_some());
    let queued_again = |entry: &&JobEntry| is_flagged(entry, &Flag::QueuedAgain);
    let again = any_listed(tally.entries.iter().filter(queued_again).map(|entry| &entry.name));
    let back = any_listed(tally.entries.iter().filter(came_back).map(|entry| &entry.name));
    let moved = any_listed(tally.entries.iter().filter(has_moved).map(|entry| &entry.name));
    let (verdict, cause) = if !bad.is_empty() {
        let fates = bad.iter().map(|entry| (entry.name.clone(), fate(entry)));
        let mut cause = format!("{} of {} did not succeed: {}", bad.len(), jobs(asked), first(&shared(fates)));
        if !open.is_empty() {
            cause = format!("{cause}; {} no known end", of(open.len(), asked, "has", "have"));
        }
        (Verdict::Failed, with_abort(cause, tally))
    } else if !open.is_empty() {
        let cause = format!("{} no known end: {}", of(open.len(), asked, "has", "have"), by_outcome(tally));
        (Verdict::Incomplete, with_abort(cause, tally))
    } else if let Some(why) = &tally.uncertain {
        (Verdict::Incomplete, why.clone())
    } else if let Some(back) = back {
        (Verdict::Incomplete, format!("ended by their absence from a list, and listed again later: {back}"))
    } else if let Some(again) = again {
        (
            Verdict::Incomplete,
            format!("queued again according to later answers, which may be about other jobs: {again}"),
        )
    } else if let Some(moved) = moved {
        (Verdict::Incomplete, format!("polled at a different target from the one that they were submitted to: {moved}"))
    } else {
        (Verdict::Passed, format!("{asked} of {} succeeded", jobs(asked)))
    };
    let others = unsuccessful(&tally.conservation).map(|(outcome, jobs)| format!(", {jobs} {outcome}"));
    let but = if verdict == Verdict::Incomplete && open.is_empty() { format!(", but {cause}") } else { String::new() };
    let actual = format!("{} of {asked} succeeded{}{but}", tally.conservation.succeeded, others.collect_vec().concat());
    let jobs = tally.entries.iter().filter(|entry| {
        entry.outcome != Outcome::Succeeded || came_back(entry) || has_moved(entry) || queued_again(entry)
    });
    Finding { verdict, actual, cause, jobs: jobs.map(|entry| entry.name.clone()).collect(), follows: false }
}

/// Describes the end of a job that did not succeed: `failed at l2 (RuntimeError: …)`.
fn fate(entry: &JobEntry) -> String {
    let outcome = entry.outcome;
    let place = match entry.failed_stage() {
        Some(stage) if outcome == Outcome::Failed => format!(" at {stage}"),
        Some(stage) => format!(" in {stage}"),
        None => String::new(),
    };
    let why = match outcome {
        Outcome::Failed | Outcome::Rejected | Outcome::TimedOut => {
            entry.message.as_deref().or(entry.reason.as_ref().map(Reason::as_str))
        }
        // Of a lost job nothing more is known than that its id was forgotten.
        _ => None,
    };
    let why = why.map(|why| format!(" ({})", escape::shorten(why, QUOTED))).unwrap_or_default();
    format!("{outcome}{place}{why}")
}

/// The jobs without a known end: `2 not submitted (a, b), 1 missing (c)`.
fn by_outcome(tally: &JobTally) -> String {
    let open = unsuccessful(&tally.conservation).filter(|(outcome, _)| outcome.is_open());
    let part = |(outcome, jobs)| format!("{jobs} {outcome} ({})", listed(tally.with(outcome).map(|entry| &entry.name)));
    open.map(part).join(", ")
}

fn with_abort(cause: String, tally: &JobTally) -> String {
    match tally.aborted().next() {
        Some(aborted) => format!("{cause}; {} stopped: {}", aborted.by, escape::shorten(&aborted.message, 2 * QUOTED)),
        None => cause,
    }
}

fn whole_shards(evidence: &Evidence<'_>) -> Finding {
    let shards = &evidence.figures.shards;
    if shards.is_empty() {
        return Finding::incomplete("no Run says which shard it is");
    }
    let broken = shards.iter().filter_map(|shard| {
        let stream = shard.stream.as_ref().filter(|stream| stream.result != StreamResult::Whole)?;
        let why = stream.message.as_deref().unwrap_or("its stream is not whole");
        Some(format!("shard {}: {why}", shard.shard.index))
    });
    let broken: Vec<String> = broken.collect();
    let count = shards.len();
    if broken.is_empty() {
        return Finding::passed(match count {
            1 => "the stream of the only shard is whole".to_owned(),
            _ => format!("{count} of {count} shards are whole"),
        });
    }
    let (lacking, verb) = (broken.len(), if broken.len() == 1 { "is" } else { "are" });
    Finding::incomplete(format!("{lacking} of {count} shards {verb} not whole: {}", first(&broken)))
}

fn captured(evidence: &Evidence<'_>) -> Finding {
    let captures = evidence.captures;
    let waived = captures.rows.iter().filter(|row| row.result == RowResult::Waived).count();
    let whole = captures.rows.iter().filter(|row| row.result == RowResult::Ok).count();
    let short = captures
        .rows
        .iter()
        .filter(|row| !matches!(row.result, RowResult::Ok | RowResult::Waived | RowResult::AllowedQuiet));
    let short = short.map(|row| format!("{} {} {}", row.kind, row.name, row.result.predicate()));
    if let Some(all) = any_listed(captures.parts.iter().cloned().chain(short)) {
        return Finding::incomplete(format!("not everything was captured: {all}"));
    }
    if whole == 0 {
        return Finding::incomplete("nothing was captured");
    }
    let actual = match waived {
        0 => format!("{whole} captures, all complete"),
        _ => format!("{whole} complete captures; {waived} waived"),
    };
    Finding { cause: "every capture is complete".to_owned(), ..Finding::passed(actual) }
}

/// Returns the line that says what the exception is: the last one of a traceback, which begins with when and where.
fn gist(exception: &Exception) -> &str {
    let last = exception.traceback.as_deref().and_then(|text| text.lines().rev().find(|line| !line.trim().is_empty()));
    last.unwrap_or(&exception.first_line).trim()
}

/// Returns the common form of exceptions that differ only in numbers and ids.
fn form(gist: &str) -> String {
    let is_number = |word: &str| {
        let of_one = |c: char| c.is_ascii_hexdigit() || c.is_ascii_punctuation();
        word.contains(|c: char| c.is_ascii_digit()) && word.chars().all(of_one)
    };
    gist.split_whitespace().map(|word| if is_number(word) { "#" } else { word }).join(" ")
}

fn no_exceptions(evidence: &Evidence<'_>) -> Finding {
    let logs = &evidence.logs;
    if logs.is_empty() {
        return Finding::incomplete("no worker log was captured");
    }
    if logs.iter().all(|log| log.status.waived) {
        let actual = "waived: the logs were not checked, as requested".to_owned();
        return Finding { cause: "the worker logs were waived".to_owned(), ..Finding::passed(actual) };
    }
    // The padding before the window reaches into the warm-up.
    let warm = evidence.figures.tally.warmups.iter();
    let warm: BTreeSet<&str> = warm.filter_map(|entry| entry.job.as_ref()?.job_id.as_deref()).collect();
    let of_warmup = |exception: &Exception| exception.job_id.as_deref().is_some_and(|id| warm.contains(id));
    let all = || logs.iter().flat_map(|log| log.status.exceptions.iter().map(|exception| (service(log), exception)));
    let left_out = all().filter(|(_, exception)| of_warmup(exception)).count();
    let left_out = if left_out == 0 { String::new() } else { format!(", {left_out} of warm-up jobs left out") };
    let exceptions = all().filter(|(_, exception)| !of_warmup(exception));
    let count = exceptions.clone().count();
    if count > 0 {
        let mut by_form: BTreeMap<String, Vec<(&str, &Exception)>> = BTreeMap::new();
        for (service, exception) in exceptions.clone() {
            by_form.entry(form(gist(exception))).or_default().push((service, exception));
        }
        let said = by_form.into_values().sorted_by_key(|alike| Reverse(alike.len())).map(|alike| {
            let often = if alike.len() > 1 { format!(" × {}", alike.len()) } else { String::new() };
            let services: BTreeSet<&str> = alike.iter().map(|(service, _)| *service).collect();
            let services = listed(services.into_iter().map(|name| escape::start(name, QUOTED)));
            format!("{services}: {}{often}", escape::shorten(gist(alike[0].1), QUOTED))
        });
        let said = said.collect_vec();
        let ids: BTreeSet<&str> = exceptions.filter_map(|(_, exception)| exception.job_id.as_deref()).collect();
        let of_job = |entry: &&JobEntry| {
            let id = entry.job.as_ref().and_then(|job| job.job_id.as_deref());
            id.is_some_and(|id| ids.contains(id))
        };
        let jobs = evidence.figures.tally.entries.iter().filter(of_job).map(|entry| entry.name.clone()).collect();
        let counted = units::counted(count as u64, "exception", "exceptions");
        return Finding {
            verdict: Verdict::Failed,
            actual: format!("{counted}{left_out}"),
            cause: format!("{counted} in the worker logs: {}", first(&said)),
            jobs,
            follows: false,
        };
    }
    let unlisted =
        |log: &Logs| log.status.exceptions_found.is_some_and(|found| found > log.status.exceptions.len() as u64);
    if let Some(log) = logs.iter().find(|log| unlisted(log)) {
        return Finding::incomplete(format!("{} had more exceptions than its record lists{left_out}", service(log)));
    }
    let early = logs.iter().filter(|log| log.spec.window.is_some_and(|window| evidence.captures.ends_early(window)));
    let early = early.map(|log| format!("{} (it ends before the last job did)", service(log)));
    if let Some(short) = any_listed(logs.iter().filter_map(shortcoming).chain(early)) {
        return Finding::incomplete(format!("the worker logs are incomplete: {short}"));
    }
    let lines: u64 = logs.iter().filter_map(|log| log.status.lines).sum();
    let quiet = logs.iter().filter(|log| is_quiet_as_allowed(log)).map(service).collect_vec();
    let read = logs.len() - quiet.len();
    let quiet = any_listed(quiet).map(|quiet| format!("; {quiet} quiet, which was allowed")).unwrap_or_default();
    let actual = format!("none in {lines} lines of {read} logs{left_out}{quiet}");
    Finding { cause: "no exception in the worker logs".to_owned(), ..Finding::passed(actual) }
}

fn service(log: &Logs) -> &str {
    if log.spec.service.is_empty() { &log.metadata.name } else { &log.spec.service }
}

/// Returns whether a log has no line in the window, which the user allowed by name.
fn is_quiet_as_allowed(log: &Logs) -> bool {
    log.status.result == CaptureResult::Quiet && log.status.may_be_quiet
}

/// Explains why a log proves nothing: it is not complete, or it has no line.
fn shortcoming(log: &Logs) -> Option<String> {
    let what = match (log.status.result, log.status.lines) {
        (CaptureResult::Ok, None | Some(1..)) => return None,
        _ if is_quiet_as_allowed(log) => return None,
        (CaptureResult::Quiet, _) => {
            let name = service(log);
            return Some(format!("{name} (no line in the window; if it had nothing to do, set LOGS_QUIET={name})"));
        }
        (CaptureResult::Ok | CaptureResult::Empty, _) => "no lines",
        (CaptureResult::Partial, _) => "a part of it",
        (CaptureResult::Error, _) => "nothing usable",
    };
    let why = log.status.message.as_deref().or(log.status.reason.as_ref().map(Reason::as_str));
    let why = why.map(|why| format!(", {}", escape::shorten(why, QUOTED))).unwrap_or_default();
    Some(format!("{} ({what}{why})", service(log)))
}
