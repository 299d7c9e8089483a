//! `merge-shards`: reads the collected files of a run's shards; writes one stream and a Shard record for each shard.

use std::process::ExitCode;

use stress_suite::{cli, tools::merge_shards};

fn main() -> ExitCode {
    cli::main(cli::OnSignal::Die, merge_shards::run)
}
