//! `poll-jobs`: polls submitted jobs to their end and records how each ended.
//!
//! It writes a submitted job at once and again when it has ended, so a crash loses no id of a job in flight. The
//! jobs that have ended tell when the others are likely to end, and most polls are sent then (the crate `schedule`).

mod counts;
mod explain;
mod hidden_cache;
mod issue;
mod job;
mod session;
mod stages;
mod threads;

use std::path::PathBuf;
use std::time::Duration;

use crate::cli::{Failure, Io, Outcome};
use crate::cookies;
use crate::record::Phase;
use crate::target::TargetArgs;
use crate::units;

/// Poll submitted jobs until they end.
#[derive(Clone, Debug, clap::Parser)]
#[command(name = "poll-jobs", version, after_help = HELP)]
pub struct Args {
    /// Give up on a job this long after its submission, even during a poll (`TimedOut`)
    #[arg(long, value_name = "DURATION", default_value = "30m", value_parser = units::positive_duration, help_heading = "Polling")]
    pub deadline: Duration,
    /// Aim to see each job's end within this fraction of its age
    #[arg(long, value_name = "FRACTION", default_value_t = 0.05, value_parser = fraction, help_heading = "Polling")]
    pub precision: f64,
    /// Wait at least this long between two polls of a job [default: 5ms; for a list of jobs: 100ms]
    #[arg(long, value_name = "DURATION", value_parser = units::positive_duration, help_heading = "Polling")]
    pub min_interval: Option<Duration>,
    /// Wait at most this long between two polls of a job, unless the target's `Retry-After` asks for a longer wait
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = units::positive_duration, help_heading = "Polling")]
    pub max_interval: Duration,
    /// Send at most this many requests about jobs, such as 50/s [default: a budget that grows with the jobs in flight]
    #[arg(long, value_name = "RATE", value_parser = units::rate, help_heading = "Polling")]
    pub max_poll_rate: Option<f64>,
    /// Give up on a job after the target has not known its id for this long (`Lost`)
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = units::duration, help_heading = "Polling")]
    pub lost_after: Duration,
    /// The target.
    #[command(flatten)]
    pub target: TargetArgs,
    /// Report ended jobs to `submit-jobs --slots` through this FIFO; created if missing
    #[arg(long, value_name = "FIFO")]
    pub slots: Option<PathBuf>,
    /// Read a finished run's records and poll again every job that has an id and no verdict
    #[arg(long, conflicts_with_all = ["slots", "explain"])]
    pub resume: bool,
    /// With --resume, also read submissions that the pipe lost from this journal of submit-jobs
    #[arg(long, value_name = "FILE", requires = "resume")]
    pub journal: Option<PathBuf>,
    /// Poll the job with this id once and show what each of the profile's keys finds in the answer; for a job that has ended, also
    /// in the answers to the steps with when = "end"
    #[arg(long, value_name = "ID")]
    pub explain: Option<String>,
    /// Cancel jobs that are given up as interrupted or timedout, with the profile's steps that have when = "cancel"
    #[arg(long, value_name = "PHASE,…", value_delimiter = ',', help_heading = "Polling")]
    pub cancel_on: Vec<CancelOn>,
    /// Send each job the cookies that `submit-jobs --cookies` saved in this file, save the changes that answers to polls make, and
    /// delete the file once every job in it has ended
    #[arg(long, value_name = "FILE")]
    pub cookies: Option<PathBuf>,
    /// Check the command line and the files it names, then exit; read no records, send and write nothing
    #[arg(long)]
    pub check: bool,
}

/// A phase in which a job that is given up is cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
#[value(rename_all = "lower")]
pub enum CancelOn {
    /// The run was stopped.
    Interrupted,
    /// The job's deadline passed.
    TimedOut,
}

impl CancelOn {
    fn phase(self) -> Phase {
        match self {
            Self::Interrupted => Phase::Interrupted,
            Self::TimedOut => Phase::TimedOut,
        }
    }
}

const HELP: &str = "\
Input:
  Run and Job records from submit-jobs or from a file. Only jobs in phase
  Submitted are polled; the others pass through unchanged.
  With --resume, the records.ndjson of a run.

Output:
  every record; each submitted Job again at its end, in phase Succeeded, Failed,
  TimedOut, Lost or Interrupted, with its stages and the target's last body. A
  job submitted to another target is polled too, but all-done is Incomplete.
  With --resume, the latest record of each resource, then the outcome of each
  job that is polled again. --deadline counts from the resumption. A resumed run
  never replaces a record with one that knows less, and submits nothing.
  The journal's jobs of other runs are ignored. A journal that contradicts the
  records or itself (two ids or two inputs for one job) is a usage error, and
  nothing is polled.

Examples:
  stage-fixtures | submit-jobs --concurrency 4 --slots slots \\
    | poll-jobs --slots slots
  poll-jobs < submitted.ndjson | jq -r '[.metadata.name, .status.phase] | @tsv'
  poll-jobs --resume < runs/a/records.ndjson \\
    | render-report --append --out runs/a
  poll-jobs --explain 379bb927167ee2d4963d9f27a2bc5a0b

Exit codes:
  0    done; a failed job is data, not an error
  2    usage error
  4    --explain: the answer does not show the job's state
  65   broken lines in the input or in the file of --cookies
  69   --explain, --resume: the target is unreachable; --resume passes the
       records on as they were
  74   reading or writing failed
  130  ended by Ctrl-C, 143 by SIGTERM, after writing each job in flight as
       Interrupted";

/// Runs the tool.
pub fn run(args: Args, io: Io<'_>) -> Outcome {
    if args.min_interval.is_some_and(|min| min > args.max_interval) {
        return Err(Failure::usage("--min-interval is more than --max-interval: lower the first or raise the second"));
    }
    cookies::check_file(args.cookies.as_deref(), args.journal.as_deref())?;
    match &args.explain {
        Some(id) => explain::run(&args, id, io),
        None => session::run(&args, io),
    }
}

fn fraction(text: &str) -> Result<f64, String> {
    let value = text.parse().ok().filter(|value: &f64| (0.001..=1.0).contains(value));
    value.ok_or_else(|| format!("`{text}` is not a fraction from 0.001 to 1"))
}
