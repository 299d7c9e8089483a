//! The durations of the target's jobs.

use std::time::{Duration, Instant};

use fastrand::Rng;

/// A shape of durations; all of them in seconds.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Shape {
    Constant(f64),
    /// Between two.
    Uniform(f64, f64),
    /// With the median and the standard deviation of the logarithm.
    LogNormal(f64, f64),
    /// With the mean and the standard deviation.
    Normal(f64, f64),
    /// One of two, each within a tenth.
    Bimodal(f64, f64),
    /// With the least and the exponent of Pareto's distribution.
    HeavyTailed(f64, f64),
    /// One job after the other, each taking that long.
    Queued(f64),
}

/// Durations drawn from a shape, the same ones for every tool.
#[derive(Debug)]
pub(crate) struct Durations {
    shape: Shape,
    random: Rng,
    /// The moment at which the queue will be empty.
    free: Option<Instant>,
}

impl Durations {
    pub(crate) fn new(shape: Shape, seed: u64) -> Self {
        Self { shape, random: Rng::with_seed(seed), free: None }
    }

    /// The duration of the next job, which is accepted at `now`.
    pub(crate) fn next(&mut self, now: Instant) -> Duration {
        let random = &mut self.random;
        let seconds = match self.shape {
            Shape::Constant(seconds) => seconds,
            Shape::Uniform(from, to) => from + (to - from) * random.f64(),
            Shape::LogNormal(median, deviation) => median * (deviation * normal(random)).exp(),
            Shape::Normal(mean, deviation) => (mean + deviation * normal(random)).max(0.05 * mean),
            Shape::Bimodal(one, other) => (if random.bool() { one } else { other }) * (0.9 + 0.2 * random.f64()),
            Shape::HeavyTailed(least, exponent) => least * (1.0 - random.f64()).powf(-1.0 / exponent),
            Shape::Queued(each) => {
                let free = self.free.map_or(now, |free| free.max(now)) + Duration::from_secs_f64(each);
                self.free = Some(free);
                return free - now;
            }
        };
        Duration::from_secs_f64(seconds)
    }
}

/// A number of the standard normal distribution (Box and Muller).
fn normal(random: &mut Rng) -> f64 {
    (-2.0 * (1.0 - random.f64()).ln()).sqrt() * (std::f64::consts::TAU * random.f64()).cos()
}
