//! `render-report`, in process and as a program: what it reads, what it judges, what lies in the directory afterwards.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod bounds;
mod captures;
mod counters;
mod directory;
mod figures;
mod hostile;
mod html;
mod index;
mod junit;
#[path = "../support/markup.rs"]
mod markup;
mod metrics;
mod observed;
mod observed_thresholds;
mod process;
mod recorded;
mod requests;
mod resumed;
mod shards;
#[path = "../support/mod.rs"]
mod standin;
mod strip;
mod support;
mod thresholds;
mod verdicts;
mod warmup;
mod window;
mod witnesses;
