//! `poll-jobs` and lists of stages that tell less than they might: stages that vanish, lists that are absent, stages that are listed late,
//! and several entries of one name.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use stress_suite::record::Timestamp;
use stress_suite::tools::render_report;

use crate::profiles::{Rig, job};
use crate::server::Reply;
use crate::support::{Ran, tool};

const PROFILE: &str = r#"
    [submit]
    path = "/jobs"
    id = ["/id"]
    [poll]
    path = "/jobs/{id}"
    status = ["/state"]
    words = { waiting = ["new"], running = ["busy"], done = ["ok"] }
    [poll.stages]
    at = ["/stages"]
    name = ["/name"]
    state = ["/state"]
    attempt = ["/n"]
    words = { waiting = ["new"], running = ["busy"], done = ["ok"], failed = ["bad"] }
    times = { started = ["/from"], ended = ["/to"] }
    [[stages]]
    name = "load"
    [[stages]]
    name = "pack"
    after = ["load"]
"#;

/// Nine polls lie this far apart at least: the shortest interval is 10 ms, less a fifth.
const NINE_POLLS: f64 = 9.0 * 0.008;

/// A target whose polls are answered by `document`, which is given the number of polls before.
fn target(document: impl Fn(usize) -> Value + Send + Sync + 'static) -> Rig {
    let polls = AtomicUsize::new(0);
    Rig::new(PROFILE, move |request| match request.method.as_str() {
        "POST" => Reply::json(r#"{"id":"7"}"#),
        _ => Reply::json(document(polls.fetch_add(1, SeqCst)).to_string()),
    })
}

/// A stage as an answer lists it.
fn stage(name: &str, state: impl Into<Value>) -> Value {
    json!({"name": name, "state": state.into()})
}

fn follow(rig: &Rig) -> (Ran, Value) {
    let ran = rig.poll(&rig.submit(&job(&json!({}))).stdout, &["--deadline", "20s"]);
    let status = ran.last("j")["status"].clone();
    (ran, status)
}

/// The verdict of `expect` on the job's records, for which the stages load and pack are required, and the report.
fn judge(rig: &Rig, ran: &Ran, expect: &str) -> (i32, String) {
    let run = json!({"apiVersion": "stress/v1", "kind": "Run", "metadata": {"name": "j", "run": "r1"},
        "spec": {"prefix": "j", "jobs": 1, "stages": [{"name": "load", "required": true},
            {"name": "pack", "after": ["load"], "required": true}]}});
    let out = rig.dir.path().join("out");
    let profile = rig.dir.path().join("p.toml");
    let argv = ["--out", out.to_str().unwrap(), "--expect", expect, "--profile", profile.to_str().unwrap()];
    let records = ran.stdout.replace(r#""name":"j""#, r#""name":"j-001""#);
    let code = tool(render_report::run, &argv, &format!("{run}\n{records}")).code;
    (code, std::fs::read_to_string(out.join("report.md")).unwrap())
}

fn seconds(of: &Value, key: &str) -> f64 {
    of[key].as_str().unwrap_or_else(|| panic!("{key} of {of}")).parse::<Timestamp>().unwrap().seconds()
}

/// The names, phases and marks of stages.
fn told(status: &Value) -> Value {
    let of = |stage: &Value| json!([stage["name"], stage["phase"], stage["unlisted"]]);
    status["stages"].as_array().into_iter().flatten().map(of).collect()
}

/// The last documents that list no stage.
fn without_stages() -> [Value; 4] {
    [
        json!({"state": "ok"}),
        json!({"state": "ok", "stages": null}),
        json!({"state": "ok", "stages": []}),
        json!({"state": "ok", "stages": {}}),
    ]
}

#[test]
fn stages_that_the_last_answers_do_not_list_are_kept_and_an_end_that_none_showed_is_unknown() {
    for last in without_stages() {
        let running = |mut document: Value| {
            document["state"] = json!("busy");
            document
        };
        let (named, between) = (last.clone(), running(last.clone()));
        let rig = target(move |polls| match polls {
            0 => json!({"state": "busy", "stages": [stage("load", "busy"), stage("pack", "new")]}),
            1 => json!({"state": "busy", "stages": [{"name": "load", "state": "ok", "from": 1e9, "to": 1e9 + 3.0},
                stage("pack", "busy")]}),
            2..6 => between.clone(),
            _ => last.clone(),
        });
        let (ran, status) = follow(&rig);
        assert_eq!(told(&status), json!([["load", "Done", true], ["pack", "Running", true]]), "{named}: {status}");
        assert_eq!(status["flags"], json!(["VanishedStage"]), "{status}");
        assert_eq!(
            (seconds(&status["stages"][0], "startedAt"), &status["stages"][0]["timesFrom"]),
            (1e9, &json!("server"))
        );
        assert!(status["stages"][1]["startedAt"].is_string() && status["stages"][1]["endedAt"].is_null(), "{status}");
        let (code, page) = judge(&rig, &ran, "all-stages");
        assert!(code == 4 && page.contains("whose end is unknown: j-001 (pack)"), "{named}: {page}");
        assert!(
            page.contains("no earlier answer showed the end of that stage: j-001 (pack) (VanishedStage)"),
            "{page}"
        );
    }
}

#[test]
fn stages_that_were_seen_to_end_stay_done_and_a_list_without_a_required_stage_lacks_it() {
    let rig = target(|polls| match polls {
        0..3 => json!({"state": "busy", "stages": [stage("load", "ok"), stage("pack", "ok")]}),
        _ => json!({"state": "ok"}),
    });
    let (ran, status) = follow(&rig);
    assert_eq!(
        (told(&status), &status["flags"]),
        (json!([["load", "Done", true], ["pack", "Done", true]]), &Value::Null)
    );
    assert_eq!(judge(&rig, &ran, "all-stages").0, 0);
    let rig = target(|_| json!({"state": "ok", "stages": [stage("load", "ok")]}));
    let (code, page) = judge(&rig, &follow(&rig).0, "all-stages");
    assert!(code == 3 && page.contains("j-001 (succeeded) without pack"), "{page}");
    let rig = target(|_| json!({"state": "ok"}));
    let (ran, status) = follow(&rig);
    let (code, page) = judge(&rig, &ran, "all-stages");
    assert!(code == 4 && page.contains("j-001 (no answer showed the stage)") && status["flags"].is_null(), "{page}");
}

#[test]
fn a_stage_whose_last_state_is_unclear_or_running_has_an_unknown_end() {
    for (state, doubt) in [
        (json!("archived"), "does not list the state \"archived\" of stage load: j-001"),
        (Value::Null, "the last answer that lists stage load has no state for it: j-001"),
        (json!("busy"), "although a stage is still running: j-001 (load)"),
    ] {
        let named = state.clone();
        let rig = target(move |polls| match polls {
            0..3 => json!({"state": "busy", "stages": [stage("load", "ok"), stage("pack", "busy")]}),
            _ => json!({"state": "ok", "stages": [stage("load", state.clone()), stage("pack", "ok")]}),
        });
        let (ran, _) = follow(&rig);
        let (code, page) = judge(&rig, &ran, "all-stages");
        assert!(code == 4 && page.contains("whose end is unknown: j-001 (load)"), "{named}: {page}");
        assert!(page.contains(doubt) && !page.contains("state \"nothing\""), "{named}: {page}");
    }
    // What comes after a stage that still runs may come yet.
    let rig = target(|_| json!({"state": "ok", "stages": [stage("load", "busy"), stage("pack", "new")]}));
    let (code, page) = judge(&rig, &follow(&rig).0, "all-stages");
    assert!(code == 4 && page.contains("whose end is unknown: j-001 (load, pack)"), "{page}");
    let rig = target(|_| json!({"state": "ok", "stages": [stage("load", "ok"), stage("pack", "new")]}));
    assert_eq!(judge(&rig, &follow(&rig).0, "all-stages").0, 3, "the target says that it never began");
}

#[test]
fn an_answer_without_stages_does_not_say_that_they_have_not_started_or_not_ended() {
    for before in without_stages() {
        let rig = target(move |polls| match polls {
            0..9 => json!({"state": "busy", "stages": before["stages"]}),
            _ => json!({"state": "ok", "stages": [stage("load", "ok"), stage("pack", "ok")]}),
        });
        let (_, status) = follow(&rig);
        for stage in status["stages"].as_array().unwrap() {
            assert!(stage["notStartedAt"].is_null() && stage["notEndedAt"].is_null(), "{status}");
            assert_eq!((&stage["startedAt"], &stage["endedAt"]), (&status["endedAt"], &status["endedAt"]));
        }
    }
    let rig = target(|polls| match polls {
        0 => json!({"state": "new"}),
        1 => json!({"state": "busy", "stages": [stage("load", "busy")]}),
        2..11 => json!({"state": "busy"}),
        11 => json!({"state": "busy", "stages": [stage("load", "ok")]}),
        _ => json!({"state": "ok", "stages": [stage("load", "ok"), stage("pack", "ok")]}),
    });
    let (_, status) = follow(&rig);
    let (load, pack) = (&status["stages"][0], &status["stages"][1]);
    assert_eq!(load["notStartedAt"], status["notStartedAt"], "no stage has started while the job waits: {status}");
    assert!(seconds(load, "endedAt") - seconds(load, "notEndedAt") >= NINE_POLLS, "{load}");
    assert!(seconds(pack, "notStartedAt") > seconds(load, "notEndedAt"), "a list without it shows that: {status}");
}

/// The seconds since 1970 by the clock of the target, which is that of the harness.
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}

/// The column of `stages.csv` after a report, by row.
fn column(rig: &Rig, name: &str) -> Vec<String> {
    let text = std::fs::read_to_string(rig.dir.path().join("out/stages.csv")).unwrap();
    let mut rows = text.lines().map(|line| line.split(',').map(str::to_owned).collect::<Vec<_>>());
    let index = rows.next().unwrap().iter().position(|column| column == name).unwrap();
    rows.map(|row| row[index].clone()).collect()
}

#[test]
fn absence_from_a_list_contradicts_no_time_of_the_server() {
    let shows: [fn(&Value) -> Value; 4] =
        [|_| Value::Null, |_| json!([]), |load| json!([load]), |_| json!([{"name": "other", "state": "ok"}])];
    for shown in shows {
        let times: Mutex<Vec<f64>> = Mutex::default();
        let rig = target(move |polls| {
            let mut times = times.lock().unwrap();
            times.push(now());
            let done = |name: &str, from: usize, to: usize| json!({"name": name, "state": "ok", "from": times[from], "to": times[to]});
            match polls {
                0..2 => json!({"state": "busy"}),
                2..10 => json!({"state": "busy", "stages": shown(&done("load", 0, 1))}),
                _ => json!({"state": "ok", "stages": [done("load", 0, 1), done("pack", 2, 6)]}),
            }
        });
        let (ran, status) = follow(&rig);
        let (_, page) = judge(&rig, &ran, "all-stages");
        assert!(!page.contains("contradict"), "{page}");
        let work = |index: usize| {
            let stage = &status["stages"][index];
            seconds(stage, "endedAt") - seconds(stage, "startedAt")
        };
        for (index, told) in column(&rig, "workSeconds").iter().take(2).enumerate() {
            assert!((told.parse::<f64>().unwrap() - work(index)).abs() < 1e-5, "{told}: {status}");
        }
        assert_eq!(column(&rig, "timesFrom")[..2], ["server", "server"]);
    }
}

#[test]
fn entries_of_one_name_have_the_times_of_their_own_and_share_those_of_the_polls() {
    let times: Mutex<Vec<f64>> = Mutex::default();
    let rig = target(move |polls| {
        let mut times = times.lock().unwrap();
        times.push(now());
        let entry = |from: usize, to: usize| {
            let is_done = polls >= to;
            let to = is_done.then(|| times[to]);
            json!({"name": "load", "state": if is_done { "ok" } else { "busy" }, "from": times[from], "to": to})
        };
        let mut entries = vec![entry(0, 2), entry(0, 9)];
        entries.extend((polls > 2).then(|| entry(2, 5)));
        entries.rotate_left(polls % 2);
        json!({"state": if polls > 9 { "ok" } else { "busy" }, "stages": entries})
    });
    let (ran, status) = follow(&rig);
    let (_, page) = judge(&rig, &ran, "stage.load.max<1h");
    assert!(!page.contains("contradict") && page.contains("of 3 samples from 1 job"), "{page}");
    let stages = status["stages"].as_array().unwrap();
    for (stage, told) in stages.iter().zip(column(&rig, "workSeconds")) {
        let work = seconds(stage, "endedAt") - seconds(stage, "startedAt");
        assert!((told.parse::<f64>().unwrap() - work).abs() < 1e-5, "{told}: {status}");
        assert_eq!(stage["seen"], stages[0]["seen"]);
    }
    let untold = target(|polls| {
        let first = if polls < 1 { "busy" } else { "ok" };
        let second = if polls < 10 { "busy" } else { "ok" };
        json!({"state": if polls < 12 { "busy" } else { "ok" }, "stages": [stage("load", first), stage("load", second)]})
    });
    let (_, status) = follow(&untold);
    for stage in status["stages"].as_array().unwrap() {
        assert!(seconds(stage, "endedAt") - seconds(stage, "notEndedAt") >= NINE_POLLS, "{status}");
    }
}

#[test]
fn a_later_attempt_has_times_of_its_own() {
    let rig = target(|polls| {
        let attempt = if polls < 10 { 1 } else { 2 };
        let (state, load) = if polls < 12 { ("busy", "busy") } else { ("ok", "ok") };
        json!({"state": state, "stages": [{"name": "load", "state": load, "n": attempt}, stage("pack", "ok")]})
    });
    let (ran, status) = follow(&rig);
    let load = &status["stages"][0];
    assert!(seconds(load, "notStartedAt") - seconds(&status, "submittedAt") >= NINE_POLLS, "{status}");
    // What lies before its start is work as well as waiting.
    let (code, page) = judge(&rig, &ran, "wait.load.max<1h");
    assert!(code == 4 && page.contains("the only job has none"), "{page}");
}

#[test]
fn what_an_earlier_session_saw_of_stages_is_kept() {
    let is_resumed = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let resumed = is_resumed.clone();
    let rig = target(move |polls| match (resumed.load(SeqCst), polls) {
        (false, 0) => json!({"state": "busy", "stages": [stage("load", "busy")]}),
        (false, _) => json!({"state": "busy", "stages": [stage("load", "ok"), stage("pack", "busy")]}),
        (true, _) => json!({"state": "ok"}),
    });
    let before = rig.poll(&rig.submit(&job(&json!({}))).stdout, &["--deadline", "300ms"]);
    let was = before.last("j")["status"].clone();
    assert_eq!(
        (&was["phase"], told(&was)),
        (&json!("TimedOut"), json!([["load", "Done", null], ["pack", "Running", null]]))
    );
    is_resumed.store(true, SeqCst);
    let ran = rig.poll(&before.stdout, &["--resume", "--deadline", "20s"]);
    let status = ran.last("j")["status"].clone();
    assert_eq!(
        (&status["phase"], told(&status)),
        (&json!("Succeeded"), json!([["load", "Done", true], ["pack", "Running", true]]))
    );
    assert_eq!(status["flags"], json!(["VanishedStage"]), "{status}");
    for key in ["notStartedAt", "startedAt", "notEndedAt", "endedAt"] {
        assert_eq!(status["stages"][0][key], was["stages"][0][key], "{key}: {status}");
    }
    let (code, page) = judge(&rig, &ran, "all-stages");
    assert!(code == 4 && page.contains("j-001 (pack)"), "{page}");
}
