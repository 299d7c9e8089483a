//! The target of the polls: the one that `--target` names, else the one in the Run or the Job record, else the profile's.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::super::Args;
use super::super::hidden_cache::HiddenCache;
use super::super::job::Moved;
use super::Session;
use crate::cli::{Console, Failure, Stop};
use crate::clock::Clock;
use crate::escape;
use crate::health;
use crate::http::{BaseUrl, Client};
use crate::listing::Listing;
use crate::profile::{Profile, Request};
use crate::record::{Job, ReadSettings, Run, RunSpec};
use crate::target::{TargetArgs, poll_request};
use crate::token::Tokens;

/// The target, and the profile through which it is polled.
pub(super) struct PollTarget<'a> {
    args: &'a TargetArgs,
    pub(super) profile: Arc<Profile>,
    base: Option<BaseUrl>,
    /// Targets of Runs and jobs that `--target` overrides, each reported once.
    overridden: BTreeSet<String>,
    /// The target of each run whose Run names one.
    of_runs: HashMap<String, String>,
    /// The client of the health check.
    client: Client,
    tokens: Option<Arc<Tokens>>,
}

impl<'a> PollTarget<'a> {
    pub(super) fn new(
        args: &'a Args,
        profile: Profile,
        client: Client,
        tokens: Option<Arc<Tokens>>,
    ) -> Result<Self, Failure> {
        let args = &args.target;
        let (profile, overridden, of_runs) = (Arc::new(profile), BTreeSet::new(), HashMap::new());
        let mut target = Self { args, profile, base: None, overridden, of_runs, client, tokens };
        if let Some(base) = args.base_url()? {
            target.set_base(base);
        }
        Ok(target)
    }

    fn set_base(&mut self, base: BaseUrl) {
        if let Some(tokens) = &self.tokens {
            tokens.set_base(&base);
        }
        self.base = Some(base);
    }

    /// Describes the unanswered token request for which all polls wait, if there is one.
    pub(super) fn awaited_token(&self, clock: &Clock) -> Option<String> {
        self.tokens.as_ref()?.awaited(clock)
    }

    /// Deletes the token that the tools of the pipe shared.
    pub(super) fn delete_token(&self) -> Result<(), Failure> {
        self.tokens.as_ref().map_or(Ok(()), |tokens| tokens.delete_file())
    }

    /// Adopts the target that the Run of `run_id` names, unless `--target` names one; reports contradictions.
    pub(super) fn adopt(&mut self, run_id: &str, run: &RunSpec, console: &Console) -> Result<(), Failure> {
        if let Some(target) = &run.target {
            let ours = self.base_or(target, "the Run's spec.target")?;
            if let Some(theirs) = ours.other(target) {
                self.report_other(&theirs, &ours, console);
            }
            self.of_runs.insert(run_id.to_owned(), target.clone());
        }
        if let Some(name) = run.profile.as_ref().filter(|name| **name != self.profile.name) {
            let own = &self.profile.name;
            console.say(&format!(
                "the jobs were submitted through the profile {name} and are polled through {own}: is --profile missing?"
            ));
        }
        Ok(())
    }

    /// The target that `job` was submitted to, by its own record or its Run's, and the one at which it is polled, if the two differ.
    pub(super) fn moved(&mut self, job: &Job, console: &Console) -> Option<Moved> {
        let ours = self.base.clone()?;
        let of_run = self.of_runs.get(&job.metadata.run);
        let theirs = ours.other(job.status.target.as_ref().or(of_run)?)?;
        // Where the Run names our target, the submit-jobs that was given it has reported the difference.
        if of_run.is_none_or(|target| ours.other(target).is_some()) {
            self.report_other(&theirs, &ours, console);
        }
        Some(Moved { from: theirs, to: ours.as_str().to_owned() })
    }

    /// Returns true if `target` is not the one at which jobs are polled.
    pub(super) fn is_other(&self, target: &str) -> bool {
        self.base.as_ref().is_some_and(|ours| ours.other(target).is_some())
    }

    /// Says once that jobs were submitted to `theirs`.
    fn report_other(&mut self, theirs: &str, ours: &BaseUrl, console: &Console) {
        if self.overridden.insert(theirs.to_owned()) {
            let theirs = escape::start(theirs, 200);
            console.say(&format!(
                "jobs were submitted to {theirs} and are polled at {}; if these are two servers, stop and resume with --target {theirs}",
                ours.as_str()
            ));
        }
    }

    /// Requests the target's settings once more, after the last job. None if the profile names none or the target is not known. The
    /// dates of the polls show whether a cache answers, which `caches` knows.
    fn settings_after(
        &self,
        clock: &Clock,
        caches: &HiddenCache,
        console: &Console,
        stop: &Stop,
    ) -> Option<ReadSettings> {
        let base = self.base.as_ref().filter(|_| !self.profile.health.settings.is_empty())?;
        let mut observe = |date, sent, received| caches.other_age(date, (sent, received));
        Some(match health::probe(&self.client, base, &self.profile, clock, &mut observe, console, stop) {
            Ok(settings) => settings,
            Err(unhealthy) => ReadSettings { error: Some(unhealthy.message), ..ReadSettings::default() },
        })
    }

    /// Refuses to send secrets to a target that only the stream names: its author must not choose who receives them.
    fn check_secrets(&self, theirs: &BaseUrl) -> Result<(), Failure> {
        if !self.args.has_secrets(&self.profile) || theirs.as_str() == self.profile.target.trim_end_matches('/') {
            return Ok(());
        }
        Err(Failure::usage(format!(
            "the stream says that the jobs were submitted to {}: confirm it with --target or TARGET, because every poll carries the \
             headers of --header-file or --token-env, or the profile's token",
            theirs.as_str()
        )))
    }

    /// Checks the health of the target, which is the first of `targets` unless `--target` names one. The inner error is the cause if it
    /// is not healthy.
    pub(super) fn check_health(
        &mut self,
        mut targets: impl Iterator<Item = String>,
        clock: &Clock,
        console: &Console,
        stop: &Stop,
    ) -> Result<Result<(), String>, Failure> {
        let base = match targets.next() {
            Some(target) => self.base_or(&target, "the target in the records")?,
            None => self.base()?,
        };
        // The offset counts by the Run's clock, which is not adopted yet.
        Ok(health::probe(&self.client, &base, &self.profile, clock, &mut |_, _, _| None, console, stop)
            .map(drop)
            .map_err(|unhealthy| unhealthy.with_hint(&self.profile, &base).message))
    }

    /// The request that polls `job`, or begins the list if only that tells of it.
    pub(super) fn request(&mut self, job: &Job, id: &str) -> Result<Request, Failure> {
        let base = match &job.status.target {
            Some(target) => self.base_or(target, "the Job's status.target")?,
            None => self.base()?,
        };
        let request = match Listing::new(self.profile.clone(), base.clone(), &self.args.set, job) {
            Some(listing) if !self.profile.polls_each() => listing.first_request(),
            _ => poll_request(job, id, &self.profile, &base, &self.args.set),
        };
        request.map_err(|error| Failure::usage(format!("{}: {error}", job.metadata.name)))
    }

    /// The base URL of the target, which is `target` of a record, read from `place`, if none is known yet.
    fn base_or(&mut self, target: &str, place: &str) -> Result<BaseUrl, Failure> {
        if self.base.is_none() {
            let theirs = BaseUrl::parse(target, place)?;
            self.check_secrets(&theirs)?;
            self.set_base(theirs);
        }
        self.base()
    }

    /// The base URL of the target.
    pub(super) fn base(&mut self) -> Result<BaseUrl, Failure> {
        if let Some(base) = &self.base {
            return Ok(base.clone());
        }
        let base = self.args.base_url_or(&self.profile)?;
        self.set_base(base.clone());
        Ok(base)
    }
}

impl Session<'_, '_> {
    /// The settings after the last job, if a Run says anything about them: they may have changed since it began. After a signal nothing
    /// more is waited for.
    pub(super) fn settings_after(&self) -> Option<ReadSettings> {
        let is_known = self.output.runs.latest().any(|run| !run.status.settings.is_empty());
        // Without jobs the target need not be there. A resumed run whose jobs had all ended may find another target by now.
        if self.numbers.is_empty() && (self.args.resume || !is_known) {
            return None;
        }
        if self.stop.signal().is_some() {
            let error = "poll-jobs was stopped by a signal".to_owned();
            return is_known.then(|| ReadSettings { error: Some(error), ..ReadSettings::default() });
        }
        let names = &self.target.profile.health.settings;
        let is_labelled = |run: Run| run.metadata.labels.keys().any(|label| names.contains_key(label));
        let is_asked = is_known || self.output.runs.latest().any(is_labelled);
        let ask = || self.target.settings_after(&self.clock, &self.hidden_cache, &self.output.console, &self.stop);
        is_asked.then(ask).flatten()
    }
}
