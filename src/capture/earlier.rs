//! What the stream tells of captures that an earlier session of the same run made, where a run is resumed and captured again.

use std::path::Path;

use super::{BEGINS_LATE, OFF, Passed};
use crate::cli::Failure;
use crate::http::BaseUrl;
use crate::record::{CaptureResult, Key, Kind, Window};

impl Passed {
    /// Which server is asked: the one that was `typed`, or that is off; else the one that an earlier capture of this run
    /// asked, for another one saw another target; else the profile's. One that the stream names is asked only where no
    /// `secrets` would go with it.
    pub fn choose_server(
        &mut self,
        kind: Kind,
        typed: bool,
        given: Option<BaseUrl>,
        secrets: bool,
    ) -> Result<Option<BaseUrl>, Failure> {
        let mut server = given;
        let told: Vec<Told> = self.fold.of_kind(kind).collect();
        if !typed && !told.is_empty() {
            if told.iter().all(|told| told.status.reason.as_deref() == Some(OFF)) {
                server = None;
            } else if let (Some(told), false) = (told.iter().find_map(|told| told.spec.server.as_deref()), secrets) {
                server = Some(BaseUrl::parse(told, "the server of an earlier capture")?);
            }
        }
        self.server = server.as_ref().map(|server| server.as_str().to_owned());
        Ok(server)
    }

    /// Whether the stream tells that every capture of this kind was waived by name.
    pub fn was_waived(&self, kind: Kind) -> bool {
        let mut told = self.fold.of_kind::<Told>(kind).peekable();
        told.peek().is_some() && told.all(|told| told.status.waived)
    }

    /// Whether the stream tells of a capture that came whole for this very window and whose file is in `out`: then there is
    /// nothing to ask again.
    pub fn has_whole(&self, kind: Kind, name: &str, out: &Path) -> bool {
        let earlier = self.earlier(kind, name, out);
        earlier.is_some_and(|Told { spec, status }| {
            status.result == CaptureResult::Ok && spec.window.is_some() && spec.window == self.window
        })
    }

    /// Whether the stream tells of a capture, there in `out`, that brought more than this one `brought`; where another
    /// server was asked it is kept whatever this one brings, for what that saw is of the run.
    pub fn outdone(&self, kind: Kind, name: &str, out: &Path, brought: Brought<'_>) -> bool {
        self.earlier(kind, name, out).is_some_and(|Told { spec, status }| {
            let elsewhere = spec.server.zip(self.server.as_deref()).is_some_and(|(told, asked)| told != asked);
            let told = Brought { result: status.result, reason: status.reason.as_deref(), jobs: status.jobs_matched };
            let fewer = told.jobs.zip(brought.jobs).is_some_and(|(told, brought)| brought < told);
            fewer || told.worth() > if elsewhere { 0 } else { brought.worth() }
        })
    }

    /// An earlier capture of the same thing, where a run is resumed and captured again. The same stream captured into another
    /// directory has nothing there yet.
    fn earlier(&self, kind: Kind, name: &str, out: &Path) -> Option<Told> {
        let key = Key { kind, run: self.metadata.run.clone(), name: name.to_owned() };
        let told: Told = self.fold.get(&key)?.read().ok()?;
        let is_there = match &told.status.file {
            Some(file) => out.join(file).is_file(),
            // What brought nothing has no file that could be missed.
            None => told.status.result == CaptureResult::Empty,
        };
        is_there.then_some(told)
    }
}

/// What a capture brought, as far as it is held against an earlier one of the same run. Backends forget: what was had once is
/// never given up for less.
#[derive(Clone, Copy, Debug)]
pub struct Brought<'a> {
    /// How it ended.
    pub result: CaptureResult,
    /// Why it is not whole.
    pub reason: Option<&'a str>,
    /// Of how many jobs it has something, where that is known.
    pub jobs: Option<u64>,
}

impl Brought<'_> {
    /// With nothing to say but the result.
    pub fn of(result: CaptureResult) -> Self {
        Self { result, reason: None, jobs: None }
    }

    /// Whole and partial are alike: the later one's window may be longer, and what it lacks may have been lacking before, unseen.
    /// But one that missed the beginning lacks what an earlier one had.
    fn worth(self) -> u8 {
        match (self.result, self.reason) {
            (CaptureResult::Partial, Some(BEGINS_LATE)) | (CaptureResult::Empty, _) => 1,
            (CaptureResult::Ok | CaptureResult::Partial, _) => 2,
            (CaptureResult::Error, _) => 0,
        }
    }
}

#[derive(serde::Deserialize)]
struct Told {
    #[serde(default)]
    spec: ToldSpec,
    #[serde(default)]
    status: ToldStatus,
}

#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct ToldSpec {
    window: Option<Window>,
    server: Option<String>,
}

#[derive(Default, serde::Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ToldStatus {
    result: CaptureResult,
    reason: Option<String>,
    file: Option<String>,
    waived: bool,
    jobs_matched: Option<u64>,
}
