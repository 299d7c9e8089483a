//! One submission: the request that a profile makes of a job, and its sending.

mod follow;
mod judge;
mod waits;

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use serde_json::Value;

use crate::cli::Failure;
use crate::clock::{Clock, ServerDate, micro};
use crate::cookies::Cookie;
use crate::http::{BaseUrl, Client, HttpError};
use crate::profile::{Profile, Request, StepTime, TemplateValues};
use crate::record::{Job, JobStatus, Phase, Reason, Timestamp};
use crate::steps::{self, OwnLimit, Patience, StepsOutcome};

use follow::follow;

pub(super) use judge::collapsed;
pub(super) use waits::Waits;

/// Waits before the second and the third try of a connection.
const BACKOFF: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(1)];

/// The message of a job that an earlier session submitted without an answer.
const MAY_RUN: &str = "the job may run: an earlier submission was sent and not answered";
/// The shortest wait for a token that a record tells, in seconds.
const WORTH_TELLING: f64 = 0.001;

/// Decides whether a submission is sent: the thread that sends it passes the gate, or the session closes the gate first.
#[derive(Clone, Debug, Default)]
pub(super) struct Gate(Arc<OnceLock<bool>>);

impl Gate {
    /// Returns true if the request may be sent.
    fn pass(&self) -> bool {
        *self.0.get_or_init(|| true)
    }

    /// Returns true if the request was not sent and never will be.
    pub(super) fn close(&self) -> bool {
        !*self.0.get_or_init(|| false)
    }
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
    pub(super) gate: Gate,
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
        if profile.steps_at(StepTime::Job).next().is_none() {
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
        let (earlier, idempotency_key, variables, gate) = (None, None, BTreeMap::new(), Gate::default());
        Ok(Self {
            trace_id,
            span_id,
            base: base.clone(),
            values,
            submission: None,
            earlier,
            gate,
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
    pub(super) fn send(&self, client: &Client, profile: &Profile, clock: &Clock, waits: &Waits) -> Posted {
        let mut variables = self.variables.clone();
        let mut token_wait = 0.0;
        let submission = match &self.submission {
            Some(submission) => Ok(submission.clone()),
            None => self.make_steps(client, profile, clock, waits, (&mut variables, &mut token_wait)),
        };
        let posted = match submission {
            Ok(submission) if self.gate.pass() => self.send_request(&submission, client, profile, clock, waits),
            Ok(_) => Posted::unsent(unsent(None, clock.now())),
            Err(status) => Posted::unsent(*status),
        };
        token_wait += posted.status.token_wait_seconds.unwrap_or_default();
        let has_token = profile.token.is_some();
        let token_wait_seconds = Some(micro(token_wait)).filter(|seconds| has_token && *seconds >= WORTH_TELLING);
        let mut status =
            JobStatus { token_wait_seconds, variables, ..not_less(posted.status, &self.submission(clock.now())) };
        // The target may name in its answer what it was sent.
        client.secrets().strike_in(&mut status.message);
        client.secrets().strike_in(&mut status.body);
        Posted { status, ..posted }
    }

    /// Makes the steps before the submission. The error is the status of the job if it is not submitted.
    fn make_steps(
        &self,
        client: &Client,
        profile: &Profile,
        clock: &Clock,
        waits: &Waits,
        (variables, token_wait): (&mut BTreeMap<String, Value>, &mut f64),
    ) -> Result<Submission, Box<JobStatus>> {
        let began = clock.now();
        // The steps must not begin only to find that there is no token.
        wait_for_token(client, clock, waits)?;
        *token_wait += clock.now().since(began);
        let past_limit = |what: &str, began| waits.past_limit(what, began);
        let patience = Some(Patience::OwnLimits(&past_limit));
        let (base, values) = (&self.base, &self.values);
        let steps = steps::run(StepTime::Job, patience, profile, base, values, None, client, clock, &mut |_, _| {});
        variables.extend(steps.recorded());
        let values = values.clone().with_variables(&steps.variables);
        let (reason, message) = match (steps.failure, steps.own_limit) {
            (None, _) => match submit_request(profile, base, &values, (&self.trace_id, &self.span_id)) {
                Ok(submission) => return Ok(submission),
                Err(what) => (Reason::InvalidRequest, what),
            },
            (Some(what), Some(OwnLimit::NotSent)) => return Err(Box::new(unsent(Some(what), clock.now()))),
            (Some(what), Some(OwnLimit::MayHaveRun)) => {
                let status = unsent(Some(format!("{what}; the step may have run")), clock.now());
                return Err(Box::new(JobStatus { reason: Some(Reason::OwnLimit), ..status }));
            }
            (Some(what), None) => (Reason::StepFailed, format!("{what}; the job was not submitted")),
        };
        Err(Box::new(rejected(reason, message, clock.now())))
    }

    /// Sends the request. A connection that was never made is tried again; a request that may have arrived never is.
    /// While this host has run out of something, or a token cannot be had, the request waits: that is not the target's doing.
    fn send_request(
        &self,
        submission: &Submission,
        client: &Client,
        profile: &Profile,
        clock: &Clock,
        waits: &Waits,
    ) -> Posted {
        let mut backoff = BACKOFF.into_iter();
        let request = &submission.request;
        let place = request.place();
        let mut token_wait = 0.0;
        loop {
            let (mut began, mut lost) = (clock.now(), client.lost());
            let mut cookies = Vec::new();
            let outcome = waits.send(&place, || {
                (began, lost) = (clock.now(), client.lost());
                request.send_with(Some(&mut cookies), client, clock)
            });
            let received = clock.now();
            let outcome = match outcome {
                Ok(outcome) => outcome,
                Err(limit) => return Posted::unsent(unsent(Some(limit), received)),
            };
            // A token that was renewed before takes no part in the submission's time.
            let sent = client.sent_at().filter(|at| *at >= began).unwrap_or(began);
            // The request was not sent, or was refused with 401.
            if let Err(HttpError::NoCredentials(none)) = &outcome
                && let Some(again) = waits.past_token(none)
            {
                if !again {
                    return Posted::unsent(unsent(None, received));
                }
                token_wait += clock.now().since(began);
                continue;
            }
            let again = matches!(outcome, Err(HttpError::NotConnected { .. })) && !waits.is_stopped();
            if let (true, Some(wait)) = (again, backoff.next()) {
                std::thread::sleep(wait);
                continue;
            }
            let (outcome, there, received) = match outcome {
                Ok(answer) if profile.submit.follow_redirects => {
                    let (answer, there) = follow(request, answer, &mut cookies, profile, client, clock, waits);
                    (Ok(answer), there, clock.now())
                }
                outcome => (outcome, None, received),
            };
            let lost = client.lost().saturating_sub(lost).as_secs_f64();
            let frozen_seconds = Some(micro(lost.min(received.since(sent)))).filter(|seconds| *seconds > 0.0);
            let JobStatus { submitted_at, resubmitted_at, target, idempotency_key, .. } = self.submission(sent);
            let date =
                HttpError::begun(&outcome).and_then(|answer| answer.head.date).map(|date| (date, sent, received));
            let judged = self.judge(submission, outcome, profile, received);
            let message = judged
                .message
                .map(|message| [Some(message), there].into_iter().flatten().collect::<Vec<_>>().join("; "));
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
                message,
                ..judged
            };
            return Posted { status, date, cookies };
        }
    }
}

/// `status`, unless it says that the job does not run although `attempt` was not the first one: an earlier one may have made it.
pub(super) fn not_less(status: JobStatus, attempt: &JobStatus) -> JobStatus {
    if attempt.resubmitted_at.is_none() || !matches!(status.phase, Phase::Staged | Phase::Rejected) {
        return status;
    }
    let now = status.message.map(|message| format!("; the second submission: {message}")).unwrap_or_default();
    JobStatus {
        phase: Phase::Unknown,
        reason: Some(Reason::AnswerLost),
        message: Some(format!("{MAY_RUN}{now}")),
        submitted_at: attempt.submitted_at,
        target: attempt.target.clone(),
        idempotency_key: attempt.idempotency_key.clone(),
        ended_at: None,
        ..status
    }
}

/// The status of a job that was not submitted because the wait for it ended, for the reason `why` if one is known.
pub(super) fn unsent(why: Option<String>, now: Timestamp) -> JobStatus {
    JobStatus {
        observed_at: Some(now),
        message: why.map(|why| format!("{why}; the job was not submitted")),
        ..JobStatus::default()
    }
}

/// Waits until there is a token. The error is the status of a job for which there is none.
fn wait_for_token(client: &Client, clock: &Clock, waits: &Waits) -> Result<(), Box<JobStatus>> {
    loop {
        let Err(none) = client.authorize(clock) else { return Ok(()) };
        let now = clock.now();
        match waits.past_token(&none) {
            Some(true) => {}
            Some(false) => return Err(Box::new(unsent(None, now))),
            None => {
                let what = format!("{none}; the job was not submitted");
                return Err(Box::new(rejected(Reason::NoToken, what, now)));
            }
        }
    }
}
