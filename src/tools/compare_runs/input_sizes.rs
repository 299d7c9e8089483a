//! The sizes of the files that a leg processed, from its `jobs.json`.
//!
//! File names bear the leg's own prefix, so only the sizes can show that two legs processed the same files.

use std::fs;
use std::path::Path;

use serde::Deserialize;

use crate::record::{Job, JobSpec, Metadata};
use crate::scenario::JOBS;
use crate::units;

/// Returns the sizes of the counted jobs' files in bytes, ascending. None if `jobs.json` is missing or unreadable, or if a
/// job has no size, such as one that was written by hand with only a URL.
pub(super) fn read(directory: &Path) -> Option<Vec<u64>> {
    #[derive(Deserialize)]
    struct Item {
        metadata: Metadata,
        #[serde(default)]
        spec: JobSpec,
    }
    #[derive(Deserialize)]
    struct List {
        items: Vec<Item>,
    }
    let List { items } = serde_json::from_str(&fs::read_to_string(directory.join(JOBS)).ok()?).ok()?;
    let jobs = items.into_iter().map(|Item { metadata, spec }| Job { metadata, spec, ..Job::default() });
    let mut sizes = jobs.filter(|job| !job.is_warmup()).map(|job| job.spec.bytes).collect::<Option<Vec<u64>>>()?;
    sizes.sort_unstable();
    Some(sizes)
}

/// Describes each list of sizes in a few words: `12 files, 1.20 MB in all`.
pub(super) fn describe<'a>(lists: impl Iterator<Item = &'a [u64]>) -> Vec<String> {
    let mut texts: Vec<String> = Vec::new();
    for sizes in lists {
        let bytes = sizes.iter().fold(0, |sum: u64, size| sum.saturating_add(*size)) as f64;
        let (value, unit) = if bytes < 1e6 { (bytes / 1e3, "kB") } else { (bytes / 1e6, "MB") };
        let files = if sizes.len() == 1 { "1 file".to_owned() } else { format!("{} files", sizes.len()) };
        let text = format!("{files}, {} {unit} in all", units::decimal(value));
        let differs = if texts.contains(&text) { ", of other sizes" } else { "" };
        texts.push(text + differs);
    }
    texts
}
