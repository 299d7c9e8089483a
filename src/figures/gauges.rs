//! Highest values and sampling density of gauges, from the points of an envelope.

use std::collections::BTreeMap;

use super::counters::Series;

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
