//! docs/kubernetes.md, followed with kubectl alone, ends in a report.

use std::process::Command;

use crate::namespace::{Namespace, start};
use crate::support::{bin, root};

#[test]
fn the_steps_with_kubectl_alone_end_in_a_report() {
    let namespace = Namespace::new("docs", &[]);
    let before = namespace.objects();
    let page = std::fs::read_to_string(root().join("docs/kubernetes.md")).unwrap();
    let (_, steps) = page.split_once("\n## Each step with kubectl alone\n").unwrap();
    let (steps, _) = steps.split_once("\n## ").unwrap();
    let blocks: Vec<_> = steps.split("```sh\n").skip(1).map(|block| block.split_once("```").unwrap().0).collect();
    assert_eq!(blocks.len(), 4);
    // With the test's target, and the volume that its workers read.
    let script = blocks.concat().replace("http://my-api.my-namespace:8000", &namespace.sim.url()).replace(
        "components: [../deploy/kubernetes/components/pvc]",
        "components: [../deploy/kubernetes/components/pvc, ../deploy/kubernetes/components/fixtures]",
    );
    let copied = Command::new("cp").arg("-r").args([root().join("deploy"), namespace.path("deploy")]).status().unwrap();
    assert!(copied.success());
    let config = namespace.path("config");
    std::fs::copy(std::env::var("KUBECONFIG").unwrap(), &config).unwrap();
    let script =
        format!("set -euo pipefail\nkubectl config set-context --current --namespace {}\n{script}", namespace.name);
    let mut bash = Command::new("bash");
    bash.args(["-c", &script]).current_dir(namespace.dir.path()).env("KUBECONFIG", config);
    bash.env("PATH", format!("{}:{}", bin().display(), std::env::var("PATH").unwrap()));
    let done = start(&mut bash, "").finish();
    assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
    namespace.submitted_once(12);
    let report = namespace.report("my-run/report");
    assert_eq!((&report["verdict"], &report["conservation"]["succeeded"]), (&"Passed".into(), &12.into()), "{report}");
    assert_eq!(namespace.objects(), before);
}
