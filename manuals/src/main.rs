//! `manuals`: writes the man pages and completions of all tools into a directory.

use std::process::ExitCode;

use stress_suite::cli;

fn main() -> ExitCode {
    cli::main(cli::OnSignal::Die, manuals::run)
}
