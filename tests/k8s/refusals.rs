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
        (&["RUN_ID=a b"], "RUN_ID=a b cannot be a label"),
        (&["KUBECTL=kubectl --server https://127.0.0.1:1"], "the cluster does not answer"),
    ] {
        let done = namespace.k8s(settings);
        assert!(done.code == 2 && done.stderr.contains(message), "{settings:?}: {}", done.stderr);
        assert_eq!(namespace.objects(), before, "{settings:?}");
        assert!(!namespace.path("run/soak").exists(), "{settings:?}");
    }
    assert_eq!(namespace.sim.stats().posts, 0);
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
    let done = namespace.make("k8s-clean", &["RUN_ID=left-1"]).finish();
    assert!(done.code == 0 && done.stderr.contains("job.batch/stress-"), "{}", done.stderr);
    assert_eq!(namespace.objects(), before);
    let done = namespace.make("k8s-clean", &[]).finish();
    assert!(done.code == 0 && done.stderr.contains("nothing of stress-suite is in namespace left"), "{}", done.stderr);
}
