//! The file of a service's traces, which the Jaeger UI opens by upload: `{"data":[…]}` or OTLP's `{"resourceSpans":[…]}`.
//!
//! Every span is the text that the server sent, grouped by trace and process, or by resource and scope.

use std::collections::BTreeMap;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use super::api::Api;
use super::model::{Origin, Span, Trace};
use crate::capture;
use crate::record::raw::{self, RawObject};

/// Writes `traces` to `path` atomically.
pub(super) fn write<'a>(path: &Path, api: Api, traces: impl Iterator<Item = &'a Trace>) -> io::Result<()> {
    let temporary = capture::temporary_file(path.parent().unwrap_or(Path::new(".")))?;
    let mut out = BufWriter::new(temporary.as_file());
    match api {
        Api::V1 => write_list(&mut out, "{\"data\":[", traces, write_v1_trace)?,
        Api::V3 => write_v3(&mut out, traces)?,
    }
    out.write_all(b"}\n")?;
    out.flush()?;
    drop(out);
    temporary.persist(path).map(drop).map_err(|error| error.error)
}

/// Writes a trace with its header, its spans, and their processes.
fn write_v1_trace(out: &mut impl Write, trace: &Trace) -> io::Result<()> {
    let (spans, processes) = with_unique_keys(&trace.spans)?;
    let spans = spans.iter().map(String::as_str);
    write_list(out, &raw::open_list(trace.header.as_deref().unwrap_or("{}"), "spans"), spans, write_text)?;
    let processes: Vec<String> = processes.iter().map(|(key, process)| format!("{key}:{process}")).collect();
    write!(out, ",\"processes\":{{{}}}}}", processes.join(","))
}

/// Returns the texts of spans and the processes by their keys, as JSON. If several answers use one key for different processes,
/// the later processes get other keys.
fn with_unique_keys(spans: &[Span]) -> io::Result<(Vec<String>, BTreeMap<String, &str>)> {
    let mut processes: BTreeMap<String, &str> = BTreeMap::new();
    let mut texts = Vec::with_capacity(spans.len());
    for span in spans {
        let Origin { outer, inner, .. } = &*span.origin;
        if outer.is_empty() {
            texts.push(span.raw.get().to_owned());
            continue;
        }
        let keys = (1..).map(|number| if number == 1 { inner.clone() } else { format!("{inner}-{number}") });
        for key in keys {
            let json = serde_json::to_string(&key)?;
            let process = *processes.entry(json.clone()).or_insert(outer);
            if process == outer {
                let mut text = RawObject::parse(span.raw.get())?;
                if key != *inner {
                    text.set("processID", serde_json::value::RawValue::from_string(json)?)?;
                }
                texts.push(if key == *inner { span.raw.get().to_owned() } else { text.text() });
                break;
            }
        }
    }
    Ok((texts, processes))
}

/// Writes the spans of all traces, grouped by resource and scope.
fn write_v3<'a>(out: &mut impl Write, traces: impl Iterator<Item = &'a Trace>) -> io::Result<()> {
    let mut resources: BTreeMap<&str, BTreeMap<&str, Vec<&str>>> = BTreeMap::new();
    for span in traces.flat_map(|trace| &trace.spans) {
        let Origin { outer, inner, .. } = &*span.origin;
        resources.entry(outer).or_default().entry(inner).or_default().push(span.raw.get());
    }
    write_list(out, "{\"resourceSpans\":[", resources, |out, (resource, scopes)| {
        write_list(out, &raw::open_list(resource, "scopeSpans"), scopes, |out, (scope, spans)| {
            write_list(out, &raw::open_list(scope, "spans"), spans, write_text)?;
            out.write_all(b"}")
        })?;
        out.write_all(b"}")
    })
}

/// Writes `items` as a list, one a line, after `opening`, which ends with the bracket.
fn write_list<W: Write, T>(
    out: &mut W,
    opening: &str,
    items: impl IntoIterator<Item = T>,
    write_item: impl Fn(&mut W, T) -> io::Result<()>,
) -> io::Result<()> {
    out.write_all(opening.as_bytes())?;
    for (index, item) in items.into_iter().enumerate() {
        out.write_all(if index > 0 { b",\n" } else { b"\n" })?;
        write_item(out, item)?;
    }
    out.write_all(b"\n]")
}

fn write_text(out: &mut impl Write, text: &str) -> io::Result<()> {
    out.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::tools::capture_jaeger::model::{Tags, TraceStore};
    use crate::tools::capture_jaeger::{v1, v3};

    fn file_text<'a>(api: Api, traces: impl IntoIterator<Item = &'a Trace>) -> String {
        let file = tempfile::tempdir().unwrap();
        let path = file.path().join("x.json");
        write(&path, api, traces.into_iter()).unwrap();
        std::fs::read_to_string(path).unwrap()
    }

    #[test]
    fn a_written_file_reads_as_the_answer_did() {
        let sent = include_str!("../../../tests/data/jaeger-v1.20-search.json");
        let traces = v1::read(sent, &Tags::with_job("job")).unwrap().traces;
        let file = file_text(Api::V1, traces.iter().map(|(_, trace)| trace));
        let sorted = |text: &str| {
            let mut data = serde_json::from_str::<Value>(text).unwrap()["data"].take();
            data.as_array_mut().unwrap().sort_by_key(|trace| trace["traceID"].to_string());
            data
        };
        assert_eq!(sorted(&file), sorted(sent));
        assert!(traces.iter().flat_map(|(_, trace)| &trace.spans).all(|span| file.contains(span.raw.get())));
        assert_eq!(file_text(Api::V1, []), "{\"data\":[\n]}\n");
    }

    #[test]
    fn parts_of_a_trace_are_joined_and_their_processes_kept_apart() {
        let part = |span: &str, service: &str| {
            let body = format!(
                r#"{{"data":[{{"traceID":"a","spans":[{{"spanID":"{span}","startTime":1,"processID":"p1","n":1.50}}],"processes":{{"p1":{{"serviceName":"{service}"}}}}}}]}}"#
            );
            v1::read(&body, &Tags::default()).unwrap().traces
        };
        let mut store = TraceStore::default();
        for (span, service) in [("1", "x"), ("2", "y"), ("1", "x"), ("3", "y")] {
            store.add(None, part(span, service));
        }
        let file = file_text(Api::V1, store.traces.values());
        let read: Value = serde_json::from_str(&file).unwrap();
        let spans = read["data"][0]["spans"].as_array().unwrap();
        let services: Vec<&Value> = spans
            .iter()
            .map(|span| &read["data"][0]["processes"][span["processID"].as_str().unwrap()]["serviceName"])
            .collect();
        assert_eq!(services, ["x", "y", "y"]);
        assert_eq!(file.matches("\"n\":1.50").count(), 3);
    }

    #[test]
    fn otlp_spans_keep_their_resource_and_scope() {
        let sent = r#"{"result":{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"b"}}]},"scopeSpans":[{"scope":{"name":"x"},"spans":[{"traceId":"01","spanId":"01","n":1.50}]},{"spans":[{"traceId":"02","spanId":"02"}]}]},{"scopeSpans":[{"spans":[{"traceId":"01","spanId":"03"}]}]}]}}"#;
        let traces = v3::read(sent, &Tags::with_job("job")).unwrap();
        let file = file_text(Api::V3, traces.iter().map(|(_, trace)| trace));
        let compact = file.replace('\n', "");
        let mut expected: Value = serde_json::from_str(sent).unwrap();
        let mut resources = expected["result"]["resourceSpans"].take();
        // The file sorts resources by their text.
        resources.as_array_mut().unwrap().reverse();
        resources.as_array_mut().unwrap().sort_by_key(|resource| resource.get("resource").is_none());
        let read: Value = serde_json::from_str(&compact).unwrap();
        assert_eq!(read["resourceSpans"].as_array().unwrap().len(), 2);
        assert_eq!(read["resourceSpans"], resources);
        assert!(compact.contains("\"n\":1.50"));
        assert_eq!(file_text(Api::V3, []), "{\"resourceSpans\":[\n]}\n");
    }
}
