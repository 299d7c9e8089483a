//! One submission: the request that a profile makes of a job, and its sending.

mod judge;

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use crate::cli::{Failure, Stop};
use crate::clock::{Clock, ServerDate, micro};
use crate::cookies::Cookie;
use crate::http::{Answer, BaseUrl, Client, HttpError, Method, NoCredentials, same_origin};
use crate::profile::{Profile, Request, StepTime, TemplateValues};
use crate::record::{Job, JobStatus, Phase, Reason, Timestamp};
use crate::steps::{self, StepsOutcome};

pub(super) use judge::collapsed;

/// Waits before the second and the third try of a connection.
const BACKOFF: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(1)];

/// The wait before another try where this host has run out of something.
const OWN_LIMIT_WAIT: Duration = Duration::from_millis(100);
/// The shortest wait for a token that a record tells, in seconds.
const WORTH_TELLING: f64 = 0.001;
/// The longest chain of redirects that is followed.
const MOST_REDIRECTS: usize = 10;

/// The cause for which a submission waits; each is reported once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Wait {
    /// This host has run out of something.
    OwnLimit,
    /// There is no token.
    Token,
}

/// The submission of one job.
#[derive(Clone, Debug)]
pub(super) struct Post {
    pub(super) trace_id: String,
    span_id: String,
    base: BaseUrl,
    values: TemplateValues,
    /// Complete, unless steps before the submission have yet to bring values for it.
    submission: Option<Submission>,
    /// The time of an earlier submission under the same idempotency key.
    earlier: Option<Timestamp>,
    idempotency_key: Option<String>,
    /// The values that the steps before the first submission took, for the record.
    variables: BTreeMap<String, Value>,
}

/// The request that submits a job.
#[derive(Clone, Debug)]
pub(super) struct Submission {
    pub(super) request: Request,
    /// The id that the client chose for it.
    pub(super) own_id: Option<String>,
}

/// The result of a submission.
#[derive(Debug)]
pub(super) struct Posted {
    /// Changes to the job's status.
    pub(super) status: JobStatus,
    /// The server's date with the moments around the exchange, where an answer came.
    pub(super) date: Option<(ServerDate, Timestamp, Timestamp)>,
    /// The cookies that the answer and the redirects before it left.
    pub(super) cookies: Vec<Cookie>,
}

impl Posted {
    /// A job that was not submitted, with `status`.
    fn unsent(status: JobStatus) -> Self {
        Self { status, date: None, cookies: Vec::new() }
    }
}

/// Random bytes as hexadecimal digits.
pub(super) fn random_hex(bytes: usize) -> Result<String, Failure> {
    let mut random = vec![0; bytes];
    let failed = |error: getrandom::Error| Failure::input_output(format!("cannot get random numbers: {error}"));
    getrandom::fill(&mut random).map_err(failed)?;
    Ok(random.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}")))
}

/// The request that submits a job with these `values`. The error says what cannot be filled in.
pub(super) fn submit_request(
    profile: &Profile,
    base: &BaseUrl,
    values: &TemplateValues,
    trace_context: (&str, &str),
) -> Result<Submission, String> {
    let own_id = profile.own_id(values)?;
    let values = own_id.as_ref().map_or_else(|| values.clone(), |id| values.clone().with_id(id));
    let mut request = profile.submit.request().fill(base, &values)?;
    // https://www.w3.org/TR/trace-context/: version 00, flags 01 (sampled).
    request.headers.push(("traceparent".to_owned(), format!("00-{}-{}-01", trace_context.0, trace_context.1)));
    Ok(Submission { request, own_id })
}

/// The status of a job that was not submitted.
pub(super) fn rejected(reason: Reason, message: String, now: Timestamp) -> JobStatus {
    JobStatus {
        phase: Phase::Rejected,
        reason: Some(reason),
        message: Some(message),
        observed_at: Some(now),
        ended_at: Some(now),
        ..JobStatus::default()
    }
}

impl Post {
    /// The submission of `job`, with a fresh W3C trace context. The steps before the first submission took `variables`, some of
    /// which are secret and not `recorded`.
    pub(super) fn new(
        profile: &Profile,
        base: &BaseUrl,
        job: &Job,
        set: &[(String, Value)],
        run_steps: &StepsOutcome,
    ) -> Result<Self, Failure> {
        let values = Self::values(job, set, run_steps);
        let (earlier, variables) = (job.status.submitted_at, run_steps.recorded());
        let idempotency_key = profile.submit.idempotency_key(&values);
        let mut post = Self { earlier, idempotency_key, variables, ..Self::with_values(base, values)? };
        if !profile.has_steps(StepTime::Job) {
            let submission = post.build(profile);
            post.submission =
                Some(submission.map_err(|error| Failure::usage(format!("{}: {error}", job.metadata.name)))?);
        }
        Ok(post)
    }

    /// The values for the submission of `job` that are known before the steps of the job are made.
    pub(super) fn values(job: &Job, set: &[(String, Value)], run_steps: &StepsOutcome) -> TemplateValues {
        TemplateValues::of_set(set).with_job(job).with_variables(&run_steps.variables)
    }

    /// A submission with these `values`, whose request is not yet built.
    pub(super) fn with_values(base: &BaseUrl, values: TemplateValues) -> Result<Self, Failure> {
        let (trace_id, span_id) = (random_hex(16)?, random_hex(8)?);
        let (earlier, idempotency_key, variables) = (None, None, BTreeMap::new());
        Ok(Self {
            trace_id,
            span_id,
            base: base.clone(),
            values,
            submission: None,
            earlier,
            idempotency_key,
            variables,
        })
    }

    /// The request, from the values that are known. The error says what cannot be filled in.
    pub(super) fn build(&self, profile: &Profile) -> Result<Submission, String> {
        submit_request(profile, &self.base, &self.values, (&self.trace_id, &self.span_id))
    }

    /// A submission that is sent at `now` and has no answer.
    fn submission(&self, now: Timestamp) -> JobStatus {
        JobStatus {
            submitted_at: Some(self.earlier.unwrap_or(now)),
            resubmitted_at: self.earlier.map(|_| now),
            target: Some(self.base.as_str().to_owned()),
            idempotency_key: Some(self.idempotency_key.clone().unwrap_or_default()),
            ..JobStatus::default()
        }
    }

    /// The status of the job while it is submitted, for the journal.
    pub(super) fn intent(&self, now: Timestamp) -> JobStatus {
        JobStatus {
            phase: Phase::Submitting,
            // A session after this one can ask for it, even if no answer is recorded.
            job_id: self.submission.as_ref().and_then(|submission| submission.own_id.clone()),
            trace_id: Some(self.trace_id.clone()),
            span_id: Some(self.span_id.clone()),
            observed_at: Some(now),
            ..self.submission(now)
        }
    }

    /// Makes the steps before the submission, and sends it.
    pub(super) fn send(
        &self,
        client: &Client,
        profile: &Profile,
        clock: &Clock,
        report: &dyn Fn(Wait, &str),
        stop: &Stop,
    ) -> Posted {
        let mut variables = self.variables.clone();
        let mut token_wait = 0.0;
        if profile.has_steps(StepTime::Job) {
            let began = clock.now();
            // The steps must not begin only to find that there is no token.
            if let Err(status) = wait_for_token(client, clock, report, stop) {
                return Posted::unsent(*status);
            }
            token_wait += clock.now().since(began);
        }
        let submission = if let Some(submission) = &self.submission {
            Ok(submission.clone())
        } else {
            let steps =
                steps::run(StepTime::Job, None, profile, &self.base, &self.values, None, client, clock, &mut |_, _| {});
            variables.extend(steps.recorded());
            let values = self.values.clone().with_variables(&steps.variables);
            match steps.failure {
                Some(what) => Err((Reason::StepFailed, format!("{what}; the job was not submitted"))),
                None => submit_request(profile, &self.base, &values, (&self.trace_id, &self.span_id))
                    .map_err(|what| (Reason::InvalidRequest, what)),
            }
        };
        let posted = match submission {
            Ok(submission) => self.send_request(&submission, client, profile, clock, report, stop),
            Err((reason, message)) => Posted::unsent(rejected(reason, message, clock.now())),
        };
        token_wait += posted.status.token_wait_seconds.unwrap_or_default();
        let token_wait_seconds = Some(micro(token_wait)).filter(|seconds| *seconds >= WORTH_TELLING);
        let mut status = JobStatus { token_wait_seconds, variables, ..posted.status };
        // The target may name in its answer what it was sent.
        client.secrets().strike_in(&mut status.message);
        client.secrets().strike_in(&mut status.body);
        Posted { status, ..posted }
    }

    /// Sends `request`. A connection that was never made is tried again; a request that may have arrived never is.
    /// While this host has run out of something, or a token cannot be had, the request waits, and `report` says so: that is not the
    /// target's doing.
    fn send_request(
        &self,
        submission: &Submission,
        client: &Client,
        profile: &Profile,
        clock: &Clock,
        report: &dyn Fn(Wait, &str),
        stop: &Stop,
    ) -> Posted {
        let mut waits = BACKOFF.into_iter();
        let request = &submission.request;
        let mut token_wait = 0.0;
        loop {
            let (began, lost) = (clock.now(), client.lost());
            let mut cookies = Vec::new();
            let outcome = request.send_with(Some(&mut cookies), client, clock);
            let received = clock.now();
            // A token that was renewed before takes no part in the submission's time.
            let sent = client.sent_at().filter(|at| *at >= began).unwrap_or(began);
            let waits_for = match &outcome {
                Err(HttpError::OwnLimit { what, was_sent: false }) => {
                    let what = format!("{}: {what}: a limit of this host, not of the target; waiting", request.place());
                    Some((Wait::OwnLimit, what, OWN_LIMIT_WAIT))
                }
                // The request was not sent, or was refused with 401.
                Err(HttpError::NoCredentials(none)) => {
                    none.again_in.map(|wait| (Wait::Token, awaits_token(none), wait))
                }
                _ => None,
            };
            if let Some((cause, what, wait)) = waits_for {
                report(cause, &what);
                if stop.wait(wait) {
                    return Posted::unsent(JobStatus { observed_at: Some(received), ..JobStatus::default() });
                }
                if cause == Wait::Token {
                    token_wait += clock.now().since(began);
                }
                continue;
            }
            let again = matches!(outcome, Err(HttpError::NotConnected(_))) && stop.signal().is_none();
            if let (true, Some(wait)) = (again, waits.next()) {
                std::thread::sleep(wait);
                continue;
            }
            let (outcome, received) = match outcome {
                Ok(answer) if profile.submit.follow_redirects => {
                    (Ok(follow(request, answer, &mut cookies, client, clock)), clock.now())
                }
                outcome => (outcome, received),
            };
            let lost = client.lost().saturating_sub(lost).as_secs_f64();
            let frozen_seconds = Some(micro(lost.min(received.since(sent)))).filter(|seconds| *seconds > 0.0);
            let JobStatus { submitted_at, resubmitted_at, target, idempotency_key, .. } = self.submission(sent);
            let date = outcome.as_ref().ok().and_then(|answer| answer.head.date).map(|date| (date, sent, received));
            let judged = self.judge(submission, outcome, profile, received);
            let status = JobStatus {
                trace_id: Some(self.trace_id.clone()),
                span_id: Some(self.span_id.clone()),
                submitted_at,
                resubmitted_at,
                target,
                idempotency_key: idempotency_key.filter(|_| judged.phase == Phase::Unknown),
                frozen_seconds,
                token_wait_seconds: Some(token_wait + sent.since(began).max(0.0)),
                observed_at: Some(received),
                ..judged
            };
            return Posted { status, date, cookies };
        }
    }
}

/// Waits until there is a token. The error is the status of a job for which there is none.
fn wait_for_token(
    client: &Client,
    clock: &Clock,
    report: &dyn Fn(Wait, &str),
    stop: &Stop,
) -> Result<(), Box<JobStatus>> {
    loop {
        let Err(none) = client.authorize(clock) else { return Ok(()) };
        let now = clock.now();
        let Some(wait) = none.again_in else {
            let what = format!("{none}; the job was not submitted");
            return Err(Box::new(rejected(Reason::NoToken, what, now)));
        };
        report(Wait::Token, &awaits_token(&none));
        if stop.wait(wait) {
            return Err(Box::new(JobStatus { observed_at: Some(now), ..JobStatus::default() }));
        }
    }
}

fn awaits_token(none: &NoCredentials) -> String {
    format!("{none}; submissions wait for a token")
}

/// Follows redirects of `request` to the answer that they lead to, with the `cookies` that they set on the way. If that answer cannot
/// be fetched, the redirect itself is the answer, because the job may have been created before it.
fn follow(request: &Request, mut answer: Answer, cookies: &mut Vec<Cookie>, client: &Client, clock: &Clock) -> Answer {
    let mut request = request.clone();
    for _ in 0..MOST_REDIRECTS {
        match answer.status {
            307 | 308 => {}
            301..=303 => (request.method, request.body) = (Method::GET, None),
            _ => return answer,
        }
        let location = answer.head.location.as_deref();
        let Some(to) = location.and_then(|location| same_origin(&request.url, location)) else { return answer };
        request.url = to;
        match request.send_with(Some(cookies), client, clock) {
            // The request before it was answered by "look there", so this failure is no refusal.
            Ok(next) if request.method == Method::GET && next.status >= 400 => return answer,
            Ok(next) => answer = next,
            Err(_) => return answer,
        }
    }
    answer
}
