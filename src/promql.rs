//! PromQL as text: recognises plain selectors, the only queries whose raw samples a range selector returns.

/// Returns true if `query` is a metric name, matchers in braces, or both, and nothing else.
pub fn is_plain_selector(query: &str) -> bool {
    let query = query.trim();
    let name_ends = query.find(|c: char| !is_name(c)).unwrap_or(query.len());
    let (name, rest) = query.split_at(name_ends);
    let named = !name.is_empty();
    if name.starts_with(|c: char| c.is_ascii_digit()) || ["nan", "inf"].contains(&name.to_ascii_lowercase().as_str()) {
        return false;
    }
    let rest = rest.trim_start();
    if rest.is_empty() {
        return named;
    }
    rest.strip_prefix('{').and_then(closing_brace).is_some_and(|after| after.trim().is_empty())
}

/// The matchers in the braces of a plain selector, each as it is written.
pub fn matchers(query: &str) -> Vec<&str> {
    let Some((_, inner)) = query.split_once('{').filter(|_| is_plain_selector(query)) else { return Vec::new() };
    let inner = closing_brace(inner).map_or("", |after| &inner[..inner.len() - after.len() - 1]);
    let (mut found, mut from, mut quote, mut escaped) = (Vec::new(), 0, None, false);
    for (at, character) in inner.char_indices() {
        match quote {
            Some(_) if escaped => escaped = false,
            Some(mark) if character == '\\' && mark != '`' => escaped = true,
            Some(mark) if character == mark => quote = None,
            None if character == ',' => {
                found.push(&inner[from..at]);
                from = at + 1;
            }
            None if "\"'`".contains(character) => quote = Some(character),
            Some(_) | None => {}
        }
    }
    found.push(&inner[from..]);
    found.into_iter().map(str::trim).filter(|matcher| !matcher.is_empty()).collect()
}

/// Returns true if `query` is the name of a metric and nothing else.
pub fn is_metric_name(query: &str) -> bool {
    is_plain_selector(query) && query.trim().chars().all(is_name)
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == ':'
}

/// The text after the brace that closes the matchers in `text`; none if it does not close.
fn closing_brace(text: &str) -> Option<&str> {
    let mut quote = None;
    let mut escaped = false;
    for (at, character) in text.char_indices() {
        match quote {
            Some(_) if escaped => escaped = false,
            // In backquotes a backslash is a backslash.
            Some(mark) if character == '\\' && mark != '`' => escaped = true,
            Some(mark) if character == mark => quote = None,
            None if character == '}' => return text.get(at + 1..),
            None if "\"'`".contains(character) => quote = Some(character),
            Some(_) | None => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matchers_are_split_at_commas_outside_of_quotes() {
        assert_eq!(matchers("x{a=\"b,}c\\\"\", d=~`\\`,}"), ["a=\"b,}c\\\"\"", "d=~`\\`"]);
        for none in ["x", "x{}", "rate(x{a=\"b\"}[1m])"] {
            assert!(matchers(none).is_empty(), "{none}");
        }
    }

    #[test]
    fn selectors_are_told_from_expressions() {
        for plain in
            ["up", " up{job=\"a\"} ", "{__name__=~\"x|y}\"}", "a:b {c='}', d=`\\`}", "{\"stage.duration\"}", "up{}"]
        {
            assert!(is_plain_selector(plain), "{plain}");
        }
        for other in [
            "",
            "rate(up[1m])",
            "up[5m]",
            "up offset 5m",
            "up + up",
            "sum by (x) (up)",
            "1",
            "NaN",
            "{a=\"}\"",
            "up{} > 1",
            "\"text\"",
            "-up",
            "up @ 5",
        ] {
            assert!(!is_plain_selector(other), "{other}");
        }
    }
}
