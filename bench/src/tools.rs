//! The command lines of the tools. All peers ask for each job every 100 ms.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::work::{Tool, Work};

/// The profile of the target.
const PROFILE: &str = r#"
name = "bench"
target = "http://localhost:8000"
[health]
path = "/health"
[submit]
path = "/jobs"
id = ["/id"]
[poll]
path = "/jobs/{id}"
status = ["/status"]
[poll.words]
running = ["running"]
done = ["done"]
"#;

/// The places of everything that runs.
pub(crate) struct Places {
    /// The directory of this project.
    pub(crate) root: PathBuf,
    /// The directory of the tools under test.
    pub(crate) tools: PathBuf,
    /// The directory of the peers' programs, which bench/peers/install filled.
    pub(crate) peers: PathBuf,
}

impl Places {
    /// Returns true if `tool` is installed.
    pub(crate) fn has(&self, tool: Tool) -> bool {
        match tool {
            Tool::Ours | Tool::Curl => true,
            Tool::K6 => self.peers.join("k6").exists(),
            Tool::Locust => self.peers.join("locust").exists(),
        }
    }

    /// The pipe of `tool` for `work` against `url`, which may write to `dir`.
    pub(crate) fn pipe(&self, tool: Tool, work: &Work, url: &str, dir: &Path) -> std::io::Result<Vec<Command>> {
        let (jobs, at_once) = (work.jobs.to_string(), work.at_once.to_string());
        let script = |name: &str| self.root.join("bench/peers").join(name);
        let mut commands = match tool {
            Tool::Ours => return self.ours(&jobs, &at_once, url, dir),
            Tool::K6 => {
                let mut k6 = Command::new(self.peers.join("k6"));
                k6.args(["run", "--quiet", "--no-usage-report", "--no-summary"]).arg(script("k6.js"));
                vec![k6]
            }
            Tool::Locust => {
                let mut locust = Command::new(self.peers.join("locust"));
                locust.args(["--headless", "--only-summary", "--loglevel", "ERROR", "--run-time", "2m"]);
                locust.args(["--users", &at_once, "--spawn-rate", &at_once, "--host", url]);
                locust.arg("--locustfile").arg(script("locustfile.py"));
                vec![locust]
            }
            Tool::Curl => {
                let mut curl = Command::new("bash");
                curl.arg(script("curl.bash")).current_dir(dir);
                vec![curl]
            }
        };
        for command in &mut commands {
            command.env("TARGET", url).env("JOBS", &jobs).env("AT_ONCE", &at_once).stderr(Stdio::null());
        }
        Ok(commands)
    }

    fn ours(&self, jobs: &str, at_once: &str, url: &str, dir: &Path) -> std::io::Result<Vec<Command>> {
        let (profile, slots) = (dir.join("profile.toml"), dir.join("slots"));
        std::fs::write(&profile, PROFILE)?;
        let tool = |name: &str| Command::new(self.tools.join(name));
        let mut stage = tool("stage-fixtures");
        stage.args(["--jobs", jobs, "--from"]).arg(self.root.join("fixtures")).arg("--into").arg(dir.join("data"));
        let mut submit = tool("submit-jobs");
        submit.args(["--target", url, "--concurrency", at_once, "--profile"]).arg(&profile).arg("--slots").arg(&slots);
        let mut poll = tool("poll-jobs");
        poll.args(["--target", url, "--profile"]).arg(&profile).arg("--slots").arg(&slots);
        let mut report = tool("render-report");
        report.arg("--out").arg(dir.join("out")).args(["--quiet", "--brief", "--profile"]).arg(&profile);
        Ok(vec![stage, submit, poll, report])
    }
}
