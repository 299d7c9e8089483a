//! Comparisons on what a run measured: how each is read, decided and told, and what is refused before anything is read.

use std::io::Read;

use clap::CommandFactory;
use stress_suite::record::{Criterion, Verdict};

use stress_suite::tools::render_report::Args;

use crate::support::{RUN, Ran, Scratch, good, job, judged, succeeded, tool};

/// The only criterion of a report.
fn only(ran: &Ran) -> Criterion {
    let criteria = ran.report().status.criteria;
    assert_eq!(criteria.len(), 1, "{criteria:?}");
    criteria[0].clone()
}

/// Returns the verdict on `expect`, judged alone on `lines`.
fn found(lines: &[String], expect: &str) -> (Verdict, String) {
    let criterion = only(&judged(lines, &["--expect", expect]));
    assert_eq!(criterion.name, expect);
    (criterion.verdict, criterion.actual)
}

fn with(lines: &[String], index: usize, line: String) -> Vec<String> {
    let mut lines = lines.to_vec();
    lines[index] = line;
    lines
}

/// A Run of `jobs` jobs and their records, each as long as its number in seconds.
fn many(jobs: u32) -> Vec<String> {
    let run = RUN.replace(r#""jobs":3"#, &format!(r#""jobs":{jobs}"#));
    let job = |n: u32| job(&format!("soak-{n:03}"), &succeeded(f64::from(n) / 1000.0, 5.0 + f64::from(n) / 10.0));
    std::iter::once(run).chain((1..=jobs).map(job)).collect()
}

#[test]
fn a_figure_passes_or_fails_only_if_all_of_it_lies_on_one_side() {
    // The jobs took 5, 6 and 8 s, and each may have been 0.2 s shorter.
    let actual = "6.00 s (+0 s / −200 ms) of 3 jobs";
    for (expect, verdict) in [
        ("e2e.p50<6.01s", Verdict::Passed),
        ("e2e.p50<=6s", Verdict::Passed),
        ("e2e.p50<5.8s", Verdict::Failed),
        ("e2e.p50>5.79s", Verdict::Passed),
        ("e2e.p50>6s", Verdict::Failed),
    ] {
        assert_eq!(found(&good(), expect), (verdict, actual.to_owned()), "{expect}");
    }
    for expect in ["e2e.p50<5.9s", "e2e.p50<6s", "e2e.p50>=5.9s"] {
        assert_eq!(found(&good(), expect), (Verdict::Incomplete, format!("{actual}: not certain enough")), "{expect}");
    }
}

#[test]
fn every_kind_of_figure_can_be_compared() {
    for (expect, actual) in [
        ("e2e.mean<7s", "6.33 s (+0 s / −200 ms) of 3 jobs"),
        ("e2e.max<9s", "8.00 s (+0 s / −200 ms) of 3 jobs"),
        ("submit.max<1s", "100 ms of 3 jobs"),
        ("stage.whisper.mean<=1s", "1.00 s of 3 jobs"),
        ("stage.l0.max<6s", "5.40 s of 3 jobs"),
        ("wait.l0.max<501ms", "500 ms of 3 jobs"),
        ("throughput>13/min", "13.8 jobs/min, 3 succeeded; the true value lies between 13.8 and 14.1"),
        ("success>=100%", "3 of 3 jobs (100 %); with 95 % confidence that still allows up to 63 % failures"),
        ("concurrency.peak<=2", "2 jobs"),
    ] {
        assert_eq!(found(&good(), expect), (Verdict::Passed, actual.to_owned()), "{expect}");
    }
    assert_eq!(found(&good(), "throughput>800/h").0, Verdict::Passed);
    assert_eq!(found(&good(), "throughput<0.2/s").0, Verdict::Failed);
    // The server's clock is known to 10 ms, and so is the wait for the first stage.
    let (verdict, actual) = found(&good(), "wait.whisper.p50<1s");
    assert_eq!(
        (verdict, actual.as_str()),
        (Verdict::Incomplete, "1.00 s (+110 ms / −10 ms) of 3 jobs: not certain enough")
    );
}

#[test]
fn what_is_expected_and_seen_stands_in_every_report() {
    let scratch = Scratch::new();
    let ran = scratch.report(&good(), &["--expect", "all-done, e2e.p50 < 20s ,stage.l0.mean>1m"]);
    assert_eq!((ran.code, ran.cause().as_str()), (3, "stage.l0.mean>1m is not met: 3.73 s of 3 jobs"));
    let criteria = ran.report().status.criteria;
    let told: Vec<_> = criteria.iter().map(|c| (c.name.as_str(), c.verdict, c.expected.as_str())).collect();
    assert_eq!(
        told,
        [
            ("all-done", Verdict::Passed, "every requested job succeeded"),
            ("e2e.p50 < 20s", Verdict::Passed, "median time from end to end: less than 20s"),
            ("stage.l0.mean>1m", Verdict::Failed, "mean work in l0: more than 1m"),
        ]
    );
    let page = scratch.read("report.md");
    assert!(
        page.contains("| e2e.p50 &lt; 20s | **Passed** | median time from end to end: less than 20s | 6.00 s (+0 s / −200 ms) of 3 jobs |"),
        "{page}"
    );
    let passed = judged(&good(), &["--expect", "all-done,e2e.p50<20s"]);
    assert_eq!(passed.cause(), "3 of 3 jobs succeeded; e2e.p50<20s: 6.00 s (+0 s / −200 ms) of 3 jobs");
}

#[test]
fn percentiles_need_enough_jobs() {
    let (verdict, actual) = found(&good(), "e2e.p95<1h");
    assert_eq!((verdict, actual.as_str()), (Verdict::Incomplete, "p95 needs 20 jobs, and 3 have one"));
    assert_eq!(found(&many(9), "e2e.p90<1h").1, "p90 needs 10 jobs, and 9 have one");
    assert_eq!(found(&many(10), "e2e.p90<1h").0, Verdict::Passed);
    assert_eq!(found(&many(19), "e2e.p95<1h").1, "p95 needs 20 jobs, and 19 have one");
    assert_eq!(found(&many(20), "e2e.p95<1h").0, Verdict::Passed);
    assert_eq!(found(&many(99), "e2e.p99<1h").1, "p99 needs 100 jobs, and 99 have one");
    assert_eq!(found(&many(100), "e2e.p99<1h").0, Verdict::Passed);
}

#[test]
fn a_job_without_a_figure_may_lie_anywhere() {
    let failed = with(&many(12), 5, job("soak-005", r#"{"phase":"Failed"}"#));
    let (verdict, actual) = found(&failed, "e2e.p50<20s");
    assert_eq!(verdict, Verdict::Passed, "{actual}");
    assert_eq!(
        actual,
        "5.70 s (+0 s / −200 ms) of 11 jobs; 1 has no such time, so the true value lies between 5.45 s and 5.75 s"
    );
    assert_eq!(found(&failed, "e2e.p50>20s").0, Verdict::Failed);
    assert_eq!(
        found(&failed, "stage.whisper.p50<3s"),
        (Verdict::Passed, "1.00 s of 11 jobs; 1 has no such time".to_owned())
    );
    let (verdict, actual) = found(&failed, "e2e.max<20s");
    assert_eq!(verdict, Verdict::Incomplete);
    assert_eq!(
        actual,
        "6.20 s (+0 s / −200 ms) of 11 jobs; 1 has no such time, so the true value is at least 6.00 s: not certain enough"
    );
    assert_eq!(found(&failed, "e2e.max<6s").0, Verdict::Failed, "one that is slower fails whatever the others are");
    let criterion = only(&judged(&failed, &["--expect", "e2e.max<6s"]));
    assert_eq!(criterion.jobs, ["soak-012"], "the one that surely was too slow");
    assert_eq!(found(&failed, "stage.l0.mean<1m").0, Verdict::Incomplete, "a mean has no bound");
    assert_eq!(found(&failed, "stage.l0.p50<1m").0, Verdict::Passed);
}

#[test]
fn a_job_that_was_given_up_took_at_least_its_age() {
    let status = r#"{"phase":"TimedOut","submittedAt":"2026-05-20T22:30:00Z","notEndedAt":"2026-05-20T22:40:00Z"}"#;
    let lines = with(&good(), 3, job("soak-003", status));
    let (verdict, actual) = found(&lines, "e2e.max<20s");
    assert_eq!(verdict, Verdict::Failed);
    assert_eq!(
        actual,
        "6.00 s (+0 s / −200 ms) of 2 jobs; 1 has no such time, so the true value is at least 10 m 00 s"
    );
    assert_eq!(only(&judged(&lines, &["--expect", "e2e.max<20s"])).jobs, ["soak-003"]);
    assert_eq!(found(&lines, "e2e.mean<3m").0, Verdict::Failed);
    assert_eq!(found(&lines, "e2e.max>9m").0, Verdict::Passed);
    // It may have kept the window open as long as you like: that it was given up ends nothing.
    let (verdict, actual) = found(&lines, "throughput>1/min");
    assert_eq!(verdict, Verdict::Incomplete);
    let between = "16.0 jobs/min, 2 succeeded; the true value lies between 0.0 and 16.4: not certain enough";
    assert_eq!(actual, between);
    assert_eq!(found(&lines, "throughput>0.1/min").0, Verdict::Incomplete);
}

#[test]
fn what_was_never_measured_is_not_known() {
    let staged = ["soak-001", "soak-002", "soak-003"].map(|name| job(name, r#"{"phase":"Staged"}"#));
    let nothing = [vec![RUN.to_owned()], staged.to_vec()].concat();
    for (expect, why) in [
        ("e2e.p50<20s", "none of the 3 jobs has one"),
        ("stage.l0.mean<3s", "none of the 3 jobs has one"),
        ("wait.l0.mean>0s", "none of the 3 jobs has one"),
        ("lag.max<1s", "no job had a due time, as submit-jobs --rate gives it"),
        ("throughput>1/h", "no end was seen"),
        ("concurrency.peak>=0", "nothing was submitted"),
        ("queue.stage.l1.max<50", "no query with the role queue-depth was captured"),
        ("gpu.transitions<40", "no query with the role transitions was captured"),
        ("stage.l1.mean<3s", "no such stage; this run's are: whisper, l0, persist"),
    ] {
        assert_eq!(found(&nothing, expect), (Verdict::Incomplete, why.to_owned()), "{expect}");
    }
    let (verdict, actual) = found(&nothing, "success>95%");
    assert_eq!(verdict, Verdict::Incomplete);
    assert_eq!(
        actual,
        "0 of 3 jobs (0 %); 3 have no known end, so the true value lies between 0 % and 100 %: not certain enough"
    );
    assert_eq!(
        found(&[r#"{"kind":"Other"}"#.to_owned()], "e2e.p50<20s"),
        (Verdict::Incomplete, "there are no jobs".to_owned())
    );
    // A stage that a job need not show is not missing where the job succeeded without it.
    assert_eq!(found(&good(), "stage.persist.max<3s"), (Verdict::Incomplete, "there are no jobs".to_owned()));
}

#[test]
fn where_nobody_says_how_many_jobs_there_are_nothing_passes_on_those_that_came() {
    let jobs = &good()[1..];
    let (verdict, actual) = found(jobs, "e2e.p50<1h");
    assert_eq!(verdict, Verdict::Incomplete, "{actual}");
    assert!(actual.contains("it is not known how many more jobs there are"), "{actual}");
    assert_eq!(found(jobs, "e2e.max<7s").0, Verdict::Failed);
    assert_eq!(found(jobs, "success>1%"), (Verdict::Incomplete, "no Run says how many jobs were asked for".to_owned()));
    assert_eq!(found(jobs, "throughput>1/h").0, Verdict::Incomplete, "others may have gone on for long");
    assert_eq!(found(&good()[..3], "throughput>1/h").0, Verdict::Incomplete, "and so may one that is missing");
    assert_eq!(found(jobs, "throughput<100/s").0, Verdict::Incomplete);
    assert_eq!(found(jobs, "concurrency.peak<=1000").0, Verdict::Incomplete);
}

#[test]
fn success_is_the_share_of_those_that_were_asked_for() {
    let failed = with(&good(), 3, job("soak-003", r#"{"phase":"Failed"}"#));
    assert_eq!(found(&failed, "success>66%").0, Verdict::Passed);
    assert_eq!(found(&failed, "success>=67%").0, Verdict::Failed);
    let open = with(&good(), 3, job("soak-003", r#"{"phase":"Submitted"}"#));
    assert_eq!(found(&open, "success>66%").0, Verdict::Passed, "whatever becomes of it");
    assert_eq!(found(&open, "success>67%").0, Verdict::Incomplete);
}

#[test]
fn a_job_that_was_never_heard_of_may_have_been_in_flight() {
    assert_eq!(found(&good()[..3], "concurrency.peak>=2").0, Verdict::Passed);
    let (verdict, actual) = found(&good()[..3], "concurrency.peak<=2");
    assert_eq!(
        (verdict, actual.as_str()),
        (Verdict::Incomplete, "2 jobs; the true value lies between 2 and 3: not certain enough")
    );
}

#[test]
fn the_lag_of_a_schedule_can_be_compared() {
    let late =
        |line: &String| line.replace(r#""submittedAt""#, r#""dueAt":"2026-05-20T22:30:00.900000Z","submittedAt""#);
    let lines: Vec<String> = good().iter().map(late).collect();
    assert_eq!(found(&lines, "lag.max<6s"), (Verdict::Passed, "5.10 s of 3 jobs".to_owned()));
    assert_eq!(found(&lines, "lag.p50>=1s").0, Verdict::Failed);
}

#[test]
fn what_follows_from_a_missing_job_is_not_said_twice() {
    let lines = with(&good(), 3, job("soak-003", r#"{"phase":"Submitted"}"#));
    let ran = judged(&lines, &["--expect", "all-done,e2e.max<20s"]);
    assert_eq!((ran.code, ran.cause().as_str()), (4, "1 of 3 jobs has no known end: 1 unfinished (soak-003)"));
}

/// Standard input that must not be asked for anything.
struct Untouched;

impl Read for Untouched {
    fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
        panic!("stdin was read");
    }
}

#[test]
fn what_cannot_be_judged_is_refused_before_anything_is_read_or_made() {
    let scratch = Scratch::new();
    let out = scratch.out().display().to_string();
    for (expect, said) in [
        ("e2e.p50<20", "--expect e2e.p50<20: `20` is not a duration: write a number and ms, s, m or h"),
        (
            "all-done,e2e.p75<20s",
            "--expect e2e.p75<20s: no such statistic `p75`; there are mean, p50, p90, p95, p99, max",
        ),
        (
            "stage.l9.mean<3s",
            "--expect stage.l9.mean<3s: no such stage; the stages of the profile autorag are: whisper, l1, ",
        ),
        ("wait.l9.mean<3s", "no such stage"),
        ("queue.l1.max<50", "no such queue; the queues of the profile autorag are: stage.whisper, stage.l1, "),
        ("latency<3s", "no such figure `latency`; there are e2e, submit, lag, stage.NAME"),
        (
            "done",
            "no such criterion; there are all-done, all-stages, no-exceptions, captured, whole-shards, and comparisons",
        ),
        (" , ", "--expect names no criterion"),
    ] {
        for flags in [&["--out", &out][..], &["--check"], &["--check", "--out", &out]] {
            let ran = tool(&[flags, &["--expect", expect]].concat(), Untouched);
            assert_eq!(ran.code, 2, "{expect}");
            assert!(ran.stderr.contains(said), "{expect}: {}", ran.stderr);
        }
    }
    assert!(!scratch.out().exists());
}

/// The words of `text` between `open` and `close` that are comparisons.
fn comparisons<'a>(text: &'a str, open: &'a str, close: &'a str) -> Vec<&'a str> {
    let quoted = text.split(open).skip(1).filter_map(|rest| rest.split(close).next());
    quoted.filter(|word| word.contains(['<', '>']) && word.len() > 2 && !word.contains(' ')).collect()
}

#[test]
fn what_help_and_the_documentation_show_can_be_asked_for() {
    let help = Args::command().render_long_help().to_string();
    let page = std::fs::read_to_string("docs/thresholds.md").unwrap();
    let shown = [comparisons(&help, "'", "'"), comparisons(&page, "`e2e", "`")].concat();
    assert!(shown.len() > 12, "{shown:?}");
    for expect in shown {
        let expect = if expect.starts_with('.') { format!("e2e{expect}") } else { expect.to_owned() };
        let index: &[&str] = if expect.starts_with("ramp.") { &["--index", "."] } else { &[] };
        let ran = tool(&[&["--check", "--expect", &expect], index].concat(), Untouched);
        assert_eq!(ran.code, 0, "{expect}: {}", ran.stderr);
    }
    let (_, criteria) = help.split_once("Criteria:\n").unwrap();
    let (criteria, _) = criteria.split_once("  STAT is").unwrap();
    let is_row = |line: &&str| line.starts_with("  ") && !line.starts_with("   ");
    let names = criteria.lines().filter(is_row).map(|line| line.split_whitespace().next().unwrap());
    let unsaid: Vec<&str> = names.filter(|name| !page.contains(&format!("| `{name}` |"))).collect();
    assert_eq!(unsaid, Vec::<&str>::new(), "docs/thresholds.md does not say what these are");
}

/// Three jobs whose stage whisper has two entries: it worked from the second 1.6 of each job to 2.1, and from `from` to `to`.
fn with_two_entries(first: &str, attempts: [&str; 2], (from, to): (f64, f64)) -> Vec<String> {
    let entry = |phase: &str, attempt: &str, start: f64, (from, to): (f64, f64)| {
        let at = |seconds: f64| format!("2026-05-20T22:30:{:09.6}Z", start + seconds);
        format!(
            r#"{{"name":"whisper","phase":"{phase}",{attempt}"timesFrom":"server","startedAt":"{}","endedAt":"{}"}}"#,
            at(from),
            at(to)
        )
    };
    let job = |(name, start): (&str, f64)| {
        let status = succeeded(start, 9.0);
        let (head, rest) = status.split_once(r#"{"name":"whisper""#).unwrap();
        let (_, l0) = rest.split_once(r#"},{"name":"l0""#).unwrap();
        let entries = [entry(first, attempts[0], start, (1.6, 2.1)), entry("Done", attempts[1], start, (from, to))];
        // L0 starts after 3.1 s, by the same clock.
        job(name, &format!(r#"{head}{},{{"name":"l0"{l0}"#, entries.join(",")))
    };
    let jobs = [("soak-001", 1.0), ("soak-002", 1.5), ("soak-003", 6.0)].map(job);
    [vec![RUN.to_owned()], jobs.to_vec()].concat()
}

#[test]
fn each_entry_of_a_stage_counts_and_an_attempt_that_was_made_again_does_not() {
    let instances = with_two_entries("Done", ["", ""], (1.7, 2.9));
    let (verdict, seen) = found(&instances, "stage.whisper.max<1s");
    assert_eq!((verdict, seen.as_str()), (Verdict::Failed, "1.20 s of 6 samples from 3 jobs"));
    assert_eq!(found(&instances, "stage.whisper.mean<900ms").0, Verdict::Passed, "850 ms");
    let (verdict, seen) = found(&instances, "wait.l0.max<300ms");
    assert_eq!((verdict, seen.as_str()), (Verdict::Passed, "200 ms of 3 jobs"), "from the last end on");
    for attempts in [["", ""], [r#""attempt":1,"#, r#""attempt":2,"#]] {
        let again = with_two_entries("Failed", attempts, (2.2, 2.8));
        let (verdict, seen) = found(&again, "stage.whisper.max<700ms");
        assert_eq!((verdict, seen.as_str()), (Verdict::Passed, "600 ms of 3 jobs"), "{attempts:?}");
        // The wait for the second attempt is not known: the first one lies before it.
        let (verdict, seen) = found(&again, "wait.whisper.max<1h");
        assert!(verdict == Verdict::Incomplete && seen.contains("of 3 jobs; 3 have no such time"), "{seen}");
    }
    let unforgiven = with_two_entries("Failed", ["", ""], (1.7, 2.9));
    let (verdict, seen) = found(&unforgiven, "stage.whisper.max<2s");
    assert!(verdict == Verdict::Incomplete && seen.contains("3 have no such time"), "{seen}");
    let untold = with_two_entries("Running", ["", ""], (1.7, 2.9));
    assert_eq!(found(&untold, "stage.whisper.max<2s").0, Verdict::Incomplete, "one of them has not ended");
}

#[test]
fn the_profile_says_which_stages_there_are() {
    let scratch = Scratch::new();
    let profile = scratch.path().join("my.toml");
    let text = std::fs::read_to_string("profiles/autorag.toml").unwrap().replace("l2", "encode.fast");
    std::fs::write(&profile, text).unwrap();
    let profile = profile.display().to_string();
    let check =
        |flags: &[&str]| tool(&[&["--check", "--expect", "stage.encode.fast.mean<3s"], flags].concat(), Untouched);
    assert_eq!(check(&["--profile", &profile]).code, 0);
    assert_eq!(check(&[]).code, 2);
    let absent = check(&["--profile", "absent.toml"]);
    assert_eq!(absent.code, 2);
    assert!(absent.stderr.contains("absent.toml"), "{}", absent.stderr);
}

#[test]
fn a_check_finds_what_would_keep_a_run_from_being_written_and_leaves_nothing() {
    let scratch = Scratch::new();
    let out = scratch.out().display().to_string();
    let check = |out: &str| tool(&["--check", "--expect", "e2e.p50<20s", "--out", out], Untouched);
    let ran = check(&format!("{out}/deep/er"));
    assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (0, "", ""));
    assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 0, "nothing was made");
    std::fs::create_dir(&out).unwrap();
    assert_eq!(check(&out).code, 0, "an empty directory may be used");
    std::fs::write(scratch.out().join("file"), "").unwrap();
    let ran = check(&format!("{out}/file/soak"));
    assert_eq!(ran.code, 74, "{}", ran.stderr);
    assert!(ran.stderr.contains("cannot write there"), "{}", ran.stderr);
    std::fs::write(scratch.out().join("junit.xml"), "").unwrap();
    let ran = check(&out);
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("it already holds junit.xml"), "{}", ran.stderr);
}

#[test]
fn a_replay_judges_by_what_was_asked_and_may_be_asked_for_more() {
    let scratch = Scratch::new();
    let first = scratch.report(&good(), &["--expect", "e2e.p50<20s,stage.whisper.max<2s"]);
    let out = scratch.out().display().to_string();
    let again = tool(&["--out", &out, "--replay"], std::io::empty());
    assert_eq!((again.code, &again.stdout), (first.code, &first.stdout));
    // The stages are the run's own then, whatever profile it was.
    let other = tool(&["--out", &out, "--replay", "--expect", "stage.l9.max<2s"], std::io::empty());
    assert_eq!((other.code, only(&other).actual.as_str()), (4, "no such stage; this run's are: whisper, l0, persist"));
    let kept = with(&good(), 0, RUN.replace(r#""concurrency":2"#, r#""concurrency":2,"expect":["e2e.p12<1s"]"#));
    let ran = judged(&kept, &[]);
    assert_eq!((ran.code, ran.cause().as_str()), (4, "e2e.p12<1s is not a known criterion"));
}
