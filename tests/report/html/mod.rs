//! `report.html`: the same words as `report.md`, nothing that a browser would run or fetch, and drawings that say what is not
//! known.

mod drawn;
mod hostile;
mod index;
mod sent;
mod timeline;

use crate::markup::{assert_accessible, read, visible_text};
use crate::support::{RUN, Scratch, good, job, succeeded, tool};

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
        let (page, status) = (visible_text(&scratch.read("report.html")), ran.report().status);
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
        assert_accessible(&page);
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
    let page = visible_text(&page);
    assert!(page.contains("10000 asked = 9897 succeeded + 0 failed + 0 timed out + 103 lost"));
    assert!(page.contains("120 of 10000 submitted jobs have a row"), "the drawing says that it is a part");
    assert!(page.contains("of more than 120 samples, 120 are drawn, evenly spaced by rank"));
    assert!(page.contains("9500 more are in jobs.csv"));
    assert!(page.contains("the whole body is in jobs.json") && page.contains("have used up the space on this page"));
    assert!((ran.report().status.figures["endToEndCount"] - 9897.0).abs() < 1e-9);
}
