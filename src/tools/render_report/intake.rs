//! Reading the stream: every usable line goes to `records.ndjson` the moment it is read, and into the fold.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use super::ledger::Ledger;
use crate::cli::{Console, Failure};
use crate::figures::resumed::GivenUp;
use crate::ndjson::{Account, Line, Reader};
use crate::record::{Fold, Kind, Record, RunSpec};
pub(super) use crate::scenario::RECORDS;

/// What was read.
#[derive(Debug, Default)]
pub(super) struct Intake {
    pub(super) fold: Fold,
    /// What the fold forgets: jobs that were given up, and then followed again.
    pub(super) given_up: GivenUp,
    /// Some lines were broken.
    pub(super) broken: bool,
    /// Reading or writing failed on the way; it has been said.
    pub(super) failed: bool,
    /// Standard input brought not one line.
    pub(super) nothing: bool,
}

/// Reads `input` to its end, into what is `held` already, with every usable line added to `ledger`.
///
/// `asked` goes onto each Run first, so that the report can be made again from the file alone. Where the ledger cannot be
/// written reading goes on, for whoever writes to us must not break.
pub(super) fn receive(
    input: impl BufRead,
    held: Intake,
    ledger: &mut Ledger,
    asked: &RunSpec,
    console: &Console,
) -> Intake {
    let (mut intake, mut account) = (Intake { nothing: true, ..held }, Account::default());
    for read in Reader::stdin(input) {
        intake.nothing = false;
        let line = match read {
            Ok(read) => account.take(read, console),
            Err(error) => {
                console.say(&format!("stdin: {error}"));
                intake.failed = true;
                break;
            }
        };
        let Some(line) = line else { continue };
        let line = marked(line, asked, console);
        if !ledger.holds(&line, &intake.fold) {
            ledger.add(&line, console);
        }
        if let Line::Record(record) = line {
            intake.given_up.note(&record);
            intake.fold.add(record);
        }
    }
    intake.broken |= account.broken() > 0;
    account.close(console);
    intake
}

fn marked(mut line: Line, asked: &RunSpec, console: &Console) -> Line {
    if let Line::Record(record) = &mut line
        && record.kind() == Kind::Run
        && *asked != RunSpec::default()
        && let Err(error) = record.update_spec(asked)
    {
        console.say(&format!("the Run {}: {error}: it cannot hold what was asked of the report", record.key().name));
    }
    line
}

/// Reads the `records.ndjson` of `out` again.
pub(super) fn replay(out: &Path, console: &Console) -> Result<Intake, Failure> {
    let path = out.join(RECORDS);
    let name = path.display().to_string();
    let file = File::open(&path).map_err(|error| Failure::io(&name, &error))?;
    read(file, &name, console, &mut drop)
}

/// Reads `file`, whose lines that are no records of a known kind go to `others`.
pub(super) fn read(
    file: File,
    name: &str,
    console: &Console,
    others: &mut dyn FnMut(String),
) -> Result<Intake, Failure> {
    let (mut intake, mut account) = (Intake::default(), Account::default());
    for read in Reader::named(BufReader::with_capacity(64 * 1024, file), name) {
        let read = read.map_err(|error| Failure::io(name, &error))?;
        match account.take(read, console) {
            Some(Line::Record(record)) => {
                intake.given_up.note(&record);
                intake.fold.add(record);
            }
            Some(Line::Other(text)) => others(text),
            None => {}
        }
    }
    intake.broken = account.broken() > 0;
    account.close(console);
    Ok(intake)
}

/// The records of one kind that stayed, as they are spelt.
pub(super) fn texts(fold: &Fold, kind: Kind) -> impl Iterator<Item = &str> {
    fold.records().filter(move |record| record.kind() == kind).map(Record::text)
}
