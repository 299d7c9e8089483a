//! `report.md`: a summary to be pasted to a team, and the evidence below it.
//!
//! The same sections stand in `report.html`. Times are UTC, and no clock is asked, so that the same records always make the same
//! page.

use super::criteria::Limits;
use super::headline_figures::{headline_figures, unsuccessful_jobs};
use super::scene::Scene;
use super::sections;
use crate::figures::outcome::conservation_line;
use crate::markup::{Content, Format, Inline};

/// The page.
pub(super) fn page(scene: &Scene<'_>) -> String {
    let evaluation = scene.evaluation;
    let (figures, captures) = (&evaluation.figures, &evaluation.captures);
    let limits = Limits::new(&evaluation.report.status.criteria);
    let mut page = Content::new(Format::Markdown);
    summary(&mut page, scene);
    sections::criteria(&mut page, &evaluation.report);
    if !captures.alone {
        sections::end_to_end(&mut page, figures, &limits);
        sections::http(&mut page, figures, &limits);
        sections::stages(&mut page, figures, &limits);
    }
    sections::durations(&mut page, &evaluation.observed.stages);
    sections::waits(&mut page, &evaluation.observed.stages);
    sections::gpu(&mut page, &evaluation.observed);
    sections::counting(&mut page, &evaluation.observed);
    sections::queues(&mut page, &evaluation.observed);
    sections::metrics(&mut page, &evaluation.observed.metrics);
    if !captures.alone {
        sections::jobs(&mut page, figures);
    }
    sections::over_time(&mut page, figures);
    sections::shards(&mut page, figures, &evaluation.observed);
    sections::run(&mut page, figures);
    sections::captures(&mut page, &captures.rows);
    sections::files(&mut page, scene.files);
    page.to_markdown()
}

fn summary(page: &mut Content, scene: &Scene<'_>) {
    let evaluation = scene.evaluation;
    let status = &evaluation.report.status;
    page.title(format!("{}: {}", status.verdict, evaluation.title()));
    let cause = format!(": {}.", status.cause.trim_end_matches('.'));
    page.paragraph(Inline::strong(status.verdict.to_string()).then(cause));
    sections::criteria_list(page, &evaluation.report);
    if !evaluation.captures.alone {
        page.paragraph(conservation_line(&status.conservation));
    }
    if let Some(jobs) = unsuccessful_jobs(&evaluation.figures) {
        page.paragraph(format!("Not succeeded: {jobs}."));
    }
    let rows = headline_figures(evaluation).into_iter().map(|(label, text)| vec![label.into(), text.into()]);
    page.table(["Figure", "Value"], rows);
    sections::failures(page, &evaluation.figures);
    if !status.doubts.is_empty() {
        page.heading("Missing or doubtful");
        for doubt in &status.doubts {
            page.item(doubt.as_str());
        }
    }
}
