//! Admission: the three load models, which decide when the next job may be submitted.

use std::time::{Duration, Instant};

use super::Args;
use crate::record::{RunSpec, Shard, WholeLoad};

/// A model of load and where it stands.
#[derive(Clone, Debug)]
pub(super) enum Admission {
    /// So many slots, and how many jobs hold one, each from its submission to its end. More may hold one than there are
    /// slots, where jobs came that had been submitted before.
    Closed { slots: usize, held: usize },
    /// So many more submissions may be under way.
    Burst { free: usize },
    /// The `sent`-th submission is due at `sent / rate` after the start of the schedule; a shard takes every n-th of them.
    Open { rate: f64, sent: u64, shard: Shard, start: Option<Instant> },
}

/// The model's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// Now; in the open model it was due that long after the start of the schedule.
    Now { due: Duration },
    /// At that moment.
    At(Instant),
    /// Once something ends.
    Later,
}

impl Admission {
    pub(super) fn new(args: &Args) -> Self {
        let count = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        match (args.concurrency, args.rate) {
            (Some(slots), _) => Self::Closed { slots: count(slots), held: 0 },
            (None, Some(rate)) => Self::Open { rate, sent: 0, shard: Shard { index: 0, count: 1 }, start: None },
            (None, None) => Self::Burst { free: count(args.max_posts.unwrap_or(1)) },
        }
    }

    /// Keeps only the share of `shard`. Nothing was submitted yet. The error says why the load cannot be shared.
    pub(super) fn share(&mut self, args: &Args, of: Shard) -> Result<(), String> {
        let share = |flag: &str, whole: Option<u64>| {
            let share = whole.map(|whole| share(whole, of));
            match (share, whole) {
                (Some(0), Some(whole)) => Err(refusal(flag, whole, of.count)),
                _ => Ok(share.map_or(1, |share| usize::try_from(share).unwrap_or(usize::MAX))),
            }
        };
        match self {
            Self::Closed { slots, .. } => *slots = share("--concurrency", args.concurrency)?,
            Self::Burst { free } => *free = share("--max-posts", args.max_posts)?,
            Self::Open { shard, .. } => *shard = of,
        }
        Ok(())
    }

    /// Starts the schedule of the open model at `moment`.
    pub(super) fn start_at(&mut self, moment: Instant) {
        if let Self::Open { start, .. } = self {
            *start = Some(moment);
        }
    }

    /// Writes the load model into the Run record, and of a shard both its share and the whole.
    pub(super) fn describe(args: &Args, shard: Option<Shard>, spec: &mut RunSpec) {
        let of = |whole: u64| shard.map_or(whole, |of| share(whole, of));
        let is_burst = args.concurrency.is_none() && args.rate.is_none();
        let posts = args.max_posts.map_or(1, of);
        spec.concurrency = args.concurrency.map(of);
        spec.rate_per_second = args.rate.map(|rate| rate / shard.map_or(1, |shard| shard.count) as f64);
        spec.max_posts = is_burst.then_some(posts);
        spec.whole_load = shard.map(|shard| WholeLoad {
            concurrency: args.concurrency,
            max_posts: is_burst.then(|| args.max_posts.unwrap_or(shard.count)),
            rate_per_second: args.rate,
        });
    }

    /// Returns whether a job that is there may be submitted.
    pub(super) fn ask(&mut self, now: Instant) -> Answer {
        match self {
            Self::Closed { slots, held } if *held < *slots => Answer::Now { due: Duration::ZERO },
            Self::Burst { free } if *free > 0 => Answer::Now { due: Duration::ZERO },
            Self::Closed { .. } | Self::Burst { .. } => Answer::Later,
            Self::Open { rate, sent, shard, start } => {
                let number = sent.saturating_mul(shard.count).saturating_add(shard.index);
                let due = Duration::from_secs_f64(number as f64 / *rate);
                let moment = *start.get_or_insert(now) + due;
                if now < moment { Answer::At(moment) } else { Answer::Now { due } }
            }
        }
    }

    /// The number of submissions that may be under way at once, while `under_way` are and one more is asked for.
    pub(super) fn at_once(&self, under_way: usize) -> usize {
        match self {
            Self::Closed { slots, .. } => *slots,
            Self::Burst { free } => free + under_way,
            Self::Open { .. } => under_way + 1,
        }
    }

    /// Takes note of a submission.
    pub(super) fn submitted(&mut self) {
        match self {
            Self::Closed { held, .. } => *held += 1,
            Self::Burst { free } => *free -= 1,
            Self::Open { sent, .. } => *sent += 1,
        }
    }

    /// Takes note of a submission's answer; `runs` tells whether a job is in flight now.
    pub(super) fn answered(&mut self, runs: bool) {
        match self {
            Self::Closed { .. } if !runs => self.freed(1),
            Self::Burst { free } => *free += 1,
            Self::Closed { .. } | Self::Open { .. } => {}
        }
    }

    /// Takes note of a job in flight that was submitted before: its end, too, will be reported.
    pub(super) fn taken(&mut self) {
        if let Self::Closed { held, .. } = self {
            *held += 1;
        }
    }

    /// Takes note of jobs that ended.
    pub(super) fn freed(&mut self, slots: usize) {
        if let Self::Closed { held, .. } = self {
            *held = held.saturating_sub(slots);
        }
    }

    /// Returns true if jobs hold slots, so that the end of each is reported.
    pub(super) fn is_closed(&self) -> bool {
        matches!(self, Self::Closed { .. })
    }

    /// Returns true if no job holds a slot: each that was submitted has ended.
    pub(super) fn is_all_free(&self) -> bool {
        matches!(self, Self::Closed { held: 0, .. })
    }

    /// Returns true if the schedule is fixed, so that every job has a due time.
    pub(super) fn is_open(&self) -> bool {
        matches!(self, Self::Open { .. })
    }
}

/// The share of `whole` parts: the first shards have one more where it does not come out even.
fn share(whole: u64, of: Shard) -> u64 {
    let count = of.count.max(1);
    whole / count + u64::from(of.index < whole % count)
}

fn refusal(flag: &str, whole: u64, shards: u64) -> String {
    format!("{flag} {whole} cannot be shared by {shards} shards: give at least {shards}, or use fewer shards")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALONE: Shard = Shard { index: 0, count: 1 };

    #[test]
    fn the_open_schedule_does_not_slip() {
        let start = Instant::now();
        let mut open = Admission::Open { rate: 10.0, sent: 0, shard: ALONE, start: None };
        assert_eq!(open.ask(start), Answer::Now { due: Duration::ZERO });
        open.submitted();
        assert_eq!(open.ask(start), Answer::At(start + Duration::from_millis(100)));
        // Even if this one was held up, the next one is still due at its own time.
        let late = start + Duration::from_millis(350);
        assert_eq!(open.ask(late), Answer::Now { due: Duration::from_millis(100) });
        open.submitted();
        assert_eq!(open.ask(late), Answer::Now { due: Duration::from_millis(200) });
    }

    #[test]
    fn shards_share_the_load_out_exactly() {
        let shares = |whole, count| (0..count).map(|index| share(whole, Shard { index, count })).collect::<Vec<_>>();
        assert_eq!((shares(10, 4), shares(3, 4), shares(8, 8)), (vec![3, 3, 2, 2], vec![1, 1, 1, 0], vec![1; 8]));
    }

    #[test]
    fn shards_take_turns_on_one_schedule() {
        let start = Instant::now();
        let mut dues = Vec::new();
        for index in 0..3 {
            let mut open = Admission::Open { rate: 10.0, sent: 0, shard: Shard { index, count: 3 }, start: None };
            open.start_at(start);
            for _ in 0..2 {
                let Answer::Now { due } = open.ask(start + Duration::from_secs(9)) else { panic!("it is due") };
                dues.push(due.as_millis());
                open.submitted();
            }
        }
        dues.sort_unstable();
        assert_eq!(dues, [0, 100, 200, 300, 400, 500]);
    }

    #[test]
    fn the_closed_model_holds_a_slot_until_the_job_ends() {
        let mut closed = Admission::Closed { slots: 1, held: 0 };
        closed.submitted();
        closed.answered(true);
        assert_eq!(closed.ask(Instant::now()), Answer::Later);
        closed.freed(1);
        closed.submitted();
        closed.answered(false);
        assert!(matches!(closed.ask(Instant::now()), Answer::Now { .. }));
        for _ in 0..2 {
            closed.taken();
        }
        closed.freed(1);
        assert_eq!(closed.ask(Instant::now()), Answer::Later, "one that was submitted before is still in flight");
        closed.freed(1);
        assert!(closed.is_all_free() && matches!(closed.ask(Instant::now()), Answer::Now { .. }));
    }

    #[test]
    fn the_burst_holds_a_place_until_the_answer() {
        let mut burst = Admission::Burst { free: 1 };
        burst.submitted();
        burst.freed(1);
        assert_eq!(burst.ask(Instant::now()), Answer::Later);
        burst.answered(true);
        assert!(matches!(burst.ask(Instant::now()), Answer::Now { .. }));
    }
}
