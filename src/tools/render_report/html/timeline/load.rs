//! The load above the jobs on the timeline: jobs in flight and queue depths.

use super::{Axis, fitted};
use crate::escape;
use crate::figures::distribution::median_distance;
use crate::figures::load::Load;
use crate::html::scale::{Scale, count_label};
use crate::html::steps;
use crate::html::svg::{Anchor, Svg};
use crate::tools::render_report::sampled::Sampled;

/// Heights of the parts.
const FLIGHT: f64 = 48.0;
const QUEUE: f64 = 20.0;
/// The number of queues that are drawn.
const QUEUES: usize = 12;
/// Samples further apart than this multiple of the usual distance have a gap between them.
const GAP: f64 = 3.0;

/// Draws the jobs in flight from `top` on, and returns where they end.
pub(super) fn in_flight(svg: &mut Svg, axis: &Axis, load: &Load, top: f64) -> f64 {
    let asked = load.asked.concurrency.unwrap_or_default();
    let high = load.peak.max(asked).max(1) as f64;
    let (y0, y1) = (top + 20.0 + FLIGHT, top + 20.0);
    svg.text("strong", (0.0, top + 12.0), Anchor::Start, "Jobs in flight");
    let y = Scale::new((0.0, high), (y0, y1));
    let levels: Vec<(f64, f64)> = load.levels.iter().map(|(at, level)| (axis.seconds(*at), *level as f64)).collect();
    let levels = steps::clipped(&levels, axis.x.ends());
    svg.shape("area", &steps::area(&levels, &axis.x, &y, y0));
    svg.shape("step", &steps::path(&levels, &axis.x, &y));
    svg.line("base", (axis.left(), y0), (axis.right(), y0));
    svg.text("tick", (axis.left() - 8.0, y0 + 4.0), Anchor::End, "0");
    svg.text("tick", (axis.left() - 8.0, y1 + 4.0), Anchor::End, &count_label(high));
    let (at_peak, at_asked) = (y.at(load.peak as f64), y.at(asked as f64));
    let mut note = |at: f64, text: &str| {
        svg.text("quiet", (axis.right() + 8.0, at + 4.0), Anchor::Start, &axis.fits_right(text));
    };
    let peak = format!("peak {}", load.peak);
    if asked == 0 {
        note(at_peak, &peak);
    } else if (at_asked - at_peak).abs() >= 12.0 {
        note(at_peak, &peak);
        note(at_asked, &format!("asked {asked}"));
    } else {
        note(at_peak, &format!("{peak} of {asked}"));
    }
    if asked > 0 {
        svg.line("limit", (axis.left(), at_asked), (axis.right(), at_asked));
    }
    y0 + 14.0
}

/// Samples by the harness's clock as far as they lie on the axis, in stretches without gaps.
pub(super) fn stretches_on_axis(samples: &[(f64, f64)], axis: &Axis) -> Vec<steps::Stretch> {
    let zero = axis.zero.seconds();
    let samples: Vec<(f64, f64)> = samples.iter().map(|(at, value)| (at - zero, *value)).collect();
    let usual = median_distance(samples.iter().map(|sample| sample.0)).unwrap_or_default();
    let parts = steps::stretches(&samples, usual * GAP);
    parts.iter().map(|part| steps::clipped(part, axis.x.ends())).filter(|part| !part.is_empty()).collect()
}

fn highest_of(parts: &[steps::Stretch]) -> f64 {
    parts.iter().flatten().map(|point| point.1).fold(0.0, f64::max)
}

/// A line over time in a band of its own.
pub(super) struct Band<'a> {
    pub(super) name: &'a str,
    /// Shown when it is pointed at.
    pub(super) title: String,
    /// Its highest value in words.
    pub(super) max: String,
    pub(super) parts: Vec<steps::Stretch>,
}

/// Draws a heading and bands of this height from `top` on, all of one scale from zero, and returns where they end.
pub(super) fn bands(svg: &mut Svg, axis: &Axis, (heading, height): (&str, f64), bands: &[Band<'_>], top: f64) -> f64 {
    let highest = bands.iter().map(|band| highest_of(&band.parts)).fold(0.0, f64::max);
    svg.text("strong", (0.0, top + 12.0), Anchor::Start, &fitted(heading, axis.right()));
    let mut base = top + 20.0 + height - 4.0;
    for Band { name, title, max, parts } in bands {
        let y = Scale::new((0.0, highest), (base, base - height + 4.0));
        svg.titled(&escape::start(title, 200), |svg| {
            for part in parts {
                // Values below zero have no area.
                let above: steps::Stretch = part.iter().map(|(at, value)| (*at, value.max(0.0))).collect();
                svg.shape("area", &steps::area(&above, &axis.x, &y, base));
                svg.shape("step", &steps::path(&above, &axis.x, &y));
            }
        });
        svg.line("grid", (axis.left(), base), (axis.right(), base));
        svg.text("", (0.0, base), Anchor::Start, &fitted(name, axis.left() - 8.0));
        svg.text("quiet", (axis.right() + 8.0, base), Anchor::Start, &axis.fits_right(&format!("max {max}")));
        base += height;
    }
    base - height + 14.0
}

/// Draws the queue depths from `top` on, and returns where they end.
pub(super) fn queues(svg: &mut Svg, axis: &Axis, sampled: &Sampled, top: f64) -> f64 {
    let filled = sampled.queues.iter().take(QUEUES).filter_map(|queue| {
        let parts = stretches_on_axis(&queue.samples, axis);
        let max = Some(highest_of(&parts)).filter(|high| *high > 0.0).map(count_label)?;
        Some(Band { name: &queue.name, title: format!("{}: at most {max} messages ready", queue.name), max, parts })
    });
    let filled: Vec<Band<'_>> = filled.collect();
    if filled.is_empty() { top } else { bands(svg, axis, ("Queue depth", QUEUE), &filled, top) }
}

/// The note on the lines of the queues.
pub(super) fn queue_note(sampled: &Sampled) -> String {
    if sampled.queues.is_empty() {
        return "Queue depths were not captured.".to_owned();
    }
    let mut text = "Queue depths are ready messages in Prometheus' samples, on one scale. A gap means missing samples; a queue that was \
                    always empty is not drawn."
        .to_owned();
    if sampled.queues.len() > QUEUES {
        text += &format!(" The {QUEUES} deepest of {} are drawn.", sampled.queues.len());
    }
    if sampled.adrift {
        text += " The offset of Prometheus' clock is not known, so its samples stand at its own times.";
    }
    text
}
