//! Series whose last samples have not arrived.
//!
//! A server that gets samples late (by remote write or federation, say) repeats the last value of a series for some minutes, so
//! an evaluated point shows nothing. The samples as scraped do: a series is late if they end before the window does. A series
//! that really ended has a staleness marker behind its last sample, and its evaluated points end there as well. The last sample
//! may lie before the window even begins: then it is looked for as far back as servers repeat a value.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

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

/// The time for which servers repeat the last value of a series, by default.
const LOOK_BACK: Duration = Duration::from_secs(300);

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

impl AskedWindow {
    /// Returns whether a point lies at the end of the grid.
    fn is_at_the_end(&self, at: f64) -> bool {
        at >= self.grid.end().seconds() - ROUNDING
    }

    /// The time before the last point in which each series that is not late has a sample.
    pub(super) fn tail(&self) -> Duration {
        let seconds = self.grid.end().seconds() - self.end + (MISSED + 1.0) * self.interval;
        Duration::try_from_secs_f64(seconds).unwrap_or(LOOK_BACK)
    }

    /// The time before the last point in which each series that has a point has a sample.
    pub(super) fn look_back(&self) -> Duration {
        self.grid.span() + LOOK_BACK.max(self.tail())
    }
}

/// The series of one query, as evaluated and as scraped.
#[derive(Debug, Default)]
pub(super) struct Lateness {
    hasher: RandomState,
    /// The last evaluated point of each series, by the hash of its labels.
    evaluated: HashMap<u64, f64>,
    /// The series of which samples came, by the same hash.
    sampled: HashSet<u64>,
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

    /// Returns whether a series has points and no samples so far.
    pub(super) fn has_unsampled(&self) -> bool {
        self.evaluated.keys().any(|series| !self.sampled.contains(series))
    }

    /// Adds the samples of a series as they were scraped; `is_whole` says that they are all that the look back shows. Only the
    /// first samples of each series count, because a longer look back shows the same last one.
    pub(super) fn add_samples(&mut self, series: &Series<'_>, window: &AskedWindow, is_whole: bool) {
        let Some(last) = last(series) else { return };
        let hash = self.hasher.hash_one(&series.metric);
        // A series may have samples and native histograms.
        let mut times: Vec<f64> = times(series).collect();
        times.sort_by(f64::total_cmp);
        let known_interval = median_distance(times.into_iter());
        let interval = known_interval.unwrap_or(window.interval);
        let is_late = last + MISSED * interval < window.end;
        // A single sample does not tell whether its target is scraped more rarely than others.
        let is_unclear = is_late && known_interval.is_none() && !is_whole;
        if is_unclear || !self.sampled.insert(hash) || !is_late {
            return;
        }
        let evaluated = self.evaluated.get(&hash).copied().unwrap_or(last);
        let is_shown_at_the_end = window.is_at_the_end(evaluated);
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
    pub(super) fn problem(&self, window: &AskedWindow) -> Option<Problem> {
        let is_unsampled = |series: &u64, last: f64| !self.sampled.contains(series) && window.is_at_the_end(last);
        let unsampled = self.evaluated.iter().filter(|(series, last)| is_unsampled(series, **last)).count() as u64;
        let (late, all) = (self.late + unsampled, self.sampled.len() as u64 + unsampled);
        let last_sample = match &self.worst {
            _ if unsampled > 0 => {
                let sought = units::seconds(window.look_back().as_secs_f64());
                format!("{unsampled} of them have none in the {sought} that were searched")
            }
            Some((name, last, lag)) => {
                let at = Timestamp::from_seconds(*last).map(|at| format!(" at {at}")).unwrap_or_default();
                format!("the last sample of {name} is{at}, {} before the window's end", units::seconds(*lag))
            }
            None => return None,
        };
        let message = format!(
            "{late} of {all} series have no sample in the last part of the window, and nothing shows that they ended; {last_sample}; capture the window again once late samples have arrived"
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
        lateness.add_samples(&serde_json::from_str(&series(samples)).unwrap(), &window(), true);
        lateness.problem(&window())
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

    #[test]
    fn a_series_without_any_sample_is_late_if_it_is_shown_at_the_end() {
        assert_eq!(problem(&[0, 5], &[]), None, "it was forgotten, or ended, before the end");
        let late = problem(&[105, 110], &[]).unwrap();
        assert!(late.message.starts_with("1 of 1 series") && late.message.contains("1 of them have none"), "{late:?}");
    }

    #[test]
    fn a_longer_look_back_shows_only_what_was_not_seen() {
        let mut lateness = Lateness::default();
        lateness.add_points(&serde_json::from_str(&series(&[105, 110])).unwrap());
        assert!(lateness.has_unsampled());
        let samples = |at: &[i32]| series(at);
        lateness.add_samples(&serde_json::from_str(&samples(&[90, 95, 100])).unwrap(), &window(), false);
        lateness.add_samples(&serde_json::from_str(&samples(&[-30])).unwrap(), &window(), true);
        assert!(!lateness.has_unsampled());
        assert_eq!(lateness.problem(&window()), None);
    }

    #[test]
    fn a_single_sample_does_not_tell_how_often_its_target_is_scraped() {
        let mut lateness = Lateness::default();
        lateness.add_points(&serde_json::from_str(&series(&[105, 110])).unwrap());
        let window = AskedWindow { interval: 5.0, ..window() };
        let samples = |at: &[i32]| series(at);
        lateness.add_samples(&serde_json::from_str(&samples(&[40])).unwrap(), &window, false);
        assert!(lateness.has_unsampled());
        lateness.add_samples(&serde_json::from_str(&samples(&[-80, -20, 40])).unwrap(), &window, true);
        assert_eq!(lateness.problem(&window), None, "the next scrape was due after the window's end");
    }
}
