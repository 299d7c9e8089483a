//! Evidence that helps to read counters: restarts of the processes whose counters fell, and the unit of durations.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::grid::Grid;
use crate::http::form;
use crate::prometheus::Server;
use crate::prometheus::envelope::Series;
use crate::record::{ProcessRestart, SeriesStatus, Timestamp};
use crate::units::unit_seconds;

/// The largest number of addresses whose restarts are looked for.
const ADDRESSES: usize = 20;

/// The labels `job` and `instance` of a scrape.
type Address = (String, String);

/// The addresses with a series that fell.
#[derive(Clone, Debug, Default)]
pub(super) struct Falls(BTreeSet<Address>);

impl Falls {
    /// Notes the address of a series that falls.
    pub(super) fn add(&mut self, series: &Series<'_>) {
        let label = |name: &str| series.metric.get(name).cloned();
        let Some(instance) = label("instance").filter(|_| self.0.len() < ADDRESSES) else { return };
        let mut last = f64::NEG_INFINITY;
        let falls = series.values.iter().filter_map(|(_, value)| value.number().ok()).any(|value| {
            let fell = value < last;
            last = value;
            fell
        });
        if falls {
            self.0.insert((label("job").unwrap_or_default(), instance));
        }
    }
}

/// The restarts of processes, asked for once per address.
#[derive(Debug, Default)]
pub(super) struct Restarts(BTreeMap<Address, Vec<ProcessRestart>>);

impl Restarts {
    /// Finds the restarts behind `falls`. A server that does not tell leaves the falls unexplained.
    pub(super) fn find(&mut self, server: &mut Server, falls: &Falls, grid: Grid) -> Vec<ProcessRestart> {
        let find = |address: &Address| {
            let found =
                self.0.entry(address.clone()).or_insert_with(|| restarts(server, address, grid).unwrap_or_default());
            found.clone()
        };
        falls.0.iter().flat_map(find).collect()
    }
}

fn restarts(server: &mut Server, address: &Address, grid: Grid) -> Option<Vec<ProcessRestart>> {
    #[derive(Deserialize)]
    struct Matrix {
        result: Vec<Samples>,
    }
    #[derive(Deserialize)]
    struct Samples {
        values: Vec<(f64, String)>,
    }
    let (job, instance) = address;
    let matcher = |label: &str, value: &str| format!("{label}={}", serde_json::Value::from(value));
    let matchers = [matcher("job", job), matcher("instance", instance)].join(",");
    let [query, time] = grid.raw_parameters(&format!("process_start_time_seconds{{{matchers}}}"));
    let parameters = [(query.0, &*query.1), (time.0, &*time.1)];
    let Matrix { result } = server.small_query("/api/v1/query", &parameters).ok()?;
    let mut restarts = Vec::new();
    for Samples { values } in result {
        let starts = values.iter().filter_map(|(at, start)| Some((*at, start.parse::<f64>().ok()?)));
        let starts: Vec<(f64, f64)> = starts.collect();
        // A start that is earlier than the one before belongs to another process: then several answer in turn.
        if starts.windows(2).any(|pair| pair[1].1 < pair[0].1) {
            return None;
        }
        restarts.extend(starts.windows(2).filter(|pair| pair[1].1 > pair[0].1).map(|pair| pair[1].0));
    }
    let restart = |at| {
        let seen_at = Timestamp::from_seconds(at)?;
        Some(ProcessRestart { job: job.clone(), instance: instance.clone(), seen_at })
    };
    Some(restarts.into_iter().filter_map(restart).collect())
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
    let has_unit = |word: &str| word.len() > 1 && unit_seconds(word).is_some();
    if base.split(|c: char| !c.is_ascii_alphanumeric()).any(has_unit) {
        return None;
    }
    let path = format!("/api/v1/metadata?{}", form(&[("metric", base)]));
    let metadata: BTreeMap<String, Vec<Metadata>> = server.data(&path).ok()?;
    let units = metadata.into_values().flatten().map(|metadata| metadata.unit);
    units.into_iter().find(|unit| unit_seconds(unit).is_some())
}
