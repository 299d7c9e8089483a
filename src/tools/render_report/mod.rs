//! `render-report`: judges a run from its records and writes the run directory; or indexes finished scenarios.

mod captures;
mod criteria;
mod envelope;
mod evaluation;
mod exporters;
mod headline_figures;
mod html;
mod index;
mod input;
mod junit;
mod markdown;
mod observed;
mod records_file;
mod redact;
mod run_dir;
mod sampled;
mod scene;
mod sections;
mod summary;
mod tables;

use std::path::{Path, PathBuf};

use crate::cli::{Exit, Failure, Io, Outcome};
use crate::http::BaseUrl;
use crate::ndjson::Writer;
use crate::profile::Profile;
use crate::record::{RunSpec, Verdict};
use crate::stored_jobs::StoredJobs;
use evaluation::Evaluation;
use input::Input;
use records_file::RecordsFile;
use run_dir::RunDir;
use scene::{Linked, Scene};

const AFTER_HELP: &str = "\
Input:
  Records on stdin, one per line: the stream of a whole pipe, or several streams
  in any order. --append reads the records.ndjson of --out first; --replay reads
  only that; --index reads neither. Captured metrics are read from --out; the
  report names those that are missing or broken.

Output:
  The Report record on stdout, a summary on stderr, and in --out: records.ndjson
  (written as the stream arrives), report.md, report.html, report.json,
  junit.xml, jobs.csv, stages.csv, jobs.json and manifest.json. A directory that
  already holds one of them is refused. If no record arrives, nothing is left
  behind. If the disk is full, records go to stdout, before the Report.
  --redact also writes report.redacted.html, which is safe to share: it has no
  bodies, sources, addresses, messages, status words, log lines or tracebacks,
  but keeps the names of jobs, stages, queues and services, and ids, labels,
  reasons and queries. An existing one is always rewritten.
  --index writes report.md, report.html and index.json to its directory, and
  index.json to stdout; its redacted page names what did not pass, without the
  reasons.

Criteria:
  all-done          every requested job succeeded
  all-stages        every job finished every stage that the profile requires
  no-exceptions     the captured worker logs hold no exception
  captured          every capture is complete or waived
  whole-shards      every shard's stream is whole; judged by default if the
                    streams have End records (seal-shard, merge-shards)

Thresholds (<, <=, > or >=; see docs/thresholds.md):
  e2e.STAT          end to end, of succeeded jobs: 'e2e.p50<20s'
  submit.STAT       the submission request: 'submit.p95<250ms'
  lag.STAT          lag behind the schedule of --rate: 'lag.max<1s'
  stage.NAME.STAT   work in a stage: 'stage.l2.mean<3s'
  wait.NAME.STAT    wait for a stage: 'wait.whisper.max<1m'
  throughput        succeeded jobs per s, min or h: 'throughput>30/min'
  success           share of jobs that succeeded: 'success>=95%'
  concurrency.peak  most jobs in flight at once: 'concurrency.peak>=4'
  queue.NAME.max    most ready messages sampled: 'queue.stage.l1.max<50'
  gpu.transitions   transitions of the GPU: 'gpu.transitions<40'
  ramp.highest      with --index, most jobs in flight at a level that passed:
                    'ramp.highest>=16'
  STAT is mean, p50, p90 (needs 10 jobs), p95 (20), p99 (100) or max. A
  threshold passes if the whole interval of the figure, with the jobs that lack
  it, meets it.

Verdict:
  Each criterion is Passed, Failed (something is known to be wrong) or
  Incomplete (not known); the worst one is the verdict. The criteria come from
  --expect, else from the Run record; the default is all-done, or captured if
  the stream holds only captures. The Run record keeps --expect and --subset, so
  --replay and --append need neither; without a Run record, give them again.
  With --index, too, the worst verdict counts. A ramp is Passed if at least one
  level passed and the first that did not pass, if any, Failed. It is Failed if
  its first level Failed, and otherwise Incomplete.

Examples:
  stage-fixtures | submit-jobs | poll-jobs | render-report --out runs/a
  render-report --out runs/a --replay --redact
  poll-jobs --resume < runs/a/records.ndjson \\
    | render-report --out runs/a --append
  cat pod-*.ndjson | render-report --out runs/b --expect all-done,all-stages
  grep soak-003 runs/a/records.ndjson | render-report --out runs/c --subset
  render-report --check --expect 'stage.l2.mean<3s' --out runs/d
  render-report --index runs/ramp --expect 'ramp.highest>=16'

Exit codes:
  0    Passed; with --check, nothing is wrong
  2    usage error; nothing was read
  3    Failed
  4    Incomplete, or no record arrived
  65   Passed, but broken input lines were dropped
  74   reading or writing failed, whatever the verdict
  130  ended by Ctrl-C, 143 by SIGTERM, after writing the report on the records
       read so far";

/// Judge a run from its records and write its report, or index finished runs.
#[derive(Debug, Clone, Default, clap::Parser)]
#[command(name = "render-report", version, after_help = AFTER_HELP)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub struct Args {
    /// Create the report in this directory, which must not hold one yet
    #[arg(long, value_name = "DIR", required_unless_present_any = ["index", "check"], conflicts_with = "index")]
    pub out: Option<PathBuf>,
    /// Rewrite the report of --out from its records.ndjson; read no stdin
    #[arg(long, conflicts_with = "index")]
    pub replay: bool,
    /// Add new records from stdin to the records.ndjson of --out and rewrite its report
    #[arg(long, conflicts_with_all = ["index", "replay"])]
    pub append: bool,
    /// Print no Report on stdout, only records that do not fit on the disk
    #[arg(long, conflicts_with = "index")]
    pub quiet: bool,
    /// Print the summary in one line
    #[arg(long)]
    pub brief: bool,
    /// Check the command line and whether --out can be written, then exit; read and keep nothing
    #[arg(long)]
    pub check: bool,
    /// Judge by these criteria and thresholds (separated by commas; repeatable)
    #[arg(long, value_name = "LIST", value_delimiter = ',', help_heading = "Judging")]
    pub expect: Vec<String>,
    /// Judge only the jobs in the stream, not all those that its Run asked for
    #[arg(long, conflicts_with = "index", help_heading = "Judging")]
    pub subset: bool,
    /// Take the stages that --expect may name from this profile [default: the built-in one for AutoRAG's audio pipeline]
    #[arg(long, value_name = "FILE", conflicts_with = "index", help_heading = "Judging")]
    pub profile: Option<PathBuf>,
    /// Also write report.redacted.html, a copy that is safe to share
    #[arg(long, help_heading = "Pages")]
    pub redact: bool,
    /// Link traces in report.html to the Jaeger UI at this base URL
    #[arg(long, value_name = "URL", env = "JAEGER_UI", help_heading = "Pages")]
    pub jaeger_ui: Option<String>,
    /// Link the dashboard of export-run in the Grafana at this base URL
    #[arg(long, value_name = "URL", env = "GRAFANA", help_heading = "Pages")]
    pub grafana: Option<String>,
    /// Link graphs of the captured queries in the Prometheus at this base URL
    #[arg(long, value_name = "URL", env = "PROMETHEUS_UI", help_heading = "Pages")]
    pub prometheus_ui: Option<String>,
    /// Index the finished scenarios below this directory
    #[arg(long, value_name = "DIR", help_heading = "Index")]
    pub index: Option<PathBuf>,
    /// Expect these scenario directories in the index; a missing one makes it Incomplete (separated by commas)
    #[arg(long, value_name = "LIST", value_delimiter = ',', requires = "index", help_heading = "Index")]
    pub planned: Vec<String>,
}

/// The source of the records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// Stdin, into a new directory.
    Create,
    /// The directory, then stdin.
    Append,
    /// The directory alone.
    Replay,
}

/// Runs the tool.
pub fn run(args: Args, io: Io<'_>) -> Outcome {
    let mode = match (args.append, args.replay) {
        (true, _) => Mode::Append,
        (_, true) => Mode::Replay,
        _ => Mode::Create,
    };
    if let Some(directory) = &args.index {
        if args.check {
            return index::check(&args.expect).map(|()| Exit::Done);
        }
        return index::run(directory, args.planned, args.expect, (args.redact, args.brief), io);
    }
    if let Some(criterion) = args.expect.iter().find(|criterion| index::is_about_ramps(criterion)) {
        return Err(Failure::usage(format!(
            "--expect {criterion}: this judges only a whole ramp: use render-report --index DIR --expect '{criterion}'"
        )));
    }
    // An existing run has its stages on its Run; the default profile may not be its own.
    let profile = (mode == Mode::Create || args.profile.is_some()).then(|| Profile::load(args.profile.as_deref()));
    let expect = criteria::checked(&args.expect, profile.transpose()?.as_ref())?;
    // make passes an empty address for one that is not set.
    let base = |url: &Option<String>, flag| {
        url.as_ref().filter(|url| !url.trim().is_empty()).map(|url| BaseUrl::parse(url, flag)).transpose()
    };
    let linked = Linked {
        jaeger: base(&args.jaeger_ui, "--jaeger-ui")?,
        grafana: base(&args.grafana, "--grafana")?,
        prometheus: base(&args.prometheus_ui, "--prometheus-ui")?,
    };
    let Some(out) = &args.out else {
        // With --check there is then no directory to look at.
        return if args.check { Ok(Exit::Done) } else { Err(Failure::usage("--out DIR or --index DIR is needed")) };
    };
    if args.check {
        return records_file::check(out, mode == Mode::Create).map(|()| Exit::Done);
    }
    let asked = RunSpec { expect: (!expect.is_empty()).then_some(expect), subset: args.subset, ..RunSpec::default() };
    report(out, &asked, (mode, &args), &linked, io)
}

fn report(out: &Path, asked: &RunSpec, (mode, args): (Mode, &Args), linked: &Linked, mut io: Io<'_>) -> Outcome {
    let mut unwritten = Vec::new();
    let stdin = if mode == Mode::Replay { Box::new(std::io::empty()) } else { crate::input::take(&mut io)? };
    let Io { stdout, console, stop, .. } = io;
    let input = if mode == Mode::Replay {
        let input = input::replay(out, &console)?;
        run_dir::check_writable(out)?;
        input
    } else {
        let (mut file, before) = if mode == Mode::Append {
            run_dir::check_writable(out)?;
            input::append(out, &console)?
        } else {
            let file = RecordsFile::create(out)?;
            let jobs = StoredJobs::in_file(file.reader()?);
            (file, Input { jobs, ..Input::default() })
        };
        let input = input::receive(stdin, before, &mut file, asked, &console);
        if input.empty {
            return file.discard(&console).map(|exit| stop.exit_or(exit));
        }
        unwritten = file.close(&console);
        input
    };
    let evaluation = Evaluation::new(&input.fold, &input.jobs, &input, asked, out)
        .map_err(|error| Failure::io(&out.join(run_dir::RECORDS).display().to_string(), &error))?;
    let mut run_dir = RunDir::new(out, exporters::files_before(&evaluation), &console);
    let scene = Scene {
        input: &input,
        jobs: &input.jobs,
        asked,
        out,
        evaluation: &evaluation,
        files: &[],
        linked: Some(linked),
        redact: run_dir::wants_redacted_page(out, args.redact),
        redacted: false,
    };
    let record = exporters::write_all(&scene, &mut run_dir)
        .map_err(|error| Failure::input_output(format!("{}: {error}", run_dir::REPORT)))?;
    let page = run_dir.first_of(&[run_dir::HTML, run_dir::PAGE, run_dir::REPORT]).map(|name| out.join(name));
    console.show(if args.brief {
        vec![summary::brief_summary(&evaluation, page.as_deref())]
    } else {
        summary::summary(&evaluation, page.as_deref())
    });
    let failed = input.failed || !unwritten.is_empty() || run_dir.failed();
    let exit = exit_of(evaluation.report.status.verdict, input.broken, failed);
    let mut writer = Writer::new(stdout);
    unwritten.iter().try_for_each(|line| ignore_broken_pipe(writer.line(line)))?;
    if !(args.quiet && run_dir.first_of(&[run_dir::REPORT]).is_some()) {
        ignore_broken_pipe(writer.record(&record))?;
    }
    Ok(stop.exit_or(exit))
}

/// The exit code. A failure to read or write comes before the verdict, which may then rest on a part; broken lines come last,
/// because a verdict other than Passed says more than they do.
fn exit_of(verdict: Verdict, broken: bool, failed: bool) -> Exit {
    match verdict {
        _ if failed => Exit::InputOutput,
        Verdict::Failed => Exit::Failed,
        Verdict::Incomplete => Exit::Incomplete,
        Verdict::Passed if broken => Exit::BrokenInput,
        Verdict::Passed => Exit::Done,
    }
}

/// Keeps the exit code of the verdict where the reader of stdout has gone.
fn ignore_broken_pipe(written: Result<(), Failure>) -> Result<(), Failure> {
    match written {
        Err(failure) if failure.message().is_none() => Ok(()),
        other => other,
    }
}
