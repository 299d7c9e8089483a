//! The three witnesses after a real run of the other tools against the stand-in.

use stress_suite::tools::{capture_jaeger, capture_prom, render_report};

use crate::standin::{Target, tool};

/// Runs jobs through all tools, and gives the figures and the doubts of the report.
fn reported(flags: &[&str], jobs: u32) -> (std::collections::BTreeMap<String, f64>, Vec<String>) {
    let target = Target::start(&[&["--scrape-interval", "100ms", "--span-delay", "20ms"], flags].concat());
    let submitted = target.submit(&["--max-posts", "4"], &target.stage(jobs));
    let polled = target.poll(&[], &submitted.stdout);
    let out = target.dir.path().join("out").display().to_string();
    let window = ["--out", &out, "--pad", "1s", "--settle", "30s"];
    let (prom, jaeger) = (target.sim.prometheus_url(), target.sim.jaeger_url());
    let metrics =
        tool(capture_prom::run, &[&window[..], &["--prometheus", &prom, "--step", "200ms"]].concat(), &polled.stdout);
    assert_eq!(metrics.code, 0, "{}", metrics.stderr);
    let traces =
        tool(capture_jaeger::run, &[&window[..], &["--jaeger", &jaeger, "--flush", "0s"]].concat(), &metrics.stdout);
    assert_eq!(traces.code, 0, "{}", traces.stderr);
    let report = tool(render_report::run, &["--out", &out], &traces.stdout).last("soak");
    let status = &report["status"];
    let figures = serde_json::from_value(status["figures"].clone()).unwrap();
    let doubts = status.get("doubts").map(|doubts| serde_json::from_value(doubts.clone()).unwrap());
    (figures, doubts.unwrap_or_default())
}

#[test]
fn documents_spans_and_histograms_agree_on_a_run() {
    let (figures, doubts) = reported(&["--jaeger-api", "v3"], 6);
    for stage in ["whisper", "l1", "decide", "summarize_l1", "l2", "summarize_l2", "l0", "persist"] {
        for count in ["workCount", "spansCount", "histogramCount", "queueWaitCount"] {
            assert!((figures[&format!("stages.{stage}.{count}")] - 6.0).abs() < 1e-9, "{stage} {count}: {figures:?}");
        }
        let documents = figures[&format!("stages.{stage}.workMeanSeconds")];
        for witness in ["spansMeanSeconds", "histogramMeanSeconds"] {
            let told = figures[&format!("stages.{stage}.{witness}")];
            // A few per cent, or as much as two looks at a clock can lie apart on a busy machine.
            assert!((told - documents).abs() < (documents * 0.05).max(0.005), "{stage} {witness}: {figures:?}");
        }
    }
    assert!(figures["gpu.transitions.none.whisper"] >= 1.0 && figures["gpu.transitions"] >= 2.0, "{figures:?}");
    assert!(figures["gpu.whisper.tenancyCount"] >= 1.0, "{figures:?}");
    assert!(figures["queuesReadyMax"] >= 0.0, "{figures:?}");
    let signs = ["count different", "lack stages", "contain no stage"];
    let counting: Vec<_> = doubts.iter().filter(|doubt| signs.iter().any(|sign| doubt.contains(sign))).collect();
    assert!(counting.is_empty(), "{doubts:?}");
}

#[test]
fn attempts_that_failed_are_seen_by_spans_and_histograms_only() {
    let (figures, doubts) = reported(&["--flaky", "l2:2", "--jaeger-api", "v1"], 3);
    assert!((figures["stages.l2.workCount"] - 3.0).abs() < 1e-9, "{figures:?}");
    assert!(figures["stages.l2.spansCount"] > 3.0, "{figures:?}");
    assert!((figures["stages.l2.spansCount"] - figures["stages.l2.histogramCount"]).abs() < 1e-9, "{figures:?}");
    let counting: Vec<_> = doubts.iter().filter(|doubt| doubt.contains("count different")).collect();
    assert!(counting.is_empty(), "the documents tell of that attempt: {doubts:?}");
}
