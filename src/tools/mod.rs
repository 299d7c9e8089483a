//! The tools.

pub mod render_report;
