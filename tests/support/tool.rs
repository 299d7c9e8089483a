//! Runs a tool in process, as its `main` would, with a byte slice for standard input.

use std::io::{self, Cursor, Write};
use std::sync::{Arc, Mutex};

use clap::Parser;
use serde_json::Value;
use stress_suite::cli::{Console, Io, Outcome, Stop};

/// What a tool did.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) records: Vec<Value>,
    pub(crate) stderr: String,
}

impl Ran {
    /// The records of one kind.
    pub(crate) fn of(&self, kind: &str) -> Vec<&Value> {
        self.records.iter().filter(|record| record["kind"] == kind).collect()
    }

    /// The status of the last record of that kind and name.
    pub(crate) fn status(&self, kind: &str, name: &str) -> &Value {
        let found = self.of(kind).into_iter().rfind(|record| record["metadata"]["name"] == name);
        &found.unwrap_or_else(|| panic!("no {kind} {name}: {self:?}"))["status"]
    }
}

#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Runs `run` with these arguments and this input.
pub(crate) fn ran<A: Parser>(run: impl FnOnce(A, Io<'_>) -> Outcome, arguments: &[&str], stdin: &str) -> Ran {
    ran_until(Stop::default(), run, arguments, stdin)
}

/// The same, with a hand on what a signal would do.
pub(crate) fn ran_until<A: Parser>(
    stop: Stop,
    run: impl FnOnce(A, Io<'_>) -> Outcome,
    arguments: &[&str],
    stdin: &str,
) -> Ran {
    let args = A::try_parse_from(["tool"].iter().chain(arguments)).unwrap_or_else(|error| panic!("{error}"));
    let (mut stdout, stderr) = (Vec::new(), Shared::default());
    let outcome = run(
        args,
        Io {
            stdin: Box::new(Cursor::new(stdin.to_owned().into_bytes())),
            stdin_is_terminal: false,
            stdout: &mut stdout,
            stdout_fd: None,
            console: Console::new("tool", Box::new(stderr.clone()), false),
            stop,
        },
    );
    let (code, said) = match outcome {
        Ok(exit) => (exit.code(), None),
        Err(failure) => (failure.exit().code(), failure.message().map(str::to_owned)),
    };
    let mut stderr = String::from_utf8(stderr.0.lock().unwrap().clone()).unwrap();
    stderr.extend(said.map(|said| format!("tool: {said}\n")));
    let stdout = String::from_utf8(stdout).unwrap();
    let records = stdout.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")));
    Ran { code, records: records.collect(), stderr }
}
