//! What the Runs say of themselves that casts doubt on a leg: that the target was not idle when it started, that the target
//! told another value of a setting than the leg's labels, that only a part was judged, that not all were warmed up.

use super::legs::{Group, Run};
use super::short;
use crate::figures::listed;
use crate::record::{Idle, differences};

/// Where the target told another value of a setting than a label of the leg, a sentence each.
pub(super) fn mismatches(run: &Run) -> Vec<String> {
    let runs = &run.scenario.runs;
    let mut told: Vec<String> =
        runs.iter().flat_map(|run| differences(&run.metadata.labels, &run.status.settings)).collect();
    told.dedup();
    told
}

/// Whether the target was seen to be at work when the leg began. That nobody saw is not that.
pub(super) fn began_busy(run: &Run) -> bool {
    run.scenario.runs.iter().any(|run| matches!(run.status.idle, Some(Idle { idle: Some(false), .. })))
}

/// What is doubtful about the legs, a sentence each.
pub(super) fn doubts(groups: &[Group]) -> Vec<String> {
    let mut doubts = Vec::new();
    let runs = || groups.iter().flat_map(|group| &group.runs);
    for run in runs() {
        let label = short(&run.label);
        doubts.extend(mismatches(run).into_iter().map(|mismatch| format!("{label}: {mismatch}")));
        if began_busy(run) {
            doubts.push(format!("{label} started when the target was not idle"));
        }
        if run.scenario.report.as_ref().is_some_and(|report| report.spec.subset) {
            doubts.push(format!("{label}: only the jobs that were in its stream were judged"));
        }
    }
    let warmed = |run: &Run| run.scenario.runs.iter().filter_map(|run| run.spec.warmup).max().unwrap_or_default();
    let (mut cold, mut warm): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
    for run in runs() {
        if warmed(run) == 0 { &mut cold } else { &mut warm }.push(short(&run.label));
    }
    if !(cold.is_empty() || warm.is_empty()) {
        doubts.push(format!("{} ran after a warm-up, {} without one", listed(&warm), listed(&cold)));
    }
    let targets = runs().flat_map(|run| &run.scenario.runs).filter_map(|run| run.spec.target.as_deref());
    let mut hosts: Vec<String> = targets.map(|target| short(host(target))).collect();
    hosts.sort_unstable();
    hosts.dedup();
    if hosts.len() > 1 {
        doubts.push(format!("the legs ran against targets on {} hosts: {}", hosts.len(), listed(&hosts)));
    }
    doubts
}

/// The host of a base URL. Ports are left aside: a target that is started anew for each leg may have another one each time.
fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split('/').next().unwrap_or_default();
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    }
}
