//! The memory of merging and of the report that follows: a thousand shards with a million jobs.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::json;
use stress_suite::digest::Digest;

use crate::support::bin;

const SHARDS: u64 = 1000;
const JOBS: u64 = 1_000_000;

/// The three records of a job as a tool writes them, without line ends: staged, submitted, and ended with all stages of the built-in profile.
/// NAME and ID stand for those of the job. The target's own answer would only need more disk.
fn templates() -> [String; 3] {
    let stage = |name| {
        json!({"name": name, "state": "done", "phase": "Done", "attempt": 1, "timesFrom": "server",
            "queuedAt": "2026-05-20T22:30:01.120000Z", "startedAt": "2026-05-20T22:30:02.240000Z", "endedAt": "2026-05-20T22:30:03.360000Z",
            "seen": {"notStartedAt": "2026-05-20T22:30:02.100000Z", "startedAt": "2026-05-20T22:30:02.400000Z",
                "notEndedAt": "2026-05-20T22:30:03.300000Z", "endedAt": "2026-05-20T22:30:03.500000Z"}})
    };
    let stages = ["whisper", "l1", "decide", "summarize_l1", "l2", "summarize_l2", "l0", "persist"].map(stage);
    let times = ["2026-05-20T22:30:01.000000Z", "2026-05-20T22:30:09.000000Z"];
    let first = json!({"phase": "Staged", "observedAt": times[0]});
    let submitted = json!({"phase": "Submitted", "observedAt": times[0], "submittedAt": times[0], "acceptedAt": times[0],
        "jobId": "ID", "traceId": "ID"});
    let ended = json!({"phase": "Succeeded", "observedAt": times[1], "submittedAt": times[0], "acceptedAt": times[0], "jobId": "ID",
        "traceId": "ID", "notEndedAt": times[0], "endedAt": times[1], "durationSeconds": 8.0, "durationErrorSeconds": 0.06,
        "polls": {"sent": 17, "failed": 0}, "targetStatus": "done", "stages": stages,
        "serverTimes": {"queuedAt": times[0], "startedAt": times[0], "endedAt": times[1]}});
    [first, submitted, ended].map(|status| {
        let metadata = json!({"name": "NAME", "run": "r1", "labels": {"scenario": "soak"}});
        let spec = json!({"source": "/data/fixtures/NAME.webm", "bytes": 1000});
        json!({"apiVersion": "stress/v1", "kind": "Job", "metadata": metadata, "spec": spec, "status": status})
            .to_string()
    })
}

/// A file of a shard as `seal-shard` writes it.
fn write_shard(dir: &Path, index: u64, templates: &[String; 3]) {
    fs::create_dir_all(dir).unwrap();
    let mut file = BufWriter::new(File::create(dir.join("records.ndjson")).unwrap());
    let (mut digest, mut lines) = (Digest::default(), 0_u64);
    let mut write = |line: String| {
        digest.add(line.as_bytes());
        lines += 1;
        file.write_all(line.as_bytes()).unwrap();
    };
    let metadata = json!({"name": format!("soak-shard-{index}"), "run": "r1", "labels": {"scenario": "soak"}});
    let run = json!({"apiVersion": "stress/v1", "kind": "Run", "metadata": metadata,
        "spec": {"prefix": "soak", "jobs": JOBS, "shard": {"index": index, "count": SHARDS}}});
    write(format!("{run}\n"));
    for number in (index..JOBS).step_by(usize::try_from(SHARDS).unwrap()) {
        let (name, id) = (format!("soak-{:07}", number + 1), format!("{number:032x}"));
        for template in templates {
            write(template.replace("NAME", &name).replace("ID", &id) + "\n");
        }
    }
    let end = json!({"apiVersion": "stress/v1", "kind": "End", "metadata": {"name": format!("shard-{index}-attempt-1"), "run": "r1"},
        "spec": {"shard": {"index": index, "count": SHARDS}, "attempt": 1},
        "status": {"records": lines, "stdoutSha256": digest.hex(), "stdoutLines": lines, "fileSha256": digest.hex(),
            "fileBytes": digest.bytes()}});
    file.write_all(format!("{end}\n").as_bytes()).unwrap();
    file.flush().unwrap();
}

/// The highest memory of a process so far, in KiB; `None` once it has ended.
fn peak(process: &Child) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", process.id())).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().trim_end_matches(" kB").parse().unwrap())
}

#[test]
#[ignore = "takes half an hour and 12 GB of disk: cargo test --test pipes million -- --ignored --nocapture"]
#[expect(clippy::print_stdout, reason = "a measurement goes to stdout")]
fn a_report_over_a_thousand_shards_takes_about_2_kib_a_job() {
    let dir = tempfile::tempdir().unwrap();
    let shards = dir.path().join("shards");
    let templates = templates();
    for index in 0..SHARDS {
        write_shard(&shards.join(format!("shard-{index:03}")), index, &templates);
    }
    let mut merge = Command::new(bin().join("merge-shards")).arg(&shards).stdout(Stdio::piped()).spawn().unwrap();
    let mut report = Command::new(bin().join("render-report"));
    report.args(["--quiet", "--expect", "all-done", "--out"]).arg(dir.path().join("report"));
    let mut report = report.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let mut to_report = BufWriter::new(report.stdin.take().unwrap());
    let (mut lines, mut whole, mut of_merging) = (0_u64, 0_u64, 0);
    for line in BufReader::new(merge.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        writeln!(to_report, "{line}").unwrap();
        lines += 1;
        if line.contains("\"kind\":\"Shard\"") {
            whole += u64::from(line.contains("\"result\":\"Whole\""));
        }
        // Up to the last line, behind which the process ends.
        if lines.is_multiple_of(100_000) || whole == SHARDS {
            of_merging = of_merging.max(peak(&merge).unwrap_or(0));
        }
    }
    assert!(merge.wait().unwrap().success());
    drop(to_report.into_inner().unwrap());
    fs::remove_dir_all(&shards).unwrap();
    let mut of_report = 0;
    while report.try_wait().unwrap().is_none() {
        of_report = of_report.max(peak(&report).unwrap_or(0));
        std::thread::sleep(Duration::from_millis(5));
    }
    println!("{SHARDS} shards, {JOBS} jobs, {lines} lines");
    for (tool, peak) in [("merge-shards", of_merging), ("render-report", of_report)] {
        println!("{tool}: {peak} KiB, {:.3} KiB a job", peak as f64 / JOBS as f64);
    }
    assert_eq!(report.wait().unwrap().code(), Some(0));
    assert_eq!((whole, lines), (SHARDS, 3 * JOBS + 3 * SHARDS));
    // Nothing that merges should grow with the jobs at all.
    assert!(of_merging > 0 && of_merging < 64 * 1024, "{of_merging} KiB");
    assert!(of_report > 0 && of_report <= JOBS * 9 / 4, "{of_report} KiB");
}
