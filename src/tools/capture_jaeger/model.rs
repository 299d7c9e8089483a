//! Traces in memory: the fields of each span that the capture uses, and the exact text that the server sent.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use serde_json::value::RawValue;

use super::fields::canonical_id;
use crate::profile::JaegerConfig;

/// The seconds from which on a duration in microseconds is a negative number of 64 bits that lost its sign.
const LONGEST: f64 = i64::MAX as f64 / 1e6;

/// The keys of the span tags to keep; empty if the profile names none.
#[derive(Clone, Debug, Default)]
pub(super) struct Tags {
    /// The tag that carries the job's id.
    pub(super) job: String,
    /// The tag that carries the GPU's tenant.
    pub(super) tenant: String,
}

impl Tags {
    /// Returns the tags that the profile names.
    pub(super) fn from_profile(profile: &JaegerConfig) -> Self {
        let named = |tag: &Option<String>| tag.clone().unwrap_or_default();
        Self { job: named(&profile.job_tag), tenant: named(&profile.gpu_tenant_tag) }
    }

    /// Returns tags with a job tag only.
    #[cfg(test)]
    pub(super) fn with_job(key: &str) -> Self {
        Self { job: key.to_owned(), ..Self::default() }
    }
}

/// The process that reported a span.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Origin {
    pub(super) service: String,
    /// A number that tells the process from others of the service: the fingerprint of its attributes.
    pub(super) process: u64,
    /// In OTLP the `resourceSpans` member without the scopes; in the older API the member of `processes`.
    pub(super) outer: String,
    /// In OTLP the `scopeSpans` member without the spans; in the older API the process's key.
    pub(super) inner: String,
}

/// A span.
#[derive(Clone, Debug)]
pub(super) struct Span {
    pub(super) id: String,
    /// The id of its parent in the same trace.
    pub(super) parent: Option<String>,
    /// The ids of the other traces that it is linked to.
    pub(super) links: Vec<String>,
    /// The span's kind; empty if the answer does not give it.
    pub(super) kind: String,
    /// The operation's name.
    pub(super) name: String,
    /// The start in microseconds since the epoch.
    pub(super) start: i64,
    /// The time from the start to the end in seconds, if the server gives it, be it nonsense; see [`Self::duration`].
    pub(super) seconds: Option<f64>,
    /// The value of the job tag.
    pub(super) job: Option<String>,
    /// The value of the tenant tag.
    pub(super) tenant: Option<String>,
    /// The number of equal spans before it in the same answer.
    pub(super) repeat: usize,
    pub(super) origin: Arc<Origin>,
    /// The text that the server sent.
    pub(super) raw: Box<RawValue>,
}

/// A span's identity. It is more than the id: client and server may share an id, and so do processes that were forked with
/// one random seed.
type Identity<'a> = (&'a str, &'a str, &'a str, i64, &'a str, u64);

impl Span {
    /// Returns the duration in seconds; none if the span has not ended, or ends before it begins. A span without an end has
    /// the end 0, which some servers make a negative duration, and Jaeger's older API the same without its sign.
    pub(super) fn duration(&self) -> Option<f64> {
        self.seconds.filter(|seconds| (0.0..LONGEST).contains(seconds))
    }

    fn identity(&self) -> Identity<'_> {
        (&self.id, &self.kind, &self.name, self.start, &self.origin.service, self.origin.process)
    }

    /// Returns a key that is equal for spans that stand once in a file, though several answers contain them.
    fn file_key(&self) -> (Identity<'_>, Option<u64>, usize) {
        (self.identity(), self.seconds.map(f64::to_bits), self.repeat)
    }
}

/// A trace, or the part of it that an answer contained.
#[derive(Clone, Debug, Default)]
pub(super) struct Trace {
    pub(super) spans: Vec<Span>,
    /// In the older API the text of the trace without spans and processes.
    pub(super) header: Option<String>,
    /// The server warned that it truncated the trace.
    pub(super) truncated: bool,
}

/// The answer to a search.
#[derive(Debug, Default)]
pub(super) struct SearchPage {
    /// Each trace by its canonical id.
    pub(super) traces: Vec<(String, Trace)>,
    /// The errors that the server reported beside them.
    pub(super) errors: Option<String>,
}

impl Trace {
    /// Numbers equal spans, after all of an answer has been read.
    pub(super) fn number_repeats(&mut self) {
        let ids: HashSet<&str> = self.spans.iter().map(|span| span.id.as_str()).collect();
        if ids.len() == self.spans.len() {
            return;
        }
        let mut counts: HashMap<_, usize> = HashMap::new();
        let repeats: Vec<usize> = self
            .spans
            .iter()
            .map(|span| {
                // All of them are number 0 until now.
                let count = counts.entry(span.file_key()).or_default();
                *count += 1;
                *count - 1
            })
            .collect();
        self.spans.iter_mut().zip(repeats).for_each(|(span, repeat)| span.repeat = repeat);
    }

    /// Merges another answer's part of the same trace. A span that both contain stays once; one that an answer repeats stays
    /// as often as it did there.
    fn merge(&mut self, other: Self) {
        if self.spans.is_empty() && self.header.is_none() {
            *self = other;
            return;
        }
        // Most answers repeat what an earlier one contained.
        let is_equal = self.spans.len() == other.spans.len()
            && self.spans.iter().zip(&other.spans).all(|(held, span)| held.file_key() == span.file_key());
        self.truncated |= other.truncated;
        if is_equal {
            return;
        }
        let held: HashSet<_> = self.spans.iter().map(Span::file_key).collect();
        let is_new: Vec<bool> = other.spans.iter().map(|span| !held.contains(&span.file_key())).collect();
        self.spans.extend(other.spans.into_iter().zip(is_new).filter_map(|(span, is_new)| is_new.then_some(span)));
        self.header = self.header.take().or(other.header);
    }

    /// Returns each span once: of repetitions the longest that has an end, because a span may be reported before it has ended.
    pub(super) fn distinct_spans(&self) -> Vec<&Span> {
        let mut places: HashMap<Identity<'_>, usize> = HashMap::new();
        let mut distinct: Vec<&Span> = Vec::with_capacity(self.spans.len());
        for span in &self.spans {
            let place = *places.entry(span.identity()).or_insert(distinct.len());
            match distinct.get_mut(place) {
                Some(held) if held.duration() < span.duration() => *held = span,
                Some(_) => {}
                None => distinct.push(span),
            }
        }
        distinct
    }

    /// Returns true if the trace has a span of `service`.
    pub(super) fn has(&self, service: &str) -> bool {
        self.spans.iter().any(|span| span.origin.service == service)
    }

    /// Returns true if spans are known to be missing: a parent is absent, other than the submission's own span, which no client
    /// reports.
    pub(super) fn is_incomplete(&self, submission: Submission<'_>) -> bool {
        let ids: HashSet<&str> = self.spans.iter().map(|span| span.id.as_str()).collect();
        let parents = || self.spans.iter().map(|span| span.parent.as_deref());
        let absent: BTreeSet<&str> = parents().flatten().filter(|parent| !ids.contains(parent)).collect();
        let excused = match submission {
            Submission::None => false,
            Submission::Span(span) => absent.iter().all(|parent| *parent == canonical_id(span)),
            // The submission's span is not known, but then it is the only absent parent.
            Submission::Unknown => absent.len() == 1 && parents().all(|parent| parent.is_some()),
        };
        self.truncated || !(absent.is_empty() || excused)
    }
}

/// The span under which a job was submitted, as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Submission<'a> {
    /// The trace belongs to no job.
    None,
    /// The trace belongs to a job whose record names no span; or there are no jobs, and the client that began it reports no spans.
    Unknown,
    /// The span's id.
    Span(&'a str),
}

/// All traces that were found, each once, by canonical id; and the service whose search found them.
#[derive(Clone, Debug, Default)]
pub(super) struct TraceStore {
    pub(super) traces: BTreeMap<String, Trace>,
    found_by_service: HashMap<String, BTreeSet<String>>,
}

impl TraceStore {
    /// Adds the traces that a search for `service`, or a request by id, returned.
    pub(super) fn add(&mut self, service: Option<&str>, traces: Vec<(String, Trace)>) {
        for (id, trace) in traces {
            if let Some(service) = service {
                self.found_by_service.entry(service.to_owned()).or_default().insert(id.clone());
            }
            self.traces.entry(id).or_default().merge(trace);
        }
    }

    /// Returns the traces of `service`: those that its search found, and those that have a span of it.
    pub(super) fn traces_of<'a>(&'a self, service: &'a str) -> impl Iterator<Item = (&'a str, &'a Trace)> {
        let found = self.found_by_service.get(service);
        let is_of_service =
            move |id: &String, trace: &Trace| found.is_some_and(|ids| ids.contains(id)) || trace.has(service);
        self.traces.iter().filter(move |(id, trace)| is_of_service(id, trace)).map(|(id, trace)| (id.as_str(), trace))
    }

    /// Counts traces and spans; two equal counts mean that nothing more came.
    pub(super) fn size(&self) -> (usize, usize) {
        (self.traces.len(), self.traces.values().map(|trace| trace.spans.len()).sum())
    }

    /// Returns the ids of the traces that carry each job's id in the job tag.
    pub(super) fn by_job(&self) -> HashMap<&str, Vec<&str>> {
        self.index(|span| span.job.as_slice())
    }

    /// Returns, for each trace that spans of other traces are linked to, the ids of those others.
    pub(super) fn by_link(&self) -> HashMap<&str, Vec<&str>> {
        self.index(|span| &span.links)
    }

    /// Returns the ids of the other traces that spans of the trace `id` are linked to.
    pub(super) fn links_of(&self, id: &str) -> impl Iterator<Item = &str> {
        let spans = self.traces.get(id).into_iter().flat_map(|trace| &trace.spans);
        spans.flat_map(|span| &span.links).map(String::as_str)
    }

    fn index(&self, keys: impl Fn(&Span) -> &[String]) -> HashMap<&str, Vec<&str>> {
        let mut index: HashMap<&str, Vec<&str>> = HashMap::new();
        for (id, trace) in &self.traces {
            let keys: BTreeSet<&str> = trace.spans.iter().flat_map(&keys).map(String::as_str).collect();
            for key in keys {
                index.entry(key).or_default().push(id);
            }
        }
        index
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) fn span(id: &str, parent: Option<&str>, service: &str) -> Span {
        Span {
            id: id.into(),
            parent: parent.map(str::to_owned),
            links: Vec::new(),
            kind: String::new(),
            name: String::new(),
            start: 0,
            seconds: None,
            job: None,
            tenant: None,
            repeat: 0,
            origin: Arc::new(Origin { service: service.into(), ..Origin::default() }),
            raw: RawValue::from_string("{}".into()).unwrap(),
        }
    }

    fn trace(spans: Vec<Span>) -> Trace {
        let mut trace = Trace { spans, ..Trace::default() };
        trace.number_repeats();
        trace
    }

    #[test]
    fn a_trace_is_incomplete_if_a_parent_other_than_the_submission_is_absent() {
        let trace = |spans: &[(&str, Option<&str>)]| Trace {
            spans: spans.iter().map(|(id, parent)| span(id, *parent, "s")).collect(),
            ..Trace::default()
        };
        let (ours, theirs) = (trace(&[("2", Some("a")), ("3", Some("2"))]), trace(&[("2", None), ("3", Some("9"))]));
        assert!(!ours.is_incomplete(Submission::Span("0A")) && !ours.is_incomplete(Submission::Unknown));
        assert!(ours.is_incomplete(Submission::None) && ours.is_incomplete(Submission::Span("b")));
        assert!(theirs.is_incomplete(Submission::Unknown) && theirs.is_incomplete(Submission::Span("a")));
        assert!(trace(&[("2", Some("a")), ("3", Some("b"))]).is_incomplete(Submission::Unknown));
        assert!(!trace(&[("2", None)]).is_incomplete(Submission::None));
        assert!(!trace(&[("2", Some("2"))]).is_incomplete(Submission::None), "its own parent");
        assert!(Trace { truncated: true, ..trace(&[("2", None)]) }.is_incomplete(Submission::None));
    }

    #[test]
    fn spans_that_share_an_id_are_several_and_a_repetition_counts_once() {
        let server = Span { kind: "server".into(), ..span("1", None, "s") };
        let later = Span { start: 5, ..span("1", Some("1"), "s") };
        let all = || vec![span("1", None, "s"), server.clone(), later.clone(), later.clone()];
        let mut held = trace(vec![span("1", None, "s")]);
        held.merge(trace(all()));
        held.merge(trace(all()));
        assert_eq!((held.spans.len(), held.distinct_spans().len()), (4, 3));
    }

    #[test]
    fn a_span_that_was_reported_before_its_end_counts_once_with_its_longest_duration() {
        let lasting = |seconds| Span { seconds, ..span("1", None, "s") };
        let mut held = trace(vec![lasting(Some(0.5))]);
        held.merge(trace(vec![lasting(None), lasting(Some(2.0))]));
        assert_eq!(held.spans.len(), 3, "nothing is lost from the file");
        assert_eq!(held.distinct_spans().iter().map(|span| span.seconds).collect::<Vec<_>>(), [Some(2.0)]);
    }

    #[test]
    fn linked_traces_are_found_from_their_target() {
        let mut store = TraceStore::default();
        let linked = Span { links: vec!["a".into(), "a".into()], ..span("1", None, "s") };
        store.add(Some("s"), vec![("b".into(), trace(vec![linked.clone(), linked]))]);
        assert_eq!(store.by_link(), HashMap::from([("a", vec!["b"])]));
    }
}
