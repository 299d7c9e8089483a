//! How long stages took by three witnesses, side by side; who held the GPU, and how deep the queues were.

use super::Scene;
use crate::escape;
use crate::figures::stage_sources::{Mean, StageSources};
use crate::html::block;
use crate::html::scale::{Scale, time_label, time_ticks};
use crate::html::svg::{Anchor, Svg, number};
use crate::tools::render_report::page::{self, Page};
use crate::units;

/// How many stages are drawn.
const STAGES: usize = 40;
const WIDTH: f64 = 1140.0;
const LEFT: f64 = 150.0;
const RIGHT: f64 = 960.0;
const ROW: f64 = 28.0;
const SIZE: f64 = 4.2;

/// What a witness is called, and its colour; each has a shape and a height of its own as well.
const WITNESSES: [(&str, &str, f64); 3] = [
    ("job documents (discs)", "dot-0", -6.0),
    ("spans (squares)", "dot-1", 0.0),
    ("histograms (triangles)", "dot-2", 6.0),
];

pub(super) fn section(scene: &Scene<'_>) -> String {
    let told: Vec<&StageSources> = scene
        .observed
        .stages
        .iter()
        .filter(|one| one.documents.or(one.spans).or(one.histograms).is_some())
        .take(STAGES)
        .collect();
    let mut text = String::new();
    if told.is_empty() {
        text.push_str("<p>No witness tells how long stages took.</p>\n");
    } else {
        text += &drawn(&told);
    }
    let mut sheet = Page::new(scene.pen());
    page::durations(&mut sheet, &scene.observed.stages);
    page::waits(&mut sheet, &scene.observed.stages);
    page::counting(&mut sheet, scene.observed);
    page::gpu(&mut sheet, scene.observed);
    page::queues(&mut sheet, scene.observed);
    text + &sheet.into_text()
}

fn of(one: &StageSources) -> [Option<Mean>; 3] {
    [one.documents, one.spans, one.histograms]
}

fn drawn(told: &[&StageSources]) -> String {
    let longest = told.iter().flat_map(|one| of(one)).flatten().map(|mean| mean.seconds).fold(0.0, f64::max);
    let x = Scale::new((0.0, longest), (LEFT, RIGHT));
    let bottom = told.len() as f64 * ROW + 4.0;
    let mut svg = Svg::new(WIDTH, bottom + 22.0);
    svg.axis(&x, &time_ticks(0.0, longest, 9), (0.0, bottom), time_label);
    for (index, one) in told.iter().enumerate() {
        let middle = index as f64 * ROW + ROW / 2.0 + 2.0;
        svg.text("", (0.0, middle + 4.0), Anchor::Start, &escape::start(&one.stage, 20));
        let means: Vec<f64> = of(one).iter().flatten().map(|mean| x.at(mean.seconds)).collect();
        let (low, high) =
            (means.iter().copied().fold(f64::MAX, f64::min), means.iter().copied().fold(f64::MIN, f64::max));
        svg.line("span", (low, middle), (high, middle));
        for (place, mean) in of(one).iter().enumerate() {
            let Some(mean) = mean else { continue };
            let (who, class, shift) = WITNESSES[place];
            let title =
                format!("{}, {who}: {} of {}", escape::start(&one.stage, 80), units::seconds(mean.seconds), mean.count);
            svg.titled(&title, |svg| mark(svg, place, class, (x.at(mean.seconds), middle + shift)));
        }
        let told = one.spread().map_or_else(
            || "one witness".to_owned(),
            |spread| format!("apart by {} ({:.1} %)", units::seconds(spread.seconds), spread.ratio * 100.0),
        );
        svg.text("quiet", (RIGHT + 14.0, middle + 4.0), Anchor::Start, &told);
    }
    let furthest =
        told.iter().filter_map(|one| Some((one, one.spread()?))).max_by(|a, b| a.1.ratio.total_cmp(&b.1.ratio));
    let finding = furthest.map_or_else(
        || "No stage has two witnesses.".to_owned(),
        |(one, spread)| format!("The witnesses are furthest apart at {}: by {:.1} %.", one.stage, spread.ratio * 100.0),
    );
    let legend: Vec<(String, String)> =
        WITNESSES.iter().map(|(who, class, _)| ((*class).to_owned(), (*who).to_owned())).collect();
    format!(
        "<p class=\"note\">Mean duration of each stage. {}</p>\n{}{}",
        escape::html(&finding),
        block::legend(&legend),
        svg.figure("witness-chart", "Mean duration of each stage by three witnesses", &finding)
    )
}

fn mark(svg: &mut Svg, place: usize, class: &str, (x, y): (f64, f64)) {
    match place {
        0 => svg.circle(class, (x, y), SIZE),
        1 => svg.rect(class, (x - SIZE + 0.5, y - SIZE + 0.5), (2.0 * SIZE - 1.0, 2.0 * SIZE - 1.0)),
        _ => {
            let d = format!(
                "M{} {}l{} {}h{}Z",
                number(x),
                number(y - SIZE),
                number(-SIZE),
                number(2.0 * SIZE),
                number(2.0 * SIZE)
            );
            svg.path(class, &d);
        }
    }
}
