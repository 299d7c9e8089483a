//! `--under`: the newest legs of each setting below a directory.

use std::collections::BTreeMap;
use std::path::Path;

use super::legs::{Run, setting, started_at};
use crate::cli::{Console, Failure};
use crate::figures::listed;
use crate::record::Timestamp;
use crate::scenario::{self, Scenario};

/// A setting, and the directory in which legs of it lie.
type Place<'a> = (&'a str, &'a str);

/// The legs of each setting in the directory that has the newest of them, and whether every directory could be read.
pub(super) fn newest(place: &Path, console: &Console) -> Result<(Vec<Run>, bool), Failure> {
    let shown = place.display().to_string();
    let root = place.canonicalize().map_err(|error| Failure::io(&shown, &error))?;
    let (scenarios, whole) = scenario::scan(&root, console);
    let mut places: BTreeMap<Place<'_>, Vec<(&str, &Scenario)>> = BTreeMap::new();
    for scenario in scenarios.iter().filter(|scenario| scenario.label("scenario") == Some("ab")) {
        if let Some(leg) = scenario.label("leg").filter(|leg| !leg.is_empty()) {
            let parent = scenario.path.rsplit_once('/').map_or("", |(parent, _)| parent);
            places.entry((setting(leg), parent)).or_default().push((leg, scenario));
        }
    }
    let mut settings: BTreeMap<&str, Vec<(&str, &Scenario)>> = BTreeMap::new();
    for ((setting, _), legs) in places {
        let held = settings.entry(setting).or_default();
        if held.is_empty() || last(held) <= last(&legs) {
            *held = legs;
        }
    }
    if settings.len() < 2 {
        return Err(too_few(&shown, &settings));
    }
    let mut settings: Vec<Vec<(&str, &Scenario)>> = settings.into_values().collect();
    settings.sort_by_key(|legs| legs.iter().filter_map(|(_, scenario)| started_at(scenario)).min());
    let legs = settings.into_iter().flatten();
    let runs =
        legs.map(|(leg, scenario)| Run::read(leg, &place.join(&scenario.path))).collect::<Result<Vec<_>, _>>()?;
    Ok((runs, whole))
}

fn last(legs: &[(&str, &Scenario)]) -> Option<Timestamp> {
    legs.iter().filter_map(|(_, scenario)| started_at(scenario)).max()
}

fn too_few(shown: &str, settings: &BTreeMap<&str, Vec<(&str, &Scenario)>>) -> Failure {
    let found: Vec<String> =
        settings.values().flatten().map(|(leg, scenario)| format!("{leg} in {}", scenario.path)).collect();
    let found =
        if found.is_empty() { "no leg".to_owned() } else { format!("legs of one setting only ({})", listed(&found)) };
    Failure::usage(format!(
        "--under {shown}: found {found}; run a leg of each of two settings, such as `make ab NP=8` and `make ab NP=4`, or \
         name legs as LABEL=DIR"
    ))
}
