//! The outcome of a job, and the conservation line, which accounts for every job.

use itertools::Itertools;
use strum::VariantArray;

use crate::record::{Conservation, Phase};

/// The outcome of a job, in the order of the conservation line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, VariantArray, strum::Display)]
#[strum(serialize_all = "lowercase")]
pub enum Outcome {
    /// Ended well.
    Succeeded,
    /// Ended badly.
    Failed,
    /// Not ended at the deadline.
    #[strum(to_string = "timed out")]
    TimedOut,
    /// Forgotten by the target.
    Lost,
    /// Sent, and no usable answer came.
    Unknown,
    /// Running when the harness was stopped.
    Interrupted,
    /// Refused.
    Rejected,
    /// Last known as submitted.
    Unfinished,
    /// Last known as staged.
    #[strum(to_string = "not submitted")]
    NotSubmitted,
    /// Without a record.
    Missing,
}

impl Outcome {
    /// All of them, in the order of the conservation line.
    pub const ALL: &'static [Self] = Self::VARIANTS;

    /// Returns the outcome of a job whose last known phase is `phase`.
    pub const fn from_phase(phase: Phase) -> Self {
        match phase {
            Phase::Staged => Self::NotSubmitted,
            Phase::Submitted => Self::Unfinished,
            Phase::TimedOut => Self::TimedOut,
            Phase::Lost => Self::Lost,
            Phase::Submitting | Phase::Unknown => Self::Unknown,
            Phase::Interrupted => Self::Interrupted,
            Phase::Succeeded => Self::Succeeded,
            Phase::Failed => Self::Failed,
            Phase::Rejected => Self::Rejected,
        }
    }

    /// Returns true if the job is known not to have succeeded.
    pub const fn is_bad(self) -> bool {
        matches!(self, Self::Failed | Self::TimedOut | Self::Lost | Self::Rejected)
    }

    /// Returns true if the job's end is unknown: it may have succeeded.
    pub const fn is_open(self) -> bool {
        !matches!(self, Self::Succeeded) && !self.is_bad()
    }

    /// As a column says it: `TimedOut`.
    pub fn column(self) -> String {
        format!("{self:?}")
    }
}

/// Returns the number of jobs with `outcome` in `sums`.
pub fn count(sums: &Conservation, outcome: Outcome) -> u64 {
    let mut sums = *sums;
    *count_mut(&mut sums, outcome)
}

/// Returns the place of that number.
pub(super) const fn count_mut(sums: &mut Conservation, outcome: Outcome) -> &mut u64 {
    match outcome {
        Outcome::Succeeded => &mut sums.succeeded,
        Outcome::Failed => &mut sums.failed,
        Outcome::TimedOut => &mut sums.timed_out,
        Outcome::Lost => &mut sums.lost,
        Outcome::Unknown => &mut sums.unknown,
        Outcome::Interrupted => &mut sums.interrupted,
        Outcome::Rejected => &mut sums.rejected,
        Outcome::Unfinished => &mut sums.unfinished,
        Outcome::NotSubmitted => &mut sums.not_submitted,
        Outcome::Missing => &mut sums.missing,
    }
}

/// The conservation line: `12 asked = 10 succeeded + 1 failed + …`, every term in its place.
pub fn conservation_line(sums: &Conservation) -> String {
    let terms = Outcome::ALL.iter().map(|outcome| format!("{} {outcome}", count(sums, *outcome)));
    format!("{} asked = {}", sums.asked, terms.collect_vec().join(" + "))
}

/// The conservation line without the terms that are zero; the first one always stays.
pub fn short_conservation_line(sums: &Conservation) -> String {
    let others = unsuccessful(sums).map(|(outcome, jobs)| format!(" + {jobs} {outcome}")).join("");
    format!("{} asked = {} succeeded{others}", sums.asked, sums.succeeded)
}

/// The outcomes that jobs have, each with the number of its jobs, in the order of the conservation line.
pub fn counts(sums: &Conservation) -> impl Iterator<Item = (Outcome, u64)> {
    Outcome::ALL.iter().map(|outcome| (*outcome, count(sums, *outcome))).filter(|(_, jobs)| *jobs > 0)
}

/// The same without the jobs that succeeded.
pub fn unsuccessful(sums: &Conservation) -> impl Iterator<Item = (Outcome, u64)> {
    counts(sums).filter(|(outcome, _)| *outcome != Outcome::Succeeded)
}

/// The outcomes that jobs have, in words: `10 succeeded, 1 failed`.
pub fn counts_text(sums: &Conservation) -> String {
    counts(sums).map(|(outcome, jobs)| format!("{jobs} {outcome}")).join(", ")
}
