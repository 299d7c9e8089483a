//! The clocks of the hosts of a run: how far times of different hosts can be compared.
//!
//! Each shard measures the target's clock against its own. So two hosts know the distance between their clocks through the target,
//! as well as both measured it.

use std::collections::BTreeMap;

use super::streams::Streams;
use crate::record::{ClockOffset, Run, Timestamp};
use crate::statistics::Bounds;

/// From when to when something lasted.
type Span = (Timestamp, Timestamp);

/// The largest distance between the clocks of two hosts of a run, in seconds: zero if there is one host, and infinite if the offset
/// of one of several was not measured.
pub(super) fn between_hosts(runs: &[Run], streams: &Streams) -> f64 {
    let hosts = hosts(runs, streams);
    if hosts.len() < 2 {
        return 0.0;
    }
    let bounds: Option<Vec<Bounds>> = hosts.into_iter().collect();
    let hull = bounds.and_then(|bounds| bounds.into_iter().reduce(Bounds::hull));
    hull.map_or(f64::INFINITY, |hull| hull.high - hull.low)
}

/// The target's clock minus the harness's, wide enough for every host: a job does not say whose it was. None if one of them did not
/// measure it.
pub(super) fn common_offset(runs: &[Run], streams: &Streams) -> Option<ClockOffset> {
    // A Run that was aborted before it measured anything submitted nothing either.
    let relevant = |run: &&Run| run.status.aborted.is_none() || run.status.clock_offset.is_some();
    let relevant: Vec<Run> = runs.iter().filter(relevant).cloned().collect();
    if let [only] = &relevant[..]
        && streams.attempts(&only.metadata.run).count() < 2
    {
        return only.status.clock_offset;
    }
    let bounds: Option<Vec<Bounds>> = hosts(&relevant, streams).into_iter().collect();
    bounds?.into_iter().reduce(Bounds::hull).map(ClockOffset::from_bounds)
}

/// The offset of each host's clock, as far as it was measured. A Run without a clock is a host of its own.
fn hosts(runs: &[Run], streams: &Streams) -> Vec<Option<Bounds>> {
    let (mut hosts, mut unnamed) = (BTreeMap::<&str, Option<Bounds>>::new(), Vec::new());
    let attempts = runs.first().into_iter().flat_map(|run| streams.attempts(&run.metadata.run));
    let attempts = attempts
        .filter_map(|attempt| Some((attempt.boot_id.as_deref(), attempt.clock_offset)).filter(|it| it.0.is_some()));
    let runs =
        runs.iter().map(|run| (run.status.clock.as_ref().map(|clock| clock.boot_id.as_str()), run.status.clock_offset));
    for (boot_id, offset) in runs.chain(attempts) {
        let bounds = offset.map(ClockOffset::bounds);
        let Some(boot_id) = boot_id.filter(|id| !id.is_empty()) else {
            unnamed.push(bounds);
            continue;
        };
        let held = hosts.entry(boot_id).or_insert(bounds);
        // Each measurement of one clock holds; if two contradict each other, either may.
        *held = match (*held, bounds) {
            (Some(a), Some(b)) => Some(a.intersection(b).unwrap_or_else(|| a.hull(b))),
            (a, b) => a.or(b),
        };
    }
    hosts.into_values().chain(unnamed).collect()
}

/// `spans` by the clocks of several hosts, each as long as it can have been if the clocks differ by up to `skew` seconds.
pub(super) fn longest(spans: Vec<Span>, skew: f64) -> Vec<Span> {
    let moved = |(start, end): Span| (start.shifted(-skew / 2.0), end.shifted(skew / 2.0));
    if skew > 0.0 { spans.into_iter().map(moved).collect() } else { spans }
}

/// The same, each as short as it can have been.
pub(super) fn shortest(spans: Vec<Span>, skew: f64) -> Vec<Span> {
    let moved = |(start, end): Span| (start.shifted(skew / 2.0), end.shifted(-skew / 2.0));
    if skew > 0.0 { spans.into_iter().map(moved).filter(|(start, end)| end > start).collect() } else { spans }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(boot: &str, offset: &str) -> Run {
        serde_json::from_str(&format!(
            r#"{{"metadata":{{"name":"s","run":"r"}},"status":{{"clock":{{"bootId":"{boot}","bootSeconds":1,"unixSeconds":1}}{offset}}}}}"#
        ))
        .unwrap()
    }

    fn offset(seconds: f64, bound: f64) -> String {
        format!(r#","clockOffset":{{"seconds":{seconds},"boundSeconds":{bound}}}"#)
    }

    #[test]
    fn clocks_are_compared_through_the_target_and_only_if_each_was_measured() {
        let skew = |runs: &[Run]| format!("{:.1}", between_hosts(runs, &Streams::default()));
        assert_eq!(skew(&[run("a", ""), run("a", "")]), "0.0", "one host has one clock");
        assert_eq!(skew(&[run("a", &offset(0.0, 0.5)), run("b", &offset(2.0, 0.5))]), "3.0");
        assert_eq!(skew(&[run("a", &offset(0.0, 0.5)), run("b", "")]), "inf");
        let narrowed = [run("a", &offset(0.0, 0.5)), run("a", &offset(0.4, 0.5)), run("b", &offset(0.2, 0.1))];
        assert_eq!(skew(&narrowed), "0.6");
    }

    #[test]
    fn a_span_is_as_long_or_as_short_as_the_clocks_allow() {
        let at = |seconds| Timestamp::from_seconds(seconds).unwrap();
        let spans = || vec![(at(10.0), at(12.0)), (at(20.0), at(20.5))];
        assert_eq!(longest(spans(), 1.0), [(at(9.5), at(12.5)), (at(19.5), at(21.0))]);
        assert_eq!(shortest(spans(), 1.0), [(at(10.5), at(11.5))]);
        assert_eq!((longest(spans(), 0.0), shortest(spans(), 0.0)), (spans(), spans()));
        assert!(shortest(spans(), f64::INFINITY).is_empty());
    }
}
