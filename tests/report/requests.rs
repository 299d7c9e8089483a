//! The HTTP requests of a run, and the run over time.

use crate::markup::visible_text;
use crate::support::{RUN, Scratch, good, job, succeeded};

/// The cost of polling, as poll-jobs records it.
const POLLING: &str = r#","polling":{"sent":130,"failed":4,"failures":{"HTTP 500":3,"no answer":1},"threads":4,
    "answers":{"count":129,"medianSeconds":0.002,"p90Seconds":0.004,"p95Seconds":0.005,"p99Seconds":0.011,"maxSeconds":0.02}}"#;

/// Three jobs that were accepted, one that was refused, and one whose submission got no answer.
fn run() -> Vec<String> {
    let polling = POLLING.replace("\n    ", "");
    let run = RUN
        .replace(r#""jobs":3"#, r#""jobs":5"#)
        .replace(r#""boundSeconds":0.01}"#, &format!(r#""boundSeconds":0.01}}{polling}"#));
    let accepted = good()[1..].iter().map(|job| job.replace(r#""jobId""#, r#""httpStatus":202,"jobId""#)).collect();
    let refused = r#"{"phase":"Rejected","reason":"Refused","message":"no","httpStatus":503,"submittedAt":"2026-05-20T22:30:02Z","acceptedAt":"2026-05-20T22:30:02.4Z","endedAt":"2026-05-20T22:30:02.4Z"}"#;
    let unknown =
        r#"{"phase":"Unknown","reason":"NoAnswer","message":"no answer","submittedAt":"2026-05-20T22:30:03Z"}"#;
    [vec![run], accepted, vec![job("soak-004", refused), job("soak-005", unknown)]].concat()
}

#[test]
fn submissions_and_polls_have_their_answers_and_percentiles() {
    let scratch = Scratch::new();
    let figures = scratch.report(&run(), &[]).report().status.figures;
    let page = scratch.read("report.md");
    let (_, rest) = page.split_once("## HTTP\n\n").unwrap();
    let (table, _) = rest.split_once("\n\n").unwrap();
    assert_eq!(
        table,
        "\
| Request | Sent | Answers | Median | p90 | p95 | p99 | Max |
| --- | ---: | --- | ---: | ---: | ---: | ---: | ---: |
| submission | 5 | 202: 3, 503: 1, no answer: 1 | 100 ms | – | – | – | 400 ms |
| poll | 130 | 126 usable answers; HTTP 500: 3, no answer: 1 | 2 ms | 4 ms | 5 ms | 11 ms | 20 ms |"
    );
    let expected = [
        ("submitStatus.202", 3.0),
        ("submitStatus.503", 1.0),
        ("submitStatus.none", 1.0),
        ("submitCount", 4.0),
        ("submitMedianSeconds", 0.1),
        ("submitMaxSeconds", 0.4),
        ("pollsSent", 130.0),
        ("pollsFailed", 4.0),
        ("pollCount", 129.0),
        ("pollP99Seconds", 0.011),
    ];
    for (name, value) in expected {
        assert!((figures[name] - value).abs() < 1e-9, "{name}: {}", figures[name]);
    }
    assert!(!figures.contains_key("submitP90Seconds"), "four submissions have no 90th percentile");
}

#[test]
fn percentiles_of_end_to_end_stand_with_their_errors_wherever_there_are_enough_jobs() {
    let report = |jobs: u32| {
        let run = RUN.replace(r#""jobs":3"#, &format!(r#""jobs":{jobs}"#));
        let job = |n: u32| job(&format!("soak-{n:03}"), &succeeded(f64::from(n) / 1000.0, f64::from(n)));
        let scratch = Scratch::new();
        let lines = std::iter::once(run).chain((1..=jobs).map(job)).collect::<Vec<_>>();
        let figures = scratch.report(&lines, &[]).report().status.figures;
        (scratch.read("report.md"), figures)
    };
    let (page, figures) = report(9);
    assert!(
        page.contains("median 5.00 s (+0 s / −200 ms), max 9.00 s (+0 s / −200 ms), of 9 that succeeded"),
        "{page}"
    );
    assert!(!figures.contains_key("endToEndP90Seconds") && !page.contains("| p90 |"));
    let (page, figures) = report(11);
    assert!(page.contains("p90 10.0 s (+0 s / −200 ms), max 11.0 s"), "{page}");
    let p90 = ["endToEndP90LowSeconds", "endToEndP90Seconds", "endToEndP90HighSeconds", "endToEndP90ErrorSeconds"];
    let found = p90.map(|name| figures[name]);
    assert!(
        found.iter().zip([9.8, 10.0, 10.0, 0.2]).all(|(found, expected)| (found - expected).abs() < 1e-9),
        "{found:?}"
    );
}

#[test]
fn the_run_over_time_counts_every_end_where_it_was() {
    let scratch = Scratch::new();
    scratch.report(&run(), &[]);
    let page = scratch.read("report.html");
    let (_, section) = page.split_once("<section id=\"over-time\"").unwrap();
    let (section, _) = section.split_once("</section>").unwrap();
    let titles = |id: &str| {
        let (_, chart) = section.split_once(&format!("<svg id=\"{id}\"")).unwrap();
        let (chart, _) = chart.split_once("</svg>").unwrap();
        chart.split("<g><title>").skip(1).map(|part| part.split_once('<').unwrap().0.to_owned()).collect::<Vec<_>>()
    };
    // Of 13 seconds in 12 parts the jobs ended at 5, 6.5 and 13, all less up to a tenth, and one was refused at 1.4.
    assert_eq!(
        titles("throughput-over-time"),
        [
            "from 1.08 s: 0 succeeded, 1 did not",
            "from 4.33 s: 1 succeeded, 0 did not",
            "from 6.50 s: 1 succeeded, 0 did not",
            "from 11.9 s: 1 succeeded, 0 did not"
        ]
    );
    assert_eq!(titles("end-to-end-over-time").len(), 3);
    let submissions = titles("submissions-over-time");
    assert!(submissions.contains(&"soak-004: 400 ms".to_owned()) && submissions.len() == 4, "{submissions:?}");
    let text = visible_text(&page);
    assert!(text.contains("UTC in flight peak jobs/min end to end"), "{text}");
}
