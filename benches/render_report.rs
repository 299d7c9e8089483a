//! Memory and time of `render-report` for 100,000 jobs with seven stages each, and the time of jq for one field of the same stream.
//!
//! The goal: at most 200 MiB, and at most one and a half times jq's time. The two run in turn, and the medians count.
#![allow(clippy::print_stdout, reason = "a benchmark's figures go to stdout")]

use std::error::Error;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use stress_suite::record::Timestamp;

const JOBS: u32 = 100_000;
const ROUNDS: usize = 3;
/// The stages of AutoRAG's pipeline that do some work.
const STAGES: [&str; 7] = ["whisper", "l1", "decide", "summarize_l1", "l2", "summarize_l2", "l0"];
/// The first submission, in microseconds since the Unix epoch.
const START: i64 = 1_796_000_000_000_000;

fn main() -> Result<(), Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    let stream = dir.path().join("stream.ndjson");
    write_stream(&stream)?;
    let (mut ours, mut theirs, mut peak) = (Vec::new(), Vec::new(), 0.0_f64);
    for round in 0..ROUNDS {
        let mut report = Command::new(env!("CARGO_BIN_EXE_render-report"));
        report.args(["--quiet", "--brief", "--out"]).arg(dir.path().join(format!("out-{round}")));
        let (seconds, memory) = run(report, &stream)?;
        ours.push(seconds);
        peak = peak.max(memory);
        let mut jq = Command::new("jq");
        jq.args(["-c", ".status.phase"]);
        theirs.push(run(jq, &stream)?.0);
    }
    let (ours, theirs) = (median(ours), median(theirs));
    println!("render-report: {JOBS} jobs with {} stages, {} MiB", STAGES.len(), stream.metadata()?.len() >> 20);
    println!(
        "  time           {ours:.2} s, {:.2} times the {theirs:.2} s of jq   (goal: at most 1.5 times)",
        ours / theirs
    );
    println!("  peak memory    {peak:.1} MiB   (goal: at most 200 MiB)");
    Ok(())
}

/// Runs `command` on the stream; returns its seconds, and the peak of its resident memory in MiB.
fn run(mut command: Command, stream: &Path) -> Result<(f64, f64), Box<dyn Error>> {
    let began = Instant::now();
    let mut child = command.stdin(File::open(stream)?).stdout(Stdio::null()).spawn()?;
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0.0;
    loop {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<f64>().ok());
        peak = kib.map_or(peak, |kib| kib / 1024.0);
        match child.try_wait()? {
            Some(ended) if ended.success() => return Ok((began.elapsed().as_secs_f64(), peak)),
            Some(ended) => return Err(format!("{command:?} ended with {ended}").into()),
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Writes what `submit-jobs` and `poll-jobs` say of a run in which each job passes through all stages.
fn write_stream(path: &Path) -> std::io::Result<()> {
    let mut out = BufWriter::new(File::create(path)?);
    let mut random = fastrand::Rng::with_seed(1);
    let at = |micros: i64| Timestamp::from_micros(START + micros);
    let run = r#""run":"2026-11-30T10-00-00Z-abcdef""#;
    let stages: Vec<String> = STAGES.iter().map(|stage| format!(r#"{{"name":"{stage}"}}"#)).collect();
    writeln!(
        out,
        r#"{{"apiVersion":"stress/v1","kind":"Run","metadata":{{"name":"soak",{run}}},"spec":{{"prefix":"soak","jobs":{JOBS},"stages":[{}]}},"status":{{"startedAt":"{}","clockOffset":{{"seconds":0.001,"boundSeconds":0.002}}}}}}"#,
        stages.join(","),
        at(0)
    )?;
    for job in 0..JOBS {
        let begun = i64::from(job) * 10_000;
        let head = format!(
            r#"{{"apiVersion":"stress/v1","kind":"Job","metadata":{{"name":"soak-{:06}",{run}}},"spec":{{"source":"/data/fixtures/soak/{job:06}.webm","bytes":101009}},"status":{{"jobId":"{:032x}","traceId":"{:032x}","spanId":"{:016x}","httpStatus":202,"submittedAt":"{}","acceptedAt":"{}""#,
            job + 1,
            random.u128(..),
            random.u128(..),
            random.u64(..),
            at(begun),
            at(begun + 4000)
        );
        writeln!(out, r#"{head},"phase":"Submitted","observedAt":"{}"}}}}"#, at(begun + 4000))?;
        let mut now = begun + 5000;
        let stages: Vec<String> = STAGES
            .iter()
            .map(|stage| {
                let (queued, started) = (now, now + random.i64(0..500_000));
                now = started + random.i64(1..2_000_000);
                format!(
                    r#"{{"name":"{stage}","state":"done","phase":"Done","attempt":1,"timesFrom":"server","queuedAt":"{}","startedAt":"{}","endedAt":"{}","seen":{{"notStartedAt":"{}","startedAt":"{}","notEndedAt":"{}","endedAt":"{}"}}}}"#,
                    at(queued),
                    at(started),
                    at(now),
                    at(started - 30_000),
                    at(started + 40_000),
                    at(now - 30_000),
                    at(now + 40_000)
                )
            })
            .collect();
        let body = format!(r#"{{\"status\":\"done\",\"stage_states\":{}}}"#, stages.join(",").replace('"', "\\\""));
        writeln!(
            out,
            r#"{head},"phase":"Succeeded","observedAt":"{ended}","notEndedAt":"{}","endedAt":"{ended}","polls":{{"sent":9,"failed":0}},"targetStatus":"done","stages":[{}],"body":"{body}"}}}}"#,
            at(now - 20_000),
            stages.join(","),
            ended = at(now + 30_000)
        )?;
    }
    out.flush()
}
