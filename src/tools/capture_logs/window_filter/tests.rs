//! Whole texts in, exceptions out.

use std::io::BufWriter;

use proptest::prelude::*;

use super::*;
use crate::record::{Job, JobStatus};

fn window() -> Window {
    Window { start: "2026-05-20T22:30:00Z".parse().unwrap(), end: "2026-05-20T22:31:00Z".parse().unwrap() }
}

fn filter(log: impl AsRef<[u8]>) -> (LogSummary, Vec<u8>) {
    let job =
        |id: &str| Job { status: JobStatus { job_id: Some(id.into()), ..JobStatus::default() }, ..Job::default() };
    let jobs = JobIds::from_jobs(["379bb927167e", "c0ffee00c0de"].map(job).into_iter());
    let part = WindowFilter { window: window(), utc_offset: 0, jobs: &jobs };
    let file = tempfile::NamedTempFile::new().unwrap();
    let summary = part.run(log.as_ref(), &mut BufWriter::new(file.as_file())).unwrap();
    (summary, std::fs::read(file.path()).unwrap())
}

/// First line, job and number of lines of each exception.
fn found(log: &str) -> Vec<(String, Option<String>, usize)> {
    let (summary, _) = filter(log);
    assert_eq!(summary.count, summary.exceptions.len() as u64);
    let lines = |text: &Option<String>| text.as_ref().map_or(1, |text| text.lines().count());
    summary.exceptions.into_iter().map(|e| (e.first_line, e.job_id, lines(&e.traceback))).collect()
}

#[test]
fn a_record_and_its_chained_traceback_are_one_exception_with_its_job() {
    let log = "\
2026-05-20 22:30:00,500 INFO autorag.worker job=c0ffee00c0de stage=l1 done
2026-05-20 22:30:01,123 ERROR autorag.worker job=379bb927167e stage=l2 failed
Traceback (most recent call last):
  File \"a.py\", line 1, in run
    raise KeyError(1)
KeyError: 1

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File \"b.py\", line 2, in handle
    go()
    ^^^^
RuntimeError: out of memory
on device 0
2026-05-20 22:30:02,000 INFO autorag.worker job=c0ffee00c0de stage=l2 done
";
    let (summary, kept) = filter(log);
    let exception = &summary.exceptions[0];
    assert_eq!(summary.count, 1);
    assert_eq!(exception.first_line, "2026-05-20 22:30:01,123 ERROR autorag.worker job=379bb927167e stage=l2 failed");
    assert_eq!(exception.job_id.as_deref(), Some("379bb927167e"));
    assert_eq!(exception.at.unwrap().to_string(), "2026-05-20T22:30:01.123000Z");
    let text = exception.traceback.as_ref().unwrap();
    assert!(
        text.starts_with(&exception.first_line) && text.ends_with("RuntimeError: out of memory\non device 0"),
        "{text}"
    );
    assert_eq!((summary.lines, kept.len()), (16, log.len()));
}

#[test]
fn tracebacks_without_records_stand_alone_and_are_called_by_their_exception() {
    let one = "Traceback (most recent call last):\n  File \"a.py\", line 1, in f\nValueError: x\n";
    let log = format!(
        "{one}job 379bb927167e is next\n{one}\nThe above exception was the direct cause of the following exception:\n\n{one}done\n"
    );
    let expected = ("ValueError: x".to_owned(), None);
    let found = found(&log);
    assert_eq!(
        found.iter().map(|(first, job, _)| (first.clone(), job.clone())).collect::<Vec<_>>(),
        [expected.clone(), expected]
    );
    assert_eq!(found.iter().map(|(.., lines)| *lines).collect::<Vec<_>>(), [3, 9]);
}

#[test]
fn a_warning_belongs_to_its_traceback_and_information_does_not() {
    let trace = "Traceback (most recent call last):\n  File \"a.py\", line 1, in f\nValueError: x\n";
    let warned = format!("2026-05-20 22:30:01,123 WARNING w job=379bb927167e retried\n{trace}");
    assert_eq!(found(&warned)[0].1.as_deref(), Some("379bb927167e"));
    let informed = format!("2026-05-20 22:30:01,123 INFO w job=379bb927167e done\n{trace}");
    assert_eq!(found(&informed), [("ValueError: x".to_owned(), None, 3)]);
    // A second traceback that no sentence joins to the first is another exception.
    assert_eq!(found(&format!("2026-05-20 22:30:01,123 ERROR w x\n{trace}{trace}")).len(), 2);
}

#[test]
fn a_group_of_exceptions_is_one() {
    let log = "\
  + Exception Group Traceback (most recent call last):
  |   File \"a.py\", line 3, in <module>
  | ExceptionGroup: two (2 sub-exceptions)
  +-+---------------- 1 ----------------
    | Traceback (most recent call last):
    |   File \"a.py\", line 1, in f
    | ValueError: 1
    +---------------- 2 ----------------
    | TypeError: job c0ffee00c0de
    +------------------------------------
after
";
    assert_eq!(
        found(log),
        [("ExceptionGroup: two (2 sub-exceptions)".to_owned(), Some("c0ffee00c0de".to_owned()), 10)]
    );
}

#[test]
fn panics_and_stack_traces_of_other_languages_are_found() {
    let log = "\
starting
thread 'main' panicked at src/main.rs:2:5:
index out of bounds
note: run with `RUST_BACKTRACE=1`
then
thread 'w' (77) panicked at 'boom', src/x.rs:1:1
stack backtrace:
   0: std::panicking

Exception in thread \"main\" java.lang.IllegalStateException: job 379bb927167e
\tat a.b.C.run(C.java:10)
Caused by: java.io.IOException: pipe
\tat a.b.D.go(D.java:7)
\t... 3 more
TypeError: x is not a function
    at Object.<anonymous> (/app/x.js:1:2)
Fatal Python error: Segmentation fault
";
    let firsts: Vec<(String, usize)> = found(log).into_iter().map(|(first, _, lines)| (first, lines)).collect();
    let expected = [
        ("thread 'main' panicked at src/main.rs:2:5:", 3),
        ("thread 'w' (77) panicked at 'boom', src/x.rs:1:1", 3),
        ("Exception in thread \"main\" java.lang.IllegalStateException: job 379bb927167e", 5),
        ("TypeError: x is not a function", 2),
        ("Fatal Python error: Segmentation fault", 1),
    ];
    assert_eq!(firsts, expected.map(|(first, lines)| (first.to_owned(), lines)));
}

#[test]
fn containers_colours_and_json_are_looked_through_and_kept() {
    let log = "\
w-1  | 2026-05-20T22:30:01.000000001Z \x1b[31m2026-05-21 00:30:01,123 ERROR w job=379bb927167e failed\x1b[0m
w-1  | 2026-05-20T22:30:01.000000002Z Traceback (most recent call last):
w-1  | 2026-05-20T22:30:01.000000003Z   File \"a.py\", line 1, in f
w-1  | 2026-05-20T22:30:01.000000004Z ValueError: x
w-1  | 2026-05-20T22:30:02.000000004Z {\"level\":\"critical\",\"message\":\"c0ffee00c0de lost\",\"exc_info\":\"Traceback (most recent call last):\\nE: y\"}
";
    let (summary, kept) = filter(log);
    assert_eq!((summary.count, kept), (2, log.as_bytes().to_vec()));
    assert_eq!(summary.exceptions[0].traceback.as_ref().unwrap().lines().last(), Some("ValueError: x"));
    assert_eq!(summary.exceptions[1].first_line, "c0ffee00c0de lost");
    assert_eq!(summary.exceptions[1].job_id.as_deref(), Some("c0ffee00c0de"));
}

#[test]
fn only_the_window_is_kept_and_a_line_without_a_time_goes_with_the_one_before() {
    let log = "\
2026-05-20 22:29:59,999 ERROR w too early
of the early one
2026-05-20 22:30:00,000 INFO w first
of the first
2026-05-20 22:31:00,000 INFO w last
2026-05-20 22:31:00,001 ERROR w too late
of the late one";
    let (summary, kept) = filter(log);
    assert_eq!(String::from_utf8(kept).unwrap(), log.split_inclusive('\n').skip(2).take(3).collect::<String>());
    assert_eq!((summary.lines, summary.read, summary.count), (3, 7, 0));
    assert_eq!(summary.kept, Some(window()));
}

#[test]
fn lines_before_the_first_time_go_with_it() {
    let early =
        "Traceback (most recent call last):\nE: x\n2026-05-20 22:29:00,000 INFO w\n2026-05-20 22:30:00,000 INFO w\n";
    assert_eq!((filter(early).0.lines, filter(early).0.count, filter(early).1.len()), (1, 0, 31));
    let inside = "banner\n2026-05-20 22:30:00,000 INFO w\n";
    assert_eq!((filter(inside).0.lines, filter(inside).1.len()), (2, inside.len()));
    let (undated, kept) = filter("no\ntimes\n");
    assert_eq!((undated.lines, undated.seen, kept.len()), (2, None, 9));
}

#[test]
fn ten_thousand_exceptions_are_counted_and_a_thousand_listed() {
    let one = format!("2026-05-20 22:30:01,000 ERROR w {}\n", "x".repeat(100));
    let (summary, _) = filter(one.repeat(10_000));
    assert_eq!((summary.count, summary.exceptions.len()), (10_000, 1000));
}

#[test]
fn an_endless_traceback_keeps_its_beginning_and_its_name() {
    let frames = "  File \"a.py\", line 1, in f\n    f()\n".repeat(10_000);
    let (summary, _) = filter(format!("Traceback (most recent call last):\n{frames}RecursionError: deep\n"));
    let text = summary.exceptions[0].traceback.as_ref().unwrap();
    assert!(text.len() < 70_000 && text.ends_with("\n…\nRecursionError: deep"), "{}", text.len());
    assert_eq!(summary.exceptions[0].first_line, "RecursionError: deep");
}

proptest! {
    #[test]
    fn no_bytes_panic_and_an_undated_log_is_kept_to_the_byte(log in proptest::collection::vec(any::<u8>(), 0..2000)) {
        let (summary, kept) = filter(&log);
        prop_assume!(summary.seen.is_none());
        prop_assert_eq!(kept, log);
    }

    #[test]
    fn lines_of_logs_in_any_order_never_lose_a_line_of_the_window(
        picks in proptest::collection::vec(0..8usize, 0..40)
    ) {
        const LINES: [&str; 8] = [
            "2026-05-20 22:30:01,000 ERROR w x", "2026-05-20 22:30:02,000 INFO w x", "Traceback (most recent call last):",
            "  File \"a\"", "E: x", "\tat a.b(C.java:1)", "During handling of the above exception, another exception occurred:", "",
        ];
        let log: String = picks.iter().flat_map(|pick| [LINES[*pick], "\n"]).collect();
        let (summary, kept) = filter(&log);
        prop_assert_eq!(String::from_utf8(kept).unwrap(), log);
        let grave = picks.iter().filter(|pick| **pick == 0).count() as u64;
        prop_assert!(summary.count >= grave);
        let something = picks.iter().any(|pick| [0, 2, 5].contains(pick));
        prop_assert_eq!(summary.count > 0, something);
    }
}

/// A line of more than two MiB around `inside`.
fn huge(before: &str, inside: &str) -> String {
    format!("{before}{}{inside}", "x ".repeat(1 << 20))
}

#[test]
fn text_beyond_the_first_mebibyte_of_a_line_counts() {
    let frames = "  File \"a.py\", line 1, in f\nValueError: 379bb927167e\n";
    let json = |level: &str| {
        huge("{\"time\":\"2026-05-20T22:30:01Z\",\"message\":\"", &format!("\",\"level\":\"{level}\"}}\n"))
    };
    for (log, count) in [
        (huge("", &format!("Traceback (most recent call last):\n{frames}")), 1),
        (huge("", "2026-05-20 22:30:02,000 ERROR w job=379bb927167e\n"), 1),
        (huge("2026-05-20 22:30:01,000 INFO w ", "thread 'main' panicked at a.rs:1:1:\nboom 379bb927167e\n"), 1),
        (json("error"), 1),
        (json("info"), 0),
        (huge("2026-05-20 22:30:01,000 INFO w ", "0 errors\n"), 0),
        (
            huge(
                "{\"level\":\"info\",\"message\":\"",
                &format!("Traceback (most recent call last):\n{frames}").replace('"', "\\\"").replace('\n', "\\n"),
            ) + "\"}\n",
            1,
        ),
        (huge("2026-05-20 22:30:01,000 ERROR w ", "job=379bb927167e 2026-05-20 22:30:02,000 ERROR again\n"), 1),
    ] {
        let (summary, kept) = filter(&log);
        let shown = (&log[..60], &log[log.len() - 60..]);
        assert_eq!((summary.count, kept.len()), (count, log.len()), "{shown:?}");
        if log.contains("379bb927167e") {
            assert_eq!(summary.exceptions[0].job_id.as_deref(), Some("379bb927167e"), "{shown:?}");
        }
    }
}

#[test]
fn a_bar_of_many_updates_is_looked_through_and_kept() {
    let update = |k: usize| format!("\r {:3}%|{}| {k}/2000", k / 20, "█".repeat(k / 20 % 20));
    let bar = (0..2_000).map(update).collect::<Vec<_>>().concat();
    let log = [
        b"2026-05-20 22:30:01,000 INFO w x\n",
        bar.as_bytes(),
        b"\xe2\x96 Traceback (most recent call last):\n  File \"a\", line 1\nE: y\n",
    ]
    .concat();
    let (summary, kept) = filter(&log);
    assert_eq!((summary.count, summary.lines, summary.exceptions[0].first_line.as_str()), (1, 4, "E: y"));
    assert_eq!(kept, log);
}

#[test]
fn lines_of_several_sources_do_not_end_each_others_exceptions() {
    let lines = |source: u32, error: &str| {
        ["Traceback (most recent call last):", "  File \"a.py\", line 1, in f", "    f()", error]
            .map(|line| format!("w-{source}  | 2026-05-20T22:30:01.000000001Z {line}\n"))
    };
    let log: String =
        lines(1, "KeyError: 1").into_iter().zip(lines(2, "ValueError: 2")).flat_map(|(a, b)| [a, b]).collect();
    let firsts: Vec<_> = found(&log).into_iter().map(|(first, _, lines)| (first, lines)).collect();
    assert_eq!(firsts, [("KeyError: 1".to_owned(), 4), ("ValueError: 2".to_owned(), 4)]);
}

#[test]
fn the_pieces_of_a_long_line_that_the_runtime_cut_are_one_line() {
    let piece = |flag: &str, text: &str| format!("2026-05-20T22:30:01.000000001Z stderr {flag} {text}\n");
    let filler: String = std::iter::repeat_n(piece("P", &"x ".repeat(8000)), 400).collect();
    let json = piece("P", "{\"level\":\"error\",\"message\":\"") + &filler + &piece("F", "job 379bb927167e\"}");
    let trace = ["Traceback (most recent call last):", "  File \"a\", line 1, in f", "ValueError: y"]
        .map(|line| piece("F", line));
    for (log, first) in [(json + &piece("F", "next"), "x x "), (filler.clone() + &trace.concat(), "ValueError: y")] {
        let (summary, kept) = filter(&log);
        assert_eq!((summary.count, kept.len()), (1, log.len()));
        assert!(summary.exceptions[0].first_line.starts_with(first), "{}", &summary.exceptions[0].first_line[..40]);
    }
}
