//! Checks that the legs can be compared at all: figures of other work, under another load or through another pipeline, say
//! nothing about a setting.

use clap::ValueEnum;
use itertools::Itertools;

use super::legs::{FinishedLeg, LegGroup, all_legs};
use super::{input_sizes, truncate};
use crate::cli::Failure;
use crate::figures::{in_groups, listed};
use crate::record::StageSpec;

/// A respect in which runs may be allowed to differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Aspect {
    /// Number of requested jobs, and the sizes of their files
    Jobs,
    /// The load: jobs in flight, submissions at a time, or jobs a second
    Concurrency,
    /// The target's profile
    Profile,
    /// The stages of the pipeline
    Stages,
}

impl Aspect {
    /// The spelling that the flag takes.
    pub(super) fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    /// Describes a leg in this respect, to be compared with the others.
    fn describe(self, leg: &FinishedLeg) -> String {
        let runs = &leg.scenario.runs;
        let known = |text: String| if text.is_empty() { "not known".to_owned() } else { text };
        match self {
            Self::Jobs => leg.conservation().asked.to_string(),
            Self::Concurrency => describe_load(leg),
            Self::Profile => known(runs.iter().filter_map(|run| run.spec.profile.as_deref()).dedup().join(" and ")),
            Self::Stages => {
                let stages = runs.iter().map(|run| &run.spec.stages).find(|stages| !stages.is_empty());
                known(stages.into_iter().flatten().map(describe_stage).join(", "))
            }
        }
    }
}

fn describe_stage(stage: &StageSpec) -> String {
    let after = if stage.after.is_empty() { String::new() } else { format!(" after {}", stage.after.join("+")) };
    format!("{}{after}{}", stage.name, if stage.required { "" } else { " (not required)" })
}

/// Describes the load of all shards together.
fn describe_load(leg: &FinishedLeg) -> String {
    let specs = || leg.scenario.runs.iter().map(|run| &run.spec);
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

/// Returns the allowed differences between the legs, a sentence each. Fails if they differ in more.
pub(super) fn check(groups: &[LegGroup], allowed: &[Aspect]) -> Result<Vec<String>, Failure> {
    let (mut accepted, mut refused) = (Vec::new(), Vec::new());
    for aspect in Aspect::value_variants() {
        let mut values = in_groups(all_legs(groups).map(|leg| (aspect.describe(leg), &leg.label)));
        if *aspect == Aspect::Jobs && values.len() < 2 {
            // As many jobs may still be other jobs. A leg without sizes is not taken for one that differs.
            let sizes = all_legs(groups).filter_map(|leg| Some((leg.sizes()?, &leg.label)));
            let (sizes, labels): (Vec<_>, Vec<_>) = in_groups(sizes).into_iter().unzip();
            values = input_sizes::describe(sizes.into_iter()).into_iter().zip(labels).collect();
        }
        if values.len() < 2 {
            continue;
        }
        let values = values.iter().map(|(value, labels)| format!("{} ({})", truncate(value), listed(labels)));
        let sentence = format!("{}: {}", aspect.name(), values.collect_vec().join(", "));
        if allowed.contains(aspect) {
            accepted.push(sentence);
        } else {
            refused.push((aspect.name(), sentence));
        }
    }
    if refused.is_empty() {
        return Ok(accepted);
    }
    let (names, sentences): (Vec<String>, Vec<String>) = refused.into_iter().unzip();
    Err(Failure::usage(format!(
        "these runs differ: {}; to compare them anyway, add --allow-different {}",
        sentences.join("; "),
        names.join(",")
    )))
}
