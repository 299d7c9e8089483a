//! The first witness: the target itself, asked for jobs of earlier runs that were never seen to end.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use super::watch::Look;
use crate::cli::{Console, Failure};
use crate::clock::Clock;
use crate::escape;
use crate::http::{BaseUrl, Exchange, Method, Trouble};
use crate::ndjson::{Line, Read, Reader};
use crate::profile::{Profile, Seen, Word};
use crate::record::{Fold, Job};
use crate::scenario::RECORDS;
use crate::target::PollRequest;

/// How much of what a target says is quoted.
const QUOTED: usize = 80;

/// Jobs that may still run, each with its id.
#[derive(Debug, Default)]
pub(super) struct Jobs {
    left: VecDeque<(Job, String)>,
    /// Why some records could not be looked at.
    unread: Option<String>,
}

/// What one poll says.
enum Polled {
    Ended,
    Runs(String),
    Doubtful(String),
    NotConnected(String),
}

impl Jobs {
    /// Those of the records that lie at `paths`. A path that is not there is refused; a file that cannot be read is said, and
    /// leaves the answer unknown.
    pub(super) fn of(paths: &[PathBuf], console: &Console) -> Result<Self, Failure> {
        let (mut fold, mut unread) = (Fold::default(), None);
        let mut lacking = |what: String| {
            console.say(&what);
            unread.get_or_insert(what);
        };
        for path in paths {
            let found = path.metadata();
            let found = found.map_err(|error| Failure::usage(format!("--earlier {}: {error}", path.display())))?;
            if !found.is_dir() {
                read(path, &mut fold, console).unwrap_or_else(|error| lacking(named(path, &error)));
                continue;
            }
            for entry in WalkDir::new(path).sort_by_file_name() {
                match entry {
                    Ok(entry) if entry.file_name() == RECORDS && entry.file_type().is_file() => {
                        let read = read(entry.path(), &mut fold, console);
                        read.unwrap_or_else(|error| lacking(named(entry.path(), &error)));
                    }
                    Ok(_) => {}
                    Err(error) => lacking(format!("--earlier {}: {error}", path.display())),
                }
            }
        }
        let open = |job: Job| job.open_id().map(str::to_owned).map(|id| (job, id));
        Ok(Self { left: fold.jobs().filter_map(open).collect(), unread })
    }

    /// Asks for one job after the other, up to the first that has not ended: more need not be known. `enough` tells when the
    /// time is over.
    pub(super) fn look(
        &mut self,
        profile: &Profile,
        base: &BaseUrl,
        exchange: &Exchange,
        clock: &Clock,
        enough: impl Fn() -> bool,
    ) -> Look {
        while let Some((job, id)) = self.left.front() {
            let others = match self.left.len() - 1 {
                0 => String::new(),
                others => format!(" ({others} more were not asked for)"),
            };
            let name = &job.metadata.name;
            match polled(job, id, profile, base, exchange, clock) {
                Polled::Ended => {}
                Polled::Runs(word) => return Look::Busy(format!("the earlier job {name} is {word}{others}")),
                Polled::Doubtful(why) => return Look::Pending(format!("the earlier job {name}: {why}{others}")),
                Polled::NotConnected(why) => return Look::Unseen(format!("the earlier job {name}: {why}{others}")),
            }
            self.left.pop_front();
            if !self.left.is_empty() && enough() {
                let left = self.left.len();
                return Look::Pending(format!("the time was over before {left} earlier jobs had been asked for"));
            }
        }
        self.unread.clone().map_or(Look::Clear, Look::Unseen)
    }
}

fn named(path: &Path, error: &io::Error) -> String {
    format!("--earlier {}: {error}", path.display())
}

/// Reads the records of `path`. A last line that is torn off, and lines that are no records, were the business of the
/// report that was made of them; it may even be that they are being written now.
fn read(path: &Path, fold: &mut Fold, console: &Console) -> io::Result<()> {
    let name = path.display().to_string();
    for read in Reader::named(BufReader::with_capacity(64 * 1024, File::open(path)?), &name) {
        match read? {
            Read::Line(Line::Record(record)) => fold.add(record),
            Read::Broken(what) => console.say(&format!("{what}: not looked at")),
            Read::Line(Line::Other(_)) | Read::Foreign(_) | Read::Torn(_) => {}
        }
    }
    Ok(())
}

fn polled(job: &Job, id: &str, profile: &Profile, base: &BaseUrl, exchange: &Exchange, clock: &Clock) -> Polled {
    let PollRequest { url, headers } = PollRequest::of(job, id, profile, base);
    let answer = match exchange.send(&Method::GET, &url, &headers, None, clock) {
        Ok(answer) => answer,
        Err(trouble @ Trouble::NotConnected(_)) => return Polled::NotConnected(format!("GET {url}: {trouble}")),
        Err(trouble) => return Polled::Doubtful(format!("GET {url}: {trouble}")),
    };
    if profile.poll.unknown.contains(&answer.status) {
        return Polled::Ended;
    }
    if !(200..300).contains(&answer.status) {
        return Polled::Doubtful(format!("GET {url}: {}", answer.summary()));
    }
    match profile.observe(&answer.body).seen {
        Seen::Status(Word::Done | Word::Failed, _) => Polled::Ended,
        Seen::Status(Word::Waiting | Word::Running, word) => Polled::Runs(escape::start(&word, QUOTED)),
        Seen::Status(Word::Unnamed, word) => {
            Polled::Doubtful(format!("the profile does not name its status \"{}\"", escape::start(&word, QUOTED)))
        }
        Seen::NoStatus | Seen::NotJson => Polled::Doubtful(format!("GET {url}: no status in {}", answer.summary())),
    }
}
