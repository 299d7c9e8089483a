//! `report.html`: the figures of `report.md` and the chart of their differences; and hostile labels.

use std::fs;

use serde_json::json;

use crate::legs::{Leg, LegsOnDisk, in_turns, leg};
use crate::markup::{assert_accessible, links, visible_text};

/// The page and its Markdown, written beside the legs.
fn pages(legs: Vec<Leg>, flags: &[&str]) -> (String, String) {
    let disk = LegsOnDisk::write(legs);
    for leg in ["np-8.1", "np-4.1"] {
        // Some legs have a report with drawings, others have none.
        if disk.path("ab").join(leg).is_dir() {
            fs::write(disk.path("ab").join(leg).join("report.html"), "").unwrap();
        }
    }
    let out = disk.path("ab");
    let ran = disk.compare(&[&["--out", out.to_str().unwrap()], flags].concat());
    let page = fs::read_to_string(out.join("report.html")).unwrap();
    assert_accessible(&page);
    disk.compare(&[&["--out", out.to_str().unwrap()], flags].concat());
    assert_eq!(fs::read_to_string(out.join("report.html")).unwrap(), page, "two renderings are equal to the byte");
    (page, ran.stdout)
}

#[test]
fn a_setting_that_is_worse_says_so_first_and_is_drawn() {
    let (page, _) = pages(in_turns([20.0, 20.5, 19.5], [25.0, 24.5, 25.5]), &["--fail-if-worse", "5%"]);
    let text = visible_text(&page);
    let (_, first) = text.split_once("Worse np-4 against np-8 ").unwrap();
    for told in [
        "np-4 is worse than np-8: jobs per minute 9.60 instead of 12.0 (−20 %), end to end, median 25.0 s instead of 20.0 s",
        "Failed (fail if worse by 5 %)",
        "jobs per minute: ✕ worse −20 %; end to end, median: ✕ worse +25 %; end to end, mean: ✕ worse",
        "Work in stages Differences of np-4 against np-8: work in stagesl1, mean work: no difference shown: ±0.0 %",
        "Waiting for stages Differences of np-4 against np-8: waiting for stagesl1, mean wait: ✕ worse +28 %",
        "The line is the 90 % interval",
        "end to end, median20.0 s25.0 s+5.00 s (± 10 ms)1.25 (+25 %)+3.99 s to +6.01 sworse",
        "jobs succeeded36 of 3636 of 36",
        "to show a difference of 10 % in end to end, median: 3 legs of each",
    ] {
        assert!(first.contains(told), "{told:?} is not in {first}");
    }
    // By shape and by word.
    assert_eq!(page.matches("<path class=\"bad\"").count(), 5);
    assert_eq!(page.matches(">✕ worse ").count(), 5);
    assert_eq!(
        (page.matches("<circle class=\"hollow\"").count(), page.matches(">no difference shown").count()),
        (3, 3)
    );
    let links = links(&page);
    for path in ["np-8.1/report.html", "np-8.2/report.md", "np-4.1/report.html", "np-4.3/report.md"] {
        assert!(links.contains(&path), "{path}: {links:?}");
    }
}

#[test]
fn it_has_the_cells_of_the_tables_of_report_md() {
    for legs in [
        in_turns([20.0, 20.5, 19.5], [25.0, 24.5, 25.5]),
        vec![leg("np-8", 0, 20.0), leg("np-4", 1, 25.0).without("gpu.transitions"), leg("np-2", 2, 30.0)],
    ] {
        let (page, markdown) = pages(legs, &[]);
        let text = visible_text(&page);
        let rows = markdown.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| ---"));
        let mut cells = 0;
        for row in rows {
            for cell in row.replace('\\', "").split(" | ").map(|cell| cell.trim_matches(['|', ' '])) {
                let shown = cell.replace("**", "");
                let shown = shown.split_once("](").map_or(shown.as_str(), |(label, _)| label.trim_start_matches('['));
                assert!(text.contains(shown), "{shown:?} is not in {text}");
                cells += 1;
            }
        }
        assert!(cells > 80, "{cells}");
    }
}

#[test]
fn what_is_only_described_is_drawn_and_not_claimed() {
    let (page, _) = pages(vec![leg("np-8", 0, 20.0), leg("np-4", 1, 25.0).without("gpu.transitions")], &[]);
    let text = visible_text(&page);
    for told in [
        "Described np-4 against np-8 no claim is made about np-4 against np-8: 1 leg of np-8 and 1 leg of np-4",
        "end to end, median20.0 s25.0 s+5.00 s (± 10 ms)1.25 (+25 %)",
        "to show a difference of 10 % in end to end, median: not known",
        "np-4: no row was tested",
        "end to end, median: +25 %, not claimed",
        "A ring is a difference without a claim",
        "– not known",
        "GPU transitions: not in the report of np-4",
    ] {
        assert!(text.contains(told), "{told:?} is not in {text}");
    }
    for claimed in ["class=\"good\"", "class=\"bad\"", "✕", "✓"] {
        assert!(!page.contains(claimed), "{claimed}");
    }
}

#[test]
fn each_of_several_settings_has_its_own_sentence_and_drawing() {
    let (page, _) = pages(vec![leg("np-8", 0, 20.0), leg("np-4", 1, 25.0), leg("np-2", 2, 30.0)], &[]);
    let text = visible_text(&page);
    for told in [
        "Compared np-4, np-2 against np-8",
        "? Described: no claim is made about np-2",
        "end to end, median: +50 %, not claimed",
    ] {
        assert!(text.contains(told), "{told:?} is not in {text}");
    }
    let drawn = |index: usize| page.contains(&format!("<svg id=\"differences-{index}-0\""));
    assert!(drawn(0) && drawn(1) && !drawn(2));
}

#[test]
fn a_page_elsewhere_leads_to_the_legs_by_a_relative_way() {
    let disk = LegsOnDisk::write(vec![leg("np-8", 0, 20.0), leg("np-4", 1, 25.0)]);
    fs::write(disk.path("ab/np-8/report.html"), "").unwrap();
    let out = disk.path("other/comparison");
    let ran = disk.compare(&["--out", out.to_str().unwrap()]);
    let page = fs::read_to_string(out.join("report.html")).unwrap();
    let links: Vec<&str> = links(&page).into_iter().filter(|link| !link.starts_with('#')).collect();
    assert_eq!(links, ["../../ab/np-8/report.html", "../../ab/np-4/report.md"]);
    assert!(out.join(links[0]).is_file() && ran.stdout.contains("[np-8](../../ab/np-8/report.md)"), "{}", ran.stdout);
}

#[test]
fn a_difference_that_the_shown_digits_do_not_tell_is_zero_without_a_sign() {
    let mut other = leg("np-4", 1, 20.0);
    other.figures().insert("gpu.transitions".to_owned(), json!(13.97));
    let (page, markdown) = pages(vec![leg("np-8", 0, 20.0), other], &[]);
    assert!(markdown.contains("| GPU transitions | 14 | 14.0 | 0 (± "), "{markdown}");
    assert!(!visible_text(&page).contains("−0.0"), "{}", visible_text(&page));
}

#[test]
fn labels_and_names_are_text_and_nothing_else() {
    let hostile = "</title></svg><script>alert(1)</script>\"'<img src=x onerror=alert(1)>\u{202e}";
    let mut one = leg("np-8", 0, 20.0);
    one.label = "javascript:a\"<b>".to_owned();
    one.figures().insert(format!("stages.{hostile}.workMeanSeconds"), json!(1.0));
    let (page, _) = pages(vec![one, leg("c<i>", 1, 25.0)], &[]);
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;") && page.contains("c&lt;i&gt;"), "{page}");
    for raw in ["<script", "<img", "<b>\"", "<i>", "\u{202e}"] {
        assert!(!page.contains(raw), "{raw}");
    }
    let hrefs = links(&page);
    assert!(hrefs.contains(&"javascript%3Aa%22%3Cb%3E/report.md"), "{hrefs:?}");
    assert!(hrefs.iter().all(|href| !href.contains(':') && !href.starts_with('/')), "{hrefs:?}");
}
