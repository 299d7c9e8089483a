//! A ramp: levels of rising concurrency, stopped at the first that did not pass.
//!
//! Each level's Run carries the labels `scenario=ramp`, `level=8`, and `levels=4 8 16 24`: what the whole ramp was asked
//! for, so that levels which were never begun are known too.

use std::collections::{BTreeMap, BTreeSet};

use itertools::Itertools;

use super::{CAUSE, clauses};
use crate::figures::{any_listed, names};
use crate::markup::capitalize;
use crate::record::Verdict;
use crate::scenario::Scenario;
use crate::statistics::Bounds;

/// The directory in which a ramp keeps its levels; it is not part of the ramp's own name.
const LEVELS: &str = "by-concurrency";

/// One level that was asked for or found.
#[derive(Debug)]
pub(super) struct Level<'a> {
    /// Its label.
    pub(super) name: String,
    /// Its scenario; none if it was not run.
    pub(super) scenario: Option<&'a Scenario>,
}

impl Level<'_> {
    /// None where it was not run.
    pub(super) fn verdict(&self) -> Option<Verdict> {
        self.scenario.map(Scenario::verdict)
    }

    /// The bounds of the most jobs that were in flight at once: as many as its lower bound were for certain.
    fn peak(&self) -> Option<Bounds> {
        let scenario = self.scenario?;
        let high = scenario.figure(&names::PEAK_CONCURRENCY_HIGH).unwrap_or(f64::INFINITY);
        Some(Bounds { low: scenario.figure(&names::PEAK_CONCURRENCY_LOW)?, high })
    }

    /// The most jobs that were in flight at once, and how many were meant to be where it may have had fewer.
    pub(super) fn peak_text(&self) -> Option<String> {
        let peak = in_words(self.peak()?);
        Some(match self.concurrency().filter(|_| self.may_fall_short()) {
            Some(concurrency) => format!("{peak} of {concurrency}"),
            None => peak,
        })
    }

    /// The number of jobs that it was meant to have in flight.
    pub(super) fn concurrency(&self) -> Option<u64> {
        let runs = self.scenario.map(|scenario| scenario.runs.as_slice()).unwrap_or_default();
        let set: Vec<u64> = runs.iter().filter_map(|run| run.spec.concurrency).collect();
        if set.is_empty() { self.name.parse().ok() } else { Some(set.iter().sum()) }
    }

    /// The number of jobs that it could have in flight, where it had too few for its concurrency.
    fn limit(&self) -> Option<u64> {
        let jobs = self.scenario?.asked()?;
        self.concurrency().filter(|concurrency| jobs < *concurrency).map(|_| jobs)
    }

    /// The reason why it may never have had as many jobs in flight as it was meant to; none if it had.
    fn shortfall(&self) -> Option<Shortfall> {
        let limit = self.limit();
        if limit.is_none() && !self.may_fall_short() {
            return None;
        }
        let (name, peak) = (&self.name, self.peak().unwrap_or_default());
        let never_more =
            |why: &str| Shortfall::Other(format!("level {name} never had more than {} in flight: {why}", peak.high));
        let sums = self.scenario.and_then(|scenario| scenario.report.as_ref()).map(|report| report.status.conservation);
        let sums = sums.unwrap_or_default();
        let jobs = sums.asked;
        let reasons = [
            (sums.rejected, format!("the target refused {} of its {jobs} jobs", sums.rejected)),
            (sums.unknown, format!("{} of its {jobs} submissions got no usable answer", sums.unknown)),
            (sums.not_submitted, format!("{} of its {jobs} jobs were not submitted", sums.not_submitted)),
        ];
        let reasons = reasons.into_iter().filter(|(count, _)| *count > 0).map(|(_, reason)| reason).join(", and ");
        Some(match limit {
            _ if !reasons.is_empty() => never_more(&reasons),
            Some(jobs) => Shortfall::FewJobs(jobs),
            None if self.concurrency().is_some_and(|meant| peak.high < meant as f64) => {
                never_more("its jobs ended too soon")
            }
            None => Shortfall::Other(format!(
                "level {name} had {} in flight at once: its jobs ended too soon to tell how many",
                in_words(peak)
            )),
        })
    }

    /// Returns true unless it certainly had as many jobs in flight as it was meant to.
    fn may_fall_short(&self) -> bool {
        self.peak().zip(self.concurrency()).is_some_and(|(peak, concurrency)| peak.low < concurrency as f64)
    }

    /// Its name, with the load that it really had where that may be less than it was meant to be.
    pub(super) fn with_load(&self) -> String {
        match self.peak().filter(|_| self.may_fall_short()) {
            Some(peak) => format!("{} ({} in flight)", self.name, in_words(peak)),
            None => self.name.clone(),
        }
    }
}

/// The reason why a level may never have had as many jobs in flight as it was meant to.
enum Shortfall {
    /// It had only so many jobs.
    FewJobs(u64),
    /// The target did not take some of its jobs, or they ended before enough of them were submitted, or between two polls; a
    /// sentence. More jobs would change nothing.
    Other(String),
}

/// A ramp as a whole.
#[derive(Debug)]
pub(super) struct Ramp<'a> {
    /// Its directory, relative to the index; empty if that is the index's own.
    pub(super) path: String,
    /// Its levels, in the order in which they were asked for.
    pub(super) levels: Vec<Level<'a>>,
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
        let lists = scenarios.iter().filter_map(|scenario| scenario.label("levels"));
        let names = lists.flat_map(|list| list.split([' ', ','])).filter(|name| !name.is_empty()).unique();
        let found = scenarios.iter().filter_map(|scenario| Some((scenario.label("level")?, *scenario)));
        let mut found = found.sorted_by_key(|(name, _)| name.parse::<u64>().unwrap_or(u64::MAX)).collect_vec();
        let level = |name: &str, scenario| Level { name: name.to_owned(), scenario };
        let mut levels = Vec::new();
        for name in names {
            let at = found.iter().position(|(level, _)| *level == name);
            levels.push(level(name, at.map(|at| found.remove(at).1)));
        }
        // A level that no label announces is shown all the same.
        levels.extend(found.into_iter().map(|(name, scenario)| level(name, Some(scenario))));
        Self { path, levels }
    }

    /// The levels that passed before the ramp ended.
    fn passed(&self) -> &[Level<'a>] {
        let passed = self.levels.iter().take_while(|level| level.verdict() == Some(Verdict::Passed));
        &self.levels[..passed.count()]
    }

    /// The level that did not pass, or was not run, and so ended the ramp; none if every level passed.
    fn last(&self) -> Option<&Level<'a>> {
        self.levels.get(self.passed().len())
    }

    /// The level that Failed and so ended the ramp.
    pub(super) fn breaking_level(&self) -> Option<&Level<'a>> {
        self.last().filter(|level| level.verdict() == Some(Verdict::Failed))
    }

    /// The name of that level.
    pub(super) fn breaking_point(&self) -> Option<&str> {
        self.breaking_level().map(|level| level.name.as_str())
    }

    /// The level with the highest load of those that passed before the ramp ended, in whatever order they ran.
    pub(super) fn highest_passed(&self) -> Option<&Level<'a>> {
        let load = |level: &Level<'_>| level.peak().unwrap_or(Bounds::exact(-1.0));
        // Of levels with one load the lowest stands for it, because the others did not reach their own.
        self.passed().iter().rev().max_by(|one, other| {
            let (low, high) = (load(one).low.total_cmp(&load(other).low), load(one).high.total_cmp(&load(other).high));
            low.then(high).then(other.concurrency().cmp(&one.concurrency()))
        })
    }

    /// The bounds of the most jobs in flight at the levels that passed.
    pub(super) fn highest_load(&self) -> Option<Bounds> {
        let peaks = || self.passed().iter().filter_map(Level::peak);
        let highest = |end: fn(Bounds) -> f64| peaks().map(end).reduce(f64::max);
        Some(Bounds { low: highest(|peak| peak.low)?, high: highest(|peak| peak.high)? })
    }

    /// The result of a ramp that found its breaking point: `highest passing level: 16, breaks at 24`.
    pub(super) fn result(&self) -> Option<String> {
        let (level, highest) = (self.breaking_level()?.with_load(), self.highest_passed()?.with_load());
        Some(format!("highest passing level: {highest}, breaks at {level}"))
    }

    /// The name of its directory, relative to the index.
    pub(super) fn name(&self) -> &str {
        name(&self.path)
    }

    /// The highest load that passed, and whether there may be a higher one.
    pub(super) fn load_sentence(&self) -> String {
        let load = match (self.highest_load(), self.passed().is_empty()) {
            (Some(load), _) => format!("{} in flight passed", in_words(load)),
            (None, true) => "no level passed".to_owned(),
            (None, false) => "the number of jobs in flight is not known".to_owned(),
        };
        match self.breaking_point() {
            Some(level) => format!("{load}, and the ramp breaks at level {level}"),
            None => format!("{load}{}, and no breaking point was found", self.unreached()),
        }
    }

    /// A clause about the passed levels that never had the load that their names say.
    fn unreached(&self) -> String {
        let highest = self.highest_load().map_or(0.0, |load| load.low);
        let is_beyond = |level: &&Level<'_>| level.concurrency().is_some_and(|meant| meant as f64 > highest);
        let beyond = self.passed().iter().filter(|level| level.may_fall_short()).filter(is_beyond);
        shortfalls(beyond).map(|sentence| format!("; {sentence}")).join("")
    }

    /// The level with the highest throughput of those that passed, and its jobs per minute.
    pub(super) fn best(&self) -> Option<(&Level<'a>, f64)> {
        let passed = self.levels.iter().filter(|level| level.verdict() == Some(Verdict::Passed));
        let rated = passed.filter_map(|level| Some((level, level.scenario?.figure(&names::JOBS_PER_MINUTE)?)));
        rated.max_by(|a, b| a.1.total_cmp(&b.1))
    }

    /// A ramp did its work if a level passed and then either all did or one Failed; only where the very first Failed is
    /// the ramp itself Failed.
    pub(super) fn verdict(&self) -> Verdict {
        match self.last().map(Level::verdict) {
            Some(Some(Verdict::Failed)) if self.passed().is_empty() => Verdict::Failed,
            None | Some(Some(Verdict::Failed)) => Verdict::Passed,
            Some(_) => Verdict::Incomplete,
        }
    }

    /// The reason why the ramp stopped.
    pub(super) fn cause(&self) -> String {
        let Some(level) = self.last() else {
            let load = self.highest_load().map_or_else(
                || "the number of jobs in flight is not known".to_owned(),
                |load| match in_words(load) {
                    load if load.parse::<u64>().is_ok() => format!("up to {load} in flight"),
                    range => format!("with {range} in flight at once"),
                },
            );
            let levels = match self.levels.as_slice() {
                [only] => format!("the one level {} passed", only.name),
                levels => format!("all {} levels passed", levels.len()),
            };
            return format!("{levels}, {load}{}; no breaking point was found", self.unreached());
        };
        let (name, passed) = (&level.name, self.passed());
        let before = any_listed(passed.iter().map(|level| &level.name))
            .map_or_else(|| "no level passed before it".to_owned(), |passed| format!("passed before it: {passed}"));
        let rest = self.levels[passed.len() + 1..].iter().filter(|level| level.scenario.is_none());
        let rest = any_listed(rest.map(|level| &level.name)).map(|rest| format!("; not run: {rest}"));
        let rest = rest.unwrap_or_default();
        match (level.scenario, level.verdict()) {
            (None, _) => {
                format!("level {name} was not run, though no level before it stopped the ramp; {before}{rest}")
            }
            (Some(scenario), Some(Verdict::Failed)) => {
                let cause = clauses(&scenario.cause(), CAUSE);
                match self.result() {
                    Some(result) => format!("{result}: {cause}{rest}"),
                    None => format!("the ramp breaks at level {}: {cause}; {before}{rest}", level.with_load()),
                }
            }
            (Some(scenario), _) => format!(
                "the ramp stopped at level {name}, which is Incomplete and so no breaking point: {}; {before}{rest}",
                clauses(&scenario.cause(), CAUSE)
            ),
        }
    }

    /// The levels that never had the load that their names say, a sentence for each load.
    pub(super) fn unreached_levels(&self) -> Vec<String> {
        shortfalls(self.levels.iter()).map(|sentence| capitalize(&sentence)).collect()
    }
}

/// The levels that may never have had the load that their names say, a sentence for each load.
fn shortfalls<'l>(levels: impl Iterator<Item = &'l Level<'l>>) -> impl Iterator<Item = String> {
    let mut few_jobs: BTreeMap<u64, Vec<&str>> = BTreeMap::new();
    let mut others = Vec::new();
    for level in levels {
        match level.shortfall() {
            Some(Shortfall::FewJobs(jobs)) => few_jobs.entry(jobs).or_default().push(&level.name),
            Some(Shortfall::Other(sentence)) => others.push(sentence),
            None => {}
        }
    }
    let few_jobs = few_jobs.into_iter().map(|(jobs, levels)| match levels.split_last() {
        Some((last, before)) if !before.is_empty() => format!(
            "levels {} and {last} ran the same load, because each had only {jobs} jobs: RAMP_JOBS=2x reaches them",
            before.join(", ")
        ),
        _ => format!(
            "level {} had only {jobs} jobs, so no more could be in flight: RAMP_JOBS=2x reaches it",
            levels.concat()
        ),
    });
    few_jobs.chain(others)
}

/// The name of the scenario or the ramp at this path. The path of a ramp in the index's own directory is empty.
pub(super) fn name(path: &str) -> &str {
    if path.is_empty() { "ramp" } else { path }
}

/// A number of jobs that is known within bounds: `8`, `3 to 8`, `at least 3`.
fn in_words(bounds: Bounds) -> String {
    let Bounds { low, high } = bounds;
    if high.is_infinite() {
        format!("at least {low}")
    } else if low < high {
        format!("{low} to {high}")
    } else {
        low.to_string()
    }
}
