//! Shards: streams of several machines put together are one run.

use crate::observed::{points, whole};
use crate::support::{Scratch, judged};
use proptest::prelude::*;

/// A run of four jobs in two shards; each shard has its Run, submits its jobs and hears of their ends.
fn shard(index: u64) -> Vec<String> {
    let run = format!(
        r#"{{"apiVersion":"stress/v1","kind":"Run","metadata":{{"name":"soak-{index}","run":"r1","labels":{{"scenario":"soak","pod":"{index}"}}}},"spec":{{"prefix":"soak","jobs":4,"shard":{{"index":{index},"count":2}},"concurrency":2}}}}"#
    );
    let job = |name: u64, phase: &str, second: u64| {
        format!(
            r#"{{"apiVersion":"stress/v1","kind":"Job","metadata":{{"name":"soak-00{name}","run":"r1"}},"status":{{"phase":"{phase}","jobId":"id-{name}","observedAt":"2026-05-20T22:30:0{second}Z","submittedAt":"2026-05-20T22:30:01Z","acceptedAt":"2026-05-20T22:30:02Z","endedAt":"2026-05-20T22:30:0{second}Z"}}}}"#
        )
    };
    let (first, second) = (index * 2 + 1, index * 2 + 2);
    vec![
        run,
        job(first, "Submitted", 2),
        job(second, "Submitted", 2),
        job(first, "Succeeded", 5 + index),
        job(second, "Succeeded", 6 + index),
    ]
}

const DERIVED: [&str; 6] = ["report.md", "report.json", "jobs.json", "manifest.json", "jobs.csv", "stages.csv"];

#[test]
fn shards_are_one_run() {
    let ran = judged(&[shard(0), shard(1)].concat(), &[]);
    let report = ran.report();
    assert_eq!((ran.code, report.status.cause.as_str()), (0, "4 of 4 jobs succeeded"));
    assert_eq!(report.metadata.name, "soak");
    assert_eq!(report.metadata.labels.keys().collect::<Vec<_>>(), ["scenario"], "labels that differ are not the run's");
    assert!((report.status.figures["askedConcurrency"] - 4.0).abs() < 1e-9, "each shard brings its own places");
}

#[test]
fn a_shard_that_never_spoke_is_named_and_so_are_its_jobs() {
    let ran = judged(&shard(0), &[]);
    assert_eq!(ran.code, 4);
    assert_eq!(ran.cause(), "2 of 4 jobs have no known end: 2 missing (soak-003, soak-004)");
    assert_eq!(ran.report().status.doubts, ["no record came from these shards of soak (counted from 0): 1/2"]);
}

#[test]
fn shards_that_disagree_on_the_number_of_jobs_pass_nothing() {
    let second: Vec<String> = shard(1).iter().map(|line| line.replace(r#""jobs":4"#, r#""jobs":3"#)).collect();
    let ran = judged(&[shard(0), second].concat(), &[]);
    assert_eq!(ran.code, 4);
    assert_eq!(ran.cause(), "the shards of soak disagree on how many jobs it has: from 3 to 4");
}

#[test]
fn of_two_jobs_with_one_id_the_later_one_collapsed() {
    let second: Vec<String> = shard(1)
        .iter()
        .map(|line| {
            line.replace("id-3", "id-1")
                .replace(r#""acceptedAt":"2026-05-20T22:30:02Z""#, r#""acceptedAt":"2026-05-20T22:30:03Z""#)
        })
        .collect();
    let ran = judged(&[second, shard(0)].concat(), &[]);
    assert_eq!(ran.code, 3);
    assert_eq!(
        ran.cause(),
        "1 of 4 jobs did not succeed: soak-003 failed (the target gave it the id id-1, which it had given to soak-001)"
    );
    // A UUID is the same in another spelling.
    let uuid = "379bb927-1671-4ee2-8d49-63d9f27a2bc5";
    let spelled = |shard: Vec<String>, id: &str, uuid: &str| -> Vec<String> {
        shard.iter().map(|line| line.replace(id, uuid)).collect()
    };
    let [first, second] =
        [spelled(shard(0), "id-1", uuid), spelled(shard(1), "id-3", &uuid.replace('-', "").to_uppercase())];
    let ran = judged(&[second, first].concat(), &[]);
    assert!(ran.cause().starts_with("1 of 4 jobs did not succeed: soak-003 failed"), "{}", ran.cause());
    // Polls led two items of a queue to one build.
    let led = |shard: Vec<String>, id: &str| -> Vec<String> {
        shard.iter().map(|line| line.replace(id, &format!(r#"{id}","nextId":"build-7"#))).collect()
    };
    let ran = judged(&[led(shard(0), "id-1"), led(shard(1), "id-3")].concat(), &[]);
    assert_eq!(
        ran.cause(),
        "1 of 4 jobs did not succeed: soak-003 failed (poll.next led its polls to the id build-7, which is also that of soak-001)"
    );
    // Where the submitter saw it the other one is the one that ran.
    let marked: Vec<String> = shard(0)
        .iter()
        .map(|line| {
            line.replace("id-2", "id-1").replace(
                r#""name":"soak-002","run":"r1"},"status":{"phase":"Succeeded""#,
                r#""name":"soak-002","run":"r1"},"status":{"reason":"Collapsed","phase":"Failed""#,
            )
        })
        .collect();
    let ran = judged(&[marked, shard(1)].concat(), &[]);
    assert_eq!(ran.cause(), "1 of 4 jobs did not succeed: soak-002 failed (Collapsed)");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn the_order_of_lines_and_their_repetition_change_nothing(
        order in Just([shard(0), shard(1), shard(0)].concat()).prop_shuffle()
    ) {
        let (straight, shuffled) = (Scratch::new(), Scratch::new());
        let first = straight.report(&[shard(0), shard(1)].concat(), &[]);
        let second = shuffled.report(&order, &[]);
        prop_assert_eq!(first.stdout, second.stdout);
        for name in DERIVED {
            prop_assert_eq!(straight.read(name), shuffled.read(name), "{}", name);
        }
    }
}

#[test]
fn the_report_says_whether_the_load_generator_was_the_limit() {
    let page = |lines: &[String], scratch: &Scratch| {
        scratch.report(&[shard(0), shard(1), lines.to_vec()].concat(), &[]);
        std::fs::read_to_string(scratch.out().join("report.md")).unwrap()
    };
    let text = page(&[], &Scratch::new());
    assert!(
        text.contains(
            "No shard reports a limit of its own host. CPU throttling of the load generator's containers was not captured"
        ),
        "{text}"
    );

    let scratch = Scratch::new();
    let pod = |name: &str, last: f64| points(&format!(r#""pod":"{name}""#), &[(-5.0, 3.0), (5.0, 3.0), (20.0, last)]);
    let query = whole(&scratch, "throttled", r#""pod""#, &[pod("load-0-x", 3.0), pod("load-1-y", 45.0)].join(","));
    let query = query.replace(r#""spec":{"#, r#""spec":{"role":"throttling","#);
    let run = shard(1)[0]
        .replace(r#","concurrency":2}"#, r#","concurrency":2},"status":{"submissionLimit":"no more threads"}"#);
    let text = page(&[query, run.replace("soak-1", "soak-1b")], &scratch);
    assert!(text.contains("The load generator itself was a limit in 1 of 2 shards: 1. Samples show that containers of the load generator were throttled: load-1-y in 42 periods."), "{text}");
}
