//! Traces in memory: the fields of each span that the capture uses, and the exact text that the server sent.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use serde_json::value::RawValue;

use crate::profile::JaegerConfig;

/// The OTLP context of a span: the text of its `resourceSpans` member without the scopes, and of its `scopeSpans` member
/// without the spans.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Context {
    pub(super) resource: String,
    pub(super) scope: String,
}

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

/// A span.
#[derive(Clone, Debug)]
pub(super) struct Span {
    pub(super) id: String,
    /// The id of its parent in the same trace.
    pub(super) parent: Option<String>,
    pub(super) service: Arc<str>,
    /// The span's kind as the server spells it; empty if the API does not give it.
    pub(super) kind: String,
    /// The operation's name.
    pub(super) name: String,
    /// The start in microseconds since the epoch.
    pub(super) start: i64,
    /// The duration in seconds, if the server gives it.
    pub(super) seconds: Option<f64>,
    /// The value of the job tag.
    pub(super) job: Option<String>,
    /// The value of the tenant tag.
    pub(super) tenant: Option<String>,
    /// Its text, if the server sends spans and not whole traces.
    pub(super) raw: Option<(Arc<Context>, Box<RawValue>)>,
}

/// A trace, or the part of it that an answer contained.
#[derive(Clone, Debug, Default)]
pub(super) struct Trace {
    pub(super) spans: Vec<Span>,
    /// Its text, if the server sends whole traces.
    pub(super) raw: Option<Box<RawValue>>,
    /// The server warned that it truncated the trace.
    pub(super) truncated: bool,
}

impl Trace {
    /// Merges another answer's part of the same trace. Of two whole traces the one with more spans stays; single spans are
    /// united. A span's identity is more than its id: in raw data a client and a server may share one.
    fn merge(&mut self, other: Self) {
        if other.raw.is_some() || self.raw.is_some() {
            if other.spans.len() > self.spans.len() {
                *self = other;
            }
            return;
        }
        let identity = |span: &Span| (span.id.clone(), span.service.clone(), span.kind.clone());
        let mut held: HashSet<_> = self.spans.iter().map(identity).collect();
        self.spans.extend(other.spans.into_iter().filter(|span| held.insert(identity(span))));
        self.truncated |= other.truncated;
    }

    /// Returns true if the trace has a span of `service`.
    pub(super) fn has(&self, service: &str) -> bool {
        self.spans.iter().any(|span| &*span.service == service)
    }

    /// Returns true if spans are known to be missing: a parent is absent, other than the submission's own span, which no client
    /// reports.
    pub(super) fn is_incomplete(&self, submission: Submission<'_>) -> bool {
        let ids: HashSet<&str> = self.spans.iter().map(|span| span.id.as_str()).collect();
        let parents = || self.spans.iter().map(|span| span.parent.as_deref());
        let absent: BTreeSet<&str> = parents().flatten().filter(|parent| !ids.contains(parent)).collect();
        let excused = match submission {
            Submission::None => false,
            Submission::Span(span) => absent.iter().all(|parent| same_id(parent, span)),
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

impl<'a> Submission<'a> {
    /// Returns the submission of a job whose record names this span, or none.
    pub(super) fn from_span(span: Option<&'a str>) -> Self {
        span.map_or(Self::Unknown, Self::Span)
    }
}

/// Returns an id in the form in which ids are compared: lower case, and without leading zeros, which some servers omit.
pub(super) fn canonical_id(id: &str) -> String {
    id.trim_start_matches('0').to_ascii_lowercase()
}

fn same_id(left: &str, right: &str) -> bool {
    canonical_id(left) == canonical_id(right)
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
        let mut by_job: HashMap<&str, Vec<&str>> = HashMap::new();
        for (id, trace) in &self.traces {
            let jobs: BTreeSet<&str> = trace.spans.iter().filter_map(|span| span.job.as_deref()).collect();
            for job in jobs {
                by_job.entry(job).or_default().push(id);
            }
        }
        by_job
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(id: &str, parent: Option<&str>) -> Span {
        let (parent, service) = (parent.map(str::to_owned), "s".into());
        Span {
            id: id.into(),
            parent,
            service,
            kind: String::new(),
            name: String::new(),
            start: 0,
            seconds: None,
            job: None,
            tenant: None,
            raw: None,
        }
    }

    #[test]
    fn a_trace_is_incomplete_if_a_parent_other_than_the_submission_is_absent() {
        let trace = |spans: &[(&str, Option<&str>)]| Trace {
            spans: spans.iter().map(|(id, parent)| span(id, *parent)).collect(),
            ..Trace::default()
        };
        let (ours, theirs) = (trace(&[("2", Some("0a")), ("3", Some("2"))]), trace(&[("2", None), ("3", Some("9"))]));
        assert!(!ours.is_incomplete(Submission::Span("a")) && !ours.is_incomplete(Submission::Unknown));
        assert!(ours.is_incomplete(Submission::None) && ours.is_incomplete(Submission::Span("b")));
        assert!(theirs.is_incomplete(Submission::Unknown) && theirs.is_incomplete(Submission::Span("a")));
        assert!(trace(&[("2", Some("a")), ("3", Some("b"))]).is_incomplete(Submission::Unknown));
        assert!(!trace(&[("2", None)]).is_incomplete(Submission::None));
        assert!(Trace { truncated: true, ..trace(&[("2", None)]) }.is_incomplete(Submission::None));
    }

    #[test]
    fn spans_are_merged_by_more_than_their_id() {
        let mut trace = Trace { spans: vec![span("1", None)], ..Trace::default() };
        let other = Span { kind: "2".into(), ..span("1", None) };
        trace.merge(Trace { spans: vec![span("1", None), other, span("2", Some("1"))], ..Trace::default() });
        assert_eq!(trace.spans.len(), 3);
    }

    #[test]
    fn of_two_whole_traces_the_fuller_stays() {
        let whole = |spans: usize| Trace {
            spans: vec![span("1", None); spans],
            raw: RawValue::from_string(format!("[{spans}]")).ok(),
            truncated: false,
        };
        let mut store = TraceStore::default();
        for spans in [1, 3, 2] {
            store.add(Some("s"), vec![("a".into(), whole(spans))]);
        }
        assert_eq!((store.size(), store.traces["a"].raw.as_ref().unwrap().get()), ((1, 3), "[3]"));
    }
}
