//! `capture-logs` as a whole: files and commands in, records and files out, soft in a run and hard alone.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod support;

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use stress_suite::tools::capture_logs;
use support::{Ran, Target, tool};
use tempfile::TempDir;

const GPU: &str = "autorag-gpu-worker";
const IO: &str = "autorag-io-worker";

/// A Run and two jobs from 22:30:00 to 22:30:30.
const STREAM: &str = concat!(
    r#"{"apiVersion":"stress/v1","kind":"Run","metadata":{"name":"soak","run":"r","labels":{"scenario":"soak"}},"status":{"clockOffset":{"seconds":0,"boundSeconds":0}}}"#,
    "\n",
    r#"{"apiVersion":"stress/v1","kind":"Job","metadata":{"name":"soak-001","run":"r"},"spec":{"source":"/a"},"status":{"phase":"Succeeded","jobId":"c0ffee00c0de","submittedAt":"2026-05-20T22:30:00Z","endedAt":"2026-05-20T22:30:20Z"}}"#,
    "\n",
    r#"{"apiVersion":"stress/v1","kind":"Job","metadata":{"name":"soak-002","run":"r"},"spec":{"source":"/b"},"status":{"phase":"Failed","jobId":"379bb927167e","submittedAt":"2026-05-20T22:30:01Z","endedAt":"2026-05-20T22:30:30Z"}}"#,
    "\n",
);

const GPU_LOG: &str = "\
2026-05-20 22:00:00,000 ERROR autorag.worker job=old stage=l1 failed
2026-05-20 22:30:01,000 INFO autorag.worker job=c0ffee00c0de stage=l1 done
2026-05-20 22:30:02,000 ERROR autorag.worker job=379bb927167e stage=l2 failed
Traceback (most recent call last):
  File \"/app/x.py\", line 1, in run
RuntimeError: out of memory
";
const IO_LOG: &str = "2026-05-20 22:30:20,000 INFO autorag.worker job=c0ffee00c0de stage=persist done\n";

/// The status of the last record of that service.
fn status_of(ran: &Ran, service: &str) -> Value {
    ran.last(service)["status"].clone()
}

struct Rig {
    dir: TempDir,
}

impl Rig {
    fn new(logs: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("from")).unwrap();
        for (service, text) in logs {
            fs::write(dir.path().join("from").join(format!("{service}.log")), text).unwrap();
        }
        Self { dir }
    }

    fn out(&self) -> String {
        self.dir.path().join("out").display().to_string()
    }

    fn run(&self, more: &[&str], stdin: &str) -> Ran {
        let (out, from) = (self.out(), self.dir.path().join("from").display().to_string());
        tool(capture_logs::run, &[&["--out", &out, "--logs", &from], more].concat(), stdin)
    }

    /// Runs with a profile whose `[logs]` command is this script.
    fn command(&self, script: &str, more: &[&str]) -> Ran {
        let command = toml::Value::from(vec!["sh", "-c", script, "sh", "{service}", "{start}", "{end}"]);
        let profile = include_str!("../profiles/autorag.toml");
        let before = profile.lines().take_while(|line| !line.starts_with("[logs]")).collect::<Vec<_>>().join("\n");
        let file = self.dir.path().join("p.toml");
        fs::write(&file, format!("{before}\n[logs]\nservices = [\"{GPU}\"]\ncommand = {command}\n")).unwrap();
        let (out, file) = (self.out(), file.display().to_string());
        tool(capture_logs::run, &[&["--out", &out, "--profile", &file, "--logs", ""], more].concat(), STREAM)
    }

    fn kept(&self, service: &str) -> String {
        fs::read_to_string(Path::new(&self.out()).join("logs").join(format!("{service}.log"))).unwrap()
    }

    fn files(&self) -> usize {
        fs::read_dir(Path::new(&self.out()).join("logs")).unwrap().count()
    }
}

#[test]
fn a_directory_of_logs_that_is_not_there_is_named_before_the_run() {
    let rig = Rig::new(&[]);
    let (there, missing) = (rig.dir.path().join("from"), rig.dir.path().join("none"));
    for (logs, lines) in [(there, 0), (missing, 1)] {
        let ran = tool(capture_logs::run, &["--check", "--out", &rig.out(), "--logs", logs.to_str().unwrap()], "");
        assert_eq!((ran.code, ran.stderr.matches("there is no such directory").count()), (0, lines), "{}", ran.stderr);
    }
}

#[test]
fn a_run_gets_its_window_its_exception_and_its_job() {
    let rig = Rig::new(&[(GPU, GPU_LOG), (IO, IO_LOG)]);
    let ran = rig.run(&[], STREAM);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, "tool: autorag-gpu-worker: 1 exception\n"));
    let mut status = status_of(&ran, GPU);
    assert!(status.as_object_mut().unwrap().remove("observedAt").is_some());
    let first = "2026-05-20 22:30:02,000 ERROR autorag.worker job=379bb927167e stage=l2 failed";
    assert_eq!(
        status,
        json!({
            "result": "ok",
            "file": "logs/autorag-gpu-worker.log",
            "lines": 5,
            "firstAt": "2026-05-20T22:30:01.000000Z",
            "lastAt": "2026-05-20T22:30:02.000000Z",
            "exceptionsFound": 1,
            "exceptions": [{
                "firstLine": first,
                "at": "2026-05-20T22:30:02.000000Z",
                "jobId": "379bb927167e",
                "traceback": format!("{first}\nTraceback (most recent call last):\n  File \"/app/x.py\", line 1, in run\nRuntimeError: out of memory"),
            }],
        })
    );
    assert_eq!(status_of(&ran, IO)["result"], "ok");
    assert_eq!(rig.kept(GPU), GPU_LOG.split_once('\n').unwrap().1);
    let record = &ran.records().into_iter().find(|record| record["kind"] == "Logs").unwrap();
    assert_eq!(record["metadata"], json!({"name": GPU, "run": "r", "labels": {"scenario": "soak"}}));
    assert_eq!(record["spec"]["start"], "2026-05-20T22:29:50.000000Z");
    assert_eq!(record["spec"]["end"], "2026-05-20T22:30:40.000000Z");
    assert!(ran.last("soak")["status"]["tools"]["tool"].is_string());
}

#[test]
fn a_missing_log_is_an_error_and_one_without_a_line_in_the_window_is_quiet() {
    let rig = Rig::new(&[(IO, "2026-05-20 20:30:20,000 INFO w x\n")]);
    let ran = rig.run(&[], STREAM);
    assert_eq!(ran.code, 0, "soft in a run");
    assert_eq!((&status_of(&ran, GPU)["result"], &status_of(&ran, GPU)["reason"]), (&json!("error"), &json!("NoLog")));
    let io = status_of(&ran, IO);
    assert_eq!((&io["result"], &io["reason"], &io["lines"]), (&json!("quiet"), &json!("NoLines"), &json!(0)));
    for advice in ["--log-utc-offset", "LOGS_QUIET=autorag-io-worker", "quiet = true"] {
        assert!(io["message"].as_str().unwrap().contains(advice), "{advice}: {io}");
    }
    assert!(ran.stderr.contains("autorag-gpu-worker.log: No such file"), "{}", ran.stderr);
    assert_eq!(rig.files(), 0, "nothing half-written");

    assert_eq!(rig.run(&["--require"], STREAM).code, 4, "one is not there, the other is: not whole");
    // Those lines lie in the window where the workers live two hours west of Greenwich.
    assert_eq!(status_of(&rig.run(&["--log-utc-offset", "-02:00"], STREAM), IO)["result"], "ok");
}

#[test]
fn exceptions_behind_a_time_of_their_own_are_found_among_other_records() {
    let log = "2026-05-20T22:30:20Z ERROR worker gave up\n\
               2026-05-20T22:30:21Z thread 'main' panicked at src/main.rs:1:1:\n\
               oops\n\
               2026-05-20T22:30:22Z INFO worker goes on\n\
               2026-05-20T22:30:23Z Traceback (most recent call last):\n  File \"x.py\", line 1, in f\nValueError: v\n\
               2026-05-20T22:30:24Z level=error msg=\"disk\"\n";
    let rig = Rig::new(&[(GPU, log), (IO, IO_LOG)]);
    let found = status_of(&rig.run(&[], STREAM), GPU)["exceptions"].clone();
    let first: Vec<_> = found.as_array().unwrap().iter().map(|one| one["firstLine"].as_str().unwrap()).collect();
    assert_eq!(first.len(), 4, "{first:?}");
    assert!(first[0].contains("gave up") && first[1].contains("panicked at"), "{first:?}");
    assert!(first[2].contains("ValueError: v") && first[3].contains("level=error"), "{first:?}");
}

#[test]
fn alone_it_is_hard_and_needs_a_window() {
    let rig = Rig::new(&[(GPU, GPU_LOG), (IO, IO_LOG)]);
    let window = ["--start", "2026-05-20T22:30:00Z", "--end", "2026-05-20T22:31:00Z"];
    let alone = rig.run(&window, "");
    assert_eq!((alone.code, alone.records().len()), (0, 2));
    assert_eq!(status_of(&alone, GPU)["exceptions"][0].get("jobId"), None, "no run, no ids");
    assert_eq!(rig.run(&[&window[..], &["--service", "other"]].concat(), "").code, 69);
    let reversed = ["--check", "--start", "2026-05-20T22:31:00Z", "--end", "2026-05-20T22:30:00Z"];
    let reversed = rig.run(&reversed, "");
    assert_eq!((reversed.code, reversed.stderr.contains("before it begins")), (2, true), "{}", reversed.stderr);
    let without = rig.run(&[], "");
    assert_eq!((without.code, without.stderr.contains("--start")), (2, true), "{}", without.stderr);
}

#[test]
fn logs_are_waived_by_name_only() {
    let rig = Rig::new(&[]);
    let (out, off) = (rig.out(), ["--logs", "off"]);
    let ran_off = tool(capture_logs::run, &[&["--out", &out], &off[..]].concat(), STREAM);
    assert_eq!(ran_off.code, 0);
    for service in [GPU, IO] {
        let status = status_of(&ran_off, service);
        assert_eq!(
            (&status["waived"], &status["reason"], &status["result"]),
            (&json!(true), &json!("Waived"), &json!("empty"))
        );
    }
    let both = tool(capture_logs::run, &["--out", &out, "--logs", "off", "--require"], STREAM);
    assert_eq!(both.code, 2);
}

#[test]
fn the_profiles_command_is_asked_for_each_service_and_its_window() {
    let rig = Rig::new(&[]);
    let ran =
        rig.command("echo \"$1 | $2 INFO asked for $1 from $2 to $3\"; echo \"$1 | $2 ERROR c0ffee00c0de\" >&2", &[]);
    let status = status_of(&ran, GPU);
    assert_eq!((&status["result"], &status["lines"]), (&json!("ok"), &json!(2)), "{status}");
    assert_eq!(status["exceptions"][0]["jobId"], "c0ffee00c0de");
    assert!(
        rig.kept(GPU)
            .contains("asked for autorag-gpu-worker from 2026-05-20T22:29:50.000000Z to 2026-05-20T22:30:40.000000Z")
    );
}

#[test]
fn a_profile_without_logs_does_not_break_the_pipe() {
    let rig = Rig::new(&[]);
    let profile = include_str!("../profiles/autorag.toml");
    let without = profile.lines().take_while(|line| !line.starts_with("[logs]")).collect::<Vec<_>>().join("\n");
    let file = rig.dir.path().join("p.toml");
    fs::write(&file, without).unwrap();
    let (out, file) = (rig.out(), file.display().to_string());
    let ran = tool(capture_logs::run, &["--out", &out, "--profile", &file, "--logs", ""], STREAM);
    assert_eq!((ran.code, ran.records().len()), (0, 4), "the Run, two Jobs, the Run with its window");
    assert!(ran.stderr.contains("names no services"), "{}", ran.stderr);
}

#[test]
fn a_command_that_fails_is_never_a_log() {
    let rig = Rig::new(&[]);
    let ran = rig.command("echo 'no such service: x' >&2; exit 1", &[]);
    let status = status_of(&ran, GPU);
    assert_eq!((&status["result"], &status["reason"]), (&json!("error"), &json!("CommandFailed")));
    assert_eq!(status["message"], "`sh`: exit status: 1: no such service: x");

    let ran = rig.command("echo '2026-05-20 22:30:01,000 INFO w'; exec sleep 1000", &["--timeout", "3s"]);
    let status = status_of(&ran, GPU);
    assert_eq!((&status["result"], &status["message"]), (&json!("partial"), &json!("`sh`: not finished after 3.00 s")));

    let ran = rig.command("true", &[]);
    assert_eq!(status_of(&ran, GPU)["reason"], "NoLines");
}

#[test]
fn a_run_in_which_nothing_was_submitted_has_no_window_and_says_so() {
    let rig = Rig::new(&[(GPU, GPU_LOG)]);
    let run = STREAM.lines().next().unwrap();
    let ran = rig.run(&[], &format!("{run}\n"));
    assert_eq!((ran.code, &status_of(&ran, GPU)["reason"]), (0, &json!("NoWindow")));
}

#[test]
fn a_log_without_times_is_kept_whole_and_proves_nothing() {
    let rig = Rig::new(&[(GPU, "a\nb\n"), (IO, IO_LOG)]);
    let ran = rig.run(&[], STREAM);
    let status = status_of(&ran, GPU);
    assert_eq!(
        (&status["result"], &status["reason"], &status["lines"]),
        (&json!("partial"), &json!("NoTimes"), &json!(2))
    );
    assert_eq!(rig.kept(GPU), "a\nb\n");
}

#[test]
fn the_clock_of_the_workers_moves_the_window() {
    let rig = Rig::new(&[(GPU, "2026-05-20 22:40:00,000 INFO w\n"), (IO, IO_LOG)]);
    let ahead = STREAM.replace(r#""seconds":0,"#, r#""seconds":600,"#);
    let ran = rig.run(&[], &ahead);
    assert_eq!(status_of(&ran, GPU)["result"], "ok");
    assert_eq!(status_of(&ran, IO)["result"], "quiet");
}

#[test]
fn a_worker_that_may_be_quiet_is_named_in_the_profile_or_at_the_prompt() {
    let rig = Rig::new(&[(GPU, GPU_LOG), (IO, "2026-05-20 20:30:20,000 INFO w x\n")]);
    assert_eq!(rig.run(&["--require"], STREAM).code, 4);
    let allowed = rig.run(&["--require", "--may-be-quiet", &format!("{IO},{GPU}")], STREAM);
    let io = status_of(&allowed, IO);
    assert_eq!((allowed.code, &io["result"], &io["mayBeQuiet"]), (0, &json!("quiet"), &json!(true)));
    assert_eq!((status_of(&allowed, GPU)["result"].clone(), allowed.stderr.contains(IO)), (json!("ok"), false));

    let profile = include_str!("../profiles/autorag.toml").replace(
        &format!("\"{GPU}\", \"{IO}\"]\ncommand"),
        &format!("\"{GPU}\", {{ name = \"{IO}\", quiet = true }}]\ncommand"),
    );
    let file = rig.dir.path().join("p.toml");
    fs::write(&file, profile).unwrap();
    let named = rig.run(&["--require", "--profile", &file.display().to_string()], STREAM);
    assert_eq!((named.code, &status_of(&named, IO)["mayBeQuiet"]), (0, &json!(true)), "{}", named.stderr);

    let wrong = rig.run(&["--may-be-quiet", "autorag-io-wroker"], STREAM);
    assert_eq!((wrong.code, wrong.stderr.contains("`autorag-io-wroker`")), (2, true), "{}", wrong.stderr);
    // A log that was rotated, or whose times are in another zone, does not show that the worker was quiet.
    fs::write(rig.dir.path().join("from").join(format!("{IO}.log")), "2026-05-21 00:30:20,000 INFO w x\n").unwrap();
    let later = rig.run(&["--require", "--may-be-quiet", IO], STREAM);
    let io = status_of(&later, IO);
    assert_eq!((later.code, &io["result"], &io["reason"]), (4, &json!("empty"), &json!("NoLines")));
    assert!(io["message"].as_str().unwrap().contains("begins at 2026-05-21T00:30:20"), "{io}");
    fs::remove_file(rig.dir.path().join("from").join(format!("{IO}.log"))).unwrap();
    let missing = rig.run(&["--require", "--may-be-quiet", IO], STREAM);
    assert_eq!((missing.code, &status_of(&missing, IO)["reason"]), (4, &json!("NoLog")), "never there is not quiet");
}

/// Logs that name the job only in a record of information, which may be about another job than the traceback below it.
const ELSEWHERE: [&str; 4] = ["compose-interleaved", "kubectl-prefix", "ray-worker", "tqdm-then-traceback"];

/// Sixty and more shapes of logs, written after the public documentation of their formats.
#[test]
fn each_shape_of_log_tells_its_exception_and_no_other() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/logs");
    let job = "7f3a9c12-55aa-4e0b-9d7c-1234567890ab";
    let stream = STREAM.replace("379bb927167e\"", &format!("{job}\",\"traceId\":\"4bf92f3577b34da6a3ce929d0e0e4736\""));
    for (kind, expected) in [("exceptions", 1), ("clean", 0)] {
        let files: Vec<_> = fs::read_dir(corpus.join(kind)).unwrap().map(|file| file.unwrap().path()).collect();
        assert!(files.len() >= 60, "{kind}: {}", files.len());
        for file in files {
            let name = file.file_stem().unwrap().to_str().unwrap();
            let out = tempfile::tempdir().unwrap();
            let (out, from) = (out.path().display().to_string(), corpus.join(kind).display().to_string());
            let ran = tool(
                capture_logs::run,
                &["--out", &out, "--logs", &from, "--settle", "0s", "--service", name],
                &stream,
            );
            let status = status_of(&ran, name);
            assert_eq!(status["exceptionsFound"], expected, "{kind}/{name}: {status}");
            let bytes = fs::read(&file).unwrap();
            let kept = fs::read(Path::new(&out).join("logs").join(format!("{name}.log"))).unwrap();
            assert_eq!(kept, bytes, "{kind}/{name}");
            let text = String::from_utf8_lossy(&bytes).to_lowercase();
            let names_job =
                [job, "4bf92f3577b34da6a3ce929d0e0e4736", "4bf92f35-77b3"].iter().any(|id| text.contains(id));
            if expected == 1 && names_job && !ELSEWHERE.contains(&name) {
                assert_eq!(status["exceptions"][0]["jobId"], job, "{name}: {text}");
            }
        }
    }
}

#[test]
fn a_stage_that_fails_at_the_stand_in_is_one_exception_of_its_job() {
    let target = Target::start(&["--fail", "l2:2"]);
    let polled = target.poll(&[], &target.submit(&["--max-posts", "1"], &target.stage(3)).stdout);
    let failed = polled.last("soak-002")["status"].clone();
    assert_eq!(failed["phase"], "Failed");
    let (out, logs) = (target.dir.path().join("run"), target.sim.logs().to_owned());
    let argv = ["--out", out.to_str().unwrap(), "--logs", logs.to_str().unwrap()];
    let ran = tool(capture_logs::run, &argv, &polled.stdout);
    let gpu = status_of(&ran, GPU);
    assert_eq!(gpu["result"], "ok", "{gpu}");
    let exceptions = gpu["exceptions"].as_array().unwrap();
    assert!(
        !exceptions.is_empty() && exceptions.iter().all(|exception| exception["jobId"] == failed["jobId"]),
        "{gpu}"
    );
    assert!(
        exceptions.iter().all(|exception| exception["traceback"].as_str().unwrap().contains("RuntimeError: ")),
        "{gpu}"
    );
    let io = status_of(&ran, IO);
    assert_eq!((&io["result"], &io["exceptionsFound"]), (&json!("ok"), &json!(0)), "{io}");
}
