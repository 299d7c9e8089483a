//! A target's profile: everything that the tools know about one submit-and-poll API, in one TOML file.
//!
//! Nothing in the code knows a particular target. The default profile, `profiles/autorag.toml`, is built into the tools;
//! `--profile FILE` points them at any other. docs/profile.md describes the keys.

mod answer;
mod check;
mod evidence;
mod health;
mod ids;
mod json;
mod list;
mod payload;
mod place;
mod queries;
mod request;
mod rules;
mod steps;
mod template;
mod times;
mod token;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

pub use answer::{Observation, PollAnswer, StageReading, StatusReading};
pub use evidence::{JaegerConfig, LogService, LogsConfig};
pub use health::Health;
pub use ids::{id_key, is_same_id};
pub use json::{readable, unknown_coding, why_unreadable};
pub use list::{List, PagePosition};
pub use place::{Document, Place, spelled};
pub use queries::{IdleConfig, Prometheus, Query};
pub use request::Request;
pub use rules::SubmitMeaning;
pub use steps::{Step, StepTime, Told};
pub use template::{Escaping, TemplateValues, fill};
pub use token::Token;

use payload::Encoding;
use rules::{PollMeaning, Rule};
use template::Scope;

use crate::cli::Failure;
use crate::record::{StagePhase, StageSpec};

/// The profile that is built in.
const DEFAULT: &str = include_str!("../../profiles/autorag.toml");

/// The profile of one target.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// The name in records and messages.
    pub name: String,
    /// The base URL unless `--target` gives one.
    pub target: String,
    /// The health check.
    pub health: Health,
    /// The submission of a job.
    pub submit: Submit,
    /// The polling of a job.
    pub poll: Poll,
    /// The request for an access token.
    #[serde(default)]
    pub token: Option<Token>,
    /// Requests around a job, in their order.
    #[serde(default)]
    pub steps: Vec<Step>,
    /// The stages of the pipeline, in its order.
    #[serde(default)]
    pub stages: Vec<Stage>,
    /// The workers' logs.
    #[serde(default)]
    pub logs: LogsConfig,
    /// The traces.
    #[serde(default)]
    pub jaeger: JaegerConfig,
    /// The Prometheus queries.
    #[serde(default)]
    pub prometheus: Prometheus,
}

/// The submission of a job.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Submit {
    /// The HTTP method.
    #[serde(default = "post")]
    pub method: String,
    /// Path below the base URL; a template.
    pub path: String,
    /// The HTTP statuses that mean accepted.
    #[serde(default = "accepted")]
    pub accepted: Vec<u16>,
    /// Headers of the submission; values are templates.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// The body; strings in it are templates. None sends no body.
    #[serde(default, deserialize_with = "payload::from_toml")]
    pub body: Option<Value>,
    /// The form in which the body is sent.
    #[serde(default)]
    pub encoding: Encoding,
    /// The places of the job's id in the answer, in order of preference.
    pub id: Vec<Place>,
    /// Rules that tell what an answer means; without one that holds, `accepted` does.
    #[serde(default)]
    pub rules: Vec<Rule<SubmitMeaning>>,
    /// Redirects are followed: 307 and 308 with the same request, 301, 302 and 303 by GET. Only on the target's own origin.
    #[serde(default)]
    pub follow_redirects: bool,
}

impl Submit {
    /// Returns true if the target recognises a job that is submitted again: the submission carries an `Idempotency-Key` that
    /// is the job's own.
    pub fn is_idempotent(&self) -> bool {
        let is_key = |(name, value): (&String, &String)| {
            name.eq_ignore_ascii_case("idempotency-key") && value.contains("{run}") && value.contains("{name}")
        };
        self.headers.iter().any(is_key)
    }
}

/// The polling of a job.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Poll {
    /// The HTTP method.
    #[serde(default = "get")]
    pub method: String,
    /// Path below the base URL; a template. Empty if only `list` tells the jobs' states.
    #[serde(default)]
    pub path: String,
    /// Headers of the poll; values are templates.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// The body; strings in it are templates. None sends no body.
    #[serde(default, deserialize_with = "payload::from_toml")]
    pub body: Option<Value>,
    /// The form in which the body is sent.
    #[serde(default)]
    pub encoding: Encoding,
    /// Rules that tell what an answer means, whatever its HTTP status; without one that holds, the status word does.
    #[serde(default)]
    pub rules: Vec<Rule<PollMeaning>>,
    /// The request that tells the states of many jobs.
    #[serde(default)]
    pub list: Option<List>,
    /// The meaning of a job that the target knew once and knows no more.
    #[serde(default)]
    pub gone: Gone,
    /// The HTTP statuses that mean "no such job".
    #[serde(default = "not_found")]
    pub unknown: Vec<u16>,
    /// The places of the job's id in the answer, to recognise an answer about another job; those of `submit.id` if absent, and
    /// no check if empty.
    #[serde(default)]
    pub id: Option<Vec<Place>>,
    /// The places of the job's status word.
    #[serde(default)]
    pub status: Vec<Place>,
    /// The meanings of the status words.
    #[serde(default)]
    pub words: StatusWords,
    /// The places of the error's text.
    #[serde(default)]
    pub message: Vec<Place>,
    /// The places of the job's own times.
    #[serde(default)]
    pub times: TimePointers,
    /// JSON pointers to its stages.
    #[serde(default)]
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
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
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
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
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
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StagePointers {
    /// The places of the object or array; the empty pointer is the whole answer.
    pub at: Vec<Place>,
    /// The pointers lead to a single stage instead of an object of stages by name.
    #[serde(default)]
    pub one: bool,
    /// In an array's element, or in the one stage: pointers to the name.
    #[serde(default)]
    pub name: Vec<Place>,
    /// The name of a stage that tells none.
    #[serde(default)]
    pub constant: Option<String>,
    /// In a stage that is an object: pointers to its state word.
    #[serde(default)]
    pub state: Vec<Place>,
    /// In a stage that is an object: pointers to the attempt.
    #[serde(default)]
    pub attempt: Vec<Place>,
    /// In a stage that is an object: pointers to the error's text.
    #[serde(default)]
    pub message: Vec<Place>,
    /// The meanings of the state words.
    pub words: StatusWords,
    /// In a stage that is an object: pointers to its times.
    #[serde(default)]
    pub times: TimePointers,
}

/// One stage of the pipeline.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// Its name.
    pub name: String,
    /// The stages that must end before it starts.
    #[serde(default)]
    pub after: Vec<String>,
    /// Every job must show this stage.
    #[serde(default = "yes")]
    pub required: bool,
}

fn accepted() -> Vec<u16> {
    vec![200, 201, 202]
}
fn not_found() -> Vec<u16> {
    vec![404]
}
fn get() -> String {
    "GET".to_owned()
}
fn post() -> String {
    "POST".to_owned()
}
fn yes() -> bool {
    true
}

impl Profile {
    /// The profile in `file`, or the default one.
    pub fn load(file: Option<&Path>) -> Result<Self, Failure> {
        let Some(file) = file else {
            return Self::parse(DEFAULT).map_err(|error| Failure::usage(format!("the built-in profile: {error}")));
        };
        let failure = |error: &dyn std::fmt::Display| Failure::usage(format!("--profile {}: {error}", file.display()));
        let text = std::fs::read_to_string(file).map_err(|error| failure(&error))?;
        Self::parse(&text).map_err(|error| failure(&error))
    }

    /// Reads a profile; the error names the line or the key.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut profile: Self = toml::from_str(text).map_err(|error| {
            let line = error.span().map(|span| text[..span.start.min(text.len())].matches('\n').count() + 1);
            let place = line.map(|line| format!("line {line}: ")).unwrap_or_default();
            format!("{place}{}", error.message())
        })?;
        profile.prometheus.resolve_includes()?;
        profile.check()?;
        Ok(profile)
    }

    /// The stages as the Run record states them.
    pub fn stage_specs(&self) -> Vec<StageSpec> {
        let spec = |stage: &Stage| StageSpec {
            name: stage.name.clone(),
            after: stage.after.clone(),
            required: stage.required,
        };
        self.stages.iter().map(spec).collect()
    }

    fn check(&self) -> Result<(), String> {
        let Self { health, submit, poll, .. } = self;
        check::required(self)?;
        for (key, path) in [("health.path", &health.path), ("submit.path", &submit.path), ("poll.path", &poll.path)] {
            let is_other = key == "poll.path" && (self.polls_url() || !self.polls_each() && poll.list.is_some());
            if !is_other && !path.starts_with('/') {
                return Err(format!("{key} = \"{path}\": a path begins with `/`"));
            }
        }
        template::check(&submit.path, Scope::Job).map_err(|error| format!("submit.path: {error}"))?;
        if !self.polls_url() {
            template::check(&poll.path, Scope::Id).map_err(|error| format!("poll.path: {error}"))?;
        }
        let is_in_stage = |key: &str| key.starts_with("poll.stages.") && key != "poll.stages.at";
        if let Some((key, place)) =
            self.places().into_iter().find(|(key, place)| is_in_stage(key) && !place.is_in_json())
        {
            return Err(format!("{key}: \"{}\" is not a JSON pointer, which begins with `/`", place.as_str()));
        }
        if self.polls_each() && !self.poll_names_job() {
            return Err(format!(
                "poll.path = \"{}\": it must contain {{id}}, or else poll.body or poll.headers must",
                poll.path
            ));
        }
        if poll.stages.as_ref().is_some_and(|stages| stages.one && stages.name.is_empty() && stages.constant.is_none())
        {
            return Err(
                "poll.stages.one: give a JSON pointer to the stage's name in poll.stages.name, or its name in \
                        poll.stages.constant"
                    .to_owned(),
            );
        }
        health.check()?;
        self.steps.iter().try_for_each(Step::check)?;
        submit.request().check("submit", Scope::Job)?;
        poll.request().check("poll", Scope::Id)?;
        if let Some(list) = &poll.list {
            list.check(self.poll_ids())?;
        }
        self.token.as_ref().map_or(Ok(()), Token::check)?;
        rules::check("submit.rules", &submit.rules)?;
        rules::check("poll.rules", &poll.rules)?;
        check::check(self)?;
        self.logs.check()?;
        self.jaeger.check()?;
        self.prometheus.check()?;
        self.check_stages()
    }

    /// Checks that stages are in pipeline order: each waits only for stages before it.
    fn check_stages(&self) -> Result<(), String> {
        let mut before = BTreeSet::new();
        for stage in &self.stages {
            if let Some(unknown) = stage.after.iter().find(|name| !before.contains(name.as_str())) {
                return Err(format!("stages: {} waits for {unknown}, which is not listed before it", stage.name));
            }
            if stage.name.is_empty() || !before.insert(stage.name.as_str()) {
                return Err(format!("stages: the name `{}` is empty or listed twice", stage.name));
            }
        }
        Ok(())
    }

    /// Returns true if a submission names the job's source.
    pub fn needs_source(&self) -> bool {
        let steps = self.steps.iter().filter(|step| step.when == StepTime::Job).map(Step::request);
        steps.chain([self.submit.request()]).any(|request| request.contains("{source}"))
    }

    /// Returns true if the id is the URL that is polled.
    pub fn polls_url(&self) -> bool {
        self.poll.path == "{id:url}"
    }

    /// Returns true if there is a request that tells of one job.
    pub fn polls_each(&self) -> bool {
        !self.poll.path.is_empty()
    }

    /// Returns true if the poll's request names the job.
    fn poll_names_job(&self) -> bool {
        ["{id}", "{id:"].into_iter().any(|word| self.poll.request().contains(word))
    }

    /// Every place in an answer, with its key.
    pub fn places(&self) -> Vec<(&'static str, &Place)> {
        let poll = &self.poll;
        let mut lists = vec![
            ("submit.id", &self.submit.id),
            ("poll.status", &poll.status),
            ("poll.message", &poll.message),
            ("poll.times.queued", &poll.times.queued),
            ("poll.times.started", &poll.times.started),
            ("poll.times.ended", &poll.times.ended),
        ];
        lists.extend(poll.id.iter().map(|pointers| ("poll.id", pointers)));
        if let Some(list) = &poll.list {
            lists.extend([
                ("poll.list.at", &list.at),
                ("poll.list.next", &list.next),
                ("poll.list.total", &list.total),
            ]);
            lists.extend(list.id.iter().map(|pointers| ("poll.list.id", pointers)));
        }
        if let Some(stages) = &poll.stages {
            lists.extend([
                ("poll.stages.at", &stages.at),
                ("poll.stages.name", &stages.name),
                ("poll.stages.state", &stages.state),
                ("poll.stages.attempt", &stages.attempt),
                ("poll.stages.message", &stages.message),
                ("poll.stages.times.queued", &stages.times.queued),
                ("poll.stages.times.started", &stages.times.started),
                ("poll.stages.times.ended", &stages.times.ended),
            ]);
        }
        lists.into_iter().flat_map(|(key, list)| list.iter().map(move |place| (key, place))).collect()
    }

    /// Returns true if it has steps of the moment `when`.
    pub fn has_steps(&self, when: StepTime) -> bool {
        self.steps.iter().any(|step| step.when == when)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_profile_is_whole() {
        let profile = Profile::load(None).unwrap();
        let required: Vec<_> =
            profile.stages.iter().filter(|stage| stage.required).map(|stage| stage.name.as_str()).collect();
        assert_eq!(required, ["whisper", "l1", "decide", "summarize_l1", "l2", "summarize_l2", "l0"]);
    }

    #[test]
    fn mistakes_are_named() {
        for (from, to, expected) in [
            ("path = \"/health\"", "path = \"health\"", "health.path"),
            ("[health]", "[health]\nport = 3", "line 8: unknown field `port`"),
            ("accepted = [202]", "acepted = [202]", "unknown field `acepted`"),
            ("path = \"/jobs/{id}\"", "path = \"/jobs\"", "{id}"),
            ("num_parallel = [\"/", "num_parallel = [\"", "health.settings.num_parallel: \"num_parallel\""),
            ("[prometheus.idle]\nquery = '{", "[prometheus.idle]\nquery = 'sum({", "prometheus.idle.query"),
            ("lag_seconds = 5", "lag_seconds = -5", "prometheus.idle.lag_seconds = -5"),
            ("id = [\"/job_id\"", "id = [\"job_id\"", "line 19: \"job_id\" is not a place"),
            ("{run}/{name}", "{run}/{nmae}", "{nmae}"),
            ("source = \"{source}\"", "source = \"{soruce}\"", "submit.body"),
            ("after = [\"l2\"]", "after = [\"l9\"]", "summarize_l2 waits for l9"),
            ("name = [\"/name\", \"/stage\"]", "one = true", "poll.stages.one"),
            ("method = \"POST\"", "method = \"P T\"", "submit.method"),
            ("path = \"/jobs/{id}\"\nunknown = [404]\nstatus", "id", "poll.path and poll.status are empty or missing"),
            (
                "done = [\"done\"]\nfailed = [\"failed\"]\n",
                "failed = [\"failed\"]\n",
                "poll.words.done is empty or missing",
            ),
        ] {
            assert!(DEFAULT.contains(from), "{from}");
            let error = Profile::parse(&DEFAULT.replacen(from, to, 1)).unwrap_err();
            assert!(error.contains(expected), "{to}: {error}");
        }
    }

    #[test]
    fn a_missing_file_is_a_usage_error() {
        let failure = Profile::load(Some(Path::new("no/such.toml"))).unwrap_err();
        assert_eq!(failure.exit().code(), 2);
        assert!(failure.message().unwrap().starts_with("--profile no/such.toml: "));
    }
}
