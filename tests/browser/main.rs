//! Pages in a real browser: a headless Chromium opens what `render-report` writes, and is asked what a reader would meet.
//!
//! - `chromium`: the process, and its `DevTools` protocol over a pair of pipes
//! - `page`: one open page; what is asked of every page is `checks.js`, run in it
//! - `harness`: that each check finds what it is there to find
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]
#![allow(clippy::print_stderr, reason = "what is left out is said")]
#![allow(unreachable_pub, reason = "a test binary has no outside")]

#[path = "../support/mod.rs"]
mod support;

mod chromium;
mod harness;
mod page;
mod reports;
