//! JSON objects whose member names and value encodings differ between versions and encoders of a format.
//!
//! OTLP/JSON and Jaeger's JSON changed over the years: `traceId`, `trace_id` and `traceID`, ids in hexadecimal or in Base64,
//! numbers as numbers or as strings. The reader takes them all and keeps the exact text of what it passes on.

use std::borrow::Cow;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::digest;
use crate::escape;
use crate::record::raw::{self, Members};

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The members of a JSON object. Names are compared without case and underscores; a `null` counts as absent.
#[derive(Debug, Deserialize)]
pub(super) struct Fields<'a>(#[serde(borrow)] Members<&'a RawValue, &'a RawValue>);

impl<'a> Fields<'a> {
    /// Reads the object `raw`; `what` names it in the error.
    pub(super) fn parse(raw: &'a RawValue, what: &str) -> Result<Self, String> {
        let not_an_object = |_| format!("{what} is not an object: {}", escape::start(raw.get(), 40));
        serde_json::from_str(raw.get()).map_err(not_an_object)
    }

    /// Returns the value of the first of `names` that is there.
    pub(super) fn get(&self, names: &[&str]) -> Option<&'a RawValue> {
        names.iter().find_map(|name| {
            let found = self.0.0.iter().rev().find(|(key, _)| is_called(key, name));
            found.map(|(_, value)| *value).filter(|value| value.get() != "null")
        })
    }

    /// Returns the text of the object without the members `names`.
    pub(super) fn text_without(&self, names: &[&str]) -> String {
        let kept = self.0.0.iter().filter(|(key, _)| !names.iter().any(|name| is_called(key, name)));
        let members: Vec<String> = kept.map(|(key, value)| format!("{}:{}", key.get(), value.get())).collect();
        format!("{{{}}}", members.join(","))
    }

    /// Returns a string or a number as text.
    pub(super) fn text(&self, names: &[&str]) -> Option<String> {
        self.get(names).and_then(raw::scalar)
    }

    /// Returns an id in its canonical form; none if it is absent, empty or zero.
    pub(super) fn id(&self, name: &str) -> Option<String> {
        self.text(&[name]).map(|id| canonical_id(&id)).filter(|id| !id.is_empty())
    }

    /// Returns an integer, which may be a string or have an exponent.
    pub(super) fn integer(&self, name: &str) -> Option<i64> {
        let text = self.text(&[name])?;
        let rounded = || format!("{:.0}", text.parse::<f64>().ok()?).parse().ok();
        text.parse().ok().or_else(rounded)
    }

    /// Returns the elements of a list, none if it is absent or `null`; `Err` if it is something else.
    pub(super) fn list(&self, name: &str) -> Result<Vec<&'a RawValue>, String> {
        let Some(value) = self.get(&[name]) else { return Ok(Vec::new()) };
        raw::elements(value).ok_or_else(|| format!("`{name}` is not a list: {}", escape::start(value.get(), 40)))
    }

    /// Returns true if there is a member with one of `names`, be it `null`.
    pub(super) fn has(&self, names: &[&str]) -> bool {
        self.0.0.iter().any(|(key, _)| names.iter().any(|name| is_called(key, name)))
    }

    /// Returns the name, in quotes, of a member that is not one of `names`.
    pub(super) fn unknown(&self, names: &[&str]) -> Option<&str> {
        let unknown = self.0.0.iter().find(|(key, _)| !names.iter().any(|name| is_called(key, name)));
        unknown.map(|(key, _)| key.get())
    }
}

/// Returns true if `key`, a name in quotes, is `name` but for case and underscores.
fn is_called(key: &RawValue, name: &str) -> bool {
    fn plain(text: &str) -> impl Iterator<Item = u8> {
        text.bytes().filter(|byte| *byte != b'_').map(|byte| byte.to_ascii_lowercase())
    }
    let key = key.get().trim_matches('"');
    key == name || plain(key).eq(plain(name))
}

/// An attribute or a tag, in any of the encodings of OTLP and Jaeger.
#[derive(Deserialize)]
struct Attribute<'a> {
    #[serde(borrow, default)]
    key: Cow<'a, str>,
    #[serde(borrow, alias = "vStr", alias = "v_str", alias = "vInt64", alias = "v_int64")]
    value: Option<&'a RawValue>,
}

/// The attributes of a resource or a span, or the tags of a span.
pub(super) struct Attributes<'a>(Vec<Attribute<'a>>);

impl<'a> Attributes<'a> {
    /// Reads the member `name` of `fields`, which may be absent.
    pub(super) fn parse(fields: &Fields<'a>, name: &str) -> Result<Self, String> {
        let Some(list) = fields.get(&[name]) else { return Ok(Self(Vec::new())) };
        serde_json::from_str(list.get()).map(Self).map_err(|error| format!("`{name}`: {error}"))
    }

    /// Returns the string or the number of `key` as text.
    pub(super) fn value(&self, key: &str) -> Option<String> {
        let value = self.0.iter().find(|attribute| attribute.key == key)?.value?;
        raw::scalar(value)
            .or_else(|| Fields::parse(value, "a value").ok()?.text(&["stringValue", "intValue", "doubleValue"]))
    }

    /// Returns a number that is equal for equal attributes, in whatever order, and else differs.
    pub(super) fn fingerprint(&self) -> u64 {
        let mut texts: Vec<(&str, &str)> =
            self.0.iter().map(|Attribute { key, value }| (&**key, value.map_or("", RawValue::get))).collect();
        texts.sort_unstable();
        digest::hash(texts)
    }
}

/// Returns an id in the form in which ids are compared: hexadecimal digits in lower case, without leading zeros, which some
/// servers omit. An id that is not hexadecimal but Base64 of 8 or 16 bytes, as in protobuf's own JSON, is decoded.
pub(super) fn canonical_id(id: &str) -> String {
    let is_hexadecimal = id.bytes().all(|byte| byte.is_ascii_hexdigit());
    let bytes = if is_hexadecimal { Vec::new() } else { base64_bytes(id).unwrap_or_default() };
    let digits = match (<[u8; 8]>::try_from(&*bytes), <[u8; 16]>::try_from(&*bytes)) {
        (Ok(bytes), _) => format!("{:x}", u64::from_be_bytes(bytes)),
        (_, Ok(bytes)) => format!("{:x}", u128::from_be_bytes(bytes)),
        _ => id.to_ascii_lowercase(),
    };
    digits.trim_start_matches('0').to_owned()
}

/// Decodes Base64 with either alphabet, padded or not.
fn base64_bytes(text: &str) -> Option<Vec<u8>> {
    BASE64.decode(text.replace('-', "+").replace('_', "/")).ok()
}

/// Returns a span's kind as one lower-case word, whether it is `SPAN_KIND_SERVER`, `server` or OTLP's number.
pub(super) fn span_kind(text: &str) -> String {
    let word = text.to_ascii_lowercase();
    let word = match word.as_str() {
        "1" => "internal",
        "2" => "server",
        "3" => "client",
        "4" => "producer",
        "5" => "consumer",
        "0" => "unspecified",
        word => word.strip_prefix("span_kind_").unwrap_or(word),
    };
    word.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_owned()).unwrap()
    }

    #[test]
    fn names_and_encodings_of_all_versions_are_read() {
        let object = raw(
            r#"{"trace_id":"CgsMDQ4PEBESExQVFhcYGQ==","parentSpanID":"00aB","startTimeUnixNano":"17","end_time_unix_nano":1.8e3,"n":null}"#,
        );
        let fields = Fields::parse(&object, "it").unwrap();
        assert_eq!(fields.id("traceId").unwrap(), "a0b0c0d0e0f10111213141516171819");
        assert_eq!(fields.id("parentSpanId").unwrap(), "ab");
        assert_eq!((fields.integer("start_time_unix_nano"), fields.integer("endTimeUnixNano")), (Some(17), Some(1800)));
        assert!(fields.has(&["N"]) && fields.get(&["n"]).is_none() && fields.list("n").unwrap().is_empty());
        assert!(fields.list("traceId").is_err() && Fields::parse(&raw("[1]"), "it").is_err());
        assert_eq!(
            fields.unknown(&["traceId", "parentSpanId", "startTimeUnixNano", "n"]),
            Some("\"end_time_unix_nano\"")
        );
    }

    #[test]
    fn ids_are_compared_in_one_form() {
        for (id, canonical) in [
            ("00000000000000AB", "ab"),
            ("AAAAAAAAAKs=", "ab"),
            ("AAAAAAAAAKs", "ab"),
            ("_-8AAAAAAAA=", "ffef000000000000"),
            ("AAAAAAAAAAA=", ""),
            ("abc0000000000000003", "abc0000000000000003"),
            ("../../x?y", "../../x?y"),
        ] {
            assert_eq!(canonical_id(id), canonical, "{id}");
        }
    }

    #[test]
    fn attributes_have_many_encodings() {
        for value in [
            r#""value":{"stringValue":"7"}"#,
            r#""value":{"intValue":"7"}"#,
            r#""value":{"int_value":7}"#,
            r#""value":7"#,
            r#""type":"int64","value":"7""#,
            r#""vType":"STRING","vStr":"7""#,
        ] {
            let list = raw(&format!(r#"{{"tags":[{{"key":"other","value":1}},{{"key":"k",{value}}}]}}"#));
            let attributes = Attributes::parse(&Fields::parse(&list, "it").unwrap(), "tags").unwrap();
            assert_eq!(attributes.value("k").as_deref(), Some("7"), "{value}");
            assert_eq!(attributes.value("none"), None);
        }
    }

    #[test]
    fn kinds_are_words() {
        let kinds = ["2", "SPAN_KIND_SERVER", "server"].map(span_kind);
        assert_eq!(kinds, ["server"; 3].map(str::to_owned));
    }
}
