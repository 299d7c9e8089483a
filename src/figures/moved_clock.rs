//! Recognises a target's clock that moved while jobs ran: an NTP client slewed it, or somebody set it.
//!
//! Each time that a server reports bounds the offset of its clock at one moment. If the clock runs as ours does, one offset satisfies
//! the bounds of all jobs except those whose times are wrong. Such jobs contradict the jobs before and after them, in both directions.
//! If the clock moved, early jobs contradict late ones in one direction only.

use crate::statistics::Bounds;

/// A clock that is slewed gains or loses less than this, in seconds a second. chrony's limit is 1/12.
const SLEW: f64 = 0.15;

/// Jobs in the smallest part of a run that is looked at by itself, and the number of times that a run is halved.
const SMALLEST_PART: usize = 12;
const HALVINGS: u32 = 3;

/// The number of contradictions in one direction that outweigh one in the other: with few jobs, and with many.
const FEW: usize = 2;
const MANY: usize = 3;

/// The largest number of contradictions in the other direction that is tried.
const MOST_WRONG: usize = 8;

/// A bound of the offset, and when it holds. All are seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct BoundAt {
    pub(super) at: f64,
    pub(super) offset: f64,
    /// The distance between this bound and the opposite one by the same time.
    pub(super) width: f64,
}

/// The bounds that one job's times set to the offset: the lowest upper bound and the highest lower one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct JobBounds {
    pub(super) most: BoundAt,
    pub(super) least: BoundAt,
}

impl JobBounds {
    /// The offsets that the job's times allow; none if they contradict each other.
    pub(super) fn allowed(&self) -> Option<Bounds> {
        Some(Bounds { low: self.least.offset, high: self.most.offset }).filter(|_| self.width() >= 0.0)
    }

    /// The distance between the two bounds, negative if they contradict each other.
    pub(super) fn width(&self) -> f64 {
        self.most.offset - self.least.offset
    }

    /// Returns true if the job's times contradict each other by more than a slew explains. Then they are wrong, or the clock was set
    /// just then; either way they say nothing about other jobs.
    fn is_wrong(&self, tolerance: f64) -> bool {
        let slewed = SLEW * (self.least.at - self.most.at).abs();
        self.least.offset - self.most.offset > tolerance + slewed
    }

    /// The bounds of the opposite offset.
    fn reversed(&self) -> Self {
        let opposite = |bound: BoundAt| BoundAt { offset: -bound.offset, ..bound };
        Self { most: opposite(self.least), least: opposite(self.most) }
    }
}

/// A lower bound on how far the clock moved, in seconds, by the bounds of `jobs`; none if one offset satisfies all of them, or all
/// but a few whose times are wrong. Two clocks that agree differ by up to `tolerance`.
pub(super) fn seconds_moved(jobs: &[JobBounds], tolerance: f64) -> Option<f64> {
    let least = jobs.iter().map(|job| job.least.offset).fold(f64::NEG_INFINITY, f64::max);
    let most = jobs.iter().map(|job| job.most.offset).fold(f64::INFINITY, f64::min);
    if least - most <= tolerance {
        return None;
    }
    let mut plausible: Vec<JobBounds> = jobs.iter().filter(|job| !job.is_wrong(tolerance)).copied().collect();
    plausible.sort_by(|one, other| one.most.at.total_cmp(&other.most.at));
    let parts = (0..=HALVINGS).map(|halvings| plausible.len() >> halvings);
    let parts = parts.enumerate().filter(|(halvings, size)| *size > 0 && (*halvings == 0 || *size >= SMALLEST_PART));
    // The clock may have moved and come back, so look at parts of the run as well.
    let parts = parts.flat_map(|(_, size)| plausible.chunks_exact(size)).map(|part| (part, f64::INFINITY));
    // In the shortest parts, count only a movement that a slew explains: there, several wrong times in a row may be chance.
    let is_long = plausible.len() >= SMALLEST_PART;
    let few = plausible.windows(2 * MANY).step_by(MANY).filter(|_| is_long);
    let few = few.map(|part| (part, SLEW * (part[part.len() - 1].least.at - part[0].most.at).abs()));
    let factor = if is_long { MANY } else { FEW };
    let moved = |(part, most): (&[JobBounds], f64)| {
        moved_within(part, factor, tolerance).filter(|moved| *moved <= most + tolerance)
    };
    parts.chain(few).filter_map(moved).reduce(f64::max)
}

fn moved_within(jobs: &[JobBounds], factor: usize, tolerance: f64) -> Option<f64> {
    let reversed: Vec<JobBounds> = jobs.iter().map(JobBounds::reversed).collect();
    let (ahead, behind) = (BoundsInTime::new(jobs), BoundsInTime::new(&reversed));
    let counts = std::iter::successors(Some(1), |wrong| Some(wrong * 2)).take_while(|wrong| *wrong <= MOST_WRONG);
    let moved = |wrong: usize| {
        let count = wrong * factor;
        let is_clear = |moved: &f64, other: &BoundsInTime| *moved > tolerance && other.risen(wrong) <= tolerance;
        let gained = Some(ahead.risen(count)).filter(|gained| is_clear(gained, &behind));
        gained.or_else(|| Some(behind.risen(count) - stamped_early(jobs, count)).filter(|lost| is_clear(lost, &ahead)))
    };
    counts.filter_map(moved).reduce(f64::max)
}

/// The seconds that at least `count` jobs were stamped as ended before answers showed it: a target may take that long to write the
/// end into a database. Without this allowance, the clock would seem to fall behind between the start and the end of each job.
fn stamped_early(jobs: &[JobBounds], count: usize) -> f64 {
    let mut seconds = Extremes::new(count);
    for job in jobs.iter().filter(|job| job.least.at < job.most.at) {
        seconds.add(job.least.offset - job.most.offset);
    }
    seconds.last().unwrap_or_default().max(0.0)
}

/// Bounds of the offset in the order of time.
struct BoundsInTime(Vec<(f64, Side)>);

#[derive(Clone, Copy)]
enum Side {
    Most(f64),
    Least(f64),
}

impl BoundsInTime {
    fn new(jobs: &[JobBounds]) -> Self {
        let both = |job: &JobBounds| {
            [(job.most.at, Side::Most(job.most.offset)), (job.least.at, Side::Least(job.least.offset))]
        };
        let mut bounds: Vec<_> = jobs.iter().flat_map(both).collect();
        bounds.sort_by(|one, other| one.0.total_cmp(&other.0));
        Self(bounds)
    }

    /// A lower bound on the rise of the offset, in seconds, by `count` bounds before some moment and as many after it; negative if
    /// nothing shows a rise.
    fn risen(&self, count: usize) -> f64 {
        let mut early = Extremes::new(count);
        let most = self.0.iter().map(|(_, side)| {
            let before = early.last().map_or(f64::INFINITY, |least| -least);
            if let Side::Most(offset) = side {
                early.add(-offset);
            }
            before
        });
        let most: Vec<f64> = most.collect();
        let mut late = Extremes::new(count);
        let risen = self.0.iter().zip(most).rev().map(|((_, side), most)| {
            if let Side::Least(offset) = side {
                late.add(*offset);
            }
            late.last().map_or(f64::NEG_INFINITY, |least| least - most)
        });
        risen.fold(f64::NEG_INFINITY, f64::max)
    }
}

/// The largest few of many numbers.
struct Extremes {
    count: usize,
    /// From the largest on.
    largest: Vec<f64>,
}

impl Extremes {
    fn new(count: usize) -> Self {
        Self { count, largest: Vec::with_capacity(count + 1) }
    }

    fn add(&mut self, number: f64) {
        let place = self.largest.partition_point(|held| *held >= number);
        if place < self.count {
            self.largest.insert(place, number);
            self.largest.truncate(self.count);
        }
    }

    /// The smallest of them; none while there are too few.
    fn last(&self) -> Option<f64> {
        self.largest.get(self.count - 1).copied()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TOLERANCE: f64 = 0.01;

    /// A job that is submitted at `at` and ends two seconds later, seen up to `late` seconds after that.
    fn job(at: f64, late: f64, offset: impl Fn(f64) -> f64) -> JobBounds {
        let end = at + 2.0;
        JobBounds {
            most: BoundAt { at, offset: offset(at) + 0.002, width: late },
            least: BoundAt { at: end, offset: offset(end) - late, width: late },
        }
    }

    fn jobs(count: u32, offset: impl Fn(f64) -> f64 + Copy) -> Vec<JobBounds> {
        let late = |n: u32| 0.02 + f64::from(n * 7 % 10) / 100.0;
        (0..count).map(|n| job(f64::from(n) / 2.0, late(n), offset)).collect()
    }

    fn moved(count: u32, offset: impl Fn(f64) -> f64 + Copy) -> Option<f64> {
        seconds_moved(&jobs(count, offset), TOLERANCE)
    }

    #[test]
    fn a_clock_that_goes_as_ours_has_not_moved() {
        assert_eq!(seconds_moved(&[], TOLERANCE), None);
        for count in [1, 4, 40, 400] {
            assert_eq!(moved(count, |_| 7.0), None, "{count}");
        }
    }

    #[test]
    fn a_clock_that_is_slewed_or_set_has_moved() {
        type Clock = fn(f64) -> f64;
        let clocks: [(&str, Clock, f64); 7] = [
            ("slewed by 8 % for 6 s", |at| at.min(6.0) * 0.08, 0.48),
            ("slewed back", |at| at.min(6.0) * -0.08, 0.48),
            ("3 % fast", |at| at * 0.03, 0.6),
            ("set ahead", |at| if at < 9.3 { 0.0 } else { 0.5 }, 0.5),
            ("set back by an hour", |at| if at < 9.3 { 0.0 } else { -3600.0 }, 3600.0),
            ("slewed there and back", |at| 0.6 - (at - 10.0).abs() * 0.06, 0.6),
            ("slewed there and back at once", |at| 0.4 - (at - 5.0).clamp(-5.0, 5.0).abs() * 0.08, 0.4),
        ];
        for (name, offset, most) in clocks {
            let found = moved(40, offset).expect(name);
            assert!(found > most / 3.0 && found < most + 0.1, "{name}: {found}");
        }
        assert!(moved(5, |at| at * 0.08).is_some(), "five jobs are enough");
    }

    #[test]
    fn jobs_whose_times_are_wrong_do_not_move_the_clock() {
        for wrong in [vec![0], vec![39], vec![17], vec![3, 20, 36], (0..13).map(|n| n * 3).collect::<Vec<_>>()] {
            for by in [0.3, -0.3, 3600.0] {
                let mut jobs = jobs(40, |_| 0.0);
                for n in &wrong {
                    let job = &mut jobs[*n];
                    (job.most.offset, job.least.offset) = (job.most.offset + by, job.least.offset + by);
                }
                assert_eq!(seconds_moved(&jobs, TOLERANCE), None, "{wrong:?} by {by}");
            }
        }
    }

    #[test]
    fn a_slew_is_seen_although_the_times_of_some_jobs_are_wrong() {
        let mut jobs = jobs(40, |at| at * 0.03);
        for n in [5, 30] {
            (jobs[n].most.offset, jobs[n].least.offset) = (99.0, 98.9);
        }
        assert!(seconds_moved(&jobs, TOLERANCE).is_some_and(|moved| moved < 0.7));
    }

    #[test]
    fn times_that_are_wrong_in_every_job_do_not_move_the_clock() {
        // The ends, not the starts, are written in another zone, and all jobs begin together.
        let burst = |n: u32| JobBounds {
            most: BoundAt { at: 0.0, offset: 0.002, width: 0.1 },
            least: BoundAt { at: 2.0 + f64::from(n), offset: 3600.0, width: 0.1 },
        };
        assert_eq!(seconds_moved(&(0..20).map(burst).collect::<Vec<_>>(), TOLERANCE), None);
        // Ends are stamped up to 0.3 s before answers show them.
        for together in [true, false] {
            let early = |n: u32| {
                let at = if together { 0.0 } else { f64::from(n) };
                JobBounds {
                    most: BoundAt { at: at + 3.0, offset: -0.1 * f64::from(n % 4), width: 0.1 },
                    least: BoundAt { at: at + 0.3, offset: -0.01, width: 0.1 },
                }
            };
            assert_eq!(seconds_moved(&(0..20).map(early).collect::<Vec<_>>(), TOLERANCE), None, "{together}");
        }
    }

    proptest! {
        #[test]
        fn what_a_steady_clock_allows_is_never_a_movement(
            offset in -1e4..1e4f64,
            jobs in prop::collection::vec((0.0..100.0f64, 0.0..5.0f64, 0.0..2.0f64, 0.0..2.0f64), 0..60),
        ) {
            let bounds: Vec<JobBounds> = jobs
                .iter()
                .map(|(at, length, early, late)| JobBounds {
                    most: BoundAt { at: *at, offset: offset + early, width: early + late },
                    least: BoundAt { at: at + length, offset: offset - late, width: early + late },
                })
                .collect();
            prop_assert_eq!(seconds_moved(&bounds, TOLERANCE), None);
        }
    }
}
