//! The schedule on a virtual clock, with jobs whose ends are known, against the best that any schedule can do.

mod staged;

use std::collections::HashMap;

use fastrand::Rng;

use crate::{Schedule, Settings};

const SETTINGS: Settings = Settings { precision: 0.05, min: 0.005, max: 10.0, ceiling: None };
/// The age-proportional schedule's bounds of an interval, in seconds.
const CLAMP: (f64, f64) = (0.1, 10.0);
/// Runs of each shape.
const SEEDS: u64 = 100;

/// The duration of a job, by its number and the moment of its submission.
type Durations<'a> = &'a mut dyn FnMut(usize, f64, &mut Rng) -> f64;

/// The outcome of a run, as means over its jobs.
#[derive(Clone, Copy, Debug, Default)]
struct Outcome {
    /// Seconds from an end to the poll that saw it.
    late: f64,
    polls: f64,
    /// Requests a second over the whole run.
    rate: f64,
    /// The most requests in any second.
    busiest: usize,
}

/// Runs `jobs` jobs, `slots` of them at once.
fn run(seed: u64, jobs: usize, slots: usize, settings: Settings, durations: Durations) -> Outcome {
    let mut random = Rng::with_seed(seed);
    let mut schedule = Schedule::new(settings, random.fork());
    let (mut now, mut started) = (0.0, 0);
    // The submission and the end of each job in flight.
    let mut in_flight = HashMap::new();
    let (mut late, mut sent) = (0.0, Vec::new());
    let mut start =
        |now: f64, schedule: &mut Schedule, in_flight: &mut HashMap<usize, (f64, f64)>, random: &mut Rng| {
            if started < jobs {
                in_flight.insert(started, (now, now + durations(started, now, random)));
                schedule.add(started, 0.0, f64::INFINITY, now);
                started += 1;
            }
        };
    for _ in 0..slots {
        start(now, &mut schedule, &mut in_flight, &mut random);
    }
    while !in_flight.is_empty() {
        now = schedule.next_due(now).expect("a job in flight is polled").max(now);
        while let Some((_, job)) = schedule.take_due(now) {
            sent.push(now);
            let (submitted, end) = in_flight[&job];
            if now < end {
                schedule.running(job, Some(now - submitted), 0.0, f64::INFINITY, now);
                continue;
            }
            late += now - end;
            in_flight.remove(&job);
            schedule.ended(job, now - submitted, now);
            start(now, &mut schedule, &mut in_flight, &mut random);
        }
    }
    let busiest = (0..sent.len()).map(|first| sent[first..].partition_point(|at| *at < sent[first] + 1.0)).max();
    let each = |sum: f64| sum / jobs as f64;
    let (polls, rate) = (each(sent.len() as f64), sent.len() as f64 / now);
    Outcome { late: each(late), polls, rate, busiest: busiest.unwrap_or_default() }
}

/// The same with polls at intervals that are a fraction of the age, as poll-jobs sent them before it learned.
fn age_proportional(seed: u64, jobs: usize, slots: usize, fraction: f64, durations: Durations) -> Outcome {
    let mut random = Rng::with_seed(seed);
    let mut free = vec![0.0_f64; slots];
    let (mut late, mut polls) = (0.0, 0.0);
    for job in 0..jobs {
        let slot = (0..slots).min_by(|a, b| free[*a].total_cmp(&free[*b])).expect("a slot");
        let duration = durations(job, free[slot], &mut random);
        let mut age: f64 = 0.0;
        while age < duration {
            age += (fraction * age).clamp(CLAMP.0.min(2.0 * fraction), CLAMP.1) * (1.0 - 0.2 * random.f64());
            polls += 1.0;
        }
        late += age - duration;
        free[slot] += age;
    }
    Outcome { late: late / jobs as f64, polls: polls / jobs as f64, rate: 0.0, busiest: 0 }
}

/// A number of the standard normal distribution (Box and Muller).
fn normal(random: &mut Rng) -> f64 {
    (-2.0 * (1.0 - random.f64()).ln()).sqrt() * (std::f64::consts::TAU * random.f64()).cos()
}

/// The integral of √(f S), from the quantiles of a large sample.
fn spread(draw: fn(&mut Rng) -> f64) -> f64 {
    let (mut random, parts, each) = (Rng::with_seed(99), 1000, 400);
    let mut sample: Vec<f64> = (0..=parts * each).map(|_| draw(&mut random)).collect();
    sample.sort_by(f64::total_cmp);
    let part = |part: usize| {
        let width = sample[(part + 1) * each] - sample[part * each];
        (width / parts as f64 * (1.0 - (part as f64 + 0.5) / parts as f64)).sqrt()
    };
    (0..parts).map(part).sum()
}

/// The mean outcome of all seeds.
fn mean(outcome: impl Fn(u64) -> Outcome) -> Outcome {
    let outcomes: Vec<Outcome> = (0..SEEDS).map(outcome).collect();
    let mean = |part: fn(&Outcome) -> f64| outcomes.iter().map(part).sum::<f64>() / SEEDS as f64;
    Outcome {
        late: mean(|outcome| outcome.late),
        polls: mean(|outcome| outcome.polls),
        rate: mean(|outcome| outcome.rate),
        busiest: outcomes.iter().map(|outcome| outcome.busiest).max().unwrap_or_default(),
    }
}

/// Checks that jobs with independent durations are seen to end at most half as late again as with the best schedule that
/// knows their distribution, at the same number of polls; or within 10 ms.
fn check_independent(name: &str, jobs: usize, slots: usize, draw: fn(&mut Rng) -> f64) {
    let Outcome { late, polls, .. } = mean(|seed| run(seed, jobs, slots, SETTINGS, &mut |_, _, random| draw(random)));
    let bound = (1.5 * spread(draw).powi(2) / (2.0 * polls)).max(0.010);
    assert!(late <= bound, "{name}: {late} s late at {polls} polls, bound {bound}");
}

/// Checks that jobs which end at ages that nobody knew before are seen to end within `late` seconds on average, for `polls` each.
fn check_cold(name: &str, jobs: usize, slots: usize, (late, polls): (f64, f64), draw: fn(&mut Rng) -> f64) {
    let outcome = mean(|seed| run(seed, jobs, slots, SETTINGS, &mut |_, _, random| draw(random)));
    assert!(outcome.late <= late && outcome.polls <= polls, "{name}: {outcome:?}");
}

/// Checks that jobs are seen to end at most a tenth later than with the age-proportional schedule at as many polls.
fn check_dependent<D: FnMut(usize, f64, &mut Rng) -> f64>(
    name: &str,
    jobs: usize,
    slots: usize,
    durations: impl Fn() -> D,
) {
    let ours = mean(|seed| run(seed, jobs, slots, SETTINGS, &mut durations()));
    let theirs = |fraction: f64| mean(|seed| age_proportional(seed, jobs, slots, fraction, &mut durations()));
    let (mut few, mut many) = (1.0_f64, 0.0005_f64);
    for _ in 0..12 {
        let middle = (few * many).sqrt();
        if theirs(middle).polls > ours.polls { many = middle } else { few = middle }
    }
    let bound = 1.1 * theirs(few).late;
    assert!(ours.late <= bound, "{name}: {ours:?}, bound {bound}");
}

#[test]
fn constant_and_uniform_durations() {
    check_independent("constant", 400, 20, |_| 2.0);
    check_independent("uniform", 400, 16, |random| 7.0 + 6.0 * random.f64());
}

#[test]
fn normal_and_exponential_durations() {
    check_independent("normal", 400, 16, |random| (10.0 + 2.0 * normal(random)).max(0.1));
    check_independent("exponential", 400, 16, |random| -10.0 * (1.0 - random.f64()).ln());
}

#[test]
fn weibull_and_heavy_tailed_durations() {
    check_independent("Weibull", 400, 16, |random| 10.0 * (-(1.0 - random.f64()).ln()).sqrt());
    check_independent("heavy tail", 400, 16, |random| (1.0 - random.f64()).powf(-1.0 / 1.5));
}

#[test]
fn two_kinds_of_durations() {
    let two = |random: &mut Rng| {
        if random.bool() { 10.0 + normal(random) } else { 40.0 + 2.0 * normal(random) }
    };
    check_independent("bimodal", 400, 16, two);
    let short = |random: &mut Rng| {
        if random.f64() < 0.01 { 3.0 + random.f64() } else { 30.0 + 3.0 * random.f64() }
    };
    check_independent("1% short", 1200, 16, short);
}

#[test]
fn durations_that_depend_on_one_another() {
    check_dependent("slowing", 200, 16, || {
        |job: usize, _, random: &mut Rng| (1.0 + 0.02 * job as f64) * (0.9 + 0.2 * random.f64())
    });
    check_dependent("batched", 200, 16, || |_, now: f64, _: &mut Rng| ((now / 5.0).floor() + 1.0) * 5.0 - now + 0.3);
    let queued = || {
        let mut free = 0.0_f64;
        move |_, now: f64, random: &mut Rng| {
            free = free.max(now) + 0.2 * (0.8 + 0.4 * random.f64());
            free - now
        }
    };
    check_dependent("queued", 200, 16, queued);
    check_dependent("a queue of all jobs", 150, 150, queued);
}

#[test]
fn the_first_ends_are_seen_soon() {
    check_cold("uniform", 200, 50, (0.020, 12.0), |random| 0.7 + 0.6 * random.f64());
    check_cold("constant", 600, 200, (0.035, 8.0), |_| 2.0);
}

#[test]
fn long_jobs_are_polled_at_the_free_rate() {
    let minutes = |random: &mut Rng| 60.0 * (0.3 * normal(random)).exp();
    let outcome = mean(|seed| run(seed, 12, 4, SETTINGS, &mut |_, _, random| minutes(random)));
    assert!(outcome.rate <= 20.5 && outcome.late <= 0.15, "{outcome:?}");
}

#[test]
fn a_ceiling_holds_in_every_second() {
    let settings = Settings { ceiling: Some(50.0), ..SETTINGS };
    let outcome = run(1, 100, 40, settings, &mut |_, _, random| 2.0 + random.f64());
    assert!(outcome.busiest <= 51, "{outcome:?}");
}

/// Waits for the next poll and sends it. Returns the moment.
fn next_poll(schedule: &mut Schedule, mut now: f64) -> f64 {
    loop {
        now = schedule.next_due(now).expect("a job in flight is polled").max(now);
        if schedule.take_due(now).is_some() {
            return now;
        }
    }
}

#[test]
fn a_wait_that_the_target_asks_for_is_obeyed() {
    let mut schedule = Schedule::new(SETTINGS, Rng::with_seed(1));
    schedule.add(0, 0.0, 60.0, 0.0);
    let sent = next_poll(&mut schedule, 0.0);
    schedule.running(0, Some(sent), 30.0, 60.0, sent);
    assert!(next_poll(&mut schedule, sent) >= sent + 30.0, "even beyond the longest interval");
    let again = sent + 30.0;
    schedule.running(0, Some(again), 30.0, 20.0, again);
    assert!(next_poll(&mut schedule, again) <= again + 20.1, "but not beyond the deadline");
}
