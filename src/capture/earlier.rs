//! The captures that an earlier session of the same run made, for a run that is resumed and captured again.

use std::path::Path;

use super::StreamContext;
use crate::cli::Failure;
use crate::http::BaseUrl;
use crate::record::{CaptureResult, Key, Kind, Reason, Resource, Window};

impl StreamContext {
    /// Chooses the server to ask: the `typed` one (an empty address is off), else the one that an earlier capture of this run
    /// asked, because another server saw another target, else the `given` one of the profile. A server that only the stream
    /// names is not asked if `secrets` would go with the request.
    pub fn choose_server(
        &mut self,
        kind: Kind,
        typed: bool,
        given: Option<BaseUrl>,
        secrets: bool,
    ) -> Result<Option<BaseUrl>, Failure> {
        let mut server = given;
        let earlier: Vec<EarlierCapture> = self.fold.of_kind(kind).collect();
        if !typed && !earlier.is_empty() {
            let asked = earlier.iter().find_map(|earlier| earlier.spec.server.as_deref());
            if earlier.iter().all(|earlier| earlier.status.reason == Some(Reason::Off)) {
                server = None;
            } else if let (Some(asked), false) = (asked, secrets) {
                server = Some(BaseUrl::parse(asked, "the server of an earlier capture")?);
            }
        }
        self.server = server.as_ref().map(|server| server.as_str().to_owned());
        Ok(server)
    }

    /// Returns whether the user waived every earlier capture of this kind by name.
    pub fn was_waived(&self, kind: Kind) -> bool {
        let mut earlier = self.fold.of_kind::<EarlierCapture>(kind).peekable();
        earlier.peek().is_some() && earlier.all(|earlier| earlier.status.waived)
    }

    /// Returns whether an earlier capture is whole, has this very window, and has its file in `out`: then there is nothing to
    /// ask again.
    pub(super) fn has_whole(&self, kind: Kind, name: &str, out: &Path) -> bool {
        self.earlier(kind, name, out).is_some_and(|EarlierCapture { spec, status, .. }| {
            status.result == CaptureResult::Ok && spec.window.is_some() && spec.window == self.window
        })
    }

    /// Returns whether an earlier capture that lies in `out` is worth more than `outcome`. One from another server is kept
    /// whatever this server brings, because it saw the run.
    pub(super) fn outdone(&self, kind: Kind, name: &str, out: &Path, outcome: CaptureOutcome) -> bool {
        self.earlier(kind, name, out).is_some_and(|EarlierCapture { spec, status, .. }| {
            let elsewhere = spec.server.zip(self.server.as_deref()).is_some_and(|(earlier, now)| earlier != now);
            let earlier = CaptureOutcome { result: status.result, reason: status.reason, jobs: status.jobs_matched };
            let has_fewer_jobs = earlier.jobs.zip(outcome.jobs).is_some_and(|(earlier, now)| now < earlier);
            has_fewer_jobs || earlier.worth() > if elsewhere { 0 } else { outcome.worth() }
        })
    }

    /// The earlier capture of the same item. The same stream captured into another directory has nothing there yet.
    fn earlier(&self, kind: Kind, name: &str, out: &Path) -> Option<EarlierCapture> {
        let key = Key { kind, run: self.metadata.run.clone(), name: name.to_owned() };
        let earlier: EarlierCapture = self.fold.get(&key)?.read().ok()?;
        let is_there = match &earlier.status.file {
            Some(file) => out.join(file).is_file(),
            // An empty capture has no file that could be missing.
            None => matches!(earlier.status.result, CaptureResult::Empty | CaptureResult::Quiet),
        };
        is_there.then_some(earlier)
    }
}

/// The outcome of a capture, as far as it is compared with an earlier one of the same run. Back ends forget, so a capture is
/// never replaced by one that holds less.
#[derive(Clone, Debug)]
pub struct CaptureOutcome {
    /// The result.
    pub result: CaptureResult,
    /// The reason why it is not whole.
    pub reason: Option<Reason>,
    /// The number of jobs that it has something of, if known.
    pub jobs: Option<u64>,
}

impl CaptureOutcome {
    /// An outcome without a count of jobs.
    pub fn new(result: CaptureResult, reason: Option<&Reason>) -> Self {
        Self { result, reason: reason.cloned(), jobs: None }
    }

    pub(super) fn is(&self, reason: &Reason) -> bool {
        self.reason.as_ref() == Some(reason)
    }

    /// Whole and partial captures rank alike: the later one's window may be longer, and the earlier one may have lacked the
    /// same without noticing. But a capture that missed the beginning lacks something that the earlier one had.
    fn worth(&self) -> u8 {
        match (self.result, &self.reason) {
            (CaptureResult::Partial, Some(Reason::BeginsLate)) | (CaptureResult::Empty | CaptureResult::Quiet, _) => 1,
            (CaptureResult::Ok | CaptureResult::Partial, _) => 2,
            (CaptureResult::Error, _) => 0,
        }
    }
}

/// The fields of an earlier capture's record that all kinds share.
type EarlierCapture = Resource<EarlierSpec, EarlierStatus>;

#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct EarlierSpec {
    window: Option<Window>,
    server: Option<String>,
}

#[derive(Default, serde::Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct EarlierStatus {
    result: CaptureResult,
    reason: Option<Reason>,
    file: Option<String>,
    waived: bool,
    jobs_matched: Option<u64>,
}
