//! Records are fetched whole, and it shows if they are not.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::namespace::Namespace;
use crate::support::{bin, root};

/// Asserts that two directories have the same records, journals and logs, byte by byte. Pods change as time goes.
pub fn are_equal(a: &Path, b: &Path) {
    let done =
        Command::new("diff").args(["-r", "--exclude=pods", "--exclude=pods.json"]).args([a, b]).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stdout));
}

#[test]
fn what_the_logs_have_lost_is_named_and_the_volume_still_has_it() {
    let namespace = Namespace::new("logs", &["--time-scale", "0"]);
    let before = namespace.objects();
    // The kubelet looks at the size of a log every three seconds, so the run has to take longer than that on any machine.
    let load = ["N=2", "JOBS=600", "RATE=45/s", "CLAIM=1Gi", "RUN_ID=logs-1", "PROM_URL=", "JAEGER_URL="];
    let done = namespace.k8s(&[&load[..], &["KEEP=yes"]].concat());
    assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
    namespace.submitted_once(600);
    for times in ["once", "twice"] {
        let out = format!("OUT={}", namespace.path(times).display());
        let done = namespace.make("k8s-fetch", &[&out, "PROM_URL=", "JAEGER_URL="]).finish();
        assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
        are_equal(&namespace.path("run/soak/shards"), &namespace.path(&format!("{times}/soak/shards")));
        assert_eq!(
            namespace.report("run/soak")["conservation"],
            namespace.report(&format!("{times}/soak"))["conservation"]
        );
    }
    let done = namespace.make("k8s-clean", &["RUN_ID=logs-1"]).finish();
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_eq!(namespace.objects(), before);

    // The kubelet of this cluster rotates a log early, and shows only what came since.
    for shard in ["shard-000", "shard-001"] {
        fs::remove_file(namespace.path("once/soak/shards").join(shard).join("records.ndjson")).unwrap();
        fs::remove_file(namespace.path("once/soak/shards").join(shard).join("submissions.ndjson")).unwrap();
    }
    let script = "set -o pipefail; merge-shards once/soak/shards --shards 2 --run logs-1 | render-report --out cut --quiet --expect all-done";
    let path = format!("{}:{}", bin().display(), std::env::var("PATH").unwrap());
    let done =
        Command::new("bash").args(["-c", script]).current_dir(namespace.dir.path()).env("PATH", path).output().unwrap();
    assert_eq!(done.status.code(), Some(4), "{}", String::from_utf8_lossy(&done.stderr));
    let shards = namespace.shards("cut");
    let cut: Vec<_> = shards.iter().filter(|shard| shard["status"]["result"] == "Incomplete").collect();
    assert!(!cut.is_empty(), "{shards:?}");
    let page = namespace.read("cut/report.md");
    for shard in cut {
        assert!(shard["status"]["missingLines"].as_u64() > Some(0), "{shard}");
        assert!(page.contains(&format!("shard {}", shard["spec"]["shard"]["index"])), "{page}");
    }
}

#[test]
fn twenty_thousand_records_of_each_shard_are_fetched_whole() {
    let namespace = Namespace::new("many", &[]);
    let components = format!("COMPONENTS={}", root().join("tests/k8s/many").display());
    // Nobody submits these jobs: the run is Incomplete, and its records are whole.
    let done = namespace.k8s(&["N=2", "JOBS=40000", "YES=1", "PROM_URL=", "JAEGER_URL=", &components]);
    assert!(done.code == 2 && done.stderr.contains("Error 4"), "{}{}", done.stdout, done.stderr);
    let shards = namespace.shards("run/soak");
    assert_eq!(shards.len(), 2);
    for shard in shards {
        assert_eq!(shard["status"]["result"], "Whole", "{shard}");
        assert!(shard["status"]["lines"].as_u64() > Some(20_000), "{shard}");
    }
}
