//! A sweep: every trace of one service in a window, from a server that neither pages nor admits that it left some out.
//!
//! A search with a full answer is split in two, as often as needed. Some servers return less than they were asked for
//! (a limit of their own, or a store that drops some), so a later sweep splits the window elsewhere, amid the traces that
//! were found. If that sweep finds more, the earlier one was short.

use super::api::{Jaeger, RequestError, SearchPage};
use super::model::Trace;
use crate::record::Reason;

/// The largest number of windows that a later sweep begins with.
const MAX_WINDOWS: usize = 16;

/// The outcome of a sweep.
#[derive(Debug, Default)]
pub(super) struct SweepResult {
    /// The error that ended it early, or that the server reported beside its answer.
    pub(super) error: Option<RequestError>,
    /// Microseconds that hold more traces than a page.
    pub(super) overfull: Vec<i64>,
    /// The number of traces in each answer.
    pub(super) page_sizes: Vec<usize>,
}

/// Searches all of `windows`. A page counts as full from `full` traces on; `on_page` receives the traces of every answer.
pub(super) fn sweep(
    jaeger: &mut Jaeger,
    service: &str,
    mut windows: Vec<(i64, i64)>,
    (limit, full): (usize, usize),
    mut on_page: impl FnMut(Vec<(String, Trace)>, u64),
) -> SweepResult {
    let mut result = SweepResult::default();
    while let Some((start, end)) = windows.pop() {
        let SearchPage { traces, errors } = match jaeger.search(service, (start, end), limit) {
            Ok(page) => page,
            Err(error) => {
                result.error = Some(error);
                return result;
            }
        };
        if let Some(errors) = errors {
            let message = format!("the server reports errors beside its answer: {errors}");
            result.error = Some(RequestError { reason: Reason::ServerError, message, retryable: true });
        }
        result.page_sizes.push(traces.len());
        let is_full = traces.len() >= full;
        on_page(traces, jaeger.requests());
        if is_full && start < end {
            let middle = start + (end - start) / 2;
            windows.extend([(middle + 1, end), (start, middle)]);
        } else if is_full {
            result.overfull.push(start);
        }
    }
    result
}

/// The windows that the `round`-th sweep (from 1) begins with: the whole window at first, later as many parts as there were
/// rounds, with equal numbers of the `starts` of the traces found so far.
pub(super) fn split_window((start, end): (i64, i64), mut starts: Vec<i64>, round: usize) -> Vec<(i64, i64)> {
    starts.retain(|time| (start..end).contains(time));
    starts.sort_unstable();
    let count = round.min(MAX_WINDOWS);
    let mut cuts: Vec<i64> = (1..count).filter_map(|part| starts.get(starts.len() * part / count).copied()).collect();
    cuts.dedup();
    let mut from = start;
    let mut windows = Vec::with_capacity(cuts.len() + 1);
    for cut in cuts {
        windows.push((from, cut));
        from = cut + 1;
    }
    windows.push((from, end));
    windows
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_later_sweep_splits_amid_the_traces_found() {
        assert_eq!(split_window((0, 100), vec![], 3), [(0, 100)]);
        assert_eq!(split_window((0, 100), vec![90, 91, 92, 93], 1), [(0, 100)]);
        assert_eq!(split_window((0, 100), vec![93, 90, 92, 91, 200], 2), [(0, 92), (93, 100)]);
    }

    proptest! {
        #[test]
        fn the_parts_together_are_the_window(
            starts in proptest::collection::vec(-10..120i64, 0..30), round in 1..30usize, end in 0..100i64
        ) {
            let windows = split_window((0, end), starts, round);
            let whole: Vec<i64> = windows.iter().flat_map(|(start, end)| *start..=*end).collect();
            prop_assert_eq!(whole, (0..=end).collect::<Vec<_>>());
        }
    }
}
