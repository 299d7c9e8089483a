//! `submit-jobs`: what each answer of a target makes of a job, and that every record is handed on.

use std::fs;

use stress_suite::cli::Stop;
use stress_suite::tools::submit_jobs::run;

use crate::support::{Target, root, tool, tool_until, wait_until};

#[test]
fn every_job_is_submitted_once_with_its_own_trace_and_key() {
    let target = Target::start(&[]);
    let ran = target.submit(&["--max-posts", "3"], &target.stage(5));
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let stats = target.sim.stats();
    assert_eq!((stats.posts, stats.accepted), (5, 5));
    assert!(stats.peak_posts <= 3);
    for job in &stats.jobs {
        let record = ran.records().into_iter().find(|record| record["status"]["jobId"] == job.id.as_str()).unwrap();
        assert_eq!(record["spec"]["source"], job.source.as_str());
        assert_eq!(record["status"]["traceId"].as_str(), job.trace_id.as_deref());
        let key = format!("run-1/{}", record["metadata"]["name"].as_str().unwrap());
        assert_eq!(job.idempotency_key.as_deref(), Some(key.as_str()));
    }
    let run = ran.last("soak");
    assert_eq!((&run["spec"]["maxPosts"], &run["spec"]["profile"]), (&3.into(), &"autorag".into()));
    assert!(run["status"]["clockOffset"]["boundSeconds"].as_f64().unwrap() < 5.0);
    assert_eq!(run["spec"]["stages"].as_array().unwrap().len(), 8);
}

#[test]
fn a_refusal_no_answer_a_cut_answer_and_a_repeated_id_are_told_apart() {
    let target = Target::start(&["--refuse", "503:2:1", "--no-answer", "3", "--cut-post", "4", "--same-id", "4"]);
    let ran = target.submit(&["--timeout", "3s"], &target.stage(6));
    assert_eq!(ran.code, 0, "what jobs do is data");
    let told = |name: &str| {
        let status = ran.last(name)["status"].clone();
        (
            status["phase"].as_str().unwrap().to_owned(),
            status["reason"].as_str().unwrap_or("").to_owned(),
            status["message"].to_string(),
        )
    };
    assert_eq!(told("soak-001").0, "Submitted");
    let (phase, reason, message) = told("soak-002");
    assert_eq!((phase.as_str(), reason.as_str()), ("Rejected", "Refused"));
    assert!(message.contains("HTTP 503"), "{message}");
    let (phase, reason, message) = told("soak-003");
    assert_eq!((phase.as_str(), reason.as_str()), ("Unknown", "NoAnswer"));
    assert!(message.contains("no answer within 3.00 s; the job may run"), "{message}");
    assert_eq!((told("soak-004").0.as_str(), told("soak-004").1.as_str()), ("Unknown", "AnswerCut"));
    assert_eq!(target.sim.stats().posts, 6, "nothing was sent twice");
}

#[test]
fn an_id_that_another_job_has_is_a_collapse() {
    let target = Target::start(&["--same-id", "2"]);
    let ran = target.submit(&[], &target.stage(3));
    let status = ran.last("soak-002")["status"].clone();
    assert_eq!((&status["phase"], &status["reason"]), (&"Failed".into(), &"Collapsed".into()));
    assert!(status["message"].as_str().unwrap().contains("soak-001"));
}

#[test]
fn an_unhealthy_or_absent_target_gets_nothing_and_every_record_is_handed_on() {
    let target = Target::start(&["--unhealthy"]);
    let staged = target.stage(2);
    for (url, said, reason) in [
        (target.url(), "HTTP 503", "TargetUnhealthy"),
        ("http://127.0.0.1:9".to_owned(), "connection refused", "TargetAbsent"),
    ] {
        let ran = tool(run, &["--target", &url], &staged);
        assert_eq!(ran.code, 69);
        assert!(ran.stderr.contains(said) && !ran.stderr.contains("AutoRAG"), "{}", ran.stderr);
        assert_eq!(ran.stderr.lines().count(), 1);
        assert_eq!(ran.phases("soak-002"), ["Staged"]);
        assert_eq!(ran.last("soak")["status"]["aborted"]["reason"], reason);
    }
    assert_eq!(target.sim.stats().posts, 0);
}

#[test]
fn the_profile_says_how_to_start_the_target_only_where_it_expects_it() {
    let target = Target::start(&[]);
    let staged = target.stage(1);
    let profile = target.dir.path().join("profile.toml");
    let text = std::fs::read_to_string(root().join("profiles/autorag.toml")).unwrap();
    std::fs::write(&profile, text.replace("http://localhost:8000", "http://127.0.0.1:9")).unwrap();
    for (url, is_told) in [("http://127.0.0.1:9/", true), ("http://localhost:9", false)] {
        let ran = tool(run, &["--target", url, "--profile", profile.to_str().unwrap()], &staged);
        assert_eq!((ran.code, ran.stderr.contains("; start AutoRAG's API server")), (69, is_told), "{}", ran.stderr);
    }
}

#[test]
fn a_target_that_dies_is_given_up_after_three_jobs_in_a_row() {
    let target = Target::start(&["--die-after", "2"]);
    let ran = target.submit(&["--max-posts", "3"], &target.stage(30));
    assert_eq!(ran.code, 69, "{}", ran.stderr);
    let phases: Vec<_> = (1..=30).map(|number| ran.phases(&format!("soak-{number:03}")).pop().unwrap()).collect();
    let count = |phase: &str| phases.iter().filter(|one| *one == phase).count();
    assert!(count("Staged") > 0 && count("Rejected") >= 3, "{phases:?}");
    assert_eq!(ran.last("soak")["status"]["aborted"]["reason"], "TargetGone");
}

#[test]
fn jobs_that_were_submitted_before_are_handed_on_untouched() {
    let target = Target::start(&[]);
    let first = target.submit(&[], &target.stage(2));
    let again = target.submit(&[], &first.stdout);
    assert_eq!(target.sim.stats().posts, 2);
    assert!(again.stderr.contains("2 jobs had been submitted before"), "{}", again.stderr);
    assert_eq!(again.last("soak-001"), first.last("soak-001"));
    // Twice the same Staged record is one job.
    let staged = target.stage(1);
    target.submit(&[], &format!("{staged}{staged}"));
    assert_eq!(target.sim.stats().posts, 3);
}

#[test]
fn the_open_schedule_is_kept_by_a_slow_target_and_lag_is_on_record() {
    let target = Target::start(&["--delay", "300ms"]);
    let ran = target.submit(&["--rate", "50/s"], &target.stage(6));
    let times: Vec<(f64, f64)> = (1..=6)
        .map(|number| {
            let status = ran.last(&format!("soak-{number:03}"))["status"].clone();
            let seconds =
                |key: &str| status[key].as_str().unwrap().parse::<stress_suite::record::Timestamp>().unwrap().seconds();
            (seconds("dueAt"), seconds("submittedAt"))
        })
        .collect();
    for pair in times.windows(2) {
        let micros = (pair[1].0 - pair[0].0) * 1e6;
        assert!((micros - 20_000.0).abs() < 2.5, "the schedule is fixed: {times:?}");
    }
    assert!(times.iter().all(|(due, submitted)| submitted >= due), "{times:?}");
    assert_eq!(ran.last("soak")["spec"]["ratePerSecond"], 50.0);
}

#[test]
fn plain_lines_are_sources() {
    let target = Target::start(&[]);
    target.stage(2);
    let ran = target.submit(&["--lines"], "/data/fixtures/soak/001.webm\n\n/data/fixtures/soak/002.webm\r\n");
    let sources: Vec<_> =
        ran.records().iter().map(|record| record["spec"]["source"].as_str().unwrap().to_owned()).collect();
    assert_eq!(sources, ["/data/fixtures/soak/001.webm", "/data/fixtures/soak/002.webm"]);
    assert_eq!(ran.phases("line-002"), ["Submitted"]);
}

#[test]
fn a_dry_run_prints_a_curl_command_and_sends_nothing() {
    let target = Target::start(&[]);
    let dir = tempfile::tempdir().unwrap();
    let secrets = dir.path().join("headers");
    fs::write(&secrets, "X-Api-Key: s3cret\n").unwrap();
    let ran = target.submit(&["--dry-run", "--header-file", secrets.to_str().unwrap()], &target.stage(2));
    assert_eq!((ran.code, target.sim.stats().posts), (0, 0));
    assert!(ran.stdout.starts_with(&format!("curl -i -X POST '{}/jobs/audio'", target.url())), "{}", ran.stdout);
    for part in [
        "Idempotency-Key: run-1/soak-001",
        "traceparent: 00-",
        r#"--data-raw '{"source":"/data/fixtures/soak/001.webm"}'"#,
    ] {
        assert!(ran.stdout.contains(part), "{part} in {}", ran.stdout);
    }
    assert!(!ran.stdout.contains("s3cret"));
    let none = target.submit(&["--dry-run"], "");
    assert_eq!(none.code, 2);
    assert!(none.stderr.contains("no Job on stdin"), "{}", none.stderr);
}

#[test]
fn broken_lines_are_named_and_cost_the_exit_code_and_nothing_else() {
    let target = Target::start(&[]);
    let staged = target.stage(2);
    let ran = target.submit(&[], &format!("hello\n{{\"kind\":\n{staged}{{\n  \"a\": 1\n}}\n"));
    assert_eq!(ran.code, 65);
    assert!(ran.stderr.contains("line 2: EOF") && ran.stderr.contains("jq -c"), "{}", ran.stderr);
    assert_eq!(target.sim.stats().accepted, 2);
}

#[test]
fn a_wait_for_a_server_that_does_not_answer_is_announced() {
    let target = Target::start(&[]);
    let staged = target.stage(1);
    // It accepts connections and never answers.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    for flags in [&[][..], &["--explain"]] {
        let flags = [&["--target", &url, "--timeout", "4s"], flags].concat();
        let ran = crate::support::tool(stress_suite::tools::submit_jobs::run, &flags, &staged);
        let awaited = format!("waiting for {} {url}/", if flags.len() == 4 { "GET" } else { "POST" });
        assert!(ran.code != 0 && ran.stderr.contains(&awaited) && ran.stderr.contains("4 s at most"), "{}", ran.stderr);
    }
}

#[test]
fn lines_none_of_which_is_a_record_are_broken_input_and_lines_is_named() {
    let target = Target::start(&[]);
    let ran = target.submit(&[], "/data/a.webm\n/data/b.webm\n");
    assert!(ran.code == 65 && ran.stderr.contains("add --lines"), "{}", ran.stderr);
}

#[test]
fn a_job_without_a_source_is_rejected_and_accounted_for() {
    let target = Target::start(&[]);
    let ran = target.submit(&[], "{\"apiVersion\":\"stress/v1\",\"kind\":\"Job\",\"metadata\":{\"name\":\"a\"}}\n");
    assert_eq!(ran.last("a")["status"]["reason"], "NoSource");
}

#[test]
fn files_of_a_directory_that_another_run_uses_are_not_submitted() {
    let target = Target::start(&[]);
    let staged = target.stage(1);
    let dir = target.dir.path().join("data/fixtures/soak");
    let mark = dir.with_file_name(".soak.run");
    let mark = fs::File::options().write(true).open(mark).unwrap();
    mark.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
    let _other = stress_suite::staging::Claim::new(&dir, "other").unwrap().unwrap();
    let ran = target.submit(&[], &staged);
    let status = &ran.last("soak-001")["status"];
    assert_eq!((&status["phase"], &status["reason"]), (&"Rejected".into(), &"SourceInUse".into()), "{status}");
    assert!(status["message"].as_str().unwrap().contains("run other"), "{status}");
    assert_eq!(target.sim.stats().accepted, 0);
}

#[test]
fn concurrency_without_slots_and_slots_without_concurrency_are_usage_errors() {
    let ran = tool(run, &["--concurrency", "4"], "");
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("submit-jobs --concurrency 4 --slots FIFO | poll-jobs --slots FIFO"), "{}", ran.stderr);
    assert_eq!(tool(run, &["--slots", "x"], "").code, 2);
}

#[test]
fn a_warm_up_without_slots_is_refused_and_everything_is_handed_on() {
    let target = Target::start(&[]);
    let staged = target.stage_with(&["--jobs", "2", "--warmup", "1"]);
    for argv in [&["--max-posts", "2"][..], &["--rate", "5/s"]] {
        let ran = target.submit(argv, &staged);
        assert_eq!((ran.code, target.sim.stats().posts), (2, 0), "{}", ran.stderr);
        assert!(
            ran.stderr.contains("submit-jobs --concurrency N --slots FIFO | poll-jobs --slots FIFO"),
            "{}",
            ran.stderr
        );
        assert_eq!(ran.last("soak")["status"]["aborted"]["reason"], "NoSlots");
        assert_eq!(
            (ran.phases("soak-warmup-001"), ran.phases("soak-002")),
            (vec!["Staged".into()], vec!["Staged".into()])
        );
    }
}

#[test]
fn what_the_target_tells_of_its_settings_is_on_the_run_and_another_label_is_said() {
    let target = Target::start(&["--num-parallel", "4"]);
    for (label, differs) in [("num_parallel=4", false), ("num_parallel=8", true), ("other=8", false)] {
        let ran = target.submit(&[], &target.stage_with(&["--jobs", "1", "--label", label]));
        assert_eq!((ran.code, &ran.last("soak")["status"]["settings"]["num_parallel"]), (0, &"4".into()));
        let said = "labelled num_parallel=8, but the target says that its num_parallel is 4";
        assert_eq!(ran.stderr.contains(said), differs, "{label}: {}", ran.stderr);
    }
}

#[test]
fn without_a_poller_it_gives_up_and_hands_the_rest_on() {
    let target = Target::start(&[]);
    let slots = target.dir.path().join("slots");
    let argv = ["--concurrency", "2", "--slots", slots.to_str().unwrap(), "--slots-timeout", "200ms"];
    let ran = target.submit(&argv, &target.stage(5));
    assert_eq!(ran.code, 74);
    assert!(ran.stderr.contains("no poll-jobs opened it within 200 ms"), "{}", ran.stderr);
    assert_eq!(target.sim.stats().posts, 0, "nobody would have followed a job to its end");
    assert_eq!((ran.phases("soak-001"), ran.phases("soak-005")), (vec!["Staged".into()], vec!["Staged".into()]));
    assert_eq!(ran.last("soak")["status"]["aborted"]["reason"], "NoPoller");
}

#[test]
fn a_signal_stops_submitting_and_hands_the_rest_on() {
    let target = Target::start(&["--delay", "100ms"]);
    let (staged, stop) = (target.stage(40), Stop::default());
    let (trigger, url) = (stop.clone(), target.url());
    let ran = std::thread::scope(|scope| {
        scope.spawn(|| {
            wait_until("three submissions", || target.sim.stats().posts >= 3);
            trigger.trigger(2);
        });
        tool_until(run, &["--target", &url], Box::new(std::io::Cursor::new(staged)), stop)
    });
    assert_eq!(ran.code, 130);
    let posts = target.sim.stats().posts;
    assert!((3..40).contains(&posts), "{posts}");
    assert_eq!(ran.phases("soak-040"), ["Staged"]);
    assert_eq!(ran.last("soak")["status"]["aborted"]["reason"], "Interrupted");
    let submitted = ran.records().iter().filter(|record| record["status"]["phase"] == "Submitted").count();
    assert_eq!(submitted as u64, posts, "the id of every submission is on record");
}

#[test]
fn a_signal_ends_the_wait_for_a_target_that_does_not_answer_its_health_check() {
    let (target, stop) = (Target::start(&[]), Stop::default());
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let (staged, trigger) = (target.stage(2), stop.clone());
    let ran = std::thread::scope(|scope| {
        scope.spawn(|| {
            let connection = silent.accept().unwrap();
            trigger.trigger(15);
            connection
        });
        tool_until(run, &["--target", &url, "--timeout", "1h"], Box::new(std::io::Cursor::new(staged)), stop)
    });
    assert_eq!((ran.code, ran.phases("soak-002")), (143, vec!["Staged".into()]), "{}", ran.stderr);
    assert_eq!(ran.last("soak")["status"]["aborted"]["reason"], "Interrupted");
}

#[test]
fn a_submission_without_an_answer_when_the_time_to_stop_is_over_is_unknown() {
    let target = Target::start(&["--no-answer", "1,2"]);
    let (staged, stop) = (target.stage(3), Stop::with_grace(std::time::Duration::from_millis(500)));
    let (trigger, url, journal) = (stop.clone(), target.url(), target.dir.path().join("submissions.ndjson"));
    let argv = ["--target", &url, "--max-posts", "2", "--timeout", "1h", "--journal", journal.to_str().unwrap()];
    let ran = std::thread::scope(|scope| {
        scope.spawn(|| {
            wait_until("two submissions", || target.sim.stats().posts == 2);
            trigger.trigger(2);
        });
        tool_until(run, &argv, Box::new(std::io::Cursor::new(staged)), stop)
    });
    assert_eq!((ran.code, ran.phases("soak-003")), (130, vec!["Staged".into()]), "{}", ran.stderr);
    let journalled = fs::read_to_string(&journal).unwrap();
    for job in ["soak-001", "soak-002"] {
        let status = &ran.last(job)["status"];
        assert_eq!((&status["phase"], &status["reason"]), (&"Unknown".into(), &"NoAnswer".into()));
        assert!(status["submittedAt"].is_string() && status["traceId"].is_string(), "{status}");
        let is_known = |line: &str| line.contains(job) && line.contains(r#""Unknown""#);
        assert!(journalled.lines().any(is_known), "{journalled}");
    }
}
