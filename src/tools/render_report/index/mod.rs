//! `--index`: one page over the finished scenarios below a directory.
//!
//! A scenario is a directory with a `report.json`; one that has only a `records.ndjson`, or nothing, was begun and never
//! judged, and counts as Incomplete. Directories whose Run is labelled `scenario=ramp` and `level=N` are the levels of a ramp.

mod charts;
mod html;
mod ramp;
mod redact;
mod summary;
mod tables;

use std::fmt::Write;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::files;
use super::html::to_be_sent;
use super::intake::RECORDS;
use super::{exit_of, said};
use crate::cli::{Failure, Io, Outcome};
use crate::escape::{start, terminal};
use crate::figures::listed;
use crate::page::Pen;
use crate::record::{API_VERSION, Verdict};
use crate::scenario::{self, Scenario};
use ramp::Ramp;

/// What programs read of an index. Not `report.json`, so that nobody takes an index for a scenario.
const INDEX: &str = "index.json";
/// How many characters of a cause a line on the terminal, or the cause of a whole ramp, shows.
const CAUSE: usize = 240;
/// How many of them a row of the page shows.
const WHY: usize = 600;

/// The content of `index.json`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Index {
    api_version: &'static str,
    kind: &'static str,
    metadata: Name,
    spec: Spec,
    status: Status,
}

/// What was asked for. It is kept, so that an index that is made again knows it.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Spec {
    /// The scenarios that were to be run, by their directories.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    planned: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Name {
    name: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    verdict: Verdict,
    cause: String,
    /// The level that Failed, where the directory is a ramp and one did.
    #[serde(skip_serializing_if = "Option::is_none")]
    breaking_point: Option<String>,
    parts: Vec<Part>,
}

/// A scenario, or a level of a ramp, or a ramp as a whole.
#[derive(Debug, Serialize)]
struct Part {
    /// Relative to the index, `/` between its parts; empty for a level that was not run.
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    level: Option<String>,
    verdict: Verdict,
    cause: String,
}

impl Status {
    fn of(ramps: &[Ramp<'_>], others: &[&Scenario]) -> Self {
        match (ramps, others) {
            ([ramp], []) => of_ramp(ramp),
            _ => of_all(ramps, others),
        }
    }
}

/// All that the pages of an index are made of.
#[derive(Clone, Copy)]
struct Seen<'a> {
    /// What the directory is called.
    name: &'a str,
    place: &'a Path,
    ramps: &'a [Ramp<'a>],
    others: &'a [&'a Scenario],
    status: &'a Status,
}

impl<'a> Seen<'a> {
    /// The ramp, where the directory is one and nothing else.
    fn only_ramp(&self) -> Option<&'a Ramp<'a>> {
        match (self.ramps, self.others) {
            ([ramp], []) => Some(ramp),
            _ => None,
        }
    }
}

/// Indexes what lies below `directory`. A scenario that was `planned` and is not there is Incomplete. With `redact` there is a page
/// to be sent, too.
pub(super) fn run(directory: &Path, planned: Vec<String>, redact: bool, io: Io<'_>) -> Outcome {
    let Io { stdout, console, stop, .. } = io;
    let shown = directory.display().to_string();
    let place = directory.canonicalize().map_err(|error| Failure::io(&shown, &error))?;
    if let Some(name) = [RECORDS, files::REPORT].iter().find(|name| place.join(name).exists()) {
        return Err(Failure::usage(format!(
            "--index {shown}: it holds {name}: it is a scenario itself, name its parent"
        )));
    }
    let (mut scenarios, whole) = scenario::scan(&place, &console);
    let planned = if planned.is_empty() { planned_before(&place) } else { planned };
    for name in &planned {
        let below = format!("{name}/");
        if !scenarios.iter().any(|scenario| scenario.path == *name || scenario.path.starts_with(&below)) {
            scenarios.push(Scenario::not_run(name));
        }
    }
    if scenarios.is_empty() {
        console.say(&format!("{shown}: there is no scenario below it, nothing to index"));
        return Ok(exit_of(Verdict::Incomplete, false, !whole));
    }
    let name = place.file_name().map_or_else(|| "index".to_owned(), |name| name.to_string_lossy().into_owned());
    let (ramps, others) = ramp::split(&scenarios);
    let status = Status::of(&ramps, &others);
    let (verdict, cause) = (status.verdict, status.cause.clone());
    let seen = Seen { name: &name, place: &place, ramps: &ramps, others: &others, status: &status };
    let (page, drawn) = (tables::page(&seen), html::page(&seen, Pen::Html));
    let index = Index {
        api_version: API_VERSION,
        kind: "Index",
        metadata: Name { name: name.clone() },
        spec: Spec { planned },
        status,
    };
    let mut text = serde_json::to_string(&index).map_err(|error| Failure::input_output(format!("{INDEX}: {error}")))?;
    text.push('\n');

    let mut shelf = files::Shelf::new(&place, &console);
    shelf.put(files::PAGE, Ok(page.into_bytes()));
    shelf.put(files::HTML, Ok(drawn.into_bytes()));
    shelf.put(INDEX, Ok(text.clone().into_bytes()));
    let written = directory.join(files::HTML);
    let mut screen = format!("{}: {verdict}: {}\n", terminal(&name), terminal(&clauses(&cause, 2 * CAUSE)));
    let report = ("Report".to_owned(), terminal(&written.display().to_string()));
    for (label, text) in summary::lines(&ramps, &others).into_iter().chain([report]) {
        let _ = writeln!(screen, "  {label:<14} {text}");
    }
    console.show(&screen);
    if to_be_sent(&place, redact) {
        // Made of the same scenarios, so that nothing that was taken out comes back by way of a sentence that quotes it.
        scenarios.iter_mut().for_each(redact::redact);
        let (ramps, others) = ramp::split(&scenarios);
        let status = Status::of(&ramps, &others);
        let seen = Seen { name: &name, place: &place, ramps: &ramps, others: &others, status: &status };
        shelf.put(files::REDACTED, Ok(html::page(&seen, Pen::Sent).into_bytes()));
    }
    let exit = exit_of(verdict, false, shelf.failed() || !whole);
    let written = stdout.write_all(text.as_bytes()).map_err(|error| Failure::output("stdout", &error));
    said(written).map(|()| stop.exit_or(exit))
}

/// A cause in about so many characters: one that is longer ends after a clause of it, not in the middle of a message.
fn clauses(cause: &str, most: usize) -> String {
    let short = start(cause, most);
    match short.rfind("; ").filter(|end| short != cause && *end > most / 3) {
        Some(end) => format!("{}; …", &short[..end]),
        None => short,
    }
}

/// What an index that was made before was told.
fn planned_before(place: &Path) -> Vec<String> {
    #[derive(Deserialize)]
    struct Before {
        #[serde(default)]
        spec: Spec,
    }
    // Where there is none, or another program's file of that name, nothing was planned.
    let text = std::fs::read_to_string(place.join(INDEX)).unwrap_or_default();
    serde_json::from_str::<Before>(&text).map(|before| before.spec.planned).unwrap_or_default()
}

/// What there is to say of a directory that is one ramp.
fn of_ramp(ramp: &Ramp<'_>) -> Status {
    let parts = ramp.levels.iter().map(|level| Part {
        path: level.scenario.map(|scenario| scenario.path.clone()).unwrap_or_default(),
        level: Some(level.name.clone()),
        verdict: level.scenario.map(Scenario::verdict).unwrap_or_default(),
        cause: level.scenario.map_or_else(|| "not run".to_owned(), Scenario::cause),
    });
    let breaking_point = ramp.breaking_point().map(str::to_owned);
    Status { verdict: ramp.verdict(), cause: ramp.cause(), breaking_point, parts: parts.collect() }
}

/// What there is to say of a directory with scenarios of several sorts.
fn of_all(ramps: &[Ramp<'_>], others: &[&Scenario]) -> Status {
    let part = |path: &str, verdict, cause| Part { path: path.to_owned(), level: None, verdict, cause };
    let of_others = others.iter().map(|scenario| part(&scenario.path, scenario.verdict(), scenario.cause()));
    let of_ramps = ramps.iter().map(|ramp| part(&ramp.path, ramp.verdict(), ramp.cause()));
    let mut parts: Vec<Part> = of_others.chain(of_ramps).collect();
    parts.sort_by(|a, b| a.path.cmp(&b.path));
    let verdict = parts.iter().map(|part| part.verdict).max().unwrap_or_default();
    let not_passed: Vec<String> = parts
        .iter()
        .filter(|part| part.verdict != Verdict::Passed)
        .map(|part| {
            let name = if part.path.is_empty() { "the ramp" } else { &part.path };
            format!("{name} is {}", part.verdict)
        })
        .collect();
    let cause = match not_passed.len() {
        0 if parts.len() == 1 => "the one scenario passed".to_owned(),
        0 => format!("{0} of {0} scenarios passed", parts.len()),
        count => format!("{count} of {} scenarios did not pass: {}", parts.len(), listed(&not_passed)),
    };
    Status { verdict, cause, breaking_point: None, parts }
}
