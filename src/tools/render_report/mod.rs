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
use evaluation::Evaluation;
use input::Input;
use records_file::RecordsFile;
use run_dir::RunDir;
use scene::Scene;

const AFTER_HELP: &str = "\
Input:
  Records, one a line, on stdin: the stream of the whole pipe, or several put together in any
  order. With --append the records.ndjson of --out before them; with --replay that alone; with
  --index neither. The metrics that the records name are read in --out: what is absent or broken
  there is said, and has no figures.

Output:
  The Report record on stdout, a summary on stderr, and in --out: records.ndjson (the stream, as
  it arrives), report.md, report.html, report.json, junit.xml, jobs.csv, stages.csv, jobs.json,
  manifest.json. A directory that holds any of them is refused. Where no record came at all nothing
  is left behind. Records that the disk had no room for are written to stdout, before the Report.
  report.html is one file that needs nothing beside it; with --redact there is also
  report.redacted.html, the one file to send: without bodies, sources, addresses, messages, status
  words, log lines and tracebacks. Names of jobs, stages, queues and services, ids, labels, reasons
  and queries stay in it. Where there is one already it is renewed, asked for or not.
  With --index: report.md, report.html and index.json in that directory, and the content of
  index.json on stdout; with --redact report.redacted.html, too, which names what did not pass
  instead of quoting why.

Criteria:
  all-done          every job that was asked for succeeded
  all-stages        every job finished every stage that the profile requires
  no-exceptions     no exception in the worker logs that were captured
  captured          every capture came whole, or was waived
  and comparisons (<, <=, >, >=) on figures, with the units that they have:
  e2e.STAT          from end to end, of the jobs that succeed    'e2e.p50<20s'
  submit.STAT       the submission itself                        'submit.p95<250ms'
  lag.STAT          lag behind the schedule of --rate            'lag.max<1s'
  stage.NAME.STAT   work in a stage                              'stage.l2.mean<3s'
  wait.NAME.STAT    wait for a stage                             'wait.whisper.max<1m'
  throughput        jobs that succeed, by /s, /min or /h         'throughput>30/min'
  success           share of the jobs that succeed               'success>=95%'
  concurrency.peak  most jobs in flight at once                  'concurrency.peak>=4'
  queue.NAME.max    most messages ready, as sampled              'queue.stage.l1.max<50'
  gpu.transitions   transitions of the GPU                       'gpu.transitions<40'
  and comparisons on a ramp as a whole, with --index:
  ramp.highest      most jobs in flight at a level that passed   'ramp.highest>=16'
  STAT is mean, p50, p95 (20 jobs at least), p99 (100) or max. docs/thresholds.md says how each is
  decided: the figure with its error, and with the jobs that lack it, must lie on one side.
  Each is Passed, Failed (something is known to be wrong) or Incomplete (not known); the worst is
  the verdict. Without --expect it is what the Run record names, else all-done, or captured where
  there are captures alone. What was asked is kept on the Run record, so --replay and --append need
  neither --expect nor --subset again; a stream without a Run cannot keep it.

Examples:
  stage-fixtures --jobs 12 | submit-jobs --max-posts 4 | poll-jobs | render-report --out runs/a
  cat pod-*.ndjson | render-report --out runs/b --expect all-done,all-stages
  grep soak-003 runs/a/records.ndjson | render-report --out runs/c --subset
  submit-jobs ... | poll-jobs | render-report --out runs/d --expect 'all-done,e2e.p95<30s'
  render-report --check --expect 'stage.l2.mean<3s' --out runs/e
  render-report --out runs/a --replay
  render-report --out runs/a --replay --redact --jaeger-ui http://localhost:16686
  poll-jobs --resume < runs/a/records.ndjson | render-report --out runs/a --append
  render-report --index runs/ramp   (which holds scenarios that have their reports)
  render-report --index runs --redact
  render-report --index runs/ramp --expect 'ramp.highest>=16'

Exit codes:
  0         Passed; with --check: nothing is in the way
  2         usage error; nothing was read
  3         Failed
  4         Incomplete, or no record came
  65        Passed, but lines of the input were broken and dropped
  74        reading or writing failed; this comes before any verdict
  130, 143  a signal came while reading: the report was written on what there was
  With --index the worst verdict below counts; a ramp is Passed if a level passed and then all
  did, or one Failed; it is Failed if the first level Failed, else Incomplete.";

/// Judges a run from its records and writes its report; or indexes finished ones.
#[derive(Debug, Clone, Default, clap::Parser)]
#[command(name = "render-report", version, after_help = AFTER_HELP)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub struct Args {
    /// The scenario's directory; it is made, and must not hold a scenario yet
    #[arg(long, value_name = "DIR", required_unless_present_any = ["index", "check"], conflicts_with = "index")]
    pub out: Option<PathBuf>,
    /// Judge by these criteria, separated by commas: names, and comparisons such as 'e2e.p50<20s'; may be given again
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    pub expect: Vec<String>,
    /// The profile whose stages --expect may name; AutoRAG's audio pipeline by default (see docs/profile.md)
    #[arg(long, value_name = "FILE", conflicts_with = "index")]
    pub profile: Option<PathBuf>,
    /// Judge only the jobs that are in the stream, not those that a Run asked for
    #[arg(long, conflicts_with = "index")]
    pub subset: bool,
    /// Make the report of --out again from its records.ndjson, reading no stdin
    #[arg(long, conflicts_with = "index")]
    pub replay: bool,
    /// Add what is new in the stream to the records.ndjson of --out, and make its report again
    #[arg(long, conflicts_with_all = ["index", "replay"])]
    pub append: bool,
    /// Write to stdout only what has no room on disk: the Report is in report.json
    #[arg(long, conflicts_with = "index")]
    pub quiet: bool,
    /// Also write report.redacted.html, which may be sent; one that is there already is renewed without it
    #[arg(long)]
    pub redact: bool,
    /// Link the traces in report.html to the Jaeger UI at this address
    #[arg(long, value_name = "URL", env = "JAEGER_UI")]
    pub jaeger_ui: Option<String>,
    /// Index the finished scenarios below this directory
    #[arg(long, value_name = "DIR")]
    pub index: Option<PathBuf>,
    /// With --index: the scenarios that were to be run, by their directories; one that is not there makes it Incomplete
    #[arg(long, value_name = "LIST", value_delimiter = ',', requires = "index")]
    pub planned: Vec<String>,
    /// Check the command line and whether --out can be written, and end: nothing is read or kept
    #[arg(long)]
    pub check: bool,
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
        return index::run(directory, args.planned, args.expect, args.redact, io);
    }
    if let Some(criterion) = args.expect.iter().find(|criterion| index::is_about_ramps(criterion)) {
        return Err(Failure::usage(format!(
            "--expect {criterion}: a ramp is judged as a whole: render-report --index DIR --expect '{criterion}'"
        )));
    }
    // An existing run has its stages on its Run; the default profile may not be its own.
    let profile = (mode == Mode::Create || args.profile.is_some()).then(|| Profile::load(args.profile.as_deref()));
    let expect = criteria::checked(&args.expect, profile.transpose()?.as_ref())?;
    // make passes an empty address for one that is not set.
    let ui = args.jaeger_ui.filter(|url| !url.trim().is_empty());
    let jaeger_ui = ui.map(|url| BaseUrl::parse(&url, "--jaeger-ui")).transpose()?;
    let Some(out) = args.out else {
        // With --check there is then no directory to look at.
        return if args.check { Ok(Exit::Done) } else { Err(Failure::usage("--out DIR or --index DIR is needed")) };
    };
    if args.check {
        return records_file::check(&out, mode == Mode::Create).map(|()| Exit::Done);
    }
    let asked = RunSpec { expect: (!expect.is_empty()).then_some(expect), subset: args.subset, ..RunSpec::default() };
    report(&out, &asked, &Settings { mode, quiet: args.quiet, redact: args.redact, jaeger_ui }, io)
}

/// The settings of one report.
struct Settings {
    mode: Mode,
    quiet: bool,
    redact: bool,
    jaeger_ui: Option<BaseUrl>,
}

fn report(out: &Path, asked: &RunSpec, settings: &Settings, mut io: Io<'_>) -> Outcome {
    let mut unwritten = Vec::new();
    let stdin = if settings.mode == Mode::Replay { Box::new(std::io::empty()) } else { crate::input::take(&mut io)? };
    let Io { stdin_is_terminal, stdout, console, stop, .. } = io;
    let input = if settings.mode == Mode::Replay {
        let input = input::replay(out, &console)?;
        run_dir::check_writable(out)?;
        input
    } else {
        let (mut file, before) = if settings.mode == Mode::Append {
            run_dir::check_writable(out)?;
            input::append(out, &console)?
        } else {
            (RecordsFile::create(out)?, Input::default())
        };
        if stdin_is_terminal {
            console.say("reading records from the terminal; Ctrl-D ends them");
        }
        let input = input::receive(stdin, before, &mut file, asked, &console);
        if input.empty {
            return file.discard(&console).map(|exit| stop.exit_or(exit));
        }
        unwritten = file.close(&console);
        input
    };
    let evaluation = Evaluation::new(&input, asked, out);
    let mut run_dir = RunDir::new(out, exporters::files_before(&evaluation), &console);
    let scene = Scene {
        input: &input,
        asked,
        out,
        evaluation: &evaluation,
        files: &[],
        jaeger_ui: settings.jaeger_ui.as_ref(),
        redact: run_dir::wants_redacted_page(out, settings.redact),
        redacted: false,
    };
    let record = exporters::write_all(&scene, &mut run_dir)
        .map_err(|error| Failure::input_output(format!("{}: {error}", run_dir::REPORT)))?;
    let page = run_dir.first_of(&[run_dir::HTML, run_dir::PAGE, run_dir::REPORT]).map(|name| out.join(name));
    console.show(summary::summary(&evaluation, page.as_deref()));
    let failed = input.failed || !unwritten.is_empty() || run_dir.failed();
    let exit = exit_of(evaluation.report.status.verdict, input.broken, failed);
    let mut writer = Writer::new(stdout);
    unwritten.iter().try_for_each(|line| ignore_broken_pipe(writer.line(line)))?;
    if !(settings.quiet && run_dir.first_of(&[run_dir::REPORT]).is_some()) {
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
