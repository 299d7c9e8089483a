//! Chromium as a process that is spoken to by the `DevTools` protocol (chromedevtools.github.io/devtools-protocol).
//!
//! `--remote-debugging-pipe` is used: messages in JSON, each ended by a zero byte, on descriptors 3 and 4. There is no port
//! that anybody else could reach, and the browser ends when the pipes close, whatever becomes of the test.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

/// No answer may take longer: then the browser hangs, and that is the failure.
const PATIENCE: Duration = Duration::from_secs(60);

/// A browser of the test's own, with a profile of its own.
pub struct Chromium {
    child: Child,
    requests: Option<ChildStdin>,
    answers: Receiver<Value>,
    events: Vec<Value>,
    last: u64,
    profile: TempDir,
}

impl Chromium {
    /// Starts it. None where it is not installed, which is said; in CI that is a failure.
    pub fn start() -> Option<Self> {
        if !installed("chromium") {
            return None;
        }
        let profile = tempfile::tempdir().unwrap();
        let log = File::create(profile.path().join("stderr")).unwrap();
        // The shell moves the pipes to the descriptors that the protocol wants, and becomes the browser.
        let mut child = Command::new("sh")
            .args(["-c", "exec chromium \"$@\" 3<&0 4>&1 </dev/null >/dev/null", "sh"])
            .args(["--headless", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"])
            .args(["--no-first-run", "--disable-background-networking", "--disable-component-update"])
            .args(["--disable-sync", "--disable-quic", "--disable-extensions", "--hide-scrollbars", "--mute-audio"])
            .arg(format!("--user-data-dir={}", profile.path().join("profile").display()))
            .env("HOME", profile.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let requests = child.stdin.take();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let (sender, answers) = channel();
        std::thread::spawn(move || {
            let mut message = Vec::new();
            while matches!(output.read_until(0, &mut message), Ok(1..)) {
                let value = serde_json::from_slice(message.strip_suffix(&[0]).unwrap_or(&message));
                // A test that has ended listens no longer.
                let Ok(()) = sender.send(value.unwrap()) else { return };
                message.clear();
            }
        });
        Some(Self { child, requests, answers, events: Vec::new(), last: 0, profile })
    }

    /// Calls a method and gives its result; `session` is the page that it is for, if any.
    pub fn call(&mut self, session: Option<&str>, method: &str, params: Value) -> Value {
        self.last += 1;
        let id = self.last;
        let mut request = json!({"id": id, "method": method, "params": params});
        if let Some(session) = session {
            request["sessionId"] = json!(session);
        }
        let requests = self.requests.as_mut().unwrap();
        requests.write_all(format!("{request}\0").as_bytes()).unwrap();
        let deadline = Instant::now() + PATIENCE;
        loop {
            let mut message = self.receive(deadline, method);
            if message["id"] == id {
                assert!(message.get("error").is_none(), "{method} {params}: {message}");
                return message["result"].take();
            }
            self.events.push(message);
        }
    }

    /// Waits for an event of this name, and gives it. Those that came before it stay.
    pub fn wait_for(&mut self, method: &str) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(at) = self.events.iter().position(|event| event["method"] == method) {
                return self.events.remove(at);
            }
            let event = self.receive(deadline, method);
            self.events.push(event);
        }
    }

    /// Takes the events that came and that nobody waited for.
    pub fn events(&mut self) -> Vec<Value> {
        std::mem::take(&mut self.events)
    }

    fn receive(&self, deadline: Instant, what: &str) -> Value {
        let left = deadline.saturating_duration_since(Instant::now());
        self.answers.recv_timeout(left).unwrap_or_else(|error| {
            let said = std::fs::read_to_string(self.profile.path().join("stderr")).unwrap_or_default();
            panic!("waiting for {what}: {error}\n{said}")
        })
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        // It ends with its pipe. What does not is killed, so that no test leaves a browser behind.
        drop(self.requests.take());
        let start = Instant::now();
        while self.child.try_wait().is_ok_and(|status| status.is_none()) {
            if start.elapsed() > Duration::from_secs(10) {
                let _gone = self.child.kill();
                let _reaped = self.child.wait();
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Returns true if `command` is on this machine. In CI it has to be; elsewhere what needs it is left out, and says so.
pub fn installed(command: &str) -> bool {
    let found = std::env::split_paths(&std::env::var_os("PATH").unwrap()).any(|dir| dir.join(command).is_file());
    assert!(found || std::env::var_os("CI").is_none(), "{command} is not installed: see scripts/need");
    if !found {
        eprintln!("left out: {command} is not installed; scripts/need installs it");
    }
    found
}

/// The text of a PDF, as a reader of the printed page sees it; none if there is no `pdftotext`.
pub fn text_of_pdf(file: &Path) -> Option<String> {
    if !installed("pdftotext") {
        return None;
    }
    let done = Command::new("pdftotext").arg("-layout").arg(file).arg("-").output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    Some(String::from_utf8(done.stdout).unwrap())
}
