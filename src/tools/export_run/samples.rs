//! The captured samples of one scenario, series by series: as they were scraped where those were captured, and the points that
//! the server evaluated where they were not.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::ordered::{self, Ordered};
use super::recorded::Recorded;
use super::source::{self, Source};
use crate::cli::{Console, Failure};
use crate::digest;
use crate::figures::listed;
use crate::prometheus::envelope;
use crate::record::{Kind, Series};
use crate::scenario;

/// One captured series.
pub(super) struct CapturedSeries<'a> {
    /// The record of the query that found it.
    pub(super) query: &'a Series,
    /// The metric's name; for points that were evaluated at steps `query:` and the query's name, because these are no samples of
    /// the metric.
    pub(super) name: &'a str,
    /// The labels without the name, and those of the scenario.
    pub(super) labels: &'a BTreeMap<String, String>,
    /// Unix seconds by Prometheus' clock, and the value as the server spelt it; in the order of time.
    pub(super) samples: &'a [(f64, envelope::SampleText<'a>)],
}

/// Facts about the samples of one scenario that its series cannot show.
#[derive(Debug, Default)]
pub(super) struct Remarks {
    /// The longest usual time between two samples of a series, in seconds.
    pub(super) interval: Option<f64>,
    /// Numbers of series by query that ended before the capture did, and that missed scrapes.
    ended: BTreeMap<String, u64>,
    gaps: BTreeMap<String, u64>,
    /// Numbers of native histograms by query.
    histograms: BTreeMap<String, u64>,
    /// Queries whose raw samples were not captured.
    evaluated: Vec<String>,
    /// Queries of which nothing was captured.
    missing: Vec<String>,
    /// Names that were changed, and numbers of series by query that then had the labels of another one.
    renamed: Vec<String>,
    collided: BTreeMap<String, u64>,
    /// Numbers of samples by query that were out of order, and outside of the window.
    disordered: BTreeMap<String, u64>,
    outside: BTreeMap<String, u64>,
    /// No query was captured.
    is_empty: bool,
    /// Files that could not be read, or not to their end, with the reason.
    unreadable: Vec<String>,
}

impl Remarks {
    /// Returns true if a file that the records name could not be read.
    pub(super) fn is_broken(&self) -> bool {
        !self.unreadable.is_empty()
    }

    /// Says which files could not be read.
    pub(super) fn report_unreadable(&self, console: &Console) {
        self.unreadable.iter().for_each(|message| console.say(message));
    }

    /// Says them, a line each.
    pub(super) fn report(&self, recorded: &Recorded<'_>) {
        let Recorded { source, console, .. } = recorded;
        if self.is_empty {
            console.say(&format!("{}: no metrics were captured", source.shown));
        }
        self.report_unreadable(console);
        let counted = |counts: &BTreeMap<String, u64>| {
            let each: Vec<String> = counts.iter().map(|(name, count)| format!("{count} of {name}")).collect();
            listed(&each)
        };
        let say = |what: &str, names: String| {
            if !names.is_empty() {
                console.say(&format!("{}: {what}: {names}", source.shown));
            }
        };
        say("queries without captured data are left out", listed(&self.missing));
        say(
            "no raw samples were captured, so the points that the server evaluated at each step are exported as query:NAME",
            listed(&self.evaluated),
        );
        say("native histograms, which these formats cannot carry, are left out", counted(&self.histograms));
        say(
            "series that ended before the capture did; without staleness markers, a replay shows them for one lookback longer",
            counted(&self.ended),
        );
        say("series with missed scrapes; a replay bridges gaps up to its lookback", counted(&self.gaps));
        say("names that the text format cannot carry are exported with underscores", listed(&self.renamed));
        say("series whose exported labels equal those of another series are left out", counted(&self.collided));
        say("samples whose time is not later than that of the sample before are left out", counted(&self.disordered));
        say("samples outside the captured window are left out", counted(&self.outside));
    }

    /// Notes the distances of one series.
    fn note_distances(&mut self, query: &str, times: &[f64], ends: &mut Vec<(f64, f64)>) {
        let mut distances: Vec<f64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        distances.sort_by(f64::total_cmp);
        let Some(usual) = distances.get(distances.len() / 2).copied().filter(|usual| *usual > 0.0) else { return };
        self.interval = Some(self.interval.map_or(usual, |longest| longest.max(usual)));
        if distances.last().is_some_and(|longest| *longest > MISSED * usual) {
            *self.gaps.entry(query.to_owned()).or_default() += 1;
        }
        ends.extend(times.last().map(|end| (*end, usual)));
    }

    /// Counts the series of a query that ended before the last of them did, given the end and the usual distance of each.
    fn note_ends(&mut self, query: &str, ends: &[(f64, f64)]) {
        let last = ends.iter().map(|(end, _)| *end).fold(f64::NEG_INFINITY, f64::max);
        let ended = ends.iter().filter(|(end, usual)| last - end > MISSED * usual).count() as u64;
        if ended > 0 {
            self.ended.insert(query.to_owned(), ended);
        }
    }
}

/// A distance of so many usual ones is a missed scrape: scrapes are late at times.
const MISSED: f64 = 1.75;

/// Hands every captured series of `source` to `each`, each sample once.
pub(super) fn for_each(
    recorded: &Recorded<'_>,
    each: &mut dyn FnMut(&CapturedSeries<'_>) -> Result<(), Failure>,
) -> Result<Remarks, Failure> {
    let source = recorded.source;
    let mut remarks = Remarks { is_empty: true, ..Remarks::default() };
    // Two queries may match one series: the time of the last sample that was handed on, and the labels that the server had, by the
    // labels that are exported.
    let mut last_sample: BTreeMap<String, (f64, u64)> = BTreeMap::new();
    for query in recorded.fold.of_kind::<Series>(Kind::Series) {
        remarks.is_empty = false;
        let name = &query.metadata.name;
        let asked = ordered::asked(&query.spec, recorded.window);
        let is_raw = query.status.raw_file.is_some();
        let Some(file) = query.status.raw_file.as_ref().or(query.status.file.as_ref()) else {
            remarks.missing.push(name.clone());
            continue;
        };
        if !is_raw {
            remarks.evaluated.push(name.clone());
        }
        let shown = format!("{}/{file}", source.shown);
        let mut ends = Vec::new();
        let invented = format!("query:{name}");
        let mut failure = None;
        let opened = match scenario::open(&source.directory, file) {
            Ok(opened) => opened,
            Err(error) => {
                remarks.unreadable.push(format!("{shown}: {error}; exported without it"));
                continue;
            }
        };
        let outcome = envelope::read(opened, &mut |one, _| {
            note(&mut remarks.histograms, name, one.histograms.len() as u64);
            let (found_by, metric) = (name, one.metric.get(NAME).map_or("", String::as_str));
            let (name, labels) = named(metric, &invented, is_raw, &one.metric, source, &mut remarks.renamed);
            let (key, own) = (key(&name, &labels), digest::hash(&one.metric));
            let (after, held) = last_sample.get(&key).copied().unwrap_or((f64::NEG_INFINITY, own));
            if held != own {
                *remarks.collided.entry(found_by.clone()).or_default() += 1;
                return Ok(());
            }
            let fresh = Ordered::new(&one.values, after, asked);
            note(&mut remarks.disordered, found_by, fresh.disordered);
            note(&mut remarks.outside, found_by, fresh.outside);
            let Some((end, _)) = fresh.samples.last() else { return Ok(()) };
            last_sample.insert(key, (*end, own));
            let times: Vec<f64> = one.values.iter().map(|(at, _)| *at).collect();
            remarks.note_distances(found_by, &times, &mut ends);
            let series = CapturedSeries { query: &query, name: &name, labels: &labels, samples: &fresh.samples };
            each(&series).map_err(|error| {
                failure = Some(error);
                "it could not be passed on".to_owned()
            })
        });
        if let Some(failure) = failure {
            return Err(failure);
        }
        if is_raw {
            remarks.note_ends(&query.metadata.name, &ends);
        }
        if let Err(why) = outcome {
            remarks
                .unreadable
                .push(format!("{shown}: not a whole answer of Prometheus: {why}; exported as far as it goes"));
        }
    }
    remarks.renamed.sort();
    remarks.renamed.dedup();
    Ok(remarks)
}

/// Adds to the count of a query, unless there is nothing to add.
fn note(counts: &mut BTreeMap<String, u64>, query: &str, more: u64) {
    if more > 0 {
        *counts.entry(query.to_owned()).or_default() += more;
    }
}

/// The label that holds the metric's name.
const NAME: &str = "__name__";

/// The name and the labels under which a series is exported. A label of the series that a label of the scenario would hide is
/// called `exported_…`, as Prometheus does it.
fn named<'a>(
    metric: &'a str,
    invented: &'a str,
    is_raw: bool,
    labels: &BTreeMap<String, String>,
    source: &Source,
    renamed: &mut Vec<String>,
) -> (String, BTreeMap<String, String>) {
    let name = if is_raw && !metric.is_empty() { metric } else { invented };
    let mut named: BTreeMap<String, String> = BTreeMap::new();
    for (label, value) in labels.iter().filter(|(label, value)| *label != NAME && !value.is_empty()) {
        let label = if source::NAMES.contains(&label.as_str()) { format!("exported_{label}") } else { label.clone() };
        named.insert(noted(&label, false, renamed), value.clone());
    }
    if name == invented && !metric.is_empty() {
        named.insert("metric".to_owned(), metric.to_owned());
    }
    named.extend(source.labels.pairs().map(|(label, value)| (label.to_owned(), value.to_owned())));
    (noted(name, true, renamed), named)
}

/// A name in the characters that the text format and PromQL take unquoted; one that has others is noted.
fn noted(name: &str, is_metric: bool, renamed: &mut Vec<String>) -> String {
    let text = plain(name, is_metric);
    // A query's own name is not one of the server's.
    if text != name && !name.starts_with("query:") && renamed.len() < 100 {
        renamed.push(name.to_owned());
    }
    text
}

/// A name in the characters that the text format and PromQL take unquoted.
pub(super) fn plain(name: &str, is_metric: bool) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || (is_metric && c == ':');
    let mut text: String = name.chars().map(|c| if is_plain(c) { c } else { '_' }).collect();
    if text.starts_with(|c: char| c.is_ascii_digit()) || text.is_empty() {
        text.insert(0, '_');
    }
    text
}

/// `name` and `labels` as one text that no others have.
fn key(name: &str, labels: &BTreeMap<String, String>) -> String {
    let mut key = name.to_owned();
    for (label, value) in labels {
        // No name has a line feed, and no value can end the length before it.
        let _ = write!(key, "\n{label}={}:{value}", value.len());
    }
    key
}
