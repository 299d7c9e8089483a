//! The page, to the letter, and hostile labels.

use std::fs;

use serde_json::{Value, json};

use crate::legs::{LegsOnDisk, compared, in_turns, leg};

#[test]
fn two_legs_make_this_page() {
    let four = leg("np-4", 1, 25.0).without("gpu.transitions");
    let disk = LegsOnDisk::write(vec![leg("np-8", 0, 20.0), four]);
    let ran = disk.compare(&[]);
    let place = disk.path("ab").display().to_string();
    let expected = r"# Comparison: np-8 and np-4

**Described**: no claim is made about np-4 against np-8: 1 leg of np-8 and 1 leg of np-4: it takes 3 of each, interleaved, to tell a difference from chance.

## Side by side

| Figure | np-8 | np-4 | Difference | Ratio |
| --- | ---: | ---: | ---: | ---: |
| jobs succeeded | 12 of 12 | 12 of 12 | – | – |
| **jobs per minute** | 12.0 | 9.60 | −2.40 (± 0.002) | 0.80 (−20 %) |
| **end to end, median** | 20.0 s | 25.0 s | +5.00 s (± 10 ms) | 1.25 (+25 %) |
| end to end, mean | 20.0 s | 25.0 s | +5.00 s (± 10 ms) | 1.25 (+25 %) |
| end to end, max | 30.0 s | 37.5 s | +7.50 s (± 10 ms) | 1.25 (+25 %) |
| l1, mean work | 2.00 s | 2.00 s | 0 s | 1.00 (±0.0 %) |
| l1, mean wait | 18.0 s | 23.0 s | +5.00 s | 1.28 (+28 %) |
| GPU transitions | 14 | – | – | – |
| queue stage.l1, highest depth | 4 | 4 | 0 (± 1) | 1.00 (±0.0 %) |

Each figure is the mean over the setting's legs; differences and ratios are against np-8. In brackets: the error of the difference that polling or scraping can cause. Lower is better, except for jobs per minute.

A dash is a figure that is not known:

- GPU transitions: not in the report of np-4: no query of transitions returned one, or its capture ended before the last job did

## What these legs can show

- np-4: no row was tested, so any difference may be chance.
- np-4: to show a difference of 10 % in jobs per minute: not known: one leg of each does not show how far legs spread.
- np-4: to show a difference of 10 % in end to end, median: not known: one leg of each does not show how far legs spread.

## Legs

| Leg | Started (UTC) | Verdict | Jobs | Jobs per minute | End to end, median | Directory |
| --- | --- | --- | --- | ---: | ---: | --- |
| np-8 | 2026-05-20T22:00:00.000000Z | **Passed** | 12 of 12 succeeded | 12.0 | 20.0 s | ab/np-8 |
| np-4 | 2026-05-20T22:01:00.000000Z | **Passed** | 12 of 12 succeeded | 9.60 | 25.0 s | ab/np-4 |
";
    assert_eq!((ran.code, ran.stdout.replace(&place, "ab")), (0, expected.to_owned()), "{}", ran.stderr);
}

#[test]
fn a_row_that_was_tested_has_an_interval_and_a_word() {
    let page = LegsOnDisk::write(in_turns([20.0, 20.5, 19.5], [25.0, 24.5, 25.5])).compare(&[]).stdout;
    for line in [
        "**Worse**: np-4 is worse than np-8: jobs per minute 9.60 instead of 12.0 (−20 %), end to end, median 25.0 s instead \
         of 20.0 s (+25 %).",
        "| Figure | np-8 | np-4 | Difference | Ratio | 90 % interval | Legs show |",
        "| **end to end, median** | 20.0 s | 25.0 s | +5.00 s (± 10 ms) | 1.25 (+25 %) | +3.99 s to +6.01 s | **worse** |",
        "| l1, mean work | 2.00 s | 2.00 s | 0 s | 1.00 (±0.0 %) | 0 s to 0 s | no difference |",
        "- np-4: to show a difference of 10 % in end to end, median: 3 legs of each.",
    ] {
        assert!(page.lines().any(|held| held == line), "{line}\n{page}");
    }
    assert!(page.contains("up to 0.8 of them would be called better or worse by chance"), "{page}");
}

#[test]
fn labels_and_names_are_text_and_nothing_else() {
    let hostile = "<script>|`x`[a](b)\n# h";
    let mut one = leg("np-8", 0, 20.0);
    one.label = "a|<b>".to_owned();
    one.figures().insert(format!("stages.{hostile}.workMeanSeconds"), json!(1.0));
    one.figures().insert(format!("queues.{hostile}.readyMax"), json!(1.0));
    let disk = LegsOnDisk::write(vec![one, leg("c", 1, 25.0)]);
    let ran = disk.compare(&["--out", disk.path("ab").to_str().unwrap()]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    for raw in ["<script>", "<b>", "\n# h", "[a](b)", "`x`"] {
        assert!(!ran.stdout.contains(raw), "{raw}: {}", ran.stdout);
    }
    assert!(ran.stdout.contains("[a\\|&lt;b&gt;](a%7C%3Cb%3E/report.md)"), "{}", ran.stdout);
    let columns = |line: &str| line.replace("\\|", "").matches('|').count();
    let table: Vec<&str> = ran.stdout.lines().filter(|line| line.starts_with("| ")).collect();
    assert!(table.iter().all(|line| [6, 8].contains(&columns(line))), "{table:#?}");
}

#[test]
fn the_files_say_what_stdout_says_and_fit_the_schema() {
    let disk = LegsOnDisk::write(in_turns([20.0, 20.5, 19.5], [25.0, 24.5, 25.5]));
    let out = disk.path("comparison");
    let flags = ["--out", out.to_str().unwrap(), "--fail-if-worse", "5%", "--allow-different", "jobs,stages"];
    let ran = disk.compare(&flags);
    assert_eq!(fs::read_to_string(out.join("report.md")).unwrap(), ran.stdout);
    let json = disk.compare(&[&flags[..], &["--json"]].concat());
    assert_eq!((json.code, fs::read_to_string(out.join("comparison.json")).unwrap()), (3, json.stdout.clone()));
    assert_eq!(fs::read_dir(&out).unwrap().count(), 3, "no temporary file is left");
    let comparison: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!((&comparison["apiVersion"], &comparison["kind"]), (&json!("stress/v1"), &json!("Comparison")));
    let spec = json!({"levelPercent": 5.0, "allowDifferent": ["jobs", "stages"], "failIfWorsePercent": 5.0});
    assert_eq!(comparison["spec"], spec);
    assert_eq!(comparison["status"]["gate"]["verdict"], "Failed");
    let schema = fs::read_to_string(crate::standin::root().join("docs/schema/comparison.json")).unwrap();
    let validator = jsonschema::validator_for(&serde_json::from_str(&schema).unwrap()).unwrap();
    let described = compared(vec![leg("np-8", 0, 20.0), leg("np-4", 1, 25.0).without("gpu.transitions")]);
    for comparison in [&comparison, &described] {
        let errors: Vec<_> = validator.iter_errors(comparison).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{errors:?}");
        assert!(!comparison.to_string().contains("null"), "absent means not observed");
    }
    assert!(!validator.is_valid(&json!({"apiVersion": "stress/v1", "kind": "Comparison"})));
}
