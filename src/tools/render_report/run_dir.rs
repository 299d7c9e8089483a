//! The run directory and the files in it. Each file is written under a temporary name and renamed, so that none is ever half
//! there.

use std::io::{self, Write};
use std::path::Path;

use crate::cli::{Console, Failure, cause};
use crate::scenario::replace_with;
pub(super) use crate::scenario::{HTML, MANIFEST, PAGE, RECORDS, REPORT};

/// The criteria for CI systems.
pub(super) const JUNIT: &str = "junit.xml";

/// The report for a browser without the words of the target.
pub(super) const REDACTED: &str = "report.redacted.html";

/// The lists of records, and the tables.
pub(super) const JOBS_JSON: &str = "jobs.json";
pub(super) const JOBS_CSV: &str = "jobs.csv";
pub(super) const STAGES_CSV: &str = "stages.csv";

/// Every file that makes a directory a scenario's, with its description.
pub(super) const FILES: &[(&str, &str)] = &[
    (PAGE, "the report"),
    (HTML, "the same with charts, for a browser"),
    (REDACTED, "a redacted copy, safe to share"),
    (REPORT, "the Report record: verdict, criteria, figures"),
    (JUNIT, "the criteria, as CI systems read them"),
    (JOBS_CSV, "one row per job"),
    (STAGES_CSV, "one row per job and stage"),
    (JOBS_JSON, "the last record of every job, as it came"),
    (MANIFEST, "the final Run record"),
    (RECORDS, "the stream itself, from which all other files can be rendered again"),
];

/// The file of a scenario that `directory` holds already, if any; the stream comes first.
pub(super) fn existing_file(directory: &Path) -> Option<&'static str> {
    let mut names = FILES.iter().rev().map(|(name, _)| *name);
    names.find(|name| directory.join(name).symlink_metadata().is_ok())
}

/// Checks that `directory` can be written before any work is done for it.
pub(super) fn check_writable(directory: &Path) -> Result<(), Failure> {
    // A file without a name, which is gone when it is closed. A disk that is full still gives empty ones.
    let written = tempfile::tempfile_in(directory).and_then(|mut file| file.write_all(&[0; 4096]));
    written.map_err(|error| Failure::io(&format!("{}: cannot write there", directory.display()), &error))
}

/// Returns true if a redacted page shall be made in `directory`: it was asked for, or there is one that would come to contradict
/// the others.
pub(super) fn wants_redacted_page(directory: &Path, asked: bool) -> bool {
    asked || directory.join(REDACTED).is_file()
}

/// A run directory, and the files that were written into it.
#[derive(Debug)]
pub(super) struct RunDir<'a> {
    directory: &'a Path,
    console: &'a Console,
    files: Vec<String>,
    failed: bool,
}

impl<'a> RunDir<'a> {
    /// A directory that holds `files` already.
    pub(super) fn new(directory: &'a Path, files: Vec<String>, console: &'a Console) -> Self {
        Self { directory, console, files, failed: false }
    }

    /// Makes a file of all that `write` writes. One that fails is reported and does not keep the others from being written.
    pub(super) fn write(&mut self, name: &str, write: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>) {
        match replace_with(self.directory, name, write) {
            Ok(()) => self.files.push(name.to_owned()),
            Err(error) => {
                self.console.say(&format!("{}: {}", self.directory.join(name).display(), cause(&error)));
                self.failed = true;
            }
        }
    }

    /// The files that are there.
    pub(super) fn files(&self) -> &[String] {
        &self.files
    }

    /// The first of these files that is there.
    pub(super) fn first_of(&self, names: &[&'static str]) -> Option<&'static str> {
        names.iter().copied().find(|name| self.files.iter().any(|file| file == name))
    }

    /// Some file could not be written.
    pub(super) fn failed(&self) -> bool {
        self.failed
    }
}
