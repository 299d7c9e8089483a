//! The other tools of the same pipe: a signal to one of them is a signal to the run.
//!
//! Two processes are neighbours if one's standard output is the other's standard input, as `/proc` shows it. Programs between
//! two tools, such as `tee` or `jq`, are passed by. Without `/proc`, a tool has no neighbours.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use rustix::process::{Pid, Signal, kill_process};

/// The tools that finish in order when they are asked to. The kernel keeps fifteen bytes of a name, and these are shorter.
const TOOLS: [&str; 8] = [
    "stage-fixtures",
    "await-idle",
    "submit-jobs",
    "poll-jobs",
    "capture-prom",
    "capture-jaeger",
    "capture-logs",
    "render-report",
];

/// The signal by which a tool asks its neighbours to finish. It is no user's, so it never counts as the second signal.
pub(super) const FINISH: i32 = signal_hook::consts::SIGUSR1;

/// A process with the pipes at its ends.
#[derive(Clone, Debug, PartialEq)]
struct Process {
    id: i32,
    name: String,
    stdin: Option<PathBuf>,
    stdout: Option<PathBuf>,
}

impl Process {
    fn read(id: i32) -> Option<Self> {
        let dir = PathBuf::from(format!("/proc/{id}"));
        let pipe =
            |fd: &str| fs::read_link(dir.join(fd)).ok().filter(|link| link.to_string_lossy().starts_with("pipe:"));
        let name = fs::read_to_string(dir.join("comm")).ok()?.trim().to_owned();
        Some(Self { id, name, stdin: pipe("fd/0"), stdout: pipe("fd/1") })
    }

    fn is_tool(&self) -> bool {
        TOOLS.contains(&self.name.as_str())
    }
}

/// Asks the nearest tools before and after this one in its pipe to finish in order.
pub(super) fn ask_to_finish() {
    let (before, after) = neighbours();
    for id in before.into_iter().chain(after) {
        // One that has ended meanwhile needs no signal.
        let _ = Pid::from_raw(id).map(|id| kill_process(id, Signal::USR1));
    }
}

/// Returns true if a tool before this one in its pipe has not ended.
pub(crate) fn has_tool_before() -> bool {
    !neighbours().0.is_empty()
}

fn neighbours() -> (BTreeSet<i32>, BTreeSet<i32>) {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let ids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let all: Vec<Process> =
        ids.filter_map(Process::read).filter(|one| one.stdin.is_some() || one.stdout.is_some()).collect();
    let own = i32::try_from(std::process::id()).unwrap_or_default();
    all.iter()
        .find(|one| one.id == own)
        .map(|own| (reach(own, &all, true), reach(own, &all, false)))
        .unwrap_or_default()
}

/// The nearest tools before `from`, or after it.
fn reach(from: &Process, all: &[Process], before: bool) -> BTreeSet<i32> {
    let (mut found, mut seen, mut at) = (BTreeSet::new(), BTreeSet::from([from.id]), vec![from]);
    while let Some(one) = at.pop() {
        let joins = |other: &&Process| {
            let (pipe, end) = if before { (&one.stdin, &other.stdout) } else { (&one.stdout, &other.stdin) };
            pipe.is_some() && pipe == end
        };
        for next in all.iter().filter(joins) {
            if !seen.insert(next.id) {
                continue;
            }
            if next.is_tool() {
                found.insert(next.id);
            } else {
                at.push(next);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(id: i32, name: &str, stdin: &str, stdout: &str) -> Process {
        let pipe = |text: &str| (!text.is_empty()).then(|| PathBuf::from(text));
        Process { id, name: name.to_owned(), stdin: pipe(stdin), stdout: pipe(stdout) }
    }

    #[test]
    fn the_nearest_tools_are_found_past_other_programs() {
        let all = [
            process(1, "submit-jobs", "", "a"),
            process(2, "poll-jobs", "a", "b"),
            process(3, "tee", "b", "c"),
            process(4, "render-report", "c", "d"),
            process(5, "cat", "d", ""),
            process(6, "poll-jobs", "x", "y"),
        ];
        assert_eq!(reach(&all[3], &all, true), [2].into());
        assert_eq!(reach(&all[3], &all, false), [].into());
        assert_eq!(reach(&all[1], &all, true), [1].into());
        assert_eq!(reach(&all[1], &all, false), [4].into());
        // A loop of pipes ends.
        let circle = [process(1, "cat", "a", "b"), process(2, "cat", "b", "a")];
        assert_eq!(reach(&circle[0], &circle, true), [].into());
    }
}
