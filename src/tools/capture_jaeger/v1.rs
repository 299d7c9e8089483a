//! The older JSON shape: `{"data":[{"traceID","spans","processes"}],"errors":[…]}`.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::fields::{Attributes, Fields, canonical_id, span_kind};
use super::model::{Origin, SearchPage, Span, Tags, Trace};
use crate::record::raw;

/// Reads an answer to a search or to a request by id; `tags` names the tags to keep. Returns `Err` if it has another shape.
pub(super) fn read(body: &str, tags: &Tags) -> Result<SearchPage, String> {
    let outer: Fields<'_> = serde_json::from_str(body).map_err(|error| error.to_string())?;
    let errors: Vec<String> = outer.list("errors")?.into_iter().map(error_text).collect();
    if !outer.has(&["data"]) && errors.is_empty() {
        return Err("neither `data` nor `errors` in it".to_owned());
    }
    let mut traces: BTreeMap<String, Trace> = BTreeMap::new();
    let data = outer.get(&["data"]).map(|data| serde_json::from_str::<Vec<Fields<'_>>>(data.get())).transpose();
    for trace in data.map_err(|error| format!("`data`: {error}"))?.unwrap_or_default() {
        read_trace(&trace, tags, &mut traces)?;
    }
    traces.values_mut().for_each(Trace::number_repeats);
    Ok(SearchPage { traces: traces.into_iter().collect(), errors: (!errors.is_empty()).then(|| errors.join("; ")) })
}

/// The names in an answer to `/api/services`.
pub(super) fn services(body: &str) -> Option<Vec<String>> {
    #[derive(Deserialize)]
    struct Names {
        data: Option<Vec<String>>,
    }
    serde_json::from_str::<Names>(body).ok().map(|names| names.data.unwrap_or_default())
}

fn error_text(error: &RawValue) -> String {
    let Ok(fields) = Fields::parse(error, "an error") else {
        return raw::scalar(error).unwrap_or_else(|| error.get().to_owned());
    };
    let message = fields.text(&["msg"]).unwrap_or_default();
    fields.text(&["code"]).map_or_else(|| message.clone(), |code| format!("{code} {message}"))
}

fn read_trace(fields: &Fields<'_>, tags: &Tags, traces: &mut BTreeMap<String, Trace>) -> Result<(), String> {
    let id = fields.text(&["traceID"]).ok_or("a trace without `traceID`")?;
    if !fields.has(&["spans"]) {
        return Err(format!("the trace {id} has no `spans`"));
    }
    let origins = origins(fields)?;
    let id = canonical_id(&id);
    let trace = traces.entry(id.clone()).or_default();
    for span in fields.list("spans")? {
        trace.truncated |= span.get().contains(super::TRUNCATED);
        trace.spans.push(read_span(span, &id, &origins, tags)?);
    }
    trace.header.get_or_insert_with(|| fields.text_without(&["spans", "processes"]));
    trace.truncated |= trace.header.as_ref().is_some_and(|header| header.contains(super::TRUNCATED));
    Ok(())
}

/// Returns the processes of a trace by their keys.
fn origins(trace: &Fields<'_>) -> Result<HashMap<String, Arc<Origin>>, String> {
    let Some(processes) = trace.get(&["processes"]) else { return Ok(HashMap::new()) };
    let members = raw::members(processes).ok_or("`processes` is not an object")?;
    members.into_iter().map(|(key, process)| Ok((key.clone(), Arc::new(origin(key, process)?)))).collect()
}

fn origin(key: String, process: &RawValue) -> Result<Origin, String> {
    let fields = Fields::parse(process, "a process")?;
    Ok(Origin {
        service: fields.text(&["serviceName"]).unwrap_or_default(),
        process: Attributes::parse(&fields, "tags")?.fingerprint(),
        outer: process.get().to_owned(),
        inner: key,
    })
}

fn read_span(raw: &RawValue, trace: &str, origins: &HashMap<String, Arc<Origin>>, tags: &Tags) -> Result<Span, String> {
    let fields = Fields::parse(raw, "a span")?;
    let id = canonical_id(&fields.text(&["spanID"]).ok_or("a span without `spanID`")?);
    let start = fields.integer("startTime").ok_or_else(|| format!("the span {id} has no `startTime`"))?;
    let key = fields.text(&["processID"]).unwrap_or_default();
    let origin = match (origins.get(&key), fields.get(&["process"])) {
        (Some(origin), _) => origin.clone(),
        // Some stores leave the process in the span.
        (None, Some(process)) => Arc::new(Origin { outer: String::new(), ..origin(key, process)? }),
        (None, None) => Arc::default(),
    };
    let (mut parent, mut links) = (fields.id("parentSpanID"), Vec::new());
    for reference in fields.list("references")? {
        let reference = Fields::parse(reference, "a reference")?;
        let is_child = reference.text(&["refType"]).is_some_and(|kind| matches!(&*kind, "CHILD_OF" | "childOf"));
        match reference.id("traceID").filter(|target| target != trace) {
            Some(target) => links.push(target),
            None if is_child || parent.is_none() => parent = reference.id("spanID"),
            None => {}
        }
    }
    let attributes = Attributes::parse(&fields, "tags")?;
    Ok(Span {
        id,
        parent,
        links,
        kind: attributes.value("span.kind").map(|kind| span_kind(&kind)).unwrap_or_default(),
        name: fields.text(&["operationName"]).unwrap_or_default(),
        start,
        // Microseconds; some servers write a fraction.
        seconds: fields.text(&["duration"]).and_then(|micros| micros.parse::<f64>().ok()).map(|micros| micros / 1e6),
        job: attributes.value(&tags.job),
        tenant: attributes.value(&tags.tenant),
        repeat: 0,
        origin,
        raw: raw.to_owned(),
    })
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
        let (_, trace) = envelope.traces.iter().find(|(id, _)| id == "abc0000000000000003").unwrap();
        let seen: Vec<_> = trace
            .spans
            .iter()
            .map(|span| (&*span.origin.service, span.parent.as_deref(), span.job.as_deref()))
            .collect();
        assert_eq!(seen, [("queue", None, Some("2")), ("stage-render", Some("21"), None)]);
        let texts: String = trace.spans.iter().map(|span| span.raw.get()).collect();
        assert!(trace.spans.iter().all(|span| SEARCH.contains(span.raw.get())));
        assert!(texts.contains("\"value\":1152921504606846976"));
    }

    #[test]
    fn errors_are_quoted() {
        let envelope = read(PARTIAL, &Tags::with_job("job")).unwrap();
        assert_eq!((envelope.traces.len(), envelope.errors.as_deref()), (1, Some("trace not found")));
        assert_eq!(
            read(REFUSED, &Tags::with_job("job")).unwrap().errors.as_deref(),
            Some("400 parameter 'service' is required")
        );
    }

    #[test]
    fn an_answer_of_another_shape_is_an_error() {
        for body in [
            "",
            "{}",
            "<html>",
            "[1]",
            r#"{"errors":[]}"#,
            r#"{"data":{}}"#,
            r#"{"data":[null]}"#,
            r#"{"data":[{"spans":[]}]}"#,
            r#"{"data":[{"traceID":"1","spanSets":[]}]}"#,
            r#"{"data":[{"traceID":"1","spans":{}}]}"#,
            r#"{"data":[{"traceID":"1","spans":[{"spanID":"1"}]}]}"#,
            r#"{"data":[{"traceID":"1","spans":[{"startTime":1}]}]}"#,
            r#"{"traces":[{"traceID":"1"}],"metrics":{}}"#,
        ] {
            assert!(read(body, &Tags::default()).is_err(), "{body}");
        }
        for body in [r#"{"data":null,"errors":null}"#, r#"{"data":[{"traceID":"1","spans":null}]}"#] {
            assert!(read(body, &Tags::default()).is_ok(), "{body}");
        }
    }

    #[test]
    fn references_are_parents_in_the_same_trace_and_links_to_others() {
        let references = r#"[{"refType":"FOLLOWS_FROM","traceID":"0A","spanID":"7"},{"refType":"FOLLOWS_FROM","traceID":"0b","spanID":"1"},{"refType":"CHILD_OF","traceID":"a","spanID":"08"}]"#;
        let span = |id: &str, more: &str| format!(r#"{{"spanID":"{id}","startTime":"5",{more}}}"#);
        let body = format!(
            r#"{{"data":[{{"traceID":"a","spans":[{},{},{}]}}]}}"#,
            span("1", &format!(r#""references":{references}"#)),
            span("2", r#""parentSpanID":"01""#),
            span("3", r#""process":{"serviceName":"inside"}"#),
        );
        let traces = read(&body, &Tags::default()).unwrap().traces;
        let spans = &traces[0].1.spans;
        assert_eq!((spans[0].parent.as_deref(), &spans[0].links[..]), (Some("8"), &["b".to_owned()][..]));
        assert_eq!((spans[1].parent.as_deref(), spans[1].start), (Some("1"), 5));
        assert_eq!(spans[2].origin.service, "inside");
    }

    #[test]
    fn services_are_listed() {
        let names = services(include_str!("../../../tests/data/jaeger-v1.20-services.json")).unwrap();
        assert_eq!(names, ["queue", "stage-render"]);
    }
}
