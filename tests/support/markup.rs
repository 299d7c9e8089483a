//! A strict reader of HTML pages, and the checks that every page must pass.
#![allow(clippy::unwrap_used, reason = "a page that cannot be read has failed")]
#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part of this module")]

use std::collections::BTreeSet;

/// The tags that a page may contain; any other came from a record.
const TAGS: [&str; 48] = [
    "html", "head", "meta", "title", "style", "body", "a", "svg", "defs", "pattern", "path", "rect", "circle", "g",
    "text", "desc", "header", "main", "nav", "section", "footer", "h1", "h2", "h3", "p", "b", "span", "strong", "div",
    "dl", "dt", "dd", "ul", "ol", "li", "table", "thead", "tbody", "tr", "th", "td", "details", "summary", "pre",
    "code", "line", "br", "!doctype",
];
const VOID: [&str; 5] = ["meta", "path", "rect", "circle", "!doctype"];

/// A start tag: its name, its attributes, and the text up to the next tag.
#[derive(Debug)]
pub struct Tag<'a> {
    pub name: &'a str,
    pub attributes: Vec<(&'a str, &'a str)>,
    pub text: &'a str,
}

impl Tag<'_> {
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(held, _)| *held == name).map(|(_, value)| *value)
    }
}

/// Reads the page as strictly as XML: every tag is closed in order, every attribute has a value in quotes.
pub fn read(page: &str) -> Vec<Tag<'_>> {
    let (mut tags, mut open, mut rest) = (Vec::new(), Vec::new(), page);
    while let Some(at) = rest.find('<') {
        let end = at + rest[at..].find('>').unwrap();
        let (inner, after) = (&rest[at + 1..end], &rest[end + 1..]);
        if let Some(name) = inner.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name), "closed out of order: {}", &rest[..end.min(200)]);
        } else {
            let (name, list) = inner.trim_end_matches('/').split_once(' ').unwrap_or((inner.trim_end_matches('/'), ""));
            assert!(TAGS.contains(&name), "a tag that came from a record: {inner}");
            let text = &after[..after.find('<').unwrap_or(after.len())];
            tags.push(Tag { name, attributes: attributes(list, name), text });
            if !(inner.ends_with('/') || VOID.contains(&name)) {
                open.push(name);
            }
        }
        rest = after;
    }
    assert_eq!(open, Vec::<&str>::new(), "left open");
    tags
}

fn attributes<'a>(mut list: &'a str, name: &str) -> Vec<(&'a str, &'a str)> {
    let mut found = Vec::new();
    if name == "!doctype" {
        return found;
    }
    while let Some((key, rest)) = list.trim_start().split_once("=\"") {
        let (value, rest) = rest.split_once('"').unwrap();
        assert!(key.chars().all(|c| c.is_ascii_alphabetic() || c == '-'), "{key}");
        assert!(!key.starts_with("on"), "{key} would be run");
        found.push((key, value));
        list = rest;
    }
    assert_eq!(list.trim(), "", "an attribute without quotes in {name}");
    found
}

/// Returns the visible text: the page without its style and tags.
pub fn visible_text(page: &str) -> String {
    let (head, rest) = page.split_once("<style>").unwrap();
    let (_, body) = rest.split_once("</style>").unwrap();
    let mut words = String::new();
    for part in format!("{head}{body}").split('<') {
        words.push_str(part.split_once('>').map_or(part, |(_, text)| text));
    }
    let words = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("\u{a0}", " "), ("&amp;", "&")]
        .iter()
        .fold(words, |words, (from, to)| words.replace(from, to));
    words.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Returns the targets of the page's links, in order.
pub fn links(page: &str) -> Vec<&str> {
    read(page)
        .into_iter()
        .flat_map(|tag| tag.attributes)
        .filter(|(name, _)| *name == "href")
        .map(|(_, to)| to)
        .collect()
}

/// Checks that a page stays readable without its style sheet: every shape and text of a drawing has colours as attributes, and no
/// element is hidden or styled by anything else.
fn assert_readable_without_style(tags: &[Tag<'_>]) {
    let mut shapes = 0;
    for tag in tags {
        assert!(tag.attribute("style").is_none() && tag.attribute("hidden").is_none(), "{tag:?}");
        if ["path", "rect", "circle", "text"].contains(&tag.name) {
            let colour = tag.attribute("fill").unwrap_or_else(|| panic!("black without a style sheet: {tag:?}"));
            assert!(colour.starts_with('#') || colour.starts_with("url(#") || colour == "none", "{tag:?}");
            assert!(colour != "none" || tag.attribute("stroke").is_some(), "invisible without a style sheet: {tag:?}");
            shapes += 1;
        }
    }
    assert!(shapes > 20, "the patterns alone have more");
    let body = tags.iter().find(|tag| tag.name == "body").unwrap();
    assert!(body.attribute("bgcolor").is_some() && body.attribute("text").is_some(), "{body:?}");
}

/// Checks what assistive technology needs, and that the browser runs and loads nothing.
pub fn assert_accessible(page: &str) {
    let tags = read(page);
    assert_readable_without_style(&tags);
    let all = |name: &str| tags.iter().filter(|tag| tag.name == name).collect::<Vec<_>>();
    let ids: Vec<&str> = tags.iter().filter_map(|tag| tag.attribute("id")).collect();
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "a repeated id: {ids:?}");
    for place in tags.iter().filter_map(|tag| tag.attribute("href")?.strip_prefix('#')) {
        assert!(ids.contains(&place), "#{place} is no id of the page");
    }
    for named in tags.iter().flat_map(|tag| tag.attribute("aria-labelledby").unwrap_or_default().split(' ')) {
        assert!(named.is_empty() || ids.contains(&named), "{named} names nothing");
    }
    let mut level = 0;
    for heading in tags.iter().filter(|tag| ["h1", "h2", "h3"].contains(&tag.name)) {
        let this = heading.name[1..].parse::<u32>().unwrap();
        assert!(this <= level + 1 && !heading.text.is_empty(), "{heading:?} after h{level}");
        level = this;
    }
    assert_eq!((all("h1").len(), all("main").len(), all("header").len()), (1, 1, 1));
    assert!(all("th").iter().all(|th| th.attribute("scope").is_some()));
    assert!(all("html")[0].attribute("lang") == Some("en"));
    for svg in all("svg") {
        let labelled = svg.attribute("role") == Some("img") && svg.attribute("aria-labelledby").is_some();
        assert!(labelled || svg.attribute("aria-hidden") == Some("true"), "{svg:?}");
    }
    let drawn = all("svg").iter().filter(|svg| svg.attribute("role") == Some("img")).count();
    assert_eq!(all("desc").len(), drawn, "each says what it shows");
    assert!(all("desc").iter().all(|desc| desc.text.len() > 20), "{:?}", all("desc"));
    let boxes = tags.iter().filter(|tag| tag.attribute("class") == Some("scroll"));
    assert!(boxes.clone().all(|tag| tag.attribute("tabindex") == Some("0") && tag.attribute("aria-label").is_some()));
    let policy = all("meta")
        .iter()
        .find_map(|tag| tag.attribute("content").filter(|text| text.contains("-src")))
        .unwrap()
        .to_owned();
    assert!(policy.starts_with("default-src 'none';") && !policy.contains("script-src"), "{policy}");
}
