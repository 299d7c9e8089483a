//! One request that tells the states of many jobs: pages, ids in the request, and what it means that a list lacks a job.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use serde_json::{Value, json};
use stress_suite::clock::Clock;
use stress_suite::record::Timestamp;
use stress_suite::tools::{await_idle, poll_jobs, render_report};

use crate::server::{Reply, Request, Server};
use crate::support::{Ran, tool};

const HEAD: &str = "name = \"many\"\ntarget = \"http://localhost:9\"\n[health]\npath = \"/\"\n[submit]\npath = \"/jobs\"\nid = [\"/id\"]\n";

const POLL: &str = r#"
    [poll]
    status = ["/state"]
    [poll.words]
    waiting = ["queued"]
    running = ["running"]
    done = ["done"]
    failed = ["failed"]
"#;

/// A profile in a file, and the target that it is for.
pub(crate) struct Rig {
    pub(crate) dir: tempfile::TempDir,
    server: Server,
}

impl Rig {
    /// `poll` are further keys of `[poll]`, and `list` those of `[poll.list]`.
    pub(crate) fn new(poll: &str, list: &str, answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let poll = POLL.replacen("[poll]\n", &format!("[poll]\n{poll}\n"), 1);
        std::fs::write(dir.path().join("p.toml"), format!("{HEAD}{poll}\n[poll.list]\n{list}")).unwrap();
        let server = Server::new(move |request| if request.path == "/" { Reply::json("{}") } else { answer(request) });
        Self { dir, server }
    }

    fn argv(&self, argv: &[&str]) -> Vec<String> {
        let profile = self.dir.path().join("p.toml").display().to_string();
        let fixed = ["--target".to_owned(), self.server.url(), "--profile".to_owned(), profile];
        fixed.into_iter().chain(argv.iter().map(|&word| word.to_owned())).collect()
    }

    pub(crate) fn poll(&self, jobs: &[&str], argv: &[&str]) -> Ran {
        let argv = self.argv(&[&["--min-interval", "10ms", "--max-interval", "20ms"], argv].concat());
        tool(poll_jobs::run, &argv.iter().map(String::as_str).collect::<Vec<_>>(), &submitted(jobs))
    }

    fn explain(&self, id: &str) -> Ran {
        let argv = self.argv(&["--explain", id]);
        tool(poll_jobs::run, &argv.iter().map(String::as_str).collect::<Vec<_>>(), "")
    }

    /// The requests below this path.
    pub(crate) fn requests(&self, path: &str) -> Vec<Request> {
        self.server.requests().into_iter().filter(|request| request.path.starts_with(path)).collect()
    }
}

/// A Run and jobs that were submitted just now, each with its name as its id.
fn submitted(jobs: &[&str]) -> String {
    let now = Clock::system().now().to_string();
    let run = json!({"apiVersion": "stress/v1", "kind": "Run", "metadata": {"name": "r1", "run": "r1"}, "spec": {"jobs": jobs.len()}});
    let job = |name: &&str| {
        let status = json!({"phase": "Submitted", "jobId": name, "submittedAt": now, "acceptedAt": now});
        json!({"apiVersion": "stress/v1", "kind": "Job", "metadata": {"name": name, "run": "r1"}, "status": status})
    };
    std::iter::once(run).chain(jobs.iter().map(job)).map(|record| record.to_string() + "\n").collect()
}

pub(crate) fn status(ran: &Ran, name: &str) -> Value {
    ran.last(name)["status"].clone()
}

/// The value of `key` in the query of a request.
pub(crate) fn query<'a>(request: &'a Request, key: &str) -> Option<&'a str> {
    let (_, query) = request.path.split_once('?')?;
    query.split('&').filter_map(|pair| pair.split_once('=')).find(|(name, _)| *name == key).map(|(_, value)| value)
}

pub(crate) fn page(jobs: &[(&str, &str)]) -> Value {
    jobs.iter().map(|(id, state)| json!({"id": id, "state": state})).collect()
}

/// The jobs of `all` from the request's offset on, two at a time.
fn two_from_offset(all: &[(&str, &str)], request: &Request) -> Reply {
    let offset: usize = query(request, "offset").unwrap().parse().unwrap();
    let on_page = &all[offset.min(all.len())..(offset + 2).min(all.len())];
    Reply::json(json!({"jobs": page(on_page), "total": all.len()}).to_string())
}

pub(crate) const BY_OFFSET: &str = "path = \"/jobs?offset={offset}\"\nat = [\"/jobs\"]\ntotal = [\"/total\"]\n";

#[test]
fn each_page_is_one_poll_and_an_observation_of_every_job_on_it() {
    let ended = Arc::new(Mutex::new(None));
    let (passes, clock, told) = (AtomicUsize::new(0), Clock::system(), ended.clone());
    let rig = Rig::new("", BY_OFFSET, move |request| {
        let is_first = query(request, "offset") == Some("0");
        let pass = if is_first { passes.fetch_add(1, SeqCst) + 1 } else { passes.load(SeqCst) };
        let state = if pass > 3 { "done" } else { "running" };
        if is_first && pass == 4 {
            *told.lock().unwrap() = Some(clock.now());
        }
        two_from_offset(&[("a", "failed"), ("b", state), ("c", state), ("d", state), ("e", "queued")], request)
    });
    let ran = rig.poll(&["a", "b", "c", "d"], &[]);
    assert_eq!(
        ["a", "b", "c", "d"].map(|name| status(&ran, name)["phase"].clone()),
        ["Failed", "Succeeded", "Succeeded", "Succeeded"]
    );
    let ended = ended.lock().unwrap().unwrap().to_string();
    for name in ["b", "c", "d"] {
        let status = status(&ran, name);
        let [from, to] = ["notEndedAt", "endedAt"].map(|key| status[key].as_str().unwrap().to_owned());
        assert!(from <= ended && ended <= to, "{ended}: {status}");
        assert_eq!(
            (&status["polls"]["sent"], &status["body"]),
            (&json!(4), &json!(format!(r#"{{"id":"{name}","state":"done"}}"#)))
        );
    }
    let sent = rig.requests("/jobs").len();
    assert_eq!(ran.last("r1")["status"]["polling"]["sent"], sent, "each request is one poll, whatever it tells");
    assert!((11..=12).contains(&sent), "{sent}");
}

#[test]
fn a_job_that_a_shifting_page_hides_is_not_gone() {
    // In the second pass `a` leaves the list between the pages, so that `c` moves to the page that was read before.
    let passes = AtomicUsize::new(0);
    let rig = Rig::new("gone = \"done\"", BY_OFFSET, move |request| {
        let is_first = query(request, "offset") == Some("0");
        let pass = if is_first { passes.fetch_add(1, SeqCst) + 1 } else { passes.load(SeqCst) };
        match pass {
            1 => two_from_offset(&[("a", "running"), ("b", "running"), ("c", "running")], request),
            2 if is_first => {
                two_from_offset(&[("a", "running"), ("b", "running"), ("c", "running"), ("x", "running")], request)
            }
            2 => Reply::json(json!({"jobs": page(&[("x", "running")]), "total": 3}).to_string()),
            3 => two_from_offset(&[("b", "running"), ("c", "running"), ("x", "running")], request),
            _ => two_from_offset(&[("b", "done"), ("c", "failed"), ("x", "running")], request),
        }
    });
    let ran = rig.poll(&["a", "b", "c"], &[]);
    let c = status(&ran, "c");
    assert_eq!((&c["phase"], &c["flags"]), (&json!("Failed"), &Value::Null), "{c}");
    let a = status(&ran, "a");
    assert_eq!((&a["phase"], &a["flags"]), (&json!("Succeeded"), &json!(["GoneIsDone"])), "{a}");
    assert_eq!(status(&ran, "b")["flags"], Value::Null);
    let out = rig.dir.path().join("out");
    let report = tool(render_report::run, &["--out", out.to_str().unwrap(), "--expect", "all-done"], &ran.stdout);
    let page = std::fs::read_to_string(out.join("report.md")).unwrap();
    assert!(page.contains("succeeded by absence: 1"), "{}\n{page}", report.stderr);
}

#[test]
fn a_job_is_gone_after_two_whole_lists_and_by_the_profiles_word() {
    for (gone, phase, reason) in [
        ("done", "Succeeded", Value::Null),
        ("lost", "Lost", json!("UnknownId")),
        ("unknown", "Unknown", json!("UnknownId")),
    ] {
        let without = Arc::new(AtomicUsize::new(0));
        let (count, passes) = (without.clone(), AtomicUsize::new(0));
        let rig = Rig::new(&format!("gone = \"{gone}\""), "path = \"/jobs\"\nat = [\"\"]\n", move |_| {
            if passes.fetch_add(1, SeqCst) < 2 {
                return Reply::json(page(&[("a", "running")]).to_string());
            }
            count.fetch_add(1, SeqCst);
            Reply::json("[]")
        });
        let ran = rig.poll(&["a"], &["--lost-after", "0s"]);
        let a = status(&ran, "a");
        assert_eq!((&a["phase"], &a["reason"]), (&json!(phase), &reason), "{a}");
        assert!(without.load(SeqCst) >= 2, "two lists decide");
        let [seen, ended] =
            ["notEndedAt", "observedAt"].map(|key| a[key].as_str().unwrap().parse::<Timestamp>().unwrap());
        assert!(ended.since(seen) > 1.0, "at least a second apart: {a}");
        assert!(a["notEndedAt"].is_string(), "{a}");
        // Nobody saw it run, and nothing shows that this is the list of the jobs.
        let never = rig.poll(&["b"], &["--lost-after", "0s"]);
        assert_eq!(status(&never, "b")["phase"], "Unknown", "{gone}");
    }
}

#[test]
fn a_list_that_fails_half_way_shows_no_absence() {
    for (second, part) in [
        (Reply::new(500, "boom"), "HTTP 500: boom"),
        (Reply::json(r#"{"jobs":null,"total":4}"#), "null at /jobs is neither a list nor an object of jobs"),
        (Reply::json(r#"{"errors":["no"]}"#), "names an error, `errors`"),
        (Reply::json(r#"{"jobs":[{"state":"done"}],"total":4}"#), "no id at /id in the entry"),
        (Reply::json(r#"{"jobs":[],"total":4}"#), "the list ended after 2 jobs, although it has 4"),
        (Reply::Cut(r#"{"jobs":[]"#.to_owned()), "broke off"),
        (Reply::Close, "the connection was closed"),
    ] {
        let rig = Rig::new("gone = \"done\"", BY_OFFSET, move |request| match query(request, "offset") {
            Some("0") => {
                Reply::json(json!({"jobs": page(&[("a", "running"), ("b", "running")]), "total": 4}).to_string())
            }
            _ => second.clone(),
        });
        let ran = rig.poll(&["a", "c"], &["--deadline", "300ms", "--lost-after", "0s"]);
        let c = status(&ran, "c");
        assert_eq!(c["phase"], "TimedOut", "{c}");
        assert!(c["message"].as_str().unwrap().contains(part), "{part}: {c}");
        assert_eq!(status(&ran, "a")["phase"], "TimedOut");
        assert!(status(&ran, "a")["notEndedAt"].is_string(), "the first page told of it");
        let polling = &ran.last("r1")["status"]["polling"];
        let [sent, failed] = ["sent", "failed"].map(|key| polling[key].as_u64().unwrap());
        assert!(failed > 0 && failed <= sent / 2 + 1, "one page of two: {polling}");
        assert!(ran.stderr.contains(part), "{part}: {}", ran.stderr);
    }
}

#[test]
fn what_a_cache_answers_shows_no_absence() {
    let rig = Rig::new("gone = \"lost\"", "path = \"/jobs\"\nat = [\"\"]\n", |_| {
        Reply::Whole(200, vec![("Age", "7".to_owned())], "[]".to_owned())
    });
    let ran = rig.poll(&["a"], &["--deadline", "200ms", "--lost-after", "0s"]);
    assert_eq!(status(&ran, "a")["phase"], "TimedOut");
}

#[test]
fn a_job_that_the_list_lacks_is_polled_on_its_own_if_the_profile_can() {
    let rig = Rig::new("path = \"/jobs/{id}\"", "path = \"/active\"\nat = [\"/active\"]\n", {
        let began = Instant::now();
        move |request| match request.path.as_str() {
            "/active" if began.elapsed().as_millis() < 150 => {
                Reply::json(json!({"active": {"a": {"state": "running"}, "b": "running"}}).to_string())
            }
            "/active" => Reply::json(r#"{"active":{}}"#),
            "/jobs/a" => Reply::json(r#"{"id":"a","state":"done"}"#),
            _ => Reply::json(r#"{"id":"b","state":"failed"}"#),
        }
    });
    let text = std::fs::read_to_string(rig.dir.path().join("p.toml")).unwrap();
    let text = text.replacen("status = [\"/state\"]", "status = [\"/state\", \"\"]", 1);
    std::fs::write(rig.dir.path().join("p.toml"), text).unwrap();
    let ran = rig.poll(&["a", "b"], &[]);
    assert_eq!((&status(&ran, "a")["phase"], &status(&ran, "b")["phase"]), (&json!("Succeeded"), &json!("Failed")));
    assert_eq!(rig.requests("/jobs/").len(), 2, "one request of its own for each job that ended");
    assert_eq!(status(&ran, "a")["flags"], Value::Null);
}

#[test]
fn ids_may_stand_in_the_query_and_a_missing_one_is_asked_for_alone() {
    let known = |id: &str| id != "gone";
    let rig = Rig::new("", "path = \"/jobs?id={ids:&id=}\"\nat = [\"/jobs\"]\nbatch = 3\n", {
        let began = Instant::now();
        move |request| {
            let ids: Vec<&str> = request
                .path
                .split_once('?')
                .unwrap()
                .1
                .split('&')
                .filter_map(|pair| pair.strip_prefix("id="))
                .collect();
            let state = if began.elapsed().as_millis() < 100 { "running" } else { "done" };
            let jobs: Vec<(&str, &str)> = ids.into_iter().filter(|id| known(id)).map(|id| (id, state)).collect();
            Reply::json(json!({"jobs": page(&jobs)}).to_string())
        }
    });
    let ran = rig.poll(&["a", "b", "c", "d", "gone"], &["--lost-after", "50ms"]);
    assert_eq!(
        ["a", "b", "c", "d", "gone"].map(|name| status(&ran, name)["phase"].clone()),
        ["Succeeded", "Succeeded", "Succeeded", "Succeeded", "Lost"]
    );
    let requests = rig.requests("/jobs");
    assert_eq!(
        [&requests[0].path, &requests[1].path, &requests[2].path],
        ["/jobs?id=a&id=b&id=c", "/jobs?id=d&id=gone", "/jobs?id=gone"]
    );
    assert!(requests.iter().all(|request| request.path.matches("id=").count() <= 3));
}

#[test]
fn ids_and_a_cursor_may_stand_in_the_body() {
    let list = r#"
        method = "POST"
        path = "/filter"
        at = ["/data/jobs"]
        id = ["/uuid"]
        next = ["/data/cursor"]
        body = { run = "{run}", ids = "{ids}", page = { after = "{next}", size = 1 } }
    "#;
    let rig = Rig::new("", list, |request| {
        let body: Value = serde_json::from_str(&request.body).unwrap();
        assert_eq!((&body["run"], &body["ids"]), (&json!("r1"), &json!(["A1", "B2"])), "{body}");
        let (uuid, cursor) = match body["page"].get("after") {
            None => ("a1", json!(17)),
            Some(after) if *after == json!(17) => ("B2", Value::Null),
            other => panic!("{other:?}"),
        };
        Reply::json(
            json!({"data": {"jobs": [{"uuid": uuid.to_uppercase(), "state": "done"}], "cursor": cursor}}).to_string(),
        )
    });
    let ran = rig.poll(&["A1", "B2"], &[]);
    assert_eq!([status(&ran, "A1")["phase"].clone(), status(&ran, "B2")["phase"].clone()], ["Succeeded", "Succeeded"]);
    assert_eq!(rig.requests("/filter").len(), 2);
}

#[test]
fn a_next_link_is_followed_on_the_targets_own_server_alone() {
    let list = "path = \"/v1/jobs?size=1\"\nat = [\"\"]\nnext = [{ at = \"header:Link\", match = '<([^>]+)>; *rel=\"next\"' }]\n";
    let linked = |link: &'static str| {
        move |request: &Request| match query(request, "after") {
            None => Reply::Whole(
                200,
                vec![("Link", format!("</x>; rel=\"prev\", <{link}>; rel=\"next\""))],
                page(&[("a", "done")]).to_string(),
            ),
            Some(_) => Reply::json(page(&[("b", "done")]).to_string()),
        }
    };
    let rig = Rig::new("", list, linked("jobs?after=a"));
    let ran = rig.poll(&["a", "b"], &[]);
    assert_eq!([status(&ran, "a")["phase"].clone(), status(&ran, "b")["phase"].clone()], ["Succeeded", "Succeeded"]);
    assert_eq!(rig.requests("/v1/").last().unwrap().path, "/v1/jobs?after=a");

    let other = Server::new(|_| Reply::json("[]"));
    let there: &'static str = Box::leak(format!("{}/jobs?after=a", other.url()).into_boxed_str());
    for (link, part) in [(there, "nothing is sent to another server"), ("jobs?size=1", "comes again after 1 pages")] {
        let rig = Rig::new("", list, linked(link));
        let ran = rig.poll(&["a", "b"], &["--deadline", "200ms", "--lost-after", "0s"]);
        let b = status(&ran, "b");
        assert_eq!((status(&ran, "a")["phase"].clone(), &b["phase"]), (json!("Succeeded"), &json!("TimedOut")), "{b}");
        assert!(b["message"].as_str().unwrap().contains(part) && ran.stderr.contains(part), "{b}\n{}", ran.stderr);
    }
    let hostile = format!("{}/jobs\u{1b}[31m", other.url());
    let rig = Rig::new("", "path = \"/jobs\"\nat = [\"/jobs\"]\nnext = [\"/next\"]\n", move |_| {
        Reply::json(json!({"jobs": [], "next": hostile}).to_string())
    });
    let ran = rig.poll(&["a"], &["--deadline", "200ms"]);
    assert!(ran.stderr.contains("nothing is sent to another server"), "{}", ran.stderr);
    assert!(!ran.stderr.contains('\u{1b}'), "{}", ran.stderr);
    assert_eq!(other.requests().len(), 0);
}

#[test]
fn retry_after_holds_the_next_list_back() {
    let rig = Rig::new("", "path = \"/jobs\"\nat = [\"\"]\n", {
        let count = AtomicUsize::new(0);
        move |_| match count.fetch_add(1, SeqCst) {
            0 => Reply::Whole(200, vec![("Retry-After", "1".to_owned())], page(&[("a", "running")]).to_string()),
            _ => Reply::json(page(&[("a", "done")]).to_string()),
        }
    });
    let began = Instant::now();
    let ran = rig.poll(&["a"], &[]);
    assert_eq!(status(&ran, "a")["phase"], "Succeeded");
    assert!(began.elapsed().as_secs_f64() >= 1.0 && rig.requests("/jobs").len() == 2);
}

#[test]
fn explain_shows_the_list_and_the_entry_and_await_idle_asks_it() {
    let rig =
        Rig::new("", BY_OFFSET, |request| two_from_offset(&[("a", "done"), ("b", "done"), ("c", "running")], request));
    let found = rig.explain("c");
    assert_eq!(found.code, 0, "{}{}", found.stdout, found.stderr);
    for part in [
        "/jobs?offset=2\nHTTP 200\n",
        "poll.list.total          /total               3",
        "the list has c: {\"id\":\"c\"",
        "which means Running",
    ] {
        assert!(found.stdout.contains(part), "{part}\n{}", found.stdout);
    }
    assert!(!found.stdout.contains("submit.id"), "{}", found.stdout);
    let missing = rig.explain("z");
    assert_eq!(missing.code, 4, "{}", missing.stdout);
    assert!(missing.stdout.contains("lacks z"), "{}", missing.stdout);

    let records = rig.dir.path().join("records.ndjson");
    let idle = |job: &str| {
        std::fs::write(&records, submitted(&[job])).unwrap();
        let argv = rig.argv(&["--earlier", records.to_str().unwrap(), "--prometheus", "", "--limit", "200ms"]);
        let next = submitted(&["next"]).replace("Submitted", "Staged").replace("r1", "r2");
        tool(await_idle::run, &argv.iter().map(String::as_str).collect::<Vec<_>>(), &next)
    };
    for (job, is_idle) in [("c", json!(false)), ("a", Value::Null), ("z", Value::Null)] {
        let ran = idle(job);
        assert_eq!(status(&ran, "r2")["idle"]["idle"], is_idle, "{job}: {}\n{}", ran.stdout, ran.stderr);
        // Without a Prometheus nobody can say that it is idle.
        assert_eq!(ran.stderr.contains("cannot tell"), is_idle.is_null(), "{job}: {}", ran.stderr);
    }
}

#[test]
fn mistakes_in_a_list_are_named_by_their_key() {
    let refused = |poll: &str, list: &str| {
        let rig = Rig::new(poll, list, |_| Reply::json("[]"));
        let argv = rig.argv(&["--check"]);
        let ran = tool(poll_jobs::run, &argv.iter().map(String::as_str).collect::<Vec<_>>(), "");
        assert_eq!((ran.code, ran.stderr.lines().count()), (2, 1), "{list}: {}", ran.stderr);
        ran.stderr
    };
    for (list, part) in [
        ("path = \"jobs\"\nat = [\"\"]\n", "poll.list.path = \"jobs\": a path begins with `/`"),
        (
            "path = \"/jobs/{id}\"\nat = [\"\"]\n",
            "{id} is not a template variable here; the variables are {run}, {ids}",
        ),
        ("path = \"/jobs\"\nat = [\"header:X\"]\n", "poll.list.at: \"header:X\" is not a JSON pointer"),
        ("path = \"/jobs\"\nat = []\n", "poll.list.at is empty"),
        ("path = \"/jobs?c={next}\"\nat = [\"\"]\n", "{next} without `next`"),
        ("path = \"/jobs\"\nat = [\"\"]\ntotal = [\"/n\"]\n", "poll.list.total"),
        ("path = \"/jobs\"\nat = [\"\"]\nbatch = 0\n", "poll.list.batch = 0"),
        ("path = \"/jobs\"\nat = [\"\"]\nnexr = [\"/n\"]\n", "unknown field `nexr`"),
    ] {
        let message = refused("", list);
        assert!(message.contains(part), "{part}: {message}");
    }
    let no_id = refused("id = []", "path = \"/jobs\"\nat = [\"\"]\n");
    assert!(no_id.contains("poll.list.id"), "{no_id}");
}

#[test]
fn a_cursor_on_the_last_page_is_not_followed_where_another_value_says_that_it_is_the_last() {
    let list = "path = \"/jobs?after={next}\"\nat = [\"/jobs\"]\nnext = [\"/last\"]\nmore = [\"/more\"]\ntotal = [\"/total\"]\n";
    let rig = Rig::new("", list, |request| match query(request, "after") {
        None => {
            Reply::json(json!({"jobs": page(&[("a", "running")]), "last": "a", "more": true, "total": 2}).to_string())
        }
        _ => Reply::json(json!({"jobs": page(&[("b", "done")]), "last": "b", "more": false, "total": 2}).to_string()),
    });
    let ran = rig.poll(&["a", "b"], &["--deadline", "500ms"]);
    assert_eq!(["a", "b"].map(|name| status(&ran, name)["phase"].clone()), ["TimedOut", "Succeeded"], "{}", ran.stdout);
    assert!(rig.requests("/jobs").iter().all(|request| query(request, "after") != Some("b")));
}

#[test]
fn a_profile_whose_target_forgets_what_is_done_needs_no_word_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let check = |gone: &str| {
        let poll = POLL.replacen("[poll]", &format!("[poll]\npath = \"/jobs/{{id}}\"\ngone = \"{gone}\""), 1);
        std::fs::write(dir.path().join("p.toml"), format!("{HEAD}{}", poll.replace("[\"done\"]", "[]"))).unwrap();
        tool(poll_jobs::run, &["--check", "--profile", dir.path().join("p.toml").to_str().unwrap()], "").code
    };
    assert_eq!((check("done"), check("lost")), (0, 2));
}

#[test]
fn a_request_for_ids_of_which_one_is_unknown_is_made_again_for_each() {
    let list = "path = \"/jobs?id={ids}\"\nat = [\"/jobs\"]\n";
    let rig = Rig::new("", list, |request| match query(request, "id") {
        Some("a") => Reply::json(json!({"jobs": page(&[("a", "done")])}).to_string()),
        Some("b") => Reply::json(json!({"jobs": page(&[("b", "failed")])}).to_string()),
        _ => Reply::new(404, ""),
    });
    let ran = rig.poll(&["a", "b", "c"], &["--lost-after", "0s"]);
    assert_eq!(["a", "b", "c"].map(|name| status(&ran, name)["phase"].clone()), ["Succeeded", "Failed", "Lost"]);
    let explained = rig.explain("c");
    assert!(explained.stdout.contains("lacks c"), "{}", explained.stdout);
}

#[test]
fn another_tenants_entry_whose_id_ends_in_the_jobs_is_not_its_own() {
    let passes = AtomicUsize::new(0);
    let rig = Rig::new("", "path = \"/v1/jobs\"\nat = [\"/jobs\"]\n", move |_| {
        let own = match passes.fetch_add(1, SeqCst) {
            0 => None,
            1 => Some("running"),
            _ => Some("failed"),
        };
        let own = own.map(|state| [("7", state), ("jobs/8", state), ("/v1/jobs/9", state)]);
        let foreign = [("team-b/7", "done"), ("team-b/8", "done"), ("team-b/9", "done")];
        let entries: Vec<_> = foreign.into_iter().chain(own.into_iter().flatten()).collect();
        Reply::json(json!({"jobs": page(&entries)}).to_string())
    });
    let ran = rig.poll(&["7", "8", "9"], &["--deadline", "5s"]);
    for name in ["7", "8", "9"] {
        assert_eq!(status(&ran, name)["phase"], "Failed", "{}", ran.stdout);
    }
}
