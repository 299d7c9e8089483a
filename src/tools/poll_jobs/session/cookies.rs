//! The cookies that a job's polls send: those that its submission set, as the answers to its polls have changed them.

use std::collections::HashSet;
use std::path::Path;

use super::super::job::PolledJob;
use crate::cli::{Console, Failure, Stop};
use crate::cookies::{self, AnsweredAt, Cookie, CookieJar};
use crate::profile::Request;
use crate::record::{Flag, JobStatus, Key};

/// The cookies of the jobs of a session. Without `--cookies` none are sent.
pub(super) struct JobCookies {
    jar: Option<CookieJar>,
    /// The jobs whose end this session has seen.
    ended: HashSet<Key>,
    /// The file, for messages.
    file: String,
    /// Messages given already: cookies are gone; polls' cookies are not sent; the file could not be written.
    said_gone: bool,
    said_unsent: bool,
    is_unsaved: bool,
}

impl JobCookies {
    /// Uses the file at `path`.
    pub(super) fn new(path: Option<&Path>, stop: &Stop) -> Self {
        Self {
            jar: path.map(|path| CookieJar::new(path, stop)),
            ended: HashSet::new(),
            file: path.map_or_else(|| "FILE".to_owned(), |path| path.display().to_string()),
            said_gone: false,
            said_unsent: false,
            is_unsaved: false,
        }
    }

    /// Returns true if cookies are sent.
    pub(super) fn are_sent(&self) -> bool {
        self.jar.is_some()
    }

    /// All cookies of `job`; none without `--cookies`.
    pub(super) fn of(&self, job: &Key) -> Option<Vec<Cookie>> {
        self.jar.as_ref().map(|jar| jar.of(job).to_vec())
    }

    /// Returns true if answers to polls of `job` changed its cookies, in this session or an earlier one.
    pub(super) fn are_polled(&self, job: &Key) -> bool {
        self.jar.as_ref().is_some_and(|jar| jar.is_polled(job))
    }

    /// Adds the cookies of `job` to a `request` that polls it.
    pub(super) fn add_to(
        &mut self,
        request: &mut Request,
        job: &Key,
        status: &JobStatus,
        console: &Console,
    ) -> Result<(), Failure> {
        if let Some(jar) = &mut self.jar {
            jar.read()?;
            if let Some(foreign) = jar.take_foreign() {
                console.say(&format!(
                    "--cookies {} {foreign}: ignored; restore the file if you can: jobs that the target does not find without \
                     their cookies count as Unknown, not Lost",
                    self.file
                ));
            }
            request.cookies = cookies::for_url(jar.of(job), &request.url);
        }
        request.lacks_cookies = match status.cookies_saved {
            Some(_) => self.lacks(job, console),
            None => status.flags.contains(&Flag::CookieNotKept),
        };
        request.lacks_cookies |= cookies::why_unkept(&request.cookies).is_some();
        Ok(())
    }

    /// Returns true if the cookies that were saved for `job` are gone, and says so once.
    fn lacks(&mut self, job: &Key, console: &Console) -> bool {
        let why = match &self.jar {
            None => "is not given",
            Some(jar) => match jar.why_none(job) {
                None => return false,
                Some(why) => why,
            },
        };
        if !std::mem::replace(&mut self.said_gone, true) {
            console.say(&format!(
                "--cookies {} {why}, but the target set cookies for {}: jobs that it does not find without their cookies count \
                 as Unknown, not Lost",
                self.file, job.name
            ));
        }
        true
    }

    /// Takes the cookies set by `headers` of an answer to a poll of `job`. A job has only one poll under way at a time, and a list
    /// keeps the cookies of its pages, so the last answer is the newest.
    pub(super) fn take(&mut self, job: &mut PolledJob, headers: &[String], at: AnsweredAt, console: &Console) {
        let Some(jar) = &mut self.jar else {
            self.note_unsent(job, headers, at, console);
            return;
        };
        let (is_changed, saved) = jar.update(job.key(), headers, &job.request.url, at);
        if !is_changed {
            return;
        }
        let cookies = jar.of(job.key());
        let (count, sent) = (cookies.len(), cookies::for_url(cookies, &job.request.url));
        if let Some(why) = cookies::why_unkept(&sent) {
            job.lack_cookies();
            if !std::mem::replace(&mut self.said_unsent, true) {
                console.say(&format!("{why}; jobs that are not found without it count as Unknown, not Lost"));
            }
        }
        job.send_cookies(sent);
        match saved {
            Ok(()) => job.note_saved_cookies(count),
            Err(failure) if !std::mem::replace(&mut self.is_unsaved, true) => console.say(&format!(
                "{}: polls send the cookies that the target sets, but a resumed session will not have them",
                failure.message().unwrap_or_default()
            )),
            Err(_) => {}
        }
    }

    /// Notes that polls do not send the cookies that `headers` set.
    fn note_unsent(&mut self, job: &mut PolledJob, headers: &[String], at: AnsweredAt, console: &Console) {
        if job.request.lacks_cookies {
            return;
        }
        let mut set = Vec::new();
        cookies::take(&mut set, headers, &job.request.url, at);
        let set = cookies::for_url(&set, &job.request.url);
        if set.is_empty() {
            return;
        }
        job.lack_cookies();
        if !std::mem::replace(&mut self.said_unsent, true) {
            console.say(&format!(
                "the answer to a poll sets the cookie {}, but later polls do not send it: if jobs are not found, \
                 give --cookies FILE to submit-jobs and poll-jobs",
                cookies::names(&set)
            ));
        }
    }

    /// Returns true if a cookie of a poll could not be written to the file.
    pub(super) fn is_unsaved(&self) -> bool {
        self.is_unsaved
    }

    /// Returns true if lines of the file held no cookies.
    pub(super) fn has_foreign_lines(&self) -> bool {
        self.jar.as_ref().is_some_and(CookieJar::has_foreign_lines)
    }

    /// Notes that `job` has ended, so that nothing will need its cookies.
    pub(super) fn note_end(&mut self, job: &Key) {
        if self.are_sent() {
            self.ended.insert(job.clone());
        }
    }

    /// Deletes the file if it holds nothing but cookies of jobs that have ended.
    pub(super) fn delete(&mut self) -> Result<(), Failure> {
        self.jar.take().map_or(Ok(()), |jar| jar.delete(&self.ended))
    }
}
