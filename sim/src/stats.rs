//! The counts of a stand-in, for tests to assert on.

/// Counts since the start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stats {
    /// `POST /jobs/audio` requests, whatever the answer.
    pub posts: u64,
    /// `GET /jobs/{id}` requests, whatever the answer.
    pub polls: u64,
    /// Jobs created.
    pub accepted: u64,
    /// POSTs answered with the id of an unfinished job of the same source.
    pub collapsed: u64,
    /// POSTs answered with the id that their `Idempotency-Key` was given before.
    pub repeated: u64,
    /// POSTs refused by `--refuse` or `--capacity`.
    pub refused: u64,
    /// POSTs refused for what they said: malformed, or a source that is not there.
    pub invalid: u64,
    /// Jobs that ended as done.
    pub done: u64,
    /// Jobs that ended as failed.
    pub failed: u64,
    /// Jobs accepted and not ended.
    pub unfinished: usize,
    /// The most jobs that were unfinished at one time.
    pub peak_unfinished: usize,
    /// The most POSTs that were being answered at one time.
    pub peak_posts: usize,
    /// Stage attempts that raised and were published again.
    pub retries: u64,
    /// Messages that ran out of attempts.
    pub dead_letters: u64,
    /// Changes of the GPU's tenant.
    pub switches: u64,
    /// The most messages of one stage that ran at once.
    pub largest_batch: usize,
    /// Connections accepted on the job API.
    pub connections: u64,
    /// Each job, in the order of acceptance.
    pub jobs: Vec<JobStats>,
}

/// The counts and ids of one job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobStats {
    /// The id it runs under (which `--same-id` hides from the client).
    pub id: String,
    /// The source it was submitted with.
    pub source: String,
    /// The session derived from the source.
    pub session_id: String,
    /// `queued`, `running`, `done` or `failed`, whatever `--status-word` sends.
    pub status: &'static str,
    /// Polls for its id.
    pub polls: u64,
    /// The `Idempotency-Key` of its POST.
    pub idempotency_key: Option<String>,
    /// The trace id of its POST's `traceparent`, as 32 hexadecimal digits.
    pub trace_id: Option<String>,
    /// The trace that its spans are in: the one above, or one of its own.
    pub trace: String,
}
