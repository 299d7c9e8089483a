//! A process and everything that it started, as `/proc` shows them: some leave the process group, as Erlang's helpers do.

use std::collections::BTreeMap;
use std::fs;

use rustix::process::{Pid, Signal, kill_process};

/// A process, told by its start from a later one that was given its pid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    pub pid: u32,
    /// The command's name, cut by the kernel after 15 bytes.
    pub command: String,
    /// In clock ticks since boot.
    started: u64,
}

impl Member {
    /// Returns true if it still runs. A process that only waits to be reaped does not.
    pub fn is_alive(&self) -> bool {
        read(self.pid).is_some_and(|now| now.member.started == self.started && now.state != "Z")
    }

    /// Ends it now, if it is still there.
    pub fn kill(&self) {
        if let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw).filter(|_| self.is_alive()) {
            // It may have ended meanwhile, and that is all that was wanted.
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

struct Entry {
    member: Member,
    parent: u32,
    state: String,
}

/// The content of `/proc/<pid>/stat`.
fn read(pid: u32) -> Option<Entry> {
    let line = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The command stands in brackets and may hold anything, brackets too.
    let (head, rest) = line.rsplit_once(')')?;
    let command = head.split_once('(')?.1.to_owned();
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let started = fields.get(19)?.parse().ok()?;
    let parent = fields.get(1)?.parse().ok()?;
    Some(Entry { member: Member { pid, command, started }, parent, state: (*fields.first()?).to_owned() })
}

/// The process and everything that descends from it.
pub fn whole(ancestor: u32) -> Vec<Member> {
    let names = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = names.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let all: BTreeMap<u32, Entry> = pids.filter_map(|pid| Some((pid, read(pid)?))).collect();
    let descends = |mut pid: u32| {
        loop {
            match all.get(&pid) {
                _ if pid == ancestor => return true,
                Some(entry) => pid = entry.parent,
                None => return false,
            }
        }
    };
    all.values().filter(|entry| descends(entry.member.pid)).map(|entry| entry.member.clone()).collect()
}
