//! Pods that are killed, evicted, stopped, or never start.

use std::process::Command;

use rustix::process::Signal;
use serde_json::Value;

use crate::namespace::{Namespace, shard};
use crate::support::{root, wait_until};

/// Waits until each of `count` shards has a pod at work, and returns these pods.
fn at_work(namespace: &Namespace, count: usize) -> Vec<Value> {
    let mut pods = Vec::new();
    wait_until("every shard's pod is at work", || {
        pods = namespace.pods();
        pods.retain(|pod| pod["status"]["phase"] == "Running");
        pods.len() == count
    });
    pods
}

fn name(pod: &Value) -> &str {
    pod["metadata"]["name"].as_str().unwrap()
}

/// Ends a pod as a drained node does.
fn evict(namespace: &Namespace, pod: &Value) {
    let path = format!("/api/v1/namespaces/{}/pods/{}/eviction", namespace.name, name(pod));
    let eviction = format!(
        r#"{{"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {{"name": "{}", "namespace": "{}"}}}}"#,
        name(pod),
        namespace.name
    );
    let done = namespace.kubectl_with(&["create", "--raw", &path, "-f", "-"], &eviction);
    assert_eq!(done.code, 0, "{}", done.stderr);
}

/// Kills a pod's shard from outside, as the kernel does when memory runs out.
fn kill(pod: &Value) {
    let statuses = pod["status"]["containerStatuses"].as_array().unwrap();
    let shard = statuses.iter().find(|status| status["name"] == "shard").unwrap();
    let id = shard["containerID"].as_str().unwrap().strip_prefix("containerd://").unwrap();
    let done = Command::new("ctr").args(["-n", "k8s.io", "task", "kill", "-s", "SIGKILL", id]).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

#[test]
fn a_killed_and_an_evicted_shard_resume_and_no_job_is_submitted_twice() {
    let namespace = Namespace::new("deaths", &["--hold", "l2:1"]);
    let run = namespace.make("k8s", &["N=4", "JOBS=24", "CONCURRENCY=24", "CLAIM=1Gi", "PROM_URL=", "JAEGER_URL="]);
    namespace.accepted(24);
    let pods = at_work(&namespace, 4);
    kill(&pods[1]);
    evict(&namespace, &pods[2]);
    wait_until("both shards have a second pod", || {
        let again: Vec<_> = namespace.pods().into_iter().filter(|pod| pod["status"]["phase"] == "Running").collect();
        [1, 2].iter().all(|index| again.iter().any(|pod| shard(pod) == *index && name(pod) != name(&pods[*index])))
    });
    namespace.sim.release();
    let done = run.finish();
    assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
    namespace.submitted_once(24);
    assert_eq!(namespace.report("run/soak")["conservation"]["succeeded"], 24);
    let shards = namespace.shards("run/soak");
    for (index, reason) in [(1, "Error"), (2, "EvictionByEvictionAPI")] {
        let status = &shards[index]["status"];
        assert_eq!(status["result"], "Whole", "{status}");
        assert_eq!(status["pods"].as_array().unwrap().len(), 2, "{status}");
        assert_eq!(
            (&status["pods"][0]["reason"], &status["pods"][0]["node"]),
            (&reason.into(), &"node".into()),
            "{status}"
        );
        let page = namespace.read("run/soak/report.md");
        assert!(page.contains(reason), "{reason} in {page}");
    }
}

#[test]
fn records_in_a_pod_that_is_evicted_are_fetched_in_its_last_seconds() {
    let namespace = Namespace::new("evicted", &["--hold", "l2:1"]);
    let run = namespace.make("k8s", &["N=2", "JOBS=8", "CONCURRENCY=8", "PROM_URL=", "JAEGER_URL="]);
    namespace.accepted(8);
    evict(&namespace, &at_work(&namespace, 2)[1]);
    wait_until("the evicted pod is gone", || namespace.pods().len() == 1);
    namespace.sim.release();
    let done = run.finish();
    assert!(done.code == 2 && done.stderr.contains("Error 4"), "{}{}", done.stdout, done.stderr);
    namespace.submitted_once(8);
    let conservation = &namespace.report("run/soak")["conservation"];
    assert_eq!((&conservation["succeeded"], &conservation["interrupted"]), (&4.into(), &4.into()), "{conservation}");
    let shards = namespace.shards("run/soak");
    assert_eq!(shards[1]["status"]["result"], "Whole", "{}", shards[1]);
    assert_eq!(
        shards[1]["status"]["pods"].as_array().unwrap().len(),
        1,
        "a shard without a volume does not start again"
    );
}

#[test]
fn the_jobs_of_a_pod_that_never_starts_are_missing_by_name() {
    let namespace = Namespace::new("never", &[]);
    let gated = format!("COMPONENTS={}", root().join("tests/k8s/gated").display());
    let before = namespace.objects();
    let settings = ["N=2", "JOBS=6", "CONCURRENCY=4", "START_WITHIN=8s", "PROM_URL=", "JAEGER_URL=", &gated];
    let run = namespace.make("k8s", &settings);
    wait_until("both pods are there", || namespace.pods().len() == 2);
    let open = r#"[{"op": "remove", "path": "/spec/schedulingGates"}]"#;
    namespace.kubectl(&["patch", "pod", name(&namespace.pods()[0]), "--type", "json", "--patch", open]);
    let done = run.finish();
    assert!(done.code == 2 && done.stderr.contains("Error 4"), "{}{}", done.stdout, done.stderr);
    assert!(done.stderr.contains("has not started") && done.stderr.contains("gates"), "{}", done.stderr);
    let report = namespace.report("run/soak");
    assert_eq!(
        (&report["conservation"]["succeeded"], &report["conservation"]["missing"]),
        (&3.into(), &3.into()),
        "{report}"
    );
    let silent = &namespace.shards("run/soak")[1];
    assert_eq!(
        (&silent["status"]["result"], &silent["status"]["pods"][0]["reason"]),
        (&"Silent".into(), &"SchedulingGated".into()),
        "{silent}"
    );
    let page = namespace.read("run/soak/report.md");
    for job in ["soak-002", "soak-004", "soak-006", "SchedulingGated"] {
        assert!(page.contains(job), "{job} in {page}");
    }
    assert_eq!(namespace.objects(), before);

    // Nobody speaks: only the plan says which jobs there are.
    let out = format!("OUT={}", namespace.path("none").display());
    let settings = ["JOBS=2", "START_WITHIN=5s", "PROM_URL=", "JAEGER_URL=", "IMAGE=localhost/no-image:1", &out];
    let done = namespace.k8s(&settings);
    assert!(done.code == 2 && done.stderr.contains("Error 4"), "{}{}", done.stdout, done.stderr);
    assert_eq!(namespace.report("none/soak")["conservation"]["missing"], 2, "{}", done.stderr);
    let page = namespace.read("none/soak/report.md");
    for text in ["soak-001", "soak-002", "shard 0: no record arrived"] {
        assert!(page.contains(text), "{text} in {page}");
    }
    assert_eq!(namespace.objects(), before);
}

/// Stops a run with all its jobs in flight, as Ctrl-C does.
fn stop(name: &'static str, settings: &[&str]) {
    let namespace = Namespace::new(name, &["--hold", "l2:1"]);
    let before = namespace.objects();
    let settings = [&["N=2", "JOBS=8", "CONCURRENCY=8", "PROM_URL=", "JAEGER_URL="], settings].concat();
    let run = namespace.make("k8s", &settings);
    namespace.accepted(8);
    at_work(&namespace, 2);
    run.signal(Signal::INT);
    let done = run.finish();
    assert!(done.stderr.contains("Error 4"), "{}{}", done.stdout, done.stderr);
    namespace.submitted_once(8);
    assert_eq!(namespace.report("run/soak")["conservation"]["interrupted"], 8, "{}", done.stderr);
    assert!(namespace.shards("run/soak").iter().all(|shard| shard["status"]["result"] == "Whole"));
    assert_eq!(namespace.objects(), before);
}

#[test]
fn ctrl_c_ends_the_jobs_as_interrupted_and_removes_the_run() {
    stop("stopped", &[]);
}

#[test]
fn ctrl_c_ends_the_jobs_whose_records_are_on_a_claim() {
    stop("stopped-claim", &["CLAIM=1Gi"]);
}
