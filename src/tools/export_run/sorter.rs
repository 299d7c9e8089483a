//! Sorting more events than memory shall hold: full blocks are sorted and laid aside in files without a name, and merged.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read as _, Seek as _, Write as _};

/// Number of events that are held in memory: some two MiB.
const HELD: usize = 1 << 16;
/// The size of an event in a file.
const BYTES: usize = 20;

/// A change of the series `series` at a moment, in microseconds since the epoch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Event {
    pub(super) series: u32,
    pub(super) at: i64,
    pub(super) value: f64,
}

impl Event {
    fn key(self) -> (u32, i64, u64) {
        (self.series, self.at, self.value.to_bits())
    }

    fn to_bytes(self) -> [u8; BYTES] {
        let mut bytes = [0; BYTES];
        bytes[..4].copy_from_slice(&self.series.to_le_bytes());
        bytes[4..12].copy_from_slice(&self.at.to_le_bytes());
        bytes[12..].copy_from_slice(&self.value.to_le_bytes());
        bytes
    }

    fn from_bytes(bytes: [u8; BYTES]) -> Self {
        let [a, b, c, d, rest @ ..] = bytes;
        let (mut at, mut value) = ([0; 8], [0; 8]);
        at.copy_from_slice(&rest[..8]);
        value.copy_from_slice(&rest[8..]);
        Self { series: u32::from_le_bytes([a, b, c, d]), at: i64::from_le_bytes(at), value: f64::from_le_bytes(value) }
    }
}

/// Events in the order of their series and times.
#[derive(Debug)]
pub(super) struct Sorter {
    held: Vec<Event>,
    blocks: Vec<File>,
    limit: usize,
}

impl Default for Sorter {
    fn default() -> Self {
        Self { held: Vec::new(), blocks: Vec::new(), limit: HELD }
    }
}

impl Sorter {
    /// Takes one more event.
    pub(super) fn push(&mut self, event: Event) -> io::Result<()> {
        self.held.push(event);
        if self.held.len() >= self.limit {
            self.held.sort_unstable_by_key(|event| event.key());
            let mut out = BufWriter::new(tempfile::tempfile()?);
            for event in self.held.drain(..) {
                out.write_all(&event.to_bytes())?;
            }
            let mut file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
            file.rewind()?;
            self.blocks.push(file);
        }
        Ok(())
    }

    /// Hands all events to `each` in their order.
    pub(super) fn for_each<E: From<io::Error>>(
        mut self,
        mut each: impl FnMut(Event) -> Result<(), E>,
    ) -> Result<(), E> {
        self.held.sort_unstable_by_key(|event| event.key());
        let mut blocks: Vec<BufReader<File>> = self.blocks.into_iter().map(BufReader::new).collect();
        let mut next = BinaryHeap::new();
        let mut held = self.held.into_iter();
        for block in 0..=blocks.len() {
            let event = if block == blocks.len() { held.next() } else { read(&mut blocks[block])? };
            next.extend(event.map(|event| Reverse((event.key(), block))));
        }
        while let Some(Reverse((key, block))) = next.pop() {
            each(Event { series: key.0, at: key.1, value: f64::from_bits(key.2) })?;
            let event = if block == blocks.len() { held.next() } else { read(&mut blocks[block])? };
            next.extend(event.map(|event| Reverse((event.key(), block))));
        }
        Ok(())
    }
}

fn read(block: &mut BufReader<File>) -> io::Result<Option<Event>> {
    let mut bytes = [0; BYTES];
    match block.read_exact(&mut bytes) {
        Ok(()) => Ok(Some(Event::from_bytes(bytes))),
        // Blocks hold whole events.
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_events_than_are_held_come_in_order() {
        let mut sorter = Sorter { limit: 7, ..Sorter::default() };
        let events: Vec<Event> = (0_u32..100)
            .map(|n| Event { series: n * 37 % 3, at: i64::from(n * 61 % 100) - 50, value: f64::from(n) / 3.0 - 9.0 })
            .collect();
        for event in &events {
            sorter.push(*event).unwrap();
        }
        let mut expected = events;
        expected.sort_by_key(|event| event.key());
        let mut found = Vec::new();
        sorter
            .for_each(|event| {
                found.push(event);
                io::Result::Ok(())
            })
            .unwrap();
        assert_eq!(found, expected);
    }
}
