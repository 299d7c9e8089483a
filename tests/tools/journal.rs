//! `submit-jobs --journal`: a second start submits nothing twice, and submissions that redirects and long ids answer.

use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::Value;
use stress_suite::cli::Stop;
use stress_suite::tools::{poll_jobs, submit_jobs};

use crate::server::{Reply, Server};
use crate::support::{Ran, Target, root, tool, tool_until, wait_until};

fn journal(target: &Target) -> PathBuf {
    target.dir.path().join("submissions.ndjson")
}

fn submit(target: &Target, argv: &[&str], records: &str) -> Ran {
    let journal = journal(target);
    target.submit(&[&["--journal", journal.to_str().unwrap()], argv].concat(), records)
}

/// Cuts the journal down to the lines with this phase.
fn keep_only(journal: &Path, phase: &str) {
    let text = fs::read_to_string(journal).unwrap();
    let word = format!("\"{phase}\"");
    let kept: String = text.split_inclusive('\n').filter(|line| line.contains(&word)).collect();
    assert!(!kept.is_empty() && kept.len() < text.len());
    fs::write(journal, kept).unwrap();
}

/// The default profile without its idempotency key.
fn profile_without_key(target: &Target) -> String {
    let path = target.dir.path().join("profile.toml");
    let text = fs::read_to_string(root().join("profiles/autorag.toml")).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with("Idempotency-Key")).map(|line| format!("{line}\n"));
    fs::write(&path, lines.collect::<String>()).unwrap();
    path.display().to_string()
}

fn ids(ran: &Ran) -> Vec<String> {
    let jobs = ran.records().into_iter().filter(|record| record["status"]["phase"] == "Submitted");
    let mut ids: Vec<String> = jobs.map(|job| job["status"]["jobId"].as_str().unwrap().to_owned()).collect();
    ids.sort();
    ids
}

fn text<'a>(record: &'a Value, key: &str) -> &'a str {
    record["status"][key].as_str().unwrap_or_default()
}

#[test]
fn jobs_that_the_journal_knows_are_followed_and_the_others_are_submitted() {
    let target = Target::start(&[]);
    let records = target.stage(4);
    let first: String = records.split_inclusive('\n').take(3).collect();
    let before = submit(&target, &["--max-posts", "2"], &first);
    assert_eq!((before.code, target.sim.stats().posts), (0, 2), "{}", before.stderr);
    let after = submit(&target, &[], &records);
    assert_eq!((after.code, target.sim.stats().posts), (0, 4), "{}", after.stderr);
    assert!(ids(&before).iter().all(|id| ids(&after).contains(id)));
    assert_eq!(ids(&after).len(), 4);
    for line in fs::read_to_string(journal(&target)).unwrap().lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        assert!(["Submitting", "Submitted"].contains(&text(&record, "phase")), "{line}");
    }
}

#[test]
fn an_intent_without_an_answer_is_unknown_unless_the_target_recognises_the_job() {
    let target = Target::start(&[]);
    let profile = profile_without_key(&target);
    let records = target.stage(3);
    submit(&target, &[], &records);
    keep_only(&journal(&target), "Submitting");
    let ran = submit(&target, &["--profile", &profile], &records);
    assert_eq!(target.sim.stats().posts, 3, "nothing is sent twice: {}", ran.stderr);
    for name in ["soak-001", "soak-002", "soak-003"] {
        let job = ran.last(name);
        assert_eq!((text(&job, "phase"), text(&job, "reason")), ("Unknown", "AnswerLost"), "{job}");
        assert!(job["status"]["traceId"].is_string() && job["status"]["submittedAt"].is_string(), "{job}");
    }
    let again = submit(&target, &["--profile", &profile], &records);
    assert_eq!(
        (again.last("soak-002")["status"].clone(), target.sim.stats().posts),
        (ran.last("soak-002")["status"].clone(), 3)
    );
    // Two jobs are known as unknown by now, and of one there is the intent alone.
    let known = fs::read_to_string(journal(&target)).unwrap();
    let lines =
        known.split_inclusive('\n').filter(|line| !line.contains("soak-003") || line.contains("\"Submitting\""));
    fs::write(journal(&target), lines.collect::<String>()).unwrap();
    let ran = submit(&target, &[], &records);
    assert_eq!((ids(&ran).len(), target.sim.stats().posts, target.sim.stats().accepted), (3, 6, 3), "{}", ran.stderr);
    // The target may have made each job at the first submission, so that is where its time begins.
    for name in ["soak-001", "soak-002", "soak-003"] {
        let (first, second) = (again.last(name), ran.last(name));
        assert_eq!(text(&second, "submittedAt"), text(&first, "submittedAt"));
        assert!(text(&second, "submittedAt") < text(&second, "resubmittedAt"), "{second}");
        assert!(text(&second, "resubmittedAt") < text(&second, "acceptedAt"), "{second}");
    }
    let (url, records) = (target.url(), ran.stdout);
    let ended = tool(poll_jobs::run, &["--target", &url, "--min-interval", "5ms"], &records).last("soak-001");
    let seconds = |key: &str| ended["status"][key].as_f64().unwrap();
    let apart = |from: &str, to: &str| {
        let time = |key: &str| text(&ended, key).parse::<stress_suite::record::Timestamp>().unwrap();
        time(to).since(time(from))
    };
    assert!((seconds("durationSeconds") - apart("submittedAt", "endedAt")).abs() < 1e-6, "{ended}");
    assert!(seconds("durationErrorSeconds") >= apart("submittedAt", "resubmittedAt"), "{ended}");
    assert!(!ended.to_string().contains("StaleTimes"), "{ended}");
}

#[test]
fn poll_jobs_follows_what_only_the_journal_knows() {
    let target = Target::start(&[]);
    let records = target.stage(3);
    submit(&target, &[], &records);
    let journal = journal(&target);
    let run = records.lines().next().unwrap();
    let (url, path) = (target.url(), journal.to_str().unwrap());
    let flags = ["--target", &url, "--resume", "--journal", path, "--min-interval", "5ms"];
    let ran = tool(poll_jobs::run, &flags, &format!("{run}\n"));
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    for name in ["soak-001", "soak-002", "soak-003"] {
        assert_eq!(text(&ran.last(name), "phase"), "Succeeded");
    }
}

#[test]
fn a_journal_of_another_run_is_refused_by_submit_jobs_and_ignored_by_poll_jobs() {
    let target = Target::start(&[]);
    let records = target.stage(2);
    submit(&target, &[], &records);
    let run = records.split("\"run\":\"").nth(1).unwrap().split('"').next().unwrap();
    let other = records.replace(run, "other");
    let refused = submit(&target, &[], &other);
    assert_eq!((refused.code, target.sim.stats().posts), (2, 2), "{}", refused.stderr);
    assert!(
        refused.stderr.contains(&format!("belongs to run {run}, and the jobs are of run other")),
        "{}",
        refused.stderr
    );
    assert_eq!(refused.last("soak-001")["status"]["phase"], "Staged");
    assert_eq!(refused.last("soak")["status"]["aborted"]["reason"], "JournalFailed");
    let journal = journal(&target);
    let flags =
        ["--target", &target.url(), "--resume", "--journal", journal.to_str().unwrap(), "--min-interval", "5ms"];
    let head = other.lines().next().unwrap();
    let ignored = tool(poll_jobs::run, &flags, &format!("{head}\n"));
    assert!(ignored.stderr.contains(&format!("2 jobs of other runs than the records on stdin ({run}): ignored")));
    assert!(!ignored.stdout.contains("\"Job\"") && !ignored.stdout.contains(run), "{}", ignored.stdout);
    // Of a file that holds both, each takes its own.
    let both = fs::read_to_string(&journal).unwrap();
    fs::write(&journal, format!("{both}{}", both.replace(run, "other"))).unwrap();
    let own = tool(poll_jobs::run, &flags, &format!("{}\n", records.lines().next().unwrap()));
    assert_eq!(
        (own.last("soak-002")["status"]["phase"].as_str(), own.stdout.contains("other")),
        (Some("Succeeded"), false)
    );
    // After a power cut the journal may be all that is left.
    fs::write(&journal, both).unwrap();
    assert_eq!(tool(poll_jobs::run, &flags, "").last("soak-001")["status"]["phase"], "Succeeded");
}

#[test]
fn a_journal_of_other_inputs_is_refused_and_stays_as_it_is() {
    let target = Target::start(&[]);
    let records = target.stage(3);
    let first: String = records.split_inclusive('\n').take(3).collect();
    submit(&target, &[], &first);
    let (journal, kept) = (journal(&target), fs::read(journal(&target)).unwrap());
    let changed = |of: &str, from: &str, to: &str| -> String {
        let change = |line: &str| if line.contains(of) { line.replace(from, to) } else { line.to_owned() };
        records.split_inclusive('\n').map(change).collect()
    };
    for (other, job, what) in [
        (changed("", "/soak/", "/moved/"), "soak-001", "source"),
        (changed("soak-002", "\"bytes\":", "\"bytes\":9"), "soak-002", "size in bytes"),
        (changed("soak-002", "\"spec\":{", "\"spec\":{\"data\":{\"a\":1},"), "soak-002", "data"),
    ] {
        let refused = submit(&target, &[], &other);
        assert_eq!((refused.code, target.sim.stats().posts), (2, 2), "{what}: {}", refused.stderr);
        let line = refused.stderr.lines().find(|line| line.contains("--journal")).unwrap();
        assert!(line.contains(&format!(" has {job} of run ")) && line.contains(&format!("with the {what} ")), "{line}");
        assert!(line.contains("submissions.ndjson line ") && line.contains("stage it as before"), "{line}");
        assert_eq!(refused.stderr.matches("--journal").count(), 1, "{}", refused.stderr);
        assert_eq!(refused.last("soak")["status"]["aborted"]["reason"], "JournalFailed");
        assert_eq!(text(&refused.last(job), "phase"), "Staged");
        assert_eq!(fs::read(&journal).unwrap(), kept, "{what}");
    }
    // As it was staged first, the run goes on.
    let whole = submit(&target, &[], &records);
    assert_eq!((whole.code, target.sim.stats().posts, ids(&whole).len()), (0, 3, 3), "{}", whole.stderr);
}

#[test]
fn a_journal_with_two_jobs_of_one_name_is_refused_with_its_line() {
    let target = Target::start(&[]);
    let records = target.stage(2);
    let submitted = submit(&target, &[], &records);
    let journal = journal(&target);
    let kept = fs::read_to_string(&journal).unwrap();
    let answer = kept.lines().rfind(|line| line.contains("soak-002")).unwrap();
    let id = text(&submitted.last("soak-002"), "jobId").to_owned();
    let mut resume = vec!["--target".to_owned(), target.url(), "--resume".to_owned(), "--journal".to_owned()];
    resume.push(journal.display().to_string());
    let resume: Vec<&str> = resume.iter().map(String::as_str).collect();
    for (line, what) in
        [(answer.replace(&id, "another-id"), "id \"another-id\""), (answer.replace("/soak/", "/moved/"), "source \"")]
    {
        fs::write(&journal, format!("{kept}{line}\n")).unwrap();
        let refused = submit(&target, &[], &records);
        assert_eq!((refused.code, refused.stdout.as_str(), target.sim.stats().posts), (2, "", 2), "{}", refused.stderr);
        assert!(refused.stderr.contains("submissions.ndjson line 5: soak-002 of run "), "{}", refused.stderr);
        assert!(
            refused.stderr.contains(what) && refused.stderr.contains(": nothing is submitted; "),
            "{}",
            refused.stderr
        );
        let unpolled = tool(poll_jobs::run, &resume, &submitted.stdout);
        assert_eq!((unpolled.code, unpolled.stdout.as_str()), (2, ""), "{}", unpolled.stderr);
        assert!(
            unpolled.stderr.contains("line 5: soak-002") && unpolled.stderr.contains(": nothing is polled"),
            "{}",
            unpolled.stderr
        );
    }
    // A journal that agrees with itself, but not with the records.
    for (from, to) in [(id.as_str(), "another-id"), ("/soak/", "/moved/")] {
        fs::write(&journal, kept.replace(from, to)).unwrap();
        let unpolled = tool(poll_jobs::run, &resume, &submitted.stdout);
        assert_eq!((unpolled.code, unpolled.stdout.as_str()), (2, ""), "{}", unpolled.stderr);
        assert!(unpolled.stderr.contains("name the journal of these records"), "{}", unpolled.stderr);
        assert_eq!(unpolled.stderr.lines().count(), 1, "{}", unpolled.stderr);
    }
    fs::write(&journal, &kept).unwrap();
    assert_eq!(text(&tool(poll_jobs::run, &resume, &submitted.stdout).last("soak-002"), "phase"), "Succeeded");
}

#[test]
fn a_second_input_of_one_name_is_a_broken_line_and_is_not_submitted() {
    let target = Target::start(&[]);
    let records = target.stage(2);
    let job = records.lines().last().unwrap();
    let other = job.replace("soak/002.webm", "soak/other.webm");
    assert_ne!(job, other);
    // The same record again says nothing new.
    let ran = submit(&target, &[], &format!("{records}{job}\n{other}\n"));
    assert_eq!((ran.code, target.sim.stats().posts), (65, 2), "{}", ran.stderr);
    assert!(ran.stderr.contains("soak-002 is staged a second time, with another input"), "{}", ran.stderr);
    assert!(!ran.stdout.contains("other.webm"));
}

#[test]
fn a_journal_that_cannot_be_opened_is_an_error_before_anything_is_submitted() {
    let target = Target::start(&[]);
    let (dir, records) = (target.dir.path().to_str().unwrap().to_owned(), target.stage(1));
    for (path, code) in [(dir.clone(), 74), (format!("{dir}/none/file"), 74), ("/dev/zero".to_owned(), 2)] {
        let ran = target.submit(&["--journal", &path], &records);
        assert_eq!(ran.code, code, "{}", ran.stderr);
        assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
        assert!(ran.stderr.contains(&format!("--journal {path}")), "{}", ran.stderr);
    }
    assert_eq!(target.sim.stats().posts, 0);
}

/// Submits one job to a server that answers each POST with `reply`.
fn posted(reply: impl Fn() -> Reply + Send + Sync + 'static) -> Ran {
    let server = Server::new(move |request| if request.method == "POST" { reply() } else { Reply::json("{}") });
    tool(submit_jobs::run, &["--lines", "--target", &server.url()], "/data/a.webm\n")
}

#[test]
fn a_submission_that_a_redirect_answers_may_have_made_the_job() {
    for status in [301, 302, 303, 307, 308] {
        let headers = vec![("Location", "/jobs/j1".to_owned())];
        let ran = posted(move || Reply::Whole(status, headers.clone(), String::new()));
        let job = ran.last("line-001");
        assert_eq!((text(&job, "phase"), text(&job, "reason")), ("Unknown", "Redirected"), "{status}: {job}");
        assert!(text(&job, "message").contains("/jobs/j1"), "{job}");
    }
}

#[test]
fn an_id_that_fits_into_no_url_is_one_clear_line() {
    for (length, phase) in [(4096, "Submitted"), (10_000, "Unknown")] {
        let ran = posted(move || Reply::new(202, format!(r#"{{"job_id":"{}","id":"{0}"}}"#, "x".repeat(length))));
        let job = ran.last("line-001");
        assert_eq!(text(&job, "phase"), phase, "{}", ran.stderr);
        assert!(ran.stderr.len() < 5000 && text(&job, "message").len() < 500);
    }
}

#[test]
fn an_id_that_would_leave_its_place_in_the_url_is_not_polled() {
    for (id, phase) in [("..", "Unknown"), (".", "Unknown"), ("...", "Submitted"), ("a..", "Submitted")] {
        let ran = posted(move || Reply::new(202, format!(r#"{{"job_id":"{id}"}}"#)));
        let job = ran.last("line-001");
        assert_eq!(text(&job, "phase"), phase, "{id}: {job}");
        assert_eq!(text(&job, "message").contains("cannot be polled"), phase == "Unknown", "{job}");
    }
}

#[test]
fn an_answer_with_two_ids_may_have_made_either_job() {
    let ran = posted(|| Reply::new(202, r#"{"job_id":"a","job_id":"b"}"#));
    let job = ran.last("line-001");
    assert_eq!((text(&job, "phase"), text(&job, "reason")), ("Unknown", "UnreadableAnswer"), "{job}");
    assert!(text(&job, "message").contains("`a` and `b`") && text(&job, "body").contains("job_id"), "{job}");
}

#[test]
fn ids_of_runs_that_begin_in_the_same_second_differ() {
    let ids: std::collections::BTreeSet<String> = (0..20)
        .map(|_| {
            let ran = posted(|| Reply::new(202, r#"{"job_id":"a","id":"a"}"#));
            ran.last("line-001")["metadata"]["run"].as_str().unwrap().to_owned()
        })
        .collect();
    assert_eq!(ids.len(), 20, "{ids:?}");
}

#[test]
fn records_of_another_version_are_reported_once_and_handed_on() {
    let target = Target::start(&[]);
    let newer = r#"{"apiVersion":"stress/v2","kind":"Job","metadata":{"name":"a"}}"#;
    let ran = target.submit(&[], &format!("{newer}\n{newer}\n"));
    assert_eq!((ran.code, ran.stdout), (0, format!("{newer}\n{newer}\n")));
    assert_eq!(ran.stderr.matches("stress/v2").count(), 1, "{}", ran.stderr);
}

#[test]
fn a_job_whose_step_hangs_at_the_signal_was_not_submitted_and_a_restart_submits_it() {
    let target = Target::start(&[]);
    let records = target.stage(2);
    let (hangs, posts) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicUsize::new(0)));
    let (still, count) = (hangs.clone(), posts.clone());
    let server = Server::new(move |request| match (&*request.method, &*request.path) {
        ("POST", "/prepare") if still.load(Ordering::SeqCst) => Reply::Hang,
        ("POST", "/jobs") => Reply::new(202, format!(r#"{{"id":"{}"}}"#, count.fetch_add(1, Ordering::SeqCst))),
        _ => Reply::json(r#"{"ticket":"t"}"#),
    });
    let (journal, profile) = (journal(&target), target.dir.path().join("steps.toml"));
    let toml = format!(
        "name = \"s\"\ntarget = \"{}\"\nhealth.path = \"/\"\n[submit]\npath = \"/jobs\"\nid = [\"/id\"]\nbody = {{ t = \"{{vars.ticket}}\" }}\n\
         [poll]\npath = \"/jobs/{{id}}\"\nstatus = [\"/s\"]\nwords = {{ done = [\"done\"], failed = [\"failed\"] }}\n\
         [[steps]]\nname = \"prepare\"\nwhen = \"job\"\nmethod = \"POST\"\npath = \"/prepare\"\ntake = {{ ticket = [\"/ticket\"] }}\n",
        server.url()
    );
    fs::write(&profile, toml).unwrap();
    let argv = ["--profile", profile.to_str().unwrap(), "--journal", journal.to_str().unwrap(), "--max-posts", "2"];
    let submit = |stop: Stop| tool_until(submit_jobs::run, &argv, Box::new(Cursor::new(records.clone())), stop);
    let stop = Stop::with_grace(Duration::from_millis(500));
    let ran = std::thread::scope(|scope| {
        let running = scope.spawn(|| submit(stop.clone()));
        wait_until("both steps", || server.requests().iter().filter(|request| request.path == "/prepare").count() == 2);
        stop.trigger(15);
        running.join().unwrap()
    });
    for name in ["soak-001", "soak-002"] {
        let job = ran.last(name);
        assert_eq!(text(&job, "phase"), "Staged", "{job}");
        assert!(text(&job, "message").contains("the job was not submitted"), "{job}");
    }
    assert_eq!(posts.load(Ordering::SeqCst), 0);
    hangs.store(false, Ordering::SeqCst);
    let again = submit(Stop::default());
    assert_eq!((ids(&again).len(), posts.load(Ordering::SeqCst)), (2, 2), "{}", again.stderr);
}
