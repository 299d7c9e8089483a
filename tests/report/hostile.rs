//! Text from the target must not become markup, a formula or a control sequence.

use crate::support::{Scratch, good, job, tool};

const NASTY: &str = r"<script>alert(1)</script>|`x`[a](javascript:b)\u001b[31m\n# head\u202e";

fn nasty_lines() -> Vec<String> {
    let run = good()[0].replace("\"scenario\":\"soak\"", &format!("\"scenario\":\"{NASTY}\"")).replace("l0", NASTY);
    let status = format!(
        r#"{{"phase":"Failed","reason":"{NASTY}","message":"{NASTY}","jobId":"=cmd|' /C calc'!A0","flags":["{NASTY}"],"stages":[{{"name":"{NASTY}","state":"{NASTY}"}},{{"name":"+SUM(A1)","phase":"Failed"}}]}}"#
    );
    vec![run, job(NASTY, &status), job("=cmd()", &status.replace("=cmd|", "@cmd|"))]
}

/// Each line of `text` outside of code and links has no markup but our own.
fn assert_tame(text: &str) {
    for forbidden in ["<script>", "</script>", "\u{1b}", "\u{202e}", "](javascript", "\n# head"] {
        assert!(!text.contains(forbidden), "{forbidden:?} in {text}");
    }
    let mut columns = None;
    for line in text.lines() {
        let separators = line.replace("\\|", "").matches('|').count();
        match columns {
            Some(expected) if line.starts_with('|') => assert_eq!(separators, expected, "{line}"),
            _ => columns = line.starts_with('|').then_some(separators),
        }
        if !line.starts_with('|') {
            columns = None;
        }
    }
}

#[test]
fn nothing_hostile_reaches_page_table_or_terminal() {
    let scratch = Scratch::new();
    let ran = scratch.report(&nasty_lines(), &["--expect", "all-done,all-stages"]);
    assert_eq!(ran.code, 3);
    assert_tame(&scratch.read("report.md"));
    assert!(scratch.read("report.md").contains("&lt;script&gt;"), "the text itself is there to be read");
    assert!(!ran.stderr.contains('\u{1b}') && !ran.stderr.contains('\u{202e}'), "{}", ran.stderr);
    let mut cells = 0;
    for table in ["jobs.csv", "stages.csv"] {
        let text = scratch.read(table);
        for row in csv::Reader::from_reader(text.as_bytes()).records() {
            for cell in &row.unwrap() {
                assert!(!cell.starts_with(['=', '+', '-', '@']), "{cell}");
                cells += usize::from(cell.starts_with("'=cmd") || cell.starts_with("'@cmd") || cell == "'+SUM(A1)");
            }
        }
    }
    assert!(cells >= 5, "{cells} formulas were disarmed");
}

#[test]
fn an_index_is_no_safer_place_for_it() {
    let scratch = Scratch::new();
    scratch.report(&nasty_lines(), &[]);
    let root = scratch.path().display().to_string();
    let ran = tool(&["--index", &root], std::io::empty());
    assert_eq!(ran.code, 3);
    assert_tame(&std::fs::read_to_string(scratch.path().join("report.md")).unwrap());
    assert!(!ran.stderr.contains('\u{1b}'), "{}", ran.stderr);
}

#[test]
fn neither_are_the_labels_of_a_ramp() {
    let scratch = Scratch::new();
    let labels = format!(r#""labels":{{"scenario":"ramp","level":"{NASTY}","levels":"4 <b> {NASTY}"}}"#);
    let run = good()[0].replace(r#""labels":{"scenario":"soak"}"#, &labels);
    scratch.report(&[vec![run], good()[1..].to_vec()].concat(), &[]);
    let ran = tool(&["--index", &scratch.path().display().to_string()], std::io::empty());
    assert_eq!(ran.code, 4, "level 4 was not run");
    let page = std::fs::read_to_string(scratch.path().join("report.md")).unwrap();
    assert_tame(&page);
    assert!(page.contains("| &lt;b&gt; | not run |"), "{page}");
    assert!(!page.contains("<b>") && !ran.stderr.contains('\u{1b}'), "{page}{}", ran.stderr);
}
