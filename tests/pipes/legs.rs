//! Legs of an A/B, the warm-up and the idle wait, as the Makefile runs them.

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::makefile::{make, run};
use crate::shell::{Shell, lines_with};
use crate::support::wait_until;

/// Everything that is doubtful in the report of `dir`.
fn doubts(shell: &Shell, dir: &str) -> String {
    shell.json(&format!("{dir}/report.json"))["status"]["doubts"].to_string()
}

/// The last records of the jobs in `dir`.
fn jobs(shell: &Shell, dir: &str) -> Vec<Value> {
    shell.json(&format!("{dir}/jobs.json"))["items"].as_array().unwrap().clone()
}

#[test]
fn a_leg_is_labelled_and_lies_where_its_setting_and_number_say() {
    let shell = Shell::new(&["--scrape-interval", "50ms"]);
    let done = run(&shell, "ab NP=8 JOBS=2");
    assert_eq!(done.code, 0, "{}", done.stderr);
    let manifest = shell.json("run/ab/np-8/manifest.json");
    assert_eq!(manifest["metadata"]["labels"], json!({"scenario": "ab", "leg": "np-8", "num_parallel": "8"}));
    assert_eq!(manifest["status"]["settings"], json!({"num_parallel": "8"}));
    assert!(!doubts(&shell, "run/ab/np-8").contains("num_parallel"), "{}", doubts(&shell, "run/ab/np-8"));

    let other = run(&shell, "ab NP=4 LEG=1 JOBS=2");
    assert_eq!(other.code, 0, "what differs is a doubt and no verdict: {}", other.stderr);
    let said = "labelled num_parallel=4, but the target says that its num_parallel is 8";
    assert!(doubts(&shell, "run/ab/np-4.1").contains(said), "{}", doubts(&shell, "run/ab/np-4.1"));
    let said = format!("submit-jobs: {said}");
    assert_eq!(other.stderr.matches(&said).count(), 1, "and it is said once, before the leg is over: {}", other.stderr);

    let named = run(&shell, "ab SETTING=batch=1.5 LEG=2 JOBS=1");
    assert_eq!(named.code, 0, "{}", named.stderr);
    let labels = shell.json("run/ab/batch-1_5.2/manifest.json")["metadata"]["labels"].clone();
    assert_eq!(labels, json!({"scenario": "ab", "leg": "batch-1_5.2", "batch": "1.5"}));

    let posts = shell.target.sim.stats().posts;
    let again = run(&shell, "ab NP=8 JOBS=2");
    assert_ne!(again.code, 0, "a leg that exists is refused");
    assert_eq!(shell.target.sim.stats().posts, posts);
    let sources: std::collections::BTreeSet<_> =
        shell.target.sim.stats().jobs.into_iter().map(|job| job.source).collect();
    assert_eq!(sources.len() as u64, posts, "no two legs share a source");
}

#[test]
fn a_leg_without_a_usable_setting_is_refused_before_anything_is_made() {
    let shell = Shell::new(&[]);
    for (arguments, said) in [
        ("", "make: set NP or SETTING"),
        ("NP=x", "make: NP=x is not a whole number"),
        ("NP=0", "make: NP=0 is not a whole number"),
        ("NP=8 LEG=x", "make: LEG=x is not a whole number"),
        ("NP=8 SETTING=a", "set only one of them"),
        ("SETTING=../a", "make: SETTING=../a is neither a name nor"),
    ] {
        let done = run(&shell, &format!("ab {arguments}"));
        assert_eq!(done.code, 2, "{arguments}: {}", done.stderr);
        let lines: Vec<_> =
            done.stderr.lines().filter(|line| line.starts_with("make: ") && !line.contains("***")).collect();
        assert!(matches!(lines[..], [line] if line.contains(said)), "{arguments}: {}", done.stderr);
    }
    assert!(!shell.path("run").exists());
}

#[test]
fn the_warm_up_is_left_out_of_everything_and_a_failed_one_is_doubtful() {
    // The first job that the target accepts is a warm-up job.
    let shell = Shell::new(&["--fail", "l1:1", "--scrape-interval", "50ms"]);
    let done = run(&shell, "soak JOBS=4 WARMUP=2 WARMUP_REST=2s CAPTURE_FLAGS='--pad 4s --settle 10s'");
    assert_eq!(done.code, 0, "{}", done.stderr);
    let report = shell.json("run/soak/report.json");
    let (status, figures) = (&report["status"], &report["status"]["figures"]);
    assert_eq!((&status["conservation"]["asked"], &status["conservation"]["succeeded"]), (&4.into(), &4.into()));
    let exceptions = status["criteria"].as_array().unwrap().iter().find(|one| one["name"] == "no-exceptions").unwrap();
    assert!(exceptions["actual"].as_str().unwrap().contains("of warm-up jobs left out"), "{exceptions}");
    for stage in ["whisper", "l1", "l0", "persist"] {
        for figure in ["workCount", "spansCount", "histogramCount", "queueWaitCount"] {
            assert_eq!(figures[format!("stages.{stage}.{figure}")], 4.0, "{stage} {figure}: {}", done.stderr);
        }
    }
    let doubts = doubts(&shell, "run/soak");
    assert!(doubts.contains("not all warm-up jobs succeeded: soak-warmup-00"), "{doubts}");
    assert!(!doubts.contains("may hold some of the warm-up") && !doubts.contains("lack spans"), "{doubts}");
    let page = shell.read("run/soak/report.md");
    assert!(
        page.contains("2 jobs before the counted ones, excluded from all figures: 1 succeeded, 1 failed"),
        "{page}"
    );
    assert!(!shell.read("run/soak/jobs.csv").contains("warmup"));

    let jobs = jobs(&shell, "run/soak");
    let (warm, counted): (Vec<&Value>, Vec<&Value>) =
        jobs.iter().partition(|job| job["metadata"]["labels"]["warmup"] == "true");
    assert_eq!((warm.len(), counted.len()), (2, 4));
    let times = |jobs: &[&Value], key: &str| -> Vec<String> {
        jobs.iter().map(|job| job["status"][key].as_str().unwrap().to_owned()).collect()
    };
    let (last, first) = (times(&warm, "endedAt").into_iter().max(), times(&counted, "submittedAt").into_iter().min());
    assert!(last < first, "{last:?} {first:?}");
    let window = shell.json("run/soak/manifest.json")["status"]["window"].clone();
    assert_eq!(window["start"].as_str(), first.as_deref(), "the window begins with the counted jobs");
}

#[test]
fn counters_that_may_hold_some_of_the_warm_up_are_said_to() {
    let said = || {
        let shell = Shell::new(&["--scrape-interval", "2s"]);
        let flags = "WARMUP=1 WARMUP_REST=0s IDLE_LIMIT=0s CAPTURE_FLAGS='--pad 4s --settle 10s'";
        let done = run(&shell, &format!("soak JOBS=2 {flags}"));
        assert_eq!(done.code, 0, "{}", done.stderr);
        doubts(&shell, "run/soak").contains("histograms and counters may hold some of the warm-up")
    };
    // A scrape hardly ever falls between the warm-up and the counted jobs, but for once it may.
    assert!((0..3).any(|_| said()));
}

#[test]
fn a_scenario_on_a_target_that_is_still_busy_waits_and_then_goes_on_with_a_mark() {
    let shell = Shell::new(&["--hang", "whisper:1", "--scrape-interval", "50ms"]);
    let soak = run(&shell, "soak JOBS=1 POLL_FLAGS='--deadline 1s'");
    assert_eq!(soak.code, 2, "its job hangs: {}", soak.stderr);
    assert_eq!(shell.json("run/soak/manifest.json")["status"]["idle"]["idle"], true, "{}", soak.stderr);
    let ramp = run(&shell, "ramp LEVELS=1 RAMP_JOBS=1 IDLE_LIMIT=1500ms");
    assert_eq!(ramp.code, 0, "{}", ramp.stderr);
    let level = "run/ramp/by-concurrency/lvl-01";
    let doubts = doubts(&shell, level);
    assert!(
        doubts.contains("began on a target that was still busy") && doubts.contains("the earlier job soak-001"),
        "{doubts}"
    );
    assert!(doubts.contains("messages_unacked"), "both witnesses are heard: {doubts}");
    assert!(ramp.stderr.contains("await-idle: waiting for the target to be idle, at most 1.50 s"), "{}", ramp.stderr);
    let page = shell.read(&format!("{level}/report.md"));
    assert!(page.contains("began on a target that was still busy after "), "{page}");
}

#[test]
fn ctrl_c_while_the_target_is_awaited_ends_at_once_and_accounts_for_every_job() {
    let shell = Shell::new(&["--hang", "whisper:1", "--scrape-interval", "50ms"]);
    run(&shell, "soak JOBS=1 POLL_FLAGS='--deadline 1s'");
    let running = shell.start(&format!("exec {}", make(&shell, "ramp LEVELS='1 2' RAMP_JOBS=3 IDLE_LIMIT=1h")));
    let records = shell.path("run/ramp/by-concurrency/lvl-01/records.ndjson");
    wait_until("the Run on its way", || lines_with(&records, "\"Run\"") > 0);
    running.signal(Signal::INT);
    let done = running.finish();
    assert_eq!(done.code, 130, "{}{}", done.stdout, done.stderr);
    let level = "run/ramp/by-concurrency/lvl-01";
    let sums = shell.json(&format!("{level}/report.json"))["status"]["conservation"].clone();
    assert_eq!(
        sums["asked"].as_u64(),
        Some(sums["notSubmitted"].as_u64().unwrap() + sums["missing"].as_u64().unwrap()),
        "{sums}"
    );
    assert_eq!((&sums["asked"], shell.target.sim.stats().posts), (&3.into(), 1), "nothing of the level was submitted");
    assert!(!shell.path("run/ramp/by-concurrency/lvl-02").exists());
}

#[test]
fn nobody_is_awaited_for_a_reader_that_has_gone() {
    let shell = Shell::new(&["--hang", "whisper:1"]);
    let done = shell.run(&format!(
        r"stage-fixtures --from $FIXTURES --into data/fixtures --jobs 2 > staged
head -2 staged | submit-jobs > earlier
await-idle --limit 1h --prometheus '' --earlier earlier < staged | head -1 > /dev/null; echo ${{PIPESTATUS[@]}}
await-idle --limit 1h --prometheus {} < staged | submit-jobs --concurrency 1; echo ${{PIPESTATUS[@]}}",
        shell.target.sim.prometheus_url()
    ));
    assert_eq!(done.stdout, "0 0\n0 2\n", "{}", done.stderr);
}

#[test]
fn what_could_not_be_seen_of_an_idle_target_is_a_note_and_no_doubt() {
    let shell = Shell::new(&[]);
    let done = run(&shell, "soak JOBS=1 PROM_URL=");
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(!doubts(&shell, "run/soak").contains("idle"), "{}", doubts(&shell, "run/soak"));
    let page = shell.read("run/soak/report.md");
    assert!(
        page.contains("It is not known whether the target was idle when soak began: no Prometheus is configured"),
        "{page}"
    );
}
