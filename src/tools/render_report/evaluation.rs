//! The evaluation of a run: its figures, its captures, its criteria, and the Report record that they make.

use std::io;
use std::path::Path;

use itertools::Itertools;

use super::captures::{self, Captures};
use super::criteria::{self, Evidence};
use super::input::Input;
use super::observed::Observed;
use crate::figures::Figures;
use crate::figures::shards::ShardFigures;
use crate::record::{Fold, Jobs, Kind, Metadata, Report, ReportSpec, ReportStatus, Run, RunSpec};

/// Everything that follows from the records, and from the files in the directory that they name.
pub(super) struct Evaluation {
    /// The Report record, without its list of files.
    pub(super) report: Report,
    pub(super) figures: Figures,
    pub(super) captures: Captures,
    pub(super) observed: Observed,
}

impl Evaluation {
    /// Evaluates the records of `fold` and `jobs`, which are those of `input` or made from them; `asked` overrides the criteria
    /// that the Runs name.
    pub(super) fn new(fold: &Fold, jobs: &dyn Jobs, input: &Input, asked: &RunSpec, out: &Path) -> io::Result<Self> {
        let subset = asked.subset || fold.runs().any(|run| run.spec.subset);
        let mut figures = Figures::compute(fold, jobs, subset, &input.given_up)?;
        let captures = captures::captures(fold, &figures.tally, !input.jobs.is_empty());
        let spec = ReportSpec { expect: criteria_of(asked, fold, captures.alone, subset), subset };
        if captures.alone {
            // Without jobs there is nothing to doubt about them.
            figures.doubts.clear();
        }
        let observed = Observed::read(fold, &figures, &captures, out);
        let judgement = criteria::judge(&spec.expect, &Evidence::new(fold, &figures, &observed, &captures));
        let report = Report {
            metadata: metadata(&figures, captures.alone),
            spec,
            status: ReportStatus {
                verdict: judgement.verdict,
                cause: judgement.cause,
                criteria: judgement.criteria,
                conservation: figures.tally.conservation,
                shards: figures.shards.iter().map(ShardFigures::summary).collect(),
                figures: figures.by_name().into_iter().chain(observed.by_name(&captures)).collect(),
                queries: observed.queries.clone(),
                limiting_stage: figures.limiting.as_ref().map(|limiting| limiting.stage.clone()),
                doubts: [figures.doubts.clone(), captures.doubts.clone(), observed.doubts.clone()].concat(),
                files: Vec::new(),
            },
        };
        Ok(Self { report, figures, captures, observed })
    }

    /// The name of the run, for headings.
    pub(super) fn title(&self) -> String {
        let run = self.figures.tally.runs().next();
        let scenario =
            run.and_then(|run| run.spec.scenario.clone().or_else(|| run.metadata.labels.get("scenario").cloned()));
        let name = scenario.unwrap_or_else(|| self.report.metadata.name.clone());
        let labels = &self.report.metadata.labels;
        match (labels.get("level"), labels.get("leg")) {
            (Some(level), _) => format!("{name}, level {level}"),
            (None, Some(leg)) => format!("{name}, leg {leg}"),
            (None, None) => name,
        }
    }
}

/// The criteria to judge by: those of the command line, or else those that the Runs name.
fn criteria_of(asked: &RunSpec, fold: &Fold, captures_alone: bool, subset: bool) -> Vec<String> {
    let mut expect = asked.expect.clone().unwrap_or_default();
    if expect.is_empty() {
        expect.extend(fold.runs().filter_map(|run| run.spec.expect).flatten().unique());
    }
    if expect.is_empty() {
        expect.push(if captures_alone { criteria::CAPTURED } else { criteria::DEFAULT }.to_owned());
    }
    // Nobody needs to ask for it: figures of a part that look like those of the whole would be false.
    let has_proof = fold.records().any(|record| matches!(record.kind(), Kind::Shard | Kind::End));
    if has_proof && !subset && !expect.iter().any(|name| name == criteria::WHOLE_SHARDS) {
        expect.push(criteria::WHOLE_SHARDS.to_owned());
    }
    expect
}

/// The Run's own name and labels; of several shards, those that they have in common.
fn metadata(figures: &Figures, captures_alone: bool) -> Metadata {
    let runs: Vec<&Run> = figures.tally.runs().collect();
    let Some((first, others)) = runs.split_first() else {
        let run = figures.tally.entries.first().map(|entry| entry.run.to_string()).unwrap_or_default();
        let name = if captures_alone { "capture" } else { "report" };
        return Metadata { name: name.to_owned(), run, ..Metadata::default() };
    };
    let mut metadata = first.metadata.clone();
    if !others.is_empty() {
        let names = [&first.spec.prefix, &first.spec.scenario, &Some(first.metadata.run.clone())];
        let name = names.into_iter().flatten().find(|name| !name.is_empty());
        metadata.name = name.cloned().unwrap_or_else(|| "report".to_owned());
        metadata.labels.retain(|label, value| others.iter().all(|run| run.metadata.labels.get(label) == Some(value)));
    }
    metadata
}
