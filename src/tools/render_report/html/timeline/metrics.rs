//! The queries that the profile wants drawn, on the timeline's axis: a band for each line, on the query's own scale.

use super::load::{highest_of, stretches_on_axis};
use super::{Axis, fitted};
use crate::escape;
use crate::html::scale::Scale;
use crate::html::steps;
use crate::html::svg::{Anchor, Svg};
use crate::quantity;
use crate::tools::render_report::observed::{Line, Metric};

/// Height of a band.
const BAND: f64 = 24.0;
/// The number of queries, and of lines of each, that are drawn.
const QUERIES: usize = 12;
const LINES: usize = 6;

/// The drawn queries.
fn drawn(metrics: &[Metric]) -> impl Iterator<Item = &Metric> {
    metrics.iter().filter(|metric| metric.draw).take(QUERIES)
}

/// Draws the queries from `top` on, and returns where they end.
pub(super) fn draw(svg: &mut Svg, axis: &Axis, metrics: &[Metric], top: f64) -> f64 {
    let mut y = top;
    for metric in drawn(metrics) {
        let lines: Vec<(&Line, Vec<steps::Stretch>)> =
            metric.lines.iter().take(LINES).map(|line| (line, stretches_on_axis(&line.samples, axis))).collect();
        let highest = lines.iter().map(|(_, parts)| highest_of(parts)).fold(0.0, f64::max);
        let heading = match &metric.unit {
            Some(unit) => format!("{}, {unit}", metric.name),
            None => metric.name.clone(),
        };
        svg.text("strong", (0.0, y + 12.0), Anchor::Start, &fitted(&heading, axis.right()));
        let mut base = y + 20.0 + BAND - 4.0;
        for (line, parts) in &lines {
            // A scale without a length would divide by zero, and values below zero have no area.
            let scale = Scale::new((0.0, highest.max(f64::MIN_POSITIVE)), (base, base - BAND + 4.0));
            let max = quantity::text(line.max, metric.unit.as_deref());
            let title =
                format!("{} {}: {} to {max}", metric.name, line.name, quantity::text(line.min, metric.unit.as_deref()));
            svg.titled(&escape::start(&title, 200), |svg| {
                for part in parts {
                    let above: steps::Stretch = part.iter().map(|(at, value)| (*at, value.max(0.0))).collect();
                    svg.shape("area", &steps::area(&above, &axis.x, &scale, base));
                    svg.shape("step", &steps::path(&above, &axis.x, &scale));
                }
            });
            svg.line("grid", (axis.left(), base), (axis.right(), base));
            svg.text("", (0.0, base), Anchor::Start, &fitted(&line.name, axis.left() - 8.0));
            svg.text("quiet", (axis.right() + 8.0, base), Anchor::Start, &axis.fits_right(&format!("max {max}")));
            base += BAND;
        }
        y = base - BAND + 14.0;
    }
    y
}

/// The note on the drawn queries; none if there are none.
pub(super) fn note(metrics: &[Metric]) -> Option<String> {
    let all: Vec<&Metric> = metrics.iter().filter(|metric| metric.draw).collect();
    let first = all.first()?;
    let mut text = "Each metric has its own scale, from zero.".to_owned();
    if all.iter().any(|metric| metric.is_counter) {
        text += " Counters show their growth per second between two samples.";
    }
    if all.len() > QUERIES {
        text += &format!(" The first {QUERIES} of {} metrics are drawn.", all.len());
    }
    if let Some(many) = all.iter().find(|metric| metric.lines.len() > LINES) {
        let lines = many.lines.len() + many.left_out;
        text += &format!(
            " The {LINES} highest lines of a metric are drawn; {} has {lines}.",
            escape::start(&many.name, 80)
        );
    }
    if !first.is_scraped {
        text += " Values stand at the steps of the query, not at the times of the scrapes.";
    }
    Some(text)
}
