//! One job: its state, and the document that answers a poll.

use std::collections::BTreeMap;

use std::time::Instant;

use axum::body::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use crate::clock::rfc3339;
use crate::options::{Options, StageShape};
use crate::stage::Stage;
use crate::trace::TraceParent;

/// The state of a job or of one of its stages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
pub(crate) enum Status {
    Queued,
    Running,
    Done,
    Failed,
}

/// A POST that passed validation.
#[derive(Debug)]
pub(crate) struct Submission {
    pub(crate) source: String,
    /// Size of the audio file.
    pub(crate) bytes: u64,
    pub(crate) key: Option<String>,
    /// Its `traceparent`.
    pub(crate) parent: Option<TraceParent>,
    pub(crate) received: Instant,
}

/// One job of the pipeline.
#[derive(Debug)]
pub(crate) struct Job {
    /// Its place in the order of acceptance, from 1.
    pub(crate) ordinal: u64,
    pub(crate) id: String,
    pub(crate) submission: Submission,
    pub(crate) session: String,
    pub(crate) status: Status,
    pub(crate) error: Option<String>,
    stages: BTreeMap<Stage, StageState>,
    /// The number of inputs of the joining stage that have arrived.
    pub(crate) joined: u8,
    pub(crate) polls: u64,
    pub(crate) trace: u128,
    /// Added to every time in the document.
    pub(crate) shift: TimeDelta,
    created: String,
    started: Option<String>,
    finished: Option<String>,
    /// The document as last written; dropped by every change, so that polls between two changes cost one clone of a pointer.
    rendered: Option<Bytes>,
}

/// One stage of one job.
#[derive(Debug, Serialize)]
pub(crate) struct StageState {
    #[serde(skip)]
    status: Status,
    attempt: u32,
    queued_at: String,
    started_at: Option<String>,
    finished_at: Option<String>,
}

impl Status {
    pub(crate) fn word(self) -> &'static str {
        self.into()
    }

    /// The word that is sent for it.
    pub(crate) fn sent(self, options: &Options) -> &str {
        let mut spellings = options.faults.status_word.iter();
        spellings.find(|(word, _)| word == self.word()).map_or(self.word(), |(_, sent)| sent)
    }

    pub(crate) const fn ended(self) -> bool {
        matches!(self, Self::Done | Self::Failed)
    }
}

impl Job {
    pub(crate) fn new(
        ordinal: u64,
        id: String,
        submission: Submission,
        trace: u128,
        now: DateTime<Utc>,
        shift: TimeDelta,
    ) -> Self {
        Self {
            ordinal,
            id,
            session: session_id(&submission.source),
            submission,
            status: Status::Queued,
            error: None,
            stages: BTreeMap::new(),
            joined: 0,
            polls: 0,
            trace,
            shift,
            created: rfc3339(now + shift),
            started: None,
            finished: None,
            rendered: None,
        }
    }

    pub(crate) fn queue_stage(&mut self, stage: Stage, attempt: u32, now: DateTime<Utc>) {
        self.rendered = None;
        let queued_at = rfc3339(now + self.shift);
        let queued = StageState { status: Status::Queued, attempt, queued_at, started_at: None, finished_at: None };
        self.stages.insert(stage, queued);
    }

    pub(crate) fn start_stage(&mut self, stage: Stage, now: DateTime<Utc>) {
        self.rendered = None;
        let at = rfc3339(now + self.shift);
        if self.status == Status::Queued {
            self.status = Status::Running;
            self.started = Some(at.clone());
        }
        if let Some(state) = self.stages.get_mut(&stage) {
            state.status = Status::Running;
            state.started_at = Some(at);
        }
    }

    pub(crate) fn end_stage(&mut self, stage: Stage, status: Status, now: DateTime<Utc>) {
        self.rendered = None;
        if let Some(state) = self.stages.get_mut(&stage) {
            state.status = status;
            state.finished_at = Some(rfc3339(now + self.shift));
        }
    }

    pub(crate) fn end(&mut self, status: Status, error: Option<String>, now: DateTime<Utc>) {
        self.rendered = None;
        self.status = status;
        self.error = error;
        self.finished = Some(rfc3339(now + self.shift));
    }

    /// The document that `GET /jobs/{id}` answers.
    pub(crate) fn document(&mut self, options: &Options) -> Bytes {
        if let Some(rendered) = &self.rendered {
            return rendered.clone();
        }
        let rendered = Bytes::from(json(&Document {
            job_id: &self.id,
            status: self.status.sent(options),
            source: &self.submission.source,
            session_id: &self.session,
            created_at: &self.created,
            started_at: self.started.as_deref(),
            finished_at: self.finished.as_deref(),
            error: self.error.as_deref(),
            attempts: self.stages.values().map(|state| state.attempt).max().unwrap_or(0),
            stage_states: self
                .stages
                .iter()
                .map(|(stage, state)| (*stage, StageDocument::new(state, options)))
                .collect(),
        }));
        self.rendered = Some(rendered.clone());
        rendered
    }

    /// The row that `GET /jobs/{id}/result` answers once the job is done.
    pub(crate) fn result(&self, options: &Options) -> Vec<u8> {
        json(&serde_json::json!({
            "job_id": self.id,
            "session_id": self.session,
            "source": self.submission.source,
            "status": self.status.sent(options),
            "finished_at": self.finished,
            "summary": format!("Summary of {} bytes of audio.", self.submission.bytes),
        }))
    }
}

#[derive(Serialize)]
struct Document<'a> {
    job_id: &'a str,
    status: &'a str,
    source: &'a str,
    session_id: &'a str,
    created_at: &'a str,
    started_at: Option<&'a str>,
    finished_at: Option<&'a str>,
    error: Option<&'a str>,
    attempts: u32,
    /// The stages that were reached, in pipeline order.
    stage_states: BTreeMap<Stage, StageDocument<'a>>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum StageDocument<'a> {
    String(&'a str),
    Object {
        state: &'a str,
        #[serde(flatten)]
        stage: &'a StageState,
    },
}

impl<'a> StageDocument<'a> {
    fn new(stage: &'a StageState, options: &'a Options) -> Self {
        let word = stage.status.sent(options);
        match options.stage_shape {
            StageShape::String => Self::String(word),
            StageShape::Object => Self::Object { state: word, stage },
        }
    }
}

/// A session id is a function of the source alone (64-bit FNV-1a, in hexadecimal), so that a repeated source collapses.
pub(crate) fn session_id(source: &str) -> String {
    let hash = source
        .bytes()
        .fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3));
    format!("{hash:016x}")
}

/// JSON text of a value whose maps have string keys and whose numbers are integers.
pub(crate) fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("strings, integers and string-keyed maps always serialise")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_written_anew_only_after_a_change() {
        let (now, options) = (Utc::now(), Options { stage_shape: StageShape::String, ..Options::default() });
        let submission =
            Submission { source: "/data/a.webm".into(), bytes: 5, key: None, parent: None, received: Instant::now() };
        let mut job = Job::new(1, "a1".into(), submission, 1, now, TimeDelta::zero());
        let first = job.document(&options);
        assert_eq!(first.as_ptr(), job.document(&options).as_ptr());
        job.queue_stage(Stage::Whisper, 1, now);
        job.start_stage(Stage::Whisper, now);
        let text = String::from_utf8(job.document(&options).to_vec()).unwrap();
        assert!(text.contains(r#""status":"running""#), "{text}");
        assert!(text.ends_with(r#""attempts":1,"stage_states":{"whisper":"running"}}"#), "{text}");
    }

    #[test]
    fn the_session_depends_on_the_source_alone() {
        assert_eq!(session_id("/data/a.webm"), session_id("/data/a.webm"));
        assert_ne!(session_id("/data/a.webm"), session_id("/data/b.webm"));
        assert_eq!(session_id(""), "cbf29ce484222325");
    }
}
