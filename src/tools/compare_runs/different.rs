//! Whether the runs are alike: figures of other work, under another load, through another pipeline, say nothing of a
//! setting.

use super::legs::{Group, Run};
use super::{files, short};
use crate::cli::Failure;
use crate::figures::listed;

/// In what runs may differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Aspect {
    /// How many jobs were asked for, and the sizes of their files
    Jobs,
    /// The load: jobs in flight, submissions at a time, or jobs a second
    Concurrency,
    /// The target's profile
    Profile,
    /// The stages of the pipeline
    Stages,
}

impl Aspect {
    const ALL: [Self; 4] = [Self::Jobs, Self::Concurrency, Self::Profile, Self::Stages];

    /// As the flag spells it.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Jobs => "jobs",
            Self::Concurrency => "concurrency",
            Self::Profile => "profile",
            Self::Stages => "stages",
        }
    }

    /// What a run was in this respect, to be compared with others'.
    fn of(self, run: &Run) -> String {
        let runs = &run.scenario.runs;
        match self {
            Self::Jobs => run.conservation().asked.to_string(),
            Self::Concurrency => load(run),
            Self::Profile => {
                let mut names: Vec<&str> = runs.iter().filter_map(|run| run.spec.profile.as_deref()).collect();
                names.dedup();
                if names.is_empty() { "not known".to_owned() } else { names.join(" and ") }
            }
            Self::Stages => {
                let stages = runs.iter().map(|run| &run.spec.stages).find(|stages| !stages.is_empty());
                let Some(stages) = stages else { return "not known".to_owned() };
                let stage = |stage: &crate::record::StageSpec| {
                    let after = if stage.after.is_empty() {
                        String::new()
                    } else {
                        format!(" after {}", stage.after.join("+"))
                    };
                    format!("{}{after}{}", stage.name, if stage.required { "" } else { " (not required)" })
                };
                stages.iter().map(stage).collect::<Vec<_>>().join(", ")
            }
        }
    }
}

/// All shards together.
fn load(run: &Run) -> String {
    let specs = || run.scenario.runs.iter().map(|run| &run.spec);
    let concurrency = specs().filter_map(|spec| spec.concurrency).reduce(u64::saturating_add);
    let posts = specs().filter_map(|spec| spec.max_posts).reduce(u64::saturating_add);
    let rate = specs().filter_map(|spec| spec.rate_per_second).reduce(|sum, rate| sum + rate);
    match (concurrency, posts, rate) {
        (Some(concurrency), _, _) => concurrency.to_string(),
        (_, Some(posts), _) => format!("a burst, {posts} submissions at a time"),
        (_, _, Some(rate)) => format!("{rate} jobs/s"),
        _ => "not known".to_owned(),
    }
}

/// Each value once, with the labels of the runs that have it.
fn distinct<'a, T: PartialEq>(told: impl Iterator<Item = (&'a Run, T)>) -> Vec<(T, Vec<String>)> {
    let mut values: Vec<(T, Vec<String>)> = Vec::new();
    for (run, value) in told {
        match values.iter_mut().find(|(held, _)| *held == value) {
            Some((_, labels)) => labels.push(run.label.clone()),
            None => values.push((value, vec![run.label.clone()])),
        }
    }
    values
}

/// In what the runs differ that was allowed to, a sentence each. An error where they differ in more.
pub(super) fn check(groups: &[Group], allowed: &[Aspect]) -> Result<Vec<String>, Failure> {
    let (mut told, mut refused) = (Vec::new(), Vec::new());
    for aspect in Aspect::ALL {
        let runs = groups.iter().flat_map(|group| &group.runs);
        let mut values = distinct(runs.map(|run| (run, aspect.of(run))));
        if aspect == Aspect::Jobs && values.len() < 2 {
            // As many jobs may still be other jobs. A leg that does not tell is not taken for one that differs.
            let (sizes, labels): (Vec<_>, Vec<_>) = distinct(files::told(groups)).into_iter().unzip();
            values = files::texts(sizes.into_iter()).into_iter().zip(labels).collect();
        }
        if values.len() < 2 {
            continue;
        }
        let values: Vec<String> =
            values.iter().map(|(value, labels)| format!("{} ({})", short(value), listed(labels))).collect();
        let sentence = format!("{}: {}", aspect.word(), values.join(", "));
        if allowed.contains(&aspect) {
            told.push(sentence);
        } else {
            refused.push((aspect.word(), sentence));
        }
    }
    if refused.is_empty() {
        return Ok(told);
    }
    let (words, sentences): (Vec<&str>, Vec<String>) = refused.into_iter().unzip();
    Err(Failure::usage(format!(
        "these runs are not alike: {}; if they are to be compared all the same, add --allow-different {}",
        sentences.join("; "),
        words.join(",")
    )))
}
