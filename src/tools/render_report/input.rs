//! Reading the stream: every usable line goes to `records.ndjson` the moment it is read, and into the fold.

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use super::records_file::RecordsFile;
use super::run_dir::RECORDS;
use crate::cli::{Console, Failure};
use crate::figures::resumed::GivenUp;
use crate::ndjson::{BadLines, Line, Reader};
use crate::record::{Fold, Kind, Record, RunSpec};

/// The records of a report.
#[derive(Debug, Default)]
pub(super) struct Input {
    pub(super) fold: Fold,
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
    fn add(&mut self, record: Record) {
        self.given_up.note(&record);
        self.fold.add(record);
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
        if !file.holds(&line, &input.fold) {
            file.add(&line, console);
        }
        if let Line::Record(record) = line {
            input.add(record);
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
    read(file, &name, console).map(|(input, _)| input)
}

/// Opens the `records.ndjson` of `out` to be added to, and reads it.
pub(super) fn append(out: &Path, console: &Console) -> Result<(RecordsFile, Input), Failure> {
    RecordsFile::open(out, |file, name| read(file, name, console))
}

/// Reads `file`; the lines that are no records of a known kind are returned beside the records.
fn read(file: File, name: &str, console: &Console) -> Result<(Input, HashSet<String>), Failure> {
    let (mut input, mut bad_lines, mut other_lines) = (Input::default(), BadLines::default(), HashSet::new());
    for read in Reader::named(BufReader::with_capacity(64 * 1024, file), name) {
        let read = read.map_err(|error| Failure::io(name, &error))?;
        match bad_lines.take(read, console) {
            Some(Line::Record(record)) => input.add(record),
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
