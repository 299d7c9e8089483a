//! `poll-jobs`: polls submitted jobs to their end and records how each ended.
//!
//! It writes a submitted job at once and again when it has ended, so a crash loses no id of a job in flight. The next poll
//! of a job is due after a fraction of its age: the number of polls grows with the logarithm of the job's duration, and the
//! end is known to that fraction.

mod counts;
mod explain;
mod issue;
mod job;
mod schedule;
mod session;
mod stages;

use std::path::PathBuf;
use std::time::Duration;

use crate::cli::{Failure, Io, Outcome};
use crate::target::TargetArgs;
use crate::units;

/// Follow submitted jobs to their end.
#[derive(Clone, Debug, clap::Parser)]
#[command(name = "poll-jobs", version, after_help = HELP)]
pub struct Args {
    /// The target.
    #[command(flatten)]
    pub target: TargetArgs,
    /// The FIFO by which `submit-jobs --slots` hears that a job has ended; made if it is not there
    #[arg(long, value_name = "FIFO")]
    pub slots: Option<PathBuf>,
    /// Send with the polls of each job the cookies that came with its submission: the file of `submit-jobs --cookies`. It is
    /// deleted once all jobs have ended
    #[arg(long, value_name = "FILE")]
    pub cookies: Option<PathBuf>,
    /// Know a job's end to this fraction of its age
    #[arg(long, value_name = "FRACTION", default_value_t = 0.05, value_parser = fraction, help_heading = "Polling")]
    pub precision: f64,
    /// Never poll a job more often than this
    #[arg(long, value_name = "DURATION", default_value = "100ms", value_parser = units::positive_duration, help_heading = "Polling")]
    pub min_interval: Duration,
    /// Never poll a job less often than this, unless the target's `Retry-After` asks for a longer wait
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = units::positive_duration, help_heading = "Polling")]
    pub max_interval: Duration,
    /// Give a job up this long after its submission, also while a poll hangs: `TimedOut`
    #[arg(long, value_name = "DURATION", default_value = "30m", value_parser = units::positive_duration, help_heading = "Polling")]
    pub deadline: Duration,
    /// Give a job up once its id has been unknown to the target for this long: `Lost`
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = units::duration, help_heading = "Polling")]
    pub lost_after: Duration,
    /// Read the records of a run to their end, hand on the last word on each, and follow again every job that has an id
    /// and no verdict: Submitted, Interrupted, `TimedOut`, `Lost`. The deadline counts from now. What is known of a job is
    /// never replaced by less, and where the health check fails all is handed on as it was
    #[arg(long, conflicts_with_all = ["slots", "explain"])]
    pub resume: bool,
    /// With --resume, also read this journal of submit-jobs: it knows submissions that the pipe lost
    #[arg(long, value_name = "FILE", requires = "resume")]
    pub journal: Option<PathBuf>,
    /// Poll the job with this id once, show what each pointer of the profile finds in the answer, and end
    #[arg(long, value_name = "ID")]
    pub explain: Option<String>,
    /// Check the command line and what it names, and end: nothing is read, sent or written
    #[arg(long)]
    pub check: bool,
}

const HELP: &str = "\
Input:
  Run and Job records from submit-jobs or from a file; jobs that are not Submitted are handed on untouched.
  With --resume, the records.ndjson of a run

Output:
  every record that was read; each Submitted job at once and again when it ended: phase Succeeded, Failed,
  TimedOut, Lost or Interrupted, with its stages and the target's last body. With --resume, each record once
  as it stood last, then what has become of those that are followed; nothing is submitted

Examples:
  stage-fixtures | submit-jobs --concurrency 4 --slots slots | poll-jobs --slots slots
  poll-jobs < submitted.ndjson | jq -r '[.metadata.name, .status.phase] | @tsv'
  poll-jobs --resume < runs/a/records.ndjson | render-report --append --out runs/a
  poll-jobs --explain 379bb927167ee2d4963d9f27a2bc5a0b

Exit codes:
  0    done; a job that failed is data, not an error
  2    usage error
  4    --explain: the target knows no such job
  65   broken input lines
  69   --explain, --resume: the target is unreachable; with --resume what was read is handed on
  74   reading or writing failed
  130  ended by Ctrl-C, 143 by SIGTERM, after jobs in flight are written as Interrupted";

/// Runs the tool.
pub fn run(args: Args, io: Io<'_>) -> Outcome {
    if args.min_interval > args.max_interval {
        return Err(Failure::usage("--min-interval is more than --max-interval"));
    }
    match &args.explain {
        Some(id) => explain::run(&args, id, io),
        None => session::run(&args, io),
    }
}

fn fraction(text: &str) -> Result<f64, String> {
    let value = text.parse().ok().filter(|value: &f64| (0.001..=1.0).contains(value));
    value.ok_or_else(|| format!("`{text}` is not a fraction from 0.001 to 1"))
}
