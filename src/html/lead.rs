//! What stands first on a page: the band with what came out, figures that are shown large, panels side by side.

use std::fmt::Write;

use super::block;
use crate::escape;

/// How many doubts are shown before the rest is folded away.
const DOUBTS: usize = 6;

/// How many bytes a bracket may have that is kept in one piece.
const BRACKET: usize = 24;

/// A figure that is shown large; all plain text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Card {
    /// What it is.
    pub label: String,
    /// Its class: `good-ink`, `bad-ink`, or nothing.
    pub class: &'static str,
    /// The figure.
    pub lead: String,
    /// What there is to say of it besides.
    pub rest: String,
    /// Nothing of it is shown large: it is a sentence, over the whole width.
    pub wide: bool,
}

/// The band with the page's first heading: a colour, a mark and a word say the same. `of` says of what; all plain text.
pub fn band(class: &str, mark: &str, word: &str, of: &str) -> String {
    format!(
        "<div class=\"verdict {class}\"><span class=\"mark\" aria-hidden=\"true\">{}</span> <h1>{}<span class=\"subject\"> {}</span></h1></div>\n",
        escape::html(mark),
        escape::html(word),
        escape::html(of)
    )
}

/// The cards in the order given.
pub fn cards(cards: &[Card]) -> String {
    let mut text = String::from("<dl class=\"cards\">\n");
    for Card { label, class, lead, rest, wide } in cards {
        let [label, lead, rest] = [label.clone(), tied(lead), tied(rest)].map(|text| escape::html(&text));
        let class = format!("headline {class}");
        let class = class.trim_end();
        let _ = if *wide {
            writeln!(text, "<div class=\"wide\"><dt>{label}</dt> <dd>{rest}</dd></div>")
        } else {
            writeln!(
                text,
                "<div><dt>{label}</dt> <dd><span class=\"{class}\">{lead}</span> <span class=\"detail\">{rest}</span></dd></div>"
            )
        };
    }
    text + "</dl>\n"
}

/// The box with what is missing or doubtful, a plain sentence each; nothing where there is none.
pub fn doubts(doubts: &[String]) -> String {
    if doubts.is_empty() {
        return String::new();
    }
    let list = |doubts: &[String]| -> String {
        let items = doubts.iter().map(|doubt| format!("<li>{}</li>\n", escape::html(doubt)));
        format!("<ul>\n{}</ul>\n", items.collect::<String>())
    };
    let (first, rest) = doubts.split_at(doubts.len().min(DOUBTS));
    let more =
        if rest.is_empty() { String::new() } else { block::details(&format!("{} more", rest.len()), &list(rest)) };
    format!("<div class=\"doubts\"><h2>Missing or doubtful</h2>\n{}{more}</div>\n", list(first))
}

/// Pieces of markup side by side where there is room, each with its heading in plain text.
pub fn panels(panels: impl IntoIterator<Item = (String, String)>) -> String {
    let mut text = String::from("<div class=\"panels\">\n");
    for (heading, body) in panels {
        let _ = writeln!(text, "<div><h3>{}</h3>\n{body}</div>", escape::html(&heading));
    }
    text + "</div>\n"
}

/// Numbers stay with their units, and short brackets in one piece, where lines are short.
pub fn tied(text: &str) -> String {
    let mut tied = String::with_capacity(text.len());
    let mut within = 0;
    for (at, character) in text.char_indices() {
        let number = tied.ends_with(|c: char| c.is_ascii_digit());
        if character == '(' {
            within = text[at..].find(')').filter(|length| *length <= BRACKET).map_or(0, |length| at + length);
        }
        tied.push(if character == ' ' && (number || at < within) { '\u{a0}' } else { character });
    }
    tied
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_it_is_given_is_text() {
        let card = Card { label: "<a>".into(), class: "bad-ink", lead: "<b>".into(), rest: "<c>".into(), wide: false };
        let wide = Card { wide: true, ..card.clone() };
        let all = [
            band("bad", "✕", "<d>", "<e>"),
            cards(&[card]),
            cards(&[wide]),
            doubts(&["<f>".to_owned()]),
            panels([("<g>".to_owned(), String::new())]),
        ]
        .concat();
        for raw in ["<a>", "<b>", "<c>", "<d>", "<e>", "<f>", "<g>"] {
            assert!(!all.contains(raw) && all.contains(&escape::html(raw)), "{raw}: {all}");
        }
    }

    #[test]
    fn many_doubts_are_folded_and_none_is_no_box() {
        let many: Vec<String> = (0..8).map(|index| format!("d{index}")).collect();
        assert!(doubts(&many).contains("<li>d5</li>\n</ul>\n<details><summary>2 more</summary>"), "{}", doubts(&many));
        assert_eq!(doubts(&[]), "");
    }

    #[test]
    fn numbers_keep_their_units_and_short_brackets_their_words() {
        assert_eq!(tied("1 h and (± 4 ms) of it"), "1\u{a0}h and (±\u{a0}4\u{a0}ms) of it");
        let long = "rejected (a sentence that is longer than a line is wide) at last (";
        assert_eq!(tied(long), long);
    }
}
