//! The man pages and shell completions of the tools, made of the command lines that they themselves parse.
//!
//! `manuals` is a tool of packagers and of `make install`; it is not installed.

mod page;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::Command;
use clap_complete::aot::{Shell, generate};
use stress_suite::cli::{Exit, Failure, Io, Outcome};

const HELP: &str = "\
Input:
  none

Output:
  one line per file written below DIR:
  man/man1/TOOL.1                      with `man`
  bash-completion/completions/TOOL     with `completions`
  zsh/site-functions/_TOOL             with `completions`
  fish/vendor_completions.d/TOOL.fish  with `completions`

Examples:
  manuals --out /usr/local/share
  manuals --out build/share --date 2026-05-20 man

Exit codes:
  0   done
  2   usage error
  74  writing failed";

/// Write the man pages and shell completions of all tools to their places below a `share` directory.
#[derive(Debug, Clone, clap::Parser)]
#[command(name = "manuals", version, after_help = HELP)]
pub struct Args {
    /// Write below this directory; created if missing
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Date the man pages, such as with the date of the last commit [default: no date]
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = date)]
    pub date: Option<String>,
    /// Write only man pages or only completions [default: both]
    #[arg(value_name = "man|completions", hide_possible_values = true)]
    pub what: Vec<What>,
}

/// The kinds of files that can be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum What {
    /// Man pages of section 1
    Man,
    /// Completions for bash, zsh and fish
    Completions,
}

/// The shells that are served, each with the place where its completions are looked for.
const SHELLS: [(Shell, &str); 3] = [
    (Shell::Bash, "bash-completion/completions"),
    (Shell::Zsh, "zsh/site-functions"),
    (Shell::Fish, "fish/vendor_completions.d"),
];

/// The command lines of everything that is installed.
pub fn commands() -> Vec<Command> {
    let mut commands = stress_suite::tools::commands();
    commands.push(pipeline_sim::cli::command());
    commands
}

/// Runs the tool.
pub fn run(args: Args, io: Io<'_>) -> Outcome {
    let asked = |what| args.what.is_empty() || args.what.contains(&what);
    let (commands, mut files) = (commands(), Vec::new());
    for command in &commands {
        if asked(What::Man) {
            let name = format!("man/man1/{}.1", command.get_name());
            files.push((name, page::page(command, &commands, args.date.as_deref()).into_bytes()));
        }
        if asked(What::Completions) {
            files.extend(SHELLS.iter().map(|(shell, place)| completion(command, *shell, place)));
        }
    }
    for (name, bytes) in &files {
        let path = args.out.join(name);
        write(&path, bytes).map_err(|error| Failure::io(&path.display().to_string(), &error))?;
        writeln!(io.stdout, "{name}").map_err(|error| Failure::output("stdout", &error))?;
    }
    Ok(Exit::Done)
}

/// A date as it stands on a man page.
fn date(text: &str) -> Result<String, String> {
    let shape = text.bytes().map(|byte| if byte.is_ascii_digit() { b'0' } else { byte });
    if shape.eq(*b"0000-00-00") { Ok(text.to_owned()) } else { Err("write it as 2026-05-20".to_owned()) }
}

/// The file name below `share` and the script that completes `command` in `shell`.
fn completion(command: &Command, shell: Shell, place: &str) -> (String, Vec<u8>) {
    let tool = command.get_name();
    // bash looks for a file that is called as the command is, zsh for a function with an underscore before it.
    let file = match shell {
        Shell::Bash => tool.to_owned(),
        Shell::Zsh => format!("_{tool}"),
        _ => format!("{tool}.{shell}"),
    };
    let mut script = Vec::new();
    generate(shell, &mut command.clone(), tool, &mut script);
    (format!("{place}/{file}"), script)
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    fs::write(path, bytes)
}
