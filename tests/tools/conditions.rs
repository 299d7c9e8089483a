//! Places in lists whose elements have names.

use serde_json::json;
use stress_suite::profile::Profile;

use crate::profiles::{HEAD, Rig};
use crate::server::Reply;

const PROFILE: &str = r#"
    [submit]
    path = "/jobs"
    own_id = "{name}"
    body.metadata.name = "{id}"
    [poll]
    path = "/jobs/{id}"
    message = ["/status/conditions/*[type=Failed]/message"]
    [[poll.rules]]
    means = "done"
    when = [{ at = "/status/conditions/*[type=Complete]/status", is = "True" }]
    [[poll.rules]]
    means = "failed"
    when = [{ at = "/status/conditions/*[type=Failed]/status", is = "True" }]
    [[poll.rules]]
    means = "running"
    when = [{ at = "/metadata/name" }]
"#;

#[test]
fn the_condition_of_a_type_is_found_wherever_it_stands() {
    for (kind, phase, message) in [("Complete", "Succeeded", json!(null)), ("Failed", "Failed", json!("no disk"))] {
        let polls = std::sync::atomic::AtomicUsize::new(0);
        let rig = Rig::new(PROFILE, move |request| {
            let is_over = polls.fetch_add(1, std::sync::atomic::Ordering::SeqCst) > 2;
            let of = |name: &str| {
                let status = if is_over && name == kind { "True" } else { "False" };
                json!({"type": name, "status": status, "message": if name == "Failed" && kind == name { "no disk" } else { "" }})
            };
            let other = json!({"type": "Suspended", "status": "True", "message": "other"});
            let conditions = [other, of("Complete"), of("Failed")];
            let body = json!({"metadata": {"name": "j"}, "status": {"conditions": conditions}});
            Reply::new(if request.method == "POST" { 201 } else { 200 }, body.to_string())
        });
        let status = rig.run();
        assert_eq!((&status["phase"], &status["message"]), (&json!(phase), &message), "{status}");
        assert!(status["polls"]["sent"].as_u64().unwrap() > 2, "{status}");
    }
    let broken = PROFILE.replace("[type=Failed]", "[type]");
    let refusal = Profile::parse(&format!("{HEAD}{broken}")).unwrap_err();
    assert!(refusal.contains("`*[type]` is not of the form `*[NAME=WORD]`"), "{refusal}");
}

#[test]
fn null_is_a_state_where_the_words_list_it() {
    let profile = r#"
        [submit]
        path = "/jobs"
        id = ["/id"]
        [poll]
        path = "/jobs/{id}"
        status = ["/result"]
        words = { waiting = ["null"], done = ["4"] }
        [poll.stages]
        at = ["/parts"]
        name = ["/name"]
        state = ["/state"]
        words = { waiting = ["null"], done = ["ok"] }
    "#;
    let polls = std::sync::atomic::AtomicUsize::new(0);
    let answer = move |request: &crate::server::Request| {
        let result = if polls.fetch_add(1, std::sync::atomic::Ordering::SeqCst) > 3 { json!(4) } else { json!(null) };
        let parts = json!([{"name": "a", "state": "ok"}, {"name": "b", "state": null}]);
        let body = json!({"id": "7", "result": result, "parts": parts});
        Reply::json(if request.method == "POST" { r#"{"id":"7"}"#.to_owned() } else { body.to_string() })
    };
    let status = Rig::new(profile, answer).run();
    assert_eq!((&status["phase"], &status["targetStatus"]), (&json!("Succeeded"), &json!("4")), "{status}");
    assert!(status["notStartedAt"].is_string(), "null was read as waiting: {status}");
    assert_eq!(status["stages"][1]["phase"], "Waiting", "{status}");
}
