//! `make dist`: an archive that can be unpacked anywhere, made twice alike.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::install::{files, installed, make};
use crate::{Done, bin, names, root, run};

/// The binaries without what is in them for debugging only, which would take longest to pack.
fn stripped(into: &Path) -> PathBuf {
    let dir = into.join("bin");
    fs::create_dir(&dir).unwrap();
    for name in names().iter().map(String::as_str).chain(["manuals"]) {
        let done = run(Command::new("strip").arg("-o").arg(dir.join(name)).arg(bin().join(name)));
        assert_eq!(done.code, Some(0), "{}", done.stderr);
    }
    dir
}

fn bash(dir: &Path, script: &str) -> Done {
    let done = run(Command::new("bash").args(["-euo", "pipefail", "-c", script]).current_dir(dir));
    assert_eq!(done.code, Some(0), "{script}: {}{}", done.stdout, done.stderr);
    done
}

#[test]
fn the_archive_is_whole_runs_where_it_is_unpacked_and_comes_out_the_same_twice() {
    let dir = tempfile::tempdir().unwrap();
    let bin = stripped(dir.path());
    let dist = |name: &str| {
        let into = dir.path().join(name);
        let done = make(&bin, dir.path(), &["dist", &format!("DIST={}", into.display())]);
        assert_eq!(done.code, Some(0), "{}", done.stderr);
        (into, done.stdout.trim().to_owned())
    };
    let (first, printed) = dist("first");
    // Who packs it, and with which mask, must not show.
    let mask = fs::metadata(bin.join("poll-jobs")).unwrap().permissions().mode();
    fs::set_permissions(bin.join("poll-jobs"), fs::Permissions::from_mode(mask & !0o077)).unwrap();
    let (second, _) = dist("second");
    let sums = fs::read_to_string(first.join("SHA256SUMS")).unwrap();
    assert_eq!(sums, fs::read_to_string(second.join("SHA256SUMS")).unwrap());

    let rustc = run(Command::new("rustc").arg("-vV")).stdout;
    let triple = rustc.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    let name = format!("stress-suite-{}-{triple}", env!("CARGO_PKG_VERSION"));
    assert_eq!(printed, first.join(format!("{name}.tar.gz")).to_str().unwrap());
    assert_eq!(files(&first), BTreeSet::from([format!("{name}.tar.gz"), "SHA256SUMS".to_owned()]));
    bash(&first, "sha256sum --check --strict SHA256SUMS");
    let listed = bash(&first, "tar --list --verbose --numeric-owner --gzip --file *.tar.gz").stdout;
    assert!(listed.lines().all(|line| line.split_whitespace().nth(1) == Some("0/0")), "{listed}");
    assert!(listed.lines().all(|line| line.contains(&format!(" {name}/"))), "everything is below one folder: {listed}");

    let unpacked = dir.path().join("elsewhere");
    fs::create_dir(&unpacked).unwrap();
    bash(&unpacked, "tar -xzf ../first/*.tar.gz");
    let place = unpacked.join(&name);
    let held = files(&place);
    assert!(held.is_superset(&installed()), "{held:?}");
    for file in ["README.md", "LICENSE-MIT", "LICENSE-APACHE", "profiles/autorag.toml", "docs/tools.md"] {
        assert!(held.contains(file), "{file}: {held:?}");
    }
    let crates = fs::read_to_string(place.join("licences/crates.txt")).unwrap();
    assert!(crates.lines().any(|line| line.starts_with("ureq\t")), "{crates}");
    for line in crates.lines() {
        let [name, version, licence, without @ ..] = &line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("{line}")
        };
        let text = format!("licences/{name}-{version}/");
        assert_eq!(held.iter().any(|file| file.starts_with(&text)), without.is_empty(), "{line}");
        assert!(!licence.is_empty(), "{line}");
    }
    let version = bash(&place, "bin/render-report --version").stdout;
    assert_eq!(version, format!("render-report {}\n", env!("CARGO_PKG_VERSION")));
    // The README's recipes find what they need beside it.
    let staged = bash(&place, "bin/stage-fixtures --jobs 1 | tail -n 1").stdout;
    assert!(staged.contains(r#""phase":"Staged""#), "{staged}");
    for file in held.iter().filter(|file| !file.starts_with("bin/")) {
        let bytes = fs::read(place.join(file)).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains(root().to_str().unwrap()), "{file} names a directory of this machine");
    }
}
