//! The times for which requests to the target waited for a token: the harness is not late in them.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The number of waits that are remembered: they are at least a second apart, and no request stays due for longer than they cover.
const REMEMBERED: usize = 256;

/// The waits, one after the other; the last one may still go on.
#[derive(Debug, Default)]
pub(super) struct Waits(Mutex<VecDeque<(Instant, Option<Instant>)>>);

/// A wait, until it is dropped.
#[derive(Debug)]
pub(super) struct Wait<'a>(&'a Waits);

impl Waits {
    /// Begins a wait. Only one thread waits at a time; the others wait for it.
    pub(super) fn begin(&self) -> Wait<'_> {
        let mut waits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waits.push_back((Instant::now(), None));
        if waits.len() > REMEMBERED {
            waits.pop_front();
        }
        Wait(self)
    }

    /// The part of the time from `since` to `until` in which requests waited.
    pub(super) fn between(&self, since: Instant, until: Instant) -> Duration {
        let waits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let shared = |(begun, ended): &(Instant, Option<Instant>)| {
            ended.unwrap_or(until).min(until).saturating_duration_since((*begun).max(since))
        };
        waits.iter().map(shared).sum()
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        let mut waits = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, ended)) = waits.back_mut() {
            *ended = Some(Instant::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_part_of_a_wait_within_the_time_counts() {
        let (waits, seconds) = (Waits::default(), Duration::from_secs);
        let begun = Instant::now();
        *waits.0.lock().unwrap() =
            VecDeque::from([(begun + seconds(1), Some(begun + seconds(2))), (begun + seconds(4), None)]);
        let between = |since: u64, until: u64| waits.between(begun + seconds(since), begun + seconds(until)).as_secs();
        assert_eq!((between(0, 1), between(0, 2), between(0, 4), between(3, 9), between(0, 9)), (0, 1, 1, 5, 6));
        drop(waits.begin());
        let waits = waits.0.lock().unwrap();
        assert!(waits.len() == 3 && waits[2].1.is_some(), "{waits:?}");
    }
}
