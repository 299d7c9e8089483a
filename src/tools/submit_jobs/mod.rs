//! `submit-jobs`: submits one job per Job record, as fast as the model of the load allows, and says what came of each.
//!
//! A submission that was sent is never sent again. Whatever happens, every record that was read is handed on, so that the
//! report can account for each job.

mod admission;
mod curl;
mod explain;
mod lines;
mod post;
mod session;
mod warmup;

use std::path::PathBuf;
use std::time::Duration;

use crate::cli::{Failure, Io, Outcome};
use crate::cookies;
use crate::record::Timestamp;
use crate::target::TargetArgs;
use crate::units;

/// Submit jobs to the target and record the outcome of each.
#[derive(Clone, Debug, clap::Parser)]
#[command(name = "submit-jobs", version, after_help = HELP)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub struct Args {
    /// Keep at most N jobs in flight, from submission to end (closed model), over all shards; needs --slots
    #[arg(long, value_name = "N", value_parser = positive, help_heading = "Load", conflicts_with_all = ["max_posts", "rate"])]
    pub concurrency: Option<u64>,
    /// Learn from `poll-jobs --slots` which jobs have ended, through this FIFO; created if missing
    #[arg(long, value_name = "FIFO", help_heading = "Load")]
    pub slots: Option<PathBuf>,
    /// Submit on a fixed schedule, such as 5/s over all shards, however slow the target is (open model)
    #[arg(long, value_name = "RATE", value_parser = units::rate, help_heading = "Load")]
    pub rate: Option<f64>,
    /// Make at most N submissions at once, over all shards, without waiting for jobs to end (burst) [default: 1 for each shard]
    #[arg(long, value_name = "N", value_parser = positive, help_heading = "Load", conflicts_with = "rate")]
    pub max_posts: Option<u64>,
    /// Submit no job before this time (RFC 3339 or Unix seconds), so that all shards start together; if the time has passed, start
    /// at once, and record the delay on the Run
    #[arg(long, value_name = "TIME", value_parser = start_time, help_heading = "Load")]
    pub start_at: Option<Timestamp>,
    /// Wait this long after the last warm-up job before the first counted job, so that metrics can tell the two apart
    #[arg(long, value_name = "DURATION", default_value = "15s", value_parser = units::duration, help_heading = "Load")]
    pub rest: Duration,
    /// Give up if no poll-jobs opens the FIFO within this time
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = units::positive_duration, help_heading = "Load")]
    pub slots_timeout: Duration,
    /// Stop submitting if this host lacks descriptors, ports, threads or memory for this long
    #[arg(long, value_name = "DURATION", default_value = "75s", value_parser = units::positive_duration, help_heading = "Load")]
    pub deadline: Duration,
    /// The target.
    #[command(flatten)]
    pub target: TargetArgs,
    /// Sync each submission to this file before it is sent; a restart with the same file does not submit answered jobs again
    #[arg(long, value_name = "FILE", conflicts_with = "lines")]
    pub journal: Option<PathBuf>,
    /// Read one plain source string per line instead of records
    #[arg(long)]
    pub lines: bool,
    /// Print the first job's request as a curl command and send nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Submit the first job, and show each request, each answer and what the profile's keys find in them
    #[arg(long, conflicts_with_all = ["dry_run", "slots", "journal"])]
    pub explain: bool,
    /// Save each submission's cookies in this file (mode 0600) for `poll-jobs --cookies`
    #[arg(long, value_name = "FILE")]
    pub cookies: Option<PathBuf>,
    /// Check the command line and the files it names, then exit; read no records, send and write nothing
    #[arg(long)]
    pub check: bool,
}

const HELP: &str = "\
Input:
  Run and Job records from stage-fixtures, or written by hand. Only jobs in
  phase Staged are submitted; the others pass through unchanged. Warm-up jobs
  (label warmup=true) come first and need --concurrency: counted jobs wait until
  they have all ended.
  With --lines, one source string per line.
  If the Run names a shard, every shard runs submit-jobs with the same command
  line. Each takes its share of --concurrency and --max-posts (10 over 4 shards:
  3, 3, 2 and 2). With --rate, the times of one schedule are dealt out in turn:
  of 4 shards, each takes every fourth time.
  With --journal, a job in the file that was never sent is submitted now. A job
  whose answer is unknown is submitted again only to the same target under the
  same Idempotency-Key. Every other job is passed on with its id, or as Unknown.
  A message counts the jobs that were submitted to another target. A
  file of another run is refused, and so is one with other inputs or two ids
  for a job.

Output:
  every record; each submitted Job once more, in phase Submitted, Rejected (it
  does not run), Unknown (it may run) or Failed (reason Collapsed)
  With --journal, the file holds each Job in phase Submitting before it is sent,
  and again with its outcome.

Examples:
  stage-fixtures | submit-jobs --concurrency 4 --slots slots \\
    | poll-jobs --slots slots
  stage-fixtures --jobs 100 | submit-jobs --rate 5/s | poll-jobs
  echo /data/a.webm | submit-jobs --lines | poll-jobs | jq -c .status.phase
  stage-fixtures --jobs 1 | submit-jobs --dry-run
  stage-fixtures --run r1 | submit-jobs --journal r1.journal | poll-jobs

Exit codes:
  0    done; a rejected job is data, not an error
  2    usage error
  4    --explain: the target did not accept the job
  65   broken lines in the input or in the file of --cookies
  69   the health check or a step before the first submission failed, or the
       connection failed for three jobs in a row; the records are passed on,
       with the cause in the Run
  74   reading or writing failed (the journal included), poll-jobs has exited,
       or a limit of this host stopped the submissions
  130  ended by Ctrl-C, 143 by SIGTERM, after passing on the records read so far";

/// Runs the tool.
pub fn run(args: Args, io: Io<'_>) -> Outcome {
    check(&args)?;
    cookies::check_file(args.cookies.as_deref(), args.journal.as_deref())?;
    match (args.dry_run, args.explain) {
        (true, _) => curl::print(&args, io),
        (_, true) => explain::run(&args, io),
        _ => session::run(&args, io),
    }
}

fn check(args: &Args) -> Result<(), Failure> {
    match (&args.concurrency, &args.slots) {
        (Some(count), None) => Err(Failure::usage(format!(
            "--concurrency needs --slots, to learn when jobs end: use `submit-jobs --concurrency {count} --slots FIFO | poll-jobs --slots FIFO`"
        ))),
        (None, Some(_)) => Err(Failure::usage("--slots needs --concurrency N")),
        _ => Ok(()),
    }
}

fn start_time(text: &str) -> Result<Timestamp, String> {
    match units::Moment::parse(text) {
        Ok(units::Moment::At(time)) => Ok(time),
        _ => Err(format!("`{text}` is not a time: write Unix seconds or RFC 3339, such as 2026-05-20T22:30:00Z")),
    }
}

fn positive(text: &str) -> Result<u64, String> {
    text.parse().ok().filter(|count| *count > 0).ok_or_else(|| format!("`{text}` is not a whole number of at least 1"))
}
