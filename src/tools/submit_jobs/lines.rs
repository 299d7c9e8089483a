//! `--lines`: a job from a plain source string, for use by hand.

use crate::record::{Job, JobSpec, JobStatus, Metadata, job_name};

/// The `number`-th line's job, from 1.
pub(super) fn job(run: &str, number: u64, source: String) -> Job {
    // How many lines will come is not known, so the names have the usual three digits, and more where they must.
    let metadata = Metadata { name: job_name("line", number, number), run: run.to_owned(), ..Metadata::default() };
    Job { metadata, spec: JobSpec { source, ..JobSpec::default() }, status: JobStatus::default() }
}
