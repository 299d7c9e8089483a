//! Adds the cookies of submissions to the file.

use std::path::Path;

use super::Cookie;
use super::file::{CookieFile, CookieLine, Line};
use crate::cli::{Failure, Stop};
use crate::record::Key;

/// Adds cookies to the file. A target that sets none leaves no file behind.
#[derive(Debug)]
pub struct CookieWriter(CookieFile);

impl CookieWriter {
    /// Appends to `path`, which is created with mode 0600. After the signal of `stop` it waits only briefly for another process. The
    /// error says why this is impossible.
    pub fn new(path: &Path, stop: &Stop) -> Result<Self, Failure> {
        let (mut file, is_new) = (CookieFile::new(path, stop), !path.exists());
        let mut foreign = None;
        let read = file.read_new_lines(&mut |number, line, _| {
            if let (None, Line::Foreign(why)) = (&foreign, line) {
                foreign = Some(format!("line {number}: {why}"));
            }
        });
        read.map_err(|error| file.failure(&error))?;
        // A file that was named by mistake keeps its mode, too.
        if let Some(foreign) = foreign {
            return Err(Failure::broken_input(format!(
                "--cookies {} {foreign}: nothing is submitted; name a cookie file, or one that does not exist yet",
                path.display()
            )));
        }
        let mut try_out = || {
            file.lock()?;
            let tried = if is_new { file.remove() } else { Ok(()) };
            tried.and(file.unlock())
        };
        let usable = try_out();
        usable.map_err(|error| file.failure(&error))?;
        Ok(Self(file))
    }

    /// Keeps `cookies`, which came with the submission of `job`.
    pub fn keep(&mut self, job: &Key, cookies: Vec<Cookie>) -> Result<(), Failure> {
        let line = CookieLine::new(job.run.clone(), job.name.clone(), cookies, false);
        let Self(file) = self;
        let mut append = || {
            let text = line.to_line()?;
            file.lock()?;
            let written = file.write(&text, &mut |_, _, _| {});
            written.and(file.unlock())
        };
        let kept = append();
        kept.map_err(|error| file.failure(&error))
    }
}
