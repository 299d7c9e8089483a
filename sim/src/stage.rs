//! The pipeline's shape: its stages, their workers, order and durations.

use std::str::FromStr;

use serde::Serialize;
use strum::VariantArray;

/// One stage of the pipeline, in pipeline order.
///
/// ```text
/// whisper → l1 ─┬→ decide → l2 → summarize_l2 ─┐
///               └→ summarize_l1 ───────────────┴→ l0 → persist
/// ```
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    strum::Display,
    strum::IntoStaticStr,
    VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Stage {
    /// Speech to text.
    Whisper,
    /// First pass of the language model over the transcript.
    L1,
    /// Decides what the second pass looks at.
    Decide,
    /// Summary of the first pass.
    SummarizeL1,
    /// Second pass.
    L2,
    /// Summary of the second pass.
    SummarizeL2,
    /// Joins both summaries; fires once, when both are there.
    L0,
    /// Writes the finished row.
    Persist,
}

/// A process that is scraped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::EnumString, strum::IntoStaticStr, VariantArray)]
pub(crate) enum Service {
    #[strum(serialize = "autorag-api")]
    Api,
    #[strum(serialize = "autorag-gpu-worker")]
    GpuWorker,
    #[strum(serialize = "autorag-io-worker")]
    IoWorker,
    #[strum(serialize = "rabbitmq")]
    Broker,
}

/// A worker process of the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Worker {
    /// Owns whisper and every language-model stage.
    Gpu,
    /// Owns persist.
    Io,
}

/// A model that holds the GPU's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Tenant {
    /// The speech model.
    Whisper,
    /// The language model.
    Llm,
}

impl Stage {
    /// Every stage, in pipeline order.
    pub const ALL: &'static [Self] = Self::VARIANTS;

    /// Queue, seconds alone on the GPU for a small file, and the stages that it publishes to.
    const fn profile(self) -> (&'static str, f64, &'static [Self]) {
        match self {
            Self::Whisper => ("stage.whisper", 4.0, &[Self::L1]),
            Self::L1 => ("stage.l1", 3.0, &[Self::Decide, Self::SummarizeL1]),
            Self::Decide => ("stage.decide", 0.8, &[Self::L2]),
            Self::SummarizeL1 => ("stage.summarize_l1", 2.0, &[Self::L0]),
            Self::L2 => ("stage.l2", 3.5, &[Self::SummarizeL2]),
            Self::SummarizeL2 => ("stage.summarize_l2", 2.0, &[Self::L0]),
            Self::L0 => ("stage.l0", 1.5, &[Self::Persist]),
            Self::Persist => ("stage.persist", 0.2, &[]),
        }
    }

    /// The name used in job documents, logs, spans and flags.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// The broker queue that its messages lie on.
    pub(crate) const fn queue(self) -> &'static str {
        self.profile().0
    }

    /// The stages that a finished stage publishes to.
    pub(crate) const fn next(self) -> &'static [Self] {
        self.profile().2
    }

    /// Seconds that the stage takes for a small file, alone on the GPU.
    pub(crate) const fn seconds(self) -> f64 {
        self.profile().1
    }

    /// The stage's place in [`Stage::ALL`].
    pub(crate) const fn index(self) -> usize {
        self as usize
    }

    /// The number of stages that must have finished before this one fires.
    pub(crate) const fn inputs(self) -> u8 {
        if matches!(self, Self::L0) { 2 } else { 1 }
    }

    pub(crate) const fn worker(self) -> Worker {
        if matches!(self, Self::Persist) { Worker::Io } else { Worker::Gpu }
    }

    /// The tenant that must be resident while this stage runs; none for a stage that needs no GPU.
    pub(crate) const fn tenant(self) -> Option<Tenant> {
        match self {
            Self::Persist => None,
            Self::Whisper => Some(Tenant::Whisper),
            _ => Some(Tenant::Llm),
        }
    }
}

impl FromStr for Stage {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let names = || Self::ALL.iter().map(|stage| stage.name()).collect::<Vec<_>>().join(", ");
        let found = Self::ALL.iter().find(|stage| stage.name() == text).copied();
        found.ok_or_else(|| format!("no stage is called '{text}': {}", names()))
    }
}

impl Service {
    pub(crate) const ALL: &'static [Self] = Self::VARIANTS;

    /// The service's name in traces, and its `job` label.
    pub(crate) fn name(self) -> &'static str {
        self.into()
    }
}

impl Worker {
    /// The service, whose name also names the log file.
    pub(crate) const fn service(self) -> Service {
        match self {
            Self::Gpu => Service::GpuWorker,
            Self::Io => Service::IoWorker,
        }
    }
}

impl Tenant {
    /// The word for a tenancy, counting an empty GPU as one.
    pub(crate) const fn word(tenant: Option<Self>) -> &'static str {
        match tenant {
            None => "none",
            Some(Self::Whisper) => "whisper",
            Some(Self::Llm) => "llm",
        }
    }

    /// Seconds to load this tenant's model into an empty GPU, and to move it out.
    pub(crate) const fn seconds(self) -> (f64, f64) {
        match self {
            Self::Whisper => (1.2, 0.2),
            Self::Llm => (2.0, 0.4),
        }
    }
}
