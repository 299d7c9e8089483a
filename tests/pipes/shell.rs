//! A real bash with `pipefail`, the tools on its PATH, a directory of its own and a bound on its time.

use std::fs;
use std::io::Read;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::Value;

use crate::support::{PATIENCE, Target, bin, root};

/// The pipe of the README, for a target in `$TARGET`; `$1` is the run directory, more flags in variables.
pub(crate) const PIPE: &str = r#"
run() {
  mkdir -p "$1"
  stage-fixtures --from "$FIXTURES" --into data/fixtures --jobs "${JOBS:-6}" --run r1 ${STAGE:-} |
  submit-jobs --concurrency "${CONCURRENCY:-3}" --slots "$1/slots" ${SUBMIT:-} |
  poll-jobs --slots "$1/slots" --min-interval 5ms ${POLL:-} |
  render-report --out "$1" --expect "${EXPECT:-all-done,all-stages}" > "$1.report"
}
"#;

/// The result of a script.
pub(crate) struct Done {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

/// A directory to run scripts in, and the stand-in that they run against.
pub(crate) struct Shell {
    pub target: Target,
}

impl Shell {
    /// With a stand-in that has the faults that `flags` name.
    pub(crate) fn new(flags: &[&str]) -> Self {
        Self { target: Target::start(flags) }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.target.dir.path().join(name)
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// The JSON file `name`.
    pub(crate) fn json(&self, name: &str) -> Value {
        serde_json::from_str(&self.read(name)).unwrap()
    }

    /// The number that the report in `dir` gives for one term of the conservation line.
    pub(crate) fn counted(&self, dir: &str, term: &str) -> u64 {
        self.json(&format!("{dir}/report.json"))["status"]["conservation"][term].as_u64().unwrap()
    }

    /// The script as a process, in a process group of its own.
    pub(crate) fn start(&self, script: &str) -> Running {
        let path = format!("{}:{}", bin().display(), std::env::var("PATH").unwrap());
        // A CI that runs in the background, or under nohup, has signals ignored, and a shell cannot undo that for itself.
        let child = Command::new("env")
            .args(["--default-signal=INT,TERM,HUP,QUIT", "bash", "-c", &format!("set -o pipefail\n{PIPE}\n{script}")])
            .current_dir(self.target.dir.path())
            .env_clear()
            .env("PATH", path)
            .env("HOME", self.target.dir.path())
            .env("TARGET", self.target.url())
            .env("FIXTURES", root().join("fixtures"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap();
        Running { child }
    }

    /// Runs the script to its end.
    pub(crate) fn run(&self, script: &str) -> Done {
        self.start(script).finish()
    }
}

/// A script that is running.
pub(crate) struct Running {
    child: Child,
}

impl Running {
    fn group(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap()
    }

    /// Sends `signal` to the whole group, as a terminal does.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process_group(self.group(), signal).unwrap();
    }

    /// Waits for the end, reading both outputs meanwhile. A script that hangs is killed and fails the test.
    pub(crate) fn finish(mut self) -> Done {
        let (sender, receiver) = channel();
        let outputs: [Box<dyn Read + Send>; 2] =
            [Box::new(self.child.stdout.take().unwrap()), Box::new(self.child.stderr.take().unwrap())];
        for (index, mut output) in outputs.into_iter().enumerate() {
            let sender = sender.clone();
            std::thread::spawn(move || {
                let mut bytes = Vec::new();
                output.read_to_end(&mut bytes).unwrap();
                sender.send((index, String::from_utf8_lossy(&bytes).into_owned())).unwrap();
            });
        }
        let mut texts = [String::new(), String::new()];
        let start = Instant::now();
        for _ in 0..2 {
            if let Ok((index, text)) = receiver.recv_timeout(PATIENCE.saturating_sub(start.elapsed())) {
                texts[index] = text;
            } else {
                self.signal(Signal::KILL);
                panic!("the script hangs");
            }
        }
        let status = self.child.wait().unwrap();
        let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap());
        let [stdout, stderr] = texts;
        Done { code, stdout, stderr }
    }
}

/// Returns the number of lines that contain `text`; none if the file does not exist yet.
pub(crate) fn lines_with(path: &Path, text: &str) -> usize {
    fs::read_to_string(path).map_or(0, |content| content.lines().filter(|line| line.contains(text)).count())
}
