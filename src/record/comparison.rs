//! `Comparison`: settings side by side, leg by leg. Made by `compare-runs`, on stdout and as `comparison.json`.
//!
//! It is no record of the stream: it speaks of several runs.

use std::collections::BTreeMap;

use macro_rules_attribute::apply;
use serde::{Deserialize, Serialize};

use super::{Conservation, Resource, Timestamp, Verdict};
use crate::statistics::Bounds;

/// The comparison of two or more settings.
pub type Comparison = Resource<ComparisonSpec, ComparisonStatus>;

/// The question of a comparison.
#[apply(part!)]
pub struct ComparisonSpec {
    /// The level of the test, in per cent and in each direction: the probability of claiming a difference that is not there.
    pub level_percent: f64,
    /// The respects in which the runs were allowed to differ.
    pub allow_different: Vec<String>,
    /// A headline figure that is worse by more than this many per cent fails the comparison.
    pub fail_if_worse_percent: Option<f64>,
}

/// The answer of a comparison.
#[apply(part!)]
pub struct ComparisonStatus {
    /// The settings; the first is the reference.
    #[serde_with(skip_apply)]
    pub settings: Vec<Setting>,
    /// The allowed differences between the runs, a sentence each.
    pub different: Vec<String>,
    /// The figures.
    #[serde_with(skip_apply)]
    pub rows: Vec<Row>,
    /// Each other setting against the reference.
    #[serde_with(skip_apply)]
    pub against: Vec<Against>,
    /// Everything that is missing or doubtful, a sentence each.
    pub doubts: Vec<String>,
    /// The verdict on `failIfWorsePercent`, if that was asked.
    pub gate: Option<Gate>,
}

/// One setting and its legs.
#[apply(part!)]
pub struct Setting {
    /// Its name: `np-8`.
    pub name: String,
    /// Its legs, in the order of time where that is known.
    #[serde_with(skip_apply)]
    pub legs: Vec<Leg>,
}

/// One leg: a scenario that was run once under a setting.
#[apply(part!)]
pub struct Leg {
    /// Its label: `np-8.1`.
    pub label: String,
    /// Its directory, as it was named or found.
    pub directory: String,
    /// The start of its run.
    pub started_at: Option<Timestamp>,
    /// The verdict of its report.
    pub verdict: Verdict,
    /// The numbers of its jobs by outcome.
    pub conservation: Conservation,
    /// The number of doubts in its report.
    pub doubts: u64,
}

/// The unit of a figure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Unit {
    /// Seconds.
    #[default]
    Seconds,
    /// Jobs a minute.
    JobsPerMinute,
    /// Events, or messages.
    Count,
}

/// The direction that is better.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Better {
    /// Less is better.
    #[default]
    Lower,
    /// More is better.
    Higher,
}

/// One figure in all settings.
#[apply(part!)]
pub struct Row {
    /// Its name for people.
    pub name: String,
    /// Its name among the figures of a report.
    pub figure: String,
    /// Its unit.
    pub unit: Unit,
    /// The direction that is better.
    pub better: Better,
    /// True if the conclusion rests on it.
    #[serde_with(skip_apply)]
    pub headline: bool,
    /// The figure of each setting, in the order of the settings.
    #[serde_with(skip_apply)]
    pub cells: Vec<Cell>,
    /// The difference of each other setting from the reference, in their order; fewer if a figure is missing.
    #[serde_with(skip_apply)]
    pub differences: Vec<Difference>,
    /// The reasons why a setting has no figure, a sentence each.
    pub missing: Vec<String>,
}

/// One figure of one setting.
#[apply(part!)]
pub struct Cell {
    /// The mean over the setting's legs; absent if a leg has no such figure.
    pub mean: Option<f64>,
    /// The mean of the legs' lower bounds; absent if they are not known of every leg.
    pub low: Option<f64>,
    /// The mean of their upper bounds.
    pub high: Option<f64>,
    /// The figure of each leg that has it, by label.
    #[serde_with(skip_apply)]
    pub legs: BTreeMap<String, f64>,
    /// The bounds of each leg's true figure, by label, as far as they are known.
    pub bounds: BTreeMap<String, Bounds>,
}

/// The difference of one setting from the reference in one figure.
#[apply(part!)]
pub struct Difference {
    /// The setting.
    pub setting: String,
    /// Its mean less the reference's.
    pub difference: f64,
    /// Its mean over the reference's; absent if that is 0.
    pub ratio: Option<f64>,
    /// The part of this difference of means that polling or scraping may have caused, either way; absent if it is not known.
    pub error: Option<f64>,
    /// The test, if the legs allow one.
    pub test: Option<Test>,
    /// The number of legs of each setting that would show a difference of 10 % of the reference.
    pub ten_percent: TenPercent,
    /// The claim that the legs allow; absent if they allow none.
    #[serde(rename = "word")]
    pub claim: Option<Claim>,
}

/// An exact permutation test over legs. It holds whatever the legs' figures are within their bounds.
#[apply(part!)]
#[derive(Copy)]
pub struct Test {
    /// The share of all splits of the legs whose difference is as large as the one seen, or larger: the largest that the
    /// bounds of the legs allow.
    pub p_higher: f64,
    /// The share whose difference is as small, or smaller: again the largest that the bounds allow.
    pub p_lower: f64,
    /// The lower end of the interval for the difference: the lowest that the bounds of the legs allow.
    pub low: f64,
    /// The upper end: the highest.
    pub high: f64,
}

/// The number of legs of each setting that would show a difference of 10 %.
#[apply(part!)]
pub struct TenPercent {
    /// The number; absent if it cannot be computed.
    pub legs: Option<u64>,
    /// The same in words.
    pub message: String,
}

/// A claim about a setting against the reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Hash)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Claim {
    /// The setting is better than the reference.
    Better,
    /// It is worse.
    Worse,
    /// There is no difference that these legs can show.
    NoDifference,
}

/// One setting against the reference, as a whole.
#[apply(part!)]
pub struct Against {
    /// The setting.
    pub setting: String,
    /// The claim that its headline figures allow together; absent if they allow none or contradict each other.
    #[serde(rename = "word")]
    pub claim: Option<Claim>,
    /// The same in a sentence.
    pub sentence: String,
    /// The reasons why no claim can be made, a sentence each.
    pub no_claim: Vec<String>,
    /// The confidence of the intervals in per cent; absent if there are none.
    pub confidence_percent: Option<f64>,
    /// The number of rows that were tested.
    pub tested: u64,
    /// The number of those that chance alone would call better or worse, at most and on average.
    pub by_chance: Option<f64>,
}

/// The verdict of `--fail-if-worse`.
#[apply(part!)]
pub struct Gate {
    /// Failed if the legs show that a headline figure is worse by that much, Passed if they show that none is,
    /// Incomplete if they cannot tell.
    pub verdict: Verdict,
    /// The cause, a sentence for each setting.
    #[serde_with(skip_apply)]
    pub causes: Vec<String>,
}

impl Row {
    /// The difference of the setting of this name.
    pub fn difference(&self, setting: &str) -> Option<&Difference> {
        self.differences.iter().find(|difference| difference.setting == setting)
    }
}

impl ComparisonStatus {
    /// The rows on which the conclusion rests.
    pub fn headline(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(|row| row.headline)
    }
}

impl Comparison {
    /// The JSON document, with its version and kind, on one line.
    pub fn text(&self) -> serde_json::Result<String> {
        super::document("Comparison", &self.metadata, &self.spec, &self.status)
    }
}
