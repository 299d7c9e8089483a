//! The mean duration of each stage by three sources, side by side; the GPU and the queues.

use maud::{Markup, html};

use super::row_chart::{RowChart, STAGES};
use crate::escape::start;
use crate::figures::stage_sources::{Mean, StageSources};
use crate::html::components::{legend, note};
use crate::html::svg::{PathData, Svg};
use crate::tools::render_report::scene::Scene;
use crate::tools::render_report::sections;
use crate::units;

/// Half the size of a mark.
const SIZE: f64 = 4.2;

/// The name and the colour of each source, and the height of its marks; each has a shape of its own as well.
const SOURCES: [(&str, &str, f64); 3] = [
    ("job documents (discs)", "dot-0", -6.0),
    ("spans (squares)", "dot-1", 0.0),
    ("histograms (triangles)", "dot-2", 6.0),
];

pub(super) fn section(scene: &Scene<'_>) -> Markup {
    let observed = &scene.evaluation.observed;
    let known = observed.stages.iter().filter(|stage| means(stage).iter().any(Option::is_some));
    let known: Vec<&StageSources> = known.take(STAGES).collect();
    let tables = scene.content(|content| {
        sections::durations(content, &observed.stages);
        sections::waits(content, &observed.stages);
        sections::counting(content, observed);
        sections::gpu(content, observed);
        sections::queues(content, observed);
        sections::metrics(content, &observed.metrics);
    });
    html! {
        @if known.is_empty() {
            p { "No source has stage durations." } "\n"
        } @else {
            (chart(&known))
        }
        (tables.to_html(3))
    }
}

fn means(stage: &StageSources) -> [Option<Mean>; 3] {
    [stage.documents, stage.spans, stage.histograms]
}

fn chart(stages: &[&StageSources]) -> Markup {
    let longest = stages.iter().flat_map(|stage| means(stage)).flatten().map(|mean| mean.seconds).fold(0.0, f64::max);
    let mut chart = RowChart::new(stages.len(), longest);
    for (index, stage) in stages.iter().enumerate() {
        let spread = stage.spread().map_or_else(
            || "one source".to_owned(),
            |spread| format!("differ by {} ({:.1} %)", units::seconds(spread.seconds), spread.ratio * 100.0),
        );
        let middle = chart.row(index, ("", &start(&stage.stage, 24)), ("quiet", &spread));
        let across = means(stage).into_iter().flatten().map(|mean| chart.x.at(mean.seconds));
        let (low, high) = across.fold((f64::MAX, f64::MIN), |(low, high), x| (low.min(x), high.max(x)));
        chart.svg.line("span", (low, middle), (high, middle));
        for (source, mean) in means(stage).iter().enumerate() {
            let Some(mean) = mean else { continue };
            let (name, class, shift) = SOURCES[source];
            let (stage, seconds) = (start(&stage.stage, 80), units::seconds(mean.seconds));
            let (at, count) = ((chart.x.at(mean.seconds), middle + shift), mean.count);
            chart.svg.titled(&format!("{stage}, {name}: {seconds} of {count}"), |svg| mark(svg, source, class, at));
        }
    }
    let furthest = stages.iter().filter_map(|stage| Some((stage, stage.spread()?)));
    let finding = furthest.max_by(|a, b| a.1.ratio.total_cmp(&b.1.ratio)).map_or_else(
        || "No stage has two sources.".to_owned(),
        |(it, spread)| format!("The sources differ most for {}: by {:.1} %.", it.stage, spread.ratio * 100.0),
    );
    html! {
        (note(&format!("Mean duration of each stage. {finding}")))
        (legend(&SOURCES.map(|(name, class, _)| (class.to_owned(), name.to_owned()))))
        (chart.svg.into_figure("stage-sources-chart", "Mean duration of each stage from three sources", &finding))
    }
}

fn mark(svg: &mut Svg, source: usize, class: &str, (x, y): (f64, f64)) {
    match source {
        0 => svg.circle(class, (x, y), SIZE),
        1 => svg.rect(class, (x - SIZE + 0.5, y - SIZE + 0.5), (2.0 * SIZE - 1.0, 2.0 * SIZE - 1.0)),
        _ => {
            let triangle = PathData::start((x, y - SIZE)).line_to((x - SIZE, y + SIZE)).line_to((x + SIZE, y + SIZE));
            svg.shape(class, &triangle.close());
        }
    }
}
