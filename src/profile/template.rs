//! Templates of a profile: `{run}`, `{name}`, `{source}` and `{id}` in paths, headers and bodies.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

/// The values that replace a template's words.
#[derive(Clone, Copy, Debug, Default)]
pub struct TemplateValues<'a> {
    /// The run's id.
    pub run: &'a str,
    /// The job's name.
    pub name: &'a str,
    /// The source string as the worker sees it.
    pub source: &'a str,
    /// The job's id at the target; empty before it is known.
    pub id: &'a str,
}

/// The escaping of values in a template, by the position of the template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Escaping {
    /// In a URL's path: everything but unreserved characters is percent-encoded (RFC 3986, section 2.3).
    Path,
    /// Unescaped; the caller refuses values that do not fit.
    Text,
}

/// All but the unreserved characters.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

const WORDS: [&str; 4] = ["run", "name", "source", "id"];

/// `template` with its words replaced.
pub fn fill(template: &str, values: &TemplateValues<'_>, escaping: Escaping) -> String {
    let mut filled = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, word, after)) = next_word(rest) {
        filled.push_str(before);
        let value = match word {
            "run" => values.run,
            "name" => values.name,
            "source" => values.source,
            _ => values.id,
        };
        match escaping {
            Escaping::Path => filled.extend(utf8_percent_encode(value, RESERVED)),
            Escaping::Text => filled.push_str(value),
        }
        rest = after;
    }
    filled.push_str(rest);
    filled
}

/// Refuses unknown words, such as a misspelt `{nmae}`.
pub(super) fn check(template: &str, id_is_known: bool) -> Result<(), String> {
    let mut rest = template;
    while let Some(open) = rest.find('{') {
        rest = &rest[open + 1..];
        let Some(close) = rest.find('}') else { break };
        let word = &rest[..close];
        let looks_like_one = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        if looks_like_one && !WORDS.contains(&word) {
            return Err(format!(
                "\"{template}\": {{{word}}} is not a template word; the words are {{run}}, {{name}}, {{source}}, {{id}}"
            ));
        }
        if word == "id" && !id_is_known {
            return Err(format!("\"{template}\": {{id}} is not known before the job is submitted"));
        }
    }
    Ok(())
}

/// The TOML value of a body as JSON, its strings filled in.
pub(super) fn body(template: &toml::Value, values: &TemplateValues<'_>) -> Result<Value, String> {
    Ok(match template {
        toml::Value::String(text) => {
            check(text, false)?;
            Value::String(fill(text, values, Escaping::Text))
        }
        toml::Value::Integer(number) => Value::from(*number),
        toml::Value::Float(number) if number.is_finite() => Value::from(*number),
        toml::Value::Float(number) => return Err(format!("{number} has no JSON form")),
        toml::Value::Boolean(truth) => Value::Bool(*truth),
        toml::Value::Datetime(time) => return Err(format!("{time} has no JSON form; write it as a string")),
        toml::Value::Array(items) => {
            Value::Array(items.iter().map(|item| body(item, values)).collect::<Result<_, _>>()?)
        }
        toml::Value::Table(table) => Value::Object(
            table.iter().map(|(key, item)| Ok((key.clone(), body(item, values)?))).collect::<Result<_, String>>()?,
        ),
    })
}

/// The text before the next known word, the word, and the text after it.
fn next_word(text: &str) -> Option<(&str, &str, &str)> {
    text.match_indices('{').find_map(|(open, _)| {
        let inner = &text[open + 1..];
        let word = &inner[..inner.find('}')?];
        WORDS.contains(&word).then(|| (&text[..open], word, &inner[word.len() + 1..]))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUES: TemplateValues<'_> = TemplateValues { run: "r", name: "n", source: "a\"b", id: "../x y" };

    #[test]
    fn words_are_replaced_and_other_braces_stay() {
        assert_eq!(fill("{run}/{name}{", &VALUES, Escaping::Text), "r/n{");
        assert_eq!(fill("{x}{source}", &VALUES, Escaping::Text), "{x}a\"b");
    }

    #[test]
    fn an_id_cannot_leave_its_place_in_a_path() {
        assert_eq!(fill("/jobs/{id}", &VALUES, Escaping::Path), "/jobs/..%2Fx%20y");
    }

    #[test]
    fn a_body_is_json_whatever_the_source_holds() {
        let template: toml::Value = toml::from_str("source = \"{source}\"\nn = [1, 2.5, true]").unwrap();
        assert_eq!(body(&template, &VALUES).unwrap().to_string(), r#"{"n":[1,2.5,true],"source":"a\"b"}"#);
    }
}
