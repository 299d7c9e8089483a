//! The headline figures leg by leg: every leg a point, a row per setting.

use std::fmt::Write;

use super::super::judge::shown;
use crate::escape;
use crate::figures::listed;
use crate::html::lead;
use crate::html::scale::{Scale, count_label, ticks, time_label, time_ticks};
use crate::html::svg::{Anchor, Svg};
use crate::page::capital;
use crate::record::{Comparison, Row, Setting, Unit};

/// How many settings are drawn.
const SETTINGS: usize = 20;
/// How many characters of a name are shown.
const NAME: usize = 24;
const WIDTH: f64 = 360.0;
const LEFT: f64 = 12.0;
const RIGHT: f64 = 348.0;
const ROW: f64 = 46.0;
const RADIUS: f64 = 4.2;

pub(super) fn section(comparison: &Comparison) -> String {
    let status = &comparison.status;
    let settings = &status.settings[..status.settings.len().min(SETTINGS)];
    let headline = status.rows.iter().filter(|row| row.headline).enumerate();
    let panels: Vec<(String, String)> =
        headline.filter_map(|(index, row)| Some((capital(&row.name), drawn(row, settings, index)?))).collect();
    if panels.is_empty() {
        return String::new();
    }
    let mut text = lead::panels(panels);
    let more = status.settings.len() - settings.len();
    let more = if more > 0 { format!(" {more} more settings are in the table.") } else { String::new() };
    let _ = writeln!(
        text,
        "<p class=\"note\">Every leg is a point, the upright line is the setting's mean. The axis does not begin at 0.{more}</p>"
    );
    text
}

fn drawn(row: &Row, settings: &[Setting], index: usize) -> Option<String> {
    let values = || row.cells.iter().take(settings.len()).flat_map(|cell| cell.legs.values().copied());
    let (low, high) = (values().reduce(f64::min)?, values().reduce(f64::max)?);
    let room = if high > low { (high - low) * 0.08 } else { low.abs().max(1e-3) * 0.05 };
    let x = Scale::new(((low - room).max(0.0), high + room), (LEFT, RIGHT));
    let ((from, to), bottom) = (x.ends(), settings.len() as f64 * ROW + 4.0);
    let mut svg = Svg::new(WIDTH, bottom + 22.0);
    match row.unit {
        Unit::Seconds => svg.axis(&x, &time_ticks(from, to, 5), (0.0, bottom), time_label),
        Unit::JobsPerMinute | Unit::Count => svg.axis(&x, &ticks(from, to, 5), (0.0, bottom), count_label),
    }
    let mut found = Vec::new();
    for (at, (setting, cell)) in settings.iter().zip(&row.cells).enumerate() {
        let (top, y) = (at as f64 * ROW + 16.0, at as f64 * ROW + 32.0);
        let mean = cell.mean.map_or_else(|| "no mean: a leg lacks it".to_owned(), |mean| shown(row.unit, mean));
        let name = escape::start(&setting.name, NAME);
        svg.text("strong", (0.0, top), Anchor::Start, &name);
        svg.text("quiet", (WIDTH, top), Anchor::End, &format!("mean {mean}"));
        let mut before = [f64::NEG_INFINITY; 3];
        let mut legs: Vec<(&String, f64)> = cell.legs.iter().map(|(label, value)| (label, *value)).collect();
        legs.sort_by(|one, other| one.1.total_cmp(&other.1));
        if let Some(((_, least), (_, most))) = legs.first().zip(legs.last()) {
            let (least, most) = (shown(row.unit, *least), shown(row.unit, *most));
            found.push(format!("{}: {} legs from {least} to {most}", setting.name, legs.len()));
        }
        for (label, value) in legs {
            // Legs that would hide each other are moved apart, up and down in turn.
            let across = x.at(value);
            let level = before.iter().position(|held| across - held >= 2.0 * RADIUS).unwrap_or(2);
            before[level] = across;
            let y = y + [0.0, -6.0, 6.0][level];
            svg.titled(&format!("{label}: {}", shown(row.unit, value)), |svg| svg.circle("dot", (across, y), RADIUS));
        }
        if let Some(mean) = cell.mean {
            svg.line("median", (x.at(mean), y - 10.0), (x.at(mean), y + 10.0));
        }
    }
    let title = format!("{} leg by leg", capital(&row.name));
    Some(svg.figure(&format!("strip-{index}"), &title, &format!("{}.", listed(&found))))
}
