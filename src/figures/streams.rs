//! The streams of the shards of a run: whether they are whole.

use std::collections::{BTreeMap, BTreeSet};

use crate::record::{Attempt, End, Fold, Kind, Shard, ShardStream, ShardStreamSpec, ShardStreamStatus, StreamResult};

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
                message: Some("its End record is missing".to_owned()),
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

    /// The attempts of the shards of `run`.
    pub fn attempts(&self, run: &str) -> impl Iterator<Item = &Attempt> {
        let own = self.iter().filter(move |stream| stream.metadata.run == run);
        own.flat_map(|stream| &stream.status.attempts)
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
