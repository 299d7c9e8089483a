//! Doubts about the harness itself: it met a limit of its host, or was too slow for the load that it was to make.

use super::distribution::Distribution;
use super::listed;
use crate::record::{JournalCost, Run};
use crate::units;

/// The lateness in seconds that a busy host may have without a doubt, once in a run.
const TOLERATED: f64 = 0.5;
/// The same for one poll in a hundred: a host that is late again and again is short of CPU time.
const TOLERATED_OFTEN: f64 = 0.2;
/// The share of an end-to-end time that polls may be late where the run does not tell its `poll-jobs --precision`: the default.
const PRECISION: f64 = 0.05;
/// The share of the time of submissions that syncs of the journal may take without a doubt.
const MOST_SYNCING: f64 = 0.1;

/// The doubts about the harness of `run`, whose jobs took `end_to_end`.
pub(super) fn of_run(run: &Run, end_to_end: Option<Distribution>) -> Vec<String> {
    let name = &run.metadata.name;
    let polling = run.status.polling.as_ref();
    let limits = [&run.status.submission_limit, &polling.and_then(|polling| polling.limit.clone())];
    let met = limits.into_iter().flatten().map(|limit| format!("the harness was the bottleneck of {name}: {limit}"));
    let precision = run.spec.precision.unwrap_or(PRECISION);
    let tolerated = end_to_end.map_or(TOLERATED_OFTEN, |whole| TOLERATED_OFTEN.max(precision * whole.p50.seconds));
    let late = polling.and_then(|polling| polling.late_p99_seconds).filter(|late| *late > tolerated).map(|late| {
        format!(
            "the harness was the bottleneck of {name}: one poll in a hundred was sent at least {} late, so ends were seen that much too late",
            units::seconds(late)
        )
    });
    let frozen = run.status.frozen_seconds.filter(|seconds| *seconds > TOLERATED).map(|seconds| {
        format!(
            "the harness was the bottleneck of {name}: it stood still for up to {} (stopped, suspended, or without a CPU); times may be \
             that much too late",
            units::seconds(seconds)
        )
    });
    met.chain(late).chain(frozen).chain(slow_journal(run)).collect()
}

/// The doubt about a journal whose syncs held submissions back. In the open model the schedule tells how late they were.
fn slow_journal(run: &Run) -> Option<String> {
    let JournalCost { syncs, sync_seconds, window_seconds } = run.status.journal?;
    let is_slow = sync_seconds > TOLERATED && sync_seconds > MOST_SYNCING * window_seconds;
    (is_slow && run.spec.rate_per_second.is_none()).then(|| {
        format!(
            "the harness was the bottleneck of {}: submissions waited {} of {} for the disk of the journal ({}, {} each); put it on a \
             faster disk",
            run.metadata.name,
            units::seconds(sync_seconds),
            units::seconds(window_seconds),
            units::counted(syncs, "sync", "syncs"),
            units::seconds(sync_seconds / syncs.max(1) as f64)
        )
    })
}

/// The doubt about a `poll-jobs` that passed `run` on and left jobs of it `open`: it writes the end of each that it polls, however
/// the run ends.
pub(super) fn of_lost_poller<'a>(run: &Run, open: impl Iterator<Item = &'a str>) -> Option<String> {
    let open: Vec<&str> = open.collect();
    if open.is_empty() || !run.awaits_last_words_of("poll-jobs") {
        return None;
    }
    let jobs = units::counted(open.len() as u64, "job is", "jobs are");
    Some(format!(
        "poll-jobs was killed or crashed, or its last records are missing: {jobs} without an end: {}",
        listed(&open)
    ))
}

/// The doubt about a `run` that nobody stopped and whose jobs are `missing`: they were asked for, and no record tells of them.
pub(super) fn of_lost_records<'a>(run: &Run, missing: impl Iterator<Item = &'a str>) -> Option<String> {
    let missing: Vec<&str> = missing.collect();
    if missing.is_empty() || run.status.aborted.is_some() {
        return None;
    }
    let jobs = units::counted(missing.len() as u64, "job has", "jobs have");
    Some(format!(
        "{jobs} no record: a tool of the pipe, such as stage-fixtures or await-idle, was killed or crashed, or records were lost: {}",
        listed(&missing)
    ))
}

/// The doubt about submissions that came later than the open model's schedule wanted them; `lag` is that of the latest, in seconds.
pub(super) fn of_schedule(lag: Option<f64>) -> Option<String> {
    let lag = lag.filter(|lag| *lag > TOLERATED)?;
    Some(format!(
        "the harness was the bottleneck: jobs were submitted up to {} after their time in the schedule",
        units::seconds(lag)
    ))
}

/// The doubt about submissions that waited for a token, each with its job's name and the wait in seconds: the target's clients wait
/// then, not the harness.
pub(super) fn of_token<'a>(waits: impl Iterator<Item = (&'a str, f64)>) -> Option<String> {
    let (jobs, waits): (Vec<&str>, Vec<f64>) = waits.filter(|(_, wait)| *wait > TOLERATED).unzip();
    let longest = waits.into_iter().reduce(f64::max)?;
    Some(format!("submissions waited up to {} for a token: {}", units::seconds(longest), listed(jobs)))
}

#[cfg(test)]
mod tests {
    use super::super::distribution::Measured;
    use super::*;

    fn run(status: &str) -> Run {
        serde_json::from_str(&format!(r#"{{"metadata":{{"name":"s","run":"r"}},"status":{status}}}"#)).unwrap()
    }

    #[test]
    fn a_limit_that_was_met_and_polls_that_were_late_are_doubted() {
        let limited =
            run(r#"{"submissionLimit":"9 is more than 8","polling":{"sent":9,"failed":0,"threads":8,"limit":"x"}}"#);
        assert_eq!(of_run(&limited, None).len(), 2);
        let polling =
            |late: f64| run(&format!(r#"{{"polling":{{"sent":9,"failed":0,"threads":8,"lateP99Seconds":{late}}}}}"#));
        assert!(of_run(&polling(0.19), None).is_empty());
        // A CPU that runs for 40 ms and stands for 360 ms; a job of half a minute bears it.
        assert!(of_run(&polling(0.41), None)[0].contains("sent at least 410 ms late"));
        let measured = |seconds: f64| Distribution::from_samples(&[Measured::exact(seconds)]);
        assert_eq!(of_run(&polling(0.41), measured(1.4)).len(), 1);
        assert!(of_run(&polling(0.41), measured(30.0)).is_empty());
        assert!(
            of_run(&polling(2.0), None)[0].contains("sent at least 2.00 s late"),
            "{:?}",
            of_run(&polling(2.0), None)
        );
        assert!(of_run(&run(r#"{"frozenSeconds":0.3}"#), None).is_empty());
        let frozen = of_run(&run(r#"{"frozenSeconds":3.0}"#), None);
        assert!(frozen[0].contains("stood still for up to 3.00 s"), "{frozen:?}");
        let polled =
            |aborted: &str| run(&format!(r#"{{"tools":{{"poll-jobs":"{}"}}{aborted}}}"#, env!("CARGO_PKG_VERSION")));
        let doubt = of_lost_poller(&polled(""), ["a", "b"].into_iter()).unwrap();
        assert!(doubt.contains("2 jobs are without an end: a, b"), "{doubt}");
        assert_eq!(of_lost_poller(&polled(""), std::iter::empty()), None);
        let stopped = r#","aborted":{"by":"x","reason":"Interrupted","message":"m","at":"2026-01-01T00:00:00Z"}"#;
        assert_eq!(of_lost_poller(&polled(stopped), ["a"].into_iter()), None);
        assert_eq!(of_lost_poller(&run("{}"), ["a"].into_iter()), None, "nobody polled");
        assert!(of_lost_records(&run("{}"), ["a"].into_iter()).unwrap().starts_with("1 job has no record: a tool of"));
        assert_eq!(of_lost_records(&polled(stopped), ["a"].into_iter()), None);
        assert_eq!(of_lost_records(&run("{}"), std::iter::empty()), None);
        let journal = |seconds: f64, window: f64| {
            let cost = format!(r#"{{"syncs":16,"syncSeconds":{seconds},"windowSeconds":{window}}}"#);
            of_run(&run(&format!(r#"{{"journal":{cost}}}"#)), None)
        };
        assert!(journal(0.4, 0.5).is_empty() && journal(6.4, 65.0).is_empty());
        assert!(
            journal(6.4, 6.5)[0]
                .contains("waited 6.40 s of 6.50 s for the disk of the journal (16 syncs, 400 ms each)")
        );
        assert_eq!(of_schedule(Some(0.4)), None);
        assert!(of_schedule(Some(3.0)).is_some());
    }
}
