//! `pipeline-sim`: a stand-in for the pipeline under test. See [`pipeline_sim::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    pipeline_sim::cli::main()
}
