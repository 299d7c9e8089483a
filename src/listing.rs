//! Passes over the lists that tell the states of many jobs: which page to ask for next, which jobs a page tells of, and which
//! jobs are missing from a list that is whole.
//!
//! A job is missing only if it was known before the list was begun and stands on none of its pages, all of which came from the
//! target itself. Pages shift while jobs end, so a job that is missing once may still be there.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use serde_json::Value;

use crate::clock::Clock;
use crate::http::{Answer, BaseUrl, Client, HttpError};
use crate::profile::{
    Document, List, PagePosition, Profile, Request, TemplateValues, id_key, is_same_id, unknown_coding,
};
use crate::record::Job;

/// The most pages of one list; a server that never ends it is not followed for ever.
const MOST_PAGES: u64 = 10_000;

/// The jobs that one list tells of, and the pass over it that is under way.
#[derive(Clone, Debug)]
pub struct Listing {
    profile: Arc<Profile>,
    base: BaseUrl,
    values: TemplateValues,
    ids: HashMap<usize, Box<str>>,
    /// The jobs by the keys of their ids.
    by_key: HashMap<String, Vec<usize>>,
    pass: Option<Pass>,
}

/// A pass over the list, or over one batch of ids after the other.
#[derive(Clone, Debug)]
struct Pass {
    /// The batches that are still to be asked for, after this one.
    waiting: VecDeque<Vec<usize>>,
    /// The jobs that this batch asks for.
    asked: Vec<usize>,
    seen: HashSet<usize>,
    position: PagePosition,
    request: Arc<Request>,
    /// The requests of this batch, to notice pages that lead in a circle.
    sent: HashSet<String>,
    /// Every page of this batch came from the target itself.
    is_fresh: bool,
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
}

/// A job that stands on no page of a whole list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missing {
    /// The job's number.
    pub number: usize,
    /// The request named this job alone.
    pub is_direct: bool,
}

impl Listing {
    /// A listing without jobs for jobs like `job`; none if the profile has no list.
    pub fn new(profile: Arc<Profile>, base: BaseUrl, set: &[(String, Value)], job: &Job) -> Option<Self> {
        profile.poll.list.as_ref()?;
        let values = TemplateValues::of_set(set).with("run", job.metadata.run.as_str());
        let values = values.with_variables(&job.status.variables);
        Some(Self { profile, base, values, ids: HashMap::new(), by_key: HashMap::new(), pass: None })
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

    /// Keeps the jobs that `is_open`.
    pub fn retain(&mut self, is_open: impl Fn(usize) -> bool) {
        self.ids.retain(|number, _| is_open(*number));
        self.by_key.retain(|_, numbers| {
            numbers.retain(|number| is_open(*number));
            !numbers.is_empty()
        });
    }

    /// The jobs.
    pub fn jobs(&self) -> impl Iterator<Item = usize> {
        self.ids.keys().copied()
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
        self.pass = Some(Pass { waiting, asked, seen: HashSet::new(), position, request, sent, is_fresh: true });
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
        let mut on_page = HashMap::<usize, &str>::new();
        for (id, entry) in &page.entries {
            let Some(number) = find(&self.by_key, &self.ids, id) else { continue };
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
        pass.is_fresh &= !answer.is_cached();
        pass.position.pages += 1;
        pass.position.entries += page.entries.len() as u64;
        if list.has_more(&page, &pass.position) {
            let next = page.next.clone().unwrap_or_default();
            pass.position.link = Some((pass.request.url.clone(), next));
            return self.turn_page();
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
        if pass.position.pages >= MOST_PAGES {
            return Err(format!("the list has more than {MOST_PAGES} pages"));
        }
        pass.request = Arc::new(request);
        Ok(())
    }

    /// Ends a batch whose pages have all come. Jobs that are missing from an answer about several ids are asked for one by one.
    fn end_batch(&mut self, progress: &mut Progress) -> Result<(), String> {
        let Some(mut pass) = self.pass.take() else { return Ok(()) };
        let names_jobs = self.list().is_some_and(List::names_jobs);
        let is_direct = names_jobs && pass.asked.len() == 1;
        for number in pass.asked.into_iter().filter(|number| pass.is_fresh && !pass.seen.contains(number)) {
            if names_jobs && !is_direct {
                pass.waiting.push_back(vec![number]);
            } else {
                progress.missing.push(Missing { number, is_direct });
            }
        }
        self.begin_batch(pass.waiting)
    }
}

/// The job whose id is `id`; none if several may be meant.
fn find(by_key: &HashMap<String, Vec<usize>>, ids: &HashMap<usize, Box<str>>, id: &str) -> Option<usize> {
    let candidates = by_key.get(&id_key(id))?;
    let is = |test: &dyn Fn(&str) -> bool| {
        let mut found = candidates.iter().copied().filter(|number| ids.get(number).is_some_and(|own| test(own)));
        found.next().filter(|_| found.next().is_none())
    };
    is(&|own| own == id).or_else(|| is(&|own| is_same_id(own, id)))
}

fn signature(request: &Request) -> String {
    format!("{} {:?} {:?}", request.url, request.headers, request.body)
}

/// The list's answer about one job.
#[derive(Debug)]
pub enum Sight {
    /// Its entry, as the answer to a poll of its own.
    Told(Box<Answer>),
    /// Two whole lists, or an answer about this job alone, lack it.
    Missing,
}

/// The reason why the list told nothing of a job.
#[derive(Debug)]
pub enum LookUpError {
    /// A request cannot be made, or a page cannot be read.
    Page(String),
    /// No answer came from this place.
    Http(String, HttpError),
}

/// Looks one job up, in two passes at most. Calls `watch` with each request and its answer.
pub fn look_up(
    mut listing: Listing,
    id: &str,
    client: &Client,
    clock: &Clock,
    watch: &mut dyn FnMut(&Request, &Answer),
) -> Result<Sight, LookUpError> {
    listing.add(0, id);
    let mut missed = 0;
    for _ in 0..2 {
        listing.begin().map_err(LookUpError::Page)?;
        while let Some(request) = listing.next_request().cloned() {
            let answer = request.send(client, clock);
            let answer = answer.map_err(|error| LookUpError::Http(request.place(), error))?;
            watch(&request, &answer);
            let failed = |why: String| LookUpError::Page(format!("{}: {why}", request.place()));
            if !(200..300).contains(&answer.status) {
                return Err(failed(answer.summary()));
            }
            let Progress { mut entries, missing, failure } = listing.take(&answer);
            match (entries.pop(), missing.first(), failure) {
                (Some((_, Ok(body))), ..) => return Ok(Sight::Told(Box::new(Answer { body, ..answer }))),
                (Some((_, Err(why))), ..) | (None, _, Some((why, _))) => return Err(failed(why)),
                (None, Some(Missing { is_direct: true, .. }), None) => return Ok(Sight::Missing),
                (None, ..) => missed += missing.len(),
            }
        }
    }
    if missed == 2 { Ok(Sight::Missing) } else { Err(LookUpError::Page("a cache answered for the target".to_owned())) }
}
