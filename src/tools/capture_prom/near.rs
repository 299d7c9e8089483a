//! Which of a server's metric names resemble a query that found nothing.

use std::collections::BTreeSet;

/// How many are suggested.
const SUGGESTED: usize = 5;
/// Words that tell units and kinds apart but not metrics.
const COMMON: [&str; 7] = ["bucket", "count", "sum", "total", "seconds", "milliseconds", "bytes"];

/// Those of `names` that share most with the words of `query`, the nearest first.
pub(super) fn names(query: &str, names: &[String]) -> Vec<String> {
    let wanted: BTreeSet<String> = words(query).filter(|word| word != "name").collect();
    let possible: f64 = wanted.iter().map(|word| weight(word)).sum();
    let mut scored: Vec<(f64, &String)> = names
        .iter()
        .map(|name| {
            let has: Vec<String> = words(name).collect();
            let score: f64 = wanted.iter().map(|word| weight(word) * best(word, &has)).sum();
            (score, name)
        })
        // Less than a third in common is chance.
        .filter(|(score, _)| *score > 0.0 && *score >= possible / 3.0)
        .collect();
    scored.sort_by(|(a, one), (b, two)| b.total_cmp(a).then(one.len().cmp(&two.len())).then(one.cmp(two)));
    scored.into_iter().take(SUGGESTED).map(|(_, name)| name.clone()).collect()
}

fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| word.len() > 1).map(str::to_ascii_lowercase)
}

fn weight(word: &str) -> f64 {
    if COMMON.contains(&word) { 0.2 } else { 1.0 }
}

/// How well `word` is met by the best of `has`, from 0 to 1.
fn best(word: &str, has: &[String]) -> f64 {
    let likeness = |other: &String| match () {
        () if other == word => 1.0,
        () if word.len() > 3 && is_misspelt(word, other) => 0.7,
        () if other.len() > 2 && (other.starts_with(word) || word.starts_with(other.as_str())) => 0.5,
        () => 0.0,
    };
    has.iter().map(likeness).fold(0.0, f64::max)
}

/// Whether the two differ by a slip or two.
fn is_misspelt(word: &str, other: &str) -> bool {
    let slips = 1 + word.len() / 6;
    // Most words differ in length already, which is cheap to see: a server may know a hundred thousand names.
    word.len().abs_diff(other.len()) <= slips && distance(word, other) <= slips
}

/// Levenshtein's distance of two words.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.bytes().enumerate() {
            let changed = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
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

    #[test]
    fn distances_are_levenshteins() {
        assert_eq!([distance("kitten", "sitting"), distance("", "abc"), distance("same", "same")], [3, 3, 0]);
    }
}
