//! One man page. Written with `roff` itself: `clap_mangen` fills the end of a help, with its tables and examples, into one
//! paragraph, makes a section of each heading of options, and its lists of values are not clean to `mandoc -Tlint`.
//!
//! The end of a help is laid out for the eye, so its lines stay as they are: a title stands at the margin and ends with a colon,
//! and everything below it is indented.

use clap::builder::PossibleValue;
use clap::{Arg, Command};
use roff::{Inline, Roff, bold, italic, roman};

/// The indentation of the lines below a title.
const INDENT: &str = "  ";

/// The man page of `command` in roff, as of `date`, where that is told; `all` are the commands that it may refer to.
pub(crate) fn page(command: &Command, all: &[Command], date: Option<&str>) -> String {
    let mut command = command.clone();
    command.build();
    let name = command.get_name().to_owned();
    let about = |text: Option<&clap::builder::StyledStr>| text.map(ToString::to_string).unwrap_or_default();
    let short = about(command.get_about());
    let long = about(command.get_long_about().or(command.get_about()));
    let usage = command.render_usage().to_string();

    let mut roff = Roff::new();
    let version = format!("stress-suite {}", command.get_version().unwrap_or_default());
    // An empty argument has to be spelt out, or those behind it move up.
    roff.control("TH", [name.to_uppercase().as_str(), "1", date.unwrap_or("\"\""), &version, "stress-suite"]);
    // Names of files and commands are read off the page and typed: no hyphen may get into them, no gap between them.
    roff.control("nh", []);
    roff.control("ad", ["l"]);
    roff.control("SH", ["NAME"]);
    roff.text([roman(format!("{name} - {}", short.trim_end_matches('.')))]);
    roff.control("SH", ["SYNOPSIS"]);
    roff.text(synopsis(usage.trim_start_matches("Usage:").trim()));
    roff.control("SH", ["DESCRIPTION"]);
    paragraphs(&mut roff, &long, "PP");
    options(&mut roff, &command);
    sections(&mut roff, &about(command.get_after_long_help().or(command.get_after_help())));
    see_also(&mut roff, &name, all);
    roff.render()
}

/// The usage line: what is typed as it is in bold, what stands for something in italics.
fn synopsis(usage: &str) -> Vec<Inline> {
    let mut inlines = Vec::new();
    for word in usage.split_whitespace() {
        if !inlines.is_empty() {
            inlines.push(roman(" "));
        }
        let bare = word.trim_start_matches(['[', '<']).trim_end_matches(['.', ']', '>']);
        let (open, close) = word.split_once(bare).unwrap_or((word, ""));
        // The marks around a value that the grammar does not need: `--out <DIR>` is `--out DIR` on a page that has italics.
        let (open, close) = (open.replace('<', ""), close.replace('>', ""));
        let literal = bare.starts_with('-') || inlines.is_empty();
        inlines.extend([roman(open), if literal { bold(bare) } else { italic(bare) }, roman(close)]);
    }
    inlines
}

/// Paragraphs that blank lines part, each but the first begun by the macro `between`.
fn paragraphs(roff: &mut Roff, text: &str, between: &str) {
    for (index, paragraph) in text.split("\n\n").enumerate() {
        if index > 0 {
            roff.control(between, []);
        }
        roff.text(marked(&paragraph.split_whitespace().collect::<Vec<_>>().join(" ")));
    }
}

/// Prose in which backticks mark what is typed.
fn marked(text: &str) -> Vec<Inline> {
    text.split('`').enumerate().map(|(index, part)| if index % 2 == 1 { bold(part) } else { roman(part) }).collect()
}

/// The options, those with a heading of their own in a subsection.
fn options(roff: &mut Roff, command: &Command) {
    let shown: Vec<&Arg> = command.get_arguments().filter(|argument| !argument.is_hide_set()).collect();
    let mut headings = vec![None];
    for argument in &shown {
        if !headings.contains(&argument.get_help_heading()) {
            headings.push(argument.get_help_heading());
        }
    }
    roff.control("SH", ["OPTIONS"]);
    for heading in headings {
        if let Some(heading) = heading {
            roff.control("SS", [heading]);
        }
        for argument in shown.iter().filter(|argument| argument.get_help_heading() == heading) {
            option(roff, argument);
        }
    }
}

fn option(roff: &mut Roff, argument: &Arg) {
    roff.control("TP", []);
    roff.text(term(argument));
    let help = argument.get_long_help().or(argument.get_help()).map(ToString::to_string).unwrap_or_default();
    paragraphs(roff, &help, "IP");
    let values: Vec<PossibleValue> = argument.get_possible_values().into_iter().filter(|v| !v.is_hide_set()).collect();
    if takes_value(argument) && !argument.is_hide_possible_values_set() && !values.is_empty() {
        roff.control("IP", []);
        let names: Vec<&str> = values.iter().map(PossibleValue::get_name).collect();
        roff.text([roman("Possible values: "), bold(names.join(", ")), roman(".")]);
    }
    let defaults: Vec<_> = argument.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    if takes_value(argument) && !defaults.is_empty() && !argument.is_hide_default_value_set() {
        roff.control("IP", []);
        roff.text([roman("Default: "), bold(defaults.join(",")), roman(".")]);
    }
    if let Some(variable) = argument.get_env().filter(|_| !argument.is_hide_env_set()) {
        roff.control("IP", []);
        roff.text([roman("Environment: "), bold(variable.to_string_lossy()), roman(".")]);
    }
}

fn takes_value(argument: &Arg) -> bool {
    argument.get_action().takes_values()
}

/// `-h, --help`, `--out DIR`, or the name of what stands at its place.
fn term(argument: &Arg) -> Vec<Inline> {
    let flags = [argument.get_short().map(|c| format!("-{c}")), argument.get_long().map(|name| format!("--{name}"))];
    let mut inlines = Vec::new();
    for flag in flags.into_iter().flatten() {
        if !inlines.is_empty() {
            inlines.push(roman(", "));
        }
        inlines.push(bold(flag));
    }
    if takes_value(argument) {
        let names = argument.get_value_names().unwrap_or_default();
        let names: Vec<&str> = names.iter().map(clap::builder::Str::as_str).collect();
        if !inlines.is_empty() {
            inlines.push(roman(" "));
        }
        inlines.push(italic(names.join(" ")));
    }
    inlines
}

/// The sections of the end of a help, line by line.
fn sections(roff: &mut Roff, text: &str) {
    for paragraph in text.split("\n\n") {
        let mut lines = paragraph.lines().peekable();
        if let Some(title) = lines.next_if(|line| !line.starts_with(' ')) {
            roff.control("SH", [title.trim_end_matches(':').to_uppercase().as_str()]);
        }
        roff.control("EX", []);
        for line in lines {
            roff.text(marked(line.strip_prefix(INDENT).unwrap_or(line)));
        }
        roff.control("EE", []);
    }
}

fn see_also(roff: &mut Roff, name: &str, all: &[Command]) {
    let mut others: Vec<&str> = all.iter().map(Command::get_name).filter(|other| *other != name).collect();
    others.sort_unstable();
    roff.control("SH", ["SEE ALSO"]);
    for (index, other) in others.iter().enumerate() {
        let end = if index + 1 < others.len() { "(1)," } else { "(1)" };
        roff.text([bold(*other), roman(end)]);
    }
}
