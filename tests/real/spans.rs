//! Traces in one form, whichever way they came, so that they can be compared.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// Spans by trace id and span id; a span stands with its service and its process' tags.
pub type Spans = BTreeMap<(String, String), Value>;

/// The spans of traces in Jaeger's older form, the whole of each but for its place in the answer: processes are numbered
/// anew in every answer, and lists come in no order.
pub fn of<'a>(traces: impl IntoIterator<Item = &'a Value>) -> Spans {
    let mut spans = Spans::new();
    for trace in traces {
        for span in trace["spans"].as_array().unwrap() {
            let mut whole = span.clone();
            let process = span["processID"].as_str().unwrap();
            whole["process"] = sorted(&trace["processes"][process]);
            whole.as_object_mut().unwrap().remove("processID");
            let key = (text(span, "traceID"), text(span, "spanID"));
            assert!(spans.insert(key, sorted(&whole)).is_none(), "a span stands twice: {span}");
        }
    }
    spans
}

/// The trace ids.
pub fn ids(spans: &Spans) -> BTreeSet<&str> {
    spans.keys().map(|(trace, _)| trace.as_str()).collect()
}

/// The value of a span's tag.
pub fn tag<'a>(span: &'a Value, key: &str) -> Option<&'a str> {
    let tags = span["tags"].as_array()?;
    tags.iter().find(|tag| tag["key"] == key)?["value"].as_str()
}

/// The id of the span that caused this one.
pub fn parent(span: &Value) -> Option<&str> {
    let references = span["references"].as_array()?;
    references.iter().find(|reference| reference["refType"] == "CHILD_OF")?["spanID"].as_str()
}

fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap().to_owned()
}

/// The value with every list of tags in the order of the keys.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Array(items) => {
            let mut items: Vec<Value> = items.iter().map(sorted).collect();
            items.sort_by_key(|item| item["key"].as_str().map(str::to_owned));
            Value::Array(items)
        }
        Value::Object(members) => members.iter().map(|(key, value)| (key.clone(), sorted(value))).collect(),
        other => other.clone(),
    }
}
