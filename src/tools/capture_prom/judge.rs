//! The status of each query and of the capture as a whole.

use serde::Deserialize;

use super::fetch::Captured;
use super::grid::Grid;
use super::near;
use crate::http::form;
use crate::profile::Query;
use crate::prometheus::{Problem, Server};
use crate::record::{CaptureResult, Reason, SeriesStatus, Timestamp};

/// Gives one reason to every way of not answering.
pub(super) fn unreachable(problem: Problem) -> Problem {
    if problem.is_silence() { Problem { reason: Reason::Unreachable, ..problem } } else { problem }
}

pub(super) fn status(result: CaptureResult, problems: &[Problem]) -> SeriesStatus {
    let messages: Vec<&str> = problems.iter().map(|problem| problem.message.as_str()).collect();
    SeriesStatus {
        result,
        reason: problems.first().map(|problem| problem.reason.clone()),
        message: (!messages.is_empty()).then(|| messages.join("; ")),
        ..SeriesStatus::default()
    }
}

/// The status of a query that was answered.
pub(super) fn captured_status(captured: Captured, doubts: &[Problem]) -> SeriesStatus {
    let Captured { summary, file, chunks, raw, table, addresses: _, mut problems } = captured;
    if summary.is_partial {
        problems.push(Problem::new(Reason::IsPartial, "the server says that parts of it did not answer (isPartial)"));
    }
    if !summary.warnings.is_empty() {
        let start: String = crate::escape::start(&summary.warnings.join("; "), 300);
        problems.push(Problem::new(Reason::Warnings, format!("the server warns: {start}")));
    }
    problems.extend_from_slice(doubts);
    let result = if summary.series == 0 {
        problems.insert(0, Problem::new(Reason::NoSeries, "the server has no such series in the window"));
        CaptureResult::Empty
    } else if problems.is_empty() {
        CaptureResult::Ok
    } else {
        CaptureResult::Partial
    };
    let time = |seconds: f64| Timestamp::from_seconds(seconds);
    let (raw_file, raw_samples) = raw.unzip();
    SeriesStatus {
        file: Some(file),
        series: Some(summary.series),
        samples: Some(summary.samples),
        not_a_number: Some(summary.not_a_number),
        infinite: Some(summary.infinite),
        native_histograms: Some(summary.native_histograms),
        first_sample_at: summary.covered.and_then(|(first, _)| time(first)),
        last_sample_at: summary.covered.and_then(|(_, last)| time(last)),
        families: summary.families.into_iter().collect(),
        chunks,
        raw_file,
        raw_samples,
        table,
        warnings: summary.warnings,
        infos: summary.infos,
        ..status(result, &problems)
    }
}

/// Adds a doubt about the whole capture to the status of one query that brought something.
pub(super) fn doubt_too(status: &mut SeriesStatus, doubt: &Problem) {
    match status.result {
        CaptureResult::Ok => status.result = CaptureResult::Partial,
        CaptureResult::Partial => {}
        CaptureResult::Empty | CaptureResult::Quiet | CaptureResult::Error => return,
    }
    status.reason.get_or_insert_with(|| doubt.reason.clone());
    status.message = Some(match status.message.take() {
        Some(message) => format!("{message}; {}", doubt.message),
        None => doubt.message.clone(),
    });
}

/// Returns the names of all metrics that the server has around the window, or its error.
pub(super) fn all_names(server: &mut Server, grid: Grid) -> Result<Vec<String>, String> {
    #[derive(Deserialize)]
    struct Names(Vec<String>);
    let [start, end, _] = grid.parameters();
    let range = form(&[("start", &start.1), ("end", &end.1)]);
    let names = server.data::<Names>(&format!("/api/v1/label/__name__/values?{range}"));
    names.map(|Names(names)| names).map_err(|problem| problem.message)
}

/// Adds the names that the server has instead to the status of an empty query.
pub(super) fn suggest(status: &mut SeriesStatus, query: &Query, names: Result<&[String], &String>) {
    let hint = match names {
        Ok([]) => "it has no series at all there: is this the right server and the right window?".to_owned(),
        Ok(names) => {
            let near = near::names(&query.query, names);
            status.near_names = near.iter().map(|name| crate::escape::start(name, 200)).collect();
            match status.near_names.as_slice() {
                [] => format!("none of its {} metric names resembles the query", names.len()),
                near => format!("the most similar ones: {}", near.join(", ")),
            }
        }
        Err(why) => format!("its metric names cannot be read: {why}"),
    };
    if let Some(message) = &mut status.message {
        message.push_str("; ");
        message.push_str(&hint);
    }
}
