//! The file through which the tools of a pipe share a token.

use std::fs::{File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use super::Held;

/// The open file, locked until it is dropped.
pub(super) struct TokenFile<'a> {
    path: &'a Path,
    file: File,
}

impl<'a> TokenFile<'a> {
    /// Locks the file, which only its owner may read. If `can_wait` is false and another process holds the lock: none.
    pub(super) fn lock(path: &'a Path, can_wait: bool) -> Result<Option<Self>, String> {
        let failed = |error: io::Error| format!("{}: {error}", flag(path));
        let file = open(path).map_err(failed)?;
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

fn open(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
    if file.metadata()?.permissions().mode() & 0o077 != 0 {
        file.set_permissions(Permissions::from_mode(0o600))?;
    }
    Ok(file)
}
