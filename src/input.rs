//! A thread that reads standard input, so that a tool that waits for several things at once can hear of a new line, or of a
//! signal, as of any other event.

use std::io::{self, BufRead, BufReader, Read};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::cli::{Failure, Io, Stop, has_tool_before};

/// Number of lines that the thread may read ahead.
const AHEAD: usize = 1000;

/// One thing that was read.
#[derive(Debug)]
pub enum Input<T> {
    /// An item.
    Item(T),
    /// Reading failed.
    Failed(io::Error),
    /// Nothing more will come.
    End,
}

/// Given back to the thread for each item that was dealt with.
#[derive(Debug)]
pub struct Permits(Receiver<()>);

impl Permits {
    /// Lets the thread read one item more.
    pub fn give(&self) {
        // Nothing is there to be taken back once the thread has ended, and that is fine.
        let _ = self.0.try_recv();
    }
}

/// Reads the items that `items` makes of `stdin`, in a thread of its own, and hands them to `deliver`.
pub fn spawn<T, I: Iterator<Item = io::Result<T>>>(
    stdin: Box<dyn BufRead + Send>,
    items: impl FnOnce(Box<dyn BufRead + Send>) -> I + Send + 'static,
    deliver: impl Fn(Input<T>) + Send + 'static,
) -> Result<Permits, Failure> {
    let (permit, permits): (SyncSender<()>, Receiver<()>) = sync_channel(AHEAD);
    let read = move || {
        for item in items(stdin) {
            // The channel is full while the thread is too far ahead, and gone when nobody listens any more.
            if permit.send(()).is_err() {
                return;
            }
            deliver(item.map_or_else(Input::Failed, Input::Item));
        }
        deliver(Input::End);
    };
    thread(read)?;
    Ok(Permits(permits))
}

fn thread(read: impl FnOnce() + Send + 'static) -> Result<(), Failure> {
    let started = std::thread::Builder::new().name("stdin".to_owned()).spawn(read);
    started.map(drop).map_err(|error| Failure::thread(&error))
}

/// The number of pieces that were read and not dealt with.
const PIECES: usize = 4;
/// The interval at which a tool that was asked to end checks whether the one before it has ended.
const LOOK: Duration = Duration::from_millis(100);
/// The silence that ends a pipe once no tool is left before this one: a program between the two may pass on slowly what the tool wrote.
const SILENCE: Duration = Duration::from_secs(1);
/// The longest time for which such a pipe is read on, so that a program that writes for ever does not keep the tool.
const LAST_LINES: Duration = Duration::from_secs(60);

/// The moment since which nothing has come from a pipe; none while a piece of it waits to be dealt with.
type WaitingSince = Arc<Mutex<Option<Instant>>>;

fn lock(waiting: &WaitingSince) -> MutexGuard<'_, Option<Instant>> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns once no tool is left before this one and what they wrote has come.
fn await_last_lines(waiting: &WaitingSince) {
    while has_tool_before() {
        std::thread::sleep(LOOK);
    }
    let ended = Instant::now();
    let is_silent = || lock(waiting).is_some_and(|since| since.max(ended).elapsed() >= SILENCE);
    while !is_silent() && ended.elapsed() < LAST_LINES {
        std::thread::sleep(LOOK);
    }
}

/// Takes standard input out of `io`. If it is a terminal, the first signal ends it, because nobody else will. A pipe is read to
/// its end as long as a tool is before this one: the signal reaches that tool too, whose last words are records, however long
/// they take. Another program may keep the pipe open for ever.
pub fn take(io: &mut Io<'_>) -> Result<Box<dyn BufRead + Send>, Failure> {
    announce_terminal(io);
    let stdin = std::mem::replace(&mut io.stdin, Box::new(io::empty()));
    until_stop(stdin, io.stdin_is_terminal, &io.stop)
}

/// Says that the tool reads from the terminal, if it does: it would seem to hang.
pub fn announce_terminal(io: &Io<'_>) {
    if io.stdin_is_terminal {
        io.console.say("reading from the terminal; Ctrl-D ends the input");
    }
}

/// Returns the input of `stdin` until the signal, and of a pipe until its end.
fn until_stop(
    mut stdin: Box<dyn BufRead + Send>,
    is_terminal: bool,
    stop: &Stop,
) -> Result<Box<dyn BufRead + Send>, Failure> {
    let (to, came) = sync_channel(PIECES);
    let (end, waiting) = (to.clone(), WaitingSince::default());
    let waiting_here = waiting.clone();
    stop.on_stop(move || {
        let (end, waiting) = (end.clone(), waiting.clone());
        let wait = move || {
            if !is_terminal {
                await_last_lines(&waiting);
            }
            // Nobody listens once the input has ended, here and below.
            drop(end.send(Ok(Vec::new())));
        };
        // Without a thread the input is read to its own end.
        let _ = thread(wait);
    });
    thread(move || {
        loop {
            *lock(&waiting_here) = Some(Instant::now());
            let read = match stdin.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                read => read.map(<[u8]>::to_vec),
            };
            *lock(&waiting_here) = None;
            let length = read.as_ref().map_or(0, Vec::len);
            stdin.consume(length);
            if to.send(read).is_err() || length == 0 {
                return;
            }
        }
    })?;
    Ok(Box::new(BufReader::new(Typed { came, held: io::Cursor::default(), ended: false })))
}

/// Typed input as the thread hands it over; an empty piece is the end.
struct Typed {
    came: Receiver<io::Result<Vec<u8>>>,
    held: io::Cursor<Vec<u8>>,
    ended: bool,
}

impl Read for Typed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let taken = self.held.read(buffer)?;
        if taken > 0 || self.ended || buffer.is_empty() {
            return Ok(taken);
        }
        // Both who could send have gone: that is an end, too.
        let piece = self.came.recv().unwrap_or_else(|_| Ok(Vec::new()))?;
        self.ended = piece.is_empty();
        self.held = io::Cursor::new(piece);
        self.held.read(buffer)
    }
}

/// The lines of `input` that are not empty, without their ends. The inner error names a line that is not text.
pub fn plain_lines(input: impl BufRead) -> impl Iterator<Item = io::Result<Result<String, String>>> {
    let text = |(index, line): (usize, Vec<u8>)| match String::from_utf8(line) {
        Ok(line) => Ok(line.trim_end_matches('\r').to_owned()),
        Err(error) => {
            let valid = error.utf8_error().valid_up_to();
            Err(format!("stdin line {}: invalid UTF-8 after {valid} bytes", index + 1))
        }
    };
    let lines = input.split(b'\n').enumerate().map(move |(index, line)| line.map(|line| text((index, line))));
    lines.filter(|line| !matches!(line, Ok(Ok(text)) if text.is_empty()))
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;
    use crate::cli::Console;

    /// Someone who typed a line, and sits there.
    struct Person(io::Cursor<&'static str>, Receiver<()>);

    impl Read for Person {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            match self.0.read(buffer)? {
                // Until the test is over.
                0 => self.1.recv().map_or(Ok(0), |()| Ok(0)),
                count => Ok(count),
            }
        }
    }

    fn taken(stdin_is_terminal: bool, stdin: impl Read + Send + 'static, stop: &Stop) -> Box<dyn BufRead + Send> {
        let mut io = Io {
            stdin: Box::new(BufReader::new(stdin)),
            stdin_is_terminal,
            stdout: &mut io::sink(),
            stdout_fd: None,
            console: Console::new("tool", Box::new(io::sink()), false),
            stop: stop.clone(),
        };
        take(&mut io).unwrap()
    }

    #[test]
    fn a_signal_ends_what_is_typed_and_keeps_what_was() {
        let (stop, (_person, sits)) = (Stop::default(), channel());
        let mut input = taken(true, Person(io::Cursor::new("typed\n"), sits), &stop);
        let mut line = String::new();
        input.read_line(&mut line).unwrap();
        stop.trigger(2);
        assert_eq!(line, "typed\n");
        assert_eq!(input.read_line(&mut line).unwrap(), 0, "the signal is the end");
        assert_eq!(input.read_line(&mut line).unwrap(), 0, "for good");
    }

    #[test]
    fn what_is_typed_may_end_by_itself() {
        let mut text = String::new();
        taken(true, "a\nb".as_bytes(), &Stop::default()).read_to_string(&mut text).unwrap();
        assert_eq!(text, "a\nb");
    }

    /// A program that passes on a line every 300 ms, and keeps its end of the pipe open for ever.
    struct SlowPipe(u32, Receiver<()>);

    impl Read for SlowPipe {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.0 == 0 {
                return self.1.recv().map_or(Ok(0), |()| Ok(0));
            }
            self.0 -= 1;
            std::thread::sleep(Duration::from_millis(300));
            buffer[..2].copy_from_slice(b"a\n");
            Ok(2)
        }
    }

    #[test]
    fn a_slow_pipe_is_read_until_it_is_silent_after_a_signal() {
        let (stop, (_program, stays)) = (Stop::default(), channel());
        stop.trigger(15);
        let began = Instant::now();
        let lines = taken(false, SlowPipe(8, stays), &stop).lines().count();
        assert_eq!(lines, 8, "they take longer than the silence that ends it");
        assert!(began.elapsed() < LAST_LINES, "it ends although the pipe does not");
    }

    #[test]
    fn a_pipe_is_read_to_its_end_after_a_signal_too() {
        let (stop, mut text) = (Stop::default(), String::new());
        stop.trigger(2);
        taken(false, "a\nb".as_bytes(), &stop).read_to_string(&mut text).unwrap();
        assert_eq!(text, "a\nb");
    }
}
