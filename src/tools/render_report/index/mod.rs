//! `--index`: one page over the finished scenarios below a directory.
//!
//! A scenario is a directory with a `report.json`; one that has only a `records.ndjson`, or nothing, was begun and never
//! judged, and counts as Incomplete. Directories whose Run is labelled `scenario=ramp` and `level=N` are the levels of a ramp.

mod charts;
mod criteria;
mod html;
mod ramp;
mod redact;
mod summary;
mod tables;

use std::path::Path;

use itertools::Itertools;
use serde::{Deserialize, Serialize};

use super::criteria::Limits;
use super::headline_figures::mark;
use super::run_dir::{self, RECORDS, RunDir};
use super::{exit_of, ignore_broken_pipe};
use crate::cli::{Failure, Io, Outcome};
use crate::escape::shorten;
use crate::figures::listed;
use crate::markup::Format;
use crate::record::{self, Criterion, Metadata, Verdict};
use crate::scenario::{self, Scenario};
use criteria::RampCriterion;
pub(super) use criteria::is_about_ramps;
use ramp::Ramp;

/// The index for programs. It is not called `report.json`, so that nothing takes an index for a scenario.
const INDEX: &str = "index.json";
/// The longest part of a cause, in characters, in a line on the terminal and in the cause of a whole ramp.
const CAUSE: usize = 240;
/// The longest part of a cause in a row of the page.
const WHY: usize = 600;

/// The values that a scenario's criteria compare its figures with.
fn limits_of(scenario: &Scenario) -> Limits {
    scenario.report.as_ref().map(|report| Limits::new(&report.status.criteria)).unwrap_or_default()
}

/// The scenarios and criteria that were asked for, kept for an index that is made again.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Spec {
    /// The directories of the scenarios.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    planned: Vec<String>,
    /// The criteria on the ramps.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    expect: Vec<String>,
}

#[serde_with::skip_serializing_none]
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    verdict: Verdict,
    cause: String,
    /// The level that Failed, where the directory is a ramp and one did.
    breaking_point: Option<String>,
    /// The most jobs that were in flight for certain at a level that passed, where the directory is a ramp.
    highest_in_flight: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    criteria: Vec<Criterion>,
    parts: Vec<Part>,
}

/// A scenario, or a level of a ramp, or a ramp as a whole.
#[serde_with::skip_serializing_none]
#[derive(Debug, Serialize)]
struct Part {
    /// Relative to the index, `/` between its parts; empty for a level that was not run.
    path: String,
    level: Option<String>,
    verdict: Verdict,
    cause: String,
}

impl Status {
    /// The status with criteria, whose worst counts, too.
    fn judged_by(self, criteria: Vec<Criterion>) -> Self {
        let unmet = criteria.iter().filter(|criterion| criterion.verdict != Verdict::Passed);
        let unmet = unmet.map(|it| format!("{} is {}: {}; ", it.name, it.verdict, it.actual));
        let cause = unmet.collect::<String>() + &self.cause;
        let verdict = criteria.iter().map(|criterion| criterion.verdict).fold(self.verdict, Verdict::max);
        Self { verdict, cause, criteria, ..self }
    }
}

/// Everything that the pages of an index are made from.
struct Contents<'a> {
    /// The name of the directory.
    name: &'a str,
    directory: &'a Path,
    ramps: Vec<Ramp<'a>>,
    others: Vec<&'a Scenario>,
    status: Status,
}

impl<'a> Contents<'a> {
    fn new(name: &'a str, directory: &'a Path, scenarios: &'a [Scenario], criteria: &[RampCriterion]) -> Self {
        let (ramps, others) = ramp::split(scenarios);
        let status = match (ramps.as_slice(), others.as_slice()) {
            ([ramp], []) => ramp_status(ramp),
            _ => run_status(&ramps, &others),
        };
        let status = status.judged_by(criteria.iter().map(|criterion| criterion.judge(&ramps)).collect());
        Self { name, directory, ramps, others, status }
    }

    /// The ramp, where the directory is one and nothing else.
    fn only_ramp(&self) -> Option<&Ramp<'a>> {
        self.ramps.first().filter(|_| self.ramps.len() == 1 && self.others.is_empty())
    }

    /// The results of ramps that found their breaking points, where all else passed: they are no plain pass.
    fn result(&self) -> Option<String> {
        results(&self.ramps).filter(|_| self.status.verdict == Verdict::Passed)
    }
}

/// Checks criteria on ramps.
pub(super) fn check(expect: &[String]) -> Result<(), Failure> {
    RampCriterion::parse_all(expect).map(drop)
}

/// Indexes the scenarios below `directory`. One that was `planned` and is not there is Incomplete; the ramps are judged by `expect`.
/// With `redact` a redacted page is written, too; with `brief` the terminal gets one line.
pub(super) fn run(
    directory: &Path,
    planned: Vec<String>,
    expect: Vec<String>,
    (redact, brief): (bool, bool),
    io: Io<'_>,
) -> Outcome {
    check(&expect)?;
    let Io { stdout, console, stop, .. } = io;
    let shown = directory.display().to_string();
    let root = directory.canonicalize().map_err(|error| Failure::io(&shown, &error))?;
    if let Some(name) = [RECORDS, run_dir::REPORT].iter().find(|name| root.join(name).exists()) {
        return Err(Failure::usage(format!(
            "--index {shown}: it holds {name}, so it is a scenario itself: name its parent"
        )));
    }
    let (mut scenarios, complete) = scenario::scan(&root, &console);
    let before = spec_before(&root);
    let planned = if planned.is_empty() { before.planned } else { planned };
    let expect = if expect.is_empty() { before.expect } else { expect };
    let criteria = RampCriterion::parse_all(&expect)?;
    for name in &planned {
        let below = format!("{name}/");
        if !scenarios.iter().any(|scenario| scenario.path == *name || scenario.path.starts_with(&below)) {
            scenarios.push(Scenario::not_run(name));
        }
    }
    if scenarios.is_empty() {
        console.say(&format!("{shown}: no scenario below it, nothing to index"));
        return Ok(exit_of(Verdict::Incomplete, false, !complete));
    }
    let name = root.file_name().map_or_else(|| "index".to_owned(), |name| name.to_string_lossy().into_owned());
    let mut run_dir = RunDir::new(&root, Vec::new(), &console);
    let contents = Contents::new(&name, &root, &scenarios, &criteria);
    run_dir.write(run_dir::PAGE, &mut |out| out.write_all(tables::page(&contents).as_bytes()));
    run_dir.write(run_dir::HTML, &mut |out| out.write_all(html::page(&contents, Format::Html).as_bytes()));
    let lines = screen(&contents, &directory.join(run_dir::HTML));
    console.show(lines.into_iter().take(if brief { 1 } else { usize::MAX }));
    let verdict = contents.status.verdict;
    let metadata = Metadata { name: name.clone(), ..Metadata::default() };
    let text = record::document("Index", &metadata, &Spec { planned, expect }, &contents.status)
        .map_err(|error| Failure::input_output(format!("{INDEX}: {error}")))?
        + "\n";
    run_dir.write(INDEX, &mut |out| out.write_all(text.as_bytes()));
    if run_dir::wants_redacted_page(&root, redact) {
        // It is made from redacted scenarios, so that no removed text can come back in a sentence that quotes it.
        scenarios.iter_mut().for_each(redact::redact);
        let page = html::page(&Contents::new(&name, &root, &scenarios, &criteria), Format::RedactedHtml);
        run_dir.write(run_dir::REDACTED, &mut |out| out.write_all(page.as_bytes()));
    }
    let exit = exit_of(verdict, false, run_dir.failed() || !complete);
    let written = stdout.write_all(text.as_bytes()).map_err(|error| Failure::output("stdout", &error));
    ignore_broken_pipe(written).map(|()| stop.exit_or(exit))
}

/// The lines for the terminal; `page` is the path of the report.
fn screen(contents: &Contents<'_>, page: &Path) -> Vec<String> {
    let status = &contents.status;
    let cause = clauses(&status.cause, 2 * CAUSE);
    let mut lines = vec![match contents.result() {
        // The cause begins with it: Passed alone would stand over the jobs that failed.
        Some(_) => format!("{}: {cause}", contents.name),
        None => format!("{}: {}: {cause}", contents.name, status.verdict),
    }];
    lines.extend(status.criteria.iter().map(|it| format!("  {} {}: {}", mark(it.verdict), it.name, it.actual)));
    let report = ("Report".to_owned(), page.display().to_string());
    let rows = summary::lines(contents).into_iter().chain([report]);
    lines.extend(rows.map(|(label, text)| format!("  {label:<14} {text}")));
    lines
}

/// A cause in about so many characters: one that is longer ends after a clause of it, not in the middle of a message.
fn clauses(cause: &str, most: usize) -> String {
    let cut = shorten(cause, most);
    match cut.rfind("; ").filter(|end| cut != cause && *end > most / 3) {
        Some(end) => format!("{}; …", &cut[..end]),
        None => cut,
    }
}

/// The request of an index that was made before.
fn spec_before(directory: &Path) -> Spec {
    #[derive(Deserialize)]
    struct Before {
        #[serde(default)]
        spec: Spec,
    }
    // If there is none, or another program's file of that name, nothing was planned.
    let text = std::fs::read_to_string(directory.join(INDEX)).unwrap_or_default();
    serde_json::from_str::<Before>(&text).map(|before| before.spec).unwrap_or_default()
}

/// The results of the ramps that found their breaking points; none if none did.
fn results(ramps: &[Ramp<'_>]) -> Option<String> {
    match ramps {
        [ramp] => ramp.result(),
        ramps => {
            let result = |ramp: &Ramp<'_>| Some(format!("{}: {}", ramp.name(), ramp.result()?));
            let results = ramps.iter().filter_map(result).join("; ");
            (!results.is_empty()).then_some(results)
        }
    }
}

/// The status of a directory that is one ramp.
fn ramp_status(ramp: &Ramp<'_>) -> Status {
    let parts = ramp.levels.iter().map(|level| Part {
        path: level.scenario.map(|scenario| scenario.path.clone()).unwrap_or_default(),
        level: Some(level.name.clone()),
        verdict: level.scenario.map(Scenario::verdict).unwrap_or_default(),
        cause: level.scenario.map_or_else(|| "not run".to_owned(), Scenario::cause),
    });
    let breaking_point = ramp.breaking_point().map(str::to_owned);
    Status {
        verdict: ramp.verdict(),
        cause: ramp.cause(),
        breaking_point,
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of jobs")]
        highest_in_flight: ramp.highest_load().map(|load| load.low as u64),
        criteria: Vec::new(),
        parts: parts.collect(),
    }
}

/// The status of a directory with scenarios of several kinds.
fn run_status(ramps: &[Ramp<'_>], others: &[&Scenario]) -> Status {
    let part = |path: &str, verdict, cause| Part { path: path.to_owned(), level: None, verdict, cause };
    let of_others = others.iter().map(|scenario| part(&scenario.path, scenario.verdict(), scenario.cause()));
    let of_ramps = ramps.iter().map(|ramp| part(&ramp.path, ramp.verdict(), ramp.cause()));
    let parts = of_others.chain(of_ramps).sorted_by(|a, b| a.path.cmp(&b.path)).collect_vec();
    let verdict = parts.iter().map(|part| part.verdict).max().unwrap_or_default();
    let not_passed = || parts.iter().filter(|part| part.verdict != Verdict::Passed);
    let broken = ramps.iter().filter(|ramp| ramp.result().is_some()).count();
    let cause = match not_passed().count() {
        0 if broken > 0 => {
            let others = match parts.len() - broken {
                0 => String::new(),
                1 => "; the other scenario passed".to_owned(),
                others => format!("; the other {others} scenarios passed"),
            };
            results(ramps).unwrap_or_default() + &others
        }
        0 if parts.len() == 1 => "the one scenario passed".to_owned(),
        0 => format!("{0} of {0} scenarios passed", parts.len()),
        count => {
            let not_passed = not_passed().map(|part| format!("{} is {}", ramp::name(&part.path), part.verdict));
            format!("{count} of {} scenarios did not pass: {}", parts.len(), listed(not_passed))
        }
    };
    Status { verdict, cause, breaking_point: None, highest_in_flight: None, criteria: Vec::new(), parts }
}
