//! Each tool in process, against a real stand-in on a loopback port.

#[path = "../support/mod.rs"]
mod support;

mod poll_jobs;
mod stage_fixtures;
mod submit_jobs;
