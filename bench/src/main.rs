//! `bench`: compares the pipe of the tools with its peers, against a target that knows each job's true end.
//!
//! `bench [PART]…` runs all parts or those that are named, prints the table, and writes target/bench/report.md and .json.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "its table goes to stdout and its progress to stderr")]

mod durations;
mod evidence;
mod measure;
mod report;
mod target;
mod tools;
mod work;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use serde_json::json;

use durations::Durations;
use report::Run;
use target::{Seen, Target};
use tools::Places;
use work::{Tool, WORKS, Work};

/// Prints a line of progress.
fn say(line: &str) {
    eprintln!("{line}");
}

fn main() -> ExitCode {
    let names: Vec<String> = std::env::args().skip(1).filter(|name| !name.starts_with("--")).collect();
    if let Some(name) = names.iter().find(|name| WORKS.iter().all(|work| work.name != **name)) {
        let known: Vec<&str> = WORKS.iter().map(|work| work.name).collect();
        say(&format!("bench: no part is called {name}: name some of {}", known.join(", ")));
        return ExitCode::from(2);
    }
    match run(&names) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            say("bench: a recorded interval does not hold the job's true end");
            ExitCode::FAILURE
        }
        Err(error) => {
            say(&format!("bench: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Runs the parts of these names, or all. Returns true if every recorded interval holds the job's true end.
fn run(names: &[String]) -> Result<bool, Box<dyn Error>> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize()?;
    let out = root.join("target/bench");
    std::fs::create_dir_all(&out)?;
    let tools = std::env::var_os("BENCH_TOOLS").map_or_else(|| root.join("target/release"), PathBuf::from);
    let peers = std::env::var_os("BENCH_PEERS").map(PathBuf::from).unwrap_or_default();
    let places = Places { root, tools, peers };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_io().build()?;
    let mut text = report::head(&versions(&places));
    print!("{text}");
    let (mut parts, mut is_true) = (Vec::new(), true);
    for work in WORKS.iter().filter(|work| names.is_empty() || names.iter().any(|name| name == work.name)) {
        let mut runs = Vec::new();
        for round in 0..work.rounds {
            for tool in work.tools.iter().copied().filter(|tool| places.has(*tool)) {
                say(&format!("bench: {}, round {} of {}: {}", work.name, round + 1, work.rounds, tool.name()));
                let run = one(work, tool, round as u64, &places, runtime.handle())?;
                is_true &= run.evidence.is_none_or(|(wrong, right)| wrong == 0 && right == run.seen.jobs);
                runs.push(run);
            }
        }
        let (rows, value) = report::rows(work, &runs);
        print!("{rows}");
        text.push_str(&rows);
        parts.push(value);
        // After each part, so that a run that is stopped leaves what it has measured.
        std::fs::write(out.join("report.md"), &text)?;
        std::fs::write(out.join("report.json"), format!("{:#}\n", json!({ "parts": parts })))?;
    }
    Ok(is_true)
}

fn one(
    work: &Work,
    tool: Tool,
    seed: u64,
    places: &Places,
    runtime: &tokio::runtime::Handle,
) -> Result<Run, Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    let target = Target::start(runtime, Durations::new(work.shape, seed))?;
    let pipe = places.pipe(tool, work, &target.url, dir.path())?;
    let cost = measure::pipe(pipe)?;
    let jobs = target.jobs();
    let evidence = match tool {
        Tool::Ours => Some(evidence::check(&dir.path().join("out/records.ndjson"), &jobs)?),
        _ => None,
    };
    Ok(Run { tool, cost, seen: Seen::of(&jobs, work.at_once), evidence })
}

/// The versions of everything that is compared.
fn versions(places: &Places) -> Vec<(String, String)> {
    let ask = |program: &Path, args: &[&str]| {
        let output = Command::new(program).args(args).output().ok()?;
        let line = String::from_utf8_lossy(&output.stdout).lines().next()?.trim().to_owned();
        // Some programs go on with how they were built, or where they are.
        let end = [" (", " from "].iter().filter_map(|mark| line.find(mark)).min().unwrap_or(line.len());
        Some(line[..end].to_owned())
    };
    let programs = [
        (Tool::Ours, places.tools.join("poll-jobs"), &["--version"][..]),
        (Tool::K6, places.peers.join("k6"), &["version"]),
        (Tool::Locust, places.peers.join("locust"), &["--version"]),
        (Tool::Curl, PathBuf::from("curl"), &["--version"]),
    ];
    let version = |(tool, program, args): &(Tool, PathBuf, &[&str])| {
        (tool.name().to_owned(), ask(program, args).unwrap_or_else(|| "(not installed)".to_owned()))
    };
    programs.iter().map(version).collect()
}
