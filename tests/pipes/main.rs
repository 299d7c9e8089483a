//! The tools as processes, in a real bash: pipes, signals, sudden deaths, exit codes, the Makefile.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]
#![allow(unreachable_pub, reason = "a test binary has no outside")]

#[path = "../support/server.rs"]
mod server;
#[path = "../support/mod.rs"]
mod support;

mod backends;
mod clock;
mod deaths;
mod disk;
mod endings;
mod faults;
mod journal;
mod legs;
mod makefile;
mod million;
mod proxy;
mod resume;
mod seal;
mod shards;
mod shell;
mod signals;
mod slots;
mod start;
mod target_clock;
