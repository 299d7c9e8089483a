//! Checks of a profile. Without them, many a mistake would look like a refusal by the target.

use std::collections::{BTreeMap, BTreeSet};

use ureq::http::{HeaderName, HeaderValue};

use super::template::{self, Scope};
use super::{Gone, Profile, Stage, StatusWords, Step, Token, rules};
use crate::http::{is_secret, why_not_given};

/// Says in plain words what the parser found wrong.
pub(super) fn describe(message: &str) -> String {
    let missing = message.strip_prefix("missing field `").and_then(|key| key.strip_suffix('`'));
    match missing {
        Some(table @ ("health" | "submit" | "poll")) => format!("the table [{table}] is missing"),
        Some(key) => format!("the key `{key}` is missing in the table that begins here"),
        None => message.to_owned(),
    }
}

/// Checks all keys of `profile`; the error names the key.
pub(super) fn check(profile: &Profile) -> Result<(), String> {
    let Profile { health, submit, poll, .. } = profile;
    required(profile)?;
    for (key, path) in [("health.path", &health.path), ("submit.path", &submit.path), ("poll.path", &poll.path)] {
        let is_other = key == "poll.path" && (profile.polls_url() || !profile.polls_each() && poll.list.is_some());
        if !is_other && !path.starts_with('/') {
            return Err(format!("{key} = \"{path}\": a path begins with `/`"));
        }
    }
    let own_id = submit.own_id.as_deref().unwrap_or_default();
    template::check(own_id, Scope::Job).map_err(|error| format!("submit.own_id: {error}"))?;
    let submitted = if submit.own_id.is_some() { Scope::Id } else { Scope::Job };
    template::check(&submit.path, submitted).map_err(|error| format!("submit.path: {error}"))?;
    let path = poll.path.strip_prefix(template::ID_URL).unwrap_or(&poll.path);
    template::check(path, Scope::Id).map_err(|error| format!("poll.path: {error}"))?;
    let is_in_stage = |key: &str| key.starts_with("poll.stages.") && key != "poll.stages.at";
    if let Some((key, place)) =
        profile.places().into_iter().find(|(key, place)| is_in_stage(key) && !place.is_in_json())
    {
        return Err(format!("{key}: \"{}\" is not a JSON pointer, which begins with `/`", place.as_str()));
    }
    if profile.polls_each() && !profile.poll_names_job() {
        return Err(format!(
            "poll.path = \"{}\": it must contain {{id}}, or else poll.body or poll.headers must; an id that the client chooses is submit.own_id",
            poll.path
        ));
    }
    if poll.stages.as_ref().is_some_and(|stages| stages.one && stages.name.is_empty() && stages.constant.is_none()) {
        return Err("poll.stages.one: give a JSON pointer to the stage's name in poll.stages.name, or its name in \
                    poll.stages.constant"
            .to_owned());
    }
    health.check()?;
    profile.steps.iter().try_for_each(Step::check)?;
    submit.request().check("submit", submitted)?;
    poll.request().check("poll", Scope::Id)?;
    if let Some(list) = &poll.list {
        list.check(profile.poll_ids())?;
    }
    profile.token.as_ref().map_or(Ok(()), Token::check)?;
    rules::check("submit.rules", &submit.rules)?;
    rules::check("poll.rules", &poll.rules)?;
    values(profile)?;
    profile.logs.check()?;
    profile.jaeger.check()?;
    profile.prometheus.check()?;
    stages_in_order(&profile.stages)
}

/// Checks that stages are in pipeline order: each waits only for stages before it.
fn stages_in_order(stages: &[Stage]) -> Result<(), String> {
    let mut before = BTreeSet::new();
    for stage in stages {
        if let Some(unknown) = stage.after.iter().find(|name| !before.contains(name.as_str())) {
            return Err(format!("stages: {} waits for {unknown}, which is not listed before it", stage.name));
        }
        if stage.name.is_empty() || !before.insert(stage.name.as_str()) {
            return Err(format!("stages: the name `{}` is empty or listed twice", stage.name));
        }
    }
    Ok(())
}

/// Checks that the keys without which there is no profile have values; the error names all that have none.
fn required(profile: &Profile) -> Result<(), String> {
    let Profile { health, submit, poll, .. } = profile;
    let is_empty = [
        ("health.accepted", health.accepted.is_empty()),
        ("submit.path", submit.path.is_empty()),
        ("submit.accepted", submit.accepted.is_empty()),
        ("submit.id", submit.id.is_empty() && submit.own_id.is_none()),
        ("poll.path", poll.path.is_empty() && poll.list.is_none()),
        ("poll.status", poll.status.is_empty() && poll.rules.is_empty()),
        ("poll.words.done", poll.words.done.is_empty() && poll.rules.is_empty() && poll.gone != Gone::Done),
    ];
    let empty: Vec<&str> = is_empty.iter().filter(|(_, is_empty)| *is_empty).map(|(key, _)| *key).collect();
    match empty.split_last() {
        None => Ok(()),
        Some((key, [])) => Err(format!("{key} is empty or missing")),
        Some((last, others)) => Err(format!("{} and {last} are empty or missing", others.join(", "))),
    }
}

/// Checks status codes and words of `profile`; the error names the key.
fn values(profile: &Profile) -> Result<(), String> {
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
        header_name(key, name, value)?;
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

/// Checks that the header `name` can be given this value.
pub(super) fn header_name(key: &str, name: &str, value: &str) -> Result<(), String> {
    if HeaderName::from_bytes(name.as_bytes()).is_err() {
        return Err(format!("{key}: `{name}` is not a valid header name"));
    }
    why_not_given(name, value).map_or(Ok(()), |why| Err(format!("{key}.{name}: {why}")))
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
            (
                "[poll.words]\n",
                "[poll.headers]\nContent-length = \"0\"\n[poll.words]\n",
                "poll.headers.Content-length: content-length belongs to the connection",
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
