//! The ten queries of the specification against the stand-in's own Prometheus, after a real run of the other tools.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::Target;
use crate::{NAMES, capture};

#[test]
fn a_run_on_the_stand_in_fills_all_ten_files() {
    let target = Target::start(&[]);
    let submitted = target.submit(&["--max-posts", "4"], &target.stage(4));
    let polled = target.poll(&[], &submitted.stdout);
    let url = target.sim.prometheus_url();
    let flags = ["--prometheus", &url, "--pad", "2s", "--step", "1s", "--settle", "30s", "--format", "csv"];
    let done = capture(&flags, &polled.stdout);
    assert_eq!(done.code, 0, "{}", done.stderr);
    for name in NAMES {
        assert_eq!(done.result(name), ("ok", ""), "{name}: {}", done.stderr);
        let envelope: Value = serde_json::from_str(&done.file(&format!("prometheus/{name}.json"))).unwrap();
        let series = envelope["data"]["result"].as_array().unwrap();
        let samples: usize = series.iter().map(|one| one["values"].as_array().unwrap().len()).sum();
        assert_eq!(done.status(name, "series"), series.len());
        assert_eq!(done.status(name, "samples"), samples);
        let families: BTreeSet<&str> = series.iter().map(|one| one["metric"]["__name__"].as_str().unwrap()).collect();
        assert_eq!(families.len(), 1, "{name} holds what its name says and nothing else: {families:?}");
        let suffix = name.rsplit('_').next().unwrap();
        if ["bucket", "count", "sum"].contains(&suffix) {
            assert!(families.iter().all(|family| family.ends_with(suffix)), "{name}: {families:?}");
        }
        assert!(done.status(name, "rawSamples").as_u64().unwrap() > 0, "{name}");
        let rows = done.file(&format!("prometheus/{name}.csv")).lines().count();
        assert_eq!(rows, samples + 1, "{name}");
    }
    let completed: Value = serde_json::from_str(&done.file("prometheus/jobs_completed.raw.json")).unwrap();
    let last = |series: &Value| series["values"].as_array().unwrap().last().unwrap()[1].as_str().unwrap().to_owned();
    let done: f64 =
        completed["data"]["result"].as_array().unwrap().iter().map(|one| last(one).parse::<f64>().unwrap()).sum();
    assert!((done - 4.0).abs() < f64::EPSILON, "the raw samples reach the end of the run: {completed}");
}
