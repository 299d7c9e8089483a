//! `make install` and `make uninstall`.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::{Done, bin, names, root, run};

/// `make` in the repository, with the binaries as they are and what it makes elsewhere.
pub(crate) fn make(bin: &Path, into: &Path, arguments: &[&str]) -> Done {
    let mut make = Command::new("make");
    make.args(["--no-print-directory", "-C"]).arg(root()).arg("CARGO=true").args(arguments);
    make.arg(format!("BIN={}", bin.display())).arg(format!("SHARE={}", into.join("made").display()));
    // A `make test` around this must not pass its own variables on.
    run(make.env_remove("MAKEFLAGS").env_remove("MAKELEVEL"))
}

/// Every file below `dir`, relative to it.
pub(crate) fn files(dir: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut open = vec![dir.to_owned()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                found.insert(path.strip_prefix(dir).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    found
}

/// The installed files, relative to PREFIX.
pub(crate) fn installed() -> BTreeSet<String> {
    let places = |name: String| {
        [
            format!("bin/{name}"),
            format!("share/man/man1/{name}.1"),
            format!("share/bash-completion/completions/{name}"),
            format!("share/zsh/site-functions/_{name}"),
            format!("share/fish/vendor_completions.d/{name}.fish"),
        ]
    };
    names().into_iter().flat_map(places).collect()
}

#[test]
fn install_puts_exactly_what_uninstall_takes_away() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("a root");
    let destination = [&format!("DESTDIR={}", root.display()), "PREFIX=/opt/stress suite"];
    let place = root.join("opt/stress suite");

    let done = make(&bin(), dir.path(), &[&["install"], &destination[..]].concat());
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert_eq!(files(&place), installed());
    let mode = |file: &str| fs::metadata(place.join(file)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("bin/poll-jobs"), mode("share/man/man1/poll-jobs.1")), (0o755, 0o644));
    let version = run(Command::new(place.join("bin/poll-jobs")).arg("--version"));
    assert_eq!(version.stdout, format!("poll-jobs {}\n", env!("CARGO_PKG_VERSION")));

    fs::write(place.join("share/man/man1/other.1"), "of another program").unwrap();
    for _ in ["there", "and gone already"] {
        let done = make(&bin(), dir.path(), &[&["uninstall"], &destination[..]].concat());
        assert_eq!(done.code, Some(0), "{}", done.stderr);
        assert_eq!(files(&root), BTreeSet::from(["opt/stress suite/share/man/man1/other.1".to_owned()]));
    }
}
