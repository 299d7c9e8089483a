//! The claim of a run on the directory that its files are staged in.
//!
//! The default target takes the same source for the same job, so two runs at once must not stage into one directory. A file
//! `.NAME.run` beside the directory names the run; whoever works for that run holds a shared lock on the file. `stage-fixtures` ends before
//! `submit-jobs` has read its first job, so a fresh mark counts as a lock for a short lease.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, SystemTime};

use rustix::fs::OFlags;

/// The time for which a directory belongs to the run that staged into it, even if nobody holds its lock.
const LEASE: Duration = Duration::from_secs(1);

/// The marked and locked directory of one run. Dropping it gives the lock back.
#[derive(Debug)]
pub struct Claim(File);

impl Claim {
    /// Claims `dir` for `run`, or returns `None` if another run uses it.
    pub fn new(dir: &Path, run: &str) -> io::Result<Option<Self>> {
        let mut file = open(dir, OpenOptions::new().read(true).write(true).create(true).truncate(false))?;
        loop {
            match file.try_lock() {
                Ok(()) if is_leased(&mut file, run)? => {
                    // Nobody can wait for a lock to be taken, so this asks again until the lease is over.
                    file.unlock()?;
                    thread::sleep(Duration::from_millis(10));
                }
                Ok(()) => {
                    mark(&mut file, run)?;
                    file.lock_shared()?;
                    return Ok(Some(Self(file)));
                }
                Err(TryLockError::WouldBlock) => {
                    file.lock_shared()?;
                    return Ok((marked(&mut file)? == run).then_some(Self(file)));
                }
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
    }

    /// Begins the lease anew.
    pub fn renew(&self) -> io::Result<()> {
        self.0.set_modified(SystemTime::now())
    }
}

/// The claims of a tool that works on staged files.
#[derive(Debug, Default)]
pub struct Claims {
    dirs: HashMap<PathBuf, Result<Option<File>, String>>,
}

impl Claims {
    /// Keeps other runs from staging into the directory of the file at `path`. Returns the id of the run that uses it, if
    /// it is not `run`. A directory without a readable mark cannot be claimed and is nobody's.
    pub fn hold(&mut self, path: &Path, run: &str) -> Result<(), &str> {
        let Some(dir) = path.parent() else { return Ok(()) };
        let held = self.dirs.entry(dir.to_owned()).or_insert_with(|| join(dir, run));
        held.as_ref().map(drop).map_err(String::as_str)
    }
}

fn join(dir: &Path, run: &str) -> Result<Option<File>, String> {
    let Ok(mut file) =
        open(dir, OpenOptions::new().read(true).write(true)).or_else(|_| open(dir, OpenOptions::new().read(true)))
    else {
        return Ok(None);
    };
    let Ok(found) = file.lock_shared().and_then(|()| marked(&mut file)) else { return Ok(None) };
    if found == run {
        return Ok(Some(file));
    }
    // The other run is over if nobody else holds a lock.
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => Err(found),
        Err(TryLockError::Error(_)) => Ok(None),
        Ok(()) => Ok(mark(&mut file, run).and_then(|()| file.lock_shared()).ok().map(|()| file)),
    }
}

/// Opens the mark of `dir`, which stands beside it: in it are media files and nothing else.
fn open(dir: &Path, options: &mut OpenOptions) -> io::Result<File> {
    let name = dir.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let mut mark = OsString::from(".");
    mark.push(name);
    mark.push(".run");
    // A link could lead to any file, which the mark would overwrite.
    let no_follow = i32::try_from(OFlags::NOFOLLOW.bits()).unwrap_or_default();
    options.custom_flags(no_follow).open(dir.with_file_name(mark))
}

fn mark(file: &mut File, run: &str) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(run.as_bytes())
}

/// The run that the mark names; empty if it names none.
fn marked(file: &mut File) -> io::Result<String> {
    file.rewind()?;
    let mut run = Vec::new();
    file.take(1024).read_to_end(&mut run)?;
    Ok(String::from_utf8_lossy(&run).into_owned())
}

fn is_leased(file: &mut File, run: &str) -> io::Result<bool> {
    let found = marked(file)?;
    let is_fresh = file.metadata()?.modified()?.elapsed().is_ok_and(|age| age < LEASE);
    Ok(is_fresh && !found.is_empty() && found != run)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn age(dir: &Path) {
        open(dir, OpenOptions::new().write(true)).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
    }

    #[test]
    fn two_runs_at_once_cannot_claim_one_directory_and_two_in_turn_can() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("soak");
        let path = dir.join("001.webm");
        let first = Claim::new(&dir, "r1").unwrap().unwrap();
        let shard = Claim::new(&dir, "r1").unwrap();
        assert!(shard.is_some(), "shards of one run share it");
        assert!(Claim::new(&dir, "r2").unwrap().is_none());

        let mut submit = Claims::default();
        assert_eq!(submit.hold(&path, "r1"), Ok(()));
        drop((first, shard));
        age(&dir);
        assert!(Claim::new(&dir, "r2").unwrap().is_none(), "submit-jobs holds it after stage-fixtures has ended");

        drop(submit);
        let second = Claim::new(&dir, "r2").unwrap();
        assert!(second.is_some());
        assert_eq!(Claims::default().hold(&path, "r1"), Err("r2"));
        drop(second);
        age(&dir);
        assert_eq!(Claims::default().hold(&path, "r1"), Ok(()), "a resumed run takes it back");
        assert_eq!(marked(&mut open(&dir, OpenOptions::new().read(true)).unwrap()).unwrap(), "r1");
    }

    #[test]
    fn a_fresh_mark_counts_as_a_lock_until_its_lease_is_over() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("soak");
        Claim::new(&dir, "r1").unwrap().unwrap().renew().unwrap();
        let waiting = thread::spawn({
            let dir = dir.clone();
            move || Claim::new(&dir, "r2").unwrap().is_some()
        });
        let mut submit = Claims::default();
        assert_eq!(submit.hold(&dir.join("001.webm"), "r1"), Ok(()));
        assert!(!waiting.join().unwrap(), "submit-jobs came in time");
    }

    #[test]
    fn a_link_is_not_followed() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("soak");
        let victim = root.path().join("victim");
        std::fs::write(&victim, "precious").unwrap();
        std::os::unix::fs::symlink(&victim, root.path().join(".soak.run")).unwrap();
        assert!(Claim::new(&dir, "r1").is_err());
        assert_eq!(Claims::default().hold(&dir.join("001.webm"), "r1"), Ok(()));
        assert_eq!(std::fs::read_to_string(victim).unwrap(), "precious");
    }
}
