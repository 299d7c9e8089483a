//! What surrounds the jobs on the timeline: how many were in flight, how deep the queues were, who held the GPU.

use super::{Axis, LEFT, RIGHT, fitted};
use crate::escape;
use crate::figures::load::Load;
use crate::html::scale::{Scale, count_label};
use crate::html::steps;
use crate::html::svg::{Anchor, Svg};
use crate::record::{ClockOffset, Tenancy, Timestamp};
use crate::tools::render_report::observed::{Holds, Observed};
use crate::tools::render_report::sampled::{Passing, Queue, Sampled};
use crate::units;

/// Heights of the parts.
const FLIGHT: f64 = 48.0;
const QUEUE: f64 = 20.0;
const LANE: f64 = 18.0;
/// How many queues, GPU lanes, tenancies and passings are drawn.
const QUEUES: usize = 12;
const LANES: usize = 4;
const TENANCIES: usize = 400;
/// How many colours there are for tenants.
const TENANTS: usize = 4;
/// Samples further apart than this many usual distances have a gap between them.
const GAP: f64 = 3.0;

/// Each of these draws from `top` on and gives where it ended.
pub(super) fn in_flight(svg: &mut Svg, axis: &Axis, load: &Load, top: f64) -> f64 {
    let asked = load.asked.concurrency.unwrap_or_default();
    let high = load.peak.max(asked).max(1) as f64;
    let (y0, y1) = (top + 20.0 + FLIGHT, top + 20.0);
    svg.text("strong", (0.0, top + 12.0), Anchor::Start, "Jobs in flight");
    let y = Scale::new((0.0, high), (y0, y1));
    let levels: Vec<(f64, f64)> = load.levels.iter().map(|(at, level)| (axis.seconds(*at), *level as f64)).collect();
    let levels = steps::clipped(&levels, axis.x.ends());
    svg.path("area", &steps::area(&levels, &axis.x, &y, y0));
    svg.path("step", &steps::path(&levels, &axis.x, &y));
    svg.line("base", (LEFT, y0), (RIGHT, y0));
    svg.text("tick", (LEFT - 8.0, y0 + 4.0), Anchor::End, "0");
    svg.text("tick", (LEFT - 8.0, y1 + 4.0), Anchor::End, &count_label(high));
    let (at_peak, at_asked) = (y.at(load.peak as f64), y.at(asked as f64));
    if asked > 0 {
        svg.line("limit", (LEFT, at_asked), (RIGHT, at_asked));
    }
    let peak = format!("peak {}", load.peak);
    if asked > 0 && asked != load.peak && (at_asked - at_peak).abs() >= 12.0 {
        svg.text("quiet", (RIGHT + 8.0, at_peak + 4.0), Anchor::Start, &peak);
        svg.text("quiet", (RIGHT + 8.0, at_asked + 4.0), Anchor::Start, &format!("asked {asked}"));
    } else {
        let both = if asked > 0 { format!("{peak} of {asked}") } else { peak };
        svg.text("quiet", (RIGHT + 8.0, at_peak + 4.0), Anchor::Start, &both);
    }
    y0 + 14.0
}

/// The samples of a queue as far as they lie on the axis, in stretches without gaps.
fn drawn(queue: &Queue, axis: &Axis) -> Vec<steps::Stretch> {
    let zero = axis.zero.seconds();
    let samples: Vec<(f64, f64)> = queue.samples.iter().map(|(at, value)| (at - zero, *value)).collect();
    let mut distances: Vec<f64> = samples.windows(2).map(|pair| pair[1].0 - pair[0].0).collect();
    distances.sort_by(f64::total_cmp);
    let usual = distances.get(distances.len() / 2).copied().unwrap_or_default();
    let parts = steps::stretches(&samples, usual * GAP);
    parts.iter().map(|part| steps::clipped(part, axis.x.ends())).filter(|part| !part.is_empty()).collect()
}

fn top_of(parts: &[steps::Stretch]) -> f64 {
    parts.iter().flatten().map(|point| point.1).fold(0.0, f64::max)
}

pub(super) fn queues(svg: &mut Svg, axis: &Axis, sampled: &Sampled, top: f64) -> f64 {
    let filled: Vec<(&Queue, Vec<steps::Stretch>, f64)> = sampled
        .queues
        .iter()
        .take(QUEUES)
        .map(|queue| {
            let parts = drawn(queue, axis);
            let high = top_of(&parts);
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
                svg.path("area", &steps::area(part, &axis.x, &y, base));
                svg.path("step", &steps::path(part, &axis.x, &y));
            }
        });
        svg.line("grid", (LEFT, base), (RIGHT, base));
        svg.text("", (0.0, base), Anchor::Start, &fitted(&queue.name, LEFT - 8.0));
        svg.text("quiet", (RIGHT + 8.0, base), Anchor::Start, &format!("max {}", count_label(*high)));
        base += QUEUE;
    }
    base - QUEUE + 14.0
}

/// What the lines of the queues rest on.
pub(super) fn queue_note(sampled: &Sampled) -> String {
    if sampled.queues.is_empty() {
        return "How deep the queues were was not captured.".to_owned();
    }
    let mut text = "Queue depths are messages ready, as Prometheus sampled them, all on one scale; where samples are missing there \
                    is a gap, and a queue that was empty at each sample is not drawn."
        .to_owned();
    if sampled.queues.len() > QUEUES {
        text += &format!(" The {QUEUES} deepest of {} are drawn.", sampled.queues.len());
    }
    if sampled.adrift {
        text += " How far Prometheus' clock is from the harness's is not known: its samples stand where its own clock says.";
    }
    text
}

pub(super) fn gpu(svg: &mut Svg, axis: &Axis, observed: &Observed, offset: Option<ClockOffset>, top: f64) -> f64 {
    let lanes: Vec<&Holds> = observed.holds.iter().take(LANES).collect();
    let by_spans = offset.filter(|_| !lanes.is_empty());
    let passings = &observed.sampled.passings;
    if by_spans.is_none() && passings.is_empty() {
        return top;
    }
    svg.text("strong", (0.0, top + 12.0), Anchor::Start, "GPU");
    let mut y = top + 18.0;
    if let Some(offset) = by_spans {
        let mut tenants: Vec<Option<String>> = Vec::new();
        for holds in lanes {
            svg.text("", (0.0, y + 13.0), Anchor::Start, &fitted(&holds.service, LEFT - 8.0));
            lane(svg, axis, holds, offset, &mut tenants, y);
            y += LANE + 4.0;
        }
    } else {
        svg.text("", (0.0, y + 13.0), Anchor::Start, "transitions");
        for passing in passings.iter().take(TENANCIES) {
            passed(svg, axis, passing, y);
        }
        y += LANE + 4.0;
    }
    y + 4.0
}

fn lane(svg: &mut Svg, axis: &Axis, holds: &Holds, offset: ClockOffset, tenants: &mut Vec<Option<String>>, y: f64) {
    let here = |at: Timestamp| axis.seconds(at.shifted(-offset.seconds));
    let between = |svg: &mut Svg, class: &str, from: f64, to: f64, title: &str, label: &str| {
        let (low, high) = axis.x.ends();
        if to <= low || from >= high || to <= from {
            return;
        }
        let (from, to) = (axis.x.at(from), axis.x.at(to));
        svg.titled(title, |svg| {
            svg.rect(class, (from, y), (to - from, LANE));
            if to - from > label.chars().count() as f64 * 6.2 + 6.0 {
                let text = match class {
                    class if class.ends_with("faint") => "pale",
                    class if class.starts_with("tenant") => "inside",
                    _ => "tick",
                };
                svg.text(text, (from + 4.0, y + 12.5), Anchor::Start, label);
            }
        });
    };
    let shown: &[Tenancy] = &holds.tenancies[..holds.tenancies.len().min(TENANCIES)];
    let Some(first) = shown.first() else { return };
    between(svg, "unknown", 0.0, here(first.acquiring_at), "who held it before is not known", "not known");
    for (index, one) in shown.iter().enumerate() {
        let name = one.tenant.as_deref().map_or_else(|| "unnamed".to_owned(), |tenant| escape::start(tenant, 40));
        let place = tenants.iter().position(|held| *held == one.tenant).unwrap_or_else(|| {
            tenants.push(one.tenant.clone());
            tenants.len() - 1
        });
        let class = format!("tenant-{}", place % TENANTS);
        let (from, held) = (here(one.acquiring_at), here(one.held_at));
        let next = shown.get(index + 1).map_or(axis.length(), |next| here(next.acquiring_at));
        let certain = one.released_at.map_or_else(|| here(one.seen_at), here).min(next.max(held));
        between(svg, "wait-plain", from, held, &format!("passing to {name}: {}", units::seconds(held - from)), "");
        between(svg, &class, held, certain, &format!("{name} for {}", units::seconds(certain - held)), &name);
        if one.released_at.is_none() {
            let title = format!("{name}, as far as is known: no span tells when it let go");
            between(svg, &format!("{class} faint"), certain.max(held), next, &title, &format!("{name}?"));
        }
    }
    if holds.tenancies.len() > TENANCIES || holds.left_out > 0 {
        let last = shown.last().map_or(0.0, |last| here(last.seen_at));
        between(svg, "unknown", last, axis.length(), "not drawn any more", "not drawn");
    }
}

fn passed(svg: &mut Svg, axis: &Axis, passing: &Passing, y: f64) {
    let zero = axis.zero.seconds();
    let (after, until) = (passing.after - zero, passing.until - zero);
    let (low, high) = axis.x.ends();
    if until < low || after > high {
        return;
    }
    let (from, to) = (axis.x.at(after), axis.x.at(until));
    let title = format!("{} between two samples, {} apart", passing.way, units::seconds(until - after));
    svg.titled(&title, |svg| svg.rect("unknown", (from, y), (to - from, LANE)));
}

/// What the lane of the GPU rests on.
pub(super) fn gpu_note(observed: &Observed, offset: Option<ClockOffset>) -> String {
    let by_samples = !observed.sampled.passings.is_empty();
    let left_out: u64 = observed.holds.iter().map(|holds| holds.left_out).sum();
    let drawn = observed.holds.iter().map(|holds| holds.tenancies.len().min(TENANCIES) as u64).sum::<u64>();
    let all = observed.holds.iter().map(|holds| holds.tenancies.len() as u64).sum::<u64>() + left_out;
    match (observed.holds.is_empty(), offset, by_samples) {
        (false, Some(_), _) if drawn < all => {
            format!("The GPU's tenants are drawn from spans; hatched while it passes. The first {drawn} of {all} are drawn.")
        }
        (false, Some(_), _) => {
            "The GPU's tenants are drawn from spans; hatched while it passes, pale where no span tells when a tenant let go."
                .to_owned()
        }
        (_, _, true) => "No spans tell who held the GPU that could be drawn here. Each dashed box lies between two samples of the \
                         transitions counter: somewhere in it the GPU passed on."
            .to_owned(),
        _ => "Who held the GPU over time is not known: neither spans nor samples of transitions tell.".to_owned(),
    }
}
