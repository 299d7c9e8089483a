//! Punctuality, CPU time and memory of `poll-jobs` with ten thousand jobs in flight, each polled once a second.
//!
//! The stand-in runs in this process and shares the machine's cores with the tool, so what is shown is what is left to it.
//! The goal: 99 % of the polls less than 10 ms late, at 25 µs of CPU time each, in less than 64 MiB.
#![allow(clippy::print_stdout, reason = "a benchmark's figures go to stdout")]

use std::error::Error;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use pipeline_sim::{Options, Sim};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

const JOBS: &str = "10000";
/// The schedule would not poll as often by itself.
const INTERVAL: &str = "1s";
/// Long enough that starting up does not count for much.
const LASTS: Duration = Duration::from_secs(30);

fn main() -> Result<(), Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    let data = dir.path().join("data");
    let flags = ["--hang", "whisper:100%", "--seed", "1", "--scrape-interval", "60s", "--data", text(&data)?];
    let sim = Sim::start(Options::from_flags(flags)?)?;
    let (staged, submitted, polled) =
        (dir.path().join("staged"), dir.path().join("submitted"), dir.path().join("polled"));

    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let into = data.join("fixtures");
    let mut stage = tool(env!("CARGO_BIN_EXE_stage-fixtures"), None, &staged)?;
    done(stage.args(["--jobs", JOBS, "--from", text(&fixtures)?, "--into", text(&into)?]).spawn()?)?;
    let mut submit = tool(env!("CARGO_BIN_EXE_submit-jobs"), Some(&staged), &submitted)?;
    done(submit.args(["--max-posts", "16", "--target", &sim.url()]).spawn()?)?;

    let before = sim.stats().polls;
    let mut poll = tool(env!("CARGO_BIN_EXE_poll-jobs"), Some(&submitted), &polled)?;
    let mut child =
        poll.args(["--min-interval", INTERVAL, "--max-interval", INTERVAL, "--target", &sim.url()]).spawn()?;
    let (cpu, peak) = cost(&mut child, || sim.stats().polls)?;

    let last =
        fs::read_to_string(&polled)?.lines().rev().find(|line| line.contains("\"kind\":\"Run\"")).map(str::to_owned);
    let run: Value = serde_json::from_str(&last.ok_or("no Run in the output")?)?;
    let polling = &run["status"]["polling"];
    let milliseconds =
        |key: &str| polling[key].as_f64().map_or("unknown".to_owned(), |seconds| format!("{:.2} ms", seconds * 1e3));
    println!("poll-jobs: {JOBS} jobs in flight, one poll a second each, for {} s", LASTS.as_secs());
    println!("  polls          {} ({} of them failed)", sim.stats().polls - before, polling["failed"]);
    println!("  late, 99 %     {}   (goal: less than 10 ms)", milliseconds("lateP99Seconds"));
    println!("  late, at most  {}", milliseconds("lateMaxSeconds"));
    println!("  HTTP threads   {}", polling["threads"]);
    println!("  CPU time       {:.1} µs a poll, user and system   (goal: at most 25 µs)", cpu * 1e6);
    println!("  peak memory    {:.1} MiB   (goal: less than 64 MiB)", peak as f64 / 1024.0);
    Ok(())
}

fn text(path: &Path) -> Result<&str, Box<dyn Error>> {
    path.to_str().ok_or_else(|| "a path that is not UTF-8".into())
}

fn tool(program: &str, input: Option<&Path>, output: &Path) -> Result<Command, Box<dyn Error>> {
    let mut command = Command::new(program);
    command.stdout(File::create(output)?);
    command.stdin(match input {
        Some(path) => Stdio::from(File::open(path)?),
        None => Stdio::null(),
    });
    Ok(command)
}

fn done(mut child: Child) -> Result<(), Box<dyn Error>> {
    let status = child.wait()?;
    if status.success() { Ok(()) } else { Err(format!("a tool ended with {status}").into()) }
}

/// Lets `child` run for a while and ends it by SIGTERM. Returns the CPU time of each of the `polls` after its first seconds, and the
/// largest resident set that the kernel saw, in KiB.
fn cost(child: &mut Child, polls: impl Fn() -> u64) -> Result<(f64, u64), Box<dyn Error>> {
    let (start, status) = (Instant::now(), format!("/proc/{}/status", child.id()));
    let pid = Pid::from_raw(i32::try_from(child.id())?).ok_or("no pid")?;
    let (mut peak, mut warm, mut cpu) = (0, None, None);
    while child.try_wait()?.is_none() {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        peak = peak.max(line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0));
        if warm.is_none() && start.elapsed() > LASTS / 6 {
            warm = Some((cpu_seconds(child.id())?, polls()));
        }
        if let (Some((seconds, before)), None) = (warm, cpu)
            && start.elapsed() > LASTS
        {
            cpu = Some((cpu_seconds(child.id())? - seconds) / (polls() - before) as f64);
            kill_process(pid, Signal::TERM)?;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok((cpu.ok_or("it ended too soon")?, peak))
}

/// User and system time of a process so far, in seconds: proc(5) counts hundredths.
fn cpu_seconds(pid: u32) -> Result<f64, Box<dyn Error>> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let fields = stat.rsplit_once(')').ok_or("no stat")?.1.split_whitespace().skip(11).take(2);
    Ok(fields.map(str::parse::<f64>).sum::<Result<f64, _>>()? / 100.0)
}
