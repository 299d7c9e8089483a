//! `jobs.csv` and `stages.csv`: a row for every job and for every stage of a job.

use std::io;

use crate::figures::Figures;
use crate::figures::tables::{Column, JobRow, StageRow, job_columns, stage_columns};

/// One row per job of the tally. A job without a record has only its name and its phase.
pub(super) fn jobs(figures: &Figures) -> io::Result<Vec<u8>> {
    table(&job_columns(), figures.tally.entries.iter().map(JobRow::new))
}

/// One row per stage of a job's status.
pub(super) fn stages(figures: &Figures) -> io::Result<Vec<u8>> {
    table(&stage_columns(), figures.tally.entries.iter().flat_map(StageRow::of))
}

fn table<T>(columns: &[Column<T>], rows: impl Iterator<Item = T>) -> io::Result<Vec<u8>> {
    let mut table = csv::Writer::from_writer(Vec::new());
    table.write_record(columns.iter().map(|(name, ..)| name))?;
    for row in rows {
        table.write_record(columns.iter().map(|(.., value)| value(&row).to_csv()))?;
    }
    table.into_inner().map_err(csv::IntoInnerError::into_error)
}
