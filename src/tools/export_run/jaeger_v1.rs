//! Traces of Jaeger's older JSON form as OTLP, by the mapping that Jaeger itself uses in the other direction: the tags
//! `span.kind`, `otel.status_code`, `otel.status_description`, `otel.scope.name`, `otel.scope.version` and `w3c.tracestate`
//! become fields, and a log becomes an event with the name in its field `event`.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::otlp_span::OtlpSpan;
use crate::record::raw;

#[derive(Deserialize)]
struct Trace<'a> {
    #[serde(borrow, default)]
    spans: Vec<Span<'a>>,
    #[serde(borrow, default)]
    processes: BTreeMap<String, Process<'a>>,
}

#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Process<'a> {
    service_name: String,
    #[serde(borrow)]
    tags: Option<Vec<Tag<'a>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Span<'a> {
    #[serde(rename = "traceID")]
    trace_id: String,
    #[serde(rename = "spanID")]
    id: String,
    #[serde(default)]
    operation_name: String,
    #[serde(default)]
    flags: Option<u64>,
    #[serde(default)]
    references: Option<Vec<Reference>>,
    #[serde(borrow)]
    start_time: &'a RawValue,
    #[serde(borrow, default)]
    duration: Option<&'a RawValue>,
    #[serde(borrow, default)]
    tags: Option<Vec<Tag<'a>>>,
    #[serde(borrow, default)]
    logs: Option<Vec<Log<'a>>>,
    #[serde(default, rename = "processID")]
    process_id: String,
    #[serde(borrow, default)]
    process: Option<Process<'a>>,
}

#[derive(Deserialize)]
struct Reference {
    #[serde(default, rename = "refType")]
    kind: String,
    #[serde(rename = "traceID")]
    trace_id: String,
    #[serde(rename = "spanID")]
    span_id: String,
}

#[derive(Clone, Deserialize)]
struct Tag<'a> {
    #[serde(borrow)]
    key: Cow<'a, str>,
    #[serde(borrow, default, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    value: &'a RawValue,
}

#[derive(Deserialize)]
struct Log<'a> {
    #[serde(borrow)]
    timestamp: &'a RawValue,
    #[serde(borrow, default)]
    fields: Vec<Tag<'a>>,
}

/// Hands each span of the trace `text` to `each`.
pub(super) fn convert(text: &str, each: &mut dyn FnMut(&OtlpSpan<'_>) -> Result<(), String>) -> Result<(), String> {
    let trace: Trace<'_> = serde_json::from_str(text).map_err(|error| format!("a trace: {error}"))?;
    for span in &trace.spans {
        let process = trace.processes.get(&span.process_id).or(span.process.as_ref()).cloned().unwrap_or_default();
        let (converted, scope) = span.convert()?;
        let resource = process.resource()?.to_string();
        each(&OtlpSpan { resource: &resource, scope: &scope.to_string(), span: &converted.to_string() })?;
    }
    Ok(())
}

impl Process<'_> {
    fn resource(&self) -> Result<Value, String> {
        let mut attributes = vec![json!({"key": "service.name", "value": {"stringValue": self.service_name}})];
        for tag in self.tags.iter().flatten() {
            attributes.push(tag.attribute()?);
        }
        Ok(json!({"resource": {"attributes": attributes}}))
    }
}

impl Span<'_> {
    /// The span and the member of `scopeSpans` without its spans.
    fn convert(&self) -> Result<(Value, Value), String> {
        let start = nanoseconds(self.start_time)?;
        let duration = self.duration.map_or(Ok(0), nanoseconds)?;
        // A span without an end has a negative duration here, or the same without its sign.
        let end = u64::try_from(start + duration).ok().filter(|end| i128::from(*end) >= start).unwrap_or_default();
        let mut span = Map::from_iter([
            ("traceId".to_owned(), json!(padded(&self.trace_id, 32))),
            ("spanId".to_owned(), json!(padded(&self.id, 16))),
            ("name".to_owned(), json!(self.operation_name)),
            ("startTimeUnixNano".to_owned(), json!(start.to_string())),
            ("endTimeUnixNano".to_owned(), json!(end.to_string())),
        ]);
        if let Some(flags) = self.flags {
            span.insert("flags".to_owned(), json!(flags));
        }
        self.refer(&mut span);
        let scope = self.take_tags(&mut span)?;
        let events = self.logs.iter().flatten().map(Log::event).collect::<Result<Vec<_>, _>>()?;
        if !events.is_empty() {
            span.insert("events".to_owned(), json!(events));
        }
        Ok((Value::Object(span), if scope.is_empty() { json!({}) } else { json!({"scope": scope}) }))
    }

    /// Adds the parent, which is the first reference to the same trace, if one says so, and the other references as links.
    fn refer(&self, span: &mut Map<String, Value>) {
        let references = || self.references.iter().flatten();
        let is_own = |reference: &&Reference| padded(&reference.trace_id, 32) == padded(&self.trace_id, 32);
        let parent = references()
            .position(|reference| reference.kind == "CHILD_OF" && is_own(&reference))
            .or_else(|| references().position(|reference| is_own(&reference)));
        let mut links = Vec::new();
        for (index, reference) in references().enumerate() {
            let id = padded(&reference.span_id, 16);
            if Some(index) == parent {
                span.insert("parentSpanId".to_owned(), json!(id));
                continue;
            }
            let kind = if reference.kind == "CHILD_OF" { "child_of" } else { "follows_from" };
            let attributes = json!([{"key": "opentracing.ref_type", "value": {"stringValue": kind}}]);
            links.push(json!({"traceId": padded(&reference.trace_id, 32), "spanId": id, "attributes": attributes}));
        }
        if !links.is_empty() {
            span.insert("links".to_owned(), json!(links));
        }
    }

    /// Adds the tags as fields and attributes. Returns the scope.
    fn take_tags(&self, span: &mut Map<String, Value>) -> Result<Map<String, Value>, String> {
        let (mut scope, mut status, mut attributes) = (Map::new(), Map::new(), Vec::new());
        let has_code = self.tags.iter().flatten().any(|tag| tag.key == "otel.status_code");
        for tag in self.tags.iter().flatten() {
            let text = raw::word(tag.value).unwrap_or_default();
            match (&*tag.key, kind(&text), status_code(&text)) {
                ("span.kind", Some(kind), _) => drop(span.insert("kind".to_owned(), json!(kind))),
                ("otel.status_code", _, Some(code)) => drop(status.insert("code".to_owned(), json!(code))),
                ("otel.status_description", ..) => drop(status.insert("message".to_owned(), json!(text))),
                ("otel.scope.name" | "otel.library.name", ..) => drop(scope.insert("name".to_owned(), json!(text))),
                ("otel.scope.version" | "otel.library.version", ..) => {
                    drop(scope.insert("version".to_owned(), json!(text)));
                }
                ("w3c.tracestate", ..) => drop(span.insert("traceState".to_owned(), json!(text))),
                // Jaeger adds this tag to every span with an error status.
                ("error", ..) if text == "true" => {
                    if !has_code {
                        status.insert("code".to_owned(), json!(2));
                    }
                }
                _ => attributes.push(tag.attribute()?),
            }
        }
        for (name, value) in [("status", json!(status)), ("attributes", json!(attributes))] {
            if value != json!({}) && value != json!([]) {
                span.insert(name.to_owned(), value);
            }
        }
        Ok(scope)
    }
}

impl Log<'_> {
    fn event(&self) -> Result<Value, String> {
        let name = self.fields.iter().find(|field| field.key == "event").and_then(|field| raw::word(field.value));
        let fields = self.fields.iter().filter(|field| field.key != "event");
        let attributes = fields.map(Tag::attribute).collect::<Result<Vec<_>, _>>()?;
        Ok(json!({"timeUnixNano": nanoseconds(self.timestamp)?.to_string(), "name": name.unwrap_or_default(),
            "attributes": attributes}))
    }
}

impl Tag<'_> {
    fn attribute(&self) -> Result<Value, String> {
        let text = raw::word(self.value).unwrap_or_else(|| self.value.get().to_owned());
        let kind = match (&*self.kind, self.value.get().as_bytes().first()) {
            ("", Some(b't' | b'f')) => "bool",
            ("", Some(b'-' | b'0'..=b'9')) if text.parse::<i64>().is_ok() => "int64",
            ("", Some(b'-' | b'0'..=b'9')) => "float64",
            (kind, _) => kind,
        };
        let value = match kind {
            "bool" => json!({"boolValue": text == "true"}),
            "int64" => json!({"intValue": text}),
            "float64" => {
                let number: f64 = text.parse().map_err(|_| format!("the tag {}: {text} is not a number", self.key))?;
                // JSON has no words for the others; protobuf's mapping has strings.
                if number.is_finite() { json!({"doubleValue": number}) } else { json!({"doubleValue": text}) }
            }
            "binary" => json!({"bytesValue": text}),
            _ => json!({"stringValue": text}),
        };
        Ok(json!({"key": self.key, "value": value}))
    }
}

/// Microseconds, which some servers write as a string or with a fraction, in nanoseconds.
fn nanoseconds(micros: &RawValue) -> Result<i128, String> {
    let text = raw::scalar(micros).unwrap_or_default();
    if let Ok(whole) = text.parse::<i128>() {
        return Ok(whole * 1000);
    }
    let number: f64 = text.parse().map_err(|_| format!("a time of {} microseconds", micros.get()))?;
    #[expect(clippy::cast_possible_truncation, reason = "a float cast saturates")]
    Ok((number * 1000.0).round() as i128)
}

/// An id with the leading zeros that some servers omit.
fn padded(id: &str, digits: usize) -> String {
    format!("{id:0>digits$}")
}

/// The number of a span's kind in OTLP.
fn kind(word: &str) -> Option<u8> {
    let kinds = ["internal", "server", "client", "producer", "consumer"];
    kinds.iter().position(|kind| *kind == word).and_then(|index| u8::try_from(index + 1).ok())
}

/// The number of a status in OTLP.
fn status_code(word: &str) -> Option<u8> {
    [("UNSET", 0), ("OK", 1), ("ERROR", 2)].into_iter().find(|(name, _)| *name == word).map(|(_, code)| code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_keeps_everything_that_it_has() {
        let text = r#"{"traceID":"ab","spans":[{"traceID":"ab","spanID":"1","operationName":"work","flags":1,
            "references":[{"refType":"FOLLOWS_FROM","traceID":"cd","spanID":"7"},{"refType":"CHILD_OF","traceID":"ab","spanID":"2"}],
            "startTime":1795424738000001,"duration":1500,"processID":"p1","tags":[
            {"key":"span.kind","type":"string","value":"server"},{"key":"n","type":"int64","value":1152921504606846977},
            {"key":"f","type":"float64","value":0.5},{"key":"b","type":"bool","value":true},{"key":"error","type":"bool","value":true},
            {"key":"otel.status_code","type":"string","value":"ERROR"},{"key":"otel.scope.name","type":"string","value":"s"}],
            "logs":[{"timestamp":1795424738000002,"fields":[{"key":"event","type":"string","value":"e"},{"key":"x","type":"string","value":"y"}]}]}],
            "processes":{"p1":{"serviceName":"api","tags":[{"key":"host","type":"string","value":"h"}]}}}"#;
        let mut found = Vec::new();
        convert(text, &mut |span| {
            let json = |text: &str| serde_json::from_str::<Value>(text).unwrap();
            found.push((json(span.resource), json(span.scope), json(span.span)));
            Ok(())
        })
        .unwrap();
        let string = |key: &str, value: &str| json!({"key": key, "value": {"stringValue": value}});
        assert_eq!(
            found,
            [(
                json!({"resource": {"attributes": [string("service.name", "api"), string("host", "h")]}}),
                json!({"scope": {"name": "s"}}),
                json!({
                    "traceId": "000000000000000000000000000000ab", "spanId": "0000000000000001",
                    "parentSpanId": "0000000000000002", "name": "work", "flags": 1, "kind": 2,
                    "startTimeUnixNano": "1795424738000001000", "endTimeUnixNano": "1795424738001501000",
                    "links": [{"traceId": "000000000000000000000000000000cd", "spanId": "0000000000000007",
                        "attributes": [string("opentracing.ref_type", "follows_from")]}],
                    "attributes": [{"key": "n", "value": {"intValue": "1152921504606846977"}},
                        {"key": "f", "value": {"doubleValue": 0.5}}, {"key": "b", "value": {"boolValue": true}}],
                    "status": {"code": 2},
                    "events": [{"timeUnixNano": "1795424738000002000", "name": "e", "attributes": [string("x", "y")]}],
                })
            )]
        );
    }

    #[test]
    fn a_span_that_has_not_ended_has_no_end() {
        for duration in ["18446744073709550616", "-1000"] {
            let text = format!(
                r#"{{"spans":[{{"traceID":"a","spanID":"1","startTime":1795424738000001,"duration":{duration}}}],"processes":{{}}}}"#
            );
            convert(&text, &mut |span| {
                assert!(span.span.contains(r#""endTimeUnixNano":"0""#), "{}", span.span);
                Ok(())
            })
            .unwrap();
        }
    }
}
