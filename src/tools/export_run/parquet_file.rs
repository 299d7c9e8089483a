//! A table as Apache Parquet: every column is optional, times are microseconds in UTC.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::basic::{Compression, LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::errors::Result as ParquetResult;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::types::Type;
use tempfile::NamedTempFile;

use crate::capture::temporary_file;
use crate::cli::Failure;
use crate::figures::tables::{Cell, ColumnType};

/// Number of rows that are held before they are written as one row group.
const ROWS: usize = 1 << 14;
/// Number of texts that are handed over at once.
const TEXTS: usize = 1 << 10;

/// The values of one column since the last row group. A level is 1 where there is a value and 0 where the cell is empty.
struct Buffer {
    values: Values,
    levels: Vec<i16>,
}

enum Values {
    /// All texts of the column one after another, and the end of each.
    Texts(Vec<u8>, Vec<usize>),
    Numbers(Vec<f64>),
    Wholes(Vec<i64>),
}

/// A Parquet file while it is written.
pub(super) struct ParquetFile {
    temporary: NamedTempFile,
    path: PathBuf,
    writer: SerializedFileWriter<File>,
    buffers: Vec<Buffer>,
    rows: usize,
}

impl ParquetFile {
    /// Begins the file `path` with `columns`.
    pub(super) fn create(path: PathBuf, columns: &[(&'static str, ColumnType)]) -> Result<Self, Failure> {
        let shown = path.display().to_string();
        let parent = path.parent().unwrap_or(Path::new("."));
        let temporary = temporary_file(parent).map_err(|error| Failure::io(&shown, &error))?;
        let file = temporary.as_file().try_clone().map_err(|error| Failure::io(&shown, &error))?;
        let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
        let writer = schema(columns)
            .and_then(|schema| SerializedFileWriter::new(file, Arc::new(schema), Arc::new(properties)))
            .map_err(|error| Failure::input_output(format!("{shown}: {error}")))?;
        let buffers = columns.iter().map(|(_, kind)| Buffer { values: values(*kind), levels: Vec::new() }).collect();
        Ok(Self { temporary, path, writer, buffers, rows: 0 })
    }

    /// Adds a row.
    pub(super) fn row(&mut self, cells: &[Cell<'_>]) -> Result<(), Failure> {
        for (buffer, cell) in self.buffers.iter_mut().zip(cells) {
            buffer.push(cell);
        }
        self.rows += 1;
        if self.rows < ROWS { Ok(()) } else { self.write().map_err(|error| self.failure(&error.to_string())) }
    }

    fn write(&mut self) -> ParquetResult<()> {
        let mut group = self.writer.next_row_group()?;
        for buffer in &mut self.buffers {
            if let Some(mut column) = group.next_column()? {
                buffer.write(&mut column)?;
                column.close()?;
            }
        }
        self.rows = 0;
        group.close().map(drop)
    }

    /// Completes the file.
    pub(super) fn finish(mut self) -> Result<(), Failure> {
        let written = if self.rows > 0 { self.write() } else { Ok(()) };
        let finished = written.and_then(|()| self.writer.finish().map(drop));
        finished.map_err(|error| self.failure(&error.to_string()))?;
        let shown = self.path.display().to_string();
        self.temporary.persist(&self.path).map(drop).map_err(|error| Failure::io(&shown, &error.error))
    }

    fn failure(&self, cause: &str) -> Failure {
        Failure::input_output(format!("{}: {cause}", self.path.display()))
    }
}

impl Buffer {
    fn push(&mut self, cell: &Cell<'_>) {
        let whole = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        let held = match (&mut self.values, cell) {
            (Values::Texts(bytes, ends), Cell::Text(text)) => {
                bytes.extend_from_slice(text.as_bytes());
                ends.push(bytes.len());
                true
            }
            (Values::Numbers(held), Cell::Seconds(number) | Cell::Number(number)) => {
                held.push(*number);
                true
            }
            (Values::Wholes(held), Cell::Count(count)) => {
                held.push(whole(*count));
                true
            }
            (Values::Wholes(held), Cell::Time(time)) => {
                held.push(time.micros());
                true
            }
            _ => false,
        };
        self.levels.push(i16::from(held));
    }

    fn write(&mut self, column: &mut SerializedColumnWriter<'_>) -> ParquetResult<()> {
        let levels = Some(&*self.levels);
        match &mut self.values {
            Values::Texts(bytes, ends) => {
                let column = column.typed::<ByteArrayType>();
                // The copy of a text shares the bytes of all.
                let (all, mut start) = (ByteArray::from(std::mem::take(bytes)), 0);
                let mut ends = ends.drain(..);
                for levels in self.levels.chunks(TEXTS) {
                    let held = levels.iter().filter(|level| **level > 0).count();
                    let texts: Vec<ByteArray> = ends
                        .by_ref()
                        .take(held)
                        .map(|end| {
                            let text = all.slice(start, end - start);
                            start = end;
                            text
                        })
                        .collect();
                    column.write_batch(&texts, Some(levels), None)?;
                }
            }
            Values::Numbers(held) => {
                column.typed::<DoubleType>().write_batch(held, levels, None)?;
                held.clear();
            }
            Values::Wholes(held) => {
                column.typed::<Int64Type>().write_batch(held, levels, None)?;
                held.clear();
            }
        }
        self.levels.clear();
        Ok(())
    }
}

fn values(kind: ColumnType) -> Values {
    match kind {
        ColumnType::Text => Values::Texts(Vec::new(), Vec::new()),
        ColumnType::Number => Values::Numbers(Vec::new()),
        ColumnType::Count | ColumnType::Time => Values::Wholes(Vec::new()),
    }
}

fn schema(columns: &[(&'static str, ColumnType)]) -> ParquetResult<Type> {
    let field = |(name, kind): &(&'static str, ColumnType)| {
        let (physical, logical) = match kind {
            ColumnType::Text => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
            ColumnType::Number => (Physical::DOUBLE, None),
            ColumnType::Count => (Physical::INT64, None),
            ColumnType::Time => (Physical::INT64, Some(LogicalType::timestamp(true, TimeUnit::MICROS))),
        };
        let field = Type::primitive_type_builder(name, physical).with_repetition(Repetition::OPTIONAL);
        field.with_logical_type(logical).build().map(Arc::new)
    };
    let fields = columns.iter().map(field).collect::<ParquetResult<_>>()?;
    Type::group_type_builder("row").with_fields(fields).build()
}
