//! The harness's own series: jobs in flight by phase, submissions, ends, durations, the account of the jobs and the verdict.
//!
//! They are sampled at every change and at the longest interval at which the captured metrics were, so that a server whose
//! lookback fits those shows these as well.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::recorded::Recorded;
use super::shift::Shift;
use super::sorter::Sorter;
use crate::cli::Failure;
use crate::figures::job_timeline::JobTimeline;
use crate::figures::outcome::Outcome;
use crate::figures::tally::JobEntry;
use crate::record::{Job, JobStatus, Reason, Timestamp, Window};

/// Bounds of the buckets of durations, in seconds.
const BUCKETS: [f64; 16] =
    [0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0, 2500.0, 5000.0];
/// The interval if no metric was captured, in seconds.
const INTERVAL: f64 = 1.0;

/// Consumes a sample: name, labels, milliseconds and value.
pub(super) type OnSample<'a> = &'a mut dyn FnMut(&str, &[(&'static str, String)], i64, f64) -> Result<(), Failure>;

/// The form of a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Form {
    /// The sum of all changes so far.
    Sum,
    /// A histogram of the values so far.
    Histogram,
}

type Label = Option<(&'static str, String)>;

/// A change of a series at a moment, in microseconds since the epoch. The value stands as its bits, which have an order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Event {
    series: u32,
    at: i64,
    value: u64,
}

/// The changes of all series of one scenario.
pub(super) struct Harness {
    series: BTreeMap<(&'static str, Label), u32>,
    forms: Vec<(&'static str, Label, Form)>,
    sorter: Sorter<Event>,
    window: Option<Window>,
}

impl Harness {
    /// Reads the changes from the jobs of `recorded`.
    pub(super) fn read(recorded: &Recorded<'_>) -> Result<Self, Failure> {
        let mut harness =
            Self { series: BTreeMap::new(), forms: Vec::new(), sorter: Sorter::default(), window: recorded.window };
        let Some(window) = recorded.window else { return Ok(harness) };
        let mut account: BTreeMap<Outcome, f64> = BTreeMap::new();
        recorded.for_each_job(&mut |entry, job| {
            *account.entry(entry.outcome).or_default() += 1.0;
            harness.add_job(entry, job)
        })?;
        for (outcome, jobs) in account {
            harness.add("stress_jobs", Some(("outcome", outcome.column())), window.start, jobs)?;
        }
        if let Some(report) = &recorded.source.scenario.report {
            let verdict = Some(("verdict", format!("{:?}", report.status.verdict)));
            harness.add("stress_verdict", verdict, window.start, 1.0)?;
        }
        Ok(harness)
    }

    fn add_job(&mut self, entry: &JobEntry, job: Option<&Job>) -> Result<(), Failure> {
        let Some(status) = job.map(|job| &job.status) else { return Ok(()) };
        let Some(submitted) = status.submitted_at else { return Ok(()) };
        self.add("stress_jobs_submitted_total", None, submitted, 1.0)?;
        let ended = entry.ended_at();
        if let Some(at) = ended {
            self.add("stress_jobs_ended_total", Some(("outcome", entry.outcome.column())), at, 1.0)?;
        }
        if let Some((seconds, at)) = entry.times.end_to_end.zip(ended).filter(|_| entry.outcome == Outcome::Succeeded) {
            self.observe("stress_job_end_to_end_seconds", at, seconds.seconds)?;
        }
        self.add_phases(entry, status, submitted, ended)?;
        for stage in entry.stages() {
            let (times, stage) = (&stage.times, || Some(("stage", stage.name.to_string())));
            if let Some((wait, at)) = times.wait().zip(times.started) {
                self.add("stress_stage_wait_seconds_sum", stage(), at.at, wait.seconds)?;
                self.add("stress_stage_wait_seconds_count", stage(), at.at, 1.0)?;
            }
            if let Some((work, at)) = times.work().zip(times.ended.map(|end| end.at).or(ended)) {
                self.add("stress_stage_work_seconds_sum", stage(), at, work.seconds)?;
                self.add("stress_stage_work_seconds_count", stage(), at, 1.0)?;
            }
        }
        Ok(())
    }

    /// A job in flight is submitting until its answer, then waiting until its first stage or the target's own status shows it
    /// started, then running. A job of which that is not known is only accepted. What the target refused is not in flight.
    fn add_phases(
        &mut self,
        entry: &JobEntry,
        status: &JobStatus,
        submitted: Timestamp,
        ended: Option<Timestamp>,
    ) -> Result<(), Failure> {
        if entry.outcome == Outcome::Rejected || entry.reason == Some(Reason::Collapsed) {
            return Ok(());
        }
        let timeline = JobTimeline::new(entry);
        let by_stage = timeline.iter().flat_map(|job| &job.stages).map(|stage| stage.started.at).min();
        let started = by_stage.or(status.started_at);
        let within = |at: Timestamp| ended.map_or(at, |end| at.min(end)).max(submitted);
        let mut phases = vec![("submitting", submitted)];
        if let Some(accepted) = status.accepted_at {
            phases.push((if started.is_some() { "waiting" } else { "accepted" }, within(accepted)));
        }
        // Work may begin before a slow answer to the submission arrives.
        if let Some(started) = started {
            phases.push(("running", within(started.max(status.accepted_at.unwrap_or(submitted)))));
        }
        let ends = phases.iter().skip(1).map(|(_, at)| Some(*at)).chain([ended]).collect::<Vec<_>>();
        for ((phase, from), to) in phases.into_iter().zip(ends) {
            if to == Some(from) {
                continue;
            }
            self.add("stress_jobs_in_flight", Some(("phase", phase.to_owned())), from, 1.0)?;
            if let Some(to) = to {
                self.add("stress_jobs_in_flight", Some(("phase", phase.to_owned())), to, -1.0)?;
            }
        }
        Ok(())
    }

    fn add(&mut self, name: &'static str, label: Label, at: Timestamp, value: f64) -> Result<(), Failure> {
        self.push(name, label, Form::Sum, at, value)
    }

    fn observe(&mut self, name: &'static str, at: Timestamp, value: f64) -> Result<(), Failure> {
        self.push(name, None, Form::Histogram, at, value)
    }

    fn push(&mut self, name: &'static str, label: Label, form: Form, at: Timestamp, value: f64) -> Result<(), Failure> {
        let key = (name, label);
        let series = if let Some(series) = self.series.get(&key) {
            *series
        } else {
            let series = u32::try_from(self.forms.len()).map_err(|_| Failure::input_output("too many series"))?;
            self.forms.push((name, key.1.clone(), form));
            self.series.insert(key, series);
            series
        };
        self.sorter.push(Event { series, at: at.micros(), value: value.to_bits() })
    }

    /// Hands every sample to `each`: of one series in the order of time. `interval` is the longest one of the captured metrics.
    pub(super) fn write(self, shift: Shift, interval: Option<f64>, each: OnSample<'_>) -> Result<(), Failure> {
        let Some(window) = self.window else { return Ok(()) };
        let interval = interval.unwrap_or(INTERVAL).max(0.001);
        #[expect(clippy::cast_possible_truncation, reason = "an interval of scrapes is some seconds")]
        let step = (interval * 1e3).floor() as i64;
        let ends = [window.start, window.end].map(|at| shift.to_prometheus(at).div_euclid(1000));
        let moved = shift.to_prometheus(Timestamp::from_micros(0));
        let mut writer = Writer { step, first: ends[0] - step, last: ends[1] + step, each, sampled: None };
        let forms = self.forms;
        self.sorter.finish().for_each(|event| {
            let form = &forms[event.series as usize];
            writer.take(event.series, form, (event.at + moved).div_euclid(1000), f64::from_bits(event.value))
        })?;
        writer.finish()
    }
}

/// One series while it is sampled.
struct Sampled {
    series: u32,
    name: &'static str,
    labels: Vec<(&'static str, String)>,
    form: Form,
    /// The next time at which it is sampled whether it changed or not.
    next: i64,
    /// The time of a change that was not sampled yet, because more may come in the same millisecond.
    changed: Option<i64>,
    sum: f64,
    count: f64,
    buckets: [f64; BUCKETS.len()],
}

/// Samples series at their changes and at every step.
struct Writer<'a> {
    step: i64,
    first: i64,
    last: i64,
    each: OnSample<'a>,
    sampled: Option<Sampled>,
}

impl Writer<'_> {
    fn take(
        &mut self,
        series: u32,
        (name, label, form): &(&'static str, Label, Form),
        at: i64,
        value: f64,
    ) -> Result<(), Failure> {
        let mut one = match self.sampled.take() {
            Some(one) if one.series == series => one,
            before => {
                self.end(before)?;
                Sampled {
                    series,
                    name,
                    labels: label.iter().cloned().collect(),
                    form: *form,
                    next: self.first.min(at - 1),
                    changed: None,
                    sum: 0.0,
                    count: 0.0,
                    buckets: [0.0; BUCKETS.len()],
                }
            }
        };
        self.until(&mut one, at)?;
        one.sum += value;
        one.count += 1.0;
        for (bucket, bound) in one.buckets.iter_mut().zip(BUCKETS) {
            *bucket += f64::from(u8::from(value <= bound));
        }
        one.changed = Some(at).filter(|_| *form == Form::Sum);
        self.sampled = Some(one);
        Ok(())
    }

    /// Samples `one` at its last change and at the steps, as far as they lie before `end`.
    fn until(&mut self, one: &mut Sampled, end: i64) -> Result<(), Failure> {
        loop {
            let at = one.changed.map_or(one.next, |changed| changed.min(one.next));
            if at >= end {
                return Ok(());
            }
            if one.changed == Some(at) {
                one.changed = None;
            }
            if one.next == at {
                one.next += self.step;
            }
            self.sample(one, at)?;
        }
    }

    fn sample(&mut self, one: &Sampled, at: i64) -> Result<(), Failure> {
        if one.form == Form::Sum {
            return (self.each)(one.name, &one.labels, at, one.sum);
        }
        let bounds = BUCKETS.iter().map(ToString::to_string).zip(one.buckets).chain([("+Inf".to_owned(), one.count)]);
        for (bound, count) in bounds {
            (self.each)(&format!("{}_bucket", one.name), &[("le", bound)], at, count)?;
        }
        (self.each)(&format!("{}_sum", one.name), &[], at, one.sum)?;
        (self.each)(&format!("{}_count", one.name), &[], at, one.count)
    }

    fn finish(mut self) -> Result<(), Failure> {
        let last = self.sampled.take();
        self.end(last)
    }

    /// Samples `one` up to the end of the window, or to its last change, which a server's time may put behind that.
    fn end(&mut self, one: Option<Sampled>) -> Result<(), Failure> {
        let Some(mut one) = one else { return Ok(()) };
        let last = one.changed.map_or(self.last, |changed| changed.max(self.last));
        self.until(&mut one, last + 1)
    }
}
