//! What a report is written on: the same headings, sentences and tables as Markdown or as HTML. What goes into it is markup
//! already: text from anybody goes through [`Pen::safe`] first.

use std::fmt::Write;

use crate::escape;
use crate::html::block;

/// The language that is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pen {
    /// Markdown.
    Markdown,
    /// HTML beside the files that it links.
    Html,
    /// HTML that is sent without the files beside it: nothing is linked.
    Sent,
}

impl Pen {
    /// Anybody's text, made safe.
    pub fn safe(self, text: &str) -> String {
        match self {
            Self::Markdown => escape::markdown_line(text),
            Self::Html | Self::Sent => escape::html(text),
        }
    }

    /// Anybody's text, made safe, for where a text from elsewhere takes a function.
    pub fn escape(self) -> fn(&str) -> String {
        match self {
            Self::Markdown => escape::markdown_line,
            Self::Html | Self::Sent => escape::html,
        }
    }

    /// A word of ours that stands out.
    pub fn strong(self, word: &str) -> String {
        match self {
            Self::Markdown => format!("**{word}**"),
            Self::Html | Self::Sent => format!("<strong>{word}</strong>"),
        }
    }

    /// A link to the file `path` that shows `text`; both may be anybody's.
    pub fn link(self, text: &str, path: &str) -> String {
        match self {
            Self::Markdown => format!("[{}]({})", escape::markdown_line(text), escape::url_path(path, true)),
            Self::Html => block::link(text, path),
            Self::Sent => escape::html(text),
        }
    }
}

/// A page in the making. Writing to a string cannot fail, so what `write!` gives back is dropped.
#[derive(Debug)]
pub struct Page {
    /// The language that it is written in.
    pub pen: Pen,
    text: String,
    /// The heading above what comes next, which names tables.
    heading: String,
    /// In HTML, the level of the headings.
    level: u8,
    /// Whether the next heading only names what comes, for the section above bears it already.
    silent: bool,
    listing: bool,
}

impl Page {
    /// One with nothing on it.
    pub fn new(pen: Pen) -> Self {
        Self { pen, text: String::new(), heading: String::new(), level: 3, silent: false, listing: false }
    }

    /// One in HTML whose headings are of this level.
    pub fn html(pen: Pen, level: u8) -> Self {
        Self { level, ..Self::new(pen) }
    }

    /// One in HTML for a section that bears the first heading itself.
    pub fn section(pen: Pen) -> Self {
        Self { silent: true, ..Self::new(pen) }
    }

    /// What was written.
    pub fn into_text(mut self) -> String {
        self.end_list();
        self.text
    }

    /// One empty line between what is there and what comes.
    fn gap(&mut self) {
        self.end_list();
        if self.pen == Pen::Markdown {
            self.text.truncate(self.text.trim_end_matches('\n').len());
            if !self.text.is_empty() {
                self.text.push_str("\n\n");
            }
        }
    }

    fn end_list(&mut self) {
        if std::mem::take(&mut self.listing) && self.pen != Pen::Markdown {
            self.text.push_str("</ul>\n");
        }
    }

    /// The page's title, which stands first; markup. A document in HTML bears its own.
    pub fn title(&mut self, text: &str) {
        if self.pen == Pen::Markdown {
            self.raw(&format!("# {text}\n"));
        }
    }

    /// Markup as it is.
    pub fn raw(&mut self, markup: &str) {
        self.gap();
        self.text.push_str(markup);
    }

    /// The heading of a section.
    pub fn heading(&mut self, text: &str) {
        self.gap();
        text.clone_into(&mut self.heading);
        if std::mem::take(&mut self.silent) {
            return;
        }
        let _ = match self.pen {
            Pen::Markdown => write!(self.text, "## {text}\n\n"),
            Pen::Html | Pen::Sent => writeln!(self.text, "<h{0}>{1}</h{0}>", self.level, escape::html(text)),
        };
    }

    /// A paragraph of markup.
    pub fn paragraph(&mut self, text: &str) {
        self.gap();
        let _ = match self.pen {
            Pen::Markdown => writeln!(self.text, "{text}"),
            Pen::Html | Pen::Sent => writeln!(self.text, "<p>{text}</p>"),
        };
    }

    /// An item of a list, as markup.
    pub fn item(&mut self, text: &str) {
        let _ = match self.pen {
            Pen::Markdown => writeln!(self.text, "- {text}"),
            Pen::Html | Pen::Sent => {
                let open = if self.listing { "" } else { "<ul>\n" };
                writeln!(self.text, "{open}<li>{text}</li>")
            }
        };
        self.listing = true;
    }

    /// Columns of numbers read best aligned to the right; they are those whose head ends in `>`.
    pub fn table(&mut self, head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) {
        self.gap();
        if self.pen != Pen::Markdown {
            self.text.push_str(&block::table(&self.heading, head, rows));
            return;
        }
        let names: Vec<&str> = head.iter().map(|name| name.trim_end_matches('>')).collect();
        let rules: Vec<&str> = head.iter().map(|name| if name.ends_with('>') { "---:" } else { "---" }).collect();
        let _ = writeln!(self.text, "| {} |\n| {} |", names.join(" | "), rules.join(" | "));
        for row in rows {
            let _ = writeln!(self.text, "| {} |", row.join(" | "));
        }
    }

    /// A block of fixed width; none of it is anybody's.
    pub fn fixed(&mut self, lines: &str) {
        let text = match self.pen {
            Pen::Markdown => format!("```text\n{lines}```\n"),
            Pen::Html | Pen::Sent => format!("<pre>{}</pre>\n", escape::html_lines(lines)),
        };
        self.raw(&text);
    }
}

/// A sentence of ours with its first letter in upper case.
pub fn capital(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map(|first| first.to_uppercase().chain(characters).collect()).unwrap_or_default()
}

/// What stands where there is no figure.
pub fn dash() -> String {
    "–".to_owned()
}
