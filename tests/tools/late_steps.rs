//! Steps after a job's end: they are made again while their failure may pass, have an end, and may tell of a stage without one.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use stress_suite::tools::render_report;

use crate::profiles::{Rig, job, with_header};
use crate::server::Reply;
use crate::support::{Ran, tool};

const PROFILE: &str = r#"
    [submit]
    path = "/jobs"
    id = ["/id"]
    [poll]
    path = "/jobs/{id}"
    status = ["/state"]
    words.done = ["ok"]
    [poll.stages]
    at = ["/stages"]
    name = ["/name"]
    state = ["/state"]
    words = { running = ["busy"], done = ["ok"] }
    [[steps]]
    name = "stages"
    when = "end"
    path = "/jobs/{id}/stages"
    tells = ["stages"]
"#;

/// A target whose jobs have ended at once, and that tells their stages by `stages`.
fn target(stages: impl Fn() -> Reply + Send + Sync + 'static) -> Rig {
    Rig::new(PROFILE, move |request| match request.path.as_str() {
        "/jobs" => Reply::json(r#"{"id":"7"}"#),
        "/jobs/7" => Reply::json(r#"{"id":"7","state":"ok"}"#),
        _ => stages(),
    })
}

fn run(rig: &Rig, deadline: &str) -> (Ran, Value) {
    let ran = rig.poll(&rig.submit(&job(&json!({}))).stdout, &["--deadline", deadline]);
    let status = ran.last("j")["status"].clone();
    (ran, status)
}

fn steps_of(rig: &Rig) -> usize {
    rig.requests().iter().filter(|request| request.path == "/jobs/7/stages").count()
}

#[test]
fn a_step_whose_failure_may_pass_is_made_again() {
    let count = AtomicUsize::new(0);
    let rig = target(move || match count.fetch_add(1, SeqCst) {
        0 => Reply::new(503, "busy"),
        1 => with_header(429, "Retry-After", "1", ""),
        2 => Reply::Close,
        _ => Reply::json(r#"{"stages":[{"name":"l1","state":"ok"}]}"#),
    });
    let (began, (_, status)) = (Instant::now(), run(&rig, "20s"));
    assert_eq!((&status["stages"][0]["name"], &status["flags"]), (&json!("l1"), &Value::Null), "{status}");
    assert_eq!(steps_of(&rig), 4);
    assert!(began.elapsed() > Duration::from_secs(1), "Retry-After is obeyed");
}

#[test]
fn a_step_that_is_refused_is_not_made_again_and_one_that_goes_on_failing_ends_with_the_deadline() {
    let refused = target(|| Reply::new(404, ""));
    let (_, status) = run(&refused, "20s");
    assert_eq!(
        (&status["phase"], &status["flags"]),
        (&json!("Succeeded"), &json!(["StagesUnknown", "StepFailed"])),
        "{status}"
    );
    assert_eq!(steps_of(&refused), 1);
    let failing = target(|| Reply::new(503, "busy"));
    let (_, status) = run(&failing, "700ms");
    assert_eq!(
        (&status["phase"], &status["flags"]),
        (&json!("Succeeded"), &json!(["StagesUnknown", "StepFailed"])),
        "{status}"
    );
    let message = status["message"].as_str().unwrap();
    assert!(steps_of(&failing) > 1 && message.contains("HTTP 503: busy, at the last of "), "{status}");
}

#[test]
fn a_step_that_is_not_answered_holds_the_end_up_no_longer_than_the_deadline() {
    let rig = target(|| Reply::Hang);
    let began = Instant::now();
    let (_, status) = run(&rig, "700ms");
    assert!(began.elapsed() < Duration::from_secs(10), "the timeout of a request is 30 s");
    assert_eq!(
        (&status["phase"], &status["flags"]),
        (&json!("Succeeded"), &json!(["StagesUnknown", "StepFailed"])),
        "{status}"
    );
    assert_eq!(status["message"], "step stages was not answered within 700 ms", "{status}");
}

#[test]
fn a_step_that_is_not_answered_costs_only_what_it_would_have_told() {
    let step =
        |name: &str, rest: &str| format!("[[steps]]\nname = \"{name}\"\nwhen = \"end\"\npath = \"/{name}\"\n{rest}\n");
    let (before, optional) = (step("owner", "take.owner = [\"/owner\"]"), step("hangs", "optional = true"));
    let (required, nice) = (step("cost", ""), step("note", "optional = true"));
    let own = &PROFILE[..PROFILE.find("[[steps]]").unwrap()];
    for (after, flags, message) in [
        ("", Value::Null, Value::Null),
        (&*nice, Value::Null, Value::Null),
        (
            &*format!("{nice}{required}"),
            json!(["StepFailed"]),
            json!("step cost did not run: step hangs was not answered within 700 ms"),
        ),
    ] {
        let rig = Rig::new(&format!("{own}{before}{optional}{after}"), |request| match request.path.as_str() {
            "/jobs" => Reply::json(r#"{"id":"7"}"#),
            "/jobs/7" => Reply::json(r#"{"id":"7","state":"ok","stages":[{"name":"l1","state":"ok"}]}"#),
            "/owner" => Reply::json(r#"{"owner":"ops"}"#),
            _ => Reply::Hang,
        });
        let (_, status) = run(&rig, "700ms");
        assert_eq!((&status["flags"], &status["message"]), (&flags, &message), "{status}");
        assert_eq!(status["variables"]["owner"], "ops", "an earlier step was answered: {status}");
    }
}

#[test]
fn a_stage_that_runs_on_after_the_end_is_named() {
    let rig = target(|| Reply::json(r#"{"stages":[{"name":"l1","state":"ok"},{"name":"l2","state":"busy"}]}"#));
    let (ran, status) = run(&rig, "20s");
    assert_eq!(status["flags"], json!(["RunningStage"]), "{status}");
    let out = rig.dir.path().join("out");
    tool(render_report::run, &["--out", out.to_str().unwrap(), "--expect", "all-done"], &ran.stdout);
    let page = std::fs::read_to_string(out.join("report.md")).unwrap();
    assert!(page.contains("although a stage is still running: j (l2) (RunningStage)"), "{page}");
}

/// The records of a run of one job.
fn numbered(ran: &Ran) -> String {
    ran.stdout.replace(r#""name":"j""#, r#""name":"j-001""#)
}

/// The verdict of `expect` on the job's records, for which the stage l1 is required, and the report.
fn judge(rig: &Rig, ran: &Ran, expect: &str) -> (i32, String) {
    let run = json!({"apiVersion": "stress/v1", "kind": "Run", "metadata": {"name": "j", "run": "r1"},
        "spec": {"prefix": "j", "jobs": 1, "stages": [{"name": "l1", "required": true}]}});
    let out = rig.dir.path().join("out");
    let argv = ["--out", out.to_str().unwrap(), "--expect", expect];
    let code = tool(render_report::run, &argv, &format!("{run}\n{}", numbered(ran))).code;
    (code, std::fs::read_to_string(out.join("report.md")).unwrap())
}

#[test]
fn stages_that_the_answer_to_a_step_does_not_tell_are_unknown_and_not_missing() {
    type MakeReply = fn() -> Reply;
    let unreadable: [(MakeReply, &str); 6] = [
        (|| Reply::json(r#"{"stages":[{"name":"l1","state":"ok"}"#), "not JSON"),
        (|| Reply::json("<html>Sign in</html>"), "Sign in"),
        (|| Reply::json(""), "is empty"),
        (|| Reply::json(r#"{"error":"busy"}"#), "nothing at /stages"),
        (|| Reply::new(404, "{}"), "HTTP 404"),
        (|| Reply::Cut(r#"{"stages":["#.to_owned()), "broke off"),
    ];
    for (reply, named) in unreadable {
        let rig = target(reply);
        let (ran, status) = run(&rig, "700ms");
        assert_eq!(status["flags"], json!(["StagesUnknown", "StepFailed"]), "{named}: {status}");
        assert!(status["message"].as_str().unwrap().contains(named), "{named}: {status}");
        assert!(ran.stderr.contains("step stages: ") && ran.stderr.contains(named), "{}", ran.stderr);
        let (code, page) = judge(&rig, &ran, "all-stages");
        assert!(
            code == 4 && page.contains("whose end is unknown: j-001 (no answer showed the stage)"),
            "{named}: {page}"
        );
        assert!(page.contains("a step after the job's end failed (such as: step stages: "), "{page}");
    }
    let optional = PROFILE.replace("tells =", "optional = true\n    tells =");
    let rig = Rig::new(&optional, |request| match request.path.as_str() {
        "/jobs" => Reply::json(r#"{"id":"7"}"#),
        "/jobs/7" => Reply::json(r#"{"id":"7","state":"ok"}"#),
        _ => Reply::new(404, "{}"),
    });
    let (ran, status) = run(&rig, "700ms");
    assert_eq!(status["flags"], json!(["StagesUnknown"]), "{status}");
    assert_eq!(judge(&rig, &ran, "all-stages").0, 4);
    // An empty list was read, and tells nothing of a stage. Another stage in it shows that the target lists stages.
    let rig = target(|| Reply::json(r#"{"stages":[]}"#));
    let (ran, status) = run(&rig, "700ms");
    assert_eq!((&status["flags"], judge(&rig, &ran, "all-stages").0), (&Value::Null, 4), "{status}");
    let rig = target(|| Reply::json(r#"{"stages":[{"name":"l2","state":"ok"}]}"#));
    let (ran, status) = run(&rig, "700ms");
    assert_eq!((&status["flags"], judge(&rig, &ran, "all-stages").0), (&Value::Null, 3), "{status}");
}

#[test]
fn an_error_that_an_unreadable_answer_would_tell_is_doubted() {
    let profile = PROFILE.replace("tells = [\"stages\"]", "tells = [\"message\"]");
    let profile = profile.replace("words.done", "message = [\"/why\"]\n    words.done");
    let target = |reply: fn() -> Reply| {
        Rig::new(&profile, move |request| match request.path.as_str() {
            "/jobs" => Reply::json(r#"{"id":"7"}"#),
            "/jobs/7" => Reply::json(r#"{"id":"7","state":"ok","stages":[]}"#),
            _ => reply(),
        })
    };
    let unreadable: [fn() -> Reply; 4] = [
        || Reply::json(r#"{"why": "codec fai"#),
        || Reply::json("<html>Sign in</html>"),
        || Reply::new(204, ""),
        || with_header(200, "Content-Encoding", "zstd", "(\u{b5}/\u{fd} \u{4}"),
    ];
    for reply in unreadable {
        let rig = target(reply);
        let (ran, status) = run(&rig, "2s");
        assert_eq!((&status["phase"], &status["flags"]), (&json!("Succeeded"), &json!(["StepFailed"])), "{status}");
        let (code, page) = judge(&rig, &ran, "all-done");
        assert!(code == 0 && page.contains("j-001 (StepFailed)"), "{page}");
    }
    let (_, status) = run(&target(|| Reply::json("{}")), "2s");
    assert_eq!((&status["phase"], &status["flags"]), (&json!("Succeeded"), &Value::Null), "no error: {status}");
    let (_, status) = run(&target(|| with_header(200, "Content-Encoding", "zstd", "{}")), "2s");
    assert_eq!(status["flags"], json!(["LenientJson"]), "the body is JSON whatever its head says: {status}");
    let (_, status) = run(&target(|| Reply::json(r#"{"why":"no","n":NaN}"#)), "2s");
    assert_eq!(status["flags"], json!(["LenientJson", "ErrorText"]), "{status}");
}

#[test]
fn instances_of_a_stage_that_ran_side_by_side_do_not_forgive_each_other() {
    let instances = |attempts: [&str; 3]| {
        let list = ["bad", "ok", "ok"]
            .iter()
            .zip(attempts)
            .map(|(state, attempt)| format!(r#"{{"name":"l1","state":"{state}"{attempt}}}"#));
        let list = list.collect::<Vec<_>>().join(",");
        let profile =
            PROFILE.replace("done = [\"ok\"] }", "done = [\"ok\"], failed = [\"bad\"] }\n    attempt = [\"/n\"]");
        let rig = Rig::new(&profile, move |request| match request.path.as_str() {
            "/jobs" => Reply::json(r#"{"id":"7"}"#),
            "/jobs/7" => Reply::json(r#"{"id":"7","state":"ok"}"#),
            _ => Reply::json(format!(r#"{{"stages":[{list}]}}"#)),
        });
        let (ran, status) = run(&rig, "2s");
        let (code, page) = judge(&rig, &ran, "all-stages");
        (status["flags"].clone(), code, page)
    };
    for attempts in [["", "", ""], [r#","n":1"#, r#","n":1"#, r#","n":1"#]] {
        let (flags, code, page) = instances(attempts);
        assert_eq!((flags, code), (json!(["FailedStage"]), 4), "{page}");
        assert!(
            page.contains("although a stage failed: j-001 (l1)")
                && page.contains("j-001 (l1: one entry is done, another one failed)"),
            "{page}"
        );
    }
    let (flags, code, page) = instances([r#","n":1"#, r#","n":2"#, r#","n":1"#]);
    assert_eq!((flags, code), (Value::Null, 0), "{page}");
}

#[test]
fn what_stands_at_a_time_and_is_none_is_named_once_with_its_value() {
    let profile = PROFILE.replace(
        "words.done = [\"ok\"]",
        "words.done = [\"ok\"]\n    times = { queued = [\"/made\"], started = [\"/began\"], ended = [\"/over\"] }",
    );
    let rig = Rig::new(&profile, |request| match request.path.as_str() {
        "/jobs" => Reply::json(r#"{"id":"7"}"#),
        "/jobs/7" => {
            let odd = "3 minutes ago <b>".repeat(9);
            Reply::json(json!({"id":"7","state":"ok","made":odd,"began":null,"over":{"seconds":1}}).to_string())
        }
        _ => Reply::json(r#"{"stages":[]}"#),
    });
    let (ran, status) = run(&rig, "20s");
    let unread = &status["unreadTimes"];
    assert_eq!(unread.as_object().unwrap().len(), 2, "{status}");
    assert!(unread["poll.times.queued"].as_str().unwrap().len() < 70, "{status}");
    let out = rig.dir.path().join("out");
    tool(render_report::run, &["--out", out.to_str().unwrap(), "--expect", "all-done"], &ran.stdout);
    let page = std::fs::read_to_string(out.join("report.md")).unwrap();
    assert!(
        page.contains("values at poll.times.ended cannot be times of the job") && page.contains("minutes ago"),
        "{page}"
    );
    assert!(!page.contains("<b>"), "{page}");
}

#[test]
fn numbers_that_are_no_times_of_today_are_named_and_those_that_say_not_yet_are_not() {
    let profile = PROFILE.replace(
        "words.done = [\"ok\"]",
        "words.done = [\"ok\"]\n    times = { queued = [\"/made\"], started = [\"/began\"], ended = [\"/over\"] }",
    );
    for (told, unread) in [
        // A serial number of a day, as spreadsheets and OLE count them; days since 1970.
        (json!({"made": 46357.93, "began": "46357.94", "over": 20789}), &["queued", "started", "ended"][..]),
        (json!({"made": 0, "began": -1, "over": 46357.93}), &["ended"]),
        (json!({"made": "1970-01-01T00:00:00", "began": "0001-01-01", "over": "0000-00-00 00:00:00"}), &[]),
        (json!({"made": "1900-01-01T00:00:00Z", "began": 0.0, "over": 253_402_300_799_u64}), &[]),
    ] {
        let answer = told.clone();
        let rig = Rig::new(&profile, move |request| match request.path.as_str() {
            "/jobs" => Reply::json(r#"{"id":"7"}"#),
            "/jobs/7" => {
                let mut answer = answer.clone();
                answer["state"] = json!("ok");
                Reply::json(answer.to_string())
            }
            _ => Reply::json(r#"{"stages":[]}"#),
        });
        let (ran, status) = run(&rig, "20s");
        let expected: serde_json::Map<String, Value> = unread
            .iter()
            .zip(["made", "began", "over"].iter().skip(3 - unread.len()))
            .map(|(key, at)| (format!("poll.times.{key}"), json!(told[at].to_string().replace('"', ""))))
            .collect();
        let expected = if unread.is_empty() { Value::Null } else { Value::Object(expected) };
        assert_eq!((&status["unreadTimes"], &status["serverTimes"]), (&expected, &Value::Null), "{told}: {status}");
        let out = rig.dir.path().join("out");
        tool(render_report::run, &["--out", out.to_str().unwrap(), "--expect", "all-done"], &ran.stdout);
        let page = std::fs::read_to_string(out.join("report.md")).unwrap();
        assert_eq!(page.contains("are left out, such as \"46357.93\""), !unread.is_empty(), "{page}");
        assert!(!page.contains("1970"), "{page}");
    }
}

#[test]
fn a_cancellation_that_no_poll_confirmed_is_doubtful() {
    let profile = PROFILE.replace("when = \"end\"", "when = \"cancel\"").replace("    tells = [\"stages\"]\n", "");
    let profile = profile.replace("words.done = [\"ok\"]", "words = { running = [\"busy\"], done = [\"ok\"] }");
    let rig = Rig::new(&profile, |request| match request.path.as_str() {
        "/jobs" => Reply::json(r#"{"id":"7"}"#),
        "/jobs/7" => Reply::json(r#"{"id":"7","state":"busy"}"#),
        _ => Reply::json("{}"),
    });
    let submitted = rig.submit(&job(&json!({}))).stdout;
    let ran = rig.poll(&submitted, &["--deadline", "200ms", "--cancel-on", "timedout"]);
    assert_eq!(ran.last("j")["status"]["cancel"], "answered");
    let out = rig.dir.path().join("out");
    tool(render_report::run, &["--out", out.to_str().unwrap(), "--expect", "all-done"], &ran.stdout);
    let page = std::fs::read_to_string(out.join("report.md")).unwrap();
    assert!(page.contains("no poll saw the end, so they may still run: j"), "{page}");
}
