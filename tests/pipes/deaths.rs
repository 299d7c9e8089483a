//! Kill -9 of any one tool: nothing hangs, no half-written file, the ids known so far are on record, and a report that is
//! made again names the rest.

use crate::shell::{Shell, lines_with};
use crate::support::wait_until;

fn kill(victim: &str) -> Shell {
    let shell = Shell::new(&["--hang", "l1:4,5"]);
    // Each tool's pid is that of the subshell which it replaces. The input stays open, so that none has ended before
    // it is killed.
    let running = shell.start(
        r#"mkdir out; mkfifo gate
start() { echo $BASHPID > "$1.pid"; exec "$@"; }
(stage-fixtures --from $FIXTURES --into data/fixtures --jobs 8 --run r1; read -r _ < gate) |
(start submit-jobs --concurrency 2 --slots out/slots) |
(start poll-jobs --slots out/slots --min-interval 5ms --deadline 3s) |
(start render-report --out out) > /dev/null
echo "${PIPESTATUS[@]}""#,
    );
    let records = shell.path("out/records.ndjson");
    wait_until("the fifth submission", || lines_with(&records, "Submitted") >= 5);
    let pid = shell.read(&format!("{victim}.pid")).trim().to_owned();
    let killed = std::process::Command::new("kill").args(["-9", &pid]).status().unwrap();
    assert!(killed.success(), "{victim} had gone already");
    std::fs::write(shell.path("gate"), "go\n").unwrap();
    let done = running.finish();
    assert!(done.stdout.contains("137"), "{victim}: {}{}", done.stdout, done.stderr);

    assert!(lines_with(&records, "Submitted") >= 5, "the ids of jobs in flight are on record");
    let half = std::fs::read_dir(shell.path("out")).unwrap().map(|entry| entry.unwrap().file_name()).filter(|name| {
        let name = name.to_string_lossy();
        name.starts_with('.') || name.contains("tmp")
    });
    assert_eq!(half.count(), 0, "{victim}: no half-written file");
    let again = shell.run("render-report --replay --out out > /dev/null");
    assert!([3, 4].contains(&again.code), "{victim}: {}", again.stderr);
    assert_eq!(shell.counted("out", "asked"), 8);
    assert_ne!(shell.json("out/report.json")["status"]["verdict"], "Passed");
    shell
}

#[test]
fn of_submit_jobs() {
    let shell = kill("submit-jobs");
    assert!(shell.read("out/report.md").contains("SubmitterGone"));
}

#[test]
fn of_submit_jobs_during_its_health_check_leaves_a_report_with_the_cause() {
    let shell = Shell::new(&[]);
    // It takes the connection and says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let running = shell.start(&format!(
        r#"mkdir out
stage-fixtures --from $FIXTURES --into data/fixtures --jobs 3 --run r1 |
(echo $BASHPID > submit.pid; exec submit-jobs --target http://{}) | poll-jobs | render-report --out out > /dev/null
echo "${{PIPESTATUS[@]}}""#,
        silent.local_addr().unwrap()
    ));
    let (_asked, _) = silent.accept().unwrap();
    wait_until("the Run", || lines_with(&shell.path("out/records.ndjson"), "Run") >= 1);
    let pid = shell.read("submit.pid").trim().to_owned();
    assert!(std::process::Command::new("kill").args(["-9", &pid]).status().unwrap().success());
    let done = running.finish();
    assert_eq!(done.stdout, "0 137 0 4\n", "{}", done.stderr);
    assert!(shell.read("out/report.md").contains("SubmitterGone"));
    assert_eq!(shell.counted("out", "asked"), 3);
}

#[test]
fn of_poll_jobs() {
    let shell = kill("poll-jobs");
    assert!(shell.read("out/report.md").contains("poll-jobs was killed or crashed"));
}

#[test]
fn of_whatever_reads_from_submit_jobs_costs_the_journal_no_answer() {
    let shell = Shell::new(&["--delay", "300ms"]);
    let done = shell.run(
        r#"stage-fixtures --from $FIXTURES --into data/fixtures --jobs 8 --run r1 > staged
submit-jobs --max-posts 3 --journal journal < staged | head -2 > /dev/null; echo "${PIPESTATUS[@]}""#,
    );
    assert_eq!(done.stdout, "74 0\n", "{}", done.stderr);
    assert!(done.stderr.contains("stdout: its reader has exited: nothing more is submitted"), "{}", done.stderr);
    let posts = shell.target.sim.stats().posts;
    assert_eq!(lines_with(&shell.path("journal"), r#""Submitted""#) as u64, posts);
    assert!((3..8).contains(&posts), "{posts}");
}

#[test]
fn of_render_report() {
    kill("render-report");
}

#[test]
fn of_stage_fixtures() {
    let shell = Shell::new(&[]);
    // It is held up by a reader that does not read, so that it is certain to be alive.
    let running = shell.start(
        r#"mkdir out; mkfifo gate
(echo $BASHPID > stage.pid; exec stage-fixtures --from $FIXTURES --into data/fixtures --jobs 5000 --run r1) |
(read -r _ < gate; submit-jobs --max-posts 8) | poll-jobs --min-interval 5ms | render-report --out out > /dev/null
echo "${PIPESTATUS[@]}""#,
    );
    wait_until("a full pipe", || shell.path("data/fixtures/soak/0100.webm").exists());
    let pid = shell.read("stage.pid").trim().to_owned();
    assert!(std::process::Command::new("kill").args(["-9", &pid]).status().unwrap().success());
    std::fs::write(shell.path("gate"), "go\n").unwrap();
    let done = running.finish();
    assert_eq!(done.stdout, "137 0 0 4\n", "{}", done.stderr);
    assert_eq!(shell.counted("out", "asked"), 5000);
    assert!(shell.counted("out", "missing") > 4000 && shell.counted("out", "succeeded") > 50);
    assert_eq!(shell.json("out/report.json")["status"]["verdict"], "Incomplete");
    assert!(shell.read("out/report.md").contains("jobs have no record: a tool of the pipe, such as stage-fixtures"));
}
