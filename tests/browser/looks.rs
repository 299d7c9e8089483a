//! Things that are easily lost: stages beyond the eighth by day and by night, failures and what lies beyond the edge on a phone.

use serde_json::json;
use stress_suite::tools::render_report;

use crate::chromium::Chromium;
use crate::page::{Page, VIEWS, View};
use crate::reports::holds_in_every_view;
use crate::support::tool;

const PHONE: View = VIEWS[1];

/// A report on a job with so many stages, and one that failed with this message.
fn report(stages: usize, message: &str) -> (tempfile::TempDir, std::path::PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let names: Vec<String> = (0..stages).map(|index| format!("s{index}")).collect();
    let run = json!({"apiVersion": "stress/v1", "kind": "Run", "metadata": {"name": "a", "run": "r1"},
        "spec": {"prefix": "a", "jobs": 2, "concurrency": 2, "stages": names.iter().map(|name| json!({"name": name})).collect::<Vec<_>>()},
        "status": {"clockOffset": {"seconds": 0.0, "boundSeconds": 0.001}}});
    let at = |second: usize| format!("2026-05-20T22:{:02}:{:02}Z", second / 60, second % 60);
    let stage = |(index, name): (usize, &String)| {
        json!({"name": name, "phase": "Done", "timesFrom": "server", "queuedAt": at(4 * index), "startedAt": at(4 * index + 1),
            "endedAt": at(4 * index + 4)})
    };
    let (begin, end) = (at(0), at(4 * stages));
    let times = json!({"phase": "Succeeded", "jobId": "1", "submittedAt": begin, "acceptedAt": begin, "notEndedAt": end, "endedAt": end,
        "stages": names.iter().enumerate().map(stage).collect::<Vec<_>>()});
    let failed = json!({"phase": "Failed", "jobId": "2", "reason": "TargetFailed", "message": message, "submittedAt": begin,
        "acceptedAt": begin, "endedAt": end});
    let mut records = format!("{run}\n");
    for (name, status) in [("a-001", times), ("a-002", failed)] {
        let job = json!({"apiVersion": "stress/v1", "kind": "Job", "metadata": {"name": name, "run": "r1"},
            "spec": {"source": "/data/a.webm"}, "status": status});
        records += &format!("{job}\n");
    }
    let out = dir.path().join("a");
    let ran = tool(render_report::run, &["--out", out.to_str().unwrap()], &records);
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    (dir, out.join("report.html"))
}

#[test]
fn names_upon_striped_bars_can_be_read() {
    let Some(mut browser) = Chromium::start() else { return };
    let (_dir, file) = report(12, "boom");
    holds_in_every_view(&mut browser, &file);
    let mut page = Page::open(&mut browser, &file, VIEWS[0]);
    assert_eq!(
        page.count("#timeline .wide-only rect[class='hue-11'], #timeline .legend rect[class='hue-11']"),
        2,
        "a sample and a bar"
    );
    let name = "[...document.querySelectorAll('#timeline-chart text.inside')].filter(text => text.textContent === 's11').length";
    assert_eq!(page.evaluate(name), 1);
    let fills = "new Set([...document.querySelectorAll('#timeline .legend rect')].slice(0, 12).map(r => getComputedStyle(r).fill)).size";
    assert_eq!(page.evaluate(fills), 12, "each has a fill of its own");
}

#[test]
fn on_a_phone_failures_are_seen_and_what_scrolls_shows_it() {
    let Some(mut browser) = Chromium::start() else { return };
    let (_dir, file) =
        report(3, &"l2 failed after 3 attempts: no such thing 0123456789abcdef0123456789abcdef01234567 ".repeat(2));
    let mut page = Page::open(&mut browser, &file, PHONE);
    let wide = "(box => box.scrollWidth - box.clientWidth)(document.querySelector('.failures .scroll'))";
    assert_eq!(page.evaluate(wide), 0, "the message wraps");
    let sign = "(text => text.getBoundingClientRect().right)([...document.querySelectorAll('#timeline-narrow text')].find(text => \
                text.textContent === '✕'))";
    assert!(page.evaluate(sign).as_f64().unwrap() < 60.0, "beside the name");
    // The whole timeline is there to be seen: nothing of it scrolls.
    let beyond = "(box => box.scrollWidth - box.clientWidth)(document.querySelector('.narrow-only .scroll'))";
    assert_eq!(page.evaluate(beyond), 0);
    let shown = "[...document.querySelectorAll('#timeline .scroll')].filter(box => box.checkVisibility()).length";
    assert_eq!(page.evaluate(shown), 1, "one of the two drawings");
    let cue = "getComputedStyle(document.querySelector('#timeline .scroll')).backgroundAttachment";
    assert_eq!(page.evaluate(cue), "local, local, scroll, scroll");
}
