//! A capture of all services: sweeps until nothing more comes, then asks for what the jobs lack.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use super::api::{Fault, Jaeger};
use super::model::{Store, Submission, canonical};
use super::sweep::{Swept, pieces, sweep};
use crate::capture::CaptureRequest;
use crate::cli::{Console, Stop};
use crate::record::Job;
use crate::units;

/// The wait between two sweeps, at first and at the most.
const FIRST_WAIT: Duration = Duration::from_millis(300);
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// After a window that needs no more waiting, how many sweeps may still find more before the server counts as restless.
const PASSES: usize = 8;

/// A job whose trace must be found.
#[derive(Clone, Debug)]
pub(super) struct Expected {
    /// The trace id as the job's record spells it.
    pub(super) trace: String,
    /// The id under which the store holds that trace.
    canonical: String,
    job: Option<String>,
    span: Option<String>,
}

/// What became of one service.
#[derive(Debug, Default)]
pub(super) struct Searched {
    pub(super) fault: Option<Fault>,
    /// Microseconds that are fuller than a page.
    pub(super) overfull: Vec<i64>,
}

/// One capture.
pub(super) struct Session<'a> {
    pub(super) jaeger: Jaeger,
    pub(super) store: Store,
    pub(super) searched: Vec<Searched>,
    pub(super) expected: Vec<Expected>,
    /// Warm-up jobs: no trace of theirs must be found, and the padding reaches into them.
    pub(super) warmup: Vec<Expected>,
    /// Trace ids of jobs that were looked for everywhere.
    pub(super) missing: Vec<String>,
    /// How many of them a signal left no time to ask for by id.
    pub(super) unasked: usize,
    /// Canonical ids of traces that only asking by id brought.
    pub(super) by_id: BTreeSet<String>,
    /// How many sweeps there were, and whether the last one still brought more.
    pub(super) passes: usize,
    pub(super) unsettled: bool,
    services: &'a [String],
    window: (i64, i64),
    limit: usize,
    full: usize,
    pages: HashMap<usize, usize>,
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
        // The spans' times are by the target's clock, and how far that is from ours is only known within bounds.
        let offset = request.stream.offset.unwrap_or_default();
        let (warmup, counted): (Vec<Job>, Vec<Job>) = request.stream.jobs().partition(Job::is_warmup);
        Self {
            jaeger,
            store: Store::default(),
            searched: services.iter().map(|_| Searched::default()).collect(),
            expected: counted.into_iter().filter_map(expected).collect(),
            warmup: warmup.into_iter().filter_map(expected).collect(),
            missing: Vec::new(),
            unasked: 0,
            by_id: BTreeSet::new(),
            passes: 0,
            unsettled: false,
            services,
            window: (
                window.start.shifted(offset.seconds - offset.bound_seconds).micros(),
                window.end.shifted(offset.seconds + offset.bound_seconds).micros(),
            ),
            limit: page,
            full: page,
            pages: HashMap::new(),
            console,
        }
    }

    /// Captures until the counts stand still, at the latest until `settle` after the window's end, or until a signal ends
    /// the waiting; then fetches by id what the jobs lack. What a signal leaves no time to ask for is said to be so.
    pub(super) fn capture(&mut self, request: &CaptureRequest<'_>, flush: Duration, stop: &Stop) {
        let settle = request.settle();
        let mut wait = FIRST_WAIT;
        loop {
            let flushed = request.stream.left_to_settle(flush.min(settle)).is_zero();
            let grew = self.pass();
            let left = request.stream.left_to_settle(settle);
            let settled = !grew && flushed && self.passes > 1 && self.faults().next().is_none();
            let hopeless = self.faults().any(|fault| !fault.passing)
                || (self.faults().next().is_some() && self.passes > 1 && left.is_zero());
            self.unsettled = !settled;
            let enough = left.is_zero() && self.passes >= PASSES;
            if settled || hopeless || enough || settle.is_zero() || stop.signal().is_some() {
                // One look that was asked for as one look is no restlessness.
                self.unsettled &= !settle.is_zero();
                break;
            }
            let pause = wait.min(left);
            wait = LONGEST_WAIT.min(wait * 8 / 5);
            self.rest(pause, stop, request);
        }
        if !self.faults().any(|fault| !fault.passing) {
            self.fetch_missing();
        }
        self.console.clear_progress();
    }

    fn faults(&self) -> impl Iterator<Item = &Fault> {
        self.searched.iter().filter_map(|searched| searched.fault.as_ref())
    }

    /// Waits, and shows for how long at the most; a signal ends it.
    fn rest(&self, pause: Duration, stop: &Stop, request: &CaptureRequest<'_>) {
        let (traces, spans) = self.store.size();
        self.console.progress(|| {
            let left = units::whole(request.stream.left_to_settle(request.settle()));
            format!("{traces} traces, {spans} spans; waiting until no more come, {left} at the most")
        });
        // By a signal or by the time being up: both mean to go on.
        stop.wait(pause);
    }

    /// Sweeps every service once. Whether that brought more than there was.
    fn pass(&mut self) -> bool {
        self.passes += 1;
        let before = self.store.size();
        for (index, service) in self.services.iter().enumerate() {
            let moments =
                self.store.of(service).filter_map(|(_, trace)| trace.spans.iter().map(|span| span.start).max());
            let windows = pieces(self.window, moments.collect(), self.passes);
            let (store, console) = (&mut self.store, &self.console);
            let Swept { fault, overfull, pages } =
                sweep(&mut self.jaeger, service, windows, (self.limit, self.full), |traces, requests| {
                    store.add(Some(service), traces);
                    console.progress(|| format!("{service}: {} traces, requests: {requests}", store.size().0));
                });
            for page in pages {
                *self.pages.entry(page).or_default() += 1;
            }
            let ends_all = fault.as_ref().is_some_and(|fault| !fault.passing);
            self.searched[index] = Searched { fault, overfull };
            if ends_all {
                // Every other service would meet the same.
                let fault = self.searched[index].fault.clone();
                self.searched[index + 1..].iter_mut().for_each(|searched| searched.fault.clone_from(&fault));
                break;
            }
        }
        let grew = self.store.size() != before;
        if grew && self.passes > 1 {
            self.learn();
        }
        grew
    }

    /// A server may have a lower limit of its own. Where more came and the fullest page was seen more than once, that is
    /// taken for it; where that is wrong it only costs requests.
    fn learn(&mut self) {
        let fullest = self.pages.iter().filter(|(page, _)| **page < self.full).max_by_key(|(page, _)| **page);
        if let Some((&page, &times)) = fullest
            && page > 1
            && times > 1
        {
            self.full = page;
        }
    }

    /// The smallest page that counts as full.
    pub(super) fn full(&self) -> usize {
        self.full
    }

    fn fetch_missing(&mut self) {
        let found = self.found();
        let lacking: Vec<Expected> =
            self.expected.iter().zip(found).filter(|(_, found)| found.is_empty()).map(|(job, _)| job.clone()).collect();
        let mut broken = false;
        for (index, Expected { trace, canonical, .. }) in lacking.iter().enumerate() {
            self.console.progress(|| format!("asking for {} of {} missing traces by id", index + 1, lacking.len()));
            if !broken && is_trace_id(trace) {
                match self.jaeger.by_id(trace) {
                    Ok(page) => self.store.add(None, page.traces),
                    Err(fault) if fault.is_interrupted() => {
                        broken = true;
                        self.unasked = lacking.len() - index;
                    }
                    Err(fault) => {
                        broken = true;
                        self.console.say(&format!("{fault}; the other missing traces are not asked for"));
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

    /// For each job that is expected, the traces that are its: the one with its trace id, else those that carry its id.
    pub(super) fn found(&self) -> Vec<Vec<&str>> {
        let by_job = self.store.by_job();
        let of = |expected: &Expected| match self.store.traces.get_key_value(&expected.canonical) {
            Some((id, _)) => vec![id.as_str()],
            None => expected.job.as_deref().and_then(|job| by_job.get(job).cloned()).unwrap_or_default(),
        };
        self.expected.iter().map(of).collect()
    }

    /// What is known of the submission of each trace that belongs to a job.
    pub(super) fn submissions(&self) -> HashMap<&str, Submission<'_>> {
        self.expected
            .iter()
            .chain(&self.warmup)
            .map(|expected| (expected.canonical.as_str(), Submission::of(expected.span.as_deref())))
            .collect()
    }
}

/// A job that the target took, and that carried a trace id.
fn expected(job: Job) -> Option<Expected> {
    let trace = job.status.trace_id?;
    job.status.job_id.as_ref()?;
    Some(Expected { canonical: canonical(&trace), trace, job: job.status.job_id, span: job.status.span_id })
}

/// Whether `id` may stand in a URL as a trace id.
fn is_trace_id(id: &str) -> bool {
    matches!(id.len(), 16 | 32) && id.bytes().all(|byte| byte.is_ascii_hexdigit())
}
