//! Finding scenarios and reading what they say of themselves.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use walkdir::WalkDir;

use crate::cli::Console;
use crate::record::{Kind, Parsed, Record, Report, Run, Verdict};
use crate::tools::render_report::files::{MANIFEST, REPORT};
use crate::tools::render_report::intake::RECORDS;

/// One scenario's directory.
#[derive(Debug)]
pub(super) struct Scenario {
    /// Relative to the index, `/` between its parts.
    pub(super) path: String,
    /// Its report; none where there is none that can be read.
    pub(super) report: Option<Report>,
    /// Its Runs, as its manifest has them.
    pub(super) runs: Vec<Run>,
    /// Why it has no report.
    trouble: String,
}

impl Scenario {
    /// Its verdict; one that was never judged is not known.
    pub(super) fn verdict(&self) -> Verdict {
        self.report.as_ref().map(|report| report.status.verdict).unwrap_or_default()
    }

    /// Its verdict's cause.
    pub(super) fn cause(&self) -> String {
        self.report.as_ref().map_or_else(|| self.trouble.clone(), |report| report.status.cause.clone())
    }

    /// A label of its Run.
    pub(super) fn label(&self, name: &str) -> Option<&str> {
        let labels = self.runs.iter().map(|run| &run.metadata).chain(self.report.iter().map(|report| &report.metadata));
        labels.filter_map(|metadata| metadata.labels.get(name)).map(String::as_str).next()
    }

    /// How many jobs were asked for.
    pub(super) fn asked(&self) -> Option<u64> {
        self.report.as_ref().map(|report| report.status.conservation.asked)
    }

    /// How many of them did not succeed, or are not known to have.
    pub(super) fn not_succeeded(&self) -> Option<u64> {
        let sums = self.report.as_ref()?.status.conservation;
        Some(sums.asked.saturating_sub(sums.succeeded))
    }

    /// A figure of its report.
    pub(super) fn figure(&self, name: &str) -> Option<f64> {
        self.report.as_ref()?.status.figures.get(name).copied()
    }
}

/// The scenarios below `place`, by path, and whether every directory could be read.
pub(super) fn scan(place: &Path, console: &Console) -> (Vec<Scenario>, bool) {
    let (mut scenarios, mut whole) = (Vec::new(), true);
    let mut walk = WalkDir::new(place).min_depth(1).sort_by_file_name().into_iter();
    while let Some(found) = walk.next() {
        let entry = match found {
            Ok(entry) => entry,
            Err(error) => {
                console.say(&error.to_string());
                whole = false;
                continue;
            }
        };
        let is_scenario =
            entry.file_type().is_dir() && [REPORT, RECORDS].iter().any(|n| entry.path().join(n).is_file());
        if is_scenario {
            scenarios.push(read(place, entry.path()));
            walk.skip_current_dir();
        }
    }
    (scenarios, whole)
}

fn read(place: &Path, directory: &Path) -> Scenario {
    let relative: PathBuf = directory.strip_prefix(place).unwrap_or(directory).components().collect();
    let parts: Vec<_> = relative.iter().map(|part| part.to_string_lossy()).collect();
    let (report, trouble) = match report(&directory.join(REPORT)) {
        Ok(Some(report)) => (Some(report), String::new()),
        Ok(None) => (None, "it was begun and has no report; render-report --replay makes it".to_owned()),
        Err(error) => (None, format!("{REPORT}: {error}")),
    };
    Scenario { path: parts.join("/"), report, runs: runs(&directory.join(MANIFEST)), trouble }
}

fn report(path: &Path) -> io::Result<Option<Report>> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    match Record::parse(text.trim()).map_err(io::Error::other)? {
        Parsed::Record(record) if record.kind() == Kind::Report => record.read().map(Some).map_err(io::Error::other),
        _ => Err(io::Error::other("not a Report record")),
    }
}

/// The Runs of a manifest. Where it is missing or broken the labels of the Report, which are the Run's, must do.
fn runs(path: &Path) -> Vec<Run> {
    #[derive(Deserialize)]
    struct List {
        items: Vec<Run>,
    }
    let Ok(text) = fs::read_to_string(path) else { return Vec::new() };
    match Record::parse(text.trim()) {
        Ok(Parsed::Record(record)) => record.read().into_iter().collect(),
        Ok(Parsed::Other) => serde_json::from_str::<List>(&text).map(|list| list.items).unwrap_or_default(),
        Err(_) => Vec::new(),
    }
}
