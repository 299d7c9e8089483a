//! The tools, one module each: `Args`, `run`, private helpers. No tool imports another.

pub mod await_idle;
pub mod capture_jaeger;
pub mod capture_logs;
pub mod capture_prom;
pub mod compare_runs;
pub mod export_run;
pub mod merge_shards;
pub mod poll_jobs;
pub mod render_report;
pub mod seal_shard;
pub mod stage_fixtures;
pub mod submit_jobs;

/// The command line of every tool, in the order of the pipe: what its man page and its completions are made of.
pub fn commands() -> Vec<clap::Command> {
    use clap::CommandFactory;
    vec![
        stage_fixtures::Args::command(),
        await_idle::Args::command(),
        submit_jobs::Args::command(),
        poll_jobs::Args::command(),
        seal_shard::Args::command(),
        merge_shards::Args::command(),
        capture_logs::Args::command(),
        capture_prom::Args::command(),
        capture_jaeger::Args::command(),
        render_report::Args::command(),
        compare_runs::Args::command(),
        export_run::Args::command(),
    ]
}
