//! Makes the requests around a job that a profile's steps describe.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::cli::Stop;
use crate::clock::Clock;
use crate::cookies::Cookie;
use crate::http::{Answer, BaseUrl, Client, HttpError, NoCredentials, same_origin};
use crate::profile::{Document, Place, Profile, Step, StepTime, TemplateValues, Told, spelled};

/// The result of one step: the values that it took, with the answer, or the failure as one line.
pub type Made = Result<(BTreeMap<String, Value>, Answer), String>;

/// The first wait before a step that failed is made again; it doubles from one try to the next.
const FIRST_WAIT: Duration = Duration::from_millis(200);

/// The failures after which a step is made again.
#[derive(derive_more::Debug, Clone, Copy)]
pub enum Patience<'a> {
    /// Failures that may pass, as for polls.
    Passing {
        /// Nothing is sent after that.
        until: Instant,
        /// The signal after which nothing is made again.
        stop: &'a Stop,
    },
    /// Those of this host, which kept the step from being sent. The function gets the limit and the time of the first try, waits, and
    /// returns true if there may be another try.
    OwnLimits(#[debug(skip)] &'a (dyn Fn(&str, Instant) -> bool + 'a)),
}

impl Patience<'_> {
    /// Waits after a step `failed` that was first tried at `began`. Returns true if there may be another try.
    fn wait(self, failed: &Failed, began: Instant, wait: Duration) -> bool {
        match self {
            Self::Passing { until, stop } => failed.may_pass && Instant::now() + wait < until && !stop.wait(wait),
            Self::OwnLimits(past_limit) => {
                failed.own_limit == Some(OwnLimit::NotSent) && past_limit(&failed.message, began)
            }
        }
    }
}

/// The part of a step that a limit of this host prevented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnLimit {
    /// Nothing of it was sent, or what was sent may be sent again.
    NotSent,
    /// Its answer could not be received: the step may have run.
    MayHaveRun,
}

/// The failure of one request of a step.
struct Failed {
    message: String,
    /// The reason may pass.
    may_pass: bool,
    /// A limit of this host is the reason.
    own_limit: Option<OwnLimit>,
    /// The wait that the target asks for.
    retry_after: Option<Duration>,
}

impl From<String> for Failed {
    /// A failure that comes again.
    fn from(message: String) -> Self {
        Self { message, may_pass: false, own_limit: None, retry_after: None }
    }
}

/// The result of the steps of one moment.
#[derive(Clone, Debug, Default)]
pub struct StepsOutcome {
    /// How many were made, whether they failed or not.
    pub made: usize,
    /// The values that they took from their answers.
    pub variables: BTreeMap<String, Value>,
    /// The names of those that stay out of the records.
    pub secret: Vec<String>,
    /// Answers that tell of the job instead of its poll.
    pub answers: Vec<(Vec<Told>, Answer)>,
    /// The failure that ended them, as one line.
    pub failure: Option<String>,
    /// The failure is a limit of this host.
    pub own_limit: Option<OwnLimit>,
}

impl StepsOutcome {
    /// Adds the result of the next step. Returns true if it ends the steps.
    pub fn add(&mut self, step: &Step, made: Made) -> bool {
        self.made += 1;
        match made {
            Ok((taken, answer)) => {
                if step.secret {
                    self.secret.extend(taken.keys().cloned());
                }
                self.variables.extend(taken);
                if !step.tells.is_empty() {
                    self.answers.push((step.tells.clone(), answer));
                }
                false
            }
            Err(_) if step.optional => false,
            Err(failure) => {
                self.failure = Some(format!("step {}: {failure}", step.name));
                true
            }
        }
    }

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
/// step that is not optional ends them; with `patience`, a step is made again while its failure may pass. `cookies` go only to the
/// target's own URLs, and answers may change them. Calls `watch` with each step and its result.
#[expect(clippy::too_many_arguments, reason = "a request needs all of them, and its caller owns each")]
pub fn run(
    when: StepTime,
    patience: Option<Patience<'_>>,
    profile: &Profile,
    base: &BaseUrl,
    values: &TemplateValues,
    mut cookies: Option<&mut Vec<Cookie>>,
    client: &Client,
    clock: &Clock,
    watch: &mut dyn FnMut(&Step, &Made),
) -> StepsOutcome {
    let mut outcome = StepsOutcome::default();
    for step in profile.steps_at(when) {
        let values = values.clone().with_variables(&outcome.variables);
        let made = make_patiently(step, patience, profile, base, &values, cookies.as_deref_mut(), client, clock);
        if let (true, Ok((taken, _))) = (step.secret, &made) {
            for value in taken.values() {
                client.secrets().add_value(value);
            }
        }
        let own_limit = made.as_ref().err().and_then(|failed| failed.own_limit);
        let made = made.map_err(|failed| client.secrets().strike(&failed.message).into_owned());
        watch(step, &made);
        if outcome.add(step, made) {
            outcome.own_limit = own_limit;
            break;
        }
    }
    outcome
}

/// Makes a step, and with `patience` makes it again while its failure may pass.
#[expect(clippy::too_many_arguments, reason = "a request needs all of them, and its caller owns each")]
fn make_patiently(
    step: &Step,
    patience: Option<Patience<'_>>,
    profile: &Profile,
    base: &BaseUrl,
    values: &TemplateValues,
    mut cookies: Option<&mut Vec<Cookie>>,
    client: &Client,
    clock: &Clock,
) -> Result<(BTreeMap<String, Value>, Answer), Failed> {
    let (mut tries, mut wait, began) = (1, FIRST_WAIT, Instant::now());
    loop {
        let failed = match make(step, profile, base, values, cookies.as_deref_mut(), client, clock) {
            Ok(made) => return Ok(made),
            Err(failed) => failed,
        };
        let pause = failed.retry_after.unwrap_or(wait);
        if patience.is_some_and(|patience| patience.wait(&failed, began, pause)) {
            (tries, wait) = (tries + 1, wait.saturating_mul(2));
            continue;
        }
        let last = if tries > 1 { format!(", at the last of {tries} tries") } else { String::new() };
        let whose = failed.own_limit.map_or("", |_| " (a limit of this host, not of the target)");
        return Err(Failed { message: format!("{}{last}{whose}", failed.message), ..failed });
    }
}

fn make(
    step: &Step,
    profile: &Profile,
    base: &BaseUrl,
    values: &TemplateValues,
    cookies: Option<&mut Vec<Cookie>>,
    client: &Client,
    clock: &Clock,
) -> Result<(BTreeMap<String, Value>, Answer), Failed> {
    let request = step.request().fill(base, values)?;
    let is_own = same_origin(&base.join("/"), &request.url).is_some();
    // A URL that a target gave may be signed: messages show no more than its server.
    let place = if step.secret || !is_own {
        format!("{} {}", request.method, server_of(&request.url))
    } else {
        request.place()
    };
    // Another server must not see the headers that are the target's alone.
    let sent =
        if is_own { request.send_with(cookies, client, clock) } else { request.send(&client.without_headers(), clock) };
    let answer = sent.map_err(|error| failed_to_answer(&place, &error, request.method.is_safe()))?;
    let summary = || if step.secret { format!("HTTP {}", answer.status) } else { answer.summary() };
    if !step.accepted.contains(&answer.status) {
        // Too early, too often, or a failure of a server or gateway (RFC 9110, section 15; RFC 6585; RFC 8470).
        let may_pass = matches!(answer.status, 408 | 425 | 429 | 500 | 502..=504);
        return Err(Failed {
            message: format!("{place}: {}", summary()),
            may_pass,
            own_limit: None,
            retry_after: answer.head.retry_after,
        });
    }
    if let Some(cause) = profile.why_untold(&step.tells, &answer) {
        let cause = if step.secret { "the answer cannot be read".to_owned() } else { cause };
        return Err(format!("{place}: HTTP {}, but {cause}", answer.status).into());
    }
    let document = Document::of(&answer);
    let take = |(name, places): (&String, &Vec<Place>)| {
        let missing = || format!("{place}: nothing at {} for {name} in {}", spelled(places), summary());
        document.value(places).map(|value| (name.clone(), value)).ok_or_else(missing)
    };
    let taken = step.take.iter().map(take).collect::<Result<_, String>>()?;
    drop(document);
    Ok((taken, answer))
}

/// The failure of a step at `place`, which changes nothing at the target if it `is_safe`.
fn failed_to_answer(place: &str, error: &HttpError, is_safe: bool) -> Failed {
    let (may_pass, retry_after) = match error {
        HttpError::Invalid(_) => (false, None),
        HttpError::NoCredentials(NoCredentials { again_in, .. }) => (again_in.is_some(), *again_in),
        _ => (true, None),
    };
    let own_limit = match error {
        HttpError::OwnLimit { was_sent, .. } if *was_sent && !is_safe => Some(OwnLimit::MayHaveRun),
        HttpError::OwnLimit { .. } => Some(OwnLimit::NotSent),
        _ => None,
    };
    Failed { message: format!("{place}: {error}"), may_pass, own_limit, retry_after }
}

/// The server of `url`, without its path and query.
fn server_of(url: &str) -> String {
    let end = url.find("://").map_or(0, |at| at + 3);
    let rest = &url[end..];
    format!("{}{}/…", &url[..end], &rest[..rest.find(['/', '?']).unwrap_or(rest.len())])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_that_kept_an_answer_away_leaves_a_step_that_may_have_run_and_is_not_made_again() {
        let limit = |was_sent| HttpError::OwnLimit { what: "no port".to_owned(), was_sent };
        let past_limit = |_: &str, _: Instant| true;
        let patience = Patience::OwnLimits(&past_limit);
        for (was_sent, is_safe, expected) in [
            (true, false, OwnLimit::MayHaveRun),
            (true, true, OwnLimit::NotSent),
            (false, false, OwnLimit::NotSent),
            (false, true, OwnLimit::NotSent),
        ] {
            let failed = failed_to_answer("POST x", &limit(was_sent), is_safe);
            assert_eq!(failed.own_limit, Some(expected), "{was_sent} {is_safe}");
            let is_made_again = patience.wait(&failed, Instant::now(), Duration::ZERO);
            assert_eq!(is_made_again, expected == OwnLimit::NotSent, "{was_sent} {is_safe}");
        }
        let other = failed_to_answer("POST x", &HttpError::NoAnswer("x".to_owned()), false);
        assert_eq!(other.own_limit, None);
    }
}
