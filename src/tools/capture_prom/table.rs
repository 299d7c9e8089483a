//! An envelope as a tidy table: one row a sample, one column a label.
//!
//! Which labels there are is known only when all series were seen, so the envelope's file is read twice, and nothing of it
//! is held but the names of the labels.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write;
use std::path::Path;

use serde_json::value::RawValue;

use super::envelope::{self, Listener, Unreadable};
use crate::escape;
use crate::record::raw;

/// More columns than a table is good for.
const LABELS: usize = 1000;

/// Writes the table of the envelope in `file` to `out`: `timestamp` in Unix seconds and `value` as Prometheus spells them,
/// `histogram` (JSON) where there are native histograms, then the labels in alphabetical order, empty where a series has none.
pub(super) fn write(file: &Path, out: impl Write) -> Result<(), String> {
    let mut names = Names::default();
    let summary = read(file, &mut names)?;
    let mut table = csv::Writer::from_writer(out);
    let histograms = summary.native_histograms > 0;
    let mut head = vec!["timestamp".to_owned(), "value".to_owned()];
    head.extend(histograms.then(|| "histogram".to_owned()));
    head.extend(names.0.iter().map(|name| escape::csv(name)));
    table.write_record(&head).map_err(|error| error.to_string())?;
    let mut rows = Rows { table, names: names.0, histograms, labels: None };
    read(file, &mut rows)?;
    rows.table.flush().map_err(|error| error.to_string())
}

fn read<L: Listener>(file: &Path, listener: &mut L) -> Result<envelope::Summary, String> {
    let input = File::open(file).map_err(|error| error.to_string())?;
    envelope::read(input, listener).map_err(|error| match error {
        Unreadable::Cut(why) | Unreadable::Foreign(why) => why,
    })
}

fn labels(text: &str) -> Result<Vec<(String, String)>, String> {
    let object: &RawValue = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let members = raw::members(object).ok_or("a series' labels are not an object")?;
    Ok(members.into_iter().map(|(name, value)| (name, raw::scalar(value).unwrap_or_default())).collect())
}

/// Learns the names of the labels.
#[derive(Default)]
struct Names(BTreeSet<String>);

impl Listener for Names {
    fn metric(&mut self, text: &str, _: std::ops::Range<u64>) -> Result<(), String> {
        self.0.extend(labels(text)?.into_iter().map(|(name, _)| name));
        if self.0.len() > LABELS { Err(format!("more than {LABELS} label names")) } else { Ok(()) }
    }
}

/// Writes the rows.
struct Rows<W: Write> {
    table: csv::Writer<W>,
    names: BTreeSet<String>,
    histograms: bool,
    /// The label columns of the series that is being read.
    labels: Option<Vec<String>>,
}

impl<W: Write> Rows<W> {
    fn row(&mut self, time: f64, value: &str, histogram: &str) -> Result<(), String> {
        let labels = self.labels.as_ref().ok_or("a series' samples stand before its labels")?;
        let time = time.to_string();
        let cells = [time.as_str(), value].into_iter().chain(self.histograms.then_some(histogram));
        let row = cells.chain(labels.iter().map(String::as_str));
        self.table.write_record(row).map_err(|error| error.to_string())
    }
}

impl<W: Write> Listener for Rows<W> {
    const HISTOGRAMS: bool = true;

    fn metric(&mut self, text: &str, _: std::ops::Range<u64>) -> Result<(), String> {
        let labels = labels(text)?;
        let of = |name: &String| labels.iter().rev().find(|(key, _)| key == name).map(|(_, value)| escape::csv(value));
        self.labels = Some(self.names.iter().map(|name| of(name).unwrap_or_default()).collect());
        Ok(())
    }

    fn value(&mut self, time: f64, value: &str) -> Result<(), String> {
        self.row(time, value, "")
    }

    fn histogram(&mut self, time: f64, text: &str) -> Result<(), String> {
        self.row(time, "", text)
    }

    fn end(&mut self) -> Result<(), String> {
        self.labels = None;
        Ok(())
    }
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
