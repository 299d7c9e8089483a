//! A run that `make open` serves.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use rustix::process::Signal;
use tempfile::TempDir;

use super::{family::Member, process::Process, victoriametrics};
use crate::support::{bin, root};

/// A running `make open`.
pub struct Opened {
    process: Process,
    /// The base URL of its server.
    pub url: String,
    /// The printed links, in their order.
    pub links: Vec<String>,
    dir: TempDir,
}

impl Opened {
    /// Serves `run` with `server` and waits for the links.
    pub fn start(server: &str, run: &Path) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let temporary = dir.path().join("tmp");
        fs::create_dir(&temporary).unwrap();
        let mut process = Process::start("open", &root().join("scripts/open"), dir.path(), |command| {
            let path = format!("{}:{}", bin().display(), std::env::var("PATH").unwrap());
            command.arg(server).arg(run).env("PATH", path).env("TMPDIR", &temporary);
            command.env("VICTORIA_METRICS", victoriametrics::program());
        });
        let links = process.until("it prints the links", |process| {
            let log = process.log();
            log.contains("Ctrl-C ends").then(|| {
                let words = log.lines().filter_map(|line| line.split_whitespace().last());
                words.filter(|word| word.starts_with("http://")).map(str::to_owned).collect::<Vec<_>>()
            })
        });
        let url = links.first().unwrap_or_else(|| panic!("no link:\n{}", process.log()));
        let url = url.match_indices('/').nth(2).map_or(url.as_str(), |(end, _)| &url[..end]).to_owned();
        Self { process, url, links, dir }
    }

    /// Its processes.
    pub fn members(&self) -> Vec<Member> {
        self.process.members()
    }

    /// Presses Ctrl-C, which reaches every process of it. Returns the exit status and what is left in its temporary directory.
    pub fn interrupt(mut self) -> (ExitStatus, Vec<PathBuf>) {
        self.process.signal_group(Signal::INT);
        let status = self.process.ended();
        let left = fs::read_dir(self.dir.path().join("tmp")).unwrap();
        (status, left.map(|entry| entry.unwrap().path()).collect())
    }
}
