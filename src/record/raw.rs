//! JSON objects whose unknown parts keep their exact text.
//!
//! A tool must hand on what it does not know byte for byte: `1.10` stays `1.10`, a 23-digit integer keeps its digits,
//! keys keep their order and their escapes. A parsed tree cannot promise that, so an object is kept as a list of
//! members whose keys and values are the original text.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

/// A JSON object as a list of members in their original order and spelling.
#[derive(Clone, Debug, Default)]
pub struct RawObject {
    members: Vec<(Box<RawValue>, Box<RawValue>)>,
}

impl RawObject {
    /// Parses one JSON object; white space between members is not kept, everything else is.
    pub fn parse(text: &str) -> serde_json::Result<Self> {
        serde_json::from_str(text).map(|Members(members)| Self { members })
    }

    /// The members that `value` serializes to. Fields that are `None` are expected to be skipped by their type.
    pub fn of(value: &impl Serialize) -> serde_json::Result<Self> {
        Self::parse(&serde_json::to_string(value)?)
    }

    /// The value of `key`; the last one where the key stands more than once, as every JSON reader in use takes it.
    pub fn get(&self, key: &str) -> Option<&RawValue> {
        self.members.iter().rev().find(|(k, _)| key_is(k, key)).map(|(_, value)| value.as_ref())
    }

    /// The keys, unescaped, in their order.
    pub fn keys(&self) -> Vec<String> {
        self.members.iter().filter_map(|(key, _)| unescaped(key)).collect()
    }

    /// Puts `value` at `key`: in its old place where the key is there already, else at the end.
    pub fn set(&mut self, key: &str, value: Box<RawValue>) -> serde_json::Result<()> {
        if let Some(member) = self.members.iter_mut().rev().find(|(k, _)| key_is(k, key)) {
            member.1 = value;
        } else {
            self.members.push((serde_json::value::to_raw_value(key)?, value));
        }
        Ok(())
    }

    /// Takes `key` out, wherever it stands.
    pub fn remove(&mut self, key: &str) {
        self.members.retain(|(k, _)| !key_is(k, key));
    }

    /// Puts every member of `other` over this object's.
    pub fn overlay(&mut self, other: Self) {
        for (key, value) in other.members {
            let same = |k: &RawValue| k.get() == key.get() || unescaped(k) == unescaped(&key);
            match self.members.iter_mut().rev().find(|(k, _)| same(k)) {
                Some(member) => member.1 = value,
                None => self.members.push((key, value)),
            }
        }
    }

    /// The object as JSON text on one line, unless a value that was kept holds line breaks itself.
    pub fn text(&self) -> String {
        let length: usize = self.members.iter().map(|(k, v)| k.get().len() + v.get().len() + 2).sum();
        let mut text = String::with_capacity(length + 2);
        text.push('{');
        for (index, (key, value)) in self.members.iter().enumerate() {
            if index > 0 {
                text.push(',');
            }
            text.push_str(key.get());
            text.push(':');
            text.push_str(value.get());
        }
        text.push('}');
        text
    }

    /// The object as a raw value, to be set as a member of another.
    pub fn into_raw(self) -> serde_json::Result<Box<RawValue>> {
        RawValue::from_string(self.text())
    }

    /// The object read as `T`.
    pub fn read<T: DeserializeOwned>(&self) -> serde_json::Result<T> {
        serde_json::from_str(&self.text())
    }
}

fn unescaped(key: &RawValue) -> Option<String> {
    serde_json::from_str(key.get()).ok()
}

fn key_is(raw: &RawValue, key: &str) -> bool {
    let text = raw.get();
    let plain = text.len() == key.len() + 2 && text[1..text.len() - 1] == *key;
    plain || (text.contains('\\') && unescaped(raw).as_deref() == Some(key))
}

/// The members of a JSON object in their original order, repeated keys among them.
#[derive(Debug)]
pub struct Members<K, V>(pub Vec<(K, V)>);

impl<'de, K: Deserialize<'de>, V: Deserialize<'de>> Deserialize<'de> for Members<K, V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object<K, V>(PhantomData<(K, V)>);
        impl<'de, K: Deserialize<'de>, V: Deserialize<'de>> Visitor<'de> for Object<K, V> {
            type Value = Members<K, V>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Object(PhantomData))
    }
}

/// Returns the exact text at a JSON pointer (RFC 6901) in `text`: an id of 23 digits keeps them all.
///
/// None if nothing is there or if `text` is not JSON. The empty pointer is the whole text.
pub fn pointer<'a>(text: &'a str, pointer: &str) -> Option<&'a RawValue> {
    walk(text, pointer, |at, token| child(at, token).into_iter().collect()).pop()
}

/// Returns every text that `pointer` leads to, where a token `*` stands for all members of an object or all elements of an array, and
/// `*[NAME=WORD]` for those of them whose member NAME is that word.
pub fn pointers<'a>(text: &'a str, pointer: &str) -> Vec<&'a RawValue> {
    walk(text, pointer, |at, token| match Choice::parse(token) {
        None => child(at, token).into_iter().collect(),
        Some(Choice::All) => children(at),
        Some(Choice::Of(name, wanted)) => {
            let is_wanted = |one: &&RawValue| child(one, name).and_then(word).is_some_and(|found| found == wanted);
            children(at).into_iter().filter(is_wanted).collect()
        }
    })
}

/// The children that a token of a pointer stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice<'t> {
    /// All.
    All,
    /// Those whose member of this name is this word.
    Of(&'t str, &'t str),
}

impl<'t> Choice<'t> {
    /// Reads `*` or `*[NAME=WORD]`; none for any other token.
    pub fn parse(token: &'t str) -> Option<Self> {
        match token.strip_prefix('*')? {
            "" => Some(Self::All),
            rest => rest.strip_prefix('[')?.strip_suffix(']')?.split_once('=').map(|(name, word)| Self::Of(name, word)),
        }
    }
}

/// Returns every text that `pointer` leads to, where a key may stand more than once.
pub fn repeats<'a>(text: &'a str, pointer: &str) -> Vec<&'a RawValue> {
    walk(text, pointer, |at, token| match members(at) {
        Some(members) => members.into_iter().filter(|(key, _)| key == token).map(|(_, value)| value).collect(),
        None => child(at, token).into_iter().collect(),
    })
}

fn walk<'a>(
    text: &'a str,
    pointer: &str,
    below: impl Fn(&'a RawValue, &str) -> Vec<&'a RawValue>,
) -> Vec<&'a RawValue> {
    let mut found: Vec<&RawValue> = serde_json::from_str(text).into_iter().collect();
    if pointer.is_empty() {
        return found;
    }
    let Some(tokens) = pointer.strip_prefix('/') else { return Vec::new() };
    for token in tokens.split('/') {
        let token = token.replace("~1", "/").replace("~0", "~");
        found = found.into_iter().flat_map(|at| below(at, &token)).collect();
    }
    found
}

fn children(at: &RawValue) -> Vec<&RawValue> {
    let of_object = members(at).map(|members| members.into_iter().map(|(_, value)| value).collect());
    of_object.or_else(|| elements(at)).unwrap_or_default()
}

fn child<'a>(at: &'a RawValue, token: &str) -> Option<&'a RawValue> {
    match at.get().as_bytes().first()? {
        b'{' => members(at)?.into_iter().rev().find(|(key, _)| key == token).map(|(_, value)| value),
        b'[' => elements(at)?.into_iter().nth(token.parse().ok()?),
        _ => None,
    }
}

/// The members of the object `at`, keys unescaped; none if it is not an object.
pub fn members(at: &RawValue) -> Option<Vec<(String, &RawValue)>> {
    serde_json::from_str(at.get()).ok().map(|Members(members)| members)
}

/// The elements of the array `at`; none if it is not an array.
pub fn elements(at: &RawValue) -> Option<Vec<&RawValue>> {
    serde_json::from_str(at.get()).ok()
}

/// The beginning of the object `text`, up to where the members of its last one, the list `key`, begin.
pub fn open_list(text: &str, key: &str) -> String {
    let inner = text.trim_end().strip_suffix('}').unwrap_or(text);
    let comma = if inner.trim_end().ends_with('{') { "" } else { "," };
    format!("{inner}{comma}\"{key}\":[")
}

/// A scalar as text: a string unescaped, a number as it is spelt; none for null, booleans, arrays and objects.
pub fn scalar(raw: &RawValue) -> Option<String> {
    match raw.get().as_bytes().first()? {
        b'"' => serde_json::from_str(raw.get()).ok(),
        b'-' | b'0'..=b'9' => Some(raw.get().to_owned()),
        _ => None,
    }
}

/// A scalar or a boolean as text: the word for a state, or a message. JSON allows half of a surrogate pair, which is no character: it is
/// replaced.
pub fn word(raw: &RawValue) -> Option<String> {
    scalar(raw).or_else(|| ["true", "false"].contains(&raw.get()).then(|| raw.get().to_owned())).or_else(|| {
        let Bytes(bytes) = serde_json::from_str(raw.get()).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    })
}

/// A JSON string as bytes, which need not be UTF-8.
struct Bytes(Vec<u8>);

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Bytes;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a string")
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Bytes, E> {
                Ok(Bytes(bytes.to_vec()))
            }
        }
        deserializer.deserialize_bytes(Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_keep_order_spelling_and_escapes() {
        let text = r#"{"b":1.10,"\u0061":12345678901234567890123,"c":1e400,"d": { "x" : 1 }}"#;
        let object = RawObject::parse(text).unwrap();
        assert_eq!(object.text(), r#"{"b":1.10,"\u0061":12345678901234567890123,"c":1e400,"d":{ "x" : 1 }}"#);
        assert_eq!(object.get("a").unwrap().get(), "12345678901234567890123");
    }

    #[test]
    fn half_of_a_surrogate_pair_is_replaced_in_a_word_and_makes_no_id() {
        let raw = |text: &str| RawValue::from_string(text.to_owned()).unwrap();
        let half = raw(r#""codec \ud800 lost \ud83d\ude00""#);
        assert_eq!(scalar(&half), None);
        let told = word(&half).unwrap();
        assert!(told.starts_with("codec \u{fffd}") && told.ends_with(" lost \u{1f600}"), "{told}");
        assert_eq!((word(&raw("null")), word(&raw("{}")), word(&raw("[1]"))), (None, None, None));
    }

    #[test]
    fn setting_replaces_in_place_and_adds_at_the_end() {
        let mut object = RawObject::parse(r#"{"a":1,"b":2}"#).unwrap();
        object.overlay(RawObject::parse(r#"{"\u0061":3,"c":4}"#).unwrap());
        object.remove("b");
        assert_eq!(object.text(), r#"{"a":3,"c":4}"#);
    }

    #[test]
    fn the_last_of_two_equal_keys_counts() {
        assert_eq!(RawObject::parse(r#"{"a":1,"a":2}"#).unwrap().get("a").unwrap().get(), "2");
    }

    #[test]
    fn pointers_reach_into_objects_and_arrays_and_keep_digits() {
        let text = r#"{"a/b":[{"id":12345678901234567890123}],"m~n":"x"}"#;
        assert_eq!(pointer(text, "/a~1b/0/id").and_then(scalar).unwrap(), "12345678901234567890123");
        assert_eq!(pointer(text, "/m~0n").and_then(scalar).unwrap(), "x");
        assert_eq!(pointer(text, "").unwrap().get(), text);
        for absent in ["/a~1b/1", "/a~1b/x", "/nope", "no-slash", "/m~0n/0"] {
            assert!(pointer(text, absent).is_none(), "{absent}");
        }
        assert!(pointer("not json", "/a").is_none());
        let list = r#"{"runs":[{"state":"a"},{"no":1},{"state":"b"}],"by":{"x":{"state":"c"}}}"#;
        let found = |at: &str| pointers(list, at).iter().map(|raw| raw.get()).collect::<Vec<_>>();
        assert_eq!(found("/runs/*/state"), [r#""a""#, r#""b""#]);
        assert_eq!((found("/*/x/state"), found("/by/*/*"), found("")), (vec![r#""c""#], vec![r#""c""#], vec![list]));
        assert!(found("runs").is_empty() && found("/runs/*/state/*").is_empty() && pointers("no", "/*").is_empty());
    }
}
