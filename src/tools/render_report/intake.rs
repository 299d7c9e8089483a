//! Reading the stream: every usable line goes to `records.ndjson` the moment it is read, and into the fold.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::path::Path;

use crate::cli::{Console, Exit, Failure, Outcome};
use crate::ndjson::{Account, Line, Reader};
use crate::record::{Fold, Kind, Record, RunSpec};
pub(super) use crate::scenario::RECORDS;

/// What was read.
#[derive(Debug, Default)]
pub(super) struct Intake {
    pub(super) fold: Fold,
    /// Some lines were broken.
    pub(super) broken: bool,
    /// Reading or writing failed on the way; it has been said.
    pub(super) failed: bool,
}

/// Makes the directory `out` for a new scenario and its `records.ndjson`. What holds a scenario already is refused.
pub(super) fn create(out: &Path) -> Result<File, Failure> {
    fs::create_dir_all(out).map_err(|error| Failure::io(&out.display().to_string(), &error))?;
    check_free(out)?;
    OpenOptions::new().write(true).create_new(true).open(out.join(RECORDS)).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => occupied(out, RECORDS),
        _ => Failure::io(&out.join(RECORDS).display().to_string(), &error),
    })
}

fn check_free(out: &Path) -> Result<(), Failure> {
    let taken = super::files::OURS.iter().find(|name| out.join(name).symlink_metadata().is_ok());
    taken.map_or(Ok(()), |name| Err(occupied(out, name)))
}

/// Checks what [`create`] would need of `out`, without leaving anything there: that it holds no scenario, and that it, or the
/// nearest directory above it that is there, can be written.
pub(super) fn check(out: Option<&Path>) -> Outcome {
    let Some(out) = out else { return Ok(Exit::Done) };
    check_free(out)?;
    // A relative path ends in the empty one, which is the working directory.
    let nearest = out.ancestors().map(|place| if place.as_os_str().is_empty() { Path::new(".") } else { place });
    let nearest = nearest.into_iter().find(|place| place.symlink_metadata().is_ok()).unwrap_or(out);
    super::files::check_writable(nearest).map(|()| Exit::Done)
}

fn occupied(out: &Path, name: &str) -> Failure {
    let out = out.display();
    Failure::usage(format!(
        "--out {out}: it holds {name} already, and scenarios are not mixed; name a new directory, or add --replay to \
         make this one's report again"
    ))
}

/// Reads `input` to its end, with every usable line written to `records`.
///
/// `asked` goes onto each Run first, so that the report can be made again from the file alone. Where `records` cannot be
/// written that is said once; reading goes on, for whoever writes to us must not break.
pub(super) fn receive(input: impl BufRead, records: &mut dyn Write, asked: &RunSpec, console: &Console) -> Intake {
    let (mut intake, mut account, mut writable) = (Intake::default(), Account::default(), true);
    for read in Reader::stdin(input) {
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
        if writable && let Err(error) = write_line(records, &line) {
            console.say(&format!("{RECORDS}: {error}: it ends here; the report is made all the same"));
            (writable, intake.failed) = (false, true);
        }
        if let Line::Record(record) = line {
            intake.fold.add(record);
        }
    }
    intake.broken = account.broken() > 0;
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

fn write_line(records: &mut dyn Write, line: &Line) -> std::io::Result<()> {
    records.write_all(format!("{}\n", line.text()).as_bytes())
}

/// Reads the `records.ndjson` of `out` again.
pub(super) fn replay(out: &Path, console: &Console) -> Result<Intake, Failure> {
    let path = out.join(RECORDS);
    let name = path.display().to_string();
    let file = File::open(&path).map_err(|error| Failure::io(&name, &error))?;
    let (mut intake, mut account) = (Intake::default(), Account::default());
    for read in Reader::named(BufReader::with_capacity(64 * 1024, file), &name) {
        let read = read.map_err(|error| Failure::io(&name, &error))?;
        if let Some(Line::Record(record)) = account.take(read, console) {
            intake.fold.add(record);
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
