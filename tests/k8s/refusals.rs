//! What is checked before anything is applied, and what removes what a run left.

use crate::namespace::Namespace;

#[test]
fn nothing_is_applied_without_rights_or_a_yes() {
    let namespace = Namespace::new("refused", &[]);
    let before = namespace.objects();
    let nobody = format!("KUBECTL=kubectl --kubeconfig {}", std::env::var("KUBECONFIG_NOBODY").unwrap());
    for (settings, message) in [
        (&[nobody.as_str()][..], "create jobs.batch, get jobs.batch, list jobs.batch"),
        (&["JOBS=1001"], "1001 jobs would go to http://10.77.0.1:"),
        (&["RATE=51/s"], "12 jobs at 51/s would go to http://10.77.0.1:"),
        (&["N=5"], "CONCURRENCY=4 is less than N=5"),
        (&["N=0"], "N=0 is not a number of pods"),
        (&["TARGET="], "TARGET is empty"),
        (&["RATE=0/s"], "--rate is make's RATE"),
        (&["JOBS=99999999999999999999"], "--jobs is make's JOBS"),
        (&["RUN_ID=a b"], "RUN_ID=a b cannot be a label"),
        (&["KUBECTL=kubectl --server https://127.0.0.1:1"], "the cluster does not answer"),
    ] {
        let done = namespace.k8s(settings);
        assert!(done.code == 2 && done.stderr.contains(message), "{settings:?}: {}", done.stderr);
        assert_eq!(namespace.objects(), before, "{settings:?}");
        assert!(!namespace.path("run/soak").exists(), "{settings:?}");
    }
    for answer in ["n\n", ""] {
        let done = namespace.make_at_a_terminal("k8s", &["JOBS=1001"], answer);
        assert!(
            done.code == 2 && done.stdout.contains("[y/N]") && done.stdout.contains("set YES=1"),
            "{answer:?}: {done:?}"
        );
        assert_eq!(namespace.objects(), before, "{answer:?}");
    }
    assert_eq!(namespace.sim.stats().posts, 0);
}

#[test]
fn the_documented_rights_are_enough() {
    let namespace = Namespace::new("rights", &[]);
    let before = namespace.objects();
    let rule = |group: &str, resource: &str, verbs: &str| {
        format!("  - {{apiGroups: [\"{group}\"], resources: [{resource}], verbs: [{verbs}]}}\n")
    };
    let all = "create, get, list, watch, delete";
    namespace.apply(&format!(
        "apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {{name: load, namespace: rights}}
rules:
{}{}{}{}{}---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {{name: load, namespace: rights}}
subjects: [{{kind: User, name: nobody, apiGroup: rbac.authorization.k8s.io}}]
roleRef: {{kind: Role, name: load, apiGroup: rbac.authorization.k8s.io}}
",
        rule("batch", "jobs", all),
        rule("", "configmaps", all),
        rule("", "pods", "get, list, watch, delete"),
        rule("", "pods/log", "get"),
        rule("", "pods/exec", "create"),
    ));
    let nobody = format!("KUBECTL=kubectl --kubeconfig {}", std::env::var("KUBECONFIG_NOBODY").unwrap());
    // The hash of this id, which ends the objects' names, has only digits.
    let done = namespace.k8s(&[&nobody, "RUN_ID=digits-50", "N=2", "JOBS=4", "PROM_URL=", "JAEGER_URL="]);
    assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
    namespace.submitted_once(4);
    namespace.kubectl(&["delete", "role/load", "rolebinding/load"]);
    assert_eq!(namespace.objects(), before);
}

#[test]
fn k8s_clean_removes_what_a_killed_make_left() {
    let namespace = Namespace::new("left", &["--hold", "l2:1"]);
    let before = namespace.objects();
    let run = namespace.make("k8s", &["JOBS=4", "CLAIM=1Gi", "RUN_ID=left-1"]);
    namespace.accepted(4);
    run.signal(rustix::process::Signal::KILL);
    run.finish();
    let done = namespace.make("k8s-clean", &[]).finish();
    assert!(done.code == 2 && done.stderr.contains("still at work: left-1: name one with RUN_ID="), "{}", done.stderr);
    let again = format!("OUT={}", namespace.path("again").display());
    let done = namespace.k8s(&["JOBS=4", "RUN_ID=left-1", &again]);
    assert!(done.code == 2 && done.stderr.contains("RUN_ID=left-1: this run is in the cluster"), "{}", done.stderr);
    assert_eq!(namespace.pods().len(), 1, "another make has removed the run");
    let done = namespace.make("k8s-clean", &["RUN_ID=left-1"]).finish();
    assert!(done.code == 0 && done.stderr.contains("job.batch/stress-"), "{}", done.stderr);
    assert_eq!(namespace.objects(), before);
    let done = namespace.make("k8s-clean", &[]).finish();
    assert!(done.code == 0 && done.stderr.contains("nothing of stress-suite is in namespace left"), "{}", done.stderr);
}
