//! `export-run`: reads the directories of finished runs, writes them in the formats of Prometheus, Perfetto, OTLP and tables.

use std::process::ExitCode;

use stress_suite::cli::{OnSignal, main as tool};
use stress_suite::tools::export_run::{Args, run};

fn main() -> ExitCode {
    tool::<Args>(OnSignal::Die, run)
}
