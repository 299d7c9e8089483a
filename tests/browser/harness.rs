//! The harness itself: a page as it should be passes every check, and each check finds the fault that it is there to find.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::chromium::{Chromium, text_of_pdf};
use crate::page::{Page, VIEWS, View};

const GOOD: &str = r##"<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>A page as it should be</title>
<style>
  :root { color-scheme: light dark; --ink: #222; --paper: #fff; --bar: #cde }
  @media (prefers-color-scheme: dark) { :root { --ink: #ddd; --paper: #181818; --bar: #234 } }
  body { color: var(--ink); background: var(--paper) }
  a { color: inherit }
  .wide { overflow-x: auto }
  svg text { fill: var(--ink) }
</style></head><body>
<h1>Passed</h1><p>All <a href="#jobs">jobs</a> succeeded.</p>
<svg role="img" aria-label="One bar" viewBox="0 0 100 20" width="100"><rect width="100" height="20" fill="var(--bar)"/><text x="5" y="15">bar</text></svg>
<svg aria-hidden="true" width="5" height="5"><rect width="5" height="5"/></svg>
<h2 id="jobs">Jobs</h2>
<div class="wide"><table style="width: 900px"><thead><tr><th scope="col">Job</th></tr></thead><tbody><tr><td>soak-001</td></tr></tbody></table></div>
<details><summary>The body</summary><h3>Verbatim</h3><p><a href="#jobs">back</a></p></details>
</body></html>"##;

struct Files {
    dir: TempDir,
}

impl Files {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The good page with one thing changed.
    fn page(&self, from: &str, to: &str) -> PathBuf {
        assert!(GOOD.contains(from), "{from}");
        let file = self.path("page.html");
        fs::write(&file, GOOD.replacen(from, to, 1)).unwrap();
        file
    }
}

/// Everything that is wrong with a page in one view.
pub fn faults(browser: &mut Chromium, file: &Path, view: View) -> Vec<String> {
    let mut page = Page::open(browser, file, view);
    let mut found = page.walk();
    page.unfold();
    for check in ["document", "headings", "tables", "contrast", "overflow"] {
        found.extend(page.check(check));
    }
    found.extend(page.nameless_pictures());
    found.extend(page.complaints());
    found
}

const DESK: View = VIEWS[0];
const PHONE: View = VIEWS[1];
const NIGHT: View = VIEWS[2];

#[test]
fn a_page_as_it_should_be_passes_in_every_view() {
    let Some(mut browser) = Chromium::start() else { return };
    let files = Files::new();
    let file = files.page("", "");
    for view in VIEWS {
        let found = faults(&mut browser, &file, view);
        assert!(found.is_empty(), "{view:?}: {found:#?}");
    }
    let mut page = Page::open(&mut browser, &file, DESK);
    assert_eq!(page.count("tbody tr"), 1);
    page.print(&files.path("page.pdf"));
    if let Some(text) = text_of_pdf(&files.path("page.pdf")) {
        assert!(text.contains("Passed") && text.contains("soak-001"), "{text}");
    }
}

#[test]
fn each_check_finds_its_fault() {
    let Some(mut browser) = Chromium::start() else { return };
    let files = Files::new();
    let missing = format!("<img alt='a' src='file://{}'>", files.path("missing.png").display());
    let faulty = [
        (DESK, "<html lang=\"en\">", "<html>", "names no language"),
        (DESK, "<h3>Verbatim</h3>", "<h4>Verbatim</h4>", "follows a heading of level 2"),
        (DESK, "<h1>Passed</h1>", "", "0 headings of level 1"),
        (DESK, " scope=\"col\"", "", "has no scope"),
        (DESK, "<th scope=\"col\">Job</th>", "<td>Job</td>", "has no headers"),
        (DESK, " aria-label=\"One bar\"", "", "has no name"),
        (DESK, "--ink: #222", "--ink: #999", "on 255,255,255"),
        (NIGHT, "--ink: #ddd", "--ink: #555", "on 24,24,24"),
        (DESK, "fill=\"var(--bar)\"", "fill=\"#333\" pointer-events=\"none\"", "\"bar\" in <text"),
        (DESK, "<p>All", "<p style=\"opacity: .4\">All", "\"All\" in <p"),
        (DESK, "<p>All", "<p style=\"color: oklch(80% 0 0)\">All", "\"All\" in <p"),
        (PHONE, "overflow-x: auto", "overflow-x: visible", "wide in a window of 390"),
        (PHONE, "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">", "", "in a window of 390"),
        (DESK, "<summary>", "<summary tabindex=\"-1\">", "Tab reached 1 of 2"),
        (DESK, "<h2 id", "<a href=\"#\" tabindex=\"3\">first</a><h2 id", "Tab went to number 1, not 0"),
        (DESK, "a { color", "a { outline: none; color", "shows no focus"),
        (DESK, "</body>", "<script>console.error('oh')</script></body>", "console: \"error\""),
        (DESK, "</body>", "<script>throw new Error('oh')</script></body>", "exception: "),
        (
            DESK,
            "</body>",
            "<img alt='a' src='http://127.0.0.1:9/a.png'></body>",
            "request: \"http://127.0.0.1:9/a.png\"",
        ),
        (DESK, "</body>", missing.as_str(), "missing.png"),
    ];
    for (view, from, to, expected) in faulty {
        let found = faults(&mut browser, &files.page(from, to), view);
        assert!(found.iter().any(|fault| fault.contains(expected)), "{to}: {expected} is not in {found:#?}");
    }
}

#[test]
fn enter_unfolds_what_has_the_focus() {
    let Some(mut browser) = Chromium::start() else { return };
    let files = Files::new();
    let mut page = Page::open(&mut browser, &files.page("", ""), DESK);
    for _ in 0..2 {
        page.press("Tab");
    }
    assert_eq!(page.evaluate("document.activeElement.tagName"), "SUMMARY");
    page.press("Enter");
    assert_eq!(page.evaluate("document.querySelector('details').open"), true);
}

#[test]
fn what_a_page_executes_shows_in_its_title() {
    let Some(mut browser) = Chromium::start() else { return };
    let files = Files::new();
    for attack in ["<script>document.title = 'taken'</script>", "<img src=x onerror=\"document.title = 'taken'\">"] {
        let file = files.page("<p>All", &format!("{attack}<p>All"));
        assert_eq!(Page::open(&mut browser, &file, DESK).evaluate("document.title"), "taken", "{attack}");
    }
}
