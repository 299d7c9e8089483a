//! A thread that reads, so that submitting never waits for input and input is never held up by more than it must be.

use std::io::{self, BufRead};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use crate::cli::Failure;
use crate::ndjson::{Read, Reader};

/// How far the reader may run ahead of what was submitted.
const AHEAD: usize = 1000;

/// One thing that was read.
#[derive(Debug)]
pub(super) enum Input {
    /// A line of the record stream.
    Line(Read),
    /// A plain source string, with `--lines`.
    Source(String),
    /// Reading failed.
    Failed(io::Error),
    /// Nothing more will come.
    End,
}

/// Given back to the reader for each line that was dealt with.
#[derive(Debug)]
pub(super) struct Permits(Receiver<()>);

impl Permits {
    /// Lets the reader read one line more.
    pub(super) fn give(&self) {
        // Nothing to take back after the reader's end, and that is fine.
        let _ = self.0.try_recv();
    }
}

/// Reads `stdin` in a thread of its own, handing what it reads to `deliver`.
pub(super) fn read(
    stdin: Box<dyn BufRead + Send>,
    lines: bool,
    deliver: impl Fn(Input) + Send + 'static,
) -> Result<Permits, Failure> {
    let (permit, permits): (SyncSender<()>, Receiver<()>) = sync_channel(AHEAD);
    let read = move || {
        let all: Box<dyn Iterator<Item = io::Result<Input>>> = if lines {
            Box::new(sources(stdin))
        } else {
            Box::new(Reader::stdin(stdin).map(|read| read.map(Input::Line)))
        };
        for input in all {
            // The channel is full when the reader is too far ahead, and gone when nobody listens any more.
            if permit.send(()).is_err() {
                return;
            }
            deliver(input.unwrap_or_else(Input::Failed));
        }
        deliver(Input::End);
    };
    std::thread::Builder::new()
        .name("stdin".to_owned())
        .spawn(read)
        .map_err(|error| Failure::io("a thread", &error))?;
    Ok(Permits(permits))
}

fn sources(stdin: Box<dyn BufRead + Send>) -> impl Iterator<Item = io::Result<Input>> {
    let sources = stdin.lines().map(|line| line.map(|line| line.trim_end_matches('\r').to_owned()));
    sources.filter(|line| !line.as_ref().is_ok_and(String::is_empty)).map(|line| line.map(Input::Source))
}
