//! `export-run`: what it writes of a finished run, what it says of the rest, and what it refuses.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]
#![allow(clippy::float_cmp, reason = "counts, and times in whole milliseconds")]
#![allow(unreachable_pub, reason = "a test binary has no outside")]

mod dashboards;
mod open;
mod openmetrics;
mod perfetto;
mod refusals;
mod run;
mod spans;
#[path = "../support/mod.rs"]
mod support;
mod tables;
