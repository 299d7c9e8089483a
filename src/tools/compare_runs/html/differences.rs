//! Every difference in per cent of the reference, with its interval, around 0: panels of one scale, no wider than a phone, so
//! that nothing has to be scrolled to be seen. A row's name and words stand above its line.

use std::fmt::Write;

use super::super::judge::percent;
use super::super::page::tenths;
use super::told;
use crate::escape;
use crate::figures::listed;
use crate::figures::names::{Subject, subject};
use crate::html::lead;
use crate::html::scale::{Scale, ticks};
use crate::html::svg::{Anchor, Svg, number};
use crate::page::capital;
use crate::record::{Against, Comparison, Difference, Row, Word};

/// How many rows are drawn: stages and queues are the target's, and may be many.
const ROWS: usize = 60;
/// How many characters of a row's name are shown.
const NAME: usize = 48;
const WIDTH: f64 = 360.0;
const LEFT: f64 = 10.0;
const RIGHT: f64 = 350.0;
const ROW: f64 = 52.0;
/// What sets the headline figures apart from the rows below them.
const GAP: f64 = 10.0;
/// The panels: their names and the subject of their rows.
const PANELS: [(&str, Subject); 3] =
    [("jobs and GPU", Subject::Jobs), ("stages", Subject::Stage), ("queues", Subject::Queue)];
/// The least and the most that the axis spans, as parts of the reference; what lies beyond is an arrow.
const LEAST: f64 = 0.05;
const ENDS: (f64, f64) = (-1.0, 2.0);

/// One row in parts of the reference.
struct Drawn<'a> {
    row: &'a Row,
    found: Option<&'a Difference>,
    /// The difference.
    at: Option<f64>,
    /// Its interval.
    interval: Option<(f64, f64)>,
    /// What measuring may have made of it, either way.
    error: Option<f64>,
}

impl<'a> Drawn<'a> {
    fn of(row: &'a Row, setting: &str) -> Self {
        let found = row.differences.iter().find(|found| found.setting == setting);
        let reference = row.cells.first().and_then(|cell| cell.mean).filter(|mean| *mean > 0.0);
        let part = |value: f64| reference.map(|reference| value / reference);
        Self {
            row,
            found,
            at: found.and_then(|found| part(found.difference)),
            interval: found.and_then(|found| found.test).and_then(|test| part(test.low).zip(part(test.high))),
            error: found.and_then(|found| part(found.error?)),
        }
    }

    /// Which panel it stands in.
    fn panel(&self) -> usize {
        let subject = subject(&self.row.figure);
        PANELS.iter().position(|panel| panel.1 == subject).unwrap_or_default()
    }

    /// What stands below the name.
    fn text(&self) -> String {
        let Some(found) = self.found else { return "– not known".to_owned() };
        let at = self.at.map_or_else(|| "from 0".to_owned(), percent);
        match found.word {
            Some(Word::Better) => format!("✓ better {at}"),
            Some(Word::Worse) => format!("✕ worse {at}"),
            Some(Word::NoDifference) => format!("no difference shown: {at}"),
            None => format!("{at}, not claimed"),
        }
    }
}

pub(super) fn section(comparison: &Comparison) -> String {
    let status = &comparison.status;
    let Some(reference) = status.settings.first() else { return String::new() };
    let mut text = format!(
        "<p>Each row is the difference from {}, in per cent of it: less is better, but for jobs per minute.</p>\n",
        escape::html(&reference.name)
    );
    for (index, against) in status.against.iter().enumerate() {
        let all: Vec<Drawn<'_>> = status.rows.iter().map(|row| Drawn::of(row, &against.setting)).collect();
        let scale = scale(&all);
        let panels = PANELS.iter().enumerate().filter_map(|(panel, (what, _))| {
            let rows: Vec<&Drawn<'_>> = all.iter().take(ROWS).filter(|drawn| drawn.panel() == panel).collect();
            let heading = match status.against.len() {
                1 => capital(what),
                _ => format!("{}: {what}", against.setting),
            };
            let title = format!("Differences of {} against {}: {what}", against.setting, reference.name);
            let svg = || drawn(&rows, &scale);
            let finding = || finding(&rows, against, &reference.name);
            (!rows.is_empty())
                .then(|| (heading, svg().figure(&format!("differences-{index}-{panel}"), &title, &finding())))
        });
        text += &lead::panels(panels);
        let _ = writeln!(text, "<p class=\"note\">{}</p>", escape::html(&note(&all, against)));
    }
    text
}

/// What the rows of a panel show, in words.
fn finding(rows: &[&Drawn<'_>], against: &Against, reference: &str) -> String {
    let with = |word: Word| -> Vec<String> {
        let held = |drawn: &&&Drawn<'_>| drawn.found.and_then(|found| found.word) == Some(word);
        let name = |drawn: &&Drawn<'_>| {
            format!("{} {}", drawn.row.name, drawn.at.map_or_else(|| "from 0".to_owned(), percent))
        };
        rows.iter().filter(held).map(name).collect()
    };
    let tested = rows.iter().filter(|drawn| drawn.found.is_some_and(|found| found.test.is_some())).count();
    if tested == 0 {
        let named = rows.iter().map(|drawn| format!("{}: {}", drawn.row.name, drawn.text())).collect::<Vec<_>>();
        return format!(
            "No row of {} against {reference} was tested, so nothing is claimed. {}.",
            against.setting,
            named.join("; ")
        );
    }
    let told = |what: &str, rows: &[String]| match rows.len() {
        0 => format!("none is {what}"),
        count => format!("{count} {what}: {}", listed(rows)),
    };
    format!(
        "Of {tested} rows of {} against {reference} that were tested, {}; {}; {} show no difference.",
        against.setting,
        told("better", &with(Word::Better)),
        told("worse", &with(Word::Worse)),
        with(Word::NoDifference).len()
    )
}

fn note(all: &[Drawn<'_>], against: &Against) -> String {
    let mut parts = Vec::new();
    match against.confidence_percent {
        Some(confidence) => parts.push(format!(
            "The line is the {} % interval, whatever measuring may have made of each leg. Green disc: better; red diamond: worse; ring: no \
             difference that these legs can show",
            tenths(confidence)
        )),
        None => parts.push("A ring is a difference that was seen and of which nothing is claimed".to_owned()),
    }
    parts.push("the shade around 0 is what polling or scraping alone may have made".to_owned());
    if all.iter().take(ROWS).any(|drawn| beyond(drawn)) {
        parts.push("an arrow points at what lies beyond the axis".to_owned());
    }
    if all.len() > ROWS {
        parts.push(format!("{ROWS} of {} rows are drawn, all are in the table", all.len()));
    }
    format!("{}.", parts.join("; "))
}

fn beyond(drawn: &Drawn<'_>) -> bool {
    let outside = |value: f64| value < ENDS.0 || value > ENDS.1;
    drawn.at.is_some_and(outside) || drawn.interval.is_some_and(|(low, high)| outside(low) || outside(high))
}

/// One scale for all panels.
fn scale(all: &[Drawn<'_>]) -> Scale {
    let ends = all.iter().take(ROWS).flat_map(|drawn| {
        let (low, high) = drawn.interval.unzip();
        [drawn.at, low, high].into_iter().flatten()
    });
    let (low, high) = ends.fold((-LEAST, LEAST), |(low, high), value| (low.min(value), high.max(value)));
    let (low, high) = (low.max(ENDS.0), high.min(ENDS.1));
    let room = (high - low) * 0.04;
    Scale::new((low - room, high + room), (LEFT, RIGHT))
}

fn drawn(rows: &[&Drawn<'_>], x: &Scale) -> Svg {
    let headline = rows.iter().take_while(|drawn| drawn.row.headline).count();
    let apart = if headline > 0 && headline < rows.len() { GAP } else { 0.0 };
    let bottom = rows.len() as f64 * ROW + apart;
    let mut svg = Svg::new(WIDTH, bottom + 36.0);
    let (low, high) = x.ends();
    let ticks: Vec<f64> = ticks(low * 100.0, high * 100.0, 5).iter().map(|tick| tick / 100.0).collect();
    svg.axis(x, &ticks, (0.0, bottom), label);
    svg.text("tick", (0.0, bottom + 30.0), Anchor::Start, "← less");
    svg.text("tick", (WIDTH, bottom + 30.0), Anchor::End, "more →");
    if apart > 0.0 {
        let y = headline as f64 * ROW + GAP / 2.0;
        svg.line("base", (0.0, y), (WIDTH, y));
    }
    for (index, drawn) in rows.iter().enumerate() {
        let top = index as f64 * ROW + if drawn.row.headline { 0.0 } else { apart };
        row(&mut svg, x, drawn, top);
    }
    svg
}

fn row(svg: &mut Svg, x: &Scale, drawn: &Drawn<'_>, top: f64) {
    let y = top + 40.0;
    svg.line("base", (x.at(0.0), y - 9.0), (x.at(0.0), y + 9.0));
    let class = if drawn.row.headline { "strong" } else { "" };
    svg.text(class, (0.0, top + 13.0), Anchor::Start, &escape::start(&drawn.row.name, NAME));
    let word = drawn.found.and_then(|found| found.word);
    let class = match word {
        Some(Word::Worse) => "bad-text",
        Some(Word::Better) => "good-text",
        _ => "quiet",
    };
    svg.text(class, (0.0, top + 27.0), Anchor::Start, &drawn.text());
    let Some((at, found)) = drawn.at.zip(drawn.found) else { return };
    let shown = match drawn.interval {
        Some((low, high)) => format!("{}, {} to {}", percent(at), percent(low), percent(high)),
        None => percent(at),
    };
    svg.titled(&format!("{}: {shown}: {}", drawn.row.name, told(found)), |svg| {
        if let Some(error) = drawn.error.filter(|error| *error > 0.0) {
            let (left, right) = (x.at(-error), x.at(error));
            svg.rect("area", (left, y - 8.0), (right - left, 16.0));
        }
        if let Some((low, high)) = drawn.interval {
            svg.line("whisker", (x.at(low), y), (x.at(high), y));
            for end in [low, high] {
                svg.path("whisker", &end_of(x, end, y));
            }
        }
        let across = x.at(at);
        if !x.holds(at) && drawn.interval.is_none() {
            svg.path("whisker", &end_of(x, at, y));
            return;
        }
        match word {
            Some(Word::Better) => svg.circle("good", (across, y), 5.5),
            Some(Word::Worse) => svg.path("bad", &diamond(across, y)),
            Some(Word::NoDifference) | None => svg.circle("hollow", (across, y), 4.5),
        }
    });
}

/// The end of an interval: a bar, or beyond the axis an arrow.
fn end_of(x: &Scale, value: f64, y: f64) -> String {
    let at = x.at(value);
    let tip = if value < x.ends().0 { 6.0 } else { -6.0 };
    if x.holds(value) {
        format!("M{0} {1}V{2}", number(at), number(y - 4.0), number(y + 4.0))
    } else {
        format!("M{0} {1}L{2} {3}L{0} {4}", number(at + tip), number(y - 5.0), number(at), number(y), number(y + 5.0))
    }
}

fn diamond(x: f64, y: f64) -> String {
    format!(
        "M{0} {1}L{2} {3}L{0} {4}L{5} {3}Z",
        number(x),
        number(y - 6.5),
        number(x + 6.5),
        number(y),
        number(y + 6.5),
        number(x - 6.5)
    )
}

/// A tick of the axis.
fn label(part: f64) -> String {
    let percent = (part * 1000.0).round() / 10.0;
    match percent {
        0.0 => "0".to_owned(),
        less if less < 0.0 => format!("−{} %", -less),
        more => format!("+{more} %"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Cell, Test};

    fn with(mean: f64, difference: f64, interval: (f64, f64), word: Word) -> Row {
        let test = Test { low: interval.0, high: interval.1, ..Test::default() };
        Row {
            name: "a".to_owned(),
            cells: vec![Cell { mean: Some(mean), ..Cell::default() }],
            differences: vec![Difference {
                setting: "b".to_owned(),
                difference,
                ratio: Some(1.0 + difference / mean),
                test: Some(test),
                word: Some(word),
                ..Difference::default()
            }],
            ..Row::default()
        }
    }

    fn text(row: &Row) -> String {
        let all = [Drawn::of(row, "b")];
        drawn(&[&all[0]], &scale(&all)).figure("x", "t", "f")
    }

    #[test]
    fn each_word_has_a_shape_of_its_own() {
        let better = text(&with(10.0, -1.0, (-2.0, -0.5), Word::Better));
        assert!(better.contains("<circle class=\"good\"") && better.contains("✓ better −10 %"), "{better}");
        let worse = text(&with(10.0, 1.0, (0.5, 2.0), Word::Worse));
        assert!(worse.contains("<path class=\"bad\"") && worse.contains("✕ worse +10 %"), "{worse}");
        let none = text(&with(10.0, 0.1, (-1.0, 1.0), Word::NoDifference));
        assert!(none.contains("<circle class=\"hollow\"") && none.contains("no difference shown: +1.0 %"), "{none}");
    }

    #[test]
    fn what_lies_beyond_the_axis_is_an_arrow_and_zero_has_no_percentage() {
        let far = with(1.0, 9.0, (1.0, 12.0), Word::Worse);
        assert!(beyond(&Drawn::of(&far, "b")));
        let (x, y) = (Scale::new((-1.0, 2.0), (0.0, 300.0)), 10.0);
        assert_eq!(end_of(&x, 12.0, y), "M294 5L300 10L294 15");
        assert_eq!(end_of(&x, -3.0, y), "M6 5L0 10L6 15");
        assert_eq!(end_of(&x, 1.0, y), "M200 6V14");
        let zero = text(&with(0.0, 3.0, (1.0, 4.0), Word::Worse));
        assert!(zero.contains("✕ worse from 0") && !zero.contains("whisker"), "{zero}");
    }

    #[test]
    fn ticks_have_their_sign() {
        assert_eq!([-0.2, 0.0, 0.025].map(label), ["−20 %", "0", "+2.5 %"]);
    }
}
