//! Adds the cookies of submissions to the file.

use std::path::Path;

use super::Cookie;
use super::file::{CookieFile, JobCookies, Line};
use crate::cli::Failure;
use crate::record::Key;

/// Adds cookies to the file. A target that sets none leaves no file behind.
#[derive(Debug)]
pub struct CookieWriter(CookieFile);

impl CookieWriter {
    /// Appends to `path`, which is created with mode 0600. The error says why this is impossible.
    pub fn new(path: &Path) -> Result<Self, Failure> {
        let (mut file, is_new) = (CookieFile::new(path), !path.exists());
        let mut foreign = None;
        let mut try_out = || {
            file.lock()?;
            file.unlock()?;
            file.read_new_lines(&mut |number, line, _| {
                if let (None, Line::Foreign(why)) = (&foreign, line) {
                    foreign = Some(format!("line {number}: {why}"));
                }
            })?;
            if is_new { std::fs::remove_file(path) } else { Ok(()) }
        };
        let usable = try_out();
        usable.map_err(|error| file.failure(&error))?;
        match foreign {
            None => Ok(Self(file)),
            Some(foreign) => Err(Failure::broken_input(format!(
                "--cookies {} {foreign}: nothing is submitted; name a cookie file, or one that does not exist yet",
                path.display()
            ))),
        }
    }

    /// Keeps `cookies`, which came with the submission of `job`.
    pub fn keep(&mut self, job: &Key, cookies: Vec<Cookie>) -> Result<(), Failure> {
        let line = JobCookies { run: job.run.clone(), name: job.name.clone(), cookies, polled: false };
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
