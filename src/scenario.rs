//! Finished scenarios on disk: the names of their files, finding them below a directory, reading what they say of
//! themselves, and putting a file into a directory whole or not at all.

use std::fs::{self, File, Permissions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path};

use serde::Deserialize;
use walkdir::WalkDir;

use crate::cli::Console;
use crate::figures::names::{self, FigureName};
use crate::ndjson::{Line, Read, Reader};
use crate::record::{Fold, Kind, Parsed, Record, Report, Run, Verdict};
use crate::statistics::Bounds;

/// The stream itself.
pub const RECORDS: &str = "records.ndjson";
/// The final Run record; a list of them where shards were put together.
pub const MANIFEST: &str = "manifest.json";
/// The last record of every job, as a List.
pub const JOBS: &str = "jobs.json";
/// The Report record. Written last: where it is, the scenario is finished.
pub const REPORT: &str = "report.json";
/// The report for people.
pub const PAGE: &str = "report.md";
/// The same with drawings, for a browser.
pub const HTML: &str = "report.html";
/// The comparison of legs as data.
pub const COMPARISON: &str = "comparison.json";

/// Directories of the captures, which are no scenarios whatever they hold.
const CAPTURES: [&str; 3] = ["jaeger", "logs", "prometheus"];
/// The Run stands on the first line of a stream; how far to look for it.
const FIRST_LINES: usize = 20;

/// One scenario's directory.
#[derive(Debug)]
pub struct Scenario {
    /// Relative to the place that was scanned, `/` between its parts.
    pub path: String,
    /// Its report; none where there is none that can be read.
    pub report: Option<Report>,
    /// Its Runs, as its manifest has them.
    pub runs: Vec<Run>,
    /// It holds no records at all: whatever was to write them never began.
    pub bare: bool,
    /// Its report is there and cannot be read.
    pub unreadable: bool,
    /// The reason why it has no report.
    pub trouble: String,
}

impl Scenario {
    /// One that was asked for and is not there.
    pub fn not_run(path: &str) -> Self {
        Self::bare(path.to_owned(), "it was planned and not run")
    }

    fn bare(path: String, trouble: &str) -> Self {
        Self { path, report: None, runs: Vec::new(), bare: true, unreadable: false, trouble: trouble.to_owned() }
    }

    /// Its verdict; one that was never judged is not known.
    pub fn verdict(&self) -> Verdict {
        self.report.as_ref().map(|report| report.status.verdict).unwrap_or_default()
    }

    /// Its verdict's cause.
    pub fn cause(&self) -> String {
        self.report.as_ref().map_or_else(|| self.trouble.clone(), |report| report.status.cause.clone())
    }

    /// A label of its Run.
    pub fn label(&self, name: &str) -> Option<&str> {
        let labels = self.runs.iter().map(|run| &run.metadata).chain(self.report.iter().map(|report| &report.metadata));
        labels.filter_map(|metadata| metadata.labels.get(name)).map(String::as_str).next()
    }

    /// Returns the number of jobs that were requested.
    pub fn asked(&self) -> Option<u64> {
        self.report.as_ref().map(|report| report.status.conservation.asked)
    }

    /// Returns the number of jobs that did not succeed, or are not known to have.
    pub fn not_succeeded(&self) -> Option<u64> {
        let sums = self.report.as_ref()?.status.conservation;
        Some(sums.asked.saturating_sub(sums.succeeded))
    }

    /// The bounds of the jobs per minute. An old report has only those of its window, from which they follow.
    pub fn jobs_per_minute_bounds(&self) -> Option<Bounds> {
        if let Some((low, high)) =
            self.figure(&names::JOBS_PER_MINUTE_LOW).zip(self.figure(&names::JOBS_PER_MINUTE_HIGH))
        {
            return Some(Bounds { low, high });
        }
        let rate = self.figure(&names::JOBS_PER_MINUTE)?;
        let positive = |name| self.figure(name).filter(|seconds| *seconds > 0.0);
        let (shortest, longest) = (positive(&names::WINDOW_LOW_SECONDS)?, positive(&names::WINDOW_HIGH_SECONDS)?);
        let jobs = rate * positive(&names::WINDOW_SECONDS)?;
        Some(Bounds { low: jobs / longest, high: jobs / shortest })
    }

    /// A figure of its report.
    pub fn figure(&self, name: &FigureName) -> Option<f64> {
        self.report.as_ref()?.status.figures.get(name.as_str()).copied()
    }
}

/// The scenarios below `place`, by path, and whether every directory could be read.
pub fn scan(place: &Path, console: &Console) -> (Vec<Scenario>, bool) {
    let (mut scenarios, mut whole) = (Vec::new(), true);
    let mut walk = WalkDir::new(place).min_depth(1).sort_by_file_name().into_iter();
    while let Some(found) = walk.next() {
        let entry = match found {
            Ok(entry) => entry,
            Err(error) => {
                console.say(&error.to_string());
                whole = false;
                continue;
            }
        };
        if !entry.file_type().is_dir() {
            continue;
        }
        if [REPORT, RECORDS].iter().any(|name| entry.path().join(name).is_file()) {
            scenarios.push(read(place, entry.path()));
            walk.skip_current_dir();
        } else if CAPTURES.iter().any(|name| entry.file_name() == *name) {
            walk.skip_current_dir();
        } else if is_bare(entry.path()) {
            let trouble = "its directory was created, but nothing was written to it";
            scenarios.push(Scenario::bare(relative(place, entry.path()), trouble));
        }
    }
    (scenarios, whole)
}

/// Returns true if a directory holds nothing but perhaps a FIFO: it was made for a scenario that then did not begin. False for
/// one that cannot be read; the walk reports it.
fn is_bare(directory: &Path) -> bool {
    fs::read_dir(directory).is_ok_and(|entries| {
        entries
            .flatten()
            .all(|entry| entry.file_type().is_ok_and(|kind| !kind.is_dir() && !kind.is_file() && !kind.is_symlink()))
    })
}

/// The scenario in `directory`, which lies below `place`.
pub fn read(place: &Path, directory: &Path) -> Scenario {
    let (report, trouble) = match report(&directory.join(REPORT)) {
        Ok(Some(report)) => (Some(report), String::new()),
        Ok(None) => (None, "it was started and has no report; render-report --replay writes one".to_owned()),
        Err(error) => (None, format!("{REPORT}: {error}")),
    };
    let mut runs = runs(&directory.join(MANIFEST));
    if runs.is_empty() {
        runs = first_runs(&directory.join(RECORDS));
    }
    let unreadable = report.is_none() && directory.join(REPORT).symlink_metadata().is_ok();
    Scenario { path: relative(place, directory), report, runs, bare: false, unreadable, trouble }
}

fn relative(place: &Path, directory: &Path) -> String {
    let parts = directory.strip_prefix(place).unwrap_or(directory).iter();
    parts.map(|part| part.to_string_lossy()).collect::<Vec<_>>().join("/")
}

fn report(path: &Path) -> io::Result<Option<Report>> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    match Record::parse(text.trim()).map_err(io::Error::other)? {
        Parsed::Record(record) if record.kind() == Kind::Report => record.read().map(Some).map_err(io::Error::other),
        _ => Err(io::Error::other("not a Report record")),
    }
}

/// The Runs of a manifest. Where it is missing or broken the labels of the Report, which are the Run's, must do.
fn runs(path: &Path) -> Vec<Run> {
    #[derive(Deserialize)]
    struct List {
        items: Vec<Run>,
    }
    let Ok(text) = fs::read_to_string(path) else { return Vec::new() };
    match Record::parse(text.trim()) {
        Ok(Parsed::Record(record)) => record.read().into_iter().collect(),
        Ok(Parsed::Other) => serde_json::from_str::<List>(&text).map(|list| list.items).unwrap_or_default(),
        Err(_) => Vec::new(),
    }
}

/// The Runs at the beginning of a stream that nobody has judged.
fn first_runs(path: &Path) -> Vec<Run> {
    let Ok(file) = fs::File::open(path) else { return Vec::new() };
    let lines = Reader::named(io::BufReader::new(file), RECORDS).take(FIRST_LINES);
    let mut fold = Fold::default();
    for read in lines.flatten() {
        if let Read::Line(Line::Record(record)) = read
            && record.kind() == Kind::Run
        {
            fold.add(record);
        }
    }
    fold.runs().collect()
}

/// Returns true if a path that a record names lies inside the run directory.
pub fn is_inside(file: &str) -> bool {
    !file.is_empty() && Path::new(file).components().all(|part| matches!(part, Component::Normal(_)))
}

/// Opens the file of `directory` that a record names. Only a file inside of the directory is opened, and no pipe, which would
/// wait for somebody to write to it.
pub fn open(directory: &Path, name: &str) -> io::Result<File> {
    if !is_inside(name) {
        return Err(io::Error::other("it lies outside of the run directory"));
    }
    let path = directory.join(name);
    if !path.metadata()?.is_file() {
        return Err(io::Error::other("not a file"));
    }
    File::open(path)
}

/// Puts `bytes` into `name` in `directory`, whole or not at all.
pub fn replace(directory: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    replace_with(directory, name, &mut |file| file.write_all(bytes))
}

/// The same with all that `write` writes.
pub fn replace_with(
    directory: &Path,
    name: &str,
    write: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let mut file = tempfile::Builder::new()
        .prefix(&format!(".{name}."))
        // As any program creates a file; the user's mask takes its share away.
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(directory)?;
    let mut buffered = BufWriter::with_capacity(64 * 1024, &mut file);
    write(&mut buffered)?;
    buffered.flush()?;
    drop(buffered);
    file.persist(directory.join(name)).map_err(|error| error.error)?;
    Ok(())
}
