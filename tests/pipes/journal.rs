//! A pipe that is killed outright at any moment and started again submits no job twice and accounts for every job.

use std::collections::BTreeSet;
use std::time::Duration;

use rustix::process::Signal;

use crate::server::{Reply, Server};
use crate::shell::{Shell, lines_with};
use crate::support::{root, wait_until};

/// `pipe NAME`: a run of 8 jobs with a journal, the first time and again. The profile in `$PROFILE`.
const JOURNALLED: &str = r#"
pipe() {
  mkdir -p "$1"; [[ -e $1/records.ndjson ]] && append=--append || append=
  stage-fixtures --from "$FIXTURES" --into data/fixtures --jobs 8 --run "$1" --prefix "$1" |
  submit-jobs --profile profile.toml --concurrency 3 --slots "$1/slots" --journal "$1/submissions.ndjson" |
  poll-jobs --profile profile.toml --slots "$1/slots" --min-interval 5ms |
  render-report --out "$1" $append > /dev/null
}
"#;

fn profile(shell: &Shell, key: bool) {
    let text = std::fs::read_to_string(root().join("profiles/autorag.toml")).unwrap();
    let lines = text.lines().filter(|line| key || !line.starts_with("Idempotency-Key"));
    std::fs::write(shell.path("profile.toml"), lines.collect::<Vec<_>>().join("\n")).unwrap();
}

/// Kills a run up to 30 ms after its `moment`-th line and starts it again; returns the number of jobs that it leaves unknown.
fn kill_and_resume(shell: &Shell, name: &str, moment: usize) -> u64 {
    let running = shell.start(&format!("{JOURNALLED}\npipe {name}"));
    let (journal, records) =
        (shell.path(&format!("{name}/submissions.ndjson")), shell.path(&format!("{name}/records.ndjson")));
    let lines = || lines_with(&journal, "\"Job\"") + lines_with(&records, "\"Succeeded\"");
    wait_until("the moment of the kill", || lines() >= moment);
    // Not a wait for something: the kill comes at any moment.
    std::thread::sleep(Duration::from_micros(fastrand::u64(..30_000)));
    running.signal(Signal::KILL);
    running.finish();
    let done = shell.run(&format!("{JOURNALLED}\npipe {name}"));
    assert!([0, 4].contains(&done.code), "{name}: {} {}", done.code, done.stderr);
    let counted = |term: &str| shell.counted(name, term);
    assert_eq!((counted("asked"), counted("missing"), counted("notSubmitted")), (8, 0, 0), "{name}: {}", done.stderr);
    assert_eq!(counted("succeeded") + counted("unknown"), 8, "{name}: {}", done.stderr);
    let stats = shell.target.sim.stats();
    let of_run: Vec<&str> = stats
        .jobs
        .iter()
        .map(|job| job.source.as_str())
        .filter(|source| source.contains(&format!("/{name}/")))
        .collect();
    let distinct: BTreeSet<&str> = of_run.iter().copied().collect();
    assert_eq!(of_run.len(), distinct.len(), "{name}: a job was submitted twice");
    assert!(of_run.len() as u64 >= counted("succeeded") && of_run.len() <= 8, "{name}");
    counted("unknown")
}

#[test]
fn twenty_kills_at_random_moments_never_submit_a_job_twice() {
    let shell = Shell::new(&[]);
    profile(&shell, false);
    for kill in 0..20 {
        let moment = fastrand::usize(..22);
        let unknown = kill_and_resume(&shell, &format!("k{kill}-{moment}"), moment);
        assert!(unknown <= 3, "no more than were under way at once: {unknown}");
    }
}

#[test]
fn where_the_target_recognises_a_job_nothing_is_left_unknown() {
    let shell = Shell::new(&[]);
    profile(&shell, true);
    for moment in [1, 4, 7, 11] {
        assert_eq!(kill_and_resume(&shell, &format!("i{moment}"), moment), 0);
    }
}

#[test]
fn a_key_that_the_profile_gets_between_two_starts_submits_no_job_twice() {
    // Every answer comes later than the kill.
    let shell = Shell::new(&["--delay", "700ms"]);
    profile(&shell, false);
    let running = shell.start(&format!("{JOURNALLED}\npipe k"));
    let journal = shell.path("k/submissions.ndjson");
    wait_until("open intents", || lines_with(&journal, "\"Submitting\"") >= 3 && shell.target.sim.stats().posts >= 3);
    running.signal(Signal::KILL);
    running.finish();
    profile(&shell, true);
    let done = shell.run(&format!("{JOURNALLED}\npipe k"));
    assert_eq!(done.code, 4, "{}", done.stderr);
    assert_eq!((shell.counted("k", "asked"), shell.counted("k", "unknown")), (8, 3), "{}", done.stderr);
    let stats = shell.target.sim.stats();
    assert_eq!((stats.posts, stats.accepted), (8, 8), "no job was sent twice: {}", done.stderr);
    assert!(shell.read("k/records.ndjson").contains("because it was sent without an idempotency key"));
}

#[test]
fn a_restart_at_another_target_is_one_line_and_incomplete() {
    let shell = Shell::new(&["--hold", "l1:100%"]);
    profile(&shell, true);
    let running = shell.start(&format!("{JOURNALLED}\npipe m"));
    let journal = shell.path("m/submissions.ndjson");
    wait_until("three jobs in flight", || lines_with(&journal, "\"Submitted\"") >= 3);
    running.signal(Signal::KILL);
    running.finish();
    // It has given the ids of the first one's jobs to jobs of its own.
    let ids = lines_with(&journal, "\"Submitted\"");
    let other = Server::new(|request| match (request.method.as_str(), request.path.starts_with("/jobs/")) {
        ("POST", _) => Reply::new(202, format!(r#"{{"job_id":"{}"}}"#, request.headers["traceparent"])),
        (_, true) => Reply::json(r#"{"status":"done"}"#),
        _ => Reply::json(r#"{"status":"ok"}"#),
    });
    let done = shell.run(&format!("{JOURNALLED}\nTARGET={} pipe m", other.url()));
    assert_eq!((done.code, shell.counted("m", "succeeded")), (4, 8), "{}", done.stderr);
    let said: Vec<&str> =
        done.stderr.lines().filter(|line| line.contains("-jobs: ") && line.contains("submitted to")).collect();
    assert_eq!(said.len(), 1, "{}", done.stderr);
    let both = format!("submitted to {} ({ids}), but the target is now {}", shell.target.url(), other.url());
    assert!(said[0].contains(&both), "{}", said[0]);
    let doubts = shell.json("m/report.json")["status"]["doubts"].to_string();
    let named = format!("submitted to {} and polled at {}", shell.target.url(), other.url());
    assert!(doubts.contains(&named) && doubts.contains(": m-001, m-002, m-003"), "{doubts}");
}

#[test]
fn without_room_for_the_journal_nothing_is_submitted() {
    let shell = Shell::new(&[]);
    let done = shell.run(
        r#"stage-fixtures --from "$FIXTURES" --into data/fixtures --jobs 9 --run r1 > staged
        (ulimit -f 2; exec submit-jobs --journal journal < staged) | cat > out; echo "${PIPESTATUS[0]}"
        jq -rs '[.[] | select(.kind == "Run")] | last | .status.aborted.reason' out
        jq -rs '[.[] | select(.kind == "Job") | .metadata.name] | unique | length' out"#,
    );
    assert_eq!(done.stdout, "74\nJournalFailed\n9\n", "{}", done.stderr);
    let posts = usize::try_from(shell.target.sim.stats().posts).unwrap();
    assert!(posts < 9 && posts <= lines_with(&shell.path("journal"), "Submitting"), "{posts} posts: {}", done.stderr);
}

#[test]
fn a_small_limit_of_open_files_is_ours_and_no_jobs_fault() {
    let shell = Shell::new(&["--delay", "100ms"]);
    let done = shell.run(
        r#"(ulimit -n 40
        stage-fixtures --from "$FIXTURES" --into data/fixtures --jobs 60 --run r1 | submit-jobs --max-posts 60 |
        poll-jobs --min-interval 5ms | render-report --out out > /dev/null)"#,
    );
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_eq!(shell.counted("out", "succeeded"), 60, "{}", done.stderr);
    assert!(done.stderr.contains("40 open files"), "{}", done.stderr);
}
