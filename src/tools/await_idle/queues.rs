//! The second witness: Prometheus, asked for what lies on the stages' queues.
//!
//! A range query, and an instant one, answer with the newest sample of the last five minutes, so "0" may be older than the
//! load that it is to be judged after. The samples behind a range selector carry the time of their scrape: only one that
//! was scraped after the waiting began counts, and where the value itself may be out of date, one that was scraped as much
//! later. A series that has ended is still among those samples for five minutes; the
//! instant query, which obeys staleness markers, tells which series live.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use super::Args;
use super::watch::Look;
use crate::cli::{Failure, Io, Stop};
use crate::clock::Clock;
use crate::escape;
use crate::figures::listed;
use crate::http::{BaseUrl, Connections, Exchange, HttpArgs};
use crate::profile::Profile;
use crate::prometheus::{CREDENTIALS, Problem, Server};
use crate::record::{ClockOffset, Timestamp};

/// How far back samples are asked for: Prometheus' own lookback, so that every living series has one.
const LOOKBACK: &str = "5m";
/// An answer that takes longer is not worth waiting for.
const PATIENCE: Duration = Duration::from_secs(5);
/// Labels that say where a sample was scraped, and nothing of the queue.
const PLACES: [&str; 3] = ["__name__", "instance", "job"];
/// How many characters of a series' name are quoted.
const QUOTED: usize = 120;

type Labels = BTreeMap<String, String>;

/// The queues as Prometheus sees them.
pub(super) struct Queues {
    base: BaseUrl,
    exchange: Exchange,
    stop: Stop,
    query: String,
    lag: Duration,
    server: Option<Server>,
    /// Whether an answer ever had a series in it.
    seen: bool,
}

#[derive(Deserialize)]
struct Answer<T> {
    result: Vec<T>,
}

/// A series that lives.
#[derive(Deserialize)]
struct Living {
    metric: Labels,
}

/// A series with its samples: seconds since the epoch, value.
#[derive(Deserialize)]
struct Sampled {
    metric: Labels,
    values: Vec<(f64, String)>,
}

impl Queues {
    /// What the arguments and the profile name; the inner error says why there is nothing to be asked.
    pub(super) fn of(args: &Args, profile: &Profile, io: &Io<'_>) -> Result<Result<Self, String>, Failure> {
        let given = args.prometheus.as_deref().or(profile.prometheus.url.as_deref()).unwrap_or_default().trim();
        if given.is_empty() {
            return Ok(Err("no Prometheus was named that sees the queues".to_owned()));
        }
        let base = BaseUrl::parse(given, "--prometheus")?;
        let Some(idle) = &profile.prometheus.idle else {
            return Ok(Err("the profile has no prometheus.idle that tells what to ask Prometheus for".to_owned()));
        };
        // The target's headers may be secrets that are nobody else's.
        let http = HttpArgs {
            timeout: args.target.http.timeout.min(PATIENCE),
            headers: Vec::new(),
            header_file: args.prom_header_file.clone(),
            token_env: None,
            ..args.target.http.clone()
        };
        // A file that cannot be used is named by its own flag.
        let client = http.client(Connections::Kept).map_err(|failure| {
            Failure::usage(failure.message().unwrap_or_default().replacen("--header-file", "--prom-header-file", 1))
        })?;
        let exchange = client.exchange();
        let (stop, query) = (io.stop.clone(), idle.query.trim().to_owned());
        let lag = args.lag.unwrap_or_else(|| idle.lag());
        Ok(Ok(Self { base, exchange, stop, query, lag, server: None, seen: false }))
    }

    /// What the samples say that were scraped after `since`, by `clock`. Where nothing was ever seen no second look is worth it.
    pub(super) fn look(&mut self, clock: &Clock, since: Timestamp) -> Look {
        let server = self.server.get_or_insert_with(|| {
            Server::new(self.base.clone(), self.exchange.clone(), clock.clone(), self.stop.clone())
        });
        let look = match ask(server, &self.query) {
            Ok((living, _)) if living.is_empty() => {
                Look::Unseen(format!("Prometheus has no series of prometheus.idle: {}", self.query))
            }
            Ok((living, sampled)) => {
                self.seen = true;
                judged(&living, &sampled, latest(since.plus(self.lag), server.offset()))
            }
            Err(problem) => Look::Unseen(problem.message.replace(CREDENTIALS, "look at --prom-header-file")),
        };
        match look {
            Look::Unseen(why) if self.seen => Look::Pending(why),
            look => look,
        }
    }
}

fn ask(server: &mut Server, query: &str) -> Result<(Vec<Living>, Vec<Sampled>), Problem> {
    let Answer { result: living } = server.instant(query)?;
    let Answer { result: sampled } = server.instant(&format!("{query}[{LOOKBACK}]"))?;
    Ok((living, sampled))
}

/// The latest that `since` can be on the server's clock. Where that clock is not known it is taken for ours.
fn latest(since: Timestamp, offset: Option<ClockOffset>) -> f64 {
    since.seconds() + offset.map_or(0.0, |offset| offset.seconds + offset.bound_seconds)
}

/// Judges every living series by its last sample, if that is not older than `since`.
fn judged(living: &[Living], sampled: &[Sampled], since: f64) -> Look {
    let newest: BTreeMap<&Labels, &(f64, String)> =
        sampled.iter().filter_map(|series| Some((&series.metric, series.values.last()?))).collect();
    let (mut busy, mut pending) = (Vec::new(), Vec::new());
    for Living { metric } in living {
        let Some((_, value)) = newest.get(metric).filter(|(at, _)| *at >= since) else {
            pending.push(format!("{} was not scraped since", named(metric)));
            continue;
        };
        match value.parse::<f64>() {
            Ok(0.0) => {}
            Ok(_) => busy.push(format!("{} is {}", named(metric), escape::start(value, QUOTED))),
            Err(_) => pending.push(format!("{} is no number", named(metric))),
        }
    }
    match (&busy[..], &pending[..]) {
        ([], []) => Look::Clear,
        ([], pending) => Look::Pending(listed(pending)),
        (busy, _) => Look::Busy(listed(busy)),
    }
}

/// The series as a selector would name it, without the labels that say where it was scraped.
fn named(metric: &Labels) -> String {
    let labels = metric.iter().filter(|(name, _)| !PLACES.contains(&name.as_str()));
    let labels: Vec<String> = labels.map(|(name, value)| format!("{name}=\"{value}\"")).collect();
    let name = metric.get("__name__").map(String::as_str).unwrap_or_default();
    escape::start(&format!("{name}{{{}}}", labels.join(",")), QUOTED)
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

    fn look(living: &[&str], sampled: &[(&str, f64, &str)]) -> Look {
        let living: Vec<Living> = living.iter().map(|queue| Living { metric: labels(queue) }).collect();
        let sampled = sampled.iter().map(|(queue, at, value)| Sampled {
            metric: labels(queue),
            values: vec![(1.0, "9".to_owned()), (*at, (*value).to_owned())],
        });
        judged(&living, &sampled.collect::<Vec<_>>(), 100.0)
    }

    #[test]
    fn only_samples_of_living_series_from_after_the_beginning_count() {
        assert_eq!(look(&["a"], &[("a", 100.0, "0"), ("dead", 50.0, "3")]), Look::Clear);
        let pending = |said: &str| Look::Pending(format!("ready{{queue=\"a\"}} {said}"));
        assert_eq!(look(&["a"], &[("a", 99.9, "0")]), pending("was not scraped since"));
        assert_eq!(look(&["a"], &[]), pending("was not scraped since"));
        assert_eq!(look(&["a"], &[("a", 100.0, "much")]), pending("is no number"));
        let busy = look(&["a", "b"], &[("a", 50.0, "0"), ("b", 101.0, "2")]);
        assert_eq!(busy, Look::Busy("ready{queue=\"b\"} is 2".to_owned()));
        assert!(matches!(look(&["a"], &[("a", 101.0, "NaN")]), Look::Busy(_)), "what is not 0 is not idle");
    }

    #[test]
    fn the_beginning_is_taken_as_late_as_it_can_be_on_the_servers_clock() {
        let since = Timestamp::from_seconds(1000.0).unwrap();
        let late = latest(since, Some(ClockOffset { seconds: 5.0, bound_seconds: 0.5 }));
        assert!((late - 1005.5).abs() < 1e-9 && (latest(since, None) - 1000.0).abs() < 1e-9);
    }
}
