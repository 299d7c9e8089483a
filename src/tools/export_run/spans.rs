//! The captured spans of one scenario in OTLP's JSON form, one by one: Jaeger's older form is converted.
//!
//! A trace is in the file of every service that has a span of it. Each span is handed on once: from the file of its own service, or
//! from the first file that has it, if its service has none.

use std::collections::{BTreeSet, HashSet};
use std::io::BufReader;

use super::jaeger_file::{self, Item};
use super::jaeger_v1;
use super::otlp_span::OtlpSpan;
use super::recorded::Recorded;
use crate::cli::Failure;
use crate::digest;
use crate::record::{Kind, Traces};
use crate::scenario;

/// Consumes a span.
pub(super) type OnSpan<'a> = &'a mut dyn FnMut(&OtlpSpan<'_>) -> Result<(), Failure>;

/// Hands every span of `source` to `each`. Returns true if every file could be read, and otherwise says which could not.
pub(super) fn for_each(recorded: &Recorded<'_>, each: OnSpan<'_>) -> Result<bool, Failure> {
    let Recorded { source, console, fold, .. } = recorded;
    let captures: Vec<Traces> = fold.of_kind(Kind::Traces).collect();
    if captures.is_empty() {
        console.say(&format!("{}: no traces were captured", source.shown));
    }
    let with_file = captures.iter().filter(|traces| traces.status.file.is_some());
    let services: BTreeSet<&str> = with_file.map(|traces| traces.metadata.name.as_str()).collect();
    let mut filter = Filter { services, service: "", foreign: HashSet::new(), file: 0 };
    let mut is_whole = true;
    for (file, traces) in captures.iter().enumerate() {
        let Some(name) = &traces.status.file else {
            console.say(&format!("{}: no traces of {} were captured", source.shown, traces.metadata.name));
            continue;
        };
        (filter.service, filter.file) = (&traces.metadata.name, file);
        let mut failure = None;
        let opened = scenario::open(&source.directory, name).map_err(|error| error.to_string());
        let outcome = opened.and_then(|opened| {
            jaeger_file::read(BufReader::with_capacity(64 * 1024, opened), &mut |item| {
                let mut hand_on = |span: &OtlpSpan<'_>| {
                    if filter.takes(span) {
                        each(span).map_err(|error| {
                            failure = Some(error);
                            "it could not be passed on".to_owned()
                        })?;
                    }
                    Ok(())
                };
                match item {
                    Item::Otlp { resource, scope, span } => hand_on(&OtlpSpan { resource, scope, span }),
                    Item::V1(trace) => jaeger_v1::convert(trace, &mut hand_on),
                }
            })
        });
        if let Some(failure) = failure {
            return Err(failure);
        }
        if let Err(why) = outcome {
            console.say(&format!("{}/{name}: {why}; exported as far as it goes", source.shown));
            is_whole = false;
        }
    }
    Ok(is_whole)
}

/// Decides from which file a span is handed on.
struct Filter<'a> {
    services: BTreeSet<&'a str>,
    /// The service and the number of the file that is being read.
    service: &'a str,
    file: usize,
    /// Spans of services without a file, with the file from which each was handed on.
    foreign: HashSet<(u64, usize)>,
}

impl Filter<'_> {
    fn takes(&mut self, span: &OtlpSpan<'_>) -> bool {
        let service = span.service();
        if self.services.contains(service.as_str()) {
            return service == self.service;
        }
        let hash = digest::hash((span.resource, span.scope, span.span));
        // A span that the server repeats is in one file as often as it came.
        let is_held = (0..self.file).any(|file| self.foreign.contains(&(hash, file)));
        if !is_held {
            self.foreign.insert((hash, self.file));
        }
        !is_held
    }
}
