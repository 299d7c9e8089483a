//! The binary: serves in the foreground, or runs a command against a stand-in of its own.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook::iterator::Signals;

use crate::options::Options;
use crate::sim::Sim;
use crate::wrap;

/// Simulate the pipeline under test, with faults on demand.
#[derive(Debug, Parser)]
#[command(name = "pipeline-sim", version, max_term_width = 80, args_override_self = true, after_help = AFTER_HELP)]
struct Cli {
    /// Run this command against the simulated pipeline
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,

    #[command(flatten)]
    options: Options,
}

const AFTER_HELP: &str = "\
Addresses:
  With a COMMAND, pipeline-sim serves on free loopback ports, runs the command
  with their addresses in its environment, and exits with its exit code. Without
  one, it serves on the ports of the real target until Ctrl-C.

Environment of the COMMAND:
  TARGET       base URL of the job API
  LOGS         directory of the worker logs
  PROM_URL     base URL of the Prometheus query API
  JAEGER_URL   base URL of the Jaeger query API
  METRICS_URL  base URL of the services' metrics, at /SERVICE/metrics

Examples:
  pipeline-sim -- make soak JOBS=20    run a soak against a pipeline of its own
  pipeline-sim --fail l2:3 -- bash     open a shell with a $TARGET whose third
                                       job fails at stage l2
  pipeline-sim --time-scale 0.1        serve on 127.0.0.1:8000, at ten times the
                                       speed
  pipeline-sim --refuse 429:10%:1 --seed 7 -- make ramp

Exit codes:
  With a COMMAND: its exit code, 128 + N if signal N ended it, 127 if it was not
  found, 126 if it could not be started. Otherwise:
  0    stopped by Ctrl-C or SIGTERM
  2    usage error
  74   an address could not be bound, or a file could not be written";

/// Exit code of an address or a file that is not to be had.
const IO_ERROR: u8 = 74;
/// Exit code of a command line that cannot be used.
const USAGE: u8 = 2;

/// The command line, for man pages and completions.
pub fn command() -> clap::Command {
    Cli::command()
}

/// Runs the program: parses the arguments, serves, and says with what to exit.
pub fn main() -> ExitCode {
    let Cli { mut options, command } = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return refused(&error),
    };
    if command.is_empty() {
        let loopback = |port| SocketAddr::from(([127, 0, 0, 1], port));
        options.listen.get_or_insert(loopback(8000));
        options.observe.metrics_listen.get_or_insert(loopback(9464));
        options.observe.prom_listen.get_or_insert(loopback(9090));
        options.observe.jaeger_listen.get_or_insert(loopback(16686));
    }
    match run(options, &command) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            crate::complain(&error.to_string());
            ExitCode::from(IO_ERROR)
        }
    }
}

/// Help and the version go to stdout as they are; what is wrong with a command line is said in one line.
fn refused(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        return match error.print() {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::from(IO_ERROR),
        };
    }
    let text = error.to_string();
    let said = text.split("\n\n").filter(|part| !part.starts_with("Usage:") && !part.starts_with("For more"));
    let said: Vec<_> = said.map(|part| part.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    let line = said.join("; ");
    crate::complain(&format!("{} (see pipeline-sim --help)", line.trim_start_matches("error: ")));
    ExitCode::from(USAGE)
}

/// The command that tests this stand-in, as a person would type it in another terminal.
fn soak_command(options: &Options, sim: &Sim) -> String {
    let mut command = format!(
        "make soak TARGET={} PROM_URL={} JAEGER_URL={} LOGS={}",
        sim.url(),
        sim.prometheus_url(),
        sim.jaeger_url(),
        quoted(&sim.logs().display().to_string())
    );
    let Options { data, worker_root, .. } = Options::default();
    if options.data != data {
        // The other terminal may be in another directory.
        let data = std::path::absolute(&options.data).unwrap_or_else(|_| options.data.clone());
        command += &format!(" DATA={}", quoted(&data.display().to_string()));
    }
    if options.worker_root != worker_root {
        command += &format!(" WORKER_ROOT={}", quoted(&options.worker_root));
    }
    command
}

/// The word, in single quotes if a shell would take it apart.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-:=@%+,".contains(c);
    if word.chars().all(is_plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

fn run(options: Options, command: &[OsString]) -> std::io::Result<u8> {
    // Signals are caught before the first address is announced, so that nobody can stop a half-started stand-in.
    let mut signals = Signals::new([SIGCHLD, SIGHUP, SIGINT, SIGTERM, SIGUSR1])?;
    let sim = Sim::start(options.clone())?;
    crate::complain(&format!("target {} (seed {})", sim.url(), sim.seed()));
    crate::complain(&format!("metrics {}/SERVICE/metrics", sim.metrics_url()));
    crate::complain(&format!("prometheus {}", sim.prometheus_url()));
    crate::complain(&format!("jaeger {}", sim.jaeger_url()));
    crate::complain(&format!("logs {}", sim.logs().display()));
    if command.is_empty() {
        crate::complain(&format!("serving until Ctrl-C; in another terminal: {}", soak_command(&options, &sim)));
        for signal in signals.forever() {
            match signal {
                SIGUSR1 => sim.release(),
                SIGCHLD => {}
                _ => break,
            }
        }
        Ok(0)
    } else {
        wrap::run(command, &sim, &mut signals)
    }
}
