//! `Job`: one piece of work, from the file that is staged for it to the end that was seen.

use std::collections::BTreeMap;

use macro_rules_attribute::apply;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Flag, Reason, Resource, Timestamp};

/// One job. Made by `stage-fixtures` or by hand; `submit-jobs` and `poll-jobs` add what they observe.
pub type Job = Resource<JobSpec, JobStatus>;

/// The label of a warm-up job; its value is `true`.
pub const WARMUP: &str = "warmup";

impl Job {
    /// Returns true if it only warms the target up; then every figure leaves it out.
    pub fn is_warmup(&self) -> bool {
        self.metadata.labels.get(WARMUP).is_some_and(|value| value == "true")
    }

    /// Its id at the target, where it may have been accepted and has no verdict: it may still run.
    pub fn open_id(&self) -> Option<&str> {
        let phase = self.status.phase;
        let is_open = phase == Phase::Submitting || phase.is_submitted() && !phase.is_final();
        self.status.job_id.as_deref().filter(|id| is_open && !id.is_empty())
    }
}

/// The file to submit.
#[apply(part!)]
pub struct JobSpec {
    /// The source string as the worker sees it: a path or a URL.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub source: String,
    /// Path of the staged file, as the harness sees it.
    pub path: Option<String>,
    /// The size of the staged file.
    pub bytes: Option<u64>,
    /// Values of this job for the profile's templates: `{data.NAME}`.
    pub data: BTreeMap<String, Value>,
}

/// Observations of a job. Absent means not observed. Times are by the harness's clock unless said otherwise.
#[apply(part!)]
pub struct JobStatus {
    /// The last known phase of the job.
    pub phase: Phase,
    /// The reason why it went wrong, as one documented CamelCase word.
    pub reason: Option<Reason>,
    /// The reason why it went wrong, as a sentence.
    pub message: Option<String>,
    /// The time at which this record was written.
    pub observed_at: Option<Timestamp>,
    /// The base URL that it was submitted to.
    pub target: Option<String>,
    /// The base URL at which it was polled, if that was another one.
    pub polled_target: Option<String>,
    /// The idempotency key of a job in phase Submitting or Unknown: the name of the header and the first 16 digits of the SHA-256 of its
    /// value. Empty if the job was sent without one.
    pub idempotency_key: Option<String>,
    /// The id that the target gave, as a string.
    pub job_id: Option<String>,
    /// The id by which it was polled last, if an answer gave an id other than `jobId`.
    pub next_id: Option<String>,
    /// The W3C trace id that the submission carried: 32 hexadecimal digits.
    pub trace_id: Option<String>,
    /// The W3C span id that the submission carried, which is the parent of the target's first span: 16 hexadecimal digits.
    pub span_id: Option<String>,
    /// The HTTP status that answered the submission.
    pub http_status: Option<u16>,
    /// The time at which the open model's schedule wanted it submitted; latency counts from here.
    pub due_at: Option<Timestamp>,
    /// Just before the submission was sent.
    pub submitted_at: Option<Timestamp>,
    /// The moment at which the last byte of its file had been handed to the connection, where the submission sends the file.
    pub uploaded_at: Option<Timestamp>,
    /// Just before it was submitted again under the idempotency key of the submission at `submittedAt`, whose answer was
    /// lost. Either of the two may have made the job.
    pub resubmitted_at: Option<Timestamp>,
    /// The part of the time from its submission to its answer in which the harness stood still, so that the answer may have come
    /// that much earlier.
    pub frozen_seconds: Option<f64>,
    /// The seconds for which its submission waited for an access token; the harness is not blamed for them.
    pub token_wait_seconds: Option<f64>,
    /// The number of cookies saved for its polls: those that the answer to its submission set, as answers to polls have changed them.
    pub cookies_saved: Option<u64>,
    /// Just after its answer came.
    pub accepted_at: Option<Timestamp>,
    /// The last poll that saw it not yet started.
    pub not_started_at: Option<Timestamp>,
    /// The first poll that saw it started or ended; the start lies between `notStartedAt`, or else `submittedAt`, and this.
    pub started_at: Option<Timestamp>,
    /// The last poll that still saw it waiting or running.
    pub not_ended_at: Option<Timestamp>,
    /// The poll that saw the end; the end lies between `notEndedAt`, or else `submittedAt`, and this.
    pub ended_at: Option<Timestamp>,
    /// From `dueAt`, or else `submittedAt`, to `endedAt`: at most `durationErrorSeconds` too long.
    pub duration_seconds: Option<f64>,
    /// `endedAt` minus `notEndedAt`, or else minus `submittedAt`: the error of polling. A resubmitted job may also have
    /// begun at `resubmittedAt`.
    pub duration_error_seconds: Option<f64>,
    /// Number of polls that followed it.
    pub polls: Option<Polls>,
    /// The last status word that the target reported, verbatim.
    pub target_status: Option<String>,
    /// The server's own times of the job, by the server's clock.
    pub server_times: Option<ServerTimes>,
    /// Values at the profile's places of times that cannot be read as times, by the profile's key.
    pub unread_times: BTreeMap<String, String>,
    /// Doubts about it, as documented CamelCase words.
    pub flags: Vec<Flag>,
    /// The values that the profile's steps took from answers, for its templates: `{vars.NAME}`.
    pub variables: BTreeMap<String, Value>,
    /// The progress of its cancellation, if it was cancelled after it was given up.
    pub cancel: Option<Cancel>,
    /// The stages that the target reported, in its order.
    pub stages: Vec<Stage>,
    /// The last body that the target sent, verbatim.
    pub body: Option<String>,
}

impl JobStatus {
    /// Drops all times of the server, so that those from polls are used.
    pub fn forget_server_times(&mut self) {
        self.server_times = None;
        for stage in &mut self.stages {
            stage.forget_server_times();
        }
    }

    /// Raises the resolution of all server times to at least `seconds`.
    pub fn coarsen_server_times(&mut self, seconds: f64) {
        for resolution in self.resolutions_mut() {
            *resolution = Some(resolution.unwrap_or_default().max(seconds));
        }
    }

    /// Forgets which polls did not see a start or an end yet, if the server tells its time: their answers may have been old.
    pub fn forget_sightings_before(&mut self) {
        let told = self.server_times.unwrap_or_default();
        self.not_started_at = self.not_started_at.filter(|_| told.started_at.is_none());
        self.not_ended_at = self.not_ended_at.filter(|_| told.ended_at.is_none());
        for stage in self.stages.iter_mut().filter(|stage| stage.times_from == Some(TimesFrom::Server)) {
            let (has_start, has_end) = (stage.started_at.is_some(), stage.ended_at.is_some());
            let Some(seen) = &mut stage.seen else { continue };
            seen.not_started_at = seen.not_started_at.filter(|_| !has_start);
            seen.not_ended_at = seen.not_ended_at.filter(|_| !has_end);
        }
    }

    /// Moves the polls that did not see a start or an end yet `seconds` back.
    pub fn set_sightings_back(&mut self, seconds: f64) {
        let of_stages = self.stages.iter_mut().flat_map(|stage| {
            let seen = stage.seen.as_mut().map(|seen| [&mut seen.not_started_at, &mut seen.not_ended_at]);
            [&mut stage.not_started_at, &mut stage.not_ended_at].into_iter().chain(seen.into_iter().flatten())
        });
        let begin = self.submitted_at.or(self.accepted_at);
        for time in [&mut self.not_started_at, &mut self.not_ended_at].into_iter().chain(of_stages) {
            *time = time.map(|time| time.shifted(-seconds)).filter(|time| begin.is_none_or(|begin| *time >= begin));
        }
    }

    /// Lets each of the server's times be off by `seconds` more.
    pub fn blur_server_times(&mut self, seconds: f64) {
        for resolution in self.resolutions_mut() {
            *resolution = Some(resolution.unwrap_or_default() + seconds);
        }
    }

    /// The resolutions of the server's times, of the job and of its stages.
    fn resolutions_mut(&mut self) -> impl Iterator<Item = &mut Option<f64>> {
        let of_job = self.server_times.iter_mut().map(|times| &mut times.resolution_seconds);
        of_job.chain(self.stages.iter_mut().map(|stage| &mut stage.resolution_seconds))
    }

    /// The names of the stages that are still running by the target's last answer.
    pub fn running_stages(&self) -> Vec<&str> {
        let running = self.stages.iter().filter(|stage| stage.phase == StagePhase::Running && !stage.unlisted);
        running.map(|stage| stage.name.as_str()).collect()
    }

    /// The names of the stages of the last answer that failed in their last attempt, or in an instance beside which others ran.
    pub fn failed_stages(&self) -> Vec<&str> {
        let stages = || self.stages.iter().enumerate();
        let is_forgiven = |earlier: (usize, &Stage)| stages().any(|later| is_retry(earlier, later));
        let is_failed = |stage: &Stage| stage.phase == StagePhase::Failed && !stage.unlisted;
        let failed = stages().filter(|stage| is_failed(stage.1) && !is_forgiven(*stage));
        failed.map(|(_, stage)| stage.name.as_str()).collect()
    }
}

/// Returns true if `later` is a later attempt of the stage `earlier`: it has a higher number, or without numbers it began once the
/// other had ended. Each is given with its place.
pub fn is_retry((place, earlier): (usize, &Stage), (later_place, later): (usize, &Stage)) -> bool {
    if later.name != earlier.name {
        return false;
    }
    if let (Some(first), Some(second)) = (earlier.attempt, later.attempt) {
        return second > first;
    }
    let (before, after) = (earlier.server_times(), later.server_times());
    let began_after = before.ended_at.zip(after.started_at).is_some_and(|(ended, began)| began >= ended);
    // Of two that took no time, one is the later.
    began_after && (before.started_at, place) < (after.started_at, later_place)
}

/// The progress of a job's cancellation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Cancel {
    /// The cancellation was requested, and the target did not accept the request.
    Asked,
    /// The target accepted the request.
    Answered,
    /// A later poll saw the job ended, or gone.
    Confirmed,
}

/// Number of polls that followed a job, and of those that brought nothing.
#[apply(part!)]
#[derive(Copy, Eq)]
pub struct Polls {
    /// Polls sent.
    pub sent: u64,
    /// Polls without a usable answer: transport errors, refusals, bodies that are not JSON.
    pub failed: u64,
}

/// Times by the server's clock.
#[apply(part!)]
#[derive(Copy)]
pub struct ServerTimes {
    /// The time at which it was put into its queue.
    pub queued_at: Option<Timestamp>,
    /// The time at which work on it began.
    pub started_at: Option<Timestamp>,
    /// The time at which it ended.
    pub ended_at: Option<Timestamp>,
    /// Resolution of the coarsest of them, where that is coarser than a microsecond: the truth lies up to this much later, or earlier
    /// if the server rounds its times.
    pub resolution_seconds: Option<f64>,
}

impl ServerTimes {
    /// Returns true if the server gave none of them.
    pub fn is_empty(&self) -> bool {
        [self.queued_at, self.started_at, self.ended_at].iter().all(Option::is_none)
    }
}

/// Polls between which a stage started and ended.
#[apply(part!)]
#[derive(Copy, Eq)]
pub struct StageSightings {
    /// The last poll that saw it not yet started.
    pub not_started_at: Option<Timestamp>,
    /// The first poll that saw it started or ended.
    pub started_at: Option<Timestamp>,
    /// The last poll that saw it not yet ended.
    pub not_ended_at: Option<Timestamp>,
    /// The first poll that saw it ended.
    pub ended_at: Option<Timestamp>,
}

/// One stage of one job.
#[apply(part!)]
pub struct Stage {
    /// The stage's name, as the target calls it.
    pub name: String,
    /// The target's word for its state, verbatim.
    pub state: Option<String>,
    /// The meaning that the profile gives to that word.
    pub phase: StagePhase,
    /// The error that the target names for it.
    pub message: Option<String>,
    /// The attempt that the target counted, from 1.
    pub attempt: Option<u64>,
    /// True if the job's last answer did not list this stage; the fields then hold what the last answer that listed it said.
    pub unlisted: bool,
    /// The source of these times.
    pub times_from: Option<TimesFrom>,
    /// The time at which it was put into its queue; only a server knows that.
    pub queued_at: Option<Timestamp>,
    /// By polls: the last poll that saw it not yet started.
    pub not_started_at: Option<Timestamp>,
    /// By the server: the start. By polls: the first poll that saw it started or ended.
    pub started_at: Option<Timestamp>,
    /// By polls: the last poll that saw it not yet ended.
    pub not_ended_at: Option<Timestamp>,
    /// By the server: the end. By polls: the first poll that saw it ended.
    pub ended_at: Option<Timestamp>,
    /// By the server: the resolution of the coarsest of these times, where that is coarser than a microsecond.
    pub resolution_seconds: Option<f64>,
    /// By the server: the polls between which the stage was seen to start and to end.
    pub seen: Option<StageSightings>,
}

impl Stage {
    /// The polls between which it was seen to start and to end; none if no poll saw it started.
    pub fn sightings(&self) -> Option<StageSightings> {
        match self.times_from {
            Some(TimesFrom::Polls) => Some(StageSightings {
                not_started_at: self.not_started_at,
                started_at: self.started_at,
                not_ended_at: self.not_ended_at,
                ended_at: self.ended_at,
            }),
            _ => self.seen,
        }
    }

    /// Drops its server times, so that those from polls are used.
    fn forget_server_times(&mut self) {
        let seen = self.sightings();
        (self.queued_at, self.resolution_seconds, self.seen) = (None, None, None);
        self.times_from = seen.map(|_| TimesFrom::Polls);
        let StageSightings { not_started_at, started_at, not_ended_at, ended_at } = seen.unwrap_or_default();
        (self.not_started_at, self.started_at) = (not_started_at, started_at);
        (self.not_ended_at, self.ended_at) = (not_ended_at, ended_at);
    }

    /// The server's times of it.
    pub fn server_times(&self) -> ServerTimes {
        let by_server = |time: Option<Timestamp>| time.filter(|_| self.times_from == Some(TimesFrom::Server));
        ServerTimes {
            queued_at: self.queued_at,
            started_at: by_server(self.started_at),
            ended_at: by_server(self.ended_at),
            resolution_seconds: self.resolution_seconds,
        }
    }
}

/// The source of a stage's times, and thereby their clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum TimesFrom {
    /// The server gave them, by its own clock.
    Server,
    /// They were seen from outside, by the harness's clock, as intervals between polls.
    Polls,
}

/// The meaning that a profile gives to the target's word for a stage's state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum StagePhase {
    /// Not begun.
    Waiting,
    /// Being worked on.
    Running,
    /// Ended well.
    Done,
    /// Ended badly.
    Failed,
    /// A word that the profile does not name.
    #[default]
    Unnamed,
}

impl StagePhase {
    /// Returns true if a stage that was last seen in this phase may have ended unseen before its job did, which succeeded or failed.
    /// `unlisted`: the job's last answer did not list it.
    pub fn may_have_ended(self, unlisted: bool, has_succeeded: bool) -> bool {
        match self {
            Self::Done => false,
            Self::Unnamed => true,
            Self::Running => unlisted || has_succeeded,
            // A stage that failed may have been tried again.
            Self::Waiting | Self::Failed => unlisted && has_succeeded,
        }
    }

    /// Returns true if the last answer about the job, which ended in `phase`, did not list the stage (`unlisted`), and no earlier one
    /// showed its end.
    pub fn has_vanished(self, unlisted: bool, phase: Phase) -> bool {
        unlisted && self.may_have_ended(true, phase == Phase::Succeeded)
    }
}

/// The last known phase of a job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, strum::Display)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Phase {
    /// Its file is in place; nothing was sent.
    #[default]
    Staged,
    /// Its submission was begun; without an answer it is not known whether it runs.
    Submitting,
    /// The target took it and gave an id.
    Submitted,
    /// Still not ended at the deadline.
    TimedOut,
    /// The target no longer knows its id.
    Lost,
    /// The submission was sent and no usable answer came: it may run.
    Unknown,
    /// The harness was stopped while it was running.
    Interrupted,
    /// Ended well.
    Succeeded,
    /// Ended badly.
    Failed,
    /// Refused: it certainly does not run.
    Rejected,
}

impl Phase {
    /// The amount of knowledge in a phase; of two records of one job the one that knows more wins.
    pub const fn rank(self) -> u8 {
        match self {
            Self::Staged => 0,
            Self::Submitting => 1,
            Self::Submitted => 2,
            Self::TimedOut | Self::Lost | Self::Unknown | Self::Interrupted => 3,
            Self::Succeeded | Self::Failed | Self::Rejected => 5,
        }
    }

    /// The rank of a record whose job may have been polled at another target than its own (`is_elsewhere`): an end seen there may be that
    /// of another job.
    pub const fn rank_polled(self, is_elsewhere: bool) -> u8 {
        if is_elsewhere && self.is_final() { 4 } else { self.rank() }
    }

    /// Returns true once the submission was answered or given up.
    const fn is_submitted(self) -> bool {
        self.rank() >= Self::Submitted.rank()
    }

    /// Returns true if the run ends with the job in this phase; a resumed run may still see its end.
    pub const fn is_terminal(self) -> bool {
        self.rank() > Self::Submitted.rank()
    }

    /// Returns true if the job's end is known, so that no later record can say more.
    pub const fn is_final(self) -> bool {
        self.rank() == Self::Succeeded.rank()
    }
}
