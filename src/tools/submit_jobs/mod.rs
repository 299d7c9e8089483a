//! `submit-jobs`: submits one job per Job record, as fast as the model of the load allows, and says what came of each.
//!
//! A submission that was sent is never sent again. Whatever happens, every record that was read is handed on, so that the
//! report can account for each job.

mod admission;
mod curl;
mod lines;
mod post;
mod session;
mod warmup;

use std::path::PathBuf;
use std::time::Duration;

use crate::cli::{Failure, Io, Outcome};
use crate::target::TargetArgs;
use crate::units;

/// Submit jobs to the target and hand their records on.
#[derive(Clone, Debug, clap::Parser)]
#[command(name = "submit-jobs", version, after_help = HELP)]
pub struct Args {
    /// The target.
    #[command(flatten)]
    pub target: TargetArgs,
    /// Closed model: at most N jobs in flight, from submission to end; needs --slots
    #[arg(long, value_name = "N", value_parser = positive, help_heading = "Load", conflicts_with_all = ["max_posts", "rate"])]
    pub concurrency: Option<u64>,
    /// The FIFO by which `poll-jobs --slots` tells that a job has ended; made if it is not there
    #[arg(long, value_name = "FIFO", help_heading = "Load")]
    pub slots: Option<PathBuf>,
    /// Record each submission in this file, on disk before it is sent; a second start with it submits nothing twice
    #[arg(long, value_name = "FILE", conflicts_with = "lines")]
    pub journal: Option<PathBuf>,
    /// Burst: at most N submissions under way at once, not waiting for jobs to end [default: 1]
    #[arg(long, value_name = "N", value_parser = positive, help_heading = "Load", conflicts_with = "rate")]
    pub max_posts: Option<u64>,
    /// Open model: submit on a fixed schedule, such as 5/s, however slow the target is
    #[arg(long, value_name = "RATE", value_parser = units::rate, help_heading = "Load")]
    pub rate: Option<f64>,
    /// Give up if no poll-jobs opens the FIFO within this time
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = units::positive_duration, help_heading = "Load")]
    pub slots_timeout: Duration,
    /// Hold the first counted job back for this long after the last warm-up job's end: metrics of the two are told apart only where
    /// they are exported and scraped in between
    #[arg(long, value_name = "DURATION", default_value = "15s", value_parser = units::duration, help_heading = "Load")]
    pub rest: Duration,
    /// Keep the cookies that come with submissions in this file (mode 0600), from which `poll-jobs --cookies` sends them
    #[arg(long, value_name = "FILE")]
    pub cookies: Option<PathBuf>,
    /// Read plain source strings, one a line, instead of records
    #[arg(long)]
    pub lines: bool,
    /// Print the request of the first job as a curl command and send nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Check the command line and what it names, and end: nothing is read, sent or written
    #[arg(long)]
    pub check: bool,
}

const HELP: &str = "\
Input:
  Run and Job records from stage-fixtures or by hand; a Job that is not Staged is handed on untouched.
  Jobs labelled warmup=true come first and need --concurrency: counted jobs wait until all have ended.
  With --lines, one source string a line.
  With --journal, a job that the file knows is not submitted again: it is handed on with its id, or as Unknown if
  no answer was recorded. Such a job is submitted again only if the profile sends an Idempotency-Key.

Output:
  every record that was read; each Job again when it was submitted: phase Submitted, Rejected (it surely
  does not run), Unknown (it may run) or Failed with reason Collapsed
  with --journal, the file: each Job with phase Submitting before it is sent, and again with its outcome

Examples:
  stage-fixtures | submit-jobs --concurrency 4 --slots slots | poll-jobs --slots slots
  stage-fixtures --jobs 100 | submit-jobs --rate 5/s | poll-jobs
  printf '%s\\n' /data/a.webm | submit-jobs --lines | poll-jobs | jq -c .status.phase
  stage-fixtures --jobs 1 | submit-jobs --dry-run
  stage-fixtures --run r1 | submit-jobs --journal r1/submissions.ndjson | poll-jobs

Exit codes:
  0    done; a job that was refused is data, not an error
  2    usage error
  65   broken input lines
  69   the target is unreachable or unhealthy; what was read is handed on, with the cause on the Run
  74   reading or writing failed, the journal among it, or poll-jobs is gone
  130  ended by Ctrl-C, 143 by SIGTERM, after what was read is handed on";

/// Runs the tool.
pub fn run(args: Args, io: Io<'_>) -> Outcome {
    check(&args)?;
    if args.dry_run { curl::print(&args, io) } else { session::run(&args, io) }
}

fn check(args: &Args) -> Result<(), Failure> {
    match (&args.concurrency, &args.slots) {
        (Some(count), None) => Err(Failure::usage(format!(
            "--concurrency needs to hear of jobs that end: type `submit-jobs --concurrency {count} --slots FIFO | poll-jobs --slots FIFO`"
        ))),
        (None, Some(_)) => Err(Failure::usage("--slots only means something with --concurrency N")),
        _ => Ok(()),
    }
}

fn positive(text: &str) -> Result<u64, String> {
    text.parse().ok().filter(|count| *count > 0).ok_or_else(|| format!("`{text}` is not a number from 1 up"))
}
