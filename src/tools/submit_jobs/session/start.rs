//! Before the first submission: the target's health check, and the steps that a profile makes once for a run.
//!
//! Another thread makes them, so that Runs pass meanwhile: the tools behind this one then know of the run, whatever ends this one.

use std::collections::BTreeMap;

use super::Session;
use crate::cli::{Exit, Failure};
use crate::clock::OffsetBounds;
use crate::health::{self, Unhealthy};
use crate::http::Client;
use crate::profile::{StepTime, TemplateValues};
use crate::record::{ReadSettings, Reason, RunStatus};
use crate::steps::{self, OwnLimit, Patience, StepsOutcome};

/// The results of a session's start.
pub(super) struct Started {
    /// The target's settings, if it is healthy.
    health: Result<ReadSettings, Unhealthy>,
    offset: OffsetBounds,
    steps: StepsOutcome,
}

impl Session<'_, '_> {
    /// Probes the target and, if it is healthy, makes the steps before the first submission. Hands the results to `deliver`.
    pub(super) fn start(&self, client: Client, deliver: impl FnOnce(Started) + Send + 'static) -> Result<(), Failure> {
        let (profile, base, clock) = (self.profile.clone(), self.base.clone(), self.clock.clone());
        let (console, stop, waits) = (self.output.console.clone(), self.stop.clone(), self.scheduler.waits().clone());
        let values = TemplateValues::of_set(&self.args.target.set);
        let work = move || {
            let mut offset = OffsetBounds::default();
            let mut observe = |date, sent, received| {
                offset.observe(date, sent, received);
                None
            };
            let health = health::probe(&client, &base, &profile, &clock, &mut observe, &console, &stop);
            let past_limit = |what: &str, began| waits.past_limit(what, began);
            let patience = Some(Patience::OwnLimits(&past_limit));
            let steps = if health.is_ok() {
                steps::run(StepTime::Run, patience, &profile, &base, &values, None, &client, &clock, &mut |_, _| {})
            } else {
                StepsOutcome::default()
            };
            deliver(Started { health, offset, steps });
        };
        let spawned = std::thread::Builder::new().name("start".to_owned()).spawn(work);
        spawned.map(drop).map_err(|error| Failure::thread(&error))
    }

    /// Takes the results of the start; nothing is submitted to a target that is not healthy, or if a step failed.
    pub(super) fn take_start(&mut self, started: Started) -> Result<(), Failure> {
        let Started { health, offset, steps } = started;
        self.offset = offset;
        self.run_steps = steps;
        match health {
            Ok(settings) => self.settings = settings,
            Err(_) if self.stop.signal().is_some() => self.interrupt(),
            Err(unhealthy) => {
                let unhealthy = unhealthy.with_hint(&self.profile, &self.base);
                self.abort(Exit::Unreachable, unhealthy.reason, unhealthy.message);
            }
        }
        self.tell_settings()?;
        let Some(failure) = self.run_steps.failure.clone() else { return Ok(()) };
        let (exit, reason, failure) = match self.run_steps.own_limit {
            None => (Exit::Unreachable, Reason::StepFailed, failure),
            Some(OwnLimit::NotSent) => (Exit::InputOutput, Reason::OwnLimit, failure),
            Some(OwnLimit::MayHaveRun) => {
                (Exit::InputOutput, Reason::OwnLimit, format!("{failure}; the step may have run"))
            }
        };
        self.abort(exit, reason, failure);
        Ok(())
    }

    /// Writes the target's settings to the Runs that passed before they were known.
    fn tell_settings(&mut self) -> Result<(), Failure> {
        let now = self.clock.now();
        let labels: Vec<_> = self.output.runs.latest().map(|run| run.metadata.labels).collect();
        let mut status = RunStatus { observed_at: Some(now), ..RunStatus::default() };
        for labels in &labels {
            let told = self.settings_for(labels);
            self.output.report_settings(labels, &told.values, told.error.as_deref());
            (status.settings, status.settings_error) = (told.values, status.settings_error.or(told.error));
        }
        if status.settings.is_empty() && status.settings_error.is_none() {
            return Ok(());
        }
        self.output.runs.again(&status, &mut self.output.records)
    }

    /// The target's settings, and the reason why they cannot be read if a Run with these `labels` says what they should be.
    pub(super) fn settings_for(&self, labels: &BTreeMap<String, String>) -> ReadSettings {
        let is_setting = |label: &String| self.profile.health.settings.contains_key(label);
        let ReadSettings { values, error } = self.settings.clone();
        ReadSettings { values, error: error.filter(|_| labels.keys().any(is_setting)) }
    }
}
