//! The load above the jobs on the timeline: jobs in flight and queue depths.

use super::{Axis, fitted};
use crate::figures::distribution::median_distance;
use crate::figures::load::Load;
use crate::html::scale::{Scale, count_label};
use crate::html::steps;
use crate::html::svg::{Anchor, Svg};
use crate::tools::render_report::sampled::{Queue, Sampled};

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
    if asked > 0 {
        svg.line("limit", (axis.left(), at_asked), (axis.right(), at_asked));
    }
    let peak = format!("peak {}", load.peak);
    if asked > 0 && asked != load.peak && (at_asked - at_peak).abs() >= 12.0 {
        svg.text("quiet", (axis.right() + 8.0, at_peak + 4.0), Anchor::Start, &axis.fits_right(&peak));
        svg.text(
            "quiet",
            (axis.right() + 8.0, at_asked + 4.0),
            Anchor::Start,
            &axis.fits_right(&format!("asked {asked}")),
        );
    } else {
        let both = if asked > 0 { format!("{peak} of {asked}") } else { peak };
        svg.text("quiet", (axis.right() + 8.0, at_peak + 4.0), Anchor::Start, &axis.fits_right(&both));
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

pub(super) fn highest_of(parts: &[steps::Stretch]) -> f64 {
    parts.iter().flatten().map(|point| point.1).fold(0.0, f64::max)
}

/// Draws the queue depths from `top` on, and returns where they end.
pub(super) fn queues(svg: &mut Svg, axis: &Axis, sampled: &Sampled, top: f64) -> f64 {
    let filled: Vec<(&Queue, Vec<steps::Stretch>, f64)> = sampled
        .queues
        .iter()
        .take(QUEUES)
        .map(|queue| {
            let parts = stretches_on_axis(&queue.samples, axis);
            let high = highest_of(&parts);
            (queue, parts, high)
        })
        .filter(|(_, _, high)| *high > 0.0)
        .collect();
    let highest = filled.iter().map(|(_, _, high)| *high).fold(0.0, f64::max);
    if filled.is_empty() {
        return top;
    }
    svg.text("strong", (0.0, top + 12.0), Anchor::Start, "Queue depth");
    let mut base = top + 20.0 + QUEUE - 4.0;
    for (queue, parts, high) in &filled {
        let y = Scale::new((0.0, highest), (base, base - QUEUE + 4.0));
        svg.titled(&format!("{}: at most {} messages ready", queue.name, count_label(*high)), |svg| {
            for part in parts {
                svg.shape("area", &steps::area(part, &axis.x, &y, base));
                svg.shape("step", &steps::path(part, &axis.x, &y));
            }
        });
        svg.line("grid", (axis.left(), base), (axis.right(), base));
        svg.text("", (0.0, base), Anchor::Start, &fitted(&queue.name, axis.left() - 8.0));
        svg.text("quiet", (axis.right() + 8.0, base), Anchor::Start, &format!("max {}", count_label(*high)));
        base += QUEUE;
    }
    base - QUEUE + 14.0
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
