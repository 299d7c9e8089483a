//! The streams of the shards of a run: whether they are whole, and how far the clocks of their hosts can be compared.

use std::collections::{BTreeMap, BTreeSet};

use crate::record::{
    ClockOffset, End, Fold, Kind, Run, Shard, ShardStream, ShardStreamSpec, ShardStreamStatus, StreamResult,
};
use crate::statistics::Bounds;

/// What is known of the streams of a run's shards.
#[derive(Clone, Debug, Default)]
pub struct Streams {
    all: BTreeMap<(String, u64), ShardStream>,
    /// True if the lines were not compared with their Ends.
    pub unverified: bool,
}

impl Streams {
    /// The streams in `fold`. Without Shard records, Ends tell which shards came to their end.
    pub fn read(fold: &Fold) -> Self {
        let key = |run: &str, shard: Shard| (run.to_owned(), shard.index);
        let shards = fold.of_kind::<ShardStream>(Kind::Shard);
        let all: BTreeMap<_, _> = shards.map(|stream| (key(&stream.metadata.run, stream.spec.shard), stream)).collect();
        let ends = fold.of_kind::<End>(Kind::End).filter_map(|end| Some(key(&end.metadata.run, end.spec.shard?)));
        let ended: BTreeSet<_> = ends.collect();
        if !all.is_empty() || ended.is_empty() {
            return Self { all, unverified: false };
        }
        let runs = fold.runs().filter_map(|run| Some((key(&run.metadata.run, run.spec.shard?), run)));
        let without_end = runs.filter(|(key, _)| !ended.contains(key)).map(|(key, run)| {
            let status = ShardStreamStatus {
                result: StreamResult::Incomplete,
                message: Some("its End is missing".to_owned()),
                ..ShardStreamStatus::default()
            };
            let spec = ShardStreamSpec { shard: run.spec.shard.unwrap_or_default() };
            (key, ShardStream { metadata: run.metadata, spec, status })
        });
        Self { all: without_end.collect(), unverified: true }
    }

    /// The streams, by run and index.
    pub fn iter(&self) -> impl Iterator<Item = &ShardStream> {
        self.all.values()
    }

    /// The stream of the shard `index` of `run`.
    pub fn get(&self, run: &str, index: u64) -> Option<&ShardStream> {
        self.all.get(&(run.to_owned(), index))
    }

    /// Returns true if the last that is known of a job may not be the last that happened: the stream of its shard is not whole,
    /// and no journal tells what was submitted.
    pub fn may_have_gone_on(&self, run: &str, index: u64) -> bool {
        let stream = self.get(run, index);
        stream.is_some_and(|stream| stream.status.result != StreamResult::Whole && !stream.status.journal)
    }
}

/// The largest distance between the clocks of two hosts of a run, in seconds: zero if there is one host, and infinite if the offset
/// of one of several was not measured.
pub(super) fn clock_skew(runs: &[Run], streams: &Streams) -> f64 {
    let mut hosts: BTreeMap<String, Option<Bounds>> = BTreeMap::new();
    let mut note = |boot_id: &str, offset: Option<ClockOffset>| {
        let bounds = offset.map(ClockOffset::bounds);
        let held = hosts.entry(boot_id.to_owned()).or_insert(bounds);
        // Each measurement of one clock holds.
        *held = match (*held, bounds) {
            (Some(a), Some(b)) if a.low.max(b.low) <= a.high.min(b.high) => {
                Some(Bounds { low: a.low.max(b.low), high: a.high.min(b.high) })
            }
            (Some(a), Some(b)) => Some(a.hull(b)),
            (a, b) => a.or(b),
        };
    };
    for run in runs {
        if let Some(clock) = &run.status.clock {
            note(&clock.boot_id, run.status.clock_offset);
        }
    }
    let is_own = |stream: &&ShardStream| runs.iter().any(|run| run.metadata.run == stream.metadata.run);
    for attempt in streams.iter().filter(is_own).flat_map(|stream| &stream.status.attempts) {
        if let Some(boot_id) = &attempt.boot_id {
            note(boot_id, attempt.clock_offset);
        }
    }
    if hosts.len() < 2 {
        return 0.0;
    }
    let bounds: Option<Vec<Bounds>> = hosts.into_values().collect();
    let hull = bounds.and_then(|bounds| bounds.into_iter().reduce(Bounds::hull));
    hull.map_or(f64::INFINITY, |hull| hull.high - hull.low)
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
        let skew = |runs: &[Run]| format!("{:.1}", clock_skew(runs, &Streams::default()));
        assert_eq!(skew(&[run("a", ""), run("a", "")]), "0.0", "one host has one clock");
        assert_eq!(skew(&[run("a", &offset(0.0, 0.5)), run("b", &offset(2.0, 0.5))]), "3.0");
        assert_eq!(skew(&[run("a", &offset(0.0, 0.5)), run("b", "")]), "inf");
        let narrowed = [run("a", &offset(0.0, 0.5)), run("a", &offset(0.4, 0.5)), run("b", &offset(0.2, 0.1))];
        assert_eq!(skew(&narrowed), "0.6");
    }
}
