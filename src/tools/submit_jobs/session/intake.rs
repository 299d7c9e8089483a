//! What is read: Runs are told what was asked, jobs are put into the queue, everything else is handed on.

use super::Session;
use crate::cli::{Exit, Failure};
use crate::input::Permits;
use crate::ndjson::{Line, Read, Writer};
use crate::record::{Job, JobStatus, Kind, Phase, Reason, Record, Run, RunSpec, differences};
use crate::runs::write_status;
use crate::tools::submit_jobs::admission::Admission;

impl Session<'_> {
    pub(super) fn hear_line(&mut self, read: Read, permits: &Permits, out: &mut Writer<'_>) -> Result<(), Failure> {
        match self.account.take(read, &self.console) {
            Some(Line::Record(record)) if record.kind() == Kind::Job => return self.admit(record, permits, out),
            Some(Line::Record(record)) if record.kind() == Kind::Run => self.hear_run(record, out)?,
            Some(line) => out.line(&line)?,
            None => {}
        }
        permits.give();
        Ok(())
    }

    fn hear_run(&mut self, record: Record, out: &mut Writer<'_>) -> Result<(), Failure> {
        let mut spec = RunSpec {
            target: Some(self.base.as_str().to_owned()),
            profile: Some(self.profile.name.clone()),
            stages: self.profile.stage_specs(),
            ..RunSpec::default()
        };
        Admission::describe(self.args, &mut spec);
        let Run { metadata, spec: asked, .. } = record.read().map_err(|error| Failure::usage(error.to_string()))?;
        if asked.warmup.is_some() {
            self.needs_slots();
            spec.rest_seconds = Some(self.args.rest.as_secs_f64());
        }
        // A Run comes again as more is known of it; what differs is said once, and before anything is submitted.
        for difference in differences(&metadata.labels, &self.settings) {
            if self.said.insert(difference.clone()) {
                self.console.say(&difference);
            }
        }
        let (_, clock) = self.runs.pass(record, self.console.tool(), &spec, self.clock.now(), out)?;
        if let Some(clock) = clock {
            self.schedule = self.schedule.map(|began| clock.now().shifted(began.since(self.clock.now())));
            self.clock = clock;
        }
        Ok(())
    }

    /// Warm-up jobs that nobody hears end cannot be kept apart from the counted ones.
    fn needs_slots(&mut self) {
        if !self.admission.is_closed() {
            let message = "only the closed model hears when warm-up jobs have ended: type `submit-jobs --concurrency N --slots FIFO | \
                 poll-jobs --slots FIFO`, or stage without --warmup";
            self.abort(Exit::Usage, Reason::NoSlots, message.to_owned());
        }
    }

    /// Puts a job into the queue, or hands it on where there is nothing to submit.
    pub(super) fn admit(&mut self, mut record: Record, permits: &Permits, out: &mut Writer<'_>) -> Result<(), Failure> {
        let job: Job = record.read().map_err(|error| Failure::usage(error.to_string()))?;
        let name = (job.metadata.run.clone(), job.metadata.name.clone());
        if job.status.phase != Phase::Staged || self.submitted.contains(&name) {
            self.handed_on += 1;
            // poll-jobs follows it as any other, and frees a slot at its end.
            if job.status.phase == Phase::Submitted && job.open_id().is_some() && self.submitted.insert(name) {
                self.admission.taken();
            }
            permits.give();
            return out.record(&record);
        }
        self.submitted.insert(name);
        if job.is_warmup() {
            self.needs_slots();
        }
        if job.spec.source.is_empty() {
            permits.give();
            let status = JobStatus {
                phase: Phase::Rejected,
                reason: Some(Reason::NoSource),
                message: Some("the record has no spec.source".to_owned()),
                observed_at: Some(self.clock.now()),
                ..JobStatus::default()
            };
            write_status(&mut record, &status)?;
            return out.record(&record);
        }
        if !self.sources.insert(job.spec.source.clone()) {
            self.console.say(&format!(
                "{}: an earlier job has the same source; the target may collapse the two",
                job.metadata.name
            ));
        }
        self.waiting.push_back((record, job));
        Ok(())
    }
}
