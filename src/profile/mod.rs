//! A target's profile: everything that the tools know about one submit-and-poll API, in one TOML file.
//!
//! Nothing in the code knows a particular target. The default profile, `profiles/autorag.toml`, is built into the tools;
//! `--profile FILE` points them at any other. docs/profile.md describes the keys.

/// Makes a type a table of a profile: it has no keys but these, and a value, a list, a table or a flag that is missing is absent,
/// empty or false.
macro_rules! table {
    ($($item:tt)*) => {
        #[serde_with::apply(
            Option => #[serde(default)],
            Vec => #[serde(default)],
            BTreeMap => #[serde(default)],
            bool => #[serde(default)],
            Encoding => #[serde(default)],
        )]
        #[serde_inline_default::serde_inline_default]
        #[derive(Clone, Debug, Deserialize)]
        #[serde(deny_unknown_fields)]
        $($item)*
    };
}

mod answer;
mod by_head;
mod check;
mod evidence;
mod health;
mod ids;
mod json;
mod list;
mod payload;
mod place;
mod poll;
mod queries;
mod request;
mod rules;
mod steps;
mod submit;
mod template;
mod times;
mod token;

use std::path::Path;

use macro_rules_attribute::apply;
use serde::Deserialize;

pub use answer::{Observation, PollAnswer, StageReading, StatusReading};
pub use evidence::{JaegerConfig, LogService, LogsConfig};
pub use health::Health;
pub use ids::is_id_of;
pub use json::{readable, unknown_coding, why_unreadable};
pub use list::{List, Page, PagePosition};
pub use place::{Document, Place, spelled};
pub use poll::{Gone, Poll, StagePointers, StatusWords, TimePointers};
pub use queries::{IdleConfig, Prometheus, Query};
pub use request::Request;
pub use rules::SubmitMeaning;
pub use steps::{Step, StepTime, Told};
pub use submit::Submit;
pub use template::{Escaping, TemplateValues, fill};
pub use token::Token;

use crate::cli::Failure;
use crate::own_limits;
use crate::record::StageSpec;

/// The profile that is built in.
const DEFAULT: &str = include_str!("../../profiles/autorag.toml");

/// The profile of one target.
#[apply(table!)]
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
    pub token: Option<Token>,
    /// Requests around a job, in their order.
    pub steps: Vec<Step>,
    /// The stages of the pipeline, in its order.
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

/// One stage of the pipeline.
#[apply(table!)]
pub struct Stage {
    /// Its name.
    pub name: String,
    /// The stages that must end before it starts.
    pub after: Vec<String>,
    /// Every job must show this stage.
    #[serde_with(skip_apply)]
    #[serde_inline_default(true)]
    pub required: bool,
}

impl Profile {
    /// The profile in `file`, or the default one.
    pub fn load(file: Option<&Path>) -> Result<Self, Failure> {
        let Some(file) = file else {
            return Self::parse(DEFAULT).map_err(|error| Failure::usage(format!("the built-in profile: {error}")));
        };
        let flag = format!("--profile {}", file.display());
        let text = std::fs::read_to_string(file).map_err(|error| {
            if own_limits::is_about_files(&error) {
                Failure::io(&flag, &error)
            } else {
                Failure::usage(format!("{flag}: {error}"))
            }
        })?;
        Self::parse(&text).map_err(|error| Failure::usage(format!("{flag}: {error}")))
    }

    /// Reads a profile; the error names the line or the key.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut profile: Self = toml::from_str(text).map_err(|error| {
            let line = error.span().map(|span| text[..span.start.min(text.len())].matches('\n').count() + 1);
            let place = line.map(|line| format!("line {line}: ")).unwrap_or_default();
            format!("{place}{}", check::describe(error.message()))
        })?;
        profile.prometheus.resolve_includes()?;
        check::check(&profile)?;
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

    /// Returns true if a submission names the job's source.
    pub fn needs_source(&self) -> bool {
        let steps = self.steps_at(StepTime::Job).map(Step::request);
        steps.chain([self.submit.request()]).any(|request| request.contains("{source}"))
            || self.submit.own_id.as_ref().is_some_and(|id| id.contains("{source}"))
    }

    /// The id that the client chooses for a job with these `values`. The error says what cannot be filled in.
    pub fn own_id(&self, values: &TemplateValues) -> Result<Option<String>, String> {
        let own = self.submit.own_id.as_deref().map(|id| fill(id, values, Escaping::Text)).transpose()?;
        own.map(|id| if id.is_empty() { Err("submit.own_id: it is empty".to_owned()) } else { Ok(id) }).transpose()
    }

    /// Returns true if the id is a URL, at which the poll's begins.
    pub fn polls_url(&self) -> bool {
        self.poll.path.starts_with(template::ID_URL)
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
            ("poll.next", &poll.next),
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
                ("poll.list.more", &list.more),
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

    /// Returns true if a step after a job's end tells the part `told`.
    fn tells(&self, told: Told) -> bool {
        self.steps.iter().any(|step| step.tells.contains(&told))
    }

    /// Its steps of the moment `when`, in their order.
    pub fn steps_at(&self, when: StepTime) -> impl Iterator<Item = &Step> {
        self.steps.iter().filter(move |step| step.when == when)
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
            ("[poll]\n", "[[polls]]\n", "unknown field `polls`"),
            ("name = \"autorag\"\n", "", "the key `name` is missing"),
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
    fn a_missing_table_is_named() {
        let profile = "name = \"a\"\ntarget = \"http://localhost\"\n[health]\npath = \"/\"\n[submit]\npath = \"/\"\nid = [\"/id\"]\n";
        assert_eq!(Profile::parse(profile).unwrap_err(), "line 1: the table [poll] is missing");
    }

    #[test]
    fn a_missing_file_is_a_usage_error() {
        let failure = Profile::load(Some(Path::new("no/such.toml"))).unwrap_err();
        assert_eq!(failure.exit().code(), 2);
        assert!(failure.message().unwrap().starts_with("--profile no/such.toml: "));
    }
}
