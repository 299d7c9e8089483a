//! Passes over the lists that tell the states of many jobs: which page to ask for next, which jobs a page tells of, and which
//! jobs are missing from a list that is whole.
//!
//! A job is missing only if it was known before the list was begun and stands on none of its pages, all of which came from the
//! target itself. Pages shift while jobs end: an entry that goes away from a page that was read moves a later one to that page,
//! and the pass skips it. So a pass over several pages proves an absence only if the next pass sees every entry again.

mod look_up;
mod pass;

use std::collections::hash_map::RandomState;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use serde_json::Value;

use crate::http::{Answer, BaseUrl};
use crate::profile::{
    Document, List, PagePosition, Profile, Request, TemplateValues, is_id_of, spelled, unknown_coding,
};
use crate::record::{Job, id_key};
pub use look_up::{LookUpError, Sight, look_up};
use pass::Pass;

/// The jobs that one list tells of, and the pass over it that is under way.
#[derive(Clone, Debug)]
pub struct Listing {
    profile: Arc<Profile>,
    base: BaseUrl,
    values: TemplateValues,
    ids: HashMap<usize, Box<str>>,
    /// The jobs by the keys of their ids.
    by_key: HashMap<String, Vec<usize>>,
    /// The jobs that ended by their absence: a later page may still tell of them.
    gone: HashSet<usize>,
    pass: Option<Pass>,
    /// The last whole pass.
    last: Option<WholePass>,
    /// A page had an entry, or told how many there are: an empty list that never does either may be no list at all.
    is_telling: bool,
    hasher: RandomState,
}

/// A pass over every page of the list.
#[derive(Clone, Debug)]
struct WholePass {
    /// The hashes of its entries, other people's too.
    entries: HashSet<u64>,
    absent: HashSet<usize>,
}

/// The content of one page.
#[derive(Debug, Default)]
pub struct Progress {
    /// The jobs on the page, with their entries; the error says why an entry tells nothing.
    pub entries: Vec<(usize, Result<String, String>)>,
    /// The jobs that are missing from the whole list that this page ends.
    pub missing: Vec<Missing>,
    /// The reason why the list is not whole, and the jobs that are therefore not known to be missing.
    pub failure: Option<(String, Vec<usize>)>,
    /// The page breaks the rules of JSON and was read all the same.
    pub is_lenient: bool,
}

/// A job that stands on no page of a whole list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missing {
    /// The job's number.
    pub number: usize,
    /// The evidence that it is missing.
    pub absence: Absence,
    /// The list has shown an entry, or how many there are.
    pub is_telling: bool,
}

/// The evidence that a job is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absence {
    /// The answer to a request that named this job alone.
    Direct,
    /// A pass that skipped nothing.
    Proven,
    /// A pass that may have skipped it.
    Unproven,
}

impl Listing {
    /// A listing without jobs for jobs like `job`; none if the profile has no list.
    pub fn new(profile: Arc<Profile>, base: BaseUrl, set: &[(String, Value)], job: &Job) -> Option<Self> {
        profile.poll.list.as_ref()?;
        let values = TemplateValues::of_set(set).with("run", job.metadata.run.as_str());
        let values = values.with_variables(&job.status.variables);
        Some(Self {
            profile,
            base,
            values,
            ids: HashMap::new(),
            by_key: HashMap::new(),
            gone: HashSet::new(),
            pass: None,
            last: None,
            is_telling: false,
            hasher: RandomState::new(),
        })
    }

    fn list(&self) -> Option<&List> {
        self.profile.poll.list.as_ref()
    }

    /// The request for its first page, about no job.
    pub fn first_request(&self) -> Result<Request, String> {
        self.request(&[], &PagePosition::default())
    }

    /// Adds the job `number`. A pass that is under way does not miss it.
    pub fn add(&mut self, number: usize, id: &str) {
        self.by_key.entry(id_key(id)).or_default().push(number);
        self.ids.insert(number, id.into());
    }

    /// Records that the job `number` ended by its absence. Passes no longer ask for it, but still notice it.
    pub fn note_gone(&mut self, number: usize) {
        self.gone.insert(number);
    }

    /// Keeps the jobs that `is_open`, and those that are gone.
    pub fn retain(&mut self, is_open: impl Fn(usize) -> bool) {
        let is_open = |number: usize| is_open(number) || self.gone.contains(&number);
        self.ids.retain(|number, _| is_open(*number));
        self.by_key.retain(|_, numbers| {
            numbers.retain(|number| is_open(*number));
            !numbers.is_empty()
        });
    }

    /// The jobs that are not gone.
    pub fn jobs(&self) -> impl Iterator<Item = usize> {
        self.ids.keys().copied().filter(|number| !self.gone.contains(number))
    }

    /// Begins a pass over all jobs. The error says what cannot be filled in.
    pub fn begin(&mut self) -> Result<(), String> {
        let mut jobs: Vec<usize> = self.jobs().collect();
        jobs.sort_unstable();
        let batch = self.list().filter(|list| list.names_jobs()).map_or(jobs.len(), |list| list.batch).max(1);
        let waiting = jobs.chunks(batch).map(<[usize]>::to_vec).collect();
        self.begin_batch(waiting)
    }

    /// Begins the first of the batches in `waiting`, or ends the pass if there is none.
    fn begin_batch(&mut self, mut waiting: VecDeque<Vec<usize>>) -> Result<(), String> {
        self.pass = None;
        let Some(asked) = waiting.pop_front() else { return Ok(()) };
        let position = PagePosition::default();
        let request = Arc::new(self.request(&asked, &position)?);
        let sent = HashSet::from([signature(&request)]);
        self.pass = Some(Pass::new(waiting, asked, position, request, sent));
        Ok(())
    }

    fn request(&self, jobs: &[usize], position: &PagePosition) -> Result<Request, String> {
        let list = self.list().ok_or("the profile has no poll.list")?;
        let ids: Vec<&str> = jobs.iter().filter_map(|number| self.ids.get(number)).map(|id| &**id).collect();
        list.page_request(&self.base, &self.values, &ids, position)
    }

    /// The next request of the pass; none once it is over.
    pub fn next_request(&self) -> Option<&Arc<Request>> {
        self.pass.as_ref().map(|pass| &pass.request)
    }

    /// Takes the answer to [`Self::next_request`], which is a success by its HTTP status.
    pub fn take(&mut self, answer: &Answer) -> Progress {
        let mut progress = Progress::default();
        if let Err(failure) = self.read(answer, &mut progress) {
            let jobs = self.fail();
            progress.failure = Some((failure, jobs));
        }
        progress
    }

    /// Takes an answer by which the target knows no such job, or not all of those that the request names: these are asked for one by
    /// one. Returns false if the request names none.
    pub fn take_unknown(&mut self, answer: &Answer, progress: &mut Progress) -> bool {
        if !self.profile.poll.unknown.contains(&answer.status) || !self.list().is_some_and(List::names_jobs) {
            return false;
        }
        let Some(pass) = self.pass.take() else { return false };
        let mut waiting = pass.waiting;
        if let [number] = pass.asked[..] {
            let missing = Missing { number, absence: Absence::Direct, is_telling: true };
            progress.missing.extend((!answer.is_cached()).then_some(missing));
        } else {
            waiting.extend(pass.asked.into_iter().map(|number| vec![number]));
        }
        if let Err(failure) = self.begin_batch(waiting) {
            progress.failure = Some((failure, self.fail()));
        }
        true
    }

    /// Gives up the batch that is under way: none of its jobs is known to be missing. Returns those that no page has told of.
    pub fn fail(&mut self) -> Vec<usize> {
        let Some(pass) = self.pass.take() else { return Vec::new() };
        // The requests of the other batches differ from the one that failed.
        let unseen = pass.asked.into_iter().filter(|number| !pass.seen.contains(number)).collect();
        let mut waiting = pass.waiting;
        while !waiting.is_empty() && self.begin_batch(waiting.clone()).is_err() {
            waiting.pop_front();
        }
        unseen
    }

    fn read(&mut self, answer: &Answer, progress: &mut Progress) -> Result<(), String> {
        if let Some(cause) = unknown_coding(answer) {
            return Err(cause);
        }
        let (Some(list), Some(pass)) = (self.profile.poll.list.as_ref(), &mut self.pass) else { return Ok(()) };
        let document = Document::of(answer);
        let page = list.page(&document, self.profile.poll_ids())?;
        progress.is_lenient = document.is_lenient();
        let mut on_page = HashMap::<usize, &str>::new();
        for (id, entry) in &page.entries {
            let Some(number) = find(&self.by_key, &self.ids, id, &pass.request.url) else { continue };
            pass.seen.insert(number);
            match on_page.insert(number, entry.get()) {
                None => progress.entries.push((number, Ok(entry.get().to_owned()))),
                Some(other) if other == entry.get() => {}
                Some(_) => {
                    let differ = "the page has two entries of this id that differ";
                    let first = progress.entries.iter_mut().filter(|(one, _)| *one == number);
                    first.for_each(|(_, told)| *told = Err(differ.to_owned()));
                }
            }
        }
        self.is_telling |= !page.is_empty() || page.total.is_some();
        pass.is_fresh &= !answer.is_cached();
        pass.count(&page, &self.hasher);
        if list.has_more(&page, &pass.position) {
            pass.check_progress(&page)?;
            let next = page.next.clone().unwrap_or_default();
            pass.position.link = Some((pass.request.url.clone(), next));
            return self.turn_page();
        }
        if let Some((count, first)) = &pass.nameless {
            let id = spelled(list.id.as_deref().unwrap_or(self.profile.poll_ids()));
            let others = if *count > 1 { format!(" and in {} more", count - 1) } else { String::new() };
            return Err(format!("no id at {id} in the entry {first}{others}: correct poll.list.id in the profile"));
        }
        let listed = pass.position.entries;
        if let Some(total) = page.total.filter(|total| *total > listed) {
            return Err(format!("the list ended after {listed} jobs, although it has {total}"));
        }
        drop(document);
        self.end_batch(progress)
    }

    fn turn_page(&mut self) -> Result<(), String> {
        let Some(pass) = &self.pass else { return Ok(()) };
        let request = self.request(&pass.asked, &pass.position)?;
        let Some(pass) = &mut self.pass else { return Ok(()) };
        if !pass.sent.insert(signature(&request)) {
            return Err(format!(
                "{} comes again after {} pages: the list has no end",
                request.url, pass.position.pages
            ));
        }
        pass.request = Arc::new(request);
        Ok(())
    }

    /// Ends a batch whose pages have all come. Jobs that are missing from an answer about several ids are asked for one by one.
    fn end_batch(&mut self, progress: &mut Progress) -> Result<(), String> {
        let Some(mut pass) = self.pass.take() else { return Ok(()) };
        let names_jobs = self.list().is_some_and(List::names_jobs);
        let is_absent = |number: &usize| pass.is_fresh && !pass.seen.contains(number);
        let absent: HashSet<usize> = pass.asked.iter().copied().filter(is_absent).collect();
        if names_jobs && pass.asked.len() > 1 {
            pass.waiting.extend(absent.into_iter().map(|number| vec![number]));
            return self.begin_batch(pass.waiting);
        }
        // Without an entry before its last page, nothing that went away can have moved another one.
        let skipped_nothing = pass.earlier == 0;
        let before = self.last.take_if(|_| pass.is_fresh && !names_jobs);
        let before = before.filter(|before| before.entries.is_subset(&pass.entries));
        let was_absent = |number: &usize| before.as_ref().is_some_and(|before| before.absent.contains(number));
        let absence = |number: &usize| match skipped_nothing {
            true if names_jobs => Absence::Direct,
            true => Absence::Proven,
            false if was_absent(number) => Absence::Proven,
            false => Absence::Unproven,
        };
        let is_telling = self.is_telling;
        let missing = |number: &usize| Missing { number: *number, absence: absence(number), is_telling };
        progress.missing.extend(absent.iter().map(missing));
        if pass.is_fresh && !names_jobs {
            self.last = Some(WholePass { entries: pass.entries, absent });
        }
        self.begin_batch(pass.waiting)
    }
}

/// The job whose id is `found` in an entry of the list at `url`; none if several may be meant.
fn find(by_key: &HashMap<String, Vec<usize>>, ids: &HashMap<usize, Box<str>>, found: &str, url: &str) -> Option<usize> {
    let candidates = by_key.get(&id_key(found))?;
    let is = |test: &dyn Fn(&str) -> bool| {
        let mut found = candidates.iter().copied().filter(|number| ids.get(number).is_some_and(|own| test(own)));
        found.next().filter(|_| found.next().is_none())
    };
    // A list's path, with the id after it, is where its entries are.
    let list = url.split(['?', '#']).next().unwrap_or(url).trim_end_matches('/');
    is(&|own| own == found).or_else(|| is(&|own| is_id_of(found, own, &format!("{list}/{own}"))))
}

fn signature(request: &Request) -> String {
    format!("{} {:?} {:?}", request.url, request.headers, request.body)
}
