//! Reading the stream: every usable line goes to `records.ndjson` the moment it is read, and into the fold.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::ops::Range;
use std::path::Path;

use super::records_file::RecordsFile;
use super::run_dir::RECORDS;
use crate::cli::{Console, Failure};
use crate::figures::resumed::GivenUp;
use crate::ndjson::{BadLines, Line, Reader};
use crate::record::{Fold, Kind, Record, RunSpec};
use crate::stored_jobs::StoredJobs;

/// The records of a report.
#[derive(Debug, Default)]
pub(super) struct Input {
    /// All records but those of jobs.
    pub(super) fold: Fold,
    /// The jobs, whose records stay in the file.
    pub(super) jobs: StoredJobs,
    /// The jobs that were given up and then followed again, which the fold forgets.
    pub(super) given_up: GivenUp,
    /// Some lines were broken.
    pub(super) broken: bool,
    /// Reading or writing failed on the way, and was reported.
    pub(super) failed: bool,
    /// Standard input had not one line.
    pub(super) empty: bool,
}

impl Input {
    /// Takes `record` into account, whose line the file holds at `place`.
    fn add(&mut self, record: Record, place: Option<Range<u64>>) -> io::Result<()> {
        self.given_up.note(&record);
        if record.kind() == Kind::Job {
            return self.jobs.add(&record, place);
        }
        self.fold.add(record);
        Ok(())
    }

    /// Returns true if `record` is the last word on its resource.
    pub(super) fn ends_with(&self, record: &Record) -> io::Result<bool> {
        let key = record.key();
        if key.kind == Kind::Job {
            return Ok(self.jobs.text_of(&key.run, &key.name)?.as_deref() == Some(record.text()));
        }
        Ok(self.fold.get(key).map(Record::text) == Some(record.text()))
    }
}

/// Reads `stdin` to its end, on top of the records of `before`, and adds every usable line to `file`.
///
/// The criteria in `asked` go onto each Run before that, so that the report can be made again from the file alone. Reading goes on
/// where the file cannot be written, because the tool at the other end of the pipe must not break.
pub(super) fn receive(
    stdin: impl BufRead,
    before: Input,
    file: &mut RecordsFile,
    asked: &RunSpec,
    console: &Console,
) -> Input {
    let (mut input, mut bad_lines) = (Input { empty: true, ..before }, BadLines::default());
    for read in Reader::stdin(stdin) {
        input.empty = false;
        let line = match read {
            Ok(read) => bad_lines.take(read, console),
            Err(error) => {
                console.say(&format!("stdin: {error}"));
                input.failed = true;
                break;
            }
        };
        let Some(line) = line else { continue };
        let line = with_criteria(line, asked, console);
        let taken = file.holds(&line, |record| input.ends_with(record)).and_then(|is_held| {
            let place = if is_held { None } else { file.add(&line, console) };
            match line {
                Line::Record(record) if !is_held => input.add(record, place),
                _ => Ok(()),
            }
        });
        if let Err(error) = taken {
            console.say(&format!("{}: {error}", file.path().display()));
            input.failed = true;
            break;
        }
    }
    input.broken |= bad_lines.broken() > 0;
    bad_lines.close(console);
    input
}

fn with_criteria(mut line: Line, asked: &RunSpec, console: &Console) -> Line {
    if let Line::Record(record) = &mut line
        && record.kind() == Kind::Run
        && *asked != RunSpec::default()
        && let Err(error) = record.update_spec(asked)
    {
        console.say(&format!("the Run {}: {error}: it cannot keep the report's criteria", record.key().name));
    }
    line
}

/// Reads the `records.ndjson` of `out` again.
pub(super) fn replay(out: &Path, console: &Console) -> Result<Input, Failure> {
    let path = out.join(RECORDS);
    let name = path.display().to_string();
    let file = File::open(&path).map_err(|error| Failure::io(&name, &error))?;
    read(&file, &name, console).map(|(input, _)| input)
}

/// Opens the `records.ndjson` of `out` to be added to, and reads it.
pub(super) fn append(out: &Path, console: &Console) -> Result<(RecordsFile, Input), Failure> {
    RecordsFile::open(out, |file, name| read(&file, name, console))
}

/// Reads `file`; the lines that are no records of a known kind are returned beside the records.
fn read(file: &File, name: &str, console: &Console) -> Result<(Input, HashSet<String>), Failure> {
    let failed = |error: io::Error| Failure::io(name, &error);
    let jobs = StoredJobs::in_file(file.try_clone().map_err(failed)?);
    let (mut input, mut bad_lines, mut other_lines) =
        (Input { jobs, ..Input::default() }, BadLines::default(), HashSet::new());
    let mut reader = Reader::named(BufReader::with_capacity(64 * 1024, file), name);
    while let Some(read) = reader.next() {
        match bad_lines.take(read.map_err(failed)?, console) {
            Some(Line::Record(record)) => input.add(record, Some(reader.place())).map_err(failed)?,
            Some(Line::Other(text)) => {
                other_lines.insert(text);
            }
            None => {}
        }
    }
    input.broken = bad_lines.broken() > 0;
    bad_lines.close(console);
    Ok((input, other_lines))
}
