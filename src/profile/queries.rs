//! The Prometheus queries of one target, which `capture-prom` and `await-idle` send.

use std::collections::BTreeSet;
use std::time::Duration;

use macro_rules_attribute::apply;
use serde::Deserialize;

use crate::promql::is_plain_selector;
use crate::record::{MetricType, Part, Role, RoleOf, legacy_role};
use crate::units::unit_seconds;

/// The Prometheus that scrapes the target, and the queries for it.
#[apply(table!)]
#[derive(Default)]
pub struct Prometheus {
    /// Its base URL unless `--prometheus` gives one; without either the capture is off.
    pub url: Option<String>,
    /// Names of the built-in query sets whose queries come after those of the profile.
    pub include: Vec<String>,
    /// The queries; each result becomes one file.
    pub queries: Vec<Query>,
    /// The queues that `queue.NAME.max` may name; if empty, any name is accepted and an unknown one shows at the end.
    pub queues: Vec<String>,
    /// The query that shows whether the target is idle.
    pub idle: Option<IdleConfig>,
}

/// The query that shows whether the target is idle.
#[apply(table!)]
#[derive(PartialEq)]
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
#[apply(table!)]
#[derive(Default, PartialEq, Eq)]
pub struct Query {
    /// The name of the record and, made safe, of the file.
    pub name: String,
    /// The PromQL.
    pub query: String,
    /// The labels that the report keeps when it adds series up, such as the one that names the stage.
    pub by: Vec<String>,
    /// The unit of its values; of durations only if neither the metric's name nor the server's metadata gives it.
    pub unit: Option<String>,
    /// The measurement that it holds.
    pub role: Option<Role>,
    /// The part of a histogram that it holds, if the metrics' names do not show it.
    pub part: Option<Part>,
    /// The type of the metric; without one, metrics whose names end in `_total` are counters.
    #[serde(rename = "type")]
    pub metric_type: Option<MetricType>,
    /// The report draws it over time.
    pub draw: bool,
}

impl Query {
    /// Its role, as stated or by its name.
    pub fn role(&self) -> Option<RoleOf> {
        self.role.map(|role| RoleOf { role, part: self.part }).or_else(|| legacy_role(&self.name))
    }

    fn check(&self) -> Result<(), String> {
        let Self { name, query, unit, .. } = self;
        let error = |what: String| Err(format!("prometheus.queries: the query `{name}` {what}"));
        if query.trim().is_empty() {
            return error("is empty".to_owned());
        }
        if self.part.is_some() && self.role.is_none() {
            return error("has a part and no role: name the role".to_owned());
        }
        let is_duration = self.role().is_some_and(|of| of.role.is_duration() && of.part != Some(Part::Count));
        match unit {
            Some(unit) if is_duration && unit_seconds(unit).is_none() => {
                error(format!("has the unit `{unit}`: write ns, us, ms, s, min or h"))
            }
            Some(unit) if unit.trim().is_empty() => error("has an empty unit: leave it out".to_owned()),
            _ => Ok(()),
        }
    }
}

/// The query sets that are built in, by name.
const SETS: [(&str, &str); 3] = [
    ("cadvisor", include_str!("../../profiles/queries/cadvisor.toml")),
    ("dcgm", include_str!("../../profiles/queries/dcgm.toml")),
    ("node", include_str!("../../profiles/queries/node.toml")),
];

/// A file of queries.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct QuerySet {
    queries: Vec<Query>,
}

impl Prometheus {
    /// Appends the queries of the sets that `include` names.
    pub(super) fn resolve_includes(&mut self) -> Result<(), String> {
        for name in std::mem::take(&mut self.include) {
            let Some((_, text)) = SETS.iter().find(|(known, _)| *known == name) else {
                let known = SETS.map(|(known, _)| known).join(", ");
                return Err(format!("prometheus.include: there is no query set `{name}`; there are {known}"));
            };
            let set: QuerySet = toml::from_str(text).map_err(|error| format!("the query set {name}: {error}"))?;
            self.queries.extend(set.queries);
        }
        Ok(())
    }

    pub(super) fn check(&self) -> Result<(), String> {
        let mut names = BTreeSet::new();
        for query in &self.queries {
            let name = &query.name;
            if name.is_empty() || !names.insert(name) {
                return Err(format!("prometheus.queries: the name `{name}` is empty or listed twice"));
            }
            query.check()?;
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

#[cfg(test)]
mod tests {
    use super::*;

    fn prometheus(text: &str) -> Result<Prometheus, String> {
        let mut prometheus: Prometheus = toml::from_str(text).map_err(|error| error.message().to_owned())?;
        prometheus.resolve_includes()?;
        prometheus.check().map(|()| prometheus)
    }

    #[test]
    fn every_query_set_can_be_included_beside_the_others() {
        let all = prometheus("include = ['node', 'dcgm', 'cadvisor']").unwrap();
        assert!(all.queries.len() > 10);
        for query in &all.queries {
            assert!(is_plain_selector(&query.query), "{}: {}", query.name, query.query);
            assert!(query.draw && query.unit.is_some() && query.role().is_none(), "{query:?}");
        }
    }

    #[test]
    fn a_wrong_query_is_refused_by_its_key() {
        let query = |rest: &str| prometheus(&format!("[[queries]]\nname = 'a'\nquery = 'b'\n{rest}"));
        for (text, error) in [
            ("role = 'stage-duration'\nunit = 'W'", "the query `a` has the unit `W`: write ns, us, ms, s, min or h"),
            ("part = 'sum'", "the query `a` has a part and no role"),
            ("unit = ' '", "the query `a` has an empty unit"),
            ("role = 'stage-durations'", "unknown variant `stage-durations`, expected one of"),
        ] {
            let refused = query(text).unwrap_err();
            assert!(refused.contains(error), "{refused}");
        }
        assert!(query("unit = 'W'\ndraw = true\ntype = 'gauge'").is_ok());
        assert!(prometheus("include = ['nodes']").unwrap_err().contains("there are cadvisor, dcgm, node"));
    }
}
