//! What the captures brought and what they missed, as the report names it.

use std::path::{Component, Path};

use crate::figures::listed;
use crate::record::{CaptureResult, Fold, Kind, Logs, Metadata, Series, Traces};

/// What is short, a sentence each, and the files that are there.
#[derive(Debug, Default)]
pub(super) struct Captures {
    pub(super) doubts: Vec<String>,
    pub(super) files: Vec<String>,
}

/// The captures that `fold` tells of.
pub(super) fn captures(fold: &Fold) -> Captures {
    let mut captures = Captures::default();
    for Series { metadata, status, .. } in fold.of_kind(Kind::Series) {
        let why = status.message.or(status.reason);
        captures.take("series", &metadata, status.result, why.as_deref(), status.file);
    }
    for Traces { metadata, status, .. } in fold.of_kind(Kind::Traces) {
        let why = status.message.or(status.reason);
        captures.take("traces", &metadata, status.result, why.as_deref(), status.file);
        if !status.missing.is_empty() {
            let (count, ids) = (status.missing.len(), listed(&status.missing));
            captures.doubts.push(format!("{count} traces of jobs are missing from {}: {ids}", metadata.name));
        }
    }
    for Logs { metadata, status, .. } in fold.of_kind(Kind::Logs) {
        let why = status.message.or(status.reason);
        captures.take("logs", &metadata, status.result, why.as_deref(), status.file);
    }
    captures
}

impl Captures {
    fn take(
        &mut self,
        what: &str,
        metadata: &Metadata,
        result: CaptureResult,
        why: Option<&str>,
        file: Option<String>,
    ) {
        let word = match result {
            CaptureResult::Ok => None,
            CaptureResult::Empty => Some("is empty"),
            CaptureResult::Partial => Some("is not whole"),
            CaptureResult::Error => Some("failed"),
        };
        if let Some(word) = word {
            let why = why.map(|why| format!(": {why}")).unwrap_or_default();
            self.doubts.push(format!("the capture of {what} {} {word}{why}", metadata.name));
        }
        self.files.extend(file.filter(|file| is_inside(file)));
    }
}

/// Whether a path that a record names lies inside the run directory.
fn is_inside(file: &str) -> bool {
    !file.is_empty() && Path::new(file).components().all(|part| matches!(part, Component::Normal(_)))
}
