//! The files of a run directory: each is written under a temporary name and renamed, so that none is ever half there.

use std::io::{self, Write};
use std::path::Path;

use super::intake::texts;
use crate::cli::{Console, Failure, cause};
use crate::record::{API_VERSION, Fold, Kind};
pub(super) use crate::scenario::{HTML, MANIFEST, PAGE, REPORT};
use crate::scenario::{RECORDS, replace};

/// The criteria for CI systems.
pub(super) const JUNIT: &str = "junit.xml";

/// The same without what the target said.
pub(super) const REDACTED: &str = "report.redacted.html";

/// Every file that makes a directory a scenario's, with what it is.
pub(super) const DESCRIBED: &[(&str, &str)] = &[
    (PAGE, "the report"),
    (HTML, "the same with drawings, for a browser"),
    (REDACTED, "the same without what the target said, to be sent"),
    (REPORT, "the Report record: verdict, criteria, figures"),
    (JUNIT, "the criteria, as CI systems read them"),
    ("jobs.csv", "one row per job"),
    ("stages.csv", "one row per job and stage"),
    ("jobs.json", "the last record of every job, as it came"),
    (MANIFEST, "the final Run record"),
    (RECORDS, "the stream itself, from which all others can be made again"),
];

/// The names alone, the stream first: it is what tells a scenario's directory.
pub(super) const OURS: [&str; DESCRIBED.len()] = {
    let mut names = [""; DESCRIBED.len()];
    let mut index = 0;
    while index < names.len() {
        names[index] = DESCRIBED[DESCRIBED.len() - 1 - index].0;
        index += 1;
    }
    names
};

/// Checks that `directory` can be written, before any work is done for it.
pub(super) fn check_writable(directory: &Path) -> Result<(), Failure> {
    // A file without a name, which is gone when it is closed. A disk that is full still gives empty ones.
    let written = tempfile::tempfile_in(directory).and_then(|mut file| file.write_all(&[0; 4096]));
    written.map_err(|error| Failure::io(&format!("{}: cannot write there", directory.display()), &error))
}

/// What a tool wrote into a directory, and whether all of it went well.
#[derive(Debug)]
pub(super) struct Shelf<'a> {
    directory: &'a Path,
    console: &'a Console,
    written: Vec<String>,
    failed: bool,
}

impl<'a> Shelf<'a> {
    pub(super) fn new(directory: &'a Path, console: &'a Console) -> Self {
        Self { directory, console, written: Vec::new(), failed: false }
    }

    /// Writes a file, or says why not: one that fails does not keep the others from being written.
    pub(super) fn put(&mut self, name: &str, bytes: io::Result<Vec<u8>>) {
        match bytes.and_then(|bytes| replace(self.directory, name, &bytes)) {
            Ok(()) => self.written.push(name.to_owned()),
            Err(error) => {
                self.console.say(&format!("{}: {}", self.directory.join(name).display(), cause(&error)));
                self.failed = true;
            }
        }
    }

    /// Counts a file that is there already.
    pub(super) fn holds(&mut self, name: &str) {
        self.written.push(name.to_owned());
    }

    pub(super) fn written(&self) -> &[String] {
        &self.written
    }

    pub(super) fn failed(&self) -> bool {
        self.failed
    }
}

/// The records of `kind` as a Kubernetes list, an item a line, each as it was spelt.
pub(super) fn list(fold: &Fold, kind: Kind) -> Vec<u8> {
    let items: Vec<&str> = texts(fold, kind).collect();
    let items = if items.is_empty() { String::new() } else { format!("\n{}\n", items.join(",\n")) };
    format!("{{\"apiVersion\":\"{API_VERSION}\",\"kind\":\"List\",\"items\":[{items}]}}\n").into_bytes()
}

/// The Run record as it is where there is one, a list where there are several or none.
pub(super) fn manifest(fold: &Fold) -> Vec<u8> {
    let mut runs = texts(fold, Kind::Run);
    match (runs.next(), runs.next()) {
        (Some(only), None) => format!("{only}\n").into_bytes(),
        _ => list(fold, Kind::Run),
    }
}
