//! `compare-runs`: puts settings side by side, leg by leg, and tests whether the legs show that one is better.
//!
//! The jobs of one leg share one GPU, one batch and one queue: they are no independent samples, so the leg is the unit.
//! docs/comparison.md has the rules.

mod comparability;
mod difference_chart;
mod find;
mod gate;
mod html;
mod input_sizes;
mod judge;
mod leg_doubts;
mod legs;
mod rows;
mod sections;

use std::fs;
use std::path::{Path, PathBuf};

use itertools::Itertools;

use crate::cli::{Console, Exit, Failure, Io, Outcome};
use crate::clock::micro;
use crate::escape;
use crate::record::{Comparison, ComparisonSpec, ComparisonStatus, Leg, Metadata, Setting, Verdict};
use crate::scenario::{self, COMPARISON, HTML, PAGE, RECORDS, REPORT};
use crate::units;
use comparability::Aspect;
use legs::{FinishedLeg, LegGroup, all_legs};

/// The level of the test, in each direction: the probability of claiming a difference that is not there. With three legs of each
/// setting no lower level is possible, because they have 20 splits.
const LEVEL: f64 = 0.05;
/// The directory in which a run keeps its legs.
const LEGS: &str = "ab";

const AFTER_HELP: &str = "\
Input:
  The report.json, manifest.json and jobs.json of finished scenarios; stdin is
  not read. `np-8` is a setting; `np-8.1` and `np-8.2` are two legs of it. A
  directory without a LABEL is labelled with its own name. The first setting is
  the reference, with which each other setting is compared.
  --under takes the directories whose Run has the labels scenario=ab and
  leg=LABEL. If the legs of one setting lie in several directories, it takes the
  directory with the newest leg. The setting with the oldest first leg is the
  reference.

Output:
  Markdown on stdout, or the Comparison with --json. --out and --place also
  write report.md, report.html and comparison.json, replacing those files and no
  other.

What the legs can show:
  With one or two legs per setting, the figures are described and not tested.
  With three or more, interleaved, the legs are the samples of an exact
  permutation test at 5 % in each direction, and each row is better, worse, or
  not shown to differ. A difference within the error of polling or scraping does
  not count. See docs/comparison.md.

Examples:
  compare-runs np-8=stress-runs/a/ab/np-8 np-4=stress-runs/b/ab/np-4
  compare-runs --under stress-runs --fail-if-worse 5%
  compare-runs --json a/ab/np-8.* a/ab/np-4.* \\
    | jq -r '.status.against[].sentence'

Exit codes:
  0   compared; with --fail-if-worse, no headline figure is worse by that much
  2   usage error: fewer than two settings, a missing leg or report, or runs
      that are not comparable
  3   --fail-if-worse: the median end-to-end time or the throughput is worse by
      that much (the whole interval lies beyond it)
  4   --fail-if-worse: the legs do not suffice to decide
  74  reading or writing failed";

/// Compare the settings of an A/B test and test what their legs show.
#[derive(Debug, Clone, Default, clap::Parser)]
#[command(name = "compare-runs", version, after_help = AFTER_HELP)]
pub struct Args {
    /// A finished scenario's directory and the label of its leg
    #[arg(value_name = "[LABEL=]DIR", required_unless_present = "under", conflicts_with = "under")]
    pub legs: Vec<String>,
    /// Find the legs below this directory
    #[arg(long, value_name = "DIR")]
    pub under: Option<PathBuf>,
    /// Also write the comparison to this directory
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Like --out, but if all legs lie in the ab/ of one run, write there
    #[arg(long, value_name = "DIR", conflicts_with = "out")]
    pub place: Option<PathBuf>,
    /// Print the comparison as JSON instead of Markdown
    #[arg(long)]
    pub json: bool,
    /// Print plain text instead of Markdown
    #[arg(long, conflicts_with = "json")]
    pub text: bool,
    /// Fail if a headline figure is worse than the reference's by this much, such as 5%
    #[arg(long, value_name = "PERCENT", value_parser = units::percent)]
    pub fail_if_worse: Option<f64>,
    /// Compare runs that differ in jobs, concurrency, profile or stages (separated by commas)
    #[arg(long, value_name = "LIST", value_delimiter = ',', hide_possible_values = true)]
    pub allow_different: Vec<Aspect>,
}

/// Runs the tool.
pub fn run(args: Args, io: Io<'_>) -> Outcome {
    let Io { stdout, console, .. } = io;
    let (legs, complete) = match &args.under {
        Some(directory) => find::newest(directory, &console)?,
        None => (legs::read_all(&args.legs)?, true),
    };
    let groups = legs::group(legs)?;
    let different = comparability::check(&groups, &args.allow_different)?;
    let comparison = compare(&args, &groups, different)?;
    let placed = args.place.as_deref().map(|place| beside_legs(&groups).unwrap_or(place.to_owned()));
    let out = args.out.clone().or(placed);
    if let Some(out) = &out {
        prepare(out)?;
    }
    let content = sections::content(&comparison, &|label| link(out.as_deref()?, label, &groups, PAGE));
    let page = content.to_markdown();
    let json = comparison.text().map_err(|error| Failure::input_output(format!("{COMPARISON}: {error}")))? + "\n";
    if let Some(out) = &out {
        // Links from the HTML page lead to the legs' HTML reports, if they have them.
        let html = html::page(&comparison, &|label| link(out, label, &groups, HTML));
        for (name, text) in [(PAGE, &page), (HTML, &html), (COMPARISON, &json)] {
            let failed = |error| Failure::io(&out.join(name).display().to_string(), &error);
            scenario::replace(out, name, text.as_bytes()).map_err(failed)?;
        }
        console.say(&format!("wrote {}, with {PAGE} and {COMPARISON} beside it", out.join(HTML).display()));
    }
    let text = match args {
        Args { json: true, .. } => json,
        Args { text: true, .. } => content.to_text(),
        _ => page,
    };
    match stdout.write_all(text.as_bytes()).map_err(|error| Failure::output("stdout", &error)) {
        // A reader that has gone does not turn a verdict into a pass.
        Err(failure) if failure.message().is_some() => return Err(failure),
        _ => {}
    }
    Ok(exit(&comparison, complete, &console))
}

fn compare(args: &Args, groups: &[LegGroup], different: Vec<String>) -> Result<Comparison, Failure> {
    let rows::Rows { mut rows, mut doubts } = rows::rows(groups);
    let mut against = Vec::new();
    for (index, group) in groups.iter().enumerate().skip(1) {
        against.push(judge::judge(&groups[0], group, index, &mut rows)?);
    }
    doubts.extend(leg_doubts::doubts(groups));
    Ok(Comparison {
        metadata: Metadata { name: groups.iter().map(|group| &group.name).join(" and "), ..Metadata::default() },
        spec: ComparisonSpec {
            level_percent: LEVEL * 100.0,
            allow_different: args.allow_different.iter().map(|aspect| aspect.name()).collect(),
            fail_if_worse_percent: args.fail_if_worse.map(|share| micro(share * 100.0)),
        },
        status: ComparisonStatus {
            settings: groups.iter().map(setting).collect(),
            different,
            gate: args.fail_if_worse.map(|share| gate::judge(share, groups, &rows, &against)),
            rows,
            against,
            doubts,
        },
    })
}

fn setting(group: &LegGroup) -> Setting {
    let leg = |leg: &FinishedLeg| Leg {
        label: leg.label.clone(),
        directory: leg.directory.clone(),
        started_at: leg.started_at(),
        verdict: leg.scenario.verdict(),
        conservation: leg.conservation(),
        doubts: leg.scenario.report.as_ref().map_or(0, |report| report.status.doubts.len() as u64),
    };
    Setting { name: group.name.clone(), legs: group.legs.iter().map(leg).collect() }
}

fn exit(comparison: &Comparison, complete: bool, console: &Console) -> Exit {
    let gate = comparison.status.gate.as_ref();
    for cause in gate.iter().flat_map(|gate| &gate.causes) {
        console.say(cause);
    }
    match gate.map(|gate| gate.verdict) {
        // A directory that could not be read may have held the newest leg.
        _ if !complete => Exit::InputOutput,
        Some(Verdict::Failed) => Exit::Failed,
        Some(Verdict::Incomplete) => Exit::Incomplete,
        Some(Verdict::Passed) | None => Exit::Done,
    }
}

/// The directory of the legs, if all lie in that of one run.
fn beside_legs(groups: &[LegGroup]) -> Option<PathBuf> {
    let parents = all_legs(groups).filter_map(|leg| leg.path.parent()).dedup();
    let only = parents.exactly_one().ok().filter(|only| only.file_name().is_some_and(|name| name == LEGS))?;
    // As the user would name it, if one of the legs was named so.
    let same = |parent: &&Path| parent.canonicalize().is_ok_and(|parent| parent == only);
    let named = all_legs(groups).find_map(|leg| Path::new(&leg.directory).parent()).filter(same);
    Some(named.unwrap_or(only).to_owned())
}

/// Makes the directory. Refuses one that holds a report of something else.
fn prepare(out: &Path) -> Result<(), Failure> {
    let shown = out.display();
    if let Some(name) = [RECORDS, REPORT, "index.json"].iter().find(|name| out.join(name).symlink_metadata().is_ok()) {
        return Err(Failure::usage(format!(
            "--out {shown}: it holds {name}, so its {PAGE} belongs to something else; name another directory"
        )));
    }
    fs::create_dir_all(out).map_err(|error| Failure::io(&shown.to_string(), &error))
}

/// The relative path from a page in `out` to the report of a leg, if both lie below one directory. `preferred` is the file to
/// link if the leg has it.
fn link(out: &Path, label: &str, groups: &[LegGroup], preferred: &str) -> Option<String> {
    let leg = all_legs(groups).find(|leg| leg.label == label)?;
    let name = if leg.path.join(preferred).is_file() { preferred } else { PAGE };
    let out = out.canonicalize().ok()?;
    let shared = out.ancestors().find(|above| leg.path.starts_with(above)).filter(|above| above.parent().is_some())?;
    let up = out.strip_prefix(shared).ok()?.iter().map(|_| Some(".."));
    let down = leg.path.strip_prefix(shared).ok()?.iter().map(|part| part.to_str());
    let parts: Option<Vec<&str>> = up.chain(down).chain([Some(name)]).collect();
    Some(parts?.join("/"))
}

/// Bounds the length of a label, setting or stage in a sentence that is stored. Each place that shows it escapes it.
fn truncate(name: &str) -> String {
    escape::start(name, 80)
}
