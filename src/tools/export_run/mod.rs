//! `export-run`: writes finished runs in the formats of the tools in which people look at metrics, traces and tables.
//!
//! The records of jobs and the captured samples stay on disk and pass one by one; what must be sorted is sorted there, too. So memory
//! does not grow with the run.

mod args;
mod dashboards;
mod harness;
mod jaeger_file;
mod jaeger_v1;
mod job_index;
mod links;
mod openmetrics;
mod ordered;
mod otlp;
mod otlp_span;
mod panels;
#[cfg(feature = "parquet")]
mod parquet_file;
mod perfetto;
mod recorded;
mod samples;
mod shift;
mod sink;
mod slices;
mod sorter;
mod source;
mod spans;
mod summary;
mod table_file;
mod tables;

use std::fs;
use std::io::Write;
use std::path::Path;

use crate::cli::{Console, Exit, Failure, Io, Outcome, Stop};
use crate::figures::tables::ColumnType;
use crate::http::{BaseUrl, Connections};
use crate::record::Timestamp;
use crate::units;
pub use args::{Args, Format};
use openmetrics::Exposition;
use otlp::{Destination, Requests};
use perfetto::Trace;
use recorded::Recorded;
use sink::{Out, Sink};
use source::Source;
use summary::Summary;
use table_file::TableFile;
pub use tables::Table;
use tables::Tables;

/// Runs the tool.
pub fn run(args: Args, io: Io<'_>) -> Outcome {
    let Io { stdout, console, stop, .. } = io;
    check(&args)?;
    let sources = source::find(&args.runs, &console)?;
    let mut export = Export { console, align: args.align, zero: None, exit: Exit::Done };
    let out = args.out.as_deref();
    match args.format {
        Format::Csv | Format::Parquet => {
            let mut tables = tables(&args, stdout)?;
            export
                .each(&sources, |recorded| Ok(tables.scenario(recorded)?.is_none_or(|remarks| !remarks.is_broken())))?;
            tables.finish()?;
        }
        Format::Openmetrics => {
            let mut exposition = Exposition::new(Out::new(out, stdout)?);
            export.each(&sources, |recorded| Ok(!exposition.scenario(recorded)?.is_broken()))?;
            exposition.finish()?;
        }
        Format::Perfetto => {
            let mut trace = Trace::new(Out::new(out, stdout)?)?;
            export.each(&sources, |recorded| trace.scenario(recorded))?;
            trace.finish()?;
        }
        Format::Otlp => {
            let mut requests = Requests::new(destination(&args, stdout, stop)?, sources.len());
            export.each(&sources, |recorded| {
                requests.next_scenario();
                spans::for_each(recorded, &mut |span| requests.add(span))
            })?;
            let sent = requests.finish()?;
            if let Some(to) = &args.to {
                export.console.say(&format!("sent {} to {to}", units::counted(sent, "span", "spans")));
            }
        }
        Format::Grafana | Format::Vmui | Format::Links | Format::Summary => {
            overview(&args, &sources, &mut export, stdout)?;
        }
    }
    Ok(export.exit)
}

/// Refuses flags that do not fit the format.
fn check(args: &Args) -> Result<(), Failure> {
    let (format, refused) = (args.format, |what: &str| Err(Failure::usage(what)));
    if args.table.is_some() && !matches!(format, Format::Csv | Format::Parquet) {
        return refused("--table: only --as csv and --as parquet write tables");
    }
    if args.to.is_some() && format != Format::Otlp {
        return refused("--to: only spans are sent: use it with --as otlp");
    }
    if args.align && format == Format::Otlp {
        return refused("--align: spans keep their times; leave it out with --as otlp");
    }
    if args.to.is_some() && args.out.is_some() {
        return refused("--to and --out: spans are either sent or written; use one of them");
    }
    Ok(())
}

/// The receiver of spans that the command line asks for.
fn destination<'a>(args: &Args, stdout: &'a mut dyn Write, stop: Stop) -> Result<Destination<'a>, Failure> {
    let Some(to) = &args.to else { return Out::new(args.out.as_deref(), stdout).map(Destination::Lines) };
    let base = BaseUrl::parse(to, "--to")?;
    let client = args.http.client_factory(Connections::Kept)?.client();
    Ok(Destination::endpoint(&base, client, stop))
}

/// Writes what follows from all scenarios together: a dashboard, links or the summary.
fn overview(args: &Args, sources: &[Source], export: &mut Export, stdout: &mut dyn Write) -> Result<(), Failure> {
    let directory = || {
        let out = args.out.as_deref();
        out.ok_or_else(|| Failure::usage(format!("--as {}: name a directory with --out", tables::word(args.format))))
    };
    let links = links::Bases::parse(args)?;
    if args.format == Format::Links && links.is_empty() {
        return Err(Failure::usage("--as links: name a page with --prometheus-ui, --vmui, --grafana or --jaeger-ui"));
    }
    if matches!(args.format, Format::Grafana | Format::Vmui) {
        directory()?;
    }
    let (mut summary, mut queries) = (Summary::default(), Vec::new());
    export.each(sources, |recorded| {
        panels::add_queries(recorded, &mut queries);
        let remarks = samples::for_each(recorded, &mut |_| Ok(()))?;
        remarks.report_unreadable(recorded.console);
        summary.add(recorded, remarks.interval);
        Ok(!remarks.is_broken())
    })?;
    if summary.is_empty() {
        return Err(Failure::usage(
            "no job was submitted and nothing was captured, so there is nothing to show; name another run",
        ));
    }
    let text = match args.format {
        Format::Grafana => return dashboards::write_grafana(directory()?, &queries, &summary),
        Format::Vmui => return dashboards::write_vmui(directory()?, &queries, &summary),
        Format::Links => links.lines(&queries, &summary),
        _ => format!("{}\n", summary.to_json()),
    };
    let mut out = Out::new(args.out.as_deref(), stdout)?;
    write!(out, "{text}")?;
    out.finish()
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
        mut write: impl FnMut(&Recorded<'_>) -> Result<bool, Failure>,
    ) -> Result<(), Failure> {
        for source in sources {
            let mut recorded = Recorded::read(source, &self.console)?;
            if self.align {
                self.zero = self.zero.or(recorded.zero());
            }
            recorded.align(self.zero);
            let is_whole = write(&recorded)?;
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
            "--as {extension}: this format needs several files: name a directory for them with --out{}",
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
