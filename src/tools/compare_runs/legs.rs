//! The legs: finished scenarios with a label, put together by setting.

use std::io;
use std::path::{Path, PathBuf};

use super::files;
use crate::cli::Failure;
use crate::figures::names::FigureName;
use crate::record::{Conservation, Timestamp, Window};
use crate::scenario::{self, Scenario};

/// One leg.
#[derive(Debug)]
pub(super) struct Run {
    /// Its label: `np-8.1`.
    pub(super) label: String,
    /// Its directory, as it was named or found.
    pub(super) directory: String,
    /// The same, without links and relative parts.
    pub(super) place: PathBuf,
    pub(super) scenario: Scenario,
    /// The sizes of its files, as its jobs tell them.
    sizes: Option<Vec<u64>>,
}

/// The legs of one setting, in the order of time.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) name: String,
    pub(super) runs: Vec<Run>,
}

/// The setting that a label names: all of it, without the leg's number behind a dot.
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

impl Run {
    /// The leg in `directory`, which must be a finished scenario.
    pub(super) fn read(label: &str, directory: &Path) -> Result<Self, Failure> {
        let shown = directory.display().to_string();
        let place = directory.canonicalize().map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Failure::usage(format!("{label}={shown}: there is no such directory")),
            _ => Failure::io(&shown, &error),
        })?;
        let scenario = scenario::read(&place, &place);
        if scenario.unreadable {
            return Err(Failure::input_output(format!("{shown}: {}", scenario.cause())));
        }
        if scenario.report.is_none() {
            return Err(Failure::usage(format!(
                "{label}={shown}: it has no {}, so it is no finished scenario; where it holds {}, `render-report \
                 --replay --out {shown}` makes the report",
                scenario::REPORT,
                scenario::RECORDS
            )));
        }
        let sizes = files::sizes(&place);
        Ok(Self { label: label.to_owned(), directory: shown, place, scenario, sizes })
    }

    /// When its run started; of several shards the first.
    pub(super) fn started_at(&self) -> Option<Timestamp> {
        started_at(&self.scenario)
    }

    /// From its first submission to its last end, where its Runs tell.
    pub(super) fn window(&self) -> Option<Window> {
        let windows = || self.scenario.runs.iter().filter_map(|run| run.status.window);
        let (start, end) = (windows().map(|window| window.start).min()?, windows().map(|window| window.end).max()?);
        Some(Window { start, end })
    }

    /// Where its jobs have gone.
    pub(super) fn conservation(&self) -> Conservation {
        self.scenario.report.as_ref().map(|report| report.status.conservation).unwrap_or_default()
    }

    /// The sizes of the files of its jobs in bytes, ascending; none where they are not known of every job that was asked for.
    pub(super) fn sizes(&self) -> Option<&[u64]> {
        let asked = self.conservation().asked;
        self.sizes.as_deref().filter(|sizes| sizes.len() as u64 == asked)
    }

    /// A figure of its report.
    pub(super) fn figure(&self, name: &FigureName) -> Option<f64> {
        self.scenario.figure(name).filter(|value| value.is_finite())
    }

    /// What tells its run from any other.
    fn identity(&self) -> Option<(&str, &str, Timestamp)> {
        let run = self.scenario.runs.first()?;
        Some((&run.metadata.run, &run.metadata.name, run.status.started_at?))
    }
}

/// When the run of a scenario started; of several shards the first.
pub(super) fn started_at(scenario: &Scenario) -> Option<Timestamp> {
    scenario.runs.iter().filter_map(|run| run.status.started_at).min()
}

/// The legs that the command line names: `LABEL=DIR` or `DIR`.
pub(super) fn named(words: &[String]) -> Result<Vec<Run>, Failure> {
    let read = |word: &String| {
        let (label, directory) = if let Some((label, directory)) = word.split_once('=') {
            (label.to_owned(), Path::new(directory))
        } else {
            let directory = Path::new(word);
            // `.` and `..` have names, too.
            let place = directory.canonicalize().unwrap_or_default();
            let name = place.file_name().or(directory.file_name()).unwrap_or_default();
            (name.to_string_lossy().into_owned(), directory)
        };
        if label.is_empty() || directory.as_os_str().is_empty() {
            return Err(Failure::usage(format!(
                "`{word}` is no leg: name a finished scenario's directory as LABEL=DIR, such as np-8=runs/a/ab/np-8"
            )));
        }
        Run::read(&label, directory)
    };
    words.iter().map(read).collect()
}

/// Puts the legs together by setting; the first leg's setting comes first.
pub(super) fn grouped(runs: Vec<Run>) -> Result<Vec<Group>, Failure> {
    for (index, run) in runs.iter().enumerate() {
        for other in &runs[..index] {
            refuse_twins(other, run)?;
        }
    }
    let mut groups: Vec<Group> = Vec::new();
    for run in runs {
        let name = setting(&run.label);
        match groups.iter_mut().find(|group| group.name == name) {
            Some(group) => group.runs.push(run),
            None => groups.push(Group { name: name.to_owned(), runs: vec![run] }),
        }
    }
    if let [only] = &groups[..] {
        let labels: Vec<String> = only.runs.iter().map(|run| run.label.clone()).collect();
        return Err(Failure::usage(format!(
            "these are legs of one setting, {}: {}; a comparison needs a second (what follows the last dot is a leg's \
             number: np-8.1 is a leg of np-8)",
            only.name,
            crate::figures::listed(&labels)
        )));
    }
    for group in &mut groups {
        group.runs.sort_by_key(|run| (run.started_at().is_none(), run.started_at()));
    }
    Ok(groups)
}

fn refuse_twins(one: &Run, other: &Run) -> Result<(), Failure> {
    let (first, second) = (&one.label, &other.label);
    let why = if one.place == other.place {
        format!("{first} and {second} are the same directory, {}", other.directory)
    } else if first == second {
        format!(
            "two legs are called {first}: {} and {}; number them {first}.1, {first}.2",
            one.directory, other.directory
        )
    } else if one.identity().is_some_and(|identity| other.identity() == Some(identity)) {
        format!("{first} and {second} hold the same run, which started at one moment under one id")
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
