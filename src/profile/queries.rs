//! What `capture-prom` and `await-idle` ask a Prometheus about one target.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Deserialize;

use crate::prometheus::is_plain;

/// The Prometheus that watches the target, and what to ask it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Prometheus {
    /// Its base URL where `--prometheus` does not say another; without either the capture is off.
    pub url: Option<String>,
    /// The queries, each of which becomes one file.
    pub queries: Vec<Query>,
    /// The queues that `queue.NAME.max` may name; where there are none, any, and an unknown one shows at the end.
    pub queues: Vec<String>,
    /// How to see that the target has nothing to do.
    pub idle: Option<IdleAt>,
}

/// How to see that the target has nothing to do.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdleAt {
    /// A plain selector of gauges that are all 0 when there is nothing to do: messages on the stages' queues.
    pub query: String,
    /// How much older than its scrape a value may be: what is scraped may itself be brought up to date only now and then.
    #[serde(default)]
    pub lag_seconds: f64,
}

impl IdleAt {
    /// `lag_seconds` as a duration.
    pub fn lag(&self) -> Duration {
        // `check` has refused what has no such form.
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
    /// The labels that tell its series apart where the report adds them up, such as the one that names the stage.
    #[serde(default)]
    pub by: Vec<String>,
}

impl Prometheus {
    pub(super) fn check(&self) -> Result<(), String> {
        let mut names = BTreeSet::new();
        for Query { name, query, .. } in &self.queries {
            if name.is_empty() || !names.insert(name) {
                return Err(format!("prometheus.queries: the name `{name}` is empty or stands twice"));
            }
            if query.trim().is_empty() {
                return Err(format!("prometheus.queries: the query `{name}` is empty"));
            }
        }
        if let Some(idle) = self.idle.as_ref().filter(|idle| Duration::try_from_secs_f64(idle.lag_seconds).is_err()) {
            return Err(format!("prometheus.idle.lag_seconds = {}: not a number of seconds", idle.lag_seconds));
        }
        if let Some(idle) = self.idle.as_ref().filter(|idle| !is_plain(&idle.query)) {
            return Err(format!(
                "prometheus.idle.query: `{}` is no plain selector (a name, matchers in braces, or both), and only the samples of one \
                 have times of their own",
                idle.query
            ));
        }
        Ok(())
    }
}
