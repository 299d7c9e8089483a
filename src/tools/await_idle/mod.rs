//! `await-idle`: copies a run's stream, and holds it at the first staged job until the target is idle.
//!
//! A run measures only itself if it began on an idle target. There are two sources: the target, polled for jobs of earlier
//! runs that were never seen to end, and Prometheus, queried for messages on the stages' queues. The result goes on the Run
//! record, also if the waiting was given up or neither source could be read.

mod earlier_jobs;
mod queues;
mod state;
mod watch;

use std::path::PathBuf;
use std::time::Duration;

use crate::cli::{Exit, Failure, Io, Outcome};
use crate::clock::Clock;
use crate::input;
use crate::ndjson::{BadLines, Line, Reader, Writer};
use crate::record::{Job, Kind, Phase, RunSpec, RunStatus};
use crate::runs::Runs;
use crate::target::TargetArgs;
use crate::units;
use watch::Watch;

/// Hold back a run's first job until the target is idle.
#[derive(Clone, Debug, clap::Parser)]
#[command(name = "await-idle", version, after_help = HELP)]
pub struct Args {
    /// Stop waiting after this long and go on; the Run says that the target was not idle
    #[arg(long, value_name = "DURATION", default_value = "2m", value_parser = units::duration, help_heading = "Waiting")]
    pub limit: Duration,
    /// Wait for the unfinished jobs of earlier runs, in this records.ndjson or in those below this directory (repeatable)
    #[arg(long, value_name = "PATH", help_heading = "Waiting")]
    pub earlier: Vec<PathBuf>,
    /// Read queue depths from the Prometheus at this base URL; empty disables this [default: the profile's]
    #[arg(long, value_name = "URL", env = "PROM_URL", help_heading = "Waiting")]
    pub prometheus: Option<String>,
    /// Ignore samples scraped less than this long after the wait began; set it to the greatest age of a value at its
    /// scrape [default: the profile's]
    #[arg(long, value_name = "DURATION", value_parser = units::duration, help_heading = "Waiting")]
    pub lag: Option<Duration>,
    /// The target.
    #[command(flatten)]
    pub target: TargetArgs,
    /// Send the headers in this file to Prometheus, which never gets the target's headers
    #[arg(long, value_name = "FILE", help_heading = "HTTP")]
    pub prom_header_file: Option<PathBuf>,
    /// Check the command line and the files it names, then exit; read no records, send and write nothing
    #[arg(long)]
    pub check: bool,
}

const HELP: &str = "\
Input:
  Run and Job records from stage-fixtures

Output:
  every record, unchanged; before the first staged Job, each Run once more with
  status.idle

When the target is idle:
  Each unfinished job of --earlier that has an id has ended, or the target no
  longer knows it, and every series of the profile's prometheus.idle query is 0
  in a sample scraped after the wait began (plus --lag). A request that
  fails for a reason that may pass is repeated until --limit. await-idle waits
  neither for an unhealthy target (submit-jobs reports it) nor for a Prometheus
  that it cannot query and that has shown no series yet.

Examples:
  stage-fixtures | await-idle --earlier stress-runs | submit-jobs | poll-jobs
  stage-fixtures --jobs 1 | await-idle --limit 30s \\
    | jq -c 'select(.kind == \"Run\") | .status.idle // empty'

Exit codes:
  0    done, whether or not the target became idle
  2    usage error
  65   broken input lines
  74   reading or writing failed
  130  ended by Ctrl-C, 143 by SIGTERM; the wait ends at once, and the records
       read so far are passed on";

/// Runs the tool.
pub fn run(args: Args, mut io: Io<'_>) -> Outcome {
    let mut watch = Some(Watch::from_args(&args, &io)?);
    if args.check {
        return Ok(Exit::Done);
    }
    let (mut bad_lines, mut runs, mut clock) = (BadLines::default(), Runs::default(), Clock::system());
    let stdin = input::take(&mut io)?;
    let mut out = Writer::new(io.stdout);
    for read in Reader::stdin(stdin) {
        let read = read.map_err(|error| Failure::io("stdin", &error))?;
        match bad_lines.take(read, &io.console) {
            Some(Line::Record(record)) if record.kind() == Kind::Run => {
                let spec = RunSpec::default();
                let (_, of_run) = runs.pass(record, io.console.tool(), &spec, clock.now(), &mut out)?;
                clock = of_run.unwrap_or(clock);
            }
            Some(line) => {
                if is_staged_job(&line)
                    && let Some(watch) = watch.take()
                {
                    let idle = Some(watch.wait(&clock)?);
                    let status = RunStatus { observed_at: Some(clock.now()), idle, ..RunStatus::default() };
                    runs.again(&status, &mut out)?;
                }
                out.line(&line)?;
            }
            None => {}
        }
    }
    bad_lines.close(&io.console);
    Ok(io.stop.exit_or(if bad_lines.broken() > 0 { Exit::BrokenInput } else { Exit::Done }))
}

/// Returns true if `line` is a job that is still to be submitted.
fn is_staged_job(line: &Line) -> bool {
    match line {
        Line::Record(record) if record.kind() == Kind::Job => {
            record.read::<Job>().is_ok_and(|job| job.status.phase == Phase::Staged)
        }
        _ => false,
    }
}
