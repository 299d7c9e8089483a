//! The stand-in's own scrapes of its services.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use tokio::time::{MissedTickBehavior, interval};

use super::exposition;
use super::store::{Labels, Store};
use crate::pipeline::Pipeline;
use crate::stage::Service;

/// Everything that the query API answers from.
#[derive(Debug)]
pub(crate) struct Prometheus {
    pub(crate) store: Store,
    pub(crate) pipeline: Arc<Pipeline>,
    /// `host:port` of the services' metrics, their `instance` label.
    pub(crate) instance: String,
    pub(crate) interval: Duration,
    last: Mutex<BTreeMap<&'static str, Scrape>>,
}

/// The outcome of a service's last scrape.
#[derive(Debug, Clone)]
pub(crate) struct Scrape {
    pub(crate) at: DateTime<Utc>,
    pub(crate) seconds: f64,
    pub(crate) error: Option<String>,
}

impl Prometheus {
    pub(crate) fn new(pipeline: Arc<Pipeline>, instance: String, interval: Duration) -> Self {
        Self { store: Store::default(), pipeline, instance, interval, last: Mutex::default() }
    }

    /// Scrapes every service at once and then at every interval.
    pub(crate) async fn scrape_forever(&self) {
        let mut ticks = interval(self.interval);
        // After a stall one scrape is missing, as it would be, instead of several coming at once.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            ticks.tick().await;
            for service in Service::ALL {
                self.scrape(*service);
            }
        }
    }

    fn scrape(&self, service: Service) {
        let (at, start) = (Utc::now(), Instant::now());
        let text = self.pipeline.expose(service);
        let samples = text.map_err(|error| error.to_string()).and_then(|text| exposition::parse(&text));
        let (samples, error) = match samples {
            Ok(samples) => (samples, None),
            Err(error) => (Vec::new(), Some(error)),
        };
        let seconds = start.elapsed().as_secs_f64();
        let own = [
            ("up", if error.is_none() { 1.0 } else { 0.0 }),
            ("scrape_duration_seconds", seconds),
            ("scrape_samples_scraped", samples.len() as f64),
        ];
        let own = own.map(|(name, value)| (vec![("__name__".to_owned(), name.to_owned())], value));
        let target = |(mut labels, value): (Labels, f64)| {
            labels.push(("instance".to_owned(), self.instance.clone()));
            labels.push(("job".to_owned(), service.name().to_owned()));
            labels.sort_unstable();
            (labels, value)
        };
        self.store.append(at.timestamp_millis(), samples.into_iter().chain(own).map(target));
        let scrape = Scrape { at, seconds, error };
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.insert(service.name(), scrape);
    }

    /// The outcome of a service's last scrape; none before the first.
    pub(crate) fn last(&self, service: Service) -> Option<Scrape> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.get(service.name()).cloned()
    }
}
