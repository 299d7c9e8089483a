//! The image: its size, and that a pod resolves names and verifies certificates with its bundle.

use std::fs;
use std::process::Command;

use crate::namespace::{NODE, Namespace, start};
use crate::support::wait_until;

/// Runs poll-jobs in a pod against an HTTPS server by name, and returns its log. `mounts` replaces the image's bundle.
fn explain(namespace: &Namespace, pod: &str, port: u16, mounts: &str) -> String {
    namespace.apply(&format!(
        "apiVersion: v1
kind: Pod
metadata: {{name: {pod}, namespace: {}}}
spec:
  restartPolicy: Never
  automountServiceAccountToken: false
  securityContext: {{runAsNonRoot: true, seccompProfile: {{type: RuntimeDefault}}}}
  containers:
    - name: tool
      image: localhost/stress-suite:dev
      command: [poll-jobs, --target, 'https://target.test:{port}', --explain, j1]
      securityContext: {{allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {{drop: [ALL]}}}}
      volumeMounts: [{mounts}]
  volumes: [{{name: bundle, configMap: {{name: bundle, optional: true}}}}]
",
        namespace.name
    ));
    wait_until(&format!("{pod} has ended"), || {
        ["Succeeded", "Failed"]
            .contains(&namespace.kubectl(&["get", "pod", pod, "--output", "jsonpath={.status.phase}"]).as_str())
    });
    namespace.kubectl(&["logs", pod])
}

#[test]
fn a_pod_resolves_a_name_and_verifies_the_certificate() {
    let namespace = Namespace::new("image", &[]);
    let archive = fs::metadata(std::env::var("STRESS_IMAGE").unwrap()).unwrap();
    assert!(archive.len() < 40_000_000, "{} bytes, compressed", archive.len());

    let files = namespace.path("files");
    fs::create_dir_all(files.join("jobs")).unwrap();
    fs::write(files.join("jobs/j1"), r#"{"job_id": "j1", "status": "done"}"#).unwrap();
    // An authority, and a certificate of it for the name.
    let script = "printf '[req]\\ndistinguished_name = dn\\n[dn]\\n' > config
        make() { openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -config config -keyout $1.key -out $1.pem \"${@:2}\"; }
        make authority -subj /CN=authority -addext basicConstraints=critical,CA:TRUE
        make server -subj /CN=server -CA authority.pem -CAkey authority.key -addext subjectAltName=DNS:target.test";
    let made = Command::new("bash").args(["-ec", script]).current_dir(&files).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    // A port that is free now; nobody else in this network takes it.
    let port = std::net::TcpListener::bind((NODE, 0)).unwrap().local_addr().unwrap().port();
    let mut server = Command::new("openssl");
    server.args([
        "s_server",
        "-quiet",
        "-WWW",
        "-cert",
        "server.pem",
        "-key",
        "server.key",
        "-accept",
        &format!("{NODE}:{port}"),
    ]);
    let server = start(server.current_dir(&files), "");
    wait_until("the HTTPS server listens", || std::net::TcpStream::connect((NODE, port)).is_ok());

    let stranger = explain(&namespace, "stranger", port, "");
    assert!(stranger.contains("certificate") && stranger.contains("--cacert"), "{stranger}");
    let cert = format!("--from-file=ca-certificates.crt={}", files.join("authority.pem").display());
    namespace.kubectl(&["create", "configmap", "bundle", &cert]);
    let bundle = "{name: bundle, mountPath: /etc/ssl/certs/ca-certificates.crt, subPath: ca-certificates.crt}";
    let trusted = explain(&namespace, "trusted", port, bundle);
    assert!(trusted.contains("HTTP 200"), "{trusted}");
    server.signal(rustix::process::Signal::TERM);
    server.finish();
}
