//! The exit codes that the three captures share, because one driver chooses them.

use std::fs;
use std::path::Path;

use stress_suite::tools::{capture_jaeger, capture_logs, capture_prom};

use crate::server::{Reply, Server};
use crate::support::{Ran, tool};
use crate::{BARE, JOB, ONE, answering, envelope};

/// The traces of one service in the window of [`JOB`].
const TRACES: &str = r#"{"result":{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"q"}}]},"scopeSpans":[{"spans":[{"traceId":"00000000000000000000000000000001","spanId":"0000000000000001","name":"x","startTimeUnixNano":"1700000001000000000","endTimeUnixNano":"1700000002000000000"}]}]}]}}"#;

/// The tools and the directories that they write to.
const TOOLS: [(&str, &str); 3] =
    [("capture-logs", "logs"), ("capture-prom", "prometheus"), ("capture-jaeger", "jaeger")];

/// A place with a back end for each tool that has something for `q`.
struct Rig {
    dir: tempfile::TempDir,
    prometheus: Server,
    jaeger: Server,
}

impl Rig {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("bare.toml"), BARE).unwrap();
        fs::create_dir(dir.path().join("workers")).unwrap();
        fs::write(dir.path().join("workers/q.log"), "2023-11-14 22:13:30,000 INFO ready\n").unwrap();
        let prometheus = answering(|_| Reply::json(envelope(ONE)));
        Self { dir, prometheus, jaeger: Server::new(|_| Reply::json(TRACES)) }
    }

    /// Runs a tool on the back end, or with it switched off, for `q` or for nothing.
    fn run(&self, name: &str, out: &Path, is_on: bool, has_items: bool, flags: &[&str], stdin: &str) -> Ran {
        let logs = self.dir.path().join("workers");
        let (logs, prometheus, jaeger) = if is_on {
            (logs.to_str().unwrap().to_owned(), self.prometheus.url(), self.jaeger.url())
        } else {
            ("off".to_owned(), String::new(), String::new())
        };
        let (source, item) = match name {
            "capture-logs" => (["--logs", &logs], ["--service", "q"]),
            "capture-prom" => (["--prometheus", &prometheus], ["--query", "q=up"]),
            _ => (["--jaeger", &jaeger], ["--service", "q"]),
        };
        let profile = self.dir.path().join("bare.toml");
        let common = ["--out", out.to_str().unwrap(), "--profile", profile.to_str().unwrap(), "--settle", "0s"];
        let argv = [&common[..], &source, if has_items { &item } else { &[] }, flags].concat();
        match name {
            "capture-logs" => tool(capture_logs::run, &argv, stdin),
            "capture-prom" => tool(capture_prom::run, &argv, stdin),
            _ => tool(capture_jaeger::run, &argv, stdin),
        }
    }
}

/// The reason in the last record of `q`.
fn reason(ran: &Ran) -> String {
    ran.last("q")["status"]["reason"].as_str().unwrap_or("").to_owned()
}

#[test]
fn what_is_there_comes_whole() {
    let rig = Rig::new();
    for (name, directory) in TOOLS {
        let out = rig.dir.path().join("whole");
        let ran = rig.run(name, &out, true, true, &["--require"], JOB);
        // A single look at the traces cannot tell that no more will come.
        let code = if name == "capture-jaeger" { [0, 4] } else { [0, 0] };
        assert!(code.contains(&ran.code), "{name}: {} {}", ran.code, ran.stdout);
        assert!(out.join(directory).read_dir().unwrap().count() > 0, "{name}: {}", ran.stderr);
    }
}

#[test]
fn a_directory_or_a_file_that_cannot_be_written_is_74() {
    let rig = Rig::new();
    for (name, directory) in TOOLS {
        let is_file = rig.dir.path().join("bare.toml");
        let ran = rig.run(name, &is_file, true, true, &[], JOB);
        assert_eq!((ran.code, ran.stdout.as_str()), (74, ""), "{name}: {}", ran.stderr);
        assert!(ran.stderr.contains(directory), "{name}: {}", ran.stderr);

        // The file's name is taken by a directory.
        for (stdin, flags) in [(JOB, &[][..]), ("", &["--start", "1700000000", "--end", "1700000060"])] {
            let out = rig.dir.path().join("taken");
            for file in ["q.json", "q.log"] {
                fs::create_dir_all(out.join(directory).join(file).join("inside")).unwrap();
            }
            let ran = rig.run(name, &out, true, true, flags, stdin);
            assert_eq!((ran.code, reason(&ran).as_str()), (74, "NotWritten"), "{name}: {}", ran.stderr);
        }
    }
}

#[test]
fn a_window_that_nothing_tells_is_a_usage_error_alone_and_a_reason_in_a_run() {
    let rig = Rig::new();
    let out = rig.dir.path().join("out");
    let run = JOB.lines().next().unwrap().to_owned() + "\n";
    let mut messages = Vec::new();
    for (name, _) in TOOLS {
        let alone = rig.run(name, &out, true, true, &[], "");
        assert_eq!((alone.code, alone.stdout.as_str()), (2, ""), "{name}: {}", alone.stderr);
        messages.push(alone.stderr);
        for (flags, code) in [(&[][..], 0), (&["--require"], 4)] {
            let ran = rig.run(name, &out, true, true, flags, &run);
            assert_eq!((ran.code, reason(&ran).as_str()), (code, "NoWindow"), "{name}: {}", ran.stderr);
        }
    }
    messages.dedup();
    assert_eq!(messages.len(), 1, "one wording: {messages:?}");
    assert!(messages[0].contains("--start"), "{messages:?}");
}

#[test]
fn a_profile_that_names_nothing_is_a_usage_error_alone_and_recorded_in_a_run() {
    let rig = Rig::new();
    let out = rig.dir.path().join("out");
    for (name, _) in TOOLS {
        let alone = rig.run(name, &out, true, false, &["--start", "1700000000", "--end", "1700000060"], "");
        assert_eq!((alone.code, alone.stdout.as_str()), (2, ""), "{name}: {}", alone.stderr);
        let ran = rig.run(name, &out, true, false, &[], JOB);
        assert_eq!(ran.code, 0, "{name}: {}", ran.stderr);
        assert_eq!(ran.last("r")["status"]["unasked"], serde_json::json!(["tool"]), "{name}");
        for (flags, stdin) in [(&[][..], ""), (&[][..], JOB)] {
            assert_eq!(rig.run(name, &out, false, false, flags, stdin).code, 0, "{name}: switched off");
        }
    }
}

#[test]
fn a_capture_that_is_switched_off_needs_no_window_and_fails_nothing() {
    let rig = Rig::new();
    let out = rig.dir.path().join("out");
    for (name, _) in TOOLS {
        for stdin in ["", JOB] {
            let ran = rig.run(name, &out, false, true, &[], stdin);
            assert_eq!(ran.code, 0, "{name}: {}", ran.stderr);
            assert_eq!(reason(&ran), if name == "capture-logs" { "Waived" } else { "Off" }, "{name}");
        }
    }
}
