//! What a Run tells: whose clock, which target, how many jobs.

use super::Session;
use crate::cli::Failure;
use crate::clock::OffsetBounds;
use crate::http::BaseUrl;
use crate::ndjson::Writer;
use crate::record::{Record, RunSpec};

impl Session<'_> {
    pub(super) fn hear_run(&mut self, record: Record, out: &mut Writer<'_>) -> Result<(), Failure> {
        let spec = RunSpec {
            deadline_seconds: Some(self.args.deadline.as_secs_f64()),
            lost_after_seconds: Some(self.args.lost_after.as_secs_f64()),
            precision: Some(self.args.precision),
            ..RunSpec::default()
        };
        let key = record.key().clone();
        let (run, clock) = self.runs.pass(record, self.console.tool(), &spec, self.clock.now(), out)?;
        if let Some(clock) = clock {
            self.clock = clock;
        }
        self.tally.expects(key, &run.spec);
        if let Some(offset) = run.status.clock_offset {
            self.offset = OffsetBounds::from_offset(offset);
        }
        if let Some(target) = &run.spec.target {
            let theirs = BaseUrl::parse(target, "the Run's spec.target")?;
            match &self.base {
                None => {
                    self.check_secrets(&theirs)?;
                    self.base = Some(theirs);
                }
                Some(ours) if ours.as_str() != theirs.as_str() && self.elsewhere.insert(target.clone()) => {
                    self.console.say(&format!(
                        "the jobs were submitted to {} and are asked for at {}, as --target or TARGET says",
                        theirs.as_str(),
                        ours.as_str()
                    ));
                }
                Some(_) => {}
            }
        }
        if let Some(name) = run.spec.profile.filter(|name| *name != self.profile.name) {
            let own = &self.profile.name;
            self.console.say(&format!(
                "the jobs were submitted through the profile {name} and are polled through {own}: is --profile missing?"
            ));
        }
        Ok(())
    }

    /// Whoever wrote the stream must not choose who is told the secrets.
    pub(super) fn check_secrets(&self, theirs: &BaseUrl) -> Result<(), Failure> {
        if !self.args.target.http.has_secrets() || theirs.as_str() == self.profile.target.trim_end_matches('/') {
            return Ok(());
        }
        Err(Failure::usage(format!(
            "the jobs were submitted to {}, as the stream says: name it by --target or TARGET, for the headers of --header-file or \
             --token-env go with every poll",
            theirs.as_str()
        )))
    }
}
