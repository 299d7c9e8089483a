//! `make k8s`, the image and deploy/kubernetes on a real Kubernetes. `make test-k8s` installs and starts it, and runs this inside.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]
#![allow(unreachable_pub, reason = "a test binary has no outside")]

#[path = "../support/mod.rs"]
mod support;

mod account;
mod deaths;
mod documentation;
mod fetch;
mod image;
mod namespace;
mod overlays;
mod refusals;
