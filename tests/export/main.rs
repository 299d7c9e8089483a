//! `export-run`: what it writes of a finished run, what it says of the rest, and what it refuses.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]
#![allow(unreachable_pub, reason = "a test binary has no outside")]

mod openmetrics;
mod refusals;
mod run;
#[path = "../support/mod.rs"]
mod support;
mod tables;
