//! The metric names of a server that resemble a query which found nothing.

use std::collections::BTreeSet;

use strsim::normalized_levenshtein;

/// The number of names that are suggested.
const SUGGESTED: usize = 5;
/// Words of units and kinds, which many metrics share.
const COMMON: [&str; 7] = ["bucket", "count", "sum", "total", "seconds", "milliseconds", "bytes"];
/// Words that differ more than this are different words: a slip or two.
const MISSPELT: f64 = 0.7;

/// Returns those of `names` that share most with the words of `query`, the nearest first.
pub(super) fn names(query: &str, names: &[String]) -> Vec<String> {
    let wanted: BTreeSet<String> = words(query).filter(|word| word != "name").collect();
    let possible: f64 = wanted.iter().map(|word| weight(word)).sum();
    let score = |name: &String| -> f64 {
        let words: Vec<String> = words(name).collect();
        let best = |wanted: &String| words.iter().map(|word| likeness(wanted, word)).fold(0.0, f64::max);
        wanted.iter().map(|wanted| weight(wanted) * best(wanted)).sum()
    };
    let scored = names.iter().map(|name| (score(name), name));
    // Less than a third in common is chance.
    let mut scored: Vec<_> = scored.filter(|(score, _)| *score > 0.0 && *score >= possible / 3.0).collect();
    scored.sort_by(|(a, one), (b, two)| b.total_cmp(a).then(one.len().cmp(&two.len())).then(one.cmp(two)));
    scored.into_iter().take(SUGGESTED).map(|(_, name)| name.clone()).collect()
}

fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| word.len() > 1).map(str::to_ascii_lowercase)
}

fn weight(word: &str) -> f64 {
    if COMMON.contains(&word) { 0.2 } else { 1.0 }
}

/// Returns how much alike two words are, from 0 to 1.
fn likeness(wanted: &str, word: &str) -> f64 {
    let alike = normalized_levenshtein(wanted, word);
    if alike >= MISSPELT {
        alike
    } else if word.len() > 2 && (word.starts_with(wanted) || wanted.starts_with(word)) {
        0.5
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_come_first_and_strangers_not_at_all() {
        let known = ["up", "stage_duration_seconds_bucket", "autorag_stage_durations_bucket", "go_gc_duration_seconds"]
            .map(str::to_owned);
        let near = names(r#"{__name__=~"(.+[_.])?stage[_.]duration_bucket"}"#, &known);
        assert_eq!(near[..2], ["stage_duration_seconds_bucket", "autorag_stage_durations_bucket"]);
        assert!(!near.contains(&"up".to_owned()));
        assert_eq!(names("jobs_compleded_total", &["jobs_completed_total".to_owned()]), ["jobs_completed_total"]);
        assert!(names("nothing_alike", &known).is_empty());
    }
}
