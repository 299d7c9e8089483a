//! The role of a query: the measurement that it holds, whatever the target's metric is called.
//!
//! A report finds its figures by role. Records and profiles that were written before queries had roles are read through one
//! table, `profiles/legacy-roles.toml`, which maps the names of their queries to roles.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, IntoStaticStr};

/// The measurement that a query holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, Display, IntoStaticStr)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Role {
    /// A histogram of the stages' durations; `by` names the label of the stage.
    StageDuration,
    /// A histogram of the waits of messages on the stages' queues; `by` names the label of the stage.
    QueueWait,
    /// Gauges of messages that are ready on a queue; `by` names the label of the queue.
    QueueDepth,
    /// A histogram of the times for which tenants hold a shared resource, such as a GPU; `by` names the label of the tenant.
    ResourceTenancy,
    /// A counter of the resource's changes from one tenant to another; `by` names the labels of both.
    Transitions,
    /// A counter of completed jobs.
    Completed,
    /// A counter of the periods in which a container of the load generator was throttled; `by` names the label of its pod.
    Throttling,
}

impl Role {
    /// The role as profiles and records spell it.
    pub fn word(self) -> &'static str {
        self.into()
    }

    /// Returns true if the values of its queries are durations, which need a unit of time.
    pub const fn is_duration(self) -> bool {
        matches!(self, Self::StageDuration | Self::QueueWait | Self::ResourceTenancy)
    }
}

/// A part of a histogram, as Prometheus exposes it: one metric for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, EnumString, IntoStaticStr)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Part {
    /// The cumulative counts by upper bound.
    Bucket,
    /// The number of observations.
    Count,
    /// The sum of the observations.
    Sum,
}

impl Part {
    /// The part that a metric's name ends in, after `_`, `.` or `:`.
    pub fn of_metric(name: &str) -> Option<Self> {
        name.rsplit(['_', '.', ':']).next()?.parse().ok()
    }

    /// The part as profiles and records spell it.
    pub fn word(self) -> &'static str {
        self.into()
    }
}

/// The type of a metric whose values are shown over time, in Prometheus' words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum MetricType {
    /// Shown by its values.
    Gauge,
    /// Shown by its growth per second.
    Counter,
}

/// A role, and of a histogram the part; without a part the names of the metrics show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoleOf {
    /// The role.
    pub role: Role,
    /// The part.
    #[serde(default)]
    pub part: Option<Part>,
}

impl RoleOf {
    /// The role and the part as reports spell them: `stage-duration.sum`.
    pub fn word(self) -> String {
        self.part.map_or_else(|| self.role.to_string(), |part| format!("{}.{}", self.role, part.word()))
    }
}

fn legacy_roles() -> &'static BTreeMap<String, RoleOf> {
    static TABLE: OnceLock<BTreeMap<String, RoleOf>> = OnceLock::new();
    // A test reads the table, so it is never empty.
    TABLE.get_or_init(|| toml::from_str(include_str!("../../profiles/legacy-roles.toml")).unwrap_or_default())
}

/// The role of a query of this name in a profile or a record that states none.
pub fn legacy_role(name: &str) -> Option<RoleOf> {
    legacy_roles().get(name).copied()
}

/// The name that the query with this role had before queries had roles.
pub fn legacy_name(of: RoleOf) -> Option<&'static str> {
    legacy_roles().iter().find(|(_, held)| **held == of).map(|(name, _)| name.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_old_profiles_have_roles() {
        let part = |part| Some(RoleOf { role: Role::StageDuration, part });
        assert_eq!(legacy_role("stage_duration_sum"), part(Some(Part::Sum)));
        assert_eq!(legacy_role("rabbitmq_queue_ready"), Some(RoleOf { role: Role::QueueDepth, part: None }));
        assert_eq!(legacy_role("node_load1"), None);
        assert_eq!(legacy_name(RoleOf { role: Role::Transitions, part: None }), Some("gpu_tenancy_transitions"));
    }

    #[test]
    fn a_metric_is_the_part_that_its_name_ends_in() {
        let parts = ["a_seconds_bucket", "a.b.count", "rule:sum", "account", "sum_total"].map(Part::of_metric);
        assert_eq!(parts, [Some(Part::Bucket), Some(Part::Count), Some(Part::Sum), None, None]);
    }
}
