//! The breakdown of the time: wait and work of each stage, and the critical path of the slowest job.

use std::io;

use maud::{Markup, html};

use super::looks;
use super::row_chart::{LEFT, ROW, RowChart, STAGES};
use crate::escape;
use crate::figures::critical::{CriticalPath, Step};
use crate::figures::distribution::{Distribution, Measured};
use crate::figures::stages::StageFigures;
use crate::html::components::note;
use crate::html::scale::{Scale, time_label, time_ticks};
use crate::html::svg::Svg;
use crate::markup::{Column, Inline, NO_VALUE};
use crate::tools::render_report::scene::Scene;
use crate::units;

const WIDTH: f64 = 1140.0;
/// The smallest share of the whole that is a part of its own.
const SMALL: f64 = 0.001;

pub(super) fn section(scene: &Scene<'_>) -> io::Result<Markup> {
    let figures = &scene.evaluation.figures;
    let stages: Vec<&StageFigures> =
        figures.stages.iter().filter(|stage| stage.wait.or(stage.work).is_some()).take(STAGES).collect();
    if stages.is_empty() {
        let none = "No stage has times: the target reported none, and polling saw none start and end.";
        return Ok(html! { p { (none) } "\n" });
    }
    let path = CriticalPath::find(&figures.tally, scene.jobs)?;
    Ok(html! {
        (means(scene, &stages))
        h3 { "The critical path of the slowest job that succeeded" } "\n"
        @match path {
            Ok(path) => (critical_path(scene, &path)),
            Err(why) => p { (why) },
        }
    })
}

fn mean(of: Option<Distribution>) -> f64 {
    of.map_or(0.0, |of| of.mean.seconds)
}

fn means(scene: &Scene<'_>, stages: &[&StageFigures]) -> Markup {
    let longest = stages.iter().map(|stage| mean(stage.wait) + mean(stage.work)).fold(0.0, f64::max);
    let mut chart = RowChart::new(stages.len(), longest);
    for (index, stage) in stages.iter().enumerate() {
        let shown =
            |of: Option<Distribution>| of.map_or_else(|| "unknown".to_owned(), |of| units::seconds(of.mean.seconds));
        let (class, mark) = if looks::limits(scene, &stage.name) { ("strong", " · limits") } else { ("", "") };
        let text = format!("{} wait · {} work{mark}", shown(stage.wait), shown(stage.work));
        let middle = chart.row(index, (class, &escape::ends(&stage.name, 24)), (class, &text));
        let (top, height) = (middle - ROW / 2.0 + 4.0, ROW - 8.0);
        let (between, end) = (chart.x.at(mean(stage.wait)), chart.x.at(mean(stage.wait) + mean(stage.work)));
        if mean(stage.wait) > 0.0 {
            chart.svg.rect(&looks::wait(scene, &stage.name), (LEFT, top), (between - LEFT, height));
        }
        if stage.work.is_some() {
            let work = looks::work(looks::look(scene, &stage.name));
            chart.svg.rect(&work, (between, top), (end - between, height));
        }
    }
    let finding = scene.evaluation.figures.limiting.as_ref().map_or_else(
        || "No stage is known to limit the pipeline.".to_owned(),
        |limiting| format!("{} limits: {}.", limiting.stage, limiting.text()),
    );
    html! {
        (note("Mean wait for each stage (hatched) and mean work in it (solid). The wait for the limiting stage is outlined."))
        (chart.svg.into_figure("time-breakdown-chart", "Mean wait and work of each stage", &finding))
    }
}

/// A part of the path: a piece of the drawing and a row of the table.
struct Part {
    /// The look and the name of the stage, where the part is its work.
    stage: Option<(usize, String)>,
    what: String,
    after: String,
    class: String,
    measured: Measured,
}

fn parts(scene: &Scene<'_>, path: &CriticalPath) -> Vec<Part> {
    let mut parts = Vec::new();
    for Step { stage, after, attempt, before, wait, work } in &path.steps {
        let (look, name) = (looks::look(scene, stage), escape::start(stage, 40));
        let after = after.as_ref().map_or_else(|| NO_VALUE.to_owned(), |after| escape::start(after, 40));
        let mut put = |what: String, class: String, named: Option<usize>, measured: Measured| {
            let stage = named.map(|look| (look, name.clone()));
            parts.push(Part { stage, what, after: after.clone(), class, measured });
        };
        if before.abs() > path.whole.seconds * SMALL {
            let earlier = attempt.filter(|attempt| *attempt > 1);
            let why = earlier.map_or_else(
                || format!("{name}: before its wait began"),
                |attempt| format!("{name}: before attempt {attempt}, including earlier attempts"),
            );
            put(why, "unknown".to_owned(), None, Measured::exact(*before));
        }
        if let Some(wait) = wait {
            put(format!("{name}: wait"), looks::wait(scene, stage), None, *wait);
        }
        put(format!("{name}: work"), looks::work(look), Some(look), *work);
    }
    // Below zero by less than the error: as far as is known the stages filled all of it.
    let error = path.whole.error();
    let is_noise = path.rest < 0.0 && -path.rest <= error;
    let measured = if is_noise { Measured::within(0.0, -error, error) } else { Measured::exact(path.rest) };
    let (what, after, class) = ("outside the stages".to_owned(), NO_VALUE.to_owned(), "rail".to_owned());
    parts.push(Part { stage: None, what, after, class, measured });
    parts
}

fn critical_path(scene: &Scene<'_>, path: &CriticalPath) -> Markup {
    let parts = parts(scene, path);
    let longest = parts.iter().max_by(|a, b| a.measured.seconds.total_cmp(&b.measured.seconds));
    let longest = longest.map_or_else(String::new, |Part { what, measured, .. }| {
        format!(" The longest part was {what} with {}.", measured.text())
    });
    let finding = format!("{} took {}.{longest}", path.job, path.whole.text());
    let drawing = path_drawing(&parts, path.whole.seconds);
    let table = scene.content(|content| {
        content.heading("Critical path");
        content.table(["Part", "After", "Time>", "Share>"].map(Column::from), path_rows(&parts, path));
    });
    html! {
        p { (finding) } "\n"
        (drawing.into_figure("critical-chart", &format!("Critical path of {}", path.job), &finding))
        (table.to_section())
        (note(
            "The path goes back from the stage that ended last, each time to the predecessor that ended last. Time outside the stages is the submission, the gap between the last stage and the end, and the clocks' difference.",
        ))
    }
}

fn path_drawing(parts: &[Part], whole: f64) -> Svg {
    let x = Scale::new((0.0, whole), (0.0, WIDTH - 20.0));
    let mut svg = Svg::new(WIDTH, 62.0);
    svg.axis(&x, &time_ticks(0.0, whole, 9), (0.0, 40.0), time_label);
    let mut from = 0.0;
    for Part { stage, what, class, measured, .. } in parts.iter().filter(|part| part.measured.seconds > 0.0) {
        let (left, right) = (x.at(from), x.at(from + measured.seconds));
        svg.titled(&format!("{what}: {}", measured.text()), |svg| {
            svg.rect(class, (left, 6.0), (right - left, 26.0));
            if let Some((look, name)) = stage.as_ref().filter(|(_, name)| looks::fits(name, right - left)) {
                looks::name(svg, *look, (left + 4.0, 23.0), name);
            }
        });
        from += measured.seconds;
    }
    svg
}

fn path_rows(parts: &[Part], path: &CriticalPath) -> Vec<Vec<Inline>> {
    let whole = path.whole.seconds;
    let share =
        |seconds: f64| if whole > 0.0 { format!("{:.1} %", seconds / whole * 100.0) } else { NO_VALUE.to_owned() };
    let row = |what: &str, after: &str, measured: Measured, seconds: f64| -> Vec<Inline> {
        vec![what.into(), after.into(), measured.text().into(), share(seconds).into()]
    };
    let total = parts.iter().map(|part| part.measured.seconds).sum();
    let rows = parts.iter().map(|part| row(&part.what, &part.after, part.measured, part.measured.seconds));
    rows.chain([row("end to end", "", path.whole, total)]).collect()
}
