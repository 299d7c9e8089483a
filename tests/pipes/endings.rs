//! Endings of each tool: whole pipes, readers that leave early, full disks, slow readers, and every documented exit code.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use crate::shell::Shell;
use crate::support::bin;

#[test]
fn the_whole_pipe_ends_well_and_leaves_every_file() {
    let shell = Shell::new(&[]);
    let done = shell.run(r#"run soak; echo "${PIPESTATUS[@]}"; jq -r .status.verdict soak.report"#);
    assert_eq!((done.code, done.stdout.as_str()), (0, "0\nPassed\n"), "{}", done.stderr);
    for file in ["records.ndjson", "jobs.json", "manifest.json", "report.json", "report.md", "jobs.csv", "stages.csv"] {
        assert!(shell.path("soak").join(file).is_file(), "{file}");
    }
    assert!(shell.target.sim.stats().peak_unfinished <= 3, "never more than three were in flight");
    // `jq -c` anywhere in the pipe changes nothing.
    let done = shell.run(
        "stage-fixtures --from $FIXTURES --into data/fixtures --prefix b | jq -c . | submit-jobs --max-posts 4 | jq -c . | poll-jobs --min-interval 5ms | jq -c . | render-report --out b; echo ${PIPESTATUS[@]}",
    );
    assert!(done.stdout.ends_with("\n0 0 0 0 0 0 0\n"), "{}{}", done.stdout, done.stderr);
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let shell = Shell::new(&[]);
    let done = shell.run(
        r"stage-fixtures --from $FIXTURES --into data/fixtures --jobs 3000 | head -1 > /dev/null; echo ${PIPESTATUS[@]}
stage-fixtures --from $FIXTURES --into data/fixtures --jobs 20 > staged
submit-jobs < staged | head -1 > /dev/null; echo ${PIPESTATUS[@]}
submit-jobs --concurrency 2 --slots slots < staged | head -1 > /dev/null; echo ${PIPESTATUS[@]}
submit-jobs < staged > submitted
poll-jobs --min-interval 5ms < submitted | head -1 > /dev/null; echo ${PIPESTATUS[@]}
render-report --out out < submitted | true; echo ${PIPESTATUS[@]}",
    );
    assert_eq!(done.stdout, "0 0\n0 0\n0 0\n0 0\n4 0\n", "{}", done.stderr);
    assert!(!done.stderr.contains("panicked") && !done.stderr.contains("pipe"), "{}", done.stderr);
}

#[test]
fn a_full_disk_is_never_a_success() {
    let shell = Shell::new(&[]);
    let done = shell.run(
        r#"stage-fixtures --from $FIXTURES --into data/fixtures --jobs 2 > staged
submit-jobs < staged > submitted
for tool in "stage-fixtures --from $FIXTURES --into data/fixtures" await-idle submit-jobs poll-jobs "render-report --out out"; do
  $tool < submitted > /dev/full; echo $?
done"#,
    );
    assert_eq!(done.stdout, "74\n74\n74\n74\n74\n", "{}", done.stderr);
    let said = "stdout: No space left on device";
    assert_eq!(done.stderr.matches(said).count(), 5, "{}", done.stderr);
}

#[test]
fn a_slow_reader_gets_every_record() {
    let shell = Shell::new(&[]);
    let done = shell.run(
        r"stage-fixtures --from $FIXTURES --into data/fixtures --jobs 30 | submit-jobs --max-posts 8 | poll-jobs --min-interval 5ms |
while read -r line; do sleep 0.01; printf '%s\n' $line; done | grep -c Succeeded",
    );
    assert_eq!(done.stdout, "30\n", "{}", done.stderr);
}

#[test]
fn the_first_record_comes_out_before_the_input_ends() {
    let shell = Shell::new(&[]);
    let staged = shell.target.stage(1);
    for tool in ["submit-jobs", "poll-jobs"] {
        let mut child = Command::new(bin().join(tool))
            .args(["--target", &shell.target.url()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(staged.as_bytes()).unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.next().unwrap().unwrap().contains("\"kind\":\"Run\""));
        // The Run comes again with the target's settings.
        assert!(lines.any(|line| line.unwrap().contains("\"kind\":\"Job\"")));
        drop(stdin);
        assert!(child.wait().unwrap().success());
    }
}

#[test]
fn every_documented_exit_code_is_given() {
    let shell = Shell::new(&["--fail", "l2:1"]);
    let done = shell.run(
        r#"code() { "$@" > /dev/null 2>> errors; echo $?; }
code stage-fixtures --from $FIXTURES --into data/fixtures --jobs 1
for tool in stage-fixtures await-idle submit-jobs poll-jobs render-report pipeline-sim; do
  code $tool --no-such-flag; code $tool --help; code $tool --version
done
JOBS=1 run failed; echo $?
code render-report --out nothing < /dev/null
printf '{\n' > broken
code await-idle < broken; code submit-jobs < broken; code poll-jobs < broken
code submit-jobs --target http://127.0.0.1:9 < /dev/null
code poll-jobs --target http://127.0.0.1:9 --explain x
code stage-fixtures --from nowhere"#,
    );
    let codes: Vec<_> = done.stdout.lines().collect();
    assert_eq!(
        codes.join(" "),
        "0 2 0 0 2 0 0 2 0 0 2 0 0 2 0 0 2 0 0 3 4 65 65 65 69 69 74",
        "{}\n{}",
        done.stderr,
        shell.read("errors")
    );
    for line in shell.read("errors").lines().filter(|line| line.contains("no-such-flag")) {
        assert!(line.contains(": unexpected argument '--no-such-flag' found"), "{line}");
    }
}

#[test]
fn by_hand_recipes_work() {
    let shell = Shell::new(&[]);
    shell.target.stage(1);
    let done = shell
        .run(r"printf '%s\n' /data/fixtures/soak/001.webm | submit-jobs --lines | poll-jobs | jq -c .status.phase");
    assert_eq!(done.stdout, "\"Submitted\"\n\"Succeeded\"\n", "{}", done.stderr);
}

#[test]
fn a_small_limit_on_memory_is_named_before_the_tool_may_run_into_it() {
    let done = Shell::new(&[]).run("ulimit -v 200000; stage-fixtures --from $FIXTURES --into data/fixtures --jobs 1");
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(done.stderr.contains("a limit of 195 MiB on this process's memory"), "{}", done.stderr);
}
