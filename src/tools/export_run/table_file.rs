//! A table's file: CSV, or Parquet if the tool was built with it.

use std::io::BufWriter;

use super::sink::Sink;
use crate::cli::Failure;
use crate::figures::tables::Cell;

/// A table while it is written.
pub(super) enum TableFile<'a> {
    /// Comma-separated values, as RFC 4180 has them.
    Csv(Box<csv::Writer<BufWriter<Sink<'a>>>>),
    /// Apache Parquet.
    #[cfg(feature = "parquet")]
    Parquet(Box<super::parquet_file::ParquetFile>),
}

impl<'a> TableFile<'a> {
    /// Begins a CSV table.
    pub(super) fn csv(sink: Sink<'a>, columns: impl Iterator<Item = &'static str>) -> Result<Self, Failure> {
        let mut table = csv::Writer::from_writer(BufWriter::with_capacity(64 * 1024, sink));
        table.write_record(columns).map_err(|error| failed(&table, error))?;
        Ok(Self::Csv(Box::new(table)))
    }

    /// Writes one row.
    pub(super) fn row(&mut self, cells: &[Cell<'_>]) -> Result<(), Failure> {
        match self {
            Self::Csv(table) => {
                table.write_record(cells.iter().map(Cell::to_csv)).map_err(|error| failed(table, error))
            }
            #[cfg(feature = "parquet")]
            Self::Parquet(file) => file.row(cells),
        }
    }

    /// Completes the file.
    pub(super) fn finish(self) -> Result<(), Failure> {
        match self {
            Self::Csv(mut table) => {
                table.flush().map_err(|error| table.get_ref().get_ref().failure(&error))?;
                let writer = table.into_inner().map_err(|error| Failure::input_output(error.error().to_string()))?;
                writer.into_inner().map_err(|error| Failure::input_output(error.error().to_string()))?.finish()
            }
            #[cfg(feature = "parquet")]
            Self::Parquet(file) => file.finish(),
        }
    }
}

fn failed(table: &csv::Writer<BufWriter<Sink<'_>>>, error: csv::Error) -> Failure {
    let words = error.to_string();
    match error.into_kind() {
        csv::ErrorKind::Io(error) => table.get_ref().get_ref().failure(&error),
        _ => Failure::input_output(format!("CSV: {words}")),
    }
}
