//! The status of each service's capture: whole, or what is missing and why.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::files;
use super::limits::Limits;
use super::model::Submission;
use super::session::{ServiceSearch, Session};
use super::tenancies;
use crate::capture::{self, CaptureRequest, Captured as _};
use crate::cli::{STOPPED, cause};
use crate::escape;
use crate::figures::listed;
use crate::profile::JaegerConfig;
use crate::record::{CaptureResult, Reason, StageSpans, Timestamp, TracesStatus};

/// The time for asking which services there are, for a message.
const NAMES_TIME: Duration = Duration::from_secs(10);
/// The most stages in a record, which is one line: span names come from the server.
const MAX_STAGES: usize = 200;

/// Writes the file of each service and returns the services' statuses.
pub(super) fn statuses(
    session: &mut Session<'_>,
    services: &[String],
    profile: &JaegerConfig,
    request: &CaptureRequest<'_>,
) -> Vec<TracesStatus> {
    let is_empty = |service: &String| session.store.traces_of(service).next().is_none();
    let known = services.iter().any(is_empty).then(|| {
        session.jaeger.set_limits(Limits::new(NAMES_TIME.min(session.time_left()), 1));
        session.jaeger.services()
    });
    let (session, known) = (&*session, known.flatten());
    let found = session.traces_by_job();
    services
        .iter()
        .zip(&session.searches)
        .map(|(service, search)| {
            let mut status = status(session, service, search, known.as_deref(), &found, request);
            (status.stages, status.stages_without_duration) = stages(session, service, &found, profile);
            (status.tenancies, status.tenancies_left_out) =
                tenancies::extract(session.store.traces_of(service), service, profile);
            status
        })
        .collect()
}

fn status(
    session: &Session<'_>,
    service: &str,
    search: &ServiceSearch,
    known: Option<&[String]>,
    found: &[Vec<&str>],
    request: &CaptureRequest<'_>,
) -> TracesStatus {
    let submissions = session.submissions();
    let (mut traces, mut spans, mut repeated, mut incomplete, mut by_id) = (0, 0, 0, 0, 0);
    // Without jobs it is unknown which traces a harness began. If every trace lacks its root and nothing else, the client
    // reports no spans; if only some do, those roots were lost.
    let rootless = session.expected.is_empty()
        && session
            .store
            .traces_of(service)
            .all(|(_, trace)| trace.is_incomplete(Submission::None) && !trace.is_incomplete(Submission::Unknown));
    let of_others = if rootless { Submission::Unknown } else { Submission::None };
    for (id, trace) in session.store.traces_of(service) {
        traces += 1;
        let distinct = trace.distinct_spans().len();
        spans += distinct as u64;
        repeated += (trace.spans.len() - distinct) as u64;
        by_id += u64::from(session.by_id.contains(id));
        incomplete += u64::from(trace.is_incomplete(submissions.get(id).copied().unwrap_or(of_others)));
    }
    let is_of_service = |id: &str| session.store.traces.get(id).is_some_and(|trace| trace.has(service));
    let matched = found.iter().filter(|ids| ids.iter().any(|id| is_of_service(id))).count() as u64;

    let mut status = TracesStatus {
        traces: Some(traces),
        spans: Some(spans),
        repeated_spans: Some(repeated).filter(|count| *count > 0),
        jobs_matched: Some(matched),
        missing: session.missing.clone(),
        found_by_id: Some(by_id).filter(|count| *count > 0),
        incomplete_traces: Some(incomplete),
        api: session.jaeger.api().map(|api| api.as_str().to_owned()),
        values: session.jaeger.api().map(|_| if session.jaeger.asks_for_raw() { "raw" } else { "adjusted" }.to_owned()),
        requests: Some(session.jaeger.requests()),
        ..TracesStatus::default()
    };
    let nameless = session.store.traces_of(service).flat_map(|(_, trace)| trace.distinct_spans());
    let nameless = nameless.filter(|span| span.origin.service.is_empty()).count() as u64;
    let mut short = shortcomings(session, service, search, known, (traces, incomplete));
    if nameless > 0 {
        let message = format!(
            "{nameless} of {spans} spans name no service (service.name), so they belong to no service and their stages are not counted"
        );
        short.push((Reason::IncompleteTraces, message));
    }
    status.result = match (traces, &search.error) {
        (0, Some(_)) => CaptureResult::Error,
        (0, None) => CaptureResult::Empty,
        _ if short.is_empty() => CaptureResult::Ok,
        _ => CaptureResult::Partial,
    };
    status.reason = short.first().map(|(reason, _)| reason.clone());
    status.message =
        (!short.is_empty()).then(|| short.into_iter().map(|(_, message)| message).collect::<Vec<_>>().join("; "));
    let keeps = status.result != CaptureResult::Error && !request.is_outdone(service, status.outcome());
    if let (Some(api), true) = (session.jaeger.api(), keeps) {
        let name = format!("{}.json", capture::file_name(service));
        let path = request.dir.join(&name);
        match files::write(&path, api, session.store.traces_of(service).map(|(_, trace)| trace)) {
            Ok(()) => status.file = Some(format!("jaeger/{name}")),
            Err(error) => {
                status.result = CaptureResult::Error;
                status.reason = Some(Reason::NotWritten);
                status.message = Some(format!("{}: {}", path.display(), cause(&error)));
            }
        }
    }
    status
}

/// Counts and averages the service's stage spans in the traces of the jobs, by stage; in all traces if there are no jobs. Other
/// services' spans do not count, because a trace is in the files of several services. Spans without a duration are counted
/// apart.
fn stages(
    session: &Session<'_>,
    service: &str,
    found: &[Vec<&str>],
    profile: &JaegerConfig,
) -> (Vec<StageSpans>, BTreeMap<String, u64>) {
    let of_jobs: BTreeSet<&str> = found.iter().flatten().copied().collect();
    let mut durations: BTreeMap<&str, Vec<Option<f64>>> = BTreeMap::new();
    for (id, trace) in session.store.traces_of(service) {
        let has_jobs = !session.expected.is_empty() || !session.warmup.is_empty();
        if has_jobs && !of_jobs.contains(id) {
            continue;
        }
        for span in trace.distinct_spans().into_iter().filter(|span| span.origin.service == service) {
            if let Some(stage) = profile.stage_of(&span.name) {
                durations.entry(stage).or_default().push(span.duration());
            }
        }
    }
    let (mut stages, mut without) = (Vec::new(), BTreeMap::new());
    for (stage, durations) in durations.into_iter().take(MAX_STAGES) {
        let ended: Vec<f64> = durations.iter().flatten().copied().collect();
        if ended.len() < durations.len() {
            without.insert(stage.to_owned(), (durations.len() - ended.len()) as u64);
        }
        if !ended.is_empty() {
            stages.push(StageSpans {
                name: stage.to_owned(),
                count: ended.len() as u64,
                mean_seconds: crate::clock::micro(ended.iter().sum::<f64>() / ended.len() as f64),
            });
        }
    }
    (stages, without)
}

/// Returns the reasons and messages of what is missing, the gravest first.
fn shortcomings(
    session: &Session<'_>,
    service: &str,
    search: &ServiceSearch,
    known: Option<&[String]>,
    (traces, incomplete): (u64, u64),
) -> Vec<(Reason, String)> {
    let mut short = Vec::new();
    if let Some(error) = &search.error {
        short.push((error.reason.clone(), error.message.clone()));
    }
    if let Some((count, error)) = &session.unasked {
        let unasked = format!("{count} missing traces were not requested by id");
        let message = match &search.error {
            _ if error.reason == Reason::Interrupted => {
                format!("{STOPPED} before {count} missing traces were requested by id")
            }
            Some(known) if known.reason == error.reason => unasked,
            _ => format!("{error}: {unasked}"),
        };
        short.push((error.reason.clone(), message));
    }
    if !search.overfull.is_empty() {
        let at = search.overfull.iter().map(|(start, end)| {
            let (start, end) = (Timestamp::from_micros(*start), Timestamp::from_micros(*end));
            if start == end { start.to_string() } else { format!("from {start} to {end}") }
        });
        let message = format!(
            "an answer held {} traces and could not be split further, {}: use a larger --page",
            session.full(),
            listed(at),
        );
        short.push((Reason::Overfull, message));
    }
    if session.unsettled && search.error.is_none() {
        let message =
            format!("more may arrive: the last sweep, number {}, was too early or still found more", session.rounds);
        short.push((Reason::NotSettled, message));
    }
    if traces == 0 && search.error.is_none() {
        let names = known.map(|names| match names {
            [] => "; Jaeger knows no service at all".to_owned(),
            _ if names.iter().any(|name| name == service) => String::new(),
            _ => format!("; Jaeger knows {}", listed(names.iter().map(|name| escape::start(name, 80)))),
        });
        short.push((Reason::NoTraces, format!("no trace in the window{}", names.unwrap_or_default())));
    }
    if !session.missing.is_empty() {
        let (missing, expected) = (&session.missing, session.expected.len());
        let message =
            format!("{} of {expected} jobs have no trace: {}", missing.len(), listed(missing.iter().cloned()));
        short.push((Reason::MissingTraces, message));
    }
    if incomplete > 0 {
        short.push((Reason::IncompleteTraces, format!("{incomplete} of {traces} traces lack spans")));
    }
    short
}
