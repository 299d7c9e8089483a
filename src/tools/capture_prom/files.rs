//! The capture's files: written under a name of their own while they grow, renamed when they are whole.

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use tempfile::{NamedTempFile, TempDir};

use crate::capture::{file_name, temporary_file};
use crate::cli::{Console, cause};
use crate::prometheus::Problem;
use crate::record::Reason;

/// The directory below the run's, and its name in records.
pub(super) const DIRECTORY: &str = "prometheus";

/// The names of one query's files.
#[derive(Clone, Debug)]
pub(super) struct Files {
    dir: PathBuf,
    stem: String,
}

impl Files {
    /// The files of the query `name` in `dir`.
    pub(super) fn new(dir: &Path, name: &str) -> Self {
        Self { dir: dir.to_owned(), stem: file_name(name) }
    }

    /// The name of the envelope.
    pub(super) fn whole(&self) -> String {
        format!("{}.json", self.stem)
    }

    /// The name of the envelope of chunk `number`, from 1.
    pub(super) fn chunk(&self, number: usize) -> String {
        format!("{}.chunk-{number:03}.json", self.stem)
    }

    /// The name of the file of the samples as they were scraped.
    pub(super) fn raw(&self) -> String {
        format!("{}.raw.json", self.stem)
    }

    /// The name of the table.
    pub(super) fn table(&self) -> String {
        format!("{}.csv", self.stem)
    }

    /// The path of `name`.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Removes the files of an earlier capture, so that the record and the directory agree afterwards.
    pub(super) fn clear(&self) -> Result<(), Problem> {
        let chunk = format!("{}.chunk-", self.stem);
        for name in names_in(&self.dir)? {
            let number = name.strip_prefix(&chunk).and_then(|rest| rest.strip_suffix(".json"));
            let is_chunk = number.is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()));
            if is_chunk || [self.whole(), self.raw(), self.table()].contains(&name) {
                fs::remove_file(self.path(&name)).map_err(|error| self.not_written(&name, &error))?;
            }
        }
        Ok(())
    }

    /// Replaces the files of an earlier capture by those that lie in `aside`.
    pub(super) fn take(&self, aside: &TempDir) -> Result<(), Problem> {
        self.clear()?;
        for name in names_in(aside.path())? {
            let moved = fs::rename(aside.path().join(&name), self.path(&name));
            moved.map_err(|error| self.not_written(&name, &error))?;
        }
        Ok(())
    }

    /// Creates a file without a name.
    pub(super) fn begin(&self) -> Result<NamedTempFile, Problem> {
        // The umask narrows these permissions, as for any file that a program creates.
        temporary_file(&self.dir).map_err(|error| self.not_written(&self.whole(), &error))
    }

    /// Gives `file` its name.
    pub(super) fn keep(&self, file: NamedTempFile, name: &str) -> Result<(), Problem> {
        file.persist(self.path(name)).map(drop).map_err(|error| self.not_written(name, &error.error))
    }

    /// The problem with a file that could not be written.
    pub(super) fn not_written(&self, name: &str, error: &io::Error) -> Problem {
        not_written(&self.path(name), error)
    }
}

fn not_written(path: &Path, error: &io::Error) -> Problem {
    Problem::new(Reason::NotWritten, format!("{}: {}", path.display(), cause(error)))
}

/// Creates a directory in `dir` for files that may not be kept; it goes with the files that are left in it.
pub(super) fn aside(dir: &Path) -> Result<TempDir, Problem> {
    tempfile::Builder::new().prefix(".aside-").tempdir_in(dir).map_err(|error| not_written(dir, &error))
}

fn names_in(dir: &Path) -> Result<Vec<String>, Problem> {
    let entries = fs::read_dir(dir).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    let entries = entries.map_err(|error| not_written(dir, &error))?;
    Ok(entries.into_iter().filter_map(|entry| entry.file_name().into_string().ok()).collect())
}

/// Returns `name` as a record states it: relative to the run directory.
pub(super) fn recorded(name: &str) -> String {
    format!("{DIRECTORY}/{name}")
}

/// A reader that copies everything to a file and shows on the console how much that is.
pub(super) struct Copying<'a, R> {
    source: R,
    file: &'a mut NamedTempFile,
    bytes: u64,
    console: &'a Console,
    name: &'a str,
    /// The error of the copy.
    error: Option<io::Error>,
}

impl<'a, R: Read> Copying<'a, R> {
    pub(super) fn new(source: R, file: &'a mut NamedTempFile, console: &'a Console, name: &'a str) -> Self {
        Self { source, file, bytes: 0, console, name, error: None }
    }

    /// Returns the error of the copy, if there was one.
    pub(super) fn finish(self) -> Result<(), io::Error> {
        self.error.map_or(Ok(()), Err)
    }
}

const MEBIBYTE: u64 = 1 << 20;

impl<R: Read> Read for Copying<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(buffer)?;
        if let Err(error) = self.file.write_all(&buffer[..count]) {
            self.error = Some(error);
            return Err(io::Error::other("the copy cannot be written"));
        }
        self.bytes += count as u64;
        // A line for an answer that is here at once would only flicker.
        if self.bytes >= MEBIBYTE {
            self.console.progress(|| format!("{}: {} MiB", self.name, self.bytes / MEBIBYTE));
        }
        Ok(count)
    }
}
