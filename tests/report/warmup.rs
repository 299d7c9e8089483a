//! Warm-up jobs, which do not count, and the report on the target before the run.

use crate::support::{RUN, Scratch, good, job, judged, succeeded};

/// A warm-up job of the run.
fn warm(name: &str, status: &str) -> String {
    job(name, status).replacen(r#""run":"r1""#, r#""run":"r1","labels":{"warmup":"true"}"#, 1)
}

/// Three good jobs after two of the warm-up, one of which is not heard of.
fn warmed(status: &str) -> Vec<String> {
    let mut lines = good();
    lines[0] = RUN.replacen(r#""jobs":3"#, r#""jobs":3,"warmup":2"#, 1);
    lines.insert(1, warm("soak-warmup-001", status));
    lines
}

/// The run with this in its status.
fn told(status: &str) -> Vec<String> {
    let mut lines = good();
    lines[0] = RUN.replacen(r#""status":{"#, &format!(r#""status":{{{status},"#), 1);
    lines
}

#[test]
fn warm_up_jobs_are_in_no_sum_no_figure_and_no_criterion() {
    let plain = judged(&good(), &["--expect", "all-done,all-stages"]).report().status;
    for status in [succeeded(0.0, 30.0), r#"{"phase":"Failed","jobId":"w","message":"cold"}"#.to_owned()] {
        let scratch = Scratch::new();
        let ran = scratch.report(&warmed(&status), &["--expect", "all-done,all-stages"]);
        let found = ran.report().status;
        assert_eq!((ran.code, found.conservation, found.criteria), (0, plain.conservation, plain.criteria.clone()));
        assert_eq!(found.figures, plain.figures);
        assert_eq!(scratch.read("jobs.csv").lines().count(), 4);
        assert!(
            scratch.read("report.md").contains("2 jobs before the counted ones, excluded from all figures: 1 "),
            "{}",
            scratch.read("report.md")
        );
    }
    let subset = judged(&warmed(&succeeded(0.0, 4.0)), &["--subset"]).report().status;
    assert_eq!((subset.conservation.asked, subset.doubts.len()), (3, 0), "{:?}", subset.doubts);
}

#[test]
fn a_warm_up_that_did_not_succeed_is_doubtful() {
    let doubts = judged(&warmed(r#"{"phase":"Failed"}"#), &[]).report().status.doubts;
    let said = "not all warm-up jobs succeeded: soak-warmup-001 failed, soak-warmup-002 missing";
    assert!(doubts.iter().any(|doubt| doubt.contains(said)), "{doubts:?}");
    let mut whole = warmed(&succeeded(0.0, 4.0));
    whole.insert(2, warm("soak-warmup-002", &succeeded(0.5, 4.0)));
    assert_eq!(judged(&whole, &[]).report().status.doubts, judged(&good(), &[]).report().status.doubts);
}

#[test]
fn a_counted_job_that_got_the_id_of_a_warm_up_job_never_ran_on_its_own() {
    // The id of soak-001 in `good` is id-1.
    let shared = succeeded(0.0, 1.0).replacen("id-0", "id-1", 1);
    let ran = judged(&warmed(&shared), &[]);
    assert_eq!((ran.code, ran.report().status.conservation.failed), (3, 1), "{}", ran.cause());
    assert!(
        ran.cause().contains("soak-001 failed (the target gave it the id id-1, which it had given to soak-warmup-001)")
    );
}

#[test]
fn an_exception_of_a_warm_up_job_is_not_judged() {
    let log = |job: &str, found: u32| {
        format!(
            r#"{{"apiVersion":"stress/v1","kind":"Logs","metadata":{{"name":"w","run":"r1"}},"spec":{{"service":"w"}},"status":{{"result":"ok","lines":9,"exceptionsFound":{found},"exceptions":[{{"firstLine":"boom","jobId":"{job}"}}]}}}}"#
        )
    };
    let judge = |log: String| {
        let mut lines = warmed(r#"{"phase":"Failed","jobId":"w-7"}"#);
        lines.push(log);
        let ran = judged(&lines, &["--expect", "no-exceptions"]);
        (ran.code, ran.report().status.criteria[0].actual.clone())
    };
    assert_eq!(judge(log("w-7", 1)), (0, "none in 9 lines of 1 logs, 1 of warm-up jobs left out".to_owned()));
    assert_eq!(judge(log("id-1", 1)).0, 3);
    let (code, actual) = judge(log("w-7", 2));
    assert!(code == 4 && actual.starts_with("w had more exceptions than its record lists"), "{code} {actual}");
}

#[test]
fn a_run_that_began_busy_or_on_another_setting_is_doubtful_and_silence_is_not() {
    let doubts = |lines: &[String]| judged(lines, &[]).report().status.doubts;
    let usual = doubts(&good());
    let news = |status: &str| -> Vec<String> {
        doubts(&told(status)).into_iter().filter(|doubt| !usual.contains(doubt)).collect()
    };
    assert_eq!(
        news(r#""idle":{"idle":false,"waitedSeconds":120,"busy":"q is 3"}"#),
        ["soak began on a target that was still busy after 2 m 00 s: q is 3"]
    );
    assert!(news(r#""idle":{"idle":true,"waitedSeconds":1}"#).is_empty());
    assert!(news(r#""idle":{"waitedSeconds":0,"unseen":"no Prometheus"}"#).is_empty());
    assert_eq!(
        news(r#""settings":{"scenario":"ramp"},"settingsAfter":{"values":{"scenario":"ramp"}}"#),
        ["soak: labelled scenario=soak, but the target says that its scenario is ramp"]
    );
    assert!(news(r#""settings":{"scenario":"soak"},"settingsAfter":{"values":{"scenario":"soak"}}"#).is_empty());
    assert_eq!(
        news(r#""settings":{"num_parallel":"8"}"#),
        [
            "soak: it is not known whether the target's num_parallel was still 8 after the jobs: poll-jobs ended before it could check"
        ],
        "poll-jobs was killed after its last job"
    );
    assert_eq!(
        news(r#""settingsError":"GET http://t/health: the answer is empty""#),
        ["soak: the target's settings before the jobs are not known: GET http://t/health: the answer is empty"]
    );
}

#[test]
fn what_the_target_says_is_made_safe_for_the_page() {
    let scratch = Scratch::new();
    let status = r#""idle":{"waitedSeconds":0,"unseen":"<script>x</script> | a"},"settings":{"num_parallel":"<b>|"}"#;
    scratch.report(&told(status), &[]);
    let page = scratch.read("report.md");
    assert!(page.contains("It is not known") && page.contains("reported its settings"), "{page}");
    assert!(!page.contains("<script>") && !page.contains("<b>"), "{page}");
}
