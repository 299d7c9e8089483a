//! A trace in the JSON form that ui.perfetto.dev and `chrome://tracing` open: tracks of jobs, stages, workers and tenants, and
//! counters.
//!
//! A job is a thread: its stages lie below each other where they overlap. Stages, spans and tenancies of many jobs overlap in
//! any way, so they are asynchronous events, which both viewers lay out themselves. Times are microseconds by the harness's clock.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::harness::Harness;
use super::otlp_span::OtlpSpan;
use super::recorded::Recorded;
use super::samples;
use super::shift::Shift;
use super::sink::Out;
use super::slices::{Slice, WAIT, job_slices, lanes, stage_slices};
use super::spans;
use crate::cli::Failure;
use crate::figures::job_timeline::JobTimeline;
use crate::record::{Kind, Part, Timestamp, Traces};

/// A trace while it is written.
pub(super) struct Trace<'a> {
    out: Out<'a>,
    events: u64,
    processes: u64,
    /// The number of the last asynchronous event.
    pairs: u64,
}

impl<'a> Trace<'a> {
    /// Begins a trace.
    pub(super) fn new(mut out: Out<'a>) -> Result<Self, Failure> {
        write!(out, "{{\"displayTimeUnit\":\"ms\",\"traceEvents\":[")?;
        Ok(Self { out, events: 0, processes: 0, pairs: 0 })
    }

    /// Ends the trace.
    pub(super) fn finish(mut self) -> Result<(), Failure> {
        writeln!(self.out, "\n]}}")?;
        self.out.finish()
    }

    /// Writes a scenario. Returns true if all of its files could be read.
    pub(super) fn scenario(&mut self, recorded: &Recorded<'_>) -> Result<bool, Failure> {
        let title = recorded.source.labels.title();
        self.jobs(&title, recorded)?;
        self.tenants(&title, recorded)?;
        let has_spans = self.workers(&title, recorded)?;
        let has_samples = self.counters(&title, recorded)?;
        Ok(has_spans && has_samples)
    }

    fn jobs(&mut self, title: &str, recorded: &Recorded<'_>) -> Result<(), Failure> {
        let jobs = self.process(&format!("jobs: {title}"))?;
        let stages = self.process(&format!("stages: {title}"))?;
        let mut thread = 0;
        recorded.for_each_job(&mut |entry, job| {
            let Some(timeline) = JobTimeline::new(entry) else { return Ok(()) };
            for slice in stage_slices(&timeline, recorded.shift).filter(|slice| !slice.name.starts_with(WAIT)) {
                self.pair(stages, "stage", &slice.name, (slice.start, slice.end), &json!({"job": entry.name}))?;
            }
            for (lane, slices) in lanes(job_slices(entry, job, &timeline, recorded.shift)).into_iter().enumerate() {
                thread += 1;
                let name = if lane == 0 { entry.name.clone() } else { format!("{} ({})", entry.name, lane + 1) };
                self.metadata(jobs, thread, "thread_name", &json!({"name": name}))?;
                self.metadata(jobs, thread, "thread_sort_index", &json!({"sort_index": thread}))?;
                for Slice { name, start, end, args } in slices {
                    self.event(&json!({"ph": "X", "cat": "job", "name": name, "pid": jobs, "tid": thread,
                        "ts": start, "dur": end - start, "args": args}))?;
                }
            }
            Ok(())
        })
    }

    fn tenants(&mut self, title: &str, recorded: &Recorded<'_>) -> Result<(), Failure> {
        let mut process = None;
        for traces in recorded.fold.of_kind::<Traces>(Kind::Traces) {
            for tenancy in &traces.status.tenancies {
                let process = match process {
                    Some(process) => process,
                    None => *process.insert(self.process(&format!("tenants of the resource: {title}"))?),
                };
                let tenant = tenancy.tenant.as_deref().unwrap_or("unnamed tenant");
                let at = |time: Timestamp| recorded.shift.target(time);
                let ends = (at(tenancy.held_at), at(tenancy.released_at.unwrap_or(tenancy.seen_at)));
                self.pair(process, "tenant", tenant, ends, &json!({"service": traces.metadata.name}))?;
            }
        }
        Ok(())
    }

    fn workers(&mut self, title: &str, recorded: &Recorded<'_>) -> Result<bool, Failure> {
        let mut workers: BTreeMap<String, u64> = BTreeMap::new();
        let mut endless = 0_u64;
        let is_whole = spans::for_each(recorded, &mut |span| {
            let Some(ends) = ends(span, recorded.shift) else {
                endless += 1;
                return Ok(());
            };
            let worker = worker(span);
            let process = if let Some(process) = workers.get(&worker) {
                *process
            } else {
                let process = self.process(&format!("worker {worker}: {title}"))?;
                *workers.entry(worker).or_insert(process)
            };
            let args = json!({"traceId": span.text("traceId"), "spanId": span.text("spanId"),
                "parentSpanId": span.text("parentSpanId")});
            self.pair(process, "span", &span.text("name"), ends, &args)
        })?;
        if endless > 0 {
            recorded.console.say(&format!(
                "{}: spans without an end, which have no place in a trace, are left out: {endless}",
                recorded.source.shown
            ));
        }
        Ok(is_whole)
    }

    fn counters(&mut self, title: &str, recorded: &Recorded<'_>) -> Result<bool, Failure> {
        let process = self.process(&format!("counters: {title}"))?;
        let own = recorded.source.labels.pairs().map(|(name, _)| name).collect::<Vec<_>>();
        let mut not_finite = 0_u64;
        let remarks = samples::for_each(recorded, &mut |series| {
            // Parts of histograms would be many counters that say little.
            if series.query.role().is_some_and(|of| of.part.is_some()) || Part::of_metric(series.name).is_some() {
                return Ok(());
            }
            let labels = series.labels.iter().filter(|(name, _)| !own.contains(&name.as_str()));
            let labels: Vec<String> = labels.map(|(name, value)| format!("{name}={value}")).collect();
            let name = format!("{} {}", series.name, labels.join(" "));
            for (at, value) in series.samples {
                let value = value.number().map_err(Failure::input_output)?;
                if value.is_finite() {
                    self.counter(process, &name, recorded.shift.to_harness(*at), value)?;
                } else {
                    not_finite += 1;
                }
            }
            Ok(())
        })?;
        if not_finite > 0 {
            recorded.console.say(&format!(
                "{}: samples that are not finite numbers are left out: {not_finite}",
                recorded.source.shown
            ));
        }
        remarks.report(recorded);
        let harness = Harness::read(recorded)?;
        let seconds = recorded.window.map(|window| window.end.since(window.start).max(1.0));
        harness.write(recorded.shift.on_harness(), seconds, &mut |name, labels, milliseconds, value| {
            if name != "stress_jobs_in_flight" {
                return Ok(());
            }
            let phase = labels.first().map_or("", |(_, phase)| phase.as_str());
            self.counter(process, &format!("jobs in flight: {phase}"), milliseconds.saturating_mul(1000), value)
        })?;
        Ok(!remarks.is_broken())
    }

    fn counter(&mut self, process: u64, name: &str, at: i64, value: f64) -> Result<(), Failure> {
        self.event(&json!({"ph": "C", "name": name, "pid": process, "ts": at, "args": {"value": value}}))
    }

    /// Names a new process and returns its number.
    fn process(&mut self, name: &str) -> Result<u64, Failure> {
        self.processes += 1;
        let process = self.processes;
        self.metadata(process, 0, "process_name", &json!({"name": name}))?;
        self.metadata(process, 0, "process_sort_index", &json!({"sort_index": process}))?;
        Ok(process)
    }

    fn metadata(&mut self, process: u64, thread: u64, name: &str, args: &Value) -> Result<(), Failure> {
        self.event(&json!({"ph": "M", "name": name, "pid": process, "tid": thread, "args": args}))
    }

    /// Writes the begin and the end of an asynchronous event.
    fn pair(
        &mut self,
        process: u64,
        category: &str,
        name: &str,
        (start, end): (i64, i64),
        args: &Value,
    ) -> Result<(), Failure> {
        self.pairs += 1;
        let id = format!("{:#x}", self.pairs);
        self.event(&json!({"ph": "b", "cat": category, "name": name, "id": id, "pid": process, "tid": 0, "ts": start,
            "args": args}))?;
        self.event(&json!({"ph": "e", "cat": category, "name": name, "id": id, "pid": process, "tid": 0,
            "ts": end.max(start)}))
    }

    fn event(&mut self, event: &Value) -> Result<(), Failure> {
        self.events += 1;
        write!(self.out, "{}{event}", if self.events == 1 { "\n" } else { ",\n" })
    }
}

/// The start and the end of a span in microseconds, by the harness's clock; none without an end.
fn ends(span: &OtlpSpan<'_>, shift: Shift) -> Option<(i64, i64)> {
    let micros = |name| Some(span.text(name).parse::<i64>().ok()? / 1000);
    let (start, end) = (micros("startTimeUnixNano")?, micros("endTimeUnixNano")?);
    (end >= start).then(|| {
        let at = |micros| shift.target(Timestamp::from_micros(micros));
        (at(start), at(end))
    })
}

/// The process that reported a span: its service, and what tells it from others of it.
fn worker(span: &OtlpSpan<'_>) -> String {
    let instance = ["service.instance.id", "host.name", "process.pid", "hostname", "ip"];
    let instance = instance.into_iter().find_map(|key| span.resource_attribute(key));
    let service = span.service();
    instance.map_or(service.clone(), |instance| format!("{service} {instance}"))
}
