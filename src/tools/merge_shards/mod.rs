//! `merge-shards`: merges the collected files of a run's shards into one stream, and reports whether each shard is whole.
//!
//! It holds no jobs in memory: it reads each file once to compare it with its Ends, and once more to copy its lines.

mod pods;
mod scan;
mod verify;
mod withdrawn;

use std::collections::{BTreeMap, HashSet};
use std::fs::{self, File};
use std::io::{BufReader, Write};
use std::path::{Path, PathBuf};

use crate::cli::{Console, Exit, Failure, Io, Outcome};
use crate::ndjson::{BadLines, Read, Reader, Writer};
use crate::record::{Key, Kind, Metadata, Record, Shard, ShardStream, ShardStreamSpec, StreamResult};
use crate::scenario::RECORDS;
use scan::Scan;
use verify::Collected;

/// The file of `submit-jobs --journal`.
const JOURNAL: &str = "submissions.ndjson";
/// The shard's pods, as `kubectl get pods --output json` prints them.
const PODS: &str = "pods.json";
/// More shards than this are a mistake, or an attack.
const MOST: u64 = 100_000;

/// Merge the collected files of a run's shards into one stream, and report which shards are whole.
#[derive(Clone, Debug, clap::Parser)]
#[command(name = "merge-shards", version, after_help = HELP)]
pub struct Args {
    /// Directory with a directory shard-INDEX for each shard
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
    /// Number of shards [default: as in their records]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=MOST))]
    pub shards: Option<u64>,
    /// The run's id, for shards from which no record arrived [default: that of the other shards]
    #[arg(long, value_name = "ID")]
    pub run: Option<String>,
}

const HELP: &str = "\
Input:
  DIR/shard-INDEX/ with any of these files:
    records.ndjson      the records that seal-shard --out wrote
    stdout*.log         the output of kubectl logs, one file per pod
    submissions.ndjson  the journal that submit-jobs --journal wrote
    pods.json           the output of kubectl get pods -o json

Output:
  every record that arrived, then a Shard record for each shard: Whole if the
  last End record proves all of records.ndjson, or if the End of every attempt
  proves that attempt's log; Incomplete, with the number of missing lines; or
  Silent if no record arrived. Records from a log or a journal are written only
  if records.ndjson does not prove the shard whole.
  The same files always give the same bytes.

Examples:
  merge-shards out/shards | render-report --out out/report
  merge-shards out/shards \\
    | jq -r 'select(.kind == \"Shard\") | [.metadata.name, .status.result] | @tsv'

Exit codes:
  0   done, whether the shards are whole or not: render-report judges
  2   usage error
  65  broken input lines
  74  reading or writing failed";

/// Runs the tool.
pub fn run(args: Args, io: Io<'_>) -> Outcome {
    let shards = find_shards(&args.dir)?;
    let Io { stdout, console, .. } = io;
    let mut merge = Merge { out: stdout, console, bad_lines: BadLines::default() };
    let mut all = BTreeMap::new();
    for (index, dir) in shards {
        all.insert(index, merge.shard(&dir)?);
    }
    let count = args.shards.or_else(|| all.values().filter_map(|shard| shard.count).max());
    let count =
        count.filter(|count| *count <= MOST).unwrap_or_default().max(all.keys().last().map_or(0, |last| last + 1));
    let run = args.run.or_else(|| all.values().find_map(|shard| shard.run.clone())).unwrap_or_default();
    let mut writer = Writer::new(merge.out);
    for index in 0..count {
        let shard = all.remove(&index).unwrap_or_default();
        if shard.status.result != StreamResult::Whole {
            let message = shard.status.message.as_deref().unwrap_or("no directory");
            merge.console.say(&format!("shard {index} of {count}: {message}"));
        }
        let metadata = Metadata {
            name: format!("shard-{index}"),
            run: shard.run.unwrap_or_else(|| run.clone()),
            ..Metadata::default()
        };
        let spec = ShardStreamSpec { shard: Shard { index, count } };
        writer.record(&Record::new(Kind::Shard, &ShardStream { metadata, spec, status: shard.status })?)?;
    }
    Ok(if merge.bad_lines.broken() > 0 { Exit::BrokenInput } else { Exit::Done })
}

/// The directories of the shards, by index.
fn find_shards(dir: &Path) -> Result<BTreeMap<u64, PathBuf>, Failure> {
    let mut found = BTreeMap::new();
    for (name, path) in entries(dir)? {
        let index = name.strip_prefix("shard-").and_then(|index| index.parse().ok());
        let Some(index) = index.filter(|index| *index < MOST && path.is_dir()) else { continue };
        if let Some(other) = found.insert(index, path) {
            return Err(Failure::usage(format!(
                "{}: two directories for shard {index}, {name} and {}: remove one",
                dir.display(),
                other.file_name().unwrap_or_default().display()
            )));
        }
    }
    if found.is_empty() {
        return Err(Failure::usage(format!(
            "{}: no directory shard-INDEX in it: name the directory that holds shard-0, shard-1 and so on",
            dir.display()
        )));
    }
    Ok(found)
}

/// The entries of `dir`, sorted by name.
fn entries(dir: &Path) -> Result<Vec<(String, PathBuf)>, Failure> {
    let failed = |error| Failure::io(&dir.display().to_string(), &error);
    let mut entries = Vec::new();
    for entry in fs::read_dir(dir).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if let Ok(name) = entry.file_name().into_string() {
            entries.push((name, entry.path()));
        }
    }
    entries.sort();
    Ok(entries)
}

/// The stream that is written.
struct Merge<'a> {
    out: &'a mut dyn Write,
    console: Console,
    bad_lines: BadLines,
}

impl Merge<'_> {
    /// Writes the records of the shard in `dir`, and returns what arrived of it.
    fn shard(&mut self, dir: &Path) -> Result<Collected, Failure> {
        let (mut file, mut logs, mut journal, mut pods) = (None, Vec::new(), None, Vec::new());
        for (name, path) in entries(dir)? {
            match name.as_str() {
                RECORDS => file = Some(Scan::read(&path)?),
                JOURNAL => journal = Some(path),
                PODS => pods = pods::read(&path)?,
                name => {
                    let is_log = name.strip_prefix("stdout").is_some_and(|rest| rest.strip_suffix(".log").is_some());
                    if is_log {
                        logs.push(Scan::read(&path)?);
                    }
                }
            }
        }
        let (collected, needed) = verify::verify(file.as_ref(), &logs, journal.is_some(), pods);
        for path in needed {
            self.copy(path, &HashSet::new())?;
        }
        if let Some(journal) = journal.filter(|_| collected.status.result != StreamResult::Whole) {
            self.copy(&journal, &withdrawn::read(&journal)?)?;
        }
        Ok(collected)
    }

    /// Writes the records of the file at `path`, without the submissions of the jobs `withdrawn` that were begun.
    fn copy(&mut self, path: &Path, withdrawn: &HashSet<Key>) -> Result<(), Failure> {
        let name = path.display().to_string();
        let file = File::open(path).map_err(|error| Failure::io(&name, &error))?;
        for read in Reader::named(BufReader::with_capacity(64 * 1024, file), &name) {
            // `kubectl logs` also prints what the tools say on stderr.
            let read = read.map_err(|error| Failure::io(&name, &error))?;
            if matches!(read, Read::Foreign(_)) {
                continue;
            }
            let line = self.bad_lines.take(read, &self.console);
            if let Some(line) = line.filter(|line| !withdrawn::is_withdrawn(line, withdrawn)) {
                Writer::new(self.out).line(&line)?;
            }
        }
        Ok(())
    }
}
