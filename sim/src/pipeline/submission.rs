//! The HTTP API's side of the pipeline: accepting jobs, and showing them.

use std::sync::Arc;

use axum::body::Bytes;
use chrono::TimeDelta;

use super::{Pipeline, World};
use crate::chance::Purpose;
use crate::fault::{self, Kind};
use crate::job::{Job, Submission, session_id};
use crate::stage::Stage;

/// The shift of a job's times by `--stale`.
const STALE: TimeDelta = TimeDelta::hours(-1);

/// The answer to a submission.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Accepted {
    pub(crate) id: String,
    pub(crate) status: String,
    /// For a new job its place in the order of acceptance, from 1; none for one that existed already.
    pub(crate) ordinal: Option<u64>,
}

/// A POST that is being answered; counted as open until dropped.
pub(crate) struct OpenPost {
    pipeline: Arc<Pipeline>,
    /// Its place among all POSTs, from 1.
    pub(crate) ordinal: u64,
}

impl Drop for OpenPost {
    fn drop(&mut self) {
        self.pipeline.world().posts_open -= 1;
    }
}

impl Pipeline {
    pub(crate) fn open_post(self: &Arc<Self>) -> OpenPost {
        let mut world = self.world();
        world.posts_open += 1;
        world.counts.posts += 1;
        world.counts.peak_posts = world.counts.peak_posts.max(world.posts_open);
        OpenPost { pipeline: Arc::clone(self), ordinal: world.counts.posts }
    }

    /// Accepts a submission; none if as many jobs are unfinished as `--capacity` allows.
    pub(crate) fn accept(&self, submission: Submission) -> Option<Accepted> {
        let faults = &self.options.faults;
        let now = self.clock.now();
        let mut guard = self.world();
        let world = &mut *guard;

        let repeated = submission.key.as_ref().and_then(|key| world.by_key.get(key)).copied();
        if let Some(index) = repeated {
            world.counts.repeated += 1;
            return Some(self.known(world, index));
        }
        let session = session_id(&submission.source);
        let unfinished = world.by_session.get(&session).copied();
        if let Some(index) = unfinished.filter(|index| !world.jobs[*index].status.ended()) {
            world.counts.collapsed += 1;
            if let Some(key) = submission.key {
                world.by_key.insert(key, index);
            }
            return Some(self.known(world, index));
        }
        if faults.capacity.is_some_and(|capacity| world.counts.unfinished >= capacity) {
            world.counts.refused += 1;
            return None;
        }

        world.counts.accepted += 1;
        world.counts.unfinished += 1;
        world.counts.peak_unfinished = world.counts.peak_unfinished.max(world.counts.unfinished);
        let accepted = world.counts.accepted;
        let ordinal = faults.number_by_name.then(|| number_in_name(&submission.source)).flatten().unwrap_or(accepted);
        let index = world.jobs.len();
        // By acceptance, so that two jobs never share an id.
        let id = format!("{:032x}", self.chance.wide(Purpose::JobId, [accepted, 0, 0]));
        let stale = fault::any(&faults.stale, self.chance, Kind::Stale, ordinal);
        let shift = if stale { STALE } else { TimeDelta::zero() };
        let trace = || self.chance.wide(Purpose::TraceId, [accepted, 0, 0]);
        let trace = submission.parent.map_or_else(trace, |parent| parent.trace);
        let job = Job::new(ordinal, id.clone(), submission, trace, now, shift);
        let status = job.status.sent(&self.options).to_owned();

        if !fault::any(&faults.lose, self.chance, Kind::Lose, ordinal) {
            world.by_id.insert(id.clone(), index);
        }
        world.by_session.insert(session, index);
        if let Some(key) = &job.submission.key {
            world.by_key.insert(key.clone(), index);
        }
        let answered = if fault::any(&faults.same_id, self.chance, Kind::SameId, ordinal) {
            world.jobs.last().map_or(id, |before| before.id.clone())
        } else {
            id
        };
        self.metrics.submitted();
        self.trace_submit(&job);
        world.jobs.push(job);
        self.publish(world, index, Stage::Whisper, self.submit_span(ordinal));
        Some(Accepted { id: answered, status, ordinal: Some(accepted) })
    }

    fn known(&self, world: &World, index: usize) -> Accepted {
        let job = &world.jobs[index];
        Accepted { id: job.id.clone(), status: job.status.sent(&self.options).to_owned(), ordinal: None }
    }

    /// Counts a poll; returns its place among all polls, from 1, and the job's document unless the id is unknown.
    pub(crate) fn poll(&self, id: &str) -> (u64, Option<Bytes>) {
        let mut guard = self.world();
        let world = &mut *guard;
        world.counts.polls += 1;
        let document = world.by_id.get(id).map(|index| {
            let job = &mut world.jobs[*index];
            job.polls += 1;
            job.document(&self.options)
        });
        (world.counts.polls, document)
    }

    /// Shows a job to `look`; none for an unknown id.
    pub(crate) fn look<T>(&self, id: &str, look: impl FnOnce(&Job) -> T) -> Option<T> {
        let world = self.world();
        world.by_id.get(id).map(|index| look(&world.jobs[*index]))
    }
}

/// Returns the number that ends the name of the source's file, before its extension: 3 for `soak/003.webm`.
fn number_in_name(source: &str) -> Option<u64> {
    let stem = std::path::Path::new(source).file_stem()?.to_str()?;
    let digits = stem.rfind(|letter: char| !letter.is_ascii_digit()).map_or(stem, |last| stem.split_at(last + 1).1);
    digits.parse().ok()
}
