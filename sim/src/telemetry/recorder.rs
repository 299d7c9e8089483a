//! The recorder of spans: each is recorded when it ends, and visible to queries a little later.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::export::Exporter;
use super::span::Span;

/// Keeps ended spans in memory, and passes them to an exporter if there is one.
#[derive(Debug)]
pub(crate) struct Recorder {
    delay: Duration,
    kept: Mutex<Kept>,
    export: Option<Exporter>,
}

#[derive(Debug, Default)]
struct Kept {
    /// In the order in which they ended.
    spans: Vec<(Instant, Arc<Span>)>,
    by_trace: HashMap<u128, Vec<usize>>,
}

impl Recorder {
    /// Spans become visible `delay` after they were recorded; each also goes to `export`.
    pub(crate) fn new(delay: Duration, export: Option<Exporter>) -> Self {
        Self { delay, kept: Mutex::default(), export }
    }

    /// Every change is complete before the lock is let go, so a poisoned one is taken over.
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn record(&self, span: Span) {
        let span = Arc::new(span);
        if self.export.as_ref().is_some_and(|export| !export.send(&span)) {
            crate::complain("the span exporter has stopped: a span is not exported");
        }
        let mut kept = self.kept();
        let index = kept.spans.len();
        kept.by_trace.entry(span.trace).or_default().push(index);
        kept.spans.push((Instant::now() + self.delay, span));
    }

    /// The services that have visible spans.
    pub(crate) fn services(&self) -> BTreeSet<&'static str> {
        self.kept().visible().map(|span| span.service).collect()
    }

    /// The whole visible part of traces that have a visible span like that: the most recent ones by the start of their last span, at
    /// most `limit` of them.
    pub(crate) fn newest_with(&self, limit: usize, matches: impl Fn(&Span) -> bool) -> Vec<Vec<Arc<Span>>> {
        let kept = self.kept();
        let traces: HashSet<u128> = kept.visible().filter(|span| matches(span)).map(|span| span.trace).collect();
        let newest = |trace: &u128| kept.of_trace(*trace).map(|span| span.start).max();
        let mut traces: Vec<_> = traces.into_iter().map(|trace| (Reverse(newest(&trace)), trace)).collect();
        traces.sort_unstable();
        traces.truncate(limit);
        traces.into_iter().map(|(_, trace)| kept.of_trace(trace).cloned().collect()).collect()
    }

    /// The visible spans of one trace.
    pub(crate) fn of_trace(&self, trace: u128) -> Vec<Arc<Span>> {
        self.kept().of_trace(trace).cloned().collect()
    }
}

impl Kept {
    /// Spans become visible in the order in which they were recorded.
    fn visible(&self) -> impl Iterator<Item = &Arc<Span>> {
        let now = Instant::now();
        self.spans.iter().take_while(move |(at, _)| *at <= now).map(|(_, span)| span)
    }

    fn of_trace(&self, trace: u128) -> impl Iterator<Item = &Arc<Span>> {
        let now = Instant::now();
        let indices = self.by_trace.get(&trace).into_iter().flatten();
        indices.map(|index| &self.spans[*index]).filter(move |(at, _)| *at <= now).map(|(_, span)| span)
    }
}
