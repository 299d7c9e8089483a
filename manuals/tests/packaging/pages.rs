//! The man pages: the parts that a page must have, in a layout that can be read, without a warning from any formatter.

use std::path::Path;
use std::process::Command;

use crate::{Done, have, names, run, share};

/// The page as a terminal of 100 columns shows it.
fn shown(page: &Path) -> Done {
    let done = run(Command::new("groff").args(["-Kutf8", "-Tutf8", "-P-cbou", "-man", "-ww", "-rLL=100n"]).arg(page));
    // Debian's groff keeps the minus of the source, others show the sign.
    Done { stdout: done.stdout.replace(['\u{2212}', '\u{2010}'], "-"), ..done }
}

#[test]
fn every_page_has_its_sections_and_no_formatter_complains() {
    let share = share();
    for name in names() {
        let page = share.path().join(format!("man/man1/{name}.1"));
        if have("mandoc") {
            let lint = run(Command::new("mandoc").args(["-Tlint", "-Wwarning"]).arg(&page));
            assert_eq!((lint.code, lint.stdout.as_str()), (Some(0), ""), "{name}");
        }
        if have("groff") {
            let done = shown(&page);
            assert_eq!((done.code, done.stderr.as_str()), (Some(0), ""), "{name}");
            for section in ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXAMPLES", "EXIT CODES", "SEE ALSO"] {
                let heads = done.stdout.lines().filter(|line| *line == section).count();
                assert_eq!(heads, 1, "{name}: {section}\n{}", done.stdout);
            }
            assert!(done.stdout.contains(&format!("{name} - ")), "{name}\n{}", done.stdout);
        }
    }
}

/// The lines of one section, without the blank ones.
fn section(page: &str, title: &str) -> Vec<String> {
    let lines = page.lines().skip_while(|line| *line != title).skip(1);
    let lines = lines.take_while(|line| line.is_empty() || line.starts_with(' '));
    lines.filter(|line| !line.trim().is_empty()).map(str::to_owned).collect()
}

#[test]
fn tables_and_examples_keep_their_lines() {
    if !have("groff") {
        return;
    }
    let share = share();
    let page = shown(&share.path().join("man/man1/stage-fixtures.1")).stdout;
    let codes = ["       0   done", "       2   usage error", "       74  reading or writing failed"];
    assert_eq!(section(&page, "EXIT CODES"), codes);
    let examples = section(&page, "EXAMPLES");
    let [first, second, rest, last] = examples.as_slice() else {
        panic!("the lines of commands are kept: {examples:?}")
    };
    assert!([first, second, last].iter().all(|line| line.starts_with("       stage-fixtures ")), "{examples:?}");
    assert!(second.ends_with(" \\") && rest == "         | poll-jobs --slots slots", "{examples:?}");
    let options = section(&page, "OPTIONS");
    assert!(options.iter().any(|line| line == "       --from DIR"), "{options:?}");
    assert!(options.iter().any(|line| line == "              Default: fixtures."), "{options:?}");
    assert_eq!(section(&page, "SYNOPSIS"), ["       stage-fixtures [OPTIONS]"]);

    let page = shown(&share.path().join("man/man1/capture-jaeger.1")).stdout;
    assert_eq!(section(&page, "SYNOPSIS"), ["       capture-jaeger [OPTIONS] --out DIR"]);
    let options = section(&page, "OPTIONS");
    for line in ["   Window", "   HTTP", "              Environment: JAEGER_URL."] {
        assert!(options.iter().any(|shown| shown == line), "{line}: {options:?}");
    }
    assert!(!page.contains('`'), "{page}");
}
