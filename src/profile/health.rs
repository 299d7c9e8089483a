//! How to see that a target is up, and what it says of itself.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::escape;
use crate::record::raw;

/// How many characters of a setting that a target tells are kept.
const TOLD: usize = 200;

/// How to see that the target is up.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Health {
    /// Path below the base URL.
    pub path: String,
    /// The HTTP statuses that mean healthy.
    #[serde(default = "ok")]
    pub accepted: Vec<u16>,
    /// What to type to start the target, for the message that says it is not there.
    #[serde(default)]
    pub hint: Option<String>,
    /// By the name of a label that says the same of a run: JSON pointers at which the answer may tell a setting.
    #[serde(default)]
    pub settings: BTreeMap<String, Vec<String>>,
}

impl Health {
    /// The settings that `body`, an answer, tells, by name. What it does not tell is not there.
    pub fn told(&self, body: &str) -> BTreeMap<String, String> {
        let text = |raw: &serde_json::value::RawValue| {
            raw::scalar(raw).or_else(|| ["true", "false"].contains(&raw.get()).then(|| raw.get().to_owned()))
        };
        let find = |pointers: &Vec<String>| {
            pointers.iter().find_map(|at| raw::pointer(body, at).and_then(text)).map(|told| escape::start(&told, TOLD))
        };
        self.settings.iter().filter_map(|(name, pointers)| Some((name.clone(), find(pointers)?))).collect()
    }

    pub(super) fn check(&self) -> Result<(), String> {
        for (name, pointers) in &self.settings {
            if name.is_empty() || pointers.is_empty() {
                return Err(format!("health.settings.{name}: name a label, and at least one JSON pointer"));
            }
            if let Some(wrong) = pointers.iter().find(|pointer| !pointer.starts_with('/')) {
                return Err(format!("health.settings.{name}: \"{wrong}\" is not a JSON pointer: it begins with `/`"));
            }
        }
        Ok(())
    }
}

fn ok() -> Vec<u16> {
    vec![200]
}

#[cfg(test)]
mod tests {
    use crate::profile::Profile;

    #[test]
    fn settings_are_found_as_the_answer_spells_them_or_not_at_all() {
        let text = include_str!("../../profiles/autorag.toml")
            .replace("[health.settings]", "[health.settings]\nfast = [\"/f\"]");
        let health = Profile::parse(&text).unwrap().health;
        let told = |body: &str| health.told(body).into_iter().collect::<Vec<_>>();
        let of = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            told(r#"{"settings":{"num_parallel":8.0},"f":true}"#),
            [of("fast", "true"), of("num_parallel", "8.0")]
        );
        assert_eq!(told(r#"{"num_parallel":"4","f":null}"#), [of("num_parallel", "4")]);
        for silent in ["", "ok", "<html>", r#"{"status":"ok"}"#, r#"{"num_parallel":[8]}"#] {
            assert_eq!(told(silent), [], "{silent}");
        }
    }
}
