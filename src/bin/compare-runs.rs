//! `compare-runs`: reads finished scenario directories, writes what differs between their settings as Markdown or JSON.

use std::process::ExitCode;

use stress_suite::cli::{OnSignal, main as tool};
use stress_suite::tools::compare_runs::{Args, run};

fn main() -> ExitCode {
    tool::<Args>(OnSignal::Die, run)
}
