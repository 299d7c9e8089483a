//! Reads the body of an answer as JSON, or says why it is not JSON.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::escape;
use crate::http::Answer;

/// Describes a body in a coding that cannot be decoded. A body that is JSON is in none, whatever its head says.
pub fn unknown_coding(answer: &Answer) -> Option<String> {
    let coding = escape::start(answer.head.unknown_coding.as_ref().filter(|_| readable(&answer.body).is_err())?, 40);
    Some(format!("the answer has Content-Encoding: {coding}, which was not asked for and cannot be decoded"))
}

/// The reason why the body of `answer` cannot be read; none if it can.
pub fn why_unreadable(answer: &Answer) -> Option<String> {
    unknown_coding(answer).or_else(|| readable(&answer.body).err())
}

/// The JSON of `body`: without a byte order mark, and with null in place of NaN and Infinity, which some servers write. The
/// error says what is wrong and where.
pub fn readable(body: &str) -> Result<Cow<'_, str>, String> {
    let is_json = |text: &str| serde_json::from_str::<&RawValue>(text).map(drop);
    let text = body.strip_prefix('\u{feff}').unwrap_or(body);
    let Err(error) = is_json(text) else { return Ok(Cow::Borrowed(text)) };
    if text.trim().is_empty() {
        return Err("the answer is empty".to_owned());
    }
    let finite = without_non_finite(text);
    if is_json(&finite).is_ok() {
        return Ok(Cow::Owned(finite));
    }
    let line = text.lines().nth(error.line().saturating_sub(1)).unwrap_or_default();
    let near: String = line.chars().skip(error.column().saturating_sub(20)).take(40).collect();
    Err(format!("the answer is not JSON: {error}, near `{}`", escape::start(near.trim(), 60)))
}

/// `text` with null in place of `NaN`, `Infinity` and `-Infinity` outside of strings.
fn without_non_finite(text: &str) -> String {
    let mut finite = String::with_capacity(text.len());
    let mut rest = text;
    let (mut in_string, mut escaped) = (false, false);
    while let Some(character) = rest.chars().next() {
        let number = ["NaN", "Infinity", "-Infinity"].into_iter().find(|number| !in_string && rest.starts_with(number));
        if let Some(number) = number {
            finite.push_str("null");
            rest = &rest[number.len()..];
            continue;
        }
        match character {
            _ if escaped => escaped = false,
            '\\' if in_string => escaped = true,
            '"' => in_string = !in_string,
            _ => {}
        }
        finite.push(character);
        rest = &rest[character.len_utf8()..];
    }
    finite
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_is_named_with_its_place() {
        for (body, part) in [
            ("", "is empty"),
            (" \n", "is empty"),
            ("<html>busy</html>", "near `<html>busy"),
            (r#"{"status":"done","wer":nan}"#, "\"wer\":nan}`"),
            (r#"{"status":NaNa}"#, "line 1 column"),
            ("{'status':'done'}", "near `{'status'"),
        ] {
            let cause = readable(body).unwrap_err();
            assert!(cause.contains(part), "{body}: {cause}");
        }
    }
}
