//! A ramp: levels of rising concurrency, stopped at the first that did not pass.
//!
//! Each level's Run carries the labels `scenario=ramp`, `level=8`, and `levels=4 8 16 24`: what the whole ramp was asked
//! for, so that levels which were never begun are known too.

use std::collections::{BTreeMap, BTreeSet};

use super::{CAUSE, clauses};
use crate::figures::listed;
use crate::figures::names;
use crate::record::Verdict;
use crate::scenario::Scenario;

/// The directory in which a ramp keeps its levels; it is not part of the ramp's own name.
const LEVELS: &str = "by-concurrency";

/// One level that was asked for or found.
#[derive(Debug)]
pub(super) struct Level<'a> {
    /// Its label.
    pub(super) name: String,
    /// Its scenario; none where it was not run.
    pub(super) scenario: Option<&'a Scenario>,
}

impl Level<'_> {
    /// None where it was not run.
    pub(super) fn verdict(&self) -> Option<Verdict> {
        self.scenario.map(Scenario::verdict)
    }

    /// The number of jobs that it could have in flight, and the number that it was meant to have.
    fn reach(&self) -> Option<(u64, u64)> {
        let scenario = self.scenario?;
        let set: Vec<u64> = scenario.runs.iter().filter_map(|run| run.spec.concurrency).collect();
        let meant = if set.is_empty() { self.name.parse().ok()? } else { set.iter().sum() };
        Some((scenario.asked()?.min(meant), meant))
    }
}

/// A ramp as a whole.
#[derive(Debug)]
pub(super) struct Ramp<'a> {
    /// Its directory, relative to the index; empty where that is the index's own.
    pub(super) path: String,
    /// Its levels, in the order in which they were asked for.
    pub(super) levels: Vec<Level<'a>>,
}

/// The end of a ramp.
enum End<'r, 'a> {
    /// Every level passed.
    Finished,
    /// This level did not pass, or was not run, after so many had passed.
    Stopped(&'r Level<'a>, usize),
}

/// Separates the levels of ramps from other scenarios, and puts together those that lie in one directory.
pub(super) fn split(scenarios: &[Scenario]) -> (Vec<Ramp<'_>>, Vec<&Scenario>) {
    let mut ramps: BTreeMap<String, Vec<&Scenario>> = BTreeMap::new();
    let (levels, mut others): (Vec<&Scenario>, Vec<&Scenario>) = scenarios
        .iter()
        .partition(|scenario| scenario.label("scenario") == Some("ramp") && scenario.label("level").is_some());
    let beside: BTreeSet<&str> = levels.iter().map(|level| parent(level)).collect();
    for level in levels {
        ramps.entry(home(level).to_owned()).or_default().push(level);
    }
    // A level that never began has no labels; the ramp knows from the others' that it was asked for.
    others.retain(|scenario| !(scenario.bare && beside.contains(parent(scenario))));
    (ramps.into_iter().map(|(path, levels)| Ramp::new(path, &levels)).collect(), others)
}

fn parent(scenario: &Scenario) -> &str {
    scenario.path.rsplit_once('/').map_or("", |(parent, _)| parent)
}

/// The directory of the ramp that a level lies in.
fn home(level: &Scenario) -> &str {
    let parent = parent(level);
    match parent.strip_suffix(LEVELS) {
        Some("") => "",
        Some(above) => above.strip_suffix('/').unwrap_or(parent),
        None => parent,
    }
}

impl<'a> Ramp<'a> {
    fn new(path: String, scenarios: &[&'a Scenario]) -> Self {
        let mut names: Vec<String> = Vec::new();
        for list in scenarios.iter().filter_map(|scenario| scenario.label("levels")) {
            for name in list.split([' ', ',']).filter(|name| !name.is_empty()) {
                if !names.iter().any(|held| held == name) {
                    names.push(name.to_owned());
                }
            }
        }
        let mut found: Vec<(&str, &'a Scenario)> =
            scenarios.iter().filter_map(|scenario| Some((scenario.label("level")?, *scenario))).collect();
        found.sort_by_key(|(name, _)| name.parse::<u64>().unwrap_or(u64::MAX));
        let mut levels: Vec<Level<'a>> = Vec::new();
        for name in names {
            let at = found.iter().position(|(level, _)| *level == name);
            let scenario = at.map(|at| found.remove(at).1);
            levels.push(Level { name, scenario });
        }
        // A level that no label announces is shown all the same.
        levels.extend(
            found.into_iter().map(|(name, scenario)| Level { name: name.to_owned(), scenario: Some(scenario) }),
        );
        Self { path, levels }
    }

    fn end(&self) -> End<'_, 'a> {
        let stop = self.levels.iter().position(|level| level.verdict() != Some(Verdict::Passed));
        stop.map_or(End::Finished, |at| End::Stopped(&self.levels[at], at))
    }

    /// The level that Failed and so ended the ramp.
    pub(super) fn breaking_point(&self) -> Option<&str> {
        match self.end() {
            End::Stopped(level, _) if level.verdict() == Some(Verdict::Failed) => Some(&level.name),
            _ => None,
        }
    }

    /// The last level that passed before the ramp ended.
    pub(super) fn highest_passed(&self) -> Option<&Level<'a>> {
        match self.end() {
            End::Finished => self.levels.last(),
            End::Stopped(_, passed) => self.levels[..passed].last(),
        }
    }

    /// The level with the highest throughput of those that passed, and its jobs per minute.
    pub(super) fn best(&self) -> Option<(&Level<'a>, f64)> {
        let passed = self.levels.iter().filter(|level| level.verdict() == Some(Verdict::Passed));
        let rated = passed.filter_map(|level| Some((level, level.scenario?.figure(&names::JOBS_PER_MINUTE)?)));
        rated.max_by(|one, other| one.1.total_cmp(&other.1))
    }

    /// A ramp did its work if a level passed and then either all did or one Failed; only where the very first Failed is
    /// the ramp itself Failed.
    pub(super) fn verdict(&self) -> Verdict {
        match self.end() {
            End::Finished => Verdict::Passed,
            End::Stopped(level, passed) => match level.verdict() {
                Some(Verdict::Failed) if passed > 0 => Verdict::Passed,
                Some(Verdict::Failed) => Verdict::Failed,
                _ => Verdict::Incomplete,
            },
        }
    }

    /// The reason why the ramp stopped.
    pub(super) fn cause(&self) -> String {
        let (level, passed) = match self.end() {
            End::Finished => {
                let last = self.levels.last().map(|level| level.name.as_str()).unwrap_or_default();
                return match self.levels.len() {
                    1 => format!("the one level {last} passed: no breaking point was found"),
                    count => format!("all {count} levels passed, up to {last}: no breaking point was found"),
                };
            }
            End::Stopped(level, passed) => (level, passed),
        };
        let name = &level.name;
        let before = match passed {
            0 => "no level passed before it".to_owned(),
            _ => format!("passed before it: {}", listed(&names(&self.levels[..passed], |_| true))),
        };
        let rest = names(&self.levels[passed + 1..], |level| level.scenario.is_none());
        let rest = if rest.is_empty() { String::new() } else { format!("; not run: {}", listed(&rest)) };
        match (level.scenario, level.verdict()) {
            (None, _) => {
                format!("level {name} was not run, though no level before it stopped the ramp; {before}{rest}")
            }
            (Some(scenario), Some(Verdict::Failed)) => {
                format!("the ramp breaks at level {name}: {}; {before}{rest}", clauses(&scenario.cause(), CAUSE))
            }
            (Some(scenario), _) => format!(
                "the ramp stopped at level {name}, which is Incomplete and so no breaking point: {}; {before}{rest}",
                clauses(&scenario.cause(), CAUSE)
            ),
        }
    }

    /// Levels that had too few jobs to differ: `levels 8, 16 and 24 were the same load …`.
    pub(super) fn same_loads(&self) -> Vec<String> {
        let mut loads: BTreeMap<u64, (Vec<&str>, bool)> = BTreeMap::new();
        for level in &self.levels {
            let Some((reachable, meant)) = level.reach() else { continue };
            let load = loads.entry(reachable).or_default();
            load.0.push(&level.name);
            load.1 |= meant > reachable;
        }
        let same = loads.into_iter().filter(|(_, (levels, short))| *short && levels.len() > 1);
        same.map(|(reachable, (levels, _))| {
            format!(
                "Levels {} were the same load: with so few jobs none of them could have more than {reachable} in flight",
                levels.join(", ")
            )
        })
        .collect()
    }
}

fn names(levels: &[Level<'_>], which: impl Fn(&Level<'_>) -> bool) -> Vec<String> {
    levels.iter().filter(|level| which(level)).map(|level| level.name.clone()).collect()
}
