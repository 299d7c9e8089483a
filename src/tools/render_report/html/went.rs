//! Where the time went: waiting against work of each stage, and the critical path of the slowest job.

use std::fmt::Write;

use super::Scene;
use super::marks;
use crate::escape;
use crate::figures::critical::{CriticalPath, Step};
use crate::figures::distribution::{Distribution, Measured};
use crate::figures::stages::StageFigures;
use crate::html::block;
use crate::html::scale::{Scale, time_label, time_ticks};
use crate::html::svg::{Anchor, Svg};
use crate::units;

/// How many stages are drawn: a target may tell of any number.
const STAGES: usize = 40;
const WIDTH: f64 = 1140.0;
const LEFT: f64 = 150.0;
const RIGHT: f64 = 860.0;
const ROW: f64 = 24.0;
/// A part that is shorter than this share of the whole is no row of its own.
const SMALL: f64 = 0.001;

pub(super) fn section(scene: &Scene<'_>) -> String {
    let stages: Vec<&StageFigures> =
        scene.figures.stages.iter().filter(|stage| stage.wait.or(stage.work).is_some()).take(STAGES).collect();
    if stages.is_empty() {
        return "<p>No stage has times: the target gave none, and polls saw none begin and end.</p>\n".to_owned();
    }
    let path = CriticalPath::find(&scene.figures.tally);
    let mut text = means(scene, &stages);
    text.push_str("<h3>The critical path of the slowest job that succeeded</h3>\n");
    text += &match path {
        Ok(path) => critical(scene, &path),
        Err(why) => format!("<p>{}</p>\n", escape::html(&why)),
    };
    text
}

fn mean(of: Option<Distribution>) -> f64 {
    of.map_or(0.0, |of| of.mean.seconds)
}

fn means(scene: &Scene<'_>, stages: &[&StageFigures]) -> String {
    let longest = stages.iter().map(|stage| mean(stage.wait) + mean(stage.work)).fold(0.0, f64::max);
    let x = Scale::new((0.0, longest), (LEFT, RIGHT));
    let bottom = stages.len() as f64 * ROW + 4.0;
    let mut svg = Svg::new(WIDTH, bottom + 22.0);
    svg.axis(&x, &time_ticks(0.0, longest, 8), (0.0, bottom), time_label);
    for (index, stage) in stages.iter().enumerate() {
        let y = index as f64 * ROW + 4.0;
        let is_limiting = marks::limits(scene, &stage.name);
        let name = escape::ends(&stage.name, 20);
        svg.text(if is_limiting { "strong" } else { "" }, (0.0, y + 13.0), Anchor::Start, &name);
        let between = x.at(mean(stage.wait));
        if mean(stage.wait) > 0.0 {
            svg.rect(&marks::wait(scene, &stage.name), (LEFT, y), (between - LEFT, ROW - 7.0));
        }
        if stage.work.is_some() {
            svg.rect(
                &marks::work(marks::look(scene, &stage.name)),
                (between, y),
                (x.at(mean(stage.wait) + mean(stage.work)) - between, ROW - 7.0),
            );
        }
        let shown =
            |of: Option<Distribution>| of.map_or_else(|| "unknown".to_owned(), |of| units::seconds(of.mean.seconds));
        let marked = if is_limiting { " · limits" } else { "" };
        let told = format!("{} wait · {} work{marked}", shown(stage.wait), shown(stage.work));
        svg.text(if is_limiting { "strong" } else { "" }, (RIGHT + 14.0, y + 13.0), Anchor::Start, &told);
    }
    let finding = scene.figures.limiting.as_ref().map_or_else(
        || "No stage is known to limit.".to_owned(),
        |limiting| format!("{} limits: {}.", limiting.stage, limiting.text(str::to_owned)),
    );
    let mut text = String::from(
        "<p class=\"note\">Mean wait for each stage (hatched) and mean work in it (solid); the wait for the limiting stage has an edge.</p>\n",
    );
    text += &svg.figure("went-chart", "Mean wait and work of each stage", &finding);
    text
}

/// A part of the path: its row in the drawing and in the table.
struct Part {
    /// The look and the name of the stage that was worked in.
    named: Option<(usize, String)>,
    what: String,
    after: String,
    class: String,
    seconds: f64,
    shown: String,
}

fn parts(scene: &Scene<'_>, path: &CriticalPath) -> Vec<Part> {
    let mut parts = Vec::new();
    for Step { stage, after, attempt, before, wait, work } in &path.steps {
        let (look, name) = (marks::look(scene, stage), escape::start(stage, 40));
        let after = after.as_ref().map_or_else(|| "–".to_owned(), |after| escape::start(after, 40));
        let mut put = |what: String, class: String, named: Option<usize>, measured: Measured| {
            parts.push(Part {
                named: named.map(|look| (look, name.clone())),
                what,
                after: after.clone(),
                class,
                seconds: measured.seconds,
                shown: measured.text(),
            });
        };
        if before.abs() > path.whole.seconds * SMALL {
            let why = match attempt {
                Some(attempt) if *attempt > 1 => format!("{name}: before attempt {attempt}, earlier attempts among it"),
                _ => format!("{name}: before its wait began"),
            };
            put(why, "unknown".to_owned(), None, Measured::exact(*before));
        }
        if let Some(wait) = wait {
            put(format!("{name}: wait"), marks::wait(scene, stage), None, *wait);
        }
        put(format!("{name}: work"), marks::work(look), Some(look), *work);
    }
    // Less than nothing, by less than the error: the stages filled it all, as far as anybody can tell.
    let is_noise = path.rest < 0.0 && -path.rest <= path.whole.error();
    let rest = if is_noise { 0.0 } else { path.rest };
    parts.push(Part {
        named: None,
        what: "outside of the stages".to_owned(),
        after: "–".to_owned(),
        class: "rail".to_owned(),
        seconds: rest,
        shown: if is_noise {
            format!("{} (± {})", units::seconds(rest), units::seconds(path.whole.error()))
        } else {
            units::seconds(rest)
        },
    });
    parts
}

fn critical(scene: &Scene<'_>, path: &CriticalPath) -> String {
    let parts = parts(scene, path);
    let whole = path.whole.seconds;
    let x = Scale::new((0.0, whole), (0.0, WIDTH - 20.0));
    let mut svg = Svg::new(WIDTH, 62.0);
    svg.axis(&x, &time_ticks(0.0, whole, 9), (0.0, 40.0), time_label);
    let mut from = 0.0;
    for part in parts.iter().filter(|part| part.seconds > 0.0) {
        let (left, right) = (x.at(from), x.at(from + part.seconds));
        svg.titled(&format!("{}: {}", part.what, part.shown), |svg| {
            svg.rect(&part.class, (left, 6.0), (right - left, 26.0));
            if let Some((look, name)) = part.named.as_ref().filter(|(_, name)| marks::fits(name, right - left)) {
                marks::name(svg, *look, (left + 4.0, 23.0), name);
            }
        });
        from += part.seconds;
    }
    let longest = parts.iter().max_by(|one, other| one.seconds.total_cmp(&other.seconds));
    let longest =
        longest.map_or_else(String::new, |part| format!(" The longest part was {} with {}.", part.what, part.shown));
    let finding = format!("{} took {}.{longest}", path.job, path.whole.text());
    let mut text = format!("<p>{}</p>\n", escape::html(&finding));
    text += &svg.figure("critical-chart", &format!("Critical path of {}", path.job), &finding);
    let share = |seconds: f64| if whole > 0.0 { format!("{:.1} %", seconds / whole * 100.0) } else { "–".to_owned() };
    let row = |part: &Part| {
        vec![escape::html(&part.what), escape::html(&part.after), escape::html(&part.shown), share(part.seconds)]
    };
    let total: f64 = parts.iter().map(|part| part.seconds).sum();
    let sum = vec!["end to end".to_owned(), String::new(), path.whole.text(), share(total)];
    let rows = parts.iter().map(row).chain([sum]);
    text += &block::table("Critical path", &["Part", "After", "Time>", "Share>"], rows);
    let _ = writeln!(
        text,
        "<p class=\"note\">From the stage that ended last back along the stage before each that ended latest. Outside of the stages: \
         the submission and how late it was, what lies between the last stage and the end, and what the clocks are apart.</p>"
    );
    text
}
