//! The file through which the tools of a pipe share a token.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::Path;

use super::Held;
use crate::cli::Failure;
use crate::private_file;

/// The beginning of a file that holds a token, and the most that such a file is read.
const START: &[u8] = br#"{"of":""#;
const MOST: u64 = 1 << 20;

/// Refuses a file that is not a regular one, or that holds anything but a token or a part of one: it is overwritten, and deleted at
/// the end.
pub(super) fn check(path: &Path) -> Result<(), Failure> {
    let refused = |why: &str| {
        let name = flag(path);
        Err(Failure::usage(format!(
            "{name}: {why}; name a file that does not exist yet, or one with a token of an earlier run"
        )))
    };
    match path.metadata() {
        // What else is wrong with it is told when it is opened.
        Err(_) => return Ok(()),
        Ok(metadata) if !metadata.is_file() => return refused("not a regular file"),
        Ok(_) => {}
    }
    let mut text = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MOST).read_to_end(&mut text));
    read.map_err(|error| Failure::io(&flag(path), &error))?;
    // A process that is killed while it writes leaves a part.
    let is_part = START.starts_with(&text) || text.starts_with(START);
    if is_part || serde_json::from_slice::<Held>(&text).is_ok() { Ok(()) } else { refused("holds no token") }
}

/// The open file, locked until it is dropped.
pub(super) struct TokenFile<'a> {
    path: &'a Path,
    file: File,
}

impl<'a> TokenFile<'a> {
    /// Locks the file, which only its owner may read. If `can_wait` is false and another process holds the lock: none.
    pub(super) fn lock(path: &'a Path, can_wait: bool) -> Result<Option<Self>, String> {
        let failed = |error: io::Error| format!("{}: {error}", flag(path));
        let file =
            private_file::open(OpenOptions::new().read(true).write(true).truncate(false), path).map_err(failed)?;
        if can_wait {
            file.lock().map_err(failed)?;
        } else {
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(error)) => return Err(failed(error)),
            }
        }
        Ok(Some(Self { path, file }))
    }

    /// The token in it, if it holds one that the request `of` got.
    pub(super) fn read(&mut self, of: &str) -> Result<Option<Held>, String> {
        let mut text = String::new();
        self.file.read_to_string(&mut text).map_err(|error| format!("{}: {error}", flag(self.path)))?;
        Ok(serde_json::from_str::<Held>(&text).ok().filter(|held| held.of == of))
    }

    /// Puts `held` in the place of what it holds.
    pub(super) fn write(&mut self, held: &Held) -> Result<(), String> {
        let text = serde_json::to_string(held).map_err(|error| error.to_string())?;
        let file = &mut self.file;
        let written = file.rewind().and_then(|()| file.set_len(0)).and_then(|()| file.write_all(text.as_bytes()));
        written.map_err(|error| format!("{}: {error}", flag(self.path)))
    }
}

/// The flag and the file, for messages.
pub(super) fn flag(path: &Path) -> String {
    format!("--token-file {}", path.display())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn only_a_file_that_holds_a_token_is_overwritten_and_deleted() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
        let refused = |name: &str| {
            let failure = check(&at(name)).err()?;
            assert_eq!(failure.exit().code(), 2);
            failure.message().map(str::to_owned)
        };
        for (name, text) in [("notes", "notes\n"), ("json", "{\"a\":1}\n"), ("short", "x")] {
            fs::write(at(name), text).unwrap();
            assert!(refused(name).unwrap().contains(&format!("{name}: holds no token; name a file")), "{name}");
            assert_eq!(fs::read_to_string(at(name)).unwrap(), text);
        }
        assert!(
            refused("socket").unwrap().contains("socket: not a regular file; name a file") && refused("").is_some()
        );
        assert_eq!((refused("new"), at("new").exists()), (None, false));
        let (path, now) = (at("token"), crate::clock::Clock::system().now());
        let mut file = TokenFile::lock(&path, true).unwrap().unwrap();
        assert_eq!(refused("token"), None, "empty");
        let held = Held { of: "r".to_owned(), token: "t".to_owned(), obtained: now, expires: None, renew: None };
        file.write(&held).unwrap();
        assert_eq!(refused("token"), None);
        fs::write(&path, "{\"o").unwrap();
        assert_eq!(refused("token"), None, "its writer was killed");
    }
}
