//! What a profile must not say, whatever the target: it would look as if the target had refused.

use std::collections::BTreeMap;

use ureq::http::{HeaderName, HeaderValue};

use super::{Profile, Words};
use crate::http::is_secret;

/// Checks headers, status codes and words of `profile`; the error names the key.
pub(super) fn check(profile: &Profile) -> Result<(), String> {
    let Profile { health, submit, poll, .. } = profile;
    headers("submit.headers", &submit.headers)?;
    headers("poll.headers", &poll.headers)?;
    for (key, statuses) in
        [("health.accepted", &health.accepted), ("submit.accepted", &submit.accepted), ("poll.unknown", &poll.unknown)]
    {
        if let Some(status) = statuses.iter().find(|status| !(100..600).contains(*status)) {
            return Err(format!("{key}: {status} is no HTTP status"));
        }
    }
    words("poll.words", &poll.words)?;
    if let Some(stages) = &poll.stages {
        words("poll.stages.words", &stages.words)?;
        if stages.at.is_empty() {
            return Err("poll.stages.at is empty: it must say where the stages stand".to_owned());
        }
    }
    if profile.name.trim().is_empty() {
        return Err("name is empty".to_owned());
    }
    Ok(())
}

/// The values are templates; what they are filled with is checked when it is sent.
fn headers(key: &str, headers: &BTreeMap<String, String>) -> Result<(), String> {
    for (name, value) in headers {
        if HeaderName::from_bytes(name.as_bytes()).is_err() {
            return Err(format!("{key}: `{name}` is not a header's name"));
        }
        // Neither the value nor how long it is goes into the message.
        if is_secret(name) {
            return Err(format!(
                "{key}.{name}: a profile is no place for secrets: name the header in a file, by --header-file"
            ));
        }
        if HeaderValue::from_str(value).is_err() {
            return Err(format!("{key}.{name}: a header cannot carry this value"));
        }
    }
    Ok(())
}

/// A word that means two things would mean the better one.
fn words(key: &str, words: &Words) -> Result<(), String> {
    let mut meant = BTreeMap::new();
    let lists =
        [("waiting", &words.waiting), ("running", &words.running), ("done", &words.done), ("failed", &words.failed)];
    for (list, words) in lists {
        for word in words {
            if let Some(other) = meant.insert(word, list) {
                return Err(format!("{key}: \"{word}\" stands in {other} and in {list}"));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::DEFAULT;
    use super::*;

    #[test]
    fn what_would_look_like_the_targets_refusal_is_refused_by_its_key() {
        for (instead_of, stands, refused) in [
            (
                "failed = [\"failed\"]\n",
                "failed = [\"failed\", \"done\"]\n",
                "poll.words: \"done\" stands in done and in failed",
            ),
            ("[poll.words]\n", "[poll.headers]\n\"Bad Name\" = \"x\"\n[poll.words]\n", "poll.headers: `Bad Name`"),
            ("[poll.words]\n", "[poll.headers]\nX-A = \"a\\nb\"\n[poll.words]\n", "poll.headers.X-A: a header cannot"),
            (
                "[poll.words]\n",
                "[poll.headers]\nX-Api-Key = \"s3cret\"\n[poll.words]\n",
                "poll.headers.X-Api-Key: a profile is no place",
            ),
            ("accepted = [202]", "accepted = [2010]", "submit.accepted: 2010 is no HTTP status"),
            ("name = \"autorag\"", "name = \" \"", "name is empty"),
        ] {
            let text = DEFAULT.replacen(instead_of, stands, 1);
            assert_ne!(text, DEFAULT, "{instead_of}");
            let error = Profile::parse(&text).unwrap_err();
            assert!(error.starts_with(refused) && !error.contains("s3cret"), "{error}");
        }
    }
}
