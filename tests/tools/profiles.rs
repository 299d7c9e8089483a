//! Profiles of targets that are spoken to in other ways than by a JSON body and a status word.

use serde_json::{Value, json};
use stress_suite::tools::{poll_jobs, submit_jobs};

use crate::server::{Reply, Request, Server};
use crate::support::{Ran, tool};

/// The parts of a profile that these tests do not vary.
pub(crate) const HEAD: &str = "name = \"odd\"\ntarget = \"http://localhost:9\"\n[health]\npath = \"/\"\n";

/// A profile in a file, the target that it is for, and further flags.
pub(crate) struct Rig {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) server: Server,
    pub(crate) flags: Vec<String>,
}

impl Rig {
    pub(crate) fn new(profile: &str, answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("p.toml"), format!("{HEAD}{profile}")).unwrap();
        // The health check comes first and is not what these tests are about.
        let server = Server::new(move |request| if request.path == "/" { Reply::json("{}") } else { answer(request) });
        Self { dir, server, flags: Vec::new() }
    }

    pub(crate) fn argv(&self, argv: &[&str]) -> Vec<String> {
        let profile = self.dir.path().join("p.toml").display().to_string();
        let fixed = ["--target".to_owned(), self.server.url(), "--profile".to_owned(), profile];
        fixed.into_iter().chain(self.flags.clone()).chain(argv.iter().map(|&word| word.to_owned())).collect()
    }

    pub(crate) fn submit(&self, job: &Value) -> Ran {
        let argv = self.argv(&[]);
        tool(submit_jobs::run, &argv.iter().map(String::as_str).collect::<Vec<_>>(), &format!("{job}\n"))
    }

    pub(crate) fn poll(&self, records: &str, argv: &[&str]) -> Ran {
        let argv = self.argv(&[&["--min-interval", "10ms", "--max-interval", "30ms"], argv].concat());
        tool(poll_jobs::run, &argv.iter().map(String::as_str).collect::<Vec<_>>(), records)
    }

    /// The last status of a job that is submitted and polled.
    pub(crate) fn run(&self) -> Value {
        let polled = self.poll(&self.submit(&job(&json!({}))).stdout, &["--deadline", "2s", "--lost-after", "60ms"]);
        polled.last("j")["status"].clone()
    }

    /// The bodies and paths of the requests but the health check.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.server.requests().into_iter().filter(|request| request.path != "/").collect()
    }
}

pub(crate) fn job(spec: &Value) -> Value {
    let metadata = json!({"name": "j", "run": "r1"});
    json!({"apiVersion": "stress/v1", "kind": "Job", "metadata": metadata, "spec": spec, "status": {"phase": "Staged"}})
}

pub(crate) fn with_header(status: u16, name: &'static str, value: impl Into<String>, body: &str) -> Reply {
    Reply::Whole(status, vec![(name, value.into())], body.to_owned())
}

#[test]
fn the_id_may_be_the_last_part_of_a_location() {
    let profile = r#"
        [submit]
        path = "/processes/echo/execution"
        accepted = [201]
        id = [{ at = "header:Location", match = "/jobs/([^/?]+)" }]
        [poll]
        path = "/jobs/{id}"
        status = ["/status"]
        [poll.words]
        done = ["successful"]
    "#;
    let rig = Rig::new(profile, |request| match request.method.as_str() {
        "POST" => with_header(201, "Location", "http://internal:5000/jobs/7f-3?f=json", "null"),
        _ => Reply::json(r#"{"jobID":"7f-3","status":"successful"}"#),
    });
    let status = rig.run();
    assert_eq!((&status["phase"], &status["jobId"]), (&json!("Succeeded"), &json!("7f-3")), "{status}");
}

#[test]
fn the_id_may_be_the_url_to_poll_on_the_targets_own_server_alone() {
    let profile = r#"
        [submit]
        path = "/v1/things"
        accepted = [202]
        id = ["header:Operation-Location"]
        [poll]
        path = "{id:url}"
        [[poll.rules]]
        means = "running"
        when = [{ at = "http:status", is = 202 }]
        [[poll.rules]]
        means = "done"
        when = [{ at = "http:status", is = [200, 303] }]
    "#;
    let polls = std::sync::atomic::AtomicUsize::new(0);
    let rig = Rig::new(profile, move |request| match request.method.as_str() {
        "POST" => with_header(202, "Operation-Location", "operations/9?api-version=2", ""),
        _ if polls.fetch_add(1, std::sync::atomic::Ordering::SeqCst) < 2 => Reply::new(202, ""),
        _ => with_header(303, "Location", "/result", ""),
    });
    let status = rig.run();
    assert_eq!(status["phase"], "Succeeded", "{status}");
    assert_eq!(status["jobId"], format!("{}/v1/operations/9?api-version=2", rig.server.url()));
    assert_eq!(rig.requests()[1].path, "/v1/operations/9?api-version=2");

    let foreign = Rig::new(profile, |_| with_header(202, "Operation-Location", "http://elsewhere:1/x", ""));
    let status = foreign.run();
    assert_eq!((&status["phase"], &status["reason"]), (&json!("Unknown"), &json!("NoJobId")), "{status}");
    assert!(status["message"].as_str().unwrap().contains("http://elsewhere:1/x"), "{status}");
}

#[test]
fn a_name_with_slashes_is_polled_and_its_end_told_by_presence() {
    let profile = r#"
        [submit]
        path = "/v1/books:copy"
        accepted = [200]
        id = ["/name"]
        [poll]
        path = "/v1/{id:path}"
        message = ["/error", "/error/message"]
        [[poll.rules]]
        means = "failed"
        name = "error"
        when = [{ at = "/done", is = true }, { at = "/error" }]
        [[poll.rules]]
        means = "done"
        when = [{ at = "/done", is = true }]
        [[poll.rules]]
        means = "running"
        when = [{ at = "/name" }]
    "#;
    let failing = Rig::new(profile, |request| match request.method.as_str() {
        "POST" => Reply::json(r#"{"name":"operations/a b"}"#),
        _ => Reply::json(r#"{"name":"operations/a b","done":true,"error":{"code":3,"message":"no such book"}}"#),
    });
    let status = failing.run();
    assert_eq!((&status["phase"], &status["message"]), (&json!("Failed"), &json!("no such book")), "{status}");
    assert_eq!(
        (failing.requests()[1].path.as_str(), &status["targetStatus"]),
        ("/v1/operations/a%20b", &json!("error"))
    );

    let climbing = Rig::new(profile, |_| Reply::json(r#"{"name":"operations/../admin"}"#));
    let status = climbing.run();
    assert_eq!((&status["phase"], climbing.requests().len()), (&json!("Unknown"), 1), "{status}");
}

#[test]
fn a_job_may_be_polled_by_post_and_refused_with_200() {
    let profile = r#"
        [submit]
        path = "/jsonrpc"
        accepted = [200]
        id = ["/result"]
        [submit.body]
        jsonrpc = "2.0"
        id = "{name}"
        method = "aria2.addUri"
        params = [["{source}"], { out = "{data.out}", split = "{data.split}", none = "{null}" }]
        [[submit.rules]]
        means = "refused"
        when = [{ at = "/error" }]
        [poll]
        method = "POST"
        path = "/jsonrpc"
        status = ["/result/status"]
        body = { jsonrpc = "2.0", id = 1, method = "aria2.tellStatus", params = ["{id}", "query { job { id } } {{name}}"] }
        [[poll.rules]]
        means = "unknown"
        when = [{ at = "/error/code", is = 1 }]
        [poll.words]
        running = ["active"]
        done = ["complete"]
    "#;
    let rig = Rig::new(profile, |request| {
        let body: Value = serde_json::from_str(&request.body).unwrap();
        match body["method"].as_str().unwrap() {
            "aria2.addUri" if body["params"][1] == json!({"out": "x", "split": 4, "none": null}) => {
                Reply::json(r#"{"result":"2089b05ecca3d829"}"#)
            }
            "aria2.addUri" => Reply::json(r#"{"error":{"code":1,"message":"bad"}}"#),
            _ if body["params"] == json!(["2089b05ecca3d829", "query { job { id } } {name}"]) => {
                Reply::json(r#"{"result":{"status":"complete"}}"#)
            }
            _ => Reply::json(r#"{"error":{"code":1,"message":"GID is not found"}}"#),
        }
    });
    let good = rig.submit(&job(&json!({"source": "http://f", "data": {"out": "x", "split": 4}})));
    let polled = rig.poll(&good.stdout, &[]).last("j")["status"].clone();
    assert_eq!((&polled["phase"], &polled["targetStatus"]), (&json!("Succeeded"), &json!("complete")), "{polled}");
    let refused =
        rig.submit(&job(&json!({"source": "http://f", "data": {"out": "x", "split": "4"}}))).last("j")["status"]
            .clone();
    assert_eq!((&refused["phase"], &refused["reason"]), (&json!("Rejected"), &json!("Refused")), "{refused}");
    let incomplete = rig.submit(&job(&json!({"source": "http://f", "data": {"out": "x"}}))).last("j")["status"].clone();
    assert_eq!((&incomplete["phase"], &incomplete["reason"]), (&json!("Rejected"), &json!("InvalidRequest")));
    assert!(incomplete["message"].as_str().unwrap().contains("spec.data.split"), "{incomplete}");
    let lost = good.stdout.replace("2089b05ecca3d829", "f00");
    let lost = rig.poll(&lost, &["--lost-after", "60ms"]).last("j")["status"].clone();
    assert_eq!((&lost["phase"], &lost["reason"]), (&json!("Lost"), &json!("UnknownId")), "{lost}");
}

#[test]
fn a_job_that_is_gone_may_have_ended_well() {
    let profile = r#"
        [submit]
        path = "/jobs"
        id = ["/id"]
        [poll]
        path = "/jobs/{id}"
        status = ["http:body"]
        gone = "done"
        [poll.words]
        running = ["RUNNING"]
        done = ["DONE"]
    "#;
    let polls = std::sync::atomic::AtomicUsize::new(0);
    let rig = Rig::new(profile, move |request| match request.method.as_str() {
        "POST" => Reply::json(r#"{"id":7}"#),
        _ if polls.fetch_add(1, std::sync::atomic::Ordering::SeqCst) < 3 => Reply::new(200, "RUNNING\n"),
        _ => Reply::new(404, "no such job"),
    });
    let status = rig.run();
    assert_eq!((&status["phase"], &status["flags"]), (&json!("Succeeded"), &json!(["GoneIsDone"])), "{status}");
    assert!(status["notEndedAt"].is_string(), "{status}");
    let never_seen = Rig::new(profile, |request| match request.method.as_str() {
        "POST" => Reply::json(r#"{"id":7}"#),
        _ => Reply::new(404, "no such job"),
    });
    assert_eq!(never_seen.run()["phase"], "Lost");
}

#[test]
fn a_file_is_sent_in_a_form_and_its_upload_is_timed() {
    let profile = r#"
        [submit]
        path = "/transcribe?language={set.language}"
        encoding = "multipart"
        id = ["/id"]
        [submit.body]
        file = "@{path}"
        note = "{data.note}"
        [poll]
        path = "/jobs/{id}"
        status = ["/s"]
        [poll.words]
        done = ["done"]
    "#;
    let mut rig = Rig::new(profile, |request| {
        if request.method != "POST" {
            return Reply::json(r#"{"s":"done"}"#);
        }
        let boundary = request.headers["content-type"].strip_prefix("multipart/form-data; boundary=").unwrap();
        let end = format!("--{boundary}--\r\n");
        let whole = request.body.ends_with(&end) && request.body.contains("filename=\"a.webm\"\r\n");
        let parts =
            request.body.contains("\r\n\r\nthe bytes\r\n--") && request.body.contains("\r\n\r\n@/etc/passwd\r\n--");
        Reply::json(format!(r#"{{"id":"{}"}}"#, if whole && parts { "good" } else { "bad" }))
    });
    rig.flags = ["--set", "language=en"].map(str::to_owned).into();
    let file = rig.dir.path().join("a.webm");
    std::fs::write(&file, "the bytes").unwrap();
    let spec = json!({"path": file.display().to_string(), "data": {"note": "@/etc/passwd"}});
    let status = rig.submit(&job(&spec)).last("j")["status"].clone();
    assert_eq!((&status["phase"], &status["jobId"]), (&json!("Submitted"), &json!("good")), "{status}");
    assert_eq!(rig.requests()[0].path, "/transcribe?language=en");
    let [sent, uploaded, accepted] =
        ["submittedAt", "uploadedAt", "acceptedAt"].map(|key| status[key].as_str().unwrap().to_owned());
    assert!(sent <= uploaded && uploaded <= accepted, "{status}");
    std::fs::remove_file(&file).unwrap();
    let missing = rig.submit(&job(&spec)).last("j")["status"].clone();
    assert_eq!((&missing["phase"], &missing["reason"]), (&json!("Rejected"), &json!("InvalidRequest")), "{missing}");
    assert!(missing["message"].as_str().unwrap().contains("a.webm: No such file"), "{missing}");
}

#[test]
fn stages_may_stand_in_any_order_and_fail_with_a_message_of_their_own() {
    let profile = r#"
        [submit]
        path = "/jobs"
        id = ["/id"]
        [poll]
        path = "/jobs/{id}"
        status = ["/state"]
        [poll.words]
        failed = ["bad"]
        done = ["good"]
        [poll.stages]
        at = ["/groups/*/tasks/*"]
        name = ["/name"]
        state = ["/state"]
        message = ["/error"]
        words = { done = ["good"], failed = ["bad"] }
    "#;
    let rig = Rig::new(profile, |request| match request.method.as_str() {
        "POST" => Reply::json(r#"{"id":7}"#),
        _ => Reply::json(
            r#"{"state":"bad","groups":[{"tasks":[{"name":"b","state":"good"}]},{"tasks":[{"name":"a","state":"bad","error":"no disk"}]}]}"#,
        ),
    });
    let status = rig.run();
    let stages = status["stages"].as_array().unwrap();
    assert_eq!(
        (stages.len(), &stages[0]["name"], &stages[1]["message"]),
        (2, &json!("b"), &json!("no disk")),
        "{status}"
    );
    assert_eq!((&status["phase"], &status["message"]), (&json!("Failed"), &json!("a: no disk")));
}

#[test]
fn mistakes_in_a_profile_are_named_by_line_or_key() {
    let good = r#"
        [submit]
        path = "/jobs"
        id = ["/id"]
        [poll]
        path = "/jobs/{id}"
        [[poll.rules]]
        means = "done"
        when = [{ at = "/x" }]
    "#;
    let dir = tempfile::tempdir().unwrap();
    let check = |from: &str, to: &str| {
        assert!(good.contains(from), "{from}");
        std::fs::write(dir.path().join("p.toml"), format!("{HEAD}{}", good.replacen(from, to, 1))).unwrap();
        let file = dir.path().join("p.toml");
        let ran = tool(poll_jobs::run, &["--check", "--profile", file.to_str().unwrap()], "");
        assert_eq!(
            (ran.code, ran.stderr.lines().count()),
            (if to == from { 0 } else { 2 }, usize::from(to != from)),
            "{}",
            ran.stderr
        );
        ran.stderr
    };
    assert_eq!(check("means", "means"), "");
    for (from, to, part) in [
        ("\"/jobs/{id}\"", "\"/jobs\"", "it must contain {id}"),
        ("means = \"done\"", "means = \"finished\"", "unknown variant `finished`"),
        ("when = [{ at = \"/x\" }]", "when = []", "poll.rules, rule 1: `when` is empty"),
        ("{ at = \"/x\" }", "{ at = \"/x\", equals = 1 }", "unknown field `equals`"),
        ("{ at = \"/x\" }", "{ at = \"headers:X\" }", "`header:NAME`"),
        ("id = [\"/id\"]", "id = [{ at = \"/id\", match = \"(\" }]", "match = "),
        ("id = [\"/id\"]", "id = [\"/id\"]\nencoding = \"form\"", "`encoding` without a `body`"),
        ("id = [\"/id\"]", "id = [\"/id\"]\nbody = [1]\nencoding = \"form\"", "a form is a table"),
        ("id = [\"/id\"]", "id = [\"/id\"]\nbody = \"{id}\"", "{id} is not known"),
        ("path = \"/jobs/{id}\"", "path = \"/jobs/{id}\"\nmethod = \"P T\"", "poll.method"),
        ("path = \"/jobs/{id}\"", "path = \"/jobs/{id}?{id:url}\"", "only at the beginning of the path"),
        ("path = \"/jobs/{id}\"", "path = \"/jobs/{id}\"\ngone = \"well\"", "unknown variant `well`"),
    ] {
        let message = check(from, to);
        assert!(message.contains(part), "{to}: {message}");
    }
}

/// A target whose jobs need an upload first, and tell their stages and can be cancelled by other requests.
const STEPS: &str = r#"
    [[steps]]
    name = "deployment"
    when = "run"
    path = "/deployments/by-name/{set.flow}"
    take = { deployment = ["/id"] }
    [[steps]]
    name = "upload place"
    when = "job"
    method = "POST"
    path = "/uploads"
    body = { name = "{name}" }
    take = { upload = ["/url"], upload_id = ["/id"] }
    secret = true
    [[steps]]
    name = "upload"
    when = "job"
    method = "PUT"
    path = "{vars.upload}"
    body = "@{path}"
    encoding = "raw"
    [submit]
    path = "/deployments/{vars.deployment}/runs"
    id = ["/id"]
    body = { upload = "{vars.upload_id}" }
    [poll]
    path = "/runs/{id}"
    status = ["/state"]
    message = ["/error"]
    [poll.words]
    running = ["RUNNING"]
    done = ["COMPLETED"]
    failed = ["CRASHED", "CANCELLED"]
    [poll.stages]
    at = ["/tasks"]
    name = ["/name"]
    state = ["/state"]
    words = { done = ["COMPLETED"], failed = ["CRASHED"] }
    [[steps]]
    name = "tasks"
    when = "end"
    method = "POST"
    path = "/tasks/filter"
    body = { run = "{id}", of = "{vars.deployment}" }
    tells = ["stages"]
    take = { first = ["/tasks/0/name"] }
    [[steps]]
    name = "cancel"
    when = "cancel"
    method = "POST"
    path = "/runs/{id}/cancel"
"#;

/// The target of [`STEPS`]; the uploads go to another server. Runs end in `state`, once they are cancelled or at once.
fn stepped(state: &'static str) -> (Rig, Server) {
    let uploads =
        Server::new(|request| if request.body == "the bytes" { Reply::new(201, "") } else { Reply::new(400, "") });
    let signed = format!("{}/bucket/x?signature=s3cret", uploads.url());
    let cancelled = std::sync::atomic::AtomicBool::new(false);
    let rig = Rig::new(STEPS, move |request| match request.path.as_str() {
        "/deployments/by-name/a%20b" => Reply::json(r#"{"id":"d-1"}"#),
        "/uploads" => Reply::json(format!(r#"{{"url":"{signed}","id":5}}"#)),
        "/deployments/d-1/runs" if request.body == r#"{"upload":5}"# => Reply::json(r#"{"id":"r-1"}"#),
        "/tasks/filter" if request.body == r#"{"of":"d-1","run":"r-1"}"# => {
            Reply::json(r#"{"tasks":[{"name":"load","state":"COMPLETED"},{"name":"run","state":"COMPLETED"}]}"#)
        }
        "/runs/r-1/cancel" => {
            cancelled.store(true, std::sync::atomic::Ordering::SeqCst);
            Reply::new(200, "")
        }
        "/runs/r-1" if cancelled.load(std::sync::atomic::Ordering::SeqCst) => Reply::json(r#"{"state":"CANCELLED"}"#),
        "/runs/r-1" => Reply::json(format!(r#"{{"state":"{state}"}}"#)),
        _ => Reply::new(404, ""),
    });
    (rig, uploads)
}

fn stepped_job(rig: &Rig) -> Value {
    let file = rig.dir.path().join("a.webm");
    std::fs::write(&file, "the bytes").unwrap();
    job(&json!({"path": file.display().to_string()}))
}

#[test]
fn steps_look_up_upload_and_complete_a_job() {
    let (mut rig, uploads) = stepped("COMPLETED");
    rig.flags = ["--set", "flow=a b", "--header-file"].map(str::to_owned).into();
    let secret = rig.dir.path().join("h");
    std::fs::write(&secret, "X-Key: k3y\n").unwrap();
    rig.flags.push(secret.display().to_string());
    let submitted = rig.submit(&stepped_job(&rig));
    let status = submitted.last("j")["status"].clone();
    assert_eq!(
        (&status["phase"], &status["variables"]),
        (&json!("Submitted"), &json!({"deployment": "d-1"})),
        "{status}"
    );
    assert!(!submitted.stdout.contains("s3cret"), "{}", submitted.stdout);
    let sent = &uploads.requests()[0];
    assert_eq!((sent.method.as_str(), sent.headers.get("x-key")), ("PUT", None), "another server sees no secret");
    assert!(rig.requests().iter().all(|request| request.headers["x-key"] == "k3y"));
    let polled = rig.poll(&submitted.stdout, &[]).last("j")["status"].clone();
    let names: Vec<_> = polled["stages"].as_array().unwrap().iter().map(|stage| stage["name"].clone()).collect();
    assert_eq!((&polled["phase"], names), (&json!("Succeeded"), vec![json!("load"), json!("run")]), "{polled}");
    assert_eq!(polled["variables"], json!({"deployment": "d-1", "first": "load"}), "{polled}");
}

#[test]
fn a_step_that_fails_says_which_and_submits_nothing() {
    let (mut rig, _uploads) = stepped("COMPLETED");
    rig.flags = ["--set", "flow=missing"].map(str::to_owned).into();
    let ran = rig.submit(&stepped_job(&rig));
    assert_eq!((ran.code, &ran.last("j")["status"]["phase"]), (69, &json!("Staged")), "{}", ran.stderr);
    assert!(ran.stderr.contains("step deployment: GET ") && ran.stderr.contains("HTTP 404"), "{}", ran.stderr);

    rig.flags = ["--set", "flow=a b"].map(str::to_owned).into();
    let wrong = stepped_job(&rig);
    std::fs::write(rig.dir.path().join("a.webm"), "other bytes").unwrap();
    let status = rig.submit(&wrong).last("j")["status"].clone();
    assert_eq!((&status["phase"], &status["reason"]), (&json!("Rejected"), &json!("StepFailed")), "{status}");
    let message = status["message"].as_str().unwrap();
    assert!(message.contains("step upload: PUT http://127.0.0.1") && !message.contains("s3cret"), "{message}");
    assert!(!rig.requests().iter().any(|request| request.path.ends_with("/runs")), "nothing was submitted");
}

#[test]
fn a_job_that_is_given_up_is_cancelled_where_the_flag_says_so() {
    let (mut rig, _uploads) = stepped("RUNNING");
    rig.flags = ["--set", "flow=a b"].map(str::to_owned).into();
    let submitted = rig.submit(&stepped_job(&rig)).stdout;
    let left = rig.poll(&submitted, &["--deadline", "100ms"]).last("j")["status"].clone();
    assert_eq!((&left["phase"], &left["cancel"]), (&json!("TimedOut"), &json!(null)), "{left}");
    let cancelled = rig.poll(&submitted, &["--deadline", "100ms", "--cancel-on", "interrupted,timedout"]);
    let status = cancelled.last("j")["status"].clone();
    assert_eq!((&status["phase"], &status["cancel"]), (&json!("TimedOut"), &json!("confirmed")), "{status}");
}

#[test]
fn explain_shows_each_step_what_was_sent_and_what_each_key_found() {
    let (mut rig, _uploads) = stepped("COMPLETED");
    rig.flags = ["--set", "flow=a b", "--explain"].map(str::to_owned).into();
    let ran = rig.submit(&stepped_job(&rig));
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    for part in [
        "step deployment: GET /deployments/by-name/{set.flow}\n  HTTP 200\n  take.deployment          \"d-1\"",
        "take.upload              (secret)",
        "step upload: PUT {vars.upload}\n  HTTP 201",
        "/deployments/d-1/runs\n",
        "body: {\"upload\":5}",
        "submit.id                /id                  \"r-1\"",
        "which means Submitted; next: poll-jobs --profile ",
        " --set 'flow=a b' --explain r-1\n",
    ] {
        assert!(ran.stdout.contains(part), "{part}\n{}", ran.stdout);
    }
    assert!(!ran.stdout.contains("s3cret"));
    rig.flags[1] = "flow=missing".to_owned();
    let failed = rig.submit(&stepped_job(&rig));
    assert_eq!(failed.code, 4, "{}", failed.stdout);
    assert!(
        failed.stdout.contains("HTTP 404") && failed.stdout.contains("the job is not submitted"),
        "{}",
        failed.stdout
    );
    rig.flags.truncate(2);
    let url = rig.server.url();
    let profile = rig.dir.path().join("p.toml").display().to_string();
    let explain = |id: &str| tool(poll_jobs::run, &["--target", &url, "--profile", &profile, "--explain", id], "");
    assert_eq!((explain("r-1").code, explain("r-2").code), (0, 4));
    let left_out = explain("r-1").stdout;
    assert!(
        left_out.contains("step tasks: POST /tasks/filter\n  ") && left_out.contains("{vars.deployment}"),
        "{left_out}"
    );
}

#[test]
fn explain_shows_what_the_steps_of_the_end_tell_and_which_words_are_not_listed() {
    const PROFILE: &str = r#"
        [submit]
        path = "/jobs"
        id = ["/id"]
        [poll]
        path = "/jobs/{id}"
        status = ["/state"]
        message = ["/why"]
        words = { done = ["ok"], failed = ["bad"] }
        [poll.stages]
        at = ["/tasks"]
        name = ["/name"]
        state = ["/state"]
        words = { done = ["ok"] }
        [[steps]]
        name = "tasks"
        when = "end"
        path = "/jobs/{id}/tasks"
        tells = ["stages", "message"]
    "#;
    let rig = Rig::new(PROFILE, |request| match request.path.as_str() {
        "/jobs/ended" | "/jobs/broken" => Reply::json(r#"{"state":"bad"}"#),
        "/jobs/odd" => Reply::json(r#"{"state":"odd"}"#),
        "/jobs/ended/tasks" => Reply::json(r#"{"why":"no memory","tasks":[{"name":"cut","state":"torn"}]}"#),
        _ => Reply::new(500, ""),
    });
    let ended = rig.poll("", &["--explain", "ended"]);
    assert_eq!(ended.code, 0, "{}{}", ended.stdout, ended.stderr);
    for part in [
        "status: \"bad\", which means Failed",
        "stages: 0",
        "step tasks: GET /jobs/{id}/tasks\nHTTP 200\n",
        "  poll.message             /why                 \"no memory\"",
        "stages: 1\n  cut                      \"torn\", which poll.stages.words does not list\n",
    ] {
        assert!(ended.stdout.contains(part), "{part}\n{}", ended.stdout);
    }
    let broken = rig.poll("", &["--explain", "broken"]);
    assert!(
        broken.code == 4 && broken.stdout.contains("step tasks: GET /jobs/{id}/tasks\n  GET "),
        "{}",
        broken.stdout
    );
    let odd = rig.poll("", &["--explain", "odd"]);
    assert!(odd.code == 4 && odd.stdout.contains("status: \"odd\", which poll.words does not list"), "{}", odd.stdout);
    assert!(!odd.stdout.contains("step tasks"), "the job has not ended: {}", odd.stdout);
}
