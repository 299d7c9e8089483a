//! Evidence that helps to read counters: changes of the processes behind them, and the unit of durations.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::grid::Grid;
use crate::figures::counters::unit_of_name;
use crate::http::form;
use crate::prometheus::Server;
use crate::prometheus::envelope::Series;
use crate::record::{ProcessRestart, SeenProcess, SeriesStatus, Timestamp};
use crate::units::unit_seconds;

/// The largest number of addresses whose processes are looked at for one query.
const ADDRESSES: usize = 40;
/// Start times that differ by fewer seconds are one process's: some libraries compute them from a clock that is adjusted.
const JITTER: f64 = 2.0;
/// The most seconds that a process's clock is assumed to lie behind the server's.
const SKEW: f64 = 60.0;

/// The largest number of takeovers, and of failed scrapes, that a record lists for an address. One takeover is enough to make its
/// counters unusable.
const LISTED: usize = 100;

/// The labels `job` and `instance` of a scrape.
type Address = (String, String);

/// The addresses behind which a process may have changed, and whether a series of theirs fell.
#[derive(Clone, Debug, Default)]
pub(super) struct Addresses(BTreeMap<Address, bool>);

impl Addresses {
    /// Notes the address of a series that may be a counter.
    pub(super) fn add(&mut self, series: &Series<'_>) {
        let label = |name: &str| series.metric.get(name).cloned();
        let Some(instance) = label("instance").filter(|_| label("__name__").is_none_or(|name| name != "up")) else {
            return;
        };
        let values: Vec<f64> = series.values.iter().filter_map(|(_, value)| value.number().ok()).collect();
        // A counter of zero looks the same in a new process.
        if values.iter().any(|value| *value > 0.0) {
            let fell = values.windows(2).any(|pair| pair[1] < pair[0]);
            *self.0.entry((label("job").unwrap_or_default(), instance)).or_default() |= fell;
        }
    }
}

/// The changes of the process behind an address.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Changes {
    /// A younger process took the place of the one before.
    pub(super) restarts: Vec<ProcessRestart>,
    /// A process answered that had begun before the last sample of the one before it, and so is not its restart.
    pub(super) takeovers: Vec<ProcessRestart>,
    /// A scrape failed, so that a fall around it is a restart.
    pub(super) failed_scrapes: Vec<ProcessRestart>,
    /// The processes that answered.
    pub(super) processes: Vec<SeenProcess>,
}

/// The changes of processes, asked for once per address.
#[derive(Debug, Default)]
pub(super) struct Processes(BTreeMap<Address, Changes>);

impl Processes {
    /// Finds the changes behind `addresses`, first of all where a series fell. A server that does not tell leaves falls
    /// unexplained.
    pub(super) fn changes(&mut self, server: &mut Server, addresses: &Addresses, grid: Grid) -> Changes {
        let (fell, others): (Vec<_>, Vec<_>) = addresses.0.iter().partition(|(_, fell)| **fell);
        let mut all = Changes::default();
        for (address, fell) in fell.into_iter().chain(others).take(ADDRESSES) {
            let found = self.0.entry(address.clone()).or_insert_with(|| {
                let starts = samples("process_start_time_seconds", server, address, grid).unwrap_or_default();
                let scrapes = fell.then(|| samples("up", server, address, grid)).flatten().unwrap_or_default();
                let (failed_scrapes, processes) = (failed_scrapes(address, &scrapes), processes(address, &starts));
                Changes { failed_scrapes, processes, ..changes(address, &starts) }
            });
            all.restarts.extend(found.restarts.iter().cloned());
            all.takeovers.extend(found.takeovers.iter().cloned());
            all.failed_scrapes.extend(found.failed_scrapes.iter().cloned());
            // They tell apart the processes behind several addresses, and whether one went on where a counter fell.
            if *fell || addresses.0.len() > 1 {
                all.processes.extend(found.processes.iter().cloned());
            }
        }
        all
    }
}

/// The samples of a series: when they were taken, and what they say.
type Samples = Vec<(f64, f64)>;

/// Returns the samples of `metric` at `address`, a list for each series.
fn samples(metric: &str, server: &mut Server, address: &Address, grid: Grid) -> Option<Vec<Samples>> {
    #[derive(Deserialize)]
    struct Answered {
        values: Vec<(f64, String)>,
    }
    let (job, instance) = address;
    let matcher = |label: &str, value: &str| format!("{label}={}", serde_json::Value::from(value));
    let matchers = [matcher("job", job), matcher("instance", instance)].join(",");
    let [query, time] = grid.raw_parameters(&format!("{metric}{{{matchers}}}"), grid.span());
    let parameters = [(query.0, &*query.1), (time.0, &*time.1)];
    let result: Vec<Answered> = server.result(&parameters).ok()?;
    let numbers = |series: Answered| {
        series.values.iter().filter_map(|(at, value)| Some((*at, value.parse::<f64>().ok()?))).collect()
    };
    Some(result.into_iter().map(numbers).collect())
}

fn change((job, instance): &Address, at: f64) -> Option<ProcessRestart> {
    let seen_at = Timestamp::from_seconds(at)?;
    Some(ProcessRestart { job: job.clone(), instance: instance.clone(), seen_at })
}

fn failed_scrapes(address: &Address, series: &[Samples]) -> Vec<ProcessRestart> {
    let failed = series.iter().flatten().filter(|(_, up)| *up == 0.0);
    failed.filter_map(|(at, _)| change(address, *at)).take(LISTED).collect()
}

/// The processes that answered at an address, each from the first sample of its start time to the last one in a row.
fn processes((job, instance): &Address, series: &[Samples]) -> Vec<SeenProcess> {
    let mut seen: Vec<(f64, f64, f64)> = Vec::new();
    for samples in series {
        let first = seen.len();
        for (at, start) in samples {
            match seen[first..].last_mut() {
                Some((held, _, until)) if (start - *held).abs() <= JITTER => *until = *at,
                _ => seen.push((*start, *at, *at)),
            }
        }
    }
    let process = |(start, from, until): (f64, f64, f64)| {
        Some(SeenProcess {
            job: job.clone(),
            instance: instance.clone(),
            started_at: Timestamp::from_seconds(start)?,
            first_seen_at: Timestamp::from_seconds(from)?,
            last_seen_at: Timestamp::from_seconds(until)?,
        })
    };
    seen.into_iter().filter_map(process).take(LISTED).collect()
}

fn changes(address: &Address, series: &[Samples]) -> Changes {
    let pairs = series.iter().flat_map(|samples| samples.windows(2).map(|pair| (pair[0], pair[1])));
    let mut pairs: Vec<_> = pairs.filter(|((_, old), (_, new))| (new - old).abs() > JITTER).collect();
    pairs.sort_by(|(_, one), (_, other)| one.0.total_cmp(&other.0));
    let (mut all, mut known) = (Changes::default(), Vec::<f64>::new());
    for ((before, old), (at, new)) in pairs {
        if new < old || new < before - SKEW {
            all.takeovers.extend(change(address, at).filter(|_| all.takeovers.len() < LISTED));
        }
        // Two servers or two scrapes see one restart each at a time of their own.
        if new > old && !known.iter().any(|start| (start - new).abs() <= JITTER) {
            known.push(new);
            all.restarts.extend(change(address, at));
        }
    }
    all
}

/// Returns the unit of the durations that a query counts by the server's metadata, if neither the profile nor the metric's name
/// tells it.
pub(super) fn unit(server: &mut Server, status: &SeriesStatus) -> Option<String> {
    #[derive(Deserialize)]
    struct Metadata {
        #[serde(default)]
        unit: String,
    }
    let [name] = status.families.as_slice() else { return None };
    let base = name.strip_suffix("_sum").or_else(|| name.strip_suffix("_bucket"))?;
    if unit_of_name(name).is_some() {
        return None;
    }
    let path = format!("/api/v1/metadata?{}", form(&[("metric", base)]));
    let metadata: BTreeMap<String, Vec<Metadata>> = server.data(&path).ok()?;
    only_unit(metadata.into_values().flatten().map(|metadata| metadata.unit))
}

/// The unit of time that all of these are, however they are spelt; none if some are another.
fn only_unit(units: impl Iterator<Item = String>) -> Option<String> {
    let units: Vec<String> = units.filter(|unit| !unit.trim().is_empty()).collect();
    let first = unit_seconds(units.first()?)?;
    let is_same = |unit: &String| unit_seconds(unit).is_some_and(|seconds| seconds.total_cmp(&first).is_eq());
    units.iter().all(is_same).then(|| units[0].clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The times in seconds of the restarts and of the takeovers that these start times show.
    fn seen(series: &[&[(f64, f64)]]) -> (Vec<f64>, Vec<f64>) {
        let series: Vec<Samples> = series.iter().map(|samples| samples.to_vec()).collect();
        let found = changes(&("w".to_owned(), "w:1".to_owned()), &series);
        let times = |changes: &[ProcessRestart]| changes.iter().map(|change| change.seen_at.seconds()).collect();
        (times(&found.restarts), times(&found.takeovers))
    }

    #[test]
    fn a_younger_process_is_a_restart_and_an_older_one_is_another() {
        let nothing = (vec![], vec![]);
        assert_eq!(seen(&[&[(1000.0, 400.0), (1015.0, 400.0)]]), nothing);
        assert_eq!(seen(&[&[(1000.0, 400.0), (1015.0, 401.2), (1030.0, 399.9)]]), nothing, "a clock was adjusted");
        assert_eq!(seen(&[&[(1000.0, 400.0), (1015.0, 1011.0)]]), (vec![1015.0], vec![]));
        assert_eq!(seen(&[&[(1000.0, 400.0), (1015.0, 990.0)]]), (vec![1015.0], vec![]), "its clock is behind");
        assert_eq!(seen(&[&[(1000.0, 400.0), (1015.0, 120.0)]]), (vec![], vec![1015.0]));
        // A younger one that began long before the last sample of the older one answered beside it.
        assert_eq!(seen(&[&[(1000.0, 400.0), (1015.0, 800.0)]]), (vec![1015.0], vec![1015.0]));
        let flips = [(1000.0, 400.0), (1015.0, 800.0), (1030.0, 400.0), (1045.0, 800.0)];
        assert_eq!(seen(&[&flips]).1, [1015.0, 1030.0, 1045.0]);
    }

    #[test]
    fn a_process_is_seen_as_long_as_its_start_time_stays() {
        let samples = [(1000.0, 400.0), (1015.0, 401.2), (1030.0, 1020.0), (1045.0, 1020.0), (1060.0, 400.0)].to_vec();
        let seen = processes(&("w".to_owned(), "w:1".to_owned()), &[samples, vec![(1001.0, 400.0)]]);
        let times = |process: &SeenProcess| {
            [process.started_at, process.first_seen_at, process.last_seen_at].map(Timestamp::seconds)
        };
        let seen: Vec<_> = seen.iter().map(times).collect();
        let expected =
            [[400.0, 1000.0, 1015.0], [1020.0, 1030.0, 1045.0], [400.0, 1060.0, 1060.0], [400.0, 1001.0, 1001.0]];
        assert_eq!(seen, expected);
    }

    #[test]
    fn units_that_differ_are_none() {
        let only = |units: &[&str]| only_unit(units.iter().map(|unit| (*unit).to_owned()));
        assert_eq!(only(&["ms", "", "milliseconds"]), Some("ms".to_owned()));
        for units in [&["ms", "s"][..], &["ms", "bytes"], &["bytes"], &["", ""], &[]] {
            assert_eq!(only(units), None, "{units:?}");
        }
    }

    #[test]
    fn two_servers_see_one_restart() {
        let (one, other) = ([(1000.0, 400.0), (1015.0, 1004.0)], [(1003.0, 400.0), (1018.0, 1004.0)]);
        assert_eq!(seen(&[&one, &other]), (vec![1015.0], vec![]));
    }
}
