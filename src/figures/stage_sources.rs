//! Three sources of the durations of stages and two of the waits for them: the job documents, the spans, the histograms. They
//! are shown side by side, because each can be wrong in its own way: documents may show only a stage's last attempt, spans may
//! be dropped on their way, counters may be scraped late or restart.

use std::collections::BTreeMap;

use itertools::Itertools;

use super::distribution::{Distribution, Statistic};
use super::names::{self, Durations, NamedFigures, StageDuration};
use super::stages::StageFigures;
use super::{any_listed, in_groups};
use crate::escape::start;
use crate::units;

/// Number of characters of a stage's name that a sentence shows.
const NAME: usize = 80;
/// A disagreement from this on is doubtful, as a part of the largest mean.
const DOUBTFUL: f64 = 0.1;

/// The mean duration of one stage by one source.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Mean {
    /// Number of events.
    pub count: u64,
    /// Their mean duration.
    pub seconds: f64,
    /// Largest distance between the truth and that mean, as far as the source knows.
    pub error: f64,
}

impl Mean {
    fn from_distribution(distribution: Distribution) -> Self {
        let Distribution { count, mean, .. } = distribution;
        Self { count: count as u64, seconds: mean.seconds, error: mean.error() }
    }
}

/// The disagreement between sources.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Spread {
    /// The largest mean less the smallest.
    pub seconds: f64,
    /// The same as a part of the largest mean.
    pub ratio: f64,
}

/// The durations of one stage by all sources.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StageSources {
    /// The stage.
    pub stage: String,
    /// Largest possible number of events by what is known of the jobs. The documents may tell of fewer; that proves nothing.
    pub at_most: u64,
    /// Mean duration by the job documents.
    pub documents: Option<Mean>,
    /// Mean duration by the spans.
    pub spans: Option<Mean>,
    /// Mean duration by the histograms.
    pub histograms: Option<Mean>,
    /// Mean time that jobs waited for it, by the job documents.
    pub waited: Option<Mean>,
    /// Mean time that messages lay on its queue, by the histograms.
    pub queued: Option<Mean>,
}

impl StageSources {
    /// Returns the disagreement between the sources of the stage's duration; none with fewer than two sources.
    pub fn spread(&self) -> Option<Spread> {
        spread(&[self.documents, self.spans, self.histograms])
    }

    /// The same for the wait.
    pub fn wait_spread(&self) -> Option<Spread> {
        spread(&[self.waited, self.queued])
    }

    /// The reasons why the sources of the stage's duration differ; none if they agree.
    pub fn duration_difference(&self) -> Option<String> {
        let sources = [("spans", self.spans), ("histograms", self.histograms)];
        self.difference(self.documents, &sources, self.spread(), "the sources see different parts of the stage")
    }

    /// The same for the wait.
    pub fn wait_difference(&self) -> Option<String> {
        let why = "documents count from the end of the stage before, histograms from the queueing of a message";
        self.difference(self.waited, &[("histograms", self.queued)], self.wait_spread(), why)
    }

    fn difference(
        &self,
        documents: Option<Mean>,
        sources: &[(&str, Option<Mean>)],
        spread: Option<Spread>,
        same_events: &str,
    ) -> Option<String> {
        let documents = documents?;
        // Sources that count the same are named together.
        let counts = in_groups(sources.iter().filter_map(|(name, mean)| Some(((*mean)?.count, *name))));
        let mut reasons = counts.into_iter().filter_map(|(count, names)| {
            let (name, most) = (names.join(" and "), self.at_most.max(documents.count));
            if count == documents.count {
                None
            } else if count < documents.count {
                Some(format!("{name} miss {} of {} events", documents.count - count, documents.count))
            } else if count <= most {
                Some(format!("{name} count {count} attempts, documents {} jobs", documents.count))
            } else {
                Some(format!(
                    "{name} count {count} events, these jobs had at most {most}: other clients, or more retries than documented"
                ))
            }
        });
        let far = spread.is_some_and(|spread| spread.ratio > DOUBTFUL && spread.seconds > documents.error);
        let reasons = Some(reasons.join("; ")).filter(|reasons| !reasons.is_empty());
        reasons.or_else(|| far.then(|| format!("same events: {same_events}")))
    }
}

fn spread(means: &[Option<Mean>]) -> Option<Spread> {
    let told = means.iter().flatten().map(|mean| mean.seconds);
    let (least, largest) =
        told.minmax_by(f64::total_cmp).into_option().filter(|_| means.iter().flatten().count() > 1)?;
    let seconds = largest - least;
    Some(Spread { seconds, ratio: if largest > 0.0 { seconds / largest } else { 0.0 } })
}

/// Means by stage.
pub type Means = BTreeMap<String, Mean>;

/// Durations of stages by the captures. A source that was not captured is absent; one that knew nothing is empty.
#[derive(Clone, Debug, Default)]
pub struct CapturedMeans {
    /// Durations by the spans.
    pub spans: Option<Means>,
    /// Durations by the histograms.
    pub histograms: Option<Means>,
    /// Waits by the histograms.
    pub queued: Option<Means>,
}

/// Puts the sources together: first the stages of the documents in their order, then those that only captures know.
pub fn side_by_side(stages: &[StageFigures], heard: &CapturedMeans) -> Vec<StageSources> {
    let mut all: Vec<StageSources> = stages
        .iter()
        .map(|stage| StageSources {
            stage: stage.name.clone(),
            at_most: stage.entered_at_most,
            documents: stage.work.map(Mean::from_distribution),
            waited: stage.wait.map(Mean::from_distribution),
            ..StageSources::default()
        })
        .collect();
    let captured = [&heard.spans, &heard.histograms, &heard.queued];
    for name in captured.into_iter().flatten().flat_map(BTreeMap::keys) {
        if !all.iter().any(|held| held.stage == *name) {
            all.push(StageSources { stage: name.clone(), ..StageSources::default() });
        }
    }
    for one in &mut all {
        let of = |means: &Option<Means>| means.as_ref().and_then(|means| means.get(&one.stage)).copied();
        (one.spans, one.histograms, one.queued) = (of(&heard.spans), of(&heard.histograms), of(&heard.queued));
    }
    let told = |one: &StageSources| {
        [one.documents, one.spans, one.histograms, one.waited, one.queued].iter().any(Option::is_some)
    };
    all.retain(told);
    all
}

type Part = fn(&StageSources) -> Option<Mean>;

/// Returns the doubts about the sources: a source without events of a stage that others know, counts that the documents cannot
/// explain, disagreement on the same number of events. Documents have no times of failed attempts and of lost jobs.
pub fn doubts(all: &[StageSources], heard: &CapturedMeans) -> Vec<String> {
    let mut doubts = Vec::new();
    let captured: [(&str, bool, Part, Part); 3] = [
        ("spans", heard.spans.is_some(), |one| one.spans, |one| one.documents),
        ("histograms of stage durations", heard.histograms.is_some(), |one| one.histograms, |one| one.documents),
        ("histograms of queue waits", heard.queued.is_some(), |one| one.queued, |one| one.waited),
    ];
    for (who, was_heard, theirs, documents) in captured {
        if !was_heard {
            continue;
        }
        let silent = all.iter().filter(|one| theirs(one).is_none() && documents(one).is_some()).map(shown);
        // A source is silent only if another one has stages.
        if !all.is_empty() && all.iter().all(|one| theirs(one).is_none()) {
            doubts.push(format!("the {who} contain no stage at all"));
        } else if let Some(silent) = any_listed(silent) {
            doubts.push(format!("the {who} lack stages that the jobs went through: {silent}"));
        }
        let counted = |one: &StageSources| {
            let (theirs, documents) = (theirs(one)?.count, documents(one)?.count);
            let most = one.at_most.max(documents);
            let range = if most > documents { format!("{documents} to {most}") } else { documents.to_string() };
            (theirs < documents || theirs > most).then(|| format!("{} {theirs} against {range}", shown(one)))
        };
        let other = any_listed(all.iter().filter_map(counted));
        doubts.extend(other.map(|other| format!("the {who} count different events than the job documents: {other}")));
    }
    let apart = |one: &StageSources| {
        let told = [one.documents, one.spans, one.histograms];
        let documents = one.documents.map_or(0, |mean| mean.count);
        let explained = |mean: &Mean| mean.count > documents && mean.count <= one.at_most;
        let spread = if documents > 0 && told.iter().flatten().any(explained) {
            // No document shows the time of a failed attempt, so only sources with equal counts can be compared.
            let of_as_many = |count: u64| told.map(|mean| mean.filter(|mean| mean.count == count));
            let spreads = told.iter().flatten().filter_map(|mean| spread(&of_as_many(mean.count)));
            spreads.max_by(|one, other| one.ratio.total_cmp(&other.ratio))?
        } else {
            one.spread()?
        };
        let known = one.documents.map_or(0.0, |mean| mean.error);
        let far = spread.ratio > DOUBTFUL && spread.seconds > known;
        far.then(|| format!("{} by {} ({:.0} %)", shown(one), units::seconds(spread.seconds), spread.ratio * 100.0))
    };
    let apart = any_listed(all.iter().filter_map(apart));
    doubts.extend(apart.map(|apart| format!("the sources of stage durations disagree: {apart}")));
    doubts
}

/// A stage's name in a sentence: those that only captures know are a server's words.
fn shown(one: &StageSources) -> String {
    start(&one.stage, NAME)
}

/// Adds the figures of the captures; those of the documents are among the figures of the stages.
pub fn put_into(all: &[StageSources], figures: &mut NamedFigures) {
    for one in all {
        let captured = [
            (StageDuration::Spans, one.spans),
            (StageDuration::Histogram, one.histograms),
            (StageDuration::QueueWait, one.queued),
        ];
        for (source, mean) in captured {
            let durations = Durations::of_stage(&one.stage, source);
            figures.put(&durations.count(), mean.map(|mean| mean.count as f64));
            figures.put(&durations.statistic(Statistic::Mean), mean.map(|mean| mean.seconds));
        }
        let [seconds, ratio] = names::source_spread(&one.stage);
        figures.put(&seconds, one.spread().map(|spread| spread.seconds));
        figures.put(&ratio, one.spread().map(|spread| spread.ratio));
    }
    let largest = |part: fn(Spread) -> f64| all.iter().filter_map(StageSources::spread).map(part).reduce(f64::max);
    figures.put(&names::SOURCE_SPREAD_MAX_SECONDS, largest(|spread| spread.seconds));
    figures.put(&names::SOURCE_SPREAD_MAX_RATIO, largest(|spread| spread.ratio));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mean(count: u64, seconds: f64) -> Mean {
        Mean { count, seconds, error: 0.0 }
    }

    fn means(of: &[(&str, u64, f64)]) -> Means {
        let mean = |(name, count, seconds): &(&str, u64, f64)| {
            ((*name).to_owned(), Mean { count: *count, seconds: *seconds, error: 0.0 })
        };
        of.iter().map(mean).collect()
    }

    #[test]
    fn the_spread_is_between_the_largest_and_the_smallest_of_two_at_least() {
        let mut one =
            StageSources { spans: Some(mean(3, 1.5)), histograms: Some(mean(3, 2.0)), ..StageSources::default() };
        assert_eq!(one.spread(), Some(Spread { seconds: 0.5, ratio: 0.25 }));
        one.documents = Some(mean(3, 1.0));
        assert_eq!(one.spread(), Some(Spread { seconds: 1.0, ratio: 0.5 }));
        assert_eq!(StageSources { spans: Some(mean(3, 1.5)), ..StageSources::default() }.spread(), None);
        assert_eq!(one.wait_spread(), None);
    }

    #[test]
    fn the_reason_of_a_difference_follows_from_the_counts() {
        let why = |spans, histograms| {
            let one = StageSources {
                at_most: 14,
                documents: Some(mean(12, 1.0)),
                spans: Some(spans),
                histograms: Some(histograms),
                ..StageSources::default()
            };
            one.duration_difference()
        };
        assert_eq!(why(mean(12, 1.0), mean(12, 1.05)), None);
        assert_eq!(
            why(mean(12, 1.0), mean(12, 1.5)).unwrap(),
            "same events: the sources see different parts of the stage"
        );
        assert_eq!(why(mean(14, 0.9), mean(12, 1.0)).unwrap(), "spans count 14 attempts, documents 12 jobs");
        let both = why(mean(14, 0.9), mean(14, 0.9)).unwrap();
        assert_eq!(both, "spans and histograms count 14 attempts, documents 12 jobs");
        assert_eq!(why(mean(11, 1.0), mean(12, 1.0)).unwrap(), "spans miss 1 of 12 events");
        let others = why(mean(12, 1.0), mean(30, 1.0)).unwrap();
        assert!(others.starts_with("histograms count 30 events") && others.contains("other clients"), "{others}");
        assert_eq!(StageSources { spans: Some(mean(3, 1.0)), ..StageSources::default() }.duration_difference(), None);
    }

    #[test]
    fn what_attempts_and_lost_jobs_explain_is_not_doubtful() {
        let one = |at_most, spans, histograms| StageSources {
            stage: "a".to_owned(),
            at_most,
            documents: Some(mean(12, 1.0)),
            spans: Some(spans),
            histograms: Some(histograms),
            ..StageSources::default()
        };
        let heard = CapturedMeans { spans: Some(Means::new()), histograms: Some(Means::new()), queued: None };
        let doubts = |one: StageSources| doubts(&[one], &heard);
        assert_eq!(doubts(one(16, mean(16, 0.5), mean(16, 0.5))), Vec::<String>::new());
        assert_eq!(
            doubts(one(15, mean(16, 1.0), mean(11, 1.0))),
            [
                "the spans count different events than the job documents: a 16 against 12 to 15",
                "the histograms of stage durations count different events than the job documents: a 11 against 12 to 15"
            ]
        );
        let apart = ["the sources of stage durations disagree: a by 500 ms (50 %)"];
        assert_eq!(doubts(one(16, mean(16, 1.0), mean(16, 0.5))), apart, "both count attempts");
        assert_eq!(doubts(one(12, mean(12, 1.0), mean(12, 0.5))), apart);
    }

    #[test]
    fn silence_other_counts_and_disagreement_are_doubtful() {
        let stage = |name: &str| StageFigures {
            name: name.to_owned(),
            work: Distribution::from_samples(&[super::super::distribution::Measured::exact(1.0)]),
            ..StageFigures::default()
        };
        let heard = CapturedMeans {
            spans: Some(means(&[("a", 2, 1.0), ("x", 1, 5.0)])),
            histograms: Some(means(&[("a", 1, 1.0), ("b", 1, 2.0)])),
            queued: Some(Means::new()),
        };
        let all = side_by_side(&[stage("a"), stage("b"), StageFigures::default()], &heard);
        assert_eq!(all.iter().map(|one| one.stage.as_str()).collect::<Vec<_>>(), ["a", "b", "x"]);
        assert_eq!(
            doubts(&all, &heard),
            [
                "the spans lack stages that the jobs went through: b",
                "the spans count different events than the job documents: a 2 against 1",
                "the histograms of queue waits contain no stage at all",
                "the sources of stage durations disagree: b by 1.00 s (50 %)",
            ]
        );
        assert!(doubts(&all, &CapturedMeans::default()).len() == 1, "who was not asked cannot be silent");
    }
}
