//! The pages that `render-report` makes of real runs, in every view: what a reader meets there.

use std::path::{Path, PathBuf};

use stress_suite::tools::{capture_jaeger, capture_logs, capture_prom, render_report};

use crate::chromium::{Chromium, text_of_pdf};
use crate::page::{Page, VIEWS, View};
use crate::support::{Target, tool};

const JOBS: u32 = 12;

/// A finished scenario, and the target that it ran against.
struct Run {
    target: Target,
}

impl Run {
    /// Jobs against a stand-in with faults, the captures, and the report. `change` is done to the stream before it is judged.
    fn new(faults: &[&str], expect: &str, change: impl Fn(String) -> String) -> Self {
        let target = Target::start(&[faults, &["--scrape-interval", "50ms", "--span-delay", "10ms"]].concat());
        let submitted = target.submit(&["--max-posts", "4"], &target.stage(JOBS));
        let mut records = target.poll(&["--lost-after", "100ms"], &submitted.stdout).stdout;
        let out = target.dir.path().join("soak").display().to_string();
        let window = ["--out", out.as_str(), "--pad", "0s", "--settle", "5s"];
        let (logs, sim) = (target.sim.logs().display().to_string(), &target.sim);
        records = tool(capture_logs::run, &[&window[..], &["--logs", &logs]].concat(), &records).stdout;
        let prometheus = ["--prometheus", &sim.prometheus_url(), "--step", "100ms"];
        records = tool(capture_prom::run, &[&window[..], &prometheus].concat(), &records).stdout;
        let jaeger = ["--jaeger", &sim.jaeger_url(), "--flush", "0s"];
        records = tool(capture_jaeger::run, &[&window[..], &jaeger].concat(), &records).stdout;
        let ran = tool(render_report::run, &["--out", &out, "--expect", expect], &change(records));
        assert!(ran.code == 0 || ran.code == 3, "{}", ran.stderr);
        Self { target }
    }

    fn page(&self) -> PathBuf {
        self.target.dir.path().join("soak/report.html")
    }
}

/// Asks of a page in every view what is asked of all pages.
pub fn holds_in_every_view(browser: &mut Chromium, file: &Path) {
    let mut faults = Vec::new();
    for view in VIEWS {
        let found = crate::harness::faults(browser, file, view);
        faults.extend(found.into_iter().map(|fault| format!("{view:?}: {fault}")));
    }
    assert!(faults.is_empty(), "{} faults, such as {:#?}", faults.len(), &faults[..faults.len().min(12)]);
}

pub const DESK: View = VIEWS[0];

/// A script that changes the page's title if it is ever run.
pub const ATTACK: &str = "<script>document.title='taken'</script><img src=x onerror=document.title='taken'>";

#[test]
fn a_soak_that_passed_is_a_good_page() {
    let Some(mut browser) = Chromium::start() else { return };
    let run = Run::new(&[], "all-done,all-stages,no-exceptions", |records| records);
    holds_in_every_view(&mut browser, &run.page());

    let mut page = Page::open(&mut browser, &run.page(), DESK);
    assert!(page.evaluate("document.querySelector('h1').textContent").as_str().unwrap().starts_with("Passed"));
    let jobs = u64::from(JOBS);
    assert_eq!(page.count("#jobs table tbody tr"), jobs, "a row for each job in the table");
    assert_eq!(page.count("#jobs details"), jobs, "and its details");
    let labels = page.evaluate("[...document.querySelectorAll('#timeline-chart text')].map(text => text.textContent)");
    for number in 1..=jobs {
        let name = format!("soak-{number:03}");
        let rows = labels.as_array().unwrap().iter().filter(|label| **label == name).count();
        assert_eq!(rows, 1, "a row of the timeline for {name}: {labels}");
    }
}

#[test]
fn a_soak_that_failed_shows_what_the_target_said_and_runs_none_of_it() {
    let Some(mut browser) = Chromium::start() else { return };
    let run = Run::new(&["--fail", "l1:2", "--lose", "4"], "all-done,all-stages", |records| {
        let records = records.replace("/data/fixtures/", &format!("/data/{ATTACK}/"));
        records.replace("\"message\":\"", &format!("\"message\":\"{ATTACK}"))
    });
    holds_in_every_view(&mut browser, &run.page());

    let mut page = Page::open(&mut browser, &run.page(), DESK);
    page.unfold();
    assert_ne!(page.evaluate("document.title"), "taken");
    assert_eq!(page.count("script, img, iframe, object, embed, link"), 0, "the page is what it is by itself");
    let shown = page.evaluate("document.body.innerText");
    assert!(shown.as_str().unwrap().contains(ATTACK), "it is there to be read: {shown}");
    assert!(page.evaluate("document.querySelector('h1').textContent").as_str().unwrap().starts_with("Failed"));
}

#[test]
fn a_printed_page_holds_the_verdict_and_every_job() {
    let Some(mut browser) = Chromium::start() else { return };
    let run = Run::new(&["--fail", "l1:2"], "all-done", |records| records);
    let file = run.page().with_file_name("report.pdf");
    let mut page = Page::open(&mut browser, &run.page(), DESK);
    // How many results are doubtful, and so how long this box is, depends on how busy the machine is.
    page.evaluate("document.querySelectorAll('.doubts').forEach(box => box.remove())");
    page.print(&file);
    let Some(text) = text_of_pdf(&file) else { return };
    assert!(text.contains("Failed") && text.contains("1 of 12 jobs did not succeed"), "{text}");
    let pages = text.split_terminator('\u{c}').map(str::trim).collect::<Vec<_>>();
    assert!((1..=5).contains(&pages.len()), "{} pages: {text}", pages.len());
    assert!(pages.iter().all(|page| !page.is_empty()), "no page is empty: {text}");
    assert!(!text.contains("\"job_id\""), "bodies are not printed: {text}");
    for number in 1..=JOBS {
        assert!(text.contains(&format!("soak-{number:03}")), "soak-{number:03}: {text}");
    }
}
