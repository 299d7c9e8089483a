//! Pages in a real browser: a headless Chromium opens what `render-report` writes, and is asked what a reader would meet.
//!
//! - `chromium`: the process, and its `DevTools` protocol over a pair of pipes
//! - `page`: one open page; what is asked of every page is `checks.js`, run in it
//! - `reports`: the pages of scenarios; `indexes`: those of ramps, runs and comparisons
//! - `looks`: what is easily lost, on a phone and among many stages
//! - `harness`: that each check finds what it is there to find
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]
#![allow(clippy::print_stderr, reason = "what is left out is said")]
#![allow(unreachable_pub, reason = "a test binary has no outside")]

#[path = "../compare/legs.rs"]
#[allow(dead_code, reason = "the tests of the comparison need more of it")]
mod legs;
#[path = "../support/mod.rs"]
mod standin;
use standin as support;

mod chromium;
mod harness;
mod indexes;
mod looks;
mod page;
mod reports;
