//! Ids that the client chooses, and requests at the URL that is the id.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use serde_json::json;
use stress_suite::profile::Profile;

use crate::profiles::{HEAD, Rig, job, with_header};
use crate::server::Reply;

const PUT: &str = r#"
    [submit]
    method = "PUT"
    path = "/jobs/{id}"
    accepted = [201, 204]
    own_id = "{run}.{name}"
    [submit.body]
    label = "{id}"
    [poll]
    path = "/jobs/{id}"
    status = ["/state"]
    [poll.words]
    done = ["ok"]
"#;

#[test]
fn the_client_may_choose_the_id() {
    let rig = Rig::new(PUT, |request| match request.method.as_str() {
        "PUT" => Reply::new(204, ""),
        _ => Reply::json(r#"{"state":"ok"}"#),
    });
    let status = rig.run();
    assert_eq!((&status["phase"], &status["jobId"]), (&json!("Succeeded"), &json!("r1.j")), "{status}");
    let requests = rig.requests();
    assert_eq!((&*requests[0].path, &*requests[0].body), ("/jobs/r1.j", r#"{"label":"r1.j"}"#));
    assert_eq!(requests[1].path, "/jobs/r1.j");
}

#[test]
fn a_submission_under_an_own_id_that_was_not_answered_can_be_polled_later() {
    let rig = Rig::new(PUT, |request| match request.method.as_str() {
        "PUT" => Reply::Close,
        _ => Reply::json(r#"{"state":"ok"}"#),
    });
    let submitted = rig.submit(&job(&json!({})));
    let status = &submitted.last("j")["status"];
    assert_eq!((&status["phase"], &status["jobId"]), (&json!("Unknown"), &json!("r1.j")), "{status}");
    assert_eq!(rig.requests().len(), 1, "it is not sent again");
    let resumed = rig.poll(&submitted.stdout, &["--resume"]);
    assert_eq!(resumed.last("j")["status"]["phase"], "Succeeded", "{}", resumed.stdout);
}

#[test]
fn the_id_may_be_a_uuid_that_is_the_same_each_time() {
    let rig = Rig::new(&PUT.replace("{run}.{name}", "{uuid}"), |request| match request.method.as_str() {
        "PUT" => Reply::new(201, ""),
        _ => Reply::json(r#"{"state":"ok"}"#),
    });
    let [first, second] = [rig.run(), rig.run()];
    assert_eq!((&first["phase"], &first["jobId"]), (&json!("Succeeded"), &second["jobId"]), "{first}");
    assert_eq!(first["jobId"].as_str().unwrap().len(), 36, "{first}");
}

#[test]
fn an_id_in_the_answer_counts_before_the_own_one() {
    let profile = PUT.replace("own_id", "id = [\"/name\"]\n    own_id");
    let rig = Rig::new(&profile, |request| match request.method.as_str() {
        "PUT" => Reply::new(201, r#"{"name":"r1-j-x7"}"#),
        _ => Reply::json(r#"{"name":"r1-j-x7","state":"ok"}"#),
    });
    assert_eq!(rig.run()["jobId"], "r1-j-x7");
}

#[test]
fn polls_and_steps_may_begin_at_the_url_that_is_the_id() {
    let profile = r#"
        [submit]
        path = "/queue"
        accepted = [201]
        id = ["header:Location"]
        [poll]
        path = "{id:url}/status.json?depth=1"
        status = ["/state"]
        message = ["/why"]
        [poll.words]
        running = ["busy"]
        failed = ["bad"]
        [[poll.rules]]
        means = "done"
        when = [{ at = "/never" }]
        [[steps]]
        name = "why"
        when = "end"
        path = "{id:url}/why"
        tells = ["message"]
        [[steps]]
        name = "stop"
        when = "cancel"
        method = "DELETE"
        path = "{id:url}"
    "#;
    let answer = |state: &'static str| {
        move |request: &crate::server::Request| match (request.method.as_str(), request.path.as_str()) {
            ("POST", _) => with_header(201, "Location", "/queue/7?v=2", ""),
            ("GET", "/queue/7/status.json?v=2&depth=1") => Reply::json(format!(r#"{{"state":"{state}"}}"#)),
            ("GET", "/queue/7/why?v=2") => Reply::json(r#"{"why":"no disk"}"#),
            ("DELETE", "/queue/7?v=2") => Reply::new(204, ""),
            _ => Reply::new(400, ""),
        }
    };
    let status = Rig::new(profile, answer("bad")).run();
    assert_eq!((&status["phase"], &status["message"]), (&json!("Failed"), &json!("no disk")), "{status}");

    let rig = Rig::new(profile, answer("busy"));
    let submitted = rig.submit(&job(&json!({})));
    let polled = rig.poll(&submitted.stdout, &["--deadline", "200ms", "--cancel-on", "timedout"]);
    let status = &polled.last("j")["status"];
    assert_eq!((&status["phase"], &status["cancel"]), (&json!("TimedOut"), &json!("answered")), "{status}");
}

#[test]
fn a_profile_without_an_id_and_a_url_before_there_is_one_are_refused() {
    let refusal = |profile: &str| Profile::parse(&format!("{HEAD}{profile}")).unwrap_err();
    let without = PUT.replace("    own_id = \"{run}.{name}\"\n", "");
    assert!(refusal(&without).contains("submit.id is empty"), "{}", refusal(&without));
    let answered = PUT.replace("own_id = \"{run}.{name}\"", "id = [\"/name\"]");
    assert!(refusal(&answered).contains("{id} is not known before"), "{}", refusal(&answered));
    let early = format!("{PUT}\n[[steps]]\nname = \"a\"\nwhen = \"job\"\npath = \"{{id:url}}\"\n");
    assert!(refusal(&early).contains("after the submission"), "{}", refusal(&early));
    let late = PUT.replace("path = \"/jobs/{id}\"\n    status", "path = \"/jobs/{id:url}\"\n    status");
    assert!(refusal(&late).contains("only at the beginning of the path"), "{}", refusal(&late));
    let unknown = PUT.replace("{run}.{name}", "{id}");
    assert!(refusal(&unknown).contains("submit.own_id"), "{}", refusal(&unknown));
}

/// A queue item becomes a build, whose document and URL are others.
const QUEUE: &str = r#"
    [submit]
    path = "/build"
    accepted = [201]
    id = ["header:Location"]
    [poll]
    path = "{id:url}api/json"
    next = ["/executable/url"]
    status = ["/result"]
    words = { done = ["SUCCESS"], failed = ["FAILURE"] }
    [[poll.rules]]
    means = "running"
    when = [{ at = "/building", is = true }]
    [[poll.rules]]
    means = "waiting"
    when = [{ at = "/why" }]
    [[steps]]
    name = "log"
    when = "end"
    path = "{id:url}log"
"#;

#[test]
fn an_answer_may_tell_by_which_id_the_job_is_polled_from_then_on() {
    let polls = AtomicUsize::new(0);
    let rig = Rig::new(QUEUE, move |request| match request.path.as_str() {
        "/build" => with_header(201, "Location", "/queue/7/", ""),
        "/queue/7/api/json" if polls.fetch_add(1, SeqCst) < 2 => Reply::json(r#"{"why":"no executor"}"#),
        "/queue/7/api/json" => Reply::json(r#"{"executable":{"url":"/job/x/1/"}}"#),
        "/job/x/1/api/json" if polls.fetch_add(1, SeqCst) < 6 => Reply::json(r#"{"building":true}"#),
        "/job/x/1/api/json" => Reply::json(r#"{"building":false,"result":"SUCCESS"}"#),
        "/job/x/1/log" => Reply::json("{}"),
        _ => Reply::new(404, ""),
    });
    let status = rig.run();
    assert_eq!((&status["phase"], &status["flags"]), (&json!("Succeeded"), &json!(null)), "{status}");
    let url = |path: &str| json!(format!("{}{path}", rig.server.url()));
    assert_eq!((&status["jobId"], &status["nextId"]), (&url("/queue/7/"), &url("/job/x/1/")), "{status}");
    assert_eq!(rig.requests().iter().filter(|request| request.path == "/job/x/1/log").count(), 1);
    let explained = rig.poll("", &["--explain", &format!("{}/queue/7/", rig.server.url())]);
    assert_eq!(explained.code, 0, "{}", explained.stdout);
    for part in ["poll.next                /executable/url      \"/job/x/1/\"", "status: \"SUCCESS\"", "step log"] {
        assert!(explained.stdout.contains(part), "{part}\n{}", explained.stdout);
    }
}

#[test]
fn a_resumed_job_is_polled_by_its_last_id_and_another_server_never() {
    let rig = Rig::new(QUEUE, |request| match request.path.as_str() {
        "/build" => with_header(201, "Location", "/queue/7/", ""),
        "/queue/7/api/json" => Reply::json(r#"{"why":"","executable":{"url":"/job/x/1/"}}"#),
        _ => Reply::json(r#"{"building":true}"#),
    });
    let submitted = rig.submit(&job(&json!({}))).stdout;
    let given_up = rig.poll(&submitted, &["--deadline", "300ms"]);
    assert_eq!(given_up.last("j")["status"]["phase"], "TimedOut");
    let before = rig.requests().len();
    rig.poll(&given_up.stdout, &["--resume", "--deadline", "300ms"]);
    assert!(rig.requests()[before..].iter().all(|request| request.path == "/job/x/1/api/json"));

    let foreign = Rig::new(QUEUE, |request| match request.path.as_str() {
        "/build" => with_header(201, "Location", "/queue/7/", ""),
        _ => Reply::json(r#"{"why":"","executable":{"url":"http://elsewhere:1/job/x/1/"}}"#),
    });
    let status = foreign.run();
    assert_eq!((&status["phase"], &status["reason"]), (&json!("TimedOut"), &json!("Redirected")), "{status}");
    assert!(status["message"].as_str().unwrap().contains("http://elsewhere:1/job/x/1/"), "{status}");
}

#[test]
fn a_step_may_create_the_job_that_the_submission_only_starts() {
    let profile = r#"
        [submit]
        path = "/jobs/{id}/results"
        accepted = [202]
        own_id = "{vars.job}"
        [poll]
        path = "/jobs/{id}"
        status = ["/status"]
        words = { waiting = ["queued"], done = ["finished"] }
        [[steps]]
        name = "create"
        when = "job"
        method = "POST"
        path = "/jobs"
        take = { job = ["header:OpenEO-Identifier"] }
    "#;
    let rig = Rig::new(profile, |request| match (request.method.as_str(), request.path.as_str()) {
        ("POST", "/jobs") => with_header(201, "OpenEO-Identifier", "o-1", ""),
        ("POST", "/jobs/o-1/results") => Reply::new(202, ""),
        _ => Reply::json(r#"{"id":"o-1","status":"finished"}"#),
    });
    let status = rig.run();
    assert_eq!((&status["phase"], &status["jobId"]), (&json!("Succeeded"), &json!("o-1")), "{status}");
}

#[test]
fn a_journal_without_an_answer_still_knows_the_id_that_the_client_chose() {
    let mut rig = Rig::new(PUT, |request| match request.method.as_str() {
        "PUT" => Reply::new(201, ""),
        _ => Reply::json(r#"{"state":"ok"}"#),
    });
    let journal = rig.dir.path().join("journal");
    rig.flags = vec!["--journal".to_owned(), journal.display().to_string()];
    rig.submit(&job(&json!({})));
    // The session was killed before the answer came.
    let text = std::fs::read_to_string(&journal).unwrap();
    let intents: Vec<&str> = text.lines().filter(|line| !line.contains("\"Submitted\"")).collect();
    assert!(intents.len() < text.lines().count(), "{text}");
    std::fs::write(&journal, intents.join("\n") + "\n").unwrap();
    let flags = std::mem::take(&mut rig.flags);
    let direct = rig.poll("", &["--resume", "--journal", journal.to_str().unwrap()]);
    assert_eq!(direct.last("j")["status"]["phase"], "Succeeded", "nothing but the journal: {}", direct.stdout);
    rig.flags = flags;
    let again = rig.submit(&job(&json!({})));
    let status = &again.last("j")["status"];
    assert_eq!((&status["phase"], &status["jobId"]), (&json!("Unknown"), &json!("r1.j")), "{status}");
    let puts = rig.requests().iter().filter(|request| request.method == "PUT").count();
    assert_eq!(puts, 1, "it is not sent again");
    rig.flags.clear();
    let resumed = rig.poll(&again.stdout, &["--resume"]);
    assert_eq!(resumed.last("j")["status"]["phase"], "Succeeded", "{}", resumed.stdout);
    let without = Rig::new(PUT, |_| Reply::new(404, "{}"));
    let status = without.poll(&again.stdout, &["--resume", "--lost-after", "60ms"]).last("j")["status"].clone();
    assert_eq!((&status["phase"], &status["reason"]), (&json!("Unknown"), &json!("UnknownId")), "{status}");
    assert!(status["message"].as_str().unwrap().ends_with("so the target may never have had it"), "{status}");
}
