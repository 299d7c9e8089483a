//! The spans that the pipeline leaves behind.
//!
//! Trace context crosses the broker: a stage's span is the child of the span that published its message, so that one job is one
//! trace, under the trace id of its POST's `traceparent`.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::Pipeline;
use crate::chance::Purpose;
use crate::fault::{self, Kind};
use crate::job::Job;
use crate::message::Message;
use crate::stage::{Service, Stage, Tenant};
use crate::telemetry::{Span, SpanKind, SpanText, TagValue};

/// Stands for the submit span where others have a stage.
const SUBMIT: u64 = u64::MAX;

/// One change of tenant, as it was timed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Switch {
    /// Its place among all switches, from 1.
    pub(crate) ordinal: u64,
    pub(crate) from: Option<Tenant>,
    pub(crate) to: Option<Tenant>,
    pub(crate) start: DateTime<Utc>,
    pub(crate) unload: Duration,
    pub(crate) load: Duration,
}

impl Pipeline {
    /// The id of the span of a stage's attempt, known before the span has ended.
    pub(super) fn stage_span(&self, ordinal: u64, stage: Stage, attempt: u32) -> u64 {
        self.chance.id(Purpose::SpanId, [ordinal, stage as u64, u64::from(attempt)])
    }

    pub(super) fn submit_span(&self, ordinal: u64) -> u64 {
        self.chance.id(Purpose::SpanId, [ordinal, SUBMIT, 0])
    }

    fn record(&self, ordinal: u64, span: Span) {
        if !fault::any(&self.options.faults.lose_trace, self.chance, Kind::LoseTrace, ordinal) {
            self.recorder.record(span);
        }
    }

    pub(super) fn trace_submit(&self, job: &Job) {
        let duration = job.submission.received.elapsed();
        let span = Span {
            trace: job.trace,
            id: self.submit_span(job.ordinal),
            parent: job.submission.parent.map(|parent| parent.span),
            name: "autorag.job.submit".to_owned(),
            service: Service::Api.name(),
            kind: SpanKind::Server,
            start: self.clock.now() - delta(duration),
            duration,
            tags: vec![
                ("job.id", TagValue::Text(job.id.clone())),
                ("job.session_id", TagValue::Text(job.session.clone())),
                ("job.source", TagValue::Text(job.submission.source.clone())),
                ("job.source_kind", TagValue::Text("path".to_owned())),
            ],
            error: None,
            text: SpanText::default(),
        };
        self.record(job.ordinal, span);
    }

    pub(super) fn trace_stage(&self, job: &Job, message: Message, duration: Duration, error: Option<String>) {
        let stage = message.stage;
        let span = Span {
            trace: job.trace,
            id: self.stage_span(job.ordinal, stage, message.attempt),
            parent: Some(message.parent),
            name: format!("autorag.stage.{stage}"),
            service: stage.worker().service().name(),
            kind: SpanKind::Consumer,
            start: self.clock.now() - delta(duration),
            duration,
            tags: vec![
                ("job.id", TagValue::Text(job.id.clone())),
                ("stage.name", TagValue::Text(stage.name().to_owned())),
                ("stage.attempt", TagValue::Int(i64::from(message.attempt))),
                ("messaging.system", TagValue::Text("rabbitmq".to_owned())),
                ("messaging.destination.name", TagValue::Text(stage.queue().to_owned())),
            ],
            error,
            text: SpanText::default(),
        };
        self.record(job.ordinal, span);
    }

    /// A switch belongs to the trace of the message that it was made for; emptying an idle GPU belongs to none.
    pub(crate) fn trace_switch(&self, switch: Switch, message: Message) {
        let world = self.world();
        let job = &world.jobs[message.job];
        let (trace, ordinal) = (job.trace, job.ordinal);
        drop(world);
        // Keyed by the switch, far from the ordinals of jobs.
        let id = |step| self.chance.id(Purpose::SpanId, [u64::MAX - switch.ordinal, step, 0]);
        let span = |step, parent, name: &str, start, duration, tenant: Option<Tenant>| Span {
            trace,
            id: id(step),
            parent: Some(parent),
            name: name.to_owned(),
            service: Service::GpuWorker.name(),
            kind: SpanKind::Internal,
            start,
            duration,
            tags: vec![("gpu.tenant", TagValue::Text(Tenant::word(tenant).to_owned()))],
            error: None,
            text: SpanText::default(),
        };
        let Switch { from, to, start, unload, load, .. } = switch;
        if from.is_some() {
            self.record(ordinal, span(1, id(0), "autorag.gpu.unload", start, unload, from));
        }
        let loading = start + delta(unload);
        self.record(ordinal, span(2, id(0), "autorag.gpu.load", loading, load, to));
        self.record(ordinal, span(0, message.parent, "autorag.gpu.acquire", start, unload + load, to));
    }
}

/// Pipeline durations are far inside the range of a `TimeDelta`.
fn delta(duration: Duration) -> TimeDelta {
    TimeDelta::from_std(duration).unwrap_or(TimeDelta::MAX)
}
