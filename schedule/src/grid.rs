//! Ages on a grid whose steps are equally far apart in their logarithm, and functions of the age on it.

/// The end of the first bin, in seconds.
const FIRST: f64 = 0.01;
/// The width of every other bin, as a logarithm.
pub(crate) const STEP: f64 = 0.004;
/// Up to eleven days.
const BINS: usize = 4606;

/// The bins.
#[derive(Debug)]
pub(crate) struct Grid {
    /// The start of each, in seconds.
    starts: Vec<f64>,
}

impl Grid {
    pub(crate) fn new() -> Self {
        let start = |bin: usize| if bin == 0 { 0.0 } else { FIRST * ((bin - 1) as f64 * STEP).exp() };
        Self { starts: (0..=BINS).map(start).collect() }
    }

    /// The number of bins.
    pub(crate) const fn bins() -> usize {
        BINS
    }

    /// The start of `bin`, in seconds.
    pub(crate) fn start(&self, bin: usize) -> f64 {
        self.starts[bin]
    }

    /// The width of `bin`, in seconds.
    pub(crate) fn width(&self, bin: usize) -> f64 {
        self.starts[bin + 1] - self.starts[bin]
    }

    /// The position of `age`: the number of its bin and the part of that bin below it. Ages beyond the grid count as its end.
    pub(crate) fn position(age: f64) -> f64 {
        let position = if age <= FIRST { age.max(0.0) / FIRST } else { 1.0 + (age / FIRST).ln() / STEP };
        position.min(BINS as f64 - 0.001)
    }

    /// The bin of `age`.
    pub(crate) fn bin(age: f64) -> usize {
        bin_at(Self::position(age))
    }
}

/// The bin that a position lies in.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positions lie on the grid")]
pub(crate) fn bin_at(position: f64) -> usize {
    position as usize
}

/// The number of bins between an age and that age times `factor`.
pub(crate) fn bins_to(factor: f64) -> usize {
    bin_at((factor.ln() / STEP).ceil().max(0.0))
}

/// A function of the age that grows by one from each poll of a job to the next.
#[derive(Debug)]
pub(crate) struct Curve {
    /// Its value at the start of each bin, and at the end of the last one.
    values: Vec<f64>,
}

impl Curve {
    /// The curve that grows by each of `steps` in its bin. There must be at least one.
    pub(crate) fn from_steps(steps: impl Iterator<Item = f64>) -> Self {
        let mut sum = 0.0;
        let mut values = vec![0.0];
        values.extend(steps.map(|step| {
            sum += step;
            sum
        }));
        Self { values }
    }

    /// Its value at `age`.
    pub(crate) fn at(&self, grid: &Grid, age: f64) -> f64 {
        let bin = Grid::bin(age).min(self.values.len() - 2);
        let part = ((age - grid.start(bin)) / grid.width(bin)).clamp(0.0, 1.0);
        self.values[bin] + part * (self.values[bin + 1] - self.values[bin])
    }

    /// The age at which it reaches `value`; none if that is beyond the ages of which it tells.
    pub(crate) fn age_at(&self, grid: &Grid, value: f64) -> Option<f64> {
        let after = self.values.partition_point(|held| *held < value);
        if after >= self.values.len() {
            return None;
        }
        let Some(bin) = after.checked_sub(1) else { return Some(0.0) };
        let part = (value - self.values[bin]) / (self.values[bin + 1] - self.values[bin]);
        Some(grid.start(bin) + part * grid.width(bin))
    }

    /// The last age of which it tells.
    pub(crate) fn last_age(&self, grid: &Grid) -> f64 {
        grid.start(self.values.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_is_inverted() {
        let grid = Grid::new();
        let curve = Curve::from_steps((0..Grid::bins()).map(|bin| 2.0 * grid.width(bin)));
        for age in [0.004, 0.5, 2.0, 3600.0] {
            assert!((curve.at(&grid, age) - 2.0 * age).abs() < 1e-6 * age, "{age}");
            assert!((curve.age_at(&grid, 2.0 * age).unwrap() - age).abs() < 1e-6 * age, "{age}");
        }
        assert_eq!(curve.age_at(&grid, 1e12), None, "no further than the grid");
    }
}
