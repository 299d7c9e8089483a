//! The headline figures in words, as the page and the summary on the terminal both say them. The names
//! in them are anybody's: each is made safe by the function that the caller gives.

use super::captures::Captures;
use crate::figures::Figures;
use crate::figures::account::Entry;
use crate::figures::listed;
use crate::figures::load::Load;
use crate::figures::outcome::Outcome;
use crate::units;
pub(super) use crate::units::decimal;

/// Makes a name safe for where it will be shown.
pub(super) type Safe = fn(&str) -> String;

/// The figures that the first screen shows, each with its label.
pub(super) fn facts(figures: &Figures, captures: &Captures, safe: Safe) -> Vec<(&'static str, String)> {
    if captures.alone {
        return of_window(captures);
    }
    let mut facts = vec![
        ("Load", load(&figures.load)),
        ("Throughput", throughput(&figures.load)),
        ("End to end", end_to_end(figures)),
        ("Limiting stage", limiting(figures, safe)),
        ("Success rate", success(figures)),
    ];
    facts.extend(warmup(&figures.account.warmups).map(|text| ("Warm-up", text)));
    facts
}

/// How the jobs ended that ran before the counted ones.
fn warmup(entries: &[Entry]) -> Option<String> {
    let ended = Outcome::ALL.into_iter().filter_map(|outcome| {
        let count = entries.iter().filter(|entry| entry.outcome == outcome).count();
        (count > 0).then(|| format!("{count} {outcome}"))
    });
    let ended = ended.collect::<Vec<_>>().join(", ");
    let jobs = jobs(entries.len() as u64);
    (!entries.is_empty()).then(|| format!("{jobs} before the counted ones: {ended}; left out of every figure"))
}

/// A figure's text as what it says first and what follows: `197 jobs/min` and `12 succeeded in 3.65 s, …`.
pub(super) fn lead(text: &str) -> (&str, &str) {
    let cuts = [": ", ", ", "; "].into_iter().filter_map(|between| text.find(between));
    match cuts.min() {
        Some(cut) => (&text[..cut], &text[cut + 2..]),
        None => (text, ""),
    }
}

/// What there is to say of a window without jobs.
fn of_window(captures: &Captures) -> Vec<(&'static str, String)> {
    let window = captures.window.map_or_else(
        || "not known: no capture tells it".to_owned(),
        |window| format!("{} to {}, {}", window.start, window.end, units::seconds(window.end.since(window.start))),
    );
    let whole = captures.rows.iter().filter(|row| row.result == "ok").count();
    let of = |what: &str| captures.rows.iter().filter(|row| row.what == what).count();
    let asked = format!("{} series, traces of {} services, logs of {}", of("series"), of("traces"), of("logs"));
    vec![("Window", window), ("Captures", format!("{whole} of {} came whole: {asked}", captures.rows.len()))]
}

fn load(load: &Load) -> String {
    let asked = &load.asked;
    let jobs = jobs(asked.jobs);
    let mut text = match (asked.concurrency, asked.max_posts, asked.rate_per_second) {
        (Some(concurrency), _, _) => format!("asked: concurrency {concurrency}, {jobs}"),
        (_, Some(posts), _) => format!("asked: {jobs} at once, at most {posts} submissions at a time"),
        (_, _, Some(rate)) => format!("asked: {} jobs/s, {jobs}", decimal(rate)),
        _ => format!("asked: {jobs}"),
    };
    if load.first_submitted.is_none() {
        return format!("{text}; nothing was submitted");
    }
    text = format!("{text}; reached: peak {}", load.peak);
    if let Some(mean) = load.mean_while_submitting {
        text = format!("{text}, mean {mean:.1} in flight from the first submission to the last");
    }
    if asked.rate_per_second.is_some()
        && let Some(rate) = load.rate_reached
    {
        text = format!("{text}, {} jobs/s", decimal(rate));
    }
    if let Some(lag) = load.lag {
        text = format!(
            "{text}; submissions lagged behind the schedule by {} (median), {} at most",
            units::seconds(lag.p50),
            units::seconds(lag.max)
        );
    }
    match (asked.concurrency, asked.reachable()) {
        (Some(concurrency), Some(reachable)) if reachable < concurrency => {
            format!("{text}; {concurrency} could not be reached: there were only {jobs}")
        }
        (Some(concurrency), _) if load.peak < concurrency => format!("{text}; {concurrency} was never reached"),
        _ => text,
    }
}

fn jobs(count: u64) -> String {
    if count == 1 { "1 job".to_owned() } else { format!("{count} jobs") }
}

/// Of the jobs that came to an end; how many did not stands with it.
fn success(figures: &Figures) -> String {
    let Some(rate) = figures.success else { return "no job came to an end".to_owned() };
    match figures.account.conservation.asked.saturating_sub(rate.of) {
        0 => rate.text(),
        open => format!("{}; {} more without a known end", rate.text(), jobs(open)),
    }
}

fn throughput(load: &Load) -> String {
    match (load.jobs_per_minute(), load.window_seconds()) {
        (Some(rate), Some(window)) => format!(
            "{} jobs/min: {} succeeded in {}, from the first submission to the last end",
            decimal(rate),
            load.succeeded,
            units::seconds(window)
        ),
        _ => "not known: no end was seen".to_owned(),
    }
}

fn end_to_end(figures: &Figures) -> String {
    match figures.end_to_end {
        Some(of) => format!("median {}, max {}, of {} that succeeded", of.p50.text(), of.max.text(), of.count),
        None => "not known: no job is known to have succeeded".to_owned(),
    }
}

fn limiting(figures: &Figures, safe: Safe) -> String {
    match &figures.limiting {
        Some(limiting) => format!("{}: {}", safe(&limiting.stage), limiting.text(safe)),
        None => "not known: no stage has times".to_owned(),
    }
}

/// Who is not among those that succeeded: `failed: a, b; lost: c`. None where all are.
pub(super) fn others(figures: &Figures, safe: Safe) -> Option<String> {
    let parts = Outcome::ALL[1..].iter().filter_map(|outcome| {
        let names: Vec<String> = figures.account.with(*outcome).map(|entry| safe(&entry.name)).collect();
        (!names.is_empty()).then(|| format!("{outcome}: {}", listed(&names)))
    });
    let parts: Vec<String> = parts.collect();
    (!parts.is_empty()).then(|| parts.join("; "))
}
