//! Plain selectors of PromQL, such as `up{job="api"}[30s]`.

use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::error::{QueryError, bad_data};
use super::store::Labels;
use crate::units;

/// A quoted string.
const STRING: &str = r#""(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`"#;

static MATCHER: LazyLock<Regex> = LazyLock::new(|| regex(&format!(r"\s*(\w+)\s*(=~|!~|!=|=)\s*({STRING})\s*")));
static SELECTOR: LazyLock<Regex> = LazyLock::new(|| {
    let matcher = format!(r"\s*\w+\s*(?:=~|!~|!=|=)\s*(?:{STRING})\s*");
    let matchers = format!(r"\{{(?<matchers>(?:{matcher},)*(?:{matcher}|\s*))\}}");
    regex(&format!(r"^\s*(?<name>[a-zA-Z_:][\w:]*)?\s*(?:{matchers})?\s*(?:\[\s*(?<range>\w+)\s*\])?\s*$"))
});
static ESCAPED: LazyLock<Regex> = LazyLock::new(|| regex(r"\\(.)"));

fn regex(text: &str) -> Regex {
    Regex::new(text).expect("a constant is a pattern")
}

/// A selector: the matchers of a series, and the range of a range selector in milliseconds.
#[derive(Debug)]
pub(super) struct Selector {
    matchers: Vec<(String, Matcher)>,
    pub(super) range: Option<i64>,
}

/// The condition on a label's value.
#[derive(Debug)]
enum Matcher {
    Equal(String),
    NotEqual(String),
    Matches(Regex),
    NotMatches(Regex),
}

impl Matcher {
    fn accepts(&self, value: &str) -> bool {
        match self {
            Self::Equal(wanted) => wanted == value,
            Self::NotEqual(unwanted) => unwanted != value,
            Self::Matches(pattern) => pattern.is_match(value),
            Self::NotMatches(pattern) => !pattern.is_match(value),
        }
    }

    /// The condition of a matcher, or the reason why its pattern is none. Prometheus anchors its patterns.
    fn new(operator: &str, value: String) -> Result<Self, String> {
        let pattern = |value: &str| Regex::new(&format!("^(?s:{value})$")).map_err(|error| error.to_string());
        Ok(match operator {
            "=~" => Self::Matches(pattern(&value)?),
            "!~" => Self::NotMatches(pattern(&value)?),
            "!=" => Self::NotEqual(value),
            _ => Self::Equal(value),
        })
    }
}

impl Selector {
    /// Parses a query. One that is more than a plain selector, or no query at all, is beyond the stand-in, and the error says so.
    pub(super) fn parse(query: &str) -> Result<Self, QueryError> {
        let parse_error = |what: &str| bad_data(format!("invalid parameter \"query\": parse error: {what}"));
        let Some(found) = SELECTOR.captures(query) else { return Err(beyond(query)) };
        let part = |name: &str| found.name(name).map(|part| part.as_str());
        let name = part("name").map(|name| ("__name__".to_owned(), Matcher::Equal(name.to_owned())));
        let others = MATCHER.captures_iter(part("matchers").unwrap_or_default()).map(|found| {
            let (_, [label, operator, value]) = found.extract();
            Ok((label.to_owned(), Matcher::new(operator, unquoted(value))?))
        });
        let matchers: Result<Vec<_>, String> = name.map(Ok).into_iter().chain(others).collect();
        let matchers = matchers.map_err(|what| parse_error(&what))?;
        if matchers.iter().all(|(_, matcher)| matcher.accepts("")) {
            return Err(parse_error("vector selector must contain at least one non-empty matcher"));
        }
        let range = part("range").map(units::duration).transpose().map_err(|what| parse_error(&what))?;
        let range = range.map(|range| i64::try_from(range.as_millis()).unwrap_or(i64::MAX));
        Ok(Self { matchers, range })
    }

    /// Returns true if the selector matches a series. A label that the series lacks counts as empty.
    pub(super) fn matches(&self, labels: &Labels) -> bool {
        let value = |name: &str| labels.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value);
        self.matchers.iter().all(|(name, matcher)| matcher.accepts(value(name)))
    }
}

fn beyond(query: &str) -> QueryError {
    let text = format!("pipeline-sim evaluates plain selectors only, such as up or up[30s], not {query}");
    QueryError { status: 422, kind: "execution", text }
}

/// The value of a quoted string. In backquotes a backslash is a backslash.
fn unquoted(string: &str) -> String {
    let inside = &string[1..string.len() - 1];
    let unescaped = |found: &Captures<'_>| match &found[1] {
        "n" => "\n".to_owned(),
        "t" => "\t".to_owned(),
        other => other.to_owned(),
    };
    if string.starts_with('`') { inside.to_owned() } else { ESCAPED.replace_all(inside, unescaped).into_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn selectors_match_as_prometheus_anchors_them() {
        let up = labels(&[("__name__", "up"), ("job", "autorag-api")]);
        for (query, expected) in [
            ("up", true),
            ("upper", false),
            (r#"{__name__="up"}"#, true),
            (r#"{__name__=~"u"}"#, false),
            (r#"{__name__=~"u.|x"}"#, true),
            (r#"up{job!="x",nothing=""}"#, true),
            (r#" up { job != "x" , } "#, true),
            (r#"up{job!~".*api"}"#, false),
            (r"up{job='autorag\'api'}", false),
            ("up{job=~`autorag\\Wapi`}", true),
            ("up[30s]", true),
        ] {
            assert_eq!(Selector::parse(query).unwrap().matches(&up), expected, "{query}");
        }
        assert_eq!(Selector::parse("up[90s]").unwrap().range, Some(90_000));
    }

    #[test]
    fn a_query_that_is_no_plain_selector_is_refused() {
        for query in [
            "rate(up[1m])",
            "1",
            "up + 1",
            "up offset 5m",
            "up @ 5",
            "sum(up)",
            "(up)",
            "up[5m:1m]",
            "up{",
            "sum(",
            "up{job}",
            "up{job=x}",
            r#"count(up{job="}"})"#,
            r#"up{a="b"c="d"}"#,
        ] {
            let error = Selector::parse(query).map(|_| query).map_err(|error| error.status);
            assert_eq!(error, Err(422));
        }
        for query in ["", "{}", r#"{job=~".*"}"#, "up[xs]", r#"{job=~"("}"#] {
            let error = Selector::parse(query).unwrap_err();
            assert_eq!((error.status, error.kind), (400, "bad_data"), "{query}");
        }
    }
}
