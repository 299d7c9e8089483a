//! Everything that a session writes: records, the journal, messages.

use std::collections::{BTreeMap, HashSet};

use super::super::Args;
use crate::cli::{Console, Failure, Io};
use crate::cookies::{self, Cookie, CookieWriter};
use crate::escape;
use crate::figures::listed;
use crate::http::BaseUrl;
use crate::journal::Journal;
use crate::ndjson::{BadLines, Writer};
use crate::profile::Profile;
use crate::record::{Flag, Job, JobStatus, Key, Record, differences};
use crate::runs::Runs;

/// The outputs of a session.
pub(super) struct Output<'a> {
    pub(super) records: Writer<'a>,
    pub(super) journal: Option<Journal>,
    pub(super) runs: Runs,
    pub(super) console: Console,
    pub(super) bad_lines: BadLines,
    /// The number of jobs that had been submitted before.
    pub(super) handed_on: u64,
    cookies: Option<CookieWriter>,
    /// The differences and cookies that were reported.
    reported: HashSet<String>,
}

impl<'a> Output<'a> {
    /// Opens the file of `--journal`.
    pub(super) fn new(args: &Args, io: Io<'a>) -> Result<Self, Failure> {
        Ok(Self {
            records: Writer::new(io.stdout),
            journal: args.journal.as_deref().map(Journal::open).transpose()?,
            runs: Runs::default(),
            console: io.console,
            bad_lines: BadLines::default(),
            handed_on: 0,
            cookies: args.cookies.as_deref().map(|path| CookieWriter::new(path, &io.stop)).transpose()?,
            reported: HashSet::new(),
        })
    }

    /// Appends the intent to submit each of `records` to the journal, and returns once all are on disk.
    pub(super) fn record_intents<'b>(&mut self, records: impl Iterator<Item = &'b Record>) -> Result<(), Failure> {
        let Some(journal) = &mut self.journal else { return Ok(()) };
        for record in records {
            journal.append(record)?;
        }
        journal.sync()
    }

    /// Writes the outcome of a submission to the journal and then to the pipe. The error is the journal's.
    pub(super) fn outcome(&mut self, record: &Record) -> Result<Result<(), Failure>, Failure> {
        let journalled = self.journal(record);
        self.records.record(record).map(|()| journalled)
    }

    /// Says how many of the journal's jobs were submitted to targets other than `base`, where the polls of this session go.
    pub(super) fn report_targets(&self, elsewhere: &BTreeMap<String, u64>, base: &BaseUrl) {
        let (Some(journal), false) = (&self.journal, elsewhere.is_empty()) else { return };
        let counts = elsewhere.iter().map(|(target, jobs)| format!("{} ({jobs})", escape::start(target, 200)));
        self.console.say(&format!(
            "{}: jobs were submitted to {}, but the target is now {}; if these are two servers, polls get answers about other jobs: \
             start again with the earlier --target or TARGET",
            journal.name(),
            listed(counts),
            base.as_str()
        ));
    }

    /// Says once how each label differs from the target's setting of the same name, or why the settings are not known.
    pub(super) fn report_settings(
        &mut self,
        labels: &BTreeMap<String, String>,
        settings: &BTreeMap<String, String>,
        error: Option<&str>,
    ) {
        let unread = error.map(|error| {
            if settings.is_empty() {
                format!("the target's settings are not known, so no label is checked: {error}")
            } else {
                format!("not all of the target's settings are known: {error}")
            }
        });
        for doubt in differences(labels, settings).into_iter().chain(unread) {
            if self.reported.insert(doubt.clone()) {
                self.console.say(&doubt);
            }
        }
    }

    /// Says once that a job has no run id although the submission is to carry it: another run's jobs may have the same names.
    pub(super) fn report_lack_of_run(&mut self, job: &Job, profile: &Profile) {
        let submission = profile.submit.request();
        let is_sent = |word: &&str| {
            let own_id = profile.submit.own_id.as_ref();
            submission.contains(word) || own_id.is_some_and(|id| id.contains(*word))
        };
        let lacks_run_id = job.metadata.run.is_empty() && ["{run}", "{uuid}"].iter().any(is_sent);
        if lacks_run_id && self.reported.insert("no run id".to_owned()) {
            self.console.say(&format!(
                "{} has no metadata.run, so its {{run}} and {{uuid}} are the same in every run without one, and the target may mistake this \
                 run's jobs for another's: give the records a run id that no other run has",
                escape::start(&job.metadata.name, 200)
            ));
        }
    }

    /// Keeps the cookies that came with a job's id for its polls; the job is flagged if that fails, and without `--cookies`.
    pub(super) fn keep_cookies(&mut self, job: &Key, set: Vec<Cookie>, status: &mut JobStatus) -> Result<(), Failure> {
        if set.is_empty() || status.job_id.is_none() {
            return Ok(());
        }
        let (count, names) = (set.len() as u64, cookies::names(&set));
        if let Some(writer) = &mut self.cookies {
            let unkept = cookies::why_unkept(&set);
            let kept = writer.keep(job, set);
            match kept {
                Ok(()) => status.cookies_saved = Some(count),
                Err(_) => status.flags.push(Flag::CookieNotKept),
            }
            if let (Some(why), Ok(())) = (unkept, &kept) {
                status.flags.push(Flag::CookieNotKept);
                if self.reported.insert(why.clone()) {
                    self.console.say(&format!("{why}; jobs that are not found without it count as Unknown, not Lost"));
                }
            }
            return kept;
        }
        status.flags.push(Flag::CookieNotKept);
        if self.reported.insert(format!("cookie {names}")) {
            self.console.say(&format!(
                "the target sets the cookie {names} with a submission, and polls do not send it: if jobs are not found, give \
                 --cookies FILE to submit-jobs and poll-jobs"
            ));
        }
        Ok(())
    }

    /// Writes the outcome of a submission to the journal alone, if there is one.
    pub(super) fn journal(&mut self, record: &Record) -> Result<(), Failure> {
        self.journal.as_mut().map_or(Ok(()), |journal| journal.append(record))
    }

    /// The last messages.
    pub(super) fn close(&self) {
        self.bad_lines.close(&self.console);
        if self.bad_lines.is_all_foreign() {
            self.console.say("no record came: to submit a job for each line, add --lines");
        }
        if self.handed_on > 0 {
            self.console.say(&format!("{} jobs had been submitted before: passed on unchanged", self.handed_on));
        }
    }
}
