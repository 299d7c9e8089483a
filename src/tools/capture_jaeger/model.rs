//! Traces as they are held: what is known of each span, and the exact text that the server sent.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use serde_json::value::RawValue;

use crate::profile::JaegerConfig;

/// What stands around a span in OTLP: the text of its `resourceSpans` member without the scopes, and of its `scopeSpans`
/// member without the spans.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Context {
    pub(super) resource: String,
    pub(super) scope: String,
}

/// The tags of a span that are looked at, by their keys; empty where the profile names none.
#[derive(Clone, Debug, Default)]
pub(super) struct Tags {
    /// The one that carries the job's id.
    pub(super) job: String,
    /// The one that carries the GPU's tenant.
    pub(super) tenant: String,
}

impl Tags {
    /// Those that the profile names.
    pub(super) fn of(profile: &JaegerConfig) -> Self {
        let named = |tag: &Option<String>| tag.clone().unwrap_or_default();
        Self { job: named(&profile.job_tag), tenant: named(&profile.gpu_tenant_tag) }
    }

    /// That one alone.
    #[cfg(test)]
    pub(super) fn job(key: &str) -> Self {
        Self { job: key.to_owned(), ..Self::default() }
    }
}

/// One span.
#[derive(Clone, Debug)]
pub(super) struct Span {
    pub(super) id: String,
    /// Its parent in the same trace.
    pub(super) parent: Option<String>,
    pub(super) service: Arc<str>,
    /// The span's kind as the server spells it, where the API tells it with the span.
    pub(super) kind: String,
    /// What it is called.
    pub(super) name: String,
    /// When it began, in microseconds since the epoch.
    pub(super) start: i64,
    /// How long it took, in seconds; none where the server does not tell.
    pub(super) seconds: Option<f64>,
    /// The job id in the profile's tag.
    pub(super) job: Option<String>,
    /// The GPU's tenant in the profile's tag.
    pub(super) tenant: Option<String>,
    /// Its own text, where spans and not whole traces are what the server sends.
    pub(super) raw: Option<(Arc<Context>, Box<RawValue>)>,
}

/// One trace, or what one answer held of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Trace {
    pub(super) spans: Vec<Span>,
    /// Its own text, where the server sends whole traces.
    pub(super) raw: Option<Box<RawValue>>,
    /// Whether the server says that it cut it.
    pub(super) cut: bool,
}

impl Trace {
    /// Takes what another answer held of the same trace into account. Of two whole traces the one with more spans stays;
    /// single spans are united. The identity of a span is more than its id: in raw data client and server may share one.
    fn unite(&mut self, other: Self) {
        if other.raw.is_some() || self.raw.is_some() {
            if other.spans.len() > self.spans.len() {
                *self = other;
            }
            return;
        }
        let identity = |span: &Span| (span.id.clone(), span.service.clone(), span.kind.clone());
        let mut held: HashSet<_> = self.spans.iter().map(identity).collect();
        self.spans.extend(other.spans.into_iter().filter(|span| held.insert(identity(span))));
        self.cut |= other.cut;
    }

    /// Whether a span of that service is in it.
    pub(super) fn has(&self, service: &str) -> bool {
        self.spans.iter().any(|span| &*span.service == service)
    }

    /// Whether spans are known to be missing: a parent is absent that is not the submission's own span, which no one
    /// reports.
    pub(super) fn is_incomplete(&self, submission: Submission<'_>) -> bool {
        let ids: HashSet<&str> = self.spans.iter().map(|span| span.id.as_str()).collect();
        let parents = || self.spans.iter().map(|span| span.parent.as_deref());
        let absent: BTreeSet<&str> = parents().flatten().filter(|parent| !ids.contains(parent)).collect();
        let excused = match submission {
            Submission::None => false,
            Submission::Span(span) => absent.iter().all(|parent| same_id(parent, span)),
            // It is not known which span the submission's was; but then it is the only one that is absent.
            Submission::Unknown => absent.len() == 1 && parents().all(|parent| parent.is_some()),
        };
        self.cut || !(absent.is_empty() || excused)
    }
}

/// What is known of the span under which the harness submitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Submission<'a> {
    /// The trace is not one of a job.
    None,
    /// It is a job's, and the record does not say the span; or there are no jobs, and a client began it that reports no spans.
    Unknown,
    /// Its id.
    Span(&'a str),
}

impl<'a> Submission<'a> {
    /// A job's, whose record says this span, or none.
    pub(super) fn of(span: Option<&'a str>) -> Self {
        span.map_or(Self::Unknown, Self::Span)
    }
}

/// An id as ids are compared: some servers leave out leading zeros.
pub(super) fn canonical(id: &str) -> String {
    id.trim_start_matches('0').to_ascii_lowercase()
}

fn same_id(one: &str, other: &str) -> bool {
    canonical(one) == canonical(other)
}

/// Everything that was found, each trace once, by its canonical id; and whose search found it.
#[derive(Clone, Debug, Default)]
pub(super) struct Store {
    pub(super) traces: BTreeMap<String, Trace>,
    claims: HashMap<String, BTreeSet<String>>,
}

impl Store {
    /// Takes in what a search for `service` brought, or what asking by id brought.
    pub(super) fn add(&mut self, service: Option<&str>, found: Vec<(String, Trace)>) {
        for (id, trace) in found {
            if let Some(service) = service {
                self.claims.entry(service.to_owned()).or_default().insert(id.clone());
            }
            self.traces.entry(id).or_default().unite(trace);
        }
    }

    /// The traces of `service`: those that its search found, and those that have a span of it.
    pub(super) fn of<'a>(&'a self, service: &'a str) -> impl Iterator<Item = (&'a str, &'a Trace)> {
        let claimed = self.claims.get(service);
        let is_its =
            move |id: &String, trace: &Trace| claimed.is_some_and(|ids| ids.contains(id)) || trace.has(service);
        self.traces.iter().filter(move |(id, trace)| is_its(id, trace)).map(|(id, trace)| (id.as_str(), trace))
    }

    /// How many traces and spans there are; two equal answers mean that nothing more came.
    pub(super) fn size(&self) -> (usize, usize) {
        (self.traces.len(), self.traces.values().map(|trace| trace.spans.len()).sum())
    }

    /// Which traces carry which job's id in the profile's tag.
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
    fn a_trace_is_incomplete_where_a_parent_is_absent_that_is_not_ours() {
        let of = |spans: &[(&str, Option<&str>)]| Trace {
            spans: spans.iter().map(|(id, parent)| span(id, *parent)).collect(),
            ..Trace::default()
        };
        let (ours, theirs) = (of(&[("2", Some("0a")), ("3", Some("2"))]), of(&[("2", None), ("3", Some("9"))]));
        assert!(!ours.is_incomplete(Submission::Span("a")) && !ours.is_incomplete(Submission::Unknown));
        assert!(ours.is_incomplete(Submission::None) && ours.is_incomplete(Submission::Span("b")));
        assert!(theirs.is_incomplete(Submission::Unknown) && theirs.is_incomplete(Submission::Span("a")));
        assert!(of(&[("2", Some("a")), ("3", Some("b"))]).is_incomplete(Submission::Unknown));
        assert!(!of(&[("2", None)]).is_incomplete(Submission::None));
        assert!(Trace { cut: true, ..of(&[("2", None)]) }.is_incomplete(Submission::None));
    }

    #[test]
    fn spans_are_united_by_more_than_their_id() {
        let mut trace = Trace { spans: vec![span("1", None)], ..Trace::default() };
        let other = Span { kind: "2".into(), ..span("1", None) };
        trace.unite(Trace { spans: vec![span("1", None), other, span("2", Some("1"))], ..Trace::default() });
        assert_eq!(trace.spans.len(), 3);
    }

    #[test]
    fn of_two_whole_traces_the_fuller_stays() {
        let whole = |spans: usize| Trace {
            spans: vec![span("1", None); spans],
            raw: RawValue::from_string(format!("[{spans}]")).ok(),
            cut: false,
        };
        let mut store = Store::default();
        for spans in [1, 3, 2] {
            store.add(Some("s"), vec![("a".into(), whole(spans))]);
        }
        assert_eq!((store.size(), store.traces["a"].raw.as_ref().unwrap().get()), ((1, 3), "[3]"));
    }
}
