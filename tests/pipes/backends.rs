//! A target, a Prometheus or a Jaeger that dies, hangs or talks nonsense in the middle of a run: the pipe ends by itself,
//! nothing that was known is lost, and the verdict is no pass.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::proxy::{FAULTS, Fault, Proxy};
use crate::shell::{Done, Shell, lines_with};
use crate::support::wait_until;

/// The records of `kind` in the run directory, by name, as they stood last.
fn last(shell: &Shell, kind: &str) -> BTreeMap<String, Value> {
    let text = shell.read("out/records.ndjson");
    let records = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let of = records.filter(|record| record["kind"] == kind);
    of.map(|record| (record["metadata"]["name"].as_str().unwrap().to_owned(), record)).collect()
}

/// Returns the number of `records` with this result.
fn ended(records: &BTreeMap<String, Value>, result: &str) -> usize {
    records.values().filter(|record| record["status"]["result"] == result).count()
}

/// Returns the tool's timeout: far longer than a busy machine takes, except for the fault that is silence.
fn timeout(fault: Fault) -> &'static str {
    if fault == Fault::Hang { "500ms" } else { "30s" }
}

/// Each fault at the same time as the others: they do little but wait.
fn each_fault(test: impl Fn(Fault) + Sync) {
    std::thread::scope(|scope| {
        for fault in FAULTS {
            let test = &test;
            scope.spawn(move || test(fault));
        }
    });
}

#[test]
fn a_target_that_goes_wrong_in_the_middle() {
    each_fault(|fault| {
        let shell = Shell::new(&["--hold", "l1:100%"]);
        let proxy = Proxy::start(&shell.target.url(), "GET /jobs/", usize::MAX, fault);
        let timeout = timeout(fault);
        let running = shell.start(&format!(
            "TARGET={} SUBMIT='--timeout {timeout}' POLL='--timeout {timeout} --deadline 3s' run out",
            proxy.url()
        ));
        let records = shell.path("out/records.ndjson");
        wait_until("three jobs in flight", || lines_with(&records, "\"Submitted\"") >= 3);
        proxy.go_wrong();
        let done = running.finish();
        shell.target.sim.release();
        assert_eq!(done.code, 3, "{fault:?}: {}", done.stderr);
        let report = shell.json("out/report.json");
        let terms = report["status"]["conservation"].as_object().unwrap();
        let sum: u64 =
            terms.iter().filter(|(term, _)| *term != "asked").map(|(_, count)| count.as_u64().unwrap()).sum();
        assert_eq!((sum, terms["asked"].as_u64(), terms["succeeded"].as_u64()), (6, Some(6), Some(0)), "{fault:?}");
        let jobs = last(&shell, "Job");
        let given_up: Vec<_> = jobs.values().filter(|job| job["status"]["phase"] == "TimedOut").collect();
        assert!(given_up.len() >= 3, "{fault:?}: {terms:?}");
        for job in &given_up {
            let message = job["status"]["message"].as_str().unwrap();
            assert!(job["status"]["jobId"].is_string(), "{fault:?}: {job}");
            let why = match fault {
                Fault::Die => "connection",
                // The deadline may come before the timeout of the last poll is over.
                Fault::Hang if message.contains("unanswered at the deadline") => continue,
                Fault::Hang => "no answer within 500 ms",
                Fault::Garbage => "not JSON",
                Fault::Page => "HTTP 502",
                Fault::Torn => "broke off",
            };
            assert!(message.contains(why), "{fault:?}: {message}");
        }
        // The jobs went on all the same: asked at the target itself they tell their ends.
        let done = shell.run(
            "poll-jobs --resume --min-interval 5ms < out/records.ndjson | render-report --append --out out > report",
        );
        assert!([3, 4].contains(&done.code), "{fault:?}: {}", done.stderr);
        assert_eq!(shell.counted("out", "succeeded"), given_up.len() as u64, "{fault:?}: {}", done.stderr);
    });
}

/// Four jobs, and one capture of them.
fn captured(shell: &Shell, capture: &str) -> Done {
    shell.run(&format!(
        r"stage-fixtures --from $FIXTURES --into data/fixtures --jobs 4 --run r1 |
submit-jobs --max-posts 4 | poll-jobs --min-interval 5ms | {capture} |
render-report --out out --expect all-done,captured > report; echo ${{PIPESTATUS[*]}}"
    ))
}

#[test]
fn a_prometheus_that_goes_wrong_in_the_middle_of_the_capture() {
    each_fault(|fault| {
        let shell = Shell::new(&["--scrape-interval", "100ms"]);
        let proxy = Proxy::start(&shell.target.sim.prometheus_url(), "POST /api/v1/query_range", 3, fault);
        // The answers that the proxy passes on come within this time on a busy machine, too.
        let timeout = if fault == Fault::Hang { "2s" } else { timeout(fault) };
        let flags = format!("--timeout {timeout} --pad 0s --settle 5s --step 100ms --no-raw");
        let done = captured(&shell, &format!("capture-prom --out out --prometheus {} {flags}", proxy.url()));
        assert!(proxy.broke(), "{fault:?}: {}", done.stderr);
        assert_eq!(done.stdout, "0 0 0 0 4\n", "{fault:?}: {}", done.stderr);
        let series = last(&shell, "Series");
        // Where nobody answers any more whether the window's beginning was seen, what came before is doubtful, but not lost.
        let came = ended(&series, "ok") + ended(&series, "partial");
        assert_eq!((series.len(), came, ended(&series, "error")), (10, 3, 7), "{fault:?}");
        for record in series.values().filter(|record| record["status"]["result"] != "error") {
            let file = shell.json(&format!("out/{}", record["status"]["file"].as_str().unwrap()));
            assert_eq!(file["status"], "success", "{fault:?}: what came before is whole");
        }
        let report = shell.json("out/report.json");
        assert_eq!(report["status"]["verdict"], "Incomplete", "{fault:?}");
        assert_eq!(shell.counted("out", "succeeded"), 4, "{fault:?}");
        assert!(
            report["status"]["cause"].as_str().unwrap().contains("not everything was captured"),
            "{fault:?}: {report}"
        );
        let left = shell.run("find out -name '.*'");
        assert_eq!(left.stdout, "", "{fault:?}: nothing half-written");
    });
}

#[test]
fn a_jaeger_that_goes_wrong_in_the_middle_of_the_capture() {
    each_fault(|fault| {
        let shell = Shell::new(&[]);
        let proxy = Proxy::start(&shell.target.sim.jaeger_url(), "GET /api/v3/traces", 2, fault);
        let flags = format!("--timeout {} --flush 0s --settle 5s", timeout(fault));
        let done = captured(&shell, &format!("capture-jaeger --out out --jaeger {} {flags}", proxy.url()));
        assert!(proxy.broke(), "{fault:?}: {}", done.stderr);
        assert_eq!(done.stdout, "0 0 0 0 4\n", "{fault:?}: {}", done.stderr);
        let traces = last(&shell, "Traces");
        assert_eq!((traces.len(), ended(&traces, "ok")), (3, 0), "{fault:?}: {traces:?}");
        for (service, record) in &traces {
            let (status, file) = (&record["status"], shell.path(&format!("out/jaeger/{service}.json")));
            assert!(status["reason"].is_string() && status["message"].is_string(), "{fault:?}: {record}");
            assert_eq!(
                status["file"].is_string(),
                file.exists(),
                "{fault:?}: the record names what is there: {record}"
            );
        }
        assert_eq!(shell.json("out/report.json")["status"]["verdict"], "Incomplete", "{fault:?}");
        assert_eq!(shell.counted("out", "succeeded"), 4, "{fault:?}");
    });
}
