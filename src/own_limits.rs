//! This process's own limits: descriptors, processes, ports. They are the harness's, and never charged to the target.

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors that a tool needs beside its connections: files, pipes, looking a host's name up.
const RESERVED: u64 = 16;

/// Address space that is enough for ten thousand jobs in flight, in bytes.
const ADDRESS_SPACE: u64 = 256 << 20;

/// Raises the soft limits on open files, threads and address space to the hard ones.
pub fn raise() -> io::Result<()> {
    for resource in [Resource::Nofile, Resource::Nproc, Resource::As] {
        let limit = getrlimit(resource);
        if limit.current != limit.maximum {
            setrlimit(resource, Rlimit { current: limit.maximum, ..limit })?;
        }
    }
    Ok(())
}

/// The sentence about a limit on address space below which a process may end without another word: what gets no memory cannot
/// tell of it.
pub fn describe_memory() -> Option<String> {
    let limit = getrlimit(Resource::As).current.filter(|limit| *limit < ADDRESS_SPACE)?;
    Some(format!(
        "there is a limit of {} MiB on this process's memory; with less than {} MiB it may end without a record: raise it (ulimit -Hv)",
        limit >> 20,
        ADDRESS_SPACE >> 20
    ))
}

/// The number of files that may be open at once; none without a limit.
pub fn open_files() -> Option<u64> {
    getrlimit(Resource::Nofile).current
}

/// The number of files that are open now. Without /proc, the usual few are assumed to be.
fn open_now() -> u64 {
    std::fs::read_dir("/proc/self/fd").map_or(RESERVED, |entries| entries.count() as u64)
}

/// The number of connections that fit below the limit on open files.
pub fn connections() -> usize {
    let free = open_files().map_or(u64::MAX, |limit| limit.saturating_sub(open_now() + RESERVED));
    usize::try_from(free).unwrap_or(usize::MAX).max(1)
}

/// Returns true for an error that says that this host has run out of something, before anything was sent.
pub fn is_exhausted(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let own = [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::NOBUFS, Errno::ADDRNOTAVAIL, Errno::AGAIN];
    error.raw_os_error().is_some_and(|code| own.iter().any(|errno| errno.raw_os_error() == code))
}

/// Returns true for an error that says that no more files can be open.
pub fn is_about_files(error: &io::Error) -> bool {
    use rustix::io::Errno;
    matches!(error.raw_os_error().map(Errno::from_raw_os_error), Some(Errno::MFILE | Errno::NFILE))
}

/// Describes an error for which [`is_exhausted`] is true: the limit, how much it allows, and how to raise it.
pub fn describe_error(error: &io::Error) -> String {
    use rustix::io::Errno;
    let limit = match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::ADDRNOTAVAIL) => format!(
            "no local port is free; net.ipv4.ip_local_port_range gives {}, and a connection occupies one until a minute after its end: widen that range",
            local_ports().map_or("too few".to_owned(), |ports| ports.to_string())
        ),
        Some(Errno::MFILE) => format!(
            "a limit of {} open files; {} and one for each request at a time are enough: raise the hard limit (ulimit -Hn, LimitNOFILE=)",
            open_files().unwrap_or(u64::MAX),
            2 * RESERVED
        ),
        Some(Errno::NFILE) => "the whole system's limit on open files; raise fs.file-max".to_owned(),
        Some(Errno::AGAIN) => no_threads(),
        Some(Errno::NOMEM | Errno::NOBUFS) => "no memory is left; raise ulimit -v or MemoryMax=".to_owned(),
        _ => return error.to_string(),
    };
    format!("{error}: {limit}")
}

/// The number of local ports that connections may have; none if the system does not say.
fn local_ports() -> Option<u64> {
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok()?;
    let mut ends = range.split_whitespace().map(str::parse::<u64>);
    let (first, last) = (ends.next()?.ok()?, ends.next()?.ok()?);
    Some((last + 1).saturating_sub(first))
}

/// The sentence about `wanted` requests at once, each of them `a` such, for which there are only so many `threads`, of `most` that
/// the tool would start.
pub fn describe(wanted: usize, a: &str, threads: usize, most: usize) -> String {
    describe_with(wanted, a, (threads, most), open_files().unwrap_or(u64::MAX), open_now())
}

/// The same with a limit of `files`, some of which are `open` now.
fn describe_with(wanted: usize, a: &str, (threads, most): (usize, usize), files: u64, open: u64) -> String {
    let many = |count: u64, one: &str| format!("{count} {one}{}", if count == 1 { "" } else { "s" });
    let (wanted, have) = (wanted as u64, threads as u64);
    let asked = format!("{} at once", many(wanted, a));
    if threads == 0 {
        return format!("no thread can be started for {asked}: {}", no_threads());
    }
    let asked = format!("{asked} {} more than", if wanted == 1 { "is" } else { "are" });
    if threads >= most {
        return format!("{asked} the {} that this tool starts at most", many(have, "thread"));
    }
    // As `connections` reckons: a thread needs one descriptor.
    if files < have + 3 * RESERVED {
        // One connection is tried even where the limit leaves no room for it.
        let enough = if have > 1 { files + wanted.saturating_sub(have) } else { open + RESERVED + wanted };
        return format!(
            "{asked} the {} for which a limit of {files} open files leaves room; a limit of {enough} is enough: raise the hard limit \
             (ulimit -Hn, LimitNOFILE=)",
            many(have, "connection")
        );
    }
    format!("{asked} the {} that this system allows: {}", many(have, "thread"), no_threads())
}

/// The limits that may keep this process from starting a thread, and how to raise them.
fn no_threads() -> String {
    let processes =
        getrlimit(Resource::Nproc).current.map_or("no limit".to_owned(), |limit| format!("a limit of {limit}"));
    format!(
        "there is {processes} on this user's processes and threads; raise it, or the limits on memory and tasks (ulimit -Hu, ulimit -v, \
         TasksMax=, MemoryMax=)"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn running_out_is_told_from_being_refused() {
        for (code, own) in [(24, true), (23, true), (99, true), (111, false), (104, false), (113, false)] {
            assert_eq!(is_exhausted(&io::Error::from_raw_os_error(code)), own, "{code}");
        }
        assert!(connections() >= 1);
    }

    #[test]
    fn a_limit_says_how_much_there_is_and_how_much_is_needed() {
        let text = |wanted, threads, files| describe_with(wanted, "submission", (threads, 100), files, 9);
        assert_eq!(
            text(24, 1, 16),
            "24 submissions at once are more than the 1 connection for which a limit of 16 open files leaves room; a limit of 49 is \
             enough: raise the hard limit (ulimit -Hn, LimitNOFILE=)"
        );
        assert!(
            text(24, 15, 40)
                .contains("the 15 connections for which a limit of 40 open files leaves room; a limit of 49 is")
        );
        assert_eq!(
            text(101, 100, 1 << 20),
            "101 submissions at once are more than the 100 threads that this tool starts at most"
        );
        assert!(text(1, 0, 1 << 20).starts_with("no thread can be started for 1 submission at once: there is "));
        assert!(
            text(9, 8, 1 << 20)
                .starts_with("9 submissions at once are more than the 8 threads that this system allows: ")
        );
    }

    #[test]
    fn an_error_names_the_limit_and_how_much_it_allows() {
        let text = |code: i32| describe_error(&io::Error::from_raw_os_error(code));
        assert!(text(11).contains("processes and threads") && text(11).contains("ulimit -Hu"), "{}", text(11));
        let ports = local_ports().unwrap_or_default();
        assert!(ports == 0 || text(99).contains(&format!("ip_local_port_range gives {ports}")), "{}", text(99));
        assert!(text(99).contains("os error 99"));
        assert!(
            text(24).contains(&format!("limit of {} open files", open_files().unwrap_or(u64::MAX))),
            "{}",
            text(24)
        );
        assert!(text(23).contains("fs.file-max") && text(12).contains("memory"));
    }
}
