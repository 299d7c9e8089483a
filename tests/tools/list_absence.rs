//! Lists that shift, repeat themselves, have no end, or are broken: none of that ends a job.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use stress_suite::tools::render_report;

use crate::lists::{BY_OFFSET, Rig, page, query, status};
use crate::server::{Reply, Request};
use crate::support::tool;

/// A server's answers.
type Answer = Box<dyn Fn(&Request) -> Reply + Send + Sync>;

const BY_PAGE: &str = "path = \"/jobs?page={page}\"\nat = [\"/jobs\"]\n";
const ONE_PAGE: &str = "path = \"/jobs\"\nat = [\"/jobs\"]\n";

/// A list of `others`, `c` and `x`, two on a page, whose first entry leaves it whenever the first page was read, so that `c`
/// moves from the second page to the first and no page shows it.
fn shifting(passes: &AtomicUsize, request: &Request) -> Reply {
    let is_first = query(request, "offset") == Some("0");
    let pass = if is_first { passes.fetch_add(1, SeqCst) } else { passes.load(SeqCst) };
    let (other, next) = (format!("o{pass}"), format!("o{}", pass + 1));
    Reply::json(if is_first {
        json!({"jobs": page(&[(&other, "running"), (&next, "running")]), "total": 4}).to_string()
    } else {
        json!({"jobs": page(&[("x", "running")]), "total": 3}).to_string()
    })
}

fn seconds(began: Instant) -> f64 {
    began.elapsed().as_secs_f64()
}

#[test]
fn a_job_that_every_shifting_list_skips_is_neither_gone_nor_lost() {
    let (passes, began) = (AtomicUsize::new(0), Mutex::new(None));
    let rig = Rig::new("gone = \"done\"", BY_OFFSET, move |request| {
        let began = *began.lock().unwrap().get_or_insert_with(Instant::now);
        match began.elapsed() {
            at if at < Duration::from_millis(200) => two(request, &[("x", "running"), ("c", "running")]),
            at if at < Duration::from_millis(2500) => shifting(&passes, request),
            _ => two(request, &[("x", "done"), ("c", "failed")]),
        }
    });
    let c = status(&rig.poll(&["c"], &["--lost-after", "0s"]), "c");
    assert_eq!((&c["phase"], &c["flags"]), (&json!("Failed"), &Value::Null), "{c}");
    assert!(rig.requests("/jobs").len() > 8, "several lists in a row skipped it");

    let passes = AtomicUsize::new(0);
    let rig = Rig::new("", BY_OFFSET, move |request| shifting(&passes, request));
    let never = status(&rig.poll(&["c"], &["--lost-after", "0s", "--deadline", "1500ms"]), "c");
    assert_eq!(never["phase"], "TimedOut", "{never}");
    assert!(never["message"].as_str().unwrap().contains("may have skipped it"), "{never}");
}

fn two(request: &Request, jobs: &[(&str, &str)]) -> Reply {
    let jobs = if query(request, "offset") == Some("0") { page(jobs) } else { json!([]) };
    Reply::json(json!({"jobs": jobs, "total": 2}).to_string())
}

#[test]
fn a_list_of_several_pages_shows_an_absence_once_the_next_one_has_all_of_its_entries() {
    let passes = AtomicUsize::new(0);
    let rig = Rig::new("gone = \"done\"", BY_OFFSET, move |request| {
        let is_first = query(request, "offset") == Some("0");
        let pass = if is_first { passes.fetch_add(1, SeqCst) } else { passes.load(SeqCst) };
        let first = if pass < 2 { [("a", "running"), ("x", "running")] } else { [("w", "running"), ("x", "running")] };
        let jobs = if is_first { page(&first) } else { page(&[("y", "running")]) };
        Reply::json(json!({"jobs": jobs, "total": 3}).to_string())
    });
    let a = status(&rig.poll(&["a"], &[]), "a");
    assert_eq!((&a["phase"], &a["flags"]), (&json!("Succeeded"), &json!(["GoneIsDone"])), "{a}");
}

#[test]
fn a_job_that_comes_back_after_its_absence_is_flagged_and_the_verdict_is_incomplete() {
    let began = Mutex::new(None);
    let rig = Rig::new("gone = \"done\"", ONE_PAGE, move |_| {
        let began = *began.lock().unwrap().get_or_insert_with(Instant::now);
        let jobs = match seconds(began) {
            at if at < 0.3 => page(&[("a", "running"), ("b", "running")]),
            at if at < 2.0 => page(&[("b", "running")]),
            at if at < 2.6 => page(&[("a", "running"), ("b", "running")]),
            _ => page(&[("a", "done"), ("b", "done")]),
        };
        Reply::json(json!({"jobs": jobs}).to_string())
    });
    let ran = rig.poll(&["a", "b"], &[]);
    let a = status(&ran, "a");
    assert_eq!((&a["phase"], &a["flags"]), (&json!("Succeeded"), &json!(["GoneIsDone", "CameBack"])), "{a}");
    assert!(a["message"].as_str().unwrap().contains("a later list called it \"running\""), "{a}");
    assert!(ran.stderr.contains("a: it ended by its absence"), "{}", ran.stderr);
    let out = rig.dir.path().join("out");
    let report = tool(render_report::run, &["--out", out.to_str().unwrap(), "--expect", "all-done"], &ran.stdout);
    let markdown = std::fs::read_to_string(out.join("report.md")).unwrap();
    assert_eq!(report.code, 4, "{}\n{markdown}", report.stderr);
    assert!(markdown.contains("ended by their absence from a list, and listed again later: a"), "{markdown}");
}

#[test]
fn a_list_without_an_end_is_left_and_holds_no_deadline_up() {
    let count = AtomicUsize::new(0);
    let same = |_: &Request| Reply::json(json!({"jobs": page(&[("a", "running")])}).to_string());
    let cursor = move |_: &Request| {
        let cursor = count.fetch_add(1, SeqCst) + 1;
        Reply::json(json!({"jobs": page(&[("a", "running")]), "cursor": cursor}).to_string())
    };
    let new = |request: &Request| {
        let other = format!("o{}", query(request, "page").unwrap());
        let jobs = page(&[("a", "running"), (&other, "running")]);
        std::thread::sleep(Duration::from_millis(2));
        Reply::json(json!({"jobs": jobs}).to_string())
    };
    let by_cursor = "path = \"/jobs?c={next}\"\nat = [\"/jobs\"]\nnext = [\"/cursor\"]\n";
    let cases: [(&str, Answer, &str); 3] = [
        (BY_PAGE, Box::new(same), "the last 3 pages brought no new entry"),
        (by_cursor, Box::new(cursor), "the last 3 pages brought no new entry"),
        (BY_PAGE, Box::new(new), "the list was not read to its end by then: page "),
    ];
    for (list, answer, part) in cases {
        let rig = Rig::new("gone = \"done\"", list, answer);
        let began = Instant::now();
        let ran = rig.poll(&["a", "c"], &["--deadline", "1s", "--lost-after", "0s"]);
        assert!(seconds(began) < 8.0, "{list}: {} s", seconds(began));
        let c = status(&ran, "c");
        assert_eq!((&c["phase"], &status(&ran, "a")["phase"]), (&json!("TimedOut"), &json!("TimedOut")), "{c}");
        let message = c["message"].as_str().unwrap();
        assert!(message.starts_with("was not seen to end within") && message.contains(part), "{part}: {c}");
    }
}

#[test]
fn a_page_that_hangs_at_the_deadline_is_named() {
    let rig = Rig::new("", BY_OFFSET, |request| match query(request, "offset") {
        Some("0") => Reply::json(json!({"jobs": page(&[("a", "running")]), "total": 2}).to_string()),
        _ => Reply::Hang,
    });
    let began = Instant::now();
    // The first page has to come before the deadline, on a busy machine too; the timeout must not have to pass.
    let a = status(&rig.poll(&["a"], &["--deadline", "3s", "--timeout", "60s"]), "a");
    assert!(seconds(began) < 50.0);
    let message = a["message"].as_str().unwrap();
    assert!(message.starts_with("was not seen to end within 3.00 s;"), "{a}");
    assert!(message.contains("page 2, GET ") && message.contains("/jobs?offset=1"), "{a}");
}

#[test]
fn an_entry_without_an_id_spoils_no_other_entry_and_the_list_shows_no_absence() {
    let rig = Rig::new("gone = \"done\"", ONE_PAGE, |_| {
        Reply::json(r#"{"jobs":[null,{"state":"failed"},{"id":"a","state":"done"}]}"#)
    });
    let ran = rig.poll(&["a", "c"], &["--deadline", "1500ms", "--lost-after", "0s"]);
    let c = status(&ran, "c");
    assert_eq!((&status(&ran, "a")["phase"], &c["phase"]), (&json!("Succeeded"), &json!("TimedOut")), "{c}");
    assert!(c["message"].as_str().unwrap().contains("no id at /id in the entry null and in 1 more"), "{c}");
}

#[test]
fn an_error_or_null_in_place_of_the_list_is_no_empty_list_unless_the_profile_says_so() {
    let when = "when = [{ at = \"/error\", exists = false }]\n";
    let coded = "when = [{ at = \"/error/code\", is = 0 }]\n";
    let total = "total = [\"/total\"]\npath = \"/jobs?offset={offset}\"\nat = [\"/jobs\"]\n";
    for (list, empty, phase, part) in [
        (format!("{ONE_PAGE}{when}"), r#"{"error":"overloaded","jobs":[]}"#, "TimedOut", "/error in poll.list.when"),
        (ONE_PAGE.to_owned(), r#"{"error":"overloaded","jobs":[]}"#, "TimedOut", "names an error, `error`"),
        (ONE_PAGE.to_owned(), r#"{"errors":[{"code":7}],"jobs":[]}"#, "TimedOut", "names an error, `errors`"),
        (ONE_PAGE.to_owned(), r#"{"error":null,"errors":[],"jobs":[]}"#, "Succeeded", ""),
        (format!("{ONE_PAGE}{coded}"), r#"{"error":{"code":0,"text":"Success"},"jobs":[]}"#, "Succeeded", ""),
        (ONE_PAGE.to_owned(), r#"{"jobs":null}"#, "TimedOut", "null at /jobs is neither a list nor"),
        (format!("{ONE_PAGE}{when}"), r#"{"jobs":null}"#, "Succeeded", ""),
        (total.to_owned(), r#"{"jobs":null,"total":1}"#, "TimedOut", "null at /jobs is neither a list nor"),
        (total.to_owned(), r#"{"jobs":null,"total":0}"#, "Succeeded", ""),
    ] {
        let count = AtomicUsize::new(0);
        let rig = Rig::new("gone = \"done\"", &list, move |_| match count.fetch_add(1, SeqCst) {
            0 if empty.contains("Success") => Reply::json(empty.replace("[]", r#"[{"id":"a","state":"running"}]"#)),
            0 => Reply::json(json!({"jobs": page(&[("a", "running")]), "total": 1}).to_string()),
            _ => Reply::json(empty),
        });
        let a = status(&rig.poll(&["a"], &["--deadline", "3s"]), "a");
        assert_eq!(a["phase"], phase, "{empty}: {a}");
        assert!(a["message"].as_str().unwrap_or_default().contains(part), "{part}: {a}");
    }
}

#[test]
fn a_job_that_no_list_showed_is_not_called_lost_if_one_may_have_skipped_it_or_none_ever_had_an_entry() {
    let (passes, began) = (AtomicUsize::new(0), Mutex::new(None));
    let skipped = Rig::new("", BY_OFFSET, move |request| {
        let began = *began.lock().unwrap().get_or_insert_with(Instant::now);
        if seconds(began) < 0.6 {
            shifting(&passes, request)
        } else {
            two(request, &[("x", "running"), ("y", "running")])
        }
    });
    let never = Rig::new("", ONE_PAGE, |_| Reply::json(r#"{"jobs":[]}"#));
    for rig in [skipped, never] {
        let c = status(&rig.poll(&["c"], &["--lost-after", "0s", "--deadline", "20s"]), "c");
        assert_eq!((&c["phase"], &c["reason"]), (&json!("Unknown"), &json!("UnknownId")), "{c}");
        assert!(c["message"].as_str().unwrap().contains("may have ended unseen"), "{c}");
    }
    let others = Rig::new("", ONE_PAGE, |_| Reply::json(json!({"jobs": page(&[("x", "running")])}).to_string()));
    assert_eq!(status(&others.poll(&["c"], &["--lost-after", "0s"]), "c")["phase"], "Lost");
    // Nobody knows any more what the lists before showed.
    assert_eq!(status(&others.poll(&["c"], &["--lost-after", "0s", "--resume"]), "c")["phase"], "Unknown");
}

#[test]
fn lists_that_lack_a_job_are_counted_unless_absence_ends_it() {
    let counted = |poll: &str, shown: usize| {
        let passes = AtomicUsize::new(0);
        let rig = Rig::new(poll, "path = \"/jobs\"\nat = [\"\"]\n", move |_| {
            let pass = passes.fetch_add(1, SeqCst);
            let mut jobs = vec![("x", "running")];
            jobs.extend(if pass == shown || pass > 3 { Some(("a", "running")) } else { None });
            jobs.extend((pass > 4).then_some(("a", "done")));
            Reply::json(page(&jobs[jobs.len() - 1..]).to_string())
        });
        let ran = rig.poll(&["a"], &[]);
        assert_eq!(status(&ran, "a")["phase"], "Succeeded");
        ran.last("r1")["status"]["polling"]["failures"].clone()
    };
    assert_eq!(counted("", 4), json!({"not in the list before the first sight of the job": 4}));
    assert_eq!(
        counted("", 1),
        json!({"not in the list before the first sight of the job": 1, "not in the list after the first sight of the job": 2})
    );
    assert_eq!(counted("gone = \"done\"", 0), Value::Null, "absence is how it ends");
}
