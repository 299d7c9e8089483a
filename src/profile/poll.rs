//! `[poll]`: the request that asks for a job, and where its state, times and stages stand in the answer.

use std::collections::BTreeMap;

use macro_rules_attribute::apply;
use serde::Deserialize;
use serde_json::Value;

use super::list::List;
use super::payload::{self, Encoding};
use super::place::Place;
use super::rules::{PollMeaning, Rule};
use crate::record::StagePhase;

/// The polling of a job.
#[apply(table!)]
pub struct Poll {
    /// The HTTP method.
    #[serde_inline_default("GET".to_owned())]
    pub method: String,
    /// Path below the base URL; a template. Empty if only `list` tells the jobs' states.
    #[serde(default)]
    pub path: String,
    /// Headers of the poll; values are templates.
    pub headers: BTreeMap<String, String>,
    /// The body; strings in it are templates. None sends no body.
    #[serde(deserialize_with = "payload::from_toml")]
    pub body: Option<Value>,
    /// The form in which the body is sent.
    pub encoding: Encoding,
    /// Rules that tell what an answer means, whatever its HTTP status; without one that holds, the status word does.
    pub rules: Vec<Rule<PollMeaning>>,
    /// The request that tells the states of many jobs.
    pub list: Option<List>,
    /// The meaning of a job that the target knew once and knows no more.
    #[serde(default)]
    pub gone: Gone,
    /// The HTTP statuses that mean "no such job".
    #[serde_with(skip_apply)]
    #[serde_inline_default(vec![404])]
    pub unknown: Vec<u16>,
    /// The places of the job's id in the answer, to recognise an answer about another job; those of `submit.id` if absent, and
    /// no check if empty.
    pub id: Option<Vec<Place>>,
    /// The places of the id by which the job is polled from then on.
    pub next: Vec<Place>,
    /// The places of the job's status word.
    pub status: Vec<Place>,
    /// The meanings of the status words.
    #[serde(default)]
    pub words: StatusWords,
    /// The places of the error's text.
    pub message: Vec<Place>,
    /// The places of the job's own times.
    #[serde(default)]
    pub times: TimePointers,
    /// JSON pointers to its stages.
    pub stages: Option<StagePointers>,
}

/// The meaning of a job that the target knew once and knows no more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Gone {
    /// It counts as lost.
    #[default]
    Lost,
    /// The target forgets jobs that ended well.
    Done,
    /// Nobody knows how it ended.
    Unknown,
}

/// Status words by their meaning.
#[apply(table!)]
#[derive(Default)]
pub struct StatusWords {
    /// Accepted and not begun.
    pub waiting: Vec<String>,
    /// Being worked on.
    pub running: Vec<String>,
    /// Ended well.
    pub done: Vec<String>,
    /// Ended badly.
    pub failed: Vec<String>,
}

impl StatusWords {
    /// Returns true if `word` has a meaning.
    pub(super) fn names(&self, word: &str) -> bool {
        self.meaning(word) != StagePhase::Unnamed
    }

    /// The meaning of `word`.
    pub fn meaning(&self, word: &str) -> StagePhase {
        let has = |list: &[String]| list.iter().any(|known| known == word);
        match () {
            () if has(&self.done) => StagePhase::Done,
            () if has(&self.failed) => StagePhase::Failed,
            () if has(&self.running) => StagePhase::Running,
            () if has(&self.waiting) => StagePhase::Waiting,
            () => StagePhase::Unnamed,
        }
    }
}

/// The places of times: RFC 3339 strings, or Unix times in seconds or milliseconds.
#[apply(table!)]
#[derive(Default)]
pub struct TimePointers {
    /// Queued.
    pub queued: Vec<Place>,
    /// Started.
    pub started: Vec<Place>,
    /// Ended.
    pub ended: Vec<Place>,
}

/// The places of a job's stages: an object by name, an array, an object that is the only stage, or a pointer with `*` that leads
/// to each stage.
#[apply(table!)]
pub struct StagePointers {
    /// The places of the object or array; the empty pointer is the whole answer.
    #[serde_with(skip_apply)]
    pub at: Vec<Place>,
    /// The pointers lead to a single stage instead of an object of stages by name.
    pub one: bool,
    /// In an array's element, or in the one stage: pointers to the name.
    pub name: Vec<Place>,
    /// The name of a stage that tells none.
    pub constant: Option<String>,
    /// In a stage that is an object: pointers to its state word.
    pub state: Vec<Place>,
    /// In a stage that is an object: pointers to the attempt.
    pub attempt: Vec<Place>,
    /// In a stage that is an object: pointers to the error's text.
    pub message: Vec<Place>,
    /// The meanings of the state words.
    pub words: StatusWords,
    /// In a stage that is an object: pointers to its times.
    #[serde(default)]
    pub times: TimePointers,
}
