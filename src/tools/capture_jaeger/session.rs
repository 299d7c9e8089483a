//! The capture of all services: rounds of sweeps until nothing more comes, then requests by id for the jobs' missing traces.
//!
//! `--settle` and a number of requests bound it, whatever the server answers.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::{Duration, Instant};

use super::api::Jaeger;
use super::fields::canonical_id;
use super::limits::{Limits, MAX_REQUESTS, RequestError};
use super::model::{Submission, TraceStore};
use super::sweep::{Micros, Paging, SweepResult, split_window, sweep};
use crate::capture::CaptureRequest;
use crate::cli::{Console, Stop};
use crate::record::Job;
use crate::units;

/// The pause between two rounds, at first and at most.
const FIRST_WAIT: Duration = Duration::from_millis(300);
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// The number of rounds after which a server that still returns more counts as unsettled, once `--settle` is over.
const MAX_ROUNDS: usize = 8;
/// The most requests for one service's traces, in all rounds together.
const MAX_TOTAL_REQUESTS: u64 = 2 * MAX_REQUESTS;
/// The time for requests beside that for waiting, so that they can be made after it.
const SEARCH_TIME: Duration = Duration::from_secs(10);
/// The part of that time which is kept for requests by id.
const BY_ID_TIME: Duration = Duration::from_secs(3);

/// The trace of a job.
#[derive(Clone, Debug)]
pub(super) struct ExpectedTrace {
    /// The trace id as the job's record spells it.
    pub(super) trace: String,
    /// The id of that trace in the store.
    canonical: String,
    job: Option<String>,
    span: Option<String>,
}

/// The search for one service's traces.
#[derive(Debug, Default)]
pub(super) struct ServiceSearch {
    /// The error that ended its last sweep, or that the server reported beside an answer.
    pub(super) error: Option<RequestError>,
    /// Windows that hold more traces than a page and cannot be split.
    pub(super) overfull: Vec<Micros>,
    /// The width of windows that the server does not tell apart; see [`Paging`].
    resolution: i64,
    requests: u64,
    /// No further sweep is made, because one ended at a bound after the exporters had flushed.
    is_over: bool,
}

impl ServiceSearch {
    fn is_limited(&self) -> bool {
        self.error.as_ref().is_some_and(RequestError::is_limit)
    }
}

/// A capture in progress.
pub(super) struct Session<'a> {
    pub(super) jaeger: Jaeger,
    pub(super) store: TraceStore,
    pub(super) searches: Vec<ServiceSearch>,
    pub(super) expected: Vec<ExpectedTrace>,
    /// The traces of warm-up jobs, which the padded window may contain and which are not required.
    pub(super) warmup: Vec<ExpectedTrace>,
    /// Trace ids of jobs for which no request found a trace.
    pub(super) missing: Vec<String>,
    /// The number of them that were not requested by id, and the error that prevented it.
    pub(super) unasked: Option<(usize, RequestError)>,
    /// Canonical ids of traces that only a request by id found.
    pub(super) by_id: BTreeSet<String>,
    /// The number of rounds so far.
    pub(super) rounds: usize,
    /// The last round was too early, or found more.
    pub(super) unsettled: bool,
    services: &'a [String],
    window: Micros,
    /// The end of all requests.
    deadline: Instant,
    limit: usize,
    full: usize,
    page_sizes: HashMap<usize, usize>,
    console: Console,
}

impl<'a> Session<'a> {
    pub(super) fn new(
        page: usize,
        services: &'a [String],
        jaeger: Jaeger,
        request: &CaptureRequest<'_>,
        console: Console,
    ) -> Self {
        // Spans carry the target's time, and its offset from the harness is known only within bounds.
        let window = request.by_the_services_clock();
        let (warmup, counted): (Vec<Job>, Vec<Job>) = request.stream.jobs().partition(Job::is_warmup);
        Self {
            jaeger,
            store: TraceStore::default(),
            searches: services.iter().map(|_| ServiceSearch::default()).collect(),
            expected: counted.into_iter().filter_map(expected_trace).collect(),
            warmup: warmup.into_iter().filter_map(expected_trace).collect(),
            missing: Vec::new(),
            unasked: None,
            by_id: BTreeSet::new(),
            rounds: 0,
            unsettled: false,
            services,
            window: (window.start.micros(), window.end.micros()),
            deadline: Instant::now(),
            limit: page,
            full: page,
            page_sizes: HashMap::new(),
            console,
        }
    }

    /// Captures until the counts stop growing, at the latest until `settle` after the window's end, or until a signal ends the
    /// waiting; then requests the jobs' missing traces by id.
    pub(super) fn capture(&mut self, request: &CaptureRequest<'_>, flush: Duration, stop: &Stop) {
        let settle = request.settle();
        self.deadline = Instant::now() + request.stream.left_to_settle(settle).max(settle) + SEARCH_TIME;
        let deadline = self.deadline.checked_sub(BY_ID_TIME).unwrap_or(self.deadline);
        let mut wait = FIRST_WAIT;
        loop {
            let (begun, until_flushed) = (Instant::now(), request.stream.left_to_settle(flush.min(settle)));
            let grew = self.sweep_all(deadline, until_flushed.is_zero());
            let left = request.stream.left_to_settle(settle);
            let settled = !grew && until_flushed.is_zero() && self.rounds > 1 && self.errors().next().is_none();
            let hopeless = self.errors().any(|error| !error.retryable)
                || (self.errors().next().is_some() && self.rounds > 1 && left.is_zero());
            self.unsettled = !settled;
            let enough =
                (left.is_zero() && self.rounds >= MAX_ROUNDS) || self.searches.iter().all(|search| search.is_over);
            if settled || hopeless || enough || settle.is_zero() || stop.signal().is_some() {
                // With `--settle 0s` one round is all that was asked for.
                self.unsettled &= !settle.is_zero();
                break;
            }
            let pause = match until_flushed {
                Duration::ZERO => wait.min(left),
                // Until then the counts decide nothing, so that costly sweeps are made less often.
                _ if self.searches.iter().all(ServiceSearch::is_limited) => until_flushed,
                _ => wait.max(2 * begun.elapsed()).min(until_flushed),
            };
            wait = LONGEST_WAIT.min(wait * 8 / 5);
            self.wait(pause, stop, request);
        }
        if !self.errors().any(|error| !error.retryable) {
            self.jaeger.set_limits(Limits::new(self.time_left(), u64::MAX));
            self.fetch_missing();
        }
        self.console.clear_progress();
    }

    /// Returns the time that is left for requests.
    pub(super) fn time_left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// Returns the errors of the server: those that are not a bound of the client's.
    fn errors(&self) -> impl Iterator<Item = &RequestError> {
        self.searches.iter().filter_map(|search| search.error.as_ref()).filter(|error| !error.is_limit())
    }

    /// Waits for `pause` or until a signal, and shows progress.
    fn wait(&self, pause: Duration, stop: &Stop, request: &CaptureRequest<'_>) {
        let (traces, spans) = self.store.size();
        self.console.progress(|| {
            let left = units::whole(request.stream.left_to_settle(request.settle()));
            format!("{traces} traces, {spans} spans; waiting for more, {left} at most")
        });
        stop.wait(pause);
    }

    /// Sweeps every service once, unless its search is over, or is costly and `flushed` is yet to come. Returns true if that found
    /// more.
    fn sweep_all(&mut self, deadline: Instant, flushed: bool) -> bool {
        self.rounds += 1;
        let before = self.store.size();
        for (index, service) in self.services.iter().enumerate() {
            if self.searches[index].is_over || (self.searches[index].is_limited() && !flushed) {
                continue;
            }
            let result = self.sweep(index, service, deadline);
            let search = &mut self.searches[index];
            search.overfull = result.overfull;
            search.error = result.error;
            search.is_over = search.is_limited() && flushed;
            if let Some(error) = search.error.clone().filter(|error| !error.retryable && !error.is_limit()) {
                // Every other service would meet the same.
                self.searches[index + 1..].iter_mut().for_each(|search| search.error = Some(error.clone()));
                break;
            }
        }
        let grew = self.store.size() != before;
        if grew && self.rounds > 1 {
            self.learn_page_size();
        }
        grew
    }

    /// Sweeps a service within its share of the time until `deadline`.
    fn sweep(&mut self, index: usize, service: &str, deadline: Instant) -> SweepResult {
        let starts =
            self.store.traces_of(service).filter_map(|(_, trace)| trace.spans.iter().map(|span| span.start).max());
        let windows = split_window(self.window, starts.collect(), self.rounds);
        let search = &mut self.searches[index];
        let services_left = u32::try_from(self.services.len() - index).unwrap_or(u32::MAX);
        let time = deadline.saturating_duration_since(Instant::now()) / services_left;
        let requests = MAX_REQUESTS.min(MAX_TOTAL_REQUESTS.saturating_sub(search.requests));
        self.jaeger.set_limits(Limits::new(time, requests));
        let requested = self.jaeger.requests();
        let mut paging = Paging { limit: self.limit, full: self.full, resolution: search.resolution };
        let (store, console) = (&mut self.store, &self.console);
        let result = sweep(&mut self.jaeger, service, windows, &mut paging, |traces, requests| {
            store.add(Some(service), traces);
            console.progress(|| format!("{service}: {} traces, requests: {requests}", store.size().0));
        });
        search.resolution = paging.resolution;
        search.requests += self.jaeger.requests() - requested;
        for size in &result.page_sizes {
            *self.page_sizes.entry(*size).or_default() += 1;
        }
        result
    }

    /// Guesses the server's own page limit: if a later round found more, and the fullest page came more than once, that size
    /// is taken for it. A wrong guess only costs requests.
    fn learn_page_size(&mut self) {
        let fullest = self.page_sizes.iter().filter(|(page, _)| **page < self.full).max_by_key(|(page, _)| **page);
        if let Some((&page, &times)) = fullest
            && page > 1
            && times > 1
        {
            self.full = page;
        }
    }

    /// Returns the smallest page that counts as full.
    pub(super) fn full(&self) -> usize {
        self.full
    }

    fn fetch_missing(&mut self) {
        let by_job = self.traces_by_job();
        let missing: Vec<ExpectedTrace> = self
            .expected
            .iter()
            .zip(by_job)
            .filter(|(_, traces)| traces.is_empty())
            .map(|(job, _)| job.clone())
            .collect();
        for (index, ExpectedTrace { trace, canonical, .. }) in missing.iter().enumerate() {
            self.console.progress(|| format!("requesting {} of {} missing traces by id", index + 1, missing.len()));
            if self.unasked.is_none() && is_trace_id(trace) {
                match self.jaeger.by_id(trace) {
                    Ok(page) => self.store.add(None, page.traces),
                    Err(error) => self.unasked = Some((missing.len() - index, error)),
                }
            }
            let held = self.store.traces.get(canonical);
            if held.is_some_and(|held| self.services.iter().any(|service| held.has(service))) {
                self.by_id.insert(canonical.clone());
            } else {
                self.missing.push(trace.clone());
            }
        }
    }

    /// Returns the traces of each expected job: the one with its trace id, those that carry its job id, those that are linked
    /// to any of these, and those that these link to, unless they are another job's own.
    pub(super) fn traces_by_job<'s>(&'s self) -> Vec<Vec<&'s str>> {
        let (by_job, by_link) = (self.store.by_job(), self.store.by_link());
        let own: HashSet<&str> =
            self.expected.iter().chain(&self.warmup).map(|expected| expected.canonical.as_str()).collect();
        let traces = |expected: &'s ExpectedTrace| {
            let tagged = expected.job.as_deref().and_then(|job| by_job.get(job));
            let tagged = tagged.into_iter().flatten().copied();
            // The links of a trace that links to the job's are not followed: it may be a batch, with links to other jobs.
            let mut targets: Vec<(&str, bool)> = tagged.chain([&*expected.canonical]).map(|id| (id, true)).collect();
            // Traces may be linked to each other.
            let mut seen: BTreeSet<(&str, bool)> = BTreeSet::new();
            while let Some((target, follows)) = targets.pop() {
                if seen.insert((target, follows)) {
                    let links = self.store.links_of(target).filter(|_| follows).map(|id| (id, true));
                    let linked = by_link.get(target).into_iter().flatten().map(|id| (*id, false));
                    targets.extend(links.chain(linked).filter(|(id, _)| !own.contains(id)));
                }
            }
            let ids: BTreeSet<&str> = seen.into_iter().map(|(id, _)| id).collect();
            ids.into_iter().filter(|id| self.store.traces.contains_key(*id)).collect()
        };
        self.expected.iter().map(traces).collect()
    }

    /// Returns the submission of each trace that belongs to a job.
    pub(super) fn submissions(&self) -> HashMap<&str, Submission<'_>> {
        self.expected
            .iter()
            .chain(&self.warmup)
            .map(|expected| {
                (expected.canonical.as_str(), expected.span.as_deref().map_or(Submission::Unknown, Submission::Span))
            })
            .collect()
    }
}

/// Returns the trace of a job that the target accepted and that carried a trace id.
fn expected_trace(job: Job) -> Option<ExpectedTrace> {
    let trace = job.status.trace_id?;
    job.status.job_id.as_ref()?;
    Some(ExpectedTrace { canonical: canonical_id(&trace), trace, job: job.status.job_id, span: job.status.span_id })
}

/// Returns true if `id` is a trace id and safe in a URL.
fn is_trace_id(id: &str) -> bool {
    matches!(id.len(), 16 | 32) && id.bytes().all(|byte| byte.is_ascii_hexdigit())
}
