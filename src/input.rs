//! A thread that reads standard input, so that a tool that waits for several things at once can hear of a new line as of
//! any other event.

use std::io::{self, BufRead};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use crate::cli::Failure;

/// How far the thread may run ahead of what was dealt with.
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
    std::thread::Builder::new()
        .name("stdin".to_owned())
        .spawn(read)
        .map_err(|error| Failure::io("a thread", &error))?;
    Ok(Permits(permits))
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
