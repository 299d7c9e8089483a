//! Shared by every tool's `main`: arguments, signals, diagnostics on stderr, exit codes.
//!
//! | code | meaning |
//! |---|---|
//! | 0 | done; for `render-report` and `compare-runs`: Passed |
//! | 2 | usage error |
//! | 3 | verdict Failed |
//! | 4 | verdict Incomplete |
//! | 65 | broken input lines |
//! | 69 | the target is unreachable or unhealthy |
//! | 74 | reading or writing failed |
//! | 130, 143, 129, 131 | ended by the signal itself: Ctrl-C, SIGTERM, SIGHUP, SIGQUIT |

mod console;
mod origin;
mod pipeline;
mod stop;

use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal, Write};
use std::os::fd::BorrowedFd;
use std::process::ExitCode;
use std::sync::Arc;

use clap::error::ErrorKind;
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};

use crate::own_limits;
use crate::record::Malformed;
pub use console::Console;
pub(crate) use pipeline::has_tool_before;
pub use stop::{Bound, GRACE, Grace, STOPPED, Stop};

/// The result of a tool that did its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done, or Passed.
    Done,
    /// The command line cannot be used.
    Usage,
    /// Verdict Failed.
    Failed,
    /// Verdict Incomplete.
    Incomplete,
    /// Lines of the input were broken.
    BrokenInput,
    /// The target is unreachable or unhealthy.
    Unreachable,
    /// Reading or writing failed.
    InputOutput,
    /// A signal asked for the end.
    Signal(i32),
}

impl Exit {
    /// The process's exit status, as a shell shows it.
    pub const fn code(self) -> i32 {
        match self {
            Self::Done => 0,
            Self::Usage => 2,
            Self::Failed => 3,
            Self::Incomplete => 4,
            Self::BrokenInput => 65,
            Self::Unreachable => 69,
            Self::InputOutput => 74,
            Self::Signal(number) => 128 + number,
        }
    }
}

/// An error that ends a tool.
#[derive(Debug)]
pub struct Failure {
    exit: Exit,
    message: Option<String>,
}

impl Failure {
    /// The command line, a profile or another file that the user wrote cannot be used.
    pub fn usage(message: impl Into<String>) -> Self {
        Self { exit: Exit::Usage, message: Some(message.into()) }
    }

    /// Broken lines of an input.
    pub fn broken_input(message: impl Into<String>) -> Self {
        Self { exit: Exit::BrokenInput, message: Some(message.into()) }
    }

    /// The target is unreachable or unhealthy.
    pub fn unreachable(message: impl Into<String>) -> Self {
        Self { exit: Exit::Unreachable, message: Some(message.into()) }
    }

    /// Reading or writing failed; `what` names the file, and what was done with it.
    pub fn io(what: &str, error: &io::Error) -> Self {
        Self::input_output(format!("{what}: {}", cause(error)))
    }

    /// A thread could not be started; the sentence names the limit of this host.
    pub fn thread(error: &io::Error) -> Self {
        Self::input_output(format!("a thread cannot be started: {}", own_limits::describe_error(error)))
    }

    /// Reading or writing failed, in words of one's own.
    pub fn input_output(message: impl Into<String>) -> Self {
        Self { exit: Exit::InputOutput, message: Some(message.into()) }
    }

    /// Writing to a pipe failed. If the reader has gone, that is a quiet end, because the reader had enough.
    pub fn output(what: &str, error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Self { exit: Exit::Done, message: None }
        } else {
            Self::io(what, error)
        }
    }

    /// The exit that it leads to.
    pub fn exit(&self) -> Exit {
        self.exit
    }

    /// The line for stderr; none for a quiet end.
    pub fn message(&self) -> Option<&str> {
        self.message.as_deref()
    }
}

/// Describes an error with a file, without the temporary name under which the file was to be written: nobody knows that name.
/// Of a limit on open files it says how much that is.
pub fn cause(error: &io::Error) -> String {
    if own_limits::is_about_files(error) {
        return own_limits::describe_error(error);
    }
    let text = error.to_string();
    // tempfile puts the name behind the cause, and gives no other way to the cause alone.
    let end = if error.get_ref().is_some() { text.find(" at path \"") } else { None };
    text[..end.unwrap_or(text.len())].to_owned()
}

impl From<Malformed> for Failure {
    /// A record that cannot be read or written as its kind is broken input.
    fn from(error: Malformed) -> Self {
        Self { exit: Exit::BrokenInput, message: Some(error.to_string()) }
    }
}

/// The result of a tool's `run`.
pub type Outcome = Result<Exit, Failure>;

/// The streams that a tool reads from and writes to.
pub struct Io<'a> {
    /// Standard input. Owned, so that a thread can read it.
    pub stdin: Box<dyn BufRead + Send>,
    /// True if standard input is a terminal.
    pub stdin_is_terminal: bool,
    /// Standard output: records or the report, nothing else. Holds nothing back.
    pub stdout: &'a mut dyn Write,
    /// Standard output's descriptor, to see its reader go; none in tests.
    pub stdout_fd: Option<BorrowedFd<'static>>,
    /// Standard error.
    pub console: Console,
    /// Tells when a signal asked for the end.
    pub stop: Stop,
}

/// The effect of the first SIGINT, SIGTERM, SIGHUP or SIGQUIT on a tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnSignal {
    /// It ends at once, as any program does.
    Die,
    /// It sees [`Stop`] and finishes in order; a second signal ends it at once.
    Finish,
    /// It goes on: the tools before it in the pipe end first, and their last records must not be lost.
    Outlive,
}

/// The width of `--help` in columns, where the terminal is not narrower: the texts below the flags are laid out for it.
const HELP_WIDTH: usize = 80;

/// Runs a tool as a process: reads the command line as `A`, calls `run`, says what went wrong and gives the exit code.
pub fn main<A: clap::Parser>(on_signal: OnSignal, run: impl FnOnce(A, Io<'_>) -> Outcome) -> ExitCode {
    let command = A::command().max_term_width(HELP_WIDTH);
    // The name lives as long as the process; a tool has one.
    let tool: &'static str = Box::leak(command.get_name().to_owned().into_boxed_str());
    // A dumb terminal, such as an editor's, cannot redraw a line.
    let redraws = io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|name| name != "dumb");
    let console = Console::new(tool, Box::new(io::stderr()), redraws);
    let outcome = arguments(&command, &console).and_then(|args| match args {
        Some(args) => with_stdio(args, on_signal, &console, run),
        None => Ok(Exit::Done),
    });
    let exit = match outcome {
        Ok(exit) => exit,
        Err(failure) => {
            if let Some(message) = failure.message() {
                console.say(&origin::with_origin(message, &command));
            }
            failure.exit()
        }
    };
    console.clear_progress();
    if let Exit::Signal(number) = exit {
        // The thread that heard of the signal may not have come so far.
        pipeline::ask_to_finish();
        // Ends the process by the signal itself, so that a shell or make sees what really happened.
        if let Err(error) = signal_hook::low_level::emulate_default_handler(number) {
            console.say(&format!("signal {number}: {error}"));
        }
    }
    ExitCode::from(u8::try_from(exit.code()).unwrap_or(u8::MAX))
}

/// The command line; none if help or the version was asked for and has been shown.
fn arguments<A: clap::Parser>(command: &clap::Command, console: &Console) -> Result<Option<A>, Failure> {
    // The last of several values counts, so that a script can add a user's flags to its own.
    let command = command.clone().args_override_self(true);
    let parsed = command.try_get_matches().and_then(|matches| A::from_arg_matches(&matches));
    let error = match parsed {
        Ok(args) => return Ok(Some(args)),
        Err(error) => error,
    };
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        return error.print().map(|()| None).map_err(|error| Failure::output("stdout", &error));
    }
    let typed: Vec<String> = std::env::args_os().filter_map(|word| word.into_string().ok()).collect();
    let negative = (error.kind() == ErrorKind::UnknownArgument).then(|| negative_value(&typed)).flatten();
    let message = negative.unwrap_or_else(|| in_plain_words(&one_line(&error.to_string())));
    Err(Failure::usage(format!("{message} (see {} --help)", console.tool())))
}

/// The message about a negative number behind a flag; clap takes it for a flag of its own.
fn negative_value(typed: &[String]) -> Option<String> {
    let is_number =
        |word: &str| word.strip_prefix('-').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    let pair = typed.windows(2).find(|pair| pair[0].starts_with("--") && is_number(&pair[1]))?;
    Some(format!("invalid value '{}' for '{}': it must not be negative", pair[1], pair[0]))
}

/// `message` without the standard library's words for a number that it cannot read.
fn in_plain_words(message: &str) -> String {
    let words = [
        ("invalid digit found in string", "not a whole number"),
        ("number too large to fit in target type", "too large"),
        ("cannot parse integer from empty string", "empty"),
        ("invalid float literal", "not a number"),
        ("cannot parse float from empty string", "empty"),
    ];
    words.into_iter().fold(message.to_owned(), |message, (from, to)| message.replace(from, to))
}

/// clap's message without its usage lines, on one line.
fn one_line(message: &str) -> String {
    let paragraphs =
        message.split("\n\n").filter(|text| !text.starts_with("Usage:") && !text.starts_with("For more information"));
    let lines = paragraphs.map(|text| text.split_whitespace().collect::<Vec<_>>().join(" "));
    lines.collect::<Vec<_>>().join("; ").trim_start_matches("error: ").to_owned()
}

/// Lets the process go on when the signal `number` comes.
fn outlive(number: i32) -> io::Result<()> {
    signal_hook::flag::register(number, Arc::default()).map(drop)
}

fn with_stdio<A>(args: A, on_signal: OnSignal, console: &Console, run: impl FnOnce(A, Io<'_>) -> Outcome) -> Outcome {
    // A file that may grow no further is an error of writing, not the end of the process: what was known would be lost.
    outlive(signal_hook::consts::SIGXFSZ).map_err(|error| Failure::io("signal handlers", &error))?;
    if let Err(error) = own_limits::raise() {
        console.say(&format!("cannot raise the soft limits: {error}"));
    }
    if let Some(limit) = own_limits::describe_memory() {
        console.say(&limit);
    }
    let stop = Stop::default();
    let watched = match on_signal {
        OnSignal::Die => Ok(()),
        OnSignal::Finish => watch_signals(&stop),
        OnSignal::Outlive => [SIGINT, SIGTERM, SIGHUP, SIGQUIT].into_iter().try_for_each(outlive),
    };
    watched.map_err(|error| Failure::thread(&error))?;
    let stdout_fd = rustix::stdio::stdout();
    // A file of one's own writes at once what it is given; the standard library's stdout would hold back part of a line.
    let mut stdout = stdout_fd.try_clone_to_owned().map(File::from).map_err(|error| Failure::io("stdout", &error))?;
    let stdin = io::stdin();
    let io = Io {
        stdin_is_terminal: stdin.is_terminal(),
        stdin: Box::new(BufReader::with_capacity(64 * 1024, stdin)),
        stdout: &mut stdout,
        stdout_fd: Some(stdout_fd),
        console: console.clone(),
        stop,
    };
    run(args, io)
}

/// Returns true if the process was started with this signal ignored, as `nohup` does: it stays so.
fn is_ignored(number: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default();
    mask & (1 << (number - 1)) != 0
}

fn watch_signals(stop: &Stop) -> io::Result<()> {
    // The thread's own first: a signal that was marked and never told would be waited for by whoever listens.
    let numbers: Vec<i32> =
        [SIGINT, SIGTERM].into_iter().chain([SIGHUP, SIGQUIT].into_iter().filter(|n| !is_ignored(*n))).collect();
    let mut signals = signal_hook::iterator::Signals::new(numbers.iter().chain(&[pipeline::FINISH]))?;
    for number in numbers {
        stop.mark_on(number)?;
    }
    let stop = stop.clone();
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        let (mut asked, mut users) = (false, 0);
        for number in signals.forever() {
            users += u32::from(number != pipeline::FINISH);
            if users > 1 {
                // The second one: whoever sends it wants the end now. If even that fails the process goes on as it was.
                let _ = signal_hook::low_level::emulate_default_handler(number);
            }
            if !std::mem::replace(&mut asked, true) {
                // A neighbour's request is what a SIGTERM to this tool would be, unless a user's signal comes as well.
                stop.trigger(if number == pipeline::FINISH { SIGTERM } else { number });
                pipeline::ask_to_finish();
            }
        }
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_errors_are_one_line() {
        let text = "error: the following required arguments were not provided:\n  --out <DIR>\n\nUsage: x --out <DIR>\n\nFor more information, try '--help'.\n";
        assert_eq!(one_line(text), "the following required arguments were not provided: --out <DIR>");
    }

    #[test]
    fn a_number_that_cannot_be_read_is_named_in_plain_words() {
        let typed = ["submit-jobs", "--resume", "--timeout", "-1s"].map(str::to_owned);
        assert_eq!(
            negative_value(&typed).as_deref(),
            Some("invalid value '-1s' for '--timeout': it must not be negative")
        );
        assert_eq!(negative_value(&["poll-jobs", "--bogus", "-x"].map(str::to_owned)), None);
        assert_eq!(
            in_plain_words("invalid value 'x' for '--jobs <N>': invalid digit found in string"),
            "invalid value 'x' for '--jobs <N>': not a whole number"
        );
    }
}
