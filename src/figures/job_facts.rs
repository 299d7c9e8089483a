//! Facts about a job that figures need, in little memory: a report holds them for every job, and no job's record.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::stage_times::StageTimes;
use crate::record::{
    Cancel, ClockOffset, Flag, Job, JobStatus, Phase, Polls, Stage, StagePhase, StageSpec, TimesFrom, Timestamp,
};

/// A name that many jobs share: one pointer, unlike an `Arc<str>`.
pub type SharedName = Arc<String>;

/// Names that many jobs share, each held once.
#[derive(Clone, Debug, Default)]
pub struct SharedNames(BTreeMap<String, SharedName>);

impl SharedNames {
    /// The one copy of `name`.
    pub fn get(&mut self, name: &str) -> SharedName {
        if let Some(held) = self.0.get(name) {
            return held.clone();
        }
        self.0.entry(name.to_owned()).or_insert(name.to_owned().into()).clone()
    }
}

/// Facts about one job, by its last record. The fields are those of [`JobStatus`].
#[derive(Clone, Debug)]
pub struct JobFacts {
    /// The last known phase of the job.
    pub phase: Phase,
    /// The HTTP status that answered the submission.
    pub http_status: Option<u16>,
    /// The id that the target gave.
    pub job_id: Option<Box<str>>,
    /// The time at which the record was written.
    pub observed_at: Option<Timestamp>,
    /// The time at which the schedule wanted it submitted.
    pub due_at: Option<Timestamp>,
    /// Just before the submission was sent.
    pub submitted_at: Option<Timestamp>,
    /// Just after its answer came.
    pub accepted_at: Option<Timestamp>,
    /// The last poll that still saw it waiting or running.
    pub not_ended_at: Option<Timestamp>,
    /// The poll that saw the end.
    pub ended_at: Option<Timestamp>,
    /// The duration that the record states, and its error, in seconds.
    pub duration: Option<(f64, f64)>,
    /// Number of polls that followed it.
    pub polls: Option<Polls>,
    /// The base URL that it was submitted to.
    pub target: Option<SharedName>,
    /// Doubts about it.
    pub flags: Box<[Flag]>,
    /// The stages that the target reported, in its order.
    pub stages: Box<[StageFacts]>,
    rare: Option<Box<RareFacts>>,
}

/// Facts that hardly any job has.
#[derive(Clone, Debug, PartialEq)]
pub struct RareFacts {
    /// The seconds for which its submission waited for a token.
    pub token_wait: Option<f64>,
    /// The id by which it was polled, if that was another than the target gave at first.
    pub next_id: Option<Box<str>>,
    /// The base URL at which it was polled, if that was another than it was submitted to.
    pub polled_target: Option<SharedName>,
    /// The progress of its cancelling.
    pub cancel: Option<Cancel>,
    /// Values that are no times, by the profile's key.
    pub unread_times: Vec<(SharedName, Box<str>)>,
    /// The names of the stages that failed in their last attempt, or in an instance beside which others ran.
    pub failed_stages: Vec<SharedName>,
    /// The stages whose state the profile does not name, with the target's word for it.
    pub unnamed_states: Vec<(SharedName, Option<Box<str>>)>,
}

static NOTHING_RARE: RareFacts = RareFacts {
    token_wait: None,
    next_id: None,
    polled_target: None,
    cancel: None,
    unread_times: Vec::new(),
    failed_stages: Vec::new(),
    unnamed_states: Vec::new(),
};

/// Facts about one stage of a job.
#[derive(Clone, Debug)]
pub struct StageFacts {
    /// The stage's name.
    pub name: SharedName,
    /// The meaning that the profile gives to that word.
    pub phase: StagePhase,
    /// The last answer did not list it.
    pub unlisted: bool,
    /// The source of its times.
    pub times_from: Option<TimesFrom>,
    /// The record states a start.
    pub has_start: bool,
    /// The server stated the start.
    pub has_server_start: bool,
    /// Number of its attempts, at least 1.
    pub attempts: u32,
    /// Times of the wait for it and of the work in it.
    pub times: StageTimes,
}

impl StageFacts {
    /// Returns true if it is running by the last answer.
    pub fn is_running(&self) -> bool {
        self.phase == StagePhase::Running && !self.unlisted
    }
}

impl RareFacts {
    fn of(status: &JobStatus, names: &mut SharedNames) -> Self {
        let unnamed = status.stages.iter().filter(|stage| stage.phase == StagePhase::Unnamed);
        Self {
            token_wait: status.token_wait_seconds,
            next_id: status.next_id.as_deref().map(Box::from),
            polled_target: status.polled_target.as_deref().map(|url| names.get(url)),
            cancel: status.cancel,
            unread_times: status
                .unread_times
                .iter()
                .map(|(key, value)| (names.get(key), value.as_str().into()))
                .collect(),
            failed_stages: status.failed_stages().into_iter().map(|name| names.get(name)).collect(),
            unnamed_states: unnamed
                .map(|stage| (names.get(&stage.name), stage.state.as_deref().map(Box::from)))
                .collect(),
        }
    }
}

impl JobFacts {
    /// The facts about `job`, in a pipeline of `stages`, with the target's clock `offset` from the harness's.
    pub fn new(job: &Job, stages: &[StageSpec], offset: Option<ClockOffset>, names: &mut SharedNames) -> Self {
        let status = &job.status;
        let target = status.target.as_deref().map(|url| names.get(url));
        let rare = RareFacts::of(status, names);
        let stage = |stage: &Stage| StageFacts {
            name: names.get(&stage.name),
            phase: stage.phase,
            unlisted: stage.unlisted,
            times_from: stage.times_from,
            has_start: stage.started_at.is_some(),
            has_server_start: stage.server_times().started_at.is_some(),
            attempts: stage.attempt.map_or(1, |attempt| u32::try_from(attempt).unwrap_or(u32::MAX).max(1)),
            times: StageTimes::compute(job, stage, stages, offset),
        };
        Self {
            phase: status.phase,
            http_status: status.http_status,
            job_id: status.job_id.as_deref().map(Box::from),
            observed_at: status.observed_at,
            due_at: status.due_at,
            submitted_at: status.submitted_at,
            accepted_at: status.accepted_at,
            not_ended_at: status.not_ended_at,
            ended_at: status.ended_at,
            duration: status.duration_seconds.zip(status.duration_error_seconds),
            polls: status.polls,
            target,
            flags: status.flags.clone().into(),
            stages: status.stages.iter().map(stage).collect(),
            rare: (rare != NOTHING_RARE).then(|| rare.into()),
        }
    }

    /// What hardly any job has.
    pub fn rare(&self) -> &RareFacts {
        self.rare.as_deref().unwrap_or(&NOTHING_RARE)
    }

    /// The names of the stages that are still running by the target's last answer.
    pub fn running_stages(&self) -> Vec<&str> {
        self.stages.iter().filter(|stage| stage.is_running()).map(|stage| stage.name.as_str()).collect()
    }

    /// The names of the stages that the last answer did not list, and whose ends no answer showed.
    pub fn vanished_stages(&self) -> Vec<&str> {
        let has_vanished = |stage: &&StageFacts| stage.phase.has_vanished(stage.unlisted, self.phase);
        self.stages.iter().filter(has_vanished).map(|stage| stage.name.as_str()).collect()
    }
}
