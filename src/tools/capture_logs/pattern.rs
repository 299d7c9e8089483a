//! Regular expressions whose classes are those of ASCII: logs are long, and the wider classes are slow.

use std::sync::OnceLock;

use regex::{Captures, Match, Regex};

/// A regular expression that is compiled when it is first needed.
#[derive(Debug)]
pub(super) struct Pattern {
    source: &'static str,
    regex: OnceLock<Option<Regex>>,
}

impl Pattern {
    pub(super) const fn new(source: &'static str) -> Self {
        Self { source, regex: OnceLock::new() }
    }

    pub(super) fn regex(&self) -> Option<&Regex> {
        self.regex.get_or_init(|| compile(self.source)).as_ref()
    }

    pub(super) fn is_match(&self, text: &str) -> bool {
        self.regex().is_some_and(|regex| regex.is_match(text))
    }

    pub(super) fn find<'t>(&self, text: &'t str) -> Option<Match<'t>> {
        self.regex()?.find(text)
    }

    pub(super) fn captures<'t>(&self, text: &'t str) -> Option<Captures<'t>> {
        self.regex()?.captures(text)
    }
}

/// Compiles an expression of this module's tables; their tests see that none is wrong.
pub(super) fn compile(source: &str) -> Option<Regex> {
    Regex::new(&in_ascii(source)).ok()
}

/// The expression with the ASCII classes in place of `\d`, `\w` and `\b`.
pub(super) fn in_ascii(source: &str) -> String {
    source.replace(r"\d", "[0-9]").replace(r"\w", "[0-9A-Za-z_]").replace(r"\b", r"(?-u:\b)")
}
