//! Reading the text that a service exposes.

use super::store::Labels;

/// The samples of an OpenMetrics exposition: labels, the name among them as `__name__`, and value.
///
/// Timestamps and exemplars, which the services here do not send, are passed over. Errors name the line.
pub(crate) fn parse(text: &str) -> Result<Vec<(Labels, f64)>, String> {
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    lines.map(|line| sample(line).ok_or_else(|| format!("expected a sample, got '{line}'"))).collect()
}

fn sample(line: &str) -> Option<(Labels, f64)> {
    let end = line.find(['{', ' '])?;
    let (name, mut rest) = line.split_at(end);
    let mut labels = vec![("__name__".to_owned(), name.to_owned())];
    if let Some(inner) = rest.strip_prefix('{') {
        rest = inner;
        loop {
            rest = rest.trim_start_matches(',');
            if let Some(after) = rest.strip_prefix('}') {
                rest = after;
                break;
            }
            let (key, after) = rest.split_once("=\"")?;
            let (value, after) = quoted(after)?;
            labels.push((key.to_owned(), value));
            rest = after;
        }
    }
    let value = rest.split_whitespace().next()?.parse().ok()?;
    labels.sort_unstable();
    Some((labels, value))
}

/// The text up to the closing quote, unescaped, and what follows the quote.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => match chars.next()?.1 {
                'n' => value.push('\n'),
                other => value.push(other),
            },
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_names_labels_and_values() {
        let text = "# TYPE a counter\na_total 3\nb_bucket{le=\"+Inf\",stage=\"x\\\"y\\\\\\n}\"} 2.5 # {x=\"y\"} 1\nc{} NaN\n# EOF\n";
        let samples = parse(text).unwrap();
        let label = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(samples[0], (vec![label("__name__", "a_total")], 3.0));
        let expected = vec![label("__name__", "b_bucket"), label("le", "+Inf"), label("stage", "x\"y\\\n}")];
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
