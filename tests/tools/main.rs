//! Each tool in process, against a real stand-in on a loopback port.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

#[path = "../support/server.rs"]
mod server;
#[path = "../support/mod.rs"]
mod support;

mod await_idle;
mod caches;
mod certificates;
mod conditions;
mod cookies;
mod credentials;
mod cut_bodies;
mod evidence;
mod forgotten;
mod freeze;
mod idempotency;
mod journal;
mod lag;
mod late_steps;
mod list_absence;
mod list_stages;
mod lists;
mod moved_target;
mod odd_answers;
mod odd_cookies;
mod odd_polls;
mod odd_texts;
mod own_ids;
mod pauses;
mod poll_jobs;
mod poll_request;
mod profiles;
mod redirects;
mod resume;
mod secrets;
mod settings;
mod stage_evidence;
mod stage_fixtures;
mod submit_jobs;
mod tokens;
mod unclear_polls;
mod whose_answer;
