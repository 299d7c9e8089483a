//! The processes and scrapes behind the series of counters.
//!
//! A counter can be added up only if each of its series is one process, seen once. This module looks at all counters of a run
//! together and finds the exceptions: an address behind which several processes answer in turn, so that its counters jump back
//! and forth; an address that another process took over; counters that fell without a sign of a restart; and series that two
//! scrapes or two servers (a highly available pair) recorded of the same process.

use std::collections::{BTreeMap, BTreeSet};

use itertools::Itertools;

use super::counters::{Series, grouped};
use super::distribution::median_distance;

/// The labels that tell the sources of one metric apart: all but the name, the bucket and the labels it is added up by.
type Source = BTreeMap<String, String>;

/// The largest number of sources that are compared with each other.
const COMPARED: usize = 200;
/// The length of a gap, in usual distances between samples, that shows a missed scrape.
pub(super) const GAP: f64 = 1.6;

/// The tolerance of the times of samples in seconds: servers round to the millisecond, records to the microsecond.
const ROUNDING: f64 = 0.0015;

/// Start times that differ by fewer seconds may be one process's: some libraries compute them from a clock that is adjusted.
const JITTER: f64 = 2.0;

/// The largest number of contradictions between two scrapes of one process: something was counted between two readings at one time.
const RACES: usize = 2;

/// A sign that the process behind an address changed, or that it did not.
#[derive(Clone, Debug, PartialEq)]
pub struct ProcessChange {
    /// The address that was scraped: its labels `job` and `instance`.
    pub address: (String, String),
    /// The time of the first sample of the new process, or of the failed scrape, in Unix seconds.
    pub seen_at: f64,
    /// The kind of sign.
    pub sign: ChangeSign,
}

/// The kinds of signs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ChangeSign {
    /// `process_start_time_seconds` moved on: a new process.
    Restart,
    /// `process_start_time_seconds` shows a process that had been there before, beside the old one.
    Takeover,
    /// `up` was 0. It explains a fall, but proves no restart where nothing fell.
    FailedScrape,
    /// `process_start_time_seconds` stayed the same until this time.
    SameProcess {
        /// The last sample of it, in Unix seconds.
        until: f64,
        /// Its value.
        started_at: f64,
    },
}

/// The reason why no figure is computed from a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unsteady {
    /// It fell, and nothing shows that its process restarted.
    Fell,
    /// Another process answers from some time on, which is no restart of the one before.
    TakenOver,
    /// It jumps back and forth, as the counters of several processes behind one address do.
    Alternates,
}

/// The sources of the counters of a run.
#[derive(Debug, Default)]
pub struct CounterSources {
    unsteady: BTreeMap<(String, String), Unsteady>,
    /// Pairs of sources that were compared: whether they have agreed so far, and whether a counter of them rose.
    pairs: BTreeMap<(Source, Source), (bool, bool)>,
}

impl CounterSources {
    /// Adds the series of one query, which are added up by the labels `by` from the time `from` on; `is_scraped` says that their
    /// points are samples as they were scraped, and not values at evaluated steps.
    pub fn add(&mut self, series: &[Series], by: &[String], from: f64, changes: &[ProcessChange], is_scraped: bool) {
        for one in series {
            if let (Some(address), Some(unsteady)) = (address(&one.labels), unsteady(one, from, changes)) {
                let held = self.unsteady.entry(address).or_insert(unsteady);
                *held = unsteady.max(*held);
            }
        }
        self.compare(series, by, changes, is_scraped);
    }

    fn compare(&mut self, series: &[Series], by: &[String], changes: &[ProcessChange], is_scraped: bool) {
        let mut sources: BTreeMap<Source, BTreeMap<Source, &Series>> = BTreeMap::new();
        for one in series.iter().filter(|one| one.key(by).is_some()) {
            let (source, counter) = split(one, by);
            sources.entry(source).or_default().insert(counter, one);
        }
        let sources: Vec<_> = sources.into_iter().take(COMPARED).collect();
        for [(source, counters), (other, others)] in sources.iter().array_combinations() {
            // One server scraped both, so that its times tell which sample is the later one. Those of a pair of servers do not.
            let is_ordered = is_scraped && source.get("instance") != other.get("instance");
            let held = self.pairs.entry((source.clone(), other.clone())).or_insert((true, false));
            held.0 &= !are_two_processes(source, other, changes);
            let all: BTreeSet<&Source> = counters.keys().chain(others.keys()).collect();
            for counter in all {
                match (counters.get(counter), others.get(counter)) {
                    (Some(one), Some(other)) => {
                        let scrape = usual_distance(&finite(one)).max(usual_distance(&finite(other)));
                        held.0 &= outliers(one, other, scrape) + outliers(other, one, scrape) == 0;
                        // Those at one time, or next to each other, contradict each other.
                        let contradictions = || outliers(one, other, -ROUNDING) + outliers(other, one, -ROUNDING);
                        held.0 &= !is_ordered || contradictions() <= RACES;
                        held.1 |= rises(one) && rises(other);
                    }
                    // A counter that only one of them has is no contradiction until it counts something.
                    (Some(alone), None) | (None, Some(alone)) => held.0 &= !rises(alone),
                    (None, None) => {}
                }
            }
        }
    }

    /// The reason why `series` cannot be counted on; none if it can. All counters behind one address share their processes.
    pub fn unsteady(&self, series: &Series, from: f64, changes: &[ProcessChange]) -> Option<Unsteady> {
        let of_address = address(&series.labels).and_then(|address| self.unsteady.get(&address).copied());
        unsteady(series, from, changes).max(of_address.filter(|unsteady| *unsteady != Unsteady::Fell))
    }

    /// Returns `series` without those that show again what another one shows, and the labels by which the removed ones differ.
    pub fn without_repeated(&self, series: Vec<Series>, by: &[String]) -> (Vec<Series>, BTreeSet<String>) {
        let mut labels = BTreeSet::new();
        let sources: BTreeSet<Source> = series.iter().map(|one| split(one, by).0).collect();
        let is_repeated = |source: &Source| {
            let repeats = |first: &&Source| self.pairs.get(&((**first).clone(), source.clone())) == Some(&(true, true));
            sources.range(..source.clone()).find(repeats)
        };
        let repeated: BTreeMap<&Source, &Source> =
            sources.iter().filter_map(|source| Some((source, is_repeated(source)?))).collect();
        for (source, first) in &repeated {
            let all: BTreeSet<&String> = source.keys().chain(first.keys()).collect();
            labels.extend(all.into_iter().filter(|label| source.get(*label) != first.get(*label)).cloned());
        }
        let kept = series.into_iter().filter(|one| !repeated.contains_key(&split(one, by).0)).collect();
        (kept, labels)
    }
}

/// Returns how many sources the largest sum of `series` by the labels `by` has, and the labels by which they differ.
pub fn count_replicas(series: &[Series], by: &[String]) -> (usize, BTreeSet<String>) {
    let sources = |held: Vec<&Series>| held.into_iter().map(|one| split(one, by).0).collect::<BTreeSet<Source>>();
    let largest = grouped(series, by).into_values().map(sources).max_by_key(BTreeSet::len).unwrap_or_default();
    (largest.len(), differing(largest.iter()))
}

/// The labels in which `series` differ.
pub fn differing_labels(series: &[&Series]) -> BTreeSet<String> {
    differing(series.iter().map(|one| &one.labels))
}

fn differing<'a>(sources: impl Iterator<Item = &'a Source> + Clone) -> BTreeSet<String> {
    let labels: BTreeSet<&String> = sources.clone().flat_map(BTreeMap::keys).collect();
    let differs = |label: &&String| sources.clone().map(|source| source.get(*label)).collect::<BTreeSet<_>>().len() > 1;
    labels.into_iter().filter(differs).cloned().collect()
}

/// Splits the labels of a series into those of its source and the others.
fn split(series: &Series, by: &[String]) -> (Source, Source) {
    let is_of_counter = |label: &String| label == "__name__" || label == "le" || by.contains(label);
    let (counter, source) = series.labels.clone().into_iter().partition(|(label, _)| is_of_counter(label));
    (source, counter)
}

/// The address that was scraped for a series with these labels.
fn address(labels: &Source) -> Option<(String, String)> {
    let label = |name: &str| labels.get(name).cloned();
    Some((label("job").unwrap_or_default(), label("instance")?))
}

/// The times from when to when the process at an address stayed the same, and its start time.
fn spans<'c>(
    address: &'c (String, String),
    changes: &'c [ProcessChange],
) -> impl Iterator<Item = (f64, f64, f64)> + Clone + 'c {
    changes.iter().filter(move |change| change.address == *address).filter_map(|change| match change.sign {
        ChangeSign::SameProcess { until, started_at } => Some((change.seen_at, until, started_at)),
        _ => None,
    })
}

/// Returns whether the start times prove that two sources are different processes: at one time they differ.
fn are_two_processes(one: &Source, other: &Source, changes: &[ProcessChange]) -> bool {
    let (Some(one), Some(other)) = (address(one), address(other)) else { return false };
    let differ = |(from, until, started): (f64, f64, f64)| {
        spans(&other, changes).any(|(other_from, other_until, other_started)| {
            from <= other_until && other_from <= until && (started - other_started).abs() > JITTER
        })
    };
    one != other && spans(&one, changes).any(differ)
}

/// Returns `series` with a point at zero before the first sample of each restarted process, where its counter does not show the
/// restart because it has come as far as the old one or farther.
pub fn with_restarts(mut series: Series, changes: &[ProcessChange]) -> Series {
    for seen_at in times(ChangeSign::Restart, &series, changes) {
        let next = series.points.iter().position(|(at, value)| value.is_finite() && at + ROUNDING >= seen_at);
        let Some(next) = next else { continue };
        let held = series.points[..next].iter().rev().find(|(_, value)| value.is_finite());
        let (at, value) = series.points[next];
        if held.is_some_and(|(_, held)| *held > 0.0 && value >= *held) {
            series.points.insert(next, (at.next_down(), 0.0));
        }
    }
    series
}

/// The times at which a series' process showed the sign.
fn times(sign: ChangeSign, series: &Series, changes: &[ProcessChange]) -> Vec<f64> {
    let Some(address) = address(&series.labels) else { return Vec::new() };
    let own = changes.iter().filter(|change| change.address == address && change.sign == sign);
    own.map(|change| change.seen_at).collect()
}

/// The reason why `series` cannot be counted on after `from`; none if each of its falls has a sign of a restart, and no other process
/// took its place.
fn unsteady(series: &Series, from: f64, changes: &[ProcessChange]) -> Option<Unsteady> {
    let points = finite(series);
    let usual = usual_distance(&points);
    let [restarts, takeovers, failed_scrapes] =
        [ChangeSign::Restart, ChangeSign::Takeover, ChangeSign::FailedScrape].map(|sign| times(sign, series, changes));
    let address = address(&series.labels);
    let same: Vec<_> = address.iter().flat_map(|address| spans(address, changes)).collect();
    let (mut is_explained, mut is_taken_over, mut returns, mut top) = (true, false, 0, None::<(f64, f64)>);
    for pair in points.windows(2) {
        let ((start, held), (end, value)) = (pair[0], pair[1]);
        let between = |times: &[f64]| times.iter().any(|at| (start + ROUNDING..=end + ROUNDING).contains(at));
        let is_restart = value < held && between(&restarts);
        is_taken_over |= end > from && !is_restart && between(&takeovers);
        if value < held {
            // What is known to be one process on both sides did not restart between them.
            let went_on = same.iter().any(|(from, until, _)| *from <= start + ROUNDING && end <= until + ROUNDING);
            let is_gap = !went_on && (end - start > GAP * usual || between(&failed_scrapes));
            is_explained &= end <= from || is_gap || is_restart;
            top = Some((held, value));
        } else if let Some((high, low)) = top
            && value >= high
            && value - held > (high - low) / 2.0
        {
            // One step takes it back to where it fell from.
            returns += 1;
            top = None;
        }
    }
    let by_values = match (is_explained, returns) {
        (true, 0 | 1) => None,
        (_, 0) => Some(Unsteady::Fell),
        _ => Some(Unsteady::Alternates),
    };
    by_values.max(is_taken_over.then_some(Unsteady::TakenOver))
}

/// The median distance between two samples.
pub(super) fn usual_distance(points: &[(f64, f64)]) -> f64 {
    median_distance(points.iter().map(|(at, _)| *at)).unwrap_or_default()
}

fn rises(series: &Series) -> bool {
    let points = finite(series);
    points.first().zip(points.last()).is_some_and(|((_, first), (_, last))| last > first)
}

/// The number of samples of `one` that do not lie between those that `other` shows `apart` seconds before and after them.
fn outliers(one: &Series, other: &Series, apart: f64) -> usize {
    let (one, other) = (finite(one), finite(other));
    let lies_outside = |(at, value): &&(f64, f64)| {
        let until = other.partition_point(|(time, _)| *time <= at - apart);
        let from = other.partition_point(|(time, _)| *time < at + apart);
        let low = until.checked_sub(1).map_or(f64::NEG_INFINITY, |index| other[index].1);
        let high = other.get(from).map_or(f64::INFINITY, |(_, held)| *held);
        !(low..=high).contains(value)
    };
    one.iter().filter(lies_outside).count()
}

/// The points of a series that are numbers.
pub(super) fn finite(series: &Series) -> Vec<(f64, f64)> {
    series.points.iter().copied().filter(|(_, value)| value.is_finite()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(labels: &[(&str, &str)], points: &[(f64, f64)]) -> Series {
        let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Series { labels, points: points.to_vec() }
    }

    /// Samples each 5 s.
    fn each_5s(values: &[f64]) -> Vec<(f64, f64)> {
        values.iter().enumerate().map(|(index, value)| (5.0 * index as f64, *value)).collect()
    }

    fn of_api(values: &[f64]) -> Series {
        series(&[("__name__", "n"), ("job", "api"), ("instance", "a:1"), ("stage", "x")], &each_5s(values))
    }

    fn restart(seen_at: f64) -> ProcessChange {
        ProcessChange { address: ("api".to_owned(), "a:1".to_owned()), seen_at, sign: ChangeSign::Restart }
    }

    fn takeover(seen_at: f64) -> ProcessChange {
        ProcessChange { sign: ChangeSign::Takeover, ..restart(seen_at) }
    }

    #[test]
    fn a_fall_is_a_restart_only_if_something_says_so() {
        let fell = of_api(&[4.0, 9.0, 1.0, 3.0]);
        assert_eq!(unsteady(&of_api(&[4.0, 9.0, 9.0, 12.0]), 0.0, &[]), None);
        assert_eq!(unsteady(&fell, 0.0, &[]), Some(Unsteady::Fell));
        assert_eq!(unsteady(&fell, 0.0, &[restart(10.0)]), None, "the process is a new one from that sample on");
        assert_eq!(unsteady(&fell, 0.0, &[restart(10.000_001)]), None, "the record rounds to the microsecond");
        assert_eq!(unsteady(&fell, 0.0, &[restart(5.0)]), Some(Unsteady::Fell), "it restarted before");
        let elsewhere = ProcessChange { address: ("api".to_owned(), "b:1".to_owned()), ..restart(10.0) };
        assert_eq!(unsteady(&fell, 0.0, &[elsewhere]), Some(Unsteady::Fell), "another process restarted");
        assert_eq!(unsteady(&fell, 12.0, &[]), None, "it fell before the window");
        let failed = |seen_at| ProcessChange { sign: ChangeSign::FailedScrape, ..restart(seen_at) };
        assert_eq!(unsteady(&fell, 0.0, &[failed(7.0)]), None, "a server saw it down between the samples");
        assert_eq!(unsteady(&fell, 0.0, &[failed(12.0)]), Some(Unsteady::Fell), "it was down later");
        let rising = of_api(&[2.0, 3.0, 4.0]);
        assert_eq!(with_restarts(rising.clone(), &[failed(7.0)]), rising, "a slow scrape is no restart");
        let gap = series(&[("instance", "a:1")], &[(0.0, 4.0), (5.0, 9.0), (15.0, 1.0), (20.0, 3.0), (25.0, 3.0)]);
        assert_eq!(unsteady(&gap, 0.0, &[]), None, "a scrape failed while it was down");
    }

    fn same_process(instance: &str, from: f64, until: f64, started_at: f64) -> ProcessChange {
        let sign = ChangeSign::SameProcess { until, started_at };
        ProcessChange { address: ("api".to_owned(), instance.to_owned()), seen_at: from, sign }
    }

    #[test]
    fn a_process_that_went_on_did_not_restart() {
        let gap = [(0.0, 4.0), (5.0, 9.0), (15.0, 1.0), (20.0, 3.0), (25.0, 3.0)];
        let gap = series(&[("job", "api"), ("instance", "a:1")], &gap);
        let failed = ProcessChange { sign: ChangeSign::FailedScrape, ..restart(10.0) };
        assert_eq!(unsteady(&gap, 0.0, std::slice::from_ref(&failed)), None);
        let went_on = same_process("a:1", 0.0, 25.0, -900.0);
        assert_eq!(unsteady(&gap, 0.0, &[failed.clone(), went_on]), Some(Unsteady::Fell));
        let ended = same_process("a:1", 0.0, 5.0, -900.0);
        assert_eq!(unsteady(&gap, 0.0, &[failed, ended]), None, "nothing is known of the process behind the fall");
    }

    #[test]
    fn start_times_tell_two_processes_from_one_seen_twice() {
        let of = |instance: &str| {
            let labels = [("__name__", "n"), ("job", "api"), ("instance", instance), ("stage", "x")];
            series(&labels, &each_5s(&[1.0, 2.0, 3.0, 4.0]))
        };
        let by = ["stage".to_owned()];
        let kept = |changes: &[ProcessChange]| {
            let mut sources = CounterSources::default();
            sources.add(&[of("a:1"), of("b:1")], &by, 0.0, changes, true);
            sources.without_repeated(vec![of("a:1"), of("b:1")], &by).0.len()
        };
        assert_eq!(kept(&[]), 1);
        assert_eq!(kept(&[same_process("a:1", 0.0, 15.0, -900.0), same_process("b:1", 0.0, 15.0, -899.0)]), 1);
        assert_eq!(kept(&[same_process("a:1", 0.0, 15.0, -900.0), same_process("b:1", 0.0, 15.0, -500.0)]), 2);
        assert_eq!(kept(&[same_process("a:1", 0.0, 5.0, -900.0), same_process("b:1", 10.0, 15.0, -500.0)]), 1);
    }

    #[test]
    fn an_address_that_keeps_behind_another_is_another_process() {
        let of = |instance: &str, late: f64, values: &[f64]| {
            let labels = [("__name__", "n"), ("job", "api"), ("instance", instance), ("stage", "x")];
            let points: Vec<_> = each_5s(values).into_iter().map(|(at, value)| (at + late, value)).collect();
            series(&labels, &points)
        };
        let by = ["stage".to_owned()];
        let kept = |one: Series, other: Series, is_scraped: bool| {
            let mut sources = CounterSources::default();
            sources.add(&[one.clone(), other.clone()], &by, 0.0, &[], is_scraped);
            sources.without_repeated(vec![one, other], &by).0.len()
        };
        let in_turn = || (of("a:1", 0.0, &[1.0, 2.0, 3.0, 4.0, 5.0]), of("b:1", 0.0, &[1.0, 1.0, 2.0, 3.0, 4.0]));
        assert_eq!(kept(in_turn().0, in_turn().1, true), 2, "requests go to two workers in turn");
        assert_eq!(kept(in_turn().0, in_turn().1, false), 1, "at evaluated steps samples are of different ages");
        let later = of("b:1", 2.0, &[1.0, 3.0, 3.0, 5.0, 5.0]);
        assert_eq!(kept(in_turn().0, later, true), 1, "each sample lies between its neighbours");
    }

    #[test]
    fn a_counter_that_jumps_back_and_forth_is_several_processes() {
        for values in [
            &[40.0, 12.0, 41.0, 13.0, 43.0, 13.0, 45.0, 15.0][..],
            &[9.0, 2.0, 9.0, 2.0, 10.0, 3.0],
            &[5.0, 5.0, 3.0, 8.0],
        ] {
            assert_eq!(unsteady(&of_api(values), 0.0, &[]), Some(Unsteady::Alternates), "{values:?}");
        }
        let restarts: Vec<ProcessChange> = (1..8).map(|index| restart(5.0 * f64::from(index))).collect();
        let often = of_api(&[40.0, 12.0, 41.0, 13.0, 43.0, 13.0, 45.0, 15.0]);
        assert_eq!(
            unsteady(&often, 0.0, &restarts),
            Some(Unsteady::Alternates),
            "start times that jump too prove nothing"
        );
        assert_eq!(
            unsteady(&of_api(&[40.0, 1.0, 3.0, 60.0]), 0.0, &[restart(5.0)]),
            None,
            "a busy process overtakes the old one"
        );
    }

    #[test]
    fn another_process_that_takes_over_is_no_restart() {
        let taken_over = Some(Unsteady::TakenOver);
        // Whether its counter is higher, equal or lower.
        for values in [[5.0, 6.0, 90.0, 92.0], [5.0, 6.0, 6.0, 7.0], [5.0, 6.0, 2.0, 3.0]] {
            assert_eq!(unsteady(&of_api(&values), 0.0, &[takeover(10.0)]), taken_over, "{values:?}");
            assert_eq!(
                unsteady(&of_api(&values[1..]), 7.0, &[takeover(5.0)]).filter(|it| Some(*it) == taken_over),
                None
            );
        }
        let younger = [restart(10.0), takeover(10.0)];
        assert_eq!(unsteady(&of_api(&[5.0, 6.0, 2.0, 3.0]), 0.0, &younger), None, "a deployment that overlaps");
        assert_eq!(unsteady(&of_api(&[5.0, 6.0, 90.0, 92.0]), 0.0, &younger), taken_over);
    }

    #[test]
    fn a_counter_that_overtakes_its_old_value_began_at_zero() {
        let restarted = |values: &[f64], seen_at| {
            let series = with_restarts(of_api(values), &[restart(seen_at)]);
            series.points.iter().map(|(_, value)| *value).collect::<Vec<_>>()
        };
        assert_eq!(restarted(&[2.0, 2.0, 7.0, 8.0], 10.0), [2.0, 2.0, 0.0, 7.0, 8.0]);
        assert_eq!(restarted(&[2.0, 2.0, 2.0], 9.0), [2.0, 2.0, 0.0, 2.0], "it came just as far");
        assert_eq!(restarted(&[2.0, f64::NAN, 7.0], 5.0)[2..], [0.0, 7.0]);
        for (values, seen_at) in
            [([2.0, 1.0, 3.0], 5.0), ([0.0, 1.0, 3.0], 5.0), ([2.0, 3.0, 4.0], 0.0), ([2.0, 3.0, 4.0], 99.0)]
        {
            assert_eq!(restarted(&values, seen_at), values, "{seen_at}");
        }
        let elsewhere = ProcessChange { address: ("api".to_owned(), "b:1".to_owned()), ..restart(5.0) };
        assert_eq!(with_restarts(of_api(&[2.0, 3.0]), &[elsewhere, takeover(5.0)]), of_api(&[2.0, 3.0]));
    }

    #[test]
    fn all_counters_of_an_address_share_its_processes() {
        let mut sources = CounterSources::default();
        let by = ["stage".to_owned()];
        sources.add(&[of_api(&[9.0, 2.0, 9.0, 2.0])], &by, 0.0, &[], true);
        assert_eq!(sources.unsteady(&of_api(&[1.0, 1.0, 2.0]), 0.0, &[]), Some(Unsteady::Alternates));
        let elsewhere = series(&[("job", "api"), ("instance", "b:1")], &each_5s(&[1.0, 2.0]));
        assert_eq!(sources.unsteady(&elsewhere, 0.0, &[]), None);
    }

    fn replica(name: &str, replica: &str, start: f64, values: &[f64]) -> Series {
        let points: Vec<(f64, f64)> = each_5s(values).into_iter().map(|(at, value)| (start + at, value)).collect();
        series(&[("__name__", name), ("stage", "x"), ("instance", "a:1"), ("replica", replica)], &points)
    }

    fn kept(all: &[Vec<Series>]) -> (Vec<Series>, BTreeSet<String>) {
        let (mut sources, by) = (CounterSources::default(), ["stage".to_owned()]);
        for query in all {
            sources.add(query, &by, 0.0, &[], true);
        }
        sources.without_repeated(all[0].clone(), &by)
    }

    #[test]
    fn series_that_agree_within_a_scrape_and_rise_are_one_seen_twice() {
        let pair = vec![replica("n", "a", 0.0, &[1.0, 1.0, 3.0, 4.0]), replica("n", "b", 2.0, &[1.0, 2.0, 3.0, 5.0])];
        let (series, labels) = kept(&[pair]);
        assert_eq!((series.len(), labels), (1, BTreeSet::from(["replica".to_owned()])));
    }

    #[test]
    fn replicas_that_differ_or_do_not_move_are_kept() {
        let differ = vec![replica("n", "a", 0.0, &[1.0, 1.0, 3.0, 4.0]), replica("n", "b", 2.0, &[1.0, 5.0, 6.0, 9.0])];
        assert_eq!(kept(std::slice::from_ref(&differ)).0.len(), 2);
        assert_eq!(count_replicas(&differ, &["stage".to_owned()]), (2, BTreeSet::from(["replica".to_owned()])));
        let still = vec![replica("n", "a", 0.0, &[0.0, 0.0]), replica("n", "b", 2.0, &[0.0, 0.0])];
        assert_eq!(kept(&[still]).0.len(), 2, "they say nothing");
    }

    #[test]
    fn replicas_that_count_alike_differ_in_their_sums() {
        let counts = vec![replica("n", "a", 0.0, &[1.0, 2.0, 3.0]), replica("n", "b", 1.0, &[1.0, 2.0, 3.0])];
        let sums = vec![replica("s", "a", 0.0, &[1.5, 2.0, 3.0]), replica("s", "b", 1.0, &[4.0, 5.0, 9.0])];
        assert_eq!(kept(&[counts, sums]).0.len(), 2);
    }
}
