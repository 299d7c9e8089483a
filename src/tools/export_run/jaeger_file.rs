//! A file of `capture-jaeger`, read span by span or trace by trace: `{"resourceSpans":[…]}` or `{"data":[…]}`.

use std::fmt;
use std::io::Read;

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// A part of the file.
pub(super) enum Item<'a> {
    /// A whole trace of the older API.
    V1(&'a str),
    /// A span in OTLP's form, with the members of its lists that come before them.
    Otlp { resource: &'a str, scope: &'a str, span: &'a str },
}

/// Consumes a part of the file. An error ends the reading.
type OnItem<'a> = &'a mut dyn FnMut(Item<'_>) -> Result<(), String>;

/// Reads `input` to its end, and hands each part to `each`.
pub(super) fn read(input: impl Read, each: OnItem<'_>) -> Result<(), String> {
    let mut deserializer = serde_json::Deserializer::from_reader(input);
    let level = Level { key: "", headers: Vec::new(), each };
    let outcome = level.deserialize(&mut deserializer).and_then(|()| deserializer.end());
    outcome.map_err(|error| format!("not a trace file, or cut off: {error}"))
}

/// An object, or a list of objects, on the way down to the spans. `capture-jaeger` writes the list of the next level behind all
/// other members.
struct Level<'a> {
    /// The key under which it was found.
    key: &'static str,
    /// The members of the objects above it, without the lists: of the resource and of the scope.
    headers: Vec<String>,
    each: OnItem<'a>,
}

/// The lists that lead down to the spans.
const LISTS: [&str; 4] = ["data", "resourceSpans", "scopeSpans", "spans"];

impl Level<'_> {
    fn below(&mut self, key: &'static str, header: Option<String>) -> Level<'_> {
        let headers = self.headers.iter().cloned().chain(header).collect();
        Level { key, headers, each: self.each }
    }
}

impl<'de> DeserializeSeed<'de> for Level<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Level<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("traces of Jaeger")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        let mut members: Vec<String> = Vec::new();
        let mut is_below = false;
        while let Some(key) = map.next_key::<String>()? {
            if let Some(list) = LISTS.into_iter().find(|list| *list == key) {
                is_below = true;
                let header = (!self.key.is_empty()).then(|| format!("{{{}}}", members.join(",")));
                map.next_value_seed(self.below(list, header))?;
            } else if self.key.is_empty() {
                map.next_value::<IgnoredAny>()?;
            } else {
                let value: Box<RawValue> = map.next_value()?;
                if is_below {
                    return Err(A::Error::custom(format!("`{key}` comes after the list that it describes")));
                }
                let key = serde_json::to_string(&key).map_err(A::Error::custom)?;
                members.push(format!("{key}:{}", value.get()));
            }
        }
        if self.key.is_empty() && !is_below {
            return Err(A::Error::custom("neither `data` nor `resourceSpans` in it"));
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<(), A::Error> {
        if !["data", "spans"].contains(&self.key) {
            let key = self.key;
            while seq.next_element_seed(self.below(key, None))?.is_some() {}
            return Ok(());
        }
        while let Some(raw) = seq.next_element::<Box<RawValue>>()? {
            let item = match (self.key, &*self.headers) {
                ("spans", [resource, scope]) => Item::Otlp { resource, scope, span: raw.get() },
                _ => Item::V1(raw.get()),
            };
            (self.each)(item).map_err(A::Error::custom)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(text: &str) -> Result<Vec<String>, String> {
        let mut found = Vec::new();
        read(text.as_bytes(), &mut |item| {
            found.push(match item {
                Item::V1(trace) => trace.to_owned(),
                Item::Otlp { resource, scope, span } => format!("{resource} {scope} {span}"),
            });
            Ok(())
        })?;
        Ok(found)
    }

    #[test]
    fn spans_come_with_their_resource_and_scope() {
        let text = r#"{"resourceSpans":[
            {"resource":{"a":1.50},"schemaUrl":"u","scopeSpans":[{"scope":{"name":"s"},"spans":[{"x":1},
            {"x":2}]},{"spans":[{"x":3}]}]}, {"scopeSpans":[{"spans":[]}]}]}"#;
        let resource = r#"{"resource":{"a":1.50},"schemaUrl":"u"}"#;
        let expected = [
            format!(r#"{resource} {{"scope":{{"name":"s"}}}} {{"x":1}}"#),
            format!(r#"{resource} {{"scope":{{"name":"s"}}}} {{"x":2}}"#),
            format!(r#"{resource} {{}} {{"x":3}}"#),
        ];
        assert_eq!(items(text).unwrap(), expected);
    }

    #[test]
    fn traces_of_the_older_api_come_whole() {
        let text = r#"{"data":[{"traceID":"a","spans":[{"b":1}],"processes":{}}],"errors":null}"#;
        assert_eq!(items(text).unwrap(), [r#"{"traceID":"a","spans":[{"b":1}],"processes":{}}"#]);
        assert_eq!(items("{\"data\":[\n]}\n").unwrap(), [""; 0]);
    }

    #[test]
    fn another_or_a_cut_file_is_refused() {
        for text in ["{}", "[", r#"{"data":[{"#, "7", r#"{"resourceSpans":[{"scopeSpans":[],"resource":{}}]}"#] {
            assert!(items(text).is_err(), "{text}");
        }
    }
}
