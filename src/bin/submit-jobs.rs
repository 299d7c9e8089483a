//! `submit-jobs`: reads Run and Job records; writes them with what came of each submission.

use std::process::ExitCode;

use stress_suite::{cli, tools::submit_jobs};

fn main() -> ExitCode {
    cli::main(cli::OnSignal::Finish, submit_jobs::run)
}
