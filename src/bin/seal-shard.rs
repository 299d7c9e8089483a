//! `seal-shard`: reads the stream of a shard; writes it to a file and to stdout, and ends both with an End record.

use std::process::ExitCode;

use stress_suite::{cli, tools::seal_shard};

fn main() -> ExitCode {
    cli::main(cli::OnSignal::Outlive, seal_shard::run)
}
