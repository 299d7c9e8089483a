//! The legs: finished scenarios with a label, grouped by setting.

use std::io;
use std::path::{Path, PathBuf};

use itertools::Itertools;

use super::{input_sizes, truncate};
use crate::cli::Failure;
use crate::figures::names::FigureName;
use crate::figures::{any_listed, in_groups, listed};
use crate::record::{Conservation, RoleOf, Timestamp, Window, legacy_name};
use crate::scenario::{self, Scenario};

/// One leg.
#[derive(Debug)]
pub(super) struct FinishedLeg {
    /// Its label: `np-8.1`.
    pub(super) label: String,
    /// Its directory as it was named or found.
    pub(super) directory: String,
    /// Its directory without links and relative parts.
    pub(super) path: PathBuf,
    pub(super) scenario: Scenario,
    /// The sizes of its jobs' files in bytes, ascending.
    sizes: Option<Vec<u64>>,
}

/// The legs of one setting, in the order of their starts.
#[derive(Debug)]
pub(super) struct LegGroup {
    pub(super) name: String,
    pub(super) legs: Vec<FinishedLeg>,
}

/// The setting that a label names: the label without the leg's number behind a dot.
pub(super) fn setting(label: &str) -> &str {
    match label.rsplit_once('.') {
        Some((setting, number))
            if !setting.is_empty() && !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) =>
        {
            setting
        }
        _ => label,
    }
}

/// The legs of all settings.
pub(super) fn all_legs(groups: &[LegGroup]) -> impl Iterator<Item = &FinishedLeg> {
    groups.iter().flat_map(|group| &group.legs)
}

/// The labels of the legs that meet a condition, for use in a sentence; none if no leg does.
pub(super) fn labels_where<'a>(
    legs: impl Iterator<Item = &'a FinishedLeg>,
    condition: impl Fn(&FinishedLeg) -> bool,
) -> Option<String> {
    any_listed(legs.filter(|leg| condition(leg)).map(|leg| truncate(&leg.label)))
}

impl FinishedLeg {
    /// Reads the leg in `directory`, which must be a finished scenario.
    pub(super) fn read(label: &str, directory: &Path) -> Result<Self, Failure> {
        let shown = directory.display().to_string();
        let path = directory.canonicalize().map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Failure::usage(format!("{label}={shown}: no such directory")),
            _ => Failure::io(&shown, &error),
        })?;
        let scenario = scenario::read(&path, &path);
        if scenario.unreadable {
            return Err(Failure::input_output(format!("{shown}: {}", scenario.cause())));
        }
        if scenario.report.is_none() {
            return Err(Failure::usage(format!(
                "{label}={shown}: it has no {}, so it is not a finished scenario; if it holds {}, `render-report --replay --out {shown}` writes the report",
                scenario::REPORT,
                scenario::RECORDS
            )));
        }
        let sizes = input_sizes::read(&path);
        Ok(Self { label: label.to_owned(), directory: shown, path, scenario, sizes })
    }

    /// The start of its run; with several shards that of the first.
    pub(super) fn started_at(&self) -> Option<Timestamp> {
        started_at(&self.scenario)
    }

    /// The time from its first submission to its last end, if its Runs tell.
    pub(super) fn window(&self) -> Option<Window> {
        self.scenario.runs.iter().filter_map(|run| run.status.window).reduce(Window::hull)
    }

    /// The numbers of its jobs by outcome.
    pub(super) fn conservation(&self) -> Conservation {
        self.scenario.report.as_ref().map(|report| report.status.conservation).unwrap_or_default()
    }

    /// The sizes of its jobs' files in bytes, ascending. None unless the size of every job that was asked for is known.
    pub(super) fn sizes(&self) -> Option<&[u64]> {
        let asked = self.conservation().asked;
        self.sizes.as_deref().filter(|sizes| sizes.len() as u64 == asked)
    }

    /// A figure of its report.
    pub(super) fn figure(&self, name: &FigureName) -> Option<f64> {
        self.scenario.figure(name).filter(|value| value.is_finite())
    }

    /// The name of the query that holds `of`. A report of an older version names none: the name was fixed then.
    pub(super) fn query(&self, of: RoleOf) -> Option<&str> {
        let queries = self.scenario.report.as_ref().map(|report| &report.status.queries);
        queries.and_then(|queries| queries.get(&of.word())).map(String::as_str).or_else(|| legacy_name(of))
    }

    /// Run id, name and start, which together no other run has.
    fn identity(&self) -> Option<(&str, &str, Timestamp)> {
        let run = self.scenario.runs.first()?;
        Some((&run.metadata.run, &run.metadata.name, run.status.started_at?))
    }
}

/// The start of a scenario's run; with several shards that of the first.
pub(super) fn started_at(scenario: &Scenario) -> Option<Timestamp> {
    scenario.runs.iter().filter_map(|run| run.status.started_at).min()
}

/// Reads the legs that the command line names as `LABEL=DIR` or `DIR`.
pub(super) fn read_all(words: &[String]) -> Result<Vec<FinishedLeg>, Failure> {
    let read = |word: &String| {
        let (label, directory) = if let Some((label, directory)) = word.split_once('=') {
            (label.to_owned(), Path::new(directory))
        } else {
            let directory = Path::new(word);
            // `.` and `..` have names, too.
            let path = directory.canonicalize().unwrap_or_default();
            let name = path.file_name().or(directory.file_name()).unwrap_or_default();
            (name.to_string_lossy().into_owned(), directory)
        };
        if label.is_empty() || directory.as_os_str().is_empty() {
            return Err(Failure::usage(format!(
                "`{word}` is not a leg: name a finished scenario's directory as LABEL=DIR, such as np-8=runs/a/ab/np-8"
            )));
        }
        FinishedLeg::read(&label, directory)
    };
    words.iter().map(read).collect()
}

/// Groups the legs by setting; the first leg's setting comes first.
pub(super) fn group(legs: Vec<FinishedLeg>) -> Result<Vec<LegGroup>, Failure> {
    legs.iter().array_combinations().try_for_each(|[earlier, leg]| refuse_duplicates(earlier, leg))?;
    let groups = in_groups(legs.into_iter().map(|leg| (setting(&leg.label).to_owned(), leg)));
    let mut groups: Vec<LegGroup> = groups.into_iter().map(|(name, legs)| LegGroup { name, legs }).collect();
    if let [only] = &groups[..] {
        return Err(Failure::usage(format!(
            "these are legs of one setting, {}: {}; a comparison needs a second setting (np-8.1 is leg 1 of np-8)",
            only.name,
            listed(only.legs.iter().map(|leg| &leg.label))
        )));
    }
    for group in &mut groups {
        group.legs.sort_by_key(|leg| (leg.started_at().is_none(), leg.started_at()));
    }
    Ok(groups)
}

fn refuse_duplicates(a: &FinishedLeg, b: &FinishedLeg) -> Result<(), Failure> {
    let (first, second) = (&a.label, &b.label);
    let why = if a.path == b.path {
        format!("{first} and {second} are the same directory, {}", b.directory)
    } else if first == second {
        format!("two legs are called {first}: {} and {}; number them {first}.1, {first}.2", a.directory, b.directory)
    } else if a.identity().is_some_and(|identity| b.identity() == Some(identity)) {
        format!("{first} and {second} are two copies of the same run")
    } else {
        return Ok(());
    };
    Err(Failure::usage(format!("{why}; name each leg once")))
}

#[cfg(test)]
mod tests {
    use super::setting;

    #[test]
    fn a_number_behind_the_last_dot_is_a_leg() {
        let settings = ["np-8", "np-8.1", "np-8.12", "t-0.7.2", ".1", "np-8.", "np-8.x", "np.8x"].map(setting);
        assert_eq!(settings, ["np-8", "np-8", "np-8", "t-0.7", ".1", "np-8.", "np-8.x", "np.8x"]);
    }
}
