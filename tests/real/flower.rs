//! Flower over Celery: the tools against a target that nobody wrote for them, by a profile alone. The example's own script
//! starts it, with a RabbitMQ and a Prometheus of its own.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::http;
use crate::shell::records;
use crate::stack::family::Member;
use crate::stack::process::Process;
use crate::support::{bin, root};

/// The last line that a script writes before it waits to be released.
const DONE: &str = "all of it has run";
/// The tasks that end well, by Flower's own count.
const SUCCEEDED: &str = r#"flower_events_total{task="tasks.digest",type="task-succeeded",worker="worker@localhost"}"#;

/// The example, running a script.
struct Flower {
    process: Process,
    dir: TempDir,
}

impl Flower {
    /// Starts it with `flags`, for as long as the lines of bash in `script` run and then until it is let go. Everything
    /// that they write lies below `$DIR`.
    fn start(flags: &[&str], script: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let make = "make() { command make --no-print-directory CARGO=true BIN=\"$TOOLS\" OUT=\"$DIR/run\" CAPTURE_FLAGS='--pad 3s' \"$@\"; }";
        let wait = format!("mkfifo \"$DIR/go\"\necho '{DONE}'\nread -r _ < \"$DIR/go\"");
        let script = format!("set -euo pipefail\ncd \"$ROOT\"\n{make}\n{script}\n{wait}\n");
        let process = Process::start("flower", &root().join("examples/flower/start"), dir.path(), |command| {
            command.args(flags).args(["--", "bash", "-c", &script]).env("TMPDIR", dir.path());
            command.env("ROOT", root()).env("TOOLS", bin()).env("DIR", dir.path());
            // Where Celery and Flower were installed.
            for name in ["HOME", "XDG_CACHE_HOME", "STRESS_SUITE_CACHE"] {
                command.envs(std::env::var_os(name).map(|value| (name, value)));
            }
        });
        let mut flower = Self { process, dir };
        flower
            .process
            .until("the script has run", |process| process.log().lines().any(|line| line == DONE).then_some(()));
        flower
    }

    /// The value that the script printed after `name=`.
    fn said(&self, name: &str) -> String {
        let log = self.process.log();
        let value = log.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        value.unwrap_or_else(|| panic!("no {name} in:\n{log}")).to_owned()
    }

    fn read(&self, name: &str) -> String {
        let path = self.dir.path().join(name);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}\n{}", path.display(), self.process.log()))
    }

    fn json(&self, name: &str) -> Value {
        serde_json::from_str(&self.read(name)).unwrap()
    }

    /// Lets the script end, and gives the exit code and what of it all is still there.
    fn end(mut self) -> (Option<i32>, Vec<Member>) {
        let members = self.process.members();
        for command in ["python", "beam.smp", "epmd", "prometheus"] {
            assert!(members.iter().any(|member| member.command.starts_with(command)), "no {command}: {members:?}");
        }
        fs::write(self.dir.path().join("go"), "\n").unwrap();
        let code = self.process.ended().code();
        self.nothing_stays();
        (code, alive(members))
    }

    /// The only files that a run may leave in its private directory: those that the script and the tools wrote.
    fn nothing_stays(&self) {
        let names = fs::read_dir(self.dir.path()).unwrap().map(|entry| entry.unwrap().file_name());
        let left: Vec<_> = names.filter(|name| name.to_string_lossy().starts_with("flower-")).collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

fn alive(members: Vec<Member>) -> Vec<Member> {
    members.into_iter().filter(Member::is_alive).collect()
}

#[test]
fn soak_and_ramp_pass_and_count_what_flower_counts() {
    let flower = Flower::start(
        &[],
        "echo \"metrics=$TARGET/metrics\"
         make soak || cat \"$DIR/run/soak/report.md\"
         make ramp LEVELS='1 2' RAMP_JOBS=2",
    );
    let report = flower.json("run/soak/report.json");
    let said = || format!("{report:#}\n{}", flower.process.log());
    assert_eq!(report["status"]["verdict"], "Passed", "{}", said());
    assert_eq!(report["spec"]["expect"].to_string(), r#"["all-done","all-stages","no-exceptions"]"#);
    assert!(!report["status"]["doubts"].to_string().contains("left no record"), "{}", said());
    assert_eq!(report["status"]["limitingStage"], "tasks.digest");
    let figures = &report["status"]["figures"];
    assert_eq!(figures["stages.tasks.digest.histogramCount"], 12.0, "{}", said());

    let stream = flower.read("run/soak/records.ndjson");
    let jobs = records(&stream, "Job");
    assert_eq!(jobs.len(), 12);
    for job in &jobs {
        let (times, stage) = (&job["status"]["serverTimes"], &job["status"]["stages"][0]);
        let all = ["queuedAt", "startedAt", "endedAt"].map(|name| times[name].as_str().unwrap_or_default());
        // The sender stamps the sending and the worker the start, so a start may be a moment before its sending.
        assert!(!all[0].is_empty() && all[1..].is_sorted(), "{job}");
        assert_eq!(all, ["queuedAt", "startedAt", "endedAt"].map(|name| stage[name].as_str().unwrap()), "{job}");
        assert_eq!(job["status"]["targetStatus"], "SUCCESS");
    }
    let idle = &flower.json("run/soak/manifest.json")["status"]["idle"];
    assert_eq!(idle["idle"], true, "{idle}");
    every_query_brought_something(&flower, &stream);
    let log = flower.read("run/soak/logs/celery-worker.log");
    assert_eq!(log.lines().filter(|line| line.contains(" succeeded in ")).count(), 12, "{log}");

    let index = flower.json("run/ramp/index.json");
    assert_eq!(index["status"]["verdict"], "Passed", "{index:#}\n{}", flower.process.log());
    let metrics = http::get(&flower.said("metrics")).unwrap().text;
    let counted = metrics.lines().find_map(|line| line.strip_prefix(SUCCEEDED)).map(str::trim);
    assert_eq!(counted, Some("16.0"), "12 jobs of the soak and twice 2 of the ramp:\n{metrics}");
    assert_eq!(flower.end(), (Some(0), Vec::new()));
}

/// Flower was fresh, so the last sample of what succeeded is how many jobs the soak had.
fn every_query_brought_something(flower: &Flower, stream: &str) {
    let series = records(stream, "Series");
    assert_eq!(series.len(), 9, "{series:?}");
    for record in &series {
        let name = record["metadata"]["name"].as_str().unwrap();
        assert!(record["status"]["series"].as_u64().is_some_and(|count| count > 0), "{record}");
        let stored = flower.json(&format!("run/soak/prometheus/{name}.raw.json"));
        let result = stored["data"]["result"].as_array().unwrap();
        assert!(result.iter().all(|series| !series["values"].as_array().unwrap().is_empty()), "{name}");
        if name == "task_events" {
            let of_type = |kind: &str| result.iter().find(|series| series["metric"]["type"] == kind).unwrap();
            let last = |kind: &str| of_type(kind)["values"].as_array().unwrap().last().unwrap()[1].clone();
            for kind in ["task-sent", "task-received", "task-started", "task-succeeded"] {
                assert_eq!(last(kind), "12", "{kind}");
            }
        }
    }
}

#[test]
fn tasks_that_fail_are_named_and_the_password_stays_secret() {
    let broken = "mkdir \"$DIR/broken\"
         cp fixtures/short.webm \"$DIR/broken/1.webm\"
         cp fixtures/medium.webm \"$DIR/broken/2.webm\"
         printf 'no video' > \"$DIR/broken/3.webm\"";
    let flower = Flower::start(
        &["--auth"],
        &format!(
            "{broken}
             headers=${{SUBMIT_FLAGS#*\\'}}
             sed 's/.* Basic /password=/' \"${{headers%\\'}}\"
             echo refused=$(echo x | \"$TOOLS/submit-jobs\" --profile \"$PROFILE\" --lines | jq -c .status.httpStatus)
             make soak JOBS=6 FIXTURES=\"$DIR/broken\" && exit 1"
        ),
    );
    assert_eq!(flower.said("refused"), "401");
    let status = flower.json("run/soak/report.json")["status"].clone();
    let said = || format!("{status:#}\n{}", flower.process.log());
    assert_eq!((&status["verdict"], &status["conservation"]["failed"]), (&"Failed".into(), &2.into()), "{}", said());
    let named: Value = vec!["soak-003", "soak-006"].into();
    for criterion in status["criteria"].as_array().unwrap() {
        assert_eq!((&criterion["verdict"], &criterion["jobs"]), (&"Failed".into(), &named), "{}", said());
    }
    for job in records(&flower.read("run/soak/records.ndjson"), "Job") {
        let broken = named.as_array().unwrap().contains(&job["metadata"]["name"]);
        let message = job["status"]["message"].as_str().unwrap_or_default();
        assert_eq!(job["status"]["phase"] == "Failed", broken, "{job}");
        assert_eq!(message.contains("is not a WebM file: it begins with b'no v'"), broken, "{job}");
        assert_eq!(job["status"]["body"].as_str().unwrap().contains("Traceback"), broken, "{job}");
    }
    let password = flower.said("password");
    assert!(password.len() > 20, "{password}");
    let mut files = BTreeSet::new();
    for entry in walkdir::WalkDir::new(flower.dir.path().join("run")).into_iter().map(Result::unwrap) {
        if entry.file_type().is_file() {
            let holds = fs::read(entry.path()).unwrap().windows(password.len()).any(|part| part == password.as_bytes());
            assert!(!holds, "{}", entry.path().display());
            files.insert(entry.into_path());
        }
    }
    assert!(files.len() > 10, "{files:?}");

    // Ended in the middle, it passes the signal on and stops everything.
    let (members, mut flower) = (flower.process.members(), flower);
    flower.process.signal(Signal::TERM);
    assert_eq!(flower.process.ended().code(), Some(143));
    flower.nothing_stays();
    assert_eq!(alive(members), Vec::new());
}

/// The block of the example's page that is to be typed in a shell beside it.
fn typed() -> String {
    let page = fs::read_to_string(root().join("examples/flower/README.md")).unwrap();
    let block = page.split("```sh\n").find(|block| block.contains("curl ")).unwrap();
    block.split("```").next().unwrap().to_owned()
}

#[test]
fn the_page_is_true_and_nothing_outlives_a_start_that_is_killed() {
    let here = "cd \"$DIR\"; ln -s \"$ROOT/fixtures\" fixtures; PATH=$TOOLS:$PATH";
    let mut flower = Flower::start(&[], &format!("{here}\n{}", typed()));
    let said = flower.process.log();
    for expected in ["\"task-id\": \"", "404 Not Found", "\"phase\": \"Done\"", "\"SUCCESS\", which means Done"] {
        assert!(said.contains(expected), "{expected} in:\n{said}");
    }
    let members = flower.process.members();
    flower.process.signal(Signal::KILL);
    flower.process.ended();
    // The script that it ran is not its service, and waits still.
    fs::write(flower.dir.path().join("go"), "\n").unwrap();
    crate::stack::process::wait_until("nothing is left", || members.iter().all(|member| !member.is_alive()));
}

#[test]
fn what_cannot_run_is_said_in_a_line() {
    let script = root().join("examples/flower/start");
    let run = |program: &Path, arguments: &[&str]| {
        let dir = tempfile::tempdir().unwrap();
        let mut process = Process::start("start", program, dir.path(), |command| {
            command.args(arguments);
        });
        (process.ended().code(), process.log())
    };
    let (code, said) = run(&script, &["--processes", "0"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("--processes: at least 1"), "{said}");
    let (code, said) = run(&script, &["--help"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("Exit codes:"), "{said}");
}
