//! `report.html` of an index: a ramp level by level, or the scenarios of a run, in the words of `report.md`.

use std::fs;

use itertools::Itertools;
use maud::{Markup, html};

use super::super::html::{banner_line, verdict_look};
use super::super::run_dir;
use super::ramp::{Level, Ramp};
use super::{Contents, INDEX, Part, charts, tables};
use crate::escape::start;
use crate::figures::{any_listed, listed};
use crate::html::components::{self, Card};
use crate::html::shell::{Document, Section};
use crate::markup::{Content, Format, Inline, capitalize};
use crate::record::{Run, Verdict};
use crate::scenario::Scenario;
use crate::units;
use crate::units::decimal;

/// The file that keeps the state of the sources at the start of the run.
const SOURCES: &str = ".git-sha";
/// The number of scenarios, ramps among them, that have a card each; of more there is one card for all.
const CARDS: usize = 3;
/// The longest name of a target, a profile or a run, in characters, that is shown.
const NAME: usize = 80;

/// The file in this format.
pub(super) fn page(contents: &Contents<'_>, format: Format) -> String {
    let status = &contents.status;
    let content = |write: &dyn Fn(&mut Content)| {
        let mut content = Content::new(format);
        write(&mut content);
        content.to_section()
    };
    let section = |id, title, body| Section { id, title, body };
    let mut sections = Vec::new();
    let (name, cards, doubts);
    if let Some(ramp) = contents.only_ramp() {
        (name, cards, doubts) = ("ramp", ramp_cards(ramp), ramp.unreached_levels());
        let levels = content(&|content| {
            content.heading("Levels");
            tables::levels(content, ramp, contents.directory);
        });
        sections.push(section("by-level", "By level", charts::by_level(ramp)));
        sections.push(section("levels", "Levels", levels));
    } else {
        (name, cards, doubts) =
            (contents.name, run_cards(contents), contents.ramps.iter().flat_map(Ramp::unreached_levels).collect());
        let scenarios = content(&|content| {
            content.heading("Scenarios");
            tables::scenarios(content, contents);
        });
        sections.push(section("scenarios", "Scenarios", scenarios));
        if contents.others.len() > 1 {
            sections.push(section("by-scenario", "Scenarios side by side", charts::by_scenario(&contents.others)));
        }
        if let Some(ramp) = contents.ramps.first() {
            sections.push(section("by-level", "The ramp by level", charts::by_level(ramp)));
        }
    }
    sections.push(section("run", "Run", content(&|content| run(content, contents))));
    let (class, mark, word) = if let Some(result) = contents.result() {
        // A ramp that found its breaking point is no plain pass, whatever its exit code says.
        ("flat", "▲", capitalize(&start(&result, 2 * NAME)))
    } else {
        let (class, mark) = verdict_look(status.verdict);
        (class, mark, status.verdict.to_string())
    };
    let criteria = content(&|content| tables::criteria(content, contents));
    let comparisons = content(&|content| tables::comparisons(content, contents.directory));
    let summary = html! {
        (components::verdict_band(class, mark, &word, name))
        @if !criteria.0.is_empty() { div class="criteria" { (criteria) } "\n" }
        @if let Some(cause) = rest_of_cause(contents) { p class="cause" { (cause) } "\n" }
        (comparisons)
        (components::cards(&cards))
        (components::doubts(&doubts))
    };
    let title = format!("{word}: {name}");
    Document { title, banner: banner(contents, format), summary, sections, footer: footer(format) }.render()
}

/// The cause, as a sentence; what the band says already is left out.
fn rest_of_cause(contents: &Contents<'_>) -> Option<String> {
    let cause = contents.status.cause.trim_end_matches('.');
    let said = contents.result();
    let rest =
        said.and_then(|said| cause.strip_prefix(said.as_str())).unwrap_or(cause).trim_start_matches([';', ':', ' ']);
    (!rest.is_empty()).then(|| format!("{}.", capitalize(rest)))
}

fn footer(format: Format) -> Markup {
    html! {
        "Made by render-report " (env!("CARGO_PKG_VERSION"))
        " of stress-suite from the reports below; times are UTC. "
        @if format == Format::RedactedHtml {
            "Redacted: the target's messages and address are removed."
        } @else {
            "The data is in " (INDEX) "."
        }
    }
}

/// All scenarios, levels among them.
fn scenarios<'a>(contents: &Contents<'a>) -> impl Iterator<Item = &'a Scenario> {
    let levels = contents.ramps.iter().flat_map(|ramp| &ramp.levels).filter_map(|level| level.scenario);
    levels.chain(contents.others.iter().copied())
}

/// The values that the Runs have for something, each once.
fn from_runs<'a>(contents: &Contents<'a>, value: impl Fn(&'a Run) -> Option<&'a str>) -> Vec<String> {
    let runs = scenarios(contents).flat_map(|scenario| &scenario.runs);
    runs.filter_map(value).map(|text| start(text, NAME)).sorted().dedup().collect()
}

fn banner(contents: &Contents<'_>, format: Format) -> Markup {
    let mut parts = Vec::new();
    let runs = from_runs(contents, |run| Some(run.metadata.run.as_str()).filter(|run| !run.is_empty()));
    if !runs.is_empty() {
        parts.push(html! { "run " b { (listed(&runs)) } });
    }
    let started = scenarios(contents).flat_map(|scenario| &scenario.runs).filter_map(|run| run.status.started_at).min();
    parts.extend(started.map(|at| html! { "started " (at.minute()) " UTC" }));
    parts.extend(profile_and_target(contents).map(|(what, names)| html! { (what) " " (names) }));
    if parts.is_empty() {
        parts.push(html! { b { (contents.name) } });
    }
    if format == Format::RedactedHtml {
        parts.push(html! { "redacted: see the last line" });
    }
    banner_line(&parts)
}

/// The profiles and the targets of the runs, where there are any.
fn profile_and_target(contents: &Contents<'_>) -> impl Iterator<Item = (&'static str, String)> {
    let names = [
        ("profile", from_runs(contents, |run| run.spec.profile.as_deref())),
        ("target", from_runs(contents, |run| run.spec.target.as_deref())),
    ];
    names.into_iter().filter(|(_, names)| !names.is_empty()).map(|(what, names)| (what, listed(&names)))
}

fn ramp_cards(ramp: &Ramp<'_>) -> Vec<Card> {
    let loaded = |level: &Level<'_>| format!("level {}", start(&level.with_load(), NAME));
    let (highest, best) = (ramp.highest_passed(), ramp.best());
    let figures = highest.and_then(|level| level.scenario).map(figures_sentence);
    let highest = highest.map_or_else(|| "none".to_owned(), loaded);
    let highest = Card::new("Highest level that passed", highest, figures);
    let rate = best.map_or_else(|| "not known".to_owned(), |(_, rate)| format!("{} jobs/min", decimal(rate)));
    let at = best.map(|(level, _)| format!("at {}", loaded(level)));
    let best = Card::new("Highest throughput of those that passed", rate, at);
    let not_run = ramp.levels.iter().filter(|level| level.scenario.is_none());
    let mut jobs = jobs(ramp.levels.iter().filter_map(|level| level.scenario));
    if let Some(levels) = any_listed(not_run.map(|level| start(&level.name, NAME))) {
        jobs.detail += &format!("; levels not run: {levels}");
    }
    vec![breaking_point(ramp), highest, best, jobs]
}

fn run_cards(contents: &Contents<'_>) -> Vec<Card> {
    let jobs = jobs(scenarios(contents));
    let parts = &contents.status.parts;
    if parts.len() <= CARDS {
        let of_others = contents.others.iter().map(|scenario| scenario_card(scenario));
        return of_others.chain(contents.ramps.iter().map(ramp_card)).chain([jobs]).collect();
    }
    // A ramp that found its breaking point is no plain pass.
    let broke = |part: &&Part| contents.ramps.iter().any(|ramp| ramp.path == part.path && ramp.result().is_some());
    let passed = parts.iter().filter(|part| part.verdict == Verdict::Passed && !broke(part)).count();
    let broken = Some(parts.iter().filter(broke).count()).filter(|count| *count > 0);
    let broken = broken.map(|count| format!("breaking point found: {count}"));
    vec![Card::new("Scenarios", format!("{passed} of {} passed", parts.len()), broken), jobs]
}

/// The class of a verdict's words, and the verdict with its mark.
fn verdict_words(verdict: Verdict) -> (&'static str, String) {
    let (class, mark) = verdict_look(verdict);
    (class, format!("{mark} {verdict}"))
}

/// A scenario in one look: its verdict, its jobs, its figures and the stage that limits it.
fn scenario_card(scenario: &Scenario) -> Card {
    let (class, headline) = verdict_words(scenario.verdict());
    let jobs = scenario.asked().zip(scenario.not_succeeded());
    let report = scenario.report.as_ref();
    let parts = [
        jobs.map(|(asked, not)| format!("{} of {asked} jobs succeeded", asked.saturating_sub(not))),
        Some(figures_sentence(scenario)).filter(|figures| !figures.is_empty()),
        report
            .and_then(|report| report.status.limiting_stage.as_ref())
            .map(|stage| format!("limited by {}", start(stage, NAME))),
        report
            .map(|report| report.status.doubts.len() as u64)
            .filter(|doubts| *doubts > 0)
            .map(|doubts| units::counted(doubts, "doubt", "doubts")),
    ];
    let detail = parts.into_iter().flatten().join("; ");
    let detail = if detail.is_empty() { scenario.cause() } else { detail };
    Card { class, ..Card::new(&start(&scenario.path, NAME), headline, Some(detail)) }
}

/// A ramp in one look: where it breaks, and the figures of the highest level that passed.
fn ramp_card(ramp: &Ramp<'_>) -> Card {
    let label = start(ramp.name(), NAME);
    let (class, headline) = match ramp.breaking_point() {
        Some(level) if ramp.result().is_some() => ("", format!("▲ breaks at level {}", start(level, NAME))),
        _ => verdict_words(ramp.verdict()),
    };
    let highest = ramp.highest_passed().and_then(|level| Some((level, level.scenario?)));
    let detail = highest.map_or_else(
        || "no level passed".to_owned(),
        |(level, scenario)| format!("level {} passed: {}", start(&level.with_load(), NAME), figures_sentence(scenario)),
    );
    Card { class, ..Card::new(&label, headline, Some(detail)) }
}

fn breaking_point(ramp: &Ramp<'_>) -> Card {
    let Some(level) = ramp.breaking_level() else {
        return Card::new("Breaking point", "not found".to_owned(), None);
    };
    let detail = level.scenario.and_then(|scenario| {
        Some(format!("{} of {} jobs did not succeed there", scenario.not_succeeded()?, scenario.asked()?))
    });
    let headline = format!("✕ level {}", start(&level.name, NAME));
    Card { class: "bad", ..Card::new("Breaking point", headline, detail) }
}

/// Jobs per minute and end to end of a scenario, as far as they are known.
fn figures_sentence(scenario: &Scenario) -> String {
    let [rate, times @ ..] = tables::figures(scenario);
    let rate = rate.map(|rate| format!("{rate} jobs/min"));
    let times = ["median", "p90", "p95", "p99", "max"].into_iter().zip(times);
    let times = times.filter_map(|(name, time)| Some(format!("{name} {}", time?)));
    rate.into_iter().chain(times).join(", ")
}

fn jobs<'a>(scenarios: impl Iterator<Item = &'a Scenario>) -> Card {
    let known = scenarios.filter_map(|scenario| Some((scenario.asked()?, scenario.not_succeeded()?)));
    let (asked, not) = known.fold((0, 0), |(asked, not), of| (of.0.saturating_add(asked), of.1.saturating_add(not)));
    let others = (not > 0).then(|| format!("{not} did not, or are not known to have"));
    Card::new("Jobs", format!("{} of {asked} succeeded", asked.saturating_sub(not)), others)
}

/// The times, the targets and the sources of the run.
fn run(content: &mut Content, contents: &Contents<'_>) {
    content.heading("Run");
    let runs = || scenarios(contents).flat_map(|scenario| &scenario.runs);
    if let Some(started) = runs().filter_map(|run| run.status.started_at).min() {
        let ended = runs().filter_map(|run| run.status.window).map(|window| window.end).max();
        let ended = ended.map(|at| format!("; the last job ended {at}")).unwrap_or_default();
        content.item(format!("started {started}{ended}"));
    }
    for (what, names) in profile_and_target(contents) {
        content.item(format!("{what}: {names}"));
    }
    if let Some(state) = sources(contents, content.format()) {
        content.item(format!("sources: {state}"));
    }
    if content.format() != Format::RedactedHtml {
        let [page, index] = [run_dir::PAGE, INDEX].map(|name| Inline::link(name, name));
        content.item(Inline::from("as text and as data: ").then(page).then(", ").then(index));
    }
}

/// The state of the sources at the start of the run, in words; none if the run kept none.
fn sources(contents: &Contents<'_>, format: Format) -> Option<String> {
    // A ramp is a part of the run whose directory holds its own.
    let above = contents.directory.parent().filter(|_| contents.only_ramp().is_some());
    let file = [Some(contents.directory), above]
        .into_iter()
        .flatten()
        .map(|place| place.join(SOURCES))
        .find(|file| file.symlink_metadata().is_ok())?;
    Some(match fs::read_to_string(&file) {
        Ok(text) => state(text.lines().next().unwrap_or_default().trim(), format),
        // The reason may name a path.
        Err(_) if format == Format::RedactedHtml => format!("{SOURCES} cannot be read"),
        Err(error) => format!("{SOURCES} cannot be read: {}", crate::cli::cause(&error)),
    })
}

/// The output of `git describe --always --dirty --abbrev=40` in words, or the reason why there is none. Any other text is not shown.
fn state(line: &str, format: Format) -> String {
    let (commit, changed) = line.strip_suffix("-dirty").map_or((line, false), |commit| (commit, true));
    if (7..=64).contains(&commit.len()) && commit.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        format!("commit {commit}{}", if changed { ", with changes that were not committed" } else { "" })
    } else if let Some(reason) = line.strip_prefix("unknown: ").filter(|_| format != Format::RedactedHtml) {
        format!("not known: {reason}")
    } else if line == "unknown" || line.starts_with("unknown: ") {
        "not known: git named none".to_owned()
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
        let state = |line: &str| state(line, Format::Html);
        assert_eq!(state(commit), format!("commit {commit}"));
        assert_eq!(state(&format!("{commit}-dirty")), format!("commit {commit}, with changes that were not committed"));
        assert_eq!(state("unknown"), "not known: git named none");
        assert_eq!(state("unknown: fatal: not a git repository"), "not known: fatal: not a git repository");
        assert_eq!(super::state("unknown: fatal: in '/home'", Format::RedactedHtml), "not known: git named none");
        for other in ["", "-dirty", "<script>", "abc", "v1.0-3-gabcdef0"] {
            assert_eq!(state(other), "not known: .git-sha holds no commit");
        }
    }
}
