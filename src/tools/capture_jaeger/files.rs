//! The file of a service's traces, which the Jaeger UI opens by upload: `{"data":[…]}` or OTLP's `{"resourceSpans":[…]}`, one
//! member a line.
//!
//! Every trace, or every span, is the text that the server sent. OTLP spans are grouped by their resource and scope.

use std::collections::BTreeMap;
use std::fs::Permissions;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::api::Api;
use super::model::{Context, Trace};

/// Writes `traces` to `path` atomically.
pub(super) fn write<'a>(path: &Path, api: Api, traces: impl Iterator<Item = &'a Trace>) -> io::Result<()> {
    let dir = path.parent().unwrap_or(Path::new("."));
    let temporary =
        tempfile::Builder::new().prefix(".capture-").permissions(Permissions::from_mode(0o666)).tempfile_in(dir)?;
    let mut out = BufWriter::new(temporary.as_file());
    match api {
        Api::V1 => v1(&mut out, traces)?,
        Api::V3 => v3(&mut out, traces)?,
    }
    out.flush()?;
    drop(out);
    temporary.persist(path).map(drop).map_err(|error| error.error)
}

fn v1<'a>(out: &mut impl Write, traces: impl Iterator<Item = &'a Trace>) -> io::Result<()> {
    out.write_all(b"{\"data\":[")?;
    for (index, raw) in traces.filter_map(|trace| trace.raw.as_ref()).enumerate() {
        out.write_all(if index > 0 { b",\n" } else { b"\n" })?;
        out.write_all(raw.get().as_bytes())?;
    }
    out.write_all(b"\n]}\n")
}

fn v3<'a>(out: &mut impl Write, traces: impl Iterator<Item = &'a Trace>) -> io::Result<()> {
    let mut resources: BTreeMap<&str, BTreeMap<&str, Vec<&str>>> = BTreeMap::new();
    for (context, raw) in traces.flat_map(|trace| &trace.spans).filter_map(|span| span.raw.as_ref()) {
        let Context { resource, scope } = &**context;
        resources.entry(resource).or_default().entry(scope).or_default().push(raw.get());
    }
    out.write_all(b"{\"resourceSpans\":[")?;
    for (index, (resource, scopes)) in resources.into_iter().enumerate() {
        out.write_all(if index > 0 { b",\n" } else { b"\n" })?;
        open_list(out, resource, "scopeSpans")?;
        for (index, (scope, spans)) in scopes.into_iter().enumerate() {
            out.write_all(if index > 0 { b",\n" } else { b"\n" })?;
            open_list(out, scope, "spans")?;
            for (index, span) in spans.into_iter().enumerate() {
                out.write_all(if index > 0 { b",\n" } else { b"\n" })?;
                out.write_all(span.as_bytes())?;
            }
            out.write_all(b"\n]}")?;
        }
        out.write_all(b"]}")?;
    }
    out.write_all(b"\n]}\n")
}

/// Writes the object `text` up to the opening bracket of an added member, `key`.
fn open_list(out: &mut impl Write, text: &str, key: &str) -> io::Result<()> {
    let inner = text.trim_end().strip_suffix('}').unwrap_or(text);
    let comma = if inner.trim_end().ends_with('{') { "" } else { "," };
    write!(out, "{inner}{comma}\"{key}\":[")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::capture_jaeger::model::Tags;
    use crate::tools::capture_jaeger::{v1, v3};

    fn file_text(api: Api, traces: &[(String, Trace)]) -> String {
        let file = tempfile::tempdir().unwrap();
        let path = file.path().join("x.json");
        write(&path, api, traces.iter().map(|(_, trace)| trace)).unwrap();
        std::fs::read_to_string(path).unwrap()
    }

    #[test]
    fn a_written_file_reads_as_the_answer_did() {
        let sent = include_str!("../../../tests/data/jaeger-v1.20-search.json");
        let traces = v1::read(sent, &Tags::with_job("job")).unwrap().traces;
        let again = v1::read(&file_text(Api::V1, &traces), &Tags::with_job("job")).unwrap().traces;
        let texts = |traces: &[(String, Trace)]| -> Vec<String> {
            traces.iter().map(|(_, trace)| trace.raw.as_ref().unwrap().get().to_owned()).collect()
        };
        assert_eq!(texts(&again), texts(&traces));
        assert_eq!(file_text(Api::V1, &[]), "{\"data\":[\n]}\n");
    }

    #[test]
    fn otlp_spans_keep_their_resource_and_scope() {
        let sent = r#"{"result":{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"b"}}]},"scopeSpans":[{"scope":{"name":"x"},"spans":[{"traceId":"01","spanId":"01","n":1.50}]},{"spans":[{"traceId":"02","spanId":"02"}]}]},{"scopeSpans":[{"spans":[{"traceId":"01","spanId":"03"}]}]}]}}"#;
        let traces = v3::read(sent, &Tags::with_job("job")).unwrap();
        let file = file_text(Api::V3, &traces);
        let compact = file.replace('\n', "");
        let mut expected: serde_json::Value = serde_json::from_str(sent).unwrap();
        let mut resources = expected["result"]["resourceSpans"].take();
        // The file sorts resources by their text.
        resources.as_array_mut().unwrap().reverse();
        resources.as_array_mut().unwrap().sort_by_key(|resource| resource.get("resource").is_none());
        let read: serde_json::Value = serde_json::from_str(&compact).unwrap();
        assert_eq!(read["resourceSpans"].as_array().unwrap().len(), 2);
        assert_eq!(read["resourceSpans"], resources);
        assert!(compact.contains("\"n\":1.50"));
        assert_eq!(file_text(Api::V3, &[]), "{\"resourceSpans\":[\n]}\n");
    }
}
