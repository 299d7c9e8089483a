//! Steps: requests around a job, besides its submission and its polls.

use std::collections::BTreeMap;

use macro_rules_attribute::apply;
use serde::Deserialize;
use serde_json::Value;

use super::payload::{self, Encoding};
use super::place::Place;
use super::template::{self, Scope};

/// A request around a job.
#[apply(table!)]
pub struct Step {
    /// Its name in messages.
    pub name: String,
    /// The moment at which it is made.
    pub when: StepTime,
    /// The HTTP method.
    #[serde_inline_default("GET".to_owned())]
    pub method: String,
    /// Path below the base URL, or a whole URL, such as one that an earlier step took; a template. To another server than the
    /// target no secrets are sent.
    pub path: String,
    /// Headers; values are templates.
    pub headers: BTreeMap<String, String>,
    /// The body; strings in it are templates. None sends no body.
    #[serde(deserialize_with = "payload::from_toml")]
    pub body: Option<Value>,
    /// The form in which the body is sent.
    pub encoding: Encoding,
    /// The HTTP statuses that mean success.
    #[serde_with(skip_apply)]
    #[serde_inline_default(vec![200, 201, 202, 204])]
    pub accepted: Vec<u16>,
    /// Values to take from the answer, for templates: `{vars.NAME}`.
    pub take: BTreeMap<String, Vec<Place>>,
    /// At a job's end: the parts of `[poll]` that this answer tells instead of the poll's.
    pub tells: Vec<Told>,
    /// A failure changes nothing.
    pub optional: bool,
    /// Keep what it takes out of the records.
    pub secret: bool,
}

/// The moment at which a step is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StepTime {
    /// Before the first submission of a run.
    Run,
    /// Before each submission.
    Job,
    /// Once a job has ended.
    End,
    /// To cancel a job that is given up.
    Cancel,
}

/// A part of `[poll]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Told {
    /// `poll.stages`.
    Stages,
    /// `poll.message`.
    Message,
    /// `poll.times`.
    Times,
}

impl Step {
    /// Checks it; the error names the step.
    pub(super) fn check(&self) -> Result<(), String> {
        let has_id = matches!(self.when, StepTime::End | StepTime::Cancel);
        let scope = if has_id { Scope::Id } else { Scope::Job };
        let key = format!("steps.{}", self.name);
        if self.name.is_empty() {
            return Err("steps: a step has no name".to_owned());
        }
        let below_id = self.path.strip_prefix(template::ID_URL).filter(|_| has_id);
        if below_id.is_none()
            && !["/", "http://", "https://", "{vars."].iter().any(|start| self.path.starts_with(start))
        {
            return Err(format!(
                "{key}.path = \"{}\": a path begins with `/`, a URL with `http://`, `https://` or `{{vars.`, and after the submission \
                 with `{}`",
                self.path,
                template::ID_URL
            ));
        }
        template::check(below_id.unwrap_or(&self.path), scope).map_err(|error| format!("{key}.path: {error}"))?;
        self.request().check(&key, scope)?;
        if let Some((name, _)) = self.take.iter().find(|(_, places)| places.is_empty()) {
            return Err(format!("{key}.take.{name} is empty: give a place in the answer"));
        }
        if !self.tells.is_empty() && self.when != StepTime::End {
            return Err(format!("{key}.tells: only a step with when = \"end\" may have this key"));
        }
        Ok(())
    }
}
