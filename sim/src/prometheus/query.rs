//! PromQL, as far as plain selectors go.

use std::time::Duration;

use chrono::DateTime;
use promql_parser::label::Matchers;
use promql_parser::parser::{self, Expr};

use super::store::{Labels, Series, Store};

/// The time that a point of a range query looks back for a sample, in milliseconds.
pub(super) const LOOKBACK: i64 = 300_000;

/// Most steps of a range query; one more point than this is answered.
const MOST_STEPS: i128 = 11_000;

/// An error, as the API's error envelope says it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct QueryError {
    pub(super) status: u16,
    pub(super) kind: &'static str,
    pub(super) text: String,
}

/// A selector: the matchers of a series, and the range of a range selector in milliseconds.
#[derive(Debug)]
pub(super) struct Selector {
    name: Option<String>,
    matchers: Matchers,
    pub(super) range: Option<i64>,
}

/// A range query's grid in milliseconds: `start`, then each `step` up to `end`, both ends included.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Grid {
    pub(super) start: i64,
    pub(super) end: i64,
    pub(super) step: i64,
}

pub(super) fn bad_data(text: impl Into<String>) -> QueryError {
    QueryError { status: 400, kind: "bad_data", text: text.into() }
}

impl Selector {
    /// Parses a query. What does not parse is bad data; what parses and is no plain selector is beyond the stand-in, and says so.
    pub(super) fn parse(query: &str) -> Result<Self, QueryError> {
        let expression = parser::parse(query)
            .map_err(|error| bad_data(format!("invalid parameter \"query\": parse error: {error}")))?;
        let (selector, range) = match expression {
            Expr::VectorSelector(selector) => (selector, None),
            Expr::MatrixSelector(matrix) => (matrix.vs, Some(matrix.range)),
            _ => return Err(beyond(query)),
        };
        if selector.offset.is_some() || selector.at.is_some() || !selector.matchers.or_matchers.is_empty() {
            return Err(beyond(query));
        }
        let range = range.map(|range| i64::try_from(range.as_millis()).unwrap_or(i64::MAX));
        Ok(Self { name: selector.name, matchers: selector.matchers, range })
    }

    /// Returns true if the selector matches a series. A label that the series lacks counts as empty.
    pub(super) fn matches(&self, labels: &Labels) -> bool {
        let value = |name: &str| labels.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value);
        self.name.as_ref().is_none_or(|name| name == value("__name__"))
            && self.matchers.matchers.iter().all(|matcher| matcher.is_match(value(&matcher.name)))
    }
}

fn beyond(query: &str) -> QueryError {
    let text = format!("the stand-in evaluates plain selectors only, such as up or up[30s], not {query}");
    QueryError { status: 422, kind: "execution", text }
}

impl Grid {
    /// Reads and checks `start`, `end` and `step` in the order in which Prometheus does.
    pub(super) fn parse(start: &str, end: &str, step: &str) -> Result<Self, QueryError> {
        let time = |name: &str, text: &str| {
            time(text).ok_or_else(|| {
                bad_data(format!("invalid parameter \"{name}\": cannot parse \"{text}\" to a valid timestamp"))
            })
        };
        let (start, end) = (time("start", start)?, time("end", end)?);
        if end < start {
            return Err(bad_data("invalid parameter \"end\": end timestamp must not be before start time"));
        }
        let nanos = duration(step).ok_or_else(|| {
            bad_data(format!("invalid parameter \"step\": cannot parse \"{step}\" to a valid duration"))
        })?;
        if nanos <= 0 {
            return Err(bad_data(
                "invalid parameter \"step\": zero or negative query resolution step widths are not accepted. \
                 Try a positive integer",
            ));
        }
        if i128::from(end - start) * 1_000_000 / nanos > MOST_STEPS {
            return Err(bad_data(
                "exceeded maximum resolution of 11,000 points per timeseries. \
                 Try decreasing the query resolution (?step=XX)",
            ));
        }
        let step = i64::try_from(nanos / 1_000_000).unwrap_or(i64::MAX).max(1);
        Ok(Self { start, end, step })
    }

    fn points(&self) -> impl Iterator<Item = i64> {
        let step = self.step;
        let steps = (self.end - self.start) / step;
        (0..=steps).map(move |k| self.start + k * step)
    }
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
    if let Ok(seconds) = text.parse::<f64>() {
        // Beyond these years neither side can be meant.
        let sensible = seconds.abs() < 1e12;
        #[expect(clippy::cast_possible_truncation, reason = "bounded in the line above")]
        return sensible.then(|| (seconds * 1000.0).round() as i64);
    }
    DateTime::parse_from_rfc3339(text).ok().map(|time| time.timestamp_millis())
}

/// A duration in nanoseconds: float seconds, or Prometheus' own form such as `1m30s`.
fn duration(text: &str) -> Option<i128> {
    if let Ok(seconds) = text.parse::<f64>() {
        #[expect(clippy::cast_possible_truncation, reason = "bounded by the filter")]
        return Some(seconds).filter(|seconds| seconds.abs() < 1e9).map(|seconds| (seconds * 1e9) as i128);
    }
    let parsed: Duration = promql_parser::util::parse_duration(text).ok()?;
    i128::try_from(parsed.as_nanos()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn selectors_match_as_prometheus_anchors_them() {
        let up = labels(&[("__name__", "up"), ("job", "autorag-api")]);
        for (query, expected) in [
            ("up", true),
            ("upper", false),
            (r#"{__name__="up"}"#, true),
            (r#"{__name__=~"u"}"#, false),
            (r#"{__name__=~"u.|x"}"#, true),
            (r#"up{job!="x",nothing=""}"#, true),
            (r#"up{job!~".*api"}"#, false),
            ("up[30s]", true),
        ] {
            assert_eq!(Selector::parse(query).unwrap().matches(&up), expected, "{query}");
        }
        assert_eq!(Selector::parse("up[30s]").unwrap().range, Some(30_000));
    }

    #[test]
    fn what_is_no_selector_is_told_apart_from_what_is_no_query() {
        for query in ["rate(up[1m])", "1", "up + 1", "up offset 5m", "up @ 5", "sum(up)", "(up)"] {
            assert_eq!(Selector::parse(query).unwrap_err().status, 422, "{query}");
        }
        for query in ["", "up{", "{}", "sum(", "up[xs]"] {
            let error = Selector::parse(query).unwrap_err();
            assert_eq!((error.status, error.kind), (400, "bad_data"), "{query}");
        }
    }

    #[test]
    fn the_grid_takes_11001_points_and_no_more() {
        assert!(Grid::parse("0", "55000", "5").is_ok());
        assert!(Grid::parse("0", "55004.999", "5s").is_ok());
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
        let up = labels(&[("__name__", "up")]);
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
