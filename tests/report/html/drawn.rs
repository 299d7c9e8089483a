//! The drawings at a glance: the tenants of the GPU, the looks of stages, the jobs that did not succeed, the breakdown of the time.

use super::{read, rendered, visible_text};
use crate::support::{RUN, good, job, succeeded};

/// A Traces record of a service that tells of the GPU: so many tenants in turn, each for a tenth of a second and the last for long.
fn tenancies(tenants: &[&str]) -> String {
    let one = |(index, tenant): (usize, &&str)| {
        let at = |tenth: usize| {
            format!("2026-05-20T22:30:{:02}.{}Z", 3 + (2 * index + tenth) / 10, (2 * index + tenth) % 10)
        };
        let released = if index + 1 == tenants.len() { "2026-05-20T22:30:12Z".to_owned() } else { at(2) };
        format!(
            r#"{{"tenant":"{tenant}","acquiringAt":"{0}","heldAt":"{1}","seenAt":"{1}","releasedAt":"{released}"}}"#,
            at(0),
            at(1)
        )
    };
    let all: Vec<String> = tenants.iter().enumerate().map(one).collect();
    format!(
        r#"{{"apiVersion":"stress/v1","kind":"Traces","metadata":{{"name":"gpu","run":"r1"}},"spec":{{"service":"gpu"}},"status":{{"result":"ok","traces":3,"spans":9,"tenancies":[{}]}}}}"#,
        all.join(",")
    )
}

/// The timeline's drawing, and the legend above it.
fn timeline(page: &str) -> (&str, &str) {
    let (before, rest) = page.split_once("<svg id=\"timeline-chart\"").unwrap();
    (rest.split_once("</svg></div>").unwrap().0, before.rsplit_once("<ul class=\"legend\">").unwrap().1)
}

/// The text that is written in a drawing.
fn labels(chart: &str) -> Vec<&str> {
    chart.split("<text ").skip(1).map(|part| part.split_once('>').unwrap().1.split_once("</text>").unwrap().0).collect()
}

/// The class of the sample before this text of a legend.
fn sample<'a>(legend: &'a str, label: &str) -> &'a str {
    let (before, _) = legend.split_once(&format!("</svg> {label}</li>")).unwrap_or_else(|| panic!("{label}: {legend}"));
    before.rsplit_once("<rect class=\"").unwrap().1.split_once('"').unwrap().0
}

#[test]
fn every_tenant_of_the_gpu_has_a_look_and_a_name_that_is_written() {
    let page = rendered(&[good(), vec![tenancies(&["whisper", "llm"])]].concat(), &[]);
    let (chart, legend) = timeline(&page);
    let looks = ["whisper", "llm"].map(|tenant| sample(legend, &format!("GPU: {tenant}")));
    assert_ne!(looks[0], looks[1]);
    for look in looks {
        assert!(chart.contains(&format!("<rect class=\"{look}\"")), "{look}");
    }
    for tenant in ["whisper", "llm"] {
        let written = labels(chart).iter().filter(|label| **label == tenant).count();
        assert!(written >= 1, "{tenant}: too narrow or not, it is named: {:?}", labels(chart));
    }
}

#[test]
fn names_below_the_lane_are_left_out_where_they_would_lie_over_one_another() {
    let page =
        rendered(&[good(), vec![tenancies(&["whisper", "llm", "whisper", "llm", "whisper", "llm"])]].concat(), &[]);
    let (chart, _) = timeline(&page);
    let below: Vec<f64> = read(&page)
        .iter()
        .take_while(|tag| tag.attribute("id") != Some("timeline-narrow"))
        .filter(|tag| {
            tag.name == "text" && tag.attribute("class") == Some("pale") && ["whisper", "llm"].contains(&tag.text)
        })
        .map(|tag| tag.attribute("x").unwrap().parse().unwrap())
        .collect();
    assert!(!below.is_empty() && below.len() < 5, "{below:?} in {:?}", labels(chart));
    assert!(below.windows(2).all(|pair| pair[1] - pair[0] >= 3.0 * 6.2), "{below:?}");
}

#[test]
fn from_the_ninth_on_stages_look_different_everywhere() {
    let names: Vec<String> = (0..18).map(|index| format!("stage-{index:02}")).collect();
    let specs: Vec<String> = names.iter().map(|name| format!(r#"{{"name":"{name}","required":false}}"#)).collect();
    let (before, rest) = RUN.split_once(r#""stages":["#).unwrap();
    let (_, after) = rest.split_once(r#"]},"status""#).unwrap();
    let run = format!(r#"{before}"stages":[{}]}},"status"{after}"#, specs.join(","));
    let at = |second: usize| format!("2026-05-20T22:30:{second:02}Z");
    let stages: Vec<String> = names
        .iter()
        .enumerate()
        .map(|(index, name)| {
            format!(
                r#"{{"name":"{name}","phase":"Done","timesFrom":"server","queuedAt":"{}","startedAt":"{}","endedAt":"{}"}}"#,
                at(2 * index + 2),
                at(2 * index + 3),
                at(2 * index + 4)
            )
        })
        .collect();
    let status = format!(
        r#"{{"phase":"Succeeded","jobId":"a","submittedAt":"{}","acceptedAt":"{}","notEndedAt":"{}","endedAt":"{}","stages":[{}]}}"#,
        at(1),
        at(1),
        at(50),
        at(50),
        stages.join(",")
    );
    let page = rendered(&[run, job("soak-001", &status)], &["--subset"]);
    let (chart, legend) = timeline(&page);
    let looks: Vec<&str> = names[..16].iter().map(|name| sample(legend, name)).collect();
    for (index, look) in looks.iter().enumerate() {
        assert!(!looks[..index].contains(look), "{} looks like an earlier one: {look}", names[index]);
        assert!(chart.contains(&format!("<rect class=\"{look}\"")), "{look} in the row");
        assert!(page.contains(&format!(".{look} {{ fill: ")), "{look} has a colour");
        let dots = format!("<circle class=\"disc hue-{}{}\"", index % 8, if index < 8 { "" } else { " second" });
        assert!(page.contains(&dots), "{dots}");
    }
    assert!(visible_text(&page).contains("2 more stages reuse the looks of the first ones"), "{legend}");
}

/// The same three with one that ended otherwise, at the last moment that is told of it.
fn one_otherwise(status: &str) -> String {
    rendered(&[&good()[..3], &[job("soak-003", status)]].concat(), &[])
}

#[test]
fn how_a_job_ended_is_told_before_its_name_and_what_is_not_known_is_not_drawn_as_failed() {
    let stage =
        r#""stages":[{"name":"whisper","phase":"Running","timesFrom":"server","startedAt":"2026-05-20T22:30:07Z"}]"#;
    for (phase, sign, word, edge, none) in [
        ("TimedOut", "✕", "timed out", "bad-edge", "open-edge"),
        ("Interrupted", "?", "interrupted", "open-edge", "bad-edge"),
        ("Submitted", "?", "unfinished", "open-edge", "bad-edge"),
    ] {
        let page = one_otherwise(&format!(
            r#"{{"phase":"{phase}","jobId":"x","submittedAt":"2026-05-20T22:30:06Z","acceptedAt":"2026-05-20T22:30:06Z","notEndedAt":"2026-05-20T22:30:09Z",{stage}}}"#
        ));
        let (chart, legend) = timeline(&page);
        let labels = labels(chart);
        let name = labels.iter().position(|label| *label == "soak-003").unwrap();
        assert_eq!(labels[name - 1], sign, "{phase}: {labels:?}");
        assert!(labels.contains(&format!("{sign} {word}").as_str()), "{phase}: {labels:?}");
        assert_eq!((chart.matches(edge).count(), chart.matches(none).count()), (1, 0), "{phase}");
        assert_eq!(legend.contains("end not known"), sign == "?", "{phase}: {legend}");
        let first = labels.iter().position(|label| *label == "soak-001").unwrap();
        assert!(!["✕", "?"].contains(&labels[first - 1]), "{labels:?}");
    }
}

#[test]
fn a_job_that_was_lost_long_after_the_work_does_not_squeeze_the_axis() {
    let lost = |second: u32| {
        format!(
            r#"{{"phase":"Lost","reason":"UnknownId","submittedAt":"2026-05-20T22:30:06Z","notEndedAt":"2026-05-20T22:30:{second}Z"}}"#
        )
    };
    let page = one_otherwise(&lost(57));
    let (chart, _) = timeline(&page);
    assert_eq!(chart.matches("class=\"beyond\"").count(), 1);
    assert!(labels(chart).contains(&"✕ lost → 56.0 s"), "{:?}", labels(chart));
    assert!(!labels(chart).contains(&"10 s"), "six and a half seconds are enough: {:?}", labels(chart));
    let text = visible_text(&page);
    let note = "The axis ends at 6.83 s, soon after the last known work. An arrow marks jobs that were polled beyond it: 1 job that did \
                not succeed, until 56.0 s.";
    assert!(text.contains(note), "{text}");
    // A little longer is no harm.
    let page = one_otherwise(&lost(10));
    assert!(
        !timeline(&page).0.contains("beyond") && !visible_text(&page).contains("The axis ends"),
        "{}",
        visible_text(&page)
    );
}

#[test]
fn the_wait_for_the_limiting_stage_stands_out() {
    let page = rendered(&good(), &[]);
    let (_, legend) = timeline(&page);
    let look = sample(legend, "waiting for whisper, the limiting stage");
    assert!(look.ends_with(" limits"), "{look}");
    let (_, went) = page.split_once("<svg id=\"time-breakdown-chart\"").unwrap();
    let went = went.split_once("</svg>").unwrap().0;
    assert_eq!(went.matches(" limits\"").count(), 1, "{went}");
    assert!(went.contains(&format!("<rect class=\"{look}\"")), "{went}");
}

#[test]
fn what_all_jobs_share_stands_together_above_them_between_two_axes() {
    let page = rendered(&[good(), vec![tenancies(&["whisper", "llm"])]].concat(), &[]);
    let labels = labels(timeline(&page).0);
    let place = |text: &str| labels.iter().position(|label| *label == text).unwrap();
    assert!(place("since the first submission") < place("Jobs in flight"));
    assert!(place("Jobs in flight") < place("GPU") && place("GPU") < place("Jobs"), "{labels:?}");
    for tick in ["0", "2 s", "since the first submission"] {
        assert!(labels.iter().filter(|label| **label == tick).count() >= 2, "{tick} above and below: {labels:?}");
    }
}

#[test]
fn two_hundred_jobs_have_a_row_each_and_more_have_fewer() {
    let rows = |count: usize| {
        let run = RUN.replace(r#""jobs":3"#, &format!(r#""jobs":{count}"#));
        let status = |number: usize| match number {
            150.. => r#"{"phase":"Lost","reason":"UnknownId","submittedAt":"2026-05-20T22:30:02Z"}"#.to_owned(),
            _ => succeeded(1.0, 5.0).replace("id-1", &format!("id-{number}")),
        };
        let jobs = (1..=count).map(|number| job(&format!("soak-{number:03}"), &status(number)));
        let page = rendered(&[vec![run], jobs.collect()].concat(), &[]);
        let labels: Vec<String> = labels(timeline(&page).0).into_iter().map(str::to_owned).collect();
        let lost = labels.iter().filter(|label| *label == "✕ lost").count();
        (labels.iter().filter(|label| label.starts_with("soak-")).count(), lost)
    };
    assert_eq!(rows(200), (200, 51));
    assert_eq!(rows(201), (120, 52), "all that were lost are among them");
}
