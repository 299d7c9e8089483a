//! What stands in a page: tables, boxes that scroll, folded text, links.

use std::fmt::Write;

use crate::escape;

/// A table whose cells are markup. A head that ends in `>` is that of a column of numbers, which stand to the right. The first
/// cell of each row is its heading. `label` says what the table is, as plain text.
pub fn table(label: &str, head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let numbers: Vec<&str> = head.iter().map(|name| if name.ends_with('>') { " class=\"n\"" } else { "" }).collect();
    let class = |index: usize| numbers.get(index).copied().unwrap_or_default();
    let mut text = String::from("<table><thead><tr>");
    for (index, name) in head.iter().enumerate() {
        let _ = write!(text, "<th scope=\"col\"{}>{}</th>", class(index), escape::html(name.trim_end_matches('>')));
    }
    text.push_str("</tr></thead>\n<tbody>\n");
    for row in rows {
        text.push_str("<tr>");
        for (index, cell) in row.iter().enumerate() {
            let _ = if index == 0 {
                write!(text, "<th scope=\"row\"{}>{cell}</th>", class(index))
            } else {
                write!(text, "<td{}>{cell}</td>", class(index))
            };
        }
        text.push_str("</tr>\n");
    }
    text.push_str("</tbody></table>");
    scroll(label, &text)
}

/// A box that scrolls sideways by itself, so that the page does not; reachable by keyboard. `label` is plain text.
pub fn scroll(label: &str, body: &str) -> String {
    format!("<div class=\"scroll\" role=\"group\" tabindex=\"0\" aria-label=\"{}\">{body}</div>\n", escape::html(label))
}

/// Folded text: `summary` and `body` are markup.
pub fn details(summary: &str, body: &str) -> String {
    format!("<details><summary>{summary}</summary>\n{body}</details>\n")
}

/// What a colour or a pattern in a drawing stands for: the class of the sample and plain text.
pub fn legend(entries: &[(String, String)]) -> String {
    let mut text = String::from("<ul class=\"legend\">");
    for (class, label) in entries {
        let _ = write!(
            text,
            "<li><svg width=\"14\" height=\"12\" aria-hidden=\"true\" focusable=\"false\"><rect class=\"{class}\" x=\"1\" y=\"1\" \
             width=\"12\" height=\"10\"/></svg> {}</li>",
            escape::html(label)
        );
    }
    text.push_str("</ul>\n");
    text
}

/// A link to a file beside the page; both are plain text.
pub fn link(text: &str, path: &str) -> String {
    format!("<a href=\"{}\">{}</a>", escape::url_path(path, true), escape::html(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_have_headings_both_ways_and_numbers_to_the_right() {
        assert_eq!(
            table("a \"b\"", &["Job", "Mean>"], [vec!["x".to_owned(), "1 s".to_owned()]]),
            "<div class=\"scroll\" role=\"group\" tabindex=\"0\" aria-label=\"a &quot;b&quot;\"><table><thead><tr>\
             <th scope=\"col\">Job</th><th scope=\"col\" class=\"n\">Mean</th></tr></thead>\n<tbody>\n\
             <tr><th scope=\"row\">x</th><td class=\"n\">1 s</td></tr>\n</tbody></table></div>\n"
        );
    }

    #[test]
    fn a_link_cannot_leave_its_attribute_or_name_a_scheme() {
        assert_eq!(link("<a>", "javascript:x\" y"), "<a href=\"javascript%3Ax%22%20y\">&lt;a&gt;</a>");
    }
}
