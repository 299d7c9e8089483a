//! `merge-shards`: reads what was collected of the shards of a run; writes one stream and a Shard record for each shard.

use std::process::ExitCode;

use stress_suite::{cli, tools::merge_shards};

fn main() -> ExitCode {
    cli::main(cli::OnSignal::Die, merge_shards::run)
}
