//! Disks that are full and places that cannot be written: nothing that was known is lost, and the verdict is no pass.
//!
//! The limit on a file's size stands for a full disk where nobody may mount one: `ulimit -f` counts units of 1,024 bytes.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::makefile;
use crate::shell::Shell;

const LIMITED: &str = "limited() { (trap '' XFSZ; ulimit -f \"$1\"; exec \"${@:2}\"); }\n";

/// The records of jobs in `text`, as they are spelt.
fn jobs(text: &str) -> BTreeSet<&str> {
    text.lines().filter(|line| line.contains("\"kind\":\"Job\"")).collect()
}

#[test]
fn records_that_have_no_room_on_disk_go_to_stdout() {
    let shell = Shell::new(&[]);
    let done = shell.run(&format!(
        r"{LIMITED}stage-fixtures --from $FIXTURES --into data/fixtures --jobs 9 --run r1 |
submit-jobs --max-posts 4 | poll-jobs --min-interval 5ms | tee all | limited 24 render-report --out out | cat > rest
echo ${{PIPESTATUS[*]}}"
    ));
    assert_eq!(done.stdout, "0 0 0 0 74 0\n", "{}", done.stderr);
    assert!(done.stderr.contains("out/records.ndjson: File too large"), "{}", done.stderr);
    let (all, disk, rest) = (shell.read("all"), shell.read("out/records.ndjson"), shell.read("rest"));
    assert!(disk.ends_with('\n') && !jobs(&disk).is_empty() && !jobs(&rest).is_empty(), "{}", disk.len());
    assert_eq!(jobs(&all), jobs(&disk).union(&jobs(&rest)).copied().collect(), "on disk or on stdout");
    let report: Value = serde_json::from_str(rest.lines().last().unwrap()).unwrap();
    assert_eq!(report["status"]["conservation"]["succeeded"], 9, "the report counts them all");
    // Put together again they are the whole run.
    let done = shell.run("cat out/records.ndjson rest | render-report --out whole > /dev/null");
    assert_eq!((done.code, shell.counted("whole", "succeeded")), (0, 9), "{}", done.stderr);
}

#[test]
fn a_disk_that_fills_up_takes_what_it_can() {
    let shell = Shell::new(&[]);
    let script = "mkdir disk; mount -t tmpfs -o size=64k disk disk || exit 99
stage-fixtures --from $FIXTURES --into data/fixtures --jobs 30 --run r1 |
submit-jobs --max-posts 4 | poll-jobs --min-interval 5ms | tee all | render-report --out disk/out > rest
echo ${PIPESTATUS[*]}; cp disk/out/records.ndjson held; ls -A disk/out";
    std::fs::write(shell.path("script"), script).unwrap();
    let done = shell.run("unshare -rm bash -o pipefail script");
    if done.code == 99 || done.stderr.starts_with("unshare: ") {
        // Nobody may mount here; the limit on a file's size has shown the same, but a CI is to show both.
        assert!(std::env::var("CI").as_deref() != Ok("true"), "no user namespace may mount a tmpfs: {}", done.stderr);
        return;
    }
    let (codes, files) = done.stdout.split_once('\n').unwrap();
    assert_eq!(codes, "0 0 0 0 74", "{}", done.stderr);
    assert!(done.stderr.contains("disk/out/records.ndjson: No space left on device"), "{}", done.stderr);
    assert!(!done.stderr.contains("/."), "no temporary name is anybody's business: {}", done.stderr);
    assert!(files.lines().all(|name| !name.starts_with('.')), "nothing half-written: {files}");
    let (all, disk, rest) = (shell.read("all"), shell.read("held"), shell.read("rest"));
    assert_eq!(jobs(&all), jobs(&disk).union(&jobs(&rest)).copied().collect(), "on disk or on stdout");
}

#[test]
fn captures_that_have_no_room_say_which_and_go_on() {
    let shell = Shell::new(&["--scrape-interval", "100ms"]);
    let (prom, jaeger) = (shell.target.sim.prometheus_url(), shell.target.sim.jaeger_url());
    let logs = shell.target.sim.logs().display().to_string();
    let done = shell.run(&format!(
        r"{LIMITED}stage-fixtures --from $FIXTURES --into data/fixtures --jobs 4 --run r1 |
submit-jobs --max-posts 4 | poll-jobs --min-interval 5ms |
limited 1 capture-logs --out out --logs {logs} --settle 1s |
limited 4 capture-prom --out out --prometheus {prom} --pad 0s --settle 5s --step 100ms |
limited 4 capture-jaeger --out out --jaeger {jaeger} --flush 0s --settle 5s |
render-report --out out --expect all-done,captured,no-exceptions > report
echo ${{PIPESTATUS[*]}}"
    ));
    assert_eq!(done.stdout, "0 0 0 74 74 74 4\n", "{}", done.stderr);
    for name in ["logs/autorag-gpu-worker.log", "prometheus/queue_wait_bucket.json", "jaeger/autorag-api.json"] {
        assert!(done.stderr.contains(&format!("out/{name}: File too large")), "{name}: {}", done.stderr);
        assert!(!shell.path("out").join(name).exists(), "{name}");
    }
    assert!(!done.stderr.contains("/.capture"), "{}", done.stderr);
    let report = shell.json("out/report.json");
    assert_eq!(report["status"]["verdict"], "Incomplete");
    assert_eq!(shell.counted("out", "succeeded"), 4, "every record came through");
    let records = shell.read("out/records.ndjson");
    let results = |kind: &str| -> Vec<(String, String)> {
        let of = records.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let of = of.filter(|record| record["kind"] == kind);
        let word = |value: &Value| value.as_str().unwrap_or("").to_owned();
        of.map(|record| (word(&record["status"]["result"]), word(&record["status"]["reason"]))).collect()
    };
    let series = results("Series");
    assert_eq!(series.len(), 10, "each query has its record");
    assert!(series.contains(&("ok".to_owned(), String::new())), "what had room came: {series:?}");
    assert!(series.contains(&("error".to_owned(), "NotWritten".to_owned())), "{series:?}");
    assert_eq!(results("Traces"), vec![("error".to_owned(), "NotWritten".to_owned()); 3]);
    assert!(results("Logs").contains(&("error".to_owned(), "NotWritten".to_owned())));
    let left = shell.run("find out -name '.*'");
    assert_eq!(left.stdout, "", "nothing half-written");
}

#[test]
fn a_place_that_cannot_be_written_is_refused_before_the_first_job() {
    let shell = Shell::new(&[]);
    std::fs::write(shell.path("file"), "").unwrap();
    for out in ["/proc/nowhere/run", "file/run"] {
        let place = if out.starts_with('/') { out.to_owned() } else { shell.path(out).display().to_string() };
        let done = makefile::run(&shell, &format!("soak OUT={place}"));
        assert_eq!(done.code, 2, "{out}: {}", done.stderr);
        let checked = shell.run(&format!("render-report --check --out {out}"));
        assert_eq!((checked.code, checked.stderr.lines().count()), (74, 1), "{out}: {}", checked.stderr);
    }
    // By hand: the FIFO is where the run directory was to be.
    let done = shell.run("run file/run");
    assert_ne!(done.code, 0);
    assert_eq!(shell.target.sim.stats().posts, 0, "nothing was submitted");
}

#[test]
fn what_is_refused_leaves_nothing_behind() {
    let shell = Shell::new(&[]);
    for (flags, said) in [
        ("soak JOBS=abc", "stage-fixtures: invalid value 'abc' for '--jobs"),
        ("soak CONCURRENCY=0", "submit-jobs: invalid value '0' for '--concurrency"),
        ("soak FIXTURES=nowhere", "stage-fixtures: --from nowhere: No such file"),
        ("soak SUBMIT_FLAGS=--wrong", "submit-jobs: unexpected argument '--wrong'"),
        ("soak PROM_FLAGS=--wrong", "capture-prom: unexpected argument '--wrong'"),
        ("ramp RAMP_JOBS=x", "stage-fixtures: invalid value 'x' for '--jobs"),
        ("soak PROFILE=nowhere.toml", "nowhere.toml"),
    ] {
        let done = makefile::run(&shell, flags);
        assert_eq!(done.code, 2, "{flags}: {}", done.stderr);
        let lines: Vec<&str> = done.stderr.lines().filter(|line| !line.starts_with("make: ***")).collect();
        assert!(lines[0].contains(said), "{flags}: {lines:?}");
        assert!(lines.len() == 1 || flags.contains("PROFILE"), "{flags}: {lines:?}");
        assert!(!shell.path("run").exists(), "{flags}");
    }
    assert_eq!(shell.target.sim.stats().posts, 0);
    let done = makefile::run(&shell, "soak JOBS=2");
    assert_eq!(done.code, 0, "the same OUT can be used again: {}", done.stderr);
}

#[test]
fn a_stream_without_one_record_is_said_and_kept_nowhere() {
    let shell = Shell::new(&[]);
    let done = shell
        .run("render-report --out a/b < /dev/null; echo $?; ls; mkdir c; render-report --out c < /dev/null; ls -A c");
    assert_eq!(done.stdout, "4\n", "{}", done.stderr);
    assert_eq!(done.stderr.matches("no record came in").count(), 2, "{}", done.stderr);
    let done = shell
        .run("run out; rm out/slots; cp -r out was; render-report --append --out out < /dev/null; diff -r out was");
    assert_eq!((done.code, done.stdout.as_str()), (0, ""), "{}", done.stderr);
}

#[test]
fn a_check_reads_sends_and_writes_nothing() {
    let shell = Shell::new(&[]);
    let done = shell.run(
        r#"for tool in "stage-fixtures --from $FIXTURES --into data/x" await-idle "submit-jobs --concurrency 1 --slots slots" \
  "poll-jobs --slots slots" "capture-logs --out out --logs off" "capture-prom --out out" "capture-jaeger --out out" \
  "render-report --out out"; do
  $tool --check <<< '{' || echo "$tool: $?"
  $tool --check --no-such-flag 2>> errors && echo "$tool: accepted"
done; ls"#,
    );
    assert_eq!((done.code, done.stdout.as_str(), done.stderr.as_str()), (0, "errors\n", ""));
    assert_eq!(shell.read("errors").lines().count(), 8);
    let stats = shell.target.sim.stats();
    assert_eq!((stats.posts, stats.polls), (0, 0));
}

#[test]
fn a_limit_on_open_files_is_the_harness_own_and_the_report_says_so() {
    // So many submissions are open at once only if their answers take a while.
    let shell = Shell::new(&["--delay", "200ms"]);
    let done = shell.run(
        r"(ulimit -n 40; stage-fixtures --from $FIXTURES --into data/fixtures --jobs 60 --run r1 | submit-jobs --max-posts 64 |
  poll-jobs --min-interval 5ms | render-report --out out --expect all-done > out.report); echo $?
jq -r '.status.doubts[]' out.report",
    );
    assert!(done.stdout.starts_with("0\n"), "{}{}", done.stdout, done.stderr);
    assert!(done.stdout.contains("the harness was the bottleneck of soak: "), "{}{}", done.stdout, done.stderr);
    assert!(done.stdout.contains("limit of 40 open files"), "{}", done.stdout);
    assert_eq!(shell.counted("out", "succeeded"), 60);
}
