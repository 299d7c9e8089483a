//! The places of an answer where a profile looks for a value: a JSON pointer, a header, the HTTP status, or the body as text.

use std::borrow::Cow;

use regex::Regex;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

use super::json::readable;
use crate::escape;
use crate::http::{Answer, HeaderMap};
use crate::record::raw;

/// A place, and the part of the value there that counts.
#[derive(Clone, Debug)]
pub struct Place {
    /// As the profile spells it.
    text: String,
    source: Source,
    /// Takes the first group of a match, or the whole match where there is no group.
    pattern: Option<Regex>,
}

#[derive(Clone, Debug)]
enum Source {
    /// A JSON pointer (RFC 6901); the token `*` stands for every child, and `*[NAME=WORD]` for those with this member.
    Pointer,
    /// The header of this name.
    Header(String),
    /// The HTTP status.
    Status,
    /// The body as text, without the white space around it.
    Body,
}

/// An answer, or a part of its JSON, to look for values in.
#[derive(Debug)]
pub struct Document<'a> {
    json: Result<Cow<'a, str>, String>,
    body: &'a str,
    status: Option<u16>,
    headers: Option<&'a HeaderMap>,
    /// The head names a coding that is not known.
    is_mislabelled: bool,
}

impl<'a> Document<'a> {
    /// Reads an answer.
    pub fn of(answer: &'a Answer) -> Self {
        Self::new(&answer.body, answer.status, Some(&answer.head.all)).mislabelled(answer.head.unknown_coding.is_some())
    }

    /// Reads the parts of an answer.
    pub fn new(body: &'a str, status: u16, headers: Option<&'a HeaderMap>) -> Self {
        Self { status: Some(status), headers, ..Self::of_body(body) }
    }

    /// The same with a head that names an unknown coding, if it `is_mislabelled`.
    #[must_use]
    pub fn mislabelled(self, is_mislabelled: bool) -> Self {
        Self { is_mislabelled, ..self }
    }

    /// Reads a body of which no head is known.
    pub fn of_body(body: &'a str) -> Self {
        Self { json: readable(body), body, status: None, headers: None, is_mislabelled: false }
    }

    /// A part of a document's JSON.
    pub(super) fn part(raw: &'a RawValue) -> Self {
        Self { json: Ok(Cow::Borrowed(raw.get())), body: raw.get(), status: None, headers: None, is_mislabelled: false }
    }

    /// The HTTP status, if a head is known.
    pub(super) fn status(&self) -> Option<u16> {
        self.status
    }

    /// The JSON, or the reason why the body is none.
    pub fn json(&self) -> Result<&str, &str> {
        self.json.as_deref().map_err(String::as_str)
    }

    /// The error code of a refused token request (RFC 6749, section 5.2), if the body holds one.
    pub fn error_code(&self) -> Option<String> {
        let code = raw::pointer(self.json().ok()?, "/error").and_then(raw::scalar)?;
        let is_code = code.len() <= 40 && code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        is_code.then_some(code)
    }

    /// True if the body breaks the rules of JSON, or its head names an unknown coding, and it was read all the same.
    pub fn is_lenient(&self) -> bool {
        self.json.as_deref().is_ok_and(|json| self.is_mislabelled || json != self.body)
    }

    /// Every value at the first of `places` that holds one.
    pub(super) fn values(&self, places: &[Place]) -> Vec<Cow<'_, RawValue>> {
        places.iter().map(|place| place.find(self)).find(|found| !found.is_empty()).unwrap_or_default()
    }

    /// Every value at `place`, also those of a key that stands more than once.
    pub(super) fn every(&self, place: &Place) -> Vec<Cow<'_, RawValue>> {
        match self.json() {
            Ok(json) if place.is_in_json() && !place.has_wildcard() && !place.has_pattern() => {
                raw::repeats(json, &place.text).into_iter().map(Cow::Borrowed).collect()
            }
            _ => place.find(self),
        }
    }

    /// The first value that is not null at `places`, with its type.
    pub fn value(&self, places: &[Place]) -> Option<Value> {
        let found = places.iter().flat_map(|place| place.find(self));
        found.into_iter().filter_map(|raw| serde_json::from_str(raw.get()).ok()).find(|value: &Value| !value.is_null())
    }

    /// The first string or number at `places`.
    pub(super) fn scalar(&self, places: &[Place]) -> Option<String> {
        self.first(places, raw::scalar)
    }

    /// Two values at the first of `places` that holds one, where a key stands more than once, as the rest of a sentence.
    pub(super) fn ambiguity(&self, places: &[Place]) -> Option<String> {
        let place = places.iter().find(|place| !place.find(self).is_empty())?;
        if !place.is_in_json() || place.has_wildcard() {
            return None;
        }
        let found = raw::repeats(self.json().ok()?, &place.text);
        let mut words = found.iter().filter_map(|raw| raw::word(raw));
        let first = words.next()?;
        let other = words.find(|word| *word != first)?;
        let shown = |text: &str| escape::start(text, 60);
        Some(format!("{} occurs twice in the answer: `{}` and `{}`", place.text, shown(&first), shown(&other)))
    }

    /// The first string, number or boolean at `places`.
    pub(super) fn word(&self, places: &[Place]) -> Option<String> {
        self.first(places, raw::word)
    }

    fn first(&self, places: &[Place], read: impl Fn(&RawValue) -> Option<String>) -> Option<String> {
        places.iter().find_map(|place| place.find(self).iter().find_map(|raw| read(raw)))
    }
}

impl Place {
    /// Reads a place as a profile spells it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let source = match text.split_once(':') {
            _ if text.is_empty() || text.starts_with('/') => {
                let is_broken = |token: &&str| token.starts_with("*[") && raw::Choice::parse(token).is_none();
                if let Some(token) = text.split('/').find(is_broken) {
                    return Err(format!("\"{text}\": `{token}` is not of the form `*[NAME=WORD]`"));
                }
                Source::Pointer
            }
            Some(("header", name)) if !name.is_empty() => Source::Header(name.to_ascii_lowercase()),
            Some(("http", "status")) => Source::Status,
            Some(("http", "body")) => Source::Body,
            _ => {
                return Err(format!(
                    "\"{text}\" is not a place in an answer: write a JSON pointer, which begins with `/`, `header:NAME`, `http:status` or \
                     `http:body`"
                ));
            }
        };
        Ok(Self { text: text.to_owned(), source, pattern: None })
    }

    /// As the profile spells it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// True if it is a place in the JSON of the body.
    pub(super) fn is_in_json(&self) -> bool {
        matches!(self.source, Source::Pointer)
    }

    /// True if only a part of the value counts.
    pub(super) fn has_pattern(&self) -> bool {
        self.pattern.is_some()
    }

    /// True if it may lead to several values.
    pub(super) fn has_wildcard(&self) -> bool {
        self.is_in_json() && self.text.split('/').any(|token| raw::Choice::parse(token).is_some())
    }

    /// True if it is in the head of an answer.
    pub(super) fn is_in_head(&self) -> bool {
        matches!(self.source, Source::Header(_) | Source::Status)
    }

    /// True if it is a header.
    pub(super) fn is_header(&self) -> bool {
        matches!(self.source, Source::Header(_))
    }

    /// The values at this place, in the answer's order.
    pub fn find<'d>(&self, document: &'d Document<'_>) -> Vec<Cow<'d, RawValue>> {
        let text = |text: &str| to_raw_value(text).ok().map(Cow::Owned);
        let found: Vec<Cow<'d, RawValue>> = match &self.source {
            Source::Pointer => document
                .json()
                .into_iter()
                .flat_map(|json| raw::pointers(json, &self.text))
                .map(Cow::Borrowed)
                .collect(),
            Source::Header(name) => {
                let values = document.headers.into_iter().flat_map(|headers| headers.get_all(name));
                values.filter_map(|value| text(value.to_str().ok()?)).collect()
            }
            Source::Status => document.status.and_then(|status| text(&status.to_string())).into_iter().collect(),
            Source::Body => text(document.body.trim_start_matches('\u{feff}').trim()).into_iter().collect(),
        };
        let Some(pattern) = &self.pattern else { return found };
        let part = |raw: Cow<'d, RawValue>| {
            // A part may be an id, in which no character may be replaced.
            let is_replaced = || raw.get().starts_with('"') && raw::scalar(&raw).is_none();
            let whole = raw::word(&raw).filter(|_| !is_replaced())?;
            let found = pattern.captures(&whole)?;
            text(found.get(1).or(found.get(0))?.as_str())
        };
        found.into_iter().filter_map(part).collect()
    }
}

impl<'de> Deserialize<'de> for Place {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "a place in an answer, or a table with `at` and `match`")]
        enum Spelled {
            At(String),
            Part(Part),
        }
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Part {
            at: String,
            r#match: String,
        }
        let error = |text: String| serde::de::Error::custom(text);
        match Spelled::deserialize(deserializer)? {
            Spelled::At(text) => Self::parse(&text).map_err(error),
            Spelled::Part(Part { at, r#match }) => {
                let pattern = Regex::new(&r#match).map_err(|cause| {
                    // The cause draws the place of the mistake on lines of its own; the last one says what it is.
                    let cause = cause.to_string();
                    error(format!("match = \"{match}\": {}", cause.lines().last().unwrap_or_default(), match = r#match))
                })?;
                Self::parse(&at).map(|place| Self { pattern: Some(pattern), ..place }).map_err(error)
            }
        }
    }
}

/// The spellings of `places`, for a message.
pub fn spelled(places: &[Place]) -> String {
    places.iter().map(Place::as_str).collect::<Vec<_>>().join(", ")
}
