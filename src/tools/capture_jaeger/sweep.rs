//! All traces of one service in a window, from a server that has neither pages nor a sign that it left some out.
//!
//! A search that comes back full is cut in two, as often as it takes. Some servers give less than they were asked for,
//! though (a limit of their own, or a store that forgets some): so a later pass cuts the window at other places, right
//! among the traces that were found, and what it brings beyond those shows that the earlier one was short.

use super::api::{Fault, Jaeger, Page};
use super::model::Trace;

/// The most pieces into which a later pass cuts the window.
const MOST_PIECES: usize = 16;

/// How a sweep went.
#[derive(Debug, Default)]
pub(super) struct Swept {
    /// What ended it early, or what the server complained of.
    pub(super) fault: Option<Fault>,
    /// Microseconds that are fuller than a page.
    pub(super) overfull: Vec<i64>,
    /// How many traces each search brought.
    pub(super) pages: Vec<usize>,
}

/// Searches `windows` whole. A page counts as full from `full` traces on; `found` gets every trace that may be kept.
pub(super) fn sweep(
    jaeger: &mut Jaeger,
    service: &str,
    mut windows: Vec<(i64, i64)>,
    (limit, full): (usize, usize),
    mut found: impl FnMut(Vec<(String, Trace)>, u64),
) -> Swept {
    let mut swept = Swept::default();
    while let Some((start, end)) = windows.pop() {
        let Page { traces, errors } = match jaeger.search(service, (start, end), limit) {
            Ok(page) => page,
            Err(fault) => {
                swept.fault = Some(fault);
                return swept;
            }
        };
        if let Some(errors) = errors {
            let message = format!("the server complains beside its answer: {errors}");
            swept.fault = Some(Fault { reason: "ServerError", message, passing: true });
        }
        swept.pages.push(traces.len());
        let is_full = traces.len() >= full;
        // Those of a full answer come again with its halves, unless the halves are not asked for any more.
        found(traces, jaeger.requests());
        if is_full && start < end {
            let middle = start + (end - start) / 2;
            windows.extend([(middle + 1, end), (start, middle)]);
        } else if is_full {
            swept.overfull.push(start);
        }
    }
    swept
}

/// The window of the `pass`-th sweep (from 1), in pieces: whole at first, later cut into as many pieces as there were
/// passes, each with as many of the `moments` at which traces were found.
pub(super) fn pieces((start, end): (i64, i64), mut moments: Vec<i64>, pass: usize) -> Vec<(i64, i64)> {
    moments.retain(|moment| (start..end).contains(moment));
    moments.sort_unstable();
    let count = pass.min(MOST_PIECES);
    let mut cuts: Vec<i64> =
        (1..count).filter_map(|piece| moments.get(moments.len() * piece / count).copied()).collect();
    cuts.dedup();
    let mut from = start;
    let mut pieces = Vec::with_capacity(cuts.len() + 1);
    for cut in cuts {
        pieces.push((from, cut));
        from = cut + 1;
    }
    pieces.push((from, end));
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_later_pass_cuts_among_what_was_found() {
        assert_eq!(pieces((0, 100), vec![], 3), [(0, 100)]);
        assert_eq!(pieces((0, 100), vec![90, 91, 92, 93], 1), [(0, 100)]);
        assert_eq!(pieces((0, 100), vec![93, 90, 92, 91, 200], 2), [(0, 92), (93, 100)]);
    }

    proptest! {
        #[test]
        fn pieces_together_are_the_window(
            moments in proptest::collection::vec(-10..120i64, 0..30), pass in 1..30usize, end in 0..100i64
        ) {
            let pieces = pieces((0, end), moments, pass);
            let whole: Vec<i64> = pieces.iter().flat_map(|(start, end)| *start..=*end).collect();
            prop_assert_eq!(whole, (0..=end).collect::<Vec<_>>());
        }
    }
}
