//! The warm-up: the first counted job is held back until every warm-up job has ended and a rest has passed.
//!
//! Only the closed model can do that, because only there `poll-jobs` reports the end of each job: then all slots are back.

use std::time::{Duration, Instant};

use super::admission::Admission;

/// Progress of the warm-up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// No warm-up job was submitted since the last counted one.
    #[default]
    Over,
    /// Warm-up jobs were submitted, and nobody knows yet that they have ended.
    Running,
    /// The same, and counted jobs are waiting.
    Awaited,
    /// They have ended; counted jobs wait until then.
    Resting(Instant),
}

/// Holds counted jobs back.
#[derive(Clone, Debug, Default)]
pub(super) struct Warmup {
    rest: Duration,
    state: State,
}

/// The warm-up's answer to a counted job that wants to be submitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Held {
    /// It may.
    No,
    /// Not before that moment, because the rest has begun; true if it began just now.
    Until { moment: Instant, begins: bool },
    /// Not before another job has ended; whether the waiting began just now.
    UntilAnEnd { begins: bool },
}

impl Warmup {
    /// With so long a rest between the last warm-up job's end and the first counted job.
    pub(super) fn new(rest: Duration) -> Self {
        Self { rest, state: State::Over }
    }

    /// Takes note of a warm-up job that is submitted.
    pub(super) fn submitted(&mut self) {
        self.state = State::Running;
    }

    /// Tells whether a counted job must wait.
    pub(super) fn holds(&mut self, admission: &Admission, now: Instant) -> Held {
        let begins = matches!(self.state, State::Running | State::Awaited);
        if begins {
            if !admission.is_all_free() {
                let begins = self.state == State::Running;
                self.state = State::Awaited;
                return Held::UntilAnEnd { begins };
            }
            self.state = State::Resting(now + self.rest);
        }
        match self.state {
            State::Resting(moment) if now < moment => Held::Until { moment, begins },
            _ => {
                self.state = State::Over;
                Held::No
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counted_jobs_wait_for_every_slot_and_then_for_the_rest() {
        let now = Instant::now();
        let mut admission = Admission::Closed { slots: 2, held: 0 };
        let mut warmup = Warmup::new(Duration::from_secs(5));
        assert_eq!(warmup.holds(&admission, now), Held::No, "without a warm-up nothing waits");
        for _ in 0..2 {
            warmup.submitted();
            admission.submitted();
            admission.answered(true);
        }
        admission.freed(1);
        assert_eq!(warmup.holds(&admission, now), Held::UntilAnEnd { begins: true });
        assert_eq!(warmup.holds(&admission, now), Held::UntilAnEnd { begins: false });
        admission.freed(1);
        let moment = now + Duration::from_secs(5);
        assert_eq!(warmup.holds(&admission, now), Held::Until { moment, begins: true });
        let later = now + Duration::from_secs(1);
        assert_eq!(warmup.holds(&admission, later), Held::Until { moment, begins: false });
        assert_eq!(warmup.holds(&admission, moment), Held::No);
        admission.submitted();
        assert_eq!(warmup.holds(&admission, now), Held::No, "a counted job that is in flight holds up no other");
    }
}
