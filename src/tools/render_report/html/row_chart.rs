//! Charts with a row for each stage: its name on the left, marks on a scale of seconds, a note on the right.

use crate::html::scale::{Scale, time_label, time_ticks};
use crate::html::svg::{Anchor, Svg};

/// The number of rows that stages may take: a target may name any number of them.
pub(super) const STAGES: usize = 40;

const WIDTH: f64 = 1140.0;
pub(super) const LEFT: f64 = 190.0;
const RIGHT: f64 = 880.0;
pub(super) const ROW: f64 = 26.0;

/// A chart in the making.
pub(super) struct RowChart {
    pub(super) svg: Svg,
    pub(super) x: Scale,
}

impl RowChart {
    /// The grid of a chart with this number of rows, from 0 to `longest` seconds.
    pub(super) fn new(rows: usize, longest: f64) -> Self {
        let x = Scale::new((0.0, longest), (LEFT, RIGHT));
        let bottom = rows as f64 * ROW + 4.0;
        let mut svg = Svg::new(WIDTH, bottom + 22.0);
        svg.axis(&x, &time_ticks(0.0, longest, 9), (0.0, bottom), time_label);
        Self { svg, x }
    }

    /// Writes the name and the note of a row in these classes, and returns the middle of the row.
    pub(super) fn row(&mut self, index: usize, (class, name): (&str, &str), (note_class, note): (&str, &str)) -> f64 {
        let middle = index as f64 * ROW + ROW / 2.0 + 2.0;
        self.svg.text(class, (0.0, middle + 4.0), Anchor::Start, name);
        self.svg.text(note_class, (RIGHT + 14.0, middle + 4.0), Anchor::Start, note);
        middle
    }
}
