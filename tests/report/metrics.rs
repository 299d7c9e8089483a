//! Queries by role whatever they are called, and queries without a role: listed, drawn and judged.

use stress_suite::record::Verdict;

use crate::observed::{doubts, points, table, whole};
use crate::support::{Scratch, good};

/// The record `line` of a query, with these keys in its spec.
fn with_spec(line: &str, keys: &str) -> String {
    line.replacen(r#""by""#, &format!("{keys},\"by\""), 1)
}

/// The power of two GPUs, sampled over the window of `good`, which begins at 1 s and ends at 14 s.
fn power(scratch: &Scratch) -> String {
    let gpu = |number: &str, samples: &[(f64, f64)]| {
        points(&format!(r#""__name__":"DCGM_FI_DEV_POWER_USAGE","gpu":"{number}""#), samples)
    };
    let all = [
        gpu("0", &[(-5.0, 900.0), (2.0, 80.0), (6.0, 290.0), (12.0, 200.0), (20.0, 900.0)]),
        gpu("1", &[(2.0, 70.0), (6.0, 75.5), (12.0, 72.0)]),
    ];
    with_spec(&whole(scratch, "gpu_power", r#""gpu""#, &all.join(",")), r#""unit":"W","draw":true"#)
}

/// Busy seconds of two processors of one machine.
fn cpu(scratch: &Scratch) -> String {
    let one = |cpu: &str, samples: &[(f64, f64)]| {
        points(&format!(r#""__name__":"node_cpu_seconds_total","instance":"a","cpu":"{cpu}""#), samples)
    };
    let all = [
        one("0", &[(0.0, 10.0), (5.0, 15.0), (10.0, 15.0), (15.0, 16.0)]),
        one("1", &[(0.0, 0.0), (5.0, 1.0), (10.0, 3.0), (15.0, 3.0)]),
    ];
    with_spec(&whole(scratch, "node_cpu", r#""instance""#, &all.join(",")), r#""unit":"cores","draw":true"#)
}

fn verdict(scratch: &Scratch, captures: &[String], expect: &str) -> (Verdict, String) {
    let ran = scratch.report(&[good(), captures.to_vec()].concat(), &["--expect", expect]);
    let criterion = ran.report().status.criteria.into_iter().next().unwrap();
    (criterion.verdict, criterion.actual)
}

#[test]
fn a_query_without_a_role_is_listed_and_drawn_in_its_unit() {
    let scratch = Scratch::new();
    let ran = scratch.report(&[good(), vec![power(&scratch), cpu(&scratch)]].concat(), &[]);
    assert_eq!(doubts(&ran), Vec::<String>::new());
    let page = scratch.read("report.md");
    assert_eq!(
        table(&page, "Other metrics"),
        "| Query | Labels | Shown | Min | Mean | Max |\n| --- | --- | --- | ---: | ---: | ---: |\n\
         | gpu\\_power | 0 | value | 80 W | 190 W | 290 W |\n\
         | gpu\\_power | 1 | value | 70 W | 72.5 W | 75.5 W |\n\
         | node\\_cpu | a | growth per second | 0.200 cores | 0.300 cores | 0.400 cores |",
    );
    let html = scratch.read("report.html");
    for drawn in ["gpu_power, W", "max 290 W", "node_cpu, cores", "Counters show their growth per second"] {
        assert!(html.contains(drawn), "{drawn}");
    }
    let figures = ran.report().status.figures;
    assert_eq!((figures["query.gpu_power.max"], figures["query.gpu_power.min"]), (290.0, 70.0));
}

#[test]
fn a_threshold_on_a_query_must_hold_for_each_of_its_lines() {
    for (expect, expected, said) in [
        ("query.gpu_power.max<300", Verdict::Passed, "290 W (0), evaluated 3 times"),
        ("query.gpu_power.max<300W", Verdict::Passed, "290 W (0)"),
        ("query.gpu_power.max<=100", Verdict::Failed, "290 W (0)"),
        ("query.gpu_power.max>75", Verdict::Passed, "75.5 W (1)"),
        // Between two samples it may have been more.
        ("query.gpu_power.max>80", Verdict::Incomplete, "75.5 W (1)"),
        ("query.gpu_power.min>=70", Verdict::Passed, "70 W (1)"),
        ("query.gpu_power.mean>100", Verdict::Failed, "72.5 W (1)"),
        ("query.gpu_power.max<3kW", Verdict::Incomplete, "`3kW` is not in the query's unit, which is W"),
        ("query.gpu_power.increase<3", Verdict::Incomplete, "gpu_power is a gauge"),
        ("query.node_cpu.mean<0.35", Verdict::Passed, "0.300 cores (a)"),
        ("query.node_cpu.increase<10", Verdict::Passed, "lies between 0 and 9"),
        ("query.gpu_temperature.max<90", Verdict::Incomplete, "no query gpu_temperature was captured"),
    ] {
        let scratch = Scratch::new();
        let (verdict, actual) = verdict(&scratch, &[power(&scratch), cpu(&scratch)], expect);
        assert_eq!(verdict, expected, "{expect}: {actual}");
        assert!(actual.contains(said), "{expect}: {actual}");
    }
}

/// A counter `hits_total` with these labels and points.
fn hits(scratch: &Scratch, by: &str, all: &[(&str, &[(f64, f64)])]) -> String {
    let one =
        |(labels, samples): &(&str, &[(f64, f64)])| points(&format!(r#""__name__":"hits_total",{labels}"#), samples);
    let all: Vec<String> = all.iter().map(one).collect();
    whole(scratch, "hits", by, &all.join(","))
}

#[test]
fn a_counter_that_cannot_be_counted_on_decides_nothing() {
    let turns: &[(f64, f64)] =
        &[(0.0, 100.0), (3.0, 5000.0), (6.0, 101.0), (9.0, 5003.0), (12.0, 103.0), (15.0, 5005.0)];
    let fell: &[(f64, f64)] = &[(0.0, 40.0), (5.0, 40.0), (10.0, 20.0), (15.0, 20.0)];
    for (samples, doubt) in
        [(turns, "several processes answer in turn behind w:1"), (fell, "counters of w:1 fell in the window")]
    {
        for expect in ["query.hits.increase>10", "query.hits.increase<10", "query.hits.max<1000000"] {
            let scratch = Scratch::new();
            let record = hits(&scratch, "", &[(r#""instance":"w:1""#, samples)]);
            let ran = scratch.report(&[good(), vec![record]].concat(), &["--expect", expect]);
            let criterion = ran.report().status.criteria.into_iter().next().unwrap();
            assert_eq!(criterion.verdict, Verdict::Incomplete, "{expect}: {}", criterion.actual);
            assert!(doubts(&ran).iter().any(|said| said.contains(doubt)), "{:?}", doubts(&ran));
            assert!(!ran.report().status.figures.contains_key("query.hits.max"));
        }
    }
}

#[test]
fn counters_that_count_alike_may_be_one_counter_seen_twice() {
    let rising: &[(f64, f64)] = &[(0.0, 10.0), (5.0, 40.0), (10.0, 70.0), (15.0, 100.0)];
    let pair: [(&str, &[(f64, f64)]); 2] =
        [(r#""instance":"w:1","replica":"a""#, rising), (r#""instance":"w:1","replica":"b""#, rising)];
    for (by, expect, expected) in [
        ("", "query.hits.increase>115", Verdict::Incomplete),
        ("", "query.hits.increase<115", Verdict::Incomplete),
        ("", "query.hits.increase<400", Verdict::Passed),
        (r#""instance""#, "query.hits.increase<115", Verdict::Passed),
        (r#""instance""#, "query.hits.increase>115", Verdict::Failed),
    ] {
        let scratch = Scratch::new();
        let record = hits(&scratch, by, &pair);
        let (verdict, actual) = verdict(&scratch, &[record], expect);
        assert_eq!(verdict, expected, "{by} {expect}: {actual}");
    }
}

#[test]
fn an_infinite_sample_is_a_value() {
    for (expect, expected) in [
        ("query.load.max<6", Verdict::Failed),
        ("query.load.mean<6", Verdict::Failed),
        ("query.load.min<6", Verdict::Passed),
    ] {
        let scratch = Scratch::new();
        let samples = points(r#""__name__":"load""#, &[(2.0, 5.0), (5.0, f64::INFINITY), (10.0, 5.0)]);
        let record = whole(&scratch, "load", "", &samples.replace("\"inf\"", "\"+Inf\""));
        let (verdict, actual) = verdict(&scratch, &[record], expect);
        assert_eq!(verdict, expected, "{expect}: {actual}");
    }
}

#[test]
fn figures_are_made_by_role_whatever_the_queries_are_called() {
    let scratch = Scratch::new();
    let label = |name: &str| format!(r#""__name__":"celery_task_runtime_{name}","task":"resize""#);
    let all =
        [points(&label("sum"), &[(0.0, 1000.0), (15.0, 7000.0)]), points(&label("count"), &[(0.0, 1.0), (15.0, 4.0)])];
    let role = r#""role":"stage-duration","unit":"ms""#;
    let runtime = with_spec(&whole(&scratch, "runtime", r#""task""#, &all.join(",")), role);
    let depth = points(r#""__name__":"redis_key_size","key":"celery""#, &[(2.0, 3.0), (8.0, 17.0)]);
    let depth = with_spec(&whole(&scratch, "lists", r#""key""#, &depth), r#""role":"queue-depth""#);
    let status = scratch.report(&[good(), vec![runtime, depth]].concat(), &[]).report().status;
    let figures = ["stages.resize.histogramMeanSeconds", "queues.celery.readyMax"].map(|name| status.figures[name]);
    assert_eq!(figures.map(|figure| figure.to_string()), ["2", "17"]);
    let queries: Vec<(&str, &str)> = status.queries.iter().map(|(role, name)| (role.as_str(), name.as_str())).collect();
    let expected = [("queue-depth", "lists"), ("stage-duration.count", "runtime"), ("stage-duration.sum", "runtime")];
    assert_eq!(queries, expected);
    assert!(!scratch.read("report.md").contains("Other metrics"), "they have sections of their own");
}

#[test]
fn two_queries_with_one_role_make_no_figures() {
    let scratch = Scratch::new();
    let depth = |name: &str| {
        let points = points(r#""queue":"q""#, &[(2.0, 3.0), (8.0, 17.0)]);
        with_spec(&whole(&scratch, name, r#""queue""#, &points), r#""role":"queue-depth""#)
    };
    let ran = scratch.report(&[good(), vec![depth("one"), depth("two")]].concat(), &[]);
    let expected = "no figures are computed from one, two: they have one role, queue-depth; give it to one query";
    assert_eq!(doubts(&ran), [expected]);
}

#[test]
fn hostile_labels_and_units_stay_text() {
    let scratch = Scratch::new();
    let line = points(r#""__name__":"m","gpu":"<script>|\n\u001b[31m""#, &[(2.0, 1.0), (6.0, 2.0)]);
    let line = with_spec(&whole(&scratch, "m", r#""gpu""#, &line), r#""unit":"<i>watt</i>","draw":true"#);
    scratch.report(&[good(), vec![line]].concat(), &[]);
    for file in ["report.md", "report.html"] {
        let text = scratch.read(file);
        assert!(!text.contains("<script>|") && !text.contains("<i>watt") && !text.contains('\u{1b}'), "{file}");
    }
}
