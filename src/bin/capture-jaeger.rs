//! `capture-jaeger`: reads and hands on the records of a run; writes one Traces record per service and its traces' file.

use std::process::ExitCode;

use stress_suite::{cli, tools::capture_jaeger};

fn main() -> ExitCode {
    cli::main(cli::OnSignal::Finish, capture_jaeger::run)
}
