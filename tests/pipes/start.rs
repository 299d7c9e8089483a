//! Several shards make one load: a common start, one schedule, and shares that add up.

use serde_json::{Value, json};

use crate::shell::Shell;

/// `load INDEX COUNT FLAGS…`: the records of one shard after its submissions.
const LOAD: &str = r"
load() {
  stage-fixtures --from $FIXTURES --into data/fixtures-$1 --worker-root /data/fixtures-$1 --jobs ${JOBS:-8} --run r1 --shard $1/$2 |
  submit-jobs ${@:3}
}
";

fn records(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn last_run(text: &str) -> Value {
    records(text).into_iter().rfind(|record| record["kind"] == "Run").unwrap()
}

fn seconds(time: &Value) -> f64 {
    let time: stress_suite::record::Timestamp = time.as_str().unwrap().parse().unwrap();
    time.seconds()
}

#[test]
fn shards_wait_for_the_start_and_take_turns_on_one_schedule() {
    let shell = Shell::new(&[]);
    let done = shell.run(&format!(
        "{LOAD} start=$(( $(date +%s) + 3 )); echo $start
for i in 0 1 2 3; do load $i 4 --rate 20/s --start-at $start > shard-$i & done; wait"
    ));
    assert_eq!(done.code, 0, "{}", done.stderr);
    let start: f64 = done.stdout.trim().parse().unwrap();
    assert_eq!(done.stderr.matches("s for the start at ").count(), 4, "{}", done.stderr);
    let mut dues = Vec::new();
    for index in 0..4 {
        let text = shell.read(&format!("shard-{index}"));
        let run = last_run(&text);
        assert_eq!(run["spec"]["ratePerSecond"], json!(5.0));
        assert_eq!(run["spec"]["wholeLoad"], json!({"ratePerSecond": 20.0}));
        assert!(run["status"]["startLagSeconds"].as_f64().unwrap() >= 0.0, "{run}");
        let submitted = records(&text).into_iter().filter(|record| record["status"]["phase"] == "Submitted");
        for job in submitted {
            assert!(seconds(&job["status"]["submittedAt"]) >= start, "{job}");
            dues.push(((seconds(&job["status"]["dueAt"]) - start) * 1e3).round());
        }
    }
    dues.sort_by(f64::total_cmp);
    assert_eq!(dues, [0.0, 50.0, 100.0, 150.0, 200.0, 250.0, 300.0, 350.0]);
}

#[test]
fn a_start_that_has_passed_begins_at_once_and_the_delay_is_recorded() {
    let shell = Shell::new(&[]);
    let done =
        shell.run(&format!("{LOAD} load 0 1 --start-at 2026-01-01T00:00:00Z > out; load 0 1 --start-at tomorrow"));
    assert_eq!(done.code, 2, "{}", done.stderr);
    assert!(done.stderr.contains("--start-at 2026-01-01T00:00:00.000000Z was "), "{}", done.stderr);
    assert!(done.stderr.contains("ago: starting at once"), "{}", done.stderr);
    assert!(done.stderr.contains("`tomorrow` is not a time: write Unix seconds or RFC 3339"), "{}", done.stderr);
    let run = last_run(&shell.read("out"));
    assert!(run["status"]["startLagSeconds"].as_f64().unwrap() > 86_400.0, "{run}");
    assert_eq!(run["spec"]["startAt"], "2026-01-01T00:00:00.000000Z");
}

#[test]
fn concurrency_is_shared_out_exactly_and_too_little_is_refused_in_one_line() {
    let shell = Shell::new(&[]);
    let done = shell.run(&format!(
        "{LOAD} JOBS=40
for i in 0 1 2 3; do load $i 4 --concurrency 10 --slots s$i | poll-jobs --slots s$i --min-interval 5ms > shard-$i & done; wait
cat shard-[013] | render-report --out out --expect all-done > /dev/null
load 3 4 --concurrency 3 --slots s > few; echo $?; load 3 4 --max-posts 3 > few; echo $?"
    ));
    assert_eq!(done.stdout, "2\n2\n", "{}", done.stderr);
    let shares: Vec<u64> = (0..4)
        .map(|index| last_run(&shell.read(&format!("shard-{index}")))["spec"]["concurrency"].as_u64().unwrap())
        .collect();
    assert_eq!(shares, [3, 3, 2, 2]);
    let report = shell.json("out/report.json");
    assert_eq!(report["status"]["figures"]["askedConcurrency"], json!(10.0), "though a shard is missing");
    for flag in ["--concurrency 3", "--max-posts 3"] {
        let line = format!("submit-jobs: {flag} cannot be shared by 4 shards: give at least 4, or use fewer shards\n");
        assert_eq!(done.stderr.matches(&line).count(), 1, "{}", done.stderr);
    }
    let run = last_run(&shell.read("few"));
    assert_eq!(run["status"]["aborted"]["reason"], "NoShare", "{run}");
    assert!(shell.read("few").lines().all(|line| !line.contains("\"Submitted\"")), "nothing was submitted");
}
