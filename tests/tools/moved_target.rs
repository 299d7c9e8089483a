//! Jobs that were submitted to one target and are asked about at another: the tools say so, and no report passes on the answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};
use stress_suite::tools::{poll_jobs, render_report, submit_jobs};

use crate::odd_polls::{running, target};
use crate::server::{Reply, Server};
use crate::support::{Ran, Target, tool};

/// A target that gives small ids, as others do, and whose jobs run until `ends`.
fn small_ids(ends: &Arc<AtomicBool>) -> Server {
    let ends = ends.clone();
    let done = || Reply::json(r#"{"status":"done"}"#);
    target(move |_, _| if ends.load(Ordering::SeqCst) { done() } else { running() })
}

/// Two targets, of which the jobs of the second have ended, and a directory to stage in.
struct Rig {
    ends: Arc<AtomicBool>,
    first: Server,
    second: Server,
    staging: Target,
}

impl Rig {
    fn new() -> Self {
        let ends = Arc::new(AtomicBool::new(false));
        let second = small_ids(&Arc::new(AtomicBool::new(true)));
        Self { first: small_ids(&ends), ends, second, staging: Target::start(&[]) }
    }

    fn path(&self, name: &str) -> String {
        self.staging.dir.path().join(name).display().to_string()
    }

    fn submit(&self, to: &Server, records: &str) -> Ran {
        tool(submit_jobs::run, &["--target", &to.url(), "--journal", &self.path("journal")], records)
    }
}

fn poll(at: &Server, argv: &[&str], records: &str) -> Ran {
    let url = at.url();
    let flags = ["--target", &url, "--min-interval", "5ms", "--deadline", "200ms"];
    tool(poll_jobs::run, &[&flags[..], argv].concat(), records)
}

/// The exit code of the report, and its page.
fn report(records: &str) -> (i32, String) {
    let out = tempfile::tempdir().unwrap();
    let argv = ["--out", out.path().to_str().unwrap(), "--expect", "all-done", "--redact"];
    let ran = tool(render_report::run, &argv, records);
    let redacted = std::fs::read_to_string(out.path().join("report.redacted.html")).unwrap();
    assert!(!redacted.contains("Collapsed") && !redacted.contains("127.0.0.1"), "{redacted}");
    (ran.code, std::fs::read_to_string(out.path().join("report.md")).unwrap().replace('\\', ""))
}

fn posts(server: &Server) -> usize {
    server.requests().iter().filter(|request| request.method == "POST").count()
}

fn moved(ran: &Ran, name: &str) -> (Value, Value, Value) {
    let Value::Object(status) = ran.last(name)["status"].take() else { panic!("{name} has no status") };
    let field = |key: &str| status.get(key).cloned().unwrap_or_default();
    (field("phase"), field("target"), field("polledTarget"))
}

#[test]
fn a_restart_at_another_target_says_so_and_does_not_pass() {
    let rig = Rig::new();
    let (first, second) = (rig.first.url(), rig.second.url());
    let records = rig.staging.stage(3);
    let before: String = records.split_inclusive('\n').take(3).collect();
    assert_eq!(rig.submit(&rig.first, &before).code, 0);

    let restarted = rig.submit(&rig.second, &records);
    let said: Vec<&str> = restarted.stderr.lines().filter(|line| line.contains("were submitted to")).collect();
    assert_eq!((restarted.code, said.len()), (0, 1), "{}", restarted.stderr);
    assert!(
        said[0].contains(&format!("jobs were submitted to {first} (2), but the target is now {second};")),
        "{}",
        said[0]
    );
    assert_eq!((posts(&rig.first), posts(&rig.second)), (2, 1), "two were submitted before");
    // Both targets call their first job j-1, and that is no collapse.
    assert_eq!(restarted.last("soak-003")["status"]["phase"], "Submitted");

    let polled = poll(&rig.second, &[], &restarted.stdout);
    assert!(!polled.stderr.contains("were submitted to"), "it was said before: {}", polled.stderr);
    for name in ["soak-001", "soak-002"] {
        assert_eq!(moved(&polled, name), (json!("Succeeded"), json!(first), json!(second)));
    }
    assert_eq!(moved(&polled, "soak-003"), (json!("Succeeded"), json!(second), Value::Null));
    let (code, page) = report(&polled.stdout);
    assert_eq!(code, 4, "{page}");
    let doubts = page.split("Missing or doubtful").nth(1).unwrap();
    let doubt = doubts.lines().find(|line| line.contains("submitted to")).unwrap();
    assert!(doubt.contains(&format!("submitted to {first} and polled at {second}")), "{doubt}");
    assert!(doubt.ends_with(": soak-001, soak-002"), "{doubt}");

    // Back at the first target, the jobs are those that were submitted there.
    rig.ends.store(true, Ordering::SeqCst);
    let doubtful = polled.stdout;
    let polled = poll(&rig.first, &[], &rig.submit(&rig.first, &before).stdout);
    for records in [format!("{doubtful}{}", polled.stdout), format!("{}{doubtful}", polled.stdout)] {
        let (code, page) = report(&records);
        assert_eq!(code, 0, "what their own target told counts: {page}");
    }
    assert_eq!(moved(&polled, "soak-001"), (json!("Succeeded"), json!(first), Value::Null));
    let (code, page) = report(&polled.stdout.replace("\"jobs\":3", "\"jobs\":2"));
    assert_eq!(code, 0, "{page}");
}

#[test]
fn resumed_at_another_target_the_jobs_are_doubted_until_their_own_is_asked() {
    let rig = Rig::new();
    let (first, second) = (rig.first.url(), rig.second.url());
    let submitted = rig.submit(&rig.first, &rig.staging.stage(2)).stdout;
    // Records of an earlier version have the target in the Run alone.
    let own = format!("\"target\":\"{first}\",");
    let without = |line: &str| if line.contains("\"kind\":\"Job\"") { line.replace(&own, "") } else { line.to_owned() };
    let old: String = submitted.lines().map(|line| without(line) + "\n").collect();
    assert_ne!(old, submitted);
    for records in [&submitted, &old] {
        let resumed = poll(&rig.second, &["--resume"], records);
        let said = format!("jobs were submitted to {first} and are polled at {second}");
        assert_eq!(resumed.stderr.matches(&said).count(), 1, "{}", resumed.stderr);
        assert_eq!(moved(&resumed, "soak-001"), (json!("Succeeded"), json!(first), json!(second)));
        let (code, page) = report(&resumed.stdout);
        assert!(code == 4 && page.contains("polled at a different target"), "{code} {page}");
    }
    // A third target shows other jobs, which run; what it told is forgotten once their own is asked.
    let third = target(|_, _| running());
    let elsewhere = poll(&third, &["--resume"], &submitted);
    assert_eq!(moved(&elsewhere, "soak-002"), (json!("TimedOut"), json!(first), json!(third.url())));
    assert!(elsewhere.last("soak-002")["status"]["notEndedAt"].is_string());
    rig.ends.store(true, Ordering::SeqCst);
    let resumed = poll(&rig.first, &["--resume"], &elsewhere.stdout);
    assert_eq!(moved(&resumed, "soak-002"), (json!("Succeeded"), json!(first), Value::Null));
    assert_eq!(resumed.last("soak-002")["status"]["notEndedAt"], Value::Null, "{}", resumed.stdout);
    assert_eq!(report(&resumed.stdout).0, 0);
}

#[test]
fn another_spelling_is_the_same_target_and_no_secret_of_it_is_shown() {
    let rig = Rig::new();
    rig.ends.store(true, Ordering::SeqCst);
    let (url, journal) = (rig.first.url(), rig.path("journal"));
    let records = rig.staging.stage(1);
    rig.submit(&rig.first, &records);
    let kept = std::fs::read_to_string(&journal).unwrap();
    let spell = |of: &str| std::fs::write(&journal, kept.replace(&url, of)).unwrap();
    spell(&(url.replace("http://", "HTTP://user:secret@") + "/?key=secret"));
    let ran = rig.submit(&rig.first, &records);
    assert_eq!((ran.code, ran.stderr.matches("the target is now").count()), (0, 0), "{}", ran.stderr);
    assert_eq!(moved(&poll(&rig.first, &[], &ran.stdout), "soak-001").2, Value::Null);
    for (other, shown) in
        [("http://user:secret@elsewhere:81/p?key=secret", "http://elsewhere:81/p"), ("secret", "an address")]
    {
        spell(other);
        let ran = rig.submit(&rig.first, &records);
        assert!(
            ran.stderr.contains(&format!("jobs were submitted to {shown}")) && !ran.stderr.contains("secret"),
            "{}",
            ran.stderr
        );
        let polled = poll(&rig.first, &[], &ran.stdout);
        assert!(!polled.stderr.contains("secret") && moved(&polled, "soak-001").2 == json!(url), "{}", polled.stdout);
        let (code, page) = report(&polled.stdout);
        assert!(code == 4 && page.contains(shown) && !page.contains("secret"), "{page}");
    }
}

#[test]
fn a_journal_that_is_all_there_is_tells_where_to_ask() {
    let rig = Rig::new();
    rig.ends.store(true, Ordering::SeqCst);
    rig.submit(&rig.first, &rig.staging.stage(2));
    let flags = ["--resume", "--journal", &rig.path("journal"), "--min-interval", "5ms"];
    let ran = tool(poll_jobs::run, &flags, "");
    assert_eq!(moved(&ran, "soak-002"), (json!("Succeeded"), json!(rig.first.url()), Value::Null), "{}", ran.stderr);
}
