//! A bash with `pipefail` and the tools on its PATH, in a directory of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{bin, root};

/// The directory in which scripts run.
pub struct Shell {
    dir: TempDir,
    environment: Vec<(&'static str, String)>,
}

/// The result of a script.
pub struct Done {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Shell {
    /// With these variables, and no other ones but those that every tool needs.
    pub fn new(environment: &[(&'static str, &str)]) -> Self {
        let environment = environment.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        Self { dir: tempfile::tempdir().unwrap(), environment }
    }

    /// Runs the script to its end. `timeout` bounds it: a tool that hangs shall fail the test, not the whole run.
    pub fn run(&self, script: &str) -> Done {
        let path = format!("{}:{}", bin().display(), std::env::var("PATH").unwrap());
        let output = Command::new("timeout")
            .args(["--kill-after=10", "240", "bash", "-c", &format!("set -euo pipefail\n{script}")])
            .current_dir(self.dir.path())
            .env_clear()
            .env("PATH", path)
            .env("HOME", self.dir.path())
            .env("FIXTURES", root().join("fixtures"))
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .output()
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Done { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn read(&self, name: impl AsRef<Path>) -> String {
        let path = self.path(name);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// The JSON file `name`.
    pub fn json(&self, name: impl AsRef<Path>) -> Value {
        serde_json::from_str(&self.read(name)).unwrap()
    }
}

/// The last record of each name and of this kind in a stream, in the order of the names.
pub fn records(stream: &str, kind: &str) -> Vec<Value> {
    let mut last = std::collections::BTreeMap::new();
    for record in stream.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()) {
        if record["kind"] == kind {
            last.insert(record["metadata"]["name"].as_str().unwrap().to_owned(), record);
        }
    }
    last.into_values().collect()
}
