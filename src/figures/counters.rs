//! What counters, histograms and gauges say of a window, from the points of an envelope.
//!
//! Increases are plain differences. Prometheus' own `increase()` extrapolates to the window's edges and misses what a
//! counter held when it was first seen; here a series without any point before the window counts from zero, as counters
//! begin, and who shows the figure says how many series that was.

use std::collections::BTreeMap;

/// One series: its labels, the metric's name among them as `__name__`, and its points as (Unix seconds, value).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    /// The labels.
    pub labels: BTreeMap<String, String>,
    /// The points, in the order of time.
    pub points: Vec<(f64, f64)>,
}

impl Series {
    /// The values of the labels `by`; none where one of them is absent or empty.
    pub fn key(&self, by: &[String]) -> Option<Vec<String>> {
        by.iter().map(|label| self.labels.get(label).filter(|value| !value.is_empty()).cloned()).collect()
    }

    /// What its values are multiplied with to be seconds. The unit is part of the name where exporters add suffixes;
    /// where they do not, OpenTelemetry's durations are seconds.
    fn to_seconds(&self) -> f64 {
        let name = self.labels.get("__name__").map(String::as_str).unwrap_or_default();
        if name.contains("milliseconds") { 1e-3 } else { 1.0 }
    }
}

/// Puts the samples as they were scraped in place of the points that were evaluated at steps, which show each sample late.
/// Points before a series' first sample stay: they tell of samples that lie before the stretch that was asked for.
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

/// How much counters grew, added up.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Growth {
    /// By how much.
    pub value: f64,
    /// How many of the series had no point before the window.
    pub born: usize,
    /// How often a counter fell, which means that it began again; what it counted since its point before is lost.
    pub resets: usize,
}

impl Growth {
    /// The growth of one counter from the last point at or before `from` to its last point; none without a point.
    fn of(points: &[(f64, f64)], from: f64) -> Option<Self> {
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

/// The growth of `series` since `from`, added up by the labels `by`. `duration` says that the values are durations: then
/// the growths are in seconds, whatever the unit. Series that lack one of the labels are left out.
pub fn growth(series: &[Series], by: &[String], from: f64, duration: bool) -> BTreeMap<Vec<String>, Growth> {
    let mut grown: BTreeMap<Vec<String>, Growth> = BTreeMap::new();
    for one in series {
        if let (Some(key), Some(mut growth)) = (one.key(by), Growth::of(&one.points, from)) {
            growth.value *= if duration { one.to_seconds() } else { 1.0 };
            grown.entry(key).or_default().add(growth);
        }
    }
    grown
}

/// What the buckets of a histogram of durations say: how many there were, and between what their sum lies.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Bucketed {
    /// How many.
    pub count: f64,
    /// Their sum is not less than this many seconds.
    pub low: f64,
    /// Nor more than this; none where one of them lies beyond the last bound.
    pub high: Option<f64>,
    /// How many series had no point before the window, and how often one fell.
    pub growth: Growth,
}

/// What `series`, the buckets of histograms of durations, counted since `from`, by the labels `by`.
pub fn bucketed(series: &[Series], by: &[String], from: f64) -> BTreeMap<Vec<String>, Bucketed> {
    let mut buckets: BTreeMap<Vec<String>, Vec<(f64, Growth)>> = BTreeMap::new();
    for one in series {
        let bound = one.labels.get("le").and_then(|bound| bound.parse::<f64>().ok()).filter(|bound| !bound.is_nan());
        if let (Some(bound), Some(key), Some(growth)) = (bound, one.key(by), Growth::of(&one.points, from)) {
            let (held, bound) = (buckets.entry(key).or_default(), bound * one.to_seconds());
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

/// The highest point of each gauge between `from` and `to`, and when it was first there, by the labels `by`; of several
/// series with the same labels, such as a metric that several nodes export, the highest. Series without one of the labels
/// are left out.
pub fn highest(series: &[Series], by: &[String], from: f64, to: f64) -> BTreeMap<Vec<String>, (f64, f64)> {
    let mut highest: BTreeMap<Vec<String>, (f64, f64)> = BTreeMap::new();
    for one in series {
        let Some(key) = one.key(by) else { continue };
        for (at, value) in &one.points {
            if value.is_finite() && (from..=to).contains(at) {
                let held = highest.entry(key.clone()).or_insert((*at, *value));
                if *value > held.1 || (*at < held.0 && *value >= held.1) {
                    *held = (*at, *value);
                }
            }
        }
    }
    highest
}

/// The widest distance between two successive points of one series that touches the time between `from` and `to`: what
/// happened and was over within it is not seen. None where no series has two such points.
pub fn widest_gap(series: &[Series], from: f64, to: f64) -> Option<f64> {
    let pairs = series.iter().flat_map(|one| one.points.windows(2));
    let gaps = pairs.filter_map(|pair| match pair {
        [(start, _), (end, _)] if *end > from && *start < to => Some(end - start),
        _ => None,
    });
    gaps.filter(|gap| *gap > 0.0).reduce(f64::max)
}

/// The points of each gauge over time, by the labels `by`; of several series with the same labels at each moment the highest of
/// what they last showed. Series without one of the labels are left out.
pub fn highest_over_time(series: &[Series], by: &[String]) -> BTreeMap<Vec<String>, Vec<(f64, f64)>> {
    let mut by_key: BTreeMap<Vec<String>, Vec<&Series>> = BTreeMap::new();
    for one in series {
        if let Some(key) = one.key(by) {
            by_key.entry(key).or_default().push(one);
        }
    }
    by_key.into_iter().map(|(key, held)| (key, united(&held))).collect()
}

fn united(series: &[&Series]) -> Vec<(f64, f64)> {
    if let [only] = series {
        return only.points.clone();
    }
    let points = series.iter().enumerate().flat_map(|(index, one)| one.points.iter().map(move |point| (index, *point)));
    let mut points: Vec<(usize, (f64, f64))> = points.collect();
    points.sort_by(|one, other| one.1.0.total_cmp(&other.1.0));
    let mut last = vec![f64::NEG_INFINITY; series.len()];
    let mut united: Vec<(f64, f64)> = Vec::with_capacity(points.len());
    for (index, (at, value)) in points {
        last[index] = if value.is_finite() { value } else { f64::NEG_INFINITY };
        let highest = last.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        match united.last_mut() {
            Some(held) if held.0.total_cmp(&at).is_eq() => held.1 = highest,
            _ => united.push((at, highest)),
        }
    }
    united
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
        assert_eq!(Growth::of(&points, 12.0), Some(Growth { value: 7.0, born: 0, resets: 0 }));
        assert_eq!(Growth::of(&points, 30.0), Some(Growth::default()), "it did not move since");
        assert_eq!(Growth::of(&points, 1.0), Some(Growth { value: 11.0, born: 1, resets: 0 }), "it began at zero");
        assert_eq!(Growth::of(&[(5.0, f64::NAN)], 1.0), None);
        assert_eq!(Growth::of(&[], 1.0), None);
    }

    #[test]
    fn a_counter_that_falls_began_again() {
        let points = [(0.0, 10.0), (5.0, 12.0), (10.0, 1.0), (15.0, 4.0)];
        assert_eq!(Growth::of(&points, 0.0), Some(Growth { value: 6.0, born: 0, resets: 1 }));
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
        let grown = growth(&all, &by(&["stage"]), 10.0, true);
        assert_eq!(grown.len(), 2);
        assert_eq!(grown[&by(&["l1"])], Growth { value: 5.0, born: 1, resets: 0 });
        assert!((grown[&by(&["l2"])].value - 1.5).abs() < 1e-9);
        assert!((growth(&all, &by(&["stage"]), 10.0, false)[&by(&["l2"])].value - 1500.0).abs() < 1e-9);
    }

    #[test]
    fn buckets_enclose_the_sum() {
        let bucket = |le, value| series(&[("le", le), ("tenant", "llm")], &[(0.0, 0.0), (9.0, value)]);
        let all = [bucket("+Inf", 5.0), bucket("1", 2.0), bucket("2.5", 5.0)];
        let told = bucketed(&all, &by(&["tenant"]), 0.0)[&by(&["llm"])];
        assert_eq!((told.count, told.low, told.high), (5.0, 3.0, Some(9.5)));
        let beyond = [bucket("+Inf", 6.0), bucket("1", 2.0)];
        let told = bucketed(&beyond, &by(&["tenant"]), 0.0)[&by(&["llm"])];
        assert_eq!((told.count, told.low, told.high), (6.0, 4.0, None));
    }

    #[test]
    fn the_highest_point_counts_inside_of_the_window_only() {
        let all = [
            series(&[("queue", "a")], &[(0.0, 9.0), (10.0, 2.0), (20.0, 4.0), (25.0, 4.0), (40.0, 7.0)]),
            series(&[("queue", "a"), ("node", "2")], &[(15.0, 3.0)]),
            series(&[], &[(15.0, 30.0)]),
        ];
        let found = highest(&all, &by(&["queue"]), 5.0, 30.0);
        assert_eq!(found.into_iter().collect::<Vec<_>>(), [(by(&["a"]), (20.0, 4.0))]);
    }

    #[test]
    fn the_widest_gap_is_that_of_the_window() {
        let all = [
            series(&[], &[(0.0, 1.0), (30.0, 1.0), (35.0, 2.0), (38.0, 2.0), (60.0, 2.0), (120.0, 2.0)]),
            series(&[], &[(40.0, 1.0)]),
        ];
        assert_eq!(widest_gap(&all, 31.0, 38.0), Some(5.0));
        assert_eq!(widest_gap(&all, 31.0, 39.0), Some(22.0));
        assert_eq!(widest_gap(&all[1..], 0.0, 100.0), None);
    }

    #[test]
    fn of_several_gauges_the_highest_shows_over_time() {
        let by = ["queue".to_owned()];
        let all = [
            series(&[("queue", "q"), ("node", "a")], &[(0.0, 1.0), (10.0, 4.0), (20.0, 0.0)]),
            series(&[("queue", "q"), ("node", "b")], &[(0.0, 3.0), (15.0, 2.0)]),
            series(&[("queue", "r")], &[(0.0, 9.0)]),
            series(&[("node", "a")], &[(0.0, 99.0)]),
        ];
        let found = highest_over_time(&all, &by);
        assert_eq!(found[&vec!["q".to_owned()]], [(0.0, 3.0), (10.0, 4.0), (15.0, 4.0), (20.0, 2.0)]);
        assert_eq!((found.len(), &found[&vec!["r".to_owned()]]), (2, &vec![(0.0, 9.0)]));
    }
}
