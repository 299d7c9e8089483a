//! An envelope as a tidy table: one row per sample, one column per label.
//!
//! The labels are known only once all series have been seen, so the envelope's file is read twice, and nothing of it is held
//! but the names of the labels.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write;
use std::path::Path;

use crate::escape;
use crate::prometheus::envelope::{self, OnSeries, Summary};

/// The largest number of label columns.
const LABELS: usize = 1000;

/// Writes the table of the envelope in `file` to `out`: `timestamp` in Unix seconds and `value` as Prometheus spells them,
/// `histogram` (JSON) if there are native histograms, then the labels in alphabetical order, empty if a series has none.
pub(super) fn write(file: &Path, out: impl Write) -> Result<(), String> {
    let mut names = BTreeSet::new();
    let summary = read(file, &mut |series, _| {
        names.extend(series.metric.keys().cloned());
        if names.len() > LABELS { Err(format!("more than {LABELS} label names")) } else { Ok(()) }
    })?;
    let has_histograms = summary.native_histograms > 0;
    let mut table = csv::Writer::from_writer(out);
    let mut head = vec!["timestamp".to_owned(), "value".to_owned()];
    head.extend(has_histograms.then(|| "histogram".to_owned()));
    head.extend(names.iter().map(|name| escape::csv(name)));
    table.write_record(&head).map_err(|error| error.to_string())?;
    read(file, &mut |series, _| {
        let label = |name: &String| series.metric.get(name).map(|value| escape::csv(value)).unwrap_or_default();
        let labels: Vec<String> = names.iter().map(label).collect();
        let values = series.values.iter().map(|(time, value)| (*time, &*value.0, ""));
        let histograms = series.histograms.iter().map(|(time, histogram)| (*time, "", histogram.get()));
        for (time, value, histogram) in values.chain(histograms) {
            let time = time.to_string();
            let cells = [time.as_str(), value].into_iter().chain(has_histograms.then_some(histogram));
            let row = cells.chain(labels.iter().map(String::as_str));
            table.write_record(row).map_err(|error| error.to_string())?;
        }
        Ok(())
    })?;
    table.flush().map_err(|error| error.to_string())
}

fn read(file: &Path, on_series: OnSeries<'_>) -> Result<Summary, String> {
    let input = File::open(file).map_err(|error| error.to_string())?;
    envelope::read(input, on_series).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sample_is_a_row_and_every_label_a_column() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let envelope = r#"{"status":"success","data":{"resultType":"matrix","result":[
            {"metric":{"__name__":"a","le":"+Inf"},"values":[[1.5,"NaN"],[2,"1e3"]]},
            {"metric":{"z":"=1+1"},"histograms":[[3,{"count":"1"}]]}]}}"#;
        std::fs::write(file.path(), envelope).unwrap();
        let mut table = Vec::new();
        write(file.path(), &mut table).unwrap();
        let expected = "timestamp,value,histogram,__name__,le,z\n1.5,NaN,,a,+Inf,\n2,1e3,,a,+Inf,\n3,,\"{\"\"count\"\":\"\"1\"\"}\",,,'=1+1\n";
        assert_eq!(String::from_utf8(table).unwrap(), expected);
    }
}
