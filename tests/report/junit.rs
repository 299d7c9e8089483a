//! `junit.xml`, read by a real XML parser.

use roxmltree::{Document, Node};

use crate::support::{RUN, Scratch, good, job, tool};

fn all<'a>(document: &'a Document<'a>, tag: &'a str) -> Vec<Node<'a, 'a>> {
    document.descendants().filter(|node| node.has_tag_name(tag)).collect()
}

#[test]
fn every_criterion_is_a_test_case_and_what_is_not_known_is_an_error() {
    let scratch = Scratch::new();
    let ran = scratch.report(&good(), &["--expect", "all-done,e2e.p50<1s,e2e.p95<1h"]);
    assert_eq!(ran.code, 3);
    assert!(ran.report().status.files.contains(&"junit.xml".to_owned()));
    let text = scratch.read("junit.xml");
    let document = Document::parse(&text).unwrap();
    let root = document.root_element();
    assert_eq!((root.tag_name().name(), root.attribute("name")), ("testsuites", Some("stress-suite")));
    let suites = all(&document, "testsuite");
    let told =
        ["name", "tests", "failures", "errors", "skipped", "time"].map(|name| suites[0].attribute(name).unwrap());
    assert_eq!((suites.len(), told), (1, ["soak", "3", "1", "1", "0", "13.000"]));
    let started = suites[0].attribute("timestamp").unwrap();
    assert!(started.starts_with("2026-05-20T22:30:00"), "the run's own time, not the clock's: {started}");
    let properties: Vec<_> =
        all(&document, "property").iter().map(|it| (it.attribute("name"), it.attribute("value"))).collect();
    assert_eq!(properties, [(Some("run"), Some("r1")), (Some("label.scenario"), Some("soak"))]);
    let cases = all(&document, "testcase");
    let names: Vec<_> = cases.iter().map(|case| (case.attribute("classname"), case.attribute("name"))).collect();
    assert_eq!(names, ["all-done", "e2e.p50<1s", "e2e.p95<1h"].map(|name| (Some("soak"), Some(name))));
    let children: Vec<Vec<_>> = cases
        .iter()
        .map(|case| {
            let elements = case.children().filter(Node::is_element);
            elements.map(|it| (it.tag_name().name(), it.attribute("type"), it.attribute("message"))).collect()
        })
        .collect();
    let failure = ("failure", Some("Failed"), Some("6.00 s (+0 s / −200 ms) of 3 jobs"));
    let error = ("error", Some("Incomplete"), Some("p95 needs 20 jobs, and 3 have one"));
    assert_eq!(children, [vec![], vec![failure], vec![error]]);
    let said = all(&document, "failure")[0].text().unwrap();
    assert!(said.contains("expected: median time from end to end: less than 1s\nseen: 6.00 s"), "{said}");
}

#[test]
fn it_is_made_again_to_the_byte() {
    let scratch = Scratch::new();
    scratch.report(&good(), &["--expect", "all-done,e2e.p95<1h"]);
    let first = scratch.read("junit.xml");
    std::fs::remove_file(scratch.out().join("junit.xml")).unwrap();
    tool(&["--out", &scratch.out().display().to_string(), "--replay"], std::io::empty());
    assert_eq!(scratch.read("junit.xml"), first);
}

#[test]
fn hostile_text_stays_text() {
    let scratch = Scratch::new();
    let hostile = r#"]]><x a='1'>&amp;\"\u0000\u001b[31m\ufffe\uffff\u202e\n--></failure>"#;
    let labelled = RUN.replace(r#""scenario":"soak"}"#, &format!(r#""scenario":"{hostile}","{hostile}":"b"}}"#));
    let message = format!(r#"{{"phase":"Failed","message":"{hostile}"}}"#);
    let lines = [labelled, job("soak-001", &message), good()[2].clone(), good()[3].clone()];
    let ran = scratch.report(&lines, &["--expect", "all-done,success>99%"]);
    assert_eq!(ran.code, 3);
    let text = scratch.read("junit.xml");
    let document = Document::parse(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    assert!(all(&document, "x").is_empty(), "{text}");
    let values: Vec<_> = all(&document, "property").iter().filter_map(|it| it.attribute("value")).collect();
    assert_eq!(values[2], "]]><x a='1'>&amp;\"\\u{0}\\u{1b}[31m\u{fffd}\u{fffd}\\u{202e} --></failure>");
    assert_eq!(all(&document, "failure").len(), 2);
}
