//! Figures from counters, histograms and gauges over a window, computed from the points of an envelope.
//!
//! Increases are plain differences. Prometheus' own `increase()` extrapolates to the window's edges and misses what a
//! counter held when it was first seen; here a series without any point before the window counts from zero, as counters
//! begin, and a report that shows the figure also states the number of such series.

use std::collections::BTreeMap;

use crate::record::{self, MetricType};
use crate::statistics::Bounds;
use crate::units::unit_seconds;

/// One series: its labels, the metric's name among them as `__name__`, and its points as (Unix seconds, value).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    /// The labels.
    pub labels: BTreeMap<String, String>,
    /// The points, in the order of time.
    pub points: Vec<(f64, f64)>,
}

impl Series {
    /// The values of the labels `by`; none if one of them is absent or empty.
    pub fn key(&self, by: &[String]) -> Option<Vec<String>> {
        by.iter().map(|label| self.labels.get(label).filter(|value| !value.is_empty()).cloned()).collect()
    }
}

/// The series with the same values of the labels `by`, by these values. Series that lack one of the labels are left out.
pub fn grouped<'a>(series: &'a [Series], by: &[String]) -> BTreeMap<Vec<String>, Vec<&'a Series>> {
    let mut groups: BTreeMap<Vec<String>, Vec<&Series>> = BTreeMap::new();
    for one in series {
        if let Some(key) = one.key(by) {
            groups.entry(key).or_default().push(one);
        }
    }
    groups
}

/// The unit of the durations that a query counts, from the profile and from the server's metadata. A unit in a metric's name
/// lies between the two.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct DurationUnit {
    /// The profile's unit in seconds.
    pub profile: Option<f64>,
    /// The metadata's unit in seconds.
    pub metadata: Option<f64>,
}

impl DurationUnit {
    /// The factor that turns the values of `series` into seconds. Durations without any unit are seconds, as Prometheus and
    /// OpenTelemetry recommend.
    fn factor(self, series: &Series) -> f64 {
        let named = series.labels.get("__name__").and_then(|name| unit_of_name(name));
        self.profile.or(named).or(self.metadata).unwrap_or(1.0)
    }
}

/// The unit in seconds with which a metric's name ends, before the suffix of its kind. A unit at another place may be a part of what
/// is measured.
pub fn unit_of_name(name: &str) -> Option<f64> {
    let suffix = |name: &str, suffix: &str| {
        name.strip_suffix(suffix).and_then(|base| base.strip_suffix(['_', '.', ':'])).map(str::to_owned)
    };
    let base = ["sum", "count", "bucket", "total"].iter().find_map(|kind| suffix(name, kind));
    let base = base.unwrap_or_else(|| name.to_owned());
    let word = base.rsplit(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
    // A single letter is too short to be a unit in a name.
    if word.len() > 1 { unit_seconds(word) } else { None }
}

/// Puts the samples as they were scraped in place of the points that were evaluated at steps, which show each sample late.
/// Points before a series' first sample stay: they stem from samples before the requested stretch.
pub fn spliced(steps: Vec<Series>, samples: Vec<Series>) -> Vec<Series> {
    let mut by_labels: BTreeMap<BTreeMap<String, String>, Vec<(f64, f64)>> =
        steps.into_iter().map(|series| (series.labels, series.points)).collect();
    for Series { labels, points } in samples {
        let held = by_labels.entry(labels).or_default();
        if let Some((first, _)) = points.first() {
            held.retain(|(at, _)| at < first);
            held.extend(points);
        }
    }
    by_labels.into_iter().map(|(labels, points)| Series { labels, points }).collect()
}

/// Total growth of counters.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Growth {
    /// The growth.
    pub value: f64,
    /// Number of series that had no point before the window.
    pub born: usize,
    /// Number of counter resets. Anything counted between a reset and the point before it is lost.
    pub resets: usize,
}

impl Growth {
    /// The growth of one counter from the last point at or before `from` to its last point; none without a point.
    fn compute(points: &[(f64, f64)], from: f64) -> Option<Self> {
        let finite = || points.iter().filter(|(_, value)| value.is_finite());
        finite().next()?;
        let before = finite().take_while(|(at, _)| *at <= from).last();
        let mut growth = Self { born: usize::from(before.is_none()), ..Self::default() };
        let mut last = before.map_or(0.0, |(_, value)| *value);
        for (_, value) in finite().skip_while(|(at, _)| *at <= from) {
            if *value < last {
                growth.resets += 1;
                last = 0.0;
            }
            growth.value += value - last;
            last = *value;
        }
        Some(growth)
    }

    fn add(&mut self, other: Self) {
        self.value += other.value;
        self.born += other.born;
        self.resets += other.resets;
    }
}

/// The growth of `series` since `from`, added up by the labels `by`; in seconds if the values are durations, which have a
/// `unit`. Series that lack one of the labels are left out.
pub fn growth(
    series: &[Series],
    by: &[String],
    from: f64,
    unit: Option<DurationUnit>,
) -> BTreeMap<Vec<String>, Growth> {
    let mut grown: BTreeMap<Vec<String>, Growth> = BTreeMap::new();
    for one in series {
        if let (Some(key), Some(mut growth)) = (one.key(by), Growth::compute(&one.points, from)) {
            growth.value *= unit.map_or(1.0, |unit| unit.factor(one));
            grown.entry(key).or_default().add(growth);
        }
    }
    grown
}

/// Number of durations that the buckets of a histogram count, and the bounds of their sum.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Bucketed {
    /// Number of durations.
    pub count: f64,
    /// Their sum is not less than this many seconds.
    pub low: f64,
    /// Nor more than this; none if one of them lies beyond the last bound.
    pub high: Option<f64>,
    /// Growth of the series: how many had no point before the window, and how often one fell.
    pub growth: Growth,
}

/// Computes what `series`, the buckets of histograms of durations in `unit`, counted since `from`, by the labels `by`.
pub fn bucketed(series: &[Series], by: &[String], from: f64, unit: DurationUnit) -> BTreeMap<Vec<String>, Bucketed> {
    let mut buckets: BTreeMap<Vec<String>, Vec<(f64, Growth)>> = BTreeMap::new();
    for one in series {
        let bound = one.labels.get("le").and_then(|bound| bound.parse::<f64>().ok()).filter(|bound| !bound.is_nan());
        if let (Some(bound), Some(key), Some(growth)) = (bound, one.key(by), Growth::compute(&one.points, from)) {
            let (held, bound) = (buckets.entry(key).or_default(), bound * unit.factor(one));
            match held.iter_mut().find(|(other, _)| (*other).total_cmp(&bound).is_eq()) {
                Some((_, sum)) => sum.add(growth),
                None => held.push((bound, growth)),
            }
        }
    }
    buckets.into_iter().map(|(key, buckets)| (key, enclosed(buckets))).collect()
}

/// Buckets are cumulative: each counts what is at most its bound.
fn enclosed(mut buckets: Vec<(f64, Growth)>) -> Bucketed {
    buckets.sort_by(|one, other| one.0.total_cmp(&other.0));
    let mut told = Bucketed { high: Some(0.0), ..Bucketed::default() };
    let mut lower = 0.0;
    for (bound, growth) in buckets {
        let here = (growth.value - told.count).max(0.0);
        told.count += here;
        told.low += here * lower;
        if here > 0.0 {
            told.high = told.high.map(|high| high + here * bound).filter(|high| high.is_finite());
        }
        lower = bound;
        told.growth = Growth { value: told.count, ..growth };
    }
    told
}

/// Returns true if the query of `record` holds counters: by its type, or because the names of all of `series` end in `_total`.
pub fn are(record: &record::Series, series: &[Series]) -> bool {
    let is_total = |one: &Series| one.labels.get("__name__").is_some_and(|name| name.ends_with("_total"));
    match record.spec.metric_type {
        Some(stated) => stated == MetricType::Counter,
        None => series.iter().all(is_total),
    }
}

/// Bounds of the growth of `series`, all of them together, in a window that surely begins after `from` and surely
/// holds `inside` (Unix seconds); none if no series has a point.
///
/// Counters are only seen at their samples. Growth between the samples inside of the window surely lies in it; growth
/// from the last sample before it to the last of all surely holds it. A counter without a sample before counts
/// from zero for the upper end, because it may have begun in the window, and from its first sample for the lower one,
/// because it may have begun long ago. A counter that fell began again, and its growth just before that is unknown.
pub fn growth_bounds(series: &[Series], from: f64, inside: (f64, f64)) -> Option<Bounds> {
    let each = series.iter().filter_map(|one| bounds_of_one(&one.points, from, inside));
    each.reduce(|one, other| Bounds { low: one.low + other.low, high: one.high + other.high })
}

fn bounds_of_one(points: &[(f64, f64)], from: f64, inside: (f64, f64)) -> Option<Bounds> {
    let points: Vec<(f64, f64)> = points.iter().copied().filter(|(_, value)| value.is_finite()).collect();
    let (_, first) = *points.first()?;
    let before = points.iter().take_while(|(at, _)| *at <= from).count();
    let mut bounds = Bounds { low: 0.0, high: if before == 0 { first } else { 0.0 } };
    for (index, pair) in points.windows(2).enumerate() {
        let ((start, held), (end, value)) = (pair[0], pair[1]);
        let fell = value < held;
        let grown = if fell { value } else { value - held };
        if start >= inside.0 && end <= inside.1 {
            bounds.low += grown;
        }
        if index + 1 >= before {
            bounds.high += if fell { f64::INFINITY } else { grown };
        }
    }
    Some(bounds)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(labels: &[(&str, &str)], points: &[(f64, f64)]) -> Series {
        let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Series { labels, points: points.to_vec() }
    }

    fn by(labels: &[&str]) -> Vec<String> {
        labels.iter().map(|label| (*label).to_owned()).collect()
    }

    #[test]
    fn samples_take_the_place_of_steps_and_steps_tell_what_was_before() {
        let (a, b, c) = ([("s", "a")], [("s", "b")], [("s", "c")]);
        let steps = vec![series(&a, &[(0.0, 1.0), (5.0, 1.0), (10.0, 4.0)]), series(&b, &[(5.0, 2.0)])];
        let samples = vec![series(&a, &[(4.0, 1.0), (8.0, 4.0), (12.0, 5.0)]), series(&c, &[(6.0, 3.0)])];
        let all = spliced(steps, samples);
        let expected = [
            series(&a, &[(0.0, 1.0), (4.0, 1.0), (8.0, 4.0), (12.0, 5.0)]),
            series(&b, &[(5.0, 2.0)]),
            series(&c, &[(6.0, 3.0)]),
        ];
        assert_eq!(all, expected);
    }

    #[test]
    fn a_counter_grows_from_its_last_point_before_the_window() {
        let points = [(5.0, 3.0), (10.0, 4.0), (15.0, 9.0), (20.0, f64::NAN), (25.0, 11.0)];
        assert_eq!(Growth::compute(&points, 12.0), Some(Growth { value: 7.0, born: 0, resets: 0 }));
        assert_eq!(Growth::compute(&points, 30.0), Some(Growth::default()), "it did not move since");
        assert_eq!(Growth::compute(&points, 1.0), Some(Growth { value: 11.0, born: 1, resets: 0 }), "it began at zero");
        assert_eq!(Growth::compute(&[(5.0, f64::NAN)], 1.0), None);
        assert_eq!(Growth::compute(&[], 1.0), None);
    }

    #[test]
    fn a_counter_that_falls_began_again() {
        let points = [(0.0, 10.0), (5.0, 12.0), (10.0, 1.0), (15.0, 4.0)];
        assert_eq!(Growth::compute(&points, 0.0), Some(Growth { value: 6.0, born: 0, resets: 1 }));
    }

    #[test]
    fn series_are_added_up_by_their_labels_and_in_seconds() {
        let name = |name| ("__name__", name);
        let all = [
            series(&[name("a_seconds_sum"), ("stage", "l1"), ("pod", "0")], &[(9.0, 0.0), (20.0, 2.0)]),
            series(&[name("a_seconds_sum"), ("stage", "l1"), ("pod", "1")], &[(20.0, 3.0)]),
            series(&[name("a_milliseconds_sum"), ("stage", "l2")], &[(9.0, 0.0), (20.0, 1500.0)]),
            series(&[name("a_seconds_sum")], &[(20.0, 99.0)]),
        ];
        let grown = growth(&all, &by(&["stage"]), 10.0, Some(DurationUnit::default()));
        assert_eq!(grown.len(), 2);
        assert_eq!(grown[&by(&["l1"])], Growth { value: 5.0, born: 1, resets: 0 });
        assert!((grown[&by(&["l2"])].value - 1.5).abs() < 1e-9);
        assert!((growth(&all, &by(&["stage"]), 10.0, None)[&by(&["l2"])].value - 1500.0).abs() < 1e-9);
    }

    #[test]
    fn a_unit_comes_from_the_profile_or_the_name_or_the_metadata() {
        let named = |name: &str| series(&[("__name__", name)], &[]);
        let factor = |name: &str, profile, metadata| DurationUnit { profile, metadata }.factor(&named(name));
        for (name, seconds) in [
            ("stage_duration_sum", 1.0),
            ("stage_duration_seconds_sum", 1.0),
            ("stage_duration_milliseconds_sum", 1e-3),
            ("stage_duration_ms_sum", 1e-3),
            ("stage.duration.ns.sum", 1e-9),
            ("s_total", 1.0),
            ("ms_task_sum", 1.0),
            ("task_ms_wait_bucket", 1.0),
            ("task_ms_total", 1e-3),
            ("stage_duration_us", 1e-6),
        ] {
            assert!((factor(name, None, None) - seconds).abs() < 1e-12, "{name}");
        }
        assert!((factor("a_sum", None, Some(1e-3)) - 1e-3).abs() < 1e-12);
        assert!(
            (factor("a_seconds_sum", None, Some(1e-3)) - 1.0).abs() < 1e-12,
            "the name is nearer than the metadata"
        );
        assert!((factor("a_seconds_sum", Some(1e-3), Some(1.0)) - 1e-3).abs() < 1e-12, "the profile knows best");
    }

    #[test]
    fn buckets_enclose_the_sum() {
        let bucket = |le, value| series(&[("le", le), ("tenant", "llm")], &[(0.0, 0.0), (9.0, value)]);
        let all = [bucket("+Inf", 5.0), bucket("1", 2.0), bucket("2.5", 5.0)];
        let told = bucketed(&all, &by(&["tenant"]), 0.0, DurationUnit::default())[&by(&["llm"])];
        assert_eq!((told.count, told.low, told.high), (5.0, 3.0, Some(9.5)));
        let beyond = [bucket("+Inf", 6.0), bucket("1", 2.0)];
        let told = bucketed(&beyond, &by(&["tenant"]), 0.0, DurationUnit::default())[&by(&["llm"])];
        assert_eq!((told.count, told.low, told.high), (6.0, 4.0, None));
    }

    fn points(points: &[(f64, f64)]) -> Series {
        Series { points: points.to_vec(), ..Series::default() }
    }

    #[test]
    fn growth_lies_between_what_was_seen_inside_and_what_was_seen_around() {
        let whole = points(&[(0.0, 10.0), (8.0, 12.0), (12.0, 13.0), (18.0, 16.0), (25.0, 20.0)]);
        assert_eq!(growth_bounds(&[whole], 10.0, (10.0, 20.0)), Some(Bounds { low: 3.0, high: 8.0 }));
        let still = points(&[(0.0, 10.0), (12.0, 10.0), (25.0, 10.0)]);
        assert_eq!(
            growth_bounds(std::slice::from_ref(&still), 10.0, (10.0, 20.0)),
            Some(Bounds { low: 0.0, high: 0.0 })
        );
        let born = points(&[(12.0, 5.0), (18.0, 7.0)]);
        assert_eq!(growth_bounds(&[still, born], 10.0, (10.0, 20.0)), Some(Bounds { low: 2.0, high: 7.0 }));
        let fell = points(&[(0.0, 10.0), (12.0, 11.0), (18.0, 4.0)]);
        assert_eq!(growth_bounds(&[fell], 10.0, (10.0, 20.0)), Some(Bounds { low: 4.0, high: f64::INFINITY }));
        assert_eq!(growth_bounds(&[points(&[(5.0, f64::NAN)])], 0.0, (0.0, 9.0)), None);
    }

    #[test]
    fn what_fell_before_the_window_is_not_in_the_way() {
        let fell = points(&[(0.0, 10.0), (2.0, 1.0), (12.0, 3.0), (18.0, 4.0)]);
        assert_eq!(growth_bounds(&[fell], 10.0, (10.0, 20.0)), Some(Bounds { low: 1.0, high: 3.0 }));
    }
}
