//! The topology, the arbiter and the batches of a healthy stand-in.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use common::{Rig, until};
use serde_json::Value;

fn time(job: &Value, stage: &str, key: &str) -> String {
    job["stage_states"][stage][key].as_str().unwrap().to_owned()
}

/// The intervals during which each job was in a stage.
fn spans(rig: &Rig, ids: &[String], stage: &str) -> Vec<(String, String)> {
    let jobs = ids.iter().map(|id| rig.ended(id));
    jobs.map(|job| (time(&job, stage, "started_at"), time(&job, stage, "finished_at"))).collect()
}

/// The most intervals that overlap at one instant; one that begins as another ends does not overlap it.
fn overlap(spans: &[(String, String)]) -> usize {
    let at_start = |(start, _): &(String, String)| spans.iter().filter(|(a, b)| a <= start && start < b).count();
    spans.iter().map(at_start).max().unwrap_or(0)
}

#[test]
fn whisper_runs_one_at_a_time_and_the_model_in_batches() {
    // All nine are there before the first is transcribed, so that the model's work comes in one crowd.
    let rig = Rig::new(&["--num-parallel", "4", "--time-scale", "0.02", "--hold", "whisper:1"]);
    let ids: Vec<String> = (1..=9).map(|n| rig.submit(n)).collect();
    rig.sim.release();
    assert_eq!(overlap(&spans(&rig, &ids, "whisper")), 1);
    assert_eq!(rig.stats().largest_batch, 4);
    assert_eq!(overlap(&spans(&rig, &ids, "l2")), 4);
    assert_eq!((rig.stats().done, rig.stats().unfinished, rig.stats().peak_unfinished), (9, 0, 9));
}

#[test]
fn jobs_flow_to_completion_before_new_whisper_work_starts() {
    let rig = Rig::new(&["--hold", "l1:1"]);
    let first = rig.submit(1);
    rig.until(&first, |job| job["stage_states"]["l1"]["started_at"].is_string());
    let second = rig.submit(2);
    rig.sim.release();
    let (first, second) = (rig.ended(&first), rig.ended(&second));
    assert!(time(&first, "l0", "finished_at") <= time(&second, "whisper", "started_at"), "{first} {second}");
}

#[test]
fn a_change_of_tenant_costs_time_and_is_logged() {
    let rig = Rig::new(&["--time-scale", "0.05"]);
    let job = rig.ended(&rig.submit(1));
    // Loading the language model takes two seconds at full scale, less a tenth of jitter.
    let gap = |from: String, to: String| {
        let parse = |text: String| text.parse::<chrono::DateTime<chrono::Utc>>().unwrap();
        (parse(to) - parse(from)).num_milliseconds()
    };
    let wait = gap(time(&job, "l1", "queued_at"), time(&job, "l1", "started_at"));
    assert!(wait >= 90, "{wait} ms");
    assert_eq!(rig.stats().switches, 2);
    let log = rig.log("autorag-gpu-worker");
    assert!(
        log.contains("gpu tenancy none -> whisper after ") && log.contains("gpu tenancy whisper -> llm after "),
        "{log}"
    );
}

#[test]
fn an_idle_gpu_is_emptied() {
    let rig = Rig::new(&[]);
    rig.ended(&rig.submit(1));
    until(|| rig.log("autorag-gpu-worker").contains("gpu tenancy llm -> none after ").then_some(()));
}

#[test]
fn times_follow_their_scale_and_the_size_of_the_file() {
    let rig = Rig::new(&["--seed", "1", "--stage-time", "whisper=10s"]);
    std::fs::write(rig.data().join("fixtures/2.webm"), vec![0; 1 << 20]).unwrap();
    let (small, large) = (rig.ended(&rig.submit(1)), rig.ended(&rig.submit(2)));
    assert_eq!((&small["status"], &large["status"]), (&Value::from("done"), &Value::from("done")));
    let log = rig.log("autorag-gpu-worker");
    let seconds: Vec<f64> = log
        .lines()
        .filter(|line| line.contains("stage=whisper"))
        .map(|line| line.rsplit(' ').next().unwrap().trim_end_matches('s').parse().unwrap())
        .collect();
    // 10 s at 0.002, less at most 0.15 of jitter; a mebibyte makes it 1.4 times as long. Unscaled it would be
    // nine seconds at the least.
    assert!((0.017..8.0).contains(&seconds[0]) && (0.0238..8.0).contains(&seconds[1]), "{seconds:?}");
}

#[test]
fn workers_log_each_stage_in_their_own_file() {
    let rig = Rig::new(&[]);
    let id = rig.submit(1);
    rig.ended(&id);
    let io = until(|| Some(rig.log("autorag-io-worker")).filter(|log| log.ends_with('\n')));
    assert_eq!(io.lines().count(), 1);
    let start = format!(" INFO autorag.worker job={id} stage=persist attempt=1 done in ");
    assert_eq!(io.get(23..23 + start.len()), Some(start.as_str()), "{io}");
    let gpu = rig.log("autorag-gpu-worker");
    for stage in ["whisper", "l1", "decide", "summarize_l1", "l2", "summarize_l2", "l0"] {
        let line = format!("job={id} stage={stage} attempt=1 done in ");
        assert_eq!(gpu.matches(&line).count(), 1, "{stage}: {gpu}");
    }
    assert!(!gpu.contains("ERROR") && !gpu.contains("Traceback"), "{gpu}");
}
