//! The stages of a pipeline: how long jobs waited for each and were worked on in it, and which one limits.
//!
//! A wait is taken on one clock: from the server's `queuedAt`, or else from the latest end of the stages that this one
//! comes after, to its start. Only for the first stage are two hosts compared, and then with the offset and its bound.

use std::collections::BTreeMap;

use super::distribution::{Distribution, Measured};
use super::job_times::{TimeInterval, not_negative};
use super::outcome::Outcome;
use super::tally::{JobEntry, JobTally, RunPlan};
use crate::record::{Job, Stage, StagePhase, TimesFrom, Timestamp};

/// Servers round their times, so a wait may come out as this much less than nothing (seconds).
const ROUNDING: f64 = 0.001;

/// How long one job waited for one stage and was worked on in it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct StageTimes {
    /// The wait.
    pub wait: Option<Measured>,
    /// The work.
    pub work: Option<Measured>,
    /// One of them came out negative by more than its error allows, and was left out.
    pub backwards: bool,
}

impl StageTimes {
    /// The times of `stage` of `job`, whose run is `plan`.
    pub fn compute(job: &Job, stage: &Stage, plan: Option<&RunPlan>) -> Self {
        let mut times = Self::default();
        let wait = match stage.times_from {
            Some(TimesFrom::Server) => wait_by_server(job, stage, plan),
            Some(TimesFrom::Polls) => wait_by_polls(job, stage, plan),
            None => None,
        };
        times.wait = wait.and_then(|wait| times.checked(wait));
        if stage.phase == StagePhase::Done {
            times.work = work(job, stage).and_then(|work| times.checked(work));
        }
        times
    }

    fn checked(&mut self, measured: Measured) -> Option<Measured> {
        if measured.high < -ROUNDING {
            self.backwards = true;
            return None;
        }
        Some(not_negative(measured))
    }
}

fn wait_by_server(job: &Job, stage: &Stage, plan: Option<&RunPlan>) -> Option<Measured> {
    let started = stage.started_at?;
    if let Some(queued) = stage.queued_at {
        return Some(Measured::exact(started.since(queued)));
    }
    if stage.attempt.is_some_and(|attempt| attempt > 1) {
        // The start may be that of the last attempt, and what lies before it is work as well as waiting.
        return None;
    }
    let spec = plan?.stages.iter().find(|spec| spec.name == stage.name)?;
    if spec.after.is_empty() {
        let offset = plan?.offset?;
        return Some(TimeInterval::from_server(started, offset).since(job.status.accepted_at?));
    }
    let ends = predecessors(job, &spec.after, TimesFrom::Server)?;
    Some(Measured::exact(started.since(ends.iter().filter_map(|stage| stage.ended_at).max()?)))
}

fn wait_by_polls(job: &Job, stage: &Stage, plan: Option<&RunPlan>) -> Option<Measured> {
    let start = start_by_polls(job, stage)?;
    let spec = plan?.stages.iter().find(|spec| spec.name == stage.name)?;
    if spec.after.is_empty() {
        return Some(start.since(job.status.accepted_at?));
    }
    let ends: Option<Vec<TimeInterval>> = predecessors(job, &spec.after, TimesFrom::Polls)?
        .into_iter()
        .map(|stage| end_by_polls(stage, start_by_polls(job, stage)?))
        .collect();
    let ends = ends?;
    let latest = |part: fn(&TimeInterval) -> Timestamp| ends.iter().map(part).max();
    let end = TimeInterval { at: latest(|end| end.at)?, low: latest(|end| end.low)?, high: latest(|end| end.high)? };
    // The stage cannot have begun before the other ended, so intervals that overlap still give a wait of at least 0.
    Some(not_negative(start.after(end)))
}

/// The stages named in `after`, if all of them have ended and all of them were timed by `whose` clock.
pub(super) fn predecessors<'a>(job: &'a Job, after: &[String], whose: TimesFrom) -> Option<Vec<&'a Stage>> {
    let find = |name: &String| {
        let stage = job.status.stages.iter().find(|stage| stage.name == *name)?;
        (stage.times_from == Some(whose) && stage.ended_at.is_some()).then_some(stage)
    };
    after.iter().map(find).collect()
}

fn work(job: &Job, stage: &Stage) -> Option<Measured> {
    match stage.times_from? {
        TimesFrom::Server => Some(Measured::exact(stage.ended_at?.since(stage.started_at?))),
        TimesFrom::Polls => {
            let start = start_by_polls(job, stage)?;
            Some(not_negative(end_by_polls(stage, start)?.after(start)))
        }
    }
}

pub(super) fn start_by_polls(job: &Job, stage: &Stage) -> Option<TimeInterval> {
    let seen = stage.started_at?;
    let earliest = stage.not_started_at.or(job.status.accepted_at).or(job.status.submitted_at)?;
    Some(TimeInterval::between_polls(earliest, seen))
}

pub(super) fn end_by_polls(stage: &Stage, start: TimeInterval) -> Option<TimeInterval> {
    Some(TimeInterval::between_polls(stage.not_ended_at.unwrap_or(start.low), stage.ended_at?))
}

/// What all jobs together tell of one stage.
#[derive(Clone, Debug, Default)]
pub struct StageFigures {
    /// Its name.
    pub name: String,
    /// Its waits.
    pub wait: Option<Distribution>,
    /// Its work, of the jobs that finished it.
    pub work: Option<Distribution>,
    /// How many jobs' times came from the server.
    pub by_server: usize,
    /// How many jobs' times were seen by polls.
    pub by_polls: usize,
    /// Jobs whose times contradict themselves.
    pub backwards: Vec<String>,
    /// How often jobs can have been in it at most, by what is known of them.
    pub entered_at_most: u64,
}

impl StageFigures {
    /// Whose times these are: `server`, `by polls`, or both; a dash where there are none.
    pub fn times_from(&self) -> &'static str {
        match (self.by_server, self.by_polls) {
            (0, 0) => "–",
            (_, 0) => "server",
            (0, _) => "by polls",
            _ => "server and by polls",
        }
    }
}

/// The figures of every stage that a job told of, in pipeline order where the Runs say it.
pub fn stages(tally: &JobTally) -> Vec<StageFigures> {
    #[derive(Default)]
    struct Samples {
        wait: Vec<Measured>,
        work: Vec<Measured>,
        figures: StageFigures,
    }
    let mut order: Vec<String> = Vec::new();
    let mut samples: BTreeMap<String, Samples> = BTreeMap::new();
    let mut place = |name: &str, samples: &mut BTreeMap<String, Samples>| {
        if !samples.contains_key(name) {
            samples.insert(name.to_owned(), Samples::default());
            order.push(name.to_owned());
        }
    };
    for spec in tally.plans.iter().flat_map(|plan| &plan.stages) {
        place(&spec.name, &mut samples);
    }
    for entry in &tally.entries {
        for (stage, times) in entry.stages() {
            place(&stage.name, &mut samples);
            let Some(held) = samples.get_mut(&stage.name) else { continue };
            held.wait.extend(times.wait);
            held.work.extend(times.work);
            if times.wait.or(times.work).is_some() {
                match stage.times_from {
                    Some(TimesFrom::Server) => held.figures.by_server += 1,
                    Some(TimesFrom::Polls) => held.figures.by_polls += 1,
                    None => {}
                }
            }
            if times.backwards {
                held.figures.backwards.push(entry.name.clone());
            }
        }
    }
    let figures = order.into_iter().filter_map(|name| {
        let held = samples.remove(&name)?;
        let (wait, work) = (Distribution::from_samples(&held.wait), Distribution::from_samples(&held.work));
        let entered_at_most = entered(tally, &name);
        Some(StageFigures { name, wait, work, entered_at_most, ..held.figures })
    });
    figures.collect()
}

/// How often jobs can have been in the stage `name`: as often as its attempts where a job finished it. One whose document
/// does not say so may have been in it unseen, before it was lost or after another of its stages failed, as often as any job.
fn entered(tally: &JobTally, name: &str) -> u64 {
    let shown = |entry: &JobEntry| entry.job.as_ref()?.status.stages.iter().find(|stage| stage.name == name).cloned();
    let attempts = |stage: &Stage| stage.attempt.unwrap_or(1).max(1);
    let most = tally.entries.iter().filter_map(shown).map(|stage| attempts(&stage)).max().unwrap_or(1);
    let ran = tally.entries.iter().filter(|entry| entry.outcome != Outcome::Rejected);
    ran.map(|entry| shown(entry).filter(|stage| stage.phase == StagePhase::Done).map_or(most, |stage| attempts(&stage)))
        .fold(0, u64::saturating_add)
}

/// The stage that holds the others up.
#[derive(Clone, Debug, PartialEq)]
pub struct Limiting {
    /// Its name.
    pub stage: String,
    /// The mean wait for it, where waits are known.
    pub wait: Option<Measured>,
    /// The mean work in it.
    pub work: Option<Measured>,
    /// Whether it was chosen for its wait; else for its work.
    pub by_wait: bool,
    /// The stage with the next longest mean wait: where it is nearly as long, another run may name that one.
    pub next: Option<(String, Measured)>,
}

impl Limiting {
    /// The stage with the largest mean wait; where no job is known to have waited, the one with the largest mean work.
    pub fn find(stages: &[StageFigures]) -> Option<Self> {
        let largest = |part: fn(&StageFigures) -> Option<Distribution>| {
            let means = stages.iter().filter_map(|stage| Some((stage, part(stage)?.mean)));
            let mut means: Vec<_> = means.filter(|(_, mean)| mean.seconds > 0.0).collect();
            means.sort_by(|a, b| b.1.seconds.total_cmp(&a.1.seconds));
            means.into_iter()
        };
        let mut by_wait = largest(|stage| stage.wait);
        let longest = by_wait.next();
        let (stage, _) = longest.or_else(|| largest(|stage| stage.work).next())?;
        Some(Self {
            stage: stage.name.clone(),
            wait: stage.wait.map(|wait| wait.mean),
            work: stage.work.map(|work| work.mean),
            by_wait: longest.is_some(),
            next: by_wait.next().map(|(stage, mean)| (stage.name.clone(), mean)),
        })
    }

    /// The reason why this stage limits, without its name: `jobs waited 8.20 s for it against 2.10 s of work, on average; next l1:
    /// 3.10 s`.
    pub fn text(&self) -> String {
        let mean = |part: Option<Measured>| part.map_or_else(|| "an unknown time".to_owned(), Measured::text);
        match (self.by_wait, self.wait) {
            (true, _) => {
                let next = self.next.as_ref().map(|(stage, wait)| format!("; next {stage}: {}", wait.text()));
                format!(
                    "jobs waited {} for it against {} of work, on average{}",
                    mean(self.wait),
                    mean(self.work),
                    next.unwrap_or_default()
                )
            }
            (false, Some(_)) => format!("{} of work on average; no stage was waited for", mean(self.work)),
            (false, None) => format!("{} of work on average; how long jobs waited is not known", mean(self.work)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{ClockOffset, StageSpec};

    fn plan(offset: Option<ClockOffset>) -> RunPlan {
        let spec = |name: &str, after: &[&str]| StageSpec {
            name: name.into(),
            after: after.iter().map(ToString::to_string).collect(),
            required: true,
        };
        RunPlan {
            stages: vec![spec("a", &[]), spec("b", &["a"]), spec("c", &["a", "b"])],
            offset,
            ..RunPlan::default()
        }
    }

    fn times(stages: &str, offset: Option<ClockOffset>) -> Vec<StageTimes> {
        let job: Job = serde_json::from_str(&format!(
            r#"{{"metadata":{{"name":"j"}},"status":{{"phase":"Succeeded","acceptedAt":"2026-01-01T00:00:00Z","stages":[{stages}]}}}}"#
        ))
        .unwrap();
        let plan = plan(offset);
        job.status.stages.iter().map(|stage| StageTimes::compute(&job, stage, Some(&plan))).collect()
    }

    fn server(name: &str, start: &str, end: &str) -> String {
        format!(
            r#"{{"name":"{name}","phase":"Done","timesFrom":"server","startedAt":"2026-01-01T00:00:{start}Z","endedAt":"2026-01-01T00:00:{end}Z"}}"#
        )
    }

    fn exact(measured: Option<Measured>) -> f64 {
        let measured = measured.unwrap();
        assert!(measured.error() < 1e-9, "{measured:?}");
        measured.seconds
    }

    #[test]
    fn a_stage_waits_from_the_latest_end_before_it() {
        let stages = [server("a", "10", "12"), server("b", "13", "20"), server("c", "21.5", "22")].join(",");
        let found = times(&stages, None);
        assert!(found[0].wait.is_none(), "two hosts are not compared without an offset");
        assert!((exact(found[1].wait) - 1.0).abs() < 1e-9);
        assert!((exact(found[2].wait) - 1.5).abs() < 1e-9);
        assert!((exact(found[1].work) - 7.0).abs() < 1e-9);
        let retried = stages.replace(r#""name":"b","#, r#""name":"b","attempt":2,"#);
        assert!(times(&retried, None)[1].wait.is_none(), "what came before the last attempt was not all waiting");
        let offset = ClockOffset { seconds: 8.0, bound_seconds: 0.25 };
        assert_eq!(times(&stages, Some(offset))[0].wait, Some(Measured { seconds: 2.0, low: 1.75, high: 2.25 }));
    }

    #[test]
    fn negative_waits_are_nothing_within_the_bound_and_doubtful_beyond() {
        let first = server("a", "10", "12");
        let within = ClockOffset { seconds: 10.2, bound_seconds: 0.25 };
        let wait = times(&first, Some(within))[0].wait.unwrap();
        assert!(wait.seconds == 0.0 && wait.low == 0.0 && (wait.high - 0.05).abs() < 1e-6, "{wait:?}");
        let beyond = times(&first, Some(ClockOffset { seconds: 11.0, bound_seconds: 0.25 }))[0];
        assert!(beyond.wait.is_none() && beyond.backwards && beyond.work.is_some());
    }

    #[test]
    fn polls_give_intervals() {
        let stages = r#"{"name":"a","phase":"Done","timesFrom":"polls","notStartedAt":"2026-01-01T00:00:01Z","startedAt":"2026-01-01T00:00:02Z","notEndedAt":"2026-01-01T00:00:05Z","endedAt":"2026-01-01T00:00:06Z"},
            {"name":"b","phase":"Done","timesFrom":"polls","notStartedAt":"2026-01-01T00:00:06Z","startedAt":"2026-01-01T00:00:08Z","notEndedAt":"2026-01-01T00:00:08Z","endedAt":"2026-01-01T00:00:09Z"}"#;
        let found = times(stages, None);
        assert_eq!(found[0].wait, Some(Measured { seconds: 2.0, low: 1.0, high: 2.0 }));
        assert_eq!(found[0].work, Some(Measured { seconds: 4.0, low: 3.0, high: 5.0 }));
        assert_eq!(found[1].wait, Some(Measured { seconds: 2.0, low: 0.0, high: 3.0 }));
    }

    #[test]
    fn the_longest_wait_limits_and_work_where_waits_are_unknown() {
        let figures = |name: &str, wait: Option<f64>, work: f64| StageFigures {
            name: name.into(),
            wait: wait.and_then(|wait| Distribution::from_samples(&[Measured::exact(wait)])),
            work: Distribution::from_samples(&[Measured::exact(work)]),
            ..StageFigures::default()
        };
        let limiting = Limiting::find(&[figures("a", Some(1.0), 9.0), figures("b", Some(8.2), 2.1)]).unwrap();
        assert_eq!(limiting.stage, "b");
        let text = "jobs waited 8.20 s for it against 2.10 s of work, on average; next a: 1.00 s";
        assert_eq!(limiting.text(), text);
        let limiting = Limiting::find(&[figures("a", Some(0.0), 9.0), figures("b", Some(8.2), 2.1)]).unwrap();
        assert_eq!(limiting.text(), "jobs waited 8.20 s for it against 2.10 s of work, on average");
        let limiting = Limiting::find(&[figures("a", None, 9.0), figures("b", None, 2.1)]).unwrap();
        assert_eq!(limiting.text(), "9.00 s of work on average; how long jobs waited is not known");
        let limiting = Limiting::find(&[figures("a", Some(0.0), 9.0), figures("b", Some(0.0), 2.1)]).unwrap();
        assert_eq!(limiting.text(), "9.00 s of work on average; no stage was waited for");
        assert_eq!(Limiting::find(&[]), None);
    }
}
