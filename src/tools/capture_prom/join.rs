//! The envelopes of several chunks joined into one of the same shape.
//!
//! An answer is ordered by series and the chunks by time, so each series has to be picked from every chunk. While a chunk
//! streams in, [`Index`] notes where each series' points stand in its file; then the joined file is written series by series,
//! the text of labels and points copied as it is. What is held is 24 bytes a series and chunk and some 60 a series, whatever their size.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::fs::File;
use std::hash::BuildHasher;
use std::io::{self, BufWriter, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use serde_json::value::RawValue;

use super::envelope::{Listener, Points, Summary};
use crate::record::raw;

/// A stretch of a chunk's file, without the marks that enclose it. Small: there is one for each series and chunk.
#[derive(Clone, Copy, Debug)]
struct Place {
    start: u64,
    length: u32,
    chunk: u32,
}

/// One series over all chunks.
#[derive(Debug)]
struct Series {
    metric: Place,
    last_chunk: u32,
}

/// Points of one series in one chunk.
#[derive(Debug)]
struct Block {
    series: u32,
    kind: Points,
    place: Place,
}

/// Where every series' points stand.
///
/// Two series are the same if their labels hash alike twice, by hashes whose keys are drawn anew for each capture; so nobody
/// can prepare two that collide, and by chance none ever will.
#[derive(Debug)]
pub(super) struct Index {
    hashes: [RandomState; 2],
    known: HashMap<(u64, u64), u32>,
    series: Vec<Series>,
    blocks: Vec<Block>,
    chunk: u32,
    metric: Option<((u64, u64), Place)>,
    points: Vec<(Points, Place)>,
}

impl Index {
    pub(super) fn new() -> Self {
        Self {
            hashes: [RandomState::new(), RandomState::new()],
            known: HashMap::new(),
            series: Vec::new(),
            blocks: Vec::new(),
            chunk: 0,
            metric: None,
            points: Vec::new(),
        }
    }

    /// What is heard from now on belongs to chunk `number`, from 0.
    pub(super) fn begin(&mut self, number: usize) {
        self.chunk = u32::try_from(number).unwrap_or(u32::MAX);
    }

    /// How many series there are.
    pub(super) fn series(&self) -> u64 {
        self.series.len() as u64
    }

    fn place(&self, at: Range<u64>) -> Result<Place, String> {
        let length = u32::try_from(at.end.saturating_sub(at.start)).map_err(|_| "a series of more than 4 GiB")?;
        Ok(Place { start: at.start, length, chunk: self.chunk })
    }

    /// The labels as one number that does not depend on their order.
    fn hash(&self, text: &str) -> Result<(u64, u64), String> {
        let labels: &RawValue = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let mut labels: Vec<(String, String)> = raw::members(labels)
            .ok_or("a series' labels are not an object")?
            .into_iter()
            .map(|(name, value)| (name, raw::scalar(value).unwrap_or_else(|| value.get().to_owned())))
            .collect();
        labels.sort_unstable();
        let [one, two] = &self.hashes;
        Ok((one.hash_one(&labels), two.hash_one(&labels)))
    }

    /// Writes the joined envelope to `out`. `chunks` are the files, `summary` is what all of them said together.
    pub(super) fn write(mut self, chunks: &[PathBuf], summary: &Summary, out: impl Write) -> io::Result<()> {
        let files = chunks.iter().map(File::open).collect::<io::Result<Vec<_>>>()?;
        let mut out = BufWriter::with_capacity(64 * 1024, out);
        // A stable sort would keep the chunks in their order, but needs half as much memory again.
        self.blocks.sort_unstable_by_key(|block| (block.series, block.place.chunk, block.place.start));
        out.write_all(br#"{"status":"success","data":{"resultType":"matrix","result":["#)?;
        let mut blocks = self.blocks.as_slice();
        for (number, series) in self.series.iter().enumerate() {
            let own = blocks.iter().take_while(|block| block.series as usize == number).count();
            let (own, rest) = blocks.split_at(own);
            blocks = rest;
            out.write_all(if number == 0 { br#"{"metric":{"# } else { br#",{"metric":{"# })?;
            copy(&files, series.metric, *b"{}", &mut out)?;
            out.write_all(b"}")?;
            for (kind, key) in [(Points::Values, &br#","values":["#[..]), (Points::Histograms, br#","histograms":["#)] {
                let mut of_kind = own.iter().filter(|block| block.kind == kind).peekable();
                if of_kind.peek().is_none() {
                    continue;
                }
                out.write_all(key)?;
                for (index, block) in of_kind.enumerate() {
                    out.write_all(if index == 0 { b"" } else { b"," })?;
                    copy(&files, block.place, *b"[]", &mut out)?;
                }
                out.write_all(b"]")?;
            }
            out.write_all(b"}")?;
        }
        out.write_all(b"]}")?;
        for (key, notes) in [("warnings", &summary.warnings), ("infos", &summary.infos)] {
            if !notes.is_empty() {
                write!(out, ",\"{key}\":{}", serde_json::to_string(notes)?)?;
            }
        }
        if summary.is_partial {
            out.write_all(br#","isPartial":true"#)?;
        }
        out.write_all(b"}")?;
        out.flush()
    }
}

impl Listener for Index {
    fn metric(&mut self, text: &str, at: Range<u64>) -> Result<(), String> {
        // Like the places of points, this one is inside of the marks that enclose it.
        let inside = at.start + 1..at.end.saturating_sub(1);
        self.metric = Some((self.hash(text)?, self.place(inside)?));
        Ok(())
    }

    fn points(&mut self, kind: Points, count: u64, at: Range<u64>) -> Result<(), String> {
        if count > 0 {
            let place = self.place(at)?;
            self.points.push((kind, place));
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), String> {
        let (key, metric) = self.metric.take().ok_or("a series without its labels")?;
        let number = if let Some(number) = self.known.get(&key) {
            let series = &mut self.series[*number as usize];
            if series.last_chunk == self.chunk {
                return Err("the same series stands in it twice".to_owned());
            }
            series.last_chunk = self.chunk;
            *number
        } else {
            let number = u32::try_from(self.series.len()).map_err(|_| "more series than can be numbered")?;
            self.series.push(Series { metric, last_chunk: self.chunk });
            self.known.insert(key, number);
            number
        };
        let blocks = self.points.drain(..).map(|(kind, place)| Block { series: number, kind, place });
        self.blocks.extend(blocks);
        Ok(())
    }
}

/// Copies what stands at `place`. `marks` are the bytes just outside of it: that they are there proves that it is the place.
fn copy(files: &[File], place: Place, marks: [u8; 2], out: &mut impl Write) -> io::Result<()> {
    let file = files.get(place.chunk as usize).ok_or_else(|| io::Error::other("a chunk's file is missing"))?;
    let (start, end) = (place.start, place.start + u64::from(place.length));
    for (mark, at) in marks.into_iter().zip([start.saturating_sub(1), end]) {
        let mut found = [0];
        file.read_exact_at(&mut found, at)?;
        if found != [mark] {
            return Err(io::Error::other("a chunk's file is not what was read"));
        }
    }
    let (mut at, mut buffer) = (start, [0; 16 * 1024]);
    while at < end {
        let count = usize::try_from(end - at).unwrap_or(usize::MAX).min(buffer.len());
        file.read_exact_at(&mut buffer[..count], at)?;
        out.write_all(&buffer[..count])?;
        at += count as u64;
    }
    Ok(())
}
