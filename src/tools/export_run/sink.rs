//! The place to write to: standard output, or a file that has its name only when it is whole.

use std::fmt;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::capture::temporary_file;
use crate::cli::{Failure, cause};

/// Standard output or a file.
pub(super) enum Sink<'a> {
    Stdout(&'a mut dyn Write),
    File { file: NamedTempFile, path: PathBuf },
}

impl<'a> Sink<'a> {
    /// A new file at `path`, or standard output. The file is created at once, so that a path that cannot be written is known
    /// before the work is done.
    pub(super) fn new(path: Option<&Path>, stdout: &'a mut dyn Write) -> Result<Self, Failure> {
        path.map_or(Ok(Self::Stdout(stdout)), Self::file)
    }

    /// A new file at `path`, which replaces one that is there when it is whole.
    pub(super) fn file(path: &Path) -> Result<Self, Failure> {
        let shown = path.display().to_string();
        if path.is_dir() {
            return Err(Failure::usage(format!("--out {shown}: it is a directory; name a file")));
        }
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let file = temporary_file(parent).map_err(|error| Failure::io(&format!("--out {shown}"), &error))?;
        Ok(Self::File { file, path: path.to_owned() })
    }

    /// The failure that `error` means.
    pub(super) fn failure(&self, error: &io::Error) -> Failure {
        match self {
            Self::Stdout(_) => Failure::output("stdout", error),
            Self::File { path, .. } => Failure::input_output(format!("{}: {}", path.display(), cause(error))),
        }
    }

    /// Gives the file its name.
    pub(super) fn finish(self) -> Result<(), Failure> {
        match self {
            Self::Stdout(_) => Ok(()),
            Self::File { file, path } => {
                let shown = path.display().to_string();
                file.persist(path).map(drop).map_err(|error| Failure::io(&shown, &error.error))
            }
        }
    }
}

impl Write for Sink<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Stdout(out) => out.write(bytes),
            Self::File { file, .. } => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Stdout(out) => out.flush(),
            Self::File { file, .. } => file.flush(),
        }
    }
}

/// A buffered sink whose errors name it.
pub(super) struct Out<'a>(BufWriter<Sink<'a>>);

impl<'a> Out<'a> {
    /// A new file at `path`, or standard output.
    pub(super) fn new(path: Option<&Path>, stdout: &'a mut dyn Write) -> Result<Self, Failure> {
        Sink::new(path, stdout).map(|sink| Self(BufWriter::with_capacity(64 * 1024, sink)))
    }

    /// Writes formatted text: what `write!` calls.
    pub(super) fn write_fmt(&mut self, text: fmt::Arguments<'_>) -> Result<(), Failure> {
        self.0.write_fmt(text).map_err(|error| self.0.get_ref().failure(&error))
    }

    /// Writes what is held back, so that a full disk is noticed, and gives a file its name.
    pub(super) fn finish(mut self) -> Result<(), Failure> {
        self.0.flush().map_err(|error| self.0.get_ref().failure(&error))?;
        let sink = self.0.into_inner().map_err(|error| Failure::input_output(error.error().to_string()))?;
        sink.finish()
    }
}
