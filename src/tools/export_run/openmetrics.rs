//! `OpenMetrics` text, as `promtool tsdb create-blocks-from openmetrics` and `VictoriaMetrics` import it.
//!
//! Times are Unix seconds with milliseconds, a time of Prometheus' resolution. The text ends with `# EOF`; promtool accepts series
//! in any order, if the samples of each are in the order of time.

use super::harness::Harness;
use super::recorded::Recorded;
use super::samples::{self, Remarks};
use super::sink::Out;
use crate::cli::Failure;

/// A writer of samples.
pub(super) struct Exposition<'a> {
    out: Out<'a>,
}

impl<'a> Exposition<'a> {
    /// Returns an exposition that writes to `out`.
    pub(super) fn new(out: Out<'a>) -> Self {
        Self { out }
    }

    /// Writes what was captured of a scenario, and the harness's own series. Returns the remarks on the samples.
    pub(super) fn scenario(&mut self, recorded: &Recorded<'_>) -> Result<Remarks, Failure> {
        let remarks = samples::for_each(recorded, &mut |series| {
            let labels: Vec<_> = series.labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            let head = head(series.name, &labels);
            for (at, value) in series.samples {
                // No other number ends in an n, and importers know no sign of this one.
                let value = if value.0.ends_with(['n', 'N']) { "NaN" } else { &value.0 };
                self.line(&head, recorded.shift.captured(*at), value)?;
            }
            Ok(())
        })?;
        remarks.report(recorded);
        let harness = Harness::read(recorded)?;
        harness.write(recorded.shift, remarks.interval, &mut |name, labels, milliseconds, value| {
            let own = labels.iter().map(|(name, value)| (*name, value.as_str()));
            let labels: Vec<(&str, &str)> = own.chain(recorded.source.labels.pairs()).collect();
            self.line(&head(name, &labels), milliseconds, &value.to_string())
        })?;
        Ok(remarks)
    }

    /// Writes the end, without which nothing is imported.
    pub(super) fn finish(mut self) -> Result<(), Failure> {
        writeln!(self.out, "# EOF")?;
        self.out.finish()
    }

    fn line(&mut self, head: &str, milliseconds: i64, value: &str) -> Result<(), Failure> {
        let (seconds, rest) = (milliseconds.div_euclid(1000), milliseconds.rem_euclid(1000));
        writeln!(self.out, "{head} {value} {seconds}.{rest:03}")
    }
}

/// A metric's name and its labels: `up{job="a"}`.
fn head(name: &str, labels: &[(&str, &str)]) -> String {
    let labels: Vec<String> = labels
        .iter()
        .map(|(name, value)| {
            let value = value.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n");
            format!("{name}=\"{value}\"")
        })
        .collect();
    format!("{name}{{{}}}", labels.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_label_values_are_escaped() {
        let labels = [("a", "x\"} 1 2\n# EOF\n"), ("b", "\\")];
        assert_eq!(head("up", &labels), r#"up{a="x\"} 1 2\n# EOF\n",b="\\"}"#);
    }

    #[test]
    fn times_keep_their_milliseconds() {
        let mut text = Vec::new();
        let mut exposition = Exposition::new(Out::new(None, &mut text).unwrap());
        exposition.line("up{}", 1_796_060_655_024, "1e3").unwrap();
        exposition.line("up{}", -1, "NaN").unwrap();
        exposition.finish().unwrap();
        assert_eq!(String::from_utf8(text).unwrap(), "up{} 1e3 1796060655.024\nup{} NaN -1.999\n# EOF\n");
    }
}
