//! The capture's files: written under a name of their own while they grow, renamed when they are whole.

use std::fs::{self, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::{NamedTempFile, TempDir};

use crate::capture::file_name;
use crate::cli::{Console, Failure};

/// The directory below the run's, and what records call it.
pub(super) const DIRECTORY: &str = "prometheus";

/// A place for files that are not known to be wanted yet. It goes with what is left in it.
#[derive(Debug)]
pub(super) struct Aside(TempDir);

impl Aside {
    /// Makes one in `dir`, so that what is wanted can be renamed.
    pub(super) fn new(dir: &Path) -> Result<Self, Failure> {
        let made = tempfile::Builder::new().prefix(".aside-").tempdir_in(dir);
        made.map(Self).map_err(|error| Failure::io(&dir.display().to_string(), &error))
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }
}

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

    /// The envelope.
    pub(super) fn whole(&self) -> String {
        format!("{}.json", self.stem)
    }

    /// The envelope of chunk `number`, from 1.
    pub(super) fn chunk(&self, number: usize) -> String {
        format!("{}.chunk-{number:03}.json", self.stem)
    }

    /// The samples as they were scraped.
    pub(super) fn raw(&self) -> String {
        format!("{}.raw.json", self.stem)
    }

    /// The table.
    pub(super) fn table(&self) -> String {
        format!("{}.csv", self.stem)
    }

    /// Where `name` stands.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Takes away what an earlier capture left under these names: what stands there afterwards is what the record says.
    pub(super) fn clear(&self) -> Result<(), Failure> {
        let failed = |error: &io::Error| Failure::io(&self.dir.display().to_string(), error);
        let chunk = format!("{}.chunk-", self.stem);
        for entry in fs::read_dir(&self.dir).map_err(|error| failed(&error))? {
            let entry = entry.map_err(|error| failed(&error))?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            let number = name.strip_prefix(&chunk).and_then(|rest| rest.strip_suffix(".json"));
            let is_chunk = number.is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()));
            if is_chunk || [self.whole(), self.raw(), self.table()].contains(&name) {
                let path = entry.path();
                fs::remove_file(&path).map_err(|error| Failure::io(&path.display().to_string(), &error))?;
            }
        }
        Ok(())
    }

    /// Puts what a capture laid aside in the place of what an earlier one left.
    pub(super) fn take(&self, aside: &Aside) -> Result<(), Failure> {
        self.clear()?;
        let failed = |error: &io::Error| Failure::io(&self.dir.display().to_string(), error);
        for entry in fs::read_dir(aside.path()).map_err(|error| failed(&error))? {
            let entry = entry.map_err(|error| failed(&error))?;
            fs::rename(entry.path(), self.dir.join(entry.file_name())).map_err(|error| failed(&error))?;
        }
        Ok(())
    }

    /// A file without a name, to be kept as one of these.
    pub(super) fn begin(&self) -> Result<NamedTempFile, Failure> {
        // What the umask leaves of these permissions, as for any file that a program makes.
        let made = tempfile::Builder::new()
            .prefix(".capture-")
            .permissions(Permissions::from_mode(0o666))
            .tempfile_in(&self.dir);
        made.map_err(|error| self.failed(&self.whole(), error))
    }

    /// Gives `file` its name.
    pub(super) fn keep(&self, file: NamedTempFile, name: &str) -> Result<(), Failure> {
        let path = self.path(name);
        file.persist(&path).map(drop).map_err(|error| self.failed(name, error.error))
    }

    /// That `name` could not be written.
    pub(super) fn failed(&self, name: &str, error: io::Error) -> Failure {
        Failure::io(&self.path(name).display().to_string(), &error)
    }
}

/// `name` as a record states it: relative to the run directory.
pub(super) fn recorded(name: &str) -> String {
    format!("{DIRECTORY}/{name}")
}

/// A reader that keeps a copy of all that is read through it, and says on the console how much that is.
pub(super) struct Copying<'a, R> {
    source: R,
    file: &'a mut NamedTempFile,
    bytes: u64,
    console: &'a Console,
    what: &'a str,
    /// Why the copy could not be written.
    trouble: Option<io::Error>,
}

impl<'a, R: Read> Copying<'a, R> {
    pub(super) fn new(source: R, file: &'a mut NamedTempFile, console: &'a Console, what: &'a str) -> Self {
        Self { source, file, bytes: 0, console, what, trouble: None }
    }

    /// Why the copy is not whole, if it is this side's fault.
    pub(super) fn finish(self) -> Result<(), io::Error> {
        self.trouble.map_or(Ok(()), Err)
    }
}

const MEBIBYTE: u64 = 1 << 20;

impl<R: Read> Read for Copying<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(buffer)?;
        if let Err(error) = self.file.write_all(&buffer[..count]) {
            self.trouble = Some(error);
            return Err(io::Error::other("the copy cannot be written"));
        }
        self.bytes += count as u64;
        let (bytes, what) = (self.bytes, self.what);
        // A line for an answer that is here at once would only flicker.
        if bytes >= MEBIBYTE {
            self.console.progress(|| format!("{what}: {} MiB", bytes / MEBIBYTE));
        }
        Ok(count)
    }
}
