//! Sorting more items than memory shall hold: full blocks are sorted and laid aside in files without a name, and merged.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Seek as _, Write};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::cli::Failure;

/// Number of items that are held in memory.
const HELD: usize = 1 << 14;
/// Number of blocks that are merged into a larger one, so that few files are open at once.
const WAYS: usize = 64;

/// An item that a file can hold, as a line of JSON.
pub(super) trait Item: Clone + Ord + Serialize + DeserializeOwned {}

impl<T: Clone + Ord + Serialize + DeserializeOwned> Item for T {}

/// Items that are to be sorted.
#[derive(Debug)]
pub(super) struct Sorter<T> {
    held: Vec<T>,
    /// Blocks by how often their items were merged, fewer than [`WAYS`] of each.
    levels: Vec<Vec<File>>,
    limit: usize,
}

impl<T> Default for Sorter<T> {
    fn default() -> Self {
        Self { held: Vec::new(), levels: Vec::new(), limit: HELD }
    }
}

impl<T: Item> Sorter<T> {
    /// Takes one more item.
    pub(super) fn push(&mut self, item: T) -> Result<(), Failure> {
        self.held.push(item);
        if self.held.len() < self.limit {
            return Ok(());
        }
        self.held.sort_unstable();
        let mut block = write_block(|out| self.held.drain(..).try_for_each(|item| write_line(out, &item)))?;
        for level in 0.. {
            if self.levels.len() == level {
                self.levels.push(Vec::new());
            }
            self.levels[level].push(block);
            if self.levels[level].len() < WAYS {
                break;
            }
            let full = std::mem::take(&mut self.levels[level]);
            block = write_block(|out| merge(&full, &[], |item: T| write_line(out, &item)))?;
        }
        Ok(())
    }

    /// Sorts the items.
    pub(super) fn finish(mut self) -> Sorted<T> {
        self.held.sort_unstable();
        Sorted { held: self.held, blocks: self.levels.into_iter().flatten().collect() }
    }
}

/// Items in their order.
#[derive(Debug)]
pub(super) struct Sorted<T> {
    held: Vec<T>,
    blocks: Vec<File>,
}

impl<T: Item> Sorted<T> {
    /// Hands all items to `each` in their order.
    pub(super) fn for_each(&self, mut each: impl FnMut(T) -> Result<(), Failure>) -> Result<(), Failure> {
        let mut failure = None;
        let merged = merge(&self.blocks, &self.held, |item| {
            each(item).map_err(|error| {
                failure = Some(error);
                io::Error::other("the reader of the items stopped")
            })
        });
        failure.map_or_else(|| merged.map_err(laid_aside), Err)
    }
}

fn write_block(fill: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>) -> Result<File, Failure> {
    let written = || {
        let mut out = BufWriter::new(tempfile::tempfile()?);
        fill(&mut out)?;
        out.into_inner().map_err(io::IntoInnerError::into_error)
    };
    written().map_err(laid_aside)
}

fn write_line(out: &mut impl Write, item: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, item)?;
    out.write_all(b"\n")
}

fn merge<T: Item>(blocks: &[File], held: &[T], mut each: impl FnMut(T) -> io::Result<()>) -> io::Result<()> {
    let mut blocks = blocks.iter().map(rewound).collect::<io::Result<Vec<_>>>()?;
    let (count, mut held) = (blocks.len(), held.iter().cloned());
    let mut item_of = |block: usize| match blocks.get_mut(block) {
        Some(block) => {
            let mut line = String::new();
            let is_at_end = block.read_line(&mut line)? == 0;
            if is_at_end { Ok(None) } else { Ok(Some(serde_json::from_str(&line)?)) }
        }
        None => io::Result::Ok(held.next()),
    };
    let mut next = BinaryHeap::new();
    for block in 0..=count {
        next.extend(item_of(block)?.map(|item| Reverse((item, block))));
    }
    while let Some(Reverse((item, block))) = next.pop() {
        each(item)?;
        next.extend(item_of(block)?.map(|item| Reverse((item, block))));
    }
    Ok(())
}

fn rewound(mut block: &File) -> io::Result<BufReader<&File>> {
    block.rewind()?;
    Ok(BufReader::new(block))
}

fn laid_aside(error: io::Error) -> Failure {
    let place = std::env::temp_dir();
    Failure::io(&format!("temporary files in {} (set TMPDIR to another directory)", place.display()), &error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_items_than_are_held_come_in_order_each_time() {
        let mut sorter = Sorter { limit: 2, ..Sorter::default() };
        let items: Vec<u64> = (0..4 * WAYS as u64 + 3).map(|n| n * 61 % 100).collect();
        for item in &items {
            sorter.push(*item).unwrap();
        }
        assert!(sorter.levels.len() == 2 && sorter.levels[0].len() < WAYS, "{:?}", sorter.levels);
        let (mut expected, in_order) = (items, sorter.finish());
        expected.sort_unstable();
        for _ in 0..2 {
            let mut found = Vec::new();
            let taken = in_order.for_each(|item| {
                found.push(item);
                Ok(())
            });
            assert_eq!((taken.is_ok(), &found), (true, &expected));
        }
        let stopped = in_order.for_each(|_| Err(Failure::input_output("the disk is full")));
        assert!(stopped.is_err_and(|failure| failure.message() == Some("the disk is full")));
    }
}
