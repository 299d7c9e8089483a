//! The memory of merging: a thousand shards with a million jobs.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::json;
use stress_suite::digest::Digest;

use crate::support::bin;

const SHARDS: u64 = 1000;
const JOBS: u64 = 1_000_000;

/// A file of a shard as `seal-shard` writes it: each job staged, submitted and ended. Longer records would only need more disk.
fn write_shard(dir: &Path, index: u64) {
    fs::create_dir_all(dir).unwrap();
    let mut file = BufWriter::new(File::create(dir.join("records.ndjson")).unwrap());
    let (mut digest, mut lines) = (Digest::default(), 0_u64);
    let mut write = |line: String| {
        digest.add(line.as_bytes());
        lines += 1;
        file.write_all(line.as_bytes()).unwrap();
    };
    let labels = json!({"scenario": "soak"});
    let metadata = |name: String| json!({"name": name, "run": "r1", "labels": labels});
    let run = json!({"apiVersion": "stress/v1", "kind": "Run", "metadata": metadata(format!("soak-shard-{index}")),
        "spec": {"prefix": "soak", "jobs": JOBS, "shard": {"index": index, "count": SHARDS}}});
    write(format!("{run}\n"));
    for number in (index..JOBS).step_by(usize::try_from(SHARDS).unwrap()) {
        let name = format!("soak-{:07}", number + 1);
        let spec = json!({"source": format!("/data/fixtures/{name}.webm"), "bytes": 1000});
        let job = |status| {
            let job = json!({"apiVersion": "stress/v1", "kind": "Job", "metadata": metadata(name.clone()), "spec": spec, "status": status});
            format!("{job}\n")
        };
        let times = ["2026-05-20T22:30:01.000000Z", "2026-05-20T22:30:09.000000Z"];
        let id = format!("{number:032x}");
        write(job(json!({"phase": "Staged", "observedAt": times[0]})));
        write(job(
            json!({"phase": "Submitted", "observedAt": times[0], "submittedAt": times[0], "acceptedAt": times[0], "jobId": id}),
        ));
        write(job(
            json!({"phase": "Succeeded", "observedAt": times[1], "submittedAt": times[0], "acceptedAt": times[0], "jobId": id,
            "notEndedAt": times[0], "endedAt": times[1]}),
        ));
    }
    let end = json!({"apiVersion": "stress/v1", "kind": "End", "metadata": {"name": format!("shard-{index}-attempt-1"), "run": "r1"},
        "spec": {"shard": {"index": index, "count": SHARDS}, "attempt": 1},
        "status": {"records": lines, "stdoutSha256": digest.hex(), "stdoutLines": lines, "fileSha256": digest.hex(),
            "fileBytes": digest.bytes()}});
    file.write_all(format!("{end}\n").as_bytes()).unwrap();
    file.flush().unwrap();
}

#[test]
#[ignore = "takes minutes and a gigabyte of disk: cargo test --test pipes million -- --ignored --nocapture"]
#[expect(clippy::print_stdout, reason = "a measurement goes to stdout")]
fn merging_takes_no_more_memory_for_a_million_jobs() {
    let dir = tempfile::tempdir().unwrap();
    for index in 0..SHARDS {
        write_shard(&dir.path().join(format!("shard-{index:03}")), index);
    }
    let mut merge = Command::new(bin().join("merge-shards")).arg(dir.path()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut lines, mut whole, mut peak) = (0_u64, 0_u64, 0);
    let status = format!("/proc/{}/status", merge.id());
    for line in BufReader::new(merge.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        lines += 1;
        if line.contains("\"kind\":\"Shard\"") {
            whole += u64::from(line.contains("\"result\":\"Whole\""));
        }
        // Up to the last line, behind which the process ends.
        if lines.is_multiple_of(100_000) || whole == SHARDS {
            let text = fs::read_to_string(&status).unwrap_or_default();
            let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            peak = peak.max(line.map_or(0, |line| line.trim().trim_end_matches(" kB").parse::<u64>().unwrap()));
        }
    }
    assert!(merge.wait().unwrap().success());
    println!(
        "merge-shards: {SHARDS} shards, {JOBS} jobs, {lines} lines: {peak} KiB, {:.3} KiB a job",
        peak as f64 / JOBS as f64
    );
    assert_eq!((whole, lines), (SHARDS, 3 * JOBS + 3 * SHARDS));
    // The goal is 2 KiB a job; nothing should grow with the jobs at all.
    assert!(peak > 0 && peak < 64 * 1024, "{peak} KiB");
}
