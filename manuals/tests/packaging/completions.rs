//! The completions, in the shells that load them.

use std::process::Command;

use crate::{have, names, run, share};

/// The completions that bash offers for the words of a command line, the last of which is being typed. Its own machinery is asked: the
/// function that `complete` registered is called as readline calls it.
fn bash_offers(share: &std::path::Path, words: &[&str]) -> Vec<String> {
    let script = r#"
        source "$1/bash-completion/completions/$2"
        shift
        registered=$(complete -p "$1")
        [[ $registered =~ -F\ ([^ ]+) ]]
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMP_LINE=$*
        COMP_POINT=${#COMP_LINE}
        # It ends with the status of its last search, which may have found nothing.
        "${BASH_REMATCH[1]}" "$1" "${COMP_WORDS[-1]}" "${COMP_WORDS[-2]}" || true
        printf '%s\n' "${COMPREPLY[@]}""#;
    let mut bash = Command::new("bash");
    bash.args(["--norc", "--noprofile", "-euc", script, "bash"]).arg(share).args(words);
    let done = run(&mut bash);
    assert_eq!((done.code, done.stderr.as_str()), (Some(0), ""), "{words:?}");
    done.stdout.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

#[test]
fn bash_completes_flags_values_and_files() {
    let share = share();
    let offers = |words: &[&str]| bash_offers(share.path(), words);
    assert_eq!(offers(&["render-report", "--ex"]), ["--expect"]);
    assert_eq!(offers(&["render-report", "--out", "a", "--repl"]), ["--replay"]);
    assert_eq!(offers(&["capture-jaeger", "--api", "v"]), ["v3", "v1"]);
    let file = share.path().join("man");
    assert_eq!(offers(&["capture-prom", "--out", file.to_str().unwrap()]), [file.to_str().unwrap()]);
    assert_eq!(offers(&["render-report", "--nothing"]), [""; 0]);
    for name in names() {
        let all = offers(&[&name, "--"]);
        assert!(all.iter().any(|flag| flag == "--help") && all.len() > 3, "{name}: {all:?}");
    }
}

#[test]
fn zsh_and_fish_can_read_theirs() {
    let share = share();
    for name in names() {
        if have("zsh") {
            let file = share.path().join(format!("zsh/site-functions/_{name}"));
            let done = run(Command::new("zsh").arg("-n").arg(&file));
            assert_eq!((done.code, done.stderr.as_str()), (Some(0), ""), "{name}");
        }
        if have("fish") {
            let file = share.path().join(format!("fish/vendor_completions.d/{name}.fish"));
            let done = run(Command::new("fish").env("HOME", share.path()).arg("--no-execute").arg(&file));
            assert_eq!((done.code, done.stderr.as_str()), (Some(0), ""), "{name}");
        }
    }
}

#[test]
fn fish_completes_flags_with_what_they_mean() {
    if !have("fish") {
        return;
    }
    let share = share();
    let script = format!(
        "source {}/fish/vendor_completions.d/render-report.fish; complete --do-complete 'render-report --ex'",
        share.path().display()
    );
    let done = run(Command::new("fish").env("HOME", share.path()).args(["--no-config", "-c", &script]));
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert!(done.stdout.starts_with("--expect\tJudge by"), "{}", done.stdout);
}
