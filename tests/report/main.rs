//! `render-report`, in process and as a program: what it reads, what it judges, what lies in the directory afterwards.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod directory;
mod figures;
mod hostile;
mod index;
mod process;
mod shards;
mod support;
mod verdicts;
