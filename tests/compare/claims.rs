//! The claims that legs allow, and everything that keeps a claim from being made.

use serde_json::json;

use crate::legs::{Leg, compared, in_turns, leg, row, sentence, word};

const MEDIAN: &str = "end to end, median";
const RATE: &str = "jobs per minute";

fn slower() -> Vec<Leg> {
    in_turns([20.0, 20.5, 19.5], [25.0, 24.5, 25.5])
}

#[test]
fn three_legs_of_each_that_do_not_overlap_are_better_or_worse() {
    let comparison = compared(slower());
    for name in [RATE, MEDIAN, "end to end, mean", "end to end, max", "l1, mean wait"] {
        assert_eq!(word(&comparison, name), "Worse", "{name}");
    }
    for name in ["l1, mean work", "GPU transitions", "queue stage.l1, highest depth"] {
        assert_eq!(word(&comparison, name), "NoDifference", "{name}");
    }
    let found = &row(&comparison, MEDIAN)["differences"][0];
    // From the smallest of one to the largest of the other, and the polling error of 10 ms on both sides.
    assert_eq!(
        (&found["test"], &found["error"], &found["ratio"]),
        (&json!({"pHigher": 0.05, "pLower": 1.0, "low": 3.99, "high": 6.01}), &json!(0.01), &json!(1.25))
    );
    let against = &comparison["status"]["against"][0];
    assert_eq!(
        (&against["word"], &against["confidencePercent"], &against["tested"], &against["byChance"]),
        (&json!("Worse"), &json!(90.0), &json!(8), &json!(0.8))
    );
    assert_eq!(
        sentence(&comparison),
        "np-4 is worse than np-8: jobs per minute 9.60 instead of 12.0 (−20 %), end to end, median 25.0 s instead of \
         20.0 s (+25 %)"
    );
    let better = compared(in_turns([25.0, 24.5, 25.5], [20.0, 20.5, 19.5]));
    assert_eq!((word(&better, RATE), word(&better, MEDIAN)), ("Better".to_owned(), "Better".to_owned()));
}

#[test]
fn legs_that_overlap_show_no_difference() {
    let comparison = compared(in_turns([20.0, 22.0, 21.0], [21.5, 24.0, 23.0]));
    assert_eq!(word(&comparison, MEDIAN), "NoDifference");
    assert_eq!(comparison["status"]["against"][0]["word"], "NoDifference");
    assert!(sentence(&comparison).starts_with("no difference that these legs can show between np-4 and np-8: jobs"));
}

#[test]
fn one_leg_or_two_of_each_are_described() {
    let comparison = compared(vec![leg("np-8", 0, 20.0), leg("np-4", 1, 30.0)]);
    assert_eq!(
        sentence(&comparison),
        "no claim is made about np-4 against np-8: 1 leg of np-8 and 1 leg of np-4: it takes 3 of each, interleaved, to tell a difference from chance"
    );
    let found = &row(&comparison, MEDIAN)["differences"][0];
    assert_eq!((&found["difference"], &found["ratio"]), (&json!(10.0), &json!(1.5)));
    assert!(found.get("word").is_none() && found.get("test").is_none());
    assert!(found["tenPercent"]["message"].as_str().unwrap().starts_with("not known: one leg of each"));
    let mut legs = slower();
    legs.remove(0);
    let comparison = compared(legs);
    assert!(sentence(&comparison).contains(": 2 legs of np-8 and 3 legs of np-4: it takes 3"), "{comparison}");
    assert_eq!(word(&comparison, MEDIAN), "");
}

#[test]
fn legs_that_did_not_take_turns_claim_nothing() {
    let mut legs = slower();
    for (leg, started) in legs.iter_mut().zip([0, 1, 2, 3, 4, 5]) {
        *leg = std::mem::replace(leg, crate::legs::leg("x", 0, 1.0)).run_with(
            "status",
            "startedAt",
            json!(format!("2026-05-20T22:{started:02}:00Z")),
        );
    }
    let comparison = compared(legs);
    assert_eq!(word(&comparison, MEDIAN), "");
    assert!(sentence(&comparison).contains("np-8.1, np-8.2, np-8.3 ran one after the other"), "{comparison}");
    let mut legs = slower();
    legs[2].run["status"].as_object_mut().unwrap().remove("startedAt");
    let comparison = compared(legs);
    assert!(sentence(&comparison).contains("the start of np-8.3 is not known"), "{comparison}");
    assert_eq!(word(&comparison, MEDIAN), "");
}

#[test]
fn legs_that_ran_at_the_same_time_claim_nothing() {
    let mut legs = slower();
    let window = |start: &str, end: &str| json!({"start": format!("2026-05-20T22:{start}Z"), "end": format!("2026-05-20T22:{end}Z")});
    legs[0].run["status"]["window"] = window("00:01", "01:30");
    legs[3].run["status"]["window"] = window("01:01", "01:50");
    assert!(sentence(&compared(legs.clone())).contains("np-8.1 and np-4.1 ran at the same time"));
    legs[3].run["status"]["window"] = window("01:31", "01:50");
    assert_eq!(word(&compared(legs), MEDIAN), "Worse");
}

#[test]
fn a_leg_whose_jobs_did_not_all_succeed_claims_nothing_of_its_setting() {
    for (asked, succeeded) in [(12, 11), (0, 0)] {
        let mut legs = slower();
        legs[4] = legs[4].clone().report_with(
            "/status/conservation",
            json!({"asked": asked, "succeeded": succeeded, "failed": asked - succeeded}),
        );
        // The load is of as many jobs as were asked for.
        let flags = if asked == 0 { &["--allow-different", "jobs"][..] } else { &[] };
        let comparison = crate::legs::LegsOnDisk::write(legs).json(flags);
        assert_eq!(word(&comparison, MEDIAN), "", "{succeeded} of {asked}");
        assert!(sentence(&comparison).contains("not all jobs succeeded in np-4.2"), "{comparison}");
    }
}

/// The same legs, whose median may be so much less and so much more than it is, by setting.
fn blurred(less: [f64; 2], more: [f64; 2]) -> Vec<Leg> {
    let mut all = slower();
    for leg in &mut all {
        let at = usize::from(leg.label.starts_with("np-4"));
        let median = leg.figures()["endToEndMedianSeconds"].as_f64().unwrap();
        leg.figures().insert("endToEndMedianLowSeconds".to_owned(), json!(median - less[at]));
        leg.figures().insert("endToEndMedianHighSeconds".to_owned(), json!(median + more[at]));
    }
    all
}

#[test]
fn what_polling_may_have_made_is_no_difference() {
    // The legs are 4 s to 6 s apart. Had those of np-8 been even faster, np-4 would be worse by more.
    for (less, more, error, expected) in [
        ([3.0, 3.0], [0.0, 0.0], 3.0, "Worse"),
        ([4.1, 0.1], [0.0, 0.0], 4.1, "Worse"),
        ([0.1, 4.1], [0.0, 0.0], 4.1, "NoDifference"),
        ([3.0, 3.0], [3.0, 3.0], 6.0, "NoDifference"),
        ([0.0, 3.0], [3.0, 0.0], 6.0, "NoDifference"),
    ] {
        let comparison = compared(blurred(less, more));
        let found = &row(&comparison, MEDIAN)["differences"][0];
        assert_eq!(
            (word(&comparison, MEDIAN).as_str(), &found["error"]),
            (expected, &json!(error)),
            "{less:?} {more:?}"
        );
        assert_eq!(word(&comparison, "end to end, mean"), "Worse");
        assert!(found["tenPercent"]["message"].as_str().unwrap().contains("no number of legs"), "a tenth is 2 s");
    }
}

#[test]
fn an_error_that_is_not_known_is_not_none() {
    let mut legs = slower();
    legs[0] = legs[0].clone().without("endToEndMedianLowSeconds");
    legs[0].figures().insert("endToEndMedianErrorSeconds".to_owned(), json!(0.5));
    let comparison = compared(legs.clone());
    assert_eq!(word(&comparison, MEDIAN), "Worse", "either way by as much, then");
    legs[0] = legs[0].clone().without("endToEndMedianErrorSeconds");
    let comparison = compared(legs);
    assert_eq!(word(&comparison, MEDIAN), "");
    assert_eq!(
        row(&comparison, MEDIAN)["differences"][0]["tenPercent"],
        json!({"message": "not known, because the error of the figures is not known"})
    );
    let why = row(&comparison, MEDIAN)["missing"][0].as_str().unwrap();
    assert!(why.contains("the report of np-8.1 does not give its error"), "{why}");
    assert!(sentence(&comparison).ends_with("; not known: end to end, median"), "{}", sentence(&comparison));
}

#[test]
fn what_one_gap_between_samples_can_hide_is_no_difference() {
    let with = |transitions: f64, gap: f64| {
        let mut legs = slower();
        for leg in &mut legs {
            leg.figures().insert("samples.gpu_tenancy_transitions.widestGapSeconds".to_owned(), json!(gap));
            if leg.label.starts_with("np-4") {
                leg.figures().insert("gpu.transitions".to_owned(), json!(transitions));
            }
        }
        word(&compared(legs), "GPU transitions")
    };
    // A gap of 1 s in a window of about 75 s holds less than one transition, so one either way on both sides is what counts.
    let found = [16.0, 17.0, 12.0, 11.0].map(|transitions| with(transitions, 1.0));
    assert_eq!(found, ["NoDifference", "Worse", "NoDifference", "Better"]);
    assert_eq!(with(17.0, 15.0), "NoDifference", "a gap of 15 s holds more than three");
    let depth = |depth: f64, gap: f64| {
        let mut legs = slower();
        for leg in &mut legs {
            leg.figures().insert("samples.rabbitmq_queue_ready.widestGapSeconds".to_owned(), json!(gap));
            if leg.label.starts_with("np-4") {
                leg.figures().insert("queues.stage.l1.readyMax".to_owned(), json!(depth));
            }
        }
        word(&compared(legs), "queue stage.l1, highest depth")
    };
    assert_eq!(
        (depth(5.0, 1.0).as_str(), depth(6.0, 1.0).as_str(), depth(6.0, 15.0).as_str()),
        ("NoDifference", "Worse", "NoDifference")
    );
}

#[test]
fn a_missing_figure_is_never_zero() {
    let mut legs = slower();
    legs[1] = legs[1].clone().without("gpu.transitions");
    let comparison = compared(legs);
    let row = row(&comparison, "GPU transitions");
    assert!(row["cells"][0].get("mean").is_none() && row["cells"][1]["mean"] == 14.0, "{row}");
    assert_eq!(row["differences"], json!([]));
    assert_eq!(
        row["missing"][0],
        "GPU transitions: not in the report of np-8.2: no query of transitions returned one, or its capture ended before the last job did"
    );
}

#[test]
fn histograms_stand_in_only_for_all_legs() {
    let mut legs = slower();
    for leg in &mut legs {
        leg.figures().insert("stages.l1.histogramMeanSeconds".to_owned(), json!(2.5));
        leg.figures().insert("samples.stage_duration_sum.widestGapSeconds".to_owned(), json!(1.0));
    }
    legs[0] = legs[0].clone().without("stages.l1.workMeanSeconds");
    let comparison = compared(legs.clone());
    let name = "l1, mean work by histograms";
    assert_eq!(row(&comparison, name)["cells"][0]["legs"].as_object().unwrap().len(), 3);
    assert_eq!(word(&comparison, name), "NoDifference");
    assert!(comparison["status"]["doubts"][0].as_str().unwrap().contains("the histograms' means are compared"));
    legs[3] = legs[3].clone().without("stages.l1.histogramMeanSeconds");
    let comparison = compared(legs);
    assert!(row(&comparison, "l1, mean work")["cells"][0].get("mean").is_none(), "two witnesses are not mixed");
}

#[test]
fn a_target_that_contradicts_a_label_forbids_a_claim() {
    let mut legs = slower();
    for leg in &mut legs {
        let np = leg.label[3..4].to_owned();
        leg.run["metadata"]["labels"]["num_parallel"] = json!(np);
        leg.run["status"]["settings"] = json!({"num_parallel": np, "told_only": "1"});
        leg.run["status"]["settingsAfter"] = json!({"values": {"num_parallel": np, "told_only": "1"}});
    }
    assert_eq!(word(&compared(legs.clone()), MEDIAN), "Worse");
    legs[2].run["status"]["settings"]["num_parallel"] = json!("4");
    legs[2].run["status"]["settingsAfter"]["values"]["num_parallel"] = json!("4");
    let comparison = compared(legs);
    assert_eq!(word(&comparison, MEDIAN), "");
    let told = "np-8.3: labelled num_parallel=8, but the target says that its num_parallel is 4";
    assert!(sentence(&comparison).ends_with(told), "{}", sentence(&comparison));
    assert!(comparison["status"]["doubts"].as_array().unwrap().contains(&json!(told)));
}

/// Six legs whose target told of `num_parallel` before the jobs and after them, as the labels have it; then `change` is made
/// to the Run of np-8.3.
fn with_settings(change: impl Fn(&mut serde_json::Value)) -> serde_json::Value {
    let mut legs = slower();
    for leg in &mut legs {
        let np = leg.label[3..4].to_owned();
        leg.run["metadata"]["labels"]["num_parallel"] = json!(np);
        leg.run["status"]["settings"] = json!({"num_parallel": np});
        leg.run["status"]["settingsAfter"] = json!({"values": {"num_parallel": np}});
    }
    change(&mut legs[2].run);
    compared(legs)
}

#[test]
fn a_setting_that_did_not_stay_in_force_forbids_a_claim() {
    assert_eq!(word(&with_settings(|_| {}), MEDIAN), "Worse");
    let same_number = with_settings(|run| run["status"]["settingsAfter"] = json!({"values": {"num_parallel": "8.0"}}));
    assert_eq!(word(&same_number, MEDIAN), "Worse");
    let changed = |after: serde_json::Value| with_settings(move |run| run["status"]["settingsAfter"] = after.clone());
    for (comparison, doubt) in [
        (
            changed(json!({"values": {"num_parallel": "1"}})),
            "np-8.3: the target's num_parallel changed from 8 to 1 while the jobs ran",
        ),
        (
            changed(json!({"error": "GET http://t/health: 503"})),
            "np-8.3: it is not known whether the target's num_parallel was still 8 after the jobs: GET http://t/health: 503",
        ),
        (
            changed(json!({})),
            "np-8.3: it is not known whether the target's num_parallel was still 8 after the jobs: its health answer no longer shows it",
        ),
        (
            with_settings(|run| drop(run["status"].as_object_mut().unwrap().remove("settingsAfter"))),
            "np-8.3: it is not known whether the target's num_parallel was still 8 after the jobs: poll-jobs ended before it could check",
        ),
        (
            with_settings(|run| {
                run["status"]["settings"]["batch"] = json!("2");
                run["status"]["settingsAfter"]["values"]["batch"] = json!("3");
            }),
            "np-8.3: the target's batch changed from 2 to 3 while the jobs ran",
        ),
    ] {
        assert_eq!(word(&comparison, MEDIAN), "", "{doubt}");
        assert!(sentence(&comparison).contains(doubt), "{}", sentence(&comparison));
        assert!(comparison["status"]["doubts"].as_array().unwrap().contains(&json!(doubt)), "{comparison}");
    }
}

#[test]
fn a_setting_that_the_target_did_not_show_to_one_leg_forbids_a_claim() {
    let before = "the target showed its num_parallel before the jobs of np-8.1, np-8.2, np-4.1, np-4.2, np-4.3, but not of np-8.3";
    let after = before.replace("before", "after");
    let error = "GET http://t/health: the answer is empty";
    for (settings, reasons) in [
        // Neither before the jobs nor after them.
        (json!({}), vec![before]),
        (json!({"settingsAfter": {}}), vec![before]),
        (json!({"settingsAfter": {"values": {"num_parallel": "8"}}}), vec![before]),
        (
            json!({"settingsAfter": {"values": {"num_parallel": "4"}}}),
            vec![
                "np-8.3: labelled num_parallel=8, but after the jobs the target says that its num_parallel is 4",
                before,
            ],
        ),
        (
            json!({"settingsError": error, "settingsAfter": {"error": error}}),
            vec![
                "np-8.3: the target's settings before the jobs are not known: GET http://t/health: the answer is empty",
                before,
            ],
        ),
        (
            json!({"settingsAfter": {"error": error}}),
            vec![
                "np-8.3: the target's settings after the jobs are not known: GET http://t/health: the answer is empty",
                before,
            ],
        ),
    ] {
        let comparison = with_settings(|run| {
            let status = run["status"].as_object_mut().unwrap();
            status.retain(|key, _| !key.starts_with("settings"));
            status.extend(settings.as_object().unwrap().clone());
        });
        assert_eq!(word(&comparison, MEDIAN), "", "{settings}");
        assert_eq!(comparison["status"]["against"][0]["noClaim"], json!(reasons), "{settings}");
    }
    // The target may begin to show it with the first job.
    let mut legs = slower();
    for leg in &mut legs {
        let np = leg.label[3..4].to_owned();
        leg.run["metadata"]["labels"]["num_parallel"] = json!(np);
        leg.run["status"]["settingsAfter"] = json!({"values": {"num_parallel": np}});
    }
    assert_eq!(word(&compared(legs.clone()), MEDIAN), "Worse");
    legs[2].run["status"]["settingsAfter"] = json!({});
    assert_eq!(compared(legs.clone())["status"]["against"][0]["noClaim"], json!([after]));
    for leg in &mut legs {
        leg.run["status"]["settingsAfter"] = json!({});
    }
    assert_eq!(word(&compared(legs), MEDIAN), "Worse", "a target that never shows it: only the labels count");
}

#[test]
fn legs_of_one_setting_that_ran_under_different_values_forbid_a_claim() {
    let mut legs = slower();
    for (leg, batch) in legs.iter_mut().zip(["2", "2", "3", "2", "2", "2"]) {
        leg.run["status"]["settings"] = json!({"batch": batch});
    }
    let comparison = compared(legs);
    assert_eq!(word(&comparison, MEDIAN), "");
    let doubt = "the target's batch was not the same in all legs of np-8: 2 (np-8.1, np-8.2), 3 (np-8.3)";
    assert!(sentence(&comparison).ends_with(doubt), "{}", sentence(&comparison));
}

#[test]
fn legs_that_were_not_warmed_up_alike_are_doubtful() {
    let mut legs = slower();
    for leg in legs.iter_mut().take(3) {
        leg.run["spec"]["warmup"] = json!(2);
    }
    assert_eq!(
        compared(legs)["status"]["doubts"],
        json!(["np-8.1, np-8.2, np-8.3 ran after a warm-up, np-4.1, np-4.2, np-4.3 without one"])
    );
}

#[test]
fn each_other_setting_is_compared_with_the_first() {
    let mut legs = slower();
    legs.extend(
        [("np-16.1", 6, 15.0), ("np-16.2", 7, 15.2), ("np-16.3", 8, 15.1)]
            .map(|(name, at, median)| leg(name, at, median)),
    );
    let comparison = compared(legs);
    let against = comparison["status"]["against"].as_array().unwrap();
    assert_eq!(against.len(), 2);
    assert_eq!(against[0]["word"], "Worse");
    assert!(against[1]["sentence"].as_str().unwrap().contains("np-8.1, np-8.2, np-8.3 ran one after the other"));
    assert_eq!(row(&comparison, MEDIAN)["differences"][1]["difference"], json!(-4.9));
}

#[test]
fn four_legs_of_each_attain_less_than_the_level_and_say_so() {
    let legs = |name: &str, first: u64, median: f64| -> Vec<Leg> {
        (0..4).map(|at| leg(&format!("{name}.{at}"), 2 * at + first, median + at as f64 / 10.0)).collect()
    };
    let disk = crate::legs::LegsOnDisk::write([legs("np-8", 0, 20.0), legs("np-4", 1, 25.0)].concat());
    let against = &disk.json(&[])["status"]["against"][0];
    // Three of 70 splits in either direction.
    assert_eq!((&against["word"], &against["confidencePercent"]), (&json!("Worse"), &json!(91.428_571)));
    assert!(disk.compare(&[]).stdout.contains("| 91.4 % interval |"), "rounded down");
}
