//! Reading a captured envelope again: the series of a `prometheus/*.json` that a Series record names.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::figures::counters::Series;

/// A larger file is not read again: all of it is held in memory, and sums over so many series are no figures of a run.
const LARGEST: u64 = 256 << 20;

#[derive(Deserialize)]
struct Envelope {
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    result: Vec<One>,
}

#[derive(Deserialize)]
struct One {
    metric: std::collections::BTreeMap<String, String>,
    #[serde(default)]
    values: Vec<(f64, String)>,
    #[serde(default)]
    histograms: Vec<IgnoredAny>,
}

/// The series in the file `name` of the run directory `directory`, or why they cannot be had.
pub(super) fn read(directory: &Path, name: &str) -> Result<Vec<Series>, String> {
    let path = directory.join(name);
    let failed = |error: &std::io::Error| format!("{name} cannot be read: {error}");
    // Opening a pipe would wait for somebody to write to it.
    let metadata = path.metadata().map_err(|error| failed(&error))?;
    if !metadata.is_file() {
        return Err(format!("{name} is not a file"));
    }
    if metadata.len() > LARGEST {
        return Err(format!("{name} is larger than {} MiB, so no figures are made of it", LARGEST >> 20));
    }
    let file = File::open(&path).map_err(|error| failed(&error))?;
    let envelope: Envelope = serde_json::from_reader(BufReader::new(file.take(LARGEST)))
        .map_err(|error| format!("{name} is not an envelope of Prometheus: {error}"))?;
    let mut series = Vec::with_capacity(envelope.data.result.len());
    for One { metric, values, histograms } in envelope.data.result {
        if !histograms.is_empty() {
            return Err(format!("{name} holds native histograms, and figures are made of plain samples only"));
        }
        let points = values.into_iter().map(|(at, value)| Some((at, value.parse().ok()?))).collect::<Option<Vec<_>>>();
        let points = points.ok_or_else(|| format!("{name} holds a value that is no number"))?;
        series.push(Series { labels: metric, points });
    }
    Ok(series)
}
