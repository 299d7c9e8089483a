//! `--under`: finds the newest legs of each setting below a directory.

use std::collections::BTreeMap;
use std::path::Path;

use super::legs::{FinishedLeg, setting, started_at};
use crate::cli::{Console, Failure};
use crate::figures::any_listed;
use crate::record::Timestamp;
use crate::scenario::{self, Scenario};

/// A leg's label and its scenario.
type Labelled<'a> = (&'a str, &'a Scenario);

/// Returns the legs of each setting in the directory that has the newest of them, and whether every directory could be read.
pub(super) fn newest(directory: &Path, console: &Console) -> Result<(Vec<FinishedLeg>, bool), Failure> {
    let shown = directory.display().to_string();
    let root = directory.canonicalize().map_err(|error| Failure::io(&format!("--under {shown}"), &error))?;
    let (scenarios, complete) = scenario::scan(&root, console);
    let mut by_directory: BTreeMap<(&str, &str), Vec<Labelled<'_>>> = BTreeMap::new();
    for scenario in scenarios.iter().filter(|scenario| scenario.label("scenario") == Some("ab")) {
        if let Some(label) = scenario.label("leg").filter(|label| !label.is_empty()) {
            let parent = scenario.path.rsplit_once('/').map_or("", |(parent, _)| parent);
            by_directory.entry((setting(label), parent)).or_default().push((label, scenario));
        }
    }
    let mut settings: BTreeMap<&str, Vec<Labelled<'_>>> = BTreeMap::new();
    for ((setting, _), legs) in by_directory {
        let newest = settings.entry(setting).or_default();
        if newest.is_empty() || last_start(newest) <= last_start(&legs) {
            *newest = legs;
        }
    }
    if settings.len() < 2 {
        return Err(too_few(&shown, &settings));
    }
    let mut settings: Vec<Vec<Labelled<'_>>> = settings.into_values().collect();
    settings.sort_by_key(|legs| legs.iter().filter_map(|(_, scenario)| started_at(scenario)).min());
    let legs = settings.into_iter().flatten();
    let legs = legs.map(|(label, scenario)| FinishedLeg::read(label, &directory.join(&scenario.path)));
    Ok((legs.collect::<Result<_, _>>()?, complete))
}

fn last_start(legs: &[Labelled<'_>]) -> Option<Timestamp> {
    legs.iter().filter_map(|(_, scenario)| started_at(scenario)).max()
}

fn too_few(shown: &str, settings: &BTreeMap<&str, Vec<Labelled<'_>>>) -> Failure {
    let legs = any_listed(settings.values().flatten().map(|(label, leg)| format!("{label} in {}", leg.path)));
    let found = legs.map_or_else(|| "no leg".to_owned(), |legs| format!("legs of one setting only ({legs})"));
    Failure::usage(format!(
        "--under {shown}: found {found}; run a leg of each of two settings, such as `make ab NP=8` and `make ab NP=4`, or \
         name legs as LABEL=DIR"
    ))
}
