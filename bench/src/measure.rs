//! What a group of processes costs.

use std::fs;
use std::io;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The time between two looks at the processes' memory.
const LOOK: Duration = Duration::from_millis(20);
/// The kernel counts CPU time in hundredths of a second (proc(5), `_SC_CLK_TCK`).
const TICKS: f64 = 100.0;
const MIB: f64 = 1024.0;

/// The cost of a run.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cost {
    pub(crate) wall: Duration,
    /// User and system time of all processes, in seconds.
    pub(crate) cpu: f64,
    /// The largest sum of their resident memory at one moment, in MiB.
    pub(crate) memory: f64,
    /// The part of the machine's CPU time that something else took.
    pub(crate) disturbed: f64,
    pub(crate) succeeded: bool,
}

/// Runs `commands` as one pipe until all have ended, each with the input of the one before.
pub(crate) fn pipe(mut commands: Vec<Command>) -> io::Result<Cost> {
    let (began, cpu, machine, own) = (Instant::now(), waited_for()?, busy()?, used()?);
    let mut children: Vec<Child> = Vec::new();
    for command in &mut commands {
        let input = children.last_mut().and_then(|child| child.stdout.take());
        command.stdin(input.map_or_else(Stdio::null, Stdio::from)).stdout(Stdio::piped());
        children.push(command.spawn()?);
    }
    // The last one writes to nobody.
    let output = children.last_mut().and_then(|child| child.stdout.take());
    let drain = std::thread::spawn(move || output.map(|mut output| io::copy(&mut output, &mut io::sink())));
    let (mut memory, mut succeeded) = (0.0_f64, true);
    let mut running: Vec<Child> = children;
    while !running.is_empty() {
        memory = memory.max(running.iter().map(|child| resident(child.id())).sum());
        let mut left = Vec::new();
        for mut child in running {
            match child.try_wait()? {
                Some(status) => succeeded &= status.success(),
                None => left.push(child),
            }
        }
        running = left;
        if !running.is_empty() {
            std::thread::sleep(LOOK);
        }
    }
    let wall = began.elapsed();
    let _ = drain.join();
    let cpu = waited_for()? - cpu;
    let all = (busy()? - machine).max(0.0);
    let other = all - cpu - (used()? - own);
    let cores = std::thread::available_parallelism()?.get() as f64;
    let disturbed = (other / (wall.as_secs_f64() * cores)).clamp(0.0, 1.0);
    Ok(Cost { wall, cpu, memory, disturbed, succeeded })
}

/// The fields of /proc/self/stat that follow the command's name.
fn own_stat() -> io::Result<Vec<f64>> {
    let text = fs::read_to_string("/proc/self/stat")?;
    let fields = text.rsplit_once(')').map(|(_, fields)| fields).unwrap_or_default();
    Ok(fields.split_whitespace().map(|field| field.parse().unwrap_or_default()).collect())
}

/// The sum of the fields `first` and the one after it, in seconds (proc(5); the third field is the first here).
fn seconds(first: usize) -> io::Result<f64> {
    let fields = own_stat()?;
    Ok(fields.iter().skip(first - 3).take(2).sum::<f64>() / TICKS)
}

/// The CPU time of all processes that were waited for.
fn waited_for() -> io::Result<f64> {
    seconds(16)
}

/// The CPU time of this process, which is also the target.
fn used() -> io::Result<f64> {
    seconds(14)
}

/// The CPU time that the machine has spent on anything but idling.
fn busy() -> io::Result<f64> {
    let text = fs::read_to_string("/proc/stat")?;
    let times: Vec<f64> = text
        .lines()
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .skip(1)
        .filter_map(|time| time.parse().ok())
        .collect();
    let idle: f64 = times.iter().skip(3).take(2).sum();
    Ok((times.iter().take(8).sum::<f64>() - idle) / TICKS)
}

/// The resident memory of the process `pid`, in MiB.
fn resident(pid: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()).and_then(|kib| kib.parse::<f64>().ok());
    kib.unwrap_or_default() / MIB
}
