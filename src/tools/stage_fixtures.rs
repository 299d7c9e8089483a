//! `stage-fixtures`: stages one media file per job where the workers can see it, and emits the Run and its Jobs.
//!
//! One staged file per job, because a source string that two jobs share collapses them into one session at the target
//! and hides races. Staging is idempotent: a file that already has the right content is left alone.

use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::{Component, Path, PathBuf};

use walkdir::WalkDir;

use crate::cli::{Exit, Failure, Io, Outcome};
use crate::clock::Clock;
use crate::ndjson::Writer;
use crate::record::{
    Job, JobSpec, JobStatus, Kind, Metadata, Phase, Record, Run, RunSpec, RunStatus, Shard, Timestamp, WARMUP,
    job_name, warmup_prefix,
};
use crate::runs::new_run_id;
use crate::staging::Claim;

/// Stage one media file per job and write one Job record for each.
#[derive(Clone, Debug, clap::Parser)]
#[command(name = "stage-fixtures", version, after_help = HELP)]
pub struct Args {
    /// Stage this many jobs, over all shards
    #[arg(long, value_name = "N", default_value_t = 12, value_parser = clap::value_parser!(u64).range(1..=9_999_999))]
    pub jobs: u64,
    /// Begin job names with this, and stage in the directory of this name below --into (NAME-2 while another run uses it)
    #[arg(long, value_name = "NAME", default_value = "soak", value_parser = name)]
    pub prefix: String,
    /// Stage this many more jobs to run first, labelled warmup=true and left out of every figure
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..=9_999_999))]
    pub warmup: u64,
    /// Check the command line and the files it names, then exit; read no records, send and write nothing
    #[arg(long)]
    pub check: bool,
    /// Take media from this directory tree in sorted order, starting over when there are fewer files than jobs
    #[arg(long, value_name = "DIR", default_value = "fixtures", help_heading = "Media")]
    pub from: PathBuf,
    /// Take only files with this extension
    #[arg(long, value_name = "EXT", default_value = "webm", value_parser = extension, help_heading = "Media")]
    pub ext: String,
    /// Stage below this directory
    #[arg(long, value_name = "DIR", default_value = ".stack-data/fixtures", help_heading = "Media")]
    pub into: PathBuf,
    /// Path at which the workers see --into; sources are paths below it
    #[arg(long, value_name = "PATH", default_value = "/data/fixtures", help_heading = "Media")]
    pub worker_root: String,
    /// Set the run's id [default: the start time and six random digits]
    #[arg(long, value_name = "ID", value_parser = name, help_heading = "Run")]
    pub run: Option<String>,
    /// Name the scenario in the records [default: the prefix]
    #[arg(long, value_name = "NAME", help_heading = "Run")]
    pub scenario: Option<String>,
    /// Put this label on every record (repeatable)
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = label, help_heading = "Run")]
    pub labels: Vec<(String, String)>,
    /// Stage only this share of the jobs, counted from 0: 3/8 is the fourth of eight
    #[arg(long, value_name = "INDEX/COUNT", value_parser = shard, help_heading = "Run")]
    pub shard: Option<Shard>,
}

const HELP: &str = "\
Input:
  none

Output:
  one Run record, then one Job record per staged file, in phase Staged;
  warm-up jobs come first

Examples:
  stage-fixtures --jobs 3 | jq -r .spec.source
  stage-fixtures --warmup 2 | submit-jobs --concurrency 4 --slots slots \\
    | poll-jobs --slots slots
  stage-fixtures --run \"$RUN_ID\" --jobs 800 --shard \"$JOB_COMPLETION_INDEX/8\"

Exit codes:
  0   done
  2   usage error
  74  reading or writing failed";

/// Runs the tool.
pub fn run(args: Args, io: Io<'_>) -> Outcome {
    let clock = Clock::system();
    let started = clock.now();
    let sources = media(&args.from, &args.ext)?;
    if args.check {
        return Ok(Exit::Done);
    }
    let run = args.run.clone().map_or_else(|| new_run_id(started), Ok)?;
    let staged = Staged::new(&args, &run, &io)?;
    let metadata = |name: String| Metadata { name, run: run.clone(), labels: labels(&args) };

    let mut out = Writer::new(io.stdout);
    out.record(&Record::new(Kind::Run, &run_record(&args, metadata(run_name(&args)), &clock, started))?)?;
    for (number, warmup) in (1..=args.warmup).map(|number| (number, true)).chain((1..=args.jobs).map(|n| (n, false))) {
        let index = number - 1;
        if args.shard.is_some_and(|shard| index % shard.count != shard.index) {
            continue;
        }
        let source = &sources[usize::try_from(index).unwrap_or(usize::MAX) % sources.len()];
        let name = if warmup {
            job_name(&warmup_prefix(&args.prefix), number, args.warmup)
        } else {
            job_name(&args.prefix, number, args.jobs)
        };
        // The file is called as the job is, less the prefix that its directory bears.
        let file = format!("{}.{}", &name[args.prefix.len() + 1..], args.ext);
        let path = staged.dir.join(&file);
        let bytes = stage(source, &path)?;
        let spec = JobSpec {
            source: format!("{}/{}/{file}", args.worker_root.trim_end_matches('/'), staged.name),
            path: Some(path.display().to_string()),
            bytes: Some(bytes),
            ..JobSpec::default()
        };
        let status = JobStatus { phase: Phase::Staged, observed_at: Some(clock.now()), ..JobStatus::default() };
        let mut metadata = metadata(name);
        if warmup {
            metadata.labels.insert(WARMUP.to_owned(), "true".to_owned());
        }
        out.record(&Record::new(Kind::Job, &Job { metadata, spec, status })?)?;
    }
    staged.close()?;
    Ok(Exit::Done)
}

/// The directory that the jobs' files are staged in.
struct Staged {
    /// Its name below `--into`.
    name: String,
    dir: PathBuf,
    /// None where the directory cannot be marked.
    claim: Option<Claim>,
}

impl Staged {
    /// The directory that is called as the prefix, or the first `PREFIX-N` that no other run uses.
    fn new(args: &Args, run: &str, io: &Io<'_>) -> Result<Self, Failure> {
        let (mut name, mut number) = (args.prefix.clone(), 1_u64);
        loop {
            let dir = staging_dir(&args.into, &name)?;
            match Claim::new(&dir, run) {
                Ok(Some(claim)) => return Ok(Self { name, dir, claim: Some(claim) }),
                Ok(None) => {
                    number += 1;
                    name = format!("{}-{number}", args.prefix);
                }
                Err(error) => {
                    let message = format!(
                        "{}: cannot mark it as used, so another run may stage the same sources in the meantime: {error}",
                        dir.display()
                    );
                    io.console.say(&message);
                    return Ok(Self { name, dir, claim: None });
                }
            }
        }
    }

    fn close(self) -> Result<(), Failure> {
        let failed = |error| Failure::io(&self.dir.display().to_string(), &error);
        self.claim.as_ref().map_or(Ok(()), |claim| claim.renew().map_err(failed))
    }
}

fn run_name(args: &Args) -> String {
    match args.shard {
        None => args.prefix.clone(),
        Some(shard) => format!("{}-shard-{}", args.prefix, shard.index),
    }
}

fn labels(args: &Args) -> std::collections::BTreeMap<String, String> {
    let mut labels: std::collections::BTreeMap<_, _> = args.labels.iter().cloned().collect();
    labels.entry("scenario".to_owned()).or_insert_with(|| scenario(args));
    labels
}

fn scenario(args: &Args) -> String {
    args.scenario.clone().unwrap_or_else(|| args.prefix.clone())
}

fn run_record(args: &Args, metadata: Metadata, clock: &Clock, started: Timestamp) -> Run {
    let spec = RunSpec {
        scenario: Some(scenario(args)),
        prefix: Some(args.prefix.clone()),
        jobs: Some(args.jobs),
        warmup: Some(args.warmup).filter(|warmup| *warmup > 0),
        shard: args.shard,
        ..RunSpec::default()
    };
    let status = RunStatus {
        observed_at: Some(started),
        started_at: Some(started),
        tools: [("stage-fixtures".to_owned(), env!("CARGO_PKG_VERSION").to_owned())].into(),
        clock: Some(clock.anchor().clone()),
        ..RunStatus::default()
    };
    Run { metadata, spec, status }
}

/// The media files below `dir`, sorted by path.
fn media(dir: &Path, ext: &str) -> Result<Vec<PathBuf>, Failure> {
    let named = |what: &str| Failure::input_output(format!("--from {}: {what}", dir.display()));
    let mut files = Vec::new();
    for entry in WalkDir::new(dir).sort_by_file_name() {
        let entry = entry.map_err(|error| match error.io_error() {
            Some(cause) => named(&cause.to_string()),
            None => named(&error.to_string()),
        })?;
        if entry.path().is_file() && entry.path().extension().is_some_and(|found| found.eq_ignore_ascii_case(ext)) {
            files.push(entry.into_path());
        }
    }
    if files.is_empty() {
        return Err(named(&format!(
            "no .{ext} file in it: give a directory of media, or another extension with --ext"
        )));
    }
    Ok(files)
}

/// The directory `prefix` below `into`, made where it is missing, known to lie inside it.
fn staging_dir(into: &Path, prefix: &str) -> Result<PathBuf, Failure> {
    let dir = into.join(prefix);
    let failed = |what: &str, error: &io::Error| Failure::io(&format!("--into {}: {what}", dir.display()), error);
    fs::create_dir_all(into).map_err(|error| failed("cannot create it", &error))?;
    match fs::create_dir(&dir) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(failed("cannot create it", &error)),
    }
    let (root, real) = (into.canonicalize(), dir.canonicalize());
    let root = root.map_err(|error| failed("cannot resolve it", &error))?;
    let real = real.map_err(|error| failed("cannot resolve it", &error))?;
    if real.parent() == Some(&root) { Ok(dir) } else { Err(leads_out(&dir)) }
}

fn leads_out(path: &Path) -> Failure {
    Failure::usage(format!("{}: a symbolic link leads out of the staging directory: remove it", path.display()))
}

/// Puts the content of `source` at `path`, unless it is there. Gives its size in bytes.
fn stage(source: &Path, path: &Path) -> Result<u64, Failure> {
    let failed = |error: &io::Error| Failure::io(&format!("staging {} as {}", source.display(), path.display()), error);
    let wanted = fs::metadata(source).map_err(|error| failed(&error))?;
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_symlink() && !stays_inside(path) => return Err(leads_out(path)),
        Ok(found) if found.is_file() && found.len() == wanted.len() => {
            if same_content(source, path).map_err(|error| failed(&error))? {
                return Ok(wanted.len());
            }
        }
        Ok(found) if found.is_dir() => {
            return Err(Failure::usage(format!("{}: a directory is in the way: remove it", path.display())));
        }
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(&error)),
    }
    replace(source, path).map_err(|error| failed(&error))?;
    Ok(wanted.len())
}

/// Returns true if a link at `path` points at something in its own directory.
fn stays_inside(path: &Path) -> bool {
    let within = |target: PathBuf| {
        let mut parts = target.components();
        matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None))
    };
    fs::read_link(path).is_ok_and(within)
}

fn same_content(a: &Path, b: &Path) -> io::Result<bool> {
    let (mut a, mut b) = (BufReader::new(File::open(a)?), BufReader::new(File::open(b)?));
    let (mut left, mut right) = ([0; 8192], [0; 8192]);
    loop {
        let count = a.read(&mut left)?;
        if count == 0 {
            return Ok(b.read(&mut right)? == 0);
        }
        match b.read_exact(&mut right[..count]) {
            Ok(()) if left[..count] == right[..count] => {}
            Ok(()) => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
            Err(error) => return Err(error),
        }
    }
}

/// A reflink, else a hard link, else a copy, made under a name of its own and renamed, so that nobody ever sees half a file.
fn replace(source: &Path, path: &Path) -> io::Result<()> {
    let dir = path.parent().unwrap_or(Path::new("."));
    let made = tempfile::Builder::new().prefix(".staging-").make_in(dir, |temporary| {
        let copy = || fs::copy(source, temporary).map(drop);
        let made =
            reflink_copy::reflink(source, temporary).or_else(|_| fs::hard_link(source, temporary)).or_else(|_| copy());
        // On a full disk, part of a copy would stay. If it cannot be removed either, the first error counts.
        made.inspect_err(|_| drop(fs::remove_file(temporary)))
    })?;
    // Renaming one name of a file over another name of the same file does nothing and leaves both (POSIX rename); the
    // caller only comes here when the content differs, so the two are never the same file.
    made.into_temp_path().persist(path).map_err(|error| error.error)
}

/// A run's id, a prefix: one path component that is also fit for a header, a URL and a Kubernetes name.
pub fn name(text: &str) -> Result<String, String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.len() <= 63 && text.chars().all(fits) {
        Ok(text.to_owned())
    } else {
        Err("write letters, digits, `.`, `_` and `-`, beginning with a letter or a digit, 63 at most".to_owned())
    }
}

fn shard(text: &str) -> Result<Shard, String> {
    let refused = || format!("`{text}` is not a share: write INDEX/COUNT, counted from 0, such as 3/8");
    let (index, count) = text.split_once('/').ok_or_else(refused)?;
    let shard = Shard { index: index.parse().map_err(|_| refused())?, count: count.parse().map_err(|_| refused())? };
    if shard.index < shard.count { Ok(shard) } else { Err(refused()) }
}

fn label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(format!("`{text}` is not a label: write KEY=VALUE")),
    }
}

fn extension(text: &str) -> Result<String, String> {
    name(text.trim_start_matches('.')).map_err(|error| format!("`{text}` is not an extension: {error}"))
}
