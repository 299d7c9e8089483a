//! The jobs of the timeline, a row each.

use std::collections::BTreeSet;

use super::{Axis, fitted};
use crate::escape;
use crate::figures::distribution::Measured;
use crate::figures::job_timeline::{JobTimeline, StageInterval};
use crate::figures::outcome::Outcome;
use crate::figures::tally::JobEntry;
use crate::html::svg::{Anchor, PathData, Svg};
use crate::record::Timestamp;
use crate::tools::render_report::html::looks;
use crate::tools::render_report::scene::Scene;
use crate::units;

/// Up to `ALL` jobs have a row each. Of more, `ROWS` have one, `WORST` of them jobs that did not succeed.
const ALL: usize = 200;
const ROWS: usize = 120;
pub(super) const WORST: usize = 80;
/// A row's height, and the height of what is drawn in it.
const ROW: f64 = 19.0;
const BAR: f64 = 14.0;
/// The width of the sign before a name.
const SIGN: f64 = 14.0;
/// The number of stages of one job that are drawn: a target may name any number of them.
const STAGES: usize = 40;
/// The longest name, in characters, that pointing at something shows.
const NAME: usize = 80;
/// The smallest width of an uncertain stretch that is drawn.
const VISIBLE: f64 = 2.0;

/// One job that is drawn.
pub(super) struct Row<'a> {
    pub(super) entry: &'a JobEntry,
    pub(super) timeline: JobTimeline,
    /// End to end.
    pub(super) whole: Option<Measured>,
}

/// The sign and the class of a job that did not succeed.
fn mark(outcome: Outcome) -> Option<(&'static str, &'static str)> {
    match outcome {
        Outcome::Succeeded => None,
        outcome if outcome.is_bad() => Some(("✕", "bad")),
        _ => Some(("?", "open")),
    }
}

/// Chooses the jobs that are drawn, in the order of their submission.
pub(super) fn chosen(entries: &[JobEntry]) -> Vec<Row<'_>> {
    let submitted = |at: &usize| entries[*at].job.as_ref().and_then(|job| job.submitted_at);
    let mut order: Vec<usize> = (0..entries.len()).filter(|at| submitted(at).is_some()).collect();
    order.sort_by_key(submitted);
    if order.len() > ALL {
        let succeeded = |at: &&usize| entries[**at].outcome == Outcome::Succeeded;
        let mut kept: BTreeSet<usize> = order.iter().filter(|at| !succeeded(at)).take(WORST).copied().collect();
        let slowness = |at: &&usize| entries[**at].times.end_to_end.map_or(0.0, |whole| whole.seconds);
        kept.extend(order.iter().filter(succeeded).max_by(|one, other| slowness(one).total_cmp(&slowness(other))));
        let others: Vec<usize> = order.iter().filter(|at| !kept.contains(at)).copied().collect();
        let room = ROWS - kept.len();
        kept.extend((0..room).filter_map(|place| others.get(place * others.len() / room)));
        order.retain(|at| kept.contains(at));
    }
    let entries = order.into_iter().map(|at| &entries[at]);
    let row = |entry| Some(Row { entry, timeline: JobTimeline::new(entry)?, whole: entry.times.end_to_end });
    entries.filter_map(row).collect()
}

/// Draws the rows from `top` on, and returns where they end.
pub(super) fn draw(svg: &mut Svg, scene: &Scene<'_>, axis: &Axis, rows: &[Row<'_>], top: f64) -> f64 {
    svg.text("strong", (0.0, top + 14.0), Anchor::Start, "Jobs");
    let mut y = top + 22.0;
    for row in rows {
        draw_job(svg, scene, axis, row, y);
        y += ROW;
    }
    y + 10.0
}

fn draw_job(svg: &mut Svg, scene: &Scene<'_>, axis: &Axis, row: &Row<'_>, y: f64) {
    let Row { entry, timeline, whole } = row;
    let (mark, middle) = (mark(entry.outcome), y + BAR / 2.0);
    let mut left = 0.0;
    // On a small screen the end of the row is out of sight.
    if let Some((sign, class)) = mark {
        svg.text(&format!("{class}-text"), (0.0, middle + 4.0), Anchor::Start, sign);
        left = SIGN;
    }
    svg.text("", (left, middle + 4.0), Anchor::Start, &fitted(&entry.name, axis.left() - 8.0 - left));
    let name = escape::start(&entry.name, NAME);
    let after = match whole {
        Some(whole) => format!(" after {}", whole.text()),
        None => format!(", last seen after {}", units::seconds(timeline.heard.since(timeline.submitted))),
    };
    let title = format!("{name}: {}{after}", entry.outcome);
    let stages: Vec<&StageInterval> = timeline.stages.iter().filter(|stage| is_on(axis, stage)).take(STAGES).collect();
    svg.titled(&title, |svg| {
        for (from, to) in uncovered(timeline, &stages) {
            let (from, to) = (axis.at(from), axis.at(to));
            // A stretch shorter than a pixel is drawn only where it is all there is of a job.
            if to - from >= 1.0 {
                svg.rect("rail", (from, middle - 1.5), (to - from, 3.0));
            } else if stages.is_empty() {
                svg.rect(mark.map_or("rail", |(_, class)| class), (from, middle - 5.0), (3.0, 10.0));
            }
        }
        if let Some(end) = timeline.ended {
            uncertain(svg, axis, (end.low, end.high), (middle - 3.0, 6.0));
        }
    });
    for (stage, lane, lanes) in lanes(&stages, timeline.heard) {
        let height = BAR / lanes as f64;
        let place = (y + height * lane as f64, (height - if lanes > 1 { 1.0 } else { 0.0 }).max(1.0));
        let edge = match mark {
            _ if stage.failed => Some("bad-edge".to_owned()),
            Some((_, class)) if stage.ended.is_none() => Some(format!("{class}-edge")),
            _ => None,
        };
        let (work, wait) = (looks::look(scene, &stage.stage), looks::wait(scene, &stage.stage));
        let looks = Looks { work, wait, edge };
        svg.titled(&stage_title(&entry.name, stage), |svg| draw_stage(svg, axis, stage, &looks, timeline.heard, place));
    }
    let beyond = Some(timeline.last()).filter(|last| axis.ends_before(*last));
    if beyond.is_some() {
        let arrow = PathData::start((axis.right() - 4.0, middle - 5.0)).line_to((axis.right() + 2.0, middle));
        svg.shape("beyond", &arrow.line_to((axis.right() - 4.0, middle + 5.0)).close());
    }
    let mut end = |class: &str, text: &str| {
        svg.text(class, (axis.right() + 8.0, middle + 4.0), Anchor::Start, &axis.fits_right(text));
    };
    if let Some((sign, class)) = mark {
        let until = beyond.map(|last| format!(" → {}", units::seconds(axis.seconds(last)))).unwrap_or_default();
        end(&format!("{class}-text"), &format!("{sign} {}{until}", entry.outcome));
    } else if let Some(whole) = whole {
        end("quiet", &units::seconds(whole.seconds));
    }
}

/// The begin and the end of everything about a stage, as far as they are known.
fn extent(stage: &StageInterval, last_seen: Timestamp) -> (Timestamp, Timestamp) {
    let begin = stage.queued.map_or(stage.started.at, |queued| queued.at.min(stage.started.at));
    (begin, stage.ended.map_or(last_seen.max(stage.started.at), |ended| ended.at))
}

/// The times in which the job was in flight and in no known stage.
fn uncovered(timeline: &JobTimeline, stages: &[&StageInterval]) -> Vec<(Timestamp, Timestamp)> {
    let end = timeline.ended.map_or(timeline.heard, |end| end.at);
    let mut extents: Vec<(Timestamp, Timestamp)> = stages.iter().map(|stage| extent(stage, timeline.heard)).collect();
    extents.sort_unstable();
    let mut from = timeline.submitted;
    let mut gaps = Vec::new();
    for (begin, over) in extents.into_iter().chain([(end, end)]) {
        if begin > from {
            gaps.push((from, begin.min(end)));
        }
        from = from.max(over);
    }
    gaps
}

/// Returns true if any part of the stage lies on the axis.
pub(super) fn is_on(axis: &Axis, stage: &StageInterval) -> bool {
    let ended = stage.ended.map_or(stage.started.high, |end| end.high);
    axis.seconds(ended) >= 0.0 && axis.seconds(stage.started.low) <= axis.last
}

/// The title of a stage. Names are cut: there are thousands of them, and a target may call a stage anything.
fn stage_title(job: &str, stage: &StageInterval) -> String {
    let (job, name) = (escape::start(job, NAME), escape::start(&stage.stage, NAME));
    let wait = stage
        .times
        .wait()
        .map_or_else(|| "waited an unknown time".to_owned(), |wait| format!("waited {}", wait.text()));
    let work = match (stage.times.work(), stage.failed) {
        (Some(work), _) => format!("worked {}", work.text()),
        (None, true) => "failed".to_owned(),
        (None, false) => "no end was seen".to_owned(),
    };
    format!("{job}, {name}: {wait}, {work}")
}

/// The looks of one stage of one job.
struct Looks {
    work: usize,
    wait: String,
    /// The edge of one that failed, or has no known end where the job did not succeed.
    edge: Option<String>,
}

/// Draws one stage of one job: its wait, its work, and the uncertain parts.
fn draw_stage(
    svg: &mut Svg,
    axis: &Axis,
    stage: &StageInterval,
    looks: &Looks,
    last_seen: Timestamp,
    (y, height): (f64, f64),
) {
    let StageInterval { queued, started, ended, by_polls, .. } = stage;
    // Both ends of a server's stage carry the same error, which stands above the drawing.
    let (start_low, start_high) = if *by_polls { (started.low, started.high) } else { (started.at, started.at) };
    let (end_low, end_high) = match ended {
        Some(ended) if *by_polls => (ended.low, ended.high),
        Some(ended) => (ended.at, ended.at),
        None => (last_seen.max(start_high), last_seen.max(start_high)),
    };
    if let Some(queued) = queued {
        let (from, to) = (axis.at(if *by_polls { queued.high } else { queued.at }), axis.at(start_low));
        if to > from {
            svg.rect(&looks.wait, (from, y), (to - from, height));
        }
    }
    if *by_polls {
        uncertain(svg, axis, (start_low, start_high.min(end_high)), (y, height));
        uncertain(svg, axis, (end_low.max(start_high), end_high), (y, height));
    }
    let (from, to) = (axis.at(start_high), axis.at(end_low));
    if to >= from {
        svg.rect(&looks::work(looks.work), (from, y), (to - from, height));
        if height > 10.0 && looks::fits(&stage.stage, to - from) {
            looks::name(svg, looks.work, (from + 3.0, y + height - 3.5), &stage.stage);
        }
        if let Some(edge) = &looks.edge {
            svg.rect(edge, (from, y), (to - from, height));
        }
    }
}

fn uncertain(svg: &mut Svg, axis: &Axis, (low, high): (Timestamp, Timestamp), (y, height): (f64, f64)) {
    let (from, to) = (axis.at(low), axis.at(high));
    if to - from >= VISIBLE {
        svg.rect("unknown", (from, y + 0.5), (to - from, height - 1.0));
    }
}

/// The lane of each stage, and the number of lanes there: stages that overlap share the height of the row.
fn lanes<'a>(stages: &[&'a StageInterval], last_seen: Timestamp) -> Vec<(&'a StageInterval, usize, usize)> {
    let begin = |stage: &StageInterval| extent(stage, last_seen).0;
    let mut order = stages.to_vec();
    order.sort_by_key(|stage| begin(stage));
    let mut found = Vec::with_capacity(order.len());
    let (mut cluster, mut ends): (Vec<(&StageInterval, usize)>, Vec<Timestamp>) = (Vec::new(), Vec::new());
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
        ends[lane] = extent(stage, last_seen).1;
        cluster.push((stage, lane));
    }
    let lanes = ends.len();
    found.extend(cluster.into_iter().map(|(stage, lane)| (stage, lane, lanes)));
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::stage_times::StageTimes;
    use crate::figures::time_interval::TimeInterval;

    fn placed(stage: &str, queued: i64, started: i64, ended: i64) -> StageInterval {
        let at = |micros| {
            let at = Timestamp::from_micros(micros);
            TimeInterval { at, low: at, high: at }
        };
        StageInterval {
            stage: stage.to_owned().into(),
            queued: Some(at(queued)),
            started: at(started),
            ended: Some(at(ended)),
            failed: false,
            by_polls: false,
            times: StageTimes::default(),
        }
    }

    #[test]
    fn the_rail_shows_where_no_stage_is_known() {
        let (a, b) = (placed("a", 10, 15, 20), placed("b", 30, 35, 50));
        let at = Timestamp::from_micros;
        let timeline = JobTimeline { submitted: at(5), ended: None, heard: at(60), stages: vec![], elsewhere: 0 };
        assert_eq!(uncovered(&timeline, &[&b, &a]), [(at(5), at(10)), (at(20), at(30)), (at(50), at(60))]);
        assert_eq!(uncovered(&timeline, &[]), [(at(5), at(60))]);
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
