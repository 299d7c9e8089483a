//! Facts about what is exported that a script needs to serve and to link it.

use serde_json::{Value, json};

use super::recorded::Recorded;
use crate::record::{Kind, Timestamp, Traces, Window};

/// The interval that is assumed if no metric was captured, in seconds.
const INTERVAL: f64 = 1.0;

/// Facts about all exported scenarios together.
#[derive(Debug, Default)]
pub(super) struct Summary {
    window: Option<Window>,
    interval: Option<f64>,
    scenarios: Vec<Value>,
    services: Vec<String>,
}

impl Summary {
    /// Adds a scenario, whose series were scraped at most every `interval` seconds.
    pub(super) fn add(&mut self, recorded: &Recorded<'_>, interval: Option<f64>) {
        if let Some(Window { start, end }) = recorded.window {
            let moved = |time| Timestamp::from_micros(recorded.shift.to_prometheus(time));
            let window = Window { start: moved(start), end: moved(end) };
            self.window = Some(self.window.map_or(window, |held| held.hull(window)));
        }
        self.interval = self.interval.into_iter().chain(interval).reduce(f64::max);
        for traces in recorded.fold.of_kind::<Traces>(Kind::Traces).filter(|traces| traces.status.file.is_some()) {
            if !self.services.contains(&traces.metadata.name) {
                self.services.push(traces.metadata.name);
            }
        }
        let labels: serde_json::Map<String, Value> =
            recorded.source.labels.pairs().map(|(name, value)| (name.to_owned(), json!(value))).collect();
        self.scenarios.push(json!({"directory": recorded.source.shown, "labels": labels}));
    }

    /// Returns true if nothing happened that has a time.
    pub(super) fn is_empty(&self) -> bool {
        self.window.is_none()
    }

    /// The run, if all scenarios are of one.
    pub(super) fn only_run(&self) -> &str {
        let mut runs = self.scenarios.iter().map(|scenario| scenario["labels"]["run"].as_str().unwrap_or_default());
        let first = runs.next().unwrap_or_default();
        if runs.all(|run| run == first) { first } else { "" }
    }

    /// The services whose traces were captured.
    pub(super) fn services(&self) -> &[String] {
        &self.services
    }

    /// The longest interval at which a captured series was scraped, in seconds.
    pub(super) fn scrape_interval(&self) -> f64 {
        // Milliseconds are what Prometheus keeps.
        (self.interval.unwrap_or(INTERVAL) * 1e3).ceil() / 1e3
    }

    /// The range of a rate over a few samples. PromQL takes no fractions of a second but milliseconds.
    pub(super) fn rate_range(&self) -> String {
        format!("{:.0}ms", 4e3 * self.scrape_interval())
    }

    /// The window of everything, by Prometheus' clock, a little wider.
    pub(super) fn window(&self) -> Window {
        let zero = Timestamp::from_micros(0);
        let Window { start, end } = self.window.unwrap_or(Window { start: zero, end: zero });
        let margin = (end.since(start) * 0.02).max(self.scrape_interval());
        Window { start: start.shifted(-margin), end: end.shifted(margin) }
    }

    /// All of it as JSON.
    pub(super) fn to_json(&self) -> Value {
        let Window { start, end } = self.window();
        json!({
            "start": start, "end": end,
            "scrapeIntervalSeconds": self.scrape_interval(), "scenarios": self.scenarios, "services": self.services,
        })
    }
}
