//! `render-report`: judges a run from its records and writes the run directory; or indexes finished scenarios.

mod captures;
mod criteria;
mod envelope;
mod facts;
mod files;
mod html;
mod index;
mod intake;
mod junit;
mod ledger;
mod observed;
mod page;
mod redact;
mod sampled;
mod summary;
mod tables;

use std::path::{Path, PathBuf};

use crate::cli::{Exit, Failure, Io, Outcome};
use crate::figures::Figures;
use crate::figures::resumed::GivenUp;
use crate::http::BaseUrl;
use crate::input;
use crate::ndjson::Writer;
use crate::profile::Profile;
use crate::record::{Fold, Kind, Metadata, Record, Report, ReportSpec, ReportStatus, Run, RunSpec, Verdict};
use captures::Captures;
use criteria::Evidence;
use intake::Intake;
use ledger::Ledger;
use observed::Observed;

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
    /// What to judge by, separated by commas: names, and comparisons such as 'e2e.p50<20s'; may be given again
    #[arg(long, value_name = "LIST", value_delimiter = ',', conflicts_with = "index")]
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

/// Where the records come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// From stdin, into a new directory.
    Create,
    /// From the directory, then from stdin.
    Append,
    /// From the directory alone.
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
        return if args.check { Ok(Exit::Done) } else { index::run(directory, args.planned, args.redact, io) };
    }
    // A run that is there already has its stages on its Run; the default profile may not be its own.
    let profile = (mode == Mode::Create || args.profile.is_some()).then(|| Profile::load(args.profile.as_deref()));
    let expect = criteria::checked(&args.expect, profile.transpose()?.as_ref())?;
    // An address that is empty, as make passes on what was not set, is none.
    let ui = args.jaeger_ui.filter(|url| !url.trim().is_empty());
    let jaeger_ui = ui.map(|url| BaseUrl::parse(&url, "--jaeger-ui")).transpose()?;
    let Some(out) = args.out else {
        // With --check there is then no directory to look at.
        return if args.check { Ok(Exit::Done) } else { Err(Failure::usage("--out DIR or --index DIR is needed")) };
    };
    if args.check {
        return ledger::check(&out, mode == Mode::Create).map(|()| Exit::Done);
    }
    let asked = RunSpec { expect: (!expect.is_empty()).then_some(expect), subset: args.subset, ..RunSpec::default() };
    report(&out, &asked, &How { mode, quiet: args.quiet, redact: args.redact, jaeger_ui }, io)
}

/// How the report shall be made.
struct How {
    mode: Mode,
    quiet: bool,
    redact: bool,
    jaeger_ui: Option<BaseUrl>,
}

fn report(out: &Path, asked: &RunSpec, how: &How, mut io: Io<'_>) -> Outcome {
    let mut left = Vec::new();
    let stdin = if how.mode == Mode::Replay { Box::new(std::io::empty()) } else { input::take(&mut io)? };
    let Io { stdin_is_terminal, stdout, console, stop, .. } = io;
    let intake = if how.mode == Mode::Replay {
        let intake = intake::replay(out, &console)?;
        files::check_writable(out)?;
        intake
    } else {
        let (mut ledger, held) = if how.mode == Mode::Append {
            files::check_writable(out)?;
            Ledger::open(out, &console)?
        } else {
            (Ledger::create(out)?, Intake::default())
        };
        if stdin_is_terminal {
            console.say("reading records from the terminal; Ctrl-D ends them");
        }
        let intake = intake::receive(stdin, held, &mut ledger, asked, &console);
        if intake.nothing {
            return ledger.forget(&console).map(|exit| stop.exit_or(exit));
        }
        left = ledger.close(&console);
        intake
    };
    let Intake { fold, given_up, broken, failed, .. } = intake;
    let seen = Seen::of(&fold, &given_up, asked, out);

    let mut shelf = files::Shelf::new(out, &console);
    shelf.holds(intake::RECORDS);
    if !seen.captures.alone {
        shelf.put("jobs.json", Ok(files::list(&fold, Kind::Job)));
        shelf.put(files::MANIFEST, Ok(files::manifest(&fold)));
        shelf.put("jobs.csv", tables::jobs(&seen.figures));
        shelf.put("stages.csv", tables::stages(&seen.figures));
    }
    shelf.put(files::JUNIT, junit::junit(&seen.report, &seen.figures));
    for file in &seen.captures.files {
        shelf.holds(file);
    }
    // The pages name themselves and report.json, which are written once they are made.
    let redact = html::to_be_sent(out, how.redact);
    let pages = [files::PAGE, files::HTML].into_iter().chain(redact.then_some(files::REDACTED));
    let named: Vec<String> =
        shelf.written().iter().cloned().chain(pages.chain([files::REPORT]).map(str::to_owned)).collect();
    let Seen { figures, captures, observed, .. } = &seen;
    shelf.put(files::PAGE, Ok(page::page(&seen.report, figures, observed, captures, &named).into_bytes()));
    shelf.put(files::HTML, Ok(seen.html(&named, how.jaeger_ui.as_ref(), false)));
    if redact {
        let page = redact::redacted(&fold).map(|fold| Seen::of(&fold, &given_up, asked, out).html(&named, None, true));
        shelf.put(files::REDACTED, page.map_err(std::io::Error::other));
    }
    let mut report = seen.report;
    report.status.files = [shelf.written(), &[files::REPORT.to_owned()]].concat();
    let record = Record::new(Kind::Report, &report)
        .map_err(|error| Failure::input_output(format!("{}: {error}", files::REPORT)))?;
    shelf.put(files::REPORT, Ok(format!("{}\n", record.text()).into_bytes()));
    let failed = failed || !left.is_empty() || shelf.failed();

    let page =
        [files::HTML, files::PAGE, files::REPORT].into_iter().find(|name| shelf.written().iter().any(|it| it == name));
    let page = page.map(|name| out.join(name));
    console.show(&summary::summary(&report, &seen.figures, &seen.captures, page.as_deref()));
    let verdict = exit_of(report.status.verdict, broken, failed);
    let mut writer = Writer::new(stdout);
    left.iter().try_for_each(|line| said(writer.line(line)))?;
    if !(how.quiet && shelf.written().iter().any(|name| name == files::REPORT)) {
        said(writer.record(&record))?;
    }
    Ok(stop.exit_or(verdict))
}

/// All that follows from the records, and from the files that they name in the directory.
struct Seen {
    /// Without the list of files.
    report: Report,
    figures: Figures,
    captures: Captures,
    observed: Observed,
}

impl Seen {
    fn of(fold: &Fold, given_up: &GivenUp, asked: &RunSpec, out: &Path) -> Self {
        let captures = captures::captures(fold);
        let spec = settle(asked, fold, captures.alone);
        let mut figures = Figures::compute_resumed(fold, spec.subset, given_up);
        if captures.alone {
            // Nobody asked for jobs, so nobody misses a word on them.
            figures.doubts.clear();
        }
        let observed = Observed::read(fold, &figures, &captures, out);
        let judgement = criteria::judge(&spec.expect, &Evidence::new(fold, &figures, &observed, &captures));
        let report = Report {
            metadata: identity(&figures, captures.alone),
            spec,
            status: ReportStatus {
                verdict: judgement.verdict,
                cause: judgement.cause,
                criteria: judgement.criteria,
                conservation: figures.tally.conservation,
                figures: figures.by_name().into_iter().chain(observed.by_name(&captures)).collect(),
                limiting_stage: figures.limiting.as_ref().map(|limiting| limiting.stage.clone()),
                doubts: [figures.doubts.clone(), captures.doubts.clone(), observed.doubts.clone()].concat(),
                files: Vec::new(),
            },
        };
        Self { report, figures, captures, observed }
    }

    fn html(&self, written: &[String], jaeger_ui: Option<&BaseUrl>, redacted: bool) -> Vec<u8> {
        let Self { report, figures, captures, observed } = self;
        html::page(&html::Scene { report, figures, observed, captures, written, jaeger_ui, redacted }).into_bytes()
    }
}

/// What to judge by: as asked now, or else as the Runs say that it was asked when the stream was first read.
fn settle(asked: &RunSpec, fold: &Fold, captures_alone: bool) -> ReportSpec {
    let mut expect = asked.expect.clone().unwrap_or_default();
    let runs: Vec<Run> = fold.runs().collect();
    if expect.is_empty() {
        for name in runs.iter().filter_map(|run| run.spec.expect.as_ref()).flatten() {
            if !expect.contains(name) {
                expect.push(name.clone());
            }
        }
    }
    if expect.is_empty() {
        expect.push(if captures_alone { criteria::CAPTURED } else { criteria::DEFAULT }.to_owned());
    }
    ReportSpec { expect, subset: asked.subset || runs.iter().any(|run| run.spec.subset) }
}

/// The Run's own name and labels; of several shards what they have in common.
fn identity(figures: &Figures, captures_alone: bool) -> Metadata {
    let runs: Vec<&Run> = figures.tally.runs().collect();
    let Some((first, others)) = runs.split_first() else {
        let run = figures.tally.entries.first().map(|entry| entry.run.clone()).unwrap_or_default();
        let name = if captures_alone { "capture" } else { "report" };
        return Metadata { name: name.to_owned(), run, ..Metadata::default() };
    };
    let mut metadata = first.metadata.clone();
    if !others.is_empty() {
        let names = [&first.spec.prefix, &first.spec.scenario, &Some(first.metadata.run.clone())];
        let name = names.into_iter().flatten().find(|name| !name.is_empty());
        metadata.name = name.cloned().unwrap_or_else(|| "report".to_owned());
        metadata.labels.retain(|label, value| others.iter().all(|run| run.metadata.labels.get(label) == Some(value)));
    }
    metadata
}

/// What was not read or written comes first, for then the verdict itself may rest on a part; broken lines come last,
/// for a verdict other than Passed says more than they do.
fn exit_of(verdict: Verdict, broken: bool, failed: bool) -> Exit {
    match verdict {
        _ if failed => Exit::InputOutput,
        Verdict::Failed => Exit::Failed,
        Verdict::Incomplete => Exit::Incomplete,
        Verdict::Passed if broken => Exit::BrokenInput,
        Verdict::Passed => Exit::Done,
    }
}

/// A reader of stdout that has gone does not turn a verdict into a pass: the exit stays what it is.
fn said(written: Result<(), Failure>) -> Result<(), Failure> {
    match written {
        Err(failure) if failure.message().is_none() => Ok(()),
        other => other,
    }
}
