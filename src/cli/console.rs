//! Everything that a tool writes to stderr.

use std::io::Write;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::escape;
use crate::secrets::Secrets;

/// Standard error: lines that begin with the tool's name, and one line of progress on a terminal.
#[derive(Clone, Debug)]
pub struct Console {
    tool: &'static str,
    sink: Arc<Mutex<Sink>>,
    secrets: Secrets,
}

#[derive(derive_more::Debug)]
#[debug("Sink")]
struct Sink {
    out: Box<dyn Write + Send>,
    terminal: bool,
    /// A line of progress is on the terminal.
    progress: bool,
    /// The beginning of the work whose progress is shown.
    since: Option<Instant>,
    last_progress: Option<Instant>,
}

/// The longest message, in characters: an id or a body of a target may be of any length.
const LONGEST_LINE: usize = 4000;
/// Redraw interval of the progress line on a terminal.
const REDRAW: Duration = Duration::from_millis(200);
/// If stderr is not a terminal: the time before the first line of progress, and the shortest and longest time between two. Work
/// that takes less needs no line, and a log of hours none every few seconds.
const FIRST_LINE: Duration = Duration::from_secs(3);
const NEXT_LINE: Duration = Duration::from_secs(10);
const LAST_LINE: Duration = Duration::from_secs(30);

impl Console {
    /// Writes to `out` in the name of `tool`.
    pub fn new(tool: &'static str, out: Box<dyn Write + Send>, terminal: bool) -> Self {
        let sink = Sink { out, terminal, progress: false, since: None, last_progress: None };
        Self { tool, sink: Arc::new(Mutex::new(sink)), secrets: Secrets::default() }
    }

    /// The tool's name.
    pub fn tool(&self) -> &'static str {
        self.tool
    }

    /// The secrets that it strikes out of all that it writes.
    pub fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// Says one line. Control characters in it are spelt out.
    pub fn say(&self, message: &str) {
        let line = format!("{}: {}\n", self.tool, self.printable(message));
        let mut sink = self.sink();
        sink.erase();
        // If stderr itself cannot be written, there is no place left for a message.
        let _ = sink.out.write_all(line.as_bytes()).and_then(|()| sink.out.flush());
    }

    /// Writes lines without the tool's name: a summary for a person at the terminal. Control characters in them are spelt out.
    pub fn show(&self, lines: impl IntoIterator<Item = String>) {
        let text: String = lines.into_iter().map(|line| self.printable(&line) + "\n").collect();
        let mut sink = self.sink();
        sink.erase();
        let _ = sink.out.write_all(text.as_bytes()).and_then(|()| sink.out.flush());
    }

    /// Shows how far the work has come: one line that is redrawn on a terminal; elsewhere a plain line after a few seconds,
    /// and then ever less often. `text` is only made if it will be shown.
    pub fn progress(&self, text: impl FnOnce() -> String) {
        let mut sink = self.sink();
        let now = Instant::now();
        let since = *sink.since.get_or_insert(now);
        if now < next_progress(sink.terminal, since, sink.last_progress) {
            return;
        }
        sink.last_progress = Some(now);
        let text = self.printable(&text());
        let line = if sink.terminal {
            sink.progress = true;
            // Without the terminal's wrapping: what is redrawn must not leave the rest of a long line above it.
            format!("\r\x1b[K\x1b[?7l{}: {}\x1b[?7h", self.tool, escape::start(&text, 150))
        } else {
            format!("{}: {text}\n", self.tool)
        };
        let _ = sink.out.write_all(line.as_bytes()).and_then(|()| sink.out.flush());
    }

    /// Does `work`, and says after a few seconds what it waits for, which `text` tells with the longest time that it may take.
    pub fn while_waiting<T>(&self, text: impl FnOnce() -> String + Send, work: impl FnOnce() -> T) -> T {
        let (done, is_over) = channel::<()>();
        thread::scope(|scope| {
            let announce = move || {
                if is_over.recv_timeout(FIRST_LINE) == Err(RecvTimeoutError::Timeout) {
                    self.say(&text());
                }
            };
            // Without a thread the wait is silent.
            let _ = thread::Builder::new().name("waiting".to_owned()).spawn_scoped(scope, announce);
            let result = work();
            drop(done);
            result
        })
    }

    /// Takes the line of progress away: that work is done.
    pub fn clear_progress(&self) {
        let mut sink = self.sink();
        sink.erase();
        (sink.since, sink.last_progress) = (None, None);
    }

    /// `text` without secrets, with its control characters spelt out, and cut if it is too long for a line.
    fn printable(&self, text: &str) -> String {
        escape::start(&escape::terminal(&self.secrets.strike(text)), LONGEST_LINE)
    }

    fn sink(&self) -> MutexGuard<'_, Sink> {
        self.sink.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The moment at which progress is shown next, if the work began at `since` and its progress was shown last at `last`.
fn next_progress(terminal: bool, since: Instant, last: Option<Instant>) -> Instant {
    match last {
        None if terminal => since,
        None => since + FIRST_LINE,
        Some(last) if terminal => last + REDRAW,
        // When the work has lasted half as long again.
        Some(last) => last + ((last - since) / 2).clamp(NEXT_LINE, LAST_LINE),
    }
}

impl Sink {
    fn erase(&mut self) {
        if std::mem::take(&mut self.progress) {
            let _ = self.out.write_all(b"\r\x1b[K").and_then(|()| self.out.flush());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn without_a_terminal_progress_comes_after_seconds_and_ever_less_often() {
        let since = Instant::now();
        let (mut last, mut shown) = (None, Vec::new());
        while last.is_none_or(|last| last < since + Duration::from_secs(200)) {
            let next = next_progress(false, since, last);
            shown.push((next - since).as_secs());
            last = Some(next);
        }
        assert_eq!(shown, [3, 13, 23, 34, 51, 77, 107, 137, 167, 197, 227]);
        assert_eq!(next_progress(true, since, None), since, "a terminal shows it at once");
    }

    #[test]
    fn progress_is_one_line_that_leaves_nothing_behind() {
        let kept = Kept::default();
        let console = Console::new("t", Box::new(kept.clone()), true);
        console.progress(|| "1 of 2\x1b".to_owned());
        console.progress(|| unreachable!("not before it is due again"));
        console.say("done");
        let text = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
        let drawn = format!("\r\x1b[K\x1b[?7lt: {}\x1b[?7h", escape::terminal("1 of 2\x1b"));
        assert_eq!(text, format!("{drawn}\r\x1b[Kt: done\n"));

        let plain = Kept::default();
        Console::new("t", Box::new(plain.clone()), false).progress(|| "never so early".to_owned());
        assert!(plain.0.lock().unwrap().is_empty());
    }
}
