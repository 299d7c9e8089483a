//! Seeded chance.
//!
//! Every draw is a function of the seed and of what it is drawn for (which job, which stage, which attempt), never of the order in
//! which things happen to run: so a seed gives the same ids, times and faults however the requests interleave.

/// Draws that repeat under the same seed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SeededChance {
    seed: u64,
}

/// The purpose of a draw. Draws for different purposes are independent.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Purpose {
    JobId,
    TraceId,
    SpanId,
    StageTime,
    SwitchTime,
    Fault,
}

impl SeededChance {
    pub(crate) const fn new(seed: u64) -> Self {
        Self { seed }
    }

    fn generator(self, purpose: Purpose, key: [u64; 3]) -> fastrand::Rng {
        let mut state = self.seed ^ (purpose as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        for part in key {
            // One step of the generator between the parts, so that (1, 2) and (2, 1) part ways.
            state = fastrand::Rng::with_seed(state ^ part.wrapping_mul(0xD6E8_FEB8_6659_FD93)).u64(..);
        }
        fastrand::Rng::with_seed(state)
    }

    /// A number of 128 random bits.
    pub(crate) fn wide(self, purpose: Purpose, key: [u64; 3]) -> u128 {
        self.generator(purpose, key).u128(..)
    }

    /// A number of 64 random bits, never zero: zero is no span id.
    pub(crate) fn id(self, purpose: Purpose, key: [u64; 3]) -> u64 {
        self.generator(purpose, key).u64(1..)
    }

    /// A number in 0..1.
    pub(crate) fn unit(self, purpose: Purpose, key: [u64; 3]) -> f64 {
        self.generator(purpose, key).f64()
    }

    /// A factor around 1, at most `spread` away from it.
    pub(crate) fn jitter(self, purpose: Purpose, key: [u64; 3], spread: f64) -> f64 {
        1.0 + spread * (2.0 * self.unit(purpose, key) - 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeats_under_its_seed_and_differs_under_another() {
        let draw = |seed, key| SeededChance::new(seed).wide(Purpose::JobId, key);
        assert_eq!(draw(7, [1, 2, 3]), draw(7, [1, 2, 3]));
        assert_ne!(draw(7, [1, 2, 3]), draw(8, [1, 2, 3]));
        assert_ne!(draw(7, [1, 2, 3]), draw(7, [2, 1, 3]));
        assert_ne!(draw(7, [1, 0, 0]), SeededChance::new(7).wide(Purpose::TraceId, [1, 0, 0]));
    }

    #[test]
    fn spreads_evenly() {
        let chance = SeededChance::new(1);
        let hits = (0..10_000).filter(|n| chance.unit(Purpose::Fault, [0, 0, *n]) < 0.1).count();
        assert!((850..1150).contains(&hits), "{hits} of 10000 at 10 %");
    }
}
