//! Highest values and sampling density of gauges, from the points of an envelope.

use std::collections::{BTreeMap, BTreeSet};

use itertools::Itertools;

use super::counter_sources::{GAP, differing_labels, finite, usual_distance};
use super::counters::{Series, grouped};

/// The labels that tell the nodes of one cluster apart.
const NODE_LABELS: [&str; 7] = ["host", "hostname", "instance", "node", "pod", "pod_name", "rabbitmq_node"];

/// The density of a gauge's samples.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Density {
    /// The number of samples.
    pub samples: usize,
    /// The longest stretch without one, in seconds.
    pub longest_gap: f64,
}

/// Returns the sampling density between `from` and `to` of those of `series` that have the labels `key`. Of several series it
/// is the sparsest one's, because each may have held the highest value. None if nothing was sampled.
pub fn density(series: &[Series], by: &[String], key: &[String], from: f64, to: f64) -> Option<Density> {
    let those = series.iter().filter(|one| one.key(by).is_some_and(|found| found == key));
    let each = those.filter_map(|one| {
        let inside = one.points.iter().filter(|(at, value)| value.is_finite() && (from..=to).contains(at));
        let times: Vec<f64> = inside.map(|(at, _)| *at).collect();
        let edges = [from, to].map(|edge| Some(edge).filter(|edge| edge.abs() < f64::MAX));
        let all: Vec<f64> = edges[0].into_iter().chain(times.iter().copied()).chain(edges[1]).collect();
        let longest_gap = all.windows(2).map(|pair| pair[1] - pair[0]).fold(0.0, f64::max);
        (!times.is_empty()).then_some(Density { samples: times.len(), longest_gap })
    });
    each.reduce(|one, other| if other.longest_gap > one.longest_gap { other } else { one })
}

/// The highest point of each gauge between `from` and `to`, and when it was first there, by the labels `by`; of several
/// series with the same labels, such as a metric that several nodes export, the highest. Series without one of the labels
/// are left out.
pub fn highest(series: &[Series], by: &[String], from: f64, to: f64) -> BTreeMap<Vec<String>, (f64, f64)> {
    let highest = |series: Vec<&Series>| {
        let points = series.into_iter().flat_map(|one| one.points.iter().copied());
        let inside = points.filter(|(at, value)| value.is_finite() && (from..=to).contains(at));
        inside.min_by(|one, other| other.1.total_cmp(&one.1).then(one.0.total_cmp(&other.0)))
    };
    grouped(series, by).into_iter().filter_map(|(key, held)| Some((key, highest(held)?))).collect()
}

/// Adds up the gauges of the nodes of a RabbitMQ cluster: each node exports the messages of the queues, and the parts of queues,
/// that it holds. Returns the series, one for each labels `by` whose nodes were added up, and a remark for each labels that
/// have several series.
///
/// Series are nodes if they are of one metric of RabbitMQ's, differ only in labels that name a node, and no two of them show
/// much the same values, as two scrapes of one node would. Others stay: their highest counts.
pub fn add_up_nodes(series: &[Series], by: &[String]) -> (Vec<Series>, BTreeMap<Vec<String>, String>) {
    let (mut added_up, mut remarks) = (Vec::new(), BTreeMap::new());
    for (key, held) in grouped(series, by) {
        let filled: Vec<&Series> =
            held.iter().copied().filter(|one| finite(one).iter().any(|(_, value)| *value > 0.0)).collect();
        if filled.len() < 2 {
            added_up.extend(held.into_iter().cloned());
            continue;
        }
        let labels = differing_labels(&filled);
        let (count, names) = (filled.len(), labels.iter().join(", "));
        if are_nodes(&filled, &labels) {
            remarks.insert(key, format!("added up over {count} nodes, which differ in {names}"));
            let points = sum(&filled.iter().map(|one| finite(one)).collect_vec());
            added_up.push(Series { labels: filled[0].labels.clone(), points });
        } else {
            remarks.insert(key, format!("the highest of {count} series, which differ in {names}"));
            added_up.extend(held.into_iter().cloned());
        }
    }
    (added_up, remarks)
}

fn are_nodes(series: &[&Series], labels: &BTreeSet<String>) -> bool {
    let is_of_rabbitmq = |one: &&Series| one.labels.get("__name__").is_some_and(|name| name.starts_with("rabbitmq_"));
    let differ = || series.iter().array_combinations().all(|[one, other]| !(shows(one, other) && shows(other, one)));
    series.iter().all(is_of_rabbitmq) && labels.iter().all(|label| NODE_LABELS.contains(&label.as_str())) && differ()
}

/// Returns true if most samples of `one` lie between those that `other` has within a scrape before and after it. Between two
/// samples a queue may be deeper than at both, so not all of them need to.
fn shows(one: &Series, other: &Series) -> bool {
    let (one, other) = (finite(one), finite(other));
    let scrape = usual_distance(&one).max(usual_distance(&other));
    let is_shown = |(at, value): &(f64, f64)| {
        let near = || other.iter().filter(|(time, _)| (time - at).abs() <= scrape);
        let has_both = near().any(|(time, _)| time <= at) && near().any(|(time, _)| time >= at);
        let values = || near().map(|(_, value)| *value);
        let (low, high) = (values().fold(f64::INFINITY, f64::min), values().fold(0.0, f64::max));
        // Two empty queues look alike, and where the other was not scraped it says nothing.
        (has_both && (*value > 0.0 || high > 0.0)).then(|| (low..=high).contains(value))
    };
    let shown: Vec<bool> = one.iter().filter_map(is_shown).collect();
    2 * shown.iter().filter(|shown| **shown).count() >= shown.len()
}

/// The sum of what gauges last showed at each of their samples. One that was not scraped any more counts no longer.
fn sum(series: &[Vec<(f64, f64)>]) -> Vec<(f64, f64)> {
    let times = series.iter().flatten().map(|(at, _)| *at).sorted_by(f64::total_cmp).dedup();
    let last = |points: &[(f64, f64)], at: f64| {
        let (seen, value) = *points[..points.partition_point(|(time, _)| *time <= at)].last()?;
        (at - seen <= GAP * usual_distance(points)).then_some(value)
    };
    times.map(|at| (at, series.iter().filter_map(|points| last(points, at)).sum::<f64>())).collect()
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

/// The growth a second of each counter between its samples, added up by the labels `by`. A point shows the growth up to the next
/// sample; the last one repeats it. A counter that falls began again at zero. Series without one of the labels are left out.
pub fn rates_over_time(series: &[Series], by: &[String]) -> BTreeMap<Vec<String>, Vec<(f64, f64)>> {
    let rates = |one: &&Series| {
        let points = finite(one);
        let pairs = points.iter().tuple_windows().filter(|((start, _), (end, _))| end > start);
        let mut rates = pairs.map(|((start, held), (end, value))| {
            let grown = if value < held { *value } else { value - held };
            (*start, grown / (end - start))
        });
        let mut rates = rates.by_ref().collect_vec();
        let last = rates.last()?.1;
        rates.push((points.last()?.0, last));
        Some(rates)
    };
    let added = |held: Vec<&Series>| sum(&held.iter().filter_map(rates).collect_vec());
    let groups = grouped(series, by).into_iter().map(|(key, held)| (key, added(held)));
    groups.filter(|(_, points)| !points.is_empty()).collect()
}

/// The points of each gauge over time, by the labels `by`; of several series with the same labels at each moment the highest of
/// what they last showed. Series without one of the labels are left out.
pub fn highest_over_time(series: &[Series], by: &[String]) -> BTreeMap<Vec<String>, Vec<(f64, f64)>> {
    grouped(series, by).into_iter().map(|(key, held)| (key, united(&held))).collect()
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

    #[test]
    fn rates_are_added_up_over_the_series_of_a_key() {
        let all = [
            series(&[("instance", "a"), ("cpu", "0")], &[(0.0, 0.0), (10.0, 5.0), (20.0, 5.0)]),
            series(&[("instance", "a"), ("cpu", "1")], &[(0.0, 7.0), (10.0, 2.0), (20.0, 12.0)]),
            series(&[("instance", "b")], &[(0.0, 1.0)]),
        ];
        let rates = rates_over_time(&all, &by(&["instance"]));
        assert_eq!(rates.into_iter().collect::<Vec<_>>(), [(by(&["a"]), vec![(0.0, 0.7), (10.0, 1.0), (20.0, 1.0)])]);
    }

    fn node(labels: &[(&str, &str)], values: &[f64], late: f64) -> Series {
        let labels = [&[("__name__", "rabbitmq_queue_messages_ready"), ("queue", "q")][..], labels].concat();
        let points: Vec<_> = values.iter().enumerate().map(|(at, value)| (15.0 * at as f64 + late, *value)).collect();
        series(&labels, &points)
    }

    /// The highest sum and the remark of one queue's series.
    fn added_up(all: &[Series]) -> (f64, Option<String>) {
        let by = by(&["queue"]);
        let (series, remarks) = add_up_nodes(all, &by);
        (highest(&series, &by, 0.0, 1e9)[&vec!["q".to_owned()]].1, remarks.into_values().next())
    }

    #[test]
    fn nodes_of_a_cluster_are_added_up() {
        let (a, b, c) = ([("instance", "n1:15692")], [("instance", "n2:15692")], [("instance", "n3:15692")]);
        let all =
            [node(&a, &[0.0, 7.0, 9.0, 2.0], 0.0), node(&b, &[1.0, 4.0, 3.0, 11.0], 4.0), node(&c, &[0.0; 4], 1.0)];
        assert_eq!(added_up(&all), (13.0, Some("added up over 2 nodes, which differ in instance".to_owned())));
        // The queue moved when the first node went down.
        let moved = [node(&a, &[40.0, 40.0], 0.0), node(&b, &[41.0, 38.0, 37.0], 60.0)];
        assert!((added_up(&moved).0 - 41.0).abs() < 1e-9);
        assert_eq!(added_up(&all[..1]), (9.0, None));
    }

    #[test]
    fn what_may_be_one_node_twice_or_no_node_is_not_added_up() {
        let (a, b) = ([("instance", "n1:15692")], [("instance", "10.0.0.4:15692")]);
        let twice = [node(&a, &[0.0, 7.0, 9.0, 2.0], 0.0), node(&b, &[3.0, 8.0, 9.0, 2.0], 5.0)];
        let highest_of_two = |labels: &str| (9.0, Some(format!("the highest of 2 series, which differ in {labels}")));
        assert_eq!(added_up(&twice), highest_of_two("instance"));
        let replicas = [[("replica", "x")], [("replica", "y")]];
        let other = [&[0.0, 7.0, 9.0, 2.0], &[5.0, 1.0, 1.0, 6.0]];
        assert_eq!(added_up(&[0, 1].map(|at| node(&replicas[at], other[at], 0.0))), highest_of_two("replica"));
        let mut metrics = [node(&a, other[0], 0.0), node(&b, other[1], 0.0)];
        metrics[1].labels.insert("__name__".to_owned(), "rabbitmq_detailed_queue_messages_ready".to_owned());
        assert_eq!(added_up(&metrics), highest_of_two("__name__, instance"));
    }

    #[test]
    fn the_longest_gap_counts_the_edges_too() {
        let by = ["queue".to_owned()];
        let key = ["a".to_owned()];
        let labels = [("queue".to_owned(), "a".to_owned())].into_iter().collect();
        let of = Series { labels, points: vec![(1.0, 0.0), (2.0, f64::NAN), (3.0, 1.0), (9.0, 0.0), (90.0, 5.0)] };
        let found = density(std::slice::from_ref(&of), &by, &key, 0.0, 13.0);
        assert_eq!(found, Some(Density { samples: 3, longest_gap: 6.0 }));
        assert_eq!(density(std::slice::from_ref(&of), &by, &key, 20.0, 30.0), None);
        assert_eq!(density(&[of], &by, &key, f64::MIN, f64::MAX).map(|it| it.longest_gap), Some(81.0));
    }
}
