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

/// The time that steps have which are made again while they fail for reasons that may pass, as polls are.
#[derive(Debug)]
pub struct Patience<'a> {
    /// Nothing is sent after that.
    pub until: Instant,
    /// The signal after which nothing is made again.
    pub stop: &'a Stop,
}

impl Patience<'_> {
    /// Waits for `wait`. Returns true if there is time for another try then.
    fn wait(&self, wait: Duration) -> bool {
        Instant::now() + wait < self.until && !self.stop.wait(wait)
    }
}

/// The failure of one request of a step.
struct Failed {
    message: String,
    /// The reason may pass.
    may_pass: bool,
    /// The wait that the target asks for.
    retry_after: Option<Duration>,
}

impl From<String> for Failed {
    /// A failure that comes again.
    fn from(message: String) -> Self {
        Self { message, may_pass: false, retry_after: None }
    }
}

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
/// step that is not optional ends them; with `patience`, a step is made again while its failure may pass. `cookies` go only to the
/// target's own URLs, and answers may change them. Calls `watch` with each step and its result.
#[expect(clippy::too_many_arguments, reason = "a request needs all of them, and its caller owns each")]
pub fn run(
    when: StepTime,
    patience: Option<&Patience<'_>>,
    profile: &Profile,
    base: &BaseUrl,
    values: &TemplateValues,
    mut cookies: Option<&mut Vec<Cookie>>,
    client: &Client,
    clock: &Clock,
    watch: &mut dyn FnMut(&Step, &Made),
) -> StepsOutcome {
    let mut outcome = StepsOutcome::default();
    for step in profile.steps.iter().filter(|step| step.when == when) {
        let values = values.clone().with_variables(&outcome.variables);
        let made = make_patiently(step, patience, profile, base, &values, cookies.as_deref_mut(), client, clock);
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

/// Makes a step, and with `patience` makes it again while its failure may pass.
#[expect(clippy::too_many_arguments, reason = "a request needs all of them, and its caller owns each")]
fn make_patiently(
    step: &Step,
    patience: Option<&Patience<'_>>,
    profile: &Profile,
    base: &BaseUrl,
    values: &TemplateValues,
    mut cookies: Option<&mut Vec<Cookie>>,
    client: &Client,
    clock: &Clock,
) -> Made {
    let (mut tries, mut wait) = (1, FIRST_WAIT);
    loop {
        let failed = match make(step, profile, base, values, cookies.as_deref_mut(), client, clock) {
            Ok(made) => return Ok(made),
            Err(failed) => failed,
        };
        let pause = failed.retry_after.unwrap_or(wait);
        if failed.may_pass && patience.is_some_and(|patience| patience.wait(pause)) {
            (tries, wait) = (tries + 1, wait * 2);
            continue;
        }
        return Err(if tries > 1 {
            format!("{}, at the last of {tries} tries", failed.message)
        } else {
            failed.message
        });
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
    let answer = sent.map_err(|error| failed_to_answer(&place, &error))?;
    let summary = || if step.secret { format!("HTTP {}", answer.status) } else { answer.summary() };
    if !step.accepted.contains(&answer.status) {
        // Too early, too often, or a failure of a server or gateway (RFC 9110, section 15; RFC 6585; RFC 8470).
        let may_pass = matches!(answer.status, 408 | 425 | 429 | 500 | 502..=504);
        return Err(Failed {
            message: format!("{place}: {}", summary()),
            may_pass,
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

fn failed_to_answer(place: &str, error: &HttpError) -> Failed {
    let (may_pass, retry_after) = match error {
        HttpError::Invalid(_) => (false, None),
        HttpError::NoCredentials(NoCredentials { again_in, .. }) => (again_in.is_some(), *again_in),
        _ => (true, None),
    };
    Failed { message: format!("{place}: {error}"), may_pass, retry_after }
}

/// The server of `url`, without its path and query.
fn server_of(url: &str) -> String {
    let end = url.find("://").map_or(0, |at| at + 3);
    let rest = &url[end..];
    format!("{}{}/…", &url[..end], &rest[..rest.find(['/', '?']).unwrap_or(rest.len())])
}
