//! Eight pods give the account and the report of one machine.

use serde_json::Value;

use crate::fetch::are_equal;
use crate::namespace::{Done, NODE, Namespace};
use crate::support::root;

/// The outcome of each job, by name.
fn outcomes(namespace: &Namespace, dir: &str) -> Vec<(String, String)> {
    let jobs: Value = serde_json::from_str(&namespace.read(&format!("{dir}/jobs.json"))).unwrap();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let items = jobs["items"].as_array().unwrap();
    let mut outcomes: Vec<_> =
        items.iter().map(|job| (text(&job["metadata"]["name"]), text(&job["status"]["phase"]))).collect();
    outcomes.sort();
    outcomes
}

/// Two containers that log, as workers do, until the namespace goes.
fn start_workers(namespace: &Namespace) {
    let container = |name: &str| {
        format!(
            "
    - name: {name}
      image: localhost/stress-suite:dev
      command: [sh, -c, 'while true; do echo \"$(date -u +%FT%TZ) INFO the worker is well\"; sleep 1; done']
      securityContext: {{allowPrivilegeEscalation: false, capabilities: {{drop: [ALL]}}}}"
        )
    };
    namespace.apply(&format!(
        "apiVersion: v1
kind: Pod
metadata: {{name: workers, namespace: {}, labels: {{app: worker}}}}
spec:
  terminationGracePeriodSeconds: 0
  securityContext: {{runAsNonRoot: true, seccompProfile: {{type: RuntimeDefault}}}}
  containers:{}{}
",
        namespace.name,
        container("autorag-gpu-worker"),
        container("autorag-io-worker"),
    ));
    namespace.kubectl(&["wait", "pod/workers", "--for", "condition=Ready", "--timeout", "60s"]);
}

#[test]
fn eight_pods_are_one_run_and_leave_the_namespace_as_it_was() {
    let namespace = Namespace::new("whole", &["--scrape-interval", "250ms"]);
    start_workers(&namespace);
    let before = namespace.objects();
    std::fs::write(namespace.path("headers"), "X-Key: a-secret-of-the-user\n").unwrap();
    let headers = format!("HEADERS={}", namespace.path("headers").display());
    let done = namespace.k8s(&["N=8", "JOBS=40", "CONCURRENCY=16", "LOGS_OF=app=worker", "EXPECT=captured", &headers]);
    assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
    namespace.submitted_once(40);
    let report = namespace.report("run/soak");
    assert_eq!(report["verdict"], "Passed", "{report}");
    assert_eq!(report["conservation"]["succeeded"], 40, "{report}");
    let shards = namespace.shards("run/soak");
    assert_eq!(shards.len(), 8);
    for shard in &shards {
        assert_eq!(shard["status"]["result"], "Whole", "{shard}");
        assert_eq!(shard["status"]["pods"][0]["node"], "node", "{shard}");
    }
    assert_eq!(namespace.objects(), before);

    let found =
        std::process::Command::new("grep").args(["-rl", "a-secret-of-the-user"]).arg(namespace.path("run")).output();
    assert_eq!(String::from_utf8(found.unwrap().stdout).unwrap(), "", "a header is in a file of the run");
}

#[test]
fn the_same_jobs_fail_and_are_lost_on_one_machine_and_over_eight_pods() {
    let faults = ["--number-by-name", "--fail", "l2:3,10", "--lose", "6,17"];
    let wanted = ["JOBS=24", "CONCURRENCY=8", "POLL_FLAGS=--lost-after 1s"];
    let over_pods = Namespace::new("same", &faults);
    let before = over_pods.objects();
    let done = over_pods.k8s(&[&wanted[..], &["N=8", "KEEP=yes"]].concat());
    assert!(failed(&done), "{}{}", done.stdout, done.stderr);
    // The pods keep their records until the run is removed.
    let again = format!("OUT={}", over_pods.path("again").display());
    let done = over_pods.make("k8s-fetch", &[&again]).finish();
    assert!(failed(&done), "{}{}", done.stdout, done.stderr);
    are_equal(&over_pods.path("run/soak/shards"), &over_pods.path("again/soak/shards"));
    let done = over_pods.make("k8s-clean", &["YES=1"]).finish();
    assert_eq!((done.code, over_pods.objects()), (0, before), "{}", done.stderr);

    let alone = Namespace::new("alone", &faults);
    let data = format!("DATA={}/alone", std::env::var("STRESS_VOLUMES").unwrap());
    let done = alone.make("soak", &[&wanted[..], &["LOGS=off", &data]].concat()).finish();
    assert!(failed(&done), "{}{}", done.stdout, done.stderr);

    let outcomes = [(&over_pods, "run/soak"), (&alone, "run/soak")].map(|(namespace, dir)| outcomes(namespace, dir));
    assert_eq!(outcomes[0], outcomes[1]);
    let of = |phase: &str| {
        outcomes[0].iter().filter(|(_, found)| found == phase).map(|(name, _)| name.as_str()).collect::<Vec<_>>()
    };
    assert_eq!((of("Failed"), of("Lost")), (vec!["soak-003", "soak-010"], vec!["soak-006", "soak-017"]));
    assert_eq!(over_pods.report("run/soak")["conservation"], alone.report("run/soak")["conservation"]);
}

/// True if make ended with the verdict Failed.
fn failed(done: &Done) -> bool {
    done.code == 2 && done.stderr.contains("Error 3")
}

#[test]
fn a_pod_captures_what_only_the_cluster_reaches() {
    let listen = format!("{NODE}:0");
    let namespace = Namespace::new(
        "capture",
        &["--scrape-interval", "250ms", "--prom-listen", &listen, "--jaeger-listen", &listen],
    );
    let before = namespace.objects();
    let profile = format!("PROFILE={}", root().join("profiles/autorag.toml").display());
    let done =
        namespace.k8s(&["N=2", "JOBS=8", "RATE=8/s", "CAPTURE=cluster", "EXPECT=captured", "LOGS=off", &profile]);
    assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
    assert_eq!(namespace.report("run/soak")["verdict"], "Passed");
    namespace.submitted_once(8);
    assert!(namespace.path("run/soak/prometheus/jobs_completed.json").is_file());
    assert!(namespace.path("run/soak/jaeger/autorag-api.json").is_file());
    assert_eq!(namespace.objects(), before);
}
