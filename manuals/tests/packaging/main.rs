//! Everything that people get besides the binaries: man pages, completions, an installation, an archive; each looked at by the
//! programs that will read it.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]
#![allow(clippy::print_stderr, reason = "what is left out is said")]

mod archive;
mod completions;
mod install;
mod pages;

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// The root of the repository.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// The directory of the binaries that were built with this test.
fn bin() -> PathBuf {
    let dir = Path::new(env!("CARGO_BIN_EXE_manuals")).parent().unwrap().to_owned();
    assert!(
        dir.join("render-report").is_file(),
        "the tools are not built: run `cargo test --workspace`, or `make test`"
    );
    dir
}

/// The names of everything that is installed, in alphabetical order.
fn names() -> Vec<String> {
    let mut names: Vec<_> = manuals::commands().iter().map(|command| command.get_name().to_owned()).collect();
    names.sort();
    names
}

/// Man pages and completions of all tools, in a directory of their own.
fn share() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let args = ["--out", dir.path().to_str().unwrap(), "--date", "2026-05-20"];
    let done = run(Command::new(env!("CARGO_BIN_EXE_manuals")).args(args));
    assert_eq!((done.code, done.stderr.as_str()), (Some(0), ""));
    assert_eq!(done.stdout.lines().count(), 4 * names().len(), "{}", done.stdout);
    dir
}

/// The result of a command.
struct Done {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

fn run(command: &mut Command) -> Done {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Done { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// Returns true if `command` is installed. In CI it has to be; elsewhere what needs it is left out, and says so.
fn have(command: &str) -> bool {
    let found = std::env::split_paths(&std::env::var_os("PATH").unwrap()).any(|dir| dir.join(command).is_file());
    assert!(found || std::env::var_os("CI").is_none(), "{command} is not installed: see scripts/need");
    if !found {
        eprintln!("left out: {command} is not installed; scripts/need installs it");
    }
    found
}

#[test]
fn every_binary_of_the_package_is_among_the_commands() {
    let mut binaries: Vec<_> = std::fs::read_dir(root().join("src/bin"))
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    binaries.push("pipeline-sim".to_owned());
    binaries.sort();
    assert_eq!(names(), binaries, "stress_suite::tools::commands() lists every tool in src/bin");
}

#[test]
fn a_directory_that_cannot_be_written_and_a_date_that_is_none_are_said() {
    let manuals = || Command::new(env!("CARGO_BIN_EXE_manuals"));
    let done = run(manuals().args(["--out", "/dev/null/share"]));
    assert_eq!(done.code, Some(74), "{}", done.stderr);
    assert!(done.stderr.starts_with("manuals: /dev/null/share/man/man1/"), "{}", done.stderr);
    let done = run(manuals().args(["--out", "share", "--date", "today"]));
    assert_eq!(done.code, Some(2));
    assert!(done.stderr.contains("--date") && done.stderr.contains("2026-05-20"), "{}", done.stderr);
}
