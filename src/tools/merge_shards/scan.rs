//! Reads one file of a shard: its attempts, and whether their Ends prove the lines.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use crate::cli::Failure;
use crate::digest::Digest;
use crate::record::{ClockAnchor, ClockOffset, End, Kind, Parsed, Record, Run, Shard};

/// What one file says.
pub(super) struct Scan {
    pub(super) path: PathBuf,
    /// The attempts, in order. Those that were killed have no End.
    pub(super) parts: Vec<Part>,
    /// The run's id, and the shard.
    pub(super) run: Option<String>,
    pub(super) shard: Option<Shard>,
    /// Number of lines that may be records.
    pub(super) lines: u64,
    /// True if the last line has no end, which is so if its writer was killed.
    pub(super) is_torn: bool,
}

/// The lines of one attempt, or of several that were killed one after another.
#[derive(Default)]
pub(super) struct Part {
    /// The pipes that wrote the lines: one for each attempt that came as far as its Run.
    pub(super) starts: Vec<Start>,
    /// Number of lines that may be records, without the End.
    pub(super) lines: u64,
    pub(super) end: Option<End>,
    /// The text of the End.
    pub(super) end_text: String,
    /// True if the End proves the file up to it.
    pub(super) file_matches: bool,
    /// True if the End proves the lines as stdout.
    pub(super) stdout_matches: bool,
}

/// One start of the shard's pipe, as its Run tells of it.
#[derive(Clone)]
pub(super) struct Start {
    /// Tells one start from another: the moment at which stage-fixtures began.
    pub(super) anchor: ClockAnchor,
    pub(super) lag_seconds: Option<f64>,
    pub(super) clock_offset: Option<ClockOffset>,
}

impl Scan {
    /// Reads the file at `path`.
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        let failed = |error| Failure::io(&path.display().to_string(), &error);
        let file = File::open(path).map_err(failed)?;
        let mut reader = BufReader::with_capacity(64 * 1024, file);
        let mut scan =
            Self { path: path.to_owned(), parts: Vec::new(), run: None, shard: None, lines: 0, is_torn: false };
        let (mut all, mut stdout, mut part, mut line) =
            (Digest::default(), Digest::default(), Part::default(), Vec::new());
        loop {
            line.clear();
            if reader.read_until(b'\n', &mut line).map_err(failed)? == 0 {
                break;
            }
            scan.is_torn = !line.ends_with(b"\n");
            let is_record = line.starts_with(b"{");
            let record = if is_record { notable(&line) } else { None };
            match record {
                Some(record) if record.kind() == Kind::End => {
                    part.close(&record, &all, &stdout);
                    scan.note(&part);
                    scan.parts.push(std::mem::take(&mut part));
                    stdout = Digest::default();
                }
                record => {
                    if let Some(run) = record.and_then(|record| record.read::<Run>().ok()) {
                        part.note(&run);
                        scan.run.get_or_insert_with(|| run.metadata.run.clone());
                        scan.shard = scan.shard.or(run.spec.shard);
                    }
                    if is_record {
                        part.lines += 1;
                        stdout.add(&line);
                    }
                }
            }
            scan.lines += u64::from(is_record);
            all.add(&line);
        }
        if part.lines > 0 || scan.parts.is_empty() {
            scan.parts.push(part);
        }
        Ok(scan)
    }

    /// Takes the run and the shard from an End.
    fn note(&mut self, part: &Part) {
        let Some(end) = &part.end else { return };
        if !end.metadata.run.is_empty() {
            self.run.get_or_insert_with(|| end.metadata.run.clone());
        }
        self.shard = self.shard.or(end.spec.shard);
    }

    /// The name of the file.
    pub(super) fn name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// Returns true if the file's last line is an End that proves everything before it.
    pub(super) fn is_whole_file(&self) -> bool {
        self.parts.last().is_some_and(|part| part.file_matches)
    }
}

impl Part {
    fn close(&mut self, record: &Record, all: &Digest, stdout: &Digest) {
        let Ok(end) = record.read::<End>() else { return };
        let status = &end.status;
        self.file_matches = status.file_bytes == all.bytes() && status.file_sha256.as_ref() == Some(&all.hex());
        self.stdout_matches = status.stdout_lines == self.lines && status.stdout_sha256 == stdout.hex();
        record.text().clone_into(&mut self.end_text);
        self.end = Some(end);
    }

    fn note(&mut self, run: &Run) {
        let Some(anchor) = &run.status.clock else { return };
        if self.starts.last().is_none_or(|last| last.anchor != *anchor) {
            self.starts.push(Start { anchor: anchor.clone(), lag_seconds: None, clock_offset: None });
        }
        if let Some(last) = self.starts.last_mut() {
            last.lag_seconds = run.status.start_lag_seconds.or(last.lag_seconds);
            last.clock_offset = run.status.clock_offset.or(last.clock_offset);
        }
    }
}

/// The record in `line` if it is a Run or an End; other lines need not be parsed here.
fn notable(line: &[u8]) -> Option<Record> {
    let text = std::str::from_utf8(line).ok()?;
    if ![r#""kind":"End""#, r#""kind":"Run""#].iter().any(|kind| text.contains(kind)) {
        return None;
    }
    match Record::parse(text.trim_end()) {
        Ok(Parsed::Record(record)) if matches!(record.kind(), Kind::End | Kind::Run) => Some(record),
        _ => None,
    }
}
