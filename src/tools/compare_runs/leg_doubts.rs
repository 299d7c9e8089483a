//! Doubts about a leg that its Run records raise: the target was not idle at the start, it reported another value of a
//! setting than the leg's label, only some jobs were judged, or only some legs had a warm-up.

use std::collections::{BTreeMap, BTreeSet};

use itertools::Itertools;
use url::Url;

use super::legs::{FinishedLeg, LegGroup, all_legs, labels_where};
use super::truncate;
use crate::figures::listed;
use crate::record::{Idle, Run};
use crate::scenario::JOBS;

/// Returns the doubts about the settings under which the leg ran, a sentence each.
pub(super) fn setting_doubts(leg: &FinishedLeg) -> Vec<String> {
    leg.scenario.runs.iter().flat_map(Run::setting_doubts).dedup().collect()
}

/// Returns the settings without a label of which the target reported different values to the legs of one group, a sentence
/// each.
pub(super) fn unequal_settings(group: &LegGroup) -> Vec<String> {
    let mut reported: BTreeMap<&str, BTreeMap<&str, Vec<String>>> = BTreeMap::new();
    for leg in &group.legs {
        for run in &leg.scenario.runs {
            let unlabelled = run.status.settings.iter().filter(|(name, _)| !run.metadata.labels.contains_key(*name));
            for (name, value) in unlabelled {
                reported.entry(name).or_default().entry(value).or_default().push(truncate(&leg.label));
            }
        }
    }
    let unequal = reported.into_iter().filter(|(_, values)| values.len() > 1);
    let describe = |(name, values): (&str, BTreeMap<&str, Vec<String>>)| {
        let values =
            values.iter().map(|(value, labels)| format!("{} ({})", truncate(value), listed(labels))).join(", ");
        format!("the target's {name} was not the same in all legs of {}: {values}", truncate(&group.name))
    };
    unequal.map(describe).collect()
}

/// Returns the settings that the target showed to some of these legs and not to others, a sentence each: the labels of the others are
/// not confirmed. A leg to which it showed a setting before the jobs alone has a doubt of its own.
pub(super) fn unconfirmed_settings(groups: [&LegGroup; 2]) -> Vec<String> {
    let legs = || groups.into_iter().flat_map(|group| &group.legs);
    let sentence = |name: &String, before: bool| {
        let is_shown = |run: &Run| {
            let after = run.status.settings_after.as_ref().filter(|_| !before);
            run.status.settings.contains_key(name) || after.is_some_and(|after| after.values.contains_key(name))
        };
        let is_shown_to = |leg: &FinishedLeg| leg.scenario.runs.iter().all(is_shown);
        let (shown, hidden) = (labels_where(legs(), is_shown_to)?, labels_where(legs(), |leg| !is_shown_to(leg))?);
        let when = if before { "before" } else { "after" };
        Some(format!("the target showed its {} {when} the jobs of {shown}, but not of {hidden}", truncate(name)))
    };
    let statuses = legs().flat_map(|leg| &leg.scenario.runs).map(|run| &run.status);
    let names = statuses.flat_map(|status| {
        status.settings.keys().chain(status.settings_after.iter().flat_map(|after| after.values.keys()))
    });
    let names: BTreeSet<&String> = names.collect();
    names.into_iter().filter_map(|name| sentence(name, true).or_else(|| sentence(name, false))).collect()
}

/// Returns true if the target was seen at work when the leg began. A target that nobody looked at does not count.
pub(super) fn began_busy(leg: &FinishedLeg) -> bool {
    leg.scenario.runs.iter().any(|run| matches!(run.status.idle, Some(Idle { idle: Some(false), .. })))
}

/// Returns the doubts about all legs, a sentence each.
pub(super) fn doubts(groups: &[LegGroup]) -> Vec<String> {
    let without_sizes = labels_where(all_legs(groups), |leg| leg.sizes().is_none()).map(|legs| {
        format!("it is not known whether all legs had the same files: {JOBS} of {legs} does not give the size of each")
    });
    let mut doubts: Vec<String> = without_sizes.into_iter().collect();
    for leg in all_legs(groups) {
        let label = truncate(&leg.label);
        doubts.extend(setting_doubts(leg).into_iter().map(|doubt| format!("{label}: {doubt}")));
        if began_busy(leg) {
            doubts.push(format!("{label} started when the target was not idle"));
        }
        if leg.scenario.report.as_ref().is_some_and(|report| report.spec.subset) {
            doubts.push(format!("{label}: only the jobs in its stream were judged"));
        }
    }
    doubts.extend(groups.iter().flat_map(unequal_settings));
    let warmed_up = |leg: &FinishedLeg| leg.scenario.runs.iter().any(|run| run.spec.warmup.unwrap_or_default() > 0);
    let warm = labels_where(all_legs(groups), warmed_up);
    let cold = labels_where(all_legs(groups), |leg| !warmed_up(leg));
    let mixed = warm.zip(cold).map(|(warm, cold)| format!("{warm} ran after a warm-up, {cold} without one"));
    doubts.extend(mixed);
    let targets = all_legs(groups).flat_map(|leg| &leg.scenario.runs).filter_map(|run| run.spec.target.as_deref());
    let hosts: BTreeSet<String> = targets.map(|target| truncate(&host(target))).collect();
    if hosts.len() > 1 {
        doubts.push(format!("the legs ran against targets on {} hosts: {}", hosts.len(), listed(&hosts)));
    }
    doubts
}

/// The host of a base URL, without its port: a target that is started anew for each leg may get another port each time.
fn host(url: &str) -> String {
    let parsed = Url::parse(url).ok();
    parsed.as_ref().and_then(Url::host_str).unwrap_or(url).to_owned()
}
