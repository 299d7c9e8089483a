//! The timeline: jobs in flight, queues, the GPU and the jobs over one another, on one axis of time.

mod gpu;
mod load;
mod metrics;
mod rows;

use itertools::Itertools;
use maud::{Markup, html};

use super::looks;
use crate::escape;
use crate::figures::job_timeline::JobTimeline;
use crate::figures::outcome::Outcome;
use crate::figures::stages::StageFigures;
use crate::figures::tally::JobEntry;
use crate::html::components::{self, keep_together, note};
use crate::html::scale::{Scale, time_label, time_ticks};
use crate::html::shell::LOOKS;
use crate::html::svg::{Anchor, Svg};
use crate::record::{ClockOffset, Timestamp, Window};
use crate::tools::render_report::scene::Scene;
use crate::units;
use rows::Row;

/// A drawing's width, the ends of the axis of time in it, and the number of its ticks.
#[derive(Clone, Copy)]
struct Layout {
    width: f64,
    left: f64,
    right: f64,
    ticks: usize,
}

const WIDE: Layout = Layout { width: 1140.0, left: 150.0, right: 964.0, ticks: 9 };
/// The drawing for a phone, which shows the whole run at once.
const NARROW: Layout = Layout { width: 362.0, left: 84.0, right: 278.0, ticks: 3 };
/// The number of jobs that the drawing for a phone has.
const NARROW_ROWS: usize = 40;
/// The height of the labels of the axis.
const LABELS: f64 = 18.0;
/// The axis ends at `AFTER` times the length that the work needs, where jobs that did not succeed would make it `STRETCHED` times as
/// long.
const STRETCHED: f64 = 1.5;
const AFTER: f64 = 1.05;
/// The greatest width of a character of the labels in any font.
const CHARACTER: f64 = 6.9;

/// The axis of time that all parts of the drawing share.
struct Axis {
    layout: Layout,
    zero: Timestamp,
    x: Scale,
    /// The last known event, in seconds; the axis may end before.
    last: f64,
}

impl Axis {
    /// An axis that ends after `length` seconds.
    fn new(layout: Layout, zero: Timestamp, length: f64, last: f64) -> Self {
        Self { layout, zero, x: Scale::new((0.0, length), (layout.left, layout.right)), last }
    }

    fn left(&self) -> f64 {
        self.layout.left
    }

    fn right(&self) -> f64 {
        self.layout.right
    }

    /// The text as far as there is room for it to the right of the axis.
    fn fits_right(&self, text: &str) -> String {
        fitted(text, self.layout.width - self.layout.right - 8.0)
    }

    fn seconds(&self, at: Timestamp) -> f64 {
        at.since(self.zero)
    }

    fn at(&self, at: Timestamp) -> f64 {
        self.x.at(self.seconds(at))
    }

    fn length(&self) -> f64 {
        self.x.ends().1
    }

    /// Returns true if something that lasts until then goes on beyond the end of the axis.
    fn ends_before(&self, at: Timestamp) -> bool {
        self.length() < self.last && self.seconds(at) > self.length()
    }

    /// Draws the grid and the labels, and `svg` over them.
    fn frame(&self, svg: &Svg, bottom: f64, since: &str) -> Svg {
        let ticks = time_ticks(0.0, self.length(), self.layout.ticks);
        let mut whole = Svg::new(self.layout.width, bottom + 26.0);
        whole.tick_labels(&self.x, &ticks, 12.0, time_label);
        whole.axis(&self.x, &ticks, (LABELS, bottom + 4.0), time_label);
        // Beside a narrow axis there is no room for it.
        if self.layout.left >= WIDE.left {
            for y in [12.0, bottom + 18.0] {
                whole.text("tick", (0.0, y), Anchor::Start, since);
            }
        }
        whole.overlay(svg);
        whole
    }
}

/// Facts about the timelines of all jobs, drawn or not.
#[derive(Default)]
struct All {
    timelines: usize,
    /// Number of stages that have no place on the harness's clock.
    elsewhere: usize,
    /// Number of stages that lie before or after the axis.
    outside: usize,
    /// The times after the end of the axis at which jobs were last heard of.
    beyond: Vec<Timestamp>,
}

impl All {
    fn add(&mut self, timeline: &JobTimeline, axis: &Axis) {
        self.timelines += 1;
        self.elsewhere += timeline.elsewhere;
        self.outside += timeline.stages.iter().filter(|stage| !rows::is_on(axis, stage)).count();
        self.beyond.extend(Some(timeline.last()).filter(|last| axis.ends_before(*last)));
    }
}

pub(super) fn section(scene: &Scene<'_>) -> Markup {
    let (figures, captures) = (&scene.evaluation.figures, &scene.evaluation.captures);
    let Some(zero) = figures.load.first_submitted else {
        return if let Some(window) = captures.window.filter(|_| captures.alone) {
            without_jobs(scene, window)
        } else {
            html! { p { "Nothing was submitted, so there is nothing to draw." } "\n" }
        };
    };
    let tally = &figures.tally;
    // Made anew for each question, because those of all jobs together may need much memory.
    let timelines = || tally.entries.iter().filter_map(|entry| Some((entry, JobTimeline::new(entry)?)));
    let last = timelines().map(|(_, timeline)| timeline.last()).max().unwrap_or(zero).since(zero).max(1e-3);
    let length = needed(timelines(), zero, last);
    let axis = Axis::new(WIDE, zero, length, last);
    let rows = rows::chosen(&tally.entries);
    // Of several runs it is not known whose clock a span's time is by.
    let offset = tally.plans.iter().exactly_one().ok().and_then(|plan| plan.offset);

    let draw = |axis: &Axis, rows: &[Row<'_>], mut svg: Svg| {
        let mut y = load::in_flight(&mut svg, axis, &figures.load, LABELS);
        y = load::queues(&mut svg, axis, &scene.evaluation.observed.sampled, y);
        y = gpu::draw(&mut svg, axis, &scene.evaluation.observed, offset, y);
        y = metrics::draw(&mut svg, axis, &scene.evaluation.observed.metrics, y);
        y = rows::draw(&mut svg, scene, axis, rows, y);
        axis.frame(&svg, y, "since the first submission")
    };
    let drawing = draw(&axis, &rows, Svg::new(WIDE.width, 0.0));
    let narrow_rows = &rows[..rows.len().min(NARROW_ROWS)];
    // Nothing points at a drawing on a phone.
    let narrow =
        draw(&Axis::new(NARROW, zero, length, last), narrow_rows, Svg::new(NARROW.width, 0.0).without_titles());

    let mut all = All::default();
    for (_, timeline) in timelines() {
        all.add(&timeline, &axis);
    }
    let finding = finding(scene, rows.len(), last);
    html! {
        (note(&keep_together(&clocks(zero, offset, all.elsewhere))))
        (components::legend(&legend(scene, &rows, offset)))
        div class="wide-only" { (drawing.into_figure("timeline-chart", "Timeline of the jobs", &finding)) }
        div class="narrow-only" {
            (narrow.into_figure("timeline-narrow", "Timeline of the jobs for a narrow screen", &finding))
            @if rows.len() > NARROW_ROWS {
                (note(&format!("The first {NARROW_ROWS} of {} rows; a wider window shows them all.", rows.len())))
            }
        }
        "\n"
        @if let Some(text) = beyond(&axis, &all) { (note(&text)) }
        @for text in notes(scene, &rows, &all, offset) { (note(&text)) }
    }
}

/// The timeline of a window that was captured by itself: queues and GPU on its own axis.
fn without_jobs(scene: &Scene<'_>, window: Window) -> Markup {
    let observed = &scene.evaluation.observed;
    let length = window.end.since(window.start).max(1e-3);
    let axis = Axis::new(WIDE, window.start, length, length);
    let mut svg = Svg::new(WIDE.width, 0.0);
    let y = load::queues(&mut svg, &axis, &observed.sampled, LABELS);
    let y = gpu::draw(&mut svg, &axis, observed, None, y);
    let y = metrics::draw(&mut svg, &axis, &observed.metrics, y);
    let begin = format!("0 is the start of the window, {} {} UTC.", window.start.date(), window.start.time_of_day());
    let finding = format!("{} without jobs.{}", units::seconds(length), deepest(scene));
    let drawing = (y > LABELS).then(|| axis.frame(&svg, y, "since the window's start"));
    html! {
        @if let Some(drawing) = drawing {
            (note(&keep_together(&begin)))
            (drawing.into_figure("timeline-chart", "Timeline of the window", &finding))
        }
        @for text in [load::queue_note(&observed.sampled), gpu::note(observed, None)] { (note(&text)) }
        @if let Some(text) = metrics::note(&observed.metrics) { (note(&text)) }
    }
}

fn clocks(zero: Timestamp, offset: Option<ClockOffset>, elsewhere: usize) -> String {
    let begin =
        format!("0 is the first submission, {} {} UTC by the harness's clock.", zero.date(), zero.time_of_day());
    let moved = match offset {
        Some(ClockOffset { seconds, bound_seconds }) => {
            let side = if seconds < 0.0 { "behind" } else { "ahead of" };
            let (apart, bound) = (units::seconds(seconds.abs()), units::seconds(bound_seconds));
            format!("The target's clock is {apart} (± {bound}) {side} it, and the target's times are shifted by that.")
        }
        None => "No single offset between the target's clock and the harness's is known.".to_owned(),
    };
    let not_drawn = format!(" {elsewhere} stages without usable times are not drawn.");
    format!("{begin} {moved}{}", if elsewhere > 0 { &not_drawn } else { "" })
}

/// The length of the axis in seconds: until `last`, or as long as the work needs where `last` would squeeze it.
fn needed<'a>(timelines: impl Iterator<Item = (&'a JobEntry, JobTimeline)>, zero: Timestamp, last: f64) -> f64 {
    let mut work = 0f64;
    for (entry, timeline) in timelines {
        let succeeded = entry.outcome == Outcome::Succeeded;
        let ends =
            timeline.stages.iter().map(|stage| stage.ended.map_or(stage.started.high, |end| end.high).since(zero));
        // Impossible times of a stage stretch nothing.
        let known = ends.chain(succeeded.then(|| timeline.last().since(zero))).filter(|at| (0.0..=last).contains(at));
        work = known.fold(work, f64::max);
    }
    if work > 0.0 && last > work * STRETCHED { work * AFTER } else { last }
}

/// The events beyond the end of the axis, in a sentence.
fn beyond(axis: &Axis, all: &All) -> Option<String> {
    let last = *all.beyond.iter().max()?;
    let jobs = match all.beyond.len() {
        1 => "1 job that did not succeed,".to_owned(),
        jobs => format!("{jobs} jobs that did not succeed, the last"),
    };
    Some(format!(
        "The axis ends at {}, soon after the last known work. An arrow marks jobs that were polled beyond it: {jobs} until {}.",
        units::seconds(axis.length()),
        units::seconds(axis.seconds(last))
    ))
}

fn legend(scene: &Scene<'_>, rows: &[Row<'_>], offset: Option<ClockOffset>) -> Vec<(String, String)> {
    let is_shown = |(_, stage): &(usize, &StageFigures)| stage.by_server + stage.by_polls > 0;
    let shown = || scene.evaluation.figures.stages.iter().enumerate().filter(is_shown);
    let first = shown().take_while(|(place, _)| *place < LOOKS);
    let mut entries: Vec<(String, String)> =
        first.map(|(look, stage)| (looks::work(look), escape::start(&stage.name, 40))).collect();
    let more = shown().count() - entries.len();
    if more > 0 {
        entries.push(("rail".to_owned(), format!("{more} more stages reuse the looks of the first ones")));
    }
    entries.push(("wait wait-plain".to_owned(), "hatched: waiting for the stage of that colour".to_owned()));
    if let Some(limiting) = &scene.evaluation.figures.limiting {
        let label = format!("waiting for {}, the limiting stage", escape::start(&limiting.stage, 40));
        entries.push((looks::wait(scene, &limiting.stage), label));
    }
    entries.extend([
        ("rail".to_owned(), "in flight, no stage known".to_owned()),
        ("unknown".to_owned(), "started or ended somewhere in this interval".to_owned()),
        ("bad-edge".to_owned(), "failed or last seen there".to_owned()),
    ]);
    if rows.iter().any(|row| row.entry.outcome.is_open()) {
        entries.push(("open-edge".to_owned(), "last seen there, end not known".to_owned()));
    }
    entries.extend(gpu::legend(&scene.evaluation.observed, offset));
    entries
}

/// The deepest queue, in a sentence; nothing where none was seen filled.
fn deepest(scene: &Scene<'_>) -> String {
    let deepest = scene.evaluation.observed.depths.iter().max_by(|one, other| one.1.ready.total_cmp(&other.1.ready));
    deepest.filter(|(_, depth)| depth.ready > 0.0).map_or_else(String::new, |(queue, depth)| {
        format!(" The deepest queue was {} with {} messages ready.", escape::start(queue, 80), depth.ready)
    })
}

fn finding(scene: &Scene<'_>, rows: usize, length: f64) -> String {
    let figures = &scene.evaluation.figures;
    let (asked, peak, length) = (figures.tally.conservation.asked, figures.load.peak, units::seconds(length));
    let limiting = figures.limiting.as_ref();
    let limiting = limiting.map(|it| format!(" The limiting stage was {}: {}.", it.stage, it.text()));
    let text = format!("{rows} of {asked} jobs over {length}; at most {peak} in flight at once.");
    text + &deepest(scene) + &limiting.unwrap_or_default()
}

fn notes(scene: &Scene<'_>, rows: &[Row<'_>], all: &All, offset: Option<ClockOffset>) -> Vec<String> {
    let (mut notes, All { timelines, outside, .. }) = (Vec::new(), all);
    if *outside > 0 {
        notes.push(format!("{outside} stages lie before the first submission or after the last end by their own times and are not drawn."));
    }
    if rows.len() < *timelines {
        notes.push(format!(
            "{} of {timelines} submitted jobs have a row: the first {} that did not succeed, the slowest that did, and others evenly spaced in the order of submission. Figures include all jobs.",
            rows.len(),
            rows::WORST
        ));
    }
    notes.push(load::queue_note(&scene.evaluation.observed.sampled));
    notes.push(gpu::note(&scene.evaluation.observed, offset));
    notes.extend(metrics::note(&scene.evaluation.observed.metrics));
    notes
}

/// The text, cut to this width in pixels.
fn fitted(text: &str, pixels: f64) -> String {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small number of characters")]
    let characters = (pixels / CHARACTER).max(1.0) as usize;
    escape::start(text, characters)
}
