//! The figures as the page, the summary and the tables show them.

use crate::support::{RUN, Scratch, good, job, judged, succeeded};

#[test]
fn the_first_screen_is_what_one_would_paste() {
    let scratch = Scratch::new();
    let failed = r#"{"phase":"Failed","reason":"TargetFailed","message":"RuntimeError: no","submittedAt":"2026-05-20T22:30:06Z","acceptedAt":"2026-05-20T22:30:06.1Z","notEndedAt":"2026-05-20T22:30:08Z","endedAt":"2026-05-20T22:30:09Z","stages":[{"name":"whisper","phase":"Failed"}]}"#;
    scratch.report(&[good()[..3].to_vec(), vec![job("soak-003", failed)]].concat(), &[]);
    let page = scratch.read("report.md");
    let (screen, _) = page.split_once("## Criteria").unwrap();
    assert_eq!(
        screen,
        "\
# Failed: soak

**Failed**: 1 of 3 jobs did not succeed: soak-003 failed at whisper (RuntimeError: no).

3 asked = 2 succeeded + 1 failed + 0 timed out + 0 lost + 0 unknown + 0 interrupted + 0 rejected + 0 unfinished + 0 not \
submitted + 0 missing

Not succeeded: failed: soak-003.

| Figure | Value |
| --- | --- |
| Load | asked: concurrency 2, 3 jobs; reached: peak 2, mean 1.9 in flight from the first submission to the last |
| Throughput | 15.0 jobs/min (+2.1 / −0): 2 succeeded in 8.00 s, from the first submission to the last end |
| End to end | median 5.50 s (+0 s / −200 ms), max 6.00 s (+0 s / −200 ms), of 2 that succeeded |
| Limiting stage | whisper: jobs waited 1.00 s (+110 ms / −10 ms) for it against 1.00 s of work, on average; next l0: 500 ms |
| Success rate | 2 of 3 jobs (67 %); 95 % interval 9 % to 99 % |

## Failures

| Jobs | Outcome | Stage | Reason | Message |
| --- | --- | --- | --- | --- |
| soak-003 | failed | whisper | TargetFailed | RuntimeError: no |

"
    );
}

#[test]
fn jobs_that_failed_alike_share_a_row() {
    let scratch = Scratch::new();
    let failed = |name: &str, why: &str| {
        let status = format!(
            r#"{{"phase":"Failed","reason":"TargetFailed","message":"{why}","jobId":"id-of-{name}","submittedAt":"2026-05-20T22:30:01Z","endedAt":"2026-05-20T22:30:04Z"}}"#
        );
        job(name, &status)
    };
    let jobs = [
        failed("soak-001", "no GPU"),
        failed("soak-002", "job id-of-soak-002: out of memory"),
        failed("soak-003", "job id-of-soak-003: out of memory"),
    ];
    scratch.report(&[good()[..1].to_vec(), jobs.to_vec()].concat(), &[]);
    let page = scratch.read("report.md");
    let (_, table) = page.split_once("## Failures\n\n").unwrap();
    let rows: Vec<&str> = table.lines().skip(2).take_while(|line| line.starts_with('|')).collect();
    assert_eq!(rows.len(), 2, "{table}");
    assert!(
        rows[0].starts_with("| 2 jobs: soak-002, soak-003 | failed") && rows[1].starts_with("| soak-001 | failed"),
        "{table}"
    );
}

#[test]
fn a_brief_summary_is_one_line_that_names_the_leg() {
    let scratch = Scratch::new();
    let of_leg: Vec<String> =
        good().into_iter().map(|line| line.replace(r#""labels":{"#, r#""labels":{"leg":"np-8.2","#)).collect();
    let ran = scratch.report(&of_leg, &["--brief"]);
    let line =
        format!("soak, leg np-8.2: Passed: 3 of 3 jobs succeeded ({})\n", scratch.out().join("report.html").display());
    assert_eq!(ran.stderr, line);
}

#[test]
fn the_summary_is_one_screen() {
    let scratch = Scratch::new();
    let ran = scratch.report(&good(), &[]);
    assert_eq!(
        ran.stderr,
        format!(
            "\
soak: Passed: 3 of 3 jobs succeeded
  Jobs           3 asked = 3 succeeded
  Load           asked: concurrency 2, 3 jobs; reached: peak 2, mean 1.9 in flight from the first submission to the last
  Throughput     13.8 jobs/min (+0.2 / −0): 3 succeeded in 13.0 s, from the first submission to the last end
  End to end     median 6.00 s (+0 s / −200 ms), max 8.00 s (+0 s / −200 ms), of 3 that succeeded
  Limiting stage whisper: jobs waited 1.00 s (+110 ms / −10 ms) for it against 1.00 s of work, on average; next l0: 500 ms
  Success rate   3 of 3 jobs (100 %); with 95 % confidence that still allows up to 63 % failures
  Report         {}
",
            scratch.out().join("report.html").display()
        )
    );
}

#[test]
fn the_stage_table_shows_waits_and_work() {
    let scratch = Scratch::new();
    scratch.report(&good(), &[]);
    let page = scratch.read("report.md");
    let (_, stages) = page.split_once("## Stages\n\n").unwrap();
    let (table, _) = stages.split_once("\n\n").unwrap();
    assert_eq!(
        table,
        "\
| Stage | Part | Count | Mean | Median | Max | Mean's error | Times |
| --- | --- | ---: | ---: | ---: | ---: | ---: | --- |
| whisper | wait | 3 | 1.00 s | 1.00 s | 1.00 s | ± 110 ms | server |
| whisper | work | 3 | 1.00 s | 1.00 s | 1.00 s | none | server |
| l0 | wait | 3 | 500 ms | 500 ms | 500 ms | none | server |
| l0 | work | 3 | 3.73 s | 3.40 s | 5.40 s | none | server |"
    );
}

#[test]
fn the_tables_for_programs_have_a_row_for_everything() {
    let scratch = Scratch::new();
    scratch.report(&good()[..3], &[]);
    let jobs = scratch.read("jobs.csv");
    let rows: Vec<&str> = jobs.lines().collect();
    assert_eq!(
        rows[0],
        "run,name,phase,reason,message,jobId,traceId,dueAt,submittedAt,acceptedAt,endedAt,submitSeconds,queueSeconds,\
         queueErrorSeconds,runSeconds,runErrorSeconds,endToEndSeconds,endToEndErrorSeconds,polls,pollsFailed,flags"
    );
    assert_eq!(
        rows[1],
        "r1,soak-001,Succeeded,,,id-1,,,2026-05-20T22:30:01.000000Z,2026-05-20T22:30:01.100000Z,2026-05-20T22:30:06.000000Z,\
         0.100000,1.000000,0.110000,3.900000,0.210000,5.000000,0.200000,7,0,"
    );
    assert_eq!(rows[3], "r1,soak-003,Missing,,,,,,,,,,,,,,,,,,");
    let stages = scratch.read("stages.csv");
    assert_eq!(
        stages.lines().take(3).collect::<Vec<_>>(),
        [
            "run,job,stage,phase,state,attempt,timesFrom,queuedAt,startedAt,endedAt,waitSeconds,waitErrorSeconds,\
             workSeconds,workErrorSeconds",
            "r1,soak-001,whisper,Done,done,1,server,,2026-05-20T22:30:02.600000Z,2026-05-20T22:30:03.600000Z,1.000000,\
             0.110000,1.000000,0.000000",
            "r1,soak-001,l0,Done,done,1,server,,2026-05-20T22:30:04.100000Z,2026-05-20T22:30:06.500000Z,0.500000,0.000000,\
             2.400000,0.000000"
        ]
    );
}

#[test]
fn a_level_with_too_few_jobs_for_its_concurrency_says_so() {
    let run = RUN.replace(r#""concurrency":2"#, r#""concurrency":24"#);
    let ran = judged(&[vec![run], good()[1..].to_vec()].concat(), &[]);
    assert!(ran.stderr.contains("; 24 could not be reached: there were only 3 jobs\n"), "{}", ran.stderr);
    let figures = ran.report().status.figures;
    assert!((figures["reachableConcurrency"] - 3.0).abs() < 1e-9);
}

#[test]
fn the_open_model_shows_its_lag() {
    let run = RUN.replace(r#""concurrency":2"#, r#""ratePerSecond":0.5"#);
    let jobs = [(1, 0.0), (2, 0.5), (3, 2.5)].map(|(number, lag)| {
        let due = f64::from(number) * 2.0;
        let status = succeeded(due + lag, 5.0);
        let due = format!(r#"{{"dueAt":"2026-05-20T22:30:{due:09.6}Z","#);
        job(&format!("soak-00{number}"), &status.replacen('{', &due, 1))
    });
    let ran = judged(&[vec![run], jobs.to_vec()].concat(), &[]);
    let (_, load) = ran.stderr.split_once("  Load           ").unwrap();
    assert_eq!(
        load.lines().next().unwrap(),
        "asked: 0.500 jobs/s, 3 jobs; reached: peak 2, mean 1.4 in flight from the first submission to the last, 0.308 \
         jobs/s; submissions lagged behind the schedule by 500 ms (median) and 2.50 s (max)"
    );
    assert!(ran.stderr.contains("  End to end     median 5.50 s "), "latency counts from the schedule: {}", ran.stderr);
}

#[test]
fn without_any_end_nothing_is_made_up() {
    let staged = ["soak-001", "soak-002", "soak-003"].map(|name| job(name, r#"{"phase":"Staged"}"#));
    let ran = judged(&[vec![RUN.to_owned()], staged.to_vec()].concat(), &[]);
    for line in [
        "  Load           asked: concurrency 2, 3 jobs; nothing was submitted\n",
        "  Throughput     not known: no end was seen\n",
        "  End to end     not known: no job is known to have succeeded\n",
        "  Limiting stage not known: no stage has times\n",
        "  Success rate   not known: no job came to an end\n",
    ] {
        assert!(ran.stderr.contains(line), "{line}{}", ran.stderr);
    }
    let figures = ran.report().status.figures;
    assert_eq!(figures.keys().collect::<Vec<_>>(), ["askedConcurrency", "reachableConcurrency"]);
}

#[test]
fn what_tools_flagged_and_captures_missed_is_doubtful() {
    let flagged = succeeded(6.0, 8.0).replacen('{', r#"{"flags":["StaleResult"],"#, 1);
    let series = r#"{"apiVersion":"stress/v1","kind":"Series","metadata":{"name":"queue_wait","run":"r1"},"status":{"result":"empty","message":"no such metric","file":"prometheus/queue_wait.json"}}"#;
    let outside = r#"{"apiVersion":"stress/v1","kind":"Logs","metadata":{"name":"gpu","run":"r1"},"status":{"result":"ok","lines":1,"file":"../../etc/passwd"}}"#;
    let lines = [good()[..3].to_vec(), vec![job("soak-003", &flagged), series.into(), outside.into()]].concat();
    let report = judged(&lines, &[]).report();
    assert_eq!(
        report.status.doubts,
        ["flagged StaleResult: soak-003", "the capture of series queue_wait is empty: no such metric"]
    );
    assert!(report.status.files.contains(&"prometheus/queue_wait.json".to_owned()));
    assert!(!report.status.files.iter().any(|file| file.contains("passwd")));
}

#[test]
fn the_window_and_end_to_end_have_the_bounds_of_the_ends() {
    let figures = judged(&good(), &[]).report().status.figures;
    // The last poll that saw the last job running was 0.2 s before the one that saw it ended; so with all of them.
    for (name, value) in [
        ("windowSeconds", 13.0),
        ("windowLowSeconds", 12.8),
        ("windowHighSeconds", 13.0),
        ("endToEndMedianLowSeconds", 5.8),
        ("endToEndMedianHighSeconds", 6.0),
        ("endToEndMaxLowSeconds", 7.8),
    ] {
        assert!((figures[name] - value).abs() < 1e-9, "{name}: {}", figures[name]);
    }
    assert!(!judged(&[RUN.to_owned()], &[]).report().status.figures.contains_key("windowLowSeconds"));
}
