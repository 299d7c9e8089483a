//! Waiting until the server has scraped past the window's end.
//!
//! A point that is asked for before the scrape that belongs to it is answered with an older value, and the true one takes its
//! place later. So nothing is asked before every active target was scraped after the last point, or the settling time is over.

use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::cli::{Console, Io};
use crate::escape;
use crate::figures::listed;
use crate::prometheus::{Problem, Server};
use crate::record::{Reason, Timestamp};
use crate::units;

/// The time between two looks at the server.
const EVERY: Duration = Duration::from_millis(500);

/// The state of the server's scrapes when the waiting has ended.
#[derive(Clone, Debug)]
pub(super) struct Settled {
    /// The source of that knowledge: `targets`, `up` or `waiting`.
    pub(super) by: &'static str,
    /// The earliest of the last scrapes, by the server's clock.
    pub(super) scraped_until: Option<Timestamp>,
    /// The shortest interval at which a target is scraped, where the server tells.
    pub(super) interval: Option<Duration>,
    /// The longest one.
    pub(super) longest_interval: Option<Duration>,
    /// The problem with the end of the window, if there is one.
    pub(super) problem: Option<Problem>,
}

/// The last scrape of one target.
#[derive(Clone, Debug)]
struct Scrape {
    target: String,
    at: Timestamp,
    /// The scrape interval of the target.
    every: Option<Duration>,
    /// The error of a target that is down.
    down: Option<String>,
}

/// A source that tells the last scrapes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Targets,
    Up,
    Nothing,
}

/// Waits until all scrapes are past `until`, or `left` is over, or a signal comes. In doubt is the window's end only where
/// some scrape is not past `needed`, which is that end without padding.
pub(super) fn settle(server: &mut Server, io: &Io<'_>, needed: Timestamp, until: Timestamp, left: Duration) -> Settled {
    let deadline = Instant::now() + left;
    let mut source = Source::Targets;
    loop {
        let scrapes = last_scrapes(server, &mut source, &io.console);
        let left = deadline.saturating_duration_since(Instant::now());
        let seen = scrapes.as_deref().unwrap_or_default();
        // If nothing shows when the server has caught up, it gets the whole settling time.
        let passed = !seen.is_empty() && seen.iter().all(|scrape| scrape.at > until);
        let stopped = io.stop.signal().is_some();
        let is_foreign = scrapes.as_ref().is_err_and(Problem::is_foreign);
        if passed || left.is_zero() || stopped || is_foreign {
            io.console.clear_progress();
            tell_down(seen, &io.console);
            return judged(source, scrapes, needed, stopped && !left.is_zero());
        }
        io.console.progress(|| {
            let behind = seen.iter().filter(|scrape| scrape.at <= until).count();
            let what = match seen.len() {
                0 => "for the server to catch up".to_owned(),
                all => format!("for the scrapes of {behind} of {all} targets"),
            };
            format!("waiting {what}, at most {}", units::whole(left))
        });
        // A signal is looked at above, with the time.
        io.stop.wait(left.min(EVERY));
    }
}

fn judged(source: Source, scrapes: Result<Vec<Scrape>, Problem>, needed: Timestamp, stopped: bool) -> Settled {
    let by = match source {
        Source::Targets => "targets",
        Source::Up => "up",
        Source::Nothing => "waiting",
    };
    let doubt = |message: String| Some(Problem::new(Reason::NotSettled, message));
    let scrapes = match scrapes {
        Ok(scrapes) => scrapes,
        Err(problem) => {
            let problem = doubt(problem.message);
            return Settled { by, scraped_until: None, interval: None, longest_interval: None, problem };
        }
    };
    let behind: Vec<&Scrape> = scrapes.iter().filter(|scrape| scrape.at <= needed).collect();
    let problem = if !behind.is_empty() {
        let shown = listed(behind.iter().map(|scrape| format!("{} at {}", scrape.target, last(scrape.at))));
        doubt(format!(
            "the window ends at {needed}, and the last scrapes were before that: {shown}; a longer --settle may help"
        ))
    } else if source == Source::Nothing && stopped {
        doubt("a signal ended the wait for the server to catch up".to_owned())
    } else {
        None
    };
    let scraped_until = scrapes.iter().map(|scrape| scrape.at).min();
    let intervals = scrapes.iter().filter_map(|scrape| scrape.every);
    Settled { by, scraped_until, interval: intervals.clone().min(), longest_interval: intervals.max(), problem }
}

/// Prometheus spells "never" as the year 1.
fn last(at: Timestamp) -> String {
    if at.micros() <= 0 { "no time".to_owned() } else { at.to_string() }
}

/// A target that is down is scraped all the same, in vain: its series have a gap that nothing else would explain.
fn tell_down(scrapes: &[Scrape], console: &Console) {
    let down: Vec<String> = scrapes
        .iter()
        .filter_map(|scrape| scrape.down.as_ref().map(|why| format!("{} ({why})", scrape.target)))
        .collect();
    if !down.is_empty() {
        console.say(&format!("{} of {} targets are down: {}", down.len(), scrapes.len(), listed(&down)));
    }
}

/// The last scrapes, from the first source that tells them; falls back to the next one for good.
fn last_scrapes(server: &mut Server, source: &mut Source, console: &Console) -> Result<Vec<Scrape>, Problem> {
    // A server that answers neither question like a Prometheus is none, and is not waited for.
    let mut is_foreign = false;
    if *source == Source::Targets {
        match targets(server) {
            Ok(scrapes) if !scrapes.is_empty() => return Ok(scrapes),
            Ok(_) => console.say("the server has no targets: using the samples of up"),
            Err(problem) if problem.is_silence() || problem.is_interrupted() => return Err(problem),
            Err(problem) => {
                is_foreign = problem.is_foreign();
                console.say(&format!("no list of targets ({}): using the samples of up", problem.message));
            }
        }
        *source = Source::Up;
    }
    if *source == Source::Up {
        match up(server) {
            Ok(scrapes) if !scrapes.is_empty() => return Ok(scrapes),
            Ok(_) => {}
            Err(problem) if problem.is_silence() || problem.is_interrupted() || is_foreign && problem.is_foreign() => {
                return Err(problem);
            }
            Err(problem) => console.say(&format!("the query timestamp(up): {}", problem.message)),
        }
        console.say("cannot tell how far the server has caught up: assuming that it has caught up when --settle ends");
        *source = Source::Nothing;
    }
    Ok(Vec::new())
}

fn targets(server: &mut Server) -> Result<Vec<Scrape>, Problem> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Targets {
        active_targets: Vec<Target>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Target {
        #[serde(default)]
        labels: Labels,
        #[serde(default)]
        scrape_url: String,
        last_scrape: Timestamp,
        #[serde(default)]
        scrape_interval: String,
        #[serde(default)]
        health: String,
        #[serde(default)]
        last_error: String,
    }
    let Targets { active_targets } = server.data("/api/v1/targets?state=active")?;
    let scrape = |target: Target| Scrape {
        target: target.labels.name().unwrap_or_else(|| escape::start(&target.scrape_url, 80)),
        at: target.last_scrape,
        // Older servers do not tell it, and days are no interval that a capture could reckon with.
        every: units::positive_duration(&target.scrape_interval).ok(),
        down: (target.health == "down").then(|| escape::start(&target.last_error, 120)),
    };
    Ok(active_targets.into_iter().map(scrape).collect())
}

/// The labels that name a target.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Labels {
    job: String,
    instance: String,
}

impl Labels {
    fn name(&self) -> Option<String> {
        let both = format!("{} {}", self.job, self.instance);
        (!self.instance.is_empty()).then(|| escape::start(both.trim(), 80))
    }
}

fn up(server: &mut Server) -> Result<Vec<Scrape>, Problem> {
    #[derive(Deserialize)]
    struct Sample {
        metric: Labels,
        value: (f64, String),
    }
    let result: Vec<Sample> = server.instant("timestamp(up)", None)?;
    let scrape = |sample: Sample| {
        let at = sample.value.1.parse().ok().and_then(Timestamp::from_seconds)?;
        Some(Scrape { target: sample.metric.name().unwrap_or_default(), at, every: None, down: None })
    };
    Ok(result.into_iter().filter_map(scrape).collect())
}
