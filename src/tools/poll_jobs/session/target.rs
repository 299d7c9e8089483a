//! The target of the polls: the one that `--target` names, else the one in the Run record, else the profile's.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::super::Args;
use crate::cli::{Console, Failure, Stop};
use crate::clock::{Clock, OffsetBounds};
use crate::health;
use crate::http::{BaseUrl, Client};
use crate::listing::Listing;
use crate::profile::{Profile, Request};
use crate::record::{Job, RunSpec, SettingsAfter};
use crate::target::{TargetArgs, poll_request};
use crate::token::Tokens;

/// The target, and the profile through which it is polled.
pub(super) struct PollTarget<'a> {
    args: &'a TargetArgs,
    pub(super) profile: Arc<Profile>,
    base: Option<BaseUrl>,
    /// Targets of Runs that `--target` overrides, each reported once.
    overridden: BTreeSet<String>,
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
        let (profile, overridden) = (Arc::new(profile), BTreeSet::new());
        let mut target = Self { args, profile, base: None, overridden, client, tokens };
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

    /// Adopts the target that a Run names, unless `--target` names one; reports contradictions.
    pub(super) fn adopt(&mut self, run: &RunSpec, console: &Console) -> Result<(), Failure> {
        if let Some(target) = &run.target {
            let theirs = BaseUrl::parse(target, "the Run's spec.target")?;
            match &self.base {
                None => {
                    self.check_secrets(&theirs)?;
                    self.set_base(theirs);
                }
                Some(ours) if ours.as_str() != theirs.as_str() && self.overridden.insert(target.clone()) => {
                    console.say(&format!(
                        "the jobs were submitted to {} and are polled at {}, because --target or TARGET says so",
                        theirs.as_str(),
                        ours.as_str()
                    ));
                }
                Some(_) => {}
            }
        }
        if let Some(name) = run.profile.as_ref().filter(|name| **name != self.profile.name) {
            let own = &self.profile.name;
            console.say(&format!(
                "the jobs were submitted through the profile {name} and are polled through {own}: is --profile missing?"
            ));
        }
        Ok(())
    }

    /// Requests the target's settings once more, after the last job. None if the profile names none or the target is not known.
    pub(super) fn settings_after(&self, clock: &Clock, console: &Console, stop: &Stop) -> Option<SettingsAfter> {
        let base = self.base.as_ref().filter(|_| !self.profile.health.settings.is_empty())?;
        // The offset of the clocks is known from the polls.
        let mut unused = OffsetBounds::default();
        Some(match health::probe(&self.client, base, &self.profile, clock, &mut unused, console, stop) {
            Ok(values) => SettingsAfter { values, error: None },
            Err(unhealthy) => SettingsAfter { error: Some(unhealthy.message), ..SettingsAfter::default() },
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

    /// Checks the health of the target that the jobs of `runs` were submitted to. The inner error is the cause if it is
    /// not healthy.
    pub(super) fn check_health(
        &mut self,
        mut runs: impl Iterator<Item = RunSpec>,
        clock: &Clock,
        console: &Console,
        stop: &Stop,
    ) -> Result<Result<(), String>, Failure> {
        if self.base.is_none()
            && let Some(target) = runs.find_map(|run| run.target)
        {
            let theirs = BaseUrl::parse(&target, "the Run's spec.target")?;
            self.check_secrets(&theirs)?;
            self.set_base(theirs);
        }
        let base = self.base()?;
        // The offset counts by the Run's clock, which is not adopted yet.
        let mut unused = OffsetBounds::default();
        Ok(health::probe(&self.client, &base, &self.profile, clock, &mut unused, console, stop)
            .map(drop)
            .map_err(|unhealthy| unhealthy.with_hint(&self.profile, &base).message))
    }

    /// The request that polls `job`, or begins the list if only that tells of it.
    pub(super) fn request(&mut self, job: &Job, id: &str) -> Result<Request, Failure> {
        let base = self.base()?;
        let request = match Listing::new(self.profile.clone(), base.clone(), &self.args.set, job) {
            Some(listing) if !self.profile.polls_each() => listing.first_request(),
            _ => poll_request(job, id, &self.profile, &base, &self.args.set),
        };
        request.map_err(|error| Failure::usage(format!("{}: {error}", job.metadata.name)))
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
