//! `render-report`: reads the records of a run from stdin, judges it and writes its directory; or indexes finished ones.

use std::process::ExitCode;

use stress_suite::cli::{OnSignal, main as tool};
use stress_suite::tools::render_report::{Args, run};

fn main() -> ExitCode {
    // A Ctrl-C ends the tools before this one; the report is made of what they managed to say.
    tool::<Args>(OnSignal::Finish, run)
}
