//! Doubts about a leg that its Run records raise: the target was not idle at the start, it reported another value of a
//! setting than the leg's label, only some jobs were judged, or only some legs had a warm-up.

use std::collections::BTreeMap;

use super::legs::{FinishedLeg, LegGroup, all_legs, labels_where};
use super::truncate;
use crate::figures::listed;
use crate::record::{Idle, Run};
use crate::scenario::JOBS;

/// Returns the doubts about the settings under which the leg ran, a sentence each.
pub(super) fn setting_doubts(leg: &FinishedLeg) -> Vec<String> {
    let mut found: Vec<String> = leg.scenario.runs.iter().flat_map(Run::setting_doubts).collect();
    found.dedup();
    found
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
        let values: Vec<String> =
            values.iter().map(|(value, labels)| format!("{} ({})", truncate(value), listed(labels))).collect();
        format!("the target's {name} was not the same in all legs of {}: {}", truncate(&group.name), values.join(", "))
    };
    unequal.map(describe).collect()
}

/// Returns true if the target was seen at work when the leg began. A target that nobody looked at does not count.
pub(super) fn began_busy(leg: &FinishedLeg) -> bool {
    leg.scenario.runs.iter().any(|run| matches!(run.status.idle, Some(Idle { idle: Some(false), .. })))
}

/// Returns the doubts about all legs, a sentence each.
pub(super) fn doubts(groups: &[LegGroup]) -> Vec<String> {
    let mut doubts = Vec::new();
    let without_sizes = labels_where(all_legs(groups), |leg| leg.sizes().is_none());
    if !without_sizes.is_empty() {
        doubts.push(format!(
            "it is not known whether all legs had the same files: {JOBS} of {} does not give the size of each",
            listed(&without_sizes)
        ));
    }
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
    if !(cold.is_empty() || warm.is_empty()) {
        doubts.push(format!("{} ran after a warm-up, {} without one", listed(&warm), listed(&cold)));
    }
    let targets = all_legs(groups).flat_map(|leg| &leg.scenario.runs).filter_map(|run| run.spec.target.as_deref());
    let mut hosts: Vec<String> = targets.map(|target| truncate(host(target))).collect();
    hosts.sort_unstable();
    hosts.dedup();
    if hosts.len() > 1 {
        doubts.push(format!("the legs ran against targets on {} hosts: {}", hosts.len(), listed(&hosts)));
    }
    doubts
}

/// The host of a base URL, without its port: a target that is started anew for each leg may get another port each time.
fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split('/').next().unwrap_or_default();
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    }
}
