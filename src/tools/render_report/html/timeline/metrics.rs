//! The queries that the profile wants drawn, on the timeline's axis: a band for each line, on the query's own scale.

use super::Axis;
use super::load::{Band, bands, stretches_on_axis};
use crate::escape;
use crate::html::svg::Svg;
use crate::quantity;
use crate::tools::render_report::observed::{Line, Metric};

/// Height of a band.
const BAND: f64 = 24.0;
/// The number of queries, and of lines of each, that are drawn.
const QUERIES: usize = 12;
const LINES: usize = 6;

/// Draws the queries from `top` on, and returns where they end.
pub(super) fn draw<'a>(svg: &mut Svg, axis: &Axis, metrics: &'a [Metric], top: f64) -> f64 {
    metrics.iter().filter(|metric| metric.draw).take(QUERIES).fold(top, |y, metric| {
        let (name, unit) = (&metric.name, metric.unit.as_deref());
        let band = |line: &'a Line| {
            let [min, max] = [line.min, line.max].map(|value| quantity::text(value, unit));
            let title = format!("{name} {}: {min} to {max}", line.name);
            Band { name: &line.name, title, max, parts: stretches_on_axis(&line.samples, axis) }
        };
        let lines: Vec<Band<'_>> = metric.lines.iter().take(LINES).map(band).collect();
        let heading = unit.map_or_else(|| name.clone(), |unit| format!("{name}, {unit}"));
        bands(svg, axis, (&heading, BAND), &lines, y)
    })
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
