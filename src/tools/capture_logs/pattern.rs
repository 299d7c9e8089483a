//! Regular expressions whose classes are those of ASCII: logs are long, and the wider classes are slow.

use regex::Regex;

/// The reason why each expression can be compiled.
pub(super) const CONSTANT: &str = "the expressions are constants that a test compiles";

/// Compiles an expression of this module's tables.
pub(super) fn compile(source: &str) -> Regex {
    Regex::new(&in_ascii(source)).expect(CONSTANT)
}

/// The expression with the ASCII classes in place of `\d`, `\w` and `\b`.
pub(super) fn in_ascii(source: &str) -> String {
    source.replace(r"\d", "[0-9]").replace(r"\w", "[0-9A-Za-z_]").replace(r"\b", r"(?-u:\b)")
}
