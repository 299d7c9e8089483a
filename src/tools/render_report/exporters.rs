//! The files of a run directory, each made by one exporter.

use std::io::{self, Write};

use super::evaluation::Evaluation;
use super::redact::RedactedJobs;
use super::run_dir::{HTML, JOBS_CSV, JOBS_JSON, JUNIT, MANIFEST, PAGE, RECORDS, REDACTED, REPORT, RunDir, STAGES_CSV};
use super::scene::Scene;
use super::{html, junit, markdown, redact, tables};
use crate::record::{API_VERSION, Kind, Record};

/// A file of a run directory.
struct Exporter {
    name: &'static str,
    /// The runs that have this file.
    applies: fn(&Scene<'_>) -> bool,
    write: fn(&Scene<'_>, &mut dyn Write) -> io::Result<()>,
}

/// In the order in which the files are written: pages list the files before them, and the Report record lists all.
const EXPORTERS: [Exporter; 9] = [
    Exporter { name: JOBS_JSON, applies: has_jobs, write: jobs_list },
    Exporter { name: MANIFEST, applies: has_jobs, write: manifest },
    Exporter { name: JOBS_CSV, applies: has_jobs, write: tables::jobs },
    Exporter { name: STAGES_CSV, applies: has_jobs, write: tables::stages },
    Exporter { name: JUNIT, applies: always, write: |scene, out| out.write_all(&junit::junit(scene.evaluation)?) },
    Exporter { name: PAGE, applies: always, write: |scene, out| out.write_all(markdown::page(scene).as_bytes()) },
    Exporter { name: HTML, applies: always, write: |scene, out| out.write_all(html::page(scene)?.as_bytes()) },
    Exporter { name: REDACTED, applies: |scene| scene.redact, write: redacted_page },
    Exporter { name: REPORT, applies: always, write: |scene, out| writeln!(out, "{}", report(scene)?.text()) },
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
        run_dir.write(exporter.name, &mut |out| (exporter.write)(&Scene { files: &files, ..*scene }, out));
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

/// The page without the words of the target. It is made from records without them, so that none can come back in a sentence that
/// quotes it.
fn redacted_page(scene: &Scene<'_>, out: &mut dyn Write) -> io::Result<()> {
    let fold = redact::redacted(&scene.input.fold).map_err(io::Error::other)?;
    let jobs = RedactedJobs::new(scene.jobs);
    let evaluation = Evaluation::new(&fold, &jobs, scene.input, scene.asked, scene.out)?;
    let scene = Scene { evaluation: &evaluation, jobs: &jobs, linked: None, redacted: true, ..*scene };
    out.write_all(html::page(&scene)?.as_bytes())
}

/// The last record of every job, as it came.
fn jobs_list(scene: &Scene<'_>, out: &mut dyn Write) -> io::Result<()> {
    let mut list = List::begin(out)?;
    scene.input.jobs.for_each_text(&mut |text| list.item(text))?;
    list.end()
}

/// The Run record as it is where there is one, a list where there are several or none.
fn manifest(scene: &Scene<'_>, out: &mut dyn Write) -> io::Result<()> {
    let runs = || scene.input.fold.records().filter(|record| record.kind() == Kind::Run).map(Record::text);
    if let (Some(only), None) = (runs().next(), runs().nth(1)) {
        return writeln!(out, "{only}");
    }
    let mut list = List::begin(out)?;
    runs().try_for_each(|text| list.item(text))?;
    list.end()
}

/// A Kubernetes list of records, written an item a line.
struct List<'a> {
    out: &'a mut dyn Write,
    is_empty: bool,
}

impl<'a> List<'a> {
    fn begin(out: &'a mut dyn Write) -> io::Result<Self> {
        write!(out, "{{\"apiVersion\":\"{API_VERSION}\",\"kind\":\"List\",\"items\":[")?;
        Ok(Self { out, is_empty: true })
    }

    fn item(&mut self, text: &str) -> io::Result<()> {
        let before = if std::mem::take(&mut self.is_empty) { "\n" } else { ",\n" };
        write!(self.out, "{before}{text}")
    }

    fn end(self) -> io::Result<()> {
        writeln!(self.out, "{}]}}", if self.is_empty { "" } else { "\n" })
    }
}
