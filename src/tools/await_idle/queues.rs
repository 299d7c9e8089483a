//! The second source: the messages on the stages' queues, by Prometheus.
//!
//! Range and instant queries answer with the newest sample of the last five minutes, so a "0" may be older than the load
//! that it should follow. The samples of a range selector carry the time of their scrape: only a sample scraped after the
//! waiting began counts, and later by the lag if values may be out of date. Samples of a series that has ended stay for five
//! minutes; the instant query, which obeys staleness markers, returns only live series.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use super::Args;
use super::state::IdleState;
use crate::cli::{Console, Failure, Io, Stop};
use crate::clock::Clock;
use crate::escape;
use crate::figures::listed;
use crate::http::{BaseUrl, Client, Connections, HttpArgs};
use crate::profile::Profile;
use crate::prometheus::{CREDENTIALS, Problem, Server};
use crate::record::{ClockOffset, Reason, Timestamp};

/// The range of the samples: Prometheus' own lookback, so that every live series has one.
const LOOKBACK: &str = "300000ms";
/// The longest wait for an answer.
const MAX_TIMEOUT: Duration = Duration::from_secs(5);
/// A shorter limit does not shorten the timeout of its requests.
const MIN_TIMEOUT: Duration = Duration::from_secs(1);
/// Labels of the scrape, which do not describe the queue.
const SCRAPE_LABELS: [&str; 3] = ["__name__", "instance", "job"];
/// The longest name of a series in a message, in characters.
const MAX_NAME: usize = 120;

/// The reasons of a failed look that may pass by itself.
const PASSING: [Reason; 7] = [
    Reason::Refused,
    Reason::Unavailable,
    Reason::QueryTimeout,
    Reason::Overloaded,
    Reason::NoAnswer,
    Reason::AnswerCut,
    Reason::OwnLimit,
];

type Labels = BTreeMap<String, String>;

/// The queues as Prometheus sees them.
pub(super) struct Queues {
    base: BaseUrl,
    client: Client,
    stop: Stop,
    console: Console,
    query: String,
    lag: Duration,
    server: Option<Server>,
    /// Some answer has contained a series.
    has_series: bool,
    /// The work that the last look saw.
    busy: Option<String>,
}

/// A series with its samples, where they were asked for: seconds since the epoch, value.
#[derive(Clone, Deserialize)]
struct Series {
    metric: Labels,
    #[serde(default)]
    values: Vec<(f64, String)>,
}

impl Queues {
    /// The queues that the arguments and the profile describe; the inner error is the reason why there is nothing to query.
    pub(super) fn from_args(args: &Args, profile: &Profile, io: &Io<'_>) -> Result<Result<Self, String>, Failure> {
        let given = args.prometheus.as_deref().or(profile.prometheus.url.as_deref()).unwrap_or_default().trim();
        if given.is_empty() {
            return Ok(Err("no Prometheus is configured for the queues".to_owned()));
        }
        let base = BaseUrl::parse(given, "--prometheus")?;
        let Some(idle) = &profile.prometheus.idle else {
            return Ok(Err("the profile has no prometheus.idle query".to_owned()));
        };
        // The target's headers may be secrets that Prometheus must not see.
        let http = HttpArgs {
            timeout: args.target.http.timeout.min(MAX_TIMEOUT).min(args.limit.max(MIN_TIMEOUT)),
            headers: Vec::new(),
            header_file: args.prom_header_file.clone(),
            token_env: None,
            ..args.target.http.clone()
        };
        // The message must name the flag that was given.
        let factory = http.client_factory(Connections::Kept).map_err(|failure| {
            Failure::usage(failure.message().unwrap_or_default().replacen("--header-file", "--prom-header-file", 1))
        })?;
        let client = factory.client();
        let (stop, console, query) = (io.stop.clone(), io.console.clone(), idle.query.trim().to_owned());
        let lag = args.lag.unwrap_or_else(|| idle.lag());
        Ok(Ok(Self { base, client, stop, console, query, lag, server: None, has_series: false, busy: None }))
    }

    /// The state by the samples that were scraped after `since`, by `clock`. If no series was ever seen, and an error will not pass by
    /// itself, another check is useless. One look that failed does not end the wait.
    pub(super) fn check(&mut self, clock: &Clock, since: Timestamp) -> IdleState {
        let state = match self.look(clock, since) {
            Err(problem) => {
                let why = problem.message.replace(CREDENTIALS, "check --prom-header-file");
                match &self.busy {
                    Some(busy) => IdleState::Busy(format!("{busy} when last seen, and then {why}")),
                    None if PASSING.contains(&problem.reason) => IdleState::Pending(why),
                    None => IdleState::Unknown(why),
                }
            }
            Ok(state) => {
                self.busy = if let IdleState::Busy(busy) = &state { Some(busy.clone()) } else { None };
                state
            }
        };
        match state {
            IdleState::Unknown(why) if self.has_series => IdleState::Pending(why),
            state => state,
        }
    }

    fn look(&mut self, clock: &Clock, since: Timestamp) -> Result<IdleState, Problem> {
        let server = self.server.get_or_insert_with(|| {
            Server::new(self.base.clone(), self.client.clone(), clock.clone(), self.stop.clone(), self.console.clone())
        });
        let live: Vec<Series> = server.instant(&self.query, None)?;
        self.has_series |= !live.is_empty();
        let now = server.now();
        let sampled: Vec<Series> = server.instant(&format!("{}[{LOOKBACK}]", self.query), Some(now))?;
        self.has_series |= !sampled.is_empty();
        let since = latest(since.plus(self.lag), server.offset());
        let live = if live.is_empty() { fresh(&sampled, since) } else { live };
        Ok(if live.is_empty() {
            IdleState::Unknown(format!("Prometheus has no series of prometheus.idle: {}", self.query))
        } else {
            judge(&live, &sampled, since)
        })
    }
}

/// The series that were scraped after `since`. They tell the queues' state where the instant query shows none, as at a server
/// that answers it from an older cache, or for queues that were deleted after the last job.
fn fresh(sampled: &[Series], since: f64) -> Vec<Series> {
    let is_fresh = |series: &&Series| series.values.last().is_some_and(|(at, _)| *at >= since);
    sampled.iter().filter(is_fresh).cloned().collect()
}

/// The latest time that `since` can be on the server's clock. An unknown clock is assumed to agree with ours.
fn latest(since: Timestamp, offset: Option<ClockOffset>) -> f64 {
    since.seconds() + offset.map_or(0.0, |offset| offset.seconds + offset.bound_seconds)
}

/// Judges every live series by its last sample, unless that is older than `since`.
fn judge(live: &[Series], sampled: &[Series], since: f64) -> IdleState {
    let newest: BTreeMap<&Labels, &(f64, String)> =
        sampled.iter().filter_map(|series| Some((&series.metric, series.values.last()?))).collect();
    let (mut busy, mut pending) = (Vec::new(), Vec::new());
    for Series { metric, .. } in live {
        let Some((_, value)) = newest.get(metric).filter(|(at, _)| *at >= since) else {
            pending.push(format!("{} has not been scraped since", series_name(metric)));
            continue;
        };
        match value.parse::<f64>() {
            Ok(0.0) => {}
            Ok(_) => busy.push(format!("{} is {}", series_name(metric), escape::start(value, MAX_NAME))),
            Err(_) => pending.push(format!("{} is not a number", series_name(metric))),
        }
    }
    match (&busy[..], &pending[..]) {
        ([], []) => IdleState::Idle,
        ([], pending) => IdleState::Pending(listed(pending)),
        (busy, _) => IdleState::Busy(listed(busy)),
    }
}

/// The series as a selector would name it, without the labels of the scrape.
fn series_name(metric: &Labels) -> String {
    let labels = metric.iter().filter(|(name, _)| !SCRAPE_LABELS.contains(&name.as_str()));
    let labels: Vec<String> = labels.map(|(name, value)| format!("{name}=\"{value}\"")).collect();
    let name = metric.get("__name__").map(String::as_str).unwrap_or_default();
    escape::start(&format!("{name}{{{}}}", labels.join(",")), MAX_NAME)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(queue: &str) -> Labels {
        [("__name__", "ready"), ("instance", "a:1"), ("queue", queue)]
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }

    fn check(live: &[&str], sampled: &[(&str, f64, &str)]) -> IdleState {
        let live: Vec<Series> = live.iter().map(|queue| Series { metric: labels(queue), values: Vec::new() }).collect();
        let sampled = sampled.iter().map(|(queue, at, value)| Series {
            metric: labels(queue),
            values: vec![(1.0, "9".to_owned()), (*at, (*value).to_owned())],
        });
        judge(&live, &sampled.collect::<Vec<_>>(), 100.0)
    }

    #[test]
    fn only_samples_of_live_series_from_after_the_beginning_count() {
        assert_eq!(check(&["a"], &[("a", 100.0, "0"), ("dead", 50.0, "3")]), IdleState::Idle);
        let pending = |text: &str| IdleState::Pending(format!("ready{{queue=\"a\"}} {text}"));
        assert_eq!(check(&["a"], &[("a", 99.9, "0")]), pending("has not been scraped since"));
        assert_eq!(check(&["a"], &[]), pending("has not been scraped since"));
        assert_eq!(check(&["a"], &[("a", 100.0, "much")]), pending("is not a number"));
        let busy = check(&["a", "b"], &[("a", 50.0, "0"), ("b", 101.0, "2")]);
        assert_eq!(busy, IdleState::Busy("ready{queue=\"b\"} is 2".to_owned()));
        assert!(matches!(check(&["a"], &[("a", 101.0, "NaN")]), IdleState::Busy(_)), "NaN is not idle");
    }

    #[test]
    fn series_that_only_the_samples_show_count_once_they_are_scraped() {
        let sampled = |at| Series { metric: labels("a"), values: vec![(at, "0".to_owned())] };
        assert_eq!(fresh(&[sampled(99.9)], 100.0).len(), 0);
        assert_eq!(fresh(&[sampled(99.9), sampled(100.0)], 100.0).len(), 1);
    }

    #[test]
    fn the_beginning_is_taken_as_late_as_it_can_be_on_the_servers_clock() {
        let since = Timestamp::from_seconds(1000.0).unwrap();
        let late = latest(since, Some(ClockOffset { seconds: 5.0, bound_seconds: 0.5 }));
        assert!((late - 1005.5).abs() < 1e-9 && (latest(since, None) - 1000.0).abs() < 1e-9);
    }
}
