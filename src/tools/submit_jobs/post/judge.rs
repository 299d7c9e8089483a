//! The meaning of the answer to a submission.

use super::{BACKOFF, Post, Submission};
use crate::escape;
use crate::http::{Answer, HttpError, same_origin, shown};
use crate::profile::{Document, Escaping, Profile, Request, SubmitMeaning, fill, spelled, why_unreadable};
use crate::record::{Flag, JobStatus, Phase, Reason, Timestamp};

/// The word of a poll's path whose id may have slashes.
const ID_PATH: &str = "{id:path}";
/// The longest id that is taken, in bytes: it has to fit into the URL of a poll.
const LONGEST_ID: usize = 4096;

impl Post {
    /// The id with which a job is polled: where that is a URL, the whole of it. The error says why it cannot be polled.
    fn pollable(&self, request: &Request, id: String, profile: &Profile) -> Result<String, String> {
        if matches!(id.as_str(), "." | "..") && profile.poll.path.split(['?', '#']).next().is_some_and(is_segment) {
            return Err(format!(
                "the id is `{id}`, which no URL can carry as a part of its path: the job cannot be polled"
            ));
        }
        if !profile.polls_url() {
            let is_path = profile.poll.path.contains(ID_PATH);
            let filled = is_path.then(|| fill(ID_PATH, &self.values.clone().with_id(&id), Escaping::Path)).transpose();
            return filled.map(|_| id);
        }
        same_origin(&request.url, &id).ok_or_else(|| {
            let url = shown(&id);
            format!("the job's URL, {url}, is not on {}: nothing is sent to another server", self.base.as_str())
        })
    }

    /// The status of the job after `outcome`. A job that may run and whose id the client chose can be polled later.
    pub(in crate::tools::submit_jobs) fn judge(
        &self,
        submission: &Submission,
        outcome: Result<Answer, HttpError>,
        profile: &Profile,
        received: Timestamp,
    ) -> JobStatus {
        let Submission { request, own_id } = submission;
        let status = self.judge_answer(request, own_id.as_deref(), outcome, profile, received);
        let own_id = own_id.clone().filter(|_| status.phase == Phase::Unknown);
        JobStatus { job_id: status.job_id.or(own_id), ..status }
    }

    fn judge_answer(
        &self,
        request: &Request,
        own_id: Option<&str>,
        outcome: Result<Answer, HttpError>,
        profile: &Profile,
        received: Timestamp,
    ) -> JobStatus {
        let place = request.place();
        let answer = match outcome {
            Ok(answer) => answer,
            Err(HttpError::Truncated { part, .. }) if is_judged_by_head(&part, profile) => *part,
            Err(error) => {
                let part = if let HttpError::Truncated { part, .. } = &error { Some(part) } else { None };
                let job_id = part.and_then(|part| profile.id_in_head(part)).filter(|id| id.len() <= LONGEST_ID);
                return JobStatus { job_id, ..without_answer(&error, &place, received) };
            }
        };
        let told = JobStatus {
            http_status: Some(answer.status),
            accepted_at: Some(received),
            uploaded_at: answer.uploaded_at,
            ..JobStatus::default()
        };
        match self.read_id(&answer, request, own_id, profile) {
            Ok(id) => {
                let flags = [(Document::of(&answer).is_lenient(), Flag::LenientJson), (answer.is_cut, Flag::HeadOnly)];
                let flags = flags.into_iter().filter_map(|(is_set, flag)| is_set.then_some(flag)).collect();
                JobStatus { phase: Phase::Submitted, job_id: Some(id), flags, ..told }
            }
            Err(NotSubmitted { phase, reason, what, job_id }) => JobStatus {
                phase,
                reason: Some(reason),
                message: Some(format!("{place}: {what}")),
                ended_at: (phase == Phase::Rejected).then_some(received),
                job_id,
                flags: if answer.body_is_utf8 { Vec::new() } else { vec![Flag::BodyNotUtf8] },
                body: Some(answer.shown_body().into_owned()),
                ..told
            },
        }
    }

    /// The id with which the job is polled, if `answer` accepts it.
    fn read_id(
        &self,
        answer: &Answer,
        request: &Request,
        own_id: Option<&str>,
        profile: &Profile,
    ) -> Result<String, NotSubmitted> {
        let meaning = profile.submit_meaning(answer);
        if meaning != Some(SubmitMeaning::Accepted) {
            let what = answer.summary();
            if refuses(answer, profile) {
                let (phase, reason) = (Phase::Rejected, Reason::Refused);
                return Err(NotSubmitted { phase, reason, what, job_id: None });
            }
            let reason = if (300..400).contains(&answer.status) { Reason::Redirected } else { Reason::NotAccepted };
            let job_id = profile.job_id(answer).filter(|id| id.len() <= LONGEST_ID);
            return Err(NotSubmitted { job_id, ..unknown(reason, format!("{what}; the job may run")) });
        }
        if let Some(doubt) = profile.id_doubt(answer) {
            return Err(unknown(Reason::UnreadableAnswer, format!("{doubt}; it may run")));
        }
        let Some(id) = profile.job_id(answer).or(own_id.map(str::to_owned)) else {
            let (reason, what) = match why_unreadable(answer) {
                Some(cause) => (Reason::UnreadableAnswer, format!("HTTP {}: {cause}", answer.status)),
                None => (Reason::NoJobId, format!("no id at {} in {}", spelled(&profile.submit.id), answer.summary())),
            };
            return Err(unknown(reason, format!("{what}; the job may run")));
        };
        if id.len() > LONGEST_ID {
            let what = format!("the id is {} bytes long, more than {LONGEST_ID}; the job may run", id.len());
            return Err(unknown(Reason::NoJobId, what));
        }
        // No poll could ask for it.
        if !answer.body_is_utf8 && id.contains(char::REPLACEMENT_CHARACTER) {
            let what = "the bytes of the id are not UTF-8; the job may run".to_owned();
            return Err(unknown(Reason::UnreadableAnswer, what));
        }
        let pollable = self.pollable(request, id, profile);
        pollable.map_err(|what| unknown(Reason::NoJobId, format!("{what}; the job may run")))
    }
}

/// An answer that gives no job that could be polled.
struct NotSubmitted {
    phase: Phase,
    reason: Reason,
    what: String,
    job_id: Option<String>,
}

fn unknown(reason: Reason, what: String) -> NotSubmitted {
    NotSubmitted { phase: Phase::Unknown, reason, what, job_id: None }
}

/// The status of a job whose submission to `place` got no answer that could be read.
fn without_answer(error: &HttpError, place: &str, received: Timestamp) -> JobStatus {
    let (phase, reason, what) = match error {
        HttpError::OwnLimit { what, .. } => {
            (Phase::Unknown, Reason::OwnLimit, format!("{what} (a limit of this host); the job may run"))
        }
        HttpError::NotConnected { what, .. } => {
            (Phase::Rejected, Reason::NotConnected, format!("{what}, {} times", BACKOFF.len() + 1))
        }
        HttpError::NoCredentials(none) => {
            (Phase::Rejected, Reason::NoToken, format!("{none}; the job was not submitted"))
        }
        HttpError::Invalid(what) => (Phase::Rejected, Reason::InvalidRequest, what.clone()),
        HttpError::NoAnswer(what) => (Phase::Unknown, Reason::NoAnswer, format!("{what}; the job may run")),
        HttpError::Truncated { broke_off: true, .. } | HttpError::Unreadable { broke_off: true, .. } => {
            (Phase::Unknown, Reason::AnswerCut, format!("{error}; the job may run"))
        }
        HttpError::Unreadable { .. } | HttpError::Truncated { .. } => {
            (Phase::Unknown, Reason::UnreadableAnswer, format!("{error}; the job may run"))
        }
    };
    let (http_status, body) = match error {
        HttpError::Truncated { part, .. } => (Some(part.status), Some(part.body.clone())),
        HttpError::Unreadable { came, .. } => (None, Some(came.clone())),
        _ => (None, None),
    };
    JobStatus {
        phase,
        reason: Some(reason),
        message: Some(format!("{place}: {what}")),
        ended_at: (phase == Phase::Rejected).then_some(received),
        http_status,
        body: body.filter(|body| !body.is_empty()),
        ..JobStatus::default()
    }
}

/// Returns true if the job's id is a whole segment of the path `template`.
fn is_segment(template: &str) -> bool {
    template.split('/').any(|segment| segment == "{id}")
}

/// Returns true for a status that says that nothing was begun (RFC 9110, section 15), where it does not mean accepted. A
/// success or a redirect may follow a job that was made, and so may a failure or a gateway's timeout.
fn is_refusal(status: u16) -> bool {
    match status {
        200..400 | 408 => false,
        500.. => matches!(status, 501 | 503 | 505),
        _ => true,
    }
}

/// Returns true if the head of an answer whose body did not come whole leaves no doubt that the job was accepted or refused.
fn is_judged_by_head(answer: &Answer, profile: &Profile) -> bool {
    let is_accepted = profile.submit_meaning(answer) == Some(SubmitMeaning::Accepted);
    profile.is_judged_by_head(answer) && (is_accepted || refuses(answer, profile))
}

/// Returns true if `answer` says that the job does not run.
pub(super) fn refuses(answer: &Answer, profile: &Profile) -> bool {
    match profile.submit_meaning(answer) {
        Some(meaning) => meaning == SubmitMeaning::Refused,
        None => is_refusal(answer.status),
    }
}

/// The status of a job whose id the target had already given to another one.
pub(in crate::tools::submit_jobs) fn collapsed(status: JobStatus, other: &str) -> JobStatus {
    let id = status.job_id.as_deref().map(|id| escape::start(id, 100)).unwrap_or_default();
    JobStatus {
        phase: Phase::Failed,
        reason: Some(Reason::Collapsed),
        message: Some(format!("the target answered with the id {id}, which it had already given to {other}")),
        ended_at: status.accepted_at,
        ..status
    }
}
