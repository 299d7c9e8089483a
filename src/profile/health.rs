//! The target's health check and the settings that its answer reports.

use std::collections::BTreeMap;

use macro_rules_attribute::apply;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{readable, unknown_coding};
use crate::escape;
use crate::http::Answer;
use crate::record::{ReadSettings, raw};

/// The longest value of a setting that is kept, in characters.
const MAX_VALUE: usize = 200;

/// The target's health check.
#[apply(table!)]
pub struct Health {
    /// Path below the base URL.
    pub path: String,
    /// The HTTP statuses that mean healthy.
    #[serde_with(skip_apply)]
    #[serde_inline_default(vec![200])]
    pub accepted: Vec<u16>,
    /// The command that starts the target; printed if the target is unreachable.
    pub hint: Option<String>,
    /// JSON pointers to settings in the answer, each under the name of the run label that states the same setting.
    pub settings: BTreeMap<String, Vec<String>>,
}

impl Health {
    /// Reads the settings that the answer reports, by name; settings that it does not report are left out.
    pub fn settings_of(&self, answer: &Answer) -> ReadSettings {
        match unknown_coding(answer) {
            Some(coding) if !self.settings.is_empty() => {
                ReadSettings { error: Some(coding), ..ReadSettings::default() }
            }
            _ => self.settings_in(&answer.body),
        }
    }

    fn settings_in(&self, body: &str) -> ReadSettings {
        if self.settings.is_empty() {
            return ReadSettings::default();
        }
        let body = match readable(body) {
            Ok(body) => body,
            Err(cause) => return ReadSettings { error: Some(cause), ..ReadSettings::default() },
        };
        let mut read = ReadSettings::default();
        for (name, pointers) in &self.settings {
            let found = || pointers.iter().filter_map(|at| Some((at, raw::pointer(&body, at)?)));
            if let Some(value) = found().find_map(|(_, raw)| raw::word(raw)) {
                read.values.insert(name.clone(), escape::start(&value, MAX_VALUE));
            } else if let Some(cause) = found().find_map(|(at, raw)| why_no_value(at, raw)) {
                read.error.get_or_insert(cause);
            }
        }
        read
    }

    pub(super) fn check(&self) -> Result<(), String> {
        for (name, pointers) in &self.settings {
            if name.is_empty() || pointers.is_empty() {
                return Err(format!("health.settings.{name}: give a label and at least one JSON pointer"));
            }
            if let Some(wrong) = pointers.iter().find(|pointer| !pointer.starts_with('/')) {
                return Err(format!(
                    "health.settings.{name}: \"{wrong}\" is not a JSON pointer, which begins with `/`"
                ));
            }
        }
        Ok(())
    }
}

/// Says that a list or an object stands where a value should.
fn why_no_value(at: &str, raw: &RawValue) -> Option<String> {
    let kind = match raw.get().as_bytes().first()? {
        b'[' => "a list",
        b'{' => "an object",
        _ => return None,
    };
    Some(format!("the answer has {kind} at {at}, not a string, number or boolean"))
}

#[cfg(test)]
mod tests {
    use crate::profile::Profile;
    use crate::record::ReadSettings;

    #[test]
    fn settings_are_found_as_the_answer_spells_them_or_not_at_all() {
        let text = include_str!("../../profiles/autorag.toml")
            .replace("[health.settings]", "[health.settings]\nfast = [\"/f\"]");
        let health = Profile::parse(&text).unwrap().health;
        let settings = |body: &str| health.settings_in(body).values.into_iter().collect::<Vec<_>>();
        let setting = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            settings(r#"{"settings":{"num_parallel":8.0},"f":true}"#),
            [setting("fast", "true"), setting("num_parallel", "8.0")]
        );
        assert_eq!(settings(r#"{"num_parallel":"4","f":null}"#), [setting("num_parallel", "4")]);
        for lenient in ["\u{feff}{\"num_parallel\":\"4\"}", r#"{"num_parallel":4,"load":NaN}"#] {
            assert_eq!(settings(lenient), [setting("num_parallel", "4")], "{lenient}");
        }
        for silent in [r#"{"status":"ok"}"#, r#"{"num_parallel":null}"#] {
            assert_eq!(health.settings_in(silent), ReadSettings::default(), "{silent}");
        }
        for (body, kind) in
            [(r#"{"num_parallel":[8],"f":1}"#, "a list"), (r#"{"num_parallel":{"now":8},"f":1}"#, "an object")]
        {
            let ReadSettings { values, error } = health.settings_in(body);
            assert_eq!(values.into_iter().collect::<Vec<_>>(), [setting("fast", "1")], "{body}");
            assert_eq!(error, Some(format!("the answer has {kind} at /num_parallel, not a string, number or boolean")));
        }
        for unread in ["", "ok", "<html>", r#"{"num_parallel":8"#] {
            let ReadSettings { values, error } = health.settings_in(unread);
            assert!(values.is_empty() && error.is_some_and(|error| error.starts_with("the answer is")), "{unread}");
        }
        let none = super::Health { settings: super::BTreeMap::new(), ..health };
        assert_eq!(none.settings_in("ok").error, None, "nothing is to be read");
    }
}
