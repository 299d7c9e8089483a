//! Jobs in stages on a virtual clock: a schedule that is told of them against one that is not.

use std::collections::HashMap;

use fastrand::Rng;

use super::{SEEDS, SETTINGS};
use crate::Schedule;

/// The durations of a job's stages.
type Stages = fn(&mut Rng) -> Vec<f64>;

/// A job in flight: its submission, the ends of its stages, and the moment and the stage in which it was last seen.
struct Job {
    submitted: f64,
    ends: Vec<f64>,
    seen: f64,
    stage: Option<usize>,
}

/// The outcome of a run, as means over its jobs.
#[derive(Clone, Copy, Debug, Default)]
struct Outcome {
    /// Seconds from an end to the poll that saw it, and from the ends of the stages before.
    late: f64,
    changes_late: f64,
    polls: f64,
}

/// Runs 150 jobs, 16 of them at once. The schedule is told of `stages`, and of changes if only the polls tell their times.
fn run(seed: u64, stages: bool, changes: bool, draw: Stages) -> Outcome {
    let mut random = Rng::with_seed(seed);
    let mut schedule = Schedule::new(SETTINGS, random.fork());
    let (mut now, mut started, jobs) = (0.0_f64, 0, 150);
    let mut in_flight: HashMap<usize, Job> = HashMap::new();
    let mut sum = Outcome::default();
    loop {
        while started < jobs && in_flight.len() < 16 {
            let mut end = now;
            let ends = draw(&mut random).into_iter().map(|lasts| {
                end += lasts;
                end
            });
            in_flight.insert(started, Job { submitted: now, ends: ends.collect(), seen: now, stage: None });
            schedule.add(started, 0.0, f64::INFINITY, now);
            started += 1;
        }
        if in_flight.is_empty() {
            let each = |sum: f64| sum / jobs as f64;
            return Outcome { late: each(sum.late), changes_late: each(sum.changes_late), polls: each(sum.polls) };
        }
        now = schedule.next_due(now).expect("a job in flight is polled").max(now);
        let Some((_, number)) = schedule.take_due(now) else { continue };
        sum.polls += 1.0;
        let job = in_flight.get_mut(&number).expect("only jobs in flight are polled");
        let (stage, last) = (job.ends.partition_point(|end| *end <= now), job.ends.len() - 1);
        let ages = (job.seen - job.submitted, now - job.submitted);
        let passed = &job.ends[job.stage.unwrap_or_default()..stage.min(last)];
        sum.changes_late += passed.iter().map(|end| now - end).sum::<f64>();
        if stage > last {
            sum.late += now - job.ends[last];
            in_flight.remove(&number);
            schedule.ended(number, ages.1, now);
            continue;
        }
        if changes && !passed.is_empty() {
            schedule.changed(ages.0, ages.1);
        }
        if stages && job.stage != Some(stage) {
            schedule.entered(number, stage as u64, ages);
        }
        (job.stage, job.seen) = (Some(stage), now);
        schedule.running(number, Some(ages.1), 0.0, f64::INFINITY, now);
    }
}

/// The mean outcome of all seeds.
fn mean(stages: bool, changes: bool, draw: Stages) -> Outcome {
    let outcomes: Vec<Outcome> = (0..SEEDS).map(|seed| run(seed, stages, changes, draw)).collect();
    let mean = |part: fn(&Outcome) -> f64| outcomes.iter().map(part).sum::<f64>() / SEEDS as f64;
    Outcome {
        late: mean(|outcome| outcome.late),
        changes_late: mean(|outcome| outcome.changes_late),
        polls: mean(|outcome| outcome.polls),
    }
}

/// The lateness of the ends with stages by that without, at equal polls; with `changes`, of the changes of stage as well.
fn ratio(changes: bool, draw: Stages) -> f64 {
    // Lateness falls in proportion to polls.
    let cost = |outcome: Outcome| outcome.polls * (outcome.late + if changes { outcome.changes_late } else { 0.0 });
    cost(mean(true, changes, draw)) / cost(mean(false, changes, draw))
}

fn uniform(random: &mut Rng, from: f64, to: f64) -> f64 {
    from + (to - from) * random.f64()
}

fn short_then_random(random: &mut Rng) -> Vec<f64> {
    vec![uniform(random, 1.0, 3.0), uniform(random, 2.0, 20.0)]
}

fn queue_then_alike(random: &mut Rng) -> Vec<f64> {
    let mut stages = vec![-10.0 * (1.0 - random.f64()).ln()];
    stages.extend((0..3).map(|_| uniform(random, 1.8, 2.2)));
    stages
}

#[test]
fn the_last_stage_tells_when_a_job_will_end() {
    let random_then_constant = |random: &mut Rng| vec![uniform(random, 2.0, 20.0), 3.0];
    let told = ratio(false, random_then_constant);
    assert!(told < 0.4, "a random stage and one of 3 s: {told}");
    let seen = ratio(true, queue_then_alike);
    assert!(seen < 0.7, "a queue and stages that are alike: {seen}");
}

#[test]
fn a_stage_that_tells_nothing_costs_nothing() {
    let told = ratio(false, short_then_random);
    assert!(told < 1.05, "a short stage and a random one: {told}");
    let memoryless = |random: &mut Rng| (0..2).map(|_| -5.0 * (1.0 - random.f64()).ln()).collect();
    let seen = ratio(true, memoryless);
    assert!(seen < 1.05, "memoryless stages: {seen}");
    let same_end = |random: &mut Rng| {
        let first = uniform(random, 0.0, 10.0);
        vec![first, 12.0 + random.f64() - first]
    };
    let told = ratio(false, same_end);
    assert!(told < 1.05, "stages that end at one age: {told}");
}

#[test]
fn changes_that_only_polls_tell_are_seen_sooner() {
    let cost = |changes: bool| {
        let Outcome { changes_late, polls, .. } = mean(true, changes, short_then_random);
        changes_late * polls
    };
    let (seen, told) = (cost(true), cost(false));
    assert!(seen < 0.5 * told, "{seen} {told}");
}
