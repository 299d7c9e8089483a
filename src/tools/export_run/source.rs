//! The scenarios to export, with the labels that tell them apart.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use crate::cli::{Console, Failure};
use crate::scenario::{self, RECORDS, Scenario};

/// The labels that every exported series, row and track of a scenario carries. One that is empty is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Labels {
    pub(super) run: String,
    pub(super) scenario: String,
    pub(super) level: String,
    pub(super) leg: String,
}

/// The names of the labels.
pub(super) const NAMES: [&str; 4] = ["run", "scenario", "level", "leg"];

impl Labels {
    fn of(scenario: &Scenario, directory: &Path) -> Self {
        let label = |name| scenario.label(name).unwrap_or_default().to_owned();
        let runs = scenario.runs.iter().map(|run| &run.metadata);
        let mut ids = runs.chain(scenario.report.iter().map(|report| &report.metadata)).map(|metadata| &metadata.run);
        let id = ids.find(|id| !id.is_empty()).cloned();
        let named = scenario.runs.iter().find_map(|run| run.spec.scenario.clone());
        Self {
            // A window that was captured without jobs has no run id.
            run: id.unwrap_or_else(|| directory.file_name().unwrap_or_default().to_string_lossy().into_owned()),
            scenario: Some(label("scenario")).filter(|name| !name.is_empty()).or(named).unwrap_or_default(),
            level: label("level"),
            leg: label("leg"),
        }
    }

    /// The values in the order of [`NAMES`].
    pub(super) fn values(&self) -> [&str; 4] {
        [&self.run, &self.scenario, &self.level, &self.leg]
    }

    /// The labels that are not empty.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (&'static str, &str)> {
        NAMES.into_iter().zip(self.values()).filter(|(_, value)| !value.is_empty())
    }

    /// The labels as a title: `soak of 2026-05-20T22-30-00Z`, `ramp level 8 of …`.
    pub(super) fn title(&self) -> String {
        let scenario = if self.scenario.is_empty() { "window" } else { &self.scenario };
        let level = if self.level.is_empty() { String::new() } else { format!(" level {}", self.level) };
        let leg = if self.leg.is_empty() { String::new() } else { format!(" {}", self.leg) };
        format!("{scenario}{level}{leg} of {}", self.run)
    }
}

/// One scenario on disk.
#[derive(Debug)]
pub(super) struct Source {
    /// Its directory, as a message names it.
    pub(super) shown: String,
    pub(super) directory: PathBuf,
    pub(super) labels: Labels,
    pub(super) scenario: Scenario,
}

/// The scenarios in `directories`, each of which is a scenario or holds some.
pub(super) fn find(directories: &[PathBuf], console: &Console) -> Result<Vec<Source>, Failure> {
    let mut sources = Vec::new();
    for directory in directories {
        let shown = directory.display();
        let path = directory.canonicalize().map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Failure::usage(format!("{shown}: no such directory")),
            _ => Failure::io(&shown.to_string(), &error),
        })?;
        let found = if path.join(RECORDS).is_file() {
            vec![(directory.clone(), path.clone(), scenario::read(&path, &path))]
        } else {
            let (found, whole) = scenario::scan(&path, console);
            if !whole {
                return Err(Failure::input_output(format!("{shown}: not all of it can be read")));
            }
            let place = |found: Scenario| (directory.join(&found.path), path.join(&found.path), found);
            found.into_iter().map(place).filter(|(_, path, _)| path.join(RECORDS).is_file()).collect()
        };
        if found.is_empty() {
            return Err(Failure::usage(format!(
                "{shown}: there is no {RECORDS} in it or below it; name the directory of a run or of a scenario"
            )));
        }
        sources.extend(found.into_iter().map(|(shown, directory, scenario)| Source {
            shown: shown.display().to_string(),
            labels: Labels::of(&scenario, &directory),
            directory,
            scenario,
        }));
    }
    refuse_equal(&sources)?;
    Ok(sources)
}

/// Two scenarios with equal labels would be one in what is written.
fn refuse_equal(sources: &[Source]) -> Result<(), Failure> {
    let mut held: BTreeMap<&Labels, &Source> = BTreeMap::new();
    for source in sources {
        if let Some(other) = held.insert(&source.labels, source) {
            let labels: Vec<String> = source.labels.pairs().map(|(name, value)| format!("{name}={value}")).collect();
            return Err(Failure::usage(format!(
                "{} and {}: both have the labels {}, so they could not be told apart; export only one of them",
                other.shown,
                source.shown,
                labels.join(", ")
            )));
        }
    }
    Ok(())
}
