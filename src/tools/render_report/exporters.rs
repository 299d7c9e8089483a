//! The files of a run directory, each made by one exporter.

use std::io;

use super::evaluation::Evaluation;
use super::run_dir::{HTML, JOBS_CSV, JOBS_JSON, JUNIT, MANIFEST, PAGE, RECORDS, REDACTED, REPORT, RunDir, STAGES_CSV};
use super::scene::Scene;
use super::{html, junit, markdown, redact, tables};
use crate::record::{API_VERSION, Fold, Kind, Record};

/// A file of a run directory.
struct Exporter {
    name: &'static str,
    /// The runs that have this file.
    applies: fn(&Scene<'_>) -> bool,
    make: fn(&Scene<'_>) -> io::Result<Vec<u8>>,
}

/// In the order in which the files are written: pages list the files before them, and the Report record lists all.
const EXPORTERS: [Exporter; 9] = [
    Exporter { name: JOBS_JSON, applies: has_jobs, make: |scene| Ok(list(&scene.input.fold, Kind::Job)) },
    Exporter { name: MANIFEST, applies: has_jobs, make: |scene| Ok(manifest(&scene.input.fold)) },
    Exporter { name: JOBS_CSV, applies: has_jobs, make: |scene| tables::jobs(&scene.evaluation.figures) },
    Exporter { name: STAGES_CSV, applies: has_jobs, make: |scene| tables::stages(&scene.evaluation.figures) },
    Exporter { name: JUNIT, applies: always, make: |scene| junit::junit(scene.evaluation) },
    Exporter { name: PAGE, applies: always, make: |scene| Ok(markdown::page(scene).into_bytes()) },
    Exporter { name: HTML, applies: always, make: |scene| Ok(html::page(scene).into_bytes()) },
    Exporter { name: REDACTED, applies: |scene| scene.redact, make: redacted_page },
    Exporter { name: REPORT, applies: always, make: report_json },
];

fn always(_: &Scene<'_>) -> bool {
    true
}

fn has_jobs(scene: &Scene<'_>) -> bool {
    !scene.evaluation.captures.alone
}

/// Writes all files. Returns the Report record, which names them.
pub(super) fn write_all(scene: &Scene<'_>, run_dir: &mut RunDir<'_>) -> io::Result<Record> {
    let applicable: Vec<&Exporter> = EXPORTERS.iter().filter(|exporter| (exporter.applies)(scene)).collect();
    for (index, exporter) in applicable.iter().enumerate() {
        let pending = applicable[index..].iter().map(|exporter| exporter.name.to_owned());
        let files: Vec<String> = run_dir.files().iter().cloned().chain(pending).collect();
        run_dir.write(exporter.name, (exporter.make)(&Scene { files: &files, ..*scene }));
    }
    report(&Scene { files: run_dir.files(), ..*scene })
}

/// The files that are there before any is made: the stream, and those that were captured.
pub(super) fn files_before(evaluation: &Evaluation) -> Vec<String> {
    [RECORDS.to_owned()].into_iter().chain(evaluation.captures.files.iter().cloned()).collect()
}

fn report(scene: &Scene<'_>) -> io::Result<Record> {
    let mut report = scene.evaluation.report.clone();
    report.status.files = scene.files.to_vec();
    Record::new(Kind::Report, &report).map_err(io::Error::other)
}

fn report_json(scene: &Scene<'_>) -> io::Result<Vec<u8>> {
    Ok(format!("{}\n", report(scene)?.text()).into_bytes())
}

/// The page without the words of the target. It is made from records without them, so that none can come back in a sentence that
/// quotes it.
fn redacted_page(scene: &Scene<'_>) -> io::Result<Vec<u8>> {
    let fold = redact::redacted(&scene.input.fold).map_err(io::Error::other)?;
    let evaluation = Evaluation::with_fold(&fold, scene.input, scene.asked, scene.out);
    Ok(html::page(&Scene { evaluation: &evaluation, linked: None, redacted: true, ..*scene }).into_bytes())
}

/// The texts of the records of one kind, as they came.
fn texts(fold: &Fold, kind: Kind) -> impl Iterator<Item = &str> {
    fold.records().filter(move |record| record.kind() == kind).map(Record::text)
}

/// The records of `kind` as a Kubernetes list, an item a line.
fn list(fold: &Fold, kind: Kind) -> Vec<u8> {
    let items: Vec<&str> = texts(fold, kind).collect();
    let items = if items.is_empty() { String::new() } else { format!("\n{}\n", items.join(",\n")) };
    format!("{{\"apiVersion\":\"{API_VERSION}\",\"kind\":\"List\",\"items\":[{items}]}}\n").into_bytes()
}

/// The Run record as it is where there is one, a list where there are several or none.
fn manifest(fold: &Fold) -> Vec<u8> {
    let mut runs = texts(fold, Kind::Run);
    match (runs.next(), runs.next()) {
        (Some(only), None) => format!("{only}\n").into_bytes(),
        _ => list(fold, Kind::Run),
    }
}
