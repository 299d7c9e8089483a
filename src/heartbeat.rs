//! The time for which this process stood still: stopped, suspended, or without a CPU. It reads no answer in that time, which is not the
//! target's doing.
//!
//! A thread that sleeps for a moment again and again measures how late it wakes up. Two readings of [`Heartbeat::lost`] tell how
//! much of the time between them was lost; the second one counts even if the process has only just gone on.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// The time between two beats.
const BEAT: Duration = Duration::from_millis(50);
/// A freeze of less than this changes no figure by much.
const WORTH_TELLING: Duration = Duration::from_millis(500);
/// A beat that is no later than this is that of a busy host.
const TOLERATED: Duration = Duration::from_millis(100);

/// Measures for how long this process stands still. Clones share one measurement, which ends with the last of them.
#[derive(Clone, Debug, Default)]
pub struct Heartbeat(Option<Arc<Mutex<Beats>>>);

#[derive(Debug)]
struct Beats {
    last: Duration,
    lost: Duration,
    longest: Duration,
}

impl Beats {
    /// The time since the last beat, if that is longer than a busy host explains: the process may have stood still for all of it.
    fn late(&self, now: Duration) -> Duration {
        let since = now.saturating_sub(self.last);
        if since > BEAT + TOLERATED { since } else { Duration::ZERO }
    }

    fn beat(&mut self, now: Duration) {
        let late = self.late(now);
        self.last = now;
        self.lost += late;
        self.longest = self.longest.max(late);
    }
}

impl Heartbeat {
    /// Starts to measure. If the system gives no thread for it, nothing counts as lost.
    pub fn start() -> Self {
        let beats = Arc::new(Mutex::new(Beats { last: now(), lost: Duration::ZERO, longest: Duration::ZERO }));
        let watched = Arc::downgrade(&beats);
        let thread = std::thread::Builder::new().name("heartbeat".to_owned()).stack_size(64 * 1024);
        let started = thread.spawn(move || {
            while let Some(beats) = Weak::upgrade(&watched) {
                beats.lock().unwrap_or_else(PoisonError::into_inner).beat(now());
                drop(beats);
                std::thread::sleep(BEAT);
            }
        });
        Self(started.is_ok().then_some(beats))
    }

    /// The time that was lost so far.
    pub fn lost(&self) -> Duration {
        self.read(|beats| beats.lost + beats.late(now()))
    }

    /// The longest time for which it stood still, in seconds; none if that is too short to matter.
    pub fn frozen_seconds(&self) -> Option<f64> {
        let longest = self.read(|beats| beats.longest.max(beats.late(now())));
        (longest > WORTH_TELLING).then_some(longest.as_millis() as f64 / 1e3)
    }

    fn read(&self, part: impl Fn(&Beats) -> Duration) -> Duration {
        let beats = self.0.as_ref().map(|beats| beats.lock().unwrap_or_else(PoisonError::into_inner));
        beats.map_or(Duration::ZERO, |beats| part(&beats))
    }
}

/// The time since boot, that in which the machine was suspended among it.
fn now() -> Duration {
    let now = clock_gettime(ClockId::Boottime);
    Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lateness_counts_once_and_only_beyond_that_of_a_busy_host() {
        let at = Duration::from_millis;
        let mut beats = Beats { last: at(1000), lost: Duration::ZERO, longest: Duration::ZERO };
        beats.beat(at(1060));
        beats.beat(at(1200));
        assert_eq!((beats.lost, beats.late(at(1340))), (at(0), at(0)));
        assert_eq!(beats.late(at(4250)), at(3050), "before the beat that notices it");
        beats.beat(at(4250));
        beats.beat(at(4800));
        assert_eq!((beats.lost, beats.longest, beats.late(at(4900))), (at(3600), at(3050), at(0)));
    }
}
