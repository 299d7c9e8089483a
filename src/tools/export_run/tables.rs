//! Jobs, stages and samples as tables, one row after another.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::ValueEnum;

use super::recorded::Recorded;
use super::samples::{self, CapturedSeries, Remarks};
use super::shift::Shift;
use super::source::{self, Labels};
use super::table_file::TableFile;
use crate::cli::Failure;
use crate::figures::tables::{Cell, Column, ColumnType, JobRow, StageRow, job_columns, stage_columns};
use crate::prometheus::envelope::SampleText;
use crate::record::Timestamp;

/// A table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Table {
    /// One row per job.
    Jobs,
    /// One row per job and stage.
    Stages,
    /// One row per captured sample.
    Samples,
}

impl Table {
    /// The columns before those of the row itself. The rows of jobs and stages begin with the run already.
    fn columns(self) -> Vec<(&'static str, ColumnType)> {
        let labels = if self == Self::Samples { &source::NAMES[..] } else { &source::NAMES[1..] };
        let labels = labels.iter().map(|name| (*name, ColumnType::Text));
        let typed = |columns: &[(&'static str, ColumnType)]| columns.to_vec();
        let own = match self {
            Self::Jobs => typed(&job_columns().map(|(name, kind, _)| (name, kind))),
            Self::Stages => typed(&stage_columns().map(|(name, kind, _)| (name, kind))),
            Self::Samples => typed(&SAMPLE_COLUMNS),
        };
        labels.chain(own).collect()
    }
}

/// The columns of samples behind the scenario's labels.
const SAMPLE_COLUMNS: [(&str, ColumnType); 5] = [
    ("query", ColumnType::Text),
    ("metric", ColumnType::Text),
    ("labels", ColumnType::Text),
    ("at", ColumnType::Time),
    ("value", ColumnType::Number),
];

/// The tables that are written.
pub(super) struct Tables<'a> {
    files: Vec<(Table, TableFile<'a>)>,
}

impl<'a> Tables<'a> {
    /// All tables or only one, each in its own file in `directory`, made by `create` from a path without an extension and the
    /// columns.
    pub(super) fn in_directory(
        directory: &Path,
        only: Option<Table>,
        create: impl Fn(PathBuf, &[(&'static str, ColumnType)]) -> Result<TableFile<'a>, Failure>,
    ) -> Result<Self, Failure> {
        let file = |table: Table| Ok((table, create(directory.join(word(table)), &table.columns())?));
        let chosen = Table::value_variants().iter().copied().filter(|table| only.is_none_or(|only| only == *table));
        Ok(Self { files: chosen.map(file).collect::<Result<_, Failure>>()? })
    }

    /// One table.
    pub(super) fn one(
        table: Table,
        create: impl FnOnce(&[(&'static str, ColumnType)]) -> Result<TableFile<'a>, Failure>,
    ) -> Result<Self, Failure> {
        Ok(Self { files: vec![(table, create(&table.columns())?)] })
    }

    fn file(&mut self, table: Table) -> Option<&mut TableFile<'a>> {
        self.files.iter_mut().find(|(held, _)| *held == table).map(|(_, file)| file)
    }

    /// Writes the rows of one scenario. Returns the remarks on its samples, if these are written.
    pub(super) fn scenario(&mut self, recorded: &Recorded<'_>) -> Result<Option<Remarks>, Failure> {
        let (labels, shift) = (&recorded.source.labels, recorded.shift);
        if self.file(Table::Jobs).is_some() || self.file(Table::Stages).is_some() {
            recorded.for_each_job(&mut |entry, job| {
                if let Some(file) = self.file(Table::Jobs) {
                    file.row(&cells(
                        labels,
                        &job_columns(),
                        &JobRow::new(entry, job.and_then(|job| job.status.trace_id.as_deref())),
                        shift,
                    ))?;
                }
                if let Some(file) = self.file(Table::Stages) {
                    for row in StageRow::of(entry, job) {
                        file.row(&cells(labels, &stage_columns(), &row, shift))?;
                    }
                }
                Ok(())
            })?;
        }
        let Some(file) = self.file(Table::Samples) else { return Ok(None) };
        let remarks = samples::for_each(recorded, &mut |series| sample_rows(file, labels, series, shift))?;
        remarks.report(recorded);
        Ok(Some(remarks))
    }

    /// Completes the files.
    pub(super) fn finish(self) -> Result<(), Failure> {
        self.files.into_iter().try_for_each(|(_, file)| file.finish())
    }
}

/// The cells of a job or a stage, behind the labels of its scenario.
fn cells<'r, Row>(labels: &'r Labels, columns: &[Column<Row>], row: &'r Row, shift: Shift) -> Vec<Cell<'r>> {
    let labels = labels.values().into_iter().skip(1).map(text);
    let own = columns.iter().map(|(.., value)| match value(row) {
        Cell::Time(time) => Cell::Time(Timestamp::from_micros(shift.harness(time))),
        cell => cell,
    });
    labels.chain(own).collect()
}

/// A value as the command line spells it.
pub(super) fn word(value: impl ValueEnum) -> String {
    value.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
}

fn sample_rows(
    file: &mut TableFile<'_>,
    labels: &Labels,
    series: &CapturedSeries<'_>,
    shift: Shift,
) -> Result<(), Failure> {
    let own: BTreeMap<&String, &String> =
        series.labels.iter().filter(|(name, _)| !source::NAMES.contains(&name.as_str())).collect();
    let json = serde_json::to_string(&own).map_err(|error| Failure::input_output(format!("labels: {error}")))?;
    let mut cells: Vec<Cell<'_>> = labels.values().into_iter().map(text).collect();
    cells.extend([text(&series.query.metadata.name), text(series.name), Cell::Text(json.into())]);
    let place = cells.len();
    for (at, value) in series.samples {
        cells.truncate(place);
        cells.push(Cell::Time(Timestamp::from_micros(shift.captured(*at).saturating_mul(1000))));
        cells.push(Cell::Number(number(value)?));
        file.row(&cells)?;
    }
    Ok(())
}

/// A text; empty if there is none.
fn text(text: &str) -> Cell<'_> {
    if text.is_empty() { Cell::Empty } else { Cell::Text(text.into()) }
}

fn number(value: &SampleText<'_>) -> Result<f64, Failure> {
    value.number().map_err(Failure::input_output)
}
