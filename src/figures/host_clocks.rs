//! Recognises times that come from several clocks, or from a target that notes an end before its answers show it, if the difference is
//! shorter than the time between most polls.
//!
//! Such a difference contradicts the polls only in those jobs whose polls lie close together; in all others it is hidden. So if some
//! jobs contradict the offset on which most agree, the times of all may be wrong by as much: by no more than the contradiction and the
//! time between the two polls that showed it.

use super::agreement;
use super::moved_clock::JobBounds;
use crate::statistics::Bounds;

/// This many jobs have to contradict the others, or one fewer if the difference would show in no other job.
const FEWEST: usize = 2;

/// And they have to be this share of the jobs in which the difference would show: fewer are exceptions, each left out by itself.
const SHARE: f64 = 0.05;

/// A contradiction that is larger than this and than the time between any two polls would show in any job, in seconds: it is a wrong time.
const LARGEST: f64 = 0.5;

/// Times that are earlier than the `Date` headers allow by more than this, in seconds, contradict the polls of each job.
const FARTHEST_BEHIND: f64 = 1.0;

/// Clocks that differ.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HostClocks {
    /// The number of jobs whose times contradict those of the others, or the `Date` headers.
    pub jobs: usize,
    /// The largest contradiction, in seconds.
    pub contradiction: f64,
    /// The largest difference between two of the clocks that explains the contradictions, in seconds.
    pub difference: f64,
    /// They are earlier than the `Date` headers allow: that is another clock, or the answers show events late.
    pub are_behind_dates: bool,
}

/// The difference between the clocks that the times of `jobs` come from; none if one offset satisfies them all, or if those that it does
/// not satisfy are exceptions. `dates` is the least offset that `Date` headers allow. Two clocks that agree differ by up to `tolerance`.
pub(super) fn find(jobs: &[JobBounds], dates: Option<f64>, tolerance: f64) -> Option<HostClocks> {
    let by_jobs = most_agreed(jobs)?;
    let are_behind = dates.is_some_and(|dates| (tolerance..FARTHEST_BEHIND).contains(&(dates - by_jobs.high)));
    let agreed = dates.filter(|_| are_behind).map_or(by_jobs, |dates| Bounds { low: dates, high: dates });
    let ahead = |job: &JobBounds| job.least.offset - agreed.high;
    let behind = |job: &JobBounds| agreed.low - job.most.offset;
    let contradiction = |job: &JobBounds| ahead(job).max(behind(job));
    let is_near = |job: &&JobBounds| contradiction(job) <= tolerance;
    let largest = if are_behind { FARTHEST_BEHIND } else { LARGEST };
    let widest = jobs.iter().filter(is_near).map(JobBounds::width).fold(largest, f64::max);
    let is_hidden = |job: &&JobBounds| !is_near(job) && contradiction(job) <= widest;
    let hidden = || jobs.iter().filter(is_hidden);
    let most = hidden().map(contradiction).reduce(f64::max)?;
    let shows = jobs.iter().filter(is_near).filter(|job| job.width() <= most - tolerance).count();
    let count = hidden().count();
    if count + usize::from(shows == 0) < FEWEST || (count as f64) < SHARE * (count + shows) as f64 {
        return None;
    }
    let farthest = |apart: &dyn Fn(&JobBounds) -> (f64, f64)| {
        let apart = hidden().map(apart).filter(|(contradiction, _)| *contradiction > tolerance);
        apart.map(|(contradiction, width)| contradiction + width).fold(0.0, f64::max)
    };
    let farthest_ahead = farthest(&|job| (ahead(job), job.least.width));
    let farthest_behind = farthest(&|job| (behind(job), job.most.width));
    let difference = farthest_ahead + farthest_behind + (agreed.high - agreed.low);
    Some(HostClocks { jobs: count, contradiction: most, difference, are_behind_dates: are_behind })
}

/// The offsets that most jobs allow. Where the times of each job contradict each other, no job allows any: then the median.
fn most_agreed(jobs: &[JobBounds]) -> Option<Bounds> {
    let each: Vec<Bounds> = jobs.iter().filter_map(JobBounds::allowed).collect();
    agreement::agreed(&each, Some).or_else(|| {
        let mut middles: Vec<f64> = jobs.iter().map(|job| f64::midpoint(job.least.offset, job.most.offset)).collect();
        middles.sort_by(f64::total_cmp);
        let middle = *middles.get(middles.len() / 2)?;
        Some(Bounds { low: middle, high: middle })
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::moved_clock::BoundAt;
    use super::*;

    const TOLERANCE: f64 = 0.01;

    /// The bounds that one time sets to the offset, which polls `early` before and `late` after the event enclose.
    fn bounds(at: f64, offset: f64, early: f64, late: f64) -> JobBounds {
        let width = early + late;
        JobBounds {
            most: BoundAt { at, offset: offset + early, width },
            least: BoundAt { at, offset: offset - late, width },
        }
    }

    /// A job whose submission host `api` stamps 2 ms late, and whose end, after two seconds, host `worker`.
    fn job(number: u32, api: f64, worker: f64) -> JobBounds {
        let at = f64::from(number) / 2.0;
        let (queued, ended) = (bounds(at, api, 0.002, 2.1), bounds(at + 2.0, worker, 0.02, late(number)));
        JobBounds {
            most: if queued.most.offset < ended.most.offset { queued.most } else { ended.most },
            least: if queued.least.offset > ended.least.offset { queued.least } else { ended.least },
        }
    }

    /// The time from an end to the poll that sees it: 20 to 290 ms.
    fn late(number: u32) -> f64 {
        0.02 + f64::from(number * 7 % 10) * 0.03
    }

    fn difference(jobs: &[JobBounds], dates: Option<f64>) -> Option<f64> {
        find(jobs, dates, TOLERANCE).map(|found| found.difference)
    }

    #[test]
    fn clocks_that_agree_do_not_differ() {
        for count in [0, 1, 2, 40] {
            let jobs: Vec<JobBounds> = (0..count).map(|n| job(n, 7.0, 7.0)).collect();
            assert_eq!(difference(&jobs, None), None, "{count}");
            assert_eq!(difference(&jobs, Some(6.99)), None, "{count}");
        }
    }

    #[test]
    fn a_difference_is_at_least_the_true_one() {
        type Clock = fn(u32) -> f64;
        let workers: [(&str, Clock, f64); 6] = [
            ("ahead", |_| 0.12, 0.12),
            ("one of two ahead", |n| if n % 2 == 0 { 0.06 } else { 0.0 }, 0.06),
            ("one ahead, one behind", |n| if n % 2 == 0 { 0.03 } else { -0.03 }, 0.06),
            ("three", |n| f64::from(n % 3) * 0.06 - 0.06, 0.12),
            ("the first two behind", |n| if n < 2 { -0.15 } else { 0.0 }, 0.15),
            ("swinging", |n| (f64::from(n) / 2.0).sin() * 0.2, 0.4),
        ];
        for (name, worker, truth) in workers {
            let jobs: Vec<JobBounds> = (0..24).map(|n| job(n, 0.0, worker(n))).collect();
            let found = difference(&jobs, None).expect(name);
            assert!(found >= truth && found < truth + 0.7, "{name}: {found}");
        }
    }

    #[test]
    fn a_clock_behind_the_one_of_the_dates_differs_from_it() {
        for behind in [0.03, 0.12, 0.2, 0.45, 0.8] {
            let jobs: Vec<JobBounds> = (0..24).map(|n| job(n, -behind, -behind)).collect();
            let found = difference(&jobs, Some(-0.003)).expect("a difference");
            assert!(found >= behind - 0.005 && found < behind + 2.5, "{behind}: {found}");
        }
        let jobs: Vec<JobBounds> = (0..24).map(|n| job(n, -3.0, -3.0)).collect();
        assert_eq!(difference(&jobs, Some(-0.003)), None, "each of them is seen by itself");
    }

    #[test]
    fn exceptions_that_are_seen_do_not_make_all_times_uncertain() {
        for (wrong, by) in [(vec![7], 0.1), (vec![3, 20, 36], 0.8), (vec![0, 1, 2, 3, 39], 3600.0)] {
            let jobs: Vec<JobBounds> = (0..40)
                .map(|n| if wrong.contains(&n) { bounds(f64::from(n), by, 0.02, 0.02) } else { job(n, 0.0, 0.0) })
                .collect();
            assert_eq!(difference(&jobs, None), None, "{wrong:?} by {by}");
        }
        let jobs: Vec<JobBounds> =
            (0..2000).map(|n| if n < 2 { bounds(f64::from(n), 0.1, 0.02, 0.02) } else { job(n, 0.0, 0.0) }).collect();
        assert_eq!(difference(&jobs, None), None, "two of two thousand");
    }

    proptest! {
        #[test]
        fn what_one_clock_allows_is_never_a_difference(
            offset in -1e4..1e4f64,
            jobs in prop::collection::vec((0.0..5.0f64, 0.0..5.0f64), 0..60),
            date in 0.0..2.0f64,
        ) {
            let jobs: Vec<JobBounds> = jobs.into_iter().map(|(early, late)| bounds(0.0, offset, early, late)).collect();
            prop_assert_eq!(find(&jobs, Some(offset - date), TOLERANCE), None);
        }
    }
}
