//! Checks of a profile whose neglect would look like a refusal by the target.

use std::collections::BTreeMap;

use ureq::http::{HeaderName, HeaderValue};

use super::{Profile, StatusWords};
use crate::http::is_secret;

/// Checks that the keys without which there is no profile have values; the error names all that have none.
pub(super) fn required(profile: &Profile) -> Result<(), String> {
    let Profile { health, submit, poll, .. } = profile;
    let is_empty = [
        ("health.accepted", health.accepted.is_empty()),
        ("submit.path", submit.path.is_empty()),
        ("submit.accepted", submit.accepted.is_empty()),
        ("submit.id", submit.id.is_empty()),
        ("poll.path", poll.path.is_empty() && poll.list.is_none()),
        ("poll.status", poll.status.is_empty() && poll.rules.is_empty()),
        ("poll.words.done", poll.words.done.is_empty() && poll.rules.is_empty()),
    ];
    let empty: Vec<&str> = is_empty.iter().filter(|(_, is_empty)| *is_empty).map(|(key, _)| *key).collect();
    match empty.split_last() {
        None => Ok(()),
        Some((key, [])) => Err(format!("{key} is empty or missing")),
        Some((last, others)) => Err(format!("{} and {last} are empty or missing", others.join(", "))),
    }
}

/// Checks headers, status codes and words of `profile`; the error names the key.
pub(super) fn check(profile: &Profile) -> Result<(), String> {
    let Profile { health, submit, poll, .. } = profile;
    for (key, statuses) in
        [("health.accepted", &health.accepted), ("submit.accepted", &submit.accepted), ("poll.unknown", &poll.unknown)]
    {
        if let Some(status) = statuses.iter().find(|status| !(100..600).contains(*status)) {
            return Err(format!("{key}: {status} is not an HTTP status"));
        }
    }
    words("poll.words", &poll.words)?;
    if let Some(stages) = &poll.stages {
        words("poll.stages.words", &stages.words)?;
        if stages.at.is_empty() {
            return Err("poll.stages.at is empty: give a JSON pointer to the stages".to_owned());
        }
    }
    if profile.name.trim().is_empty() {
        return Err("name is empty".to_owned());
    }
    Ok(())
}

/// Checks the names and the templates; filled values are checked when they are sent.
pub(super) fn headers(key: &str, headers: &BTreeMap<String, String>) -> Result<(), String> {
    for (name, value) in headers {
        if HeaderName::from_bytes(name.as_bytes()).is_err() {
            return Err(format!("{key}: `{name}` is not a valid header name"));
        }
        // The message reveals neither the value nor its length.
        if is_secret(name) && !value.contains("{env.") {
            return Err(format!("{key}.{name}: put secrets into a file and pass it with --header-file"));
        }
        if HeaderValue::from_str(value).is_err() {
            return Err(format!("{key}.{name}: this value is not valid in a header"));
        }
    }
    Ok(())
}

/// Refuses a word with two meanings: the better one would always win.
fn words(key: &str, words: &StatusWords) -> Result<(), String> {
    let mut meant = BTreeMap::new();
    let lists =
        [("waiting", &words.waiting), ("running", &words.running), ("done", &words.done), ("failed", &words.failed)];
    for (list, words) in lists {
        for word in words {
            if let Some(other) = meant.insert(word, list) {
                return Err(format!("{key}: \"{word}\" is listed under {other} and under {list}"));
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
                "poll.words: \"done\" is listed under done and under failed",
            ),
            ("[poll.words]\n", "[poll.headers]\n\"Bad Name\" = \"x\"\n[poll.words]\n", "poll.headers: `Bad Name`"),
            ("[poll.words]\n", "[poll.headers]\nX-A = \"a\\nb\"\n[poll.words]\n", "poll.headers.X-A: this value"),
            (
                "[poll.words]\n",
                "[poll.headers]\nX-Api-Key = \"s3cret\"\n[poll.words]\n",
                "poll.headers.X-Api-Key: put secrets into a file",
            ),
            ("accepted = [202]", "accepted = [2010]", "submit.accepted: 2010 is not an HTTP status"),
            ("name = \"autorag\"", "name = \" \"", "name is empty"),
        ] {
            let text = DEFAULT.replacen(instead_of, stands, 1);
            assert_ne!(text, DEFAULT, "{instead_of}");
            let error = Profile::parse(&text).unwrap_err();
            assert!(error.starts_with(refused) && !error.contains("s3cret"), "{error}");
        }
    }
}
