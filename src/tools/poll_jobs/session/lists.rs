//! Lists: one request tells the states of many jobs. Each page is a poll to the scheduler, and an observation of every job on it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::issue::Issue;
use super::super::job::{NextStep, Page, PollOutcome, PolledJob};
use super::errors::LONGEST_URL;
use super::{Session, note_lag};
use crate::cli::Failure;
use crate::cookies::{self, AnsweredAt, Cookie};
use crate::escape;
use crate::http::HttpError;
use crate::listing::{Absence, Listing, Missing, Progress};
use crate::profile::Request;
use crate::record::{Job, Phase, Timestamp};

/// The most pages a second that lists are asked for, on average over a pass and the pause after it.
const PAGES_PER_SECOND: u32 = 20;

/// The lists of a session: jobs of different runs may need different requests.
#[derive(Default)]
pub(super) struct Lists {
    /// By the numbers by which the scheduler knows them, which count down from the greatest: those of jobs count up.
    by_number: HashMap<usize, List>,
    /// The numbers of the lists of the jobs.
    of_job: HashMap<usize, usize>,
    /// Jobs that a list lacks and that were therefore polled on their own, without an answer so far.
    polled_alone: HashSet<usize>,
    /// A page came before.
    answered: bool,
}

struct List {
    listing: Listing,
    /// The request for its first page, by which it is told from others.
    first: Request,
    /// The time at which its next page is due.
    due: Option<Instant>,
    /// The time before which the target wants no request.
    not_before: Instant,
    is_under_way: bool,
    /// The jobs of the pass that is under way, and those of passes that are over.
    asked: Vec<usize>,
    tried: HashSet<usize>,
    /// The cookies that its pages set. They belong to the list, not to its jobs: they go with its next pages and are not saved.
    cookies: Vec<Cookie>,
    /// The pages of this pass so far.
    pages: u32,
}

impl List {
    /// The time at which it is due in `wait`, or as late as `Retry-After` asks, but not after the deadline of a job, which leaves the
    /// time `left`.
    fn due_in(&self, wait: Duration, left: Duration) -> Instant {
        let now = Instant::now();
        let held = self.not_before.saturating_duration_since(now).min(left);
        now + wait.max(held)
    }
}

impl Lists {
    /// Returns true if `number` is a list's.
    pub(super) fn contains(&self, number: usize) -> bool {
        self.by_number.contains_key(&number)
    }

    /// Adds the job `number` to the list that tells of it, and returns the list's number.
    fn add(&mut self, number: usize, id: &str, mut listing: Listing) -> Result<usize, String> {
        let first = listing.first_request()?;
        let known = self.by_number.iter_mut().find(|(_, list)| list.first == first);
        let list = if let Some((list, known)) = known {
            known.listing.add(number, id);
            *list
        } else {
            listing.add(number, id);
            let list = usize::MAX - self.by_number.len();
            let (due, not_before, is_under_way) = (None, Instant::now(), false);
            let (asked, tried) = (Vec::new(), HashSet::new());
            let (cookies, pages) = (Vec::new(), 0);
            self.by_number
                .insert(list, List { listing, first, due, not_before, is_under_way, asked, tried, cookies, pages });
            list
        };
        self.of_job.insert(number, list);
        Ok(list)
    }

    /// The request for the next page of the list `number`, if this is what was due at `due`: it may have become due earlier
    /// since. Begins a pass over the `jobs` that are open.
    pub(super) fn due_request(
        &mut self,
        number: usize,
        due: Instant,
        jobs: &HashMap<usize, PolledJob>,
    ) -> Result<Option<Arc<Request>>, Failure> {
        let Some(list) = self.by_number.get_mut(&number).filter(|list| list.due == Some(due)) else { return Ok(None) };
        if !list.is_under_way {
            list.listing.retain(|job| jobs.contains_key(&job));
            list.tried.retain(|job| jobs.contains_key(job));
            list.listing.begin().map_err(|error| Failure::usage(format!("poll.list: {error}")))?;
            (list.asked, list.pages) = (list.listing.jobs().collect(), 0);
            list.is_under_way = !list.asked.is_empty();
        }
        let Some(request) = list.listing.next_request().cloned() else { return Ok(None) };
        if list.cookies.is_empty() {
            return Ok(Some(request));
        }
        let cookies = cookies::for_url(&list.cookies, &request.url);
        Ok(Some(Arc::new(Request { cookies, ..Request::clone(&request) })))
    }

    /// Records that the request for the page of the list `number`, if it is one, is on its way.
    pub(super) fn sent(&mut self, number: usize) {
        if let Some(list) = self.by_number.get_mut(&number) {
            list.due = None;
        }
    }

    /// Makes a list whose pass is not under way due in `wait` at the latest, for a job whose deadline leaves it the time `left`.
    /// Returns the time, if that is news.
    fn hasten(&mut self, number: usize, wait: Duration, left: Duration) -> Option<Instant> {
        let list = self.by_number.get_mut(&number)?;
        let due = list.due_in(wait, left);
        if list.is_under_way || list.due.is_some_and(|before| before <= due) {
            return None;
        }
        list.due = Some(due);
        list.due
    }

    /// Holds the list of the job or the list `number` back, as the target's `Retry-After` asks.
    pub(super) fn hold(&mut self, number: usize, wait: Duration) {
        let number = self.of_job.get(&number).copied().unwrap_or(number);
        if let Some(list) = self.by_number.get_mut(&number) {
            list.not_before = list.not_before.max(Instant::now() + wait);
        }
    }

    /// Returns true if a list tells of the job `number`.
    pub(super) fn tell_of(&self, number: usize) -> bool {
        self.of_job.contains_key(&number)
    }

    /// Records that the job `number` is polled on its own. Returns false if it is already.
    pub(super) fn poll_alone(&mut self, number: usize) -> bool {
        self.polled_alone.insert(number)
    }

    /// Records that a poll of the job `number` alone has come back.
    pub(super) fn polled_alone(&mut self, number: usize) {
        self.polled_alone.remove(&number);
    }

    /// The page that has to come next, and its place, of the list that tells of the job `number` and is being read.
    pub(super) fn unread(&self, number: usize) -> Option<(u64, String)> {
        let list =
            self.of_job.get(&number).and_then(|list| self.by_number.get(list)).filter(|list| list.is_under_way)?;
        Some((u64::from(list.pages) + 1, list.listing.next_request()?.place()))
    }

    /// Records that the job `number` ended by its absence from the list.
    fn note_gone(&mut self, number: usize) {
        if let Some(list) = self.of_job.get(&number).and_then(|list| self.by_number.get_mut(list)) {
            list.listing.note_gone(number);
        }
    }

    /// The jobs that a list was or is asked for, that are `overdue`, and about which no poll of their own is under way.
    pub(super) fn overdue(&self, overdue: impl Fn(&usize) -> bool) -> impl Iterator<Item = usize> {
        let tried = self.by_number.values().flat_map(|list| list.tried.iter().chain(&list.asked));
        tried.copied().filter(move |job| overdue(job) && !self.polled_alone.contains(job))
    }
}

impl Session<'_, '_> {
    /// Has a list tell of `job`, if the profile has one; otherwise returns false.
    pub(super) fn add_to_list(&mut self, number: usize, id: &str, job: &Job, age: f64) -> Result<bool, Failure> {
        let (profile, base) = (self.target.profile.clone(), self.target.base()?);
        let Some(listing) = Listing::new(profile, base, &self.args.target.set, job) else { return Ok(false) };
        let added = self.lists.add(number, id, listing);
        let list = added.map_err(|error| Failure::usage(format!("{}: poll.list: {error}", job.metadata.name)))?;
        let left = self.args.deadline.saturating_sub(Duration::try_from_secs_f64(age).unwrap_or_default());
        if let Some(due) = self.lists.hasten(list, self.scheduler.first_wait(age), left) {
            self.scheduler.schedule_at(list, due);
        }
        Ok(true)
    }

    /// Takes a page of the list `number`.
    pub(super) fn handle_page(&mut self, number: usize, outcome: PollOutcome) -> Result<(), Failure> {
        let PollOutcome { answer, sent, received } = outcome;
        let Some(list) = self.lists.by_number.get_mut(&number) else { return Ok(()) };
        list.pages += 1;
        let url = list.listing.next_request().map(|request| request.url.clone()).unwrap_or_default();
        if let Ok(answer) = &answer
            && self.cookies.are_sent()
        {
            let at = AnsweredAt { now: received, date: answer.head.date };
            cookies::take(&mut list.cookies, &answer.head.cookies, &url, at);
        }
        let answered_before = std::mem::replace(&mut self.lists.answered, true);
        let mut unknown = Progress::default();
        let (progress, issue) = match &answer {
            Ok(answer) if list.listing.take_unknown(answer, &mut unknown) => (unknown, None),
            Ok(answer) if (200..300).contains(&answer.status) => {
                let progress = list.listing.take(answer);
                let issue = progress.failure.as_ref().map(|(why, _)| Issue::unreadable(why.clone(), answer));
                (progress, issue)
            }
            failed => {
                let issue = match failed {
                    Ok(answer) => Issue::from_status(answer, answered_before),
                    Err(error) => {
                        self.lists.answered = answered_before;
                        Issue::from_error(error)
                    }
                };
                let failure = Some((issue.message.clone(), list.listing.fail()));
                (Progress { failure, ..Progress::default() }, Some(issue))
            }
        };
        if let Some(wait) = HttpError::begun(&answer).and_then(|answer| answer.head.retry_after) {
            self.lists.hold(number, wait);
            self.output.note_pause(&format!("GET {}", escape::start(&url, LONGEST_URL)), wait, self.args.deadline);
        }
        let unseen = progress.failure.as_ref().map(|(_, jobs)| jobs.clone()).unwrap_or_default();
        if let Ok(answer) = &answer {
            let page = Page { answer, sent, received, is_lenient: progress.is_lenient };
            self.handle_entries(progress.entries, &page, &url, issue.is_some())?;
        }
        self.handle_missing(progress.missing, (sent, received))?;
        if let Some(issue) = issue {
            self.list_failed(&issue, &unseen, &url, received)?;
        }
        self.schedule_list(number);
        Ok(())
    }

    /// Applies the entries of a page. Whatever they lack, the page is one poll.
    fn handle_entries(
        &mut self,
        entries: Vec<(usize, Result<String, String>)>,
        page: &Page<'_>,
        url: &str,
        is_failed: bool,
    ) -> Result<(), Failure> {
        let mut kinds = BTreeMap::new();
        let (mut failed, mut doubtful) = (false, None);
        let limits = self.limits();
        for (number, entry) in entries {
            let Some(job) = self.jobs.get_mut(&number) else {
                self.notice_return(number, entry, page)?;
                continue;
            };
            let failed_before = job.polls().failed;
            let next = job.handle_entry(entry, page, &self.target.profile, limits, &mut kinds);
            failed |= job.polls().failed > failed_before;
            note_lag(&mut self.lag, job);
            self.output.note_stage_word(&job.key().name, job.stage_word());
            if let (None, Some(issue)) = (&doubtful, job.issue()) {
                doubtful = Some((job.key().name.clone(), issue.clone()));
            }
            self.advance(number, next)?;
        }
        if !is_failed {
            let polling = &mut self.output.counts.polling;
            polling.failed += u64::from(failed);
            for kind in kinds.into_keys() {
                *polling.failures.entry(kind).or_default() += 1;
            }
            let (name, issue) = doubtful.unzip();
            self.output.note_answer(name.as_deref().unwrap_or_default(), url, issue.as_ref());
        }
        Ok(())
    }

    /// Asks for each missing job on its own, or takes a list's word if the profile has no request for one job.
    fn handle_missing(&mut self, missing: Vec<Missing>, times: (Timestamp, Timestamp)) -> Result<(), Failure> {
        let limits = self.limits();
        for Missing { number, absence, is_telling } in missing {
            let Some(job) = self.jobs.get_mut(&number) else { continue };
            if !self.target.profile.polls_each() {
                let failures = &mut self.output.counts.polling.failures;
                let next = job.miss((absence, is_telling), times, &self.target.profile, limits, failures);
                if absence == Absence::Proven
                    && let NextStep::End(Phase::Succeeded | Phase::Lost | Phase::Unknown) = next
                {
                    self.lists.note_gone(number);
                    self.absences.expect(number);
                }
                self.advance(number, next)?;
            } else if self.lists.poll_alone(number) {
                self.scheduler.schedule_at(number, Instant::now());
            }
        }
        Ok(())
    }

    /// Records that a page, and with it what it should have told of the jobs in `unseen`, did not come.
    fn list_failed(&mut self, issue: &Issue, unseen: &[usize], url: &str, received: Timestamp) -> Result<(), Failure> {
        let polling = &mut self.output.counts.polling;
        polling.failed += u64::from(issue.is_failure);
        *polling.failures.entry(issue.kind.clone()).or_default() += 1;
        self.output.note_answer("poll.list", url, Some(issue));
        let limits = self.limits();
        for number in unseen {
            let Some(job) = self.jobs.get_mut(number) else { continue };
            let next = job.note_failure(issue, received, limits);
            self.advance(*number, next)?;
        }
        Ok(())
    }

    /// Schedules the next page of the list `number`, or the next pass.
    fn schedule_list(&mut self, number: usize) {
        let (now, limits) = (self.clock.now(), self.limits());
        let Some(list) = self.lists.by_number.get_mut(&number) else { return };
        let open = list.listing.jobs().filter_map(|job| self.jobs.get(&job));
        let Some(youngest) = open.map(|job| job.age(now)).reduce(f64::min) else {
            list.is_under_way = false;
            return;
        };
        let open = list.listing.jobs().filter_map(|job| self.jobs.get(&job));
        let left = open.map(|job| job.time_left(now, limits)).filter(|left| *left > 0.0).reduce(f64::min);
        let left = left.and_then(|left| Duration::try_from_secs_f64(left).ok()).unwrap_or(Duration::MAX);
        let mut wait = Duration::ZERO;
        if list.listing.next_request().is_none() {
            list.is_under_way = false;
            list.tried.extend(std::mem::take(&mut list.asked));
            let pause = Duration::from_secs(1) * list.pages.saturating_sub(1) / PAGES_PER_SECOND;
            wait = self.scheduler.interval(youngest).max(pause).min(left);
        }
        let due = list.due_in(wait, left);
        list.due = Some(due);
        self.scheduler.schedule_at(number, due);
    }
}
