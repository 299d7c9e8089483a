//! The Prometheus queries of one target, which `capture-prom` and `await-idle` send.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Deserialize;

use crate::promql::is_plain_selector;
use crate::units::unit_seconds;

/// The Prometheus that scrapes the target, and the queries for it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Prometheus {
    /// Its base URL unless `--prometheus` gives one; without either the capture is off.
    pub url: Option<String>,
    /// The queries; each result becomes one file.
    pub queries: Vec<Query>,
    /// The queues that `queue.NAME.max` may name; if empty, any name is accepted and an unknown one shows at the end.
    pub queues: Vec<String>,
    /// The query that shows whether the target is idle.
    pub idle: Option<IdleConfig>,
}

/// The query that shows whether the target is idle.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdleConfig {
    /// A plain selector of gauges that are all 0 on an idle target, such as the messages on the stages' queues.
    pub query: String,
    /// The age that a value may have at its scrape, for exporters that refresh their values only now and then.
    #[serde(default)]
    pub lag_seconds: f64,
}

impl IdleConfig {
    /// `lag_seconds` as a duration.
    pub fn lag(&self) -> Duration {
        // `check` has refused values that do not convert.
        Duration::try_from_secs_f64(self.lag_seconds).unwrap_or_default()
    }
}

/// One named query.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Query {
    /// The name of the record and, made safe, of the file.
    pub name: String,
    /// The PromQL.
    pub query: String,
    /// The labels that the report keeps when it adds series up, such as the one that names the stage.
    #[serde(default)]
    pub by: Vec<String>,
    /// The unit of the durations that it counts, if neither the metric's name nor the server's metadata gives it.
    #[serde(default)]
    pub unit: Option<String>,
}

impl Prometheus {
    pub(super) fn check(&self) -> Result<(), String> {
        let mut names = BTreeSet::new();
        for Query { name, query, unit, .. } in &self.queries {
            if name.is_empty() || !names.insert(name) {
                return Err(format!("prometheus.queries: the name `{name}` is empty or listed twice"));
            }
            if query.trim().is_empty() {
                return Err(format!("prometheus.queries: the query `{name}` is empty"));
            }
            if let Some(unit) = unit.as_ref().filter(|unit| unit_seconds(unit).is_none()) {
                return Err(format!(
                    "prometheus.queries: the query `{name}` has the unit `{unit}`: write ns, us, ms, s, min or h"
                ));
            }
        }
        if let Some(idle) = self.idle.as_ref().filter(|idle| Duration::try_from_secs_f64(idle.lag_seconds).is_err()) {
            return Err(format!("prometheus.idle.lag_seconds = {}: not a number of seconds", idle.lag_seconds));
        }
        if let Some(idle) = self.idle.as_ref().filter(|idle| !is_plain_selector(&idle.query)) {
            return Err(format!(
                "prometheus.idle.query: `{}` is not a plain selector (a name, matchers in braces, or both); only a plain selector returns samples with their own times",
                idle.query
            ));
        }
        Ok(())
    }
}
