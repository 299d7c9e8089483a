//! `report.html`: the same report as `report.md`, from the same figures and in the same words, with drawings.
//!
//! One file that needs nothing beside it and runs nothing. Sentences and tables are those of [`sections`].

mod distributions;
mod jobs;
mod linked;
mod looks;
mod over_time;
mod row_chart;
mod stage_sources;
mod summary;
mod time_breakdown;
mod timeline;

use std::io;

use maud::{Markup, PreEscaped, html};

pub(super) use summary::verdict_look;

use super::criteria::Limits;
use super::scene::Scene;
use super::{headline_figures, sections};
use crate::html::shell::{Document, Section};
use crate::markup::Content;

/// The file.
pub(super) fn page(scene: &Scene<'_>) -> io::Result<String> {
    let evaluation = scene.evaluation;
    let section = |id, title, body| Section { id, title, body };
    // A window without jobs has no sections about them.
    let with_jobs = |body: fn(&Scene<'_>) -> io::Result<Markup>| {
        if evaluation.captures.alone { Ok(PreEscaped(String::new())) } else { body(scene) }
    };
    let limits = Limits::new(&evaluation.report.status.criteria);
    let written = |id, title, write: &dyn Fn(&mut Content)| section(id, title, scene.content(write).to_section());
    let evidence = scene.content(|content| {
        sections::criteria(content, &evaluation.report);
        sections::run(content, &evaluation.figures);
    });
    let files = scene.content(|content| sections::files(content, scene.files));
    let evidence = html! {
        (evidence.to_html(3))
        @if !scene.redacted { div class="screen-only" { (files.to_html(3)) } "\n" }
    };
    let page = Document {
        title: format!("{}: {}", evaluation.report.status.verdict, evaluation.title()),
        banner: banner(scene),
        summary: summary::summary(scene),
        sections: vec![
            section("timeline", "Timeline", timeline::section(scene)),
            section("over-time", "Over time", with_jobs(|scene| Ok(over_time::section(scene)))?),
            section("time-breakdown", "Where the time went", with_jobs(time_breakdown::section)?),
            section("distributions", "Distributions", with_jobs(|scene| Ok(distributions::section(scene)))?),
            written("http", "HTTP", &|content| sections::http(content, &evaluation.figures, &limits)),
            section("stage-sources", "Stage durations by source, GPU and queues", stage_sources::section(scene)),
            written("captures", "Captures", &|content| sections::captures(content, &evaluation.captures.rows)),
            written("shards", "Shards", &|content| {
                sections::shards(content, &evaluation.figures, &evaluation.observed);
            }),
            section("jobs", "Jobs", with_jobs(jobs::section)?),
            section("evidence", "Criteria, run and files", evidence),
        ],
        footer: footer(scene),
    };
    Ok(page.render())
}

fn banner(scene: &Scene<'_>) -> Markup {
    let evaluation = scene.evaluation;
    let run = evaluation.figures.tally.runs().next();
    let mut parts = match evaluation.report.metadata.run.as_str() {
        "" => headline_figures::origin(&evaluation.captures).iter().map(|part| html! { (part) }).collect(),
        id => vec![html! { "run " b { (id) } }],
    };
    if let Some(run) = run {
        parts.extend(run.status.started_at.map(|at| html! { "started " (at.minute()) " UTC" }));
        parts.extend(run.spec.profile.as_ref().map(|name| html! { "profile " (name) }));
        parts.extend(run.spec.target.as_ref().map(|target| html! { "target " (target) }));
    }
    parts.extend(linked::pages(scene));
    if scene.redacted {
        parts.push(html! { "redacted: see the last line" });
    }
    banner_line(&parts)
}

/// The parts of a banner with dots between them.
pub(super) fn banner_line(parts: &[Markup]) -> Markup {
    html! { @for (index, part) in parts.iter().enumerate() { @if index > 0 { " · " } (part) } }
}

fn footer(scene: &Scene<'_>) -> Markup {
    html! {
        "Made by render-report " (env!("CARGO_PKG_VERSION"))
        " of stress-suite from the records of the run; times are UTC."
        @if scene.redacted {
            " Redacted: bodies, messages, log lines, sources and addresses are removed."
        }
    }
}
