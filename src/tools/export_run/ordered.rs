//! The samples of a series that can be exported: in the order of time, and inside of what the capture asked for.
//!
//! A server may hold two samples of one time, as `VictoriaMetrics` does after two servers scraped one target. The text format has
//! room for one, and importers keep the first. A time far outside of the window would make an importer build blocks for all the
//! time between.

use std::borrow::Cow;

use crate::prometheus::envelope::SampleText;
use crate::record::{SeriesSpec, Window};

/// The time, in seconds, by which a sample may lie outside of what was asked for.
const MARGIN: f64 = 3600.0;

/// The samples of one series.
pub(super) struct Ordered<'a> {
    pub(super) samples: Vec<(f64, SampleText<'a>)>,
    /// Numbers of samples that were left out: at a time that another one has or that lies before it, and outside of the window.
    pub(super) disordered: u64,
    pub(super) outside: u64,
}

/// The times that a query asked for, or else those of the run.
pub(super) fn asked(spec: &SeriesSpec, run: Option<Window>) -> Option<Window> {
    let stated = spec.start.zip(spec.end).map(|(start, end)| Window { start, end });
    stated.or(run).map(|window| Window { start: window.start.shifted(-MARGIN), end: window.end.shifted(MARGIN) })
}

impl<'a> Ordered<'a> {
    /// Those of `samples` that lie later than `after`.
    pub(super) fn new(samples: &'a [(f64, SampleText<'a>)], after: f64, asked: Option<Window>) -> Self {
        let is_inside = |at: f64| asked.is_none_or(|asked| (asked.start.seconds()..=asked.end.seconds()).contains(&at));
        let mut ordered = Self { samples: Vec::new(), disordered: 0, outside: 0 };
        for (at, value) in samples {
            if !is_inside(*at) {
                ordered.outside += 1;
            } else if ordered.samples.last().is_some_and(|(last, _)| milliseconds(*at) <= milliseconds(*last)) {
                ordered.disordered += 1;
            } else if *at > after {
                ordered.samples.push((*at, SampleText(Cow::Borrowed(&value.0))));
            }
        }
        ordered
    }
}

/// The resolution of what is exported.
#[expect(clippy::cast_possible_truncation, reason = "a float cast saturates")]
fn milliseconds(seconds: f64) -> i64 {
    (seconds * 1e3).round() as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(ordered: &Ordered<'_>) -> Vec<f64> {
        ordered.samples.iter().map(|(at, _)| *at).collect()
    }

    #[test]
    fn each_time_is_kept_once_and_in_order() {
        let samples = [5.0, 5.0001, 7.0, 6.0, 8.0, 9e12].map(|at| (at, SampleText("1".into())));
        let second = |second: i64| crate::record::Timestamp::from_micros(second * 1_000_000);
        let asked = Some(Window { start: second(0), end: second(10) });
        let ordered = Ordered::new(&samples, f64::NEG_INFINITY, asked);
        assert_eq!((times(&ordered), ordered.disordered, ordered.outside), (vec![5.0, 7.0, 8.0], 2, 1));
        assert_eq!(times(&Ordered::new(&samples[2..3], 6.0, asked)), [7.0]);
        assert_eq!(times(&Ordered::new(&samples[2..3], 7.0, asked)), Vec::<f64>::new());
    }
}
