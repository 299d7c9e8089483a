//! `export-run`: writes finished runs in the formats of the tools in which people look at metrics, traces and tables.
//!
//! The records of jobs and the captured samples stay on disk and pass one by one, so memory does not grow with what they hold.

mod harness;
mod openmetrics;
#[cfg(feature = "parquet")]
mod parquet_file;
mod recorded;
mod samples;
mod shift;
mod sink;
mod sorter;
mod source;
mod table_file;
mod tables;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::cli::{Console, Exit, Failure, Io, Outcome};
use crate::figures::tables::ColumnType;
use crate::record::Timestamp;
use openmetrics::Exposition;
use recorded::Recorded;
use shift::Shift;
use sink::{Out, Sink};
use source::Source;
use table_file::TableFile;
use tables::{Table, Tables};

const AFTER_HELP: &str = "\
Input:
  The records.ndjson of finished scenarios and the files that it names; stdin is
  not read. A DIR that is no scenario stands for all scenarios below it. Every
  series, row and track has the labels run, scenario, level and leg.

Formats:
  openmetrics  captured samples at the times of their scrapes, and the series of
               the harness: stress_jobs_in_flight, stress_jobs_submitted_total,
               stress_jobs_ended_total, stress_job_end_to_end_seconds,
               stress_stage_wait_seconds, stress_stage_work_seconds, stress_jobs
               and stress_verdict. `promtool tsdb create-blocks-from openmetrics`
               and VictoriaMetrics import it.
  csv          the tables jobs, stages and samples, in three files in --out; or
               the one that --table names
  parquet      the same as Apache Parquet, if the tool was built with it

Output:
  stdout or --out. stderr names what a format cannot carry: native histograms,
  the ends of series, missed scrapes. A file is written under a temporary name
  and renamed.

Examples:
  export-run stress-runs/latest --as openmetrics --out run.om
  export-run runs/a/soak runs/b/soak --align --as openmetrics > both.om
  export-run runs/a --as csv --table jobs | duckdb -c \\
    \"select phase, count(*) from read_csv('/dev/stdin') group by 1\"

Exit codes:
  0    exported
  2    usage error: no such directory, nothing to export, or two scenarios that
       have the same labels
  65   exported, but broken lines of records.ndjson were left out
  74   reading or writing failed; what could be read is exported";

/// Export finished runs to Prometheus, CSV or Parquet.
#[derive(Debug, Clone, clap::Parser)]
#[command(name = "export-run", version, after_help = AFTER_HELP)]
pub struct Args {
    /// A finished run, or one of its scenarios
    #[arg(value_name = "DIR", required = true)]
    pub runs: Vec<PathBuf>,
    /// Write this format
    #[arg(long = "as", value_name = "FORMAT", hide_possible_values = true)]
    pub format: Format,
    /// Write to this file instead of stdout; csv and parquet: to files in this directory
    #[arg(long, value_name = "PATH")]
    pub out: Option<PathBuf>,
    /// Write only this table: jobs, stages or samples
    #[arg(long, value_name = "TABLE", hide_possible_values = true)]
    pub table: Option<Table>,
    /// Move all scenarios in time so that they begin when the first one does
    #[arg(long)]
    pub align: bool,
}

/// The format to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Samples as `OpenMetrics` text.
    Openmetrics,
    /// Tables as comma-separated values.
    Csv,
    /// Tables as Apache Parquet.
    Parquet,
}

/// Runs the tool.
pub fn run(args: Args, io: Io<'_>) -> Outcome {
    let Io { stdout, console, .. } = io;
    let sources = source::find(&args.runs, &console)?;
    let mut export = Export { console, align: args.align, zero: None, exit: Exit::Done };
    match args.format {
        Format::Csv | Format::Parquet => {
            let mut tables = tables(&args, stdout)?;
            export.each(&sources, |source, recorded, shift, console| {
                let remarks = tables.scenario(source, recorded, shift, console)?;
                Ok(remarks.is_none_or(|remarks| !remarks.is_broken()))
            })?;
            tables.finish()?;
        }
        _ if args.table.is_some() => {
            return Err(Failure::usage("--table: only --as csv and --as parquet write tables"));
        }
        Format::Openmetrics => {
            let mut exposition = Exposition::new(Out::new(args.out.as_deref(), stdout)?);
            export.each(&sources, |source, recorded, shift, console| {
                Ok(!exposition.scenario(source, recorded, shift, console)?.is_broken())
            })?;
            exposition.finish()?;
        }
    }
    Ok(export.exit)
}

/// One export of several scenarios.
struct Export {
    console: Console,
    align: bool,
    /// The common begin of all scenarios with --align.
    zero: Option<Timestamp>,
    exit: Exit,
}

impl Export {
    /// Reads each of `sources` and hands it to `write`, which returns true if every file of it could be read.
    fn each(
        &mut self,
        sources: &[Source],
        mut write: impl FnMut(&Source, &Recorded, Shift, &Console) -> Result<bool, Failure>,
    ) -> Result<(), Failure> {
        for source in sources {
            let recorded = Recorded::read(source, &self.console)?;
            if self.align {
                self.zero = self.zero.or(recorded.zero());
            }
            let is_whole = write(source, &recorded, Shift::new(&recorded, self.zero), &self.console)?;
            self.exit = match self.exit {
                _ if !is_whole => Exit::InputOutput,
                Exit::Done if recorded.broken => Exit::BrokenInput,
                exit => exit,
            };
        }
        Ok(())
    }
}

/// The tables that the command line asks for.
fn tables<'a>(args: &Args, stdout: &'a mut dyn Write) -> Result<Tables<'a>, Failure> {
    let extension = if args.format == Format::Csv { "csv" } else { "parquet" };
    match (&args.out, args.table) {
        (Some(directory), table) => {
            fs::create_dir_all(directory)
                .map_err(|error| Failure::io(&format!("--out {}", directory.display()), &error))?;
            Tables::in_directory(directory, table, |path, columns| {
                table_file(args.format, &path.with_extension(extension), columns)
            })
        }
        (None, Some(table)) if args.format == Format::Csv => {
            Tables::one(table, |columns| TableFile::csv(Sink::Stdout(stdout), columns.iter().map(|(name, _)| *name)))
        }
        (None, _) => Err(Failure::usage(format!(
            "--as {extension}: it writes several files: name their directory with --out{}",
            if args.format == Format::Csv { ", or one table with --table" } else { "" }
        ))),
    }
}

fn table_file<'a>(
    format: Format,
    path: &Path,
    columns: &[(&'static str, ColumnType)],
) -> Result<TableFile<'a>, Failure> {
    if format == Format::Csv {
        return TableFile::csv(Sink::file(path)?, columns.iter().map(|(name, _)| *name));
    }
    #[cfg(feature = "parquet")]
    return parquet_file::ParquetFile::create(path.to_owned(), columns).map(|file| TableFile::Parquet(Box::new(file)));
    #[cfg(not(feature = "parquet"))]
    Err(Failure::usage(
        "--as parquet: this export-run was built without Parquet; build it with `cargo build --release --features parquet`, \
         take it from the archive of `make dist`, or use --as csv, which writes the same tables",
    ))
}
