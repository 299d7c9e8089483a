//! A sweep: every trace of one service in a window, from a server that neither pages nor admits that it left some out.
//!
//! A search with a full answer is split in two, as often as needed. Some servers return less than they were asked for
//! (a limit of their own, or a store that drops some), so a later sweep splits the window elsewhere, amid the traces that
//! were found. If that sweep finds more, the earlier one was short.
//!
//! Other servers answer a narrow window as a wider one, and would be asked for every microsecond. So a window is given up where
//! splitting brings full answers with nothing new, and the client bounds the requests and the time of every sweep.

use std::collections::HashSet;

use super::api::Jaeger;
use super::limits::RequestError;
use super::model::{SearchPage, Trace};
use crate::record::Reason;

/// The largest number of windows that a later sweep begins with.
const MAX_WINDOWS: usize = 16;

/// A window in microseconds since the epoch, both ends included.
pub(super) type Micros = (i64, i64);

/// The outcome of a sweep.
#[derive(Debug, Default)]
pub(super) struct SweepResult {
    /// The error that ended it early, or that the server reported beside its answer.
    pub(super) error: Option<RequestError>,
    /// Windows that hold more traces than a page and cannot be split.
    pub(super) overfull: Vec<Micros>,
    /// The number of traces in each answer.
    pub(super) page_sizes: Vec<usize>,
}

/// The settings of a sweep.
#[derive(Clone, Copy, Debug)]
pub(super) struct Paging {
    /// The number of traces to ask for.
    pub(super) limit: usize,
    /// The smallest number of traces that counts as a full page.
    pub(super) full: usize,
    /// The width of windows, in microseconds, up to which the server gave full answers with nothing new; 0 if it never did.
    pub(super) resolution: i64,
}

/// Searches all of `windows`; `on_page` receives the traces of every answer.
pub(super) fn sweep(
    jaeger: &mut Jaeger,
    service: &str,
    mut windows: Vec<Micros>,
    paging: &mut Paging,
    mut on_page: impl FnMut(Vec<(String, Trace)>, u64),
) -> SweepResult {
    let mut result = SweepResult::default();
    let mut seen: HashSet<String> = HashSet::new();
    // The widest of the windows since the last answer that was not full or held something new, and their number.
    let mut barren: Option<(Micros, u32)> = None;
    while let Some(window) = windows.pop() {
        let SearchPage { traces, errors } = match jaeger.search(service, window, paging.limit) {
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
        let (is_full, known) = (traces.len() >= paging.full, seen.len());
        seen.extend(traces.iter().map(|(id, _)| id.clone()));
        on_page(traces, jaeger.requests());
        let is_barren = is_full && seen.len() == known;
        let (start, end) = window;
        barren = is_barren.then(|| match barren {
            Some((widest, count)) if is_inside(window, widest) => (widest, count + 1),
            _ => (window, 1),
        });
        if !is_full {
            continue;
        }
        if start >= end || (is_barren && end - start <= paging.resolution) {
            result.overfull.push(window);
            continue;
        }
        if let Some((widest, _)) = barren.filter(|((start, end), count)| *count > (end - start).max(1).ilog2() + 2) {
            // A server that honours the window would have come to an answer that is not full: at each step down one half
            // has the traces, and the other one has none of them.
            windows.retain(|window| !is_inside(*window, widest));
            result.overfull.retain(|window| !is_inside(*window, widest));
            result.overfull.push(widest);
            paging.resolution = paging.resolution.max(widest.1 - widest.0);
            barren = None;
            continue;
        }
        let middle = start + (end - start) / 2;
        windows.extend([(middle + 1, end), (start, middle)]);
    }
    result
}

fn is_inside(window: Micros, outer: Micros) -> bool {
    outer.0 <= window.0 && window.1 <= outer.1
}

/// The windows that the `round`-th sweep (from 1) begins with: the whole window at first, later as many parts as there were
/// rounds, with equal numbers of the `starts` of the traces found so far.
pub(super) fn split_window((start, end): Micros, mut starts: Vec<i64>, round: usize) -> Vec<Micros> {
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
