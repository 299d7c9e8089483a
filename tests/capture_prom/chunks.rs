//! Windows that do not fit into one answer.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use proptest::prelude::*;
use serde_json::Value;

use crate::server::{Reply, Request, Server};
use crate::{NAMES, answering, bare, capture, envelope};

/// Answer of Prometheus 2.42 to a request beyond its limit.
const EXCEEDED: &str = r#"{"status":"error","errorType":"bad_data","error":"exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)"}"#;

/// A made-up series: its labels, and at which points of the grid it has a sample, a native histogram, or nothing.
#[derive(Clone, Debug)]
struct Made {
    labels: String,
    points: Vec<u8>,
}

/// The answer over the points of a request: what a server does that knows `series`, with point 0 at `origin`.
fn evaluated(series: &[Made], origin: i64, start: i64, end: i64, step: i64) -> String {
    let mut result = Vec::new();
    for Made { labels, points } in series {
        let (mut values, mut histograms) = (Vec::new(), Vec::new());
        let mut at = start;
        while at <= end {
            let index = usize::try_from((at - origin) / step).unwrap();
            let time = format!("{}.{:03}", at / 1000, at % 1000).trim_end_matches('0').trim_end_matches('.').to_owned();
            match points[index % points.len()] {
                0 => {}
                1 => histograms.push(format!(r#"[{time},{{"count":"{index}","sum":"0.10"}}]"#)),
                2 => values.push(format!(r#"[{time},"NaN"]"#)),
                _ => values.push(format!(r#"[{time},"{index}.50"]"#)),
            }
            at += step;
        }
        let mut text = format!(r#"{{"metric":{labels}"#);
        if !values.is_empty() {
            write!(text, r#","values":[{}]"#, values.join(",")).unwrap();
        }
        if !histograms.is_empty() {
            write!(text, r#","histograms":[{}]"#, histograms.join(",")).unwrap();
        }
        if !values.is_empty() || !histograms.is_empty() {
            result.push(text + "}");
        }
    }
    envelope(&result.join(","))
}

/// A server that knows `series`, sampled each `step`, and evaluates at most `limit` steps in one answer.
fn limited(series: Vec<Made>, origin: i64, step: i64, limit: i64, refusal: u16) -> Server {
    answering(move |request: &Request| {
        if request.path == "/api/v1/query" {
            // It was there all the time, so that a series which begins late is no sign of one that was not.
            let Some((_, range)) = request.value("query").rsplit_once('[') else {
                return Reply::json(envelope(r#"{"metric":{},"value":[1,"1"]}"#).replace("matrix", "vector"));
            };
            let (time, length) = (request.ms("time"), range.trim_end_matches("ms]").parse::<i64>().unwrap());
            let start = time - (length - 1).min(time - origin) / step * step;
            return Reply::json(evaluated(&series, origin, start, time, step));
        }
        let (start, end, step) = (request.ms("start"), request.ms("end"), request.ms("step"));
        if (end - start) / step > limit {
            Reply::new(refusal, EXCEEDED)
        } else {
            Reply::json(evaluated(&series, origin, start, end, step))
        }
    })
}

/// The series of an envelope by their labels, with the text of each point as it is spelt.
fn points(envelope: &str) -> BTreeMap<String, (String, String)> {
    #[derive(serde::Deserialize)]
    struct Envelope<'a> {
        #[serde(borrow)]
        data: Data<'a>,
    }
    #[derive(serde::Deserialize)]
    struct Data<'a> {
        #[serde(borrow)]
        result: Vec<Series<'a>>,
    }
    #[derive(serde::Deserialize)]
    struct Series<'a> {
        metric: BTreeMap<String, String>,
        #[serde(borrow, default)]
        values: Option<&'a serde_json::value::RawValue>,
        #[serde(borrow, default)]
        histograms: Option<&'a serde_json::value::RawValue>,
    }
    let text = |raw: Option<&serde_json::value::RawValue>| raw.map_or(String::new(), |raw| raw.get().to_owned());
    let envelope: Envelope<'_> = serde_json::from_str(envelope).unwrap();
    let series = envelope.data.result.into_iter();
    series.map(|one| (format!("{:?}", one.metric), (text(one.values), text(one.histograms)))).collect()
}

#[test]
fn thirty_hours_at_five_seconds_come_in_two_chunks() {
    let origin = 1_700_000_000_000;
    let series = vec![
        Made { labels: r#"{"__name__":"a"}"#.to_owned(), points: vec![3] },
        Made {
            labels: r#"{"__name__":"a","x":"late"}"#.to_owned(),
            points: [vec![0; 15_000], vec![3; 6_601]].concat(),
        },
    ];
    let server = limited(series.clone(), origin, 5000, 11_000, 400);
    let flags = ["--prometheus", &server.url(), "--start", "1700000000", "--end", "1700108000", "--pad", "0s"];
    let done = capture(&flags, "");
    assert_eq!(done.code, 0, "{}", done.stderr);
    let name = NAMES[0];
    let chunks = done.status(name, "chunks");
    assert_eq!(
        chunks,
        &serde_json::json!([format!("prometheus/{name}.chunk-001.json"), format!("prometheus/{name}.chunk-002.json")])
    );
    assert_eq!((done.status(name, "series"), done.status(name, "samples")), (&2.into(), &(21_601 + 6_601).into()));
    let asked = |first: i64, last: i64| evaluated(&series, origin, origin + first * 5000, origin + last * 5000, 5000);
    assert_eq!(done.file(&format!("prometheus/{name}.chunk-001.json")), asked(0, 10_999));
    assert_eq!(done.file(&format!("prometheus/{name}.chunk-002.json")), asked(11_000, 21_600));
    assert_eq!(points(&done.file(&format!("prometheus/{name}.json"))), points(&asked(0, 21_600)));
    let whole: Value = serde_json::from_str(&done.file(&format!("prometheus/{name}.json"))).unwrap();
    assert_eq!((&whole["status"], &whole["data"]["resultType"]), (&"success".into(), &"matrix".into()));
}

#[test]
fn a_query_that_is_wrong_is_not_cut_into_pieces() {
    let server = answering(|_| Reply::new(400, r#"{"status":"error","errorType":"bad_data","error":"parse error"}"#));
    let flags = ["--prometheus", &server.url(), "--query", "q=u p", "--start", "1700000000", "--end", "1700108000"];
    let done = bare(&flags, "");
    assert_eq!(done.result("q"), ("error", "BadQuery"));
    let asked = server.requests().iter().filter(|request| request.path == "/api/v1/query_range").count();
    assert_eq!(asked, 2, "once, and once for a single point");
}

#[test]
fn what_came_before_a_chunk_failed_is_kept_and_partial() {
    let server = answering(|request| match request.ms("start") {
        1_700_000_000_000 => Reply::json(envelope(r#"{"metric":{"__name__":"a"},"values":[[1700000000,"1"]]}"#)),
        _ => Reply::new(503, r#"{"status":"error","errorType":"timeout","error":"query timed out"}"#),
    });
    let flags = ["--prometheus", &server.url(), "--query", "q=a", "--no-raw", "--pad", "0s"];
    let done = bare(&[&flags[..], &["--start", "1700000000", "--end", "1700108000"]].concat(), "");
    assert_eq!(done.result("q"), ("partial", "QueryTimeout"));
    assert!(done.message("q").starts_with("from 2023-11-15T13:30:00.000000Z on: HTTP 503"), "{}", done.message("q"));
    assert_eq!(done.files(), ["q.chunk-001.json", "q.json"]);
    assert_eq!(done.status("q", "samples"), 1);
}

#[test]
fn a_series_that_stands_twice_in_one_answer_is_not_joined() {
    let server = answering(|_| {
        let one = r#"{"metric":{"a":"1","b":"2"},"values":[]}"#;
        Reply::json(envelope(&format!("{one},{}", r#"{"metric":{"b":"2","a":"1"},"values":[]}"#)))
    });
    let done =
        bare(&["--prometheus", &server.url(), "--query", "q=a", "--start", "1700000000", "--end", "1700108000"], "");
    assert_eq!(done.result("q"), ("error", "Malformed"));
    assert!(done.message("q").contains("twice"), "{}", done.message("q"));
}

fn made() -> impl Strategy<Value = Vec<Made>> {
    let labels = prop::collection::btree_set("[a-z\"\\\\é ]{0,6}", 0..6);
    let points = prop::collection::vec(prop::collection::vec(0_u8..5, 1..60), 6);
    (labels, points).prop_map(|(labels, points)| {
        let made = labels.into_iter().zip(points);
        made.map(|(label, points)| Made {
            labels: serde_json::json!({"__name__": "a", "x": label}).to_string(),
            points,
        })
        .collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn the_window_in_chunks_is_the_window_whole(
        series in made(), limit in 6_i64..40, steps in 1_i64..150, refusal in prop::sample::select(vec![400_u16, 422]),
    ) {
        let (origin, step) = (1_700_000_000_000, 2500);
        let server = limited(series.clone(), origin, step, limit, refusal);
        let end = format!("{:.1}", 1_700_000_000.0 + f64::from(i32::try_from(steps).unwrap()) * 2.5);
        let flags = ["--prometheus", &server.url(), "--query", "q=a", "--start", "1700000000", "--end", &end];
        let done = bare(&[&flags[..], &["--pad", "0s", "--step", "2500ms", "--no-raw"]].concat(), "");
        let whole = evaluated(&series, origin, origin, origin + steps * step, step);
        prop_assert_eq!(points(&done.file("prometheus/q.json")), points(&whole));
        let empty = points(&whole).is_empty();
        prop_assert_eq!(done.result("q").0, if empty { "empty" } else { "ok" });
        let chunks = done.status("q", "chunks").as_array().map_or(1, Vec::len);
        prop_assert_eq!(chunks > 1, steps > limit, "{} chunks", chunks);
    }
}
