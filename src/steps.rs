//! Makes the requests around a job that a profile's steps describe.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::clock::Clock;
use crate::http::{Answer, BaseUrl, Client, ClientFactory, Method, same_origin};
use crate::profile::{Document, Escaping, Profile, Step, StepTime, TemplateValues, Told, fill};

/// What came of one step: what it took, with the answer, or the failure as one line.
pub type Made = Result<(BTreeMap<String, Value>, Answer), String>;

/// The clients of steps, for one thread.
#[derive(Clone, Debug)]
pub struct StepClients {
    own: Client,
    /// Without the headers that are the target's alone.
    foreign: Client,
}

/// The result of the steps of one moment.
#[derive(Debug, Default)]
pub struct StepsOutcome {
    /// What they took from their answers.
    pub variables: BTreeMap<String, Value>,
    /// The names of those that stay out of the records.
    pub secret: Vec<String>,
    /// Answers that tell of the job instead of its poll.
    pub answers: Vec<(Vec<Told>, Answer)>,
    /// The failure that ended them, as one line.
    pub failure: Option<String>,
}

impl StepsOutcome {
    /// The variables that may stand in records.
    pub fn recorded(&self) -> BTreeMap<String, Value> {
        self.variables
            .iter()
            .filter(|(name, _)| !self.secret.contains(name))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    }
}

impl StepClients {
    /// Clients by `factory`.
    pub fn new(factory: &ClientFactory) -> Self {
        Self { own: factory.client(), foreign: factory.without_headers().client() }
    }

    /// Makes the profile's steps of the moment `when`, one after the other, each with what those before it took. The first
    /// failure of a step that is not optional ends them.
    pub fn run(
        &self,
        when: StepTime,
        profile: &Profile,
        base: &BaseUrl,
        values: &TemplateValues,
        clock: &Clock,
    ) -> StepsOutcome {
        self.run_watched(when, profile, base, values, clock, &mut |_, _| {})
    }

    /// Does so, and calls `watch` with each step and what came of it.
    pub fn run_watched(
        &self,
        when: StepTime,
        profile: &Profile,
        base: &BaseUrl,
        values: &TemplateValues,
        clock: &Clock,
        watch: &mut dyn FnMut(&Step, &Made),
    ) -> StepsOutcome {
        let mut outcome = StepsOutcome::default();
        for step in profile.steps.iter().filter(|step| step.when == when) {
            let values = values.clone().with_variables(&outcome.variables);
            let sent = self.send(step, base, &values, clock);
            watch(step, &sent);
            match sent {
                Ok((taken, answer)) => {
                    if step.secret {
                        outcome.secret.extend(taken.keys().cloned());
                    }
                    outcome.variables.extend(taken);
                    if !step.tells.is_empty() {
                        outcome.answers.push((step.tells.clone(), answer));
                    }
                }
                Err(_) if step.optional => {}
                Err(failure) => {
                    outcome.failure = Some(format!("step {}: {failure}", step.name));
                    break;
                }
            }
        }
        outcome
    }

    fn send(&self, step: &Step, base: &BaseUrl, values: &TemplateValues, clock: &Clock) -> Made {
        let url = if step.path.starts_with('/') {
            base.join(&fill(&step.path, values, Escaping::Path)?)
        } else {
            fill(&step.path, values, Escaping::Text)?
        };
        let is_own = same_origin(&base.join("/"), &url).is_some();
        let client = if is_own { &self.own } else { &self.foreign };
        let header = |(name, value): (&String, &String)| Ok((name.clone(), fill(value, values, Escaping::Text)?));
        let headers = step.headers.iter().map(header).collect::<Result<Vec<_>, String>>()?;
        let method = Method::from_bytes(step.method.as_bytes()).map_err(|error| error.to_string())?;
        let body = step.request_body(values)?;
        // A URL that a target gave may be signed: messages show no more than its server.
        let shown = if step.secret || !is_own { server_of(&url) } else { url.clone() };
        let place = format!("{method} {shown}");
        let answer =
            client.send(&method, &url, &headers, body.as_ref(), clock).map_err(|error| format!("{place}: {error}"))?;
        if !step.accepted.contains(&answer.status) {
            return Err(format!("{place}: {}", answer.summary()));
        }
        let document = Document::of(&answer);
        let mut taken = BTreeMap::new();
        for (name, places) in &step.take {
            let Some(value) = document.value(places) else {
                let places = crate::profile::spelled(places);
                let summary = if step.secret { format!("HTTP {}", answer.status) } else { answer.summary() };
                return Err(format!("{place}: nothing at {places} for {name} in {summary}"));
            };
            taken.insert(name.clone(), value);
        }
        drop(document);
        Ok((taken, answer))
    }
}

/// The server of `url`, without its path and query.
fn server_of(url: &str) -> String {
    let end = url.find("://").map_or(0, |at| at + 3);
    let rest = &url[end..];
    format!("{}{}/…", &url[..end], &rest[..rest.find(['/', '?']).unwrap_or(rest.len())])
}
