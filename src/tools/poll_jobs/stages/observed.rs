//! One stage of a job as the polls saw it.

use itertools::Itertools;

use crate::profile::StageReading;
use crate::record::{StagePhase, StageSightings, Timestamp};

/// One stage as the polls saw it.
///
/// A list may have several entries of one name: instances that run side by side, or attempts. Nothing tells from one answer to the next
/// which entry is which, so all of them share the times: the first start or end lies after the first time, the last one before the second.
#[derive(Clone, Debug, Default)]
pub(super) struct ObservedStage {
    pub(super) name: Box<str>,
    /// The number of its entries in the last answer that told their states, and of those that had started and ended.
    pub(super) counts: Counts,
    /// The greatest number of an attempt.
    pub(super) attempt: u64,
    pub(super) running: bool,
    pub(super) sightings: StageSightings,
    /// The last answer that told its state.
    pub(super) told_at: Option<Timestamp>,
    /// The last answer before it was first listed that listed other stages.
    pub(super) unlisted_at: Option<Timestamp>,
    /// The last answer listed it.
    pub(super) is_listed: bool,
    /// The last answer told its state.
    pub(super) is_clear: bool,
    /// Its entries in the last answer that listed it, if a later one did not.
    pub(super) kept: Box<[StageReading]>,
}

/// Numbers of entries of one name.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) entries: usize,
    pub(super) started: usize,
    pub(super) ended: usize,
}

impl Counts {
    pub(super) fn of(phases: impl Iterator<Item = StagePhase>) -> Self {
        phases.fold(Self::default(), |counts, phase| Self {
            entries: counts.entries + 1,
            started: counts.started + usize::from(phase != StagePhase::Waiting),
            ended: counts.ended + usize::from(has_ended(phase)),
        })
    }
}

fn has_ended(phase: StagePhase) -> bool {
    matches!(phase, StagePhase::Done | StagePhase::Failed)
}

impl ObservedStage {
    /// Takes its `entries` in an answer that told of the job as it was at `as_of`, or later, and came at `received`. Returns true if more of
    /// them have started or ended.
    pub(super) fn see(&mut self, entries: &[&StageReading], as_of: Option<Timestamp>, received: Timestamp) -> bool {
        let phases = || entries.iter().map(|entry| entry.phase);
        self.is_listed = true;
        self.is_clear = !phases().contains(&StagePhase::Unnamed);
        self.running = phases().contains(&StagePhase::Running);
        if !self.is_clear {
            return false;
        }
        let (before, counts) = (self.told_at, Counts::of(phases()));
        let attempt = entries.iter().filter_map(|entry| entry.attempt).max().unwrap_or_default();
        let is_other_attempt = self.attempt > 0 && attempt > self.attempt;
        let has_changed = is_other_attempt
            || counts.entries < self.counts.entries
            || counts.started < self.counts.started
            || counts.ended < self.counts.ended;
        if counts.started == 0 || has_changed && self.counts.entries.max(counts.entries) == 1 {
            // Another attempt: the server's times are those of the last one, and so are these.
            self.sightings = StageSightings::default();
        }
        // Of several entries, it is not known which one has changed. Each may have started or ended up to now.
        let known = if has_changed { Counts::default() } else { self.counts };
        let held = &mut self.sightings;
        let (more_started, more_ended) = (counts.started > known.started, counts.ended > known.ended);
        if more_started {
            held.not_started_at = if held.started_at.is_none() { before } else { held.not_started_at };
            held.started_at = Some(received);
        }
        if more_ended {
            held.not_ended_at = if held.ended_at.is_none() { before } else { held.not_ended_at };
            held.ended_at = Some(received);
        }
        (self.counts, self.attempt) = (counts, self.attempt.max(attempt));
        self.told_at = self.told_at.max(as_of);
        more_started || more_ended
    }

    /// What is known of an entry in `phase` by the polls alone.
    pub(super) fn seen(&self, phase: StagePhase) -> Option<StageSightings> {
        let held = self.sightings;
        held.started_at?;
        match phase {
            StagePhase::Waiting => None,
            StagePhase::Running => Some(StageSightings { not_ended_at: None, ended_at: None, ..held }),
            StagePhase::Done | StagePhase::Failed | StagePhase::Unnamed => Some(held),
        }
    }
}
