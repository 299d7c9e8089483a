//! `report.html`: the same words as `report.md`, nothing that a browser would run or fetch, and drawings that say what is not
//! known.

mod hostile;
mod timeline;

use std::collections::BTreeSet;

use crate::support::{RUN, Scratch, good, job, succeeded, tool};

/// Every tag that the page may have; anything else came from a record.
const TAGS: [&str; 48] = [
    "html", "head", "meta", "title", "style", "body", "a", "svg", "defs", "pattern", "path", "rect", "circle", "g",
    "text", "desc", "header", "main", "nav", "section", "footer", "h1", "h2", "h3", "p", "b", "span", "strong", "div",
    "dl", "dt", "dd", "ul", "ol", "li", "table", "thead", "tbody", "tr", "th", "td", "details", "summary", "pre",
    "code", "line", "br", "!doctype",
];
const VOID: [&str; 5] = ["meta", "path", "rect", "circle", "!doctype"];

/// A start tag: its name, its attributes, and the text up to the next tag.
#[derive(Debug)]
struct Tag<'a> {
    name: &'a str,
    attributes: Vec<(&'a str, &'a str)>,
    text: &'a str,
}

impl Tag<'_> {
    fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(held, _)| *held == name).map(|(_, value)| *value)
    }
}

/// Reads the page as strictly as XML is read: every tag is closed in order, every attribute has a value in quotes.
fn read(page: &str) -> Vec<Tag<'_>> {
    let (mut tags, mut open, mut rest) = (Vec::new(), Vec::new(), page);
    while let Some(at) = rest.find('<') {
        let end = at + rest[at..].find('>').unwrap();
        let (inner, after) = (&rest[at + 1..end], &rest[end + 1..]);
        if let Some(name) = inner.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name), "closed out of order: {}", &rest[..end.min(200)]);
        } else {
            let (name, list) = inner.trim_end_matches('/').split_once(' ').unwrap_or((inner.trim_end_matches('/'), ""));
            assert!(TAGS.contains(&name), "a tag of somebody else's: {inner}");
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

/// What a reader sees: the page without its style and tags.
fn words(page: &str) -> String {
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

fn rendered(lines: &[String], flags: &[&str]) -> String {
    let scratch = Scratch::new();
    scratch.report(lines, flags);
    scratch.read("report.html")
}

/// A run of three in which one failed and one is missing.
fn failing() -> Vec<String> {
    let status = r#"{"phase":"Failed","reason":"TargetFailed","message":"boom","jobId":"x","submittedAt":"2026-05-20T22:30:02Z","acceptedAt":"2026-05-20T22:30:02.1Z","endedAt":"2026-05-20T22:30:04Z","flags":["StaleTimes"],"stages":[{"name":"l0","phase":"Failed"}]}"#;
    vec![RUN.to_owned(), good()[1].clone(), job("soak-002", status)]
}

#[test]
fn it_says_what_report_md_says() {
    for lines in [good(), failing()] {
        let scratch = Scratch::new();
        let ran = scratch.report(&lines, &["--expect", "all-done,all-stages,no-exceptions"]);
        let (page, status) = (words(&scratch.read("report.html")), ran.report().status);
        let md = scratch.read("report.md").replace('\\', "");
        let table = |heading: &str| -> Vec<String> {
            let (_, rest) = md.split_once(heading).unwrap();
            let rows = rest.lines().skip_while(|line| !line.starts_with("| ---")).skip(1);
            rows.take_while(|line| line.starts_with('|'))
                .flat_map(|row| row.split('|').map(str::trim).map(str::to_owned))
                .collect()
        };
        let mut expected =
            [table("| Figure | Value |"), table("## Criteria"), table("## Stages"), table("## Jobs\n")].concat();
        expected.extend(status.doubts);
        expected.push(status.cause);
        let line = md.lines().find(|line| line.contains(" asked = ")).unwrap();
        expected.push(line.to_owned());
        assert!(expected.len() > 40, "{expected:?}");
        for text in expected {
            // The figure's first part stands by itself there.
            let parts: Vec<&str> = if text.contains("jobs/min") || text.contains("median") || text.contains(" %)") {
                text.splitn(2, [':', ',', ';']).collect()
            } else {
                vec![&text]
            };
            for part in parts {
                let part = part.trim().replace("**", "").replace("[jobs.csv](jobs.csv)", "jobs.csv");
                assert!(page.contains(&part), "{part:?} is not in {page}");
            }
        }
    }
}

#[test]
fn two_renderings_are_equal_to_the_byte() {
    let scratch = Scratch::new();
    scratch.report(&failing(), &["--redact"]);
    let pages = ["report.html", "report.redacted.html"].map(|name| scratch.read(name));
    let out = scratch.out().display().to_string();
    tool(&["--out", &out, "--replay", "--redact"], std::io::empty());
    assert_eq!(["report.html", "report.redacted.html"].map(|name| scratch.read(name)), pages);
}

#[test]
fn it_is_built_for_everybody() {
    for lines in
        [good(), failing(), vec![RUN.to_owned()], vec![good()[1].clone()], vec![r#"{"kind":"Other"}"#.to_owned()]]
    {
        let page = rendered(&lines, &[]);
        let tags = read(&page);
        let all = |name: &str| tags.iter().filter(|tag| tag.name == name).collect::<Vec<_>>();
        let ids: Vec<&str> = tags.iter().filter_map(|tag| tag.attribute("id")).collect();
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "an id stands twice: {ids:?}");
        for place in tags.iter().filter_map(|tag| tag.attribute("href")?.strip_prefix('#')) {
            assert!(ids.contains(&place), "#{place} leads nowhere");
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
            let told = svg.attribute("role") == Some("img") && svg.attribute("aria-labelledby").is_some();
            assert!(told || svg.attribute("aria-hidden") == Some("true"), "{svg:?}");
        }
        let drawn = all("svg").iter().filter(|svg| svg.attribute("role") == Some("img")).count();
        assert_eq!(all("desc").len(), drawn, "each says what it shows");
        assert!(all("desc").iter().all(|desc| desc.text.len() > 20), "{:?}", all("desc"));
        let boxes = tags.iter().filter(|tag| tag.attribute("class") == Some("scroll"));
        assert!(
            boxes.clone().all(|tag| tag.attribute("tabindex") == Some("0") && tag.attribute("aria-label").is_some())
        );
        let policy = all("meta")
            .iter()
            .find_map(|tag| tag.attribute("content").filter(|text| text.contains("-src")))
            .unwrap()
            .to_owned();
        assert!(policy.starts_with("default-src 'none';") && !policy.contains("script-src"), "{policy}");
    }
}

#[test]
fn ten_thousand_jobs_make_a_small_file_with_the_figures_of_all() {
    let run = RUN.replace(r#""jobs":3"#, r#""jobs":10000"#);
    let big = format!(r#","body":"{}"}}"#, "<x>".repeat(3000));
    let status = |number: u32| {
        let status = match number % 97 {
            0 => r#"{"phase":"Lost","reason":"UnknownId","submittedAt":"2026-05-20T22:30:02Z"}"#.to_owned(),
            _ => succeeded(f64::from(number % 50), 5.0 + f64::from(number % 40) / 10.0),
        };
        let body = if number.is_multiple_of(97) { &big } else { r#","body":"ok"}"# };
        format!("{}{body}", status.strip_suffix('}').unwrap()).replace("id-", &format!("id-{number}-"))
    };
    let jobs = (1..=10_000).map(|number| job(&format!("soak-{number:05}"), &status(number)));
    let scratch = Scratch::new();
    let ran = scratch.report(&[vec![run], jobs.collect()].concat(), &[]);
    let page = scratch.read("report.html");
    assert!(page.len() < 1_500_000, "{} bytes", page.len());
    let page = words(&page);
    assert!(page.contains("10000 asked = 9897 succeeded + 0 failed + 0 timed out + 103 lost"));
    assert!(page.contains("60 of 10000 submitted jobs are drawn"), "the drawing says that it is a part");
    assert!(page.contains("of more than 120 samples 120 at even ranks are drawn"));
    assert!(page.contains("9950 more are in jobs.csv"));
    assert!(page.contains("the whole body is in jobs.json") && page.contains("have taken the room that there is"));
    assert!((ran.report().status.figures["endToEndCount"] - 9897.0).abs() < 1e-9);
}
