//! Comparisons on measured figures, as they are typed: `e2e.p50<20s`, `queue.stage.l1.max<50`, `throughput>30/min`.
//!
//! Names of stages and queues may hold dots and signs, so a comparison is read from both ends: the last sign divides the
//! figure from the value, the first word names the kind of figure, the last one its statistic.

use crate::figures::distribution::Statistic;
use crate::profile::{Profile, Query};
use crate::quantity;
use crate::record::MetricType;
use crate::statistics::Bounds;
use crate::units;

/// The similarity from which on a name counts as a misspelling of another one; 1 is the same.
const NEAR: f64 = 0.75;

/// The kind of durations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::tools::render_report) enum Times {
    /// From `dueAt`, or else `submittedAt`, to the end, of the jobs that succeeded.
    EndToEnd,
    /// The submission itself.
    Submit,
    /// Delay of a job's submission after its due time.
    Lag,
    /// The work in a stage.
    Work(String),
    /// The wait for a stage.
    Wait(String),
}

/// The figure to compare.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Figure {
    /// Durations, in seconds.
    Time(Times, Statistic),
    /// Jobs that succeeded a second.
    Throughput,
    /// The share of the jobs that succeeded, in per cent: 99.9 is the same number whether it is read or is 999 of 1000,
    /// 99.9 / 100 is not.
    Success,
    /// The most jobs in flight at once.
    Peak,
    /// The most messages that were ready on a queue.
    Depth(String),
    /// Number of times that the GPU passed from one tenant to another.
    Transitions,
    /// A statistic of a query, which holds if it does for each of the query's lines.
    Query(String, QueryStatistic),
}

/// A statistic of a query in the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
pub(super) enum QueryStatistic {
    Max,
    Min,
    Mean,
    /// The growth of a counter.
    Increase,
}

impl QueryStatistic {
    const ALL: [Self; 4] = [Self::Max, Self::Min, Self::Mean, Self::Increase];

    pub(super) fn name(self) -> &'static str {
        self.into()
    }
}

/// The side of the value on which the figure must lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::tools::render_report) enum Operator {
    Less,
    AtMost,
    More,
    AtLeast,
}

impl Operator {
    /// Splits a comparison at its last sign into the figure, the operator and the value.
    pub(in crate::tools::render_report) fn split(text: &str) -> Option<(&str, Self, &str)> {
        let at = text.rfind(['<', '>'])?;
        let (name, rest) = (text[..at].trim(), &text[at + 1..]);
        let (or_equal, value) = rest.strip_prefix('=').map_or((false, rest), |rest| (true, rest));
        let operator = match (text.as_bytes()[at], or_equal) {
            (b'<', false) => Self::Less,
            (b'<', true) => Self::AtMost,
            (_, false) => Self::More,
            (_, true) => Self::AtLeast,
        };
        Some((name, operator, value.trim()))
    }

    pub(in crate::tools::render_report) const fn words(self) -> &'static str {
        match self {
            Self::Less => "less than",
            Self::AtMost => "at most",
            Self::More => "more than",
            Self::AtLeast => "at least",
        }
    }

    /// Returns true if the figure must stay below the value, false if above it.
    pub(super) const fn is_ceiling(self) -> bool {
        matches!(self, Self::Less | Self::AtMost)
    }

    /// Returns true if a figure within `bounds` lies on the right side of `value`; none if that cannot be told.
    pub(in crate::tools::render_report) fn holds(self, bounds: Bounds, value: f64) -> Option<bool> {
        let Bounds { low, high } = bounds;
        let (yes, no) = match self {
            Self::Less => (high < value, low >= value),
            Self::AtMost => (high <= value, low > value),
            Self::More => (low > value, high <= value),
            Self::AtLeast => (low >= value, high < value),
        };
        (yes || no).then_some(yes)
    }
}

/// One comparison.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Threshold {
    pub(super) figure: Figure,
    pub(super) operator: Operator,
    /// In the figure's unit; of a query in the unit as it was typed.
    pub(super) value: f64,
    /// The value as it was typed, with its unit.
    typed: String,
}

impl Threshold {
    /// Parses a comparison. The error says what is wrong with it and what to write.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let Some((name, operator, typed)) = Operator::split(text) else {
            return Err(match figure(text) {
                Ok(_) => format!("a figure needs a comparison, such as {text}<20s: <, <=, > or >= and a value"),
                Err(_) => {
                    format!("no such criterion; there are {}, and comparisons on {FIGURES}", super::rules::names())
                }
            });
        };
        let figure = figure(name)?;
        let value = value(&figure, typed)?;
        Ok(Self { figure, operator, value, typed: typed.to_owned() })
    }

    /// The value in the unit of a query; an error if the value was typed in a unit that cannot be converted.
    pub(super) fn value_in(&self, unit: Option<&str>) -> Result<f64, String> {
        let typed = quantity::split(&self.typed).map_or("", |(_, typed)| typed);
        match unit {
            _ if typed.is_empty() => Ok(self.value),
            Some(unit) => quantity::factor(typed, unit)
                .map(|factor| self.value * factor)
                .ok_or_else(|| format!("`{}` is not in the query's unit, which is {unit}", self.typed)),
            None => Err(format!(
                "`{}` has a unit and the query has none: leave it out, or give `unit` in the profile",
                self.typed
            )),
        }
    }

    /// Returns an error that lists the known names if the stage, the queue or the query of the threshold is not one of `profile`.
    pub(super) fn check(&self, profile: &Profile) -> Result<(), String> {
        if let Figure::Query(name, statistic) = &self.figure {
            return self.check_query(name, *statistic, profile);
        }
        let (what, name, known): (_, _, Vec<&str>) = match &self.figure {
            Figure::Time(Times::Work(stage) | Times::Wait(stage), _) => {
                ("stage", stage, profile.stages.iter().map(|stage| stage.name.as_str()).collect())
            }
            // Where a profile names no queues it is Prometheus that knows them, at the end.
            Figure::Depth(queue) if !profile.prometheus.queues.is_empty() => {
                ("queue", queue, profile.prometheus.queues.iter().map(String::as_str).collect())
            }
            _ => return Ok(()),
        };
        if known.contains(&name.as_str()) {
            return Ok(());
        }
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        Err(format!(
            "no such {what}; the {what}s of the profile {} are: {known} (--profile names another)",
            profile.name
        ))
    }

    /// A query that the profile does not name may be one of `capture-prom --query`: only a misspelt name is refused.
    fn check_query(&self, name: &str, statistic: QueryStatistic, profile: &Profile) -> Result<(), String> {
        let queries = &profile.prometheus.queries;
        let Some(query) = queries.iter().find(|query| query.name == name) else {
            let near = |query: &&Query| strsim::normalized_damerau_levenshtein(&query.name, name) > NEAR;
            return match queries.iter().find(near) {
                Some(near) => {
                    Err(format!("the profile {} has no query `{name}`; did you mean `{}`?", profile.name, near.name))
                }
                None => Ok(()),
            };
        };
        if query.role().is_some_and(|of| of.role.is_duration()) && !query.draw {
            return Err(format!("the query {name} holds a part of a histogram: judge stage.NAME or wait.NAME instead"));
        }
        if statistic == QueryStatistic::Increase && query.metric_type == Some(MetricType::Gauge) {
            return Err(format!("the query {name} is a gauge, and only a counter has an increase"));
        }
        // An increase is in the unit of the counter itself, which the profile does not name.
        if statistic == QueryStatistic::Increase { Ok(()) } else { self.value_in(query.unit.as_deref()).map(drop) }
    }

    /// Describes the expectation in words.
    pub(super) fn expected(&self) -> String {
        let what = match &self.figure {
            Figure::Time(times, statistic) => {
                let statistic = match statistic {
                    Statistic::P50 => "median",
                    Statistic::Max => "longest",
                    other => other.name(),
                };
                match times {
                    Times::EndToEnd => format!("{statistic} time from end to end"),
                    Times::Submit => format!("{statistic} submission"),
                    Times::Lag => format!("{statistic} lag behind the schedule"),
                    Times::Work(stage) => format!("{statistic} work in {stage}"),
                    Times::Wait(stage) => format!("{statistic} wait for {stage}"),
                }
            }
            Figure::Throughput => "jobs that succeed".to_owned(),
            Figure::Success => "share of the jobs that succeed".to_owned(),
            Figure::Peak => "most jobs in flight at once".to_owned(),
            Figure::Depth(queue) => format!("most messages ready on {queue}"),
            Figure::Transitions => "transitions of the GPU".to_owned(),
            Figure::Query(query, QueryStatistic::Increase) => format!("increase of {query}"),
            Figure::Query(query, statistic) => format!("{} of {query}", statistic.name()),
        };
        format!("{what}: {} {}", self.operator.words(), self.typed)
    }
}

/// The known figures, for messages.
const FIGURES: &str = "e2e, submit, lag, stage.NAME and wait.NAME (each with .mean, .p50, .p90, .p95, .p99 or .max), throughput, \
                       success, concurrency.peak, queue.NAME.max, gpu.transitions and query.NAME with .max, .min, .mean or \
                       .increase";

fn figure(name: &str) -> Result<Figure, String> {
    match name {
        "throughput" => return Ok(Figure::Throughput),
        "success" => return Ok(Figure::Success),
        "concurrency.peak" => return Ok(Figure::Peak),
        "gpu.transitions" => return Ok(Figure::Transitions),
        _ => {}
    }
    let unknown = || format!("no such figure `{name}`; there are {FIGURES}");
    let (first, rest) = name.split_once('.').unwrap_or((name, ""));
    let (middle, last) = rest.rsplit_once('.').unwrap_or(("", rest));
    let times = match (first, middle) {
        ("e2e", "") => Times::EndToEnd,
        ("submit", "") => Times::Submit,
        ("lag", "") => Times::Lag,
        ("stage", stage) if !stage.is_empty() => Times::Work(stage.to_owned()),
        ("wait", stage) if !stage.is_empty() => Times::Wait(stage.to_owned()),
        ("query", query) if !query.is_empty() => {
            let statistic = QueryStatistic::ALL.into_iter().find(|statistic| statistic.name() == last);
            let known = QueryStatistic::ALL.map(QueryStatistic::name).join(", ");
            let statistic =
                statistic.ok_or_else(|| format!("no such statistic `{last}` of a query; there are {known}"))?;
            return Ok(Figure::Query(query.to_owned(), statistic));
        }
        ("queue", queue) if !queue.is_empty() && last == "max" => return Ok(Figure::Depth(queue.to_owned())),
        _ => return Err(unknown()),
    };
    let statistic = Statistic::ALL.into_iter().find(|statistic| statistic.name() == last);
    let statistic = statistic.ok_or_else(|| {
        let names = Statistic::ALL.map(Statistic::name).join(", ");
        format!("no such statistic `{last}`; there are {names}")
    })?;
    Ok(Figure::Time(times, statistic))
}

/// The value in the figure's unit. A unit is required if the figure has one, and refused if it has none.
fn value(figure: &Figure, typed: &str) -> Result<f64, String> {
    let number = |text: &str| text.trim_end().parse::<f64>().ok().filter(|value| value.is_finite() && *value >= 0.0);
    match figure {
        Figure::Time(..) => units::duration(typed).map(|duration| duration.as_secs_f64()),
        Figure::Throughput => units::rate(typed),
        Figure::Success => {
            let percent = typed.strip_suffix('%').and_then(number).filter(|percent| *percent <= 100.0);
            let refused = || format!("`{typed}` is not a share: write a number from 0 to 100 and %, such as 95%");
            percent.ok_or_else(refused)
        }
        Figure::Query(_, QueryStatistic::Increase) => {
            number(typed).ok_or_else(|| format!("`{typed}` is not a number: write one without a unit, such as 40"))
        }
        Figure::Query(..) => quantity::split(typed).map(|(number, _)| number).ok_or_else(|| {
            format!("`{typed}` is not a value: write a number, and the query's unit if it has one, such as 300 or 300W")
        }),
        Figure::Peak | Figure::Depth(_) | Figure::Transitions => {
            number(typed).ok_or_else(|| format!("`{typed}` is not a count: write a number without a unit, such as 40"))
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> (Figure, Operator, f64) {
        let threshold = Threshold::parse(text).unwrap();
        (threshold.figure, threshold.operator, threshold.value)
    }

    #[test]
    fn comparisons_are_read_from_both_ends() {
        assert_eq!(read("e2e.p50<20s"), (Figure::Time(Times::EndToEnd, Statistic::P50), Operator::Less, 20.0));
        let work = |stage: &str| Figure::Time(Times::Work(stage.into()), Statistic::Mean);
        assert_eq!(read(" stage.l2.mean <= 1m30s "), (work("l2"), Operator::AtMost, 90.0));
        assert_eq!(read("stage.a.b<c.max.mean>250ms"), (work("a.b<c.max"), Operator::More, 0.25));
        assert_eq!(read("queue.stage.l1.max<50"), (Figure::Depth("stage.l1".into()), Operator::Less, 50.0));
        assert_eq!(read("throughput >= 30/min"), (Figure::Throughput, Operator::AtLeast, 0.5));
        assert_eq!(read("success>95%"), (Figure::Success, Operator::More, 95.0));
        assert_eq!(read("concurrency.peak>=4"), (Figure::Peak, Operator::AtLeast, 4.0));
        assert_eq!(read("gpu.transitions<40").0, Figure::Transitions);
        let query = |statistic| Figure::Query("gpu.power".into(), statistic);
        assert_eq!(read("query.gpu.power.max<300W"), (query(QueryStatistic::Max), Operator::Less, 300.0));
        assert_eq!(read("query.gpu.power.min > -5 °C"), (query(QueryStatistic::Min), Operator::More, -5.0));
        assert_eq!(read("query.gpu.power.increase<=0").0, query(QueryStatistic::Increase));
        assert_eq!(read("lag.p95<1s").0, Figure::Time(Times::Lag, Statistic::P95));
        assert_eq!(read("submit.max<1s").0, Figure::Time(Times::Submit, Statistic::Max));
        assert_eq!(read("wait.whisper.max<1m").0, Figure::Time(Times::Wait("whisper".into()), Statistic::Max));
    }

    #[test]
    fn what_cannot_be_read_is_refused_with_what_to_write() {
        for (text, said) in [
            ("e2e.p50<20", "`20` is not a duration: write a number and ms, s, m or h"),
            ("e2e.p50<", "`` is not a duration"),
            ("e2e.p75<20s", "no such statistic `p75`; there are mean, p50, p90, p95, p99, max"),
            ("e2e<20s", "no such statistic ``; there are mean"),
            ("stage.mean<3s", "no such figure `stage.mean`; there are e2e, submit"),
            ("queue.l1.p95<3", "no such figure `queue.l1.p95`"),
            ("queue.l1.max<3s", "`3s` is not a count: write a number without a unit"),
            ("throughput>30", "`30` is not a rate: write a number and /s"),
            ("success>0.95", "`0.95` is not a share: write a number from 0 to 100 and %"),
            ("success>101%", "`101%` is not a share"),
            ("gpu.transitions<NaN", "`NaN` is not a count"),
            ("gpu.transitions<-1", "`-1` is not a count"),
            ("query.a.p95<3", "no such statistic `p95` of a query; there are max, min, mean, increase"),
            ("query.a.max<W", "`W` is not a value: write a number"),
            ("query.a.increase<3W", "`3W` is not a number: write one without a unit"),
            ("query.max<3", "no such figure `query.max`"),
            (
                "e2e.p50==20s",
                "no such criterion; there are all-done, all-stages, no-exceptions, captured, whole-shards, and comparisons",
            ),
            ("e2e.p50", "a figure needs a comparison, such as e2e.p50<20s"),
            ("all_done", "no such criterion"),
            ("<20s", "no such figure ``"),
        ] {
            let error = Threshold::parse(text).unwrap_err();
            assert!(error.contains(said), "{text}: {error}");
        }
    }

    #[test]
    fn an_interval_is_judged_as_a_whole() {
        let within = |low, high| Bounds { low, high };
        for (operator, below, above, at) in [
            (Operator::Less, Some(true), Some(false), Some(false)),
            (Operator::AtMost, Some(true), Some(false), Some(true)),
            (Operator::More, Some(false), Some(true), Some(false)),
            (Operator::AtLeast, Some(false), Some(true), Some(true)),
        ] {
            assert_eq!(operator.holds(within(1.0, 1.9), 2.0), below, "{operator:?}");
            assert_eq!(operator.holds(within(2.1, f64::INFINITY), 2.0), above, "{operator:?}");
            assert_eq!(operator.holds(within(2.0, 2.0), 2.0), at, "{operator:?}");
            assert_eq!(operator.holds(within(1.0, 3.0), 2.0), None, "{operator:?}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in any::<String>(), name in "[a-z.<>=]{0,12}", value in "[<>=0-9a-z%/. ]{0,8}") {
            let _ = Threshold::parse(&text);
            let _ = Threshold::parse(&format!("{name}{value}"));
        }

        #[test]
        fn any_name_can_stand_in_the_middle(name in "[^,]{1,20}", seconds in 0..1000u32) {
            let parsed = Threshold::parse(&format!("wait.{name}.max<={seconds}s"));
            prop_assert_eq!(parsed.map(|it| it.figure), Ok(Figure::Time(Times::Wait(name), Statistic::Max)));
        }
    }
}
