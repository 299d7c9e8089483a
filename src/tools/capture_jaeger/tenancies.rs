//! GPU tenancies, extracted from a service's own spans so that the report need not read the traces again.

use super::model::Trace;
use crate::profile::JaegerConfig;
use crate::record::{Tenancy, Timestamp};

/// The most tenancies in a record, which is one line.
const MAX_TENANCIES: usize = 1000;

/// A span about the GPU: its start, whether it acquires (else it releases), its end, and the tenant.
type GpuEvent<'a> = (i64, bool, i64, Option<&'a str>);

/// Returns the tenancies in the order of time, and how many were left out.
///
/// All traces count, not only those of the run's jobs, because there is one GPU. A tenant that acquires it again without having
/// released it, and with no other tenant in between, has held it all along.
pub(super) fn extract<'a>(
    traces: impl Iterator<Item = (&'a str, &'a Trace)>,
    service: &str,
    profile: &JaegerConfig,
) -> (Vec<Tenancy>, Option<u64>) {
    let Some(acquire) = profile.gpu_acquire_span.as_deref() else { return (Vec::new(), None) };
    let mut events: Vec<GpuEvent<'_>> = Vec::new();
    for span in traces.flat_map(|(_, trace)| &trace.spans).filter(|span| span.origin.service == service) {
        let releases = profile.gpu_release_span.as_deref() == Some(&span.name);
        if let Some(seconds) = span.duration().filter(|_| releases || span.name == acquire) {
            let end = Timestamp::from_micros(span.start).shifted(seconds).micros();
            // A release sorts before an acquisition that begins at the same time.
            events.push((span.start, !releases, end, span.tenant.as_deref()));
        }
    }
    events.sort_unstable();
    events.dedup();
    let mut tenancies: Vec<Tenancy> = Vec::new();
    for (start, acquires, end, tenant) in events {
        let (start, end) = (Timestamp::from_micros(start), Timestamp::from_micros(end));
        let held = tenancies.last_mut().filter(|held| held.released_at.is_none() && held.tenant.as_deref() == tenant);
        match (acquires, held) {
            (true, Some(held)) => held.seen_at = held.seen_at.max(end),
            (true, None) => tenancies.push(Tenancy {
                tenant: tenant.map(str::to_owned),
                acquiring_at: start,
                held_at: end,
                seen_at: end,
                released_at: None,
            }),
            (false, Some(held)) => held.released_at = Some(start),
            // The tenant from before the first span of the window.
            (false, None) => {}
        }
    }
    let left_out = tenancies.len().saturating_sub(MAX_TENANCIES) as u64;
    tenancies.truncate(MAX_TENANCIES);
    (tenancies, (left_out > 0).then_some(left_out))
}

#[cfg(test)]
mod tests {
    use super::super::model::Span;
    use super::super::model::tests::span;
    use super::*;

    fn gpu_span(name: &str, start: i64, seconds: f64, tenant: Option<&str>) -> Span {
        let tenant = tenant.map(str::to_owned);
        Span { name: name.into(), start, seconds: Some(seconds), tenant, ..span("1", None, "gpu") }
    }

    type Row = (String, i64, i64, i64, Option<i64>);

    fn rows(spans: Vec<Span>) -> (Vec<Row>, Option<u64>) {
        let profile = JaegerConfig {
            gpu_acquire_span: Some("take".into()),
            gpu_release_span: Some("drop".into()),
            ..JaegerConfig::default()
        };
        let trace = Trace { spans, ..Trace::default() };
        let (tenancies, left_out) = extract([("t", &trace)].into_iter(), "gpu", &profile);
        let row = |held: Tenancy| {
            let released = held.released_at.map(Timestamp::micros);
            let tenant = held.tenant.unwrap_or_else(|| "-".into());
            (tenant, held.acquiring_at.micros(), held.held_at.micros(), held.seen_at.micros(), released)
        };
        (tenancies.into_iter().map(row).collect(), left_out)
    }

    #[test]
    fn spans_become_tenancies() {
        let other = Span { origin: span("", None, "api").origin, ..gpu_span("take", 0, 1e-6, Some("x")) };
        let unended = Span { seconds: None, ..gpu_span("take", 0, 0.0, Some("x")) };
        let spans = vec![
            other,
            unended,
            gpu_span("drop", 0, 5e-6, Some("old")),
            gpu_span("take", 100, 10e-6, Some("a")),
            gpu_span("take", 200, 1e-6, Some("a")),
            gpu_span("take", 300, 20e-6, Some("b")),
            gpu_span("drop", 300, 5e-6, Some("a")),
            gpu_span("take", 400, 10e-6, None),
        ];
        assert_eq!(
            rows(spans).0,
            [
                ("a".into(), 100, 110, 201, Some(300)),
                ("b".into(), 300, 320, 320, None),
                ("-".into(), 400, 410, 410, None)
            ]
        );
    }

    #[test]
    fn a_record_lists_a_limited_number_and_counts_the_rest() {
        let spans =
            (0..2500).map(|index| gpu_span("take", index * 10, 1e-6, Some(if index % 2 == 0 { "a" } else { "b" })));
        let (rows, left_out) = rows(spans.collect());
        assert_eq!((rows.len(), left_out), (MAX_TENANCIES, Some(1500)));
    }

    #[test]
    fn a_profile_that_names_no_span_gets_none() {
        let trace = Trace { spans: vec![gpu_span("", 0, 1.0, None)], ..Trace::default() };
        assert_eq!(extract([("t", &trace)].into_iter(), "gpu", &JaegerConfig::default()), (Vec::new(), None));
    }
}
