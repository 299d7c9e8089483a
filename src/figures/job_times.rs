//! The times of one job: its submission, its wait, its run and the whole.
//!
//! A job's end is known from polls as an interval, and often from the server as a moment of the server's clock. The
//! result is the intersection of the two, so that no figure claims more than either source allows.

use super::contradictions::{Contradictions, ServerTime};
use super::distribution::Measured;
use super::server_instants::ServerInstants;
use super::stage_times::{ROUNDING, narrowest, not_negative};
use super::time_interval::TimeInterval;
use crate::record::{ClockOffset, Job, Phase, Stage, Timestamp};

/// The durations of the parts of a job's life. Absent means not known.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct JobTimes {
    /// The POST, from sending to answer. An answer that came while the harness stood still came that much earlier at most.
    pub submit: Option<Measured>,
    /// From the job's arrival, or the server's own queueing, to the start of work.
    pub queue: Option<Measured>,
    /// From the start of work to the end.
    pub run: Option<Measured>,
    /// From `dueAt`, or else `submittedAt`, to the end.
    pub end_to_end: Option<Measured>,
    /// The time at which it ended.
    pub end: Option<TimeInterval>,
    /// The server's times that lie outside of what the harness saw.
    pub contradictions: Contradictions,
    /// It ended before it began, by one of the clocks.
    pub backwards: bool,
}

impl JobTimes {
    /// Computes the times of `job`, whose target's clock is `offset` from the harness's.
    pub fn compute(job: &Job, offset: Option<ClockOffset>) -> Self {
        let status = &job.status;
        let mut times = Self {
            submit: difference(status.resubmitted_at.or(status.submitted_at), status.accepted_at)
                .filter(|seconds| *seconds >= 0.0)
                .map(|seconds| Measured::within(seconds, seconds - status.frozen_seconds.unwrap_or_default(), seconds))
                .map(not_negative),
            ..Self::default()
        };
        // Only these two ends were seen; a job that was given up has none.
        let ended = matches!(status.phase, Phase::Succeeded | Phase::Failed);
        let mut server = ServerInstants::of(job);
        let end_seen = if ended { end_seen(job) } else { None };
        times.contradictions = server.leave_out_wrong(job, end_seen, offset);
        if ended {
            times.find_end(end_seen, &server, offset);
        }
        // Of two submissions with one idempotency key the second may have been the first to arrive.
        let begun = status.due_at.map(TimeInterval::exact).or(status.submitted_at.map(|at| {
            let high = status.resubmitted_at.unwrap_or(at).max(at);
            TimeInterval { at, low: at, high }
        }));
        times.end_to_end = match (begun, times.end) {
            (Some(begun), Some(end)) => Some(end.after(begun)),
            // A record made by hand, or by another tool, may state the duration alone.
            _ => status.duration_seconds.filter(|_| ended).map(|seconds| {
                Measured::within(seconds, seconds - status.duration_error_seconds.unwrap_or_default(), seconds)
            }),
        };
        if times.end_to_end.is_some_and(|whole| whole.high < 0.0) {
            times.backwards = true;
            times.end_to_end = None;
        }
        times.end_to_end = times.end_to_end.map(not_negative);
        times.find_parts(job, &server, offset);
        times.keep_parts_within_whole(server.start);
        times
    }

    fn find_end(&mut self, end_seen: Option<TimeInterval>, server: &ServerInstants, offset: Option<ClockOffset>) {
        let by_server = server.ended.zip(offset).map(|(time, offset)| time.at(offset));
        let narrower = |polls: TimeInterval| {
            let both = by_server.and_then(|server| server.intersection(polls));
            both.filter(|both| both.width() < polls.width()).unwrap_or(polls)
        };
        self.end = end_seen.map(narrower).or(by_server);
    }

    fn find_parts(&mut self, job: &Job, server: &ServerInstants, offset: Option<ClockOffset>) {
        let status = &job.status;
        let seen = start_seen(job);
        let told_run = server.started.zip(server.ended).map(|(started, end)| end.since(started));
        let told_wait = server.started.zip(server.queued).map(|(started, queued)| started.since(queued));
        if server.started.is_some() {
            let at = server.started_at(job, offset);
            let queued_at = server.queued.map_or(TimeInterval::arrival(status), |_| server.queued_at(job, offset));
            self.queue = narrowest(told_wait, at.zip(queued_at).map(|(started, queued)| started.after(queued)));
            self.run = narrowest(told_run, at.zip(self.end).map(|(started, end)| end.after(started)));
        }
        if self.queue.is_none() {
            self.queue = seen.zip(TimeInterval::arrival(status)).map(|(started, arrived)| started.after(arrived));
        }
        if self.run.is_none() {
            self.run = seen.zip(self.end).map(|(started, end)| end.after(started));
        }
        self.queue = self.queue.filter(|part| part.high >= 0.0).map(not_negative);
        self.run = self.run.filter(|part| part.high >= 0.0).map(not_negative);
    }

    /// No part takes longer than the whole. One that surely would contradicts what the polls saw and is left out.
    fn keep_parts_within_whole(&mut self, start: ServerTime) {
        let Some(whole) = self.end_to_end else { return };
        for part in [&mut self.queue, &mut self.run] {
            let Some(found) = *part else { continue };
            let kept = Measured::within(found.seconds.min(whole.seconds), found.low, found.high.min(whole.high));
            let excess = Some(found.low - whole.high).filter(|seconds| *seconds > ROUNDING);
            *part = self.contradictions.unless(start, excess.map_or(Ok(kept), Err));
        }
        let least = self.queue.map_or(0.0, |part| part.low).max(self.run.map_or(0.0, |part| part.low));
        if least > whole.low && least <= whole.high {
            self.end_to_end = Some(Measured::within(whole.seconds, least, whole.high));
        }
    }
}

/// The polls between which the job ended.
fn end_seen(job: &Job) -> Option<TimeInterval> {
    let status = &job.status;
    TimeInterval::seen(status.not_ended_at.or(status.submitted_at).or(status.accepted_at), status.ended_at)
}

/// The polls between which the job started: the first of its stages, or else the job itself by its status.
fn start_seen(job: &Job) -> Option<TimeInterval> {
    let status = &job.status;
    let sightings = status.stages.iter().filter_map(Stage::sightings);
    let first = sightings.filter(|seen| seen.started_at.is_some()).min_by_key(|seen| seen.started_at);
    let begin = status.submitted_at.or(status.accepted_at);
    let by_stage = first.and_then(|seen| TimeInterval::seen(seen.not_started_at.or(begin), seen.started_at));
    by_stage.or_else(|| TimeInterval::seen(status.not_started_at.or(begin), status.started_at))
}

fn difference(from: Option<Timestamp>, to: Option<Timestamp>) -> Option<f64> {
    from.zip(to).map(|(from, to)| to.since(from))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn journey(status: &str, offset: Option<(f64, f64)>) -> JobTimes {
        let job: Job = serde_json::from_str(&format!(r#"{{"metadata":{{"name":"a"}},"status":{status}}}"#)).unwrap();
        JobTimes::compute(&job, offset.map(|(seconds, bound_seconds)| ClockOffset { seconds, bound_seconds }))
    }

    const POLLED: &str = r#""phase":"Succeeded","submittedAt":"2026-01-01T00:00:00Z","acceptedAt":"2026-01-01T00:00:00.1Z","notEndedAt":"2026-01-01T00:00:09Z","endedAt":"2026-01-01T00:00:10Z""#;

    fn near(found: Option<Measured>, seconds: f64, low: f64, high: f64) {
        let found = found.unwrap();
        let close = |a: f64, b: f64| (a - b).abs() < 1e-6;
        assert!(close(found.seconds, seconds) && close(found.low, low) && close(found.high, high), "{found:?}");
    }

    #[test]
    fn by_polls_alone_the_end_lies_between_two_of_them() {
        near(journey(&format!("{{{POLLED}}}"), None).end_to_end, 10.0, 9.0, 10.0);
    }

    #[test]
    fn the_servers_end_counts_where_it_is_tighter_and_within_the_polls() {
        let ended = |time: &str| format!(r#"{{{POLLED},"serverTimes":{{"endedAt":"2026-01-01T00:{time}Z"}}}}"#);
        // The target's clock is 5 minutes ahead, give or take 50 ms.
        near(journey(&ended("05:09.5"), Some((300.0, 0.05))).end_to_end, 9.5, 9.45, 9.55);
        // Near the edge the polls cut the interval.
        near(journey(&ended("05:10.02"), Some((300.0, 0.05))).end_to_end, 10.0, 9.97, 10.0);
        // An offset that is known less well than the polls know the end is of no use.
        near(journey(&ended("05:09.5"), Some((300.0, 4.0))).end_to_end, 10.0, 9.0, 10.0);
        // Without an offset the server's time says nothing at all.
        near(journey(&ended("05:09.5"), None).end_to_end, 10.0, 9.0, 10.0);
        let contradicted = journey(&ended("05:30"), Some((300.0, 0.05)));
        assert!(contradicted.contradictions.seconds(ServerTime::Ended).is_some());
        near(contradicted.end_to_end, 10.0, 9.0, 10.0);
    }

    #[test]
    fn a_job_may_end_before_its_submission_is_answered() {
        let slow = POLLED.replace("00:00:00.1Z", "00:00:09.5Z").replace(r#""notEndedAt":"2026-01-01T00:00:09Z","#, "");
        let polls = r#""startedAt":"2026-01-01T00:00:10Z""#;
        let unseen = journey(&format!("{{{slow},{polls}}}"), None);
        near(unseen.end_to_end, 10.0, 0.0, 10.0);
        near(unseen.run, 0.0, 0.0, 10.0);
        near(unseen.queue, 0.5, 0.0, 10.0);
        let times = r#""serverTimes":{"startedAt":"2026-01-01T00:05:00.1Z","endedAt":"2026-01-01T00:05:00.5Z"}"#;
        let told = journey(&format!("{{{slow},{polls},{times}}}"), Some((300.0, 0.05)));
        assert!(told.contradictions.is_empty(), "{told:?}");
        near(told.end_to_end, 0.5, 0.45, 0.55);
        near(told.run, 0.4, 0.4, 0.4);
    }

    #[test]
    fn a_job_that_was_submitted_twice_may_have_begun_at_either_submission() {
        let twice = POLLED.replace(
            r#""acceptedAt":"2026-01-01T00:00:00.1Z""#,
            r#""resubmittedAt":"2026-01-01T00:00:08Z","acceptedAt":"2026-01-01T00:00:08.1Z""#,
        );
        let times = r#""serverTimes":{"queuedAt":"2026-01-01T00:05:00.02Z","endedAt":"2026-01-01T00:05:09.5Z"}"#;
        let twice = journey(&format!("{{{twice},{times}}}"), Some((300.0, 0.05)));
        assert!(twice.contradictions.is_empty(), "{twice:?}");
        near(twice.end_to_end, 9.5, 1.45, 9.55);
        assert!(twice.submit.is_some_and(|submit| (submit.seconds - 0.1).abs() < 1e-6));
    }

    #[test]
    fn an_answer_may_have_come_while_the_harness_stood_still() {
        let slow = POLLED.replace("00:00:00.1Z", "00:00:03.3Z");
        near(journey(&format!(r#"{{{slow},"frozenSeconds":2.9}}"#), None).submit, 3.3, 0.4, 3.3);
    }

    #[test]
    fn latency_counts_from_the_schedule() {
        let late = journey(&format!(r#"{{{POLLED},"dueAt":"2025-12-31T23:59:58Z"}}"#), None);
        near(late.end_to_end, 12.0, 11.0, 12.0);
    }

    #[test]
    fn an_end_before_the_beginning_is_no_duration() {
        let status = r#"{"phase":"Succeeded","submittedAt":"2026-01-01T00:00:10Z","endedAt":"2026-01-01T00:00:00Z"}"#;
        let backwards = journey(status, None);
        assert!(backwards.backwards && backwards.end_to_end.is_none());
    }

    #[test]
    fn queue_and_run_come_from_one_clock_where_they_can() {
        let times = r#""serverTimes":{"queuedAt":"2026-01-01T00:05:00Z","startedAt":"2026-01-01T00:05:03Z","endedAt":"2026-01-01T00:05:09.5Z"}"#;
        let parts = journey(&format!("{{{POLLED},{times}}}"), None);
        near(parts.queue, 3.0, 3.0, 3.0);
        near(parts.run, 6.5, 6.5, 6.5);
        let times = r#""serverTimes":{"startedAt":"2026-01-01T00:05:03Z"}"#;
        let parts = journey(&format!("{{{POLLED},{times}}}"), Some((300.0, 0.5)));
        near(parts.queue, 2.9, 2.4, 3.5);
        near(parts.run, 7.0, 5.5, 7.5);
    }

    /// The polls saw it wait until 2 s and run from 2.2 s on.
    const SEEN: &str = r#""notStartedAt":"2026-01-01T00:00:02Z","startedAt":"2026-01-01T00:00:02.2Z""#;

    fn told(queued: &str, started: &str, offset: Option<(f64, f64)>) -> JobTimes {
        let at = |key: &str, second: &str| format!(r#""{key}":"2026-01-01T00:05:{second}Z""#);
        let times = [at("queuedAt", queued), at("startedAt", started), at("endedAt", "09.5")].join(",");
        journey(&format!(r#"{{{POLLED},{SEEN},"serverTimes":{{{times}}}}}"#), offset)
    }

    #[test]
    fn a_start_is_held_against_the_polls_that_saw_the_job_wait_and_run() {
        let known = Some((300.0, 0.05));
        let right = told("00.05", "02.1", known);
        assert!(right.contradictions.is_empty());
        near(right.queue, 2.05, 2.05, 2.05);
        near(right.run, 7.4, 7.4, 7.4);
        for (started, by) in [("02.7", 0.45), ("01.5", 0.45), ("09.5", 7.25)] {
            let wrong = told("00.05", started, known);
            let found = |time| wrong.contradictions.seconds(time);
            assert!(found(ServerTime::Started).is_some_and(|seconds| (seconds - by).abs() < 1e-6), "{wrong:?}");
            assert_eq!(found(ServerTime::Ended), None);
            near(wrong.queue, 2.1, 1.9, 2.2);
            near(wrong.run, 7.3, 7.25, 7.55);
        }
    }

    #[test]
    fn without_an_offset_the_run_is_held_against_the_polls() {
        assert!(told("00.05", "02.1", None).contradictions.is_empty());
        // From 02.2 at the latest until 9 at the earliest it ran for 6.8 s at least, and for 8 s at most.
        for started in ["02.9", "01.3"] {
            let wrong = told("00.05", started, None);
            assert!(!wrong.contradictions.is_empty(), "{started}");
            near(wrong.queue, 2.1, 1.9, 2.2);
        }
    }

    #[test]
    fn a_wait_that_is_longer_than_the_polls_allow_is_not_used_although_the_clocks_may_lie_apart() {
        // The offset would allow either of the two, and not both; with no end to hold the start against.
        let times = r#""serverTimes":{"queuedAt":"2026-01-01T00:05:00Z","startedAt":"2026-01-01T00:05:04Z"}"#;
        for offset in [Some((301.0, 3.0)), None] {
            let wrong = journey(&format!("{{{POLLED},{SEEN},{times}}}"), offset);
            assert!(!wrong.contradictions.is_empty());
            near(wrong.queue, 2.1, 1.9, 2.2);
        }
    }

    #[test]
    fn a_wrong_queueing_time_is_not_charged_to_a_start_that_agrees_with_the_polls() {
        use ServerTime::{Ended, Queued, Started};

        let known = Some((300.0, 0.05));
        let times = |offset: Option<(f64, f64)>, queued: &str, started: &str, ended: &str| {
            let at = |key: &str, minute: &str| format!(r#""{key}":"2026-01-01T00:{minute}Z""#);
            let times = [at("queuedAt", queued), at("startedAt", started), at("endedAt", ended)].join(",");
            journey(&format!(r#"{{{POLLED},{SEEN},"serverTimes":{{{times}}}}}"#), offset)
        };
        let wrong = |times: &JobTimes| {
            ServerTime::ALL.into_iter().filter(|time| times.contradictions.seconds(*time).is_some()).collect::<Vec<_>>()
        };
        // Whether clocks are compared or not, one time is wrong and the two others agree.
        for offset in [known, Some((300.0, 200.0)), None] {
            let early = times(offset, "00:00.05", "05:02.1", "05:09.5");
            assert_eq!(wrong(&early), [Queued], "{offset:?}");
            near(early.run, 7.4, 7.4, 7.4);
            assert_eq!(wrong(&times(offset, "05:00.05", "01:02.1", "05:09.5")), [Started], "{offset:?}");
            assert_eq!(wrong(&times(offset, "05:00.05", "05:02.1", "09:09.5")), [Ended], "{offset:?}");
        }
        // All three are apart: nothing tells which one is right.
        assert_eq!(wrong(&times(None, "00:00.05", "03:02.1", "07:09.5")), [Queued, Started, Ended]);
        let times = r#""serverTimes":{"queuedAt":"2026-01-01T00:00:00Z","startedAt":"2026-01-01T00:05:02.1Z"}"#;
        let told = |offset| journey(&format!("{{{POLLED},{SEEN},{times}}}"), offset);
        assert_eq!((wrong(&told(known)), wrong(&told(None))), (vec![Queued], vec![Queued, Started]));
    }

    #[test]
    fn queueing_comes_before_the_start() {
        let without = told("02.5", "02.1", None);
        assert!(!without.contradictions.is_empty());
        near(without.queue, 2.1, 1.9, 2.2);
        // Then the wait counts from the submission, at the latest from its answer.
        let late = told("04", "02.1", Some((300.0, 0.05)));
        assert!(!late.contradictions.is_empty());
        near(late.queue, 2.0, 1.95, 2.15);
    }

    #[test]
    fn a_start_before_the_answer_or_of_a_later_attempt_contradicts_nothing() {
        let early = POLLED.replace("00:00:00.1Z", "00:00:01Z");
        let times = r#""startedAt":"2026-01-01T00:00:01.1Z","serverTimes":{"startedAt":"2026-01-01T00:05:00.5Z"}"#;
        let early = journey(&format!("{{{early},{times}}}"), Some((300.0, 0.05)));
        assert!(early.contradictions.is_empty(), "{early:?}");
        near(early.queue, 0.275, 0.0, 0.55);
        let stages = r#""stages":[{"name":"a","phase":"Done","attempt":2}]"#;
        let times = r#""serverTimes":{"startedAt":"2026-01-01T00:05:06Z","endedAt":"2026-01-01T00:05:09.5Z"}"#;
        let again = journey(&format!("{{{POLLED},{SEEN},{times},{stages}}}"), Some((300.0, 0.05)));
        assert!(again.contradictions.is_empty(), "{again:?}");
    }

    #[test]
    fn a_job_of_which_only_its_status_is_known_has_parts_all_the_same() {
        let parts = journey(&format!("{{{POLLED},{SEEN}}}"), None);
        near(parts.queue, 2.1, 1.9, 2.2);
        near(parts.run, 7.8, 6.8, 8.0);
    }
}
