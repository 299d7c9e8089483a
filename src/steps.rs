//! Makes the requests around a job that a profile's steps describe.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::clock::Clock;
use crate::http::{Answer, BaseUrl, Client, same_origin};
use crate::profile::{Document, Place, Profile, Step, StepTime, TemplateValues, Told, spelled};

/// The result of one step: the values that it took, with the answer, or the failure as one line.
pub type Made = Result<(BTreeMap<String, Value>, Answer), String>;

/// The result of the steps of one moment.
#[derive(Debug, Default)]
pub struct StepsOutcome {
    /// The values that they took from their answers.
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

/// Makes the profile's steps of the moment `when`, one after the other, each with what those before it took. The first failure of a
/// step that is not optional ends them. Calls `watch` with each step and its result.
pub fn run(
    when: StepTime,
    profile: &Profile,
    base: &BaseUrl,
    values: &TemplateValues,
    client: &Client,
    clock: &Clock,
    watch: &mut dyn FnMut(&Step, &Made),
) -> StepsOutcome {
    let mut outcome = StepsOutcome::default();
    for step in profile.steps.iter().filter(|step| step.when == when) {
        let values = values.clone().with_variables(&outcome.variables);
        let made = make(step, base, &values, client, clock);
        if let (true, Ok((taken, _))) = (step.secret, &made) {
            for value in taken.values() {
                client.secrets().add_value(value);
            }
        }
        let made = made.map_err(|failure| client.secrets().strike(&failure).into_owned());
        watch(step, &made);
        match made {
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

fn make(step: &Step, base: &BaseUrl, values: &TemplateValues, client: &Client, clock: &Clock) -> Made {
    let request = step.request().fill(base, values)?;
    let is_own = same_origin(&base.join("/"), &request.url).is_some();
    // A URL that a target gave may be signed: messages show no more than its server.
    let place = if step.secret || !is_own {
        format!("{} {}", request.method, server_of(&request.url))
    } else {
        request.place()
    };
    // Another server must not see the headers that are the target's alone.
    let sent = if is_own { request.send(client, clock) } else { request.send(&client.without_headers(), clock) };
    let answer = sent.map_err(|error| format!("{place}: {error}"))?;
    let summary = || if step.secret { format!("HTTP {}", answer.status) } else { answer.summary() };
    if !step.accepted.contains(&answer.status) {
        return Err(format!("{place}: {}", summary()));
    }
    let document = Document::of(&answer);
    let take = |(name, places): (&String, &Vec<Place>)| {
        let missing = || format!("{place}: nothing at {} for {name} in {}", spelled(places), summary());
        document.value(places).map(|value| (name.clone(), value)).ok_or_else(missing)
    };
    let taken = step.take.iter().map(take).collect::<Result<_, _>>()?;
    drop(document);
    Ok((taken, answer))
}

/// The server of `url`, without its path and query.
fn server_of(url: &str) -> String {
    let end = url.find("://").map_or(0, |at| at + 3);
    let rest = &url[end..];
    format!("{}{}/…", &url[..end], &rest[..rest.find(['/', '?']).unwrap_or(rest.len())])
}
