//! A Markdown page in the making. What goes into it is markup already: text from anybody goes through
//! [`crate::escape::markdown`] first.

use std::fmt::Write;

use crate::escape::markdown;

/// A page in the making. Writing to a string cannot fail, so what `write!` gives back is dropped.
#[derive(Debug, Default)]
pub struct Page(String);

impl Page {
    /// The page as it is.
    pub fn into_text(self) -> String {
        self.0
    }

    /// The page's title, which stands first.
    pub fn title(&mut self, text: &str) {
        let _ = writeln!(self.0, "# {text}");
    }

    /// One empty line between what is there and what comes.
    fn gap(&mut self) {
        self.0.truncate(self.0.trim_end_matches('\n').len());
        if !self.0.is_empty() {
            self.0.push_str("\n\n");
        }
    }

    /// The heading of a section.
    pub fn heading(&mut self, text: &str) {
        self.gap();
        let _ = write!(self.0, "## {text}\n\n");
    }

    /// A paragraph.
    pub fn paragraph(&mut self, text: &str) {
        self.gap();
        let _ = writeln!(self.0, "{text}");
    }

    /// An item of a list.
    pub fn item(&mut self, text: &str) {
        let _ = writeln!(self.0, "- {text}");
    }

    /// A table: a row for each of `rows`, in the columns of `head`.
    pub fn table(&mut self, head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) {
        self.gap();
        // Columns of numbers read best aligned to the right; they are those whose head ends in `>`.
        let names: Vec<&str> = head.iter().map(|name| name.trim_end_matches('>')).collect();
        let rules: Vec<&str> = head.iter().map(|name| if name.ends_with('>') { "---:" } else { "---" }).collect();
        let _ = writeln!(self.0, "| {} |\n| {} |", names.join(" | "), rules.join(" | "));
        for row in rows {
            let _ = writeln!(self.0, "| {} |", row.join(" | "));
        }
    }
}

/// A link to `path` that shows `text`; both may be anybody's.
pub fn link(text: &str, path: &str) -> String {
    let mut target = String::new();
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'/' => target.push(char::from(byte)),
            _ => {
                let _ = write!(target, "%{byte:02X}");
            }
        }
    }
    format!("[{}]({target})", markdown(text))
}

/// What stands where there is no figure.
pub fn dash() -> String {
    "–".to_owned()
}
