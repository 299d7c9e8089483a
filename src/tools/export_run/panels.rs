//! The panels of a dashboard: the load and the durations that the harness saw, and one for each captured query, by the form of
//! its metric.

use std::collections::{BTreeMap, BTreeSet};

use super::recorded::Recorded;
use super::samples::plain;
use crate::promql::matchers;
use crate::record::{Kind, Series};

/// A panel: its title, its unit as Grafana calls it, and its expressions with their legends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Panel {
    pub(super) title: String,
    pub(super) unit: &'static str,
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
    let panel = |title: &str, unit, targets: Vec<(String, String)>| Panel { title: title.to_owned(), unit, targets };
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
            "short",
            vec![(
                format!("sum by (phase, {BY}) ({})", select("stress_jobs_in_flight")),
                legend(&["phase".to_owned()]),
            )],
        ),
        panel(
            "Submissions and ends",
            "short",
            vec![
                (select("stress_jobs_submitted_total"), format!("submitted {}", legend(&[]))),
                (select("stress_jobs_ended_total"), legend(&["outcome".to_owned()])),
            ],
        ),
        panel("End-to-end time of succeeded jobs", "s", vec![quantile("0.5", "median"), quantile("0.95", "p95")]),
        panel("Mean work in a stage", "s", vec![mean("work")]),
        panel("Mean wait for a stage", "s", vec![mean("wait")]),
        panel("Jobs by outcome", "short", vec![(select("stress_jobs"), legend(&["outcome".to_owned()]))]),
        panel("Verdict", "short", vec![(select("stress_verdict"), legend(&["verdict".to_owned()]))]),
    ]
}

/// One panel for each captured query of `runs`, in the order of their names. A sum and a count of one histogram make one panel of
/// the mean.
pub(super) fn of_queries(runs: &[Query], dialect: Dialect<'_>) -> Vec<Panel> {
    let names: BTreeSet<&str> = runs.iter().map(|query| query.name.as_str()).collect();
    let queries: BTreeMap<&str, &Query> = runs.iter().map(|query| (query.name.as_str(), query)).collect();
    let mut panels = Vec::new();
    for query in queries.values() {
        match query.name.rsplit_once('_') {
            Some((stem, "sum")) if names.contains(format!("{stem}_count").as_str()) => {
                panels.extend(mean_panel(stem, query, queries.get(format!("{stem}_count").as_str()).copied(), dialect));
            }
            Some((stem, "count")) if names.contains(format!("{stem}_sum").as_str()) => {}
            _ => panels.push(query.panel(dialect)),
        }
    }
    panels.retain(|panel| !panel.targets.is_empty());
    panels
}

fn mean_panel(stem: &str, sum: &Query, count: Option<&Query>, dialect: Dialect<'_>) -> Option<Panel> {
    let by = sum.labels();
    let part = |query: &Query| {
        let rates: Vec<String> = query.selectors(dialect).iter().map(|one| dialect.rate(one)).collect();
        (!rates.is_empty()).then(|| format!("sum by ({by}) ({})", rates.join(" or ")))
    };
    let expression = format!("{} / {} > 0", part(sum)?, part(count?)?);
    Some(Panel {
        title: format!("{} (mean)", readable(stem)),
        unit: sum.unit(),
        targets: vec![(expression, legend(&sum.by))],
    })
}

/// A captured query, as the records of the runs have it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Query {
    name: String,
    promql: String,
    by: Vec<String>,
    duration_unit: Option<String>,
    families: BTreeSet<String>,
    is_raw: bool,
}

/// The queries that have samples, each once.
pub(super) fn queries(recorded: &Recorded, held: &mut Vec<Query>) {
    for series in recorded.fold.of_kind::<Series>(Kind::Series) {
        if series.status.samples.or(series.status.raw_samples) == Some(0) || series.status.file.is_none() {
            continue;
        }
        let families = series.status.families.iter().cloned().collect();
        match held.iter_mut().find(|query| query.name == series.metadata.name) {
            Some(query) => query.families.extend::<BTreeSet<String>>(families),
            None => held.push(Query {
                name: series.metadata.name,
                promql: series.spec.query,
                by: series.spec.by.iter().map(|label| plain(label, false)).collect(),
                duration_unit: series.spec.unit.or(series.status.unit),
                families,
                is_raw: series.status.raw_file.is_some(),
            }),
        }
    }
}

impl Query {
    /// The selectors of its series in what is exported: one for each metric, because a rate over several may collide.
    fn selectors(&self, dialect: Dialect<'_>) -> Vec<String> {
        if !self.is_raw {
            return vec![dialect.selector(&plain(&format!("query:{}", self.name), true), &[])];
        }
        let own: Vec<&str> = matchers(&self.promql).into_iter().filter(|one| !is_of_name(one)).collect();
        self.families.iter().map(|name| dialect.selector(&plain(name, true), &own)).collect()
    }

    /// The labels by which its series are added up, as a list.
    fn labels(&self) -> String {
        self.by.iter().map(String::as_str).chain([BY]).collect::<Vec<_>>().join(", ")
    }

    fn has_suffix(&self, suffix: &str) -> bool {
        !self.families.is_empty() && self.families.iter().all(|name| name.ends_with(suffix))
    }

    /// The unit of its durations; a number for other metrics.
    fn unit(&self) -> &'static str {
        let word = self.duration_unit.as_deref().unwrap_or_default();
        let named = |word: &str| self.families.iter().any(|name| name.contains(word));
        match word {
            "ms" | "milliseconds" => "ms",
            "us" | "microseconds" => "µs",
            "ns" | "nanoseconds" => "ns",
            "s" | "seconds" => "s",
            _ if named("milliseconds") => "ms",
            _ if named("seconds") || named("duration") => "s",
            _ if named("bytes") => "bytes",
            _ => "short",
        }
    }

    fn panel(&self, dialect: Dialect<'_>) -> Panel {
        let by = self.labels();
        let selectors = self.selectors(dialect);
        let any = |of: &dyn Fn(&str) -> String| selectors.iter().map(|one| of(one)).collect::<Vec<_>>().join(" or ");
        let rates = any(&|one| dialect.rate(one));
        let (title, unit, targets) = if selectors.is_empty() {
            (readable(&self.name), "short", Vec::new())
        } else if self.is_raw && self.has_suffix("_bucket") {
            let quantile = |q: &str, name: &str| {
                (
                    format!("histogram_quantile({q}, sum by (le, {by}) ({rates}))"),
                    format!("{name} {}", legend(&self.by)),
                )
            };
            let title = format!("{} (quantiles)", readable(self.name.trim_end_matches("_bucket")));
            (title, self.unit(), vec![quantile("0.5", "median"), quantile("0.95", "p95")])
        } else if self.is_raw && (self.has_suffix("_total") || self.has_suffix("_count") || self.has_suffix("_sum")) {
            let target = (format!("sum by ({by}) ({rates})"), legend(&self.by));
            (format!("{} (per second)", readable(&self.name)), "short", vec![target])
        } else if self.by.is_empty() {
            (readable(&self.name), self.unit(), vec![(any(&str::to_owned), String::new())])
        } else {
            // Of series that differ in other labels the highest counts, as in the report.
            let target = (format!("max by ({by}) ({})", any(&str::to_owned)), legend(&self.by));
            (readable(&self.name), self.unit(), vec![target])
        };
        Panel { title, unit, targets }
    }
}

/// Returns true if a matcher selects by the metric's name.
fn is_of_name(matcher: &str) -> bool {
    matcher.starts_with("__name__") || matcher.starts_with(['"', '\'', '`'])
}

/// A query's name as a title.
fn readable(name: &str) -> String {
    crate::markup::capitalize(&name.replace('_', " "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIALECT: Dialect<'_> = Dialect { runs: "run=~\"$run\"", range: "1m" };

    fn query(name: &str, promql: &str, by: &[&str], families: &[&str]) -> Query {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        Query {
            name: name.into(),
            promql: promql.into(),
            by: owned(by),
            duration_unit: None,
            families: owned(families).into_iter().collect(),
            is_raw: true,
        }
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
