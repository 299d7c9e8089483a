//! The slices of one job in a trace, in lanes that a thread can show.

use serde_json::{Value, json};

use super::shift::Shift;
use crate::figures::job_timeline::JobTimeline;
use crate::figures::tally::JobEntry;
use crate::record::{Job, Timestamp};

/// A slice of a job's thread: its name, its start and its end in microseconds, and its arguments.
pub(super) struct Slice {
    pub(super) name: String,
    pub(super) start: i64,
    pub(super) end: i64,
    pub(super) args: Value,
}

/// The beginning of the name of a wait.
pub(super) const WAIT: &str = "wait for ";

/// A job's slices: the whole, its submission, and its stages.
pub(super) fn job_slices(entry: &JobEntry, job: Option<&Job>, timeline: &JobTimeline, shift: Shift) -> Vec<Slice> {
    let Some(status) = job.map(|job| &job.status) else { return Vec::new() };
    let end = timeline.ended.map_or(timeline.heard, |end| end.at);
    let mut slices = vec![Slice {
        name: entry.name.clone(),
        start: shift.harness(timeline.submitted),
        end: shift.harness(end.max(timeline.submitted)),
        args: json!({
            "phase": entry.outcome.column(), "reason": entry.reason.as_ref().map(|reason| reason.as_str().to_owned()),
            "message": entry.message, "jobId": status.job_id, "traceId": status.trace_id,
            "endErrorSeconds": timeline.ended.map(|end| end.high.since(end.low)),
        }),
    }];
    slices.extend(status.accepted_at.map(|accepted| Slice {
        name: "submit".to_owned(),
        start: shift.harness(timeline.submitted),
        end: shift.harness(accepted.max(timeline.submitted)),
        args: json!({"httpStatus": status.http_status}),
    }));
    slices.extend(stage_slices(timeline, shift));
    slices
}

/// The waits for a job's stages, and the work in them. Work without a known end lasts as long as anything was heard of the job.
pub(super) fn stage_slices(timeline: &JobTimeline, shift: Shift) -> impl Iterator<Item = Slice> {
    let heard = timeline.ended.map_or(timeline.heard, |end| end.at);
    timeline.stages.iter().flat_map(move |stage| {
        let started = stage.started.at;
        let args = json!({"failed": stage.failed, "byPolls": stage.by_polls});
        let slice = |name: String, start: Timestamp, end: Timestamp| Slice {
            name,
            start: shift.harness(start),
            end: shift.harness(end.max(start)),
            args: args.clone(),
        };
        let wait = stage.queued.map(|queued| slice(format!("{WAIT}{}", stage.stage), queued.at.min(started), started));
        let work = slice(stage.stage.to_string(), started, stage.ended.map_or(heard, |end| end.at));
        wait.into_iter().chain([work]).collect::<Vec<_>>()
    })
}

/// Puts slices into lanes, in each of which every two slices are apart or one lies within the other: so a thread must be.
pub(super) fn lanes(mut slices: Vec<Slice>) -> Vec<Vec<Slice>> {
    // Of those that begin together the longest is the outermost.
    slices.sort_by_key(|slice| (slice.start, std::cmp::Reverse(slice.end)));
    let mut lanes: Vec<(Vec<Slice>, Vec<i64>)> = Vec::new();
    for slice in slices {
        let fits = |open: &mut Vec<i64>| {
            while open.last().is_some_and(|end| *end <= slice.start) {
                open.pop();
            }
            open.last().is_none_or(|end| slice.end <= *end)
        };
        let place = lanes.iter_mut().position(|(_, open)| fits(open)).unwrap_or(lanes.len());
        if place == lanes.len() {
            lanes.push((Vec::new(), Vec::new()));
        }
        let (held, open) = &mut lanes[place];
        open.push(slice.end);
        held.push(slice);
    }
    lanes.into_iter().map(|(held, _)| held).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlapping_slices_lie_in_lanes_of_their_own() {
        let slice = |start, end| Slice { name: String::new(), start, end, args: Value::Null };
        let found = lanes(vec![slice(2, 5), slice(0, 10), slice(4, 7), slice(5, 10), slice(9, 12), slice(0, 1)]);
        let found: Vec<Vec<_>> =
            found.iter().map(|lane| lane.iter().map(|slice| (slice.start, slice.end)).collect()).collect();
        assert_eq!(found, [vec![(0, 10), (0, 1), (2, 5), (5, 10)], vec![(4, 7), (9, 12)]]);
    }
}
