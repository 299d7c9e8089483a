//! The tools against a real Prometheus, RabbitMQ and Jaeger. `make test-real` installs these, builds and runs this.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]
#![allow(unreachable_pub, reason = "a test binary has no outside")]

#[path = "../support/mod.rs"]
mod support;

mod broker;
#[path = "../browser/chromium.rs"]
#[allow(dead_code, clippy::print_stderr, reason = "the tests of the pages need more of it")]
mod chromium;
mod counters;
mod examples;
mod export;
mod fastapi;
mod flower;
mod http;
mod idle;
mod open;
mod pages;
mod scenario;
mod shell;
mod spans;
mod stack;
mod supervision;
mod traces;
mod window;
