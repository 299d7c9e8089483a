//! `report.html` of an index: a ramp level by level, or the scenarios of a run, in the words of `report.md`.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::super::html::looks;
use super::super::{facts, files};
use super::ramp::Ramp;
use super::{INDEX, Seen, charts, tables};
use crate::escape::{self, start};
use crate::figures::listed;
use crate::figures::names::{self, Durations};
use crate::figures::samples::Statistic;
use crate::html::document::{Document, Section};
use crate::html::lead::{self, Card};
use crate::page::{Page, Pen, capital};
use crate::record::{Run, Verdict};
use crate::scenario::Scenario;
use crate::units;

/// What the state of the sources is kept in, from the start of the run on.
const SOURCES: &str = ".git-sha";
/// How many names of targets, profiles and runs are shown at most, each of so many characters.
const SHORT: usize = 80;

/// The file, with links to the others or to be sent.
pub(super) fn page(seen: &Seen<'_>, pen: Pen) -> String {
    let status = seen.status;
    let written = |write: &dyn Fn(&mut Page)| {
        let mut sheet = Page::section(pen);
        write(&mut sheet);
        sheet.into_text()
    };
    let section = |id, title, body| Section { id, title, body };
    let mut sections = Vec::new();
    let (name, cards, doubts);
    if let Some(ramp) = seen.only_ramp() {
        (name, cards, doubts) = ("ramp", of_ramp(ramp), ramp.same_loads());
        let levels = written(&|sheet| {
            sheet.heading("Levels");
            tables::levels(sheet, ramp, seen.place);
        });
        sections.push(section("by-level", "By level", charts::section(ramp)));
        sections.push(section("levels", "Levels", levels));
    } else {
        (name, cards, doubts) = (seen.name, of_all(seen), seen.ramps.iter().flat_map(Ramp::same_loads).collect());
        let scenarios = written(&|sheet| {
            sheet.heading("Scenarios");
            tables::scenarios(sheet, seen);
        });
        sections.push(section("scenarios", "Scenarios", scenarios));
        sections.push(section("comparisons", "Comparisons", written(&|sheet| tables::comparisons(sheet, seen.place))));
    }
    sections.push(section("run", "Run", written(&|sheet| run(sheet, seen))));
    let (class, mark) = looks(status.verdict);
    let point = seen.only_ramp().and_then(Ramp::breaking_point);
    let of = point.map_or_else(|| name.to_owned(), |level| format!("{name}: breaks at level {}", start(level, SHORT)));
    let mut first = lead::band(class, mark, &status.verdict.to_string(), &of);
    let cause = capital(status.cause.trim_end_matches('.'));
    first += &format!("<p class=\"cause\">{}.</p>\n", escape::html(&cause));
    first += &lead::cards(&cards);
    first += &lead::doubts(&doubts);
    Document {
        title: format!("{}: {name}", status.verdict),
        banner: banner(seen, pen),
        first,
        sections: sections.into_iter().filter(|section| !section.body.is_empty()).collect(),
        footer: format!(
            "Made by render-report {} of stress-suite from the reports below; times are UTC. {}",
            env!("CARGO_PKG_VERSION"),
            if pen == Pen::Sent {
                "Redacted: why a scenario did not pass is told without what the target said, and its address is left out.".to_owned()
            } else {
                format!("The same as data is in {INDEX}.")
            }
        ),
    }
    .text()
}

/// All scenarios, levels among them.
fn scenarios<'a>(seen: &Seen<'a>) -> impl Iterator<Item = &'a Scenario> {
    let levels = seen.ramps.iter().flat_map(|ramp| &ramp.levels).filter_map(|level| level.scenario);
    levels.chain(seen.others.iter().copied())
}

/// What the Runs say, each once.
fn told<'a>(seen: &Seen<'a>, of: impl Fn(&'a Run) -> Option<&'a str>) -> Vec<String> {
    let runs = scenarios(seen).flat_map(|scenario| &scenario.runs);
    let mut all: Vec<String> = runs.filter_map(of).map(|text| start(text, SHORT)).collect();
    all.sort_unstable();
    all.dedup();
    all
}

fn banner(seen: &Seen<'_>, pen: Pen) -> String {
    let mut parts = Vec::new();
    let runs = told(seen, |run| Some(run.metadata.run.as_str()).filter(|run| !run.is_empty()));
    if !runs.is_empty() {
        parts.push(format!("run <b>{}</b>", escape::html(&listed(&runs))));
    }
    let started = scenarios(seen).flat_map(|scenario| &scenario.runs).filter_map(|run| run.status.started_at).min();
    parts.extend(started.map(|at| format!("started {} UTC", at.minute())));
    for (what, names) in [
        ("profile", told(seen, |run| run.spec.profile.as_deref())),
        ("target", told(seen, |run| run.spec.target.as_deref())),
    ] {
        if !names.is_empty() {
            parts.push(format!("{what} {}", escape::html(&listed(&names))));
        }
    }
    if parts.is_empty() {
        parts.push(format!("<b>{}</b>", escape::html(seen.name)));
    }
    if pen == Pen::Sent {
        parts.push("redacted: see the last line".to_owned());
    }
    parts.join(" · ")
}

fn of_ramp(ramp: &Ramp<'_>) -> Vec<Card> {
    let mut cards = vec![breaking_point(ramp, "Breaking point".to_owned())];
    let highest = ramp.highest_passed();
    cards.push(Card {
        label: "Highest level that passed".to_owned(),
        lead: highest.map_or_else(|| "none".to_owned(), |level| format!("level {}", start(&level.name, SHORT))),
        rest: highest.and_then(|level| level.scenario).map(told_of).unwrap_or_default(),
        ..Card::default()
    });
    let best = ramp.best();
    cards.push(Card {
        label: "Highest throughput of those that passed".to_owned(),
        lead: best.map_or_else(|| "not known".to_owned(), |(_, rate)| format!("{} jobs/min", facts::decimal(rate))),
        rest: best.map(|(level, _)| format!("at level {}", start(&level.name, SHORT))).unwrap_or_default(),
        ..Card::default()
    });
    let not_run: Vec<String> =
        ramp.levels.iter().filter(|level| level.scenario.is_none()).map(|level| start(&level.name, SHORT)).collect();
    let mut jobs = jobs(ramp.levels.iter().filter_map(|level| level.scenario));
    if !not_run.is_empty() {
        jobs.rest = format!("{}; levels not run: {}", jobs.rest, listed(&not_run));
    }
    cards.push(jobs);
    cards
}

fn of_all(seen: &Seen<'_>) -> Vec<Card> {
    let parts = &seen.status.parts;
    let passed = parts.iter().filter(|part| part.verdict == Verdict::Passed).count();
    let of = |verdict: Verdict| {
        let names = parts.iter().filter(|part| part.verdict == verdict).map(|part| match part.path.as_str() {
            "" => "the ramp".to_owned(),
            path => start(path, SHORT),
        });
        let names: Vec<String> = names.collect();
        (!names.is_empty()).then(|| format!("{verdict}: {}", listed(&names)))
    };
    let rest: Vec<String> =
        [Verdict::Failed, Verdict::Incomplete, Verdict::Passed].into_iter().filter_map(of).collect();
    let mut cards = vec![
        Card {
            label: "Scenarios".to_owned(),
            lead: format!("{passed} of {} passed", parts.len()),
            rest: rest.join("; "),
            ..Card::default()
        },
        jobs(scenarios(seen)),
    ];
    // A run has one ramp; where there are many, each has its row.
    for ramp in seen.ramps.iter().take(2) {
        let whose = if seen.ramps.len() > 1 { format!(" of {}", start(&ramp.path, SHORT)) } else { String::new() };
        cards.push(breaking_point(ramp, format!("Breaking point{whose}")));
    }
    cards
}

fn breaking_point(ramp: &Ramp<'_>, label: String) -> Card {
    let Some(name) = ramp.breaking_point() else {
        return Card { label, lead: "not found".to_owned(), ..Card::default() };
    };
    let level = ramp.levels.iter().find(|level| level.name == name);
    let rest = level.and_then(|level| level.scenario).and_then(|scenario| {
        Some(format!("{} of {} jobs did not succeed there", scenario.not_succeeded()?, scenario.asked()?))
    });
    let lead = format!("✕ level {}", start(name, SHORT));
    Card { label, class: "bad-ink", lead, rest: rest.unwrap_or_default(), ..Card::default() }
}

/// Jobs per minute, median and max of a scenario, as far as they are known.
fn told_of(scenario: &Scenario) -> String {
    let seconds = |what: &str, statistic| {
        scenario
            .figure(&Durations::END_TO_END.statistic(statistic))
            .map(|value| format!("{what} {}", units::seconds(value)))
    };
    let parts = [
        scenario.figure(&names::JOBS_PER_MINUTE).map(|rate| format!("{} jobs/min", facts::decimal(rate))),
        seconds("median", Statistic::P50),
        seconds("max", Statistic::Max),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn jobs<'a>(scenarios: impl Iterator<Item = &'a Scenario>) -> Card {
    let known = scenarios.filter_map(|scenario| Some((scenario.asked()?, scenario.not_succeeded()?)));
    let (asked, not) = known.fold((0, 0), |(asked, not), of| (of.0.saturating_add(asked), of.1.saturating_add(not)));
    Card {
        label: "Jobs".to_owned(),
        lead: format!("{} of {asked} succeeded", asked.saturating_sub(not)),
        rest: if not == 0 { String::new() } else { format!("{not} did not, or are not known to have") },
        ..Card::default()
    }
}

/// When it was run, against what, and in which state the sources were.
fn run(page: &mut Page, seen: &Seen<'_>) {
    let pen = page.pen;
    page.heading("Run");
    let runs = || scenarios(seen).flat_map(|scenario| &scenario.runs);
    if let Some(started) = runs().filter_map(|run| run.status.started_at).min() {
        let ended = runs().filter_map(|run| run.status.window).map(|window| window.end).max();
        let ended = ended.map(|at| format!("; the last job ended {at}")).unwrap_or_default();
        page.item(&pen.safe(&format!("started {started}{ended}")));
    }
    for (what, names) in [
        ("target", told(seen, |run| run.spec.target.as_deref())),
        ("profile", told(seen, |run| run.spec.profile.as_deref())),
    ] {
        if !names.is_empty() {
            page.item(&pen.safe(&format!("{what}: {}", listed(&names))));
        }
    }
    if let Some(state) = sources(seen) {
        page.item(&pen.safe(&format!("sources: {state}")));
    }
    if pen != Pen::Sent {
        let same = [files::PAGE, INDEX].map(|name| pen.link(name, name)).join(", ");
        page.item(&format!("the same as text and as data: {same}"));
    }
}

/// The state of the sources at the start of the run, in words; none where the run kept none.
fn sources(seen: &Seen<'_>) -> Option<String> {
    // A ramp is a part of the run whose directory holds its own.
    let above = seen.place.parent().filter(|_| seen.only_ramp().is_some());
    let file =
        [Some(seen.place), above].into_iter().flatten().map(|place| place.join(SOURCES)).find(|file| file.is_file())?;
    Some(match first_line(&file) {
        Ok(line) => state(&line),
        Err(error) => format!("{SOURCES} cannot be read: {}", crate::cli::cause(&error)),
    })
}

fn first_line(file: &Path) -> std::io::Result<String> {
    const MOST: u64 = 256;
    let mut bytes = Vec::new();
    File::open(file)?.take(MOST).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).lines().next().unwrap_or_default().trim().to_owned())
}

/// What `git describe --always --dirty --abbrev=40` says, in words. Anything else is not shown as if it had.
fn state(line: &str) -> String {
    let (commit, changed) = line.strip_suffix("-dirty").map_or((line, false), |commit| (commit, true));
    if (7..=64).contains(&commit.len()) && commit.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        format!("commit {commit}{}", if changed { ", with changes that were not committed" } else { "" })
    } else if line == "unknown" {
        "not known: the run was started outside of a repository".to_owned()
    } else {
        format!("not known: {SOURCES} holds no commit")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_commit_is_shown_as_one() {
        let commit = "0123456789abcdef0123456789abcdef01234567";
        assert_eq!(state(commit), format!("commit {commit}"));
        assert_eq!(state(&format!("{commit}-dirty")), format!("commit {commit}, with changes that were not committed"));
        assert_eq!(state("unknown"), "not known: the run was started outside of a repository");
        for other in ["", "-dirty", "<script>", "abc", "v1.0-3-gabcdef0"] {
            assert_eq!(state(other), "not known: .git-sha holds no commit");
        }
    }
}
