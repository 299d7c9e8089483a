//! The run over time: throughput, end to end and submissions, side by side on axes of the same time.

use maud::{Markup, html};

use crate::escape::start;
use crate::figures::load::Slice;
use crate::figures::outcome::Outcome;
use crate::figures::tally::JobEntry;
use crate::html::components::{self, note};
use crate::html::scale::{Scale, axis_end, count_label, ticks, time_label, time_ticks};
use crate::html::svg::{PathData, Svg};
use crate::record::Timestamp;
use crate::tools::render_report::scene::Scene;
use crate::tools::render_report::sections;
use crate::units::{self, decimal};

/// The number of points of one drawing; of more jobs, so many at even distances in time are drawn, and the longest.
const POINTS: usize = 200;
/// The longest job name, in characters, that pointing at its point shows.
const NAME: usize = 80;
/// The size of a drawing, which fits a phone, and the place of its axes.
const WIDTH: f64 = 360.0;
const HEIGHT: f64 = 196.0;
const LEFT: f64 = 48.0;
const RIGHT: f64 = 352.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 172.0;
const RADIUS: f64 = 2.6;

/// One point: when, how long, and what is shown when it is pointed at.
struct Point {
    at: f64,
    seconds: f64,
    class: &'static str,
    title: String,
}

pub(super) fn section(scene: &Scene<'_>) -> Markup {
    let figures = &scene.evaluation.figures;
    let load = &figures.load;
    let (Some(zero), Some(last)) = (load.first_submitted, load.slices.last()) else { return html! {} };
    let x = Scale::new((0.0, last.to.since(zero)), (LEFT, RIGHT));
    let text = scene.content(|content| sections::over_time(content, figures));
    let ends = figures.tally.with(Outcome::Succeeded).filter_map(|entry| end_point(entry, zero)).collect();
    let sent = figures.tally.entries.iter().filter_map(|entry| submission_point(entry, zero)).collect();
    let panels = [
        ("Throughput", throughput(&load.slices, zero, &x, load.jobs_per_minute())),
        ("End to end", end_to_end(&load.slices, zero, &x, ends)),
        ("Submissions", submissions(&x, sent)),
    ];
    let panels = panels.into_iter().filter(|(_, panel)| !panel.0.is_empty());
    html! {
        (note(&format!("Time runs from the first submission, in {} equal parts.", load.slices.len())))
        (components::panels(panels.map(|(heading, panel)| (heading.to_owned(), panel))))
        div class="screen-only" { (components::details(&html! { "The same as text" }, &text.to_section())) } "\n"
    }
}

/// An empty drawing with its axes, the vertical one from 0 to `most` at least.
fn axes(x: &Scale, most: f64, ticks: fn(f64, f64, usize) -> Vec<f64>, label: fn(f64) -> String) -> (Svg, Scale) {
    let high = axis_end(most, &ticks(0.0, most, 4));
    let y = Scale::new((0.0, high), (BOTTOM, TOP));
    let mut svg = Svg::new(WIDTH, HEIGHT);
    svg.grid(&y, &ticks(0.0, high, 4), (LEFT, RIGHT), label);
    svg.line("base", (LEFT, BOTTOM), (RIGHT, BOTTOM));
    svg.tick_labels(x, &time_ticks(0.0, x.ends().1, 4), BOTTOM + 16.0, time_label);
    (svg, y)
}

fn throughput(slices: &[Slice], zero: Timestamp, x: &Scale, mean: Option<f64>) -> Markup {
    let ended = |slice: &Slice| (slice.succeeded + slice.not_succeeded) as f64 * 60.0 / slice.seconds();
    let most = slices.iter().map(ended).fold(0.0, f64::max);
    let (mut svg, y) = axes(x, most, ticks, count_label);
    for slice in slices.iter().filter(|slice| ended(slice) > 0.0) {
        let (from, to) = (x.at(slice.from.since(zero)), x.at(slice.to.since(zero)));
        let (good, all) = (y.at(slice.jobs_per_minute()), y.at(ended(slice)));
        let title = format!(
            "from {}: {} succeeded, {} did not",
            units::seconds(slice.from.since(zero)),
            slice.succeeded,
            slice.not_succeeded
        );
        svg.titled(&title, |svg| {
            let width = (to - from - 1.0).max(1.0);
            if slice.succeeded > 0 {
                svg.rect("dot-0", (from, good), (width, BOTTOM - good));
            }
            if slice.not_succeeded > 0 {
                for class in ["bad", "bad-hatch"] {
                    svg.rect(class, (from, all), (width, good - all));
                }
            }
        });
    }
    let last = slices.iter().rev().find(|slice| slice.succeeded > 0).map_or(zero, |slice| slice.to);
    let mut finding = "No end was seen.".to_owned();
    if let Some(rate) = mean {
        finding = format!("{} jobs/min over the whole run.", decimal(rate));
        svg.line("limit", (LEFT, y.at(rate)), (x.at(last.since(zero)), y.at(rate)));
    }
    let mut shown = vec![("dot-0".to_owned(), "succeeded".to_owned())];
    if slices.iter().any(|slice| slice.not_succeeded > 0) {
        shown.push(("bad".to_owned(), "did not succeed (hatched)".to_owned()));
    }
    html! {
        (note("Jobs that ended per minute. Dashed: the mean of those that succeeded"))
        (svg.into_figure("throughput-over-time", "Throughput over time", &finding))
        (components::legend(&shown))
    }
}

fn end_point(entry: &JobEntry, zero: Timestamp) -> Option<Point> {
    let whole = entry.times.end_to_end?;
    let (at, title) = (entry.ended_at()?.since(zero), format!("{}: {}", start(&entry.name, NAME), whole.text()));
    Some(Point { at, seconds: whole.seconds, class: "dot", title })
}

fn submission_point(entry: &JobEntry, zero: Timestamp) -> Option<Point> {
    let seconds = entry.times.submit?.seconds;
    let at = entry.job.as_ref()?.submitted_at?.since(zero);
    let class = if entry.outcome == Outcome::Rejected { "bad" } else { "dot" };
    Some(Point { at, seconds, class, title: format!("{}: {}", start(&entry.name, NAME), units::seconds(seconds)) })
}

/// Draws the points, those of refused jobs as diamonds.
fn points(svg: &mut Svg, x: &Scale, y: &Scale, mut points: Vec<Point>) {
    points.sort_by(|one, other| one.at.total_cmp(&other.at));
    let held = points.len();
    let longest = (0..held).max_by(|one, other| points[*one].seconds.total_cmp(&points[*other].seconds));
    let is_drawn =
        |index: usize| held <= POINTS || index * POINTS / held != (index + 1) * POINTS / held || longest == Some(index);
    for (_, point) in points.iter().enumerate().filter(|(index, _)| is_drawn(*index)) {
        let at = (x.at(point.at), y.at(point.seconds));
        svg.titled(&point.title, |svg| {
            if point.class == "bad" {
                svg.shape("bad", &PathData::diamond(at, 5.0));
            } else {
                svg.circle(point.class, at, RADIUS);
            }
        });
    }
}

fn longest(points: &[Point]) -> f64 {
    points.iter().map(|point| point.seconds).fold(0.0, f64::max)
}

fn end_to_end(slices: &[Slice], zero: Timestamp, x: &Scale, ends: Vec<Point>) -> Markup {
    if ends.is_empty() {
        return html! {};
    }
    let (mut svg, y) = axes(x, longest(&ends), time_ticks, time_label);
    points(&mut svg, x, &y, ends);
    let middle = |slice: &Slice| slice.from.since(zero) + slice.seconds() / 2.0;
    let medians = slices.iter().filter_map(|slice| Some((middle(slice), slice.end_to_end?.seconds)));
    let medians: Vec<(f64, f64)> = medians.collect();
    let line = medians.iter().fold(PathData::default(), |path, (at, median)| {
        let point = (x.at(*at), y.at(*median));
        if path.as_str().is_empty() { path.move_to(point) } else { path.line_to(point) }
    });
    svg.shape("median", &line);
    let finding = match medians.as_slice() {
        [] => "No end was seen.".to_owned(),
        [first, ..] => {
            let [first, last] = [first, &medians[medians.len() - 1]].map(|(_, median)| units::seconds(*median));
            format!("The median went from {first} in the first part with ends to {last} in the last.")
        }
    };
    html! {
        (note("Each job that succeeded is a point at its end. Line: the median of each part of the run"))
        (svg.into_figure("end-to-end-over-time", "End to end over time", &finding))
    }
}

fn submissions(x: &Scale, sent: Vec<Point>) -> Markup {
    if sent.is_empty() {
        return html! {};
    }
    let longest = longest(&sent);
    let (mut svg, y) = axes(x, longest, time_ticks, time_label);
    let refused = if sent.iter().any(|point| point.class == "bad") { ". Diamonds: refused" } else { "" };
    let finding = format!("{} submissions were answered, the slowest after {}.", sent.len(), units::seconds(longest));
    points(&mut svg, x, &y, sent);
    html! {
        (note(&format!("Each POST is a point: the time from sending to answer{refused}")))
        (svg.into_figure("submissions-over-time", "Submissions over time", &finding))
    }
}
