//! Every job: the table, and folded below it what there is to know of each.

use std::fmt::Write;

use super::Scene;
use crate::escape;
use crate::figures::tally::JobEntry;
use crate::html::block;
use crate::record::{Flag, JobStatus};
use crate::tools::render_report::page::{self, LISTED_IN_HTML, Page};

/// How many characters of a body, and of any other text of the target, are shown.
const BODY: usize = 4000;
const TEXT: usize = 1000;
/// How many bytes all bodies together may take in the file.
const BODIES: usize = 600_000;

pub(super) fn section(scene: &Scene<'_>) -> String {
    let mut sheet = Page::section(scene.pen());
    page::jobs(&mut sheet, scene.figures);
    let jobs = page::worst_first(scene.figures);
    let mut text = sheet.into_text();
    if jobs.is_empty() {
        return text;
    }
    text.push_str("<h3>Each of them</h3>\n");
    let mut left = BODIES;
    for entry in jobs.iter().take(LISTED_IN_HTML) {
        text += &details(scene, entry, &mut left);
    }
    if jobs.len() > LISTED_IN_HTML {
        let all = scene.pen().link("jobs.json", "jobs.json");
        let _ = writeln!(text, "<p>{} more are in {all}.</p>", jobs.len() - LISTED_IN_HTML);
    }
    text
}

fn details(scene: &Scene<'_>, entry: &JobEntry, left: &mut usize) -> String {
    let class = match entry.outcome {
        crate::figures::outcome::Outcome::Succeeded => "good-ink",
        outcome if outcome.is_bad() => "bad-ink",
        _ => "open-ink",
    };
    let mut summary = format!(
        "<span class=\"key\">{}</span> <span class=\"{class}\">{}</span>",
        escape::html(&entry.name),
        entry.outcome
    );
    if let Some(reason) = &entry.reason {
        let _ = write!(summary, " {}", shown(reason.as_str()));
    }
    let mut list = String::from("<dl>");
    let mut put = |label: &str, markup: Option<String>| {
        if let Some(markup) = markup {
            let _ = write!(list, "<dt>{label}</dt><dd>{markup}</dd>");
        }
    };
    let unheard = JobStatus::default();
    let status = entry.job.as_ref().map_or(&unheard, |job| &job.status);
    put("phase", Some(entry.outcome.column()));
    put("reason", entry.reason.as_ref().map(|reason| shown(reason.as_str())));
    put("message", entry.message.as_deref().map(shown));
    put("job id", status.job_id.as_deref().map(mono));
    put("trace id", status.trace_id.as_deref().map(|id| trace(scene, id)));
    put("HTTP status", status.http_status.map(|code| code.to_string()));
    put("last word", status.target_status.as_deref().map(shown));
    put("stage", entry.failed_stage().map(shown));
    put("source", entry.job.as_ref().map(|job| job.spec.source.as_str()).filter(|source| !source.is_empty()).map(mono));
    put("submitted", status.submitted_at.map(|at| format!("{at}")));
    put("ended", status.ended_at.map(|at| format!("{at}")));
    put(
        "flags",
        (!status.flags.is_empty())
            .then(|| shown(&status.flags.iter().map(Flag::as_str).collect::<Vec<_>>().join(", "))),
    );
    list.push_str("</dl>\n");
    if let Some(body) = &status.body {
        list += &verbatim(scene, body, left);
    }
    block::details(&summary, &list)
}

fn shown(text: &str) -> String {
    escape::html(&escape::start(text, TEXT))
}

fn mono(text: &str) -> String {
    format!("<span class=\"mono\">{}</span>", shown(text))
}

/// The id, linked where the UI's address was given.
fn trace(scene: &Scene<'_>, id: &str) -> String {
    match scene.jaeger_ui {
        Some(base) if id.len() <= TEXT => {
            let address = base.join(&format!("/trace/{}", escape::url_path(id, false)));
            format!("<a class=\"mono\" rel=\"noreferrer\" href=\"{}\">{}</a>", escape::html(&address), escape::html(id))
        }
        _ => mono(id),
    }
}

/// The body as it came, as far as there is room for it.
fn verbatim(scene: &Scene<'_>, body: &str, left: &mut usize) -> String {
    let all = scene.pen().link("jobs.json", "jobs.json");
    let markup = escape::html_lines(&escape::start(body, BODY));
    if markup.len() > *left {
        return format!("<p>The body is in {all}: the bodies above have taken the room that there is.</p>\n");
    }
    *left -= markup.len();
    let cut = if body.chars().nth(BODY).is_some() {
        format!("<p>Cut after {BODY} characters; the whole body is in {all}.</p>\n")
    } else {
        String::new()
    };
    format!("<pre tabindex=\"0\">{markup}</pre>\n{cut}")
}
