//! Lines that hold a value until the next one, drawn with no more points than there are pixels.

use itertools::Itertools;

use super::scale::Scale;
use super::svg::{PathData, number};

/// One stretch without a gap: moments and the values that hold from there on, in the order of time.
pub type Stretch = Vec<(f64, f64)>;

/// Cuts samples into stretches: where two are further apart than `gap`, or a value is no number, nothing is known between.
pub fn stretches(samples: &[(f64, f64)], gap: f64) -> Vec<Stretch> {
    let mut found: Vec<Stretch> = Vec::new();
    let mut last: Option<f64> = None;
    for (at, value) in samples {
        if !value.is_finite() {
            last = None;
            continue;
        }
        match (last, found.last_mut()) {
            (Some(before), Some(stretch)) if at - before <= gap => stretch.push((*at, *value)),
            _ => found.push(vec![(*at, *value)]),
        }
        last = Some(*at);
    }
    found
}

/// The part of a stretch between two moments: what held at the first is moved there, and what held last is drawn on to the second
/// where the stretch goes on beyond it.
pub fn clipped(stretch: &[(f64, f64)], (low, high): (f64, f64)) -> Stretch {
    let before = stretch.iter().rev().find(|point| point.0 < low).map(|point| (low, point.1));
    let within = stretch.iter().filter(|point| (low..=high).contains(&point.0)).copied();
    let mut part: Stretch = before.into_iter().chain(within).collect();
    if let Some(&(_, last)) = part.last().filter(|_| stretch.last().is_some_and(|point| point.0 > high)) {
        part.push((high, last));
    }
    if part.len() == 1 && part[0].0 <= low { Stretch::new() } else { part }
}

/// The area between the line and the coordinate `base`.
pub fn area(stretch: &[(f64, f64)], x: &Scale, y: &Scale, base: f64) -> PathData {
    match stretch.first() {
        Some(start) => path(stretch, x, y).vertical_to(base).horizontal_to(x.at(start.0)).close(),
        None => PathData::default(),
    }
}

/// The line. Of the points of one pixel column only the first, the lowest, the highest and the last are drawn, which looks the
/// same (M4: Jugel and others, "M4: A Visualization-Oriented Time Series Data Aggregation", VLDB 2014).
pub fn path(stretch: &[(f64, f64)], x: &Scale, y: &Scale) -> PathData {
    let mut path = PathData::default();
    let mut level = None;
    for (at, value) in thinned(stretch, x) {
        let (across, up) = (x.at(at), y.at(value));
        path = match level.replace(number(up)) {
            None => path.move_to((across, up)),
            Some(before) if before == number(up) => path.horizontal_to(across),
            Some(_) => path.horizontal_to(across).vertical_to(up),
        };
    }
    path
}

fn thinned(stretch: &[(f64, f64)], x: &Scale) -> Vec<(f64, f64)> {
    let mut kept: Vec<(f64, f64)> = Vec::new();
    for column in stretch.chunk_by(|one, other| x.at(one.0).floor().total_cmp(&x.at(other.0).floor()).is_eq()) {
        let by_value = |one: &&(f64, f64), other: &&(f64, f64)| one.1.total_cmp(&other.1);
        let extremes = [column.first(), column.iter().min_by(by_value), column.iter().max_by(by_value), column.last()];
        let by_time = extremes.into_iter().flatten().copied().sorted_by(|one, other| one.0.total_cmp(&other.0));
        kept.extend(by_time.dedup());
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_gaps() {
        let samples = [(0.0, 1.0), (1.0, 2.0), (5.0, 3.0), (6.0, f64::NAN), (7.0, 4.0)];
        assert_eq!(stretches(&samples, 2.0), [vec![(0.0, 1.0), (1.0, 2.0)], vec![(5.0, 3.0)], vec![(7.0, 4.0)]]);
    }

    #[test]
    fn what_held_at_the_edges_is_drawn_up_to_them() {
        let stretch = [(-5.0, 9.0), (-1.0, 1.0), (2.0, 3.0), (8.0, 4.0)];
        assert_eq!(clipped(&stretch, (0.0, 6.0)), [(0.0, 1.0), (2.0, 3.0), (6.0, 3.0)]);
        assert_eq!(clipped(&stretch, (-9.0, 8.0)), stretch);
        assert_eq!(clipped(&stretch, (9.0, 10.0)), []);
        let (x, y) = (Scale::new((0.0, 6.0), (0.0, 60.0)), Scale::new((0.0, 5.0), (50.0, 0.0)));
        assert_eq!(area(&clipped(&stretch, (0.0, 6.0)), &x, &y, 50.0).as_str(), "M0 40H20V20H60V50H0Z");
        assert_eq!(area(&[], &x, &y, 50.0).as_str(), "");
    }

    #[test]
    fn a_value_holds_until_the_next() {
        let (x, y) = (Scale::new((0.0, 10.0), (0.0, 100.0)), Scale::new((0.0, 5.0), (50.0, 0.0)));
        assert_eq!(path(&[(0.0, 0.0), (2.0, 1.0), (4.0, 1.0), (5.0, 0.0)], &x, &y).as_str(), "M0 50H20V40H40H50V50");
    }

    #[test]
    fn thousands_of_points_cost_four_a_pixel_and_keep_the_extremes() {
        let (x, y) = (Scale::new((0.0, 1e5), (0.0, 100.0)), Scale::new((0.0, 100.0), (100.0, 0.0)));
        let mut points: Vec<(f64, f64)> =
            (0..100_000).map(|index| (f64::from(index), f64::from(index * 7919 % 50))).collect();
        points[54_321].1 = 100.0;
        let kept = thinned(&points, &x);
        assert!(kept.len() <= 4 * 101, "{}", kept.len());
        assert!(kept.contains(&(54_321.0, 100.0)) && kept.contains(&points[0]) && kept.contains(&points[99_999]));
        assert!(path(&points, &x, &y).as_str().len() < 10_000);
    }
}
