//! `jobs.csv` and `stages.csv`: a row for every job and for every stage of a job.

use std::io::{self, Write};

use super::scene::Scene;
use crate::figures::tables::{Column, JobRow, StageRow, job_columns, stage_columns};

/// One row per job of the tally. A job without a record has only its name and its phase.
pub(super) fn jobs(scene: &Scene<'_>, out: &mut dyn Write) -> io::Result<()> {
    let mut table = Table::begin(out, &job_columns())?;
    for entry in &scene.evaluation.figures.tally.entries {
        let text = scene.input.jobs.text_of(&entry.run, &entry.name)?;
        let trace_id = text.as_deref().map(trace_id).transpose()?.flatten();
        table.row(&job_columns(), &JobRow::new(entry, trace_id.as_deref()))?;
    }
    table.0.flush()
}

/// One row per stage of a job's status.
pub(super) fn stages(scene: &Scene<'_>, out: &mut dyn Write) -> io::Result<()> {
    let mut table = Table::begin(out, &stage_columns())?;
    for entry in scene.evaluation.figures.tally.entries.iter().filter(|entry| !entry.stages().is_empty()) {
        let job = scene.jobs.find(&entry.run, &entry.name)?;
        StageRow::of(entry, job.as_ref()).try_for_each(|row| table.row(&stage_columns(), &row))?;
    }
    table.0.flush()
}

/// The trace id in the record of a job, which is the only cell that the tally does not have.
fn trace_id(text: &str) -> io::Result<Option<String>> {
    #[derive(Default, serde::Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    struct Status {
        trace_id: Option<String>,
    }
    #[derive(serde::Deserialize)]
    struct Traced {
        #[serde(default)]
        status: Status,
    }
    let Traced { status } = serde_json::from_str(text).map_err(io::Error::other)?;
    Ok(status.trace_id)
}

/// A table that is written row by row.
struct Table<'a>(csv::Writer<&'a mut dyn Write>);

impl<'a> Table<'a> {
    fn begin<T>(out: &'a mut dyn Write, columns: &[Column<T>]) -> io::Result<Self> {
        let mut table = csv::Writer::from_writer(out);
        table.write_record(columns.iter().map(|(name, ..)| name))?;
        Ok(Self(table))
    }

    fn row<T>(&mut self, columns: &[Column<T>], row: &T) -> io::Result<()> {
        Ok(self.0.write_record(columns.iter().map(|(.., value)| value(row).to_csv()))?)
    }
}
