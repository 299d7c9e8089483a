//! `poll-jobs`: reads submitted Job records; writes them at once and again when each job has ended.

use std::process::ExitCode;

use stress_suite::{cli, tools::poll_jobs};

fn main() -> ExitCode {
    cli::main(cli::OnSignal::Finish, poll_jobs::run)
}
