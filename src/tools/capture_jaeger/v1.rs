//! The older JSON shape: `{"data":[{"traceID","spans","processes"}],"errors":[…]}`.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::model::{Span, Tags, Trace, canonical_id};
use crate::record::raw;

/// The contents of an answer.
#[derive(Debug)]
pub(super) struct Envelope {
    /// Each trace by its canonical id.
    pub(super) traces: Vec<(String, Trace)>,
    /// The errors that the server reported.
    pub(super) errors: Option<String>,
}

#[derive(Deserialize)]
struct Outer<'a> {
    #[serde(borrow, default)]
    data: Option<Vec<&'a RawValue>>,
    #[serde(default)]
    errors: Option<Vec<ServerError>>,
}

#[derive(Deserialize)]
struct ServerError {
    #[serde(default)]
    code: Option<i64>,
    #[serde(default)]
    msg: String,
}

#[derive(Deserialize)]
struct TraceFields<'a> {
    #[serde(rename = "traceID", borrow)]
    id: Cow<'a, str>,
    #[serde(borrow, default)]
    spans: Option<Vec<SpanFields<'a>>>,
    #[serde(default)]
    processes: Option<HashMap<String, Process>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SpanFields<'a> {
    #[serde(rename = "spanID")]
    id: String,
    #[serde(default)]
    references: Option<Vec<Reference>>,
    #[serde(default)]
    start_time: i64,
    /// Microseconds; some servers write a fraction.
    #[serde(default)]
    duration: Option<f64>,
    #[serde(default)]
    operation_name: String,
    #[serde(borrow, default)]
    tags: Option<Vec<Tag<'a>>>,
    #[serde(rename = "processID", default)]
    process: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reference {
    #[serde(default)]
    ref_type: String,
    #[serde(rename = "traceID", default)]
    trace: String,
    #[serde(rename = "spanID", default)]
    span: String,
}

#[derive(Deserialize)]
struct Tag<'a> {
    #[serde(borrow)]
    key: Cow<'a, str>,
    #[serde(borrow)]
    value: &'a RawValue,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Process {
    #[serde(default)]
    service_name: String,
}

/// Reads an answer to a search or to a request by id; `tags` names the tags to keep. Returns `Err` if it has another shape.
pub(super) fn read(body: &str, tags: &Tags) -> Result<Envelope, String> {
    let outer: Outer<'_> = serde_json::from_str(body).map_err(|error| error.to_string())?;
    if outer.data.is_none() && outer.errors.is_none() && !body.contains("\"data\"") {
        return Err("neither `data` nor `errors` in it".to_owned());
    }
    let traces =
        outer.data.unwrap_or_default().into_iter().map(|raw| read_trace(raw, tags)).collect::<Result<_, _>>()?;
    let errors: Vec<String> = outer.errors.unwrap_or_default().into_iter().map(error_text).collect();
    Ok(Envelope { traces, errors: (!errors.is_empty()).then(|| errors.join("; ")) })
}

/// The names in an answer to `/api/services`.
pub(super) fn services(body: &str) -> Option<Vec<String>> {
    #[derive(Deserialize)]
    struct Names {
        data: Option<Vec<String>>,
    }
    serde_json::from_str::<Names>(body).ok().map(|names| names.data.unwrap_or_default())
}

fn error_text(ServerError { code, msg }: ServerError) -> String {
    code.map_or_else(|| msg.clone(), |code| format!("{code} {msg}"))
}

fn read_trace(raw: &RawValue, tags: &Tags) -> Result<(String, Trace), String> {
    let trace: TraceFields<'_> = serde_json::from_str(raw.get()).map_err(|error| format!("a trace in it: {error}"))?;
    let processes = trace.processes.unwrap_or_default();
    let services: HashMap<&str, Arc<str>> =
        processes.iter().map(|(id, process)| (id.as_str(), process.service_name.as_str().into())).collect();
    let id = canonical_id(&trace.id);
    let span = |span: SpanFields<'_>| Span {
        parent: parent(&id, span.references.unwrap_or_default()),
        service: services.get(span.process.as_str()).cloned().unwrap_or_default(),
        kind: String::new(),
        start: span.start_time,
        seconds: span.duration.map(|micros| micros / 1e6),
        name: span.operation_name,
        job: tag_value(span.tags.as_deref(), &tags.job),
        tenant: tag_value(span.tags.as_deref(), &tags.tenant),
        raw: None,
        id: span.id,
    };
    let spans = trace.spans.unwrap_or_default().into_iter().map(span).collect();
    let truncated = raw.get().contains(super::TRUNCATED);
    Ok((id.clone(), Trace { spans, raw: Some(raw.to_owned()), truncated }))
}

/// The value of the tag `key`.
fn tag_value(tags: Option<&[Tag<'_>]>, key: &str) -> Option<String> {
    tags?.iter().find(|held| held.key == key).and_then(|held| raw::scalar(held.value))
}

/// The parent in the same trace: the span that this one is a child of, or else follows from.
fn parent(trace: &str, references: Vec<Reference>) -> Option<String> {
    let mut own: Vec<Reference> =
        references.into_iter().filter(|reference| canonical_id(&reference.trace) == trace).collect();
    let child = own.iter().position(|reference| reference.ref_type == "CHILD_OF").unwrap_or(0);
    (child < own.len()).then(|| own.swap_remove(child).span)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEARCH: &str = include_str!("../../../tests/data/jaeger-v1.20-search.json");
    const PARTIAL: &str = include_str!("../../../tests/data/jaeger-v1.20-byids-partial.json");
    const REFUSED: &str = include_str!("../../../tests/data/jaeger-v1.20-search-400.json");

    #[test]
    fn a_recorded_answer_keeps_its_text() {
        let envelope = read(SEARCH, &Tags::with_job("job")).unwrap();
        assert_eq!((envelope.traces.len(), envelope.errors), (3, None));
        let (id, trace) = &envelope.traces[0];
        assert_eq!(id, "abc0000000000000003");
        let seen: Vec<_> =
            trace.spans.iter().map(|span| (&*span.service, span.parent.as_deref(), span.job.as_deref())).collect();
        assert_eq!(seen, [("queue", None, Some("2")), ("stage-render", Some("0000000000000021"), None)]);
        assert!(SEARCH.contains(trace.raw.as_ref().unwrap().get()));
        assert!(trace.raw.as_ref().unwrap().get().contains("\"value\":1152921504606846976"));
    }

    #[test]
    fn errors_are_quoted() {
        let envelope = read(PARTIAL, &Tags::with_job("job")).unwrap();
        assert_eq!((envelope.traces.len(), envelope.errors.as_deref()), (1, Some("trace not found")));
        assert_eq!(
            read(REFUSED, &Tags::with_job("job")).unwrap().errors.as_deref(),
            Some("400 parameter 'service' is required")
        );
        assert!(
            read("{}", &Tags::with_job("job")).is_err()
                && read("<html>", &Tags::with_job("job")).is_err()
                && read("[1]", &Tags::with_job("job")).is_err()
        );
    }

    #[test]
    fn services_are_listed() {
        let names = services(include_str!("../../../tests/data/jaeger-v1.20-services.json")).unwrap();
        assert_eq!(names, ["queue", "stage-render"]);
    }
}
