//! Rules: conditions on an answer that decide what it means where a single word does not.

use macro_rules_attribute::apply;
use serde::Deserialize;

use super::place::{Document, Place};
use crate::record::{StagePhase, raw};

/// A rule; the first one whose conditions all hold decides.
#[apply(table!)]
pub struct Rule<M> {
    /// Its name in records and messages.
    pub name: Option<String>,
    /// The meaning of an answer for which the conditions hold.
    pub means: M,
    /// The conditions.
    #[serde_with(skip_apply)]
    pub when: Vec<Condition>,
}

/// The meaning of an answer to a poll.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PollMeaning {
    /// Accepted and not begun.
    Waiting,
    /// Being worked on.
    Running,
    /// Ended well.
    Done,
    /// Ended badly.
    Failed,
    /// The target knows no such job.
    Unknown,
}

impl PollMeaning {
    /// The phase of a job that the target knows.
    pub(super) fn phase(self) -> Option<StagePhase> {
        match self {
            Self::Waiting => Some(StagePhase::Waiting),
            Self::Running => Some(StagePhase::Running),
            Self::Done => Some(StagePhase::Done),
            Self::Failed => Some(StagePhase::Failed),
            Self::Unknown => None,
        }
    }
}

/// The meaning of an answer to a submission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SubmitMeaning {
    /// The job was made.
    Accepted,
    /// No job was made.
    Refused,
    /// A job may have been made.
    Unknown,
}

/// A condition on the value at a place. Without a test the value has to be there, and not be null.
#[apply(table!)]
pub struct Condition {
    at: Place,
    /// The value is one of these.
    is: Option<Values>,
    /// There is a value, and it is none of these.
    not: Option<Values>,
    /// There is a value, or there is none.
    exists: Option<bool>,
    /// The value is a number greater than this.
    above: Option<f64>,
    /// The value is a number less than this.
    below: Option<f64>,
}

/// A value, or several of which any will do.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged, expecting = "a string, a number, a boolean, or a list of them")]
enum Values {
    One(Scalar),
    Any(Vec<Scalar>),
}

#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum Scalar {
    Text(String),
    Boolean(bool),
    Number(f64),
}

impl Scalar {
    /// Numbers are equal by value, all else by its text: `true` is a boolean as well as the word.
    fn equals(&self, word: &str) -> bool {
        match self {
            Self::Text(text) => text == word,
            Self::Boolean(truth) => word == if *truth { "true" } else { "false" },
            Self::Number(number) => word.parse::<f64>().is_ok_and(|value| value.total_cmp(number).is_eq()),
        }
    }
}

impl Values {
    fn contain(&self, word: &str) -> bool {
        match self {
            Self::One(value) => value.equals(word),
            Self::Any(values) => values.iter().any(|value| value.equals(word)),
        }
    }
}

impl Condition {
    /// Its place.
    pub(super) fn place(&self) -> &str {
        self.at.as_str()
    }

    /// Checks it; it stands at `key`.
    pub(super) fn check(&self, key: &str) -> Result<(), String> {
        let has_test = self.is.is_some() || self.not.is_some() || self.above.is_some() || self.below.is_some();
        if self.exists == Some(false) && has_test {
            return Err(format!("{key}: a value that does not exist cannot pass another test"));
        }
        let is_empty = |values: &Option<Values>| matches!(values, Some(Values::Any(values)) if values.is_empty());
        if is_empty(&self.is) || is_empty(&self.not) {
            return Err(format!("{key}: an empty list of values: give at least one"));
        }
        Ok(())
    }

    /// Returns true if it holds for one of the values at its place.
    pub(super) fn holds(&self, document: &Document<'_>) -> bool {
        let found = self.at.find(document);
        let mut present = found.iter().filter(|raw| raw.get() != "null");
        if self.exists == Some(false) {
            return present.next().is_none();
        }
        present.any(|raw| {
            let word = raw::word(raw);
            let number = || word.as_deref().and_then(|word| word.parse::<f64>().ok());
            let is = |values: &Values| word.as_deref().is_some_and(|word| values.contain(word));
            self.is.as_ref().is_none_or(is)
                && self.not.as_ref().is_none_or(|values| !is(values))
                && self.above.is_none_or(|limit| number().is_some_and(|number| number > limit))
                && self.below.is_none_or(|limit| number().is_some_and(|number| number < limit))
        })
    }
}

/// Returns the rule that decides, with its name.
pub(super) fn decide<M: Copy>(rules: &[Rule<M>], document: &Document<'_>) -> Option<(M, String)> {
    let (index, rule) = rules.iter().enumerate().find(|(_, rule)| rule.when.iter().all(|one| one.holds(document)))?;
    Some((rule.means, rule.name.clone().unwrap_or_else(|| format!("rule {}", index + 1))))
}

/// Checks `rules`, which stand under `key`.
pub(super) fn check<M>(key: &str, rules: &[Rule<M>]) -> Result<(), String> {
    for (index, rule) in rules.iter().enumerate() {
        let place = format!("{key}, rule {}", index + 1);
        if rule.when.is_empty() {
            return Err(format!("{place}: `when` is empty: give at least one condition"));
        }
        for condition in &rule.when {
            condition.check(&place)?;
        }
    }
    Ok(())
}

/// The places that `rules` look at.
pub(super) fn places<M>(rules: &[Rule<M>]) -> impl Iterator<Item = &Place> {
    rules.iter().flat_map(|rule| rule.when.iter().map(|condition| &condition.at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Rules {
        rules: Vec<Rule<PollMeaning>>,
    }

    fn meaning(rules: &str, body: &str) -> Option<(PollMeaning, String)> {
        decide(&toml::from_str::<Rules>(rules).unwrap().rules, &Document::of_body(body))
    }

    #[test]
    fn the_first_rule_whose_conditions_all_hold_decides() {
        let rules = r#"
            rules = [
                { means = "failed", name = "errors", when = [{ at = "/errors" }] },
                { means = "done", when = [{ at = "/status", is = "completed" }, { at = "/counts/failed", is = 0 }] },
                { means = "failed", when = [{ at = "/status", is = ["completed", "expired"] }] },
                { means = "running", when = [{ at = "/progress", above = 0, below = 100 }] },
                { means = "running", when = [{ at = "/parts/*/state", is = "busy" }] },
                { means = "unknown", when = [{ at = "/code", is = 2017 }] },
                { means = "waiting", when = [{ at = "/done", not = true }, { at = "/id", exists = true }] },
                { means = "waiting", when = [{ at = "/id", exists = false }] },
            ]"#;
        let of = |body: &str| meaning(rules, body).map(|(means, name)| (means, name.replace("rule ", "")));
        let found = |means, name: &str| Some((means, name.to_owned()));
        assert_eq!(of(r#"{"errors":[],"status":"completed"}"#), found(PollMeaning::Failed, "errors"));
        assert_eq!(
            of(r#"{"errors":null,"status":"completed","counts":{"failed":0.0}}"#),
            found(PollMeaning::Done, "2")
        );
        assert_eq!(of(r#"{"status":"completed","counts":{"failed":1}}"#), found(PollMeaning::Failed, "3"));
        assert_eq!(of(r#"{"status":"expired"}"#), found(PollMeaning::Failed, "3"));
        assert_eq!(of(r#"{"progress":99.5}"#), found(PollMeaning::Running, "4"));
        assert_eq!(of(r#"{"parts":[{"state":"idle"},{"state":"busy"}]}"#), found(PollMeaning::Running, "5"));
        assert_eq!(of(r#"{"code":"2017"}"#), found(PollMeaning::Unknown, "6"));
        assert_eq!(of(r#"{"done":false,"id":7}"#), found(PollMeaning::Waiting, "7"));
        assert_eq!(of(r#"{"done":true}"#), found(PollMeaning::Waiting, "8"));
        assert_eq!(of(r#"{"done":true,"id":7}"#), None);
    }

    #[test]
    fn a_rule_without_conditions_and_one_that_cannot_hold_are_refused() {
        let check = |rules: &str| check("poll.rules", &toml::from_str::<Rules>(rules).unwrap().rules).unwrap_err();
        assert!(check(r#"rules = [{ means = "done", when = [] }]"#).contains("poll.rules, rule 1: `when` is empty"));
        let never = r#"rules = [{ means = "done", when = [{ at = "/x", exists = false, is = 1 }] }]"#;
        assert!(check(never).contains("does not exist"));
        for empty in ["is", "not"] {
            let rules = format!(r#"rules = [{{ means = "done", when = [{{ at = "/x", {empty} = [] }}] }}]"#);
            assert!(check(&rules).contains("an empty list of values"));
        }
    }
}
