//! `Comparison`: settings side by side, leg by leg. Made by `compare-runs`, on stdout and as `comparison.json`.
//!
//! It is no record of the stream: it speaks of several runs.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Conservation, Metadata, Timestamp, Verdict};
use crate::statistics::Bounds;

/// The comparison of two or more settings.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Comparison {
    /// Its name: `np-8 and np-4`.
    pub metadata: Metadata,
    /// What was asked.
    pub spec: ComparisonSpec,
    /// What was found.
    pub status: ComparisonStatus,
}

/// What was asked of the comparison.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ComparisonSpec {
    /// The probability, in per cent and in each direction, with which a difference that is not there may be called one.
    pub level_percent: f64,
    /// In what the runs were allowed to differ.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allow_different: Vec<String>,
    /// From how many per cent on a worse headline figure fails the comparison.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fail_if_worse_percent: Option<f64>,
}

/// What the comparison found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ComparisonStatus {
    /// The settings; the first is the reference.
    pub settings: Vec<Setting>,
    /// In what the runs differ that was allowed to, a sentence each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub different: Vec<String>,
    /// The figures.
    pub rows: Vec<Row>,
    /// Each other setting against the reference.
    pub against: Vec<Against>,
    /// What is missing or doubtful, a sentence each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub doubts: Vec<String>,
    /// What came of `failIfWorsePercent`, where that was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gate: Option<Gate>,
}

/// One setting and its legs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Setting {
    /// Its name: `np-8`.
    pub name: String,
    /// Its legs, in the order of time where that is known.
    pub legs: Vec<Leg>,
}

/// One leg: a scenario that was run once under a setting.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Leg {
    /// Its label: `np-8.1`.
    pub label: String,
    /// Its directory, as it was named or found.
    pub directory: String,
    /// When its run started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// The verdict of its report.
    pub verdict: Verdict,
    /// Where its jobs have gone.
    pub conservation: Conservation,
    /// How many doubts its report has.
    pub doubts: u64,
}

/// In what a figure is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Unit {
    /// Seconds.
    #[default]
    Seconds,
    /// Jobs a minute.
    JobsPerMinute,
    /// Events, or messages.
    Count,
}

/// Which direction is the better one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Better {
    /// Less is better.
    #[default]
    Lower,
    /// More is better.
    Higher,
}

/// One figure in all settings.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Row {
    /// What it is called.
    pub name: String,
    /// Its name among the figures of a report.
    pub figure: String,
    /// In what it is counted.
    pub unit: Unit,
    /// Which direction is better.
    pub better: Better,
    /// Whether the verdict rests on it.
    pub headline: bool,
    /// What each setting has of it, in the order of the settings.
    pub cells: Vec<Cell>,
    /// How each other setting differs from the reference, in their order; fewer where a figure is missing.
    pub differences: Vec<Difference>,
    /// Why a setting has no figure, a sentence each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
}

/// One figure of one setting.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Cell {
    /// The mean over the setting's legs; absent where a leg has no such figure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean: Option<f64>,
    /// The mean of the legs' lower bounds; absent where they are not known of every leg.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub low: Option<f64>,
    /// The mean of their upper bounds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub high: Option<f64>,
    /// The figure of each leg that has it, by label.
    pub legs: BTreeMap<String, f64>,
    /// Between which bounds the truth lies, for each leg of which that is known.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub bounds: BTreeMap<String, Bounds>,
}

/// How one setting differs from the reference in one figure.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Difference {
    /// The setting.
    pub setting: String,
    /// Its mean less the reference's.
    pub difference: f64,
    /// Its mean over the reference's; absent where that is 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ratio: Option<f64>,
    /// What of this difference of means polling or scraping may have made, either way; absent where it is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<f64>,
    /// What was tested, where the legs allow a test.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test: Option<Test>,
    /// How many legs of each setting would show a difference of 10 % of the reference.
    pub ten_percent: TenPercent,
    /// What the legs show; absent where no claim can be made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub word: Option<Word>,
}

/// An exact permutation test over legs. It holds whatever the legs' figures are within their bounds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Test {
    /// The share of all splits of the legs whose difference is as large as the one seen, or larger: the largest that the
    /// bounds of the legs allow.
    pub p_higher: f64,
    /// The share whose difference is as small, or smaller; likewise.
    pub p_lower: f64,
    /// The lower end of the interval for the difference: the lowest that the bounds of the legs allow.
    pub low: f64,
    /// The upper end: the highest.
    pub high: f64,
}

/// How many legs of each setting would show a difference of 10 %.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct TenPercent {
    /// So many; absent where that cannot be said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub legs: Option<u64>,
    /// In words.
    pub message: String,
}

/// What legs show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Word {
    /// The setting is better than the reference.
    Better,
    /// It is worse.
    Worse,
    /// There is no difference that these legs can show.
    NoDifference,
}

/// One setting against the reference, as a whole.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Against {
    /// The setting.
    pub setting: String,
    /// What its headline figures show together; absent where no claim can be made, or where they contradict each other.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub word: Option<Word>,
    /// The same in a sentence.
    pub sentence: String,
    /// Why no claim can be made, a sentence each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub no_claim: Vec<String>,
    /// How sure the intervals are, in per cent; absent where there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confidence_percent: Option<f64>,
    /// How many rows were tested.
    pub tested: u64,
    /// How many of those would be called better or worse by chance alone, at most and on average.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by_chance: Option<f64>,
}

/// Whether a setting is worse by as much as must not be.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Gate {
    /// Failed where the legs show that a headline figure is worse by so much, Passed where they show that none is,
    /// Incomplete where they cannot tell.
    pub verdict: Verdict,
    /// Why, a sentence for each setting.
    pub causes: Vec<String>,
}

impl Comparison {
    /// The JSON document, with its version and kind, on one line.
    pub fn text(&self) -> serde_json::Result<String> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Document<'a> {
            api_version: &'static str,
            kind: &'static str,
            metadata: &'a Metadata,
            spec: &'a ComparisonSpec,
            status: &'a ComparisonStatus,
        }
        let Self { metadata, spec, status } = self;
        serde_json::to_string(&Document { api_version: super::API_VERSION, kind: "Comparison", metadata, spec, status })
    }
}
