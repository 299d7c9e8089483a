//! The tools against a real Prometheus, RabbitMQ and Jaeger. `make test-real` installs these, builds and runs this.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]
#![allow(clippy::print_stderr, reason = "what is left out is said")]
#![allow(unreachable_pub, reason = "a test binary has no outside")]

#[path = "../browser/chromium.rs"]
#[allow(dead_code, reason = "the tests of pages need more of it")]
mod chromium;
#[path = "../browser/page.rs"]
#[allow(dead_code, reason = "the tests of pages need more of it")]
mod page;
#[path = "../support/mod.rs"]
mod support;

mod broker;
mod counters;
mod examples;
mod fastapi;
mod flower;
mod http;
mod idle;
mod queries;
mod replay;
mod scenario;
mod shell;
mod spans;
mod stack;
mod supervision;
mod traces;
mod viewers;
mod window;
