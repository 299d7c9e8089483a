//! The critical path of the slowest job: the stages that waited for each other and made it last as long as it did.
//!
//! From the stage that ended last the path goes back, each time to the stage before it that ended latest. Along it, waiting and
//! work follow each other on one clock, so that they add up; the rest of the job's time lies outside of its stages.

use std::borrow::Cow;
use std::io;

use super::distribution::Measured;
use super::outcome::Outcome;
use super::stage_times::{StageTimes, predecessors};
use super::tally::{JobEntry, JobTally};
use crate::record::{Job, Jobs, Stage};

/// One stage on the path.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// The stage.
    pub stage: String,
    /// The one that it waited for; none for the first.
    pub after: Option<String>,
    /// The attempt that its times belong to.
    pub attempt: Option<u64>,
    /// From the end of the one before to the beginning of its wait, in seconds: earlier attempts, or time that no record shows.
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
    /// The remainder: submission, the time between the last stage and the end, and the distance between the clocks.
    pub rest: f64,
}

impl CriticalPath {
    /// The path of the slowest of `jobs` that succeeded, or the reason why there is none, as a sentence.
    pub fn find(tally: &JobTally, jobs: &dyn Jobs) -> io::Result<Result<Self, String>> {
        let ended = tally.with(Outcome::Succeeded);
        let known = ended.filter_map(|entry| Some((entry, entry.times.end_to_end?)));
        // Of equals the first by name.
        let slowest =
            known.collect::<Vec<_>>().into_iter().rev().max_by(|one, other| one.1.seconds.total_cmp(&other.1.seconds));
        let Some((entry, whole)) = slowest else {
            return Ok(Err("No job is known to have succeeded, so none was the slowest.".to_owned()));
        };
        let job = jobs.find(&entry.run, &entry.name)?.unwrap_or_default();
        let job = tally.plan(entry).map_or(Cow::Borrowed(&job), |plan| plan.believed(&job));
        Ok(Self::of(tally, entry, &job, whole))
    }

    fn of(tally: &JobTally, entry: &JobEntry, job: &Job, whole: Measured) -> Result<Self, String> {
        let plan = tally.plan(entry);
        let after = |stage: &Stage| -> Option<&[String]> {
            plan?.stages.iter().find(|spec| spec.name == stage.name).map(|spec| spec.after.as_slice())
        };
        let Some(last) =
            job.status.stages.iter().filter(|stage| stage.ended_at.is_some()).max_by_key(|stage| stage.ended_at)
        else {
            return Err(format!("The slowest job, {}, has no stage times.", entry.name));
        };
        let mut steps = Vec::new();
        let mut next = Some(last);
        while let Some(stage) = next {
            let times = times_of(entry, job, stage);
            let Some(work) = times.work() else {
                return Err(format!(
                    "The document of the slowest job, {}, does not show how long stage {} took.",
                    entry.name, stage.name
                ));
            };
            let names = after(stage).unwrap_or_default();
            let before = latest(job, stage, names);
            if before.is_none() && !names.is_empty() {
                return Err(format!(
                    "The document of the slowest job, {}, does not show on one clock when the stages before {} ended.",
                    entry.name, stage.name
                ));
            }
            let gap = before.zip(stage.started_at).and_then(|(before, started)| Some(started.since(before.ended_at?)));
            steps.push(Step {
                stage: stage.name.clone(),
                after: before.map(|before| before.name.clone()),
                attempt: stage.attempt,
                before: gap.map_or(0.0, |gap| gap - times.wait().map_or(0.0, |wait| wait.seconds)),
                wait: times.wait(),
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

/// The times of `stage`, which is one of those of `job`.
fn times_of(entry: &JobEntry, job: &Job, stage: &Stage) -> StageTimes {
    let facts = job.status.stages.iter().zip(entry.stages()).find(|(found, _)| std::ptr::eq(*found, stage));
    facts.map(|(_, facts)| facts.times).unwrap_or_default()
}

/// The stage among `names` that ended latest, if all of them have ended and were timed by the clock of `stage`.
fn latest<'a>(job: &'a Job, stage: &Stage, names: &[String]) -> Option<&'a Stage> {
    let before = predecessors(job, names)?.into_iter();
    let is_comparable = |before: &&Stage| before.times_from == stage.times_from && before.ended_at.is_some();
    let before: Option<Vec<&Stage>> = before.map(|before| is_comparable(&before).then_some(before)).collect();
    stage.times_from.and(before)?.into_iter().max_by_key(|stage| stage.ended_at)
}

#[cfg(test)]
mod tests {
    use super::super::Figures;
    use super::super::resumed::GivenUp;
    use super::*;
    use crate::record::{Fold, Parsed, Record};

    fn path(jobs: &[(&str, &str)]) -> Result<CriticalPath, String> {
        let run = r#"{"apiVersion":"stress/v1","kind":"Run","metadata":{"name":"s","run":"r"},"spec":{"prefix":"s","jobs":2,"stages":[{"name":"a","required":true},{"name":"b","after":["a"],"required":true},{"name":"c","after":["a"],"required":true},{"name":"d","after":["b","c"],"required":true}]},"status":{"clockOffset":{"seconds":60,"boundSeconds":0.5}}}"#;
        let job = |(name, stages): &(&str, &str)| {
            format!(
                r#"{{"apiVersion":"stress/v1","kind":"Job","metadata":{{"name":"{name}","run":"r"}},"status":{{"phase":"Succeeded","submittedAt":"2026-01-01T00:00:00Z","acceptedAt":"2026-01-01T00:00:01Z","endedAt":"2026-01-01T00:00:30Z","stages":[{stages}]}}}}"#
            )
        };
        let mut fold = Fold::default();
        for line in [run.to_owned()].into_iter().chain(jobs.iter().map(job)) {
            match Record::parse(&line).unwrap() {
                Parsed::Record(record) => fold.add(record),
                Parsed::Other => panic!("not ours: {line}"),
            }
        }
        let figures = Figures::compute(&fold, &fold, false, &GivenUp::default()).unwrap();
        CriticalPath::find(&figures.tally, &fold).unwrap()
    }

    fn stage(name: &str, more: &str, start: u32, end: u32) -> String {
        format!(
            r#"{{"name":"{name}","phase":"Done","timesFrom":"server",{more}"startedAt":"2026-01-01T00:01:{start:02}Z","endedAt":"2026-01-01T00:01:{end:02}Z"}}"#
        )
    }

    #[test]
    fn it_goes_along_the_latest_ends_and_adds_up() {
        let stages = [
            stage("a", "", 3, 5),
            stage("b", "", 6, 8),
            // Its second attempt was queued at 12, after one that failed.
            stage("c", r#""attempt":2,"queuedAt":"2026-01-01T00:01:12Z","#, 14, 20),
            stage("d", "", 22, 27),
        ];
        let path = path(&[("s-001", &stages.join(","))]).unwrap();
        let told: Vec<_> = path
            .steps
            .iter()
            .map(|step| {
                let wait = step.wait.map(|wait| wait.seconds);
                (step.stage.as_str(), step.after.as_deref(), step.before, wait, step.work.seconds)
            })
            .collect();
        assert_eq!(
            told,
            [
                ("a", None, 0.0, Some(2.0), 2.0),
                ("c", Some("a"), 7.0, Some(2.0), 6.0),
                ("d", Some("c"), 0.0, Some(2.0), 5.0)
            ]
        );
        // One second until it was accepted, and three from the last stage to the end.
        assert_eq!((path.whole.seconds, path.rest), (30.0, 4.0));
    }

    #[test]
    fn what_is_not_known_is_said() {
        assert_eq!(path(&[]), Err("No job is known to have succeeded, so none was the slowest.".to_owned()));
        assert_eq!(path(&[("s-001", "")]), Err("The slowest job, s-001, has no stage times.".to_owned()));
        let lacks = [stage("a", "", 3, 5), stage("d", "", 22, 27)].join(",");
        let said = "The document of the slowest job, s-001, does not show on one clock when the stages before d ended.";
        assert_eq!(path(&[("s-001", &lacks)]), Err(said.to_owned()));
    }
}
