//! The stable shape, OTLP as JSON: `{"result":{"resourceSpans":[…]}}`; older gateways send several such objects in a row.
//!
//! The mapping is that of opentelemetry-proto's `TracesData` and its predecessors: ids in hexadecimal or Base64, nanoseconds as
//! strings or numbers, `instrumentationLibrarySpans` for `scopeSpans`, names in `camelCase` or `snake_case`.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::fields::{Attributes, Fields, canonical_id, span_kind};
use super::model::{Origin, Span, Tags, Trace};
use crate::escape;
use crate::record::raw::RawObject;

/// The names of a resource's scopes: today's, and the one until OTLP 0.15.
const SCOPES: [&str; 2] = ["scopeSpans", "instrumentationLibrarySpans"];
/// The names of a scope: today's, and the one until OTLP 0.15.
const SCOPE: [&str; 2] = ["scope", "instrumentationLibrary"];

/// Reads an answer into traces by canonical id; `tags` names the attributes to keep. Returns `Err` if the answer has another
/// shape, or reports an error in its middle.
pub(super) fn read(body: &str, tags: &Tags) -> Result<Vec<(String, Trace)>, String> {
    if body.trim().is_empty() {
        return Err("it is empty".to_owned());
    }
    let mut traces: BTreeMap<String, Trace> = BTreeMap::new();
    for outer in serde_json::Deserializer::from_str(body).into_iter::<Fields<'_>>() {
        let outer = outer.map_err(|error| error.to_string())?;
        if let Some(error) = outer.get(&["error"]) {
            return Err(format!("it broke off with {}", escape::start(error.get(), 200)));
        }
        let data = outer.get(&["result"]).map(|result| Fields::parse(result, "`result`")).transpose()?;
        let is_wrapped = data.is_some();
        let data = data.unwrap_or(outer);
        // An answer without any span may leave the list out.
        if !data.has(&["resourceSpans"]) && (!is_wrapped || data.unknown(&[]).is_some()) {
            return Err("no `resourceSpans` in it".to_owned());
        }
        for resource in data.list("resourceSpans")? {
            read_resource(resource, tags, &mut traces)?;
        }
    }
    traces.values_mut().for_each(Trace::number_repeats);
    Ok(traces.into_iter().collect())
}

/// The gateway's message in a 404 that means "nothing found"; none if the endpoint does not exist.
pub(super) fn not_found_message(body: &str) -> Option<String> {
    let outer: &RawValue = serde_json::from_str(body).ok()?;
    let error = Fields::parse(Fields::parse(outer, "the answer").ok()?.get(&["error"])?, "the error").ok()?;
    // Other servers' 404 pages are JSON too, but have no `httpCode`.
    (error.integer("httpCode") == Some(404)).then(|| error.text(&["message"]))?
}

/// The names in an answer to `/api/v3/services`.
pub(super) fn services(body: &str) -> Option<Vec<String>> {
    #[derive(Deserialize)]
    struct Names {
        #[serde(default)]
        services: Vec<String>,
    }
    serde_json::from_str::<Names>(body).ok().map(|names| names.services)
}

fn read_resource(raw: &RawValue, tags: &Tags, traces: &mut BTreeMap<String, Trace>) -> Result<(), String> {
    let fields = Fields::parse(raw, "a member of resourceSpans")?;
    expect_list(&fields, &SCOPES, &["resource", "schemaUrl"])?;
    let resource = fields.get(&["resource"]).map(|resource| Fields::parse(resource, "a resource")).transpose()?;
    let attributes = resource.map(|resource| Attributes::parse(&resource, "attributes")).transpose()?;
    let service = attributes.as_ref().and_then(|attributes| attributes.value("service.name")).unwrap_or_default();
    let process = attributes.map(|attributes| attributes.fingerprint()).unwrap_or_default();
    let outer = fields.text_without(&SCOPES);
    let mut origins: HashMap<String, Arc<Origin>> = HashMap::new();
    // A scope's list has two names: a collector of 2022 may have sent both.
    for scope in [fields.list(SCOPES[0])?, fields.list(SCOPES[1])?].concat() {
        let fields = Fields::parse(scope, "a member of scopeSpans")?;
        expect_list(&fields, &["spans"], &[&SCOPE[..], &["schemaUrl"]].concat())?;
        let inner = scope_text(&fields)?;
        let origin = origins.entry(inner.clone()).or_insert_with(|| {
            let (service, outer) = (service.clone(), outer.clone());
            Arc::new(Origin { service, process, outer, inner })
        });
        for raw in fields.list("spans")? {
            let (trace, span) = read_span(raw, origin, tags)?;
            let trace = traces.entry(trace).or_default();
            trace.truncated |= raw.get().contains(super::TRUNCATED);
            trace.spans.push(span);
        }
    }
    Ok(())
}

/// Refuses an object that has neither a list called by one of `names` nor only members that are `known`.
fn expect_list(fields: &Fields<'_>, names: &[&str], known: &[&str]) -> Result<(), String> {
    match fields.unknown(known) {
        Some(unknown) if !fields.has(names) => Err(format!("found {unknown} where `{}` is expected", names[0])),
        _ => Ok(()),
    }
}

/// Reads a span and the canonical id of its trace.
fn read_span(raw: &RawValue, origin: &Arc<Origin>, tags: &Tags) -> Result<(String, Span), String> {
    let fields = Fields::parse(raw, "a span")?;
    let id = |name: &str| fields.text(&[name]).ok_or_else(|| format!("a span without `{name}`"));
    let (trace, id) = (canonical_id(&id("traceId")?), canonical_id(&id("spanId")?));
    let attributes = Attributes::parse(&fields, "attributes")?;
    let (nanos, end) = (fields.integer("startTimeUnixNano"), fields.integer("endTimeUnixNano"));
    let mut links = Vec::new();
    for link in fields.list("links")? {
        links.extend(Fields::parse(link, "a link")?.id("traceId").filter(|target| *target != trace));
    }
    let span = Span {
        id,
        parent: fields.id("parentSpanId"),
        links,
        kind: fields.text(&["kind"]).map(|kind| span_kind(&kind)).unwrap_or_default(),
        name: fields.text(&["name"]).unwrap_or_default(),
        start: nanos.unwrap_or_default() / 1000,
        seconds: nanos
            .filter(|start| *start > 0)
            .zip(end)
            .and_then(|(start, end)| Some(end.checked_sub(start)? as f64 / 1e9)),
        job: attributes.value(&tags.job),
        tenant: attributes.value(&tags.tenant),
        repeat: 0,
        origin: origin.clone(),
        raw: raw.to_owned(),
    };
    Ok((trace, span))
}

/// Returns the text of a scope without its spans, and with today's name for the scope itself.
fn scope_text(fields: &Fields<'_>) -> Result<String, String> {
    let text = fields.text_without(&["spans"]);
    let Some(scope) = fields.get(&SCOPE[1..]) else { return Ok(text) };
    let renamed = || {
        let mut object = RawObject::parse(&fields.text_without(&["spans", SCOPE[1]]))?;
        object.set(SCOPE[0], scope.to_owned())?;
        Ok(object.text())
    };
    renamed().map_err(|error: serde_json::Error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = r#"{"result":{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"api"}},{"key":"n","value":{"intValue":"1152921504606846977"}}]},"schemaUrl":"u","scopeSpans":[{"scope":{"name":"s"},"spans":[{"traceId":"00ab","spanId":"01","parentSpanId":"","startTimeUnixNano":"1795424738000001999","kind":2,"attributes":[{"key":"job.id","value":{"stringValue":"j1"}},{"key":"d","value":{"doubleValue":1.50}}]},{"traceId":"00ac","spanId":"02","parentSpanId":"01","startTimeUnixNano":"7000"}]}]}]}}"#;

    #[test]
    fn spans_are_grouped_by_trace_and_keep_their_text_resource_and_scope() {
        let traces = read(BODY, &Tags::with_job("job.id")).unwrap();
        assert_eq!(
            traces.iter().map(|(id, trace)| (id.as_str(), trace.spans.len())).collect::<Vec<_>>(),
            [("ab", 1), ("ac", 1)]
        );
        let (first, second) = (&traces[0].1.spans[0], &traces[1].1.spans[0]);
        assert_eq!(
            (&*first.origin.service, first.parent.as_deref(), first.job.as_deref(), first.start, &*first.kind),
            ("api", None, Some("j1"), 1_795_424_738_000_001, "server")
        );
        assert_eq!((second.parent.as_deref(), second.job.as_deref()), (Some("1"), None));
        assert!(first.raw.get().contains("\"doubleValue\":1.50") && BODY.contains(first.raw.get()));
        let Origin { outer, inner, .. } = &*first.origin;
        assert_eq!(inner, r#"{"scope":{"name":"s"}}"#);
        assert!(outer.contains("1152921504606846977") && outer.ends_with("\"schemaUrl\":\"u\"}"));
    }

    #[test]
    fn older_names_and_encodings_are_read() {
        let older = r#"{"resource_spans":[{"resource":{"attributes":[{"key":"service.name","value":{"string_value":"api"}}]},"instrumentation_library_spans":[{"instrumentation_library":{"name":"s"},"spans":[{"trace_id":"AAAAAAAAAAAAAAAAAAAAqw==","span_id":"AAAAAAAAAAE=","parent_span_id":"AAAAAAAAAAI=","name":"op","kind":"SPAN_KIND_SERVER","start_time_unix_nano":1795424738000001999,"end_time_unix_nano":"1795424739000001999","attributes":[{"key":"job.id","value":{"int_value":7}}],"links":[{"trace_id":"AAAAAAAAAAAAAAAAAAAArA==","span_id":"AAAAAAAAAAM="}]}]}]}]}"#;
        let traces = read(older, &Tags::with_job("job.id")).unwrap();
        let (id, span) = (&traces[0].0, &traces[0].1.spans[0]);
        assert_eq!((&**id, &*span.id, span.parent.as_deref()), ("ab", "1", Some("2")));
        assert_eq!(
            (&*span.origin.service, &*span.name, &*span.kind, span.job.as_deref()),
            ("api", "op", "server", Some("7"))
        );
        assert_eq!(
            (span.start, span.seconds, &span.links[..]),
            (1_795_424_738_000_001, Some(1.0), &["ac".to_owned()][..])
        );
        assert_eq!(span.origin.inner, r#"{"scope":{"name":"s"}}"#);
        let camel = r#"{"resourceSpans":[{"instrumentationLibrarySpans":[{"instrumentationLibrary":{},"spans":[{"traceId":"1","spanId":"2"}]}],"scopeSpans":[{"spans":[{"traceId":"1","spanId":"3"}]}]}]}"#;
        assert_eq!(read(camel, &Tags::default()).unwrap()[0].1.spans.len(), 2);
    }

    #[test]
    fn several_objects_in_a_row_are_one_answer_unless_one_is_an_error() {
        let twice = format!("{BODY}\n{}", BODY.replace("00ab", "00ad"));
        assert_eq!(read(&twice, &Tags::with_job("job.id")).unwrap().len(), 3);
        let broken = format!("{BODY}{{\"error\":{{\"message\":\"boom\"}}}}");
        assert!(read(&broken, &Tags::with_job("job.id")).unwrap_err().contains("boom"));
        assert!(read(&BODY[..BODY.len() - 1], &Tags::default()).is_err());
    }

    #[test]
    fn an_answer_of_another_shape_is_an_error() {
        for body in [
            "",
            " \n",
            "{}",
            "<html>",
            "[]",
            "null",
            r#"{"a":1}"#,
            r#"{"result":[]}"#,
            r#"{"result":{"traces":[]}}"#,
            r#"{"resourceSpans":{}}"#,
            r#"{"resourceSpans":[1]}"#,
            r#"{"resourceSpans":[{"resource":{},"librarySpans":[]}]}"#,
            r#"{"resourceSpans":[{"scopeSpans":[{"scope":{},"span":[]}]}]}"#,
            r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"spanId":"1"}]}]}]}"#,
            r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"1"}]}]}]}"#,
        ] {
            assert!(read(body, &Tags::default()).is_err(), "{body}");
        }
        for body in [r#"{"result":{}}"#, r#"{"resourceSpans":null}"#, r#"{"resourceSpans":[{"resource":{}}]}"#] {
            assert_eq!(read(body, &Tags::default()).unwrap().len(), 0, "{body}");
        }
    }

    #[test]
    fn nothing_found_is_not_the_same_as_no_such_endpoint() {
        let none = r#"{"error":{"httpCode":404,"message":"No traces found"}}"#;
        assert_eq!(not_found_message(none).as_deref(), Some("No traces found"));
        for other in ["404 page not found\n", r#"{"detail":"Not Found"}"#, r#"{"error":{"message":"Cannot GET /x"}}"#] {
            assert_eq!(not_found_message(other), None, "{other}");
        }
    }
}
