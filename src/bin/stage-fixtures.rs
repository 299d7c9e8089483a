//! `stage-fixtures`: reads nothing; writes one Run record and one Job record per staged file.

use std::process::ExitCode;

use stress_suite::{cli, tools::stage_fixtures};

fn main() -> ExitCode {
    cli::main(cli::OnSignal::Die, stage_fixtures::run)
}
