//! What a leg processed. The names of its files bear the leg's own prefix, so their sizes must tell whether two legs had the
//! same ones: `jobs.json` has them.

use std::fs;
use std::path::Path;

use serde::Deserialize;

use super::legs::{Group, Run};
use super::short;
use crate::figures::listed;
use crate::record::{Job, JobSpec, Metadata};
use crate::scenario::JOBS;
use crate::units;

/// The sizes of the files of the counted jobs in bytes, ascending. None where `jobs.json` is not there or cannot be read, or
/// where one of its jobs has no size: one that was written by hand and has only a URL.
pub(super) fn sizes(directory: &Path) -> Option<Vec<u64>> {
    #[derive(Deserialize)]
    struct Outline {
        metadata: Metadata,
        #[serde(default)]
        spec: JobSpec,
    }
    #[derive(Deserialize)]
    struct List {
        items: Vec<Outline>,
    }
    let List { items } = serde_json::from_str(&fs::read_to_string(directory.join(JOBS)).ok()?).ok()?;
    let jobs = items.into_iter().map(|Outline { metadata, spec }| Job { metadata, spec, ..Job::default() });
    let mut sizes = jobs.filter(|job| !job.is_warmup()).map(|job| job.spec.bytes).collect::<Option<Vec<u64>>>()?;
    sizes.sort_unstable();
    Some(sizes)
}

/// The sizes that each leg tells.
pub(super) fn told(groups: &[Group]) -> impl Iterator<Item = (&Run, &[u64])> {
    groups.iter().flat_map(|group| &group.runs).filter_map(|run| Some((run, run.sizes()?)))
}

/// What different lists of sizes come to, in a few words each.
pub(super) fn texts<'a>(lists: impl Iterator<Item = &'a [u64]>) -> Vec<String> {
    let mut texts: Vec<String> = Vec::new();
    for sizes in lists {
        let all = sizes.iter().fold(0, |sum: u64, size| sum.saturating_add(*size)) as f64;
        let all = if all < 1e6 {
            format!("{} kB", units::decimal(all / 1e3))
        } else {
            format!("{} MB", units::decimal(all / 1e6))
        };
        let files = if sizes.len() == 1 { "1 file".to_owned() } else { format!("{} files", sizes.len()) };
        let text = format!("{files}, {all} in all");
        let other = if texts.contains(&text) { ", of other sizes" } else { "" };
        texts.push(text + other);
    }
    texts
}

/// That some legs do not tell what they processed, as a sentence.
pub(super) fn doubt(groups: &[Group]) -> Option<String> {
    let runs = groups.iter().flat_map(|group| &group.runs);
    let silent: Vec<String> = runs.filter(|run| run.sizes().is_none()).map(|run| short(&run.label)).collect();
    (!silent.is_empty()).then(|| {
        format!(
            "whether all legs had the same files is not known: {JOBS} of {} does not tell the size of each",
            listed(&silent)
        )
    })
}
