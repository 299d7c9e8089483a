//! The secrets that a process has come to know, struck out of everything that it says and records: a target may send one back.

use std::borrow::Cow;
use std::sync::{Arc, PoisonError, RwLock};

use percent_encoding::{percent_decode_str, utf8_percent_encode};
use serde_json::Value;

use crate::escape::RESERVED;

/// The word in the place of a secret.
pub const SECRET: &str = "(secret)";
/// The length in bytes from which a value is struck out: a shorter one is in every text.
const SHORTEST: usize = 4;
/// The length in bytes from which a part of a URL's query is struck out by itself: a shorter one may be a common word.
const SHORTEST_OF_QUERY: usize = 8;
/// The most forms of secrets that are kept; beyond it, the oldest are forgotten, except those of a run's beginning.
const MOST: usize = 1000;
const LASTING: u64 = 100;

/// The secrets of one process, shared by all that speaks for it.
#[derive(Clone, Default, derive_more::Debug)]
#[debug("Secrets")]
pub struct Secrets(Arc<RwLock<Vec<Form>>>);

/// One spelling of a secret.
struct Form {
    text: String,
    number: u64,
    /// The beginning of it, before an ellipsis, tells a part of the secret.
    begins_secret: bool,
}

impl Secrets {
    /// Adds all strings and numbers in `value`.
    pub fn add_value(&self, value: &Value) {
        match value {
            Value::String(text) => self.add(text),
            Value::Number(number) => self.add(&number.to_string()),
            Value::Array(values) => values.iter().for_each(|value| self.add_value(value)),
            Value::Object(values) => values.values().for_each(|value| self.add_value(value)),
            Value::Null | Value::Bool(_) => {}
        }
    }

    /// Adds a secret. Of a URL, the path with the query and the values of the query are secrets too; its server is not.
    pub fn add(&self, secret: &str) {
        let secret = secret.trim();
        let Some((_, rest)) = secret.split_once("://") else { return self.add_forms(secret, true) };
        self.add_forms(secret, false);
        let Some(path) = rest.find(['/', '?']).map(|at| &rest[at..]) else { return };
        let (alone, query) = path.split_once('?').unwrap_or((path, ""));
        if !query.is_empty() {
            self.add_forms(path, true);
        }
        if alone.len() >= SHORTEST_OF_QUERY {
            self.add_forms(alone, true);
            self.add_forms(&percent_decode_str(alone).decode_utf8_lossy(), true);
        }
        let values = query.split('&').map(|pair| pair.split_once('=').map_or(pair, |(_, value)| value));
        for value in values.filter(|value| value.len() >= SHORTEST_OF_QUERY) {
            self.add_forms(value, true);
            self.add_forms(&percent_decode_str(value).decode_utf8_lossy(), true);
        }
    }

    /// Adds `secret` as it is, in JSON (also with `\/`, as PHP writes it), in JSON within JSON, in a URL, and in HTML.
    fn add_forms(&self, secret: &str, begins_secret: bool) {
        if secret.len() < SHORTEST {
            return;
        }
        let escaped = in_json(secret);
        let forms = [
            in_json(&escaped),
            utf8_percent_encode(secret, RESERVED).to_string(),
            escaped.replace('/', "\\/"),
            escaped,
            secret.replace('&', "&amp;"),
            secret.to_owned(),
        ];
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        for text in forms {
            if known.iter().any(|form| form.text == text) {
                continue;
            }
            if known.len() >= MOST {
                let oldest = known.iter().enumerate().filter(|(_, form)| form.number >= LASTING);
                if let Some((at, _)) = oldest.min_by_key(|(_, form)| form.number) {
                    known.remove(at);
                }
            }
            let number = known.iter().map(|form| form.number + 1).max().unwrap_or_default();
            // The longest first: a part of it may be a secret too.
            let at = known.partition_point(|form| form.text.len() >= text.len());
            known.insert(at, Form { text, number, begins_secret });
        }
    }

    /// `text` without any secret, and without the beginning of one where it was cut.
    pub fn strike<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let mut struck = Cow::Borrowed(text);
        for form in &*known {
            if struck.contains(&form.text) {
                struck = Cow::Owned(struck.replace(&form.text, SECRET));
            }
        }
        if struck.contains('…') {
            for form in known.iter().filter(|form| form.begins_secret) {
                if let Some(shorter) = strike_beginning(&struck, &form.text) {
                    struck = Cow::Owned(shorter);
                }
            }
        }
        struck
    }

    /// Strikes the secrets out of `text`, if there is one.
    pub fn strike_in(&self, text: &mut Option<String>) {
        if let Some(text) = text
            && let Cow::Owned(struck) = self.strike(text)
        {
            *text = struck;
        }
    }
}

/// `text` without the beginning of `secret` that stands before an ellipsis; none if there is none.
fn strike_beginning(text: &str, secret: &str) -> Option<String> {
    text.match_indices('…').find_map(|(at, _)| {
        let (before, after) = text.split_at(at);
        let mut lengths =
            secret.char_indices().map(|(length, _)| length).rev().take_while(|length| *length >= SHORTEST);
        let length = lengths.find(|length| before.ends_with(&secret[..*length]))?;
        Some(format!("{}{SECRET}{after}", &before[..at - length]))
    })
}

/// `text` as it stands between the quotation marks of a JSON string.
fn in_json(text: &str) -> String {
    let quoted = Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_struck_out_in_every_spelling_and_where_it_was_cut() {
        let secrets = Secrets::default();
        secrets.add_value(&serde_json::json!({"a": "pa\"ss/w0rd", "b": [123_456], "c": true, "d": "abc"}));
        for (text, expected) in [
            ("no", "no"),
            ("true abc", "true abc"),
            ("pa\"ss/w0rd is bad", "(secret) is bad"),
            (r#"{"got":"pa\"ss/w0rd"}"#, r#"{"got":"(secret)"}"#),
            ("/x/pa%22ss%2Fw0rd?n=123456", "/x/(secret)?n=(secret)"),
            ("got pa\"ss/…", "got (secret)…"),
            (r#"{"got":"pa\"ss\/w0rd"}"#, r#"{"got":"(secret)"}"#),
            ("got pa…", "got pa…"),
        ] {
            assert_eq!(secrets.strike(text), expected);
        }
    }

    #[test]
    fn the_path_and_the_query_of_a_url_are_secrets_and_its_server_is_not() {
        let secrets = Secrets::default();
        secrets.add("https://up.example/b/f?sig=S1GNAT%2BURE&v=1");
        for (text, expected) in [
            ("PUT https://up.example/…: HTTP 403", "PUT https://up.example/…: HTTP 403"),
            ("https://up.example/b/f?sig=S1GNAT%2BURE&v=1 is old", "(secret) is old"),
            ("denied: /b/f?sig=S1GNAT%2BURE&v=1", "denied: (secret)"),
            ("bad sig S1GNAT+URE, v=1", "bad sig (secret), v=1"),
        ] {
            assert_eq!(secrets.strike(text), expected);
        }
        secrets.add("https://up.example/box/a%20file?a=1&b=2");
        for (text, expected) in [
            ("no /box/a%20file", "no (secret)"),
            ("no /box/a file here", "no (secret) here"),
            (r#"{"no":"\/box\/a file"}"#, r#"{"no":"(secret)"}"#),
            ("<p>/box/a%20file?a=1&amp;b=2</p>", "<p>(secret)</p>"),
            ("the box", "the box"),
        ] {
            assert_eq!(secrets.strike(text), expected);
        }
    }

    #[test]
    fn the_latest_secrets_and_those_of_the_beginning_are_kept() {
        let secrets = Secrets::default();
        for number in 0..3000 {
            secrets.add(&format!("secret-{number:04}"));
        }
        assert!(secrets.0.read().unwrap().len() <= MOST);
        for (text, expected) in [("secret-0000", SECRET), ("secret-2999", SECRET), ("secret-1500", "secret-1500")] {
            assert_eq!(secrets.strike(text), expected);
        }
    }
}
