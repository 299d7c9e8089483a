//! A span in OTLP's JSON form, with the texts of its resource and its scope.

use serde_json::value::RawValue;

use crate::record::raw;

/// A span as OTLP's JSON form has it.
pub(super) struct OtlpSpan<'a> {
    /// The `resourceSpans` member without its scopes.
    pub(super) resource: &'a str,
    /// The `scopeSpans` member without its spans.
    pub(super) scope: &'a str,
    /// The span.
    pub(super) span: &'a str,
}

impl OtlpSpan<'_> {
    /// A member of the span as text.
    pub(super) fn text(&self, name: &str) -> String {
        raw::pointer(self.span, &format!("/{name}")).and_then(raw::scalar).unwrap_or_default()
    }

    /// An attribute of the resource.
    pub(super) fn resource_attribute(&self, key: &str) -> Option<String> {
        attribute(raw::pointer(self.resource, "/resource/attributes")?, key)
    }

    /// The name of the service.
    pub(super) fn service(&self) -> String {
        self.resource_attribute("service.name").unwrap_or_default()
    }
}

/// The string or number of the attribute `key` in a list of attributes.
fn attribute(list: &RawValue, key: &str) -> Option<String> {
    let members = raw::elements(list)?.into_iter().map(RawValue::get);
    let mut found = members.filter(|one| raw::pointer(one, "/key").and_then(raw::scalar).as_deref() == Some(key));
    let value = raw::pointer(found.next()?, "/value")?;
    ["/stringValue", "/intValue", "/doubleValue"]
        .into_iter()
        .find_map(|kind| raw::pointer(value.get(), kind).and_then(raw::scalar))
}
