//! The directory of a shard: the file with the lines of every attempt, and the number of the attempt.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use crate::cli::{Console, Failure};
use crate::digest::Digest;
use crate::ndjson;
use crate::record::EndStatus;
use crate::scenario::RECORDS;

/// The file with the number of the latest attempt.
const ATTEMPT: &str = "attempt";

/// The file of a shard, open for one attempt.
pub(super) struct Store {
    path: PathBuf,
    file: File,
    attempt: u64,
    /// The digest of the whole file, earlier attempts included.
    digest: Digest,
    failed: bool,
}

impl Store {
    /// Opens the directory for the next attempt; its number is on disk when this returns.
    pub(super) fn open(dir: &Path) -> Result<Self, Failure> {
        let named = |path: &Path, error: &io::Error| Failure::io(&format!("--out {}", path.display()), error);
        fs::create_dir_all(dir).map_err(|error| named(dir, &error))?;
        let path = dir.join(RECORDS);
        let failed = |error: io::Error| named(&path, &error);
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(&path).map_err(failed)?;
        match file.try_lock() {
            // A file system without locks has to do without.
            Ok(()) | Err(TryLockError::Error(_)) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Failure::usage(format!(
                    "--out {}: another seal-shard is writing to it: wait until it has finished",
                    path.display()
                )));
            }
        }
        let digest = read_earlier(&mut file).map_err(failed)?;
        let attempt = next_attempt(dir, digest.bytes()).map_err(|error| named(&dir.join(ATTEMPT), &error))?;
        Ok(Self { path, file, attempt, digest, failed: false })
    }

    /// The number of this attempt, from 1.
    pub(super) fn attempt(&self) -> u64 {
        self.attempt
    }

    /// Returns true if a line could not be written.
    pub(super) fn failed(&self) -> bool {
        self.failed
    }

    /// Appends `line` with one write. After an error nothing more is appended: it would follow a line that was cut off.
    pub(super) fn append(&mut self, line: &[u8], console: &Console) {
        if self.failed {
            return;
        }
        let written = self.file.write_all(line);
        self.check(written, console);
        if !self.failed {
            self.digest.add(line);
        }
    }

    /// Describes the file in `status`.
    pub(super) fn describe(&self, status: &mut EndStatus) {
        status.file_sha256 = (!self.failed).then(|| self.digest.hex());
        status.file_bytes = self.digest.bytes();
    }

    /// Returns once everything is on disk.
    pub(super) fn close(&mut self, console: &Console) {
        if !self.failed {
            let synced = self.file.sync_all();
            self.check(synced, console);
        }
    }

    fn check(&mut self, result: io::Result<()>, console: &Console) {
        if let Err(error) = result {
            self.failed = true;
            console.say(&format!("--out {}: {error}; writing only stdout from here on", self.path.display()));
        }
    }
}

/// Reads what earlier attempts left, and gives a last line that was cut off its end.
fn read_earlier(file: &mut File) -> io::Result<Digest> {
    let (mut earlier, mut line) = (Digest::default(), Vec::new());
    let mut reader = BufReader::new(file.try_clone()?);
    loop {
        line.clear();
        if reader.read_until(b'\n', &mut line)? == 0 {
            return Ok(earlier);
        }
        if !line.ends_with(b"\n") {
            file.set_len(earlier.bytes())?;
            line = ndjson::mended(&line);
            file.write_all(&line)?;
        }
        earlier.add(&line);
    }
}

/// Counts this attempt in the directory.
fn next_attempt(dir: &Path, earlier_bytes: u64) -> io::Result<u64> {
    let path = dir.join(ATTEMPT);
    let last = match fs::read_to_string(&path) {
        Ok(text) => text.trim().parse().map_err(|_| io::Error::other("it holds no number: remove it"))?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => u64::from(earlier_bytes > 0),
        Err(error) => return Err(error),
    };
    let attempt = last + 1;
    let mut file = tempfile::NamedTempFile::new_in(dir)?;
    writeln!(file, "{attempt}")?;
    file.as_file().sync_all()?;
    file.persist(&path).map_err(|error| error.error)?;
    File::open(dir)?.sync_all()?;
    Ok(attempt)
}
