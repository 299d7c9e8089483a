//! Reading the text that a service exposes.

use super::store::Labels;

/// The samples of an OpenMetrics exposition: labels, the name among them as `__name__`, and value.
///
/// The services here send no timestamps and no exemplars, and no quote, comma or space in a label. Errors name the line.
pub(crate) fn parse(text: &str) -> Result<Vec<(Labels, f64)>, String> {
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    lines.map(|line| sample(line).ok_or_else(|| format!("expected a sample, got '{line}'"))).collect()
}

fn sample(line: &str) -> Option<(Labels, f64)> {
    let (series, value) = line.split_once(' ')?;
    let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
    let labels = labels.strip_suffix('}')?.split(',').filter(|label| !label.is_empty());
    let label = |label: &str| {
        let (key, value) = label.split_once("=\"")?;
        Some((key.to_owned(), value.strip_suffix('"')?.to_owned()))
    };
    let mut labels = labels.map(label).collect::<Option<Labels>>()?;
    labels.push(("__name__".to_owned(), name.to_owned()));
    labels.sort_unstable();
    Some((labels, value.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_names_labels_and_values() {
        let text = "# TYPE a counter\na_total 3\nb_bucket{le=\"+Inf\",stage=\"l1\"} 2.5\nc{} NaN\n# EOF\n";
        let samples = parse(text).unwrap();
        let label = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(samples[0], (vec![label("__name__", "a_total")], 3.0));
        let expected = vec![label("__name__", "b_bucket"), label("le", "+Inf"), label("stage", "l1")];
        assert_eq!(samples[1], (expected, 2.5));
        assert!(samples[2].1.is_nan());
    }

    #[test]
    fn names_a_line_that_is_none() {
        for text in ["a", "a{b=\"c} 1", "a{b} 1", "a x"] {
            let error = parse(&format!("ok 1\n{text}\n")).unwrap_err();
            assert_eq!(error, format!("expected a sample, got '{text}'"));
        }
    }
}
