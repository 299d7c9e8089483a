//! `seal-shard`: keeps the stream of a shard in a file, copies it to stdout, and ends both with a record that proves them whole.
//!
//! It is the last tool of a pod's pipe. The file outlives the pod if its directory is a volume; stdout is what `kubectl logs`
//! gives, which has no room for long lines. Signals are for the tools before it: it goes on until they have ended.

mod fit;
mod store;

use std::collections::HashMap;
use std::io::{self, BufRead, Write};
use std::path::PathBuf;

use crate::cli::{Console, Exit, Failure, Io, Outcome};
use crate::clock::Clock;
use crate::digest::Digest;
use crate::ndjson;
use crate::record::{End, EndSpec, EndStatus, Job, Key, Kind, Metadata, Parsed, Phase, Record, Run, Shard};
use store::Store;

/// Keep a shard's stream in a file, and end it with a record that proves it whole.
#[derive(Clone, Debug, clap::Parser)]
#[command(name = "seal-shard", version, after_help = HELP)]
pub struct Args {
    /// Append the stream to records.ndjson in this directory, which is created if missing
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Shorten lines on stdout to at most this many bytes; the file keeps them whole
    #[arg(long, value_name = "BYTES", default_value_t = 8192, value_parser = clap::value_parser!(u64).range(1024..))]
    pub max_line: u64,
    /// Check the command line, then exit; read no records and write nothing
    #[arg(long)]
    pub check: bool,
}

const HELP: &str = "\
Input:
  the stream of one shard's pipe; lines of any kind

Output:
  every line, as it arrives, in DIR/records.ndjson and on stdout. On stdout, a
  line that is too long has status.bodySha256 and status.bodyBytes in place of
  status.body; if it is still too long, its largest parts are left out, and
  status.lineSha256 and status.lineBytes describe the whole line.
  At the end of the input, an End record with the number of the attempt and the
  SHA-256 of the lines. Each start with the same directory is a new attempt.
  merge-shards compares the lines with their End records.
  SIGTERM and Ctrl-C do not end seal-shard: it waits for the tools before it.

Examples:
  stage-fixtures --run \"$RUN_ID\" --jobs 800 --shard \"$JOB_COMPLETION_INDEX/8\" \\
    | submit-jobs --journal \"$DIR/submissions.ndjson\" | poll-jobs \\
    | seal-shard --out \"$DIR\"

Exit codes:
  0   done, whatever the lines say
  2   usage error, or another seal-shard is writing to the file
  74  the file could not be written; stdout still has every line and the End";

/// Runs the tool.
pub fn run(args: Args, io: Io<'_>) -> Outcome {
    if args.check {
        return Ok(Exit::Done);
    }
    let Io { mut stdin, stdout, console, .. } = io;
    let mut seal = Seal::new(&args, stdout, console)?;
    let mut line = Vec::new();
    loop {
        line.clear();
        match stdin.read_until(b'\n', &mut line) {
            Ok(0) => break,
            Ok(_) => seal.take(&mut line),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Failure::io("stdin", &error)),
        }
    }
    seal.close()
}

/// One attempt while it is written.
struct Seal<'a> {
    store: Store,
    stdout: Stdout<'a>,
    console: Console,
    clock: Clock,
    max_line: usize,
    /// The first Run that came, and its share.
    run: Option<(Metadata, Option<Shard>)>,
    lines: u64,
    phases: HashMap<Key, Phase>,
}

impl<'a> Seal<'a> {
    fn new(args: &Args, stdout: &'a mut dyn Write, console: Console) -> Result<Self, Failure> {
        let max_line = usize::try_from(args.max_line).unwrap_or(usize::MAX);
        Ok(Self {
            store: Store::open(&args.out)?,
            stdout: Stdout { out: stdout, digest: Digest::default(), lines: 0, failure: None },
            console,
            clock: Clock::system(),
            max_line,
            run: None,
            lines: 0,
            phases: HashMap::new(),
        })
    }

    fn take(&mut self, line: &mut Vec<u8>) {
        if !line.ends_with(b"\n") {
            // Its writer died in the middle of it.
            *line = ndjson::mended(line);
        }
        self.lines += 1;
        let record = std::str::from_utf8(line).ok().and_then(|text| match Record::parse(text.trim_end()) {
            Ok(Parsed::Record(record)) => Some(record),
            _ => None,
        });
        if let Some(record) = &record {
            self.note(record);
        }
        self.store.append(line, &self.console);
        if line.len() > self.max_line {
            self.stdout.write(&fit::fit(line, record, self.max_line), &self.console);
        } else {
            self.stdout.write(line, &self.console);
        }
    }

    /// Notes the run, or the phase of a job.
    fn note(&mut self, record: &Record) {
        match record.kind() {
            Kind::Run if self.run.is_none() => {
                let Ok(run) = record.read::<Run>() else { return };
                if let Some(clock) = run.status.clock.as_ref().and_then(Clock::adopt) {
                    self.clock = clock;
                }
                self.run = Some((run.metadata, run.spec.shard));
            }
            Kind::Job => {
                let Ok(job) = record.read::<Job>() else { return };
                let phase = self.phases.entry(record.key().clone()).or_default();
                if job.status.phase.rank() >= phase.rank() {
                    *phase = job.status.phase;
                }
            }
            _ => {}
        }
    }

    /// Writes the End, and returns once the file is on disk.
    fn close(mut self) -> Outcome {
        let mut status = EndStatus {
            observed_at: Some(self.clock.now()),
            records: self.lines,
            stdout_sha256: self.stdout.digest.hex(),
            stdout_lines: self.stdout.lines,
            ..EndStatus::default()
        };
        for phase in self.phases.values() {
            *status.jobs.entry(*phase).or_default() += 1;
        }
        let attempt = self.store.attempt();
        self.store.describe(&mut status);
        let (metadata, shard) = self.run.unwrap_or_default();
        let of = shard.map_or_else(String::new, |shard| format!("shard-{}-", shard.index));
        let metadata = Metadata { name: format!("{of}attempt-{attempt}"), ..metadata };
        let record = Record::new(Kind::End, &End { metadata, spec: EndSpec { shard, attempt }, status })?;
        let line = format!("{}\n", record.text()).into_bytes();
        self.store.append(&line, &self.console);
        self.stdout.write(&line, &self.console);
        self.store.close(&self.console);
        if self.store.failed() || self.stdout.failure.is_some_and(|kind| kind != io::ErrorKind::BrokenPipe) {
            return Ok(Exit::InputOutput);
        }
        Ok(Exit::Done)
    }
}

/// Standard output with the digest of what was written to it.
struct Stdout<'a> {
    out: &'a mut dyn Write,
    digest: Digest,
    lines: u64,
    /// The kind of the first error: after it nothing more is written there, and the file goes on.
    failure: Option<io::ErrorKind>,
}

impl Stdout<'_> {
    fn write(&mut self, line: &[u8], console: &Console) {
        // What other programs wrote may be mixed with messages on stderr later, and is no evidence.
        if line.starts_with(b"{") {
            self.digest.add(line);
            self.lines += 1;
        }
        if self.failure.is_some() {
            return;
        }
        if let Err(error) = self.out.write_all(line).and_then(|()| self.out.flush()) {
            self.failure = Some(error.kind());
            if error.kind() != io::ErrorKind::BrokenPipe {
                console.say(&format!("stdout: {error}; writing only the file from here on"));
            }
        }
    }
}
