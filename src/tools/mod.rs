//! The tools, one module each: `Args`, `run`, private helpers. No tool imports another.

pub mod await_idle;
pub mod capture_jaeger;
pub mod capture_logs;
pub mod capture_prom;
pub mod compare_runs;
pub mod poll_jobs;
pub mod render_report;
pub mod stage_fixtures;
pub mod submit_jobs;
