//! The stable shape, OTLP as JSON: `{"result":{"resourceSpans":[…]}}`; older gateways send several such objects in a row.
//!
//! The proto mapping is that of opentelemetry-proto's `TracesData`: ids are hexadecimal, nanoseconds are strings.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::model::{Context, Span, Tags, Trace, canonical_id};
use crate::record::raw::{self, RawObject};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Outer<'a> {
    #[serde(borrow, default)]
    result: Option<Data<'a>>,
    #[serde(borrow, default)]
    resource_spans: Option<Vec<&'a RawValue>>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data<'a> {
    #[serde(borrow, default)]
    resource_spans: Option<Vec<&'a RawValue>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ResourceFields<'a> {
    #[serde(borrow, default)]
    resource: Option<Attributes<'a>>,
    #[serde(borrow, default)]
    scope_spans: Option<Vec<&'a RawValue>>,
}

#[derive(Deserialize)]
struct Attributes<'a> {
    #[serde(borrow, default)]
    attributes: Option<Vec<Attribute<'a>>>,
}

#[derive(Deserialize)]
struct Attribute<'a> {
    #[serde(borrow)]
    key: Cow<'a, str>,
    #[serde(borrow, default)]
    value: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct ScopeFields<'a> {
    #[serde(borrow, default)]
    spans: Option<Vec<&'a RawValue>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SpanFields<'a> {
    #[serde(borrow)]
    trace_id: Cow<'a, str>,
    #[serde(borrow)]
    span_id: Cow<'a, str>,
    #[serde(borrow, default)]
    parent_span_id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    kind: Option<&'a RawValue>,
    #[serde(borrow, default)]
    start_time_unix_nano: Option<&'a RawValue>,
    #[serde(borrow, default)]
    end_time_unix_nano: Option<&'a RawValue>,
    #[serde(borrow, default)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    attributes: Option<Vec<Attribute<'a>>>,
}

/// Reads an answer into traces by canonical id; `tags` names the attributes to keep. Returns `Err` if the answer has another
/// shape, or reports an error in its middle.
pub(super) fn read(body: &str, tags: &Tags) -> Result<Vec<(String, Trace)>, String> {
    let mut traces: BTreeMap<String, Trace> = BTreeMap::new();
    for outer in serde_json::Deserializer::from_str(body).into_iter::<Outer<'_>>() {
        let outer = outer.map_err(|error| error.to_string())?;
        if let Some(error) = outer.error {
            return Err(format!("it broke off with {}", crate::escape::start(error.get(), 200)));
        }
        let resources = match (outer.result, outer.resource_spans) {
            (Some(data), _) => data.resource_spans.unwrap_or_default(),
            (None, Some(resources)) => resources,
            (None, None) => return Err("neither `result` nor `resourceSpans` in it".to_owned()),
        };
        for resource in resources {
            read_resource(resource, tags, &mut traces)
                .map_err(|error| format!("a member of resourceSpans: {error}"))?;
        }
    }
    Ok(traces.into_iter().collect())
}

/// The gateway's message in a 404 that means "nothing found"; none if the endpoint does not exist.
pub(super) fn not_found_message(body: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Outer {
        error: Inner,
    }
    #[derive(Deserialize)]
    struct Inner {
        message: String,
    }
    serde_json::from_str::<Outer>(body).ok().map(|outer| outer.error.message)
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

fn read_resource(raw: &RawValue, tags: &Tags, traces: &mut BTreeMap<String, Trace>) -> serde_json::Result<()> {
    let resource: ResourceFields<'_> = serde_json::from_str(raw.get())?;
    let attributes = resource.resource.and_then(|resource| resource.attributes).unwrap_or_default();
    let service: Arc<str> = attribute(&attributes, "service.name").unwrap_or_default().into();
    let outer = without(raw, "scopeSpans")?;
    let mut contexts: HashMap<String, Arc<Context>> = HashMap::new();
    for scope in resource.scope_spans.unwrap_or_default() {
        let inner = without(scope, "spans")?;
        let context = contexts
            .entry(inner.clone())
            .or_insert_with(|| Arc::new(Context { resource: outer.clone(), scope: inner }));
        let spans: ScopeFields<'_> = serde_json::from_str(scope.get())?;
        for raw in spans.spans.unwrap_or_default() {
            let span: SpanFields<'_> = serde_json::from_str(raw.get())?;
            let attributes = span.attributes.unwrap_or_default();
            let read = |time: Option<&RawValue>| time.and_then(raw::scalar).and_then(|nanos| nanos.parse::<i64>().ok());
            let (nanos, end) = (read(span.start_time_unix_nano), read(span.end_time_unix_nano));
            let trace = traces.entry(canonical_id(&span.trace_id)).or_default();
            trace.truncated |= raw.get().contains(super::TRUNCATED);
            trace.spans.push(Span {
                id: span.span_id.into_owned(),
                parent: span
                    .parent_span_id
                    .filter(|parent| !parent.bytes().all(|byte| byte == b'0'))
                    .map(Cow::into_owned),
                service: service.clone(),
                kind: span.kind.map(|kind| kind.get().to_owned()).unwrap_or_default(),
                name: span.name.map(Cow::into_owned).unwrap_or_default(),
                start: nanos.unwrap_or_default() / 1000,
                seconds: nanos.zip(end).and_then(|(start, end)| Some(end.checked_sub(start)? as f64 / 1e9)),
                job: attribute(&attributes, &tags.job),
                tenant: attribute(&attributes, &tags.tenant),
                raw: Some((context.clone(), raw.to_owned())),
            });
        }
    }
    Ok(())
}

/// Returns the text of the object `raw` without the member `key`.
fn without(raw: &RawValue, key: &str) -> serde_json::Result<String> {
    let mut object = RawObject::parse(raw.get())?;
    object.remove(key);
    Ok(object.text())
}

/// The string or integer value of the attribute `key`.
fn attribute(attributes: &[Attribute<'_>], key: &str) -> Option<String> {
    let value = attributes.iter().find(|attribute| attribute.key == key)?.value?;
    let member = |name: &str| {
        raw::members(value)?.into_iter().find(|(held, _)| held == name).and_then(|(_, value)| raw::scalar(value))
    };
    member("stringValue").or_else(|| member("intValue"))
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
            (&*first.service, first.parent.as_deref(), first.job.as_deref(), first.start),
            ("api", None, Some("j1"), 1_795_424_738_000_001)
        );
        assert_eq!((second.parent.as_deref(), second.job.as_deref()), (Some("01"), None));
        let (context, raw) = first.raw.as_ref().unwrap();
        assert!(raw.get().contains("\"doubleValue\":1.50") && BODY.contains(raw.get()));
        assert_eq!(context.scope, r#"{"scope":{"name":"s"}}"#);
        assert!(context.resource.contains("1152921504606846977") && context.resource.ends_with("\"schemaUrl\":\"u\"}"));
    }

    #[test]
    fn several_objects_in_a_row_are_one_answer_unless_one_is_an_error() {
        let twice = format!("{BODY}\n{}", BODY.replace("00ab", "00ad"));
        assert_eq!(read(&twice, &Tags::with_job("job.id")).unwrap().len(), 3);
        let broken = format!("{BODY}{{\"error\":{{\"message\":\"boom\"}}}}");
        assert!(read(&broken, &Tags::with_job("job.id")).unwrap_err().contains("boom"));
        assert!(read("{\"a\":1}", &Tags::with_job("x")).is_err() && read("<html>", &Tags::with_job("x")).is_err());
        assert!(read(&BODY[..BODY.len() - 1], &Tags::with_job("x")).is_err());
    }

    #[test]
    fn nothing_found_is_not_the_same_as_no_such_endpoint() {
        let none = r#"{"error":{"httpCode":404,"message":"No traces found"}}"#;
        assert_eq!(not_found_message(none).as_deref(), Some("No traces found"));
        assert_eq!(not_found_message("404 page not found\n"), None);
        assert_eq!(not_found_message(r#"{"detail":"Not Found"}"#), None);
    }
}
