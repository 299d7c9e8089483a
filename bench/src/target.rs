//! A target that knows each job's true end: jobs end by the clock alone, so asking for one costs the same at any load.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::{get, post};

use crate::durations::Durations;

/// One job.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Job {
    pub(crate) accepted: Instant,
    pub(crate) ends: Instant,
    /// The earliest and the latest possible time of its end, by the wall clock.
    pub(crate) ends_at: (SystemTime, SystemTime),
    pub(crate) polls: u64,
    /// The first answer that told the end.
    pub(crate) told: Option<Instant>,
}

/// The jobs, in the order in which they were submitted.
#[derive(Clone)]
pub(crate) struct Target {
    jobs: Arc<Mutex<(Vec<Job>, Durations)>>,
    pub(crate) url: String,
}

impl Target {
    /// Starts to serve on a free port of the loopback interface.
    pub(crate) fn start(runtime: &tokio::runtime::Handle, durations: Durations) -> std::io::Result<Self> {
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let url = format!("http://{}", listener.local_addr()?);
        let target = Self { jobs: Arc::new(Mutex::new((Vec::new(), durations))), url };
        let router = Router::new()
            .route("/health", get(|| async { "{}" }))
            .route("/jobs", post(submit))
            .route("/jobs/{id}", get(poll))
            .with_state(target.clone());
        runtime.spawn(async move {
            match tokio::net::TcpListener::from_std(listener) {
                Ok(listener) => drop(axum::serve(listener, router).await),
                Err(error) => crate::say(&format!("bench: the target cannot listen: {error}")),
            }
        });
        Ok(target)
    }

    fn lock(&self) -> MutexGuard<'_, (Vec<Job>, Durations)> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The jobs so far.
    pub(crate) fn jobs(&self) -> Vec<Job> {
        self.lock().0.clone()
    }
}

async fn submit(State(target): State<Target>) -> impl IntoResponse {
    let mut held = target.lock();
    let (jobs, durations) = &mut *held;
    // The two clocks cannot be read at the same moment, and on a busy machine much time may pass between the two readings.
    let (before, accepted, after) = (SystemTime::now(), Instant::now(), SystemTime::now());
    let lasts = durations.next(accepted);
    let ends_at = (before + lasts, after + lasts);
    jobs.push(Job { accepted, ends: accepted + lasts, ends_at, polls: 0, told: None });
    json(StatusCode::ACCEPTED, jobs.len() - 1, "running")
}

async fn poll(State(target): State<Target>, Path(id): Path<usize>) -> impl IntoResponse {
    let mut held = target.lock();
    let Some(job) = held.0.get_mut(id) else { return json(StatusCode::NOT_FOUND, id, "unknown") };
    let now = Instant::now();
    job.polls += 1;
    let has_ended = now >= job.ends;
    if has_ended {
        job.told.get_or_insert(now);
    }
    json(StatusCode::OK, id, if has_ended { "done" } else { "running" })
}

fn json(status: StatusCode, id: usize, word: &str) -> (StatusCode, [(header::HeaderName, &'static str); 1], String) {
    (status, [(header::CONTENT_TYPE, "application/json")], format!(r#"{{"id":"{id}","status":"{word}"}}"#))
}

/// The outcome of a run as the target saw it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) jobs: usize,
    /// Jobs whose end nobody was told.
    pub(crate) untold: usize,
    /// From the first submission to the last.
    pub(crate) submitting: Duration,
    /// The mean and the largest time from an end to the answer that told it.
    pub(crate) late: Duration,
    pub(crate) latest: Duration,
    /// From the last true end to the last answer that told one.
    pub(crate) last: Duration,
    pub(crate) polls: f64,
    /// The time that these jobs take with as many at once, each begun as soon as one has ended.
    pub(crate) ideal: Duration,
}

impl Seen {
    pub(crate) fn of(jobs: &[Job], at_once: usize) -> Self {
        let told: Vec<&Job> = jobs.iter().filter(|job| job.told.is_some()).collect();
        let late = |job: &&Job| job.told.map(|told| told.duration_since(job.ends)).unwrap_or_default();
        let count = u32::try_from(told.len().max(1)).unwrap_or(u32::MAX);
        let (first, last) = (jobs.first().map(|job| job.accepted), jobs.last().map(|job| job.accepted));
        let mut free = vec![Duration::ZERO; at_once.max(1)];
        for job in jobs {
            if let Some(slot) = free.iter_mut().min() {
                *slot += job.ends.duration_since(job.accepted);
            }
        }
        let last_end = jobs.iter().map(|job| job.ends).max();
        let last_told = told.iter().filter_map(|job| job.told).max();
        Self {
            jobs: jobs.len(),
            untold: jobs.len() - told.len(),
            submitting: first.zip(last).map(|(first, last)| last - first).unwrap_or_default(),
            late: told.iter().map(late).sum::<Duration>() / count,
            latest: told.iter().map(late).max().unwrap_or_default(),
            last: last_told.zip(last_end).map(|(told, end)| told.saturating_duration_since(end)).unwrap_or_default(),
            polls: jobs.iter().map(|job| job.polls).sum::<u64>() as f64 / jobs.len().max(1) as f64,
            ideal: free.into_iter().max().unwrap_or_default(),
        }
    }
}
