//! The critical path of the slowest job: of the stages that waited for each other, those that made it last as long as it did.
//!
//! From the stage that ended last the path goes back, each time to the stage before it that ended latest. Along it, waiting and
//! work follow each other on one clock, so that they add up; what is left of the job's time lies outside of its stages.

use super::account::Account;
use super::distribution::Measured;
use super::journey::Journey;
use super::outcome::Outcome;
use super::stages::StageTimes;
use crate::record::{Job, Stage, Timestamp};

/// One stage on the path.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// The stage.
    pub stage: String,
    /// The one that it waited for; none for the first.
    pub after: Option<String>,
    /// Which attempt its times are of.
    pub attempt: Option<u64>,
    /// From the end of the one before to where its wait begins, in seconds: earlier attempts, or what nobody told.
    pub before: f64,
    /// The wait for it.
    pub wait: Option<Measured>,
    /// The work in it.
    pub work: Measured,
}

/// The path of one job.
#[derive(Clone, Debug, PartialEq)]
pub struct CriticalPath {
    /// The job's name.
    pub job: String,
    /// From the first stage to the last.
    pub steps: Vec<Step>,
    /// End to end.
    pub whole: Measured,
    /// What is left of that: submission, what lies between the last stage and the end, and what the clocks are apart.
    pub rest: f64,
}

impl CriticalPath {
    /// The path of the slowest job that succeeded; why there is none, as a sentence.
    pub fn of(account: &Account, journeys: &[Journey]) -> Result<Self, String> {
        let ended = account.entries.iter().zip(journeys).filter(|(entry, _)| entry.outcome == Outcome::Succeeded);
        let known = ended.filter_map(|(entry, journey)| Some((entry, entry.job.as_ref()?, journey.end_to_end?)));
        // Of equals the first by name.
        let slowest = known.rev().max_by(|one, other| one.2.seconds.total_cmp(&other.2.seconds));
        let (entry, job, whole) = slowest.ok_or("No job is known to have succeeded, so none was the slowest.")?;
        let plan = account.plan(entry);
        let after = |stage: &Stage| -> Option<&[String]> {
            plan?.stages.iter().find(|spec| spec.name == stage.name).map(|spec| spec.after.as_slice())
        };
        let Some(last) =
            job.status.stages.iter().filter(|stage| stage.ended_at.is_some()).max_by_key(|stage| stage.ended_at)
        else {
            return Err(format!("The slowest job, {}, has no times of stages.", entry.name));
        };
        let mut steps = Vec::new();
        let mut next = Some(last);
        while let Some(stage) = next {
            let times = StageTimes::of(job, stage, plan);
            let Some(work) = times.work else {
                return Err(format!(
                    "The slowest job, {}, does not tell how long stage {} took.",
                    entry.name, stage.name
                ));
            };
            let names = after(stage).unwrap_or_default();
            let before = latest(job, stage, names);
            if before.is_none() && !names.is_empty() {
                return Err(format!(
                    "The slowest job, {}, does not tell on one clock when the stages before {} ended.",
                    entry.name, stage.name
                ));
            }
            let gap = before.zip(stage.started_at).and_then(|(before, started)| Some(started.since(before.ended_at?)));
            steps.push(Step {
                stage: stage.name.clone(),
                after: before.map(|before| before.name.clone()),
                attempt: stage.attempt,
                before: gap.map_or(0.0, |gap| gap - times.wait.map_or(0.0, |wait| wait.seconds)),
                wait: times.wait,
                work,
            });
            // A profile's stages wait only for those before them, but a record may say anything.
            next = before.filter(|_| steps.len() < job.status.stages.len());
        }
        steps.reverse();
        let told = |step: &Step| step.before + step.wait.map_or(0.0, |wait| wait.seconds) + step.work.seconds;
        let rest = whole.seconds - steps.iter().map(told).sum::<f64>();
        Ok(Self { job: entry.name.clone(), steps, whole, rest })
    }
}

/// Of the stages `names` the one that ended latest, if all of them were timed as `stage` was.
fn latest<'a>(job: &'a Job, stage: &Stage, names: &[String]) -> Option<&'a Stage> {
    let whose = stage.times_from?;
    let before = super::stages::predecessors(job, names, whose)?;
    before.into_iter().max_by_key(|stage| stage.ended_at.unwrap_or(Timestamp::from_micros(i64::MIN)))
}
