//! The origin of a refused value: the environment variable or the make variable that it came from.

use std::ffi::{OsStr, OsString};

use clap::{Arg, Command};

/// The flags that a Makefile fills from its variables: `--jobs=JOBS --concurrency=LEVELS`.
const FLAGS_OF_MAKE: &str = "STRESS_SUITE_FLAGS_OF_MAKE";
/// The end of the names of the variables in which somebody hands further flags to make.
const EXTRA_FLAGS: &str = "_FLAGS";

/// `message` about a flag with the variable that its value came from, where it came from one.
pub(super) fn with_origin(message: &str, command: &Command) -> String {
    let typed: Vec<_> = std::env::args_os().collect();
    let flags_of_make = std::env::var(FLAGS_OF_MAKE).unwrap_or_default();
    let is_typed = |flag: &str| typed.iter().any(|argument| argument.to_str().is_some_and(|text| names(text, flag)));
    let in_environment = |name: &OsStr| std::env::var_os(name).is_some();
    let text = |(name, flags): (OsString, OsString)| Some((name.into_string().ok()?, flags.into_string().ok()?));
    let mut extra: Vec<(String, String)> =
        std::env::vars_os().filter_map(text).filter(|(name, _)| name.ends_with(EXTRA_FLAGS)).collect();
    extra.sort();
    // Outside of make they are anybody's.
    let extra = if flags_of_make.is_empty() { &[][..] } else { &extra };
    origin(message, command, &is_typed, (&flags_of_make, extra), &in_environment)
        .map_or_else(|| message.to_owned(), |origin| format!("{message} ({origin})"))
}

fn origin(
    message: &str,
    command: &Command,
    is_typed: &dyn Fn(&str) -> bool,
    (flags_of_make, extra_flags): (&str, &[(String, String)]),
    in_environment: &dyn Fn(&OsStr) -> bool,
) -> Option<String> {
    let of_flag = |argument: &Arg| {
        let flag = argument.get_long().map(|name| format!("--{name}")).filter(|flag| mentions(message, flag))?;
        if !is_typed(&flag) {
            let name = argument.get_env().filter(|name| in_environment(name))?;
            return Some(format!("{flag} is the environment variable {}", name.display()));
        }
        let holds = |(_, flags): &&(String, String)| flags.split_whitespace().any(|word| names(word, &flag));
        if let Some((variable, _)) = extra_flags.iter().find(holds) {
            return Some(format!("{flag} is in make's {variable}"));
        }
        let mut variables = flags_of_make.split_whitespace().filter_map(|pair| pair.split_once('='));
        variables.find(|(name, _)| *name == flag).map(|(_, variable)| format!("{flag} is make's {variable}"))
    };
    let origins: Vec<String> = command.get_arguments().filter_map(of_flag).collect();
    (!origins.is_empty()).then(|| origins.join(", "))
}

/// Returns true if an argument of a command line is this flag, alone or with its value.
fn names(argument: &str, flag: &str) -> bool {
    argument.strip_prefix(flag).is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
}

/// Returns true if `message` names the flag, not only one that begins with it.
fn mentions(message: &str, flag: &str) -> bool {
    let ends = |rest: &str| !rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '-');
    message.match_indices(flag).any(|(at, _)| ends(&message[at + flag.len()..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_from_further_flags_names_the_variable_that_holds_them() {
        let message = "--jobs: x: no number";
        let flags = "--concurrency=LEVELS --jobs=RAMP_JOBS";
        assert_eq!(found(message, &["--jobs=x"], flags, &[]).as_deref(), Some("--jobs is in make's SUBMIT_FLAGS"));
        assert_eq!(found(message, &["--jobs=x"], "", &[]), None, "not under make");
    }

    fn command() -> Command {
        Command::new("tool")
            .arg(Arg::new("jaeger").long("jaeger").env("JAEGER_URL"))
            .arg(Arg::new("jaeger-ui").long("jaeger-ui").env("JAEGER_UI"))
            .arg(Arg::new("jobs").long("jobs"))
            .arg(Arg::new("start").long("start"))
            .arg(Arg::new("end").long("end"))
            .arg(Arg::new("shards").long("shards"))
    }

    fn found(message: &str, typed: &[&str], flags_of_make: &str, set: &[&str]) -> Option<String> {
        let is_typed = |flag: &str| typed.iter().any(|argument| names(argument, flag));
        let in_environment = |name: &OsStr| set.iter().any(|held| name == *held);
        let extra = [("POLL_FLAGS", "--deadline 10"), ("SUBMIT_FLAGS", " --rate=5/s --jobs=x ")];
        let extra = extra.map(|(name, flags)| (name.to_owned(), flags.to_owned()));
        let extra = if flags_of_make.is_empty() { &[][..] } else { &extra };
        origin(message, &command(), &is_typed, (flags_of_make, extra), &in_environment)
    }

    #[test]
    fn a_value_from_the_environment_names_its_variable() {
        let message = "--jaeger-ui: ftp://h: no address of HTTP";
        assert_eq!(
            found(message, &[], "", &["JAEGER_UI", "JAEGER_URL"]).as_deref(),
            Some("--jaeger-ui is the environment variable JAEGER_UI")
        );
        assert_eq!(found(message, &["--jaeger-ui=ftp://h"], "", &["JAEGER_UI"]), None, "it was typed");
        assert_eq!(found(message, &[], "", &[]), None);
    }

    #[test]
    fn each_of_two_flags_names_its_variable() {
        let flags = "--start=START --end=END";
        assert_eq!(
            found("check --start and --end", &["--start=-5m", "--end=-10m"], flags, &[]).as_deref(),
            Some("--start is make's START, --end is make's END")
        );
    }

    #[test]
    fn a_value_from_make_names_the_variable_of_make() {
        let message = "invalid value 'x' for '--shards <N>': invalid digit found in string";
        let flags = "--concurrency=LEVELS --shards=SHARDS";
        assert_eq!(found(message, &["--shards", "x"], flags, &[]).as_deref(), Some("--shards is make's SHARDS"));
        assert_eq!(found(message, &["--shards", "x"], "", &[]), None);
        assert_eq!(found("records are broken", &["--shards", "x"], flags, &[]), None);
    }
}
