//! A stand-in for the asynchronous job pipeline that `stress-suite` tests: an honest miniature, with faults on demand.
//!
//! ```text
//! POST /jobs/audio ─▶ api ─▶ pipeline (jobs, one queue per stage) ◀─▶ workers: gpu (arbiter, batches), io
//! GET /jobs/{id}   ◀─ api ◀─┘  │          └─▶ broker: in memory, or a RabbitMQ     └─▶ logs, a file per worker
//!                              └─▶ telemetry: metrics ─▶ prometheus (scrapes, query API)
//!                                             spans ───▶ jaeger (query API in both shapes), OTLP export
//! ```
//!
//! - [`Options`]: every knob, as flags and as a struct; [`Faults`] within it is what goes wrong on purpose.
//! - [`Sim`]: a running stand-in. Tests start many in one process.
//! - [`cli`]: what the binary does: serve in the foreground, or run a command against a stand-in of its own.
//!
//! ```
//! let options = pipeline_sim::Options::from_flags(["--time-scale", "0.01", "--fail", "l2:3"])?;
//! let sim = pipeline_sim::Sim::start(options)?;
//! assert!(sim.url().starts_with("http://127.0.0.1:"));
//! assert_eq!(sim.stats().posts, 0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod api;
mod broker;
mod chance;
pub mod cli;
mod clock;
mod fault;
mod jaeger;
mod job;
mod log;
mod message;
mod options;
mod params;
mod pipeline;
mod prometheus;
mod server;
mod sim;
mod stage;
mod stats;
mod telemetry;
mod trace;
mod units;
mod workers;
mod wrap;

pub use fault::{StageFault, StatusFault, Which};
pub use options::{Faults, JaegerApi, Observe, Options, StageShape};
pub use sim::Sim;
pub use stage::Stage;
pub use stats::{JobStats, Stats};

/// One line on stderr, for an error that no return value can report.
pub(crate) fn complain(message: &str) {
    use std::io::Write;
    // If stderr has gone as well, there is no place left for a message.
    let _unheard = writeln!(std::io::stderr(), "pipeline-sim: {message}");
}
