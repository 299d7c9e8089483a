//! The server accepts the base with every set of components.

use std::fs;

use crate::namespace::Namespace;
use crate::support::root;

#[test]
fn the_server_accepts_every_overlay() {
    let namespace = Namespace::new("overlays", &[]);
    let components: Vec<_> = fs::read_dir(root().join("deploy/kubernetes/components")).unwrap().collect();
    let components: Vec<_> =
        components.into_iter().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert!(components.len() >= 3, "{components:?}");
    for set in 0..1 << components.len() {
        let chosen: Vec<_> = components
            .iter()
            .enumerate()
            .filter(|(index, _)| set >> index & 1 == 1)
            .map(|(_, name)| name.as_str())
            .collect();
        // Below the repository, because Kustomize reads a base by a relative path only.
        let overlay = tempfile::tempdir_in(root().join("deploy/kubernetes")).unwrap();
        let list = chosen.iter().map(|name| format!("../components/{name}")).collect::<Vec<_>>().join(", ");
        let kustomization = format!(
            "resources: [../base]\nnamespace: {}\ncomponents: [{list}]\nimages: [{{name: stress-suite, newName: localhost/stress-suite, newTag: dev}}]\n",
            namespace.name,
        );
        fs::write(overlay.path().join("kustomization.yaml"), kustomization).unwrap();
        let overlay = overlay.path().to_str().unwrap();
        let printed = namespace.kubectl(&["apply", "--dry-run=server", "--kustomize", overlay]);
        assert!(printed.contains("job.batch/stress created (server dry run)"), "{chosen:?}: {printed}");
        // The Job's pods are made later, and a warning is all that tells of a pod that the namespace would refuse.
        let quiet = namespace.kubectl_with(&["apply", "--dry-run=server", "--kustomize", overlay], "");
        assert!(!quiet.stderr.contains("PodSecurity"), "{chosen:?}: {}", quiet.stderr);
    }
}
