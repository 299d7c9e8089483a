//! A service as a child process: started with a log of its own, waited for, stopped by its pid whatever happens.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group, test_kill_process_group};

use super::family::{self, Member};

/// A service that is not ready by then is not coming. A busy machine takes several times what a quiet one does.
const PATIENCE: Duration = Duration::from_secs(120);
/// The time that a service may take to stop by itself; RabbitMQ needs five seconds.
const GRACE: Duration = Duration::from_secs(30);
/// Between two looks at a condition.
const LOOK: Duration = Duration::from_millis(20);

/// A running service, and whatever it starts in its process group. Dropping it stops them all.
pub struct Process {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `program` in `dir` with nothing of this environment but the PATH; `set_up` adds the rest. Both outputs go to
    /// `<dir>/<name>.log`.
    ///
    /// The kernel ends the service when the thread that called this ends, so that a killed test run leaves nothing behind:
    /// whoever starts a service keeps it no longer than its thread lives.
    pub fn start(name: &'static str, program: &Path, dir: &Path, set_up: impl FnOnce(&mut Command)) -> Self {
        use std::os::unix::process::CommandExt;

        let log = dir.join(format!("{name}.log"));
        let out = File::create(&log).unwrap();
        let mut command = Command::new("setpriv");
        // Under nohup or in the background, signals are ignored, and a shell cannot undo that for itself.
        command.args(["--pdeathsig", "TERM", "--", "env", "--default-signal=INT,TERM,HUP"]).arg(program);
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap()).env("HOME", dir);
        set_up(&mut command);
        let child = command
            .current_dir(dir)
            .stdin(Stdio::null())
            .stdout(out.try_clone().unwrap())
            .stderr(out)
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("{name}: setpriv (util-linux): {error}"));
        Self { name, child, log }
    }

    /// The output of the service so far.
    pub fn log(&self) -> String {
        fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// Waits until `ready` gives something. A service that ends meanwhile, or is never ready, fails the test with its log.
    pub fn until<T>(&mut self, what: &str, mut ready: impl FnMut(&Self) -> Option<T>) -> T {
        let start = Instant::now();
        loop {
            if let Some(found) = ready(self) {
                return found;
            }
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("{} ended with {status} before: {what}\n{}", self.name, self.log());
            }
            assert!(start.elapsed() < PATIENCE, "{}: waited in vain for: {what}\n{}", self.name, self.log());
            std::thread::sleep(LOOK);
        }
    }

    /// Sends `signal` to the process alone, not to what it has started.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.group().unwrap(), signal).unwrap();
    }

    /// Sends `signal` to the process and what it has started, as a terminal does.
    pub fn signal_group(&self, signal: Signal) {
        kill_process_group(self.group().unwrap(), signal).unwrap();
    }

    /// Waits for its end.
    pub fn ended(&mut self) -> ExitStatus {
        let mut status = None;
        wait_until(&format!("{} has ended", self.name), || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }

    fn group(&self) -> Option<Pid> {
        Pid::from_raw(i32::try_from(self.child.id()).ok()?)
    }

    /// The process and all that it has started.
    pub fn members(&self) -> Vec<Member> {
        family::whole(self.child.id())
    }

    /// Asks the group to end, and makes it where it does not. True if nothing of it is left, nor of what left the group.
    fn stop(&mut self) -> bool {
        let Some(group) = self.group() else { return false };
        let members = self.members();
        for signal in [Signal::TERM, Signal::KILL] {
            // No such group: it has ended already, which the wait below finds.
            let _ = kill_process_group(group, signal);
            if signal == Signal::KILL {
                members.iter().for_each(Member::kill);
            }
            let start = Instant::now();
            while start.elapsed() < GRACE {
                // Our own child stays in the group until it is reaped.
                let reaped = matches!(self.child.try_wait(), Ok(Some(_)));
                if reaped && test_kill_process_group(group).is_err() && !members.iter().any(Member::is_alive) {
                    return true;
                }
                std::thread::sleep(LOOK);
            }
        }
        false
    }
}

/// Waits until `ready` says so.
pub fn wait_until(what: &str, mut ready: impl FnMut() -> bool) {
    let start = Instant::now();
    while !ready() {
        assert!(start.elapsed() < PATIENCE, "waited in vain until {what}");
        std::thread::sleep(LOOK);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let stopped = self.stop();
        // A second panic would abort, and what else there is to stop would stay.
        assert!(stopped || std::thread::panicking(), "{} (group {}) does not end", self.name, self.child.id());
    }
}
