//! The content of a report, which is written as Markdown or as HTML.
//!
//! Content is plain text in blocks. All of it is escaped when it is written, so nothing that a target, a trace or a log says can
//! become markup.

use itertools::Itertools;
use maud::{Markup, html};

use crate::escape;
use crate::html::components;
pub use crate::html::components::Column;

/// The language that content is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Markdown beside the files that it links.
    Markdown,
    /// HTML beside the files that it links.
    Html,
    /// HTML without the files beside it: nothing is linked.
    RedactedHtml,
}

/// A text in one style.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Span {
    Plain(String),
    Strong(String),
    Link { text: String, path: String },
}

/// Text within a line: a paragraph, a list item, a table cell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Inline(Vec<Span>);

impl Inline {
    /// Text that stands out.
    pub fn strong(text: impl Into<String>) -> Self {
        Self(vec![Span::Strong(text.into())])
    }

    /// A link to a file beside the page.
    pub fn link(text: impl Into<String>, path: impl Into<String>) -> Self {
        Self(vec![Span::Link { text: text.into(), path: path.into() }])
    }

    /// This text with another behind it.
    pub fn then(mut self, other: impl Into<Self>) -> Self {
        self.0.extend(other.into().0);
        self
    }

    /// Markdown. Characters that would start a list or a heading are escaped only at the start of a line.
    fn to_markdown(&self, starts_line: bool) -> String {
        let mut text = String::new();
        for span in &self.0 {
            text += &match span {
                Span::Plain(plain) if starts_line && text.is_empty() => escape::markdown_line(plain),
                Span::Plain(plain) => escape::markdown(plain),
                Span::Strong(strong) => format!("**{}**", escape::markdown(strong)),
                Span::Link { text, path } => {
                    format!("[{}]({})", escape::markdown(text), escape::url_path(path, true))
                }
            };
        }
        text
    }

    /// Plain text: nothing stands out, and a link is its text.
    fn to_text(&self) -> String {
        let texts = self.0.iter().map(|span| match span {
            Span::Plain(text) | Span::Strong(text) | Span::Link { text, .. } => text.as_str(),
        });
        escape::terminal(&texts.collect::<String>())
    }

    fn to_html(&self, format: Format) -> Markup {
        html! {
            @for span in &self.0 {
                @match span {
                    Span::Plain(text) => (text),
                    Span::Strong(text) => strong { (text) },
                    Span::Link { text, .. } if format == Format::RedactedHtml => (text),
                    Span::Link { text, path } => (components::link(text, path)),
                }
            }
        }
    }
}

impl<T: Into<String>> From<T> for Inline {
    fn from(text: T) -> Self {
        Self(vec![Span::Plain(text.into())])
    }
}

#[derive(Debug)]
enum Block {
    Title(String),
    Heading(String),
    Paragraph(Inline),
    List(Vec<Inline>),
    Table { head: Vec<Column>, rows: Vec<Vec<Inline>> },
    Preformatted(String),
}

/// Headings, paragraphs, lists and tables in their order.
#[derive(Debug)]
pub struct Content {
    format: Format,
    blocks: Vec<Block>,
}

impl Content {
    /// Empty content, to be written in this language.
    pub fn new(format: Format) -> Self {
        Self { format, blocks: Vec::new() }
    }

    /// The language that it will be written in.
    pub fn format(&self) -> Format {
        self.format
    }

    /// The title, which stands first in Markdown. A document in HTML has its own.
    pub fn title(&mut self, text: impl Into<String>) {
        self.blocks.push(Block::Title(text.into()));
    }

    /// The heading of a section.
    pub fn heading(&mut self, text: impl Into<String>) {
        self.blocks.push(Block::Heading(text.into()));
    }

    /// A paragraph.
    pub fn paragraph(&mut self, text: impl Into<Inline>) {
        self.blocks.push(Block::Paragraph(text.into()));
    }

    /// An item of the list that ends the content so far.
    pub fn item(&mut self, text: impl Into<Inline>) {
        match self.blocks.last_mut() {
            Some(Block::List(items)) => items.push(text.into()),
            _ => self.blocks.push(Block::List(vec![text.into()])),
        }
    }

    /// A table. Optional columns in which no row has a value are left out.
    pub fn table(
        &mut self,
        head: impl IntoIterator<Item = impl Into<Column>>,
        rows: impl IntoIterator<Item = Vec<Inline>>,
    ) {
        let (head, mut rows): (Vec<Column>, Vec<Vec<Inline>>) =
            (head.into_iter().map(Into::into).collect(), rows.into_iter().collect());
        let no_value = Inline::from(NO_VALUE);
        let has_value = |at: usize| rows.iter().any(|row| row.get(at).is_some_and(|cell| *cell != no_value));
        let kept: Vec<bool> = head.iter().enumerate().map(|(at, column)| !column.optional || has_value(at)).collect();
        let is_kept = |at: usize| kept.get(at).is_none_or(|kept| *kept);
        for row in &mut rows {
            let mut at = 0..;
            row.retain(|_| at.next().is_some_and(is_kept));
        }
        let head = head.into_iter().enumerate().filter(|(at, _)| is_kept(*at)).map(|(_, column)| column).collect();
        self.blocks.push(Block::Table { head, rows });
    }

    /// Lines of fixed width.
    pub fn preformatted(&mut self, lines: impl Into<String>) {
        self.blocks.push(Block::Preformatted(lines.into()));
    }

    /// The content in Markdown.
    pub fn to_markdown(&self) -> String {
        self.blocks.iter().map(block_to_markdown).join("\n\n") + "\n"
    }

    /// The content as plain text for a terminal, with aligned tables.
    pub fn to_text(&self) -> String {
        self.blocks.iter().map(block_to_text).join("\n\n") + "\n"
    }

    /// The content in HTML, with headings of this level.
    pub fn to_html(&self, level: u8) -> Markup {
        self.blocks_to_html(level, false)
    }

    /// The content in HTML for a section that bears the first heading itself.
    pub fn to_section(&self) -> Markup {
        self.blocks_to_html(3, true)
    }

    fn blocks_to_html(&self, level: u8, mut in_section: bool) -> Markup {
        let mut label = "";
        let mut blocks = Vec::new();
        for block in &self.blocks {
            blocks.push(match block {
                Block::Title(_) => continue,
                Block::Heading(text) => {
                    label = text;
                    if std::mem::take(&mut in_section) {
                        continue;
                    }
                    html! { @if level == 2 { h2 { (text) } } @else { h3 { (text) } } }
                }
                Block::Paragraph(text) => html! { p { (text.to_html(self.format)) } },
                Block::List(items) => html! { ul { @for item in items { li { (item.to_html(self.format)) } "\n" } } },
                Block::Table { head, rows } => components::table(label, head, rows.iter().map(|row| self.cells(row))),
                Block::Preformatted(lines) => html! { pre { (lines) } },
            });
        }
        html! { @for block in blocks { (block) "\n" } }
    }

    fn cells(&self, row: &[Inline]) -> Vec<Markup> {
        row.iter().map(|cell| cell.to_html(self.format)).collect()
    }
}

fn block_to_markdown(block: &Block) -> String {
    match block {
        Block::Title(text) => format!("# {}", escape::markdown(text)),
        Block::Heading(text) => format!("## {}", escape::markdown(text)),
        Block::Paragraph(text) => text.to_markdown(true),
        Block::List(items) => items.iter().map(|item| format!("- {}", item.to_markdown(true))).join("\n"),
        Block::Table { head, rows } => table_to_markdown(head, rows),
        Block::Preformatted(lines) => {
            // A fence that is longer than any run of backticks within cannot be closed by it.
            let fence = "`".repeat(lines.split(|c| c != '`').map(str::len).max().unwrap_or_default().max(2) + 1);
            format!("{fence}text\n{}\n{fence}", escape::visible(lines.trim_end_matches('\n')))
        }
    }
}

fn table_to_markdown(head: &[Column], rows: &[Vec<Inline>]) -> String {
    let names = head.iter().map(|column| escape::markdown(&column.name)).join(" | ");
    let rules = head.iter().map(|column| if column.numeric { "---:" } else { "---" }).join(" | ");
    let rows = rows.iter().map(|row| row.iter().map(|cell| cell.to_markdown(false)).join(" | "));
    [names, rules].into_iter().chain(rows).map(|line| format!("| {line} |")).join("\n")
}

fn block_to_text(block: &Block) -> String {
    match block {
        Block::Title(text) => escape::terminal(text),
        Block::Heading(text) => format!("{}:", escape::terminal(text)),
        Block::Paragraph(text) => text.to_text(),
        Block::List(items) => items.iter().map(|item| format!("- {}", item.to_text())).join("\n"),
        Block::Table { head, rows } => table_to_text(head, rows),
        Block::Preformatted(lines) => lines.lines().map(|line| format!("  {}", escape::terminal(line))).join("\n"),
    }
}

fn table_to_text(head: &[Column], rows: &[Vec<Inline>]) -> String {
    let mut table = vec![head.iter().map(|column| escape::terminal(&column.name)).collect::<Vec<_>>()];
    table.extend(rows.iter().map(|row| row.iter().map(Inline::to_text).collect()));
    let width = |index: usize| table.iter().filter_map(|row| row.get(index)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..head.len()).map(|index| width(index).unwrap_or_default()).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(head).zip(&widths).map(|((cell, column), width)| {
            if column.numeric { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
        });
        format!("  {}", cells.collect_vec().join("  ").trim_end())
    };
    table.iter().map(line).join("\n")
}

/// A sentence with its first letter in upper case.
pub fn capitalize(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map(|first| first.to_uppercase().chain(characters).collect()).unwrap_or_default()
}

/// A cell for a figure or a text that may be missing.
pub fn cell(value: Option<impl Into<Inline>>) -> Inline {
    value.map_or_else(|| NO_VALUE.into(), Into::into)
}

/// The mark of a missing figure.
pub const NO_VALUE: &str = "–";

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTILE: &str = "- <b>|`x`|[a](b)\n# *c* _d_";

    fn hostile(format: Format) -> Content {
        let mut content = Content::new(format);
        content.title(HOSTILE);
        content.heading(HOSTILE);
        content.paragraph(Inline::from(HOSTILE).then(Inline::strong(HOSTILE)));
        content.item(Inline::link(HOSTILE, "javascript:x/y"));
        content.item(HOSTILE);
        content.table([Column::text(HOSTILE)], [vec![Inline::from(HOSTILE)]]);
        content.preformatted("```\n<pre>");
        content
    }

    #[test]
    fn markdown_holds_no_markup_of_a_text() {
        let escaped = "<b>|`x`|[a](b) # *c* _d_".replace('<', "&lt;").replace('>', "&gt;");
        let escaped =
            ["|", "`", "[", "]", "#", "*", "_"].iter().fold(escaped, |text, c| text.replace(c, &format!("\\{c}")));
        let escaped = escaped.replace("](b)", "]\\(b)");
        assert_eq!(
            hostile(Format::Markdown).to_markdown(),
            format!(
                "# - {escaped}\n\n## - {escaped}\n\n\\- {escaped}**- {escaped}**\n\n- [- {escaped}](javascript%3Ax/y)\n\
                 - \\- {escaped}\n\n| - {escaped} |\n| --- |\n| - {escaped} |\n\n````text\n```\n<pre>\n````\n"
            )
        );
    }

    #[test]
    fn an_optional_column_without_any_value_is_left_out() {
        let table = |last: Option<&str>| {
            let mut content = Content::new(Format::Markdown);
            let row = |value: Option<&str>| vec!["a".into(), cell(value), cell(None::<&str>), cell(None::<&str>)];
            content.table(["Job", "p90>?", "Why?", "Kept"], [row(None), row(last)]);
            content.to_markdown()
        };
        assert_eq!(table(None), "| Job | Kept |\n| --- | --- |\n| a | – |\n| a | – |\n");
        assert_eq!(table(Some("1")), "| Job | p90 | Kept |\n| --- | ---: | --- |\n| a | – | – |\n| a | 1 | – |\n");
    }

    #[test]
    fn text_is_aligned_and_marks_nothing() {
        let mut content = Content::new(Format::Markdown);
        content.title("Legs");
        content.paragraph(Inline::strong("Worse").then(": np-4\u{1b}[2J"));
        content.heading("Side by side");
        let head = [Column::text("Figure"), Column::number("np-8")];
        let rows = [("max", "10.5 s"), ("é", "1 s")];
        content.table(head, rows.map(|(name, value)| vec![Inline::link(name, "x"), value.into()]));
        content.item("one");
        content.item("two");
        let escaped = escape::terminal("\u{1b}[2J");
        assert_eq!(
            content.to_text(),
            format!(
                "Legs\n\nWorse: np-4{escaped}\n\nSide by side:\n\n  Figure    np-8\n  max     10.5 s\n  é          1 s\n\n- one\n- two\n"
            )
        );
    }

    #[test]
    fn html_holds_no_markup_of_a_text_and_links_only_beside_its_files() {
        let page = hostile(Format::Html).to_html(3).into_string();
        assert!(!page.contains("<b>") && page.matches("&lt;b&gt;").count() == 8, "{page}");
        assert!(
            page.contains("<a href=\"javascript%3Ax/y\">") && page.contains("<pre>```\n&lt;pre&gt;</pre>"),
            "{page}"
        );
        assert!(page.contains("<h3>- &lt;b&gt;"), "{page}");
        let redacted = hostile(Format::RedactedHtml).to_section().into_string();
        assert!(!redacted.contains("href") && !redacted.contains("<h3>"), "{redacted}");
    }
}
