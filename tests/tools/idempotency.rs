//! A restart with `--journal` submits a job again only if the target recognises it: under the key, and at the target, of the first time.

use serde_json::Value;

use crate::support::{Ran, Target, root};

/// A stand-in with a run that was submitted through one profile and is started again through others.
struct Rig {
    target: Target,
    records: String,
}

impl Rig {
    /// Submits two jobs under `key`, and is killed before the journal has their answers.
    fn killed(key: Option<&str>) -> Self {
        let target = Target::start(&[]);
        let rig = Self { records: target.stage(2), target };
        assert_eq!(rig.submit(&rig.target, key).code, 0);
        rig.edit_journal(|line| line.contains("\"Submitting\"").then(|| line.to_owned()));
        rig
    }

    fn path(&self, name: &str) -> String {
        self.target.dir.path().join(name).display().to_string()
    }

    /// Replaces each line of the journal; those without a replacement go.
    fn edit_journal(&self, line: impl Fn(&str) -> Option<String>) {
        let kept: Vec<String> = self.journal().lines().filter_map(line).collect();
        assert_eq!(kept.len(), 2);
        std::fs::write(self.path("journal"), kept.join("\n") + "\n").unwrap();
    }

    fn journal(&self) -> String {
        std::fs::read_to_string(self.path("journal")).unwrap()
    }

    /// Starts submit-jobs with the built-in profile, whose idempotency key is `key` instead.
    fn submit(&self, target: &Target, key: Option<&str>) -> Ran {
        self.submit_by(|text| text, target, key)
    }

    /// The same with the profile's text changed by `edit`.
    fn submit_by(&self, edit: impl Fn(String) -> String, target: &Target, key: Option<&str>) -> Ran {
        let text = std::fs::read_to_string(root().join("profiles/autorag.toml")).unwrap();
        let own = "Idempotency-Key = \"{run}/{name}\"\n";
        assert!(text.contains(own));
        let (profile, journal) = (self.path("profile.toml"), self.path("journal"));
        let text = text.replace(own, &key.map(|key| format!("{key}\n")).unwrap_or_default());
        std::fs::write(&profile, edit(text)).unwrap();
        let argv = ["--profile", &profile, "--journal", &journal, "--set", "salt=SECRET"];
        target.submit(&argv, &self.records)
    }

    /// Starts again under `key`, twice, and expects both jobs to stay unknown, for the reason `why`.
    fn stays_unknown(&self, target: &Target, key: Option<&str>, why: &str) {
        let posts = || (self.target.sim.stats().posts, target.sim.stats().posts);
        let before = posts();
        let first = self.submit(target, key);
        let second = self.submit(target, key);
        for ran in [&first, &second] {
            assert_eq!((ran.code, posts()), (0, before), "nothing is sent: {}", ran.stderr);
            for name in ["soak-001", "soak-002"] {
                let status = &ran.last(name)["status"];
                assert_eq!(
                    (&status["phase"], &status["reason"]),
                    (&"Unknown".into(), &"AnswerLost".into()),
                    "{status}"
                );
                let message = status["message"].as_str().unwrap();
                assert!(message.ends_with(why) && message.matches("it is not").count() <= 1, "{message}");
            }
        }
    }
}

const KEY: Option<&str> = Some("Idempotency-Key = \"{run}/{name}\"");

#[test]
fn a_key_that_came_between_two_starts_submits_nothing_twice() {
    let rig = Rig::killed(None);
    assert!(rig.journal().lines().all(|line| line.contains("\"idempotencyKey\":\"\"")), "{}", rig.journal());
    rig.stays_unknown(&rig.target, None, "the job may run");
    rig.stays_unknown(&rig.target, KEY, "it is not submitted again, because it was sent without an idempotency key");
    assert_eq!(rig.target.sim.stats().accepted, 2);
}

#[test]
fn only_the_same_key_at_the_same_target_submits_again() {
    let rig = Rig::killed(KEY);
    for line in rig.journal().lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        let key = record["status"]["idempotencyKey"].as_str().unwrap();
        assert!(key.starts_with("Idempotency-Key ") && key.len() == 32 && !key.contains("soak"), "{key}");
        assert_eq!(record["status"]["target"], rig.target.url());
    }
    let elsewhere = Target::start(&[]);
    for other in ["Idempotency-Key = \"{uuid}\"", "Idempotency-Key = \"{set.salt}/{run}/{name}\""] {
        rig.stays_unknown(&rig.target, Some(other), "because it was sent with another idempotency key");
    }
    let intents = rig.journal().lines().filter(|line| line.contains("\"Submitting\"")).count();
    assert_eq!(intents, 2, "no attempt was made");
    rig.edit_journal(|line| line.contains("\"Submitting\"").then(|| line.to_owned()));
    rig.stays_unknown(&elsewhere, KEY, &format!("because it was sent to another target, {}", rig.target.url()));
    // The name of a header has no case.
    let again = rig.submit(&rig.target, Some("idempotency-key = \"{run}/{name}\""));
    let stats = rig.target.sim.stats();
    assert_eq!((again.last("soak-002")["status"]["phase"].as_str(), stats.posts), (Some("Submitted"), 4));
    assert_eq!(stats.accepted, 2, "the target recognised both: {}", again.stderr);
    assert!(!rig.journal().contains("SECRET"));
}

#[test]
fn a_journal_that_does_not_tell_the_key_submits_nothing_again() {
    let rig = Rig::killed(KEY);
    rig.edit_journal(|line| {
        let (before, after) = line.split_once(",\"idempotencyKey\":\"").unwrap();
        Some(format!("{before}{}", after.split_once('"').unwrap().1))
    });
    rig.stays_unknown(&rig.target, KEY, "because the journal does not say whether it was sent with an idempotency key");
}

#[test]
fn a_submission_without_an_answer_tells_its_key_and_one_with_an_answer_does_not() {
    let target = Target::start(&["--cut-post", "2"]);
    let rig = Rig { records: target.stage(2), target };
    let before = rig.submit(&rig.target, None);
    assert_eq!(before.last("soak-001")["status"]["idempotencyKey"], Value::Null);
    let cut = &before.last("soak-002")["status"];
    assert_eq!((&cut["phase"], &cut["idempotencyKey"]), (&"Unknown".into(), &"".into()), "{cut}");
    let posts = rig.target.sim.stats().posts;
    let after = rig.submit(&rig.target, KEY);
    let known = &after.last("soak-002")["status"];
    assert_eq!((&known["phase"], &known["reason"]), (&"Unknown".into(), &cut["reason"]), "{known}");
    let message = known["message"].as_str().unwrap();
    assert!(message.starts_with(cut["message"].as_str().unwrap()) && message.contains("without an idempotency key"));
    assert_eq!(rig.target.sim.stats().posts, posts, "{}", after.stderr);
}

#[test]
fn records_without_a_run_id_are_named_once_where_their_keys_need_one() {
    let rig = |run: &str| {
        let target = Target::start(&[]);
        let staged = target.stage(3).replace(r#""run":"run-1""#, run);
        let jobs: Vec<&str> = staged.lines().filter(|line| line.contains(r#""kind":"Job""#)).collect();
        Rig { records: jobs.join("\n") + "\n", target }
    };
    let line = "soak-001 has no metadata.run, so its {run} and {uuid} are the same in every run without one";
    for (run, key, lines) in [
        (r#""run":"""#, "Idempotency-Key = \"{run}-{name}\"", 1),
        (r#""run":"""#, "Idempotency-Key = \"{uuid}\"", 1),
        (r#""run":"""#, "Idempotency-Key = \"{name}\"", 0),
        (r#""run":"mine""#, "Idempotency-Key = \"{uuid}\"", 0),
    ] {
        let rig = rig(run);
        let ran = rig.submit(&rig.target, Some(key));
        assert_eq!((ran.code, rig.target.sim.stats().posts), (0, 3), "{run} {key}: {}", ran.stderr);
        assert_eq!(ran.stderr.matches(line).count(), lines, "{run} {key}: {}", ran.stderr);
        assert_eq!(ran.stderr.matches("metadata.run").count(), lines, "{run} {key}: {}", ran.stderr);
    }
}

#[test]
fn a_resubmission_that_is_refused_leaves_the_job_unknown() {
    let rig = Rig::killed(KEY);
    let address = rig.target.url();
    let nowhere = |text: String| text.replacen("path = \"/jobs/audio\"", "path = \"/nowhere\"", 1);
    let refusing = rig.submit_by(nowhere, &rig.target, KEY);
    for name in ["soak-001", "soak-002"] {
        let status = &refusing.last(name)["status"];
        assert_eq!((&status["phase"], &status["reason"]), (&"Unknown".into(), &"AnswerLost".into()), "{status}");
        let message = status["message"].as_str().unwrap();
        assert!(
            message.starts_with("the job may run: an earlier submission was sent") && message.contains("HTTP 4"),
            "{message}"
        );
        assert_eq!(status["target"], address);
    }
    let again = rig.submit(&rig.target, KEY);
    assert_eq!(again.last("soak-002")["status"]["phase"], "Submitted", "{}", again.stderr);
}
