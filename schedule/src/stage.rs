//! The stages that jobs were last seen in: the hazard of leaving each, by the time since a job entered it or by the job's age.
//!
//! A job in a stage is compared with the jobs that were in it, and by the clock that tells more. The sum over the stages of ∫ √(f S)
//! is never larger than the same of all jobs by age (Cauchy and Schwarz), so stages do no harm once they are known well.

use std::collections::HashMap;

use crate::grid::Curve;
use crate::hazard::Hazard;
use crate::tracked::Tracked;

/// The exits of a stage that tell enough of it.
const ENOUGH: u64 = 16;
/// The part of all ends and exits that must be those of stages of which enough is known.
const KNOWN: f64 = 0.9;
/// The most stages: a target may name any number of them.
const MOST: usize = 32;
/// The time since the entry tells more than the age if its spread is smaller by this factor.
const CLEARLY: f64 = 0.95;

/// One stage.
#[derive(Debug)]
struct Stage {
    /// The hazard of leaving it, by the time since the entry, and by age.
    since: Hazard,
    by_age: Hazard,
    is_since: bool,
    /// The curve of the better one; none while jobs are polled by their age alone.
    curve: Option<Curve>,
    /// The number of jobs that entered it, with their mean age then, and of those that ended in it.
    entries: u64,
    entered: f64,
    ended: u64,
}

impl Stage {
    fn new() -> Self {
        let (since, by_age) = (Hazard::new(), Hazard::new());
        Self { since, by_age, is_since: true, curve: None, entries: 0, entered: 0.0, ended: 0 }
    }

    fn exits(&self) -> u64 {
        self.since.ends()
    }

    fn is_known(&self) -> bool {
        self.exits() >= ENOUGH
    }

    fn spread(&self) -> f64 {
        if self.is_since { self.since.spread } else { self.by_age.spread }
    }
}

/// The sums over the stages of ∫ √(f S), for each job that ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spreads {
    /// Of all exits.
    pub(crate) exits: f64,
    /// Of the exits that are ends.
    pub(crate) ends: f64,
}

/// All stages.
#[derive(Debug, Default)]
pub(crate) struct Stages {
    numbers: HashMap<u64, usize>,
    stages: Vec<Stage>,
}

impl Stages {
    /// The number of a stage; none if there are too many.
    pub(crate) fn number(&mut self, stage: u64) -> Option<usize> {
        if !self.numbers.contains_key(&stage) && self.stages.len() < MOST {
            self.numbers.insert(stage, self.stages.len());
            self.stages.push(Stage::new());
        }
        self.numbers.get(&stage).copied()
    }

    /// A job that was last seen at the age `seen` entered at the age `at`.
    pub(crate) fn enter(&mut self, stage: usize, at: f64, seen: f64) {
        let held = &mut self.stages[stage];
        held.entries += 1;
        held.entered += (at - held.entered) / held.entries as f64;
        held.by_age.begin(at);
        self.be_in(stage, at, seen);
    }

    fn be_in(&mut self, stage: usize, at: f64, seen: f64) {
        let stage = &mut self.stages[stage];
        stage.since.enter((seen - at).max(0.0));
        stage.by_age.enter(seen.max(at));
    }

    /// The job is no longer in it.
    pub(crate) fn leave(&mut self, stage: usize, at: f64, seen: f64) {
        let stage = &mut self.stages[stage];
        stage.since.leave((seen - at).max(0.0));
        stage.by_age.leave(seen.max(at));
    }

    /// The job was seen in it again.
    pub(crate) fn see(&mut self, stage: usize, at: f64, before: f64, now: f64) {
        self.leave(stage, at, before);
        self.be_in(stage, at, now);
    }

    /// A job left it between two ages, because it ended or went on to another.
    pub(crate) fn exit(&mut self, stage: usize, at: f64, (after, until): (f64, f64), is_end: bool, draw: f64) {
        let stage = &mut self.stages[stage];
        let after = after.max(at);
        let until = until.max(after);
        stage.since.end(after - at, until - at, draw);
        stage.by_age.end(after, until, draw);
        stage.ended += u64::from(is_end);
    }

    /// A job that entered at the age `at` is polled no more, although it did not end.
    pub(crate) fn forget(&mut self, stage: usize, at: f64) {
        self.stages[stage].by_age.forget(at);
    }

    /// Estimates the hazards.
    pub(crate) fn estimate<'a>(&mut self, jobs: impl Iterator<Item = &'a Tracked>, now: f64) {
        if self.stages.len() < 2 {
            return;
        }
        let mut oldest = vec![(0.0_f64, 0.0_f64); self.stages.len()];
        for (job, (stage, at)) in jobs.filter_map(|job| Some((job, job.stage?))) {
            let (age, (since, oldest)) = (now - job.submitted, &mut oldest[stage]);
            (*since, *oldest) = (since.max(age - at), oldest.max(age));
        }
        for (stage, (since, age)) in self.stages.iter_mut().zip(oldest).filter(|(stage, _)| stage.is_known()) {
            stage.since.estimate(since);
            stage.by_age.estimate(age);
            stage.is_since = stage.since.spread < CLEARLY * stage.by_age.spread;
        }
    }

    /// The spreads for so many `ends`; none if too little is known.
    pub(crate) fn spreads(&self, ends: u64) -> Option<Spreads> {
        let known = || self.stages.iter().filter(|stage| stage.is_known());
        let (all, exits): (u64, u64) = (self.stages.iter().map(Stage::exits).sum(), known().map(Stage::exits).sum());
        let ended: u64 = known().map(|stage| stage.ended).sum();
        let is_known = ended as f64 >= KNOWN * ends as f64 && exits as f64 >= KNOWN * all as f64;
        let of = |number: fn(&Stage) -> u64| {
            known().map(|stage| number(stage) as f64 * stage.spread()).sum::<f64>() / ends as f64
        };
        let spreads = Spreads { exits: of(Stage::exits), ends: of(|stage| stage.ended) };
        Some(spreads).filter(|_| is_known && self.stages.len() > 1)
    }

    /// Has jobs polled at `factor` times √hazard of leaving their stage, or by their age alone if there is none.
    pub(crate) fn plan(&mut self, factor: Option<f64>, precision: f64, min: f64) {
        for stage in &mut self.stages {
            let polls = factor.filter(|_| stage.is_known()).map(|factor| factor * stage.spread());
            let (hazard, began) = if stage.is_since { (&stage.since, stage.entered) } else { (&stage.by_age, 0.0) };
            stage.curve = polls.map(|polls| hazard.curve(polls, precision, min, began));
        }
    }

    /// The curve of a job, and the moment from which it counts: `by_age` from the submission if there is none for its stage.
    pub(crate) fn curve<'a>(&'a self, job: &Tracked, by_age: &'a Curve) -> (&'a Curve, f64) {
        let staged = job.stage.and_then(|(number, at)| {
            let stage = &self.stages[number];
            Some((stage.curve.as_ref()?, if stage.is_since { job.submitted + at } else { job.submitted }))
        });
        staged.unwrap_or((by_age, job.submitted))
    }
}
