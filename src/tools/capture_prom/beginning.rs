//! The check that the server was there when the window began.
//!
//! A server that was started inside the window answers for all of it, and nothing in the answer says that the first part is
//! missing. A series may be born inside the window, by the first job say; but where the server has no sample of anything at
//! the window's beginning, nobody looked.

use std::time::Duration;

use serde::de::IgnoredAny;

use super::grid::Grid;
use crate::profile::Query;
use crate::prometheus::{Problem, Server};
use crate::promql::is_plain_selector;
use crate::record::{Reason, SeriesStatus, Timestamp, Window};
use crate::units;

/// The metric that every scrape leaves a sample of, even a failed one.
const SCRAPED: &str = "up";

/// The beginning of a window that was asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Beginning {
    /// The true window, without padding.
    pub(super) window: Window,
    /// The points that were asked for.
    pub(super) grid: Grid,
    /// The longest time from the window's beginning to the first point: a server that was there all the time had scraped by then.
    pub(super) tolerance: Duration,
}

impl Beginning {
    /// The problem with the beginning, given the answers to the queries; none if some sample is from there.
    pub(super) fn doubt<'a>(
        self,
        server: &mut Server,
        asked: impl Iterator<Item = (&'a Query, &'a SeriesStatus)> + Clone,
    ) -> Option<Problem> {
        let start = self.window.start;
        let limit = start.plus(self.tolerance).min(self.grid.end());
        let first = |wanted: fn(&Query) -> bool| {
            asked.clone().filter(|(query, _)| wanted(query)).filter_map(|(_, status)| status.first_sample_at).min()
        };
        // A computed series, such as `x or vector(0)`, may have points without one sample behind them.
        let (sampled, any) = (first(|query| is_plain_selector(&query.query)), first(|_| true)?);
        if sampled.is_some_and(|first| first <= limit) {
            return None;
        }
        let scraped = scrapes_at(server, limit);
        if scraped == Ok(true) {
            return None;
        }
        // Without a sample of anything the computed ones are the only witnesses there are.
        if sampled.is_none() && any <= limit && scrapes_at(server, self.grid.end()) != Ok(true) {
            return None;
        }
        if let Err(problem) = &scraped
            && problem.is_interrupted()
        {
            let message =
                format!("cannot tell whether the server was running when the window began: {}", problem.message);
            return Some(Problem::new(problem.reason.clone(), message));
        }
        let mut message = format!("the window begins at {start}, and the server has no sample of {SCRAPED} by {limit}");
        if let Err(problem) = scraped {
            message = format!(
                "the window begins at {start}, and it is unknown whether the server had scraped anything by {limit} ({})",
                problem.message
            );
        }
        if let Some(first) = sampled {
            let after = units::seconds(first.since(start));
            message.push_str(&format!(", and none of the queried series before {first}, {after} later"));
        }
        message.push_str("; it was started later, or no longer has the data, or --prometheus is not the right server");
        Some(Problem::new(Reason::BeginsLate, message))
    }
}

/// Returns whether the server has the sample of a scrape at `time`, or shortly before.
fn scrapes_at(server: &mut Server, time: Timestamp) -> Result<bool, Problem> {
    Ok(!server.instant::<Vec<IgnoredAny>>(SCRAPED, Some(time))?.is_empty())
}
