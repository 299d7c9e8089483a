//! Reading a captured envelope again: the series of a `prometheus/*.json` that a Series record names.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use crate::figures::counters::Series;
use crate::prometheus::envelope;

/// The largest file that is read again, in bytes: all of its series are held, and sums over so many are no figures of a run.
const LARGEST: u64 = 256 << 20;

/// Returns the series in the file `name` of the run directory `directory`, or the reason why there are none.
pub(super) fn read(directory: &Path, name: &str) -> Result<Vec<Series>, String> {
    let path = directory.join(name);
    let failed = |error: &std::io::Error| format!("{name} cannot be read: {error}");
    // Opening a pipe would wait for somebody to write to it.
    let metadata = path.metadata().map_err(|error| failed(&error))?;
    if !metadata.is_file() {
        return Err(format!("{name} is not a file"));
    }
    if metadata.len() > LARGEST {
        return Err(format!("{name} is larger than {} MiB, so no figures are computed from it", LARGEST >> 20));
    }
    let file = File::open(&path).map_err(|error| failed(&error))?;
    let (mut series, mut has_histograms) = (Vec::new(), false);
    let summary = envelope::read(file.take(LARGEST), &mut |one, _| {
        has_histograms |= !one.histograms.is_empty();
        let points = one.values.iter().map(|(at, value)| Ok((*at, value.number()?)));
        series.push(Series { labels: one.metric.clone(), points: points.collect::<Result<_, String>>()? });
        Ok(())
    });
    match summary {
        Ok(_) if has_histograms => {
            Err(format!("{name} holds native histograms, and figures are computed only from plain samples"))
        }
        Ok(summary) if summary.result_type.is_some() || !series.is_empty() => Ok(series),
        Ok(_) => Err(format!("{name} is not an envelope of Prometheus: it has no result")),
        Err(why) => Err(format!("{name} is not an envelope of Prometheus: {why}")),
    }
}
