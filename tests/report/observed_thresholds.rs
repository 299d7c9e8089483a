//! Thresholds and the criterion `captured` on what captures brought: a figure is only as good as its capture.

use stress_suite::record::Verdict;

use crate::observed::{points, series, traces, whole, write};
use crate::support::{Scratch, good, job};

/// Returns the verdict on `expect` for a good run and these captures.
fn found(scratch: &Scratch, captures: &[String], expect: &str) -> (Verdict, String) {
    let ran = scratch.report(&[good(), captures.to_vec()].concat(), &["--expect", expect]);
    let criterion = ran.report().status.criteria.remove(0);
    std::fs::remove_dir_all(scratch.out()).unwrap();
    (criterion.verdict, criterion.actual)
}

/// The window is from 1 s to 14 s; a sample lies before it, one behind it.
const DEPTHS: [(f64, f64); 5] = [(-5.0, 90.0), (2.0, 3.0), (7.0, 30.0), (13.0, 8.0), (20.0, 70.0)];

#[test]
fn the_highest_sample_of_a_queue_is_proof_from_below() {
    let scratch = Scratch::new();
    let found = |expect: &str| {
        let one = [(2.0, 1.0)];
        let queues = [("stage.l1", &DEPTHS[..]), ("stage.l0", &DEPTHS[1..2]), ("stage.decide", &one)];
        let lines = queues.map(|(queue, values)| points(&format!(r#""queue":"{queue}""#), values));
        let line = whole(&scratch, "rabbitmq_queue_ready", r#""queue""#, &lines.join(","));
        found(&scratch, &[line], expect)
    };
    let sampled = "30 messages, evaluated 3 times, at most 6.00 s apart";
    assert_eq!(found("queue.stage.l1.max<50"), (Verdict::Passed, sampled.to_owned()));
    assert_eq!(found("queue.stage.l1.max<=30").0, Verdict::Passed);
    assert_eq!(found("queue.stage.l1.max<30").0, Verdict::Failed);
    assert_eq!(found("queue.stage.l1.max>=30").0, Verdict::Passed, "it surely was that deep");
    assert_eq!(found("queue.stage.l1.max>50").0, Verdict::Incomplete, "between two samples it may have been deeper");
    assert_eq!(found("queue.stage.l0.max<50"), (Verdict::Passed, "3 messages, evaluated once".to_owned()));
    assert_eq!(found("queue.stage.decide.max<50"), (Verdict::Passed, "1 message, evaluated once".to_owned()));
    let unknown = "no such queue; those seen: stage.decide, stage.l0, stage.l1";
    assert_eq!(found("queue.stage.l2.max<50"), (Verdict::Incomplete, unknown.to_owned()));
}

#[test]
fn a_capture_that_did_not_come_whole_decides_nothing() {
    let scratch = Scratch::new();
    let with = |name: &str, status: &str| series(name, r#""queue""#, status);
    for (status, why) in [
        (r#"{"result":"empty","reason":"NoSeries","message":"no such series"}"#, " is empty: no such series"),
        (
            r#"{"result":"error","reason":"Off","message":"no Prometheus was named"}"#,
            " was off: no Prometheus was named",
        ),
        (r#"{"result":"error","reason":"Unreachable"}"#, " failed: Unreachable"),
    ] {
        for (expect, name) in
            [("queue.stage.l1.max<50", "rabbitmq_queue_ready"), ("gpu.transitions<40", "gpu_tenancy_transitions")]
        {
            let expected = (Verdict::Incomplete, format!("the capture of {name}{why}"));
            assert_eq!(found(&scratch, &[with(name, status)], expect), expected);
        }
    }
    // What came of a partial one would even be proof; but it is not known whether it belongs to the window.
    let line = whole(&scratch, "rabbitmq_queue_ready", r#""queue""#, &points(r#""queue":"stage.l1""#, &DEPTHS));
    let partial = line.replace(r#""result":"ok""#, r#""result":"partial","message":"the last scrape was early""#);
    let (verdict, actual) = found(&scratch, &[partial], "queue.stage.l1.max<5");
    let why = "the capture of rabbitmq_queue_ready is partial: the last scrape was early";
    assert_eq!((verdict, actual.as_str()), (Verdict::Incomplete, why));
    let nothing = whole(&scratch, "rabbitmq_queue_ready", r#""queue""#, &points(r#""queue":"a""#, &DEPTHS[..1]));
    assert_eq!(found(&scratch, &[nothing], "queue.stage.l1.max<5").1, "no queue was sampled in the window");
}

/// The transitions, with the steps of a query and the samples behind them.
fn transitions(scratch: &Scratch, steps: &[(f64, f64)], samples: Option<&[(f64, f64)]>) -> String {
    let label = r#""from":"none","to":"llm""#;
    let line = whole(scratch, "gpu_tenancy_transitions", r#""from","to""#, &points(label, steps));
    let Some(samples) = samples else { return line };
    let raw = points(label, samples);
    let raw = format!(r#"{{"status":"success","data":{{"resultType":"matrix","result":[{raw}]}}}}"#);
    write(scratch, "prometheus/gpu.raw.json", &raw);
    line.replace(r#","series":2"#, r#","rawFile":"prometheus/gpu.raw.json","series":2"#)
}

#[test]
fn transitions_lie_between_what_was_seen_inside_and_around_the_window() {
    let scratch = Scratch::new();
    let steps = [(-5.0, 100.0), (0.0, 100.0)];
    let samples = [(0.5, 101.0), (2.0, 102.0), (8.0, 110.0), (13.0, 120.0), (16.0, 123.0)];
    let found = |expect: &str| found(&scratch, &[transitions(&scratch, &steps, Some(&samples))], expect);
    let counted = "22 counted; the true value lies between 18 and 22";
    assert_eq!(found("gpu.transitions<40"), (Verdict::Passed, counted.to_owned()));
    assert_eq!(found("gpu.transitions<18").0, Verdict::Failed);
    assert_eq!(found("gpu.transitions<20"), (Verdict::Incomplete, format!("{counted}: not certain enough")));
}

#[test]
fn transitions_of_counters_that_began_or_began_again_are_decided_as_far_as_they_can_be() {
    let scratch = Scratch::new();
    // A scrape failed while the process restarted.
    let reset = [(0.5, 100.0), (2.0, 102.0), (8.0, 4.0), (10.0, 7.0), (13.0, 9.0)];
    let found_after = |samples: &[(f64, f64)], expect: &str| {
        found(&scratch, &[transitions(&scratch, &samples[..1], Some(samples))], expect)
    };
    let (verdict, actual) = found_after(&reset, "gpu.transitions<40");
    assert_eq!(verdict, Verdict::Incomplete);
    assert_eq!(actual, "11 counted, but counters restarted; the true value is at least 9: not certain enough");
    assert_eq!(found_after(&reset, "gpu.transitions<9").0, Verdict::Failed);
    assert_eq!(found_after(&reset, "gpu.transitions>8").0, Verdict::Passed);
    // Seen first in the window: it began there, or it had counted long before anyone looked.
    let born = [(2.0, 30.0), (8.0, 35.0), (20.0, 36.0)];
    assert_eq!(found_after(&born, "gpu.transitions<40").0, Verdict::Passed);
    let (verdict, actual) = found_after(&born, "gpu.transitions<20");
    assert_eq!(verdict, Verdict::Incomplete);
    assert_eq!(actual, "36 counted; the true value lies between 5 and 36: not certain enough");
    // Steps show samples late, so without the samples nothing is sure to have happened inside.
    let steps = transitions(&scratch, &[(0.0, 4.0), (5.0, 6.0), (25.0, 9.0)], None);
    assert_eq!(
        found(&scratch, &[steps], "gpu.transitions<3").1,
        "5 counted; the true value lies between 0 and 5: not certain enough"
    );
}

/// The same capture, of a window that ends four seconds before the last job did.
fn early(line: &str) -> String {
    let early = line.replace(r#""end":"2026-05-20T22:30:14Z""#, r#""end":"2026-05-20T22:30:10Z""#);
    assert_ne!(early, line);
    early
}

#[test]
fn a_capture_that_ends_before_the_last_job_proves_from_below_alone() {
    let scratch = Scratch::new();
    let queue = points(r#""queue":"stage.l1""#, &DEPTHS);
    let depths = |expect: &str| {
        let line = whole(&scratch, "rabbitmq_queue_ready", r#""queue""#, &queue);
        found(&scratch, &[early(&line)], expect)
    };
    let (verdict, actual) = depths("queue.stage.l1.max<50");
    assert_eq!(verdict, Verdict::Incomplete);
    assert_eq!(
        actual,
        "30 messages, evaluated 2 times, at most 5.00 s apart; the capture ends before the last job did, so the true value is at \
         least 30: not certain enough"
    );
    assert_eq!(depths("queue.stage.l1.max<30").0, Verdict::Failed, "what was seen was seen");
    assert_eq!(depths("queue.stage.l1.max>=30").0, Verdict::Passed);

    let steps = [(-5.0, 100.0), (0.0, 100.0)];
    let samples = [(0.5, 101.0), (2.0, 102.0), (8.0, 110.0), (13.0, 120.0)];
    let transitions = |expect: &str| found(&scratch, &[early(&transitions(&scratch, &steps, Some(&samples)))], expect);
    let (verdict, actual) = transitions("gpu.transitions<40");
    assert_eq!(verdict, Verdict::Incomplete);
    assert_eq!(
        actual,
        "19 counted; the capture ends before the last job did, so the true value is at least 8: not certain enough"
    );
    assert_eq!(transitions("gpu.transitions<8").0, Verdict::Failed);
}

#[test]
fn a_job_that_was_seen_running_after_the_capture_makes_it_a_part_as_well() {
    let scratch = Scratch::new();
    let line = whole(&scratch, "rabbitmq_queue_ready", r#""queue""#, &points(r#""queue":"stage.l1""#, &DEPTHS));
    let running =
        r#"{"phase":"TimedOut","jobId":"x","submittedAt":"2026-05-20T22:30:06Z","notEndedAt":"2026-05-20T22:31:00Z"}"#;
    let lines = [&good()[..3], &[job("soak-003", running), line]].concat();
    let ran = scratch.report(&lines, &["--expect", "queue.stage.l1.max<50"]);
    assert_eq!(ran.code, 4, "{}", ran.stderr);
    let doubts = ran.report().status.doubts;
    let said = "the captured data ends before the last job did (after 22:31:00.000 UTC) and lacks everything later";
    assert!(doubts.iter().any(|doubt| doubt.starts_with(said)), "{doubts:?}");
}

fn logs(status: &str) -> String {
    format!(
        r#"{{"apiVersion":"stress/v1","kind":"Logs","metadata":{{"name":"gpu","run":"r1"}},"spec":{{"service":"gpu"}},"status":{status}}}"#
    )
}

#[test]
fn captured_passes_only_if_all_came_whole_or_was_waived() {
    let scratch = Scratch::new();
    let ok = series("a", r#""stage""#, r#"{"result":"ok"}"#);
    let waived = logs(r#"{"result":"empty","reason":"Waived","waived":true}"#);
    let found = |captures: &[String]| found(&scratch, captures, "captured");
    let all = [ok.clone(), traces("gpu", ""), waived.clone()];
    assert_eq!(found(&all), (Verdict::Passed, "2 complete captures; 1 waived".to_owned()));
    assert_eq!(found(&all[..2]), (Verdict::Passed, "2 captures, all complete".to_owned()));
    for captures in [&[][..], &all[2..]] {
        assert_eq!(found(captures), (Verdict::Incomplete, "nothing was captured".to_owned()));
    }
    for short in [
        series("b", r#""stage""#, r#"{"result":"partial","message":"no"}"#),
        series("b", r#""stage""#, r#"{"result":"empty"}"#),
        series("b", r#""stage""#, r#"{"result":"error","reason":"Off"}"#),
        logs(r#"{"result":"error"}"#),
        traces("io", "").replace(r#""result":"ok""#, r#""result":"partial""#),
    ] {
        let (verdict, actual) = found(&[ok.clone(), short.clone()]);
        assert_eq!(verdict, Verdict::Incomplete, "{short}");
        assert!(actual.starts_with("not everything was captured: "), "{actual}");
    }
    // Without this record the tool would look as if it had never been there.
    let run = good()[0].replace(r#""status":{"#, r#""status":{"tools":{"capture-jaeger":"0.1.0"},"#);
    let ran = Scratch::new().report(&[&[run][..], &good()[1..], &[ok]].concat(), &["--expect", "captured"]);
    assert_eq!(ran.code, 4);
    assert!(ran.cause().contains("capture-jaeger took part and left no record"), "{}", ran.cause());
}
