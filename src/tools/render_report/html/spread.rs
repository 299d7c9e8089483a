//! Distributions: every job a point, end to end and at each stage.

use std::fmt::Write;

use super::Scene;
use super::marks;
use crate::escape;
use crate::figures::distribution::{Distribution, Measured};
use crate::figures::outcome::Outcome;
use crate::figures::stages::StageTimes;
use crate::html::scale::{Scale, time_label, time_ticks};
use crate::html::svg::{Anchor, Svg};
use crate::tools::render_report::page::{self, Page};
use crate::units;

/// How many points of one row are drawn; of more, so many at even ranks, the smallest and the largest among them.
const POINTS: usize = 120;
/// How many characters of a job's name pointing at its point shows.
const NAME: usize = 80;
/// How many stages are drawn.
const STAGES: usize = 40;
const WIDTH: f64 = 1140.0;
const LEFT: f64 = 190.0;
const RIGHT: f64 = 1000.0;
const ROW: f64 = 26.0;
const RADIUS: f64 = 3.2;

/// The wait or the work.
type Part = fn(&StageTimes) -> Option<Measured>;

/// One row: the samples with the names of their jobs, and their figures.
struct Strip<'a> {
    label: String,
    class: String,
    samples: Vec<(&'a str, Measured)>,
    of: Distribution,
}

pub(super) fn section(scene: &Scene<'_>) -> String {
    let mut text = String::new();
    if let Some(whole) = end_to_end(scene) {
        let finding = format!(
            "End to end of {} jobs that succeeded: median {}, max {}.",
            whole.of.count,
            whole.of.p50.text(),
            whole.of.max.text()
        );
        text += &drawn(&[whole], "end-to-end-chart", "End to end", &finding);
    }
    let stages = of_stages(scene);
    if !stages.is_empty() {
        let widest = stages.iter().max_by(|one, other| one.of.max.seconds.total_cmp(&other.of.max.seconds));
        let finding = widest.map_or_else(String::new, |strip| {
            format!("The longest of all was {} with {}.", strip.label, units::seconds(strip.of.max.seconds))
        });
        text.push_str("<h3>Waiting and work, stage by stage</h3>\n");
        text += &drawn(&stages, "stages-chart", "Waiting and work, stage by stage", &finding);
    }
    if text.is_empty() {
        return text;
    }
    let most =
        stages.iter().map(|strip| strip.samples.len()).max().unwrap_or_default().max(scene.figures.tally.entries.len());
    let shown = if most > POINTS {
        format!(
            "of more than {POINTS} samples {POINTS} at even ranks are drawn, the smallest and the largest among them"
        )
    } else {
        "every sample is a point".to_owned()
    };
    let _ = writeln!(
        text,
        "<p class=\"note\">The line across a row is its median; {shown}. The figures are made of all.</p>"
    );
    let mut sheet = Page::new(scene.pen());
    page::stages(&mut sheet, scene.figures);
    text + &sheet.into_text()
}

fn end_to_end<'a>(scene: &Scene<'a>) -> Option<Strip<'a>> {
    let succeeded = scene.figures.tally.with(Outcome::Succeeded);
    let samples = succeeded.filter_map(|entry| Some((entry.name.as_str(), entry.times.end_to_end?)));
    let (label, class) = ("end to end".to_owned(), "dot".to_owned());
    Some(Strip { label, class, samples: samples.collect(), of: scene.figures.end_to_end? })
}

fn of_stages<'a>(scene: &Scene<'a>) -> Vec<Strip<'a>> {
    let tally = &scene.figures.tally;
    let mut strips = Vec::new();
    for stage in scene.figures.stages.iter().take(STAGES) {
        let mut times: Vec<(&str, StageTimes)> = Vec::new();
        for entry in &tally.entries {
            let of_stage = entry.stages().filter(|(held, _)| held.name == stage.name);
            times.extend(of_stage.map(|(_, times)| (entry.name.as_str(), *times)));
        }
        let look = marks::look(scene, &stage.name);
        let name = escape::start(&stage.name, 18);
        let parts: [(&str, Option<Distribution>, Part, &str); 2] =
            [("wait", stage.wait, |times| times.wait, "ring"), ("work", stage.work, |times| times.work, "disc")];
        for (what, of, part, shape) in parts {
            if let Some(of) = of {
                let samples = times.iter().filter_map(|(job, times)| Some((*job, part(times)?))).collect();
                strips.push(Strip { label: format!("{name} {what}"), class: marks::point(shape, look), samples, of });
            }
        }
    }
    strips
}

/// At most so many of the samples, at even ranks, in the order of their values.
fn thinned<'a>(samples: &[(&'a str, Measured)]) -> Vec<(&'a str, Measured)> {
    let mut sorted = samples.to_vec();
    sorted.sort_by(|one, other| one.1.seconds.total_cmp(&other.1.seconds).then_with(|| one.0.cmp(other.0)));
    if sorted.len() <= POINTS {
        return sorted;
    }
    (0..POINTS).map(|place| sorted[place * (sorted.len() - 1) / (POINTS - 1)]).collect()
}

fn drawn(strips: &[Strip<'_>], id: &str, title: &str, finding: &str) -> String {
    let longest = strips.iter().map(|strip| strip.of.max.seconds).fold(0.0, f64::max);
    let x = Scale::new((0.0, longest), (LEFT, RIGHT));
    let bottom = strips.len() as f64 * ROW + 6.0;
    let mut svg = Svg::new(WIDTH, bottom + 22.0);
    svg.axis(&x, &time_ticks(0.0, longest, 9), (0.0, bottom), time_label);
    for (index, strip) in strips.iter().enumerate() {
        let middle = index as f64 * ROW + ROW / 2.0 + 3.0;
        svg.text("", (0.0, middle + 4.0), Anchor::Start, &strip.label);
        // Points that would hide each other are moved apart, up and down in turn.
        let mut before = [f64::NEG_INFINITY; 3];
        for (job, sample) in thinned(&strip.samples) {
            let at = x.at(sample.seconds);
            let level = before.iter().position(|held| at - held >= 2.0 * RADIUS).unwrap_or(2);
            before[level] = at;
            let y = middle + [0.0, -6.0, 6.0][level];
            svg.titled(&format!("{}: {}", escape::start(job, NAME), sample.text()), |svg| {
                svg.circle(&strip.class, (at, y), RADIUS);
            });
        }
        let median = x.at(strip.of.p50.seconds);
        svg.line("median", (median, middle - ROW / 2.0 + 3.0), (median, middle + ROW / 2.0 - 3.0));
        let told = format!("median {}", units::seconds(strip.of.p50.seconds));
        svg.text("quiet", (RIGHT + 14.0, middle + 4.0), Anchor::Start, &told);
    }
    svg.figure(id, title, finding)
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
        let kept = thinned(&samples);
        assert_eq!((kept.len(), kept[0].1.seconds, kept[POINTS - 1].1.seconds), (POINTS, 0.0, 4999.0));
        assert_eq!(thinned(&samples[..5]).len(), 5);
    }
}
