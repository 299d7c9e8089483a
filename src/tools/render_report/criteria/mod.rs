//! The criteria that a run is judged by: those with a name ([`rules`]) and comparisons on what the run measured
//! ([`threshold`], [`measure`]).
//!
//! A criterion passes only on evidence; where there is none it is `Incomplete`.

mod all_stages;
mod limits;
mod measure;
mod rules;
mod threshold;
mod wording;

use std::collections::BTreeSet;

use super::captures::Captures;
use super::observed::Observed;
use crate::cli::Failure;
use crate::figures::Figures;
use crate::profile::Profile;
use crate::record::{Criterion, Fold, Kind, Logs, Verdict};
use threshold::Threshold;

pub(super) use limits::Limits;
pub(super) use rules::{CAPTURED, DEFAULT, WHOLE_SHARDS};
pub(super) use threshold::{Operator, Times};

/// The evidence to judge by.
pub(super) struct Evidence<'a> {
    figures: &'a Figures,
    observed: &'a Observed,
    captures: &'a Captures,
    logs: Vec<Logs>,
}

impl<'a> Evidence<'a> {
    /// All that is known of the run in `fold`.
    pub(super) fn new(fold: &Fold, figures: &'a Figures, observed: &'a Observed, captures: &'a Captures) -> Self {
        Self { figures, observed, captures, logs: fold.of_kind(Kind::Logs).collect() }
    }
}

/// The finding about one criterion.
struct Finding {
    verdict: Verdict,
    /// The observation, for the table.
    actual: String,
    /// The cause of the verdict, for the sentence.
    cause: String,
    jobs: Vec<String>,
    /// True if the cause says nothing of a job that another criterion has named: a job that was never submitted shows no stages
    /// either.
    follows: bool,
}

impl Finding {
    fn incomplete(why: impl Into<String>) -> Self {
        let why = why.into();
        Self { verdict: Verdict::Incomplete, actual: why.clone(), cause: why, jobs: Vec::new(), follows: false }
    }

    fn passed(actual: String) -> Self {
        Self { verdict: Verdict::Passed, ..Self::incomplete(actual) }
    }
}

/// The verdict on a run.
#[derive(Debug)]
pub(super) struct Judgement {
    pub(super) verdict: Verdict,
    pub(super) cause: String,
    pub(super) criteria: Vec<Criterion>,
}

/// The criteria of a `--expect` list, once each, as they were written; a usage error where one cannot be judged. The stages
/// are looked up in `profile`; without one any name is taken.
pub(super) fn checked(list: &[String], profile: Option<&Profile>) -> Result<Vec<String>, Failure> {
    let mut checked: Vec<String> = Vec::new();
    for text in list.iter().map(|text| text.trim()).filter(|text| !text.is_empty()) {
        let refused = |why: String| Failure::usage(format!("--expect {text}: {why}"));
        if rules::find(text).is_none() {
            let threshold = Threshold::parse(text).map_err(refused)?;
            profile.map_or(Ok(()), |profile| threshold.check(profile)).map_err(refused)?;
        }
        if !checked.iter().any(|held| held == text) {
            checked.push(text.to_owned());
        }
    }
    if checked.is_empty() && !list.is_empty() {
        return Err(Failure::usage("--expect names no criterion"));
    }
    Ok(checked)
}

/// Judges by the criteria `names`. A criterion that this version does not know is `Incomplete`, never ignored.
pub(super) fn judge(names: &[String], evidence: &Evidence<'_>) -> Judgement {
    let mut findings = Vec::new();
    for name in names {
        let (expected, finding) = match (rules::find(name), Threshold::parse(name)) {
            (Some(rule), _) => (rule.expected.to_owned(), (rule.judge)(evidence)),
            (None, Ok(threshold)) => (threshold.expected(), measure::judge(name, &threshold, evidence)),
            (None, Err(_)) => (
                "not known to this version".to_owned(),
                Finding::incomplete(format!("{name} is not a known criterion")),
            ),
        };
        findings.push((name.clone(), expected, finding));
    }
    let found = || findings.iter().map(|(_, _, finding)| finding);
    let verdict = found().map(|finding| finding.verdict).max().unwrap_or_default();
    let cause = joined(found().filter(|finding| finding.verdict == verdict));
    let criterion = |(name, expected, finding): (String, String, Finding)| Criterion {
        name,
        verdict: finding.verdict,
        expected,
        actual: finding.actual,
        jobs: finding.jobs,
    };
    Judgement { verdict, cause, criteria: findings.into_iter().map(criterion).collect() }
}

/// Joins the causes into one sentence, without those that only follow from an earlier one.
fn joined<'a>(findings: impl Iterator<Item = &'a Finding>) -> String {
    let (mut causes, mut named) = (Vec::new(), BTreeSet::new());
    for finding in findings {
        let known = finding.follows && !finding.jobs.is_empty() && finding.jobs.iter().all(|job| named.contains(job));
        if !known && !causes.contains(&finding.cause.as_str()) {
            causes.push(finding.cause.as_str());
        }
        named.extend(&finding.jobs);
    }
    causes.join("; ")
}
