//! The latest events of one kind, each known to lie between two ages.

use std::collections::VecDeque;

use crate::grid::{STEP, bin_at};

/// The events that are remembered: the latest, because durations drift.
const REMEMBERED: usize = 512;
/// The number of events over which the mean precision is taken.
const AVERAGED: u64 = 48;
/// The neighbours over which an event is spread, on each side.
const NEIGHBOURS: (f64, f64) = (1.0, 4.0);
/// The reach of a single event, as a logarithm: one event says little about where others lie.
const ALONE: f64 = 0.15;

/// An event: the positions on the grid between which it lies, and a number in [0, 1) that tells where between them it is taken
/// to lie.
pub(crate) type Interval = (f64, f64, f64);

/// Events, the latest last.
#[derive(Debug, Default)]
pub(crate) struct Events {
    intervals: VecDeque<Interval>,
    /// The number of all that were added.
    pub(crate) total: u64,
    /// The mean width of the latest intervals, as a part of the age.
    pub(crate) width: f64,
}

impl Events {
    pub(crate) fn add(&mut self, interval: Interval) {
        if self.intervals.len() == REMEMBERED {
            self.intervals.pop_front();
        }
        self.intervals.push_back(interval);
        self.total += 1;
        let width = 1.0 - ((interval.0 - interval.1) * STEP).exp();
        self.width += (width - self.width) / self.total.min(AVERAGED) as f64;
    }

    /// The number of events that are remembered.
    pub(crate) fn intervals(&self) -> usize {
        self.intervals.len()
    }

    /// The part of all events that is remembered; one if there are none.
    pub(crate) fn remembered(&self) -> f64 {
        if self.total == 0 { 1.0 } else { self.intervals.len() as f64 / self.total as f64 }
    }

    /// The positions of the events in ascending order, each found by `place`.
    pub(crate) fn positions(&self, place: impl Fn(Interval) -> f64) -> Vec<f64> {
        let mut positions: Vec<f64> = self.intervals.iter().copied().map(place).collect();
        positions.sort_by(f64::total_cmp);
        positions
    }
}

/// The number of events in each of `bins` bins. Each of the ascending `positions` is spread over the distance to its
/// neighbours, so that the density is sharp where events are many.
pub(crate) fn density(positions: &[f64], bins: usize) -> Vec<f64> {
    let (mut density, mut slopes) = (vec![0.0; bins], vec![0.0; bins + 1]);
    let count = positions.len() as f64;
    let near = bin_at((count.sqrt() / 2.0).round().clamp(NEIGHBOURS.0, NEIGHBOURS.1));
    let shortest = (ALONE / STEP / count.powf(1.5)).max(0.5);
    let last_bin = bins - 1;
    for (index, at) in positions.iter().enumerate() {
        let right = positions.get(index + near).map(|other| other - at);
        let left = index.checked_sub(near).map(|other| at - positions[other]);
        let reach = match (left, right) {
            (Some(left), Some(right)) => left.min(right),
            (one, other) => one.or(other).unwrap_or(2.0 * ALONE / STEP),
        };
        let reach = reach.max(shortest);
        let (from, to) = ((at - reach).max(0.0), (at + reach).min(bins as f64));
        let each = 1.0 / (to - from);
        let (first, last) = (bin_at(from).min(last_bin), bin_at(to).min(last_bin));
        if first == last {
            density[first] += 1.0;
            continue;
        }
        density[first] += each * (first as f64 + 1.0 - from);
        density[last] += each * (to - last as f64);
        slopes[first + 1] += each;
        slopes[last] -= each;
    }
    let mut sum = 0.0;
    for (held, slope) in density.iter_mut().zip(&slopes) {
        sum += slope;
        *held += sum.max(0.0);
    }
    density
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_counts_once_wherever_it_lies() {
        for positions in [vec![0.0], vec![99.9], vec![3.2, 3.3, 50.0], (0..300).map(|at| f64::from(at) / 3.0).collect()]
        {
            let sum: f64 = density(&positions, 100).iter().sum();
            assert!((sum - positions.len() as f64).abs() < 1e-6, "{sum} of {}", positions.len());
        }
    }
}
