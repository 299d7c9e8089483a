//! Judges what arrived of one shard: which attempts are proven, and which files are needed.

use std::path::Path;

use super::scan::{Part, Scan, Start};
use crate::record::{Attempt, Pod, ShardStreamStatus, StreamResult, Way};
use crate::units;

/// What arrived of one shard.
#[derive(Default)]
pub(super) struct Collected {
    pub(super) run: Option<String>,
    /// Number of shards, as this one says.
    pub(super) count: Option<u64>,
    pub(super) status: ShardStreamStatus,
}

/// Compares the files of a shard with their Ends. Also returns the files whose records the stream needs.
///
/// The last End of the file proves everything before it, attempts that were killed included: what those had not written, the
/// next attempt took from the journal. A log is needed for an attempt that the file does not prove.
pub(super) fn verify<'a>(
    file: Option<&'a Scan>,
    logs: &'a [Scan],
    journal: bool,
    pods: Vec<Pod>,
) -> (Collected, Vec<&'a Path>) {
    let whole_file = file.filter(|file| file.is_whole_file());
    let logs: Vec<&Scan> = logs.iter().filter(|log| !whole_file.is_some_and(|file| covers(file, log))).collect();
    let mut attempts: Vec<Attempt> = whole_file.map(attempts_of_file).unwrap_or_default();
    for log in &logs {
        attempts.extend(log.parts.iter().map(|part| attempt(log, part, part.stdout_matches.then_some(Way::Stdout))));
    }
    if let Some(file) = file.filter(|_| whole_file.is_none()) {
        let unproven = file.parts.iter().filter(|part| !is_proven_by(&logs, part));
        let unproven = unproven.map(|part| attempt(file, part, part.file_matches.then_some(Way::File)));
        attempts.splice(0..0, unproven.filter(|attempt| attempt.lines > 0 || attempt.expected_lines.is_some()));
    }
    let all = || file.into_iter().chain(logs.iter().copied());
    let lines = all().map(|scan| scan.lines).sum();
    let last_end = all().flat_map(|scan| &scan.parts).filter_map(|part| part.end.as_ref());
    let jobs = last_end.max_by_key(|end| (end.spec.attempt, end.status.observed_at)).map(|end| end.status.jobs.clone());
    let message = if lines == 0 { Some("no record arrived".to_owned()) } else { missing(&attempts, all()) };
    let missing_lines = attempts.iter().filter_map(missing_lines).sum::<u64>();
    let status = ShardStreamStatus {
        result: match &message {
            _ if lines == 0 => StreamResult::Silent,
            Some(_) => StreamResult::Incomplete,
            None => StreamResult::Whole,
        },
        message,
        lines,
        missing_lines: Some(missing_lines).filter(|count| *count > 0),
        jobs: jobs.unwrap_or_default(),
        journal,
        attempts: if lines == 0 { Vec::new() } else { attempts },
        pods,
    };
    let collected = Collected {
        run: all().find_map(|scan| scan.run.clone()),
        count: all().find_map(|scan| scan.shard).map(|shard| shard.count),
        status,
    };
    (collected, all().map(|scan| scan.path.as_path()).collect())
}

/// Returns true if `file`, which is whole, has every attempt of `log`.
fn covers(file: &Scan, log: &Scan) -> bool {
    log.parts.iter().all(|part| is_in(part, &file.parts.iter().collect::<Vec<_>>()))
}

/// Returns true if a log proves the attempt of `part`, which is in a file that is not whole.
fn is_proven_by(logs: &[&Scan], part: &Part) -> bool {
    let proven = logs.iter().flat_map(|log| &log.parts).filter(|other| other.stdout_matches);
    is_in(part, &proven.collect::<Vec<_>>())
}

/// Returns true if every attempt of `part` is one of `others`: by its End, or by the starts of its pipe.
fn is_in(part: &Part, others: &[&Part]) -> bool {
    let started = |start: &Start| others.iter().flat_map(|other| &other.starts).any(|s| s.anchor == start.anchor);
    match part.end {
        Some(_) => others.iter().any(|other| other.end_text == part.end_text),
        None => part.lines == 0 || !part.starts.is_empty() && part.starts.iter().all(started),
    }
}

/// The attempts in a file that is whole: also those that were killed and have no End.
fn attempts_of_file(file: &Scan) -> Vec<Attempt> {
    let mut attempts = Vec::new();
    let mut before = 0;
    for part in &file.parts {
        let Some(end) = &part.end else { continue };
        let killed = end.spec.attempt.saturating_sub(before + 1);
        let mut starts = part.starts.iter();
        for number in before + 1..=before + killed.min(1000) {
            // An attempt that was killed before its Run came has none.
            let start = if starts.len() > 1 { starts.next() } else { None };
            attempts.push(Attempt { number: Some(number), proven_by: Some(Way::File), ..described(file, start) });
        }
        if let Some(first) = attempts.iter_mut().find(|attempt| attempt.number == Some(before + 1)) {
            // Where one killed attempt's lines end and the next one's begin is not recorded.
            first.lines = part.lines.saturating_sub(end.status.records);
        }
        attempts.push(Attempt {
            number: Some(end.spec.attempt),
            proven_by: Some(Way::File),
            lines: part.lines.min(end.status.records),
            expected_lines: Some(end.status.records),
            ..described(file, part.starts.last())
        });
        before = end.spec.attempt;
    }
    attempts
}

fn attempt(scan: &Scan, part: &Part, proven_by: Option<Way>) -> Attempt {
    let end = part.end.as_ref();
    Attempt {
        number: end.map(|end| end.spec.attempt),
        proven_by,
        lines: part.lines,
        expected_lines: end.map(|end| end.status.stdout_lines),
        ..described(scan, part.starts.last())
    }
}

fn described(scan: &Scan, start: Option<&Start>) -> Attempt {
    Attempt {
        source: scan.name(),
        start_lag_seconds: start.and_then(|start| start.lag_seconds),
        boot_id: start.map(|start| start.anchor.boot_id.clone()),
        clock_offset: start.and_then(|start| start.clock_offset),
        ..Attempt::default()
    }
}

/// Number of lines that are known to be missing of an attempt.
fn missing_lines(attempt: &Attempt) -> Option<u64> {
    let expected = attempt.expected_lines.filter(|_| attempt.proven_by.is_none())?;
    Some(expected.saturating_sub(attempt.lines))
}

/// The missing proof as a sentence; none if every attempt is proven.
fn missing<'a>(attempts: &[Attempt], mut scans: impl Iterator<Item = &'a Scan>) -> Option<String> {
    let sentences = attempts.iter().filter(|attempt| attempt.proven_by.is_none()).map(|attempt| {
        let (lines, source) = (units::counted(attempt.lines, "line", "lines"), &attempt.source);
        match (attempt.expected_lines, missing_lines(attempt)) {
            (Some(expected), Some(1..)) => format!("{} of {expected} lines arrived in {source}", attempt.lines),
            (Some(_), _) => format!("{lines} arrived in {source}, but their SHA-256 is not the one in its End record"),
            (None, _) => {
                format!("{lines} arrived in {source}, without an End record: the attempt was killed, or its last lines are missing")
            }
        }
    });
    let mut sentences: Vec<String> = sentences.collect();
    if !sentences.is_empty() && scans.any(|scan| scan.is_torn) {
        sentences.push("the last line is cut off".to_owned());
    }
    (!sentences.is_empty()).then(|| sentences.join("; "))
}
