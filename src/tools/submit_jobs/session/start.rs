//! Before the first submission: the target's health check, and the steps that a profile makes once for a run.

use super::Session;
use crate::cli::{Exit, Failure};
use crate::health;
use crate::http::Client;
use crate::profile::{StepTime, TemplateValues};
use crate::record::Reason;
use crate::steps::{self, OwnLimit, Patience};

impl Session<'_, '_> {
    /// Probes the target; nothing is submitted to one that is not healthy.
    pub(super) fn check_health(&mut self, client: &Client) {
        let Self { base, profile, clock, offset, output, stop, .. } = self;
        match health::probe(client, base, profile, clock, offset, &output.console, stop) {
            Ok(settings) => self.settings = settings,
            Err(_) if self.stop.signal().is_some() => self.interrupt(),
            Err(unhealthy) => {
                let unhealthy = unhealthy.with_hint(&self.profile, &self.base);
                self.abort(Exit::Unreachable, unhealthy.reason, unhealthy.message);
            }
        }
    }

    /// Makes the steps before the first submission; nothing is submitted if one fails.
    pub(super) fn make_run_steps(&mut self, client: &Client) -> Result<(), Failure> {
        if self.aborted.is_some() || !self.profile.has_steps(StepTime::Run) {
            return Ok(());
        }
        let values = TemplateValues::of_set(&self.args.target.set);
        let (profile, base, client, clock) =
            (self.profile.clone(), self.base.clone(), client.clone(), self.clock.clone());
        let waits = self.scheduler.waits().clone();
        let steps = move || {
            let past_limit = |what: &str, began| waits.past_limit(what, began);
            let patience = Some(Patience::OwnLimits(&past_limit));
            steps::run(StepTime::Run, patience, &profile, &base, &values, None, &client, &clock, &mut |_, _| {})
        };
        match self.stop.unless_signalled(steps).map_err(|error| Failure::thread(&error))? {
            None => self.interrupt(),
            Some(outcome) => {
                self.run_steps = outcome;
                let Some(failure) = self.run_steps.failure.clone() else { return Ok(()) };
                let (exit, reason, failure) = match self.run_steps.own_limit {
                    None => (Exit::Unreachable, Reason::StepFailed, failure),
                    Some(OwnLimit::NotSent) => (Exit::InputOutput, Reason::OwnLimit, failure),
                    Some(OwnLimit::MayHaveRun) => {
                        (Exit::InputOutput, Reason::OwnLimit, format!("{failure}; the step may have run"))
                    }
                };
                self.abort(exit, reason, failure);
            }
        }
        Ok(())
    }
}
