//! The panels of a dashboard: the load and the durations that the harness saw, and one for each captured query, by the form of
//! its metric.

use std::collections::BTreeSet;

use super::recorded::Recorded;
use super::samples::plain;
use crate::promql::matchers;
use crate::record::{Kind, MetricType, Part, Role, Series};

/// A panel: its title, its unit, which may be empty, and its expressions with their legends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Panel {
    pub(super) title: String,
    pub(super) unit: String,
    pub(super) targets: Vec<(String, String)>,
}

/// The parts of an expression that a dashboard fills in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dialect<'a> {
    /// Matchers that select the runs, such as `run=~"$run"`; may be empty.
    pub(super) runs: &'a str,
    /// The range of a rate, such as `$__rate_interval`.
    pub(super) range: &'a str,
}

impl Dialect<'_> {
    /// A selector of `name` with `own` matchers.
    fn selector(&self, name: &str, own: &[&str]) -> String {
        let matchers: Vec<&str> = own.iter().copied().chain([self.runs]).filter(|one| !one.is_empty()).collect();
        if matchers.is_empty() { name.to_owned() } else { format!("{name}{{{}}}", matchers.join(",")) }
    }

    fn rate(&self, selector: &str) -> String {
        format!("rate({selector}[{}])", self.range)
    }
}

/// The labels by which every panel tells scenarios apart.
const BY: &str = "run, scenario, level, leg";

/// The legend of a series: its own labels, then those of its scenario that are not empty.
fn legend(own: &[String]) -> String {
    let own: Vec<String> = own.iter().map(|label| format!("{{{{{label}}}}} ")).collect();
    format!("{}{{{{scenario}}}} {{{{level}}}} {{{{leg}}}}", own.concat())
}

/// The panels of the harness's own series.
pub(super) fn of_harness(dialect: Dialect<'_>) -> Vec<Panel> {
    let select = |name: &str| dialect.selector(name, &[]);
    let panel = |title: &str, unit: &str, targets: Vec<(String, String)>| Panel {
        title: title.to_owned(),
        unit: unit.to_owned(),
        targets,
    };
    let mean = |of: &str| {
        let part = |part: &str| dialect.rate(&select(&format!("stress_stage_{of}_seconds_{part}")));
        let labels = format!("stage, {BY}");
        (
            format!("sum by ({labels}) ({}) / sum by ({labels}) ({}) > 0", part("sum"), part("count")),
            legend(&["stage".to_owned()]),
        )
    };
    let bucket = dialect.rate(&select("stress_job_end_to_end_seconds_bucket"));
    let quantile = |q: &str, name: &str| {
        (format!("histogram_quantile({q}, sum by (le, {BY}) ({bucket}))"), format!("{name} {}", legend(&[])))
    };
    vec![
        panel(
            "Jobs in flight",
            "",
            vec![(
                format!("sum by (phase, {BY}) ({})", select("stress_jobs_in_flight")),
                legend(&["phase".to_owned()]),
            )],
        ),
        panel(
            "Submissions and ends",
            "",
            vec![
                (select("stress_jobs_submitted_total"), format!("submitted {}", legend(&[]))),
                (select("stress_jobs_ended_total"), legend(&["outcome".to_owned()])),
            ],
        ),
        panel("End-to-end time of succeeded jobs", "s", vec![quantile("0.5", "median"), quantile("0.95", "p95")]),
        panel("Mean work in a stage", "s", vec![mean("work")]),
        panel("Mean wait for a stage", "s", vec![mean("wait")]),
        panel("Jobs by outcome", "", vec![(select("stress_jobs"), legend(&["outcome".to_owned()]))]),
        panel("Verdict", "", vec![(select("stress_verdict"), legend(&["verdict".to_owned()]))]),
    ]
}

/// One panel for each captured query, in the order of their names. The sum and the count of one histogram make one panel of the
/// mean.
pub(super) fn of_queries(queries: &[Query], dialect: Dialect<'_>) -> Vec<Panel> {
    let mut queries: Vec<&Query> = queries.iter().filter(|query| !query.selectors(dialect).is_empty()).collect();
    queries.sort_by_key(|query| &query.name);
    let partner = |query: &Query, part: Part| {
        queries.iter().copied().find(|other| other.part == Some(part) && other.subject() == query.subject())
    };
    let panel = |query: &&Query| match query.part {
        Some(Part::Sum) => Some(
            partner(query, Part::Count).map_or_else(|| query.panel(dialect), |count| mean_panel(query, count, dialect)),
        ),
        Some(Part::Count) if partner(query, Part::Sum).is_some() => None,
        _ => Some(query.panel(dialect)),
    };
    queries.iter().filter_map(panel).collect()
}

fn mean_panel(sum: &Query, count: &Query, dialect: Dialect<'_>) -> Panel {
    let by = sum.labels();
    let part = |query: &Query| format!("sum by ({by}) ({})", query.rates(dialect));
    Panel {
        title: format!("{} (mean)", sum.title()),
        unit: sum.unit.clone(),
        targets: vec![(format!("{} / {} > 0", part(sum), part(count)), legend(&sum.by))],
    }
}

/// A captured query, as the records of the runs have it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Query {
    name: String,
    promql: String,
    by: Vec<String>,
    role: Option<Role>,
    part: Option<Part>,
    is_counter: bool,
    unit: String,
    families: BTreeSet<String>,
    is_raw: bool,
}

/// Adds the queries of a scenario that have samples, each once.
pub(super) fn add_queries(recorded: &Recorded<'_>, held: &mut Vec<Query>) {
    for series in recorded.fold.of_kind::<Series>(Kind::Series) {
        if series.status.samples.or(series.status.raw_samples) == Some(0) || series.status.file.is_none() {
            continue;
        }
        match held.iter_mut().find(|query| query.name == series.metadata.name) {
            Some(query) => query.families.extend(series.status.families),
            None => held.push(Query::new(series)),
        }
    }
}

impl Query {
    fn new(series: Series) -> Self {
        let role = series.role();
        let Series { metadata, spec, status } = series;
        let families: BTreeSet<String> = status.families.into_iter().collect();
        let parts: BTreeSet<Option<Part>> = families.iter().map(|name| Part::of_metric(name)).collect();
        let part_by_name = if parts.len() == 1 { parts.into_iter().next().flatten() } else { None };
        let part = role.and_then(|of| of.part).or(part_by_name);
        let ends_in = |suffix: &str| families.iter().any(|name| name.ends_with(suffix));
        let is_counter = match spec.metric_type {
            Some(metric_type) => metric_type == MetricType::Counter,
            None => ends_in("_total") || matches!(part, Some(Part::Count | Part::Sum)),
        };
        let names_unit = |word: &str| families.iter().any(|name| name.contains(word));
        let by_name = [("milliseconds", "ms"), ("seconds", "s"), ("bytes", "bytes")];
        let by_name = by_name.into_iter().find(|(word, _)| names_unit(word)).map(|(_, unit)| unit.to_owned());
        let unit = spec.unit.or(status.unit).or(by_name.filter(|_| !is_counter || part.is_some()));
        Self {
            name: metadata.name,
            promql: spec.query,
            by: spec.by.iter().map(|label| plain(label, false)).collect(),
            role: role.map(|of| of.role),
            part,
            is_counter,
            unit: unit.unwrap_or_default(),
            families,
            is_raw: status.raw_file.is_some(),
        }
    }

    /// The measurement, which the parts of one histogram share.
    fn subject(&self) -> (Option<Role>, &str, &[String]) {
        let stem = self.name.trim_end_matches("_sum").trim_end_matches("_count").trim_end_matches("_bucket");
        (self.role, if self.role.is_some() { "" } else { stem }, &self.by)
    }

    fn title(&self) -> String {
        let stem = self.name.trim_end_matches("_sum").trim_end_matches("_count").trim_end_matches("_bucket");
        crate::markup::capitalize(&stem.replace('_', " "))
    }

    /// The selectors of its series in what is exported: one for each metric, because a rate over several may collide.
    fn selectors(&self, dialect: Dialect<'_>) -> Vec<String> {
        if !self.is_raw {
            return vec![dialect.selector(&plain(&format!("query:{}", self.name), true), &[])];
        }
        let own: Vec<&str> = matchers(&self.promql).into_iter().filter(|one| !is_of_name(one)).collect();
        self.families.iter().map(|name| dialect.selector(&plain(name, true), &own)).collect()
    }

    fn rates(&self, dialect: Dialect<'_>) -> String {
        let rates: Vec<String> = self.selectors(dialect).iter().map(|one| dialect.rate(one)).collect();
        rates.join(" or ")
    }

    /// The labels by which its series are added up, as a list.
    fn labels(&self) -> String {
        self.by.iter().map(String::as_str).chain([BY]).collect::<Vec<_>>().join(", ")
    }

    fn panel(&self, dialect: Dialect<'_>) -> Panel {
        let by = self.labels();
        let all = self.selectors(dialect).join(" or ");
        let (suffix, targets) = if self.is_raw && self.part == Some(Part::Bucket) {
            let rates = self.rates(dialect);
            let quantile = |q: &str, name: &str| {
                (
                    format!("histogram_quantile({q}, sum by (le, {by}) ({rates}))"),
                    format!("{name} {}", legend(&self.by)),
                )
            };
            (" (quantiles)", vec![quantile("0.5", "median"), quantile("0.95", "p95")])
        } else if self.is_raw && self.is_counter {
            (" (per second)", vec![(format!("sum by ({by}) ({})", self.rates(dialect)), legend(&self.by))])
        } else if self.by.is_empty() {
            ("", vec![(all, String::new())])
        } else {
            // Of series that differ in other labels the highest counts, as in the report.
            ("", vec![(format!("max by ({by}) ({all})"), legend(&self.by))])
        };
        Panel { title: self.title() + suffix, unit: self.unit.clone(), targets }
    }
}

/// Returns true if a matcher selects by the metric's name.
fn is_of_name(matcher: &str) -> bool {
    matcher.starts_with("__name__") || matcher.starts_with(['"', '\'', '`'])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Metadata, SeriesSpec, SeriesStatus};

    const DIALECT: Dialect<'_> = Dialect { runs: "run=~\"$run\"", range: "1m" };

    fn query(name: &str, promql: &str, by: &[&str], families: &[&str]) -> Query {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let series = Series {
            metadata: Metadata { name: name.into(), ..Metadata::default() },
            spec: SeriesSpec { query: promql.into(), by: owned(by), ..SeriesSpec::default() },
            status: SeriesStatus { families: owned(families), raw_file: Some("x".into()), ..SeriesStatus::default() },
        };
        Query::new(series)
    }

    fn expressions(queries: &[Query]) -> Vec<String> {
        of_queries(queries, DIALECT).into_iter().flat_map(|panel| panel.targets).map(|(text, _)| text).collect()
    }

    #[test]
    fn the_form_of_a_metric_decides_on_its_panel() {
        let labels = "run, scenario, level, leg";
        let found = expressions(&[
            query("depth", "{__name__=~\"q.*\",queue!=\"\"}", &["queue"], &["q_ready"]),
            query("up", "up", &[], &["up"]),
            query("x_bucket", "x_bucket", &["stage"], &["x_seconds_bucket"]),
            query("x_count", "x_count", &["stage"], &["x_seconds_count"]),
            query("x_sum", "x_sum", &["stage"], &["x_seconds_sum"]),
            query("moves", "moves_total", &["from"], &["a_moves_total", "b_moves_total"]),
        ]);
        assert_eq!(
            found,
            [
                format!("max by (queue, {labels}) (q_ready{{queue!=\"\",run=~\"$run\"}})"),
                format!(
                    "sum by (from, {labels}) (rate(a_moves_total{{run=~\"$run\"}}[1m]) or rate(b_moves_total{{run=~\"$run\"}}[1m]))"
                ),
                "up{run=~\"$run\"}".to_owned(),
                format!(
                    "histogram_quantile(0.5, sum by (le, stage, {labels}) (rate(x_seconds_bucket{{run=~\"$run\"}}[1m])))"
                ),
                format!(
                    "histogram_quantile(0.95, sum by (le, stage, {labels}) (rate(x_seconds_bucket{{run=~\"$run\"}}[1m])))"
                ),
                format!(
                    "sum by (stage, {labels}) (rate(x_seconds_sum{{run=~\"$run\"}}[1m])) / sum by (stage, {labels}) (rate(x_seconds_count{{run=~\"$run\"}}[1m])) > 0"
                ),
            ]
        );
    }

    #[test]
    fn evaluated_points_are_drawn_as_they_are() {
        let evaluated = Query { is_raw: false, ..query("p95", "histogram_quantile(0.95, x)", &[], &[]) };
        assert_eq!(expressions(&[evaluated]), ["query:p95{run=~\"$run\"}"]);
    }
}
