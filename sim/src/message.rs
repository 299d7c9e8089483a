//! A message on a stage's queue.

use std::time::Instant;

use crate::stage::Stage;

/// A message on a stage's queue.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Message {
    /// Index into the pipeline's jobs.
    pub(crate) job: usize,
    pub(crate) stage: Stage,
    /// From 1.
    pub(crate) attempt: u32,
    /// The span that published it.
    pub(crate) parent: u64,
    pub(crate) published: Instant,
}
