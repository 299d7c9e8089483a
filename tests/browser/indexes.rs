//! The pages over several scenarios, in every view: a ramp, a run, a comparison.

use std::path::{Path, PathBuf};

use serde_json::json;
use stress_suite::tools::render_report;
use tempfile::TempDir;

use crate::chromium::Chromium;
use crate::legs::{LegsOnDisk, in_turns};
use crate::page::Page;
use crate::reports::{ATTACK, DESK, holds_in_every_view};
use crate::support::tool;

/// Reports in `out` on eight jobs that end in `phase`; the labels are those of the Run.
fn report(out: &Path, labels: &serde_json::Value, phase: &str) {
    let metadata = |name: &str| json!({"name": name, "run": "r1", "labels": labels});
    let run = json!({"apiVersion": "stress/v1", "kind": "Run", "metadata": metadata("a"),
        "spec": {"prefix": "a", "jobs": 8, "concurrency": 4, "target": format!("http://{ATTACK}")},
        "status": {"startedAt": "2026-05-20T22:30:00Z"}});
    let mut records = format!("{run}\n");
    for number in 1..=8 {
        let status = json!({"phase": phase, "reason": "TargetFailed", "message": ATTACK,
            "submittedAt": format!("2026-05-20T22:30:0{number}Z"), "notEndedAt": "2026-05-20T22:30:20Z",
            "endedAt": format!("2026-05-20T22:31:0{number}Z")});
        let job = json!({"apiVersion": "stress/v1", "kind": "Job", "metadata": metadata(&format!("a-{number:03}")),
            "spec": {"source": "/data/a.webm"}, "status": status});
        records += &format!("{job}\n");
    }
    let ran = tool(render_report::run, &["--out", out.to_str().unwrap()], &records);
    assert!([0, 3, 4].contains(&ran.code), "{}", ran.stderr);
}

/// A run with a soak and a ramp of four levels: one passed, one is not known, one failed or was not run.
fn run(ends: &[(&str, &str)]) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    report(&root.path().join("soak"), &json!({"scenario": "soak"}), "Succeeded");
    for (level, phase) in ends {
        let labels = json!({"scenario": "ramp", "level": level, "levels": format!("4 8 {} 24", "16<b>")});
        report(&root.path().join(format!("ramp/by-concurrency/lvl-{level}")), &labels, phase);
    }
    index(&root.path().join("ramp"), &[]);
    root
}

fn index(place: &Path, flags: &[&str]) -> PathBuf {
    let ran = tool(render_report::run, &[&["--index", place.to_str().unwrap()], flags].concat(), "");
    assert!([0, 3, 4].contains(&ran.code), "{}", ran.stderr);
    place.join("report.html")
}

fn first_heading(page: &mut Page<'_>) -> String {
    page.evaluate("document.querySelector('h1').textContent").as_str().unwrap().to_owned()
}

#[test]
fn a_ramp_is_a_good_page() {
    let Some(mut browser) = Chromium::start() else { return };
    for ends in [[("4", "Succeeded"), ("8", "Failed")], [("4", "Succeeded"), ("8", "Interrupted")]] {
        let root = run(&ends);
        let file = root.path().join("ramp/report.html");
        holds_in_every_view(&mut browser, &file);
        let mut page = Page::open(&mut browser, &file, DESK);
        assert_ne!(page.evaluate("document.title"), "taken");
        assert_eq!(page.count("#levels tbody tr"), 4, "a row for each level that was asked for");
        assert_eq!(page.count("#by-level svg[role=img]"), 3);
        assert_eq!(page.count("script, img, iframe, object, embed, link"), 0, "the page is what it is by itself");
    }
}

#[test]
fn a_run_is_a_good_page_whose_links_lead_somewhere() {
    let Some(mut browser) = Chromium::start() else { return };
    let root = run(&[("4", "Succeeded"), ("8", "Failed")]);
    let file = index(root.path(), &["--planned", "soak,ramp,late"]);
    holds_in_every_view(&mut browser, &file);
    let mut page = Page::open(&mut browser, &file, DESK);
    assert!(first_heading(&mut page).starts_with("Incomplete"));
    assert_eq!(page.count("#scenarios tbody tr"), 3);
    let links =
        page.evaluate("[...document.querySelectorAll('a[href]:not([href^=\"#\"])')].map(a => a.getAttribute('href'))");
    let links: Vec<&str> = links.as_array().unwrap().iter().filter_map(|link| link.as_str()).collect();
    assert!(links.len() >= 4, "{links:?}");
    for link in links {
        assert!(root.path().join(link).is_file(), "{link} leads nowhere");
    }
}

#[test]
fn a_comparison_is_a_good_page() {
    let Some(mut browser) = Chromium::start() else { return };
    let described = in_turns([20.0, 20.5, 19.5], [25.0, 24.5, 25.5]).into_iter().step_by(3).collect();
    for (legs, said) in [
        (in_turns([20.0, 20.5, 19.5], [25.0, 24.5, 25.5]), "Worse"),
        (in_turns([25.0, 24.5, 25.5], [20.0, 20.5, 19.5]), "Better"),
        (in_turns([20.0, 22.0, 21.0], [21.5, 24.0, 23.0]), "No difference shown"),
        (described, "Described"),
    ] {
        let disk = LegsOnDisk::write(legs);
        let out = disk.path("ab");
        disk.compare(&["--out", out.to_str().unwrap()]);
        let file = out.join("report.html");
        holds_in_every_view(&mut browser, &file);
        let mut page = Page::open(&mut browser, &file, DESK);
        assert!(first_heading(&mut page).starts_with(said), "{said}");
        let rows = page.count("#side-by-side tbody tr");
        let labels = page.evaluate("[...document.querySelectorAll('#differences text')].map(text => text.textContent)");
        let labels = labels.as_array().unwrap();
        assert!(rows > 8 && labels.iter().filter(|label| **label == "end to end, median").count() == 1, "{labels:?}");
    }
}
