//! The criterion `all-stages`: every job finished every required stage.

use super::wording::{first, is_flagged, of, shared};
use super::{Evidence, Finding};
use crate::figures::job_facts::StageFacts;
use crate::figures::outcome::Outcome;
use crate::figures::tally::JobEntry;
use crate::figures::{any_listed, jobs, listed};
use crate::record::{Flag, StagePhase, Verdict};
use crate::units;

/// What is known of a required stage of a job that ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Completion {
    Done,
    /// It surely did not end well before the job did.
    Lacking,
    /// No answer shows its end.
    Unknown,
}

impl Completion {
    fn of(entry: &JobEntry, name: &str) -> Self {
        let done = entry.entries_of(name).filter(|stage| stage.phase == StagePhase::Done);
        let done = done.map(|stage| stage.attempts).max();
        let has_succeeded = entry.outcome == Outcome::Succeeded;
        let is_open = |stage: &StageFacts| {
            let may_have_ended = stage.phase.may_have_ended(stage.unlisted, has_succeeded);
            may_have_ended && done.is_none_or(|done| stage.attempts >= done)
        };
        // No list at all is no word on any stage; a list without this one is.
        let lacks_list = has_succeeded && entry.stages().iter().all(|stage| stage.unlisted);
        // If the target calls the job done although it still works on a stage, it may work on others after that.
        let runs_on = has_succeeded && entry.stages().iter().any(StageFacts::is_running);
        let has_failed = || entry.entries_of(name).any(|stage| stage.phase == StagePhase::Failed);
        match done {
            _ if entry.entries_of(name).any(is_open) => Self::Unknown,
            Some(_) => Self::Done,
            // The job's last document is older than its end.
            None if is_flagged(entry, &Flag::StagesUnknown) || is_flagged(entry, &Flag::GoneIsDone) => Self::Unknown,
            None if (lacks_list || runs_on) && !has_failed() => Self::Unknown,
            None => Self::Lacking,
        }
    }
}

pub(super) fn judge(evidence: &Evidence<'_>) -> Finding {
    let tally = &evidence.figures.tally;
    let asked = tally.conservation.asked;
    if asked == 0 {
        return Finding::incomplete("there are no jobs");
    }
    let required = |entry: &JobEntry| -> Vec<String> {
        let stages = tally.plan(entry).map(|plan| plan.stages.as_slice()).unwrap_or_default();
        stages.iter().filter(|stage| stage.required).map(|stage| stage.name.clone()).collect()
    };
    if tally.entries.iter().all(|entry| required(entry).is_empty()) {
        return Finding::incomplete("no Run names the stages that are required");
    }
    let (mut lacking, mut open, mut unknown) = (Vec::new(), Vec::new(), Vec::new());
    let mut unshown = Vec::new();
    for entry in &tally.entries {
        let required = required(entry);
        let with = |completion| {
            let stages = required.iter().filter(move |stage| Completion::of(entry, stage) == completion);
            stages.collect::<Vec<&String>>()
        };
        let (missing, unclear) = (with(Completion::Lacking), with(Completion::Unknown));
        let torn = any_listed(required.iter().filter(|stage| has_failed(entry, stage)));
        if !required.is_empty() && missing.is_empty() && unclear.is_empty() && torn.is_none() {
            continue;
        }
        unshown.push(entry.name.clone());
        // A job that ended shows no more stages, and a refused job never will.
        let final_word = matches!(entry.outcome, Outcome::Succeeded | Outcome::Failed | Outcome::Rejected);
        let was_shown = |name: &&String| entry.entries_of(name).next().is_some();
        if !final_word {
            open.push(entry.name.clone());
        } else if let Some(missing) = any_listed(&missing) {
            lacking.push((entry.name.clone(), format!("({}) without {missing}", entry.outcome)));
        } else if !unclear.is_empty() {
            let shown = unclear.iter().any(was_shown).then(|| format!("({})", listed(&unclear)));
            unknown.push((entry.name.clone(), shown.unwrap_or_else(|| "(no answer showed the stage)".to_owned())));
        } else if let Some(torn) = torn {
            unknown.push((entry.name.clone(), format!("({torn}: one entry is done, another one failed)")));
        } else {
            open.push(entry.name.clone());
        }
    }
    let complete = asked - unshown.len() as u64;
    let mut actual = format!("{complete} of {} finished every required stage", jobs(asked));
    for (count, one, many) in [
        (lacking.len(), "lacks a stage", "lack a stage"),
        (open.len(), "has not finished", "have not finished"),
        (unknown.len(), "has a stage whose end is unknown", "have a stage whose end is unknown"),
    ] {
        if count > 0 {
            actual = format!("{actual}, {}", units::counted(count as u64, one, many));
        }
    }
    let have = of(open.len(), asked, "has", "have");
    let (verdict, cause) = if !lacking.is_empty() {
        let lack = of(lacking.len(), asked, "lacks", "lack");
        let lack = format!("{lack} a required stage: {}", first(&shared(lacking)));
        (Verdict::Failed, if open.is_empty() { lack } else { format!("{lack}; {have} not finished") })
    } else if !unknown.is_empty() {
        let end = of(unknown.len(), asked, "has", "have");
        let cause = format!("{end} a required stage whose end is unknown: {}", first(&shared(unknown)));
        (Verdict::Incomplete, if open.is_empty() { cause } else { format!("{cause}; {have} not finished") })
    } else if !open.is_empty() {
        let are = of(open.len(), asked, "is", "are");
        (Verdict::Incomplete, format!("{are} missing required stages, and not finished: {}", listed(&open)))
    } else if let Some(why) = &tally.uncertain {
        (Verdict::Incomplete, why.clone())
    } else {
        (Verdict::Passed, format!("all {} finished every required stage", jobs(asked)))
    };
    Finding { verdict, actual, cause, jobs: unshown, follows: true }
}

/// Returns true if the stage failed in a job that the target calls done, and no later attempt of it is known.
fn has_failed(entry: &JobEntry, name: &str) -> bool {
    is_flagged(entry, &Flag::FailedStage)
        && entry.job.iter().flat_map(|job| &job.rare().failed_stages).any(|stage| *stage.as_str() == *name)
}
