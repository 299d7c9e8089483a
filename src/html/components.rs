//! Parts of a page: tables, boxes that scroll, folded text, the verdict band, figure cards, panels side by side.
//!
//! All of them take plain text or [`Markup`]. maud escapes plain text, so nothing else can put a tag into a page.

use maud::{Markup, html};

use super::scroll::scroll;
use super::svg::Svg;
use crate::escape::url_path;

/// The number of doubts that are shown; the others are folded away.
const DOUBTS: usize = 6;

/// The longest bracket, in bytes, that is kept on one line.
const BRACKET: usize = 24;

/// A figure that is shown large.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Card {
    /// The name of the figure.
    pub label: String,
    /// The class of the headline without its `-ink`: `good`, `bad`, `open`, or nothing.
    pub class: &'static str,
    /// The figure.
    pub headline: String,
    /// The sentence below it.
    pub detail: String,
    /// A card without a headline, over the whole width.
    pub wide: bool,
}

impl Card {
    /// A card with a headline in no colour.
    pub fn new(label: &str, headline: String, detail: Option<String>) -> Self {
        Self { label: label.to_owned(), headline, detail: detail.unwrap_or_default(), ..Self::default() }
    }
}

/// A column of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// The name at its head.
    pub name: String,
    /// It holds numbers, which are aligned to the right.
    pub numeric: bool,
    /// It is left out where no row has a value for it.
    pub optional: bool,
}

impl Column {
    /// A column of numbers.
    pub fn number(name: impl Into<String>) -> Self {
        Self { name: name.into(), numeric: true, optional: false }
    }

    /// A column of text.
    pub fn text(name: impl Into<String>) -> Self {
        Self { name: name.into(), numeric: false, optional: false }
    }
}

/// A name of ours: one that ends in `>` is that of a column of numbers, and one that then ends in `?` that of an optional column.
impl From<&'static str> for Column {
    fn from(name: &'static str) -> Self {
        let (name, optional) = name.strip_suffix('?').map_or((name, false), |name| (name, true));
        Self { optional, ..name.strip_suffix('>').map_or_else(|| Self::text(name), Self::number) }
    }
}

/// A table with a heading for each column and each row. `label` names it for assistive technology.
pub fn table(label: &str, head: &[Column], rows: impl IntoIterator<Item = Vec<Markup>>) -> Markup {
    let numeric = |index: usize| head.get(index).is_some_and(|column| column.numeric);
    let class = |index: usize| numeric(index).then_some("n");
    // Without a style sheet the attribute aligns.
    let align = |index: usize| numeric(index).then_some("right");
    let table = html! {
        table cellpadding="4" {
            thead { tr {
                @for (index, Column { name, .. }) in head.iter().enumerate() {
                    th scope="col" class=[class(index)] align=[align(index).or(Some("left"))] { (name) }
                }
            } }
            tbody {
                @for row in rows {
                    tr {
                        @for (index, cell) in row.iter().enumerate() {
                            @if index == 0 {
                                th scope="row" class=[class(index)] align=[align(index).or(Some("left"))] { (cell) }
                            } @else {
                                td class=[class(index)] align=[align(index)] { (cell) }
                            }
                        }
                    }
                }
            }
        }
    };
    scroll(label, &table)
}

/// Folded text.
pub fn details(summary: &Markup, body: &Markup) -> Markup {
    html! { details { summary { (summary) } "\n" (body) } "\n" }
}

/// The meaning of each colour or pattern of a drawing: the class of the sample and its label.
pub fn legend(entries: &[(String, String)]) -> Markup {
    html! {
        ul class="legend" {
            @for (class, label) in entries {
                li { (Svg::sample(class)) " " (label) }
            }
        }
        "\n"
    }
}

/// A link to a file beside the page.
pub fn link(text: &str, path: &str) -> Markup {
    html! { a href=(url_path(path, true)) { (text) } }
}

/// A remark below or above a drawing.
pub fn note(text: &str) -> Markup {
    html! { p class="note" { (text) } "\n" }
}

/// The band with the page's first heading. Its colour, its mark and its word say the same; `subject` names the run.
pub fn verdict_band(class: &str, mark: &str, word: &str, subject: &str) -> Markup {
    html! {
        div class={ "verdict " (class) } {
            span class="mark" aria-hidden="true" { (mark) } " "
            h1 { (word) span class="subject" { " " (subject) } }
        }
        "\n"
    }
}

/// The cards in the given order.
pub fn cards(cards: &[Card]) -> Markup {
    html! {
        dl class="cards" {
            @for Card { label, class, headline, detail, wide } in cards {
                @if *wide {
                    div class="wide" { dt { (label) } " " dd { (keep_together(detail)) } }
                } @else {
                    div {
                        dt { (label) } " "
                        dd {
                            span class={ "headline" @if !class.is_empty() { " " (class) "-ink" } } { (keep_together(headline)) }
                            " " span class="detail" { (keep_together(detail)) }
                        }
                    }
                }
                "\n"
            }
        }
        "\n"
    }
}

/// The box with everything that is missing or doubtful; nothing if there is none.
pub fn doubts(doubts: &[String]) -> Markup {
    let list = |doubts: &[String]| {
        html! { ul { @for doubt in doubts { li { (doubt) } "\n" } } "\n" }
    };
    let (shown, folded) = doubts.split_at(doubts.len().min(DOUBTS));
    html! {
        @if !doubts.is_empty() {
            div class="doubts" {
                h2 { "Missing or doubtful" } "\n"
                (list(shown))
                @if !folded.is_empty() {
                    (details(&html! { (folded.len()) " more" }, &list(folded)))
                }
            }
            "\n"
        }
    }
}

/// Parts side by side where there is room, each with its heading.
pub fn panels(panels: impl IntoIterator<Item = (String, Markup)>) -> Markup {
    html! {
        div class="panels" {
            @for (heading, body) in panels {
                div { h3 { (heading) } "\n" (body) } "\n"
            }
        }
        "\n"
    }
}

/// Replaces spaces so that numbers keep their units, and short brackets stay on one line.
pub fn keep_together(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut bracket_end = 0;
    for (at, character) in text.char_indices() {
        let after_digit = kept.ends_with(|c: char| c.is_ascii_digit());
        if character == '(' {
            bracket_end = text[at..].find(')').filter(|length| *length <= BRACKET).map_or(0, |length| at + length);
        }
        kept.push(if character == ' ' && (after_digit || at < bracket_end) { '\u{a0}' } else { character });
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_their_units_and_short_brackets_stay_in_one_piece() {
        let long = "(longer than a line of a narrow card may be)";
        assert_eq!(
            keep_together(&format!("in 7 s (± 10 ms) {long}")),
            format!("in 7\u{a0}s (±\u{a0}10\u{a0}ms) {long}")
        );
        assert_eq!(keep_together("(open"), "(open");
    }

    #[test]
    fn tables_have_headings_and_escape_them() {
        let table =
            table("<x>", &[Column::from("A>"), Column::text("<b>")], [vec![html! { "1" }, html! { b { "2" } }]])
                .into_string();
        assert!(table.contains("aria-label=\"&lt;x&gt;\""));
        assert!(table.contains("<th scope=\"col\" class=\"n\" align=\"right\">A</th>"), "{table}");
        assert!(table.contains("<th scope=\"col\" align=\"left\">&lt;b&gt;</th>"), "{table}");
        assert!(table.contains("<th scope=\"row\" class=\"n\" align=\"right\">1</th><td><b>2</b></td>"), "{table}");
    }

    #[test]
    fn doubts_beyond_the_first_are_folded_away() {
        let sentences: Vec<String> = (0..8).map(|number| format!("doubt {number}")).collect();
        let found = doubts(&sentences).into_string();
        let (shown, folded) = found.split_once("<details><summary>2 more</summary>").unwrap();
        assert!(shown.contains("doubt 5") && !shown.contains("doubt 6") && folded.contains("doubt 7"));
        assert_eq!(doubts(&[]).into_string(), "");
    }
}
