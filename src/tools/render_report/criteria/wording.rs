//! Words for jobs that criteria have in common.

use crate::figures::tally::JobEntry;
use crate::figures::{in_groups, jobs, listed};
use crate::record::Flag;

/// Number of characters after which a sentence names no further fate; the tables have all of them.
const TOLD: usize = 240;

/// The first of `parts`, as many as the sentence has room for, and how many there are more.
pub(super) fn first(parts: &[String]) -> String {
    let mut length = 0;
    let fits = |part: &&String| {
        length += part.chars().count();
        length <= TOLD
    };
    let shown = parts.iter().take_while(fits).count().max(1).min(parts.len());
    let text = parts[..shown].join(", ");
    if shown < parts.len() { format!("{text} and {} more", parts.len() - shown) } else { text }
}

/// `1 of 12 jobs has`, `2 of 12 jobs have`.
pub(super) fn of(count: usize, asked: u64, one: &str, many: &str) -> String {
    format!("{count} of {} {}", jobs(asked), if count == 1 { one } else { many })
}

/// Lists jobs with a description each; jobs with the same description share it: `a, b timed out, c lost`.
pub(super) fn shared(said: impl IntoIterator<Item = (String, String)>) -> Vec<String> {
    let groups = in_groups(said.into_iter().map(|(name, what)| (what, name)));
    groups.into_iter().map(|(what, names)| format!("{} {what}", listed(names))).collect()
}

/// Returns true if the record of the job has `flag`.
pub(super) fn is_flagged(entry: &JobEntry, flag: &Flag) -> bool {
    entry.job.as_ref().is_some_and(|job| job.flags.contains(flag))
}
