//! `report.html`: the same report as `report.md`, from the same figures and in the same words, with drawings.
//!
//! One file that needs nothing beside it and runs nothing. Whatever a record said is escaped where it is put in; sentences and
//! tables are those of [`page`](super::page), written in HTML.

mod first;
mod jobs;
mod marks;
mod spread;
mod timeline;
mod went;
mod witnesses;

use std::path::Path;

pub(super) use first::looks;

use super::captures::Captures;
use super::observed::Observed;
use super::page::{self, Page, Pen};
use super::{facts, files};
use crate::escape;
use crate::figures::Figures;
use crate::html::document::{Document, Section};
use crate::http::BaseUrl;
use crate::record::Report;

/// All that a page is made of.
#[derive(Clone, Copy)]
pub(super) struct Scene<'a> {
    pub(super) report: &'a Report,
    pub(super) figures: &'a Figures,
    pub(super) observed: &'a Observed,
    pub(super) captures: &'a Captures,
    /// The files beside it.
    pub(super) written: &'a [String],
    /// Where the Jaeger UI is, if traces shall be linked.
    pub(super) jaeger_ui: Option<&'a BaseUrl>,
    /// It is to be sent: what the target said is left out of the records that it is made of, and nothing lies beside it.
    pub(super) redacted: bool,
}

impl Scene<'_> {
    fn pen(&self) -> Pen {
        if self.redacted { Pen::Sent } else { Pen::Html }
    }
}

/// Whether a page to be sent shall be made in `directory`: it was asked for, or one is there that would come to contradict the
/// others.
pub(super) fn to_be_sent(directory: &Path, asked: bool) -> bool {
    asked || directory.join(files::REDACTED).is_file()
}

/// The file.
pub(super) fn page(scene: &Scene<'_>) -> String {
    let section = |id, title, body| Section { id, title, body };
    let name = page::title(scene.report, scene.figures);
    // A window without jobs has nothing to say of them.
    let of_jobs = |body: fn(&Scene<'_>) -> String| if scene.captures.alone { String::new() } else { body(scene) };
    let sections = vec![
        section("timeline", "Timeline", timeline::section(scene)),
        section("went", "Where the time went", of_jobs(went::section)),
        section("distributions", "Distributions", of_jobs(spread::section)),
        section("witnesses", "Three witnesses, the GPU and the queues", witnesses::section(scene)),
        section("captures", "Captures", captures(scene)),
        section("jobs", "Jobs", of_jobs(jobs::section)),
        section("evidence", "Criteria, run and files", evidence(scene)),
    ];
    Document {
        title: format!("{}: {name}", scene.report.status.verdict),
        banner: banner(scene),
        first: first::screen(scene, &name),
        sections: sections.into_iter().filter(|section| !section.body.is_empty()).collect(),
        footer: footer(scene),
    }
    .text()
}

fn banner(scene: &Scene<'_>) -> String {
    let run = scene.figures.tally.runs().next();
    let mut parts = match scene.report.metadata.run.as_str() {
        "" => facts::origin(scene.captures).iter().map(|part| escape::html(part)).collect(),
        id => vec![format!("run <b>{}</b>", escape::html(id))],
    };
    if let Some(started) = run.and_then(|run| run.status.started_at) {
        parts.push(format!("started {} UTC", started.minute()));
    }
    parts.extend(run.and_then(|run| run.spec.profile.as_deref()).map(|name| format!("profile {}", escape::html(name))));
    parts.extend(
        run.and_then(|run| run.spec.target.as_deref()).map(|target| format!("target {}", escape::html(target))),
    );
    if scene.redacted {
        parts.push("redacted: see the last line".to_owned());
    }
    parts.join(" · ")
}

fn footer(scene: &Scene<'_>) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let made = format!("Made by render-report {version} of stress-suite from the records of the run; times are UTC.");
    if scene.redacted {
        format!(
            "{made} Redacted: what the target said (bodies, messages, log lines), sources and addresses are left out."
        )
    } else {
        made
    }
}

fn captures(scene: &Scene<'_>) -> String {
    let mut sheet = Page::section(scene.pen());
    page::captures(&mut sheet, &scene.captures.rows);
    sheet.into_text()
}

fn evidence(scene: &Scene<'_>) -> String {
    let mut sheet = Page::new(scene.pen());
    page::criteria(&mut sheet, scene.report);
    page::run(&mut sheet, scene.figures);
    if !scene.redacted {
        page::list_files(&mut sheet, scene.written);
    }
    sheet.into_text()
}
