//! Eight shards, each its own pipe, concatenated in any order: one run.

use crate::shell::Shell;

const SHARDS: &str = r"
for index in 0 1 2 3 4 5 6 7; do
  stage-fixtures --from $FIXTURES --into data/fixtures --jobs 20 --run r1 --shard $index/8 |
  submit-jobs --max-posts 16 | poll-jobs --min-interval 5ms > shard-$index
done
";

#[test]
fn add_up_to_one_run_in_any_order() {
    let shell = Shell::new(&[]);
    let done = shell.run(&format!(
        r"{SHARDS}
cat shard-[0-7] | render-report --out forward --expect all-done,all-stages > /dev/null || exit
cat shard-[0-7] | tac | render-report --out backward --expect all-done,all-stages > /dev/null || exit
cat shard-[0-7] shard-3 | sort -R | render-report --out mixed --expect all-done,all-stages > /dev/null || exit
cat shard-[0124567] | render-report --out short --expect all-done > /dev/null"
    ));
    assert_eq!(done.code, 4, "only the last, whose third shard is not there, is Incomplete: {}", done.stderr);
    assert_eq!((shell.counted("forward", "asked"), shell.counted("forward", "succeeded")), (20, 20));
    for file in ["report.json", "report.md", "jobs.json", "jobs.csv", "stages.csv", "manifest.json"] {
        let forward = shell.read(&format!("forward/{file}"));
        assert_eq!(shell.read(&format!("backward/{file}")), forward, "{file}");
        assert_eq!(shell.read(&format!("mixed/{file}")), forward, "{file}");
    }
    assert_eq!((shell.counted("short", "asked"), shell.counted("short", "missing")), (20, 3));
    let page = shell.read("short/report.md");
    assert!(page.contains("soak-004") && page.contains("soak-012"), "{page}");
}

#[test]
fn a_run_is_rendered_alike_twice() {
    let shell = Shell::new(&["--fail", "l2:2"]);
    let done = shell.run(
        r"run out; rm out/slots; cp -r out first; render-report --replay --out out > again; echo $?; cmp again out.report",
    );
    assert_eq!(done.stdout, "3\n", "{}", done.stderr);
    for file in ["report.json", "report.md", "jobs.json", "jobs.csv", "stages.csv", "manifest.json", "records.ndjson"] {
        assert_eq!(shell.read(&format!("first/{file}")), shell.read(&format!("out/{file}")), "{file}");
    }
}

#[test]
fn two_runs_begun_at_once_share_neither_ids_nor_sources() {
    let shell = Shell::new(&[]);
    let done = shell.run(
        r"one() {
  stage-fixtures --from $FIXTURES --into data/fixtures --jobs 4 | submit-jobs --concurrency 2 --slots slots-$1 |
  poll-jobs --slots slots-$1 --min-interval 5ms | render-report --out out-$1 --expect all-done > report-$1
}
one 1 & one 2 & wait
cat out-?/jobs.json | jq -r '(.items? // .)[].status.jobId' | sort -u | wc -l
jq -r .status.verdict report-1 report-2; ls -d data/fixtures/soak*",
    );
    let expected = "8\nPassed\nPassed\ndata/fixtures/soak\ndata/fixtures/soak-2\n";
    assert_eq!(done.stdout, expected, "{}", done.stderr);
    assert_eq!(shell.target.sim.stats().jobs.len(), 8);
}

#[test]
fn clocks_of_several_hosts_are_compared_through_the_target() {
    let shell = Shell::new(&[]);
    let done = shell.run(&format!(
        r#"{SHARDS}
other() {{ sed "s/\"bootId\":\"[^\"]*\"/\"bootId\":\"other\"/" shard-1; }}
cat shard-[0-7] | render-report --out one --expect all-done > /dev/null || exit
(cat shard-[02-7]; other) | render-report --out two --expect all-done > /dev/null || exit
(cat shard-[02-7]; other | jq -c 'del(.status.clockOffset?)') | render-report --out unknown --expect all-done > /dev/null"#
    ));
    assert_eq!(done.code, 0, "{}", done.stderr);
    let figure = |dir: &str, name: &str| shell.json(&format!("{dir}/report.json"))["status"]["figures"][name].clone();
    let width = |dir: &str| {
        let figure = |name: &str| figure(dir, name).as_f64().unwrap();
        figure("windowHighSeconds") - figure("windowLowSeconds")
    };
    // The Date headers of the stand-in bound an offset to half a second, so two clocks to a second.
    assert!(width("one") < 0.5 && width("two") >= width("one") + 1.0, "{} {}", width("one"), width("two"));
    let peak = |dir: &str, part: &str| figure(dir, &format!("peakConcurrency{part}")).as_f64().unwrap();
    assert!(peak("two", "High") > peak("one", "High") && peak("two", "Low") <= peak("one", "Low"));
    assert!(peak("two", "Low") >= 1.0, "the jobs of one shard are by one clock");
    let page = shell.read("two/report.md");
    assert!(page.contains("because the clocks of their hosts may differ by that much"), "{page}");
    assert!(shell.read("one/report.md").contains("all by one clock"));
    let page = shell.read("unknown/report.md");
    assert!(page.contains("the clock of one was not compared with the target's"), "{page}");
    assert_eq!(figure("unknown", "jobsPerMinuteLow").as_f64(), Some(0.0));
    assert!(figure("unknown", "windowHighSeconds").is_null(), "there is no bound");
}
