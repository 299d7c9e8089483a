//! Every job: the table, and folded below it the details of each.

use std::borrow::Cow;
use std::fmt::Display;
use std::io;
use std::sync::LazyLock;

use maud::{Markup, html};
use regex::Regex;

use crate::escape::{start, url_path};
use crate::figures::any_listed;
use crate::figures::outcome::Outcome;
use crate::figures::tally::JobEntry;
use crate::html::components;
use crate::record::{Flag, Job};
use crate::tools::render_report::run_dir::JOBS_JSON;
use crate::tools::render_report::scene::Scene;
use crate::tools::render_report::sections::{self, LISTED_IN_HTML};

/// The longest body, and the longest other text of the target, in characters.
const BODY: usize = 4000;
const TEXT: usize = 1000;
/// The room for all bodies together, in bytes.
const BODIES: usize = 600_000;
/// The replacement of a date that means "not yet".
const NO_TIME: &str = "(no time)";

pub(super) fn section(scene: &Scene<'_>) -> io::Result<Markup> {
    let figures = &scene.evaluation.figures;
    let table = scene.content(|content| sections::jobs(content, figures));
    let jobs = sections::worst_first(figures);
    let mut room = BODIES;
    let listed = jobs.iter().take(LISTED_IN_HTML);
    let listed: Vec<Markup> = listed.map(|entry| details(scene, entry, &mut room)).collect::<io::Result<_>>()?;
    Ok(html! {
        (table.to_section())
        @if !jobs.is_empty() {
            div class="screen-only" {
                h3 { "Details of each job" } "\n"
                @for job in &listed { (job) }
                @if jobs.len() > LISTED_IN_HTML {
                    p { (jobs.len() - LISTED_IN_HTML) " more are in " (jobs_json(scene)) "." } "\n"
                }
            }
            "\n"
        }
    })
}

/// The name of the file with every job, linked where it lies beside the page.
fn jobs_json(scene: &Scene<'_>) -> Markup {
    if scene.redacted {
        html! { (JOBS_JSON) }
    } else {
        components::link(JOBS_JSON, JOBS_JSON)
    }
}

fn details(scene: &Scene<'_>, entry: &JobEntry, room: &mut usize) -> io::Result<Markup> {
    let job = if entry.job.is_some() { scene.jobs.find(&entry.run, &entry.name)? } else { None };
    let Job { spec, status, .. } = job.unwrap_or_default();
    let class = match entry.outcome {
        Outcome::Succeeded => "good-ink",
        outcome if outcome.is_bad() => "bad-ink",
        _ => "open-ink",
    };
    let summary = html! {
        span class="key" { (entry.name) } " " span class=(class) { (entry.outcome) }
        @if let Some(reason) = &entry.reason { " " (start(reason.as_str(), TEXT)) }
    };
    let source = Some(spec.source.as_str()).filter(|source| !source.is_empty());
    let flags = any_listed(status.flags.iter().map(Flag::as_str));
    let rows = [
        ("phase", Some(html! { (entry.outcome.column()) })),
        ("reason", text(entry.reason.as_ref())),
        ("message", text(entry.message.as_ref())),
        ("job id", status.job_id.as_deref().map(mono)),
        ("trace id", status.trace_id.as_deref().map(|id| trace(scene, id))),
        ("HTTP status", text(status.http_status)),
        ("last word", text(status.target_status.as_ref())),
        ("stage", text(entry.failed_stage())),
        ("source", source.map(mono)),
        ("submitted", text(status.submitted_at)),
        ("ended", text(status.ended_at)),
        ("flags", text(flags)),
    ];
    let list = html! {
        dl {
            @for (label, value) in &rows {
                @if let Some(value) = value { dt { (label) } dd { (value) } }
            }
        }
        "\n"
        @if let Some(body) = &status.body { (verbatim(scene, body, room)) }
    };
    Ok(components::details(&summary, &list))
}

fn text(value: Option<impl Display>) -> Option<Markup> {
    value.map(|value| html! { (start(&value.to_string(), TEXT)) })
}

fn mono(text: &str) -> Markup {
    html! { span class="mono" { (start(text, TEXT)) } }
}

/// The id, linked if the UI's address is known.
fn trace(scene: &Scene<'_>, id: &str) -> Markup {
    match scene.linked.and_then(|linked| linked.jaeger.as_ref()) {
        Some(base) if id.len() <= TEXT => {
            let address = base.join(&format!("/trace/{}", url_path(id, false)));
            html! { a class="mono" rel="noreferrer" href=(address) { (id) } }
        }
        _ => mono(id),
    }
}

/// The body with the zeros of calendars replaced, so that nobody reads them as times.
fn without_zero_dates(body: &str) -> Cow<'_, str> {
    static ZERO: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r#""(0000|0001|1601|1900|1904|1970|1980)-01-01[T ]00:00[^"]*""#).ok());
    ZERO.as_ref().map_or(Cow::Borrowed(body), |zero| zero.replace_all(body, NO_TIME))
}

/// The body as it came, as far as there is room for it.
fn verbatim(scene: &Scene<'_>, body: &str, room: &mut usize) -> Markup {
    let all = jobs_json(scene);
    let body = without_zero_dates(body);
    let shown = html! { (start(&body, BODY)) };
    if shown.0.len() > *room {
        return html! {
            p { "The body is in " (all) ": the bodies above have used up the space on this page." } "\n"
        };
    }
    *room -= shown.0.len();
    html! {
        pre tabindex="0" { (shown) } "\n"
        @if matches!(body, Cow::Owned(_)) {
            p { "“" (NO_TIME) "” stands for a date that means “not yet”; the body as it came is in " (all) "." } "\n"
        }
        @if body.chars().nth(BODY).is_some() {
            p { "Cut after " (BODY) " characters; the whole body is in " (all) "." } "\n"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_that_mean_not_yet_are_not_shown_as_times() {
        let body = r#"{"started":"1970-01-01T00:00:00Z","ended":"0001-01-01 00:00:00","due":"2026-01-01T00:00:00Z"}"#;
        let shown = r#"{"started":(no time),"ended":(no time),"due":"2026-01-01T00:00:00Z"}"#;
        assert_eq!(without_zero_dates(body), shown);
        assert!(matches!(without_zero_dates("{}"), Cow::Borrowed("{}")));
    }
}
