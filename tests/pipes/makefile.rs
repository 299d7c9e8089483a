//! The Makefile: the scenarios' directories and exit codes, and that nothing is left running.

use rustix::process::Signal;

use crate::shell::{Done, Shell, lines_with};
use crate::support::{root, wait_until};

/// `make` in the repository, with the binaries that were built for the tests and everything it writes elsewhere.
pub(crate) fn make(shell: &Shell, arguments: &str) -> String {
    let dir = shell.target.dir.path().display();
    format!(
        "make --no-print-directory -C {} CARGO=true BIN=$(dirname $(command -v poll-jobs)) DATA={dir}/data OUT={dir}/run TARGET=$TARGET PROM_URL={} JAEGER_URL={} LOGS={} POLL_FLAGS='--min-interval 5ms --deadline 20s' IDLE_FLAGS='--lag 0s' CAPTURE_FLAGS='--pad 0s --settle 5s' PROM_FLAGS='--step 100ms' JAEGER_FLAGS='--flush 0s' {arguments}",
        root().display(),
        shell.target.sim.prometheus_url(),
        shell.target.sim.jaeger_url(),
        shell.target.sim.logs().display(),
    )
}

pub(crate) fn run(shell: &Shell, arguments: &str) -> Done {
    shell.run(&make(shell, arguments))
}

#[test]
fn a_suite_writes_the_layout_of_the_specification() {
    let shell = Shell::new(&[]);
    let done = run(&shell, "suite LEVELS='2 4' RAMP_JOBS=2x JOBS=4");
    assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
    for file in [
        "report.md",
        ".git-sha",
        "soak/jobs.json",
        "soak/manifest.json",
        "soak/report.md",
        "ramp/report.md",
        "ramp/by-concurrency/lvl-02/jobs.json",
        "ramp/by-concurrency/lvl-04/report.md",
    ] {
        assert!(shell.path("run").join(file).is_file(), "{file}\n{}", done.stderr);
    }
    assert!(!shell.path("run/soak/slots").exists());
    assert_eq!(shell.json("run/ramp/by-concurrency/lvl-04/report.json")["status"]["conservation"]["asked"], 8);
    let sha = shell.read("run/.git-sha");
    assert!(sha.trim().len() >= 7, "{sha}");
    let again = run(&shell, "soak");
    assert_ne!(again.code, 0, "a scenario directory that exists is refused");
    assert_eq!(shell.target.sim.stats().posts, 4 + 4 + 8, "and nothing was submitted");
    let whole = run(&shell, "suite TARGET=http://127.0.0.1:9");
    assert_eq!(whole.code, 2, "and so is a suite over another: {}", whole.stderr);
    assert!(whole.stderr.contains("run/soak already exists"), "{}", whole.stderr);
    let page = shell.read("run/report.md");
    let report = run(&shell, &format!("report RUN={}", shell.path("run").display()));
    assert_eq!((report.code, shell.read("run/report.md")), (0, page), "{}", report.stderr);
    assert!(report.stderr.contains("\nsoak: Passed: ") && !report.stderr.contains("  Jobs "), "{}", report.stderr);
}

#[test]
fn a_ramp_stops_at_the_first_level_that_does_not_pass() {
    let shell = Shell::new(&["--capacity", "5"]);
    let done = run(&shell, "ramp LEVELS='2 4 8 16' RAMP_JOBS=2x");
    assert_eq!(done.code, 0, "it found the breaking point after levels that passed: {}", done.stderr);
    assert!(shell.path("run/ramp/by-concurrency/lvl-08/report.json").is_file());
    assert!(!shell.path("run/ramp/by-concurrency/lvl-16").exists());
    let page = shell.read("run/ramp/report.md");
    assert!(page.contains("Breaking point: level 8"), "{page}");
    assert!(page.contains("16"), "the level that was not run is named: {page}");
}

#[test]
fn reports_are_rendered_again_only_for_the_run_that_is_named() {
    let shell = Shell::new(&[]);
    let records = root().join("tests/data/recorded-soak/records.ndjson");
    let runs = shell.path("a/b/runs");
    let scenarios = [
        "1/soak",
        "2/ramp/by-concurrency/lvl-02",
        "2/ramp/by-concurrency/lvl-04",
        "3/ab/np-4",
        "3/ab/np-8.1",
        "3/soak",
    ];
    for scenario in scenarios {
        std::fs::create_dir_all(runs.join(scenario)).unwrap();
        std::fs::copy(&records, runs.join(scenario).join("records.ndjson")).unwrap();
    }
    // The shards of a scenario are none of the run's.
    std::fs::create_dir_all(runs.join("1/soak/shards/shard-000")).unwrap();
    std::fs::copy(&records, runs.join("1/soak/shards/shard-000/records.ndjson")).unwrap();
    let rendered = || -> Vec<String> {
        let pages = walkdir::WalkDir::new(shell.path("a")).sort_by_file_name().into_iter().map(Result::unwrap);
        let mut places = Vec::new();
        for page in pages.filter(|page| page.file_name() == "junit.xml") {
            std::fs::remove_file(page.path()).unwrap();
            places.push(page.path().parent().unwrap().strip_prefix(&runs).unwrap().display().to_string());
        }
        places
    };
    for (named, expected) in [
        ("1", &["1/soak"][..]),
        ("1/", &["1/soak"]),
        ("3", &["3/ab/np-4", "3/ab/np-8.1", "3/soak"]),
        ("3/ab", &["3/ab/np-4", "3/ab/np-8.1"]),
        ("3/ab/np-4", &["3/ab/np-4"]),
        ("2", &["2/ramp/by-concurrency/lvl-02", "2/ramp/by-concurrency/lvl-04"]),
        ("2/ramp", &["2/ramp/by-concurrency/lvl-02", "2/ramp/by-concurrency/lvl-04"]),
        ("2/ramp/by-concurrency", &["2/ramp/by-concurrency/lvl-02", "2/ramp/by-concurrency/lvl-04"]),
    ] {
        let done = run(&shell, &format!("report RUN={}/{named}", runs.display()));
        assert_eq!(rendered(), expected, "{named}: {}", done.stderr);
    }
    for (named, why) in [
        (runs.clone(), "is not a run but contains runs: name one of them, such as RUN="),
        (
            shell.path("a/b"),
            "holds no records: name the directory of a run or of a scenario (there is no records.ndjson in soak/",
        ),
        (shell.path("a"), "holds no records: "),
        (shell.path("nowhere"), "does not exist: "),
    ] {
        let refused = run(&shell, &format!("report RUN={}", named.display()));
        let line = format!("RUN={} {why}", named.display());
        assert!(refused.code == 2 && refused.stderr.contains(&line), "{line}: {}", refused.stderr);
        assert_eq!(rendered(), [""; 0]);
    }
}

#[test]
fn a_failing_soak_gives_make_a_non_zero_exit_after_its_report() {
    let shell = Shell::new(&["--fail", "l1:1"]);
    let done = run(&shell, "soak JOBS=3");
    assert_eq!(done.code, 2, "{}", done.stderr);
    assert_eq!(shell.json("run/soak/report.json")["status"]["verdict"], "Failed");
}

/// A profile that names no stages, metrics, logs or traces.
const BARE: &str = r#"
name = "bare"
target = "http://localhost:1"
health.path = "/health"
submit = { path = "/jobs/audio", id = ["/job_id"], body = { source = "{source}" } }
poll.path = "/jobs/{id}"
poll.status = ["/status"]
poll.words = { waiting = ["queued"], running = ["running"], done = ["done"], failed = ["failed"] }
"#;

#[test]
fn what_a_profile_does_not_name_is_not_asked_for_and_no_pass_unless_it_is_left_out_by_name() {
    let shell = Shell::new(&[]);
    std::fs::write(shell.path("bare.toml"), BARE).unwrap();
    let bare = format!("soak JOBS=3 PROFILE={}", shell.path("bare.toml").display());
    let done = run(&shell, &format!("{bare} SOAK_EXPECT=all-done"));
    assert_eq!(done.code, 0, "{}", done.stderr);
    let status = &shell.json("run/soak/report.json")["status"];
    assert_eq!(status["verdict"], "Passed", "{status}");
    assert!(!status["doubts"].to_string().contains("capture"), "nothing was asked, and nothing is missing: {status}");
    let unasked = &shell.json("run/soak/manifest.json")["status"]["unasked"];
    assert_eq!(unasked.to_string(), r#"["capture-jaeger","capture-logs","capture-prom"]"#);
    let whole = run(&shell, &format!("{bare} OUT={}", shell.path("whole").display()));
    assert_eq!(whole.code, 2, "{}", whole.stderr);
    let status = &shell.json("whole/soak/report.json")["status"];
    assert_eq!(status["verdict"], "Incomplete");
    assert!(status["cause"].as_str().unwrap().contains("no Run names the stages"), "{status}");
    for (tool, off, on) in [
        ("capture-logs", "--logs off", "--logs ."),
        ("capture-prom", "--prometheus ''", "--prometheus http://127.0.0.1:9"),
        ("capture-jaeger", "--jaeger ''", "--jaeger http://127.0.0.1:9"),
    ] {
        let alone =
            |flags: &str| shell.run(&format!("{tool} --profile bare.toml --start -1m --out alone {flags} < /dev/null"));
        let done = alone(off);
        assert_eq!(done.code, 0, "what is switched off by name lacks nothing: {}", done.stderr);
        let done = alone(on);
        assert_eq!(done.code, 2, "{tool}: {}", done.stderr);
        assert!(done.stderr.contains("the profile bare names no"), "{}", done.stderr);
    }
}

#[test]
fn ctrl_c_in_a_soak_leaves_a_report_and_ends_make_by_the_signal() {
    let shell = Shell::new(&["--hang", "l1:1,2,3,4"]);
    let running = shell.start(&format!("exec {}", make(&shell, "suite")));
    let records = shell.path("run/soak/records.ndjson");
    wait_until("four jobs in flight", || lines_with(&records, "Submitted") == 4);
    running.signal(Signal::INT);
    let done = running.finish();
    assert_eq!(done.code, 130, "{}{}", done.stdout, done.stderr);
    assert_eq!(shell.counted("run/soak", "interrupted"), 4);
    assert!(shell.path("run/report.md").is_file(), "{}", done.stderr);
    assert!(!shell.path("run/ramp").exists(), "nothing new begins after Ctrl-C");
    let index = shell.json("run/index.json");
    assert_eq!(index["status"]["verdict"], "Incomplete", "what was planned and not run is no pass");
    assert!(index["status"]["parts"].to_string().contains("it was planned and not run"), "{index}");
}

#[test]
fn sigterm_to_make_alone_ends_the_pipe_with_a_report_before_make_ends() {
    for scenario in ["soak", "suite", "ramp"] {
        let shell = Shell::new(&["--hang", "l1:1,2,3,4"]);
        let running = shell.start(&format!("echo $$ > pid; exec {}", make(&shell, &format!("{scenario} JOBS=90"))));
        let dir = if scenario == "ramp" { "run/ramp/by-concurrency/lvl-04" } else { "run/soak" };
        let records = shell.path(&format!("{dir}/records.ndjson"));
        wait_until("four jobs in flight", || lines_with(&records, "Submitted") == 4);
        let pid = shell.read("pid").trim().to_owned();
        assert!(std::process::Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        let done = running.finish();
        assert_eq!(done.code, 143, "{scenario}: {}{}", done.stdout, done.stderr);
        assert_eq!(shell.counted(dir, "interrupted"), 4, "{scenario}: {}", done.stderr);
        assert_eq!(shell.target.sim.stats().posts, 4, "{scenario}: nothing is submitted after the signal");
    }
}

#[test]
fn a_second_run_in_the_same_directory_is_refused_with_a_sentence() {
    let shell = Shell::new(&[]);
    for (scenario, dir) in [("soak", "run/soak"), ("ramp", "run/ramp"), ("ab NP=8", "run/ab/np-8")] {
        std::fs::create_dir_all(shell.path(dir)).unwrap();
        let done = run(&shell, scenario);
        assert_eq!(done.code, 2, "{scenario}: {}", done.stderr);
        assert!(done.stderr.contains(&format!("{dir} already exists; perhaps another run")), "{}", done.stderr);
        assert!(!done.stderr.contains("mkdir:"), "{}", done.stderr);
    }
    assert_eq!(shell.target.sim.stats().posts, 0);
}

#[test]
fn a_signal_at_the_end_of_a_level_that_passed_stops_the_ramp() {
    let shell = Shell::new(&[]);
    // The real functions of the Makefile, over a pipe that passes and is interrupted just then.
    let script = format!(
        r#"set -euo pipefail; . {}/scripts/scenarios.bash
check() {{ :; }}; make_run_dir() {{ mkdir -p "$OUT"; }}; write_index() {{ echo index; }}
pipe() {{ echo "level $concurrency"; kill -INT $$; }}
OUT=run LEVELS='1 2 3' RAMP_JOBS=2x EXPECT='' STRESS_SUITE_FLAGS_OF_MAKE=''
ramp"#,
        root().display()
    );
    let done = shell.run(&script);
    assert_eq!(done.stdout, "level 1\nindex\n", "{}", done.stderr);
}

#[test]
fn the_demo_refuses_a_real_target_and_quick_is_yes_or_nothing() {
    for (arguments, said) in [
        ("demo TARGET=http://127.0.0.1:9", "TARGET names a real target"),
        ("demo-ab LOGS=logs", "LOGS names a real target"),
        ("soak QUICK=no", "QUICK=no: set it to yes or leave it empty"),
    ] {
        let script = format!("make --no-print-directory -C {} CARGO=true -n {arguments}", root().display());
        let done = Shell::new(&[]).run(&script);
        assert!(done.code == 2 && done.stderr.contains(said), "{arguments}: {}", done.stderr);
    }
}

#[test]
fn levels_that_make_no_ramp_are_refused_before_anything_runs() {
    let shell = Shell::new(&[]);
    for levels in ["2 2", "0 4", "x", ""] {
        let done = run(&shell, &format!("ramp LEVELS='{levels}'"));
        assert_eq!(done.code, 2, "{levels}: {}", done.stderr);
        assert!(done.stderr.contains("make: LEVELS"), "{levels}: {}", done.stderr);
    }
    assert!(!shell.path("run/ramp").exists());
}

fn criteria(shell: &Shell, dir: &str) -> Vec<String> {
    let report = shell.json(&format!("{dir}/report.json"));
    let criteria = report["status"]["criteria"].as_array().unwrap();
    criteria.iter().map(|criterion| criterion["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn expect_adds_to_what_a_scenario_is_judged_by() {
    let shell = Shell::new(&[]);
    let done = run(&shell, "suite JOBS=3 LEVELS=2 RAMP_JOBS=2 EXPECT='e2e.max < 1h, throughput>1/h'");
    assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
    let own = ["all-done", "all-stages", "no-exceptions", "e2e.max < 1h", "throughput>1/h"];
    assert_eq!(criteria(&shell, "run/soak"), own);
    assert_eq!(criteria(&shell, "run/ramp/by-concurrency/lvl-02"), ["all-done", "e2e.max < 1h", "throughput>1/h"]);
    assert!(shell.read("run/soak/junit.xml").contains(r#"name="e2e.max &lt; 1h""#));
    let again = run(&shell, &format!("report RUN={}", shell.path("run").display()));
    assert_eq!((again.code, criteria(&shell, "run/soak").len()), (0, own.len()), "{}", again.stderr);

    let done = run(&shell, &format!("soak JOBS=3 EXPECT='e2e.max<1ms' OUT={}", shell.path("slow").display()));
    assert_eq!(done.code, 2, "{}", done.stderr);
    assert_eq!(shell.json("slow/soak/report.json")["status"]["verdict"], "Failed");
    assert!(done.stderr.contains("Failed: e2e.max<1ms is not met: "), "{}", done.stderr);
}

#[test]
fn an_expectation_that_cannot_be_judged_is_refused_before_the_first_job() {
    let shell = Shell::new(&[]);
    for scenario in ["soak", "ramp", "suite"] {
        let done = run(&shell, &format!("{scenario} EXPECT='e2e.p50<20s,stage.l9.mean<3s'"));
        assert_eq!(done.code, 2, "{scenario}: {}", done.stderr);
        assert_eq!(
            done.stderr.matches("no such stage; the stages of the profile autorag are: ").count(),
            1,
            "{scenario}"
        );
        assert!(!shell.path("run").exists(), "{scenario} began nothing");
    }
    assert_eq!(shell.target.sim.stats().posts, 0);
}

#[test]
fn dry_runs_and_help_show_what_there_is() {
    let shell = Shell::new(&[]);
    let done = run(&shell, "-n soak");
    assert!(
        done.stdout.contains("submit-jobs --target") && done.stdout.contains("|\nrender-report --out"),
        "{}",
        done.stdout
    );
    assert!(done.stdout.lines().count() <= 16, "the pipe and little else: {}", done.stdout);
    let expected = run(&shell, "-n soak EXPECT='e2e.p50<20s'").stdout;
    let soak = shell.path("run/soak");
    let last = format!(
        "render-report --out='{}' --quiet --expect='all-done,all-stages,no-exceptions' --expect='e2e.p50<20s'\n",
        soak.display()
    );
    assert!(expected.contains(&last), "{expected}");
    let of_profile =
        shell.run(&format!("env -u PROM_URL make --no-print-directory -C '{}' -n soak CARGO=true", root().display()));
    assert!(
        of_profile.stdout.contains("capture-prom --out") && !of_profile.stdout.contains("--prometheus"),
        "what nobody sets is the profile's: {}",
        of_profile.stdout
    );
    let off = run(&shell, "-n soak PROM_URL=").stdout;
    assert!(off.contains("--prometheus=''"), "{off}");
    assert_eq!(shell.target.sim.stats().posts, 0);
    let help = run(&shell, "help JOBS=7").stdout;
    assert!(help.contains("[7]") && help.contains(&format!("[{}]", shell.path("run").display())), "{help}");
    assert!(!help.contains("$("), "values, not how make finds them: {help}");
    let read = |name: &str| std::fs::read_to_string(root().join(name)).unwrap();
    for line in (read("Makefile") + &read("scripts/k8s.mk")).lines().filter(|line| !line.starts_with(['\t', '#'])) {
        if let Some((name, _)) = line.split_once(" ?=").filter(|(name, _)| !name.contains(' ')) {
            assert!(help.contains(&format!("\n  {name} ")), "{name} in\n{help}");
        }
        if let Some((target, _)) = line.split_once(':').filter(|(name, _)| line.contains("##") && !name.contains(' ')) {
            assert!(help.contains(&format!("  make {target} ")), "{target} in\n{help}");
        }
    }
}

#[test]
fn a_window_without_jobs_is_captured_and_reported() {
    let shell = Shell::new(&["--scrape-interval", "100ms"]);
    assert_eq!(run(&shell, "soak JOBS=2").code, 0);
    let window = "jq -r 'select(.kind == \"Run\") | .status.window.start // empty' run/soak/records.ndjson | tail -1";
    let window = shell.run(window);
    let started = window.stdout.trim();
    let adhoc = shell.path("adhoc").display().to_string();
    let posts = shell.target.sim.stats().posts;
    let done = run(&shell, &format!("capture START={started} OUT={adhoc}"));
    assert_eq!(done.code, 0, "{}", done.stderr);
    let report = shell.json("adhoc/report.json");
    assert_eq!(report["status"]["verdict"], "Passed", "{report}");
    assert!(report["status"]["figures"]["stages.whisper.histogramMeanSeconds"].is_number(), "{report}");
    let page = shell.read("adhoc/report.md");
    assert!(page.starts_with("# Passed: capture\n") && page.contains("stage.whisper"), "{page}");
    let windows = shell.run("jq -c .spec.window adhoc/records.ndjson | sort -u");
    assert_eq!(windows.stdout.lines().count(), 1, "one window for all: {}", windows.stdout);
    assert_eq!(shell.target.sim.stats().posts, posts);

    let again = run(&shell, &format!("capture START=-1m OUT={adhoc}"));
    assert!(again.code == 2 && again.stderr.contains("is not empty: name another OUT"), "{}", again.stderr);
    let other = shell.path("other");
    for (flags, said) in [
        ("", "START is empty"),
        ("START=yesterday", "`yesterday` is not a time"),
        ("START=-1m END=soon", "`soon` is not a time"),
        ("START=1779316260 END=1779316200", "before it begins (2026-05-20T22:31:00.000000Z)"),
        ("START=-1m END=4102444800", "--end means 2100-01-01T00:00:00.000000Z"),
        ("START=1779316200000", "are these milliseconds?"),
    ] {
        let done = run(&shell, &format!("capture {flags} OUT={}", other.display()));
        assert!(done.code == 2 && done.stderr.matches(said).count() == 1, "{flags}: {}", done.stderr);
        assert!(!other.exists(), "{flags}");
    }
    let done = run(&shell, &format!("capture START=-1h OUT={}", other.display()));
    assert_eq!(done.code, 2, "nobody scraped an hour ago: {}", done.stderr);
    assert_eq!(shell.json("other/report.json")["status"]["verdict"], "Incomplete");
    let reasons = shell.run("jq -r 'select(.kind == \"Series\") | .status.reason' other/records.ndjson | sort -u");
    assert_eq!(reasons.stdout, "BeginsLate\n");
    std::fs::remove_dir_all(&other).unwrap();
    let done = run(&shell, &format!("capture START=-1m PROM_URL=http://127.0.0.1:9 OUT={}", other.display()));
    assert_eq!(done.code, 2, "{}", done.stderr);
    assert_eq!(shell.json("other/report.json")["status"]["verdict"], "Incomplete");
}

#[test]
fn where_nothing_answers_the_last_line_says_how_to_start_something() {
    let shell = Shell::new(&[]);
    for scenario in ["soak", "ramp", "suite"] {
        let out = shell.path(scenario).display().to_string();
        let done = run(&shell, &format!("{scenario} TARGET=http://127.0.0.1:9 OUT={out}"));
        assert_eq!(done.code, 2, "{scenario}: {}", done.stderr);
        let said: Vec<&str> = done.stderr.lines().filter(|line| !line.starts_with("make: ***")).collect();
        let last = said.last().unwrap();
        assert!(
            last.contains("make sim") && last.contains("make demo") && last.contains("TARGET=URL"),
            "{scenario}: {last}"
        );
        assert_eq!(done.stderr.matches("there is no target").count(), 1, "{scenario}: {}", done.stderr);
    }
}

#[test]
fn a_refused_value_names_the_variable_that_it_came_from() {
    let shell = Shell::new(&[]);
    for (arguments, origin) in [
        ("soak JOBS=many", "--jobs is make's JOBS"),
        ("soak JOBS=2 CONCURRENCY=none", "--concurrency is make's CONCURRENCY"),
        ("soak JOBS=2 WARMUP_REST=long", "--rest is make's WARMUP_REST"),
        ("ramp RAMP_JOBS=many", "--jobs is make's RAMP_JOBS"),
        ("ramp RAMP_JOBS=99999999999999999999x", "--jobs is make's RAMP_JOBS"),
        ("soak JOBS=-3", "--jobs is make's JOBS"),
        ("soak WARMUP=-1", "--warmup is make's WARMUP"),
        ("soak IDLE_LIMIT=-1s", "--limit is make's IDLE_LIMIT"),
        ("soak JOBS=1 FIXTURES=/nonexist", "--from is make's FIXTURES"),
        ("soak JOBS=1 LOGS_QUIET=nosuch", "--may-be-quiet is make's LOGS_QUIET"),
        ("compare FAIL_IF_WORSE=5", "--fail-if-worse is make's FAIL_IF_WORSE"),
        ("compare LEGS=/nonexist", "--under is make's LEGS"),
    ] {
        let done = run(&shell, arguments);
        assert_ne!(done.code, 0, "{arguments}: {}", done.stderr);
        assert!(done.stderr.contains(&format!("({origin})")), "{arguments}: {}", done.stderr);
    }
    for (command, origin) in [
        ("JAEGER_UI=ftp://h render-report --out never", "(--jaeger-ui is the environment variable JAEGER_UI)"),
        ("TARGET=nowhere:// poll-jobs --check", "(--target is the environment variable TARGET)"),
    ] {
        let done = shell.run(&format!("{command} < /dev/null"));
        assert!(done.code == 2 && done.stderr.contains(origin), "{command}: {}", done.stderr);
    }
    let done = shell.run("JAEGER_UI=http://h render-report --jaeger-ui ftp://h --out never < /dev/null");
    assert!(done.code == 2 && !done.stderr.contains("environment"), "it was typed: {}", done.stderr);
}

#[test]
fn a_misspelt_variable_a_quote_and_a_missing_leg_are_refused() {
    let shell = Shell::new(&[]);
    for (arguments, said) in [
        ("soak JOB=5", "JOB is not a variable: did you mean JOBS?"),
        ("soak CONCURENCY=9", "CONCURENCY is not a variable: did you mean CONCURRENCY?"),
        ("soak jobs=5", "jobs is not a variable: did you mean JOBS?"),
        ("soak POLLFLAGS=--deadline=1m", "POLLFLAGS is not a variable: did you mean POLL_FLAGS?"),
        ("soak SOMETHING_ELSE=1", "SOMETHING_ELSE is not a variable: make help lists them"),
        ("soak DATA=\"a'b\"", "DATA has a quote in it"),
        ("compare A=/not/there B=/", "A=/not/there: no such directory"),
        ("compare A=/ B=/not/there", "B=/not/there: no such directory"),
    ] {
        let done = run(&shell, arguments);
        assert!(done.code == 2 && done.stderr.contains(said), "{arguments}: {}", done.stderr);
    }
    assert!(!shell.path("run").exists());
    let done = run(&shell, "-n soak RUST_BACKTRACE=1 CARGO_TARGET_DIR=x");
    assert_eq!(done.code, 0, "what cargo reads is no mistake: {}", done.stderr);
}

#[test]
fn the_last_value_of_a_flag_counts() {
    let shell = Shell::new(&[]);
    let done = run(&shell, "soak JOBS=1 QUICK=yes POLL_FLAGS='--min-interval 5ms --deadline 1s --deadline 40s'");
    assert_eq!(done.code, 0, "{}", done.stderr);
    let manifest = shell.json("run/soak/manifest.json");
    assert_eq!(manifest["spec"]["deadlineSeconds"], 40.0, "{manifest}");
}

#[test]
fn a_capture_is_the_latest_run() {
    let shell = Shell::new(&["--scrape-interval", "100ms"]);
    let project = shell.path("project");
    std::fs::create_dir(&project).unwrap();
    for name in ["Makefile", "scripts", "fixtures"] {
        std::os::unix::fs::symlink(root().join(name), project.join(name)).unwrap();
    }
    let command = make(&shell, "capture START=-1s OUT=stress-runs/adhoc");
    let command = command.replace(&root().display().to_string(), &project.display().to_string());
    let done = shell.run(&command);
    assert!(project.join("stress-runs/adhoc/report.json").is_file(), "{}", done.stderr);
    assert_eq!(std::fs::read_link(project.join("stress-runs/latest")).unwrap().to_str(), Some("adhoc"));
}

#[test]
fn a_run_whose_commit_cannot_be_read_keeps_the_reason_of_git() {
    let shell = Shell::new(&[]);
    let done = run(&shell, &format!("soak JOBS=1 REPO={}", shell.target.dir.path().display()));
    assert_eq!(done.code, 0, "{}", done.stderr);
    let sha = shell.read("run/.git-sha");
    assert!(sha.starts_with("unknown: fatal: not a git repository") && sha.lines().count() == 1, "{sha}");
}

#[test]
fn a_ramp_is_judged_by_the_load_that_it_reached() {
    let shell = Shell::new(&["--capacity", "5"]);
    let done = run(&shell, "ramp LEVELS='2 4 8' RAMP_JOBS=2x EXPECT='ramp.highest>=8,all-stages'");
    assert_eq!(done.code, 2, "it breaks at 8: {}", done.stderr);
    assert!(done.stderr.contains("ramp.highest>=8 is Failed"), "{}", done.stderr);
    let level = shell.json("run/ramp/by-concurrency/lvl-04/report.json");
    assert_eq!(level["spec"]["expect"], serde_json::json!(["all-done", "all-stages"]), "each level has the others");
    let refused = run(&shell, "soak JOBS=1 EXPECT='ramp.highest>=8'");
    assert!(refused.code == 2 && refused.stderr.contains("make ramp"), "{}", refused.stderr);
}

#[test]
fn the_command_that_the_stand_in_prints_passes() {
    let shell = Shell::new(&[]);
    let dir = shell.target.dir.path().display();
    // As `make sim` runs it, but on free ports, in a directory of its own, and fast.
    let sim = shell.start(&format!(
        "exec pipeline-sim --listen 127.0.0.1:0 --metrics-listen 127.0.0.1:0 --prom-listen 127.0.0.1:0 --jaeger-listen 127.0.0.1:0 --data '{dir}/sim data' --time-scale 0.01 2> sim.log"
    ));
    let printed = || std::fs::read_to_string(shell.path("sim.log")).unwrap_or_default();
    let mark = "in another terminal: ";
    wait_until("the command", || printed().contains(mark) && printed().ends_with('\n'));
    let log = printed();
    let command = log.split_once(mark).unwrap().1.trim();
    assert!(command.starts_with("make soak TARGET=http://127.0.0.1:"), "{log}");
    let rest = format!(
        "-C {} CARGO=true BIN=$(dirname $(command -v poll-jobs)) OUT={dir}/run JOBS=4 QUICK=yes",
        root().display()
    );
    let done = shell.run(&format!("{command} {rest}"));
    assert_eq!(done.code, 0, "{command}: {}", done.stderr);
    assert_eq!(shell.json("run/soak/report.json")["status"]["verdict"], "Passed");
    sim.signal(Signal::INT);
    assert_eq!(sim.finish().code, 0);
}
