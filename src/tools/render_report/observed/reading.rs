//! Reading the captured series of a query: which of them count, and what is doubtful about them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use itertools::Itertools;

use super::Observed;
use crate::escape::start;
use crate::figures::counter_sources::{
    ChangeSign, CounterSources, ProcessChange, Unsteady, count_replicas, with_restarts,
};
use crate::figures::counters::{self, DurationUnit, Growth};
use crate::figures::{gauges, listed};
use crate::record::{CaptureResult, Fold, Kind, MetricType, Part, Role, RoleOf, Series, Timestamp};
use crate::tools::render_report::captures::{CaptureKind, Captures, is_inside};
use crate::tools::render_report::envelope;
use crate::units::unit_seconds;

/// Stands between the values of several labels: `none→whisper`.
pub(super) const ARROW: &str = "→";
/// The measurements that are counters.
const COUNTERS: [RoleOf; 9] = [
    part_of(Role::StageDuration, Part::Bucket),
    part_of(Role::StageDuration, Part::Count),
    part_of(Role::StageDuration, Part::Sum),
    part_of(Role::QueueWait, Part::Bucket),
    part_of(Role::QueueWait, Part::Count),
    part_of(Role::QueueWait, Part::Sum),
    part_of(Role::ResourceTenancy, Part::Bucket),
    whole_of(Role::Transitions),
    whole_of(Role::Throttling),
];

pub(super) const fn part_of(role: Role, part: Part) -> RoleOf {
    RoleOf { role, part: Some(part) }
}

pub(super) const fn whole_of(role: Role) -> RoleOf {
    RoleOf { role, part: None }
}

/// Returns true if the query of `record` may hold `measurement`.
fn may_hold(record: &Series, measurement: RoleOf) -> bool {
    let is_part = |of: RoleOf| of.part.is_none() || measurement.part.is_none() || of.part == measurement.part;
    record.role().is_some_and(|of| of.role == measurement.role && is_part(of))
}

/// Returns true if `series` of the query of `record` is a part of `measurement`. The names tell the parts of a histogram where the
/// query does not.
fn is_part(record: &Series, series: &counters::Series, measurement: RoleOf) -> bool {
    let stated = record.role().and_then(|of| of.part);
    let named = || series.labels.get("__name__").and_then(|name| Part::of_metric(name));
    measurement.part.is_none_or(|part| stated.or_else(named) == Some(part))
}

/// The series of a query whose counters can be added up.
pub(super) struct Counters {
    pub(super) record: Series,
    pub(super) series: Vec<counters::Series>,
    /// True if all of its series can.
    pub(super) is_whole: bool,
}

impl Counters {
    /// The series, at zero where their processes restarted.
    pub(super) fn with_restarts(&self) -> Vec<counters::Series> {
        let changes = process_changes(&self.record);
        self.series.iter().map(|one| with_restarts(one.clone(), &changes)).collect()
    }
}

/// The queries for which one remark holds.
type Remarks<T> = BTreeMap<T, BTreeSet<String>>;

pub(super) struct Reading<'a> {
    pub(super) fold: &'a Fold,
    pub(super) captures: &'a Captures,
    directory: &'a Path,
    /// The end of the warm-up by the harness's clock.
    warm_until: Option<f64>,
    /// It has been said that counters may hold some of the warm-up.
    mixed: bool,
    sources: CounterSources,
    repeated: Remarks<Vec<String>>,
    replicas: Remarks<(usize, Vec<String>)>,
    unsteady: Remarks<(Unsteady, String)>,
    pub(super) told: Observed,
}

impl<'a> Reading<'a> {
    pub(super) fn new(fold: &'a Fold, captures: &'a Captures, directory: &'a Path, warm_until: Option<f64>) -> Self {
        let mut reading = Self {
            fold,
            captures,
            directory,
            warm_until,
            mixed: false,
            sources: CounterSources::default(),
            repeated: Remarks::new(),
            replicas: Remarks::new(),
            unsteady: Remarks::new(),
            told: Observed::default(),
        };
        // A process or a scrape behind one counter is behind all of its address, so all are read before any is added up.
        for measurement in COUNTERS {
            if let Some((record, series)) = reading.series(measurement) {
                reading.add_sources(&record, &series);
            }
        }
        let is_gauge = |record: &Series| record.spec.metric_type == Some(MetricType::Gauge);
        let others = fold.of_kind::<Series>(Kind::Series).filter(|of| of.role().is_none() && !is_gauge(of));
        for record in others {
            if let Some(series) = reading.series_of(&record).filter(|series| counters::are(&record, series)) {
                reading.add_sources(&record, &series);
            }
        }
        reading.told = Observed::default();
        reading
    }

    fn add_sources(&mut self, record: &Series, series: &[counters::Series]) {
        let is_scraped = record.status.raw_file.is_some();
        self.sources.add(series, &record.spec.by, from(record), &process_changes(record), is_scraped);
    }

    /// Everything that was read, with the remarks on sources.
    pub(super) fn finish(mut self) -> Observed {
        let unsteady = self.unsteady.iter().map(|((unsteady, address), names)| {
            let names = listed(names);
            match unsteady {
                Unsteady::Alternates => format!(
                    "several processes answer in turn behind {address}, so its counters jump back and forth and no figure is computed from {names}; scrape every process, or let the client library add them up (multiprocess mode)"
                ),
                Unsteady::TakenOver => format!(
                    "another process took over behind {address} in the window; it had started before (process_start_time_seconds), so this is not a restart, and no figure is computed from {names}; scrape every process, or let the \
                     client library add them up (multiprocess mode)"
                ),
                Unsteady::Fell => format!(
                    "counters of {address} fell in the window, and nothing shows that the process restarted \
                     (process_start_time_seconds, a missed scrape), so no figure is computed from {names}"
                ),
            }
        });
        let repeated = self.repeated.iter().map(|(labels, names)| {
            let (names, labels) = (listed(names), labels.join(", "));
            format!(
                "series that differ only in {labels} show the same counters twice, as they do with two scrapes or a pair of servers, and count once: {names}"
            )
        });
        let replicas = self.replicas.iter().map(|((count, labels), names)| {
            let (names, labels) = (listed(names), labels.join(", "));
            format!("replicas are added up, up to {count} series that differ in {labels}: {names}")
        });
        self.told.doubts.extend(unsteady.chain(repeated).chain(replicas));
        self.told
    }

    /// The record and the series of the query that holds `measurement`; none where nothing came of it, which is said where the
    /// captures are, or where what came cannot be used, which is said here.
    pub(super) fn series(&mut self, measurement: RoleOf) -> Option<(Series, Vec<counters::Series>)> {
        let mut by_name: BTreeMap<String, Vec<Series>> = BTreeMap::new();
        for record in self.fold.of_kind::<Series>(Kind::Series).filter(|record| may_hold(record, measurement)) {
            by_name.entry(record.metadata.name.clone()).or_default().push(record);
        }
        let mut found = Vec::new();
        for records in by_name.into_values() {
            let [record] = &records[..] else {
                let (name, times) = (&records[0].metadata.name, records.len());
                self.doubt(format!(
                    "{name} was captured {times} times, and no figures are computed from several captures"
                ));
                continue;
            };
            if let Some(series) = self.series_of(record) {
                let series: Vec<_> = series.into_iter().filter(|one| is_part(record, one, measurement)).collect();
                if !series.is_empty() {
                    found.push((record.clone(), series));
                }
            }
        }
        if found.len() > 1 {
            let (role, names) = (measurement.role, listed(found.iter().map(|(record, _)| &record.metadata.name)));
            return self.unusable(format!(
                "no figures are computed from {names}: they have one role, {role}; give it to one query"
            ));
        }
        let (record, series) = found.pop()?;
        if record.spec.by.is_empty() {
            let name = &record.metadata.name;
            return self
                .unusable(format!("no figures are computed from {name}: its record names no labels to add it up by"));
        }
        self.note_unlabelled(&record, &series, &record.spec.by);
        if let Some(gap) = gauges::widest_gap(&series, from(&record), to(&record)) {
            self.told.gaps.insert(record.metadata.name.clone(), gap);
            self.told.queries.insert(measurement.word(), record.metadata.name.clone());
        }
        Some((record, series))
    }

    /// Doubts the series that lack one of the labels `by`.
    pub(super) fn note_unlabelled(&mut self, record: &Series, series: &[counters::Series], by: &[String]) {
        let without = series.iter().filter(|one| one.key(by).is_none()).count();
        if without > 0 {
            let (all, name, labels) = (series.len(), &record.metadata.name, by.join(", "));
            self.doubt(format!("{without} of {all} series of {name} lack the label {labels} and were left out"));
        }
    }

    /// The series of one query; none where nothing came of it, or where what came cannot be used.
    pub(super) fn series_of(&mut self, record: &Series) -> Option<Vec<counters::Series>> {
        let (name, status) = (&record.metadata.name, &record.status);
        let Some(file) = status.file.clone() else {
            if status.result == CaptureResult::Ok {
                self.doubt(format!("no figures are computed from {name}: its record names no file"));
            }
            return None;
        };
        if ![Some(&file), status.raw_file.as_ref()].into_iter().flatten().all(|file| is_inside(file)) {
            return self.unusable(format!(
                "no figures are computed from {name}: its record names a file outside of the run directory"
            ));
        }
        if status.series == Some(0) {
            return None;
        }
        if status.families.len() > 1 {
            let families = listed(&status.families);
            self.doubt(format!("{name} matches several metrics, which are added together: {families}"));
        }
        let mut series = self.read(&file)?;
        if let Some(samples) = status.raw_file.as_ref().and_then(|raw| self.read(raw)) {
            let begin = from(record);
            let is_sampled = |one: &counters::Series| one.points.iter().any(|(at, _)| *at > begin);
            if !samples.iter().any(is_sampled) {
                // The points that were evaluated repeat what was scraped before.
                return self.unusable(format!(
                    "no figures are computed from {name}: no sample of it was scraped in the window"
                ));
            }
            series = counters::spliced(series, samples);
        }
        Some(series)
    }

    /// The samples of a query as they were scraped, where they were captured and can be read.
    pub(super) fn samples(&self, record: &Series) -> Option<Vec<counters::Series>> {
        envelope::read(self.directory, record.status.raw_file.as_ref()?).ok()
    }

    fn read(&mut self, file: &str) -> Option<Vec<counters::Series>> {
        envelope::read(self.directory, file).map_err(|why| self.doubt(why)).ok()
    }

    /// Doubts what cannot be used, of which nothing comes.
    pub(super) fn unusable<T>(&mut self, doubt: String) -> Option<T> {
        self.doubt(doubt);
        None
    }

    pub(super) fn doubt(&mut self, doubt: String) {
        // A query that may hold several parts of a histogram is read for each.
        if !self.told.doubts.contains(&doubt) {
            self.told.doubts.push(doubt);
        }
    }

    /// The counters of the query that holds `measurement`, each once.
    pub(super) fn counters(&mut self, measurement: RoleOf) -> Option<Counters> {
        let (record, series) = self.series(measurement)?;
        let by = record.spec.by.clone();
        Some(self.steady(record, series, &by))
    }

    /// The counters `series` of the query of `record`, each once, without those that say nothing by the labels `by`.
    pub(super) fn steady(&mut self, record: Series, series: Vec<counters::Series>, by: &[String]) -> Counters {
        let name = record.metadata.name.clone();
        let (mut series, labels) = self.sources.without_repeated(series, by);
        if !labels.is_empty() {
            self.repeated.entry(labels.into_iter().collect()).or_default().insert(name.clone());
        }
        let changes = process_changes(&record);
        let mut lost = BTreeSet::new();
        for one in &series {
            if let (Some(key), Some(unsteady)) = (one.key(by), self.sources.unsteady(one, from(&record), &changes)) {
                let label = |label: &str| one.labels.get(label).map(|value| start(value, 80));
                let address = label("instance").or_else(|| label("job")).unwrap_or_else(|| "one address".to_owned());
                let of = if key.is_empty() { String::new() } else { format!(" ({})", joined(&key)) };
                let shown = start(&format!("{name}{of}"), 120);
                self.unsteady.entry((unsteady, address)).or_default().insert(shown);
                lost.insert(key);
            }
        }
        series.retain(|one| one.key(by).is_none_or(|key| !lost.contains(&key)));
        // A query without a role may add up anything, such as the processors of a node.
        let (count, labels) = count_replicas(&series, by);
        if count > 1 && record.role().is_some() {
            self.replicas.entry((count, labels.into_iter().collect())).or_default().insert(name);
        }
        Counters { record, series, is_whole: lost.is_empty() }
    }

    /// The counters `series` without those that count just as another one does, whatever their labels, and with a doubt about them.
    pub(super) fn once(&mut self, record: &Series, series: Vec<counters::Series>) -> Counters {
        let (series, labels) = self.sources.without_repeated(series, &[]);
        if !labels.is_empty() {
            let (name, labels) = (&record.metadata.name, labels.into_iter().join(", "));
            self.doubt(format!(
                "series of {name} that differ only in {labels} count alike: if they are one counter seen twice, set `by` in \
                 the profile's query to the labels that tell its lines apart, without {labels}"
            ));
        }
        Counters { record: record.clone(), series, is_whole: true }
    }

    /// Returns the name of the query that holds `measurement`, and the growth of its counters.
    pub(super) fn growth(&mut self, measurement: RoleOf) -> Option<(String, BTreeMap<String, Growth>)> {
        let counters = self.counters(measurement)?;
        let (record, series) = (&counters.record, counters.with_restarts());
        self.look_for_warmup(record, &series);
        let unit = (measurement.part == Some(Part::Sum)).then(|| duration_unit(record));
        let grown = counters::growth(&series, &record.spec.by, from(record), unit);
        self.note(&record.metadata.name, grown.values());
        let grown = grown.into_iter().map(|(key, growth)| (joined(&key), growth)).collect();
        Some((counters.record.metadata.name, grown))
    }

    /// Returns true if a query that holds `measurement` ends before the last job did.
    pub(super) fn is_early(&self, measurement: RoleOf) -> bool {
        let mut records = self.fold.of_kind::<Series>(Kind::Series).filter(|record| may_hold(record, measurement));
        records.any(|record| self.captures.is_early(CaptureKind::Series, &record.metadata.name))
    }

    /// The growth of a counter begins at its last sample before the window. Only one that was scraped after the warm-up keeps
    /// the two apart.
    pub(super) fn look_for_warmup(&mut self, record: &Series, series: &[counters::Series]) {
        let Some(warm_until) = self.warm_until.filter(|_| !self.mixed) else { return };
        let between = (warm_until + bounded(record, 1.0))..=from(record);
        if !series.iter().any(|one| one.points.iter().any(|(at, _)| between.contains(at))) {
            self.mixed = true;
            self.doubt(format!(
                "histograms and counters may hold some of the warm-up: no sample of {} was scraped between the end of the warm-up and the start of the window; use a longer rest (submit-jobs --rest) or a wider padding of the capture",
                record.metadata.name
            ));
        }
    }

    pub(super) fn note<'g>(&mut self, name: &str, grown: impl Iterator<Item = &'g Growth>) {
        let (born, resets) = grown.fold((0, 0), |(born, resets), one| (born + one.born, resets + one.resets));
        self.told.born += born;
        if resets > 0 {
            let often = if resets == 1 { "once".to_owned() } else { format!("{resets} times") };
            self.doubt(format!(
                "counters of {name} restarted in the window, {often}: their last counts before that are lost"
            ));
        }
    }
}

/// The changes of processes that the capture of a query found.
pub(super) fn process_changes(record: &Series) -> Vec<ProcessChange> {
    let status = &record.status;
    let changes = [
        (&status.restarts, ChangeSign::Restart),
        (&status.takeovers, ChangeSign::Takeover),
        (&status.failed_scrapes, ChangeSign::FailedScrape),
    ];
    let change = |job: &String, instance: &String, seen_at: Timestamp, sign| ProcessChange {
        address: (job.clone(), instance.clone()),
        seen_at: seen_at.seconds(),
        sign,
    };
    let changes = changes.into_iter().flat_map(|(changes, sign)| {
        changes.iter().map(move |found| change(&found.job, &found.instance, found.seen_at, sign))
    });
    let same = status.processes.iter().map(|process| {
        let (until, started_at) = (process.last_seen_at.seconds(), process.started_at.seconds());
        let sign = ChangeSign::SameProcess { until, started_at };
        change(&process.job, &process.instance, process.first_seen_at, sign)
    });
    changes.chain(same).collect()
}

/// The unit of the durations of a query.
pub(super) fn duration_unit(record: &Series) -> DurationUnit {
    let seconds = |unit: &Option<String>| unit.as_deref().and_then(unit_seconds);
    DurationUnit { profile: seconds(&record.spec.unit), metadata: seconds(&record.status.unit) }
}

pub(super) fn joined(key: &[String]) -> String {
    key.join(ARROW)
}

/// The window's beginning by the server's clock: nothing of the run came before it. Where the capture began later, that.
pub(super) fn from(record: &Series) -> f64 {
    let start = record.spec.window.map(|window| window.start.seconds() + bounded(record, -1.0));
    let first = record.spec.start.map(Timestamp::seconds);
    [start, first].into_iter().flatten().reduce(f64::max).unwrap_or(f64::MIN)
}

/// The window's end by the server's clock: nothing of the run came after it.
pub(super) fn to(record: &Series) -> f64 {
    record.spec.window.map_or(f64::MAX, |window| window.end.seconds() + bounded(record, 1.0))
}

/// The time that surely lies in the window, by the server's clock. None of it where the points were evaluated at steps, which show
/// samples late.
pub(super) fn surely_inside(record: &Series) -> (f64, f64) {
    let window = record.spec.window.filter(|_| record.status.raw_file.is_some());
    window.map_or((f64::MAX, f64::MIN), |window| {
        (window.start.seconds() + bounded(record, 1.0), window.end.seconds() + bounded(record, -1.0))
    })
}

/// The offset of the server's clock, with its bound to that side.
pub(super) fn bounded(record: &Series, side: f64) -> f64 {
    record.status.clock_offset.map_or(0.0, |offset| offset.seconds + side * offset.bound_seconds)
}
