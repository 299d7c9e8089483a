//! Series whose last samples have not arrived.
//!
//! A server that gets samples late (by remote write or federation, say) repeats the last value of a series for some minutes, so
//! an evaluated point shows nothing. The samples as scraped do: a series is late if they end before the window does. A series
//! that really ended has a staleness marker behind its last sample, and its evaluated points end there as well.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use super::grid::Grid;
use crate::figures::distribution::median_distance;
use crate::prometheus::Problem;
use crate::prometheus::envelope::Series;
use crate::record::{Reason, Timestamp};
use crate::{escape, units};

/// The tolerance of the times of points in seconds: Prometheus rounds to the millisecond.
const ROUNDING: f64 = 0.0015;
/// The number of intervals without a sample that a series may have at the window's end: one scrape may fail.
const MISSED: f64 = 2.0;

/// The window that the samples should fill.
#[derive(Clone, Copy, Debug)]
pub(super) struct AskedWindow {
    /// The points that are evaluated.
    pub(super) grid: Grid,
    /// The end of the true window by the server's clock, in Unix seconds.
    pub(super) end: f64,
    /// The longest time between two scrapes of a target in seconds.
    pub(super) interval: f64,
}

/// The series of one query, as evaluated and as scraped.
#[derive(Debug, Default)]
pub(super) struct Lateness {
    hasher: RandomState,
    /// The last evaluated point of each series, by the hash of its labels.
    evaluated: HashMap<u64, f64>,
    series: u64,
    late: u64,
    /// The latest series, its last sample, and the time from there to the window's end.
    worst: Option<(String, f64, f64)>,
}

impl Lateness {
    /// Adds the evaluated points of a series.
    pub(super) fn add_points(&mut self, series: &Series<'_>) {
        if let Some(last) = last(series) {
            let held = self.evaluated.entry(self.hasher.hash_one(&series.metric)).or_insert(last);
            *held = held.max(last);
        }
    }

    /// Adds the samples of a series as they were scraped.
    pub(super) fn add_samples(&mut self, series: &Series<'_>, window: &AskedWindow) {
        let Some(last) = last(series) else { return };
        self.series += 1;
        let interval = median_distance(times(series)).unwrap_or(window.interval);
        if last + MISSED * interval >= window.end {
            return;
        }
        let evaluated = self.evaluated.get(&self.hasher.hash_one(&series.metric)).copied().unwrap_or(last);
        let is_shown_at_the_end = evaluated >= window.grid.end().seconds() - ROUNDING;
        // A marker is written at the scrape that misses the series, or a little later if its target has gone. Without one
        // the last value is repeated for minutes.
        let is_repeated = evaluated >= last + (MISSED + 1.0) * interval + window.grid.step_seconds();
        if !is_shown_at_the_end && !is_repeated {
            return;
        }
        self.late += 1;
        if self.worst.as_ref().is_none_or(|(_, _, lag)| *lag < window.end - last) {
            self.worst = Some((name(series), last, window.end - last));
        }
    }

    /// The problem, if there are late series.
    pub(super) fn problem(&self) -> Option<Problem> {
        let (name, last, lag) = self.worst.as_ref()?;
        let at = Timestamp::from_seconds(*last).map(|at| format!(" at {at}")).unwrap_or_default();
        let message = format!(
            "{} of {} series have no sample in the last part of the window, and nothing shows that they ended; the last sample of {name} is{at}, {} before the window's end; capture the window again once late samples have arrived",
            self.late,
            self.series,
            units::seconds(*lag)
        );
        Some(Problem::new(Reason::LateSamples, message))
    }
}

/// The time of the last sample.
fn last(series: &Series<'_>) -> Option<f64> {
    times(series).reduce(f64::max)
}

fn times(series: &Series<'_>) -> impl Iterator<Item = f64> {
    let values = series.values.iter().map(|(at, _)| *at);
    values.chain(series.histograms.iter().map(|(at, _)| *at))
}

/// The series as PromQL selects it.
fn name(series: &Series<'_>) -> String {
    let name = series.metric.get("__name__").map_or("", String::as_str);
    let labels = series.metric.iter().filter(|(label, _)| *label != "__name__");
    let labels: Vec<String> = labels.map(|(label, value)| format!("{label}=\"{value}\"")).collect();
    escape::start(&format!("{name}{{{}}}", labels.join(",")), 200)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::record::Window;

    fn series(points: &[i32]) -> String {
        let values: Vec<String> = points.iter().map(|at| format!(r#"[{at},"1"]"#)).collect();
        format!(r#"{{"metric":{{"__name__":"a","x":"y"}},"values":[{}]}}"#, values.join(","))
    }

    /// A window that ends at second 100, with points each 5 s up to second 110 and scrapes at least each 60 s.
    fn window() -> AskedWindow {
        let at = |seconds| Timestamp::from_seconds(seconds).unwrap();
        let grid = Grid::around(Window { start: at(0.0), end: at(110.0) }, Duration::from_secs(5));
        AskedWindow { grid, end: 100.0, interval: 60.0 }
    }

    /// The problem with a series in [`window`].
    fn problem(points: &[i32], samples: &[i32]) -> Option<Problem> {
        let mut lateness = Lateness::default();
        lateness.add_points(&serde_json::from_str(&series(points)).unwrap());
        lateness.add_samples(&serde_json::from_str(&series(samples)).unwrap(), &window());
        lateness.problem()
    }

    #[test]
    fn a_series_is_late_if_its_last_value_is_repeated_past_the_windows_end() {
        let to_the_end = [95, 100, 105, 110];
        assert_eq!(problem(&to_the_end, &[80, 85, 90, 95]), None, "one scrape is on its way");
        assert_eq!(problem(&to_the_end, &[80, 85, 90]), None, "one scrape failed");
        let late = problem(&to_the_end, &[60, 65, 70]).unwrap();
        assert_eq!(late.reason, Reason::LateSamples);
        assert!(late.message.contains(r#"a{x="y"}"#) && late.message.contains("30.0 s"), "{}", late.message);
    }

    #[test]
    fn a_series_whose_points_end_with_its_samples_has_ended() {
        assert_eq!(problem(&[60, 65, 70], &[60, 65, 70]), None, "a marker ended it");
        assert!(
            problem(&[60, 65, 70, 75, 80, 85, 90], &[60, 65, 70]).is_some(),
            "it was repeated until it was forgotten"
        );
    }

    #[test]
    fn a_single_sample_shows_no_interval() {
        assert_eq!(problem(&[50, 110], &[50]), None);
        assert!(problem(&[-30, 110], &[-30]).is_some());
    }
}
