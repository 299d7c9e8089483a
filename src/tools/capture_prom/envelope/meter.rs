//! A reader that knows how far it was read, to the byte, and refuses to read an element without end.

use std::cell::Cell;
use std::io::{self, BufRead, BufReader, Read};

use super::ELEMENT_LIMIT;

/// The same for what is not kept: statistics and traces of the query, white space at the end.
const SKIPPED_LIMIT: u64 = 16 * ELEMENT_LIMIT;

/// How far was read, and how far may be.
#[derive(Debug)]
pub(in super::super) struct Meter {
    position: Cell<u64>,
    limit: Cell<u64>,
}

impl Default for Meter {
    fn default() -> Self {
        Self { position: Cell::new(0), limit: Cell::new(ELEMENT_LIMIT) }
    }
}

impl Meter {
    /// How many bytes were read.
    pub(super) fn position(&self) -> u64 {
        self.position.get()
    }

    /// From here on an element begins that is kept whole.
    pub(super) fn keep(&self) {
        self.limit.set(self.position.get().saturating_add(ELEMENT_LIMIT));
    }

    /// From here on something begins of which nothing is kept but how deep it is nested.
    pub(super) fn skip(&self) {
        self.limit.set(self.position.get().saturating_add(SKIPPED_LIMIT));
    }
}

/// The reader. It reads ahead from its source and counts what it handed out.
pub(super) struct Metered<'a, R> {
    source: BufReader<R>,
    meter: &'a Meter,
}

impl<'a, R: Read> Metered<'a, R> {
    pub(super) fn new(source: R, meter: &'a Meter) -> Self {
        Self { source: BufReader::with_capacity(64 * 1024, source), meter }
    }
}

impl<R: Read> Read for Metered<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.meter.position.get() >= self.meter.limit.get() {
            return Err(io::Error::other("one element of the answer is larger than any that Prometheus sends"));
        }
        let ready = self.source.fill_buf()?;
        let count = ready.len().min(buffer.len());
        buffer[..count].copy_from_slice(&ready[..count]);
        self.source.consume(count);
        self.meter.position.set(self.meter.position.get() + count as u64);
        Ok(count)
    }
}
