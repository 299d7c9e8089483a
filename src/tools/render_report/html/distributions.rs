//! Distributions: every job a point, end to end and in each stage.

use maud::{Markup, html};

use super::looks;
use super::row_chart::{ROW, RowChart, STAGES};
use crate::escape::start;
use crate::figures::distribution::{Distribution, Measured, Statistic};
use crate::figures::outcome::Outcome;
use crate::figures::stage_times::StageTimes;
use crate::html::components::note;
use crate::tools::render_report::criteria::Limits;
use crate::tools::render_report::scene::Scene;
use crate::tools::render_report::sections;
use crate::units;

/// The number of points of one row; of more samples, so many at even ranks are drawn.
const POINTS: usize = 120;
/// The longest job name, in characters, that pointing at its point shows.
const NAME: usize = 80;
const RADIUS: f64 = 3.2;

/// The wait or the work.
type Part = fn(&StageTimes) -> Option<Measured>;

/// One row: the samples with the names of their jobs, and their distribution.
struct Row<'a> {
    label: String,
    class: String,
    /// Those that are drawn.
    samples: Vec<(&'a str, Measured)>,
    distribution: Distribution,
}

pub(super) fn section(scene: &Scene<'_>) -> Markup {
    let figures = &scene.evaluation.figures;
    let limits = Limits::new(&scene.evaluation.report.status.criteria);
    let end_to_end = end_to_end(scene);
    let stages = stage_rows(scene);
    if end_to_end.is_none() && stages.is_empty() {
        return html! {};
    }
    let samples = end_to_end.iter().chain(&stages).map(|row| row.distribution.count).max().unwrap_or_default();
    let drawn = if samples > POINTS {
        format!(
            "of more than {POINTS} samples, {POINTS} are drawn, evenly spaced by rank, including the smallest and the largest"
        )
    } else {
        "every sample is a point".to_owned()
    };
    html! {
        (scene.content(|content| sections::end_to_end(content, figures, &limits)).to_html(3))
        @if let Some(row) = end_to_end { (end_to_end_chart(row, &limits)) }
        @if !stages.is_empty() { h3 { "Waiting and work, stage by stage" } "\n" (stages_chart(&stages)) }
        (note(&format!("The line across a row is its median; {drawn}. Figures include all samples.")))
        (scene.content(|content| sections::stages(content, figures, &limits)).to_html(3))
    }
}

fn end_to_end<'a>(scene: &Scene<'a>) -> Option<Row<'a>> {
    let figures = &scene.evaluation.figures;
    let succeeded = figures.tally.with(Outcome::Succeeded);
    let samples = succeeded.filter_map(|entry| Some((entry.name.as_str(), entry.times.end_to_end?)));
    let (label, class) = ("end to end".to_owned(), "dot".to_owned());
    Some(Row { label, class, samples: thinned(samples.collect()), distribution: figures.end_to_end? })
}

fn end_to_end_chart(row: Row<'_>, limits: &Limits) -> Markup {
    let Distribution { count, p50, max, .. } = row.distribution;
    let finding = format!(
        "End to end of {count} jobs that succeeded: median {}, max {}.",
        limits.end_to_end(Statistic::P50, p50),
        limits.end_to_end(Statistic::Max, max)
    );
    chart(&[row], "end-to-end-chart", "End to end", &finding)
}

fn stages_chart(rows: &[Row<'_>]) -> Markup {
    let longest = rows.iter().max_by(|a, b| a.distribution.max.seconds.total_cmp(&b.distribution.max.seconds));
    let finding = longest.map_or_else(String::new, |row| {
        format!("The longest of all was {} with {}.", row.label, units::seconds(row.distribution.max.seconds))
    });
    chart(rows, "stages-chart", "Waiting and work, stage by stage", &finding)
}

fn stage_rows<'a>(scene: &Scene<'a>) -> Vec<Row<'a>> {
    let figures = &scene.evaluation.figures;
    let mut rows = Vec::new();
    for stage in figures.stages.iter().take(STAGES) {
        let times = || {
            figures.tally.entries.iter().flat_map(|entry| {
                let in_stage = entry.stages().iter().filter(|held| *held.name == *stage.name);
                in_stage.map(|held| (entry.name.as_str(), &held.times))
            })
        };
        let look = looks::look(scene, &stage.name);
        let name = start(&stage.name, 18);
        let parts: [(&str, Option<Distribution>, Part, &str); 2] =
            [("wait", stage.wait, |times| times.wait(), "ring"), ("work", stage.work, |times| times.work(), "disc")];
        for (what, distribution, part, shape) in parts {
            if let Some(distribution) = distribution {
                let samples = thinned(times().filter_map(|(job, times)| Some((job, part(times)?))).collect());
                let (label, class) = (format!("{name} {what}"), looks::point(shape, look));
                rows.push(Row { label, class, samples, distribution });
            }
        }
    }
    rows
}

/// At most so many of the samples, at even ranks, in the order of their values.
fn thinned(mut sorted: Vec<(&str, Measured)>) -> Vec<(&str, Measured)> {
    sorted.sort_unstable_by(|a, b| a.1.seconds.total_cmp(&b.1.seconds).then_with(|| a.0.cmp(b.0)));
    if sorted.len() <= POINTS {
        return sorted;
    }
    (0..POINTS).map(|rank| sorted[rank * (sorted.len() - 1) / (POINTS - 1)]).collect()
}

fn chart(rows: &[Row<'_>], id: &str, title: &str, finding: &str) -> Markup {
    let longest = rows.iter().map(|row| row.distribution.max.seconds).fold(0.0, f64::max);
    let mut chart = RowChart::new(rows.len(), longest);
    for (index, row) in rows.iter().enumerate() {
        let p50 = row.distribution.p50.seconds;
        let median = format!("median {}", units::seconds(p50));
        let middle = chart.row(index, ("", &row.label), ("quiet", &median));
        // Points that would hide each other are moved apart, up and down in turn.
        let mut before = [f64::NEG_INFINITY; 3];
        for (job, sample) in &row.samples {
            let x = chart.x.at(sample.seconds);
            let level = before.iter().position(|held| x - held >= 2.0 * RADIUS).unwrap_or(2);
            before[level] = x;
            let y = middle + [0.0, -6.0, 6.0][level];
            chart.svg.titled(&format!("{}: {}", start(job, NAME), sample.text()), |svg| {
                svg.circle(&row.class, (x, y), RADIUS);
            });
        }
        let x = chart.x.at(p50);
        chart.svg.line("median", (x, middle - ROW / 2.0 + 3.0), (x, middle + ROW / 2.0 - 3.0));
    }
    chart.svg.into_figure(id, title, finding)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_samples_the_ends_stay() {
        let names: Vec<String> = (0..5000).map(|index| format!("j{index}")).collect();
        let samples: Vec<(&str, Measured)> = names
            .iter()
            .enumerate()
            .map(|(index, name)| (name.as_str(), Measured::exact((index * 7919 % 5000) as f64)))
            .collect();
        let kept = thinned(samples.clone());
        assert_eq!((kept.len(), kept[0].1.seconds, kept[POINTS - 1].1.seconds), (POINTS, 0.0, 4999.0));
        assert_eq!(thinned(samples[..5].to_vec()).len(), 5);
    }
}
