//! The jobs of the timeline, a row each.

use std::collections::BTreeSet;

use super::{Axis, LEFT, RIGHT, fitted, hue};
use crate::figures::account::Entry;
use crate::figures::outcome::Outcome;
use crate::figures::track::{Placed, Track};
use crate::html::svg::{Anchor, Svg};
use crate::record::Timestamp;
use crate::tools::render_report::html::Scene;
use crate::units;

/// How many rows are drawn at the most, and how many of them for jobs that did not succeed.
const ROWS: usize = 60;
pub(super) const WORST: usize = 30;
/// A row's height, and the height of what is drawn in it.
const ROW: f64 = 19.0;
const BAR: f64 = 14.0;
/// How many stages of one job are drawn: what a target tells could be endless.
const STAGES: usize = 40;
/// From this width on an uncertain stretch is drawn as one.
const VISIBLE: f64 = 2.0;

/// One job that is drawn.
pub(super) struct Row<'a> {
    pub(super) entry: &'a Entry,
    pub(super) track: &'a Track,
}

/// Which jobs are drawn, in the order of their submission.
pub(super) fn chosen<'a>(scene: &Scene<'a>, tracks: &'a [(usize, Track)]) -> Vec<Row<'a>> {
    let entries = &scene.figures.account.entries;
    let mut order: Vec<usize> = (0..tracks.len()).collect();
    order.sort_by_key(|at| (tracks[*at].1.submitted, tracks[*at].0));
    if order.len() > ROWS {
        let succeeded = |at: &&usize| entries[tracks[**at].0].outcome == Outcome::Succeeded;
        let mut kept: BTreeSet<usize> = order.iter().filter(|at| !succeeded(at)).take(WORST).copied().collect();
        let slowness =
            |at: &&usize| scene.figures.journeys[tracks[**at].0].end_to_end.map_or(0.0, |whole| whole.seconds);
        kept.extend(order.iter().filter(succeeded).max_by(|one, other| slowness(one).total_cmp(&slowness(other))));
        let others: Vec<usize> = order.iter().filter(|at| !kept.contains(at)).copied().collect();
        let room = ROWS - kept.len();
        kept.extend((0..room).filter_map(|place| others.get(place * others.len() / room)));
        order.retain(|at| kept.contains(at));
    }
    order.into_iter().map(|at| Row { entry: &entries[tracks[at].0], track: &tracks[at].1 }).collect()
}

/// Draws the rows from `top` on and gives where they end.
pub(super) fn draw(svg: &mut Svg, scene: &Scene<'_>, axis: &Axis, rows: &[Row<'_>], top: f64) -> f64 {
    svg.text("strong", (0.0, top + 14.0), Anchor::Start, "Jobs");
    let mut y = top + 22.0;
    for row in rows {
        one(svg, scene, axis, row, y);
        y += ROW;
    }
    y + 10.0
}

fn one(svg: &mut Svg, scene: &Scene<'_>, axis: &Axis, Row { entry, track }: &Row<'_>, y: f64) {
    let bad = entry.outcome != Outcome::Succeeded;
    let middle = y + BAR / 2.0;
    svg.text("", (0.0, middle + 4.0), Anchor::Start, &fitted(&entry.name, LEFT - 8.0));
    let told = match track.ended {
        Some(end) => format!("{}: {} after {}", entry.name, entry.outcome, end.since(track.submitted).text()),
        None => format!(
            "{}: {}, last heard of after {}",
            entry.name,
            entry.outcome,
            units::seconds(track.heard.since(track.submitted))
        ),
    };
    let (from, to) = (axis.at(track.submitted), axis.at(track.ended.map_or(track.heard, |end| end.at)));
    svg.titled(&told, |svg| {
        svg.rect("rail", (from, middle - 1.5), ((to - from).max(1.5), 3.0));
        if let Some(end) = track.ended {
            uncertain(svg, axis, (end.low, end.high), (middle - 3.0, 6.0));
        }
    });
    let stages: Vec<&Placed> =
        track.stages.iter().filter(|stage| axis.seconds(stage.started.high) >= 0.0).take(STAGES).collect();
    for (stage, lane, lanes) in lanes(&stages, track.heard) {
        let height = BAR / lanes as f64;
        let place = (y + height * lane as f64, (height - if lanes > 1 { 1.0 } else { 0.0 }).max(1.0));
        let hue = hue(scene, &stage.stage);
        svg.titled(&said(&entry.name, stage), |svg| piece(svg, axis, stage, hue, (bad, track.heard), place));
    }
    if bad {
        let text = format!("✕ {}", entry.outcome);
        svg.text("bad-text", (RIGHT + 8.0, middle + 4.0), Anchor::Start, &text);
    } else if let Some(end) = track.ended {
        svg.text("quiet", (RIGHT + 8.0, middle + 4.0), Anchor::Start, &units::seconds(end.at.since(track.submitted)));
    }
}

fn said(job: &str, stage: &Placed) -> String {
    let wait =
        stage.times.wait.map_or_else(|| "waited an unknown time".to_owned(), |wait| format!("waited {}", wait.text()));
    let work = match (stage.times.work, stage.failed) {
        (Some(work), _) => format!("worked {}", work.text()),
        (None, true) => "failed".to_owned(),
        (None, false) => "no end was seen".to_owned(),
    };
    format!("{job}, {}: {wait}, {work}", stage.stage)
}

/// One stage of one job: its wait, its work, and what of it is not known.
fn piece(
    svg: &mut Svg,
    axis: &Axis,
    stage: &Placed,
    hue: usize,
    (bad, heard): (bool, Timestamp),
    (y, height): (f64, f64),
) {
    let Placed { queued, started, ended, failed, by_polls, .. } = stage;
    // Both ends of a server's stage carry the same error, which is said above the drawing.
    let (start_low, start_high) = if *by_polls { (started.low, started.high) } else { (started.at, started.at) };
    let (end_low, end_high) = match ended {
        Some(ended) if *by_polls => (ended.low, ended.high),
        Some(ended) => (ended.at, ended.at),
        None => (heard.max(start_high), heard.max(start_high)),
    };
    if let Some(queued) = queued {
        let (from, to) = (axis.at(if *by_polls { queued.high } else { queued.at }), axis.at(start_low));
        if to > from {
            svg.rect(&format!("wait-{hue}"), (from, y), (to - from, height));
        }
    }
    if *by_polls {
        uncertain(svg, axis, (start_low, start_high.min(end_high)), (y, height));
        uncertain(svg, axis, (end_low.max(start_high), end_high), (y, height));
    }
    let (from, to) = (axis.at(start_high), axis.at(end_low));
    if to >= from {
        svg.rect(&format!("hue-{hue}"), (from, y), (to - from, height));
        let label = to - from - 6.0;
        if height > 10.0 && label >= stage.stage.chars().count() as f64 * 6.2 {
            svg.text("inside", (from + 3.0, y + height - 3.5), Anchor::Start, &stage.stage);
        }
        if *failed || (bad && ended.is_none()) {
            svg.rect("bad-edge", (from, y), (to - from, height));
        }
    }
}

fn uncertain(svg: &mut Svg, axis: &Axis, (low, high): (Timestamp, Timestamp), (y, height): (f64, f64)) {
    let (from, to) = (axis.at(low), axis.at(high));
    if to - from >= VISIBLE {
        svg.rect("unknown", (from, y + 0.5), (to - from, height - 1.0));
    }
}

/// Which lane each stage has, of how many where it stands: stages that overlap share the height of the row.
fn lanes<'a>(stages: &[&'a Placed], heard: Timestamp) -> Vec<(&'a Placed, usize, usize)> {
    let begin = |stage: &Placed| stage.queued.map_or(stage.started.at, |queued| queued.at.min(stage.started.at));
    let end = |stage: &Placed| stage.ended.map_or(heard.max(stage.started.at), |ended| ended.at);
    let mut order = stages.to_vec();
    order.sort_by_key(|stage| begin(stage));
    let mut found = Vec::with_capacity(order.len());
    let (mut cluster, mut ends): (Vec<(&Placed, usize)>, Vec<Timestamp>) = (Vec::new(), Vec::new());
    for stage in order {
        if ends.iter().all(|held| *held <= begin(stage)) {
            let lanes = ends.len();
            found.extend(cluster.drain(..).map(|(stage, lane)| (stage, lane, lanes)));
            ends.clear();
        }
        let lane = ends.iter().position(|held| *held <= begin(stage)).unwrap_or_else(|| {
            ends.push(Timestamp::from_micros(i64::MIN));
            ends.len() - 1
        });
        ends[lane] = end(stage);
        cluster.push((stage, lane));
    }
    let lanes = ends.len();
    found.extend(cluster.into_iter().map(|(stage, lane)| (stage, lane, lanes)));
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::journey::Moment;
    use crate::figures::stages::StageTimes;

    fn placed(stage: &str, queued: i64, started: i64, ended: i64) -> Placed {
        let at = |micros| {
            let at = Timestamp::from_micros(micros);
            Moment { at, low: at, high: at }
        };
        Placed {
            stage: stage.into(),
            queued: Some(at(queued)),
            started: at(started),
            ended: Some(at(ended)),
            failed: false,
            by_polls: false,
            times: StageTimes::default(),
        }
    }

    #[test]
    fn stages_that_overlap_share_the_row_and_others_have_it_whole() {
        let all = [
            placed("a", 0, 1, 5),
            placed("b", 5, 6, 9),
            placed("c", 5, 9, 20),
            placed("d", 9, 10, 12),
            placed("e", 20, 21, 22),
        ];
        let found = lanes(&all.iter().collect::<Vec<_>>(), Timestamp::from_micros(0));
        let found: Vec<_> = found.into_iter().map(|(stage, lane, lanes)| (stage.stage.as_str(), lane, lanes)).collect();
        assert_eq!(found, [("a", 0, 1), ("b", 0, 2), ("c", 1, 2), ("d", 0, 2), ("e", 0, 1)]);
    }
}
