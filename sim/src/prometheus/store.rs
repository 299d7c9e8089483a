//! Scraped samples, in memory.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A series' labels, sorted, the metric's name among them as `__name__`. Their order is the order of Prometheus' answers.
pub(crate) type Labels = Vec<(String, String)>;

/// A series and the part of its samples that was asked for: milliseconds since the epoch, value.
pub(crate) type Series = (Labels, Vec<(i64, f64)>);

/// The time that samples are kept, in milliseconds: longer than any load test that one would watch.
const RETENTION: i64 = 6 * 3600 * 1000;

/// Samples by series.
#[derive(Debug, Default)]
pub(crate) struct Store {
    series: Mutex<BTreeMap<Labels, VecDeque<(i64, f64)>>>,
}

impl Store {
    /// An append is complete or not begun, so a poisoned lock is taken over.
    fn series(&self) -> MutexGuard<'_, BTreeMap<Labels, VecDeque<(i64, f64)>>> {
        self.series.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds samples of one time, which must not lie before any added earlier.
    pub(crate) fn append(&self, at: i64, samples: impl IntoIterator<Item = (Labels, f64)>) {
        let mut series = self.series();
        for (labels, value) in samples {
            let points = series.entry(labels).or_default();
            while points.front().is_some_and(|(first, _)| *first < at - RETENTION) {
                points.pop_front();
            }
            points.push_back((at, value));
        }
    }

    /// The series that match and have samples from `from` to `to`, both inclusive, in the order of their labels.
    pub(crate) fn select(&self, matches: impl Fn(&Labels) -> bool, from: i64, to: i64) -> Vec<Series> {
        let all = self.series();
        let mut found = Vec::new();
        for (labels, points) in all.iter().filter(|(labels, _)| matches(labels)) {
            let first = points.partition_point(|(at, _)| *at < from);
            let last = points.partition_point(|(at, _)| *at <= to);
            if first < last {
                found.push((labels.clone(), points.range(first..last).copied().collect()));
            }
        }
        found
    }

    /// The distinct values of a label among the series that have samples in the window.
    pub(crate) fn values(&self, label: &str, from: i64, to: i64) -> BTreeSet<String> {
        let found = self.select(|_| true, from, to);
        let labels = found.into_iter().flat_map(|(labels, _)| labels);
        labels.filter(|(key, _)| key == label).map(|(_, value)| value).collect()
    }
}
