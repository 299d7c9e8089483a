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

/// Hold a run's first job back until the target has nothing to do.
#[derive(Clone, Debug, clap::Parser)]
#[command(name = "await-idle", version, after_help = HELP)]
pub struct Args {
    /// The target.
    #[command(flatten)]
    pub target: TargetArgs,
    /// Look here for jobs that were never seen to end: a records.ndjson, or a directory that is searched for such files; may be
    /// repeated
    #[arg(long, value_name = "PATH")]
    pub earlier: Vec<PathBuf>,
    /// Go on after this long, with a mark on the Run
    #[arg(long, value_name = "DURATION", default_value = "2m", value_parser = units::duration)]
    pub limit: Duration,
    /// The base URL of the Prometheus that sees the queues; by default the profile's; empty is off
    #[arg(long, value_name = "URL", env = "PROM_URL")]
    pub prometheus: Option<String>,
    /// Count only samples that were scraped this long after the waiting began: how much older than its scrape a value may be;
    /// by default the profile's
    #[arg(long, value_name = "DURATION", value_parser = units::duration)]
    pub lag: Option<Duration>,
    /// Send the headers in this file to Prometheus, one `Name: value` a line; those for the target are not sent there
    #[arg(long, value_name = "FILE")]
    pub prom_header_file: Option<PathBuf>,
    /// Check the command line and what it names, and end: nothing is read, sent or written
    #[arg(long)]
    pub check: bool,
}

const HELP: &str = "\
Input:
  Run and Job records from stage-fixtures

Output:
  every record that was read; before the first staged Job each Run again, with status.idle

What is waited for:
  Each job of --earlier that has an id and no end is polled until it ended or is unknown to the target.
  Every series of the profile's prometheus.idle query must be 0 in a sample that was scraped after the
  waiting began, and as much later as such values may be out of date. Where the target is not well nothing is waited for: submit-jobs says it.

Examples:
  stage-fixtures | await-idle --earlier runs | submit-jobs --concurrency 4 --slots slots | poll-jobs --slots slots
  stage-fixtures --jobs 1 | await-idle --limit 30s | jq -c 'select(.kind == \"Run\") | .status.idle // empty'

Exit codes:
  0    done, also where the target was not seen idle
  2    usage error
  65   broken input lines
  74   reading or writing failed
  130  ended by Ctrl-C, 143 by SIGTERM; the waiting ends at once, and what was read is handed on";

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
