//! A namespace of its own for a test, with a stand-in that its pods reach, and the volume that both share.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use pipeline_sim::{Options, Sim};
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{bin, root, wait_until};

/// The node's address, at which pods reach what runs beside the cluster.
pub const NODE: &str = "10.77.0.1";

/// A namespace that enforces the restricted Pod Security Standard, deleted when dropped.
pub struct Namespace {
    pub name: &'static str,
    pub sim: Sim,
    pub dir: TempDir,
}

/// The result of a command.
#[derive(Debug)]
pub struct Done {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

/// A command that is running.
pub struct Running(Child);

impl Namespace {
    /// With a stand-in that has the faults that `flags` name.
    pub fn new(name: &'static str, flags: &[&str]) -> Self {
        let volumes = std::env::var("STRESS_VOLUMES").expect("run this by `make test-k8s`");
        let data = PathBuf::from(volumes).join(name);
        fs::create_dir(&data).unwrap();
        fs::set_permissions(&data, fs::Permissions::from_mode(0o1777)).unwrap();
        let api = format!("{NODE}:0");
        let quick = ["--listen", &api, "--time-scale", "0.01", "--seed", "7", "--data", data.to_str().unwrap()];
        let options = Options::from_flags(quick.into_iter().chain(flags.iter().copied())).unwrap();
        let namespace = Self { name, sim: Sim::start(options).unwrap(), dir: tempfile::tempdir().unwrap() };
        namespace.apply(&format!(
            "apiVersion: v1
kind: Namespace
metadata: {{name: {name}, labels: {{pod-security.kubernetes.io/enforce: restricted}}}}
---
apiVersion: v1
kind: PersistentVolume
metadata: {{name: {name}}}
spec:
  capacity: {{storage: 1Gi}}
  accessModes: [ReadWriteMany]
  storageClassName: \"\"
  claimRef: {{namespace: {name}, name: target-data}}
  hostPath: {{path: {}, type: Directory}}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {{name: target-data, namespace: {name}}}
spec: {{accessModes: [ReadWriteMany], storageClassName: \"\", volumeName: {name}, resources: {{requests: {{storage: 1Gi}}}}}}
",
            data.display()
        ));
        // A pod is not scheduled before its claims are bound.
        let bound = "jsonpath={.status.phase}=Bound";
        namespace.kubectl(&["wait", "persistentvolumeclaim/target-data", "--for", bound, "--timeout", "60s"]);
        namespace
    }

    /// Creates or changes the objects of `manifest`.
    pub fn apply(&self, manifest: &str) {
        let done = self.kubectl_with(&["apply", "-f", "-"], manifest);
        assert_eq!(done.code, 0, "{}", done.stderr);
    }

    /// What kubectl prints in this namespace; it must succeed.
    pub fn kubectl(&self, arguments: &[&str]) -> String {
        let done = self.kubectl_with(arguments, "");
        assert_eq!(done.code, 0, "kubectl {arguments:?}: {}", done.stderr);
        done.stdout
    }

    /// Runs kubectl in this namespace with `input`.
    pub fn kubectl_with(&self, arguments: &[&str], input: &str) -> Done {
        let mut command = Command::new("kubectl");
        command.args(["--namespace", self.name]).args(arguments);
        start(&mut command, input).finish()
    }

    /// The names of all objects of a kind that a run makes, and of those that were there before.
    pub fn objects(&self) -> Vec<String> {
        let all = "jobs,pods,configmaps,secrets,persistentvolumeclaims,services,roles,rolebindings,serviceaccounts";
        let mut names: Vec<_> = self.kubectl(&["get", all, "--output", "name"]).lines().map(str::to_owned).collect();
        names.sort();
        names
    }

    /// The pods of the run's shards, by shard; a shard that was started again has several.
    pub fn pods(&self) -> Vec<Value> {
        let found = self.kubectl(&["get", "pods", "--selector", "batch.kubernetes.io/job-name", "--output", "json"]);
        let found: Value = serde_json::from_str(&found).unwrap();
        let mut pods = found["items"].as_array().unwrap().clone();
        pods.sort_by_key(|pod| (shard(pod), pod["metadata"]["creationTimestamp"].to_string()));
        pods
    }

    /// Starts `make` with the settings of every test; `settings` adds to them or replaces them.
    pub fn make(&self, target: &str, settings: &[&str]) -> Running {
        let line = self.make_line(target, settings);
        start(Command::new(&line[0]).args(&line[1..]).current_dir(root()), "")
    }

    /// Runs the same in a terminal at which somebody types `input`; stdout is what the terminal shows.
    pub fn make_at_a_terminal(&self, target: &str, settings: &[&str], input: &str) -> Done {
        let quoted =
            self.make_line(target, settings).iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" ");
        let mut command = Command::new("script");
        command.args(["--quiet", "--return", "--command", &quoted, "/dev/null"]);
        start(command.current_dir(root()), input).finish()
    }

    fn make_line(&self, target: &str, settings: &[&str]) -> Vec<String> {
        // A CI that runs in the background has SIGINT ignored, and a shell cannot undo that for itself.
        let command = [
            "env",
            "--default-signal=INT,TERM",
            "timeout",
            "--foreground",
            "240",
            "make",
            "--no-print-directory",
            target,
        ];
        let fixed =
            ["CARGO=true", "QUICK=yes", "DATA_CLAIM=target-data", "START_IN=4s", "IMAGE=localhost/stress-suite:dev"];
        let own = [
            format!("COMPONENTS={}", root().join("tests/k8s/small").display()),
            format!("NAMESPACE={}", self.name),
            format!("BIN={}", bin().display()),
            format!("TARGET={}", self.sim.url()),
            format!("OUT={}", self.path("run").display()),
            format!("PROM_URL={}", self.sim.prometheus_url()),
            format!("JAEGER_URL={}", self.sim.jaeger_url()),
        ];
        let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        [owned(&command), owned(&fixed), own.to_vec(), owned(settings)].concat()
    }

    /// Runs `make k8s` to its end.
    pub fn k8s(&self, settings: &[&str]) -> Done {
        self.make("k8s", settings).finish()
    }

    /// A path in the test's directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The text of a file in the test's directory.
    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// The status of the report in `dir`.
    pub fn report(&self, dir: &str) -> Value {
        let report: Value = serde_json::from_str(&self.read(&format!("{dir}/report.json"))).unwrap();
        report["status"].clone()
    }

    /// The Shard records of the run in `dir`, by index.
    pub fn shards(&self, dir: &str) -> Vec<Value> {
        let records = self.read(&format!("{dir}/records.ndjson"));
        let records = records.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let mut shards: Vec<_> = records.filter(|record| record["kind"] == "Shard").collect();
        shards.sort_by_key(|record| record["spec"]["shard"]["index"].as_u64());
        shards
    }

    /// Asserts that the target was asked for each of `jobs` jobs once.
    pub fn submitted_once(&self, jobs: u64) {
        let stats = self.sim.stats();
        let mut sources: Vec<_> = stats.jobs.iter().map(|job| &job.source).collect();
        sources.sort();
        sources.dedup();
        assert_eq!((stats.posts, stats.accepted, sources.len() as u64), (jobs, jobs, jobs));
    }

    /// Waits until the target has accepted `jobs` jobs.
    pub fn accepted(&self, jobs: u64) {
        wait_until(&format!("{jobs} jobs at the target"), || self.sim.stats().accepted >= jobs);
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let gone = self.kubectl_with(&["delete", "namespace", self.name, "--wait=false"], "");
        assert!(gone.code == 0 || std::thread::panicking(), "{}", gone.stderr);
    }
}

impl Running {
    /// Sends `signal` to the whole group, as a terminal does.
    pub fn signal(&self, signal: Signal) {
        kill_process_group(Pid::from_raw(i32::try_from(self.0.id()).unwrap()).unwrap(), signal).unwrap();
    }

    /// Waits for the end.
    pub fn finish(self) -> Done {
        let output = self.0.wait_with_output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Done { code: output.status.code().unwrap_or(-1), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

/// The index of a pod's shard.
pub fn shard(pod: &Value) -> usize {
    pod["metadata"]["annotations"]["batch.kubernetes.io/job-completion-index"].as_str().unwrap().parse().unwrap()
}

/// Starts `command` in a process group of its own, with `input`.
pub fn start(command: &mut Command, input: &str) -> Running {
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.process_group(0).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    Running(child)
}
