//! What the Runs say of themselves that casts doubt on a leg: that the target was not idle when it started, that the target
//! told another value of a setting than the leg's labels, that only a part was judged.
//!
//! `status.idle` and `status.settings` are optional, so they are read from the manifest by their names.

use std::collections::BTreeMap;
use std::fs;

use serde::Deserialize;
use serde_json::Value;

use super::legs::{Group, Run};
use super::short;
use crate::figures::listed;
use crate::record::Metadata;
use crate::scenario::MANIFEST;

/// A Run as far as it matters here.
#[derive(Deserialize)]
struct Marked {
    metadata: Metadata,
    #[serde(default)]
    status: Marks,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Marks {
    idle: Option<Value>,
    settings: BTreeMap<String, Value>,
}

/// The Runs of a leg's manifest, one or a list. What cannot be read says nothing; the scenario's own reader tells of it.
fn marked(run: &Run) -> Vec<Marked> {
    #[derive(Deserialize)]
    struct List {
        items: Vec<Marked>,
    }
    let text = fs::read_to_string(run.place.join(MANIFEST)).unwrap_or_default();
    serde_json::from_str::<List>(&text)
        .map(|list| list.items)
        .or_else(|_| serde_json::from_str::<Marked>(&text).map(|one| vec![one]))
        .unwrap_or_default()
}

/// Where the target told another value than a label of the leg says: `num_parallel is 4 by the target, 8 by the label`.
pub(super) fn mismatches(run: &Run) -> Vec<String> {
    let mut told: Vec<String> = marked(run)
        .iter()
        .flat_map(|one| one.status.settings.iter().filter_map(|(name, value)| mismatch(&one.metadata, name, value)))
        .collect();
    told.dedup();
    told
}

fn mismatch(metadata: &Metadata, name: &str, value: &Value) -> Option<String> {
    let value = match value {
        Value::String(text) => text.clone(),
        Value::Number(_) | Value::Bool(_) => value.to_string(),
        _ => return None,
    };
    let label = metadata.labels.get(name).filter(|label| **label != value)?;
    Some(format!("{} is {} by the target and {} by the label", short(name), short(&value), short(label)))
}

/// Whether the leg is marked as having started on a target that was not idle: `idle: false`, or so inside of `idle`.
fn was_busy(mark: &Value) -> bool {
    *mark == Value::Bool(false) || mark.get("idle") == Some(&Value::Bool(false))
}

/// What is doubtful about the legs, a sentence each.
pub(super) fn doubts(groups: &[Group]) -> Vec<String> {
    let mut doubts = Vec::new();
    let runs = || groups.iter().flat_map(|group| &group.runs);
    for run in runs() {
        let label = short(&run.label);
        doubts.extend(mismatches(run).into_iter().map(|mismatch| format!("{label}: {mismatch}")));
        if marked(run).iter().filter_map(|one| one.status.idle.as_ref()).any(was_busy) {
            doubts.push(format!("{label} started when the target was not idle"));
        }
        if run.scenario.report.as_ref().is_some_and(|report| report.spec.subset) {
            doubts.push(format!("{label}: only the jobs that were in its stream were judged"));
        }
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
