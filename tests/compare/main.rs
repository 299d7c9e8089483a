//! `compare-runs`: what it refuses, what it claims and what not, what it writes; and the laws of its statistics.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod bounds;
mod busy;
mod claims;
mod drawn;
mod files;
mod gate;
mod html;
mod laws;
mod legs;
mod make;
#[path = "../support/markup.rs"]
mod markup;
mod page;
mod refusals;
#[path = "../support/mod.rs"]
mod standin;
mod under;
