//! The first source: polls the target for jobs of earlier runs that were never seen to end.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

use serde_json::Value;
use walkdir::WalkDir;

use super::state::{IdleState, Target};
use crate::cli::{Console, Failure};
use crate::clock::Clock;
use crate::escape;
use crate::http::{Answer, HttpError};
use crate::listing::{Listing, LookUpError, Sight, look_up};
use crate::ndjson::{Line, Read, Reader};
use crate::profile::{Document, PollAnswer, Profile, StatusReading};
use crate::record::{Fold, Job, StagePhase};
use crate::scenario::RECORDS;
use crate::target::poll_request;

/// The longest excerpt of a status word, in characters.
const MAX_WORD: usize = 80;

/// Jobs of earlier runs that may still run, each with its id.
#[derive(Debug, Default)]
pub(super) struct EarlierJobs {
    /// The values of `--set`.
    set: Vec<(String, Value)>,
    open: VecDeque<(Job, String)>,
    /// The first reason why some records could not be read.
    unread: Option<String>,
}

impl EarlierJobs {
    /// Reads the records at `paths`. A missing path is refused; a file that cannot be read is reported, and the state then
    /// stays unknown.
    pub(super) fn load(paths: &[PathBuf], set: &[(String, Value)], console: &Console) -> Result<Self, Failure> {
        let (mut fold, mut unread) = (Fold::default(), None);
        let mut report = |problem: String| {
            console.say(&problem);
            unread.get_or_insert(problem);
        };
        for path in paths {
            let found = path.metadata();
            let found = found.map_err(|error| Failure::usage(format!("--earlier {}: {error}", path.display())))?;
            if !found.is_dir() {
                read(path, &mut fold, console).unwrap_or_else(|error| report(read_error(path, &error)));
                continue;
            }
            for entry in WalkDir::new(path).sort_by_file_name() {
                match entry {
                    Ok(entry) if entry.file_name() == RECORDS && entry.file_type().is_file() => {
                        let read = read(entry.path(), &mut fold, console);
                        read.unwrap_or_else(|error| report(read_error(entry.path(), &error)));
                    }
                    Ok(_) => {}
                    Err(error) => report(format!("--earlier {}: {error}", path.display())),
                }
            }
        }
        let with_id = |job: Job| job.open_id().map(str::to_owned).map(|id| (job, id));
        Ok(Self { set: set.to_vec(), open: fold.jobs().filter_map(with_id).collect(), unread })
    }

    /// Polls one job after the other, up to the first that has not ended: that one decides. `is_over` returns true once the
    /// time is over.
    pub(super) fn check(&mut self, target: &Target, clock: &Clock, is_over: impl Fn() -> bool) -> IdleState {
        while let Some((job, id)) = self.open.front() {
            let others = match self.open.len() - 1 {
                0 => String::new(),
                others => format!(" ({others} more were not polled)"),
            };
            let name = &job.metadata.name;
            match self.poll(job, id, target, clock) {
                IdleState::Idle => {}
                IdleState::Busy(word) => return IdleState::Busy(format!("the earlier job {name} is {word}{others}")),
                IdleState::Pending(why) => return IdleState::Pending(format!("the earlier job {name}: {why}{others}")),
                IdleState::Unknown(why) => return IdleState::Unknown(format!("the earlier job {name}: {why}{others}")),
            }
            self.open.pop_front();
            if !self.open.is_empty() && is_over() {
                let left = self.open.len();
                return IdleState::Pending(format!("time ran out before {left} earlier jobs had been polled"));
            }
        }
        self.unread.clone().map_or(IdleState::Idle, IdleState::Unknown)
    }

    /// Polls one job, or looks it up in the list if only that tells of it.
    fn poll(&self, job: &Job, id: &str, target: &Target, clock: &Clock) -> IdleState {
        let Target { profile, base, client } = target;
        let unanswered = |place: String, error: HttpError| IdleState::Pending(format!("{place}: {error}"));
        if let Some(listing) =
            Listing::new(profile.clone(), base.clone(), &self.set, job).filter(|_| !profile.polls_each())
        {
            return match look_up(listing, id, client, clock, &mut |_, _| {}) {
                Ok(Sight::Told(answer)) => judge(&answer, "the list", None, profile),
                Ok(Sight::Missing) => IdleState::Idle,
                Err(LookUpError::Page(why)) => IdleState::Pending(why),
                Err(LookUpError::Http(place, error)) => unanswered(place, error),
            };
        }
        let asked = job.status.next_id.as_deref().unwrap_or(id);
        let request = match poll_request(job, asked, profile, base, &self.set) {
            Ok(request) => request,
            Err(error) => return IdleState::Pending(error),
        };
        match request.send(client, clock).or_else(|error| profile.told_by_head(error)) {
            Ok(answer) => judge(&answer, &request.place(), Some(([id, asked], &request.url)), profile),
            Err(error) => unanswered(request.place(), error),
        }
    }
}

fn read_error(path: &Path, error: &io::Error) -> String {
    format!("--earlier {}: {error}", path.display())
}

/// Reads the records of `path`. A torn last line and lines that are not records are skipped: the report of that run has
/// named them, and the file may still be written.
fn read(path: &Path, fold: &mut Fold, console: &Console) -> io::Result<()> {
    let name = path.display().to_string();
    for read in Reader::named(BufReader::with_capacity(64 * 1024, File::open(path)?), &name) {
        match read? {
            Read::Line(Line::Record(record)) => fold.add(record),
            Read::Broken(problem) => console.say(&format!("{problem}: skipped")),
            Read::Line(Line::Other(_)) | Read::Foreign(_) | Read::Torn(_) => {}
        }
    }
    Ok(())
}

/// The meaning of an answer that came from `place`, and, if a URL was `asked`, is about the job with one of its ids if it says so itself.
fn judge(answer: &Answer, place: &str, asked: Option<([&str; 2], &str)>, profile: &Profile) -> IdleState {
    let document = Document::of(answer);
    let observation = match profile.poll_answer(&document) {
        PollAnswer::Unknown if !answer.is_cached() => return IdleState::Idle,
        PollAnswer::Document(observation) => observation,
        _ => return IdleState::Pending(format!("{place}: {}", answer.summary())),
    };
    if let Some(other) = asked.and_then(|(ids, url)| profile.other_job(&document, ids, url)) {
        return IdleState::Pending(format!(
            "{place}: the answer is about another job, {}",
            escape::start(&other, MAX_WORD)
        ));
    }
    match observation.status {
        StatusReading::Status(StagePhase::Done | StagePhase::Failed, _) => IdleState::Idle,
        StatusReading::Status(StagePhase::Waiting | StagePhase::Running, word) => {
            IdleState::Busy(escape::start(&word, MAX_WORD))
        }
        StatusReading::Status(StagePhase::Unnamed, word) => {
            IdleState::Pending(format!("the profile does not name its status \"{}\"", escape::start(&word, MAX_WORD)))
        }
        StatusReading::NoStatus => IdleState::Pending(format!("{place}: no status in {}", answer.summary())),
        StatusReading::Unreadable(cause) => IdleState::Pending(format!("{place}: {cause}")),
    }
}
