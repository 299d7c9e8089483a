//! The timeline draws what is known where it is known, and says what is not.

use super::{rendered, visible_text};
use crate::support::{RUN, Scratch, good, job};

/// A Traces record of a service that tells of the GPU; the server's clock is half a second ahead.
const TENANCIES: &str = r#"{"apiVersion":"stress/v1","kind":"Traces","metadata":{"name":"gpu","run":"r1"},"spec":{"service":"gpu"},"status":{"result":"ok","traces":3,"spans":9,"tenancies":[{"tenant":"whisper","acquiringAt":"2026-05-20T22:30:02Z","heldAt":"2026-05-20T22:30:03Z","seenAt":"2026-05-20T22:30:03Z","releasedAt":"2026-05-20T22:30:07.5Z"},{"tenant":"llm","acquiringAt":"2026-05-20T22:30:08.5Z","heldAt":"2026-05-20T22:30:10Z","seenAt":"2026-05-20T22:30:10Z"}]}}"#;

/// The titles of the parts of the timeline.
fn titles(page: &str) -> Vec<String> {
    let (_, rest) = page.split_once("id=\"timeline-chart\"").unwrap();
    let (chart, _) = rest.split_once("</svg>").unwrap();
    chart.split("<g><title>").skip(1).map(|part| part.split_once("</title>").unwrap().0.to_owned()).collect()
}

#[test]
fn the_timeline_draws_jobs_and_gpu_on_one_axis() {
    let page = rendered(&[good(), vec![TENANCIES.to_owned()]].concat(), &[]);
    let titles = titles(&page);
    for told in [
        "soak-001: succeeded after 5.00 s (+0 s / −200 ms)",
        "soak-001, whisper: waited 1.00 s (+110 ms / −10 ms), worked 1.00 s",
        "soak-003, l0: waited 500 ms, worked 5.40 s",
        "the tenant before is not known",
        "passing to whisper: 1.00 s",
        "whisper for 4.50 s",
        "passing to llm: 1.50 s",
        "probably llm: no span shows when it released the GPU",
    ] {
        assert!(titles.iter().any(|title| title == told), "{told:?} is not in {titles:#?}");
    }
    let page = visible_text(&page);
    assert!(
        page.contains(
            "The target's clock is 500 ms (± 10 ms) ahead of it, and the target's times are shifted by that."
        )
    );
    assert!(page.contains("Queue depths were not captured."));
    assert!(page.contains("soak-003 took 8.00 s"), "the slowest job's path: {page}");
}

#[test]
fn without_dates_the_jobs_own_times_tell_the_offset() {
    let run = RUN.replace(r#","clockOffset":{"seconds":0.5,"boundSeconds":0.01}"#, "");
    let page = rendered(&[vec![run], good()[1..].to_vec(), vec![TENANCIES.to_owned()]].concat(), &[]);
    assert!(titles(&page).iter().any(|title| title.starts_with("soak-001, whisper")), "{:?}", titles(&page));
    assert!(!visible_text(&page).contains("No single offset"));
}

#[test]
fn without_an_offset_the_targets_times_are_not_drawn() {
    let run = RUN.replace(r#","clockOffset":{"seconds":0.5,"boundSeconds":0.01}"#, "");
    // No two jobs agree on the target's clock.
    let apart = |line: &String, hour: &str| {
        let (head, stages) = line.split_once("\"stages\"").unwrap();
        format!("{head}\"stages\"{}", stages.replace("T22:", hour))
    };
    let jobs = [good()[1].clone(), apart(&good()[2], "T20:"), apart(&good()[3], "T18:")];
    let page = rendered(&[vec![run], jobs.to_vec(), vec![TENANCIES.to_owned()]].concat(), &[]);
    assert_eq!(titles(&page).len(), 3, "a rail for each job, and no stage and no tenant: {:?}", titles(&page));
    let page = visible_text(&page);
    assert!(page.contains(
        "No single offset between the target's clock and the harness's is known. 6 stages without usable times"
    ));
    assert!(page.contains("It is not known who held the GPU"));
}

#[test]
fn what_polls_saw_is_drawn_as_not_known_between_them() {
    let at = |second: u32| format!("2026-05-20T22:30:{second:02}Z");
    let stage = format!(
        r#"{{"name":"whisper","phase":"Done","timesFrom":"polls","notStartedAt":"{}","startedAt":"{}","notEndedAt":"{}","endedAt":"{}"}}"#,
        at(3),
        at(5),
        at(8),
        at(10)
    );
    let status = format!(
        r#"{{"phase":"Succeeded","jobId":"a","submittedAt":"{}","acceptedAt":"{}","notEndedAt":"{}","endedAt":"{}","stages":[{stage}]}}"#,
        at(1),
        at(1),
        at(8),
        at(11)
    );
    let page = rendered(&[RUN.to_owned(), job("soak-001", &status)], &["--subset"]);
    let (_, rest) = page.split_once("<title>soak-001, whisper: waited 4.00 s (+0 s / −2.00 s)").unwrap();
    let piece = rest.split_once("</g>").unwrap().0;
    assert_eq!(piece.matches("class=\"unknown\"").count(), 2, "where it began and where it ended: {piece}");
    assert_eq!(piece.matches("class=\"hue-0\"").count(), 1, "{piece}");
    // Ten seconds are the whole axis; three of them are work for certain.
    let width = |class: &str| -> f64 {
        let (_, rest) = piece.split_once(&format!("class=\"{class}\"")).unwrap();
        rest.split_once("width=\"").unwrap().1.split_once('"').unwrap().0.parse().unwrap()
    };
    assert!((width("hue-0") / width("unknown") - 1.5).abs() < 0.01, "{piece}");
}

#[test]
fn times_that_cannot_be_are_counted_and_do_not_stretch_the_axis() {
    let astray = good()[1].replace("\"startedAt\":\"2026-05-20T22:30:02.6", "\"startedAt\":\"2026-05-20T19:30:02.6");
    let astray = astray.replace("\"endedAt\":\"2026-05-20T22:30:03.6", "\"endedAt\":\"2026-05-20T19:30:03.6");
    let far = good()[2].replace("\"startedAt\":\"2026-05-20T22:30:04.6", "\"startedAt\":\"2026-05-20T23:30:04.6");
    let far = far.replace("\"endedAt\":\"2026-05-20T22:30:08", "\"endedAt\":\"2026-05-20T23:30:08");
    let page = rendered(&[RUN.to_owned(), astray, far, good()[3].clone()], &[]);
    let page_words = visible_text(&page);
    assert!(page_words.contains("2 stages without usable times are not drawn"), "{page_words}");
    assert!(
        page_words.contains("times of stage whisper (poll.stages.times) contradict what the harness saw"),
        "{page_words}"
    );
    assert!(
        page_words.contains("times of stage l0 (poll.stages.times) contradict what the harness saw"),
        "{page_words}"
    );
    assert!(!titles(&page).iter().any(|title| title.starts_with("soak-001, whisper")), "{:?}", titles(&page));
    let (_, chart) = page.split_once("id=\"timeline-chart\"").unwrap();
    assert!(chart.split_once("</svg>").unwrap().0.contains(">12 s</text>"), "the axis still counts in seconds");
}

#[test]
fn queues_are_drawn_as_they_were_sampled_and_gaps_are_gaps() {
    let scratch = Scratch::new();
    let samples = |points: &[(f64, f64)]| -> String {
        let points = points.iter().map(|(at, value)| format!(r#"[{:.1},"{value}"]"#, 1_779_316_200.0 + at));
        points.collect::<Vec<_>>().join(",")
    };
    let filled = samples(&[(0.0, 0.0), (1.0, 2.0), (2.0, 5.0), (3.0, 1.0), (9.0, 1.0), (10.0, 0.0), (11.0, 0.0)]);
    let envelope = format!(
        r#"{{"status":"success","data":{{"resultType":"matrix","result":[{{"metric":{{"queue":"stage.l1"}},"values":[{filled}]}},{{"metric":{{"queue":"stage.l2"}},"values":[{}]}}]}}}}"#,
        samples(&[(0.0, 0.0), (1.0, 0.0)])
    );
    std::fs::create_dir_all(scratch.out().join("prometheus")).unwrap();
    std::fs::write(scratch.out().join("prometheus/q.json"), envelope).unwrap();
    let series = r#"{"apiVersion":"stress/v1","kind":"Series","metadata":{"name":"rabbitmq_queue_ready","run":"r1"},"spec":{"query":"q{}","by":["queue"]},"status":{"result":"ok","file":"prometheus/q.json","series":2}}"#;
    scratch.report(&[good(), vec![series.to_owned()]].concat(), &[]);
    let page = scratch.read("report.html");
    let (_, rest) = page.split_once("<g><title>stage.l1: at most 5 messages ready</title>").unwrap();
    let group = rest.split_once("</g>").unwrap().0;
    assert_eq!(group.matches("class=\"step\"").count(), 2, "six seconds without a sample are a gap: {group}");
    assert!(!page.contains("<g><title>stage.l2"), "a queue that was never filled is not drawn");
    assert!(visible_text(&page).contains("The offset of Prometheus' clock is not known"));
}

#[test]
fn without_spans_the_samples_of_transitions_tell_between_what_the_gpu_passed_on() {
    let scratch = Scratch::new();
    let points =
        |from: f64| format!(r#"[{:.1},"1"],[{:.1},"2"]"#, 1_779_316_200.0 + from, 1_779_316_200.0 + from + 2.0);
    let envelope = format!(
        r#"{{"status":"success","data":{{"resultType":"matrix","result":[{{"metric":{{"from":"none","to":"llm"}},"values":[{}]}}]}}}}"#,
        points(3.0)
    );
    std::fs::create_dir_all(scratch.out().join("prometheus")).unwrap();
    std::fs::write(scratch.out().join("prometheus/t.json"), envelope).unwrap();
    let series = r#"{"apiVersion":"stress/v1","kind":"Series","metadata":{"name":"gpu_tenancy_transitions","run":"r1"},"spec":{"query":"q{}","by":["from","to"]},"status":{"result":"ok","file":"prometheus/t.json","series":1,"clockOffset":{"seconds":0.0,"boundSeconds":0.1}}}"#;
    scratch.report(&[good(), vec![series.to_owned()]].concat(), &[]);
    let page = scratch.read("report.html");
    assert!(titles(&page).contains(&"none→llm between two samples, 2.00 s apart".to_owned()), "{:?}", titles(&page));
    assert!(visible_text(&page).contains("Each dashed box lies between two samples of the transitions counter"));
}

#[test]
fn a_window_without_jobs_has_its_queues_on_an_axis_of_its_own() {
    let scratch = Scratch::new();
    let samples =
        [(0.0, 1.0), (1.0, 3.0), (2.0, 0.0)].map(|(at, value)| format!(r#"[{:.1},"{value}"]"#, 1_779_316_200.0 + at));
    let envelope = format!(
        r#"{{"status":"success","data":{{"resultType":"matrix","result":[{{"metric":{{"queue":"stage.l1"}},"values":[{}]}}]}}}}"#,
        samples.join(",")
    );
    std::fs::create_dir_all(scratch.out().join("prometheus")).unwrap();
    std::fs::write(scratch.out().join("prometheus/q.json"), envelope).unwrap();
    let series = r#"{"apiVersion":"stress/v1","kind":"Series","metadata":{"name":"rabbitmq_queue_ready","run":"r1"},"spec":{"query":"q{}","by":["queue"],"window":{"start":"2026-05-20T22:30:00Z","end":"2026-05-20T22:30:02Z"}},"status":{"result":"ok","file":"prometheus/q.json","series":1}}"#;
    scratch.report(&[series.to_owned()], &[]);
    let page = scratch.read("report.html");
    assert_eq!(titles(&page), ["stage.l1: at most 3 messages ready"]);
    let page = visible_text(&page);
    assert!(page.contains("0 is the start of the window, 2026-05-20 22:30:00.000 UTC."), "{page}");
    assert!(page.contains("2.00 s without jobs. The deepest queue was stage.l1 with 3 messages ready."), "{page}");
    assert!(!page.contains("asked =") && !page.contains("Distributions"), "{page}");
}
