//! The values that criteria compare figures with.
//!
//! Wherever a page prints such a figure, it prints as many digits as it takes to see on which side of the value it lies.

use super::threshold::{Figure, Threshold, Times};
use crate::figures::distribution::{Measured, Statistic};
use crate::record::Criterion;
use crate::units;

/// The comparisons of a report.
#[derive(Clone, Debug, Default)]
pub(in crate::tools::render_report) struct Limits(Vec<Threshold>);

impl Limits {
    /// The comparisons among `criteria`.
    pub(in crate::tools::render_report) fn new(criteria: &[Criterion]) -> Self {
        Self(criteria.iter().filter_map(|criterion| Threshold::parse(&criterion.name).ok()).collect())
    }

    /// A statistic of the times from end to end.
    pub(in crate::tools::render_report) fn end_to_end(&self, statistic: Statistic, measured: Measured) -> String {
        measured.text_against(self.nearest(&Figure::Time(Times::EndToEnd, statistic), measured.seconds, 1.0))
    }

    /// A statistic of these times without its error.
    pub(in crate::tools::render_report) fn seconds(&self, times: Times, statistic: Statistic, seconds: f64) -> String {
        units::seconds_against(seconds, self.nearest(&Figure::Time(times, statistic), seconds, 1.0))
    }

    /// The throughput in jobs a minute.
    pub(in crate::tools::render_report) fn jobs_per_minute(&self, rate: f64) -> String {
        units::decimal_against(rate, self.nearest(&Figure::Throughput, rate, 60.0))
    }

    /// The shares that the success rate is compared with.
    pub(in crate::tools::render_report) fn success(&self) -> Vec<f64> {
        self.values(&Figure::Success).map(|percent| percent / 100.0).collect()
    }

    fn values(&self, figure: &Figure) -> impl Iterator<Item = f64> {
        self.0.iter().filter(move |threshold| threshold.figure == *figure).map(|threshold| threshold.value)
    }

    /// The value nearest to `shown`, `scale` times what was typed: it takes the most digits. Infinite where there is none.
    fn nearest(&self, figure: &Figure, shown: f64, scale: f64) -> f64 {
        let values = self.values(figure).map(|value| value * scale);
        values.min_by(|one, other| (one - shown).abs().total_cmp(&(other - shown).abs())).unwrap_or(f64::INFINITY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_show_on_which_side_of_their_limits_they_lie() {
        let criterion = |name: &str| Criterion {
            name: name.to_owned(),
            verdict: crate::record::Verdict::Failed,
            expected: String::new(),
            actual: String::new(),
            jobs: Vec::new(),
        };
        let names =
            ["e2e.p50<=20s", "e2e.p50<1h", "stage.a.b.max<3s", "wait.l1.mean>1m", "throughput>=10/min", "all-done"];
        let limits = Limits::new(&names.map(criterion));
        assert_eq!(limits.seconds(Times::EndToEnd, Statistic::P50, 20.0004), "20.0004 s");
        assert_eq!(limits.seconds(Times::EndToEnd, Statistic::Max, 20.0004), "20.0 s");
        assert_eq!(limits.seconds(Times::Work("a.b".to_owned()), Statistic::Max, 2.9996), "2.9996 s");
        assert_eq!(limits.seconds(Times::Wait("a.b".to_owned()), Statistic::Max, 2.9996), "3.00 s");
        assert_eq!(limits.seconds(Times::Wait("l1".to_owned()), Statistic::Mean, 60.0004), "1 m 00.0004 s");
        assert_eq!((limits.jobs_per_minute(9.9996), limits.jobs_per_minute(10.4)), ("9.9996".into(), "10.4".into()));
        assert_eq!(limits.success(), Vec::<f64>::new());
    }
}
