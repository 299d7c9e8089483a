//! The jobs of a journal whose submission was begun and never sent.
//!
//! A reader keeps the record with the more final phase, so `Submitting` would win over the `Staged` that took it back. Only the order of
//! the journal's lines tells, and the merged stream keeps no order.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use crate::cli::Failure;
use crate::ndjson::{Line, Read, Reader};
use crate::record::{Job, Key, Kind, Phase};

/// Returns true if `line` only says that one of the jobs `withdrawn` was about to be submitted.
pub(super) fn is_withdrawn(line: &Line, withdrawn: &HashSet<Key>) -> bool {
    let Line::Record(record) = line else { return false };
    withdrawn.contains(record.key()) && record.read::<Job>().is_ok_and(|job| job.status.phase == Phase::Submitting)
}

/// Reads the journal at `path`. Holds only the jobs whose submission is under way or was taken back.
pub(super) fn read(path: &Path) -> Result<HashSet<Key>, Failure> {
    let name = path.display().to_string();
    let failed = |error| Failure::io(&name, &error);
    let file = File::open(path).map_err(failed)?;
    let (mut begun, mut withdrawn) = (HashMap::<Key, u64>::new(), HashSet::new());
    for read in Reader::named(BufReader::with_capacity(64 * 1024, file), &name) {
        let Read::Line(Line::Record(record)) = read.map_err(failed)? else { continue };
        let Some(job) =
            Some(&record).filter(|record| record.kind() == Kind::Job).and_then(|job| job.read::<Job>().ok())
        else {
            continue;
        };
        let key = record.key();
        match job.status.phase {
            Phase::Submitting => {
                withdrawn.remove(key);
                *begun.entry(key.clone()).or_default() += 1;
            }
            // It takes back the last attempt; one of an earlier session may have been sent.
            Phase::Staged => {
                let Some(attempts) = begun.get_mut(key) else { continue };
                *attempts -= 1;
                if *attempts == 0 {
                    begun.remove(key);
                    withdrawn.insert(key.clone());
                }
            }
            _ => {
                begun.remove(key);
            }
        }
    }
    Ok(withdrawn)
}
