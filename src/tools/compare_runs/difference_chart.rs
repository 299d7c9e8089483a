//! The chart of all differences in per cent of the reference, each with its interval: panels of one scale, no wider than a
//! phone. A row's name and claim stand above its line.

use maud::{Markup, html};

use super::judge::signed_percent;
use super::sections::floor_to_tenth;
use crate::escape;
use crate::figures::names::{Subject, subject};
use crate::html::components::{note, panels};
use crate::html::scale::{Scale, ticks};
use crate::html::svg::{Anchor, PathData, Svg};
use crate::markup::capitalize;
use crate::record::{Against, Claim, ComparisonStatus, Difference, Row};

/// The most rows that are drawn: stages and queues are the target's, and may be many.
const ROWS: usize = 60;
/// The number of characters of a row's name that are shown.
const NAME: usize = 48;
const WIDTH: f64 = 360.0;
const LEFT: f64 = 10.0;
const RIGHT: f64 = 350.0;
const ROW: f64 = 52.0;
/// The panels: their titles and the subjects of their rows. They are about as long as each other.
const PANELS: [(&str, Subject); 3] = [
    ("jobs, GPU and queues", Subject::Whole),
    ("work in stages", Subject::Work),
    ("waiting for stages", Subject::Wait),
];
/// The least and the most that the axis spans, as shares of the reference. An arrow stands for a value beyond.
const LEAST: f64 = 0.05;
const ENDS: (f64, f64) = (-1.0, 2.0);

/// One row of the chart, in shares of the reference.
struct ChartRow<'a> {
    row: &'a Row,
    found: Option<&'a Difference>,
    difference: Option<f64>,
    interval: Option<(f64, f64)>,
}

impl<'a> ChartRow<'a> {
    fn new(row: &'a Row, setting: &str) -> Self {
        let found = row.difference(setting);
        let reference = row.cells.first().and_then(|cell| cell.mean).filter(|mean| *mean > 0.0);
        let share = |value: f64| reference.map(|reference| value / reference);
        Self {
            row,
            found,
            difference: found.and_then(|found| share(found.difference)),
            interval: found.and_then(|found| found.test).and_then(|test| share(test.low).zip(share(test.high))),
        }
    }

    fn claim(&self) -> Option<Claim> {
        self.found.and_then(|found| found.claim)
    }

    /// The text below the name.
    fn text(&self) -> String {
        if self.found.is_none() {
            return "– not known".to_owned();
        }
        let change = self.difference.map_or_else(|| "from 0".to_owned(), signed_percent);
        match self.claim() {
            Some(Claim::Better) => format!("✓ better {change}"),
            Some(Claim::Worse) => format!("✕ worse {change}"),
            Some(Claim::NoDifference) => format!("no difference shown: {change}"),
            None => format!("{change}, not claimed"),
        }
    }
}

pub(super) fn section(status: &ComparisonStatus) -> Markup {
    let reference = status.settings.first().map(|setting| setting.name.as_str()).unwrap_or_default();
    html! {
        p { "Each row is the difference from " (reference) " in per cent. Lower is better, except for jobs per minute." }
        @for (index, against) in status.against.iter().enumerate() {
            (chart(index, status, against, reference))
            (note(&legend(against, status.rows.len())))
        }
    }
}

/// The panels of one setting.
fn chart(index: usize, status: &ComparisonStatus, against: &Against, reference: &str) -> Markup {
    let all: Vec<ChartRow<'_>> =
        status.rows.iter().take(ROWS).map(|row| ChartRow::new(row, &against.setting)).collect();
    let scale = scale(&all);
    panels(PANELS.iter().enumerate().filter_map(|(panel, (title, of))| {
        let rows: Vec<&ChartRow<'_>> = all.iter().filter(|row| subject(&row.row.figure) == *of).collect();
        if rows.is_empty() {
            return None;
        }
        let finding: Vec<String> = rows.iter().map(|row| format!("{}: {}", row.row.name, row.text())).collect();
        let figure = draw(&rows, &scale).into_figure(
            &format!("differences-{index}-{panel}"),
            &format!("Differences of {} against {reference}: {title}", against.setting),
            &finding.join("; "),
        );
        let heading = match status.against.len() {
            1 => capitalize(title),
            _ => format!("{}: {title}", against.setting),
        };
        Some((heading, figure))
    }))
}

fn legend(against: &Against, rows: usize) -> String {
    let mut legend = match against.confidence_percent {
        Some(confidence) => format!(
            "The line is the {} % interval, measurement errors included. Green disc: better; red diamond: worse; ring: \
             these legs show no difference. An arrow points to a value beyond the axis.",
            floor_to_tenth(confidence)
        ),
        None => "A ring is a difference without a claim.".to_owned(),
    };
    if rows > ROWS {
        legend += &format!(" {ROWS} of {rows} rows are drawn, all are in the table.");
    }
    legend
}

/// The scale that all panels share.
fn scale(rows: &[ChartRow<'_>]) -> Scale {
    let values = rows.iter().flat_map(|row| {
        let (low, high) = row.interval.unzip();
        [row.difference, low, high].into_iter().flatten()
    });
    let (low, high) = values.fold((-LEAST, LEAST), |(low, high), value| (low.min(value), high.max(value)));
    let (low, high) = (low.max(ENDS.0), high.min(ENDS.1));
    let margin = (high - low) * 0.04;
    Scale::new((low - margin, high + margin), (LEFT, RIGHT))
}

fn draw(rows: &[&ChartRow<'_>], x: &Scale) -> Svg {
    let bottom = rows.len() as f64 * ROW;
    let mut svg = Svg::new(WIDTH, bottom + 36.0);
    let (low, high) = x.ends();
    let ticks: Vec<f64> = ticks(low * 100.0, high * 100.0, 5).iter().map(|tick| tick / 100.0).collect();
    svg.axis(x, &ticks, (0.0, bottom), label);
    svg.text("tick", (0.0, bottom + 30.0), Anchor::Start, "← less");
    svg.text("tick", (WIDTH, bottom + 30.0), Anchor::End, "more →");
    for (index, row) in rows.iter().enumerate() {
        draw_row(&mut svg, x, row, index as f64 * ROW);
    }
    svg
}

fn draw_row(svg: &mut Svg, x: &Scale, row: &ChartRow<'_>, top: f64) {
    let y = top + 40.0;
    svg.line("base", (x.at(0.0), y - 9.0), (x.at(0.0), y + 9.0));
    let class = if row.row.headline { "strong" } else { "" };
    svg.text(class, (0.0, top + 13.0), Anchor::Start, &escape::start(&row.row.name, NAME));
    let class = match row.claim() {
        Some(Claim::Worse) => "bad-text",
        Some(Claim::Better) => "good-text",
        _ => "quiet",
    };
    svg.text(class, (0.0, top + 27.0), Anchor::Start, &row.text());
    let Some(difference) = row.difference else { return };
    let interval = row.interval.map(|(low, high)| format!(", {} to {}", signed_percent(low), signed_percent(high)));
    let title = format!("{}: {}{}", row.row.name, row.text(), interval.unwrap_or_default());
    svg.titled(&title, |svg| {
        if let Some((low, high)) = row.interval {
            svg.line("whisker", (x.at(low), y), (x.at(high), y));
            for end in [low, high] {
                svg.shape("whisker", &end_mark(x, end, y));
            }
        }
        let at = x.at(difference);
        match row.claim() {
            _ if !x.holds(difference) && row.interval.is_none() => svg.shape("whisker", &end_mark(x, difference, y)),
            Some(Claim::Better) => svg.circle("good", (at, y), 5.5),
            Some(Claim::Worse) => svg.shape("bad", &PathData::diamond((at, y), 6.5)),
            Some(Claim::NoDifference) | None => svg.circle("hollow", (at, y), 4.5),
        }
    });
}

/// The mark at the end of an interval: a bar, or beyond the axis an arrow.
fn end_mark(x: &Scale, value: f64, y: f64) -> PathData {
    let at = x.at(value);
    if x.holds(value) {
        return PathData::start((at, y - 4.0)).vertical_to(y + 4.0);
    }
    let tail = at + if value < x.ends().0 { 6.0 } else { -6.0 };
    PathData::start((tail, y - 5.0)).line_to((at, y)).line_to((tail, y + 5.0))
}

/// The label of a tick.
fn label(share: f64) -> String {
    match (share * 1000.0).round() / 10.0 {
        0.0 => "0".to_owned(),
        percent if percent < 0.0 => format!("−{} %", -percent),
        percent => format!("+{percent} %"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Cell, Test};

    fn with(mean: f64, difference: f64, interval: (f64, f64), claim: Claim) -> Row {
        let test = Test { low: interval.0, high: interval.1, ..Test::default() };
        Row {
            name: "a".to_owned(),
            cells: vec![Cell { mean: Some(mean), ..Cell::default() }],
            differences: vec![Difference {
                setting: "b".to_owned(),
                difference,
                ratio: Some(1.0 + difference / mean),
                test: Some(test),
                claim: Some(claim),
                ..Difference::default()
            }],
            ..Row::default()
        }
    }

    fn text(row: &Row) -> String {
        let all = [ChartRow::new(row, "b")];
        draw(&[&all[0]], &scale(&all)).into_shapes().into_string()
    }

    #[test]
    fn each_claim_has_a_shape_of_its_own() {
        let better = text(&with(10.0, -1.0, (-2.0, -0.5), Claim::Better));
        assert!(better.contains("<circle class=\"good\"") && better.contains("✓ better −10 %"), "{better}");
        let worse = text(&with(10.0, 1.0, (0.5, 2.0), Claim::Worse));
        assert!(worse.contains("<path class=\"bad\"") && worse.contains("✕ worse +10 %"), "{worse}");
        let none = text(&with(10.0, 0.1, (-1.0, 1.0), Claim::NoDifference));
        assert!(none.contains("<circle class=\"hollow\"") && none.contains("no difference shown: +1.0 %"), "{none}");
    }

    #[test]
    fn a_value_beyond_the_axis_is_an_arrow_and_a_reference_of_zero_has_no_percentage() {
        let far = with(1.0, 9.0, (1.0, 12.0), Claim::Worse);
        assert!(text(&far).contains("L350 40L344 45"), "{}", text(&far));
        let (x, y) = (Scale::new((-1.0, 2.0), (0.0, 300.0)), 10.0);
        assert_eq!(end_mark(&x, 12.0, y).as_str(), "M294 5L300 10L294 15");
        assert_eq!(end_mark(&x, -3.0, y).as_str(), "M6 5L0 10L6 15");
        assert_eq!(end_mark(&x, 1.0, y).as_str(), "M200 6V14");
        let zero = text(&with(0.0, 3.0, (1.0, 4.0), Claim::Worse));
        assert!(zero.contains("✕ worse from 0") && !zero.contains("whisker"), "{zero}");
    }

    #[test]
    fn ticks_have_their_sign() {
        assert_eq!([-0.2, 0.0, 0.025].map(label), ["−20 %", "0", "+2.5 %"]);
    }
}
