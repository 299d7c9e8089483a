//! Which job is polled when: a schedule that spends a budget of requests where ends are likely.
//!
//! It knows no clock and no network: every moment is a number of seconds that the caller names, so that tests run it on a virtual clock.
//! Before a job has ended, polls of all jobs together explore one hazard. As soon as jobs have ended, the others are polled in
//! proportion to the square root of the hazard that those ends tell, as often as the budget allows and the precision needs. Where
//! the stages that jobs are seen in tell more than their ages, that hazard is the one of leaving the stage.

mod budget;
mod events;
mod grid;
mod hazard;
#[cfg(test)]
mod simulation;
mod stage;
mod tracked;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use budget::Budget;
use grid::Curve;
use hazard::Hazard;
use stage::Stages;
use tracked::{Entry, Tracked};

/// The lateness to aim for, as a part of the precision: an interval is twice as wide as its end is late, and half of them are wider.
const GOAL: f64 = 0.1;
/// The least lateness to aim for, in seconds.
const LEAST_GOAL: f64 = 0.002;
/// The part of a poll by which first polls differ, so that jobs submitted together are not polled together.
const SPREAD: f64 = 0.5;
/// While nothing has ended: the polls in the time that the precision allows, of all jobs together.
const EXPLORING: f64 = 2.0;
/// While nothing has ended: the polls of each of many jobs while its age grows e-fold.
const EXPLORING_EACH: f64 = 0.5;
/// The same of all jobs together, by the square root of their number: the fewer they are, the more the first end tells that is seen
/// soon. It is nothing beside the polls that the ends of so many jobs take.
const EXPLORING_ALL: f64 = 25.0;
/// Added to an age of which a part is taken while nothing has ended, in seconds.
const YOUNG: f64 = 0.5;
/// The least new ends, as a part of those that are remembered, after which the hazard is estimated again.
const NEW_ENDS: u64 = 8;
const REMEMBERED_ENDS: u64 = 256;
/// Fewer ends tell little of the hazard.
const FEW_ENDS: u64 = 32;
/// The time after which it is, as a part of the mean duration while few jobs have ended and later, and its bounds in seconds.
const RENEWED: (f64, f64) = (0.05, 0.25);
const RENEWED_WITHIN: (f64, f64) = (0.02, 10.0);
/// The time for each job in flight that is left between two estimates, in seconds: each costs time in proportion.
const RENEWED_EACH: f64 = 2e-5;

/// Polls go by stage if that is better than by age by this factor; both are estimates.
const BETTER: f64 = 0.8;

/// While few jobs have ended, the part of the polls that goes to ages that jobs have reached is the part that ended to this power.
const REACHED: f64 = 0.4;

/// The settings of a schedule; times in seconds.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// The width of an end's interval to aim for, as a part of the job's age.
    pub precision: f64,
    /// The least time between two polls of a job.
    pub min: f64,
    /// The longest time between two polls of a job.
    pub max: f64,
    /// The most requests a second.
    pub ceiling: Option<f64>,
}

/// The schedule of all jobs.
#[derive(Debug)]
pub struct Schedule {
    settings: Settings,
    hazard: Hazard,
    budget: Budget,
    curve: Curve,
    stages: Stages,
    jobs: BTreeMap<usize, Tracked>,
    queue: BinaryHeap<Reverse<Entry>>,
    random: fastrand::Rng,
    /// At the latest estimate: the moment, the number of ends and of jobs in flight.
    estimated: (f64, u64, usize),
}

impl Schedule {
    /// A schedule without jobs, whose first moment is 0.
    pub fn new(settings: Settings, random: fastrand::Rng) -> Self {
        let hazard = Hazard::new();
        Self {
            curve: hazard.exploring_curve(1.0, settings.min),
            hazard,
            stages: Stages::default(),
            budget: Budget::new(settings.ceiling, settings.max),
            jobs: BTreeMap::new(),
            queue: BinaryHeap::new(),
            random,
            estimated: (0.0, 0, 0),
            settings,
        }
    }

    /// Adds a job that is `age` seconds old and has `left` seconds until it is given up.
    pub fn add(&mut self, job: usize, age: f64, left: f64, now: f64) {
        let settings = &self.settings;
        // A saved stream brings thousands of jobs that may have ended long ago; they must not all be polled in one moment.
        let first = (settings.precision * age).clamp(settings.min, settings.max) * self.random.f64();
        let by = if age > YOUNG { now + first } else { f64::INFINITY };
        let by = if left > 0.0 { by.min(now + left) } else { by };
        let tracked = Tracked {
            submitted: now - age,
            seen: 0.0,
            sent: now,
            from: now,
            carried: if self.hazard.ends() == 0 { 1.0 - 2.0 * self.random.f64() } else { SPREAD * self.random.f64() },
            not_before: 0.0,
            by,
            waits: true,
            entry: 0,
            stage: None,
        };
        self.hazard.enter(0.0);
        self.budget.count(self.jobs.len(), now);
        self.budget.add_job();
        self.jobs.insert(job, tracked);
        self.enqueue(job);
        self.renew_if_due(now);
    }

    /// A poll's answer saw the job running at `age`. The next one is sent not before `wait` seconds from now, but before `left` seconds
    /// are over. Without an age the answer told nothing.
    pub fn running(&mut self, job: usize, age: Option<f64>, wait: f64, left: f64, now: f64) {
        let Some(tracked) = self.jobs.get_mut(&job) else { return };
        if let Some(age) = age.filter(|age| *age > tracked.seen) {
            self.hazard.leave(tracked.seen);
            self.hazard.enter(age);
            if let Some((stage, at)) = tracked.stage {
                self.stages.see(stage, at, tracked.seen, age);
            }
            tracked.seen = age;
        }
        tracked.waits = true;
        (tracked.not_before, tracked.by) = (now + wait, now + left);
        self.enqueue(job);
        self.renew_if_due(now);
    }

    /// Something worth seeing changed in a job between two ages, although it goes on.
    pub fn changed(&mut self, after: f64, until: f64) {
        let draw = self.random.f64();
        self.hazard.change(after, until, draw);
    }

    /// The job was seen in `stage`, which it entered between two ages.
    pub fn entered(&mut self, job: usize, stage: u64, (after, until): (f64, f64)) {
        let Some(tracked) = self.jobs.get_mut(&job) else { return };
        let draw = self.random.f64();
        if let Some((old, at)) = tracked.stage {
            self.stages.exit(old, at, (after, until), false, draw);
            self.stages.leave(old, at, tracked.seen);
        }
        let at = f64::midpoint(after, until);
        tracked.stage = self.stages.number(stage).map(|stage| (stage, at));
        if let Some((stage, at)) = tracked.stage {
            self.stages.enter(stage, at, tracked.seen);
        }
    }

    /// The job was seen to have ended at `age`.
    pub fn ended(&mut self, job: usize, age: f64, now: f64) {
        let Some(tracked) = self.jobs.get(&job) else { return };
        let draw = self.random.f64();
        self.hazard.end(tracked.seen, age.max(tracked.seen), draw);
        if let Some((stage, at)) = tracked.stage {
            self.stages.exit(stage, at, (tracked.seen, age.max(tracked.seen)), true, draw);
        }
        self.take_out(job, now);
    }

    /// The job is polled no more.
    pub fn remove(&mut self, job: usize, now: f64) {
        if let Some((stage, at)) = self.jobs.get(&job).and_then(|tracked| tracked.stage) {
            self.stages.forget(stage, at);
        }
        self.take_out(job, now);
    }

    fn take_out(&mut self, job: usize, now: f64) {
        let Some(tracked) = self.jobs.remove(&job) else { return };
        self.hazard.leave(tracked.seen);
        if let Some((stage, at)) = tracked.stage {
            self.stages.leave(stage, at, tracked.seen);
        }
        self.budget.count(self.jobs.len() + 1, now);
        self.budget.end_job(self.jobs.len());
        self.renew_if_due(now);
    }

    /// The moment at which the next poll may be sent, or at which to ask again.
    pub fn next_due(&mut self, now: f64) -> Option<f64> {
        if self.jobs.is_empty() {
            return None;
        }
        if self.hazard.ends() > 0 {
            return self.next_poll(now);
        }
        // Time that passes without an end is news, too, as long as nothing has ended.
        if now >= self.estimated.0 + self.patience() {
            self.renew(now);
        }
        let renewed = (self.estimated.0 + self.patience()).max(now + RENEWED_WITHIN.0);
        self.next_poll(now).map(|due| due.min(renewed))
    }

    fn next_poll(&mut self, now: f64) -> Option<f64> {
        while let Some(Reverse(entry)) = self.queue.peek() {
            if self.jobs.get(&entry.job).is_some_and(|job| job.waits && job.entry == entry.number) {
                let due = entry.due;
                self.budget.count(self.jobs.len(), now);
                return Some(due.max(self.budget.affords_at(self.jobs.len(), now)));
            }
            self.queue.pop();
        }
        None
    }

    /// Takes out a job whose poll is sent now, with the moment at which that was due.
    pub fn take_due(&mut self, now: f64) -> Option<(f64, usize)> {
        let due = self.next_poll(now).filter(|due| *due <= now)?;
        let Reverse(entry) = self.queue.pop()?;
        // Jobs that explore together must not come to be polled together.
        let carried = if self.hazard.ends() == 0 { 1.0 - 2.0 * self.random.f64() } else { 0.0 };
        let tracked = self.jobs.get_mut(&entry.job)?;
        (tracked.waits, tracked.sent, tracked.from, tracked.carried) = (false, now, now, carried);
        self.budget.spend(now);
        Some((due, entry.job))
    }

    /// The moment from which the budget affords a request.
    pub fn affords_at(&mut self, now: f64) -> f64 {
        self.budget.count(self.jobs.len(), now);
        self.budget.affords_at(self.jobs.len(), now)
    }

    /// Counts a request that is no poll of a job. Returns the moment from which the ceiling allows it.
    pub fn spend(&mut self, now: f64) -> f64 {
        self.budget.count(self.jobs.len(), now);
        self.budget.spend_other(now)
    }

    /// The moment from which the ceiling allows a request.
    pub fn allows_at(&self) -> f64 {
        self.budget.allows_at()
    }

    fn enqueue(&mut self, job: usize) {
        let Some(tracked) = self.jobs.get_mut(&job) else { return };
        tracked.entry = tracked.entry.wrapping_add(1);
        let due = tracked.due(&self.settings, self.stages.curve(tracked, &self.curve), &self.hazard.grid);
        self.queue.push(Reverse(Entry { due, job, number: tracked.entry }));
    }

    /// Estimates the hazard again if enough has happened.
    fn renew_if_due(&mut self, now: f64) {
        let (at, ends, jobs) = self.estimated;
        let in_flight = self.jobs.len();
        let wanted = (self.hazard.ends().min(REMEMBERED_ENDS) / NEW_ENDS).max(1);
        let changed = in_flight > jobs + jobs / 4 || in_flight + in_flight / 4 < jobs;
        if self.hazard.ends() - ends >= wanted || changed || now > at + self.patience() {
            self.renew(now);
        }
    }

    /// The time after which the hazard is estimated again, whatever has happened.
    fn patience(&self) -> f64 {
        let part = if self.hazard.ends() < FEW_ENDS { RENEWED.0 } else { RENEWED.1 };
        let wanted = (part * self.hazard.mean).clamp(RENEWED_WITHIN.0, RENEWED_WITHIN.1);
        wanted.max(RENEWED_EACH * self.jobs.len() as f64)
    }

    fn renew(&mut self, now: f64) {
        let oldest = self.jobs.values().map(|job| now - job.submitted).fold(0.0, f64::max);
        if self.hazard.ends() == 0 {
            // What was due by the last curve stays due: the next one knows less of the ages behind it.
            for job in self.jobs.values_mut() {
                let at = |moment: f64| self.curve.at(&self.hazard.grid, moment - job.submitted);
                job.carried += at(now) - at(job.from);
                job.from = now;
            }
            self.hazard.estimate(oldest);
            self.curve = self.hazard.exploring_curve(self.exploring_factor(oldest, now), self.settings.min);
        } else {
            if self.estimated.1 == 0 {
                // The first end tells which jobs are overdue: those that passed its age since their last poll.
                for job in self.jobs.values_mut() {
                    (job.from, job.carried) = (job.sent, 0.0);
                }
            }
            self.hazard.estimate(oldest);
            self.stages.estimate(self.jobs.values(), now);
            self.curve = self.learned_curve(now);
        }
        self.estimated = (now, self.hazard.ends(), self.jobs.len());
        let mut entries = std::mem::take(&mut self.queue).into_vec();
        entries.clear();
        for (number, job) in self.jobs.iter_mut().filter(|(_, job)| job.waits) {
            job.entry = job.entry.wrapping_add(1);
            let due = job.due(&self.settings, self.stages.curve(job, &self.curve), &self.hazard.grid);
            entries.push(Reverse(Entry { due, job: *number, number: job.entry }));
        }
        self.queue = entries.into();
    }

    /// The factor of √hazard at which all jobs together are polled as often as exploring takes.
    fn exploring_factor(&self, oldest: f64, now: f64) -> f64 {
        let by_age = EXPLORING / (self.settings.precision * (oldest + YOUNG));
        let jobs = self.jobs.len() as f64;
        let by_jobs = (EXPLORING_EACH * jobs).max(EXPLORING_ALL * jobs.sqrt()) / (oldest + YOUNG);
        let rate = by_age.max(by_jobs).max(self.budget.rate(0)).min(self.settings.ceiling.unwrap_or(f64::INFINITY));
        let roots: f64 = self.jobs.values().map(|job| self.hazard.root(now - job.submitted)).sum();
        rate / roots.max(1e-9)
    }

    /// The curve for the hazard that the ends so far tell.
    fn learned_curve(&mut self, now: f64) -> Curve {
        let (jobs, Settings { precision, min, .. }) = (self.jobs.len(), self.settings);
        self.budget.count(jobs, now);
        let goal = (GOAL * precision * self.hazard.mean).max(LEAST_GOAL);
        // While ends are seen less precisely than they shall be, the budget decides.
        let goal = Some(goal).filter(|_| self.hazard.width() <= 0.5 * precision);
        let by_age = self.hazard.spread;
        let staged = self.stages.spreads(self.hazard.ends()).filter(|spreads| {
            // At equal polls, the lateness of what is worth seeing grows with the product of its spread and that of all polls.
            let seen = if self.hazard.sees_changes() { spreads.exits } else { spreads.ends };
            spreads.exits * seen < (BETTER * by_age).powi(2)
        });
        let spread = staged.map_or(by_age, |spreads| spreads.exits);
        let polls = self.budget.polls(jobs, self.hazard.mean, spread, goal);
        // Some of them are for ages that no job has reached yet. A job's last poll comes a part of a poll after its end.
        let ended = 1.0 - self.hazard.survival;
        let all = self.hazard.ends() as f64 + jobs as f64;
        let reached = (self.hazard.ends() as f64 / all).powf(REACHED).max(ended).min(ended.powf(REACHED));
        let spent = (polls * reached * self.budget.health(jobs) - 0.75).max(0.5);
        self.stages.plan(staged.map(|_| spent / spread), precision, min);
        self.hazard.curve(spent, precision, min, 0.0)
    }
}
