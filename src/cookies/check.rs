//! The file of `--cookies`, checked before anything is read or sent.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::cli::Failure;

/// Refuses a file that is not a regular one, and one that is the file of `--journal` as well. Each is locked while it is written, so
/// one file would wait for itself.
pub fn check_file(cookies: Option<&Path>, journal: Option<&Path>) -> Result<(), Failure> {
    let Some(path) = cookies else { return Ok(()) };
    if path.metadata().is_ok_and(|metadata| !metadata.is_file()) {
        return Err(Failure::usage(format!(
            "--cookies {}: not a regular file; name a file of cookies, or one that does not exist yet",
            path.display()
        )));
    }
    if journal.is_some_and(|journal| is_same(path, journal)) {
        return Err(Failure::usage(format!(
            "--cookies {}: also the file of --journal; name two files",
            path.display()
        )));
    }
    Ok(())
}

/// Returns true if both name one file, which may not exist yet.
fn is_same(one: &Path, other: &Path) -> bool {
    let identity = |path: &Path| path.metadata().ok().map(|metadata| (metadata.dev(), metadata.ino()));
    let name = |path: &Path| {
        let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
        dir.canonicalize().ok().zip(path.file_name().map(PathBuf::from))
    };
    match (identity(one), identity(other)) {
        (Some(one), Some(other)) => one == other,
        (None, None) => one == other || name(one).is_some_and(|name_of_one| name(other) == Some(name_of_one)),
        _ => false,
    }
}
