//! `capture-logs`: reads and hands on the records of a run; writes one Logs record per worker and `logs/<service>.log`.

use std::process::ExitCode;

use stress_suite::{cli, tools::capture_logs};

fn main() -> ExitCode {
    cli::main(cli::OnSignal::Finish, capture_logs::run)
}
