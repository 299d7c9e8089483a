//! Names of the figures in report.json, spelled here and nowhere else.
//!
//! They are a contract with everybody who reads a report. A [`FigureName`] can only be made here, so that a reader and a
//! writer of the same figure cannot drift apart.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::distribution::Statistic;
use crate::clock::micro;

const STAGE: &str = "stages.";
const QUEUE: &str = "queues.";
const DEPTH: &str = ".readyMax";

/// The name of a figure.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FigureName(Cow<'static, str>);

impl FigureName {
    /// The name as report.json spells it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

macro_rules! fixed {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        $($(#[$doc])* pub const $name: FigureName = FigureName(Cow::Borrowed($text));)*
    };
}

fixed! {
    /// Jobs that succeeded, a minute.
    JOBS_PER_MINUTE = "jobsPerMinute";
    /// Lower bound of [`JOBS_PER_MINUTE`].
    JOBS_PER_MINUTE_LOW = "jobsPerMinuteLow";
    /// Upper bound of [`JOBS_PER_MINUTE`].
    JOBS_PER_MINUTE_HIGH = "jobsPerMinuteHigh";
    /// From the first submission to the last end.
    WINDOW_SECONDS = "windowSeconds";
    /// Lower bound of [`WINDOW_SECONDS`].
    WINDOW_LOW_SECONDS = "windowLowSeconds";
    /// Upper bound of [`WINDOW_SECONDS`].
    WINDOW_HIGH_SECONDS = "windowHighSeconds";
    /// The most jobs in flight at once.
    PEAK_CONCURRENCY = "peakConcurrency";
    /// Lower bound of [`PEAK_CONCURRENCY`]: so many were in flight for certain.
    PEAK_CONCURRENCY_LOW = "peakConcurrencyLow";
    /// Upper bound of [`PEAK_CONCURRENCY`].
    PEAK_CONCURRENCY_HIGH = "peakConcurrencyHigh";
    /// Jobs in flight, averaged over the time in which jobs were submitted.
    MEAN_CONCURRENCY = "meanConcurrency";
    /// The concurrency that was asked for.
    ASKED_CONCURRENCY = "askedConcurrency";
    /// The concurrency that the number of jobs allows.
    REACHABLE_CONCURRENCY = "reachableConcurrency";
    /// Submissions a second that were asked for.
    ASKED_RATE = "askedRatePerSecond";
    /// Submissions a second that were reached.
    REACHED_RATE = "reachedRatePerSecond";
    /// Lower bound of [`REACHED_RATE`], if the submissions are by the clocks of several hosts.
    REACHED_RATE_LOW = "reachedRateLowPerSecond";
    /// Upper bound of [`REACHED_RATE`], if the submissions are by the clocks of several hosts.
    REACHED_RATE_HIGH = "reachedRateHighPerSecond";
    /// The median lag behind the schedule.
    LAG_MEDIAN_SECONDS = "lagMedianSeconds";
    /// The largest lag behind the schedule.
    LAG_MAX_SECONDS = "lagMaxSeconds";
    /// The share of the jobs that succeeded.
    SUCCESS_RATE = "successRate";
    /// Lower bound of [`SUCCESS_RATE`].
    SUCCESS_RATE_LOW = "successRateLow";
    /// Upper bound of [`SUCCESS_RATE`].
    SUCCESS_RATE_HIGH = "successRateHigh";
    /// Lower end of the confidence interval of the success rate.
    SUCCESS_CONFIDENCE_LOW = "successConfidenceLow";
    /// Upper end of the confidence interval of the success rate.
    SUCCESS_CONFIDENCE_HIGH = "successConfidenceHigh";
    /// Polls sent.
    POLLS_SENT = "pollsSent";
    /// Polls without a usable answer.
    POLLS_FAILED = "pollsFailed";
    /// The largest distance between the sources of a stage's duration, in seconds.
    SOURCE_SPREAD_MAX_SECONDS = "witnessSpreadMaxSeconds";
    /// The largest such distance as a part of the largest mean.
    SOURCE_SPREAD_MAX_RATIO = "witnessSpreadMaxRatio";
    /// All transitions of the GPU.
    TRANSITIONS = "gpu.transitions";
    /// The highest depth of any queue.
    QUEUES_DEPTH_MAX = "queuesReadyMax";
}

/// Durations of one kind, of which a report has several statistics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Durations(Cow<'static, str>);

/// A source of the durations of a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "camelCase")]
pub enum StageDuration {
    /// The work, by the job documents.
    Work,
    /// The wait, by the job documents.
    Wait,
    /// The work, by the spans.
    Spans,
    /// The work, by the histograms.
    Histogram,
    /// The wait of messages on the stage's queue, by the histograms.
    QueueWait,
}

impl StageDuration {
    fn word(self) -> &'static str {
        self.into()
    }

    /// The stage whose mean by this source the figure `name` is.
    pub fn stage_of_mean(self, name: &str) -> Option<&str> {
        name.strip_prefix(STAGE)?.strip_suffix("MeanSeconds")?.strip_suffix(self.word())?.strip_suffix('.')
    }
}

impl Durations {
    /// End to end, of the jobs that succeeded.
    pub const END_TO_END: Self = Self(Cow::Borrowed("endToEnd"));
    /// The submissions that were answered, from sending to answer.
    pub const SUBMIT: Self = Self(Cow::Borrowed("submit"));
    /// The polls that were answered, from sending to answer.
    pub const POLL: Self = Self(Cow::Borrowed("poll"));

    /// The durations of the stage `stage` by one source.
    pub fn of_stage(stage: &str, source: StageDuration) -> Self {
        Self(format!("{STAGE}{stage}.{}", source.word()).into())
    }

    /// Their number.
    pub fn count(&self) -> FigureName {
        self.named("Count")
    }

    /// A statistic of them.
    pub fn statistic(&self, statistic: Statistic) -> FigureName {
        self.part(statistic, "")
    }

    /// The lower bound of a statistic.
    pub fn low(&self, statistic: Statistic) -> FigureName {
        self.part(statistic, "Low")
    }

    /// The upper bound of a statistic.
    pub fn high(&self, statistic: Statistic) -> FigureName {
        self.part(statistic, "High")
    }

    /// The distance of a statistic from its further bound.
    pub fn error(&self, statistic: Statistic) -> FigureName {
        self.part(statistic, "Error")
    }

    fn part(&self, statistic: Statistic, part: &str) -> FigureName {
        let word = if statistic == Statistic::P50 { "Median".to_owned() } else { format!("{statistic:?}") };
        self.named(&format!("{word}{part}Seconds"))
    }

    fn named(&self, part: &str) -> FigureName {
        FigureName(format!("{}{part}", self.0).into())
    }
}

/// The distance between the sources of a stage's duration: in seconds, and as a part of the largest mean.
pub fn source_spread(stage: &str) -> [FigureName; 2] {
    ["Seconds", "Ratio"].map(|unit| FigureName(format!("{STAGE}{stage}.witnessSpread{unit}").into()))
}

/// The number of submissions that were answered with this HTTP status, or not at all.
pub fn submit_status(status: Option<u16>) -> FigureName {
    let status = status.map_or_else(|| "none".to_owned(), |status| status.to_string());
    FigureName(format!("submitStatus.{status}").into())
}

/// The widest gap between two samples of a query.
pub fn widest_gap(query: &str) -> FigureName {
    FigureName(format!("samples.{query}.widestGapSeconds").into())
}

/// A statistic (`max`, `min`) of a query over all of its lines, in the unit that the Series record names.
pub fn query_statistic(query: &str, statistic: &str) -> FigureName {
    FigureName(format!("query.{query}.{statistic}").into())
}

/// The number of times that `tenant` held the GPU, their sum, their mean, and the lower and the upper bound of their sum.
pub fn tenancies(tenant: &str) -> [FigureName; 5] {
    let name = |part| FigureName(format!("gpu.{tenant}.tenancy{part}").into());
    ["Count", "Seconds", "MeanSeconds", "LowSeconds", "HighSeconds"].map(name)
}

/// The transitions of the GPU along the label values `way`.
pub fn transitions(way: &str) -> FigureName {
    FigureName(format!("{}.{way}", TRANSITIONS.0).into())
}

/// The highest depth of one queue.
pub fn queue_depth(queue: &str) -> FigureName {
    FigureName(format!("{QUEUE}{queue}{DEPTH}").into())
}

/// The queue whose highest depth the figure `name` is.
pub fn queue_of_depth(name: &str) -> Option<&str> {
    name.strip_prefix(QUEUE)?.strip_suffix(DEPTH)
}

/// A part of the pipeline that a figure is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The jobs, the GPU or the queues.
    Whole,
    /// Work in a stage.
    Work,
    /// The wait for a stage.
    Wait,
}

/// The part of the pipeline that the figure `name` is of.
pub fn subject(name: &str) -> Subject {
    let is_wait = |source: StageDuration| source.stage_of_mean(name).is_some();
    if [StageDuration::Wait, StageDuration::QueueWait].into_iter().any(is_wait) {
        Subject::Wait
    } else if name.starts_with(STAGE) {
        Subject::Work
    } else {
        Subject::Whole
    }
}

/// Figures by name, as report.json has them.
#[derive(Debug, Default)]
pub struct NamedFigures(BTreeMap<String, f64>);

impl NamedFigures {
    /// Adds a figure, rounded to millionths. A value that is absent or not finite is left out.
    pub fn put(&mut self, name: &FigureName, value: impl Into<Option<f64>>) {
        if let Some(value) = value.into().filter(|value| value.is_finite()) {
            self.0.insert(name.as_str().to_owned(), micro(value));
        }
    }

    /// The figures.
    pub fn into_map(self) -> BTreeMap<String, f64> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_readers_of_reports_know() {
        let work = Durations::of_stage("l1.a", StageDuration::Work);
        assert_eq!(work.statistic(Statistic::Mean).as_str(), "stages.l1.a.workMeanSeconds");
        assert_eq!(work.error(Statistic::Mean).as_str(), "stages.l1.a.workMeanErrorSeconds");
        assert_eq!(Durations::END_TO_END.low(Statistic::P50).as_str(), "endToEndMedianLowSeconds");
        assert_eq!(source_spread("a")[1].as_str(), "stages.a.witnessSpreadRatio");
        assert_eq!(tenancies("l1")[3].as_str(), "gpu.l1.tenancyLowSeconds");
        assert_eq!(transitions("none.l1").as_str(), "gpu.transitions.none.l1");
    }

    #[test]
    fn a_name_leads_back_to_its_stage_or_queue() {
        let name = Durations::of_stage("a.b", StageDuration::Histogram).statistic(Statistic::Mean);
        assert_eq!(StageDuration::Histogram.stage_of_mean(name.as_str()), Some("a.b"));
        assert_eq!(StageDuration::Spans.stage_of_mean(name.as_str()), None);
        assert_eq!(queue_of_depth(queue_depth("stage.l1").as_str()), Some("stage.l1"));
        let subjects = [name.as_str(), "queues.a.readyMax", "queuesReadyMax", "gpu.transitions"].map(subject);
        assert_eq!(subjects, [Subject::Work, Subject::Whole, Subject::Whole, Subject::Whole]);
        let waits = ["stages.a.waitMeanSeconds", "stages.a.queueWaitMeanSeconds"].map(subject);
        assert_eq!(waits, [Subject::Wait, Subject::Wait]);
    }
}
