//! `await-idle`: reads the stream of a run; hands it on, the first job only when the target has nothing to do.

use std::process::ExitCode;

use stress_suite::{cli, tools::await_idle};

fn main() -> ExitCode {
    cli::main(cli::OnSignal::Finish, await_idle::run)
}
