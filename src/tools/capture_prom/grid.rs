//! The points of time at which a range query is evaluated.
//!
//! Prometheus evaluates at start + k · step while that is not past the end, so a window whose length is no multiple of the
//! step loses its tail. The grid is therefore aligned to whole steps since the Unix epoch and reaches around the window;
//! that also keeps servers that would align the query themselves from moving it. All of it is in whole milliseconds, which
//! is as fine as Prometheus knows time.

use std::fmt::Write as _;
use std::time::Duration;

use crate::record::{Timestamp, Window};

/// Evenly spaced points of time, the first and the last included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Grid {
    start_ms: i64,
    step_ms: i64,
    points: u64,
}

impl Grid {
    /// The grid of `step`, at least 1 ms, that reaches around `window`.
    pub(super) fn around(window: Window, step: Duration) -> Self {
        let step_ms = i64::try_from(step.as_millis()).unwrap_or(i64::MAX).max(1);
        let micros = step_ms.saturating_mul(1000);
        let first = window.start.micros().div_euclid(micros);
        // Rounding up is rounding down from the other side.
        let last = -((-window.end.micros()).div_euclid(micros));
        let points = u64::try_from(last.saturating_sub(first)).unwrap_or(0) + 1;
        Self { start_ms: first.saturating_mul(step_ms), step_ms, points }
    }

    /// The number of points.
    pub(super) fn points(self) -> u64 {
        self.points
    }

    /// The part of it that begins at point `first` and has `count` points, or as many as are left.
    pub(super) fn part(self, first: u64, count: u64) -> Self {
        let points = count.min(self.points.saturating_sub(first));
        let start_ms = self.start_ms.saturating_add(self.span_ms(first));
        Self { start_ms, step_ms: self.step_ms, points }
    }

    fn span_ms(self, steps: u64) -> i64 {
        i64::try_from(steps).unwrap_or(i64::MAX).saturating_mul(self.step_ms)
    }

    fn end_ms(self) -> i64 {
        self.start_ms.saturating_add(self.span_ms(self.points.saturating_sub(1)))
    }

    /// The first point.
    pub(super) fn start(self) -> Timestamp {
        Timestamp::from_micros(self.start_ms.saturating_mul(1000))
    }

    /// The last point.
    pub(super) fn end(self) -> Timestamp {
        Timestamp::from_micros(self.end_ms().saturating_mul(1000))
    }

    /// The distance between two points, in seconds.
    pub(super) fn step_seconds(self) -> f64 {
        self.step_ms as f64 / 1e3
    }

    /// `start`, `end` and `step` as `query_range` wants them: decimal seconds.
    pub(super) fn parameters(self) -> [(&'static str, String); 3] {
        [("start", seconds(self.start_ms)), ("end", seconds(self.end_ms())), ("step", seconds(self.step_ms))]
    }

    /// The time that its samples span. From version 3 on a range selector leaves its left edge out, so it is one step longer.
    pub(super) fn span(self) -> Duration {
        Duration::from_millis(self.span_ms(self.points).unsigned_abs())
    }

    /// `query` and `time` of the instant query that gives the samples that `selector` had in the last `range` of the grid.
    pub(super) fn raw_parameters(self, selector: &str, range: Duration) -> [(&'static str, String); 2] {
        let length = range.as_millis();
        [("query", format!("{}[{length}ms]", selector.trim())), ("time", seconds(self.end_ms()))]
    }
}

/// Milliseconds as decimal seconds, exactly.
fn seconds(ms: i64) -> String {
    let (whole, rest) = (ms.div_euclid(1000), ms.rem_euclid(1000));
    let mut text = whole.to_string();
    if rest > 0 {
        // Writing to a String cannot fail.
        let _ = write!(text, ".{rest:03}");
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn window(start: f64, end: f64) -> Window {
        Window { start: Timestamp::from_seconds(start).unwrap(), end: Timestamp::from_seconds(end).unwrap() }
    }

    #[test]
    fn the_grid_reaches_around_the_window() {
        let grid = Grid::around(window(1000.1, 1011.0), Duration::from_secs(5));
        assert_eq!(grid.parameters().map(|(_, value)| value), ["1000", "1015", "5"]);
        assert_eq!(grid.points(), 4);
        let fine = Grid::around(window(1000.1, 1000.2), Duration::from_millis(250));
        assert_eq!(fine.parameters().map(|(_, value)| value), ["1000", "1000.250", "0.250"]);
        assert_eq!(fine.raw_parameters(" up ", fine.span()).map(|(_, value)| value), ["up[500ms]", "1000.250"]);
    }

    #[test]
    fn a_window_without_length_is_one_point() {
        assert_eq!(Grid::around(window(1000.0, 1000.0), Duration::from_secs(5)).points(), 1);
    }

    proptest! {
        #[test]
        fn parts_are_the_whole(start in 0.0..2e9, length in 0.0..1e5, step in 1_u64..60_000, size in 1_u64..500) {
            let whole = Grid::around(window(start, start + length), Duration::from_millis(step));
            let (mut at, mut expected) = (0, whole.start_ms);
            while at < whole.points() && at < 5000 {
                let part = whole.part(at, size);
                prop_assert_eq!(part.start_ms, expected);
                expected = part.end_ms() + part.step_ms;
                at += part.points();
            }
            if at >= whole.points() {
                prop_assert_eq!(expected - whole.step_ms, whole.end_ms());
            }
        }
    }
}
