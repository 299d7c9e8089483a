//! `seal-shard` and `merge-shards`: a shard's stream is whole, or the merged stream says that it is not.

use std::fs;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::shell::{Shell, lines_with};
use crate::support::wait_until;

/// The pipe of a pod, as its entry script runs it: `shard INDEX COUNT`. Everything that outlives the pod is in shards/shard-INDEX,
/// and its output in a log for each start.
const POD: &str = r"
shard() {
  dir=shards/shard-$1; mkdir -p $dir; starts=$(ls $dir | grep -c stdout)
  stage-fixtures --from $FIXTURES --into data/fixtures-$1 --worker-root /data/fixtures-$1 --jobs ${JOBS:-20} --run r1 --shard $1/$2 |
  submit-jobs --journal $dir/submissions.ndjson --max-posts ${POSTS:-8} ${START:-} | poll-jobs --min-interval 5ms |
  seal-shard --out $dir > $dir/stdout-$starts.log
}
";

/// The Shard records of a merged stream, by index.
fn shards(merged: &str) -> Vec<Value> {
    let records = merged.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    records.filter(|record| record["kind"] == "Shard").collect()
}

fn results(merged: &str) -> Vec<String> {
    shards(merged).iter().map(|shard| shard["status"]["result"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_shard_is_whole_by_its_file_or_by_its_log() {
    let shell = Shell::new(&[]);
    let done = shell.run(&format!(
        "{POD}
for i in 0 1 2; do shard $i 3 || exit; done
merge-shards shards > both
rm shards/shard-1/records.ndjson shards/shard-2/stdout-0.log
merge-shards shards > one; merge-shards shards | cmp - one
cat both | render-report --out out-both --expect all-done,all-stages > /dev/null && cat one | render-report --out out-one --expect all-done,all-stages > /dev/null"
    ));
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_eq!(done.stdout, "");
    assert_eq!(results(&shell.read("both")), ["Whole", "Whole", "Whole"]);
    let one = shell.read("one");
    let ways: Vec<_> = shards(&one).iter().map(|shard| shard["status"]["attempts"][0]["provenBy"].clone()).collect();
    assert_eq!(ways, [json!("file"), json!("stdout"), json!("file")]);
    assert_eq!((shell.counted("out-both", "succeeded"), shell.counted("out-one", "succeeded")), (20, 20));
    let end =
        one.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).find(|r| r["kind"] == "End").unwrap();
    assert_eq!(end["metadata"], json!({"name": "shard-0-attempt-1", "run": "r1", "labels": {"scenario": "soak"}}));
    assert_eq!(end["status"]["jobs"], json!({"Succeeded": 7}));
    assert_eq!(end["spec"], json!({"shard": {"index": 0, "count": 3}, "attempt": 1}));
}

#[test]
fn lines_that_are_missing_make_the_report_incomplete_and_are_counted() {
    let shell = Shell::new(&[]);
    let done = shell.run(&format!(
        "{POD}
for i in 0 1 2 3; do shard $i 4 || exit; done
rm shards/*/records.ndjson shards/*/submissions.ndjson
cut() {{ local dir=shards/shard-$1; \"${{@:2}}\" < $dir/stdout-0.log > cut && mv cut $dir/stdout-0.log; }}
cut 0 tail -n +3            # rotated: the beginning is gone
cut 1 head -n -1            # killed: no End
cut 2 head -c -100          # torn in its last line
sed -i '2s/fixtures/f1xtures/' shards/shard-3/stdout-0.log
wc -l < shards/shard-0/stdout-0.log; wc -l < shards/shard-1/stdout-0.log
merge-shards shards > merged
render-report --out out --expect all-done < merged > /dev/null"
    ));
    assert_eq!(done.code, 4, "{}", done.stderr);
    let counts: Vec<u64> = done.stdout.lines().map(|count| count.parse().unwrap()).collect();
    let merged = shell.read("merged");
    assert_eq!(results(&merged), ["Incomplete"; 4]);
    let message = |index: usize| shards(&merged)[index]["status"]["message"].as_str().unwrap().to_owned();
    let left = counts[0] - 1;
    assert_eq!(message(0), format!("{left} of {} lines arrived in stdout-0.log", left + 2));
    assert!(
        message(1).starts_with(&format!("{} lines arrived in stdout-0.log, without an End", counts[1])),
        "{}",
        message(1)
    );
    assert!(message(2).ends_with("; the last line is cut off"), "{}", message(2));
    assert!(message(3).contains("SHA-256"), "{}", message(3));
    assert_eq!(shards(&merged)[0]["status"]["missingLines"], 2);
}

#[test]
fn a_signal_to_the_pod_loses_neither_the_end_nor_a_job() {
    let shell = Shell::new(&["--hang", "l2:1", "--hang", "l2:2"]);
    let running = shell.start(&format!("{POD} POSTS=8 JOBS=8 shard 0 1"));
    let log = shell.path("shards/shard-0/stdout-0.log");
    wait_until("submissions", || lines_with(&log, "\"Submitted\"") >= 8);
    running.signal(Signal::TERM);
    let done = running.finish();
    assert_eq!(done.code, 143, "{}", done.stderr);
    let merged = shell.run("merge-shards shards").stdout;
    assert_eq!(results(&merged), ["Whole"], "{merged}");
    let jobs = &shards(&merged)[0]["status"]["jobs"];
    assert!(jobs["Interrupted"].as_u64().unwrap() >= 2, "{jobs}");
    assert_eq!(jobs.as_object().unwrap().values().map(|count| count.as_u64().unwrap()).sum::<u64>(), 8);
}

#[test]
fn a_killed_pod_that_starts_again_goes_on_and_its_shard_is_whole() {
    let shell = Shell::new(&[]);
    let start = stress_suite::record::Timestamp::system();
    let start = format!("START=\"--start-at {start}\"");
    let running = shell.start(&format!("{POD} POSTS=1 JOBS=40 {start} shard 0 1"));
    let log = shell.path("shards/shard-0/records.ndjson");
    wait_until("submissions", || lines_with(&log, "\"Submitted\"") >= 3);
    running.signal(Signal::KILL);
    running.finish();
    // What a pod that is killed in the middle of a write leaves behind.
    let torn = r#"{"apiVersion":"stress/v1","kind":"Jo"#;
    fs::write(&log, fs::read_to_string(&log).unwrap() + torn).unwrap();
    let done = shell.run(&format!(
        "{POD} POSTS=4 JOBS=40 {start} shard 0 1 && merge-shards shards > merged && render-report --out out < merged > /dev/null"
    ));
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_eq!(shell.counted("out", "succeeded"), 40);
    assert_eq!(shell.target.sim.stats().jobs.len(), 40, "no job was submitted twice");
    let merged = shell.read("merged");
    let attempts = &shards(&merged)[0]["status"]["attempts"];
    let numbers: Vec<_> = attempts.as_array().unwrap().iter().map(|one| (&one["number"], &one["provenBy"])).collect();
    assert_eq!(numbers, [(&json!(1), &json!("file")), (&json!(2), &json!("file"))], "{attempts}");
    // The shard began when its first attempt did.
    let lag = |attempt: usize| attempts[attempt]["startLagSeconds"].as_f64().unwrap();
    let shard = &shell.json("out/report.json")["status"]["shards"][0];
    assert!(lag(0) < lag(1) && shard["startLagSeconds"].as_f64() == Some(lag(0)), "{attempts} {shard}");
    assert!(fs::read_to_string(&log).unwrap().contains(&format!("\ntorn: {torn}\n")));
    // Without what the file proves, the log of the first attempt proves nothing.
    let merged = shell.run("rm shards/*/records.ndjson; merge-shards shards").stdout;
    assert_eq!(results(&merged), ["Incomplete"], "{merged}");
}

#[test]
fn no_line_on_stdout_is_longer_than_the_limit_and_the_file_has_it_whole() {
    let shell = Shell::new(&[]);
    let body = "x".repeat(20_000);
    let job = json!({"apiVersion": "stress/v1", "kind": "Job", "metadata": {"name": "a", "run": "r"},
        "status": {"phase": "Succeeded", "body": body}});
    fs::write(shell.path("stream"), format!("{job}\n{}\nnot a record\n", "y".repeat(9000))).unwrap();
    let done = shell.run("seal-shard --out shards/shard-0 < stream > log; wc -L < log; head -n 3 shards/shard-0/records.ndjson | cmp - stream");
    assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
    assert!(done.stdout.trim().parse::<usize>().unwrap() < 8192, "{}", done.stdout);
    let log = shell.read("log");
    let first: Value = serde_json::from_str(log.lines().next().unwrap()).unwrap();
    assert_eq!((first["status"]["bodyBytes"].as_u64(), &first["status"]["phase"]), (Some(20_000), &json!("Succeeded")));
    assert!(first["status"]["body"].is_null());
    fs::remove_file(shell.path("shards/shard-0/records.ndjson")).unwrap();
    // Messages on stderr come with the log, and change nothing.
    fs::write(shell.path("shards/shard-0/stdout.log"), format!("poll-jobs: a message\n{log}")).unwrap();
    let done = shell.run("merge-shards shards");
    assert_eq!(results(&done.stdout), ["Whole"], "{}", done.stdout);
}

#[test]
fn a_full_disk_leaves_the_log_and_the_exit_code_tells() {
    let shell = Shell::new(&[]);
    let done = shell.run(
        "mkdir -p shards/shard-0; stage-fixtures --from $FIXTURES --into data/fixtures --jobs 50 > stream
(ulimit -f 4; code=0; seal-shard --out shards/shard-0 < stream || code=$?; echo $code > code) | cat > shards/shard-0/stdout.log
cat code; merge-shards shards | tail -n 1",
    );
    let (code, shard) = done.stdout.split_once('\n').unwrap();
    assert_eq!(code, "74", "{}", done.stderr);
    assert_eq!(results(shard), ["Whole"], "{shard}");
    assert!(done.stderr.contains("seal-shard: --out shards/shard-0/records.ndjson: "), "{}", done.stderr);
}

#[test]
fn pods_that_never_spoke_are_silent_with_node_and_reason() {
    let shell = Shell::new(&[]);
    fs::create_dir_all(shell.path("shards/shard-002")).unwrap();
    let pods = json!({"kind": "List", "items": [{"metadata": {"name": "load-2-x"}, "spec": {"nodeName": "node-b"},
        "status": {"phase": "Pending", "containerStatuses": [{"state": {"waiting": {"reason": "ImagePullBackOff"}}}]}}]});
    fs::write(shell.path("shards/shard-002/pods.json"), pods.to_string()).unwrap();
    let done = shell.run(&format!(
        "{POD} shard 0 4; shard 1 4; merge-shards shards > merged; render-report --out out < merged > /dev/null"
    ));
    assert_eq!(done.code, 4, "{}", done.stderr);
    let merged = shell.read("merged");
    assert_eq!(results(&merged), ["Whole", "Whole", "Silent", "Silent"]);
    let pod = &shards(&merged)[2]["status"]["pods"][0];
    assert_eq!((&pod["node"], &pod["reason"]), (&json!("node-b"), &json!("ImagePullBackOff")));
    assert_eq!((shell.counted("out", "succeeded"), shell.counted("out", "missing")), (10, 10));
    // Nobody spoke at all.
    let done = shell
        .run("rm -r shards/shard-[01]; merge-shards shards --shards 4 --run r1 | render-report --out none > /dev/null");
    assert_eq!(done.code, 4, "{}", done.stderr);
    let page = shell.read("none/report.md");
    assert!(page.contains("4 of 4 shards are not whole") && page.contains("ImagePullBackOff on node-b"), "{page}");
}

#[test]
fn a_second_writer_and_a_directory_without_shards_are_refused_in_one_line() {
    let shell = Shell::new(&[]);
    let done = shell.run(
        "mkfifo hold; seal-shard --out d < hold > /dev/null & exec 3> hold
until [ -s d/attempt ]; do read -t 0.01 <> <(:); done
seal-shard --out d < /dev/null; echo $?; exec 3>&-; wait; merge-shards d; echo $?",
    );
    assert_eq!(done.stdout, "2\n2\n", "{}", done.stderr);
    let lines: Vec<_> = done.stderr.lines().collect();
    assert!(
        lines[0].contains("another seal-shard is writing to it") && lines[1].contains("no directory shard-INDEX"),
        "{lines:?}"
    );
    assert_eq!(lines.len(), 2);
}

#[test]
fn the_jobs_of_a_killed_shard_are_unknown_without_its_journal() {
    let shell = Shell::new(&["--hang", "l2:1"]);
    let running = shell.start(&format!("{POD} POSTS=1 JOBS=40 shard 0 1"));
    let log = shell.path("shards/shard-0/stdout-0.log");
    wait_until("submissions", || lines_with(&log, "\"Submitted\"") >= 3);
    running.signal(Signal::KILL);
    running.finish();
    let pods = json!({"items": [{"kind": "Pod", "metadata": {"name": "load-0-x"}, "spec": {"nodeName": "node|a"},
        "status": {"phase": "Failed", "reason": "Evicted", "message": "low on <b>memory</b>"}}]});
    fs::write(shell.path("shards/shard-0/pods.json"), pods.to_string()).unwrap();
    let done = shell.run(
        "merge-shards shards | render-report --out with --redact > /dev/null; echo $?
rm shards/shard-0/submissions.ndjson; merge-shards shards | render-report --out without > /dev/null; echo $?",
    );
    assert_eq!(done.stdout, "4\n4\n", "{}", done.stderr);
    let counted = |dir: &str| ["unfinished", "unknown", "missing"].map(|term| shell.counted(dir, term));
    let [unfinished, unknown, missing] = counted("with");
    assert!(unfinished >= 1 && missing >= 20, "{:?}", counted("with"));
    // The journal may know of a submission whose record did not reach the log.
    let [none, open, silent] = counted("without");
    assert!(none == 0 && (1..=unfinished + unknown).contains(&open) && silent >= missing, "{:?}", counted("without"));
    assert_eq!(open + silent, 40);
    let page = shell.read("with/report.md");
    assert!(page.contains("## Shards\n"), "{page}");
    assert!(
        page.contains(r"load-0-x: Evicted on node\|a (low on &lt;b>memory&lt;/b>)") || page.contains("Evicted on node"),
        "{page}"
    );
    let shard = &shell.json("with/report.json")["status"]["shards"][0];
    assert_eq!((&shard["result"], &shard["pods"][0]["reason"]), (&json!("Incomplete"), &json!("Evicted")));
    assert_eq!(shard["conservation"]["asked"], 40);
    let html = shell.read("with/report.html");
    assert!(html.contains("id=\"shards\"") && html.contains("Evicted") && !html.contains("<b>memory"), "{html}");
    let redacted = shell.read("with/report.redacted.html");
    assert!(redacted.contains("Evicted") && !redacted.contains("node|a") && !redacted.contains("memory"), "{redacted}");
}

#[test]
fn a_submission_that_the_journal_took_back_was_not_made_whatever_arrived_first() {
    let shell = Shell::new(&[]);
    let job = |name: &str, phase: &str, second: u32| {
        json!({"apiVersion": "stress/v1", "kind": "Job", "metadata": {"name": name, "run": "r"},
            "spec": {"source": format!("/{name}")},
            "status": {"phase": phase, "observedAt": format!("2026-01-01T00:00:{second:02}Z")}})
        .to_string()
    };
    // The second of b's attempts and the only one of d were not taken back.
    let journal = [
        job("a", "Submitting", 1),
        job("b", "Submitting", 1),
        job("c", "Submitting", 1),
        job("a", "Staged", 2),
        job("b", "Submitting", 3),
        job("b", "Staged", 4),
        job("c", "Staged", 4),
        job("c", "Submitting", 5),
        job("d", "Submitting", 6),
        job("c", "Staged", 7),
    ];
    fs::create_dir_all(shell.path("shards/shard-0")).unwrap();
    fs::write(shell.path("shards/shard-0/submissions.ndjson"), journal.join("\n") + "\n").unwrap();
    let done = shell.run("merge-shards shards | render-report --out report > /dev/null");
    let phases = |name: &str| {
        let jobs = shell.json("report/jobs.json")["items"].as_array().unwrap().clone();
        let job = jobs
            .into_iter()
            .find(|job| job["metadata"]["name"] == name)
            .unwrap_or_else(|| panic!("{name}: {}", done.stderr));
        job["status"]["phase"].as_str().unwrap().to_owned()
    };
    assert_eq!(["a", "b", "c", "d"].map(phases), ["Staged", "Submitting", "Staged", "Submitting"]);
}
