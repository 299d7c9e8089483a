//! The distance between the target's clock and ours, from `Date` headers.

use super::{AGE_OVERFLOW, is_sentinel, micro};
use crate::record::{ClockOffset, Timestamp};
use crate::statistics::Bounds;
use crate::units;

/// Dates may contradict each other by this much, in seconds, because the server renews them late.
const LATE_DATES: f64 = 0.5;

/// Dates that are this far from those of most answers are left out, in seconds.
const FAR: f64 = 86_400.0;

/// How the doubt about dates that contradict each other begins.
const CONTRADICTION: &str = "its Date headers contradict each other";

/// Returns true if `doubt`, which a tool recorded, says that the `Date` headers contradict each other: no one offset holds then.
pub fn is_contradiction(doubt: &str) -> bool {
    doubt.starts_with(CONTRADICTION)
}

/// The greatest age of the `Date` in a server's own answer, in seconds: the header is cut to whole seconds, and servers renew it once a
/// second, and a little later where their timer is late.
pub const MOST_LATE: f64 = 2.2;

/// The `Date` header of an answer, with the `Age` that a cache gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerDate {
    /// The date.
    pub date: Timestamp,
    /// The age in whole seconds; none if no cache was in between.
    pub age_seconds: Option<u32>,
}

impl ServerDate {
    /// The server's clock when the answer was sent lies between these. A cache's age is cut to whole seconds, as dates are.
    fn bounds(self) -> (Timestamp, Timestamp) {
        let age = f64::from(self.age_seconds.unwrap_or_default());
        let (low, width) =
            (self.date.shifted(age), if self.age_seconds.is_some() { MOST_LATE + 1.0 } else { MOST_LATE });
        (low, low.shifted(width))
    }
}

/// Bounds of the distance between the target's clock and ours, from the `Date` headers of many answers.
///
/// A date that arrived between `sent` and `received` bounds the offset; the bounds of all answers are cut with each other.
/// If two contradict each other (several hosts behind one address, a cache without `Age`, a clock that was set), either may
/// hold for a job, so the bounds are those that any answer allows. Dates that are more than a day from most others are left out.
#[derive(Clone, Copy, Debug, Default)]
pub struct OffsetBounds {
    /// The bounds from most answers.
    dates: Option<Dates>,
    /// Those from fewer answers, whose dates are far away.
    far: Option<Dates>,
    /// A date that no clock of today shows.
    impossible: Option<Timestamp>,
}

/// Dates that are no more than a day apart, each by its own bounds of the offset.
#[derive(Clone, Copy, Debug)]
struct Dates {
    /// The highest lower bound and the lowest upper one.
    agreed: Bounds,
    /// The bounds that any answer allows.
    hull: Bounds,
    count: u64,
    /// The first of them.
    first: Option<Timestamp>,
}

impl Dates {
    fn is_far_from(&self, seen: Bounds) -> bool {
        (seen.low - self.hull.high).max(self.hull.low - seen.high) > FAR
    }
}

impl OffsetBounds {
    /// Narrows the bounds by one answer.
    pub fn observe(&mut self, date: ServerDate, sent: Timestamp, received: Timestamp) {
        if is_sentinel(date.date) {
            self.impossible = Some(date.date);
            return;
        }
        if date.age_seconds == Some(AGE_OVERFLOW) {
            return;
        }
        let (earliest, latest) = date.bounds();
        let seen = Bounds { low: earliest.since(received), high: latest.since(sent) };
        let new = Dates { agreed: seen, hull: seen, count: 0, first: Some(date.date) };
        let is_near = |dates: &Option<Dates>| dates.is_none_or(|dates| !dates.is_far_from(seen));
        let held = if is_near(&self.dates) {
            &mut self.dates
        } else if is_near(&self.far) {
            &mut self.far
        } else {
            self.impossible = Some(date.date);
            return;
        };
        let held = held.get_or_insert(new);
        held.agreed = Bounds { low: held.agreed.low.max(seen.low), high: held.agreed.high.min(seen.high) };
        held.hull = held.hull.hull(seen);
        held.count += 1;
        if self.far.map(|far| far.count) > self.dates.map(|dates| dates.count) {
            std::mem::swap(&mut self.dates, &mut self.far);
        }
    }

    /// By how much answers contradict each other, in seconds; negative where they agree.
    fn gap(&self) -> f64 {
        self.dates.map_or(0.0, |dates| dates.agreed.low - dates.agreed.high)
    }

    /// The reason to doubt the offset, as the rest of a sentence about the target.
    pub fn doubt(&self) -> Option<String> {
        if self.gap() > LATE_DATES {
            return Some(format!(
                "{CONTRADICTION} by {:.1} s: several hosts, a cache, or a clock that was set; the offset \
                 covers everything that any of them allows",
                self.gap()
            ));
        }
        if let Some(Dates { count, first: Some(date), .. }) = self.far {
            let (answers, date) = (units::counted(count, "answer has", "answers have"), date.date());
            return Some(format!("{answers} a Date more than a day from the others, such as {date}: not used"));
        }
        let date = self.impossible?;
        Some(format!("a Date header says {}, which is not a plausible date: not used", date.date()))
    }

    /// The offset and how far it may be wrong; none if no answer carried a date.
    ///
    /// A date is never ahead of the server's clock, so the lower bound holds. The upper one rests on how late a server may
    /// renew its dates. Dates that are renewed in time leave a second between the two; less only shows that they were not.
    pub fn offset(&self) -> Option<ClockOffset> {
        let Dates { agreed, hull, .. } = self.dates?;
        let Bounds { low, high } = if self.gap() > 0.0 { hull } else { agreed };
        let high = high.max(low + 1.0);
        let (seconds, bound_seconds) = (f64::midpoint(low, high), (high - low) / 2.0);
        bound_seconds
            .is_finite()
            .then_some(ClockOffset { seconds: micro(seconds), bound_seconds: micro(bound_seconds) })
    }

    /// The bounds that `offset` states, to be narrowed further unless a `doubt` says that dates contradict each other.
    pub fn from_offset(offset: ClockOffset, doubt: Option<&str>) -> Self {
        let hull = offset.bounds();
        let is_contradictory = doubt.is_some_and(is_contradiction);
        let agreed = if is_contradictory { Bounds { low: hull.high, high: hull.low } } else { hull };
        Self { dates: Some(Dates { agreed, hull, count: 1, first: None }), far: None, impossible: None }
    }
}

#[cfg(test)]
mod tests {
    use super::super::http_date;
    use super::*;

    fn at(seconds: f64) -> Timestamp {
        Timestamp::from_seconds(1e9 + seconds).unwrap()
    }

    fn date(seconds: f64) -> ServerDate {
        ServerDate { date: at(seconds), age_seconds: None }
    }

    #[test]
    fn a_date_may_be_a_second_old_and_many_narrow_the_offset() {
        let mut bounds = OffsetBounds::default();
        assert!(bounds.offset().is_none());
        // The server is 5 s ahead and renews its date half a second late: it says 5 until our 1.5, and 6 from then on.
        for tenth in 6..40 {
            let now = f64::from(tenth) / 10.0;
            bounds.observe(date((now + 4.5).floor()), at(now - 0.01), at(now));
        }
        let offset = bounds.offset().unwrap();
        assert!((offset.seconds - 5.0).abs() <= offset.bound_seconds, "{offset:?}");
        assert!(offset.bound_seconds <= 0.7, "{offset:?}");
    }

    #[test]
    fn dates_that_a_slow_timer_renews_do_not_claim_more_than_they_know() {
        let mut bounds = OffsetBounds::default();
        // Both clocks agree; the server renews its date every 1.03 s, and its phase drifts through all of a second.
        for step in 0..4000 {
            let now = 1000.0 + f64::from(step) * 0.01;
            bounds.observe(date(((now / 1.03).floor() * 1.03).floor()), at(now - 0.001), at(now));
        }
        let offset = bounds.offset().unwrap();
        assert!(offset.seconds.abs() <= offset.bound_seconds, "{offset:?}");
    }

    #[test]
    fn hosts_that_contradict_each_other_leave_room_for_both() {
        let mut bounds = OffsetBounds::default();
        for (seconds, now) in [(1.0, 1.2), (101.0, 1.3), (2.0, 2.2), (102.0, 2.3)] {
            bounds.observe(date(seconds), at(now), at(now));
        }
        let offset = bounds.offset().unwrap().bounds();
        assert!(offset.low <= 0.0 && offset.high >= 100.0, "{offset:?}");
    }

    #[test]
    fn dates_that_contradict_each_other_are_doubted_and_leave_room_for_all() {
        // The server renews its date every 5 s only; both clocks agree.
        for start in 0..5 {
            let mut bounds = OffsetBounds::default();
            for tenth in 0..60 {
                let now = f64::from(start) + f64::from(tenth) / 10.0 + 1000.0;
                bounds.observe(date((now / 5.0).floor() * 5.0), at(now - 0.001), at(now));
            }
            let offset = bounds.offset().unwrap();
            assert!(offset.seconds.abs() <= offset.bound_seconds, "{start}: {offset:?}");
            assert!(bounds.doubt().is_some_and(|doubt| doubt.contains("contradict each other")));
            // Another tool goes on with what the first one knew.
            let mut next = OffsetBounds::from_offset(offset, bounds.doubt().as_deref());
            next.observe(date(1000.0), at(1004.9), at(1004.9));
            assert!(next.doubt().is_some() && next.offset().unwrap().bound_seconds >= offset.bound_seconds - 1e-6);
        }
    }

    #[test]
    fn a_date_that_no_clock_of_today_shows_is_not_used() {
        let mut bounds = OffsetBounds::default();
        let epoch = ServerDate { date: http_date("Thu, 01 Jan 1970 00:00:00 GMT").unwrap(), age_seconds: None };
        bounds.observe(epoch, Timestamp::system(), Timestamp::system());
        assert_eq!(bounds.offset(), None);
        assert!(bounds.doubt().is_some_and(|doubt| doubt.contains("1970-01-01")));
    }

    #[test]
    fn dates_that_are_far_from_most_others_are_left_out_and_named() {
        let mut bounds = OffsetBounds::default();
        for (seconds, now) in [(3e9, 1.2), (2.0, 2.2), (-5e8, 3.2), (4.0, 4.3), (3e9, 5.0), (6.0, 6.2)] {
            bounds.observe(date(seconds), at(now), at(now));
        }
        let offset = bounds.offset().unwrap();
        assert!(offset.seconds.abs() <= offset.bound_seconds && offset.bound_seconds < 2.0, "{offset:?}");
        let doubt = bounds.doubt().unwrap();
        assert!(doubt.contains("2096-10-02") && doubt.contains("2 answers"), "{doubt}");
        // The next tool takes the offset as it is: nothing contradicts it.
        let next = OffsetBounds::from_offset(offset, Some(&doubt));
        assert_eq!((next.offset(), next.doubt()), (Some(offset), None));
    }

    #[test]
    fn an_age_makes_a_date_older() {
        let mut bounds = OffsetBounds::default();
        // Made at 100 by both clocks, handed out by a cache at 160.5.
        bounds.observe(ServerDate { date: at(100.0), age_seconds: Some(60) }, at(160.5), at(160.5));
        let offset = bounds.offset().unwrap();
        assert!((offset.seconds).abs() <= offset.bound_seconds && offset.bound_seconds <= 1.7, "{offset:?}");
    }
}
