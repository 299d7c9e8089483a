//! The outcome of a job, and the conservation line, which accounts for every job.

use std::fmt;

use crate::record::{Conservation, Phase};

/// The outcome of a job, in the order of the conservation line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// Ended well.
    Succeeded,
    /// Ended badly.
    Failed,
    /// Not ended at the deadline.
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
    NotSubmitted,
    /// Without a record.
    Missing,
}

impl Outcome {
    /// All of them, in the order of the conservation line.
    pub const ALL: [Self; 10] = [
        Self::Succeeded,
        Self::Failed,
        Self::TimedOut,
        Self::Lost,
        Self::Unknown,
        Self::Interrupted,
        Self::Rejected,
        Self::Unfinished,
        Self::NotSubmitted,
        Self::Missing,
    ];

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

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::TimedOut => "timed out",
            Self::Lost => "lost",
            Self::Unknown => "unknown",
            Self::Interrupted => "interrupted",
            Self::Rejected => "rejected",
            Self::Unfinished => "unfinished",
            Self::NotSubmitted => "not submitted",
            Self::Missing => "missing",
        })
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
    line_of(sums, |_| true)
}

/// The conservation line without the terms that are zero; the first one always stays.
pub fn short_conservation_line(sums: &Conservation) -> String {
    line_of(sums, |outcome| outcome == Outcome::Succeeded || count(sums, outcome) > 0)
}

fn line_of(sums: &Conservation, is_shown: impl Fn(Outcome) -> bool) -> String {
    let terms = Outcome::ALL.into_iter().filter(|outcome| is_shown(*outcome));
    let terms: Vec<String> = terms.map(|outcome| format!("{} {outcome}", count(sums, outcome))).collect();
    format!("{} asked = {}", sums.asked, terms.join(" + "))
}
