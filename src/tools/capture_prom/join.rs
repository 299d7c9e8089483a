//! The envelopes of several chunks joined into one of the same shape.
//!
//! An answer is ordered by series and the chunks by time, so each series has to be collected from every chunk. [`Index`] notes
//! where each series stands in its chunk's file while that streams in; then the joined file is written series by series. The
//! index holds 24 bytes per series and chunk and some 30 per series, whatever their size.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, BufWriter, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::prometheus::envelope::Summary;

/// The place of a series in the file of a chunk.
#[derive(Clone, Copy, Debug)]
struct Place {
    series: u32,
    /// Counted from 1.
    chunk: u32,
    start: u64,
    length: u32,
}

/// A series of one chunk: the hash of its labels, and its place in the file.
pub(super) type Indexed = (u64, Range<u64>);

/// The places of all series.
///
/// Series are equal if their labels have the same hash. The hash has a random key, so nobody can prepare a collision, and a
/// million series collide by chance once in 40 million captures.
#[derive(Debug, Default)]
pub(super) struct Index {
    hasher: RandomState,
    /// The number of each series, and the chunk that it was last seen in.
    known: HashMap<u64, (u32, u32)>,
    places: Vec<Place>,
    chunks: u32,
}

impl Index {
    /// The hash of a series' labels.
    pub(super) fn hash(&self, labels: &BTreeMap<String, String>) -> u64 {
        self.hasher.hash_one(labels)
    }

    /// Adds the series of the next chunk, each of which may stand in it once.
    pub(super) fn add_chunk(&mut self, series: Vec<Indexed>) -> Result<(), &'static str> {
        self.chunks += 1;
        for (hash, at) in series {
            let next = u32::try_from(self.known.len()).map_err(|_| "more series than can be numbered")?;
            let (series, last_chunk) = self.known.entry(hash).or_insert((next, 0));
            if std::mem::replace(last_chunk, self.chunks) == self.chunks {
                return Err("the same series is in it twice");
            }
            let length = u32::try_from(at.end - at.start).map_err(|_| "a series of more than 4 GiB")?;
            self.places.push(Place { series: *series, chunk: self.chunks, start: at.start, length });
        }
        Ok(())
    }

    /// The number of series.
    pub(super) fn series(&self) -> u64 {
        self.known.len() as u64
    }

    /// Writes the joined envelope to `out`. `chunks` are the files, `summary` is that of all of them together.
    pub(super) fn write(mut self, chunks: &[PathBuf], summary: &Summary, out: impl Write) -> io::Result<()> {
        let files = chunks.iter().map(File::open).collect::<io::Result<Vec<_>>>()?;
        let mut out = BufWriter::with_capacity(64 * 1024, out);
        // A stable sort would keep the chunks in their order, but needs half as much memory again.
        self.places.sort_unstable_by_key(|place| (place.series, place.chunk, place.start));
        out.write_all(br#"{"status":"success","data":{"resultType":"matrix","result":["#)?;
        for (number, places) in self.places.chunk_by(|one, next| one.series == next.series).enumerate() {
            out.write_all(if number == 0 { b"" } else { b"," })?;
            write_series(&files, places, summary.native_histograms > 0, &mut out)?;
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

/// The parts of a series as the server spells them.
#[derive(Deserialize)]
struct RawSeries<'a> {
    #[serde(borrow)]
    metric: &'a RawValue,
    #[serde(borrow)]
    values: Option<&'a RawValue>,
    #[serde(borrow)]
    histograms: Option<&'a RawValue>,
}

/// Writes one series from its `places`; each is read anew for each kind of points, so that only one is held at a time.
fn write_series(files: &[File], places: &[Place], has_histograms: bool, out: &mut impl Write) -> io::Result<()> {
    let mut is_open = false;
    for key in ["values", "histograms"].into_iter().take(1 + usize::from(has_histograms)) {
        let mut separator = format!(",\"{key}\":[");
        for place in places {
            let file =
                files.get(place.chunk as usize - 1).ok_or_else(|| io::Error::other("a chunk's file is missing"))?;
            let mut text = vec![0; place.length as usize];
            file.read_exact_at(&mut text, place.start)?;
            let series: RawSeries<'_> = serde_json::from_slice(&text)?;
            if !std::mem::replace(&mut is_open, true) {
                write!(out, "{{\"metric\":{}", series.metric.get())?;
            }
            let points = if key == "values" { series.values } else { series.histograms };
            let inside = points.and_then(|points| points.get().strip_prefix('[')?.strip_suffix(']'));
            let points = inside.unwrap_or_default().trim();
            if !points.is_empty() {
                write!(out, "{separator}{points}")?;
                ",".clone_into(&mut separator);
            }
        }
        if separator == "," {
            out.write_all(b"]")?;
        }
    }
    out.write_all(b"}")
}
