//! The hazard of an end at each age, learned from the jobs of a run.
//!
//! The ends are interval-censored (each lies between two polls) and the jobs in flight right-censored. An end within a wide interval is
//! placed by what is known of the others, again at each estimate: the expectation-maximisation of Turnbull (1976) with
//! draws in place of expectations. The hazard is the number of ends in a bin by the number of jobs that reached it.
//!
//! Polls in proportion to the square root of the hazard minimise the time for which ends go unseen (Barlow, Hunter and
//! Proschan, 1963; Keller, 1974).

use crate::events::{Events, density};
use crate::grid::{Curve, Grid, bin_at, bins_to};

/// The weight of what is believed before anything is known, in jobs.
const PRIOR_JOBS: f64 = 0.3;
/// Jobs that are taken to go on wherever a job ended: the first end at a new age says little about the others.
const CAUTION: f64 = 1.0;
/// A job of which nothing is known may end at any age, equally likely on a logarithmic scale that begins about here, in seconds.
const PRIOR_AGE: f64 = 0.3;
/// An end is likely if it has this probability within the next step of the precision.
const LIKELY: f64 = 0.03;
/// Added to an age of which a part is taken, in seconds: the interval of a job that has only just begun is not zero.
const YOUNG: f64 = 0.1;
/// The finest interval between two polls, as a part of the age.
const FINEST: f64 = 2e-4;
/// While intervals are wider than this part of the age, more estimates are made in turn.
const WIDE: f64 = 0.02;
/// The estimates that are then made.
const ROUNDS: usize = 3;
/// The part by which the grid goes on beyond the oldest job.
const BEYOND: f64 = 2.0;
/// It goes on beyond this age in any case, in seconds.
const SOON: f64 = 1.0;

/// What is known.
#[derive(Debug)]
pub(crate) struct Hazard {
    pub(crate) grid: Grid,
    ends: Events,
    changes: Events,
    /// The number of jobs in flight whose latest sighting lies in each bin.
    running: Vec<u32>,
    /// The number of jobs that came under observation in each bin; none if all of them did at age 0.
    entries: Vec<u32>,
    /// For each bin, as far as anything is known or expected.
    bins: Vec<Bin>,
    /// The number of bins up to the oldest job.
    reached: usize,
    /// The mean age at the end, in seconds.
    pub(crate) mean: f64,
    /// The part of jobs that have not ended at the age of the oldest one.
    pub(crate) survival: f64,
    /// The integral of √(f S) over the age, in √s, for the density f and the survival S.
    pub(crate) spread: f64,
}

/// One bin of an estimate.
#[derive(Clone, Copy, Debug, Default)]
struct Bin {
    /// The cumulative hazard at its start.
    before: f64,
    /// The hazard of an end, over the bin.
    end: f64,
    /// The hazard of anything worth seeing, over the bin.
    seen: f64,
    /// The part of jobs that reach its middle.
    survival: f64,
}

impl Hazard {
    pub(crate) fn new() -> Self {
        let grid = Grid::new();
        let running = vec![0; Grid::bins()];
        let (ends, changes) = (Events::default(), Events::default());
        let mut hazard = Self {
            grid,
            ends,
            changes,
            running,
            entries: Vec::new(),
            bins: Vec::new(),
            reached: 1,
            mean: 0.0,
            survival: 1.0,
            spread: 0.0,
        };
        hazard.estimate(0.0);
        hazard
    }

    /// A job came under observation at `age`.
    pub(crate) fn begin(&mut self, age: f64) {
        self.entries.resize(Grid::bins(), 0);
        self.entries[Grid::bin(age)] += 1;
    }

    /// The job that came under observation at `age` is no longer observed, although it did not end.
    pub(crate) fn forget(&mut self, age: f64) {
        if let Some(entries) = self.entries.get_mut(Grid::bin(age)) {
            *entries = entries.saturating_sub(1);
        }
    }

    /// The number of ends so far.
    pub(crate) fn ends(&self) -> u64 {
        self.ends.total
    }

    /// The mean width of the latest ends' intervals, as a part of the age.
    pub(crate) fn width(&self) -> f64 {
        self.ends.width
    }

    /// A job is in flight that was last seen running at `age`.
    pub(crate) fn enter(&mut self, age: f64) {
        self.running[Grid::bin(age)] += 1;
    }

    /// The job that was last seen running at `age` is no longer in flight, or was seen later.
    pub(crate) fn leave(&mut self, age: f64) {
        let running = &mut self.running[Grid::bin(age)];
        *running = running.saturating_sub(1);
    }

    /// A job ended between two ages; `draw` is random in [0, 1).
    pub(crate) fn end(&mut self, after: f64, until: f64, draw: f64) {
        self.ends.add((Grid::position(after), Grid::position(until), draw));
    }

    /// A job changed between two ages in a way that is worth seeing.
    pub(crate) fn change(&mut self, after: f64, until: f64, draw: f64) {
        self.changes.add((Grid::position(after), Grid::position(until), draw));
    }

    /// Changes are worth seeing.
    pub(crate) fn sees_changes(&self) -> bool {
        self.changes.total > 0
    }

    /// A position between two, drawn from what is known.
    fn place(&self, (from, to, draw): (f64, f64, f64)) -> f64 {
        if to - from < 1.0 || self.bins.is_empty() {
            return f64::midpoint(from, to);
        }
        let last = self.bins.len() - 1;
        let cumulative = |position: f64| {
            let bin = bin_at(position).min(last);
            self.bins[bin].before + (position - bin as f64) * self.bins[bin].end
        };
        let (low, high) = (cumulative(from), cumulative(to));
        // The inverse of the distribution between the two.
        let wanted = low - (1.0 - draw * (1.0 - (low - high).exp())).ln();
        let bin = self.bins.partition_point(|bin| bin.before < wanted).saturating_sub(1);
        let part = (wanted - self.bins[bin].before) / self.bins[bin].end;
        (bin as f64 + part).clamp(from, to)
    }

    /// Estimates the hazard; the oldest job is `oldest` seconds old.
    pub(crate) fn estimate(&mut self, oldest: f64) {
        let rounds = if self.ends.width > WIDE { ROUNDS } else { 1 };
        for _ in 0..rounds {
            self.estimate_once(oldest);
        }
    }

    fn estimate_once(&mut self, oldest: f64) {
        let ends = self.ends.positions(|interval| self.place(interval));
        let changes = self.changes.positions(|interval| self.place(interval));
        let last = ends.last().into_iter().chain(changes.last()).copied().fold(Grid::position(oldest), f64::max);
        let count = (bin_at(last.max(Grid::position(SOON))) + 1 + bins_to(BEYOND)).min(Grid::bins());
        self.reached = (bin_at(last) + 1).min(count);
        let ended = density(&ends, count);
        let other = if changes.is_empty() { Vec::new() } else { density(&changes, count) };
        let weight = self.ends.remembered();
        self.bins.clear();
        self.bins.resize(count, Bin::default());
        let mut above = 0.0;
        let all = (self.ends.intervals() as f64
            + weight * self.running.iter().map(|number| f64::from(*number)).sum::<f64>())
        .max(1.0);
        for index in (0..count).rev() {
            let (start, width) = (self.grid.start(index), self.grid.width(index));
            let believed = PRIOR_JOBS * width / (start + PRIOR_AGE);
            let at_risk = above + 0.5 * ended[index] + PRIOR_JOBS;
            let bin = &mut self.bins[index];
            bin.survival = (at_risk / all).min(1.0);
            bin.end = ended[index] / (at_risk + CAUTION) + believed / at_risk;
            bin.seen = bin.end + other.get(index).map_or(0.0, |number| number / at_risk);
            let entries = self.entries.get(index).copied().unwrap_or_default();
            above += ended[index] + (f64::from(self.running[index]) - f64::from(entries)) * weight;
            above = above.max(0.0);
        }
        let mut before = 0.0;
        (self.mean, self.spread) = (0.0, 0.0);
        for (index, bin) in self.bins.iter_mut().enumerate() {
            bin.before = before;
            if self.entries.is_empty() {
                bin.survival = (-(before + 0.5 * bin.end)).exp();
            }
            before += bin.end;
            if index < self.reached {
                let width = self.grid.width(index);
                self.mean += bin.survival * width;
                self.spread += bin.survival * (bin.seen * width).sqrt();
                self.survival = (-before).exp();
            }
        }
    }

    /// The square root of the hazard at `age`, in 1/√s.
    pub(crate) fn root(&self, age: f64) -> f64 {
        let bin = Grid::bin(age).min(self.bins.len() - 1);
        (self.bins[bin].seen / self.grid.width(bin)).sqrt()
    }

    /// A curve that grows by `factor` times √hazard a second, but not so fast that polls follow within `min` seconds.
    pub(crate) fn exploring_curve(&self, factor: f64, min: f64) -> Curve {
        Curve::from_steps(self.steps(0.0, min, 0.0).map(|step| step.at(factor)))
    }

    /// The curve that spends about `polls` on each job: in proportion to √hazard, and where an end is likely at least one for
    /// each `precision` of the age. A job is `began` seconds old where the curve begins.
    pub(crate) fn curve(&self, polls: f64, precision: f64, min: f64, began: f64) -> Curve {
        let steps: Vec<Step> = self.steps(precision, min, began).collect();
        let expected = |factor: f64| -> f64 {
            let reached = steps.iter().zip(&self.bins).take(self.reached);
            reached.map(|(step, bin)| bin.survival * step.at(factor)).sum()
        };
        let mut factor = polls / self.spread.max(1e-6);
        let mut spent = expected(factor);
        for _ in 0..4 {
            if (0.95..=1.05).contains(&(spent / polls)) {
                break;
            }
            factor *= (polls / spent.max(1e-9)).min(1.5);
            spent = expected(factor);
        }
        // Where the precision asks for more than there is, it gets its part.
        let scale = (polls / spent.max(1e-9)).min(1.0);
        Curve::from_steps(steps.iter().map(|step| scale * step.at(factor)))
    }

    fn steps(&self, precision: f64, min: f64, began: f64) -> impl Iterator<Item = Step> {
        let ahead = bins_to(1.0 + precision);
        self.bins.iter().enumerate().map(move |(index, bin)| {
            let (start, width) = (self.grid.start(index), self.grid.width(index));
            let near = self.bins[(index + ahead).min(self.bins.len() - 1)].before - bin.before;
            let least = if near >= LIKELY { width / (precision * (start + began + YOUNG)) } else { 0.0 };
            Step { root: (bin.seen * width).sqrt(), least, most: width / min.max(FINEST * start) }
        })
    }
}

/// The growth of a curve over one bin.
#[derive(Clone, Copy, Debug)]
struct Step {
    /// √hazard times the width.
    root: f64,
    least: f64,
    most: f64,
}

impl Step {
    fn at(self, factor: f64) -> f64 {
        (factor * self.root).max(self.least).min(self.most)
    }
}
