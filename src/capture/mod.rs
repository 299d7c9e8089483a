//! The shared part of the captures: the stream that they pass on, the window that they learn from it, and the driver.
//!
//! A capture passes each line on at once and learns from the Jobs which window to ask for. The window is known only at the
//! end of input. Inside a run (a Run or a Job was read) a capture is soft: it reports and records what is missing and exits
//! with 0. Alone it is hard.

mod driver;
mod earlier;
mod stream;
mod window;

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::NamedTempFile;

pub use driver::{Backend, CaptureArgs, CaptureRequest, Captured, RecordContext, run};
pub use earlier::CaptureOutcome;
pub use stream::StreamContext;
pub use window::WindowArgs;

use crate::cli::Failure;
use crate::escape;
use crate::record::Window;

/// Returns `window`, wider by `pad` on both sides.
pub fn padded(window: Window, pad: Duration) -> Window {
    Window { start: window.start.shifted(-pad.as_secs_f64()), end: window.end.plus(pad) }
}

/// Returns a file name for `name`, which came from a profile, a flag or a server: letters, digits, `.`, `_` and `-` stay,
/// every other byte is percent-encoded, and it never begins with a dot. Different names give different file names.
pub fn file_name(name: &str) -> String {
    let safe = escape::url_path(name, false);
    match safe.strip_prefix('.') {
        _ if safe.is_empty() => "%".to_owned(),
        Some(rest) => format!("%2E{rest}"),
        None => safe,
    }
}

/// Creates `dir` with its parents and proves that a file can be written there.
pub fn writable_dir(dir: &Path) -> Result<PathBuf, Failure> {
    let failed = |error: io::Error| Failure::io(&format!("{}: cannot write there", dir.display()), &error);
    std::fs::create_dir_all(dir).map_err(failed)?;
    tempfile::Builder::new().prefix(".probe-").tempfile_in(dir).map_err(failed)?;
    Ok(dir.to_owned())
}

/// Creates a file in `dir` under a name of its own, to be renamed when it is complete.
pub fn temporary_file(dir: &Path) -> io::Result<NamedTempFile> {
    tempfile::Builder::new().prefix(".capture-").permissions(Permissions::from_mode(0o666)).tempfile_in(dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_file_names_that_stay_where_they_are() {
        for (name, file) in [
            ("autorag-api", "autorag-api"),
            ("../x", "%2E.%2Fx"),
            ("a b", "a%20b"),
            (".hidden", "%2Ehidden"),
            ("", "%"),
            ("%", "%25"),
        ] {
            assert_eq!(file_name(name), file);
        }
    }
}
