//! The shell of a page: head, style, landmarks, contents.

use std::fmt::Write;

use crate::escape;

/// The one style sheet.
const STYLE: &str = include_str!("style.css");
/// How many colours the style sheet has for stages and the like.
pub const HUES: usize = 8;
/// How many looks it has for them: each colour plain, and then each with stripes.
pub const LOOKS: usize = 2 * HUES;

/// What a browser may do with the page: show it, and nothing else.
const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'";

/// One section of a page; a line of the contents points at it.
#[derive(Clone, Debug, Default)]
pub struct Section {
    /// Its id: letters and dashes.
    pub id: &'static str,
    /// Its heading.
    pub title: &'static str,
    /// What stands in it, as markup.
    pub body: String,
}

/// A page.
#[derive(Clone, Debug, Default)]
pub struct Document {
    /// What the window is called.
    pub title: String,
    /// The line above everything: which run this is, as markup.
    pub banner: String,
    /// What is to be seen without scrolling, as markup; it holds the first-level heading.
    pub first: String,
    /// What follows.
    pub sections: Vec<Section>,
    /// The last line, as markup.
    pub footer: String,
}

impl Document {
    /// The whole file.
    pub fn text(&self) -> String {
        let Self { title, banner, first, sections, footer } = self;
        let mut page = format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n<meta name=\"referrer\" content=\"no-referrer\">\n\
             <title>{}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
             <a class=\"skip\" href=\"#main\">Skip to the report</a>\n{}\
             <header class=\"banner\">{banner}</header>\n<main id=\"main\">\n{first}\n",
            escape::html(title),
            patterns(),
        );
        if !sections.is_empty() {
            page.push_str("<nav class=\"contents\" aria-label=\"Contents\"><ol>");
            for Section { id, title, .. } in sections {
                let _ = write!(page, "<li><a href=\"#{id}\">{}</a></li>", escape::html(title));
            }
            page.push_str("</ol></nav>\n");
        }
        for Section { id, title, body } in sections {
            let title = escape::html(title);
            let _ = write!(
                page,
                "<section id=\"{id}\" aria-labelledby=\"{id}-h\">\n<h2 id=\"{id}-h\">{title}</h2>\n{body}</section>\n"
            );
        }
        let _ = write!(page, "</main>\n<footer>{footer}</footer>\n</body>\n</html>\n");
        escape::visible(&page)
    }
}

/// Hatchings and stripes that all drawings of a page share.
fn patterns() -> String {
    let pattern = |id: &str, turned: i32, body: &str| {
        format!(
            "<pattern id=\"{id}\" width=\"4\" height=\"4\" patternUnits=\"userSpaceOnUse\" patternTransform=\"rotate({turned})\">\
             {body}</pattern>"
        )
    };
    let stroke = |class: &str| format!("<path class=\"stroke {class}\" d=\"M0 0V4\"/>");
    // Across a bar, so that one of two pixels shows them too.
    let stripe = |class: &str| format!("<rect class=\"{class}\" width=\"4\" height=\"2.5\"/>");
    let mut all = String::new();
    for hue in 0..HUES {
        let class = format!("hue-{hue}");
        all += &pattern(&format!("hatch-{hue}"), 45, &stroke(&class));
        all += &pattern(&format!("hatch-{}", hue + HUES), -45, &stroke(&class));
        all += &pattern(&format!("stripes-{hue}"), 0, &stripe(&class));
    }
    all += &pattern("hatch-bad", 45, &stroke("on-bad"));
    all += &pattern("hatch-plain", 45, &stroke("plain"));
    all += &pattern("bars-0", 90, &stripe("tenant-0"));
    all += &pattern("bars-1", 90, &stripe("tenant-3"));
    format!(
        "<svg class=\"patterns\" width=\"0\" height=\"0\" aria-hidden=\"true\" focusable=\"false\"><defs>{all}</defs></svg>\n"
    )
}
