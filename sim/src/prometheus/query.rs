//! The evaluation of selectors over a range, and the parameters of a query.

use chrono::DateTime;

use super::error::{QueryError, bad_data};
use super::selector::Selector;
use super::store::{Series, Store};

/// The time that a point of a range query looks back for a sample, in milliseconds.
pub(super) const LOOKBACK: i64 = 300_000;

/// Most steps of a range query; one more point than this is answered.
const MOST_STEPS: i64 = 11_000;

/// A range query's grid in milliseconds: `start`, then each `step` up to `end`, both ends included.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Grid {
    pub(super) start: i64,
    pub(super) end: i64,
    pub(super) step: i64,
}

impl Grid {
    /// Reads and checks `start`, `end` and `step` in the order in which Prometheus does.
    pub(super) fn parse(start: &str, end: &str, step: &str) -> Result<Self, QueryError> {
        let time = |name, text| parameter(name, text, "timestamp", time);
        let (start, end) = (time("start", start)?, time("end", end)?);
        if end < start {
            return Err(bad_data("invalid parameter \"end\": end timestamp must not be before start time"));
        }
        let step = parameter("step", step, "duration", milliseconds)?;
        if step <= 0 {
            return Err(bad_data(
                "invalid parameter \"step\": zero or negative query resolution step widths are not accepted. \
                 Try a positive integer",
            ));
        }
        if (end - start) / step > MOST_STEPS {
            return Err(bad_data(
                "exceeded maximum resolution of 11,000 points per timeseries. \
                 Try decreasing the query resolution (?step=XX)",
            ));
        }
        Ok(Self { start, end, step })
    }

    fn points(&self) -> impl Iterator<Item = i64> {
        let step = self.step;
        let steps = (self.end - self.start) / step;
        (0..=steps).map(move |k| self.start + k * step)
    }
}

/// Reads the parameter `name`, which is a `kind` of value.
pub(super) fn parameter<T>(name: &str, text: &str, kind: &str, read: fn(&str) -> Option<T>) -> Result<T, QueryError> {
    let refused = || bad_data(format!("invalid parameter \"{name}\": cannot parse \"{text}\" to a valid {kind}"));
    read(text).ok_or_else(refused)
}

/// The series on the grid: at each point the newest sample that is no older than the lookback.
pub(super) fn range(store: &Store, selector: &Selector, grid: &Grid) -> Vec<Series> {
    let found = store.select(|labels| selector.matches(labels), grid.start - LOOKBACK, grid.end);
    let on_grid = found.into_iter().map(|(labels, samples)| {
        let mut next = 0;
        let points = grid.points().filter_map(|at| {
            while samples.get(next).is_some_and(|(sampled, _)| *sampled <= at) {
                next += 1;
            }
            let (sampled, value) = *samples.get(next.checked_sub(1)?)?;
            (sampled >= at - LOOKBACK).then_some((at, value))
        });
        let points = points.collect::<Vec<_>>();
        (labels, points)
    });
    on_grid.filter(|(_, points)| !points.is_empty()).collect()
}

/// A time in milliseconds: float seconds since the epoch, or RFC 3339.
pub(super) fn time(text: &str) -> Option<i64> {
    milliseconds(text).or_else(|| DateTime::parse_from_rfc3339(text).ok().map(|time| time.timestamp_millis()))
}

/// Float seconds in milliseconds.
fn milliseconds(text: &str) -> Option<i64> {
    // Beyond these years neither side can be meant.
    let seconds = text.parse::<f64>().ok().filter(|seconds| seconds.abs() < 1e12)?;
    #[expect(clippy::cast_possible_truncation, reason = "bounded in the line above")]
    Some((seconds * 1000.0).round() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grid_takes_11001_points_and_no_more() {
        assert!(Grid::parse("0", "55000", "5").is_ok());
        assert!(Grid::parse("0", "55004.999", "5").is_ok());
        let error = Grid::parse("0", "55005", "5").unwrap_err();
        assert!(error.text.starts_with("exceeded maximum resolution of 11,000 points"), "{error:?}");
        assert_eq!(Grid::parse("1.5", "3.4", "1").unwrap().points().collect::<Vec<_>>(), [1500, 2500]);
    }

    #[test]
    fn bad_parameters_are_named() {
        for (start, end, step, text) in [
            ("", "1", "1", "invalid parameter \"start\": cannot parse \"\" to a valid timestamp"),
            ("0", "NaN", "1", "invalid parameter \"end\": cannot parse \"NaN\" to a valid timestamp"),
            ("2", "1", "1", "invalid parameter \"end\": end timestamp must not be before start time"),
            ("0", "1", "", "invalid parameter \"step\": cannot parse \"\" to a valid duration"),
        ] {
            assert_eq!(Grid::parse(start, end, step).unwrap_err(), bad_data(text));
        }
        assert!(Grid::parse("0", "1", "-1").is_err() && Grid::parse("0", "1", "0").is_err());
    }

    #[test]
    fn times_come_as_seconds_or_rfc3339() {
        assert_eq!(time("1795423755.3337"), Some(1_795_423_755_334));
        assert_eq!(time("1970-01-01T00:00:01.5Z"), Some(1500));
        // An unescaped plus sign has become a space by now.
        assert_eq!(time("1970-01-01T00:00:01 00:00"), None);
    }

    #[test]
    fn a_point_is_the_newest_sample_within_the_lookback() {
        let store = Store::default();
        let up = vec![("__name__".to_owned(), "up".to_owned())];
        store.append(10_000, [(up.clone(), 1.0)]);
        store.append(12_000, [(up.clone(), 2.0)]);
        let grid = Grid { start: 5_000, end: 320_000, step: 5_000 };
        let series = range(&store, &Selector::parse("up").unwrap(), &grid);
        let points = &series[0].1;
        assert_eq!((points[0], points[1]), ((10_000, 1.0), (15_000, 2.0)));
        // 312 s is the last instant that still sees the sample of 12 s.
        assert_eq!(points.last(), Some(&(310_000, 2.0)));
    }
}
