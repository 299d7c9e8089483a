//! Criteria on a ramp as a whole: `ramp.highest>=16` asks for a load that passed.

use super::ramp::Ramp;
use crate::cli::Failure;
use crate::record::{Criterion, Verdict};
use crate::statistics::Bounds;
use crate::tools::render_report::criteria::Operator;

/// The first part of the names of figures of a ramp.
const RAMP: &str = "ramp.";
/// The figure that criteria compare: the most jobs in flight at a level that passed.
const HIGHEST: &str = "ramp.highest";

/// A criterion on a ramp.
#[derive(Clone, Debug)]
pub(super) struct RampCriterion {
    /// The criterion as it was typed.
    typed: String,
    operator: Operator,
    value: u64,
}

/// Returns true for a criterion on a ramp, which no scenario can be judged by.
pub(in crate::tools::render_report) fn is_about_ramps(criterion: &str) -> bool {
    criterion.trim_start().starts_with(RAMP)
}

impl RampCriterion {
    /// Reads the criteria of an index.
    pub(super) fn parse_all(criteria: &[String]) -> Result<Vec<Self>, Failure> {
        let given = criteria.iter().map(|text| text.trim()).filter(|text| !text.is_empty());
        given.map(|text| Self::parse(text).map_err(|why| Failure::usage(format!("--expect {text}: {why}")))).collect()
    }

    fn parse(text: &str) -> Result<Self, String> {
        let Some((name, operator, value)) = Operator::split(text) else {
            return Err(format!("with --index only a comparison such as {HIGHEST}>=16 can be judged"));
        };
        if name != HIGHEST {
            return Err(format!("no such figure of a ramp; there is {HIGHEST}, the most jobs in flight that passed"));
        }
        let value = value.parse().map_err(|_| format!("\"{value}\" is not a number of jobs, such as 16"))?;
        Ok(Self { typed: text.to_owned(), operator, value })
    }

    /// Judges the ramps of an index; the worst of them decides.
    pub(super) fn judge(&self, ramps: &[Ramp<'_>]) -> Criterion {
        let judged = ramps.iter().map(|ramp| (self.verdict(ramp), ramp.load_sentence()));
        let (verdict, actual) = judged
            .max_by_key(|(verdict, _)| *verdict)
            .unwrap_or_else(|| (Verdict::Incomplete, "there is no ramp".to_owned()));
        let expected = format!("the most jobs in flight that passed: {} {}", self.operator.words(), self.value);
        Criterion { name: self.typed.clone(), verdict, expected, actual, jobs: Vec::new() }
    }

    fn verdict(&self, ramp: &Ramp<'_>) -> Verdict {
        let load = ramp.highest_load().unwrap_or_default();
        // A ramp that did not find its breaking point may pass at a higher load.
        let high = if ramp.breaking_point().is_some() { load.high } else { f64::INFINITY };
        match self.operator.holds(Bounds { high, ..load }, self.value as f64) {
            Some(true) => Verdict::Passed,
            Some(false) => Verdict::Failed,
            None => Verdict::Incomplete,
        }
    }
}
