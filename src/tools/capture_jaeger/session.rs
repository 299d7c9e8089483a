//! The capture of all services: rounds of sweeps until nothing more comes, then requests by id for the jobs' missing traces.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use super::api::{Jaeger, RequestError};
use super::model::{Submission, TraceStore, canonical_id};
use super::sweep::{SweepResult, split_window, sweep};
use crate::capture::CaptureRequest;
use crate::cli::{Console, Stop};
use crate::record::Job;
use crate::units;

/// The pause between two rounds, at first and at most.
const FIRST_WAIT: Duration = Duration::from_millis(300);
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// The number of rounds after which a server that still returns more counts as unsettled, once `--settle` is over.
const MAX_ROUNDS: usize = 8;

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
    pub(super) error: Option<RequestError>,
    /// Microseconds that hold more traces than a page.
    pub(super) overfull: Vec<i64>,
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
    /// The number of them that were not requested by id because of a signal.
    pub(super) unasked: usize,
    /// Canonical ids of traces that only a request by id found.
    pub(super) by_id: BTreeSet<String>,
    /// The number of rounds so far.
    pub(super) rounds: usize,
    /// The last round was too early, or found more.
    pub(super) unsettled: bool,
    services: &'a [String],
    window: (i64, i64),
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
        let window = request.padded();
        // Spans carry the target's time, and its offset from the harness is known only within bounds.
        let offset = request.stream.offset.unwrap_or_default();
        let (warmup, counted): (Vec<Job>, Vec<Job>) = request.stream.jobs().partition(Job::is_warmup);
        Self {
            jaeger,
            store: TraceStore::default(),
            searches: services.iter().map(|_| ServiceSearch::default()).collect(),
            expected: counted.into_iter().filter_map(expected_trace).collect(),
            warmup: warmup.into_iter().filter_map(expected_trace).collect(),
            missing: Vec::new(),
            unasked: 0,
            by_id: BTreeSet::new(),
            rounds: 0,
            unsettled: false,
            services,
            window: (
                window.start.shifted(offset.seconds - offset.bound_seconds).micros(),
                window.end.shifted(offset.seconds + offset.bound_seconds).micros(),
            ),
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
        let mut wait = FIRST_WAIT;
        loop {
            let flushed = request.stream.left_to_settle(flush.min(settle)).is_zero();
            let grew = self.sweep_all();
            let left = request.stream.left_to_settle(settle);
            let settled = !grew && flushed && self.rounds > 1 && self.errors().next().is_none();
            let hopeless = self.errors().any(|error| !error.retryable)
                || (self.errors().next().is_some() && self.rounds > 1 && left.is_zero());
            self.unsettled = !settled;
            let enough = left.is_zero() && self.rounds >= MAX_ROUNDS;
            if settled || hopeless || enough || settle.is_zero() || stop.signal().is_some() {
                // With `--settle 0s` one round is all that was asked for.
                self.unsettled &= !settle.is_zero();
                break;
            }
            let pause = wait.min(left);
            wait = LONGEST_WAIT.min(wait * 8 / 5);
            self.wait(pause, stop, request);
        }
        if !self.errors().any(|error| !error.retryable) {
            self.fetch_missing();
        }
        self.console.clear_progress();
    }

    fn errors(&self) -> impl Iterator<Item = &RequestError> {
        self.searches.iter().filter_map(|search| search.error.as_ref())
    }

    /// Waits for `pause` or until a signal, and shows progress.
    fn wait(&self, pause: Duration, stop: &Stop, request: &CaptureRequest<'_>) {
        let (traces, spans) = self.store.size();
        self.console.progress(|| {
            let left = units::whole(request.stream.left_to_settle(request.settle()));
            format!("{traces} traces, {spans} spans; waiting until no more come, {left} at the most")
        });
        stop.wait(pause);
    }

    /// Sweeps every service once. Returns true if that found more.
    fn sweep_all(&mut self) -> bool {
        self.rounds += 1;
        let before = self.store.size();
        for (index, service) in self.services.iter().enumerate() {
            let starts =
                self.store.traces_of(service).filter_map(|(_, trace)| trace.spans.iter().map(|span| span.start).max());
            let windows = split_window(self.window, starts.collect(), self.rounds);
            let (store, console) = (&mut self.store, &self.console);
            let SweepResult { error, overfull, page_sizes } =
                sweep(&mut self.jaeger, service, windows, (self.limit, self.full), |traces, requests| {
                    store.add(Some(service), traces);
                    console.progress(|| format!("{service}: {} traces, requests: {requests}", store.size().0));
                });
            for page in page_sizes {
                *self.page_sizes.entry(page).or_default() += 1;
            }
            let ends_all = error.as_ref().is_some_and(|error| !error.retryable);
            self.searches[index] = ServiceSearch { error, overfull };
            if ends_all {
                // Every other service would meet the same.
                let error = self.searches[index].error.clone();
                self.searches[index + 1..].iter_mut().for_each(|search| search.error.clone_from(&error));
                break;
            }
        }
        let grew = self.store.size() != before;
        if grew && self.rounds > 1 {
            self.learn_page_size();
        }
        grew
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
        let mut failed = false;
        for (index, ExpectedTrace { trace, canonical, .. }) in missing.iter().enumerate() {
            self.console.progress(|| format!("asking for {} of {} missing traces by id", index + 1, missing.len()));
            if !failed && is_trace_id(trace) {
                match self.jaeger.by_id(trace) {
                    Ok(page) => self.store.add(None, page.traces),
                    Err(error) if error.is_interrupted() => {
                        failed = true;
                        self.unasked = missing.len() - index;
                    }
                    Err(error) => {
                        failed = true;
                        self.console.say(&format!("{error}; the other missing traces are not asked for"));
                    }
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

    /// Returns the traces of each expected job: the one with its trace id, else those that carry its job id.
    pub(super) fn traces_by_job(&self) -> Vec<Vec<&str>> {
        let by_job = self.store.by_job();
        let traces = |expected: &ExpectedTrace| match self.store.traces.get_key_value(&expected.canonical) {
            Some((id, _)) => vec![id.as_str()],
            None => expected.job.as_deref().and_then(|job| by_job.get(job).cloned()).unwrap_or_default(),
        };
        self.expected.iter().map(traces).collect()
    }

    /// Returns the submission of each trace that belongs to a job.
    pub(super) fn submissions(&self) -> HashMap<&str, Submission<'_>> {
        self.expected
            .iter()
            .chain(&self.warmup)
            .map(|expected| (expected.canonical.as_str(), Submission::from_span(expected.span.as_deref())))
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
