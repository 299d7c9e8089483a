//! `capture-prom`: hands records on and writes what Prometheus saw in their window, and one Series record for each query.

use std::process::ExitCode;

use stress_suite::{cli, tools::capture_prom};

fn main() -> ExitCode {
    cli::main(cli::OnSignal::Finish, capture_prom::run)
}
