//! Plain selectors of PromQL, such as `up{job="api"}[30s]`, and Prometheus' spelling of durations.

use regex::Regex;

use super::error::{QueryError, bad_data};
use super::store::Labels;

/// The units of a duration, longest first, in milliseconds.
const UNITS: [(&str, i64); 7] = [
    ("y", 31_536_000_000),
    ("w", 604_800_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

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
}

impl Selector {
    /// Parses a query. A query that does not parse is bad data; one that parses and is more than a plain selector is beyond the
    /// stand-in, and the error says so. An expression counts as parsed if its brackets and quotes close.
    pub(super) fn parse(query: &str) -> Result<Self, QueryError> {
        let parse_error = |what: &str| bad_data(format!("invalid parameter \"query\": parse error: {what}"));
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
        let text = query.trim();
        let (name, mut rest) = text.split_at(text.find(|c| !is_name(c)).unwrap_or(text.len()));
        let mut matchers = Vec::new();
        if !name.is_empty() {
            matchers.push(("__name__".to_owned(), Matcher::Equal(name.to_owned())));
        }
        rest = rest.trim_start();
        if let Some(inside) = rest.strip_prefix('{') {
            rest = read_matchers(inside, &mut matchers).map_err(|what| parse_error(&what))?.trim_start();
        }
        let mut range = None;
        if let Some((inside, after)) = rest.strip_prefix('[').and_then(|inside| inside.split_once(']'))
            // With a colon it is a subquery.
            && !inside.contains(':')
        {
            let length = milliseconds(inside.trim()).ok_or_else(|| parse_error(&format!("bad duration {inside}")))?;
            (range, rest) = (Some(length), after.trim_start());
        }
        let starts_like_a_number = name.starts_with(|c: char| c.is_ascii_digit());
        if !rest.is_empty() || starts_like_a_number {
            return Err(if is_closed(text) { beyond(query) } else { parse_error("unclosed bracket or quote") });
        }
        if matchers.iter().all(|(_, matcher)| matcher.accepts("")) {
            return Err(parse_error("vector selector must contain at least one non-empty matcher"));
        }
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

/// Reads matchers up to the closing brace and returns the text after it.
fn read_matchers<'a>(mut text: &'a str, matchers: &mut Vec<(String, Matcher)>) -> Result<&'a str, String> {
    loop {
        text = text.trim_start();
        if let Some(rest) = text.strip_prefix('}') {
            return Ok(rest);
        }
        let is_label = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let (label, rest) = text.split_at(text.find(|c| !is_label(c)).unwrap_or(text.len()));
        let rest = rest.trim_start();
        let operator = ["=~", "!~", "!=", "="].into_iter().find(|operator| rest.starts_with(operator));
        let Some(operator) = operator.filter(|_| !label.is_empty()) else {
            return Err(format!("unexpected {text:?} in label matching"));
        };
        let (value, rest) = read_string(rest[operator.len()..].trim_start())?;
        // Prometheus anchors its patterns.
        let pattern = |value: &str| Regex::new(&format!("^(?s:{value})$")).map_err(|error| error.to_string());
        let matcher = match operator {
            "=~" => Matcher::Matches(pattern(&value)?),
            "!~" => Matcher::NotMatches(pattern(&value)?),
            "!=" => Matcher::NotEqual(value),
            _ => Matcher::Equal(value),
        };
        matchers.push((label.to_owned(), matcher));
        let rest = rest.trim_start();
        text = match rest.strip_prefix(',') {
            Some(after) => after,
            None if rest.starts_with('}') => rest,
            None => return Err(format!("unexpected {rest:?} in label matching, expected \",\" or \"}}\"")),
        };
    }
}

/// Reads a quoted string and returns it with the text after it. In backquotes a backslash is a backslash.
fn read_string(text: &str) -> Result<(String, &str), String> {
    let mut characters = text.char_indices();
    let Some((_, quote)) = characters.next().filter(|(_, quote)| "\"'`".contains(*quote)) else {
        return Err(format!("unexpected {text:?} in label matching, expected string"));
    };
    let mut value = String::new();
    while let Some((at, character)) = characters.next() {
        match character {
            _ if character == quote => return Ok((value, &text[at + quote.len_utf8()..])),
            '\\' if quote != '`' => match characters.next() {
                Some((_, 'n')) => value.push('\n'),
                Some((_, 't')) => value.push('\t'),
                Some((_, escaped)) if escaped == quote || escaped == '\\' => value.push(escaped),
                _ => return Err("unknown escape sequence".to_owned()),
            },
            _ => value.push(character),
        }
    }
    Err("unterminated quoted string".to_owned())
}

/// Returns true if every bracket and quote in `text` closes, and there is something in it.
fn is_closed(text: &str) -> bool {
    let (mut open, mut rest) = (Vec::new(), text);
    while let Some(character) = rest.chars().next() {
        if "\"'`".contains(character) {
            let Ok((_, after)) = read_string(rest) else { return false };
            rest = after;
            continue;
        }
        match character {
            '(' => open.push(')'),
            '[' => open.push(']'),
            '{' => open.push('}'),
            ')' | ']' | '}' if open.pop() != Some(character) => return false,
            _ => {}
        }
        rest = &rest[character.len_utf8()..];
    }
    open.is_empty() && !text.is_empty()
}

/// Reads a duration such as `1m30s`: units from the longest to the shortest, each once at most.
pub(super) fn milliseconds(text: &str) -> Option<i64> {
    let (mut rest, mut total, mut units) = (text, 0_i64, UNITS.iter());
    while !rest.is_empty() {
        let (number, after) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit())?);
        let unit = &after[..after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len())];
        let (_, length) = units.find(|(name, _)| *name == unit)?;
        total = total.checked_add(number.parse::<i64>().ok()?.checked_mul(*length)?)?;
        rest = &after[unit.len()..];
    }
    Some(total).filter(|_| !text.is_empty())
}

/// Spells a duration as Prometheus does: `1m30s`, `250ms`.
pub(super) fn spell(mut milliseconds: i64) -> String {
    let mut text = String::new();
    // Prometheus spells years and weeks only if nothing is left over; no scrape interval is that long.
    for (unit, length) in UNITS.into_iter().filter(|(unit, _)| !["y", "w"].contains(unit)) {
        let count = milliseconds / length;
        if count > 0 {
            text += &format!("{count}{unit}");
        }
        milliseconds %= length;
    }
    if text.is_empty() { "0s".to_owned() } else { text }
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
        assert_eq!(Selector::parse("up[1m30s]").unwrap().range, Some(90_000));
    }

    #[test]
    fn what_is_no_selector_is_told_apart_from_what_is_no_query() {
        for query in [
            "rate(up[1m])",
            "1",
            "up + 1",
            "up offset 5m",
            "up @ 5",
            "sum(up)",
            "(up)",
            "up[5m:1m]",
            r#"count(up{job="}"})"#,
        ] {
            assert_eq!(Selector::parse(query).unwrap_err().status, 422, "{query}");
        }
        for query in ["", "up{", "{}", r#"{job=~".*"}"#, "sum(", "up[xs]", "up{job}", "up{job=x}", r#"up{a="b"c="d"}"#]
        {
            let error = Selector::parse(query).unwrap_err();
            assert_eq!((error.status, error.kind), (400, "bad_data"), "{query}");
        }
    }

    #[test]
    fn durations_are_read_and_spelt_alike() {
        for text in ["250ms", "1s", "1m30s", "1h", "1d1ms"] {
            assert_eq!(milliseconds(text).map(spell).as_deref(), Some(text));
        }
        for text in ["", "5", "s", "1.5s", "1s1m", "1s1s", "-1s", "99999999999999999y"] {
            assert_eq!(milliseconds(text), None, "{text}");
        }
    }
}
